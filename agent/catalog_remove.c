/*
 * catalog_remove.c - volumes and snapshots are renamed and thrown away.  See catalog.c for
 * the argument.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "catalog_impl.h"
#include "server.h"
#include "text.h"
#include "volume.h"

unsigned catalog_count_snapshots(struct pool *p, const char *volume)
{
	unsigned n = 0;

	for (struct offer *o = p->offers; o; o = o->next)
		n += catalog_is_snapshot_of(o, volume);
	return n;
}

/* In the draft: what the volume has. */
static int new_meta(struct catalog_change *c, const struct offer *o, struct err *e)
{
	struct meta m;
	int r = meta_read(c->pool->dirfd, o->meta, &m, e);

	if (!r && c->job->id && meta_set(&m, "made-by", c->job->id) < 0)
		r = err_set(e, EINVAL, "\"%.40s\" is no id of a request", c->job->id);
	return r ? r : meta_write(c->pool->dirfd, c->drafts[0].meta, &m, e);
}

/* Its snapshots' directory, where there is one. */
static bool has_directory(const struct pool *p, const char *name, char out[CATALOG_PATH_MAX])
{
	struct stat st;

	snprintf(out, CATALOG_PATH_MAX, CATALOG_SNAPSHOTS "/%s", name);
	return fstatat(p->dirfd, out, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The names, for what happens to each when the offers change: NULL-terminated. */
static char **snapshots_of(struct pool *p, const char *volume)
{
	char **list = calloc(catalog_count_snapshots(p, volume) + 1, sizeof(*list));
	size_t n = 0;

	for (struct offer *o = p->offers; list && o; o = o->next)
		if (catalog_is_snapshot_of(o, volume) && (list[n] = strdup(o->name)))
			n++;
	return list;
}

static void reoffer(struct pool *p, const char *name, const char *to)
{
	char **snapshots = snapshots_of(p, name), now[CATALOG_NAME_MAX];

	pool_vanished(p, name);
	for (char **s = snapshots; s && *s; s++)
		pool_vanished(p, *s);
	if (to)
		pool_appeared(p, to);
	for (char **s = snapshots; to && s && *s; s++) {
		snprintf(now, sizeof(now), "%s%.*s", to, CONF_NAME_MAX + 1, strchr(*s, '@'));
		pool_appeared(p, now);
	}
	strings_free(snapshots);
}

/* That a flush of it has failed is noted beside it, where servers share it: under the new name before
 * there is one. */
static void rename_mark(struct catalog_change *c, const char *name, const char *to)
{
	char from[CATALOG_PATH_MAX], path[CATALOG_PATH_MAX];
	struct stat st;

	snprintf(from, sizeof(from), "%s" VOLUME_MARK, name);
	snprintf(path, sizeof(path), "%s" VOLUME_MARK, to);
	if (c->pool->shared && (fstatat(c->pool->dirfd, from, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT))
		journal_move(&c->journal, from, path);
}

static void rename_steps(struct catalog_change *c, const char *name, const char *to)
{
	char from[CATALOG_PATH_MAX], path[CATALOG_PATH_MAX];

	rename_mark(c, name, to);
	catalog_path(to, CATALOG_META, path);
	journal_move(&c->journal, c->drafts[0].meta, path);
	if (has_directory(c->pool, name, from)) {
		snprintf(path, sizeof(path), CATALOG_SNAPSHOTS "/%s", to);
		journal_move(&c->journal, from, path);
	}
	catalog_path(name, CATALOG_RAW, from);
	catalog_path(to, CATALOG_RAW, path);
	journal_move(&c->journal, from, path);
	catalog_path(name, CATALOG_META, from);
	journal_remove(&c->journal, from);
}

static int commit_rename(struct catalog_change *c, const char *name, const char *to, struct err *e)
{
	struct pool *p = c->pool;
	struct offer *o;
	int r = catalog_check_free(p, to, e);

	if (r)
		return r;
	o = catalog_find_meant(p, c->job, name, e);
	if (!o)
		return -e->code;
	r = catalog_bar(o, e);
	if (r)
		return r;
	r = catalog_bar_snapshots(p, name, e);
	if (!r) {
		r = new_meta(c, o, e);
		rename_steps(c, name, to);
		if (!r)
			r = change_commit(c, e);
		if (!r)
			reoffer(p, name, to);
		else if (!c->kept)
			catalog_unbar_snapshots(p, name);
	}
	if (r && !c->kept)
		catalog_unbar(o);
	return r ? r : catalog_show(p, to, e);
}

int catalog_rename(struct pool *p, struct catalog_job *j, const char *name, const char *to, struct err *e)
{
	struct catalog_change c = { .pool = p, .job = j };
	int r = catalog_check_name(name, false, e);

	if (!r)
		r = catalog_check_name(to, false, e);
	if (r)
		return r;
	progress_stage(j->progress, "renaming");
	/* In a pool that waits nothing is prepared either (catalog_settle). */
	r = catalog_enter(p, e);
	if (r)
		return r;
	catalog_leave(p);
	r = change_drafts(&c, 1, e);
	if (!r)
		r = catalog_enter(p, e);
	if (!r) {
		r = catalog_made_before(p, j, to, e);
		r = r ? r : commit_rename(&c, name, to, e);
		catalog_leave(p);
	}
	change_end(&c);
	return r < 0 ? r : 0;
}

static void remove_steps(struct catalog_change *c, const char *name)
{
	char path[CATALOG_PATH_MAX];

	catalog_path(name, CATALOG_RAW, path);
	change_discard(c, path);
	catalog_path(name, CATALOG_META, path);
	change_discard(c, path);
	if (!strchr(name, '@') && has_directory(c->pool, name, path))
		change_discard(c, path);
}

/* Of a volume with its snapshots, or of one snapshot. */
static int commit_remove(struct catalog_change *c, struct offer *o, struct err *e)
{
	char name[CATALOG_NAME_MAX];
	struct pool *p = c->pool;
	int r = catalog_bar(o, e);

	if (r)
		return r;
	snprintf(name, sizeof(name), "%s", o->name);
	r = catalog_bar_snapshots(p, name, e);
	if (r) {
		catalog_unbar(o);
		return r;
	}
	remove_steps(c, name);
	r = change_commit(c, e);
	if (r && !c->kept) {
		catalog_unbar(o);
		catalog_unbar_snapshots(p, name);
	}
	if (r)
		return r;
	if (atomic_load(&o->volume->flush_failed))
		volume_clear_flush_error(o->volume);
	reoffer(p, name, NULL);
	return 0;
}

/* Of what is gone no meta says for which request: the journal does, of the last change before the
 * server was killed, which is the one whose answer may have been lost. */
static bool removed_before(const struct catalog_change *c, int r)
{
	return r == -ENOENT && c->job->id && *c->pool->last && strcmp(c->job->id, c->pool->last) == 0;
}

static int remove_volume(struct catalog_change *c, const char *name, bool snapshots_too, struct err *e)
{
	struct offer *o = catalog_find_meant(c->pool, c->job, name, e);
	unsigned n = catalog_count_snapshots(c->pool, name);

	if (!o)
		return -e->code;
	if (n && !snapshots_too) {
		err_set(e, ENOTEMPTY, "%s has %u snapshot%s, which would be lost too", name, n, n == 1 ? "" : "s");
		err_next(e, "remove them first, or say that they are to go with it (--snapshots)");
		return -ENOTEMPTY;
	}
	return commit_remove(c, o, e);
}

int catalog_remove(struct pool *p, struct catalog_job *j, const char *name, bool snapshots_too, struct err *e)
{
	struct catalog_change c = { .pool = p, .job = j };
	int r = catalog_check_name(name, false, e);

	if (!r)
		r = change_drafts(&c, 0, e);
	if (!r)
		r = catalog_enter(p, e);
	if (r) {
		change_end(&c);
		return r;
	}
	progress_stage(j->progress, "removing");
	r = remove_volume(&c, name, snapshots_too, e);
	catalog_leave(p);
	change_end(&c);
	return removed_before(&c, r) ? 0 : r;
}

int catalog_snapshot_remove(struct pool *p, struct catalog_job *j, const char *name, const char *snapshot, struct err *e)
{
	struct catalog_change c = { .pool = p, .job = j };
	char whole[CATALOG_NAME_MAX];
	struct offer *o;
	int r = catalog_check_name(name, false, e);

	if (!r)
		r = catalog_check_name(snapshot, true, e);
	if (!r)
		r = change_drafts(&c, 0, e);
	if (!r)
		r = catalog_enter(p, e);
	if (r) {
		change_end(&c);
		return r;
	}
	progress_stage(j->progress, "removing");
	snprintf(whole, sizeof(whole), "%s@%s", name, snapshot);
	o = catalog_find_meant(p, j, whole, e);
	r = o ? commit_remove(&c, o, e) : -e->code;
	catalog_leave(p);
	change_end(&c);
	return removed_before(&c, r) ? 0 : r;
}
