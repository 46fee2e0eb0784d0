/*
 * catalog.h - what is changed about a pool: volumes and snapshots that are made,
 * renamed, resized, thrown away; clones and copies.
 *
 * Each call does one change, wholly or not at all, whenever the server is killed or
 * its host loses power; catalog.c has the argument.  They block, long copies for
 * long, so a job's thread calls them; several may run at once in one pool.  When one
 * returns 0 the change is on the disk, is in the registry, and clients were told.
 *
 * A change that an earlier life of the server has made for the same request is found
 * by its id, and is success at once.
 *
 * A name may stand for another volume by the time that a request is carried out, which may have been sent
 * long before and be sent again to a server that was started anew.  So a request can say which one it
 * means: by its UUID (else ENOENT, or ESTALE where that one has another name now), and where content is about
 * to be lost by its generation too (ESTALE).
 *
 * All return 0 or -errno with e filled: EINVAL a name or size that cannot be, ENOENT,
 * EEXIST, EBUSY it is open (who has it is in the text), ENOSPC also where the pool would
 * promise more than it has, EREMOTE another server owns the pool, EROFS,
 * EOPNOTSUPP, ECANCELED, EUCLEAN an earlier change could not be finished.
 */
#ifndef RSSRV_CATALOG_H
#define RSSRV_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "conf.h"
#include "err.h"
#include "meta.h"
#include "progress.h"

struct pool;

/* A volume's name, and a snapshot's where there is one: "" else. */
struct catalog_name {
	char volume[CONF_NAME_MAX + 1];
	char snapshot[CONF_NAME_MAX + 1];
};

/* VOLUME or VOLUME@SNAP.  0 or -EINVAL with e. */
int catalog_name(const char *text, struct catalog_name *out, struct err *e);
/* 512..2^63-512, whole blocks of 512 bytes. */
int catalog_size(int64_t size, struct err *e);

/* For whom. */
struct catalog_job {
	const char *id;			/* of the request: kept as made-by; NULL: none */
	struct progress *progress;	/* NULL: nobody looks */
	const uint8_t *uuid;		/* of the volume that is meant (of a snapshot: its own); NULL: whichever has the name */
	uint64_t generation;		/* rollback, resize: that it is to have; 0: any */
	bool at_once;			/* fails with EBUSY, where it would have to wait for another copy of the volume */
	double hold_limit;		/* seconds that writes may be held; 0: as usual (hold.h) */
	uint64_t held;			/* out: ns that they were */
	char moment[META_TIME];		/* out: when that was */
};

int catalog_create(struct pool *p, struct catalog_job *j, const char *name, uint64_t size, bool preallocate,
		   struct err *e);
/* shrink: that this loses what is behind the new end was confirmed. */
int catalog_resize(struct pool *p, struct catalog_job *j, const char *name, uint64_t size, bool shrink, struct err *e);
int catalog_rename(struct pool *p, struct catalog_job *j, const char *name, const char *to, struct err *e);
/* One that has snapshots is refused (ENOTEMPTY), unless they are to go too. */
int catalog_remove(struct pool *p, struct catalog_job *j, const char *name, bool snapshots_too, struct err *e);

/* Of each volume one snapshot of that name, all of one moment: all or none. */
int catalog_snapshot(struct pool *p, struct catalog_job *j, const char *const *names, size_t n, const char *snapshot,
		     struct err *e);
/* The same, of volumes each of which is in pools[i]; pools of one name are the same one (catalog_between.c). */
int catalog_snapshot_pools(struct pool *const *pools, struct catalog_job *j, const char *const *names, size_t n,
			   const char *snapshot, struct err *e);
int catalog_snapshot_remove(struct pool *p, struct catalog_job *j, const char *name, const char *snapshot,
			    struct err *e);
int catalog_rollback(struct pool *p, struct catalog_job *j, const char *name, const char *snapshot, struct err *e);

#define CATALOG_CLONES_MAX 1000

/* New volumes with the content of `from` (VOLUME or VOLUME@SNAP); of a volume in use it is that of one
 * moment.  All or none of the n names. */
int catalog_clone(struct pool *p, struct catalog_job *j, const char *from, const char *const *to, size_t n,
		  struct err *e);
/* The same, one volume, perhaps into another pool of this server. */
int catalog_copy(struct pool *p, struct catalog_job *j, const char *from, struct pool *into, const char *to,
		 struct err *e);

/* Keys of the volume's file NAME.meta, all at once: value NULL takes a key away.  A list of
 * clients as its text: "a, b:ro" (rssrvcfg(5)).  They hold from the return on. */
struct catalog_key {
	const char *key, *value;
};
int catalog_set(struct pool *p, const struct catalog_job *j, const char *name, const struct catalog_key *keys, size_t n,
		struct err *e);

/* What is there.  name may be VOLUME@SNAP. */
struct catalog_info {
	struct meta meta;
	uint64_t size, allocated;	/* bytes */
	unsigned snapshots;		/* how many it has */
};
int catalog_info(struct pool *p, const char *name, struct catalog_info *out, struct err *e);

struct catalog_snapshot {
	char name[CONF_NAME_MAX + 1];
	char taken[32];			/* UTC, as 2026-11-26T07:35:55Z; "" where its file cannot be read */
	uint64_t size, allocated;
};
/* Oldest first; *list is the caller's to free. */
int catalog_snapshots(struct pool *p, const char *volume, struct catalog_snapshot **list, size_t *n, struct err *e);

#endif
