/*
 * manage_right.c - who may have what done: see manage_impl.h.
 *
 * What a client may not see is not there for it: it is told the same of a volume that is
 * hidden from it and of one that does not exist.  What it sees and may not change it is told
 * so, with the right that is missing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "access.h"
#include "manage_impl.h"
#include "pool.h"
#include "registry.h"
#include "server.h"
#include "watch.h"

static int not_there(const char *name, const char *node, struct err *e)
{
	return err_set(e, ENOENT, "there is no volume %s here, or %s is not among its clients", name, node);
}

/* Its pool; "" of a [volume].  False: not there. */
static bool look_up(struct server *s, const char *node, const char *name, char pool[CONF_NAME_MAX + 1])
{
	struct volume *v;
	bool there;

	registry_lock(s->registry);
	v = registry_find(s->registry, name);
	there = v && registry_visible(v, node);
	if (there)
		snprintf(pool, CONF_NAME_MAX + 1, "%s", v->pool ? v->pool : "");
	registry_unlock(s->registry);
	return there;
}

static int may_manage(struct server *s, const char *node, const char *pool, struct err *e)
{
	char why[ACCESS_WHY_MAX];
	bool may, known = false;

	pthread_rwlock_rdlock(&s->conf_lock);
	for (size_t i = 0; i < s->conf->pool_count; i++)
		known |= strcmp(s->conf->pools[i].name, pool) == 0;
	may = access_may_manage(s->conf, node, *pool ? pool : NULL, why);
	pthread_rwlock_unlock(&s->conf_lock);
	if (may)
		return 0;
	err_set(e, EACCES, "%s", why);
	if (!*pool)
		err_next(e, "change it on the server: its [volume] section, or the file or device itself");
	else if (!known)
		err_next(e, "rsvol pool ls shows those that there are");
	else
		err_next(e, "'manage =' of the server's [pool] says who may");
	return -EACCES;
}

/* The one pool that this node may manage. */
static int only_pool(struct server *s, const char *node, char pool[CONF_NAME_MAX + 1], struct err *e)
{
	char why[ACCESS_WHY_MAX], names[200] = "";
	size_t count = 0, used = 0;

	pthread_rwlock_rdlock(&s->conf_lock);
	for (size_t i = 0; i < s->conf->pool_count; i++) {
		const char *name = s->conf->pools[i].name;

		if (!access_may_manage(s->conf, node, name, why))
			continue;
		if (!count++)
			snprintf(pool, CONF_NAME_MAX + 1, "%s", name);
		if (used < sizeof(names))
			used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "", name);
	}
	pthread_rwlock_unlock(&s->conf_lock);
	if (!count)
		return err_set(e, EACCES, "%s has the right to manage no pool of this server: it is in no 'manage ='", node);
	if (count > 1) {
		err_set(e, EINVAL, "in which pool? %s may manage %s", node, names);
		err_next(e, "name one with --pool; rsvol pool ls shows what they have");
		return -EINVAL;
	}
	return 0;
}

/* Of each that is to be snapshot. */
static int find_pools(struct server *s, const char *node, const struct manage_work *w, struct place *p, struct err *e)
{
	size_t n = 0;

	while (w->volumes[n])
		n++;
	p->pools = calloc(n + 1, sizeof(*p->pools));
	if (!p->pools)
		return err_set(e, ENOMEM, "no memory for the names of pools");
	for (size_t i = 0; i < n; i++)
		if (!look_up(s, node, w->volumes[i], p->pools[i]))
			return not_there(w->volumes[i], node, e);
	memcpy(p->pool, p->pools[0], sizeof(p->pool));
	return 0;
}

/* The pool whose last change before it was opened was made for this request. */
static bool changed_last(struct server *s, const char *id, char pool[CONF_NAME_MAX + 1])
{
	size_t n;
	struct pool **list = watch_pools(s->watch, &n);
	bool found = false;

	for (size_t i = 0; list && i < n; i++) {
		if (!found && strcmp(list[i]->last, id) == 0) {
			memcpy(pool, list[i]->name, sizeof(list[i]->name));
			found = true;
		}
		pool_put(list[i]);
	}
	free(list);
	return found;
}

/* Whoever may see it or not. */
static bool is_there(struct server *s, const char *name)
{
	bool there;

	registry_lock(s->registry);
	there = registry_find(s->registry, name) != NULL;
	registry_unlock(s->registry);
	return there;
}

/* Of what an earlier life of this server has done the catalog knows that, but the volume is not
 * there any more: renamed it has the new name, removed it has none.  One that is there all the
 * same is hidden from who asks, and is nothing that this request may touch. */
static int find_volume(struct server *s, const char *node, const struct manage_work *w, const char *id,
		       char pool[CONF_NAME_MAX + 1], struct err *e)
{
	bool renamed = strcmp(w->op->name, "rename") == 0, removed = strcmp(w->op->name, "remove") == 0;

	if (look_up(s, node, w->volume, pool))
		return 0;
	if (!is_there(s, w->volume) &&
	    ((renamed && look_up(s, node, w->to, pool)) || (removed && changed_last(s, id, pool))))
		return 0;
	return not_there(w->volume, node, e);
}

/* Copying it changes nothing, but the catalog knows pools alone. */
static int no_source(const struct manage_work *w, struct err *e)
{
	err_set(e, EACCES, "%s is a [volume] of the server's configuration: servers copy and clone what is in a pool", w->volume);
	err_next(e, "rsvol create one of that size, then dd or cp from the one file in the tree to the other");
	return -EACCES;
}

static int find_pool(struct server *s, const char *node, const struct manage_work *w, const char *id,
		     struct place *p, struct err *e)
{
	int r;

	if (w->volumes)
		return find_pools(s, node, w, p, e);
	if (strcmp(w->op->name, "create") == 0 && !*w->pool)
		return only_pool(s, node, p->pool, e);
	if (strcmp(w->op->name, "create") != 0) {
		r = find_volume(s, node, w, id, p->pool, e);
		if (r)
			return r;
		memcpy(p->from, p->pool, sizeof(p->from));
		if (!*p->from && (strcmp(w->op->name, "copy") == 0 || strcmp(w->op->name, "clone") == 0))
			return no_source(w, e);
	}
	if (*w->pool)
		memcpy(p->pool, w->pool, sizeof(p->pool));
	return 0;
}

static int clients_known(struct server *s, const struct manage_work *w, struct err *e)
{
	char name[CONF_NAME_MAX + 1];
	int r = 0;

	pthread_rwlock_rdlock(&s->conf_lock);
	for (char **c = w->clients; c && *c && !r; c++) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(*c, ":"), *c);
		if (!access_node(s->conf, name))
			r = err_set(e, EINVAL, "%s: %s is not in the server's [clients]", w->op->name, name);
	}
	if (!r && *w->client && !access_node(s->conf, w->client))
		r = err_set(e, EINVAL, "%s: %s is not in the server's [clients]", w->op->name, w->client);
	pthread_rwlock_unlock(&s->conf_lock);
	return r;
}

/* A volume that no client sees who may manage its pool could be changed by nobody any more. */
static int stays_managed(struct server *s, const char *node, const struct manage_work *w, const char *pool, struct err *e)
{
	char name[CONF_NAME_MAX + 1], why[ACCESS_WHY_MAX];
	bool may = !w->clients;

	pthread_rwlock_rdlock(&s->conf_lock);
	for (char **c = w->clients; c && *c && !may; c++) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(*c, ":"), *c);
		may = access_may_manage(s->conf, name, pool, why);
	}
	pthread_rwlock_unlock(&s->conf_lock);
	if (may)
		return 0;
	err_set(e, EINVAL, "access: nobody in \"clients\" may manage pool %s, so nobody could change %s again", pool, w->volume);
	err_next(e, "name %s too, as %s:ro if it is not to write", node, node);
	return -EINVAL;
}

static int owned(struct server *s, struct place *p, const char *pool, struct err *e)
{
	bool is;

	if (!watch_pool_owned(s->watch, pool, &is, p->owner))
		return err_set(e, ENOENT, "pool %s is in the configuration and is not open: the server's log says why", pool);
	if (!is && !*p->owner)
		return err_set(e, EAGAIN, "no server has made itself the owner of the shared pool %s yet", pool);
	if (!is)
		return err_set(e, EREMOTE, "server %s owns the shared pool %s: it has to be asked", p->owner, pool);
	*p->owner = 0;
	return 0;
}

/* All pools of a snapshot but the first, which was asked about. */
static int admit_others(struct server *s, const char *node, const struct manage_work *w, struct place *p, struct err *e)
{
	int r = 0;

	/* One of no pool has the name "": nobody may manage that. */
	for (size_t i = 1; w->volumes && w->volumes[0] && w->volumes[i] && !r; i++) {
		if (strcmp(p->pools[i], p->pools[i - 1]) == 0)
			continue;
		r = may_manage(s, node, p->pools[i], e);
		if (!r)
			r = owned(s, p, p->pools[i], e);
	}
	return r;
}

static bool several(const struct place *p, const struct manage_work *w)
{
	for (size_t i = 1; w->volumes && w->volumes[i]; i++)
		if (strcmp(p->pools[i], p->pools[0]) != 0)
			return true;
	return false;
}

bool place_same(const struct place *a, const struct place *b, const struct manage_work *w)
{
	for (size_t i = 0; w->volumes && w->volumes[i]; i++)
		if (strcmp(a->pools[i], b->pools[i]) != 0)
			return false;
	return strcmp(a->pool, b->pool) == 0 && strcmp(a->from, b->from) == 0;
}

void place_fini(struct place *p)
{
	free(p->pools);
	p->pools = NULL;
}

int manage_admit(struct server *s, const char *node, const struct manage_work *w, const char *id, struct place *p,
		 struct err *e)
{
	int r;

	memset(p, 0, sizeof(*p));
	r = find_pool(s, node, w, id, p, e);
	if (!r)
		r = may_manage(s, node, p->pool, e);
	if (!r)
		r = clients_known(s, w, e);
	if (!r)
		r = stays_managed(s, node, w, p->pool, e);
	if (!r)
		r = owned(s, p, p->pool, e);
	if (!r)
		r = admit_others(s, node, w, p, e);
	/* No server owns all of them. */
	if (r == -EREMOTE && several(p, w)) {
		*p->owner = 0;
		r = err_set(e, EOPNOTSUPP, "of the pools that these volumes are in several servers share one: there are no "
			    "snapshots of it together with others");
	}
	return r;
}
