/*
 * status.c - see status.h.
 *
 * IN PIECES.  To describe ten thousand volumes takes as long as thousands of requests, and the
 * loop's thread, which alone may look at them, serves those too.  So it gives the names
 * of all at once, which is quick, and then describes a few in each of its rounds; whoever
 * asked waits in between on its own thread, and puts together what it got.  Names, not
 * pointers, are what is kept meanwhile: nothing but the loop knows how long a volume lasts.
 *
 * What the loop made is copied by who asked, and freed by the loop: a thread that frees ten
 * thousands of another's pieces of memory has the lock of that one's memory nearly all the
 * time, and the loop would wait for it as long as before.
 *
 * What one sees is the servers, paths and the list of volumes of one moment, and each volume as
 * it was a little later.  One that went meanwhile is left out, and so is a namespace.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "client.h"
#include "status.h"

#define VOLUMES_A_PIECE 32

static const char *const lists[] = { "volumes", "snapshots" };

static json_t *memory(const struct client *c)
{
	const struct buf_counts *b = buf_counts(c->io.pool);

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "buffers_used", (json_int_t)b->used, "buffers_held", (json_int_t)b->held,
			 "buffers_limit", (json_int_t)b->limit,
			 "requests", (json_int_t)c->io.counts.requests,
			 "requests_held", (json_int_t)c->io.counts.requests_made,
			 "paused", (json_int_t)c->io.counts.paused,
			 "interrupted", (json_int_t)c->io.counts.interrupted);
}

static json_t *find_volume(const json_t *namespaces, const char *namespace, const char *volume)
{
	const char *list = strchr(volume, '@') ? "snapshots" : "volumes";
	json_t *ns, *v;
	size_t i, j;

	json_array_foreach(namespaces, i, ns) {
		if (strcmp(json_string_value(json_object_get(ns, "name")), namespace) != 0)
			continue;
		json_array_foreach(json_object_get(ns, list), j, v)
			if (strcmp(json_string_value(json_object_get(v, "name")), volume) == 0)
				return v;
	}
	return NULL;
}

/* On the loop: what the kernel knows of the devices, and whether one is cut off. */
static json_t *devices_known(const struct client *c)
{
	json_t *list = json_array(), *known;
	size_t i;

	json_array_foreach(c->devices, i, known) {
		/* Deep: the status goes to other threads, this stays here. */
		json_t *d = json_deep_copy(known);
		const char *namespace = json_string_value(json_object_get(d, "namespace"));
		const char *volume = json_string_value(json_object_get(d, "volume"));

		if (!json_object_get(d, "state") && client_device_is_cut(c, namespace, volume))
			json_object_set_new(d, "state", json_string("cut-off"));
		json_array_append_new(list, d);
	}
	return list;
}

/* With what the namespaces know of the volumes. */
static void complete_devices(json_t *status)
{
	static const char *const members[] = { "id", "av", "blocks", "block_size", "servers", "state" };
	json_t *d;
	size_t i;

	json_array_foreach(json_object_get(status, "devices"), i, d) {
		json_t *v = find_volume(json_object_get(status, "namespaces"), json_string_value(json_object_get(d, "namespace")),
					json_string_value(json_object_get(d, "volume")));

		for (size_t m = 0; v && m < sizeof members / sizeof *members; m++)
			if (!json_object_get(d, members[m]))
				json_object_set(d, members[m], json_object_get(v, members[m]));
		if (!json_object_get(d, "state"))
			json_object_set_new(d, "state", json_string("gone"));
	}
}

static json_t *client_json(struct client *c, json_t *namespaces)
{
	return json_pack("{s:s, s:i, s:f, s:s, s:s, s:o, s:o, s:o, s:o}",
			 "version", RSIO_VERSION, "pid", (int)getpid(),
			 "uptime", (double)(loop_clock() - c->started) / 1e9,
			 "mount", c->mount_dir ? c->mount_dir : "", "run_dir", c->run_dir,
			 "confinement", confine_json(&c->confinement), "memory", memory(c),
			 "devices", devices_known(c), "namespaces", namespaces);
}

/*
 * In pieces.
 */
static void add_name(void *arg, struct mpio *v)
{
	json_array_append_new(arg, json_string(mpio_info(v)->name));
}

/* Names in place of volumes. */
static json_t *named(struct namespace *ns)
{
	json_t *j = namespace_servers(ns), *names[] = { json_array(), json_array() };

	namespace_each_volume(ns, add_name, names[0]);
	namespace_each_snapshot(ns, add_name, names[1]);
	for (int i = 0; i < 2; i++)
		json_object_set_new(j, lists[i], names[i]);
	return j;
}

/* On the loop, of what was made there. */
static void release(void *arg)
{
	json_decref(arg);
}

struct beginning {
	struct client *client;
	json_t *devices, *status;
	const char *only;
};

static void begin(void *arg)
{
	struct beginning *b = arg;
	json_t *namespaces = json_array();
	struct list *pos;

	if (b->devices) {
		json_decref(b->client->devices);
		b->client->devices = b->devices;
	}
	list_each(pos, &b->client->members) {
		struct namespace *ns = container_of(pos, struct member, link)->ns;

		if (!b->only || strcmp(namespace_name(ns), b->only) == 0)
			json_array_append_new(namespaces, named(ns));
	}
	b->status = client_json(b->client, namespaces);
}

struct piece {
	const struct client *client;
	const char *namespace;
	const json_t *names;
	size_t from;
	json_t *made;			/* the piece; the loop's own */
	bool gone;			/* the namespace */
};

static void describe(void *arg)
{
	struct piece *p = arg;
	const struct member *m = client_member(p->client, p->namespace);

	json_decref(p->made);
	p->made = json_array();
	p->gone = !m;
	for (size_t i = 0; m && i < VOLUMES_A_PIECE; i++) {
		const char *name = json_string_value(json_array_get(p->names, p->from + i));
		struct mpio *v = name ? namespace_volume(m->ns, name) : NULL;

		if (v)
			json_array_append_new(p->made, namespace_volume_status(v));
	}
}

/* Of so many names the volumes, as far as they are there still.  NULL: no memory. */
static json_t *describe_list(struct piece *p, struct client *c)
{
	json_t *list = json_array(), *v;
	size_t i;

	for (p->from = 0; p->from < json_array_size(p->names) && !p->gone; p->from += VOLUMES_A_PIECE) {
		if (loop_call(c->loop, describe, p) < 0) {
			json_decref(list);
			return NULL;
		}
		json_array_foreach(p->made, i, v)
			json_array_append_new(list, json_deep_copy(v));
	}
	return list;
}

/* Volumes in place of names.  1: it is gone; -ENOMEM. */
static int describe_all(struct client *c, json_t *ns)
{
	struct piece p = { .client = c, .namespace = json_string_value(json_object_get(ns, "name")) };
	int r = 0;

	for (int i = 0; i < 2 && !p.gone && !r; i++) {
		p.names = json_object_get(ns, lists[i]);
		r = json_object_set_new(ns, lists[i], describe_list(&p, c)) < 0 ? -ENOMEM : 0;
	}
	if (p.made && loop_call(c->loop, release, p.made) < 0)
		json_decref(p.made);
	return r ? r : p.gone;
}

json_t *status_collect(struct client *c, json_t *devices, const char *namespace)
{
	struct beginning b = { .client = c, .devices = devices, .only = namespace };
	json_t *status, *namespaces;

	if (loop_call(c->loop, begin, &b) < 0)
		json_decref(devices);
	status = json_deep_copy(b.status);
	if (b.status && loop_call(c->loop, release, b.status) < 0)
		json_decref(b.status);
	namespaces = json_object_get(status, "namespaces");
	for (size_t i = 0; i < json_array_size(namespaces);) {
		int r = describe_all(c, json_array_get(namespaces, i));

		if (r < 0) {
			json_decref(status);
			return NULL;
		}
		if (r)
			json_array_remove(namespaces, i);
		else
			i++;
	}
	complete_devices(status);
	return status;
}
