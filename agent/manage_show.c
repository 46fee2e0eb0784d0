/*
 * manage_show.c - what there is, for those who ask: see manage_impl.h.
 *
 * Pools and the list of volumes are answered on a loop, from what the watchers noted at their
 * last look.  What a single volume's files say is read on a thread (manage_look.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "access.h"
#include "catalog.h"
#include "client.h"
#include "manage_impl.h"
#include "pool.h"
#include "registry.h"
#include "schedule.h"
#include "server.h"
#include "text.h"
#include "throttle.h"
#include "watch.h"

#define PAGE 500		/* volumes in an answer, */
#define PAGE_BYTES (600u << 10)	/* and no more once it has about so many */

/* What a client may know of its pools: those whose volumes it may see or change. */
json_t *show_pools(struct server *s, const char *node)
{
	json_t *all = watch_pools_json(s->watch), *list = json_array(), *j;
	char why[ACCESS_WHY_MAX];
	size_t i;

	pthread_rwlock_rdlock(&s->conf_lock);
	json_array_foreach(all, i, j) {
		const char *name = json_string_value(json_object_get(j, "name"));
		bool manage = access_may_manage(s->conf, node, name, why), sees = false;

		for (size_t k = 0; k < s->conf->pool_count; k++)
			if (strcmp(s->conf->pools[k].name, name) == 0)
				sees = conf_right(s->conf->pools[k].clients, node) != CONF_RIGHT_NONE;
		if (!manage && !sees)
			continue;
		json_object_set_new(j, "manage", json_boolean(manage));
		if (!manage) {
			json_object_del(j, "path");
			json_object_del(j, "why");	/* it has the path in it */
		}
		json_object_set(j, "size", json_object_get(j, "bytes"));
		json_object_del(j, "bytes");
		json_array_append(list, j);
	}
	pthread_rwlock_unlock(&s->conf_lock);
	json_decref(all);
	return json_pack("{s:o}", "pools", list);
}

static json_t *strings_json(char *const *list)
{
	json_t *j = list ? json_array() : json_null();

	for (; list && *list; list++)
		json_array_append_new(j, json_string(*list));
	return j;
}

/* As text, for people and as the files have it, and as seconds since 1970; both null where it is not known. */
static void set_time(json_t *j, const char *key, uint64_t seconds)
{
	time_t t = (time_t)seconds;
	char text[META_TIME], number[32];
	struct tm tm;

	snprintf(number, sizeof(number), "%s_seconds", key);
	if (seconds && gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm)) {
		json_object_set_new(j, key, json_string(text));
		json_object_set_new(j, number, json_integer((json_int_t)seconds));
	} else {
		json_object_set_new(j, key, json_null());
		json_object_set_new(j, number, json_null());
	}
}

static json_t *schedule_json(const struct volume *v)
{
	uint32_t every = atomic_load(&v->every), keep = atomic_load(&v->keep);
	json_t *j;

	if (!every)
		return json_null();
	j = json_pack("{s:I, s:I}", "every", (json_int_t)every, "keep", (json_int_t)keep);
	set_time(j, "next", schedule_next(v));
	return j;
}

/* Who asks, and which pool was looked at last: may it manage that? */
struct asker {
	struct server *server;
	const char *node;
	char pool[CONF_NAME_MAX + 1];
	bool asked, manage;
};

/* Under server.conf_lock. */
static bool may_manage(struct asker *a, const struct volume *v)
{
	const char *pool = v->pool ? v->pool : "";
	char why[ACCESS_WHY_MAX];

	if (!a->asked || strcmp(a->pool, pool) != 0)
		a->manage = access_may_manage(a->server->conf, a->node, v->pool, why);
	a->asked = true;
	snprintf(a->pool, sizeof(a->pool), "%s", pool);
	return a->manage;
}

/* Under server.conf_lock and registry.lock. */
static json_t *show_one(struct asker *a, struct volume *v)
{
	bool manage = may_manage(a, v);
	char uuid[UUID_TEXT], generation[24];
	json_t *j;

	uuid_format(v->uuid, uuid);
	snprintf(generation, sizeof(generation), "%llu", (unsigned long long)v->generation);
	j = json_pack("{s:s, s:s, s:s, s:I, s:b}", "name", v->name, "uuid", uuid, "generation", generation,
		      "size", (json_int_t)atomic_load(&v->size), "open", atomic_load(&v->opens) > 0);
	if (!v->device)
		json_object_set_new(j, "allocated", json_integer((json_int_t)atomic_load(&v->allocated)));
	json_object_set_new(j, "pool", v->pool ? json_string(v->pool) : json_null());
	json_object_set_new(j, "label", json_string(v->label ? v->label : ""));
	if (manage)
		json_object_set_new(j, "clients", strings_json(v->clients));
	json_object_set_new(j, "limits", throttle_json(v, manage ? NULL : a->node));
	json_object_set_new(j, "schedule", schedule_json(v));
	if (v->snapshot)
		set_time(j, "taken", v->taken);
	return j;
}

/* Of what it says of one, about. */
static size_t weight(const struct volume *v)
{
	size_t n = 600 + (v->label ? strlen(v->label) : 0);

	for (char *const *c = v->clients; c && *c; c++)
		n += strlen(*c) + 3;
	return n;
}

json_t *show_volumes(struct server *s, const char *node, uint64_t from)
{
	struct asker a = { .server = s, .node = node };
	json_t *list = json_array();
	size_t bytes = 0;
	uint64_t seen = 0;
	struct volume *v;

	pthread_rwlock_rdlock(&s->conf_lock);
	registry_lock(s->registry);
	for (size_t i = 0; (v = registry_at(s->registry, i)); i++) {
		if (v->snapshot || !registry_visible(v, node))
			continue;
		if (seen++ < from || seen > from + PAGE || bytes > PAGE_BYTES)
			continue;
		bytes += weight(v);
		json_array_append_new(list, show_one(&a, v));
	}
	registry_unlock(s->registry);
	pthread_rwlock_unlock(&s->conf_lock);
	return json_pack("{s:o, s:I}", "volumes", list, "total", (json_int_t)seen);
}

/* Those who have it open; who may not manage it learns that it is itself one of them, or is not. */
static json_t *open_by(struct server *s, const char *node, const struct volume *v, bool manage)
{
	json_t *list = json_array();

	clients_lock(s->clients);
	for (struct client *c = clients_first(s->clients); c; c = c->next)
		if ((manage || strcmp(c->node, node) == 0) && handle_opened(&c->handles, v))
			json_array_append_new(list, json_string(c->node));
	clients_unlock(s->clients);
	return list;
}

static json_t *snapshots_json(struct pool *p, const char *volume)
{
	struct catalog_snapshot *list = NULL;
	json_t *j = json_array();
	struct err e = { 0 };
	size_t n = 0;

	if (catalog_snapshots(p, volume, &list, &n, &e) < 0)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		json_t *s = json_pack("{s:s, s:I, s:I}", "name", list[i].name, "size", (json_int_t)list[i].size,
				      "allocated", (json_int_t)list[i].allocated);

		set_time(s, "taken", meta_time(list[i].taken));
		json_array_append_new(j, s);
	}
	free(list);
	return j;
}

/* What its files say; nothing of a [volume]. */
static void show_files(struct server *s, struct volume *v, json_t *j)
{
	struct pool *p = v->pool ? watch_pool(s->watch, v->pool) : NULL;
	struct catalog_info info;
	struct err e = { 0 };

	if (!p)
		return;
	if (catalog_info(p, v->name, &info, &e) == 0) {
		json_object_set_new(j, "allocated", json_integer((json_int_t)info.allocated));
		json_object_set_new(j, "created", json_string(info.meta.created));
	}
	if (!v->snapshot)
		json_object_set_new(j, "snapshots", snapshots_json(p, v->name));
	pool_put(p);
}

json_t *show_volume(struct server *s, const char *node, struct volume *v)
{
	struct asker a = { .server = s, .node = node };
	json_t *j;

	pthread_rwlock_rdlock(&s->conf_lock);
	registry_lock(s->registry);
	j = show_one(&a, v);
	/* For all: who is kept from it is told by whom anyway. */
	json_object_set_new(j, "reserved_by", *v->reserved_by ? json_string(v->reserved_by) : json_null());
	registry_unlock(s->registry);
	pthread_rwlock_unlock(&s->conf_lock);
	json_object_set_new(j, "open_by", open_by(s, node, v, a.manage));
	json_object_set_new(j, "manage", json_boolean(a.manage));
	show_files(s, v, j);
	return json_pack("{s:o}", "volume", j);
}
