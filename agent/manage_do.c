/*
 * manage_do.c - the ops: what each asks for, and how the catalog is told.  See manage_impl.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "catalog.h"
#include "manage_impl.h"
#include "manage_ops.h"
#include "pool.h"
#include "throttle.h"
#include "watch.h"

#define AT(field) offsetof(struct manage_work, field)
#define NAME(member, field, needed) { member, MEMBER_NAME, AT(field), needed, 1, CONF_NAME_MAX, 0 }
#define SNAP(member, field, needed) { member, MEMBER_SNAPSHOT, AT(field), needed, 1, CONF_NAME_MAX, 0 }
#define UUID { "uuid", MEMBER_UUID, AT(uuid), false, 0, 0, AT(has_uuid) }
#define GENERATION { "generation", MEMBER_GENERATION, AT(generation), false, 0, 0, 0 }
#define SIZE_MOST 9223372036854775296u	/* 2^63 - 512 */
#define END { NULL, 0, 0, false, 0, 0, 0 }

static struct catalog_job job_of(struct task *t)
{
	return (struct catalog_job){ .id = t->id, .progress = &t->progress, .hold_limit = t->work.hold_limit,
				     .uuid = t->work.has_uuid ? t->work.uuid : NULL, .generation = t->work.generation, .at_once = t->work.at_once };
}

/* What is there now, by the names of the volumes. */
static int made(const struct pool *p, const char *const *names, size_t n, json_t **result)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(names[i]));
	*result = json_pack("{s:o, s:s}", "volumes", list, "pool", p->name);
	return 0;
}

static int made_one(const struct pool *p, const char *name, json_t **result)
{
	return made(p, &name, 1, result);
}

static int do_create(struct pool *p, struct task *t, json_t **result, struct err *e)
{
	const struct manage_work *w = &t->work;
	struct catalog_job j = job_of(t);
	int r = catalog_create(p, &j, w->volume, w->size, w->preallocate, e);

	if (r == -EEXIST && w->if_missing) {
		*e = (struct err){ 0 };
		r = 0;
	}
	return r ? r : made_one(p, w->volume, result);
}

static int do_resize(struct pool *p, struct task *t, json_t **result, struct err *e)
{
	const struct manage_work *w = &t->work;
	struct catalog_job j = job_of(t);
	int r = catalog_resize(p, &j, w->volume, w->size, w->has_confirm, e);

	return r ? r : made_one(p, w->volume, result);
}

static int do_rename(struct pool *p, struct task *t, json_t **result, struct err *e)
{
	struct catalog_job j = job_of(t);
	int r = catalog_rename(p, &j, t->work.volume, t->work.to, e);
	struct catalog_info info;
	struct err gone = { 0 };

	/* manage_right.c let it pass for its new name's sake, which is not this job's. */
	if (r == -EEXIST && catalog_info(p, t->work.volume, &info, &gone) == -ENOENT)
		r = err_set(e, ENOENT, "there is no volume %s in pool %s", t->work.volume, p->name);
	return r ? r : made_one(p, t->work.to, result);
}

static int do_remove(struct pool *p, struct task *t, json_t **result, struct err *e)
{
	struct catalog_job j = job_of(t);

	(void)result;
	return catalog_remove(p, &j, t->work.volume, t->work.snapshots, e);
}

static size_t list_length(char *const *list)
{
	size_t n = 0;

	while (list[n])
		n++;
	return n;
}

/* Of each volume its pool: references, each pool's the same. */
static int pools_of(struct pool *first, const struct task *t, size_t n, struct pool **pools, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		const char *name = t->place.pools[i];

		for (size_t k = 0; k < i && !pools[i]; k++)
			if (strcmp(pools[k]->name, name) == 0)
				pools[i] = pool_get(pools[k]);
		if (!pools[i])
			pools[i] = strcmp(first->name, name) == 0 ? pool_get(first) : watch_pool(first->server->watch, name);
		if (!pools[i])
			return err_set(e, ENOENT, "pool %s, where %s was, is open no more", name, t->work.volumes[i]);
	}
	return 0;
}

/* All that it is in, each once, in the order of the volumes. */
static json_t *pool_names(struct pool *const *pools, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (pools[k] != pools[i])
			k++;
		if (k == i)
			json_array_append_new(list, json_string(pools[i]->name));
	}
	return list;
}

static int do_snapshot(struct pool *p, struct task *t, json_t **result, struct err *e)
{
	const struct manage_work *w = &t->work;
	struct catalog_job j = job_of(t);
	size_t n = list_length(w->volumes);
	struct pool **pools = calloc(n, sizeof(struct pool *));
	int r = pools ? pools_of(p, t, n, pools, e) : err_set(e, ENOMEM, "no memory for a snapshot of %zu volumes", n);
	json_t *list;

	if (!r)
		r = catalog_snapshot_pools(pools, &j, (const char *const *)w->volumes, n, w->snapshot, e);
	list = r ? NULL : json_array();
	for (size_t i = 0; i < n && !r; i++)
		json_array_append_new(list, json_sprintf("%s@%s", w->volumes[i], w->snapshot));
	if (!r)
		*result = json_pack("{s:o, s:s, s:o, s:f}", "snapshots", list, "pool", p->name,
				    "pools", pool_names(pools, n), "held", (double)j.held / 1e9);
	for (size_t i = 0; pools && i < n; i++)
		if (pools[i])
			pool_put(pools[i]);
	free(pools);
	return r;
}

static int do_snapshot_remove(struct pool *p, struct task *t, json_t **result, struct err *e)
{
	struct catalog_job j = job_of(t);

	(void)result;
	return catalog_snapshot_remove(p, &j, t->work.volume, t->work.snapshot, e);
}

static int do_rollback(struct pool *p, struct task *t, json_t **result, struct err *e)
{
	struct catalog_job j = job_of(t);

	(void)result;
	return catalog_rollback(p, &j, t->work.volume, t->work.snapshot, e);
}

static int clone_one(struct pool *p, struct task *t, const char *const *names, size_t n, json_t **result, struct err *e)
{
	struct catalog_job j = job_of(t);
	int r = catalog_clone(p, &j, t->work.volume, names, n, e);

	if (!r)
		r = made(p, names, n, result);
	if (!r)
		json_object_set_new(*result, "held", json_real((double)j.held / 1e9));
	return r;
}

static int do_clone(struct pool *p, struct task *t, json_t **result, struct err *e)
{
	const struct manage_work *w = &t->work;
	char (*texts)[CONF_NAME_MAX + 24];
	const char **names, *one = w->to;
	int width, r = -ENOMEM;

	if (strcmp(t->place.from, t->place.pool) != 0)
		return err_set(e, EXDEV, "%s is in pool %s: a clone in pool %s would share no blocks with it, it has to be a copy",
			       w->volume, t->place.from, t->place.pool);
	if (*w->to)
		return clone_one(p, t, &one, 1, result, e);
	width = snprintf(NULL, 0, "%" PRIu64, w->count);
	texts = calloc(w->count, sizeof(*texts));
	names = calloc(w->count, sizeof(*names));
	for (uint64_t i = 0; texts && names && i < w->count; i++) {
		snprintf(texts[i], sizeof(texts[i]), "%s%0*" PRIu64, w->prefix, width, i + 1);
		names[i] = texts[i];
	}
	if (texts && names)
		r = clone_one(p, t, names, w->count, result, e);
	else
		err_set(e, ENOMEM, "no memory for the names of the clones");
	free(texts);
	free(names);
	return r;
}

static int do_copy(struct pool *into, struct task *t, json_t **result, struct err *e)
{
	struct pool *from = watch_pool(into->server->watch, t->place.from);
	struct catalog_job j = job_of(t);
	int r;

	if (!from)
		return err_set(e, ENOENT, "pool %s, where %s was, is open no more", t->place.from, t->work.volume);
	r = catalog_copy(from, &j, t->work.volume, into, t->work.to, e);
	pool_put(from);
	return r ? r : made_one(into, t->work.to, result);
}

static int set(struct pool *p, struct task *t, const struct catalog_key *keys, size_t n, struct err *e)
{
	struct catalog_job j = job_of(t);

	return catalog_set(p, &j, t->work.volume, keys, n, e);
}

static int do_access(struct pool *p, struct task *t, json_t **result, struct err *e)
{
	char text[ACCESS_CLIENTS_MAX * (CONF_NAME_MAX + 5) + 1] = "";
	struct catalog_key key = { "clients", NULL };
	size_t used = 0;

	(void)result;
	for (char **c = t->work.clients; c && *c; c++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? ", " : "", *c);
	key.value = used ? text : NULL;
	return set(p, t, &key, 1, e);
}

static int do_label(struct pool *p, struct task *t, json_t **result, struct err *e)
{
	struct catalog_key key = { "label", *t->work.text ? t->work.text : NULL };

	(void)result;
	return set(p, t, &key, 1, e);
}

static int do_schedule(struct pool *p, struct task *t, json_t **result, struct err *e)
{
	struct catalog_key keys[] = { { SCHEDULE_EVERY, NULL }, { SCHEDULE_KEEP, NULL } };
	char every[24], keep[24];

	(void)result;
	snprintf(every, sizeof(every), "%" PRIu64, (uint64_t)t->work.every);
	snprintf(keep, sizeof(keep), "%" PRIu64, t->work.keep);
	if (t->work.every > 0) {
		keys[0].value = every;
		keys[1].value = keep;
	}
	return set(p, t, keys, 2, e);
}

/* What is not said stays as it is. */
static struct limit_rates wanted_limit(const struct manage_work *w, const struct limit_rates *now)
{
	return (struct limit_rates){
		.iops = w->has_iops ? w->iops : now->iops,
		.mbps = w->has_mbps ? w->mbps : now->mbps,
		.burst = w->has_burst ? w->burst : now->burst,
	};
}

static int do_limit(struct pool *p, struct task *t, json_t **result, struct err *e)
{
	const char *client = *t->work.client ? t->work.client : NULL;
	struct throttle_line lines[THROTTLE_KEYS];
	struct catalog_key keys[THROTTLE_KEYS];
	struct catalog_info info;
	struct limit_rates now, next;
	int r = catalog_info(p, t->work.volume, &info, e);

	(void)result;
	if (r)
		return r;
	now = throttle_read(&info.meta, client);
	next = wanted_limit(&t->work, &now);
	throttle_lines(client, &next, lines);
	for (int i = 0; i < THROTTLE_KEYS; i++)
		keys[i] = (struct catalog_key){ lines[i].key, *lines[i].value ? lines[i].value : NULL };
	return set(p, t, keys, THROTTLE_KEYS, e);
}

static const struct member create_members[] = {
	NAME("volume", volume, true),
	NAME("pool", pool, false),
	{ "size", MEMBER_SIZE, AT(size), true, 512, SIZE_MOST, 0 },
	{ "preallocate", MEMBER_BOOL, AT(preallocate), false, 0, 0, 0 },
	{ "if_missing", MEMBER_BOOL, AT(if_missing), false, 0, 0, 0 },
	END
};
static const struct member resize_members[] = {
	NAME("volume", volume, true),
	UUID,
	GENERATION,
	{ "size", MEMBER_SIZE, AT(size), true, 512, SIZE_MOST, 0 },
	{ "confirm", MEMBER_TEXT, AT(confirm), false, 1, WIRE_VOLUME_NAME_MAX, AT(has_confirm) },
	END
};
static const struct member rename_members[] = {
	NAME("volume", volume, true),
	UUID,
	NAME("to", to, true),
	END
};
static const struct member remove_members[] = {
	NAME("volume", volume, true),
	UUID,
	{ "confirm", MEMBER_TEXT, AT(confirm), true, 1, WIRE_VOLUME_NAME_MAX, AT(has_confirm) },
	{ "snapshots", MEMBER_BOOL, AT(snapshots), false, 0, 0, 0 },
	END
};
static const struct member snapshot_members[] = {
	{ "volumes", MEMBER_VOLUMES, AT(volumes), true, 1, SNAPSHOT_VOLUMES_MAX, 0 },
	SNAP("name", snapshot, true),
	{ "hold_limit", MEMBER_REAL, AT(hold_limit), false, 10, 10000, 0 },
	{ "at_once", MEMBER_BOOL, AT(at_once), false, 0, 0, 0 },
	END
};
static const struct member snapshot_remove_members[] = {
	NAME("volume", volume, true),
	UUID,
	SNAP("snapshot", snapshot, true),
	END
};
static const struct member rollback_members[] = {
	NAME("volume", volume, true),
	UUID,
	GENERATION,
	SNAP("snapshot", snapshot, true),
	{ "confirm", MEMBER_TEXT, AT(confirm), true, 1, WIRE_VOLUME_NAME_MAX, AT(has_confirm) },
	END
};
static const struct member clone_members[] = {
	{ "volume", MEMBER_SOURCE, AT(volume), true, 1, WIRE_VOLUME_NAME_MAX, 0 },
	UUID,
	NAME("to", to, false),
	NAME("prefix", prefix, false),
	{ "count", MEMBER_COUNT, AT(count), false, 1, CATALOG_CLONES_MAX, 0 },
	NAME("pool", pool, false),
	END
};
static const struct member copy_members[] = {
	{ "volume", MEMBER_SOURCE, AT(volume), true, 1, WIRE_VOLUME_NAME_MAX, 0 },
	UUID,
	NAME("to", to, true),
	NAME("pool", pool, false),
	END
};
static const struct member limit_members[] = {
	NAME("volume", volume, true),
	UUID,
	NAME("client", client, false),
	{ "iops", MEMBER_COUNT, AT(iops), false, 0, 1000000000, AT(has_iops) },
	{ "mbps", MEMBER_REAL, AT(mbps), false, 0, 1000000000, AT(has_mbps) },
	{ "burst", MEMBER_REAL, AT(burst), false, 0, 3600000, AT(has_burst) },
	END
};
static const struct member access_members[] = {
	NAME("volume", volume, true),
	UUID,
	{ "clients", MEMBER_CLIENTS, AT(clients), true, 1, ACCESS_CLIENTS_MAX, 0 },
	END
};
static const struct member label_members[] = {
	NAME("volume", volume, true),
	UUID,
	{ "text", MEMBER_TEXT, AT(text), true, 0, LABEL_MAX, 0 },
	END
};
static const struct member schedule_members[] = {
	NAME("volume", volume, true),
	UUID,
	{ "every", MEMBER_REAL, AT(every), true, 0, EVERY_MAX * 1000ull, 0 },
	{ "keep", MEMBER_COUNT, AT(keep), false, 1, KEEP_MAX, 0 },
	END
};

static const struct manage_op ops[] = {
	{ "create", create_members, do_create },
	{ "resize", resize_members, do_resize },
	{ "rename", rename_members, do_rename },
	{ "remove", remove_members, do_remove },
	{ "snapshot", snapshot_members, do_snapshot },
	{ "snapshot_remove", snapshot_remove_members, do_snapshot_remove },
	{ "rollback", rollback_members, do_rollback },
	{ "clone", clone_members, do_clone },
	{ "copy", copy_members, do_copy },
	{ "limit", limit_members, do_limit },
	{ "access", access_members, do_access },
	{ "label", label_members, do_label },
	{ "schedule", schedule_members, do_schedule },
};

const struct manage_op *manage_op(const char *name)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (strcmp(ops[i].name, name) == 0)
			return &ops[i];
	return NULL;
}
