/*
 * helper.h - a process beside the daemon for what touches the own mount or a
 * loop device over it: mount, attach, detach, resize, unmount, and with the file system
 * that is mounted from that: grow, freeze.  As root's it is also the
 * only one that may do such things: the daemon gives its rights up (bounds.h).
 *
 * It is forked before the daemon starts a thread or opens /dev/fuse, so it never
 * keeps a mount alive.  Every request runs in a process of its own: one that
 * hangs in the kernel keeps nobody else waiting.  When the daemon is gone without
 * having said that it unmounted, the helper takes the mount away, so that nobody
 * meets "Transport endpoint is not connected"; block devices that nobody uses
 * are detached, those in use are left to their users.  When the helper itself is killed
 * a spare goes on in its place.
 *
 * Requests and replies are JSON objects in packets of at most HELPER_PACKET.
 */
#ifndef FUSEFS_HELPER_H
#define FUSEFS_HELPER_H

#include <jansson.h>
#include <stdbool.h>
#include "err.h"

#define HELPER_PACKET 65536
/* Seconds a request may take. */
#define HELPER_TIMEOUT 10

struct helper;

/* Forks; no thread may run yet.  quiet: standard error goes nowhere. */
struct helper *helper_start(int quiet, struct err *e);
/* The main thread's, on SIGCHLD: says it in the log when the helper is gone. */
void helper_reap(struct helper *h);
/* Ends it, and waits. */
void helper_stop(struct helper *h);

/* One request; any thread, one at a time.  Takes request.  Its reply's members (a new
 * reference), or NULL with e filled. */
json_t *helper_call(struct helper *h, json_t *request, struct err *e);

/* One that takes longer, or lasts (helper_fs.h); takes request.  A descriptor for what is said of
 * it, closed by the caller: the process that works on it sees that.  -errno with e filled. */
int helper_open(struct helper *h, json_t *request, struct err *e);
/* What comes next, within ms: NULL with e filled, ETIMEDOUT when nothing came, EPIPE at the end. */
json_t *helper_next(int channel, int ms, struct err *e);

/* As root: mounts at dir, which is made where it is missing (*made).  others: not for root
 * alone.  The descriptor of /dev/fuse, or -errno with e filled. */
int helper_mount(struct helper *h, const char *dir, bool others, bool *made, struct err *e);

/* What to clean up should the daemon die: dir is mounted (NULL: nothing is), and was
 * made by the daemon. */
int helper_mounted(struct helper *h, const char *dir, int made, struct err *e);

#endif
