/*
 * catalog_show.c - what a volume's files say, and the keys that are kept there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "catalog_impl.h"

int catalog_set_locked(struct pool *p, const struct catalog_job *j, const char *name, const struct catalog_key *keys,
		       size_t n, struct err *e)
{
	struct offer *o = catalog_find_meant(p, j, name, e);
	struct meta m;
	int r = o ? meta_read(p->dirfd, o->meta, &m, e) : -e->code;

	if (r == -ENOENT && o)
		err_set(e, ENOENT, "%s is not there", o->meta);
	for (size_t i = 0; i < n && !r; i++) {
		r = meta_set(&m, keys[i].key, keys[i].value);
		if (r)
			err_set(e, -r, r == -ENOSPC ? "%s of %s: there is no room for it" : "%s of %s: not a line of text",
				keys[i].key, name);
	}
	if (!r && j->id)
		r = meta_set(&m, "made-by", j->id);
	if (!r)
		r = meta_write(p->dirfd, o->meta, &m, e);
	if (r)
		return r;
	o->identified = (struct timespec){ 0, 0 };
	offer_reread(o);
	for (struct offer *s = p->offers; s; s = s->next)
		if (catalog_is_snapshot_of(s, name))
			offer_reread(s);
	return 0;
}

int catalog_set(struct pool *p, const struct catalog_job *j, const char *name, const struct catalog_key *keys, size_t n,
		struct err *e)
{
	int r = catalog_check_name(name, false, e);

	if (!r)
		r = catalog_enter(p, e);
	if (r)
		return r;
	r = catalog_set_locked(p, j, name, keys, n, e);
	catalog_leave(p);
	return r;
}

int catalog_look(struct pool *p, const char *name, struct catalog_info *out, struct err *e)
{
	char raw[CATALOG_PATH_MAX], meta[CATALOG_PATH_MAX];
	struct stat st;
	int r;

	catalog_path(name, CATALOG_RAW, raw);
	catalog_path(name, CATALOG_META, meta);
	memset(out, 0, sizeof(*out));
	if (fstatat(p->dirfd, raw, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "%s of pool %s", name, p->name);
	out->size = (uint64_t)st.st_size / 512 * 512;
	out->allocated = (uint64_t)st.st_blocks * 512;
	r = meta_read(p->dirfd, meta, &out->meta, e);
	return r == -ENOENT ? err_set(e, ENOENT, "%s has no identity yet", name) : r;
}

int catalog_info(struct pool *p, const char *name, struct catalog_info *out, struct err *e)
{
	struct catalog_name n;
	int r = catalog_name(name, &n, e);

	if (r)
		return r;
	pthread_mutex_lock(&p->catalog);
	r = catalog_look(p, name, out, e);
	if (!r && !*n.snapshot)
		out->snapshots = catalog_count_snapshots(p, name);
	pthread_mutex_unlock(&p->catalog);
	return r;
}

static int by_time(const void *a, const void *b)
{
	const struct catalog_snapshot *x = a, *y = b;
	int r = strcmp(x->taken, y->taken);

	return r ? r : strcmp(x->name, y->name);
}

static void add(struct pool *p, const struct offer *o, struct catalog_snapshot *s)
{
	struct err unread = { 0 };
	struct catalog_info info;

	memset(s, 0, sizeof(*s));
	snprintf(s->name, sizeof(s->name), "%s", strchr(o->name, '@') + 1);
	if (catalog_look(p, o->name, &info, &unread) == 0)
		meta_get(&info.meta, "taken", s->taken, sizeof(s->taken));
	s->size = info.size;
	s->allocated = info.allocated;
}

int catalog_snapshots(struct pool *p, const char *volume, struct catalog_snapshot **list, size_t *n, struct err *e)
{
	*n = 0;
	pthread_mutex_lock(&p->catalog);
	*list = calloc(catalog_count_snapshots(p, volume) + 1, sizeof(**list));
	for (struct offer *o = p->offers; *list && o; o = o->next)
		if (catalog_is_snapshot_of(o, volume))
			add(p, o, &(*list)[(*n)++]);
	pthread_mutex_unlock(&p->catalog);
	if (!*list)
		return err_set(e, ENOMEM, "no memory for the snapshots of %s", volume);
	qsort(*list, *n, sizeof(**list), by_time);
	return 0;
}
