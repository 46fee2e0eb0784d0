/* registry.c - see registry.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "client.h"
#include "log.h"
#include "registry.h"
#include "server.h"
#include "text.h"

struct registry {
	struct server *server;
	pthread_mutex_t lock;
	struct volume **volumes;	/* in order */
	size_t count, room;
	bool seen;			/* a client knows the numbers: they stay */
};

struct registry *registry_new(struct server *s, struct err *e)
{
	struct registry *r = calloc(1, sizeof(*r));

	if (!r) {
		err_set(e, ENOMEM, "cannot start: no memory");
		return NULL;
	}
	r->server = s;
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->count; i++)
		volume_put(r->volumes[i]);
	free(r->volumes);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void registry_lock(struct registry *r)
{
	pthread_mutex_lock(&r->lock);
}

void registry_unlock(struct registry *r)
{
	pthread_mutex_unlock(&r->lock);
}

bool registry_visible(const struct volume *v, const char *node)
{
	return conf_right(v->clients, node) != CONF_RIGHT_NONE;
}

bool registry_may_write(const struct volume *v, const char *node)
{
	return conf_right(v->clients, node) == CONF_RIGHT_WRITE;
}

void registry_describe(const struct volume *v, const char *node, struct wire_volume *out)
{
	volume_describe(v, out);
	if (!registry_may_write(v, node))
		out->flags |= WIRE_FLAG_READ_ONLY;
}

struct volume *registry_find(struct registry *r, const char *name)
{
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->volumes[i]->name, name) == 0)
			return r->volumes[i];
	return NULL;
}

void registry_seen(struct registry *r)
{
	r->seen = true;
}

struct volume *registry_at(struct registry *r, size_t i)
{
	return i < r->count ? r->volumes[i] : NULL;
}

static int in_order(const struct volume *a, const struct volume *b)
{
	if (a->snapshot != b->snapshot)
		return a->snapshot ? 1 : -1;
	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	return strcmp(a->name, b->name);
}

#define NO_ID UINT32_MAX

static bool id_taken(const struct registry *r, bool snapshot, uint32_t id)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->volumes[i]->id == id && r->volumes[i]->snapshot == snapshot)
			return true;
	return false;
}

/* Numbers follow the order as long as no client has seen any.  Afterwards a volume
 * keeps its number while it is offered, and a new one gets the least that is free.
 * Snapshots, which come last, have numbers of their own. */
static void renumber(struct registry *r)
{
	size_t disks = 0;

	for (size_t i = 0; i < r->count; i++) {
		struct volume *v = r->volumes[i];
		uint32_t id = 0;

		if (!r->seen) {
			v->id = (uint32_t)(i - (v->snapshot ? disks : 0));
		} else if (v->id == NO_ID) {
			while (id_taken(r, v->snapshot, id))
				id++;
			v->id = id;
		}
		disks += !v->snapshot;
	}
}

static int check_duplicate(const struct registry *r, const struct volume *v, struct err *e)
{
	char uuid[UUID_TEXT];

	for (size_t i = 0; i < r->count; i++) {
		const struct volume *o = r->volumes[i];

		if (strcmp(o->name, v->name) == 0) {
			err_set(e, EEXIST, "the name %s stands for %s and for %s: the second is not offered",
				v->name, o->path, v->path);
			err_next(e, "rename one of them");
			return -EEXIST;
		}
		if (memcmp(o->uuid, v->uuid, sizeof(v->uuid)) == 0) {
			uuid_format(v->uuid, uuid);
			err_set(e, EEXIST, "volumes %s (%s) and %s (%s) have the same UUID %s: the second is not offered",
				o->name, o->path, v->name, v->path, uuid);
			err_next(e, "if %s is a copy, remove its .meta or .rsio file to give it an identity of its own", v->name);
			return -EEXIST;
		}
	}
	return 0;
}

static int insert(struct registry *r, struct volume *v, struct err *e)
{
	size_t at = 0;

	if (check_duplicate(r, v, e) < 0)
		return -EEXIST;
	if (r->count == r->room) {
		size_t room = r->room ? r->room * 2 : 16;
		struct volume **p = reallocarray(r->volumes, room, sizeof(struct volume *));

		if (!p)
			return err_set(e, ENOMEM, "cannot offer volume %s: no memory", v->name);
		r->volumes = p;
		r->room = room;
	}
	while (at < r->count && in_order(r->volumes[at], v) < 0)
		at++;
	memmove(r->volumes + at + 1, r->volumes + at, (r->count - at) * sizeof(struct volume *));
	v->id = NO_ID;
	r->volumes[at] = volume_get(v);
	r->count++;
	renumber(r);
	return 0;
}

int registry_add(struct registry *r, struct volume *v, enum wire_event kind, struct err *e)
{
	int error;

	registry_lock(r);
	error = insert(r, v, e);
	registry_unlock(r);
	if (error)
		return error;
	log_info("volume", "%s: offered from %s, %llu bytes", v->name, v->path,
		 (unsigned long long)atomic_load(&v->size));
	clients_announce(r->server->clients, kind, v);
	return 0;
}

void registry_remove(struct registry *r, struct volume *v, enum wire_status status)
{
	bool found = false;

	atomic_store(&v->gone, (uint16_t)status);
	registry_lock(r);
	for (size_t i = 0; i < r->count && !found; i++) {
		if (r->volumes[i] != v)
			continue;
		memmove(r->volumes + i, r->volumes + i + 1, (r->count - i - 1) * sizeof(struct volume *));
		r->count--;
		found = true;
	}
	renumber(r);
	registry_unlock(r);
	if (!found)
		return;
	log_info("volume", "%s: %s", v->name,
		 status == WIRE_E_GENERATION ? "replaced by another file" : "no longer offered");
	if (status == WIRE_E_NO_VOLUME)
		clients_announce(r->server->clients, WIRE_EVENT_VOLUME_REMOVED, v);
	volume_put(v);
}

void registry_resized(struct registry *r, struct volume *v)
{
	log_info("volume", "%s: now %llu bytes", v->name, (unsigned long long)atomic_load(&v->size));
	clients_announce(r->server->clients, WIRE_EVENT_VOLUME_RESIZED, v);
}

static int compare(const void *a, const void *b)
{
	return in_order(*(struct volume *const *)a, *(struct volume *const *)b);
}

void registry_update(struct registry *r, struct volume *v, struct volume_attributes *a)
{
	bool read_only = a->read_only || v->cannot_write, same;
	char **old;

	registry_lock(r);
	old = v->clients;
	same = strings_equal(old, a->clients);
	if (same && v->av == a->av && v->order == a->order && atomic_load(&v->read_only) == read_only) {
		registry_unlock(r);
		strings_free(a->clients);
		return;
	}
	v->clients = a->clients;
	v->av = a->av;
	v->order = a->order;
	atomic_store(&v->read_only, read_only);
	qsort(r->volumes, r->count, sizeof(struct volume *), compare);
	renumber(r);
	registry_unlock(r);
	strings_free(old);
	if (!same)
		clients_revoke(r->server->clients, v);
	clients_announce(r->server->clients, WIRE_EVENT_VOLUME_RESIZED, v);
}
