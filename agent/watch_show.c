/* watch_show.c - the pools that are open, for who asks.  See watch.h. */
#include <stdlib.h>
#include <string.h>
#include "watch_impl.h"

bool watch_pool_owned(struct watch *w, const char *name, bool *owned, char owner[CONF_NAME_MAX + 1])
{
	bool found = false;

	pthread_mutex_lock(&w->lock);
	for (struct watcher *k = w->watchers; k && !found; k = k->next) {
		if (!k->pool || k->stop || strcmp(k->pool->name, name) != 0)
			continue;
		found = true;
		*owned = pool_owner(k->pool);
		pool_owner_name(k->pool, owner);
	}
	pthread_mutex_unlock(&w->lock);
	return found;
}

struct pool *watch_pool(struct watch *w, const char *name)
{
	struct pool *found = NULL;

	pthread_mutex_lock(&w->lock);
	for (struct watcher *k = w->watchers; k && !found; k = k->next)
		if (k->pool && !k->stop && strcmp(k->pool->name, name) == 0)
			found = pool_get(k->pool);
	pthread_mutex_unlock(&w->lock);
	return found;
}

struct pool **watch_pools(struct watch *w, size_t *n)
{
	struct pool **list;
	size_t room = 0;

	*n = 0;
	pthread_mutex_lock(&w->lock);
	for (struct watcher *k = w->watchers; k; k = k->next)
		room += k->pool && !k->stop;
	list = room ? calloc(room, sizeof(struct pool *)) : NULL;
	for (struct watcher *k = w->watchers; list && k; k = k->next)
		if (k->pool && !k->stop)
			list[(*n)++] = pool_get(k->pool);
	pthread_mutex_unlock(&w->lock);
	return list;
}

json_t *watch_pools_json(struct watch *w)
{
	json_t *list = json_array();
	char owner[CONF_NAME_MAX + 1], why[ERR_TEXT_MAX];

	pthread_mutex_lock(&w->lock);
	for (struct watcher *k = w->watchers; k; k = k->next) {
		if (!k->pool)
			continue;
		pool_why(k->pool, why);
		pool_owner_name(k->pool, owner);
		json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:s, s:i, s:I, s:I, s:I, s:I, s:s, s:b, s:b, s:s, s:s*}",
			"name", k->pool->name, "path", k->pool->path, "shared", (int)k->pool->shared,
			"owner", k->pool->shared ? owner : w->server->name,
			"volumes", (int)atomic_load(&k->pool->volumes),
			"bytes", (json_int_t)atomic_load(&k->pool->bytes),
			"free", (json_int_t)atomic_load(&k->pool->bytes_free),
			"allocated", (json_int_t)atomic_load(&k->pool->allocated),
			"promised", (json_int_t)atomic_load(&k->pool->promised),
			"filesystem", k->pool->filesystem, "reflink", (int)k->pool->reflink,
			"overcommit", (int)atomic_load(&k->pool->overcommit),
			"state", pool_state_name(atomic_load(&k->pool->state)), "why", *why ? why : NULL));
	}
	pthread_mutex_unlock(&w->lock);
	return list;
}
