/*
 * registry.c - see registry.h.
 *
 * There may be very many volumes, so no change looks at all of them: they are found by name
 * and by UUID in a hash table each, stand in an array in their order, and the numbers that are
 * taken are bits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "client.h"
#include "log.h"
#include "registry.h"
#include "server.h"
#include "text.h"

#define FIRST_ROOM 64u
#define LINES_A_SECOND 200	/* or a start with very many volumes leaves nothing else in the log */

/* The numbers that are taken, of disks or of snapshots. */
struct numbers {
	uint64_t *bits;		/* room for registry.room of them */
	size_t least;		/* no word before this one has a free bit */
};

struct registry {
	struct server *server;
	pthread_mutex_t lock;
	struct volume **volumes;	/* in order */
	size_t count, room;		/* room: a power of two, of all the tables too */
	struct volume **names, **uuids;	/* chains by next_name and next_uuid */
	bool seen;			/* a client knows the numbers: they stay */
	bool numbered;			/* not seen: they are those of the order as it is */
	struct numbers disks, snapshots;	/* once they stay */
	uint64_t second;		/* of the last lines about volumes, */
	unsigned lines;			/* and how many there were in it */
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

static void free_tables(struct registry *r)
{
	free(r->volumes);
	free(r->names);
	free(r->uuids);
	free(r->disks.bits);
	free(r->snapshots.bits);
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->count; i++)
		volume_put(r->volumes[i]);
	free_tables(r);
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
	registry_seen(v->server->registry);
	volume_describe(v, out);
	if (!registry_may_write(v, node))
		out->flags |= WIRE_FLAG_READ_ONLY;
}

/*
 * The tables.
 */
static struct volume **name_chain(const struct registry *r, const char *name)
{
	return &r->names[hash_place(name, strlen(name), r->room)];
}

static struct volume **uuid_chain(const struct registry *r, const struct volume *v)
{
	return &r->uuids[hash_place(v->uuid, sizeof(v->uuid), r->room)];
}

static void link_volume(struct registry *r, struct volume *v)
{
	struct volume **name = name_chain(r, v->name), **uuid = uuid_chain(r, v);

	v->next_name = *name;
	*name = v;
	v->next_uuid = *uuid;
	*uuid = v;
}

static void unlink_volume(struct registry *r, struct volume *v)
{
	struct volume **at;

	for (at = name_chain(r, v->name); *at != v; at = &(*at)->next_name)
		;
	*at = v->next_name;
	for (at = uuid_chain(r, v); *at != v; at = &(*at)->next_uuid)
		;
	*at = v->next_uuid;
}

static struct volume *find_name(const struct registry *r, const char *name)
{
	struct volume *v = r->count ? *name_chain(r, name) : NULL;

	while (v && strcmp(v->name, name) != 0)
		v = v->next_name;
	return v;
}

static struct volume *find_uuid(const struct registry *r, const struct volume *like)
{
	struct volume *v = r->count ? *uuid_chain(r, like) : NULL;

	while (v && memcmp(v->uuid, like->uuid, sizeof(v->uuid)) != 0)
		v = v->next_uuid;
	return v;
}

/* Room for one more, twice as much where there is none: -ENOMEM leaves all as it was. */
static int make_room(struct registry *r)
{
	struct registry n = *r;

	if (r->count < r->room)
		return 0;
	n.room = r->room ? r->room * 2 : FIRST_ROOM;
	n.volumes = calloc(n.room, sizeof(*n.volumes));
	n.names = calloc(n.room, sizeof(*n.names));
	n.uuids = calloc(n.room, sizeof(*n.uuids));
	n.disks.bits = calloc(n.room / 64, sizeof(uint64_t));
	n.snapshots.bits = calloc(n.room / 64, sizeof(uint64_t));
	if (!n.volumes || !n.names || !n.uuids || !n.disks.bits || !n.snapshots.bits) {
		free_tables(&n);
		return -ENOMEM;
	}
	for (size_t i = 0; i < r->count; i++) {
		n.volumes[i] = r->volumes[i];
		link_volume(&n, n.volumes[i]);
	}
	if (r->room) {
		memcpy(n.disks.bits, r->disks.bits, r->room / 8);
		memcpy(n.snapshots.bits, r->snapshots.bits, r->room / 8);
	}
	free_tables(r);
	r->volumes = n.volumes;
	r->names = n.names;
	r->uuids = n.uuids;
	r->disks.bits = n.disks.bits;
	r->snapshots.bits = n.snapshots.bits;
	r->room = n.room;
	return 0;
}

/*
 * Numbers follow the order as long as no client has seen any.  Afterwards a volume keeps its
 * number while it is offered, and a new one gets the least that is free.  Snapshots, which
 * come last, have numbers of their own.
 */
static struct numbers *numbers_of(struct registry *r, const struct volume *v)
{
	return v->snapshot ? &r->snapshots : &r->disks;
}

static void number_by_order(struct registry *r)
{
	uint32_t disks = 0, snapshots = 0;

	for (size_t i = 0; i < r->count; i++)
		r->volumes[i]->id = r->volumes[i]->snapshot ? snapshots++ : disks++;
	r->numbered = true;
}

static void keep_number(struct registry *r, const struct volume *v)
{
	numbers_of(r, v)->bits[v->id / 64] |= UINT64_C(1) << v->id % 64;
}

/* There is a free one: room for count numbers, of which one is this volume's. */
static void give_number(struct registry *r, struct volume *v)
{
	struct numbers *n = numbers_of(r, v);

	while (n->bits[n->least] == UINT64_MAX)
		n->least++;
	v->id = (uint32_t)(n->least * 64 + (size_t)__builtin_ctzll(~n->bits[n->least]));
	keep_number(r, v);
}

static void take_number(struct registry *r, const struct volume *v)
{
	struct numbers *n = numbers_of(r, v);

	n->bits[v->id / 64] &= ~(UINT64_C(1) << v->id % 64);
	if (v->id / 64 < n->least)
		n->least = v->id / 64;
}

void registry_seen(struct registry *r)
{
	if (r->seen)
		return;
	if (!r->numbered)
		number_by_order(r);
	for (size_t i = 0; i < r->count; i++)
		keep_number(r, r->volumes[i]);
	r->seen = true;
}

/* Whoever gets a volume may look at its number. */
struct volume *registry_find(struct registry *r, const char *name)
{
	if (!r->seen && !r->numbered)
		number_by_order(r);
	return find_name(r, name);
}

struct volume *registry_at(struct registry *r, size_t i)
{
	if (!r->seen && !r->numbered)
		number_by_order(r);
	return i < r->count ? r->volumes[i] : NULL;
}

struct volume **registry_all(struct registry *r, bool (*wanted)(const struct volume *v), size_t *n)
{
	struct volume **list, *v;
	bool any;

	*n = 0;
	registry_lock(r);
	any = r->count;
	list = any ? malloc(r->count * sizeof(*list)) : NULL;
	for (size_t i = 0; list && (v = registry_at(r, i)); i++)
		if (!wanted || wanted(v))
			list[(*n)++] = volume_get(v);
	registry_unlock(r);
	if (any && !list)
		log_error("volume", "no memory for a list of the volumes");
	return list;
}

/*
 * The order.
 */
static int in_order(const struct volume *a, const struct volume *b)
{
	if (a->snapshot != b->snapshot)
		return a->snapshot ? 1 : -1;
	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* Where v stands or would stand. */
static size_t place_of(const struct registry *r, const struct volume *v)
{
	size_t from = 0, to = r->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (in_order(r->volumes[middle], v) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static void put_in_order(struct registry *r, struct volume *v)
{
	size_t at = place_of(r, v);

	memmove(r->volumes + at + 1, r->volumes + at, (r->count - at) * sizeof(struct volume *));
	r->volumes[at] = v;
	r->count++;
	r->numbered = false;
}

/* False: it is not there. */
static bool take_out(struct registry *r, const struct volume *v)
{
	size_t at = place_of(r, v);

	if (at == r->count || r->volumes[at] != v)
		return false;
	memmove(r->volumes + at, r->volumes + at + 1, (r->count - at - 1) * sizeof(struct volume *));
	r->count--;
	r->numbered = false;
	return true;
}

static int check_duplicate(const struct registry *r, const struct volume *v, struct err *e)
{
	const struct volume *o = find_name(r, v->name);
	char uuid[UUID_TEXT];

	if (o) {
		err_set(e, EEXIST, "the name %s stands for %s and for %s: the second is not offered",
			v->name, o->path, v->path);
		err_next(e, "rename one of them");
		return -EEXIST;
	}
	o = find_uuid(r, v);
	if (o) {
		uuid_format(v->uuid, uuid);
		err_set(e, EEXIST, "volumes %s (%s) and %s (%s) have the same UUID %s: the second is not offered",
			o->name, o->path, v->name, v->path, uuid);
		err_next(e, "if %s is a copy, remove its .meta or .rsio file to give it an identity of its own", v->name);
		return -EEXIST;
	}
	return 0;
}

static int insert(struct registry *r, struct volume *v, struct err *e)
{
	if (check_duplicate(r, v, e) < 0)
		return -EEXIST;
	if (make_room(r) < 0)
		return err_set(e, ENOMEM, "cannot offer volume %s: no memory", v->name);
	put_in_order(r, volume_get(v));
	link_volume(r, v);
	if (r->seen)
		give_number(r, v);
	return 0;
}

/* Under the lock. */
static enum log_level level_of_line(struct registry *r)
{
	uint64_t now = clock_now() / SECOND;

	if (now != r->second)
		r->lines = 0;
	r->second = now;
	if (++r->lines == LINES_A_SECOND)
		log_info("volume", "more volumes come or go in this second than have a line here: rssrv --status has all");
	return r->lines < LINES_A_SECOND ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
}

int registry_add(struct registry *r, struct volume *v, enum wire_event kind, struct err *e)
{
	enum log_level level;
	int error;

	registry_lock(r);
	error = insert(r, v, e);
	level = level_of_line(r);
	registry_unlock(r);
	if (error)
		return error;
	log_line(level, "volume", "%s: offered from %s, %llu bytes", v->name, v->path,
		 (unsigned long long)atomic_load(&v->size));
	clients_announce(r->server->clients, kind, v);
	return 0;
}

void registry_remove(struct registry *r, struct volume *v, enum wire_status status)
{
	enum log_level level;
	bool found;

	atomic_store(&v->gone, (uint16_t)status);
	registry_lock(r);
	found = take_out(r, v);
	if (found)
		unlink_volume(r, v);
	if (found && r->seen)
		take_number(r, v);
	level = level_of_line(r);
	registry_unlock(r);
	if (!found)
		return;
	log_line(level, "volume", "%s: %s", v->name,
		 status == WIRE_E_GENERATION ? "its content was replaced" : "no longer offered");
	if (status == WIRE_E_NO_VOLUME)
		clients_announce(r->server->clients, WIRE_EVENT_VOLUME_REMOVED, v);
	volume_put(v);
}

void registry_resized(struct registry *r, struct volume *v)
{
	log_info("volume", "%s: now %llu bytes", v->name, (unsigned long long)atomic_load(&v->size));
	clients_announce(r->server->clients, WIRE_EVENT_VOLUME_RESIZED, v);
}

void registry_set_label(struct registry *r, struct volume *v, const char *label)
{
	char *old, *now = *label ? strdup(label) : NULL;

	registry_lock(r);
	old = v->label;
	v->label = now;
	registry_unlock(r);
	free(old);
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
	atomic_store(&v->read_only, read_only);
	if (v->order != a->order) {
		bool there = take_out(r, v);

		v->order = a->order;
		if (there)
			put_in_order(r, v);
	}
	registry_unlock(r);
	if (!same) {
		clients_revoke(r->server->clients, v);
		clients_announce_lost(r->server->clients, v, old);
	}
	strings_free(old);
	clients_announce(r->server->clients, WIRE_EVENT_VOLUME_RESIZED, v);
}
