/*
 * rsagent_fleet.h - what the files of rsagent apply share.
 *
 *   rsagent_fleet.c         options, and the order of it all
 *   rsagent_fleet_members.c who there is: the file's servers and clients, and those that left it
 *   rsagent_fleet_hosts.c   the members' hosts, asked and changed, each by a child process
 *   rsagent_fleet_verify.c  whether a server serves this host
 *   rsagent_fleet_plan.c    what each member is to be, and what is to be done for that
 *   rsagent_fleet_show.c    the plan, and what came of it, for a terminal or as JSON
 *   rsagent_fleet_record.c  what was applied before
 *
 * Everything is decided in the parent, which has to know all hosts to give each client one key.
 * So what children read comes to it, by memory that they share and no core file has; and what they
 * are to do they have from it at their fork.
 */
#ifndef OPS_RSAGENT_FLEET_H
#define OPS_RSAGENT_FLEET_H

#include <jansson.h>
#include <limits.h>
#include "conf_write.h"
#include "deploy.h"
#include "remote.h"
#include "rsagent_hosts.h"
#include "secure.h"

struct fleet_options {
	struct rsagent_remote remote;
	const char *binary, *run_dir;
	bool check, diff, dry_run, yes, force;
};

enum fleet_kind { FLEET_SERVER, FLEET_CLIENT };
enum fleet_change { FLEET_SAME, FLEET_CREATED, FLEET_CHANGED, FLEET_REMOVED };
const char *fleet_change_name(enum fleet_change c);

#define FLEET_PORTALS_MAX 64

/* What was typed for a login, for the next one to the same host. */
#define FLEET_SECRETS 4
struct fleet_secret {
	char prompt[200], answer[REMOTE_SECRET_MAX];
};

/* What a host said of itself, and what it was told: shared with the children that log in to it. */
struct fleet_said {
	struct fleet_secret secrets[FLEET_SECRETS];
	bool there;
	char marker[33];
	int64_t time;			/* here, when it was asked */
	struct deploy_findings users;	/* of a server that left the file: who has its volumes open */
	size_t size;
	char bytes[];			/* FLEET_SAID_MAX */
};
#define FLEET_SAID_MAX (DEPLOY_FACTS_MAX + 1)

/* A client in a namespace. */
struct fleet_join {
	char namespace[CONF_NAME_MAX + 1], node[CONF_NAME_MAX + 1];
	const struct conf_fleet_namespace *ns;	/* NULL: it left the file */
	struct fleet_key *key;			/* of the fleet's; NULL with ns */
	bool own;				/* its configuration has the key already */
};

/* A server, or the configuration of a client, which may be in several namespaces. */
struct fleet_member {
	enum fleet_kind kind;
	bool gone;			/* a server that left the file */
	bool local;
	char namespace[CONF_NAME_MAX + 1], name[CONF_NAME_MAX + 1];	/* a client's: of its first join */
	char *where;			/* as the file says it */
	struct rsagent_host host;
	struct fleet_said *said;

	/* A server. */
	const struct conf_fleet_namespace *ns;
	const struct conf_fleet_server *server;
	struct fleet_key *keys;		/* of ns's clients */
	struct deploy_facts *facts;
	struct conf_server *has;	/* its configuration now; NULL: none, or one with mistakes */
	struct deploy_secret config;	/* as it is to be */
	struct deploy_wish wish;
	struct deploy_findings findings;
	struct deploy_plan *plan;
	char **pools;			/* beside the first; wish.more_pools */
	char *pool;			/* of one that left the file, as recorded; wish.pool */
	char binary[PATH_MAX];
	struct conf_join_portal portals[FLEET_PORTALS_MAX];	/* as clients have them */
	size_t portal_count;

	/* A client. */
	char *config_path;
	struct fleet_join *joins;
	size_t join_count;
	struct conf_text *text;		/* as it is to be */
	char sha[DEPLOY_SHA + 1];	/* of what is there */
	char machine[300];		/* the host, by the name and the id that it has */

	enum fleet_change change;
	char *diff;			/* "" or NULL: none */
	bool done;
	bool told;			/* e was printed already */
	struct err e;			/* why it cannot be, or was not done; code 0: nothing is wrong */
};

/* A client's key in a namespace: made once, and the same wherever it is. */
struct fleet_key {
	uint8_t bits[SECURE_KEY_SIZE];
	bool known, made;
};

#define FLEET_BY "rsagent apply "

struct fleet {
	const struct fleet_options *o;
	char *path;			/* of the file, absolute */
	char *by;			/* who deploys, for manifests: "rsagent apply PATH" */
	struct conf_fleet *conf;
	struct fleet_member *members;	/* servers first */
	size_t count;
	struct fleet_key **keys;	/* of each namespace, for each client; secure_alloc's */
	json_t *record;			/* of the last time; an object */
	char *record_path;
	int record_fd;			/* which is locked; -1 */
};

/* rsagent_fleet_members.c */
int fleet_find_members(struct fleet *f, struct err *e);
void fleet_free(struct fleet *f);

/* rsagent_fleet_hosts.c: each member's e says when it did not work. */
int fleet_look(struct fleet *f, struct err *e);
enum fleet_part { FLEET_DO_SERVERS, FLEET_DO_CLIENTS, FLEET_DO_GONE };
int fleet_do(struct fleet *f, enum fleet_part part, struct err *e);

/* rsagent_fleet_verify.c: in the child.  0, or -errno with e filled: it does not serve, and is to be undone. */
struct rsagent_task;
int fleet_verify(const struct fleet *f, const struct fleet_member *m, struct rsagent_task *t, struct deploy_run *run,
		 struct err *e);

/* rsagent_fleet_plan.c: of all members that could be looked at. */
void fleet_plan(struct fleet *f);
size_t fleet_count(const struct fleet *f, enum fleet_change c);

/* rsagent_fleet_show.c */
void fleet_show(const struct fleet *f);
void fleet_show_failures(struct fleet *f);	/* each once */
int fleet_show_json(const struct fleet *f);	/* 0 or -errno */

/* rsagent_fleet_record.c */
int fleet_record_open(struct fleet *f, struct err *e);	/* also keeps others from applying it now */
void fleet_record_close(struct fleet *f);
/* Done or under way: what there is now, and what there was and is not known to be gone. */
int fleet_record_save(struct fleet *f, struct err *e);
/* A namespace's portals that were applied; of one server: m, else of all. */
size_t fleet_record_portals(const struct fleet *f, const char *namespace, const struct fleet_member *m,
			    struct conf_join_portal *out, size_t max);

#endif
