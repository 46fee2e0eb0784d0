/* watch_impl.h - what watch.c and watch_show.c share; nobody else includes it. */
#ifndef RSSRV_WATCH_IMPL_H
#define RSSRV_WATCH_IMPL_H

#include <pthread.h>
#include <stdbool.h>
#include "offer.h"
#include "pool.h"
#include "server.h"
#include "watch.h"

/*
 * What one thread looks after: a pool, or the [volume] sections.  A pool that came with a new
 * configuration is opened by its own thread, since its file system may hang, and then nobody
 * else waits for it: until that is done it is pending, and there is no pool yet.
 */
struct watcher {
	struct watcher *next;
	struct watch *watch;
	struct pool *pool;		/* NULL: the sections, or pending; set once, under watch->lock */
	struct conf_pool *to_open;	/* a pool that came later: what it is opened as; const */
	struct offer *offers;		/* sections: the thread's own */
	struct offer *pending;		/* sections: what they are to become; under watch->lock */
	unsigned pending_of;		/* of which configuration that is */
	bool has_pending;
	bool stop;			/* under watch->lock */
};

struct watch {
	struct server *server;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct watcher *watchers;	/* the sections first */
	pthread_mutex_t newest_lock;	/* of newest, and while what belongs to it is given to volumes */
	unsigned newest;		/* configuration; counts */
};

#endif
