/*
 * pool.h - a directory of volumes: NAME.raw is a volume, NAME.meta its identity.
 *
 * Several servers may share one, on a file system that all of them have.  One of
 * them is its owner: the only one that changes anything about the pool, which is
 * for now the identities.  The others offer what has one.  Whoever gets the
 * owner's lock is it, until its process ends; the others try at each look.
 */
#ifndef RSSRV_POOL_H
#define RSSRV_POOL_H

#include <pthread.h>
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
	bool shared;
	int dirfd, lock;
	atomic_bool owner;		/* a pool of one server: always */
	pthread_mutex_t owner_lock;	/* of owner_name and next_clients */
	char owner_name[CONF_NAME_MAX + 1];	/* the last that was heard of; "" none yet */
	char **next_clients;		/* of another configuration, for the thread that watches it */
	bool has_next;
	/* Of the thread that watches it. */
	char **clients;			/* of its volumes; NULL: every client */
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
/* May this server change the pool? */
static inline bool pool_owner(const struct pool *p)
{
	return atomic_load(&p->owner);
}
void pool_owner_name(struct pool *p, char out[CONF_NAME_MAX + 1]);
/* Its list of clients is this one from the next look on. */
void pool_set_clients(struct pool *p, char *const *clients);
/* One look: new, gone, replaced, resized.  Blocks as long as the file system does. */
void pool_look(struct pool *p);

#endif
