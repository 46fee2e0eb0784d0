/*
 * pool.h - a directory of volumes: NAME.raw is a volume, NAME.meta its identity.
 * Snapshots are in .rsio.snap/NAME, as SNAP.raw and SNAP.meta, and are offered as the
 * read-only volumes NAME@SNAP.
 *
 * Several servers may share one, on a file system that all of them have.  One of
 * them is its owner: the only one that changes anything about the pool, which is
 * for now the identities.  The others offer what has one.  Whoever gets the
 * owner's lock is it, until its process ends; the others try at each look.
 *
 * A watcher's thread looks (watch.c), jobs' threads change (catalog.c): both under
 * pool.catalog.
 */
#ifndef RSSRV_POOL_H
#define RSSRV_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#include "conf.h"
#include "journal.h"
#include "offer.h"

enum pool_state { POOL_OK, POOL_LOW, POOL_FULL, POOL_READ_ONLY, POOL_GONE, POOL_LOST, POOL_WAITING };
const char *pool_state_name(enum pool_state s);

struct pool {
	struct server *server;
	atomic_uint refs;
	char name[CONF_NAME_MAX + 1];
	char *path;
	bool shared;
	int dirfd, lock;
	struct volume_dir *dir;		/* has dirfd, for volumes that outlive the pool */
	atomic_bool owner;		/* a pool of one server: always */
	/* Held by each change of the pool while it is committed, and by each look: a look sees
	 * a change wholly or not at all.  Outermost of all locks. */
	pthread_mutex_t catalog;
	bool unfinished;		/* under catalog: a journal is left that could not be done to its end */
	bool waits, waits_said;		/* too: one is pending, for what another pool knows (catalog_between.c) */
	bool work_left;			/* too: .rsio.work was not emptied when it was opened, for that one's sake */
	struct pool *next_open;		/* catalog_between.c */
	char last[JOURNAL_BY_MAX];	/* the request that was the last to change it before it was opened */
	bool closed;			/* under catalog: no longer in the configuration */
	atomic_bool overcommit;		/* may promise more than it has */
	/* What its file system is and can; found out by pool_open. */
	char filesystem[16];
	bool reflink;			/* copies share blocks: snapshots and clones are instant */
	pthread_mutex_t owner_lock;	/* of owner_name, next_clients and trouble */
	enum pool_state trouble;	/* POOL_OK, LOST or WAITING; by which nothing is changed in it */
	char why[ERR_TEXT_MAX];		/* and the reason */
	char owner_name[CONF_NAME_MAX + 1];	/* the last that was heard of; "" none yet */
	char **next_clients;		/* of another configuration, for the thread that watches it */
	bool has_next;
	/* Under catalog. */
	char **clients;			/* of its volumes; NULL: every client */
	struct offer *offers;
	struct offer **names;		/* a table of name_room chains by next_name */
	size_t offer_count, name_room;
	size_t next_look;		/* of very many: which has its turn */
	bool snapshots_seen;		/* they were looked for */
	struct timespec changed;	/* the directory's, at the last scan */
	uint64_t scanned;
	/* For the status; pool_look writes them. */
	_Atomic uint64_t bytes, bytes_free, looked;
	_Atomic uint64_t allocated, promised;	/* blocks that its volumes have; their sizes */
	atomic_uint volumes, state;
};

/* Opens and locks the directory.  NULL with e filled. */
struct pool *pool_open(struct server *s, const struct conf_pool *conf, double wait, struct err *e);
struct pool *pool_get(struct pool *p);
void pool_put(struct pool *p);
void pool_close(struct pool *p);	/* withdraws its volumes, and gives a reference back */
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

/* Under p->catalog, for who changes it.  Names are VOLUME or VOLUME@SNAP. */
struct offer *pool_offer(struct pool *p, const char *name);	/* NULL: nothing of that name is there */
void pool_appeared(struct pool *p, const char *name);		/* is offered, or not, as its files say */
void pool_vanished(struct pool *p, const char *name);		/* is withdrawn */
/* What of the pool is not to be had for something new: *need is what its volumes may still come to
 * take, *free what is free.  0 or -errno. */
int pool_need(struct pool *p, uint64_t *need, uint64_t *free);

/* pool_space.c: at its opening, and at each look. */
void pool_find_abilities(struct pool *p);
void pool_look_at_space(struct pool *p, uint64_t now);
/* pool_place.c: is its directory where it was?  0; -ENODEV with e: another one is there. */
int pool_place_check(const struct pool *p, struct err *e);
int pool_place_open(const struct pool *p, struct err *e);	/* before anything is made in it */
void pool_place_note(const struct pool *p);	/* where its file system is mounted; for the next start */
/* Why nothing can be changed in it, POOL_OK and "": it can; said once. */
void pool_trouble(struct pool *p, enum pool_state state, const char *why);
void pool_why(struct pool *p, char out[ERR_TEXT_MAX]);

/* After a change, so that who asks next is told of it. */
void pool_space_changed(struct pool *p);

#endif
