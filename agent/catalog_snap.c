/*
 * catalog_snap.c - snapshots, and volumes that begin with the content of another one.
 *
 * THE MOMENT.  All of what is taken at once is of one moment, in which no client's
 * write is carried out: hold.h has that argument.  Where the file system shares
 * blocks, each file is cloned in that moment under a name in .rsio.work.  Where it does
 * not, or the files are in so many pieces that this would take long, only a beginning is made then; from there on what is overwritten is copied first
 * (cow.h), and the rest is copied when writes go on.  Either way the files are synced
 * when the catalog is changed, once for all of them.  If anything fails, be it that
 * the moment lasted too long, what was prepared is thrown away and there is no snapshot.
 *
 * Meanwhile the volume may have been renamed, thrown away or rolled back.  So it is asked,
 * under pool.catalog and before the commit, whether the name still is that volume.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog_impl.h"
#include "catalog_snap.h"
#include "copy.h"
#include "cow.h"
#include "hold.h"
#include "server.h"
#include "text.h"

/* More of them are not cloned during a hold: each takes some ten microseconds. */
#define PIECES_MAX 500

/*
 * The moment.
 */
static bool quick(struct volume *const *v, const bool *reflink, size_t n)
{
	unsigned pieces = 0;

	for (size_t i = 0; i < n && pieces <= PIECES_MAX; i++)
		pieces += reflink[i] ? copy_pieces_of(v[i]->fd) : PIECES_MAX + 1;
	return pieces <= PIECES_MAX;
}

static bool lasts(void *hold)
{
	return hold_lasts(hold);
}

static int share_all(struct volume *const *v, const int *to, size_t n, struct hold *h, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < n && !r; i++)
		r = copy_reflink(v[i]->fd, to[i], atomic_load(&v[i]->size), lasts, h, e);
	/* It lasts no longer: hold_end says so better. */
	return r == -ECANCELED ? 0 : r;
}

static int begin_all(struct volume *const *v, const int *to, const bool *share, size_t n, struct cow **cow, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		cow[i] = cow_start(v[i], to[i], share[i], e);
		if (!cow[i])
			return -e->code;
	}
	return 0;
}

static int take_moment(struct catalog_job *j, struct volume **v, const int *to, const bool *reflink, size_t n, bool at_once,
		       struct err *e)
{
	struct cow **cow = calloc(n, sizeof(struct cow *));
	struct hold *h;
	struct err end = { 0 };
	int r = 0, ended;

	if (!cow)
		return err_set(e, ENOMEM, "no memory for %zu snapshots", n);
	progress_stage(j->progress, "waiting for writes");
	h = hold_begin(v, n, j->hold_limit > 0 ? j->hold_limit : HOLD_LIMIT, e);
	if (!h) {
		free(cow);
		return -e->code;
	}
	meta_now(j->moment);
	r = at_once ? share_all(v, to, n, h, e) : begin_all(v, to, reflink, n, cow, e);
	ended = hold_end(h, &j->held, &end);
	if (!r && ended) {
		*e = end;
		r = ended;
	}
	if (!r)
		progress_taken(j->progress);
	progress_stage(j->progress, "copying");
	for (size_t i = 0; i < n; i++) {
		if (!r && cow[i])
			r = cow_run(cow[i], j->progress, e);
		cow_free(cow[i]);
	}
	free(cow);
	return r;
}

/* The moment is when it is this one's turn: it is later than what was acknowledged before it was asked for. */
int snap_moment(struct catalog_job *j, struct volume **v, const int *to, const bool *reflink, size_t n, struct err *e)
{
	bool at_once = quick(v, reflink, n);
	int r = at_once ? 0 : cow_turn(v, n, !j->at_once, j->progress, e);

	if (!r) {
		r = take_moment(j, v, to, reflink, n, at_once, e);
		if (!at_once)
			cow_turn_over(v, n);
	}
	if (r == -ECANCELED)
		err_set(e, ECANCELED, "cancelled");
	return r;
}

/*
 * What is taken from.
 */
void snap_sources_free(struct snap_source *s, size_t n)
{
	for (size_t i = 0; s && i < n; i++)
		if (s[i].volume)
			volume_put(s[i].volume);
	free(s);
}

static int check_source(const struct pool *p, const struct offer *o, struct err *e)
{
	if (!p->shared || o->snapshot)
		return 0;
	err_set(e, EOPNOTSUPP, "%s is in pool %s, which several servers share: another one may write to it meanwhile",
		o->name, p->name);
	err_next(e, "snapshots, clones and copies are for pools of one server");
	return -EOPNOTSUPP;
}

int snap_source(struct pool *p, const struct catalog_job *j, const char *name, struct snap_source *s, struct err *e)
{
	struct offer *o = catalog_find_meant(p, j, name, e);
	int r = o ? check_source(p, o, e) : -e->code;

	if (r)
		return r;
	r = meta_read(p->dirfd, o->meta, &s->meta, e);
	if (r)
		return r == -ENOENT ? err_set(e, ENOENT, "%s has no identity", name) : r;
	r = volume_need(o->volume);
	if (r)
		return err_sys(e, -r, "cannot open %s", name);
	s->volume = volume_get(o->volume);
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->shares = o->shares || catalog_count_snapshots(p, name);
	s->size = atomic_load(&o->volume->size);
	s->data = copy_data_bytes(o->volume->fd, s->size);
	return 0;
}

int snap_still(struct pool *p, const struct snap_source *s, struct err *e)
{
	struct offer *o = pool_offer(p, s->name);

	if (o && o->volume == s->volume)
		return 0;
	return err_set(e, ESTALE, "%s was renamed, replaced or removed meanwhile", s->name);
}

/* What more has to be left: a volume that shares its blocks from now on can come to need all of them anew. */
static uint64_t snapshot_space(const struct pool *p, const struct snap_source *s)
{
	if (!p->reflink)
		return s->data;
	return s->shares ? 0 : s->data < s->size ? s->data : s->size;
}

static int there_already(const char *name, const char *snapshot, struct err *e)
{
	err_set(e, EEXIST, "%s has a snapshot %s already", name, snapshot);
	err_next(e, "choose another name, or remove that one: rsvol rm %s@%s", name, snapshot);
	return -EEXIST;
}

/*
 * Snapshots.
 */
static int find_sources(struct pool *p, const struct catalog_job *j, const char *const *names, size_t n,
			const char *snapshot, struct snap_source *s, struct err *e)
{
	char whole[CATALOG_NAME_MAX], path[CATALOG_PATH_MAX];
	uint64_t bytes = 0;
	struct stat st;
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		r = snap_source(p, j, names[i], &s[i], e);
		if (r)
			break;
		bytes += snapshot_space(p, &s[i]);
		snprintf(whole, sizeof(whole), "%s@%s", names[i], snapshot);
		catalog_path(whole, CATALOG_RAW, path);
		if (fstatat(p->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
			r = there_already(names[i], snapshot, e);
	}
	return r ? r : catalog_check_space(p, bytes, e);
}

static int identify_snapshots(struct catalog_change *c, const struct snap_source *s, size_t n, const char *taken,
			      struct err *e)
{
	char of[UUID_TEXT];
	struct meta m;
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		r = catalog_new_meta(c->job, &m, e);
		uuid_format(s[i].volume->uuid, of);
		if (!r && (meta_set(&m, "of", of) < 0 || meta_set(&m, "taken", taken) < 0))
			r = err_set(e, EINVAL, "cannot describe a snapshot of %s", s[i].name);
		if (!r)
			r = change_identify(c, i, &m, e);
	}
	return r;
}

/* Under pool.catalog: no other change takes an empty one away before the commit. */
static int make_directory(struct pool *p, const char *volume, struct err *e)
{
	char path[CATALOG_PATH_MAX];
	int fd, r = 0;

	snprintf(path, sizeof(path), CATALOG_SNAPSHOTS "/%s", volume);
	if ((mkdirat(p->dirfd, CATALOG_SNAPSHOTS, 0700) < 0 && errno != EEXIST) ||
	    (mkdirat(p->dirfd, path, 0700) < 0 && errno != EEXIST))
		return err_sys(e, errno, "cannot make %s/%s", p->path, path);
	fd = openat(p->dirfd, CATALOG_SNAPSHOTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fsync(fd) < 0)
		r = err_sys(e, errno, "cannot sync %s/" CATALOG_SNAPSHOTS, p->path);
	if (fd >= 0)
		close(fd);
	return r;
}

/* Its part of a change of n pools: those of its volumes. */
struct snap_part {
	struct pool *pool;
	struct snap_source *sources;
	size_t from, n;			/* of all that are taken */
};

struct snap {
	struct catalog_job *job;
	const char *snapshot;
	const char **names;		/* all, in the order of the parts */
	struct snap_source *sources;
	size_t n;
	struct snap_part *parts;	/* by the name of the pool, which is the order of their locks */
	struct catalog_change *changes;	/* one each */
	size_t part_count;
};

static int place_snapshots(struct catalog_change *c, const struct snap_part *part, const char *snapshot, struct err *e)
{
	char whole[CATALOG_NAME_MAX], path[CATALOG_PATH_MAX];
	const struct snap_source *s = part->sources;
	struct pool *p = c->pool;
	struct stat st;
	int r = 0;

	for (size_t i = 0; i < part->n && !r; i++) {
		snprintf(whole, sizeof(whole), "%s@%s", s[i].name, snapshot);
		catalog_path(whole, CATALOG_RAW, path);
		r = snap_still(p, &s[i], e);
		if (!r && fstatat(p->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
			r = there_already(s[i].name, snapshot, e);
		if (!r)
			r = make_directory(p, s[i].name, e);
		change_place(c, i, whole);
	}
	return r;
}

static int commit_snapshots(struct snap *s, struct err *e)
{
	char whole[CATALOG_NAME_MAX];
	int r = 0;

	for (size_t k = 0; k < s->part_count && !r; k++)
		r = place_snapshots(&s->changes[k], &s->parts[k], s->snapshot, e);
	if (!r)
		r = between_commit(s->changes, s->part_count, e);
	for (size_t k = 0; k < s->part_count && !r; k++)
		for (size_t i = 0; i < s->parts[k].n; i++) {
			snprintf(whole, sizeof(whole), "%.*s@%.*s", CONF_NAME_MAX, s->parts[k].sources[i].name,
				 CONF_NAME_MAX, s->snapshot);
			pool_appeared(s->parts[k].pool, whole);
		}
	return r;
}

static bool made_snapshot_before(struct pool *p, const struct catalog_job *j, const char *name, const char *snapshot)
{
	char whole[CATALOG_NAME_MAX];
	struct err unread = { 0 };
	struct catalog_info info;

	snprintf(whole, sizeof(whole), "%s@%s", name, snapshot);
	return catalog_look(p, whole, &info, &unread) == 0 && catalog_made_by(&info.meta, j);
}

/* The drafts of all parts, the last ones of the first for the marks of the others (between_commit). */
static int make_drafts(struct snap *s, struct err *e)
{
	int r = 0;

	for (size_t k = 0; k < s->part_count && !r; k++)
		r = change_drafts(&s->changes[k], s->parts[k].n + (k ? 0 : s->part_count - 1), e);
	return r;
}

/* The moment that all of them have in common. */
static int take_all(struct snap *s, struct err *e)
{
	struct volume **v = calloc(s->n, sizeof(struct volume *));
	bool *reflink = calloc(s->n, sizeof(*reflink));
	int *to = calloc(s->n, sizeof(*to));
	int r = v && to && reflink ? make_drafts(s, e) : err_set(e, ENOMEM, "no memory for %zu snapshots", s->n);

	for (size_t k = 0; k < s->part_count && !r; k++)
		for (size_t i = 0, at = s->parts[k].from; i < s->parts[k].n; i++, at++) {
			v[at] = s->sources[at].volume;
			to[at] = s->changes[k].drafts[i].fd;
			reflink[at] = s->parts[k].pool->reflink;
		}
	if (!r)
		r = snap_moment(s->job, v, to, reflink, s->n, e);
	free(v);
	free(to);
	free(reflink);
	return r;
}

static int take_and_commit(struct snap *s, struct err *e)
{
	size_t entered = 0;
	int r = take_all(s, e);

	for (size_t k = 0; k < s->part_count && !r; k++)
		r = identify_snapshots(&s->changes[k], s->parts[k].sources, s->parts[k].n, s->job->moment, e);
	for (; entered < s->part_count && !r; entered += !r)
		r = catalog_enter(s->parts[entered].pool, e);
	if (!r)
		r = commit_snapshots(s, e);
	while (entered)
		catalog_leave(s->parts[--entered].pool);
	return r;
}

/* 1: all were made for this very request; one tells of all of its pool. */
static int find_all(struct snap *s, struct err *e)
{
	size_t made = 0;
	int r = 0;

	for (size_t k = 0; k < s->part_count && !r; k++) {
		struct snap_part *part = &s->parts[k];
		const char **names = s->names + part->from;

		r = catalog_enter(part->pool, e);
		if (r)
			break;
		r = find_sources(part->pool, s->job, names, part->n, s->snapshot, part->sources, e);
		if (r == -EEXIST && made_snapshot_before(part->pool, s->job, names[0], s->snapshot))
			r = made++ == k ? 0 : r;
		else if (!r && made)
			r = there_already(s->names[0], s->snapshot, e);
		catalog_leave(part->pool);
	}
	return r ? r : made == s->part_count;
}

static int check_names(const char *const *names, size_t n, const char *name, struct err *e)
{
	int r = catalog_check_name(name, true, e);

	for (size_t i = 0; i < n && !r; i++) {
		r = catalog_check_name(names[i], false, e);
		for (size_t k = 0; k < i && !r; k++)
			if (strcmp(names[i], names[k]) == 0)
				r = err_set(e, EINVAL, "%s is named twice", names[i]);
	}
	return !r && !n ? err_set(e, EINVAL, "a snapshot of no volume") : r;
}

static int by_pool(const void *a, const void *b)
{
	return strcmp(((const struct snap_part *)a)->pool->name, ((const struct snap_part *)b)->pool->name);
}

/* Each pool once, in order, and its volumes together. */
static void make_parts(struct snap *s, struct pool *const *pools, const char *const *names)
{
	size_t at = 0;

	for (size_t i = 0; i < s->n; i++) {
		size_t k = 0;

		while (k < s->part_count && s->parts[k].pool != pools[i])
			k++;
		s->parts[k].pool = pools[i];
		s->part_count += k == s->part_count;
	}
	qsort(s->parts, s->part_count, sizeof(*s->parts), by_pool);
	for (size_t k = 0; k < s->part_count; k++) {
		struct snap_part *part = &s->parts[k];

		s->changes[k] = (struct catalog_change){ .pool = part->pool, .job = s->job };
		part->from = at;
		part->sources = s->sources + at;
		for (size_t i = 0; i < s->n; i++)
			if (pools[i] == part->pool)
				s->names[at++] = names[i];
		part->n = at - part->from;
	}
}

int catalog_snapshot_pools(struct pool *const *pools, struct catalog_job *j, const char *const *names, size_t n,
			   const char *name, struct err *e)
{
	struct snap s = { .job = j, .snapshot = name, .n = n };
	int r = check_names(names, n, name, e);

	if (r)
		return r;
	s.names = calloc(n, sizeof(*s.names));
	s.sources = calloc(n, sizeof(*s.sources));
	s.parts = calloc(n, sizeof(*s.parts));
	s.changes = calloc(n, sizeof(*s.changes));
	if (s.names && s.sources && s.parts && s.changes) {
		make_parts(&s, pools, names);
		r = find_all(&s, e);
		if (!r)
			r = take_and_commit(&s, e);
	} else {
		r = err_set(e, ENOMEM, "no memory for %zu snapshots", n);
	}
	for (size_t k = 0; k < s.part_count; k++)
		change_end(&s.changes[k]);
	snap_sources_free(s.sources, n);
	free(s.changes);
	free(s.parts);
	free(s.names);
	return r < 0 ? r : 0;
}

int catalog_snapshot(struct pool *p, struct catalog_job *j, const char *const *names, size_t n, const char *name,
		     struct err *e)
{
	struct pool **pools = calloc(n + 1, sizeof(struct pool *));
	int r;

	if (!pools)
		return err_set(e, ENOMEM, "no memory for %zu snapshots", n);
	for (size_t i = 0; i < n; i++)
		pools[i] = p;
	r = catalog_snapshot_pools(pools, j, names, n, name, e);
	free(pools);
	return r;
}

/*
 * Rollback.
 */
struct rollback {
	struct snap_source volume, snapshot;
};

static int begin_rollback(struct pool *p, const struct catalog_job *j, struct rollback *b, const char *name,
			  const char *snapshot, struct err *e)
{
	static const struct catalog_job any;
	char whole[CATALOG_NAME_MAX];
	uint64_t more;
	int r = snap_source(p, j, name, &b->volume, e);

	snprintf(whole, sizeof(whole), "%s@%s", name, snapshot);
	if (!r)
		r = catalog_check_generation(b->volume.volume, j, e);
	if (!r)
		r = snap_source(p, &any, whole, &b->snapshot, e);
	if (r)
		return r;
	more = b->snapshot.size > b->volume.size ? b->snapshot.size - b->volume.size : 0;
	if (!p->reflink && b->snapshot.data > more)
		more = b->snapshot.data;
	r = catalog_check_space(p, more, e);
	/* Nobody opens it while it is prepared: it would be in vain. */
	return r ? r : catalog_bar(pool_offer(p, name), e);
}

static int commit_rollback(struct catalog_change *c, struct rollback *b, struct err *e)
{
	struct meta *m = &b->volume.meta;
	struct pool *p = c->pool;
	int r = snap_still(p, &b->volume, e);

	/* Its keys may have changed meanwhile. */
	if (!r)
		r = meta_read(p->dirfd, pool_offer(p, b->volume.name)->meta, m, e);
	if (!r && c->job->id && meta_set(m, "made-by", c->job->id) < 0)
		r = err_set(e, EINVAL, "\"%.40s\" is no id of a request", c->job->id);
	if (r)
		return r;
	m->generation = meta_later(m->generation);
	r = change_identify(c, 0, m, e);
	if (r)
		return r;
	change_place(c, 0, b->volume.name);
	r = change_commit(c, e);
	return r ? r : catalog_show(p, b->volume.name, e);
}

static int rollback(struct catalog_change *c, struct rollback *b, struct err *e)
{
	int r = change_drafts(c, 1, e);

	progress_stage(c->job->progress, "copying");
	if (!r)
		r = copy_file(b->snapshot.volume->fd, c->drafts[0].fd, b->snapshot.size, c->job->progress, e);
	if (!r && progress_cancelled(c->job->progress))
		r = -ECANCELED;
	if (r == -ECANCELED)
		err_set(e, ECANCELED, "cancelled");
	if (!r)
		r = catalog_enter(c->pool, e);
	if (r)
		return r;
	r = commit_rollback(c, b, e);
	catalog_leave(c->pool);
	return r;
}

int catalog_rollback(struct pool *p, struct catalog_job *j, const char *name, const char *snapshot, struct err *e)
{
	struct catalog_change c = { .pool = p, .job = j };
	struct rollback *b = calloc(1, sizeof(*b));
	int r = b ? catalog_check_name(name, false, e) : err_set(e, ENOMEM, "no memory to roll back %s", name);

	if (!r)
		r = catalog_check_name(snapshot, true, e);
	if (!r)
		r = catalog_enter(p, e);
	if (!r) {
		r = begin_rollback(p, j, b, name, snapshot, e);
		/* It was done, and so is not open or older any more. */
		if (b->volume.volume && catalog_made_by(&b->volume.meta, j)) {
			if (!r)
				catalog_unbar(pool_offer(p, name));
			r = 1;
		}
		catalog_leave(p);
		if (!r) {
			r = rollback(&c, b, e);
			if (!c.kept)
				catalog_unbar_volume(b->volume.volume);
		}
	}
	change_end(&c);
	if (b && b->volume.volume)
		volume_put(b->volume.volume);
	if (b && b->snapshot.volume)
		volume_put(b->snapshot.volume);
	free(b);
	return r < 0 ? r : 0;
}
