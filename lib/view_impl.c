/* view_impl.c - see view_impl.h. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "view_impl.h"

void view_start(struct view_out *o)
{
	o->text = NULL;
	o->size = 0;
	o->f = open_memstream(&o->text, &o->size);
}

char *view_finish(struct view_out *o)
{
	bool bad;

	if (!o->f)
		return NULL;
	bad = ferror(o->f) != 0;
	if (fclose(o->f) != 0)
		bad = true;
	o->f = NULL;
	if (bad) {
		free(o->text);
		o->text = NULL;
	}
	return o->text;
}

const char *view_str(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s && s[0] ? s : "-";
}

double view_num(const json_t *object, const char *key, double fallback)
{
	const json_t *v = json_object_get(object, key);

	return json_is_number(v) ? json_number_value(v) : fallback;
}

const json_t *view_list(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	return json_is_array(v) ? v : NULL;
}

bool view_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

bool view_is(const json_t *object, const char *key, const char *value)
{
	return strcmp(view_str(object, key), value) == 0;
}

struct sort_key {
	json_t *item;
	const char *namespace;
	double number;
	const char *name;
};

static int compare_keys(const void *one, const void *other)
{
	const struct sort_key *a = one, *b = other;
	int d = strverscmp(a->namespace, b->namespace);

	if (d)
		return d;
	return a->number != b->number ? (a->number > b->number) - (a->number < b->number) :
					strverscmp(a->name, b->name);
}

json_t *view_sorted(const json_t *object, const char *key, const char *number, const char *name)
{
	const json_t *list = view_list(object, key);
	size_t count = json_array_size(list);
	struct sort_key *keys = calloc(count + 1, sizeof(*keys));
	json_t *sorted = json_array();

	for (size_t i = 0; keys && i < count; i++) {
		keys[i].item = json_array_get(list, i);
		keys[i].namespace = view_str(keys[i].item, "namespace");
		keys[i].number = number ? view_num(keys[i].item, number, -1) : 0;
		keys[i].name = view_str(keys[i].item, name);
	}
	if (keys)
		qsort(keys, count, sizeof(*keys), compare_keys);
	for (size_t i = 0; keys && i < count; i++)
		json_array_append(sorted, keys[i].item);
	free(keys);
	return sorted;
}

const char *view_count(char *buf, const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	if (json_is_integer(v))
		snprintf(buf, VIEW_SHORT, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	else if (json_is_real(v))
		snprintf(buf, VIEW_SHORT, "%.0f", json_real_value(v));
	else
		snprintf(buf, VIEW_SHORT, "-");
	return buf;
}

const char *view_bytes(char *buf, double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	size_t u = 0;
	bool whole;

	while (bytes >= 1024 && u + 1 < sizeof(units) / sizeof(units[0])) {
		bytes /= 1024;
		u++;
	}
	whole = !(bytes > -1024 && bytes < 1024) || (int)(bytes * 10 + 0.5) % 10 == 0;
	snprintf(buf, VIEW_SHORT, whole ? "%.0f %s" : "%.1f %s", bytes, units[u]);
	return buf;
}

const char *view_age(char *buf, double seconds)
{
	unsigned long long s;

	if (!(seconds >= 0 && seconds < 1e15)) {
		snprintf(buf, VIEW_SHORT, "-");
		return buf;
	}
	s = (unsigned long long)seconds;
	if (s < 60)
		snprintf(buf, VIEW_SHORT, "%llu s", s);
	else if (s < 3600)
		snprintf(buf, VIEW_SHORT, "%llu min %02llu s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, VIEW_SHORT, "%llu h %02llu min", s / 3600, s / 60 % 60);
	else
		snprintf(buf, VIEW_SHORT, "%llu d %02llu h", s / 86400, s / 3600 % 24);
	return buf;
}

const char *view_time(char *buf, double us)
{
	if (!(us > 0 && us < 1e15))
		snprintf(buf, VIEW_SHORT, "-");
	else if (us < 1000)
		snprintf(buf, VIEW_SHORT, "%.1f us", us);
	else if (us < 1000000)
		snprintf(buf, VIEW_SHORT, "%.2f ms", us / 1e3);
	else
		snprintf(buf, VIEW_SHORT, "%.2f s", us / 1e6);
	return buf;
}

const char *view_date(char *buf, double seconds)
{
	time_t t = seconds > 0 && seconds < 1e11 ? (time_t)seconds : 0;
	struct tm tm;

	if (!t || !gmtime_r(&t, &tm) || !strftime(buf, VIEW_SHORT, "%Y-%m-%d %H:%M:%S UTC", &tm))
		snprintf(buf, VIEW_SHORT, "-");
	return buf;
}

const char *view_wait(char *buf, const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	if (json_is_number(v))
		snprintf(buf, VIEW_SHORT, "%g s", json_number_value(v));
	else
		snprintf(buf, VIEW_SHORT, json_is_null(v) ? "for ever" : "-");
	return buf;
}

const char *view_last(char *buf, size_t size, const json_t *ns, const json_t *server)
{
	double silent = view_num(server, "failover_silent", -1);

	if (silent >= 0 && silent == view_num(server, "takeover", -1))
		snprintf(buf, size, "I/O waits %g s, then goes on over another server", silent);
	else if (silent >= 0)
		snprintf(buf, size, "I/O waits %g s, then on-loss = %s", silent, view_str(ns, "on_loss"));
	else
		snprintf(buf, size, "I/O waits for ever");
	return buf;
}

struct each {
	struct view_path p;
	json_t *used;		/* the interfaces and portals that some path uses, as keys */
	void (*fn)(void *arg, const struct view_path *p);
	void *arg;
};

static void each_list(struct each *e, const json_t *of, const char *key)
{
	json_t *paths = view_sorted(of, key, NULL, "name"), *path;
	size_t i;

	json_array_foreach(paths, i, path) {
		e->p.path = path;
		e->fn(e->arg, &e->p);
	}
	json_decref(paths);
}

static void each_server(struct each *e)
{
	json_t *servers = view_sorted(e->p.ns, "servers", "id", "name"), *server;
	size_t i;

	json_array_foreach(servers, i, server) {
		e->p.server = server;
		each_list(e, server, "paths");
	}
	json_decref(servers);
	e->p.server = NULL;
	each_list(e, e->p.ns, "unassigned");
}

/* Keys of one object for both: no name has a slash. */
static void interface_key(char *key, size_t size, const json_t *path)
{
	snprintf(key, size, "%s", view_str(path, "interface"));
}

static void portal_key(char *key, size_t size, const json_t *path)
{
	snprintf(key, size, "/%s", view_str(path, "server"));
}

static void note_used(void *arg, const struct view_path *p)
{
	json_t *used = arg;
	char key[128];

	if (view_is(p->path, "state", "unused"))
		return;
	interface_key(key, sizeof(key), p->path);
	json_object_set_new(used, key, json_true());
	portal_key(key, sizeof(key), p->path);
	json_object_set_new(used, key, json_true());
}

/* A portal that a server told of, and that cannot be reached from here: no trouble. */
static bool never_reached(const json_t *path)
{
	return view_true(path, "learned") && !view_is(path, "state", "up") &&
	       !json_is_string(json_object_get(path, "lost_reason"));
}

static void give(void *arg, const struct view_path *p)
{
	const struct each *e = arg;
	struct view_path with = *p;
	char interface[128], portal[128];

	interface_key(interface, sizeof(interface), p->path);
	portal_key(portal, sizeof(portal), p->path);
	with.spare = (view_is(p->path, "state", "unused") && json_object_get(e->used, interface) &&
		      json_object_get(e->used, portal)) || never_reached(p->path);
	e->fn(e->arg, &with);
}

void view_each_path(const json_t *ns, size_t ns_index,
		    void (*fn)(void *arg, const struct view_path *p), void *arg)
{
	json_t *used = json_object();
	struct each with_spare = { .used = used, .fn = fn, .arg = arg };
	struct each note = { .p = { .ns = ns, .ns_index = ns_index }, .fn = note_used, .arg = used };
	struct each all = { .p = note.p, .fn = give, .arg = &with_spare };

	each_server(&note);
	each_server(&all);
	json_decref(used);
}

bool view_offers(const json_t *volume, const char *server)
{
	json_t *leg;
	size_t i;

	json_array_foreach(view_list(volume, "legs"), i, leg)
		if (view_is(leg, "server", server))
			return true;
	return view_is(volume, "server", server);
}

const char *view_volume_trouble(char *buf, size_t size, const json_t *volume)
{
	bool read_only = view_true(volume, "read_only");
	const char *holder = json_string_value(json_object_get(volume, "reserved_by"));
	double left = view_num(volume, "give_up_in", -1);
	int n = 0;

	buf[0] = 0;
	if (!view_is(volume, "state", "ready"))
		n = snprintf(buf, size, "%s", view_str(volume, "state"));
	/* Rounded up: what is to come is not shown as past. */
	if (n > 0 && (size_t)n < size && left >= 0 && left < 1e9)
		n += snprintf(buf + n, size - (size_t)n, ", gives up in %ld s",
			      (long)left + (left > (double)(long)left));
	if (read_only && n >= 0 && (size_t)n < size)
		n += snprintf(buf + n, size - (size_t)n, "%sread-only", n ? ", " : "");
	if (holder && n >= 0 && (size_t)n < size)
		snprintf(buf + n, size - (size_t)n, "%sreserved by %s", n ? ", " : "", holder);
	return buf;
}
