/*
 * ctl.h - the control socket: structured requests and replies.
 *
 * A Unix stream socket (RUN_DIR/rsiod.sock, RUN_DIR/rssrv.sock).  A message is
 * a 4-byte length (network order, at most CTL_MESSAGE_MAX) and that many bytes
 * of JSON.  A request is an object with "do" (a string) and its arguments; the
 * reply an object with "ok" (boolean) and either the result or
 * "error": {"code": "ENOENT", "text": "…", "next": "…"}.  While long work runs
 * replies with "progress" may come before the final one.
 * The peer's credentials (SO_PEERCRED) decide what it may: reading is for
 * whoever can open the socket, changes for root, the owner and admin-group.
 */
#ifndef RSIO_CTL_H
#define RSIO_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>
#include "err.h"

#define CTL_MESSAGE_MAX (32u << 20)
#define CTL_REQUEST_MAX (1u << 20)	/* of a request; a message is read in pieces as it comes */
#define CTL_CONNECTIONS 32
#define CTL_PER_USER 8			/* of these, for a user who may only read */
#define CTL_READERS 24			/* and for all of those: somebody may be many users */

struct ctl_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	bool may_change;
	int fd;			/* ctl's own; -1: no connection */
};

/* One request.  Runs on a thread of its own for this connection and may block
 * for as long as its work takes (at most 10 s where design.md says so).
 * Returns the reply's members (ctl adds "ok"), or NULL with e filled. */
typedef json_t *(*ctl_handler)(void *arg, const struct ctl_peer *peer,
			       const char *what, json_t *request, struct err *e);

/* From within a handler that works for long: tells the peer how far it is, {"progress": …} (taken).
 * 0, or -errno when the peer cannot be told. */
int ctl_progress(const struct ctl_peer *peer, json_t *progress);
/* The peer has left, or the server is about to stop: nobody waits for the answer. */
bool ctl_gone(const struct ctl_peer *peer);

struct ctl_server;
/* Listens at path (a stale socket is replaced; one in use is an error that
 * says so) and serves on threads of its own, at most CTL_CONNECTIONS at once; a
 * connection may send one request after another and is closed when it was
 * silent for a minute.  admin_gid: (gid_t)-1 for none.  NULL with e filled. */
struct ctl_server *ctl_server_start(const char *path, gid_t admin_gid,
				    ctl_handler handler, void *arg, struct err *e);
/* The same in two steps: a daemon makes the socket while it may, gives up rights, and
 * starts the first thread after that.  Run: the owner is who it is by then; 0 or -errno
 * with e filled. */
struct ctl_server *ctl_server_listen(const char *path, gid_t admin_gid,
				     ctl_handler handler, void *arg, struct err *e);
int ctl_server_run(struct ctl_server *s, struct err *e);
/* Removes the socket, lets running handlers end and answer, waits for that.
 * Not from a handler.  NULL is fine. */
void ctl_server_stop(struct ctl_server *s);

/* Client side: one request (borrowed), one final reply (a new reference; its
 * "ok" was checked), or NULL with e filled from the reply's error, or with what
 * to do when nobody listens (daemon names the program to start; e->code is then
 * ENOENT or ECONNREFUSED).  timeout in seconds; 0 waits for ever. */
json_t *ctl_call(const char *path, const char *daemon, json_t *request, double timeout, struct err *e);
/* The same for long work: shown is called with each "progress" (borrowed), and the time begins
 * anew with each. */
json_t *ctl_follow(const char *path, const char *daemon, json_t *request, double timeout,
		   void (*shown)(void *arg, const json_t *progress), void *arg, struct err *e);

/* An "error" as it travels, {"code", "text", "next"}; who: the program that sent it. */
void ctl_take_error(const json_t *error, const char *who, struct err *e);

/* The text of an object that a peer sent, whichever way it came; NULL with e filled.  What
 * is nested more than 64 deep is refused before the parser, which recurses, sees it. */
json_t *ctl_parse(const char *text, size_t size, struct err *e);

#endif
