/*
 * pool.h - a directory of volumes: NAME.raw is a volume, NAME.meta its identity.
 */
#ifndef RSSRV_POOL_H
#define RSSRV_POOL_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#include "conf.h"
#include "offer.h"

struct pool {
	struct pool *next;		/* watch.c's list */
	struct server *server;
	char name[CONF_NAME_MAX + 1];
	char *path;
	int dirfd, lock;
	/* Of the thread that watches it. */
	struct offer *offers;
	struct timespec changed;	/* the directory's, at the last scan */
	uint64_t scanned;
	/* For the status; pool_look writes them. */
	_Atomic uint64_t bytes, bytes_free, looked;
	atomic_uint volumes;
};

/* Opens and locks the directory.  NULL with e filled. */
struct pool *pool_open(struct server *s, const struct conf_pool *conf, double wait, struct err *e);
void pool_close(struct pool *p);	/* withdraws its volumes */
/* One look: new, gone, replaced, resized.  Blocks as long as the file system does. */
void pool_look(struct pool *p);

#endif
