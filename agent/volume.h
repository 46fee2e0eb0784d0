/*
 * volume.h - a volume that this server offers: what its backing store can do,
 * and the one place that wraps each of those calls.
 *
 * A volume's identity (name, UUID, generation) never changes while the struct
 * lives.  When the file behind it goes or is replaced the volume is marked gone
 * with the status that every further command gets, and another struct takes its
 * name in the registry.  Whoever uses one holds a reference; the descriptors are
 * closed with the last.
 *
 * DESCRIPTORS.  A pool may have very many volumes of which few are used, so a volume of a
 * pool has none until it is used: volume_need opens them, and they stay.  It opens the file
 * of that name, and has to find the one that the volume was made for (origin).
 *
 * FAILED FLUSHES.  The kernel tells of a failed write-back once for each open
 * file description and then forgets it, with the pages marked clean.  So a
 * failed fdatasync is final: every later flush of this volume, by whomever, is
 * refused until an administrator clears it.  A mark in the state directory
 * keeps that true when rssrv itself is restarted.  For a shared file the mark is
 * beside it, as NAME.flush-failed, and each server looks there before it says that a
 * flush went well: it must not cover up what another one's disk lost.
 *
 * "Once" also means that of two syncs that run over one description at the same
 * time only one learns of the failure, whoever's data it was that was lost.  So no
 * two do: flushes are made one after another, and the next begins when it is
 * noted how the one before went (flush_lock); a FUA write has a description of its
 * own for as long as it takes (volume_sync.c).  What FUA writes learn of failed
 * write-back, the flushes will learn too, since theirs is another one.
 */
#ifndef RSSRV_VOLUME_H
#define RSSRV_VOLUME_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "claim.h"
#include "err.h"
#include "numbers.h"
#include "wire.h"
#include "workers.h"

struct server;
struct throttle;
struct volume;

/* A backing store.  All return 0 or -errno; offsets and counts are within the
 * volume's size.  The _now calls run on a loop: they do not block, and answer -EAGAIN
 * when a worker has to be asked.  The others run on a worker. */
struct volume_ops {
	const char *name;	/* "file", "direct", "lossy" */
	int (*read_now)(struct volume *v, void *buf, uint32_t count, uint64_t offset);
	int (*write_now)(struct volume *v, const void *buf, uint32_t count, uint64_t offset, bool fua);
	int (*flush_now)(struct volume *v);
	int (*read)(struct volume *v, void *buf, uint32_t count, uint64_t offset);
	int (*write)(struct volume *v, const void *buf, uint32_t count, uint64_t offset, bool fua);
	int (*flush)(struct volume *v);
	/* Reads as zeroes afterwards; with discard the space is given back where that is possible. */
	int (*zero)(struct volume *v, uint32_t count, uint64_t offset, bool discard);
	/* The extent that begins at offset, cut at end. */
	int (*extent)(struct volume *v, uint64_t offset, uint64_t end, uint64_t *length, uint32_t *kind);
	int (*size)(struct volume *v, uint64_t *size);	/* whole blocks */
};

extern const struct volume_ops volume_file_ops, volume_direct_ops, volume_lossy_ops;

/* Ranges under which unaligned requests of a direct volume are made whole. */
struct range_lock {
	struct range_lock *next;
	uint64_t from, to;
};

/* What tells one file from another that took its name. */
struct volume_origin {
	dev_t device;
	ino_t inode;
	uint64_t birth;		/* ns; 0 where the file system has none */
	uint64_t bytes, blocks;	/* of a file, at that time: its length, and what it has on the disk */
};

/* 0 or -errno; flags as statx. */
int volume_origin_at(int dirfd, const char *path, int flags, struct volume_origin *out);

#define VOLUME_MARK ".flush-failed"	/* behind the name of a shared file: a flush of it has failed */

#define GUARD_HOLD 1u			/* hold.c: nothing is changed for a while */
#define GUARD_COW 2u			/* cow.c: what is changed is copied before */

/* A directory that is open for as long as there are volumes which have yet to be opened in it. */
struct volume_dir {
	atomic_uint refs;
	int fd;
};
struct volume_dir *volume_dir_new(int fd);	/* takes fd, if there is memory; else NULL */
struct volume_dir *volume_dir_get(struct volume_dir *d);
void volume_dir_put(struct volume_dir *d);	/* NULL is fine */

struct volume {
	struct work work;
	struct server *server;
	atomic_uint refs;

	/* Fixed. */
	const struct volume_ops *ops;
	char name[WIRE_VOLUME_NAME_MAX + 1];	/* of a snapshot: VOLUME@SNAP */
	uint8_t uuid[WIRE_UUID_SIZE];
	uint64_t generation;
	bool shared;
	bool snapshot;			/* nobody writes to it, and only some clients know of it */
	uint64_t taken;			/* a snapshot: seconds since 1970, UTC; 0: not known */
	char *path;			/* of the file or device, for people */
	char *pool;			/* its pool's name; NULL for a [volume] */
	struct volume_dir *dir;		/* where it is opened when it is used first; NULL: it is open */
	char *file;			/* there */
	pthread_mutex_t need_lock;	/* one opens it */
	atomic_bool ready;		/* fd and fd_sync[0] are what they stay */
	int fd;
	bool device;
	bool memory;			/* tmpfs: never waits for a disk */
	bool cannot_write;		/* opened for reading only */
	uint32_t align;			/* direct: of offsets and counts */
	struct volume_origin origin;
	struct claim_place place;	/* where its claims and marks are; fd -1: not shared, or a device */
	char *mark;			/* shared file: the mark of a failed flush, in that place */

	atomic_uint guard;		/* GUARD_*: why a loop leaves changes to a worker; 0: nothing */

	/* May change, each by one writer; read by anyone. */
	_Atomic uint64_t size;
	_Atomic uint64_t allocated;	/* of a file: bytes that it had on the disk at the last look */
	_Atomic uint16_t gone;		/* a wire status, or WIRE_OK */
	atomic_bool read_only;
	atomic_bool flush_failed;
	atomic_bool flush_marked;	/* shared: there was a mark that said so */
	atomic_bool no_nowait_read, no_punch, no_zero;	/* found out in use */
	atomic_uint opens;
	_Atomic(struct throttle *) throttle;	/* throttle.h; NULL: it never had a limit */
	_Atomic uint32_t every, keep;	/* snapshots by themselves: seconds, 0 for none, and how many are kept */
	_Atomic uint64_t due;		/* clock_now() of the next one; 0: not known */
	/* reserve.c's. */
	pthread_mutex_t reserve_lock;
	char opened_by[WIRE_NAME_MAX + 1];	/* the node that opened it last, to write; under clients.lock */
	char reserved_by[WIRE_NAME_MAX + 1];	/* under registry.lock; "": nobody */
	_Atomic uint64_t errors, error_said;	/* how many; clock_now() when one was last logged */

	struct volume_numbers numbers;

	unsigned barred;		/* under clients.lock: by so many changes; it is not to be opened */

	/* Under registry.lock. */
	char **clients;			/* NULL-terminated; NULL: every client may see it */
	char *label;			/* NULL: none */
	int av;
	uint32_t id;			/* its number in lists */
	int order;			/* [volume] sections in file order; pools behind them */
	struct volume *next_name, *next_uuid;	/* registry.c's */

	pthread_mutex_t flush_lock;	/* held from the question whether one has failed to the note that it did */
	pthread_mutex_t sync_lock;	/* for FUA writes: the descriptions that they use */
	pthread_cond_t sync_free;
	int fd_sync[WORKERS_PER_VOLUME];	/* -1: not open */
	bool sync_used[WORKERS_PER_VOLUME];

	pthread_mutex_t range_lock;	/* for direct volumes */
	pthread_cond_t range_free;
	struct range_lock *ranges;
	pthread_mutex_t cow_lock;
	pthread_cond_t cow_left;	/* a writer has left it, or it is free */
	struct cow *cow;		/* a copy of one moment that is being made; NULL: none */
	bool cow_taken;			/* somebody makes one, or is about to */
	struct lossy *lossy;		/* volume_lossy.c's; NULL but in tests */
};

/* Opens the backing store and finds out what it is.  Reads the size; identity
 * and registration are the caller's.  NULL with e filled. */
struct volume_setup {
	const char *name, *path;
	int dirfd;			/* path is relative to it; AT_FDCWD */
	const char *pool, *directory;	/* the pool's name and path; NULL for a [volume] */
	struct volume_dir *dir;		/* of dirfd: to be opened when it is used; NULL: now */
	bool read_only, shared;
	bool snapshot;			/* name is VOLUME@SNAP, and read_only is set */
	uint64_t taken;
};
struct volume *volume_open(struct server *s, const struct volume_setup *setup, struct err *e);
struct volume *volume_get(struct volume *v);
void volume_put(struct volume *v);
/* Before anything is done with its content: opens it, unless that was done.  Blocks.
 * 0 or -errno; -ESTALE: the file is another one by now. */
int volume_need(struct volume *v);
static inline bool volume_is_ready(const struct volume *v)
{
	return atomic_load_explicit(&v->ready, memory_order_acquire);
}

/* The calls to the backing store, wrapped: sticky flush errors, counters. */
static inline int volume_read_now(struct volume *v, void *buf, uint32_t count, uint64_t offset)
{
	return v->ops->read_now(v, buf, count, offset);
}
int volume_write_now(struct volume *v, const void *buf, uint32_t count, uint64_t offset, bool fua);
int volume_flush_now(struct volume *v);
int volume_read(struct volume *v, void *buf, uint32_t count, uint64_t offset);
int volume_write(struct volume *v, const void *buf, uint32_t count, uint64_t offset, bool fua);
int volume_flush(struct volume *v);		/* -EUCLEAN: an earlier one failed */
int volume_zero(struct volume *v, uint32_t count, uint64_t offset, bool discard, bool fua);
/* volume_copy.c: what `from` has at from_offset, holes as holes.  The ranges do not overlap. */
int volume_copy(struct volume *v, uint32_t count, uint64_t offset, struct volume *from, uint64_t from_offset);
/* Extents from offset on, at most max of them; returns how many, at least 1, or -errno. */
int volume_extents(struct volume *v, uint32_t count, uint64_t offset, uint8_t *out, unsigned max);
int volume_size_now(struct volume *v, uint64_t *size);	/* asks the kernel; of one that is open */
uint64_t volume_whole(const struct volume *v, uint64_t bytes);	/* of a file: what a volume has of it */

/* Once the UUID is known: has a flush failed in an earlier life? */
void volume_load_flush_error(struct volume *v);
/* The flush error is forgotten: the administrator's decision. */
void volume_clear_flush_error(struct volume *v);
void volume_describe(const struct volume *v, struct wire_volume *out);	/* registry.lock is held */

/* EUCLEAN stands for "an earlier flush failed" between here and serve.c, EBADR there for a handle that was closed. */
enum wire_status volume_status(int error);	/* of -errno or 0 */

#endif
