/*
 * rsagent_client.h - this workstation's client: its configuration gets the servers, and the volumes come
 * into its tree.
 *
 * First a plan, which changes nothing: the text as it would be, and what differs.  Then that is shown and done.
 */
#ifndef OPS_RSAGENT_CLIENT_H
#define OPS_RSAGENT_CLIENT_H

#include <stdbool.h>
#include "conf_write.h"
#include "err.h"

struct rsagent_client_options {
	const char *config;		/* NULL: the usual place */
	const char *run_dir;		/* of rsiod; NULL: the usual one */
	double wait;			/* seconds until the volumes are there; 0: 15 */
};

struct rsagent_client;			/* a plan */

/* What the configuration says of a namespace, for who has to make the server's part first. */
struct rsagent_client_defaults {
	char namespace[CONF_NAME_MAX + 1];	/* the one that was asked for; else the only one there is; else "" */
	bool known;				/* the configuration has it */
	int id;					/* its own, else one that is free */
	char node[CONF_NAME_MAX + 1];		/* this node's name in it, else this host's */
	char key[CONF_KEY_TEXT];		/* this node's key in it, as hex digits; "" none.  To be wiped */
};
/* wanted: a namespace, or NULL.  0, or -errno with e filled; mistakes of the file are printed. */
int rsagent_client_defaults(const struct rsagent_client_options *o, const char *wanted,
			    struct rsagent_client_defaults *d, struct err *e);
/* Options and join are borrowed until the plan is freed.  NULL with e filled (mistakes of the file are printed). */
struct rsagent_client *rsagent_client_plan(const struct rsagent_client_options *o, const struct conf_join *j, struct err *e);
/* The same, to take a server away. */
struct rsagent_client *rsagent_client_plan_leave(const struct rsagent_client_options *o, const char *namespace,
						 const struct conf_join_portal *portals, size_t count, struct err *e);
void rsagent_client_free(struct rsagent_client *c);

const char *rsagent_client_path(const struct rsagent_client *c);
const char *rsagent_client_diff(const struct rsagent_client *c);	/* "": nothing to change; keys hidden */
/* The configuration as it will be, for probe_run; NULL: without a namespace left.  *n: the namespace's number. */
const struct conf_client *rsagent_client_conf(const struct rsagent_client *c, size_t *n);

/* Writes the file; nothing when there is nothing to change.  What was there is kept as a backup. */
int rsagent_client_save(struct rsagent_client *c, struct err *e);
/* Lets rsiod read it and waits until the namespace's servers have said what they offer and all of that is in
 * the tree: 0 with *volumes set and the mount point in mount (PATH_MAX).  -ENOENT, -ECONNREFUSED: no rsiod runs, e says the
 * command that starts it. */
int rsagent_client_load(struct rsagent_client *c, size_t *volumes, char *mount, struct err *e);

#endif
