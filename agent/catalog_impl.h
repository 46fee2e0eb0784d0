/*
 * catalog_impl.h - what the catalog's files share, and pool.c needs of them.
 */
#ifndef RSSRV_CATALOG_IMPL_H
#define RSSRV_CATALOG_IMPL_H

#include "catalog.h"
#include "journal.h"
#include "pool.h"

#define CATALOG_SNAPSHOTS ".rsio.snap"
#define CATALOG_WORK ".rsio.work"
#define CATALOG_NAME_MAX (2 * CONF_NAME_MAX + 2)	/* VOLUME@SNAP */
#define CATALOG_PATH_MAX JOURNAL_PATH_MAX

/* The files of a volume or a snapshot, of a name that is valid. */
enum catalog_file { CATALOG_RAW, CATALOG_META };
void catalog_path(const char *name, enum catalog_file file, char out[CATALOG_PATH_MAX]);

/* At the opening of a pool, or when this server becomes its owner: does what was committed, removes
 * what was prepared. */
int catalog_recover(struct pool *p, struct err *e);
/* Under p->catalog: a change that was left half done. */
int catalog_finish(struct pool *p, struct err *e);
/* The same for one of several pools, that waits for another one. */
int catalog_settle(struct pool *p, struct err *e);

/*
 * One change (catalog_change.c).  Zero but for pool and job.
 */
struct catalog_draft {			/* a volume or a snapshot that is being made */
	char raw[CATALOG_PATH_MAX], meta[CATALOG_PATH_MAX];	/* in CATALOG_WORK */
	int fd;				/* of raw; -1: none yet */
};

struct catalog_change {
	struct pool *pool;
	struct catalog_job *job;
	struct journal journal;
	struct catalog_draft *drafts;
	size_t count;
	struct journal_step *trash;	/* what was moved to CATALOG_WORK: its `to` */
	size_t trash_count;
	bool kept;			/* committed, and not done to the end: what is in CATALOG_WORK stays, and
					 * what is barred stays that */
};

/* May the pool be changed?  0 and p->catalog is held, or -errno. */
int catalog_enter(struct pool *p, struct err *e);
void catalog_leave(struct pool *p);

/* Not under p->catalog: the files of n drafts, empty. */
int change_drafts(struct catalog_change *c, size_t n, struct err *e);
/* The draft's meta, which gets what tells the file from others; m is complete but for that.  All of the draft
 * is on the disk then. */
int change_identify(struct catalog_change *c, size_t i, struct meta *m, struct err *e);
/* Steps: the draft becomes the volume or snapshot of that name; a name's file goes. */
void change_place(struct catalog_change *c, size_t i, const char *name);
void change_discard(struct catalog_change *c, const char *path);
/* Under p->catalog. */
int change_commit(struct catalog_change *c, struct err *e);
/* Not under it: removes what was thrown away, or what was prepared in vain. */
void change_end(struct catalog_change *c);

/* The request's id is in the journal. */
void change_name_request(struct catalog_change *c);

/* catalog_between.c: as change_commit, for n changes of as many pools, all or none, the catalogs of all of which
 * are held.  The first has n - 1 empty drafts more, its last. */
int between_commit(struct catalog_change *c, size_t n, struct err *e);
/* Does or drops what is pending in p, under p->catalog.  0, or -errno: p goes on waiting. */
int between_finish(struct pool *p, struct err *e);
/* p is open, it is no more. */
void between_join(struct pool *p);
void between_leave(struct pool *p);

/* A new identity, made for this request. */
int catalog_new_meta(const struct catalog_job *j, struct meta *m, struct err *e);
bool catalog_made_by(const struct meta *m, const struct catalog_job *j);

/* Under p->catalog.  The offer of what is there and in use; NULL with e. */
struct offer *catalog_find(struct pool *p, const char *name, struct err *e);
/* The same, and it is the one that the job means. */
struct offer *catalog_find_meant(struct pool *p, const struct catalog_job *j, const char *name, struct err *e);
/* Has it the content that the job means?  0; -ESTALE with e. */
int catalog_check_generation(const struct volume *v, const struct catalog_job *j, struct err *e);
/* Nobody has it open, nothing of who had it is under way, and nobody can open it until it is let go. */
int catalog_bar(struct offer *o, struct err *e);
void catalog_unbar(struct offer *o);
void catalog_unbar_volume(struct volume *v);
/* The same for all of a volume's snapshots. */
int catalog_bar_snapshots(struct pool *p, const char *volume, struct err *e);
void catalog_unbar_snapshots(struct pool *p, const char *volume);
bool catalog_is_snapshot_of(const struct offer *o, const char *volume);
unsigned catalog_count_snapshots(struct pool *p, const char *volume);
/* What was just made: is it offered too? */
int catalog_show(struct pool *p, const char *name, struct err *e);
int catalog_check_name(const char *name, bool snapshot, struct err *e);	/* -EINVAL */
/* Was a volume of that name made for this very request?  1; 0: there is none; -EEXIST with e. */
int catalog_made_before(struct pool *p, const struct catalog_job *j, const char *name, struct err *e);
/* Is the name free for a new volume? */
int catalog_check_free(struct pool *p, const char *name, struct err *e);
/* May so many bytes more be promised?  What for: "a volume of 20 GiB". */
int catalog_check_space(struct pool *p, uint64_t bytes, struct err *e);
int catalog_check_blocks(const struct pool *p, uint64_t size, struct err *e);	/* can a volume of it have that size? */
/* As catalog_set, under p->catalog. */
int catalog_set_locked(struct pool *p, const struct catalog_job *j, const char *name, const struct catalog_key *keys,
		       size_t n, struct err *e);
/* As catalog_info, under p->catalog and without the snapshots. */
int catalog_look(struct pool *p, const char *name, struct catalog_info *out, struct err *e);
const char *catalog_bytes(uint64_t bytes, char out[32]);	/* for people */

#endif
