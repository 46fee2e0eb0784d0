/*
 * rsagent_login.h - a task's host, logged in to: remote.h with the questions asked by the
 * parent, and what every command runs there.
 */
#ifndef OPS_RSAGENT_LOGIN_H
#define OPS_RSAGENT_LOGIN_H

#include "rsagent_many.h"
#include "remote.h"

/* Who runs things there. */
enum rsagent_who {
	RSAGENT_USER,		/* the login */
	RSAGENT_ROOT,		/* root, through sudo where the login is not */
};

/* For a remote_open of one's own; without a terminal there is nobody to ask. */
struct remote_ask rsagent_asks(struct rsagent_task *t);
struct remote_target rsagent_target(const struct rsagent_task *t);
/* Logs in to t->host.  NULL with e filled. */
struct remote *rsagent_login(struct rsagent_task *t, enum rsagent_who who, struct err *e);

#define RSAGENT_CHANGED 75	/* a script's exit status: what it was to change is not what it was */
/* Runs a script and gives what it printed, which the caller frees: NULL with e filled, also when its status
 * is not 0: then e is the last line that it said on standard error, and e->code EREMOTEIO (ENOENT: status 127,
 * there is no such program; ESTALE: status RSAGENT_CHANGED).  size may be NULL. */
char *rsagent_run(struct remote *r, const char *what, const char *script, const void *input, size_t input_size,
		  unsigned seconds, size_t *size, struct err *e);
/* What a script's standard error and status mean, into e: -e->code. */
int rsagent_script_error(const char *said, int status, struct err *e);

#endif
