/*
 * rsagent_deploy.h - what the files of deploy, undeploy and upgrade share.
 *
 *   rsagent_deploy.c       options; what is decided here before any host is asked: names, key, numbers
 *   rsagent_deploy_host.c  one host, in its child process: facts, plan, steps, verification
 *   rsagent_deploy_join.c  this workstation's client: verification, and its configuration
 *   rsagent_deploy_show.c  what is shown of a host and a plan
 *   rsagent_deploy_users.c who uses what is to be taken away
 *   rsagent_deploy_end.c   when all hosts are done with: rsiod is started here, and what to type next
 */
#ifndef OPS_RSAGENT_DEPLOY_H
#define OPS_RSAGENT_DEPLOY_H

#include "deploy.h"
#include "rsagent_client.h"
#include "rsagent_login.h"
#include "rsagent_many.h"

struct deploy_options {
	struct rsagent_remote remote;
	struct rsagent_client_options client;
	const char *pool, *node, *namespace, *server, *portals, *binary, *confirm, *server_id;
	int port;			/* 0: not given */
	bool yes, dry_run, no_client, no_start, with_volumes, force;
};

enum deploy_what { DEPLOY_INSTALL, DEPLOY_UPGRADE, DEPLOY_UNDEPLOY };

/* Made by the parent, the same in each child. */
struct deploy_job {
	enum deploy_what what;
	const struct deploy_options *o;
	char namespace[CONF_NAME_MAX + 1], node[CONF_NAME_MAX + 1];
	int namespace_id;
	char *key;			/* 64 hex digits, secure_alloc's; NULL: none is known here */
	bool own;			/* the client is this workstation */
	const struct rsagent_host *first;	/* of the list */
	int *ids;			/* a server's number for each host, if it has none yet */
	char *next;			/* what to type next, a line; NULL: nothing */
};

/* A host, in its child. */
struct deploy_host {
	struct rsagent_task *t;
	const struct deploy_job *job;
	struct remote *r;
	struct deploy_facts *f;
	struct deploy_is is;
	struct deploy_wish w;
	struct deploy_findings findings;
	struct deploy_plan *plan;
	json_t *manifest;
	char pool[4096], server[CONF_NAME_MAX + 1], binary[4096];
};

/* In the child, of a host that serves another namespace than the parent thought: what this client's configuration
 * says of that one. */
int deploy_settle(struct deploy_job *job, const char *namespace, struct err *e);
int deploy_host_run(struct rsagent_task *t, struct err *e);

/* What was found, and what will be done: for a terminal, and into t->result. */
void deploy_show(struct deploy_host *h);

/* Does the server that has been started serve this client? */
int deploy_verify(struct deploy_host *h, struct deploy_run *run, struct err *e);

/* Before anything is done: is the configuration here one that the server can be put into, and verified with? */
int deploy_can_join(struct deploy_host *h, struct err *e);
/* This client's configuration gets the server, or loses it; what came of it is in h->t->result. */
int deploy_join(struct deploy_host *h, struct err *e);
int deploy_leave(struct deploy_host *h, struct err *e);

/* In the parent. */

/* What rsiod, which was started meanwhile, has of this host, into the outcome's result. */
int deploy_look_again(struct deploy_job *job, const struct rsagent_outcome *o, struct err *e);
/* For struct rsagent_many, arg is the job: fills its next. */
int deploy_end(const struct rsagent_outcome *all, size_t count, void *arg);

#endif
