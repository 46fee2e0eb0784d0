/*
 * rsagent_client.h - this workstation's client: its configuration gets the servers, and their volumes come
 * into its tree.
 *
 * First a plan, which changes nothing: the text as it would be, and what differs.  Then that is shown, saved, and
 * rsiod told of it.  Prints and asks nothing.
 */
#ifndef OPS_RSAGENT_CLIENT_H
#define OPS_RSAGENT_CLIENT_H

#include <limits.h>
#include <stdbool.h>
#include "conf_write.h"
#include "err.h"

struct rsagent_client_options {
	const char *config;		/* NULL: the usual place */
	const char *run_dir;		/* of rsiod; NULL: the usual one */
	double wait;			/* seconds until the volumes are there; 0: 15 */
};

/* What the configuration says of a namespace, for who has to make the server's part first. */
struct rsagent_client_defaults {
	char namespace[CONF_NAME_MAX + 1];	/* the one that was asked for; else the only one there is; else "" */
	bool known;				/* the configuration has it */
	int id;					/* its own, else one that is free */
	char node[CONF_NAME_MAX + 1];		/* this node's name in it, else this host's */
	char key[CONF_KEY_TEXT];		/* this node's key in it, as hex digits; "" none.  To be wiped */
};
/* wanted: a namespace, or NULL.  0, or -errno with e filled. */
int rsagent_client_defaults(const struct rsagent_client_options *o, const char *wanted,
			    struct rsagent_client_defaults *d, struct err *e);

struct rsagent_client;			/* a plan */
/* Options and join are borrowed until the plan is freed.  NULL with e filled. */
struct rsagent_client *rsagent_client_plan(const struct rsagent_client_options *o, const struct conf_join *j, struct err *e);
/* The same, to take a server's portals away. */
struct rsagent_client *rsagent_client_plan_leave(const struct rsagent_client_options *o, const char *namespace,
						 const struct conf_join_portal *portals, size_t count, struct err *e);
void rsagent_client_free(struct rsagent_client *c);	/* NULL is fine */

const char *rsagent_client_path(const struct rsagent_client *c);
const char *rsagent_client_diff(const struct rsagent_client *c);	/* "": nothing to change; keys hidden */
/* The configuration as it will be, for probe_run.  *n: the namespace's number; when it has gone, as many as there are. */
const struct conf_client *rsagent_client_conf(const struct rsagent_client *c, size_t *n);

/* Writes the file; nothing when there is nothing to change.  What was there is kept as a backup.  Where somebody else
 * changed the file meanwhile, as another host's deployment does, the plan is made anew from what is there now. */
int rsagent_client_save(struct rsagent_client *c, struct err *e);

struct rsagent_client_seen {
	size_t volumes;			/* that the servers of these portals offer, all of them in the tree */
	size_t paths;			/* to these portals that are up */
	char mount[PATH_MAX];		/* the tree */
};
/* Lets rsiod read the file and waits until a server of these portals has said what it offers and that is in the tree.
 * -ENOENT, -ECONNREFUSED: no rsiod runs, and e->next is the command that starts it.  -ETIMEDOUT: e says what rsiod says.
 * After a plan to leave it only reads. */
int rsagent_client_load(const struct rsagent_client *c, struct rsagent_client_seen *seen, struct err *e);

/* How rsiod is started with these options, as a user would type it: "systemctl enable --now rsiod" where its unit is
 * installed and they name no other files, else "rsiod ...". */
void rsagent_client_start_words(const struct rsagent_client_options *o, char *buf, size_t size);
/* Does it: 0 when rsiod can be used.  What rsiod says of itself is on standard error. */
int rsagent_client_start(const struct rsagent_client_options *o, struct err *e);

#endif
