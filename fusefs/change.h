/*
 * change.h - what the tree's users change by habit: a snapshot by mkdir and rmdir, a
 * volume's size by truncate, and, where the mount is for that (-o manage), volumes by
 * touch, mv and rm.  Each is work of the server that has the volume (manage.h).
 *
 * WHO WAITS.  While a request is under way the kernel holds the lock of what it is
 * about: of .snap/VOLUME for a snapshot, of the namespace's directory for a volume that
 * is made or goes, of the file for its size.  What is in there and was looked up
 * before is still found, all else there waits; nothing elsewhere does.  So a request ends
 * within CHANGE_LIMIT, with ETIMEDOUT where the server is not done: its work goes on
 * there, and the log says so.  Who is killed meanwhile is let go at once, and the
 * server is told to stop.
 *
 * A request is answered when the tree shows what was done: the next one finds it so.
 *
 * Owner of everything here: the loop's thread.
 */
#ifndef FUSEFS_CHANGE_H
#define FUSEFS_CHANGE_H

#include <jansson.h>
#include <stdbool.h>
#include "client.h"

#define CHANGE_LIMIT 9.0		/* seconds that the server is waited for; the tree for some more */

/* Each answers the request, now or later. */
void change_mkdir(struct client *c, fuse_req_t req, struct node *parent, const char *name);
void change_rmdir(struct client *c, fuse_req_t req, struct node *parent, const char *name);
void change_unlink(struct client *c, fuse_req_t req, struct node *parent, const char *name);
void change_rename(struct client *c, fuse_req_t req, struct node *parent, const char *name, struct node *to,
		   const char *to_name, unsigned flags);
/* A file of no size that stands for a volume to be: it is made when it gets a size.  NULL: the
 * request is answered. */
struct node *change_plan(struct client *c, fuse_req_t req, struct node *parent, const char *name);
/* Another size than the file has. */
void change_size(struct client *c, fuse_req_t req, struct node *file, uint64_t size);
/* Work that changes nothing that the tree shows: answered with an errno or 0.  Takes work. */
void change_other(struct client *c, fuse_req_t req, struct node *file, const char *what, json_t *work);

/* The volume that a file stood for is there: who has the file open has the volume. */
void change_planned(struct client *c, struct node *file);
/* The namespace ends: who waits is answered. */
void change_end(struct client *c, const struct member *m);

/* May this process change what the servers have?  As with the control socket: root, whoever runs
 * rsiod, and admin-group.  If not the request is answered. */
bool change_allowed(struct client *c, fuse_req_t req, const char *what);
/* Answers, and says in the log why not; not more often than that is of use. */
void change_refuse(struct client *c, fuse_req_t req, int error, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
