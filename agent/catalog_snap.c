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
static bool quick(struct volume *const *v, size_t n)
{
	unsigned pieces = 0;

	for (size_t i = 0; i < n && pieces <= PIECES_MAX; i++)
		pieces += copy_pieces_of(v[i]->fd);
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

static int begin_all(struct volume *const *v, const int *to, size_t n, struct cow **cow, bool share, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		cow[i] = cow_start(v[i], to[i], share, e);
		if (!cow[i])
			return -e->code;
	}
	return 0;
}

int snap_moment(struct catalog_job *j, struct volume **v, const int *to, size_t n, bool reflink, struct err *e)
{
	struct cow **cow = calloc(n, sizeof(struct cow *));
	struct hold *h;
	struct err end = { 0 };
	int r = 0, ended;
	bool at_once;

	if (!cow)
		return err_set(e, ENOMEM, "no memory for %zu snapshots", n);
	at_once = reflink && quick(v, n);
	progress_stage(j->progress, "waiting for writes");
	h = hold_begin(v, n, j->hold_limit > 0 ? j->hold_limit : HOLD_LIMIT, e);
	if (!h) {
		free(cow);
		return -e->code;
	}
	r = at_once ? share_all(v, to, n, h, e) : begin_all(v, to, n, cow, reflink, e);
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

int snap_source(struct pool *p, const char *name, struct snap_source *s, struct err *e)
{
	struct offer *o = catalog_find(p, name, e);
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
static int find_sources(struct pool *p, const char *const *names, size_t n, const char *snapshot, struct snap_source *s,
			struct err *e)
{
	char whole[CATALOG_NAME_MAX], path[CATALOG_PATH_MAX];
	uint64_t bytes = 0;
	struct stat st;
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		r = snap_source(p, names[i], &s[i], e);
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

static int commit_snapshots(struct catalog_change *c, const struct snap_source *s, size_t n, const char *snapshot,
			    struct err *e)
{
	char whole[CATALOG_NAME_MAX], path[CATALOG_PATH_MAX];
	struct pool *p = c->pool;
	struct stat st;
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		snprintf(whole, sizeof(whole), "%s@%s", s[i].name, snapshot);
		catalog_path(whole, CATALOG_RAW, path);
		r = snap_still(p, &s[i], e);
		if (!r && fstatat(p->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
			r = there_already(s[i].name, snapshot, e);
		if (!r)
			r = make_directory(p, s[i].name, e);
		change_place(c, i, whole);
	}
	if (!r)
		r = change_commit(c, e);
	for (size_t i = 0; i < n && !r; i++) {
		snprintf(whole, sizeof(whole), "%s@%s", s[i].name, snapshot);
		pool_appeared(p, whole);
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

static int snapshot(struct catalog_change *c, struct snap_source *s, size_t n, const char *name, struct err *e)
{
	struct volume **v = calloc(n, sizeof(struct volume *));
	int *to = calloc(n, sizeof(*to));
	char taken[META_TIME];
	int r = v && to ? change_drafts(c, n, e) : err_set(e, ENOMEM, "no memory for %zu snapshots", n);

	for (size_t i = 0; i < n && !r; i++) {
		v[i] = s[i].volume;
		to[i] = c->drafts[i].fd;
	}
	meta_now(taken);
	if (!r)
		r = snap_moment(c->job, v, to, n, c->pool->reflink, e);
	free(v);
	free(to);
	if (!r)
		r = identify_snapshots(c, s, n, taken, e);
	if (!r)
		r = catalog_enter(c->pool, e);
	if (r)
		return r;
	r = commit_snapshots(c, s, n, name, e);
	catalog_leave(c->pool);
	return r;
}

int catalog_snapshot(struct pool *p, struct catalog_job *j, const char *const *names, size_t n, const char *name,
		     struct err *e)
{
	struct catalog_change c = { .pool = p, .job = j };
	struct snap_source *s;
	int r = catalog_check_name(name, true, e);

	for (size_t i = 0; i < n && !r; i++) {
		r = catalog_check_name(names[i], false, e);
		for (size_t k = 0; k < i && !r; k++)
			if (strcmp(names[i], names[k]) == 0)
				r = err_set(e, EINVAL, "%s is named twice", names[i]);
	}
	if (!r && !n)
		r = err_set(e, EINVAL, "a snapshot of no volume");
	if (!r)
		r = catalog_enter(p, e);
	if (r)
		return r;
	s = calloc(n, sizeof(*s));
	r = s ? find_sources(p, names, n, name, s, e) : err_set(e, ENOMEM, "no memory for %zu snapshots", n);
	/* All or none: one tells of all. */
	if (r == -EEXIST && made_snapshot_before(p, j, names[0], name))
		r = 1;
	catalog_leave(p);
	if (!r)
		r = snapshot(&c, s, n, name, e);
	change_end(&c);
	snap_sources_free(s, s ? n : 0);
	return r < 0 ? r : 0;
}

/*
 * Rollback.
 */
struct rollback {
	struct snap_source volume, snapshot;
};

static int begin_rollback(struct pool *p, struct rollback *b, const char *name, const char *snapshot, struct err *e)
{
	char whole[CATALOG_NAME_MAX];
	uint64_t more;
	int r = snap_source(p, name, &b->volume, e);

	snprintf(whole, sizeof(whole), "%s@%s", name, snapshot);
	if (!r)
		r = snap_source(p, whole, &b->snapshot, e);
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
		r = begin_rollback(p, b, name, snapshot, e);
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
