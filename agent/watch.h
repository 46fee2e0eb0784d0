/*
 * watch.h - notices what happens to pools and volume files: a thread for each
 * pool and one for the [volume] sections looks four times a second.  A pool
 * whose file system hangs holds up its own thread and nothing else.
 */
#ifndef RSSRV_WATCH_H
#define RSSRV_WATCH_H

#include <jansson.h>
#include "conf.h"
#include "server.h"

struct pool;

/* Opens and locks all pools and takes the first look at everything; the threads
 * start with watch_start.  NULL with e filled. */
struct watch *watch_new(struct server *s, const struct conf_server *conf, struct err *e);
int watch_start(struct watch *w, struct err *e);
/* SIGHUP: pools and [volume]s as they are now.  What cannot be done is logged. */
void watch_apply(struct watch *w, const struct conf_server *conf);
/* The threads look no more; one that hangs in its file system is left behind. */
void watch_stop(struct watch *w);
/* Is it open here (else false), and may this server change it?  owner: who else may; "" not known yet. */
bool watch_pool_owned(struct watch *w, const char *name, bool *owned, char owner[CONF_NAME_MAX + 1]);
json_t *watch_pools_json(struct watch *w);
/* A reference, for pool_put.  NULL: no pool of that name is open. */
struct pool *watch_pool(struct watch *w, const char *name);
/* All of them, in the configuration's order: references in an array to be freed.  NULL: none, or no memory. */
struct pool **watch_pools(struct watch *w, size_t *n);

#endif
