/*
 * offer.h - one file or device that ought to be a volume, and the volume that is
 * made of it while it can be.
 *
 * offer_check compares the two: a file that appears is offered, one that went is
 * withdrawn, another file under the same name is a new generation, another
 * size is told to the clients.  What is wrong is said once, not at each look.
 */
#ifndef RSSRV_OFFER_H
#define RSSRV_OFFER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include "conf.h"
#include "volume.h"

struct offer {
	struct offer *next;
	struct server *server;
	char name[WIRE_VOLUME_NAME_MAX + 1];
	int dirfd;			/* of the pool; AT_FDCWD */
	struct volume_dir *dir;		/* the same, the pool's; NULL: a [volume] */
	char *file;			/* relative to dirfd */
	char *meta;			/* where the identity is kept, likewise */
	const char *pool, *directory;	/* the pool's name and path; NULL: a [volume] */
	const atomic_bool *owned;	/* may this server write the identity?  NULL: yes */
	bool placed;			/* watch.c: meta is where it belongs */
	struct timespec identified;	/* shared: when the identity was written that was read */
	int order;
	struct conf_volume conf;	/* of a [volume]; its strings are the offer's own */
	struct volume *volume;		/* a reference; NULL: not offered now */
	bool snapshot;			/* of a pool's volume: .rsio.snap/VOLUME/SNAP.raw */
	bool shares;			/* its meta says so: blocks of it are a clone's too, or were its origin's */
	bool marked;			/* in a shared pool: that it is open is marked for the other servers */
	bool seen;			/* for the owner: still wanted */
	bool changed;			/* pool.c: it is another file, or a new one */
	struct offer *next_name;	/* pool.c's table */
	uint64_t bytes, blocks;		/* its file at the last look: length, and bytes that it has on the disk */
	char complaint[ERR_TEXT_MAX];	/* what was said last */
	uint64_t retry;			/* clock_now(): not tried before that */
};

struct offer *offer_new(struct server *s, const char *name, int dirfd, const char *file, const char *meta);
void offer_free(struct offer *o);	/* withdraws it */
void offer_check(struct offer *o);
void offer_withdraw(struct offer *o);
void offer_renew(struct offer *o);	/* its meta has a new generation: who had it open is refused from now on */
void offer_saw(struct offer *o, uint64_t bytes, uint64_t blocks);	/* what the kernel says of its file */
void offer_reread(struct offer *o);	/* of a pool: who may use it changed */
/* While rssrv starts: complaints go to standard error too, and a lock that a dying
 * process still has is waited for. */
void offer_starting(bool yes);

#endif
