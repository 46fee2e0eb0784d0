/*
 * catalog_clone.c - new volumes with the content of a volume or a snapshot.
 *
 * From a volume that is used the content of one moment is taken once (catalog_snap.c); all
 * clones but the first are copies of the first.  Whoever may not see the source
 * shall not see its content under another name: a clone has the source's clients.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "catalog_impl.h"
#include "catalog_snap.h"
#include "copy.h"
#include "registry.h"
#include "server.h"
#include "text.h"

struct clone {
	struct snap_source source;
	struct pool *from;
	char *clients;			/* of the source, as text; NULL: every client */
	char **list;
	bool own_list;			/* it is not that of the pool of the clones */
};

/* "a, b:ro"; NULL: no memory. */
static char *join(char *const *list)
{
	size_t size = 1;
	char *text, *at;

	for (char *const *s = list; *s; s++)
		size += strlen(*s) + 2;
	at = text = malloc(size);
	for (char *const *s = list; text && *s; s++)
		at += sprintf(at, "%s%s", s == list ? "" : ", ", *s);
	if (text)
		*at = 0;
	return text;
}

static int begin(struct clone *k, const struct catalog_job *j, const char *from, struct err *e)
{
	struct registry *g = k->from->server->registry;
	int r = catalog_enter(k->from, e);

	if (r)
		return r;
	r = snap_source(k->from, j, from, &k->source, e);
	catalog_leave(k->from);
	if (r)
		return r;
	registry_lock(g);
	k->list = strings_copy(k->source.volume->clients);
	if (!k->list && k->source.volume->clients)
		r = -ENOMEM;
	registry_unlock(g);
	k->clients = k->list ? join(k->list) : NULL;
	return r || (k->list && !k->clients) ? err_set(e, ENOMEM, "no memory to clone %s", from) : 0;
}

static void end(struct clone *k)
{
	if (k->source.volume)
		volume_put(k->source.volume);
	strings_free(k->list);
	free(k->clients);
	free(k);
}

static uint64_t space(const struct pool *p, const struct clone *k, size_t n)
{
	const struct snap_source *s = &k->source;
	bool begins = p == k->from && p->reflink && !s->shares && !strchr(s->name, '@');

	return s->size * n + (begins ? s->data : 0);
}

/* Under p->catalog: 1: they are there already, for this very request. */
static int check(struct pool *p, struct clone *k, const struct catalog_job *j, const char *const *to, size_t n,
		 struct err *e)
{
	size_t made = 0;
	int r = catalog_check_blocks(p, k->source.size, e);

	for (size_t i = 0; i < n && r >= 0; i++) {
		r = catalog_made_before(p, j, to[i], e);
		made += r == 1;
	}
	if (r < 0 || made == n)
		return r < 0 ? r : 1;
	k->own_list = !strings_equal(k->list, p->clients);
	if (n > 1 && k->source.size > UINT64_MAX / 2 / n)
		return err_set(e, ENOSPC, "%zu clones of %s are more than any pool has space for", n, k->source.name);
	return catalog_check_space(p, space(p, k, n), e);
}

/* The content of a source that is in use goes into the first draft, or by way of its own pool. */
static int take_volume(struct catalog_change *c, struct clone *k, struct err *e)
{
	struct catalog_change own = { .pool = k->from, .job = c->job };
	bool by_way = k->from != c->pool && k->from->reflink;
	int r = by_way ? change_drafts(&own, 1, e) : 0, to = by_way && !r ? own.drafts[0].fd : c->drafts[0].fd;

	if (!r)
		r = snap_moment(c->job, &k->source.volume, &to, &k->from->reflink, 1, e);
	if (!r && by_way)
		r = copy_file(to, c->drafts[0].fd, k->source.size, c->job->progress, e);
	change_end(&own);
	return r;
}

static int take(struct catalog_change *c, struct clone *k, size_t n, struct err *e)
{
	bool snapshot = strchr(k->source.name, '@');
	int r = change_drafts(c, n, e), from = k->source.volume->fd;

	if (!r && !snapshot) {
		r = take_volume(c, k, e);
		from = r ? -1 : c->drafts[0].fd;
	}
	progress_stage(c->job->progress, "copying");
	for (size_t i = !snapshot; i < n && !r; i++)
		r = copy_file(from, c->drafts[i].fd, k->source.size, c->job->progress, e);
	if (!r && progress_cancelled(c->job->progress))
		r = -ECANCELED;
	if (r == -ECANCELED)
		err_set(e, ECANCELED, "cancelled");
	return r;
}

static int identify(struct catalog_change *c, const struct clone *k, size_t n, struct err *e)
{
	bool shares = c->pool == k->from && c->pool->reflink;
	struct meta m;
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		r = catalog_new_meta(c->job, &m, e);
		if (!r && ((shares && meta_set(&m, "shares", "yes")) ||
			   (k->own_list && meta_set(&m, "clients", k->clients))))
			r = err_set(e, ENOSPC, "cannot describe a clone of %s", k->source.name);
		if (!r)
			r = change_identify(c, i, &m, e);
	}
	return r;
}

/* The volume whose blocks are shared from now on, also when it was a snapshot that was cloned, and
 * even if what comes now fails. */
static int mark(struct pool *p, const struct clone *k, struct err *e)
{
	struct catalog_key key = { "shares", "yes" };
	char volume[CATALOG_NAME_MAX];
	struct catalog_job none = { 0 };
	struct offer *o;

	snprintf(volume, sizeof(volume), "%.*s", (int)strcspn(k->source.name, "@"), k->source.name);
	o = p == k->from && p->reflink ? pool_offer(p, volume) : NULL;
	return o && o->volume && !o->shares ? catalog_set_locked(p, &none, volume, &key, 1, e) : 0;
}

/* Under another name it is another struct volume, of the same file: what is written by way of that one is not
 * held for the moment, and nothing of what it overwrites is kept (cow.c).  Nothing is written to a snapshot. */
static int check_source(const struct clone *k, struct err *e)
{
	if (k->source.volume->snapshot || !atomic_load(&k->source.volume->gone))
		return 0;
	return err_set(e, ESTALE, "%s was renamed, replaced or removed while it was copied", k->source.name);
}

/* Whom the source was hidden from while it was copied would see the clone. */
static int check_clients(const struct clone *k, struct err *e)
{
	struct registry *g = k->from->server->registry;
	bool same;

	registry_lock(g);
	same = strings_equal(k->list, k->source.volume->clients);
	registry_unlock(g);
	return same ? 0 : err_set(e, ESTALE, "the clients of %s were changed while it was copied: ask once more",
				  k->source.name);
}

static int commit(struct catalog_change *c, struct clone *k, const char *const *to, size_t n, struct err *e)
{
	struct pool *p = c->pool;
	int r = catalog_enter(p, e);

	if (r)
		return r;
	r = check_source(k, e);
	if (!r)
		r = check_clients(k, e);
	for (size_t i = 0; i < n && !r; i++) {
		r = catalog_check_free(p, to[i], e);
		change_place(c, i, to[i]);
	}
	/* Of a copy without shared blocks the space is taken already. */
	if (!r)
		r = catalog_check_space(p, p->reflink ? space(p, k, n) : 0, e);
	if (!r)
		r = mark(p, k, e);
	if (!r)
		r = change_commit(c, e);
	for (size_t i = 0; i < n && !r; i++)
		r = catalog_show(p, to[i], e);
	catalog_leave(p);
	return r;
}

static int make(struct pool *from, const char *name, struct pool *p, struct catalog_job *j, const char *const *to,
		size_t n, struct err *e)
{
	struct catalog_change c = { .pool = p, .job = j };
	struct clone *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return err_set(e, ENOMEM, "no memory to clone %s", name);
	k->from = from;
	r = begin(k, j, name, e);
	if (!r)
		r = catalog_enter(p, e);
	if (!r) {
		r = check(p, k, j, to, n, e);
		catalog_leave(p);
	}
	if (!r)
		r = take(&c, k, n, e);
	if (!r)
		r = identify(&c, k, n, e);
	if (!r)
		r = commit(&c, k, to, n, e);
	change_end(&c);
	end(k);
	return r < 0 ? r : 0;
}

int catalog_clone(struct pool *p, struct catalog_job *j, const char *from, const char *const *to, size_t n,
		  struct err *e)
{
	struct catalog_name name;
	int r = catalog_name(from, &name, e);

	for (size_t i = 0; i < n && !r; i++)
		r = catalog_check_name(to[i], false, e);
	if (!r && (!n || n > CATALOG_CLONES_MAX))
		r = err_set(e, EINVAL, "%zu clones at once: 1 to %d can be made", n, CATALOG_CLONES_MAX);
	return r ? r : make(p, from, p, j, to, n, e);
}

int catalog_copy(struct pool *p, struct catalog_job *j, const char *from, struct pool *into, const char *to,
		 struct err *e)
{
	struct catalog_name name;
	int r = catalog_name(from, &name, e);

	if (!r)
		r = catalog_check_name(to, false, e);
	return r ? r : make(p, from, into, j, &to, 1, e);
}
