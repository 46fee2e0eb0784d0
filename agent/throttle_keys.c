/* throttle_keys.c - a volume's limits as its meta has them, and as they are shown: see throttle.h. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine.h"
#include "log.h"
#include "meta.h"
#include "server.h"
#include "throttle_impl.h"

static const char *const keys[THROTTLE_KEYS] = { THROTTLE_IOPS, THROTTLE_MBPS, THROTTLE_BURST };

struct own *throttle_own(struct throttle *t, const char *node)
{
	struct own *o;

	for (o = atomic_load_explicit(&t->owns, memory_order_acquire); o; o = o->next)
		if (strcmp(o->node, node) == 0)
			return o;
	return NULL;
}

void throttle_lines(const char *client, const struct limit_rates *r, struct throttle_line lines[THROTTLE_KEYS])
{
	double values[THROTTLE_KEYS] = { (double)r->iops, r->mbps, r->burst };

	for (int i = 0; i < THROTTLE_KEYS; i++) {
		snprintf(lines[i].key, sizeof(lines[i].key), "%s%s%s", keys[i], client ? "@" : "", client ? client : "");
		lines[i].value[0] = 0;
		/* A burst of nothing is none. */
		if (values[i] > 0 && (r->iops || r->mbps > 0))
			snprintf(lines[i].value, sizeof(lines[i].value), "%.10g", values[i]);
	}
}

static bool set_value(struct limit_rates *r, int key, const char *text)
{
	static const double most[THROTTLE_KEYS] = { LIMIT_IOPS_MAX, LIMIT_MBPS_MAX, LIMIT_BURST_MAX };
	char *end;
	double n = strtod(text, &end);

	if (end == text || (*end && *end != '\n') || !isfinite(n) || n < 0 || n > most[key])
		return false;
	if (key == 0)
		r->iops = n > 0 && n < 1 ? 1 : (uint64_t)n;
	else if (key == 1)
		r->mbps = n;
	else
		r->burst = n;
	return true;
}

struct limit_rates throttle_read(const struct meta *m, const char *client)
{
	struct limit_rates r = { 0 };
	struct throttle_line lines[THROTTLE_KEYS];
	char text[32];

	throttle_lines(client, &r, lines);
	for (int i = 0; i < THROTTLE_KEYS; i++)
		if (meta_get(m, lines[i].key, text, sizeof(text)))
			set_value(&r, i, text);
	return r;
}

/* Whose limits a line's key is about: those of all, of a client, or NULL. */
static struct limit_rates *rates_of(struct throttle *t, const char *at, size_t n)
{
	char node[WIRE_NAME_MAX + 1];
	struct own *o;

	if (!n)
		return &t->read;
	if (*at != '@' || n < 2 || n - 1 > WIRE_NAME_MAX)
		return NULL;
	snprintf(node, sizeof(node), "%.*s", (int)(n - 1), at + 1);
	o = throttle_own(t, node);
	if (o)
		return &o->read;
	o = calloc(1, sizeof(*o));
	if (!o)
		return NULL;
	snprintf(o->node, sizeof(o->node), "%s", node);
	o->next = atomic_load(&t->owns);
	atomic_store_explicit(&t->owns, o, memory_order_release);
	return &o->read;
}

/* "limit-iops@NODE = 500". */
static void read_line(struct throttle *t, const struct volume *v, const char *line)
{
	const char *equals = strstr(line, " = ");
	struct limit_rates *r;

	for (int i = 0; i < THROTTLE_KEYS && equals; i++) {
		size_t n = strlen(keys[i]);

		if (strncmp(line, keys[i], n) != 0 || (line[n] != ' ' && line[n] != '@'))
			continue;
		r = rates_of(t, line + n, (size_t)(equals - line) - n);
		if (!r || !set_value(r, i, equals + 3))
			log_warning("volume", "%s: its limit is not understood: %.*s", v->name, (int)strcspn(line, "\n"), line);
	}
}

static bool has_limit(const struct meta *m)
{
	return strncmp(m->more, "limit-", 6) == 0 || strstr(m->more, "\nlimit-");
}

static struct throttle *get_or_make(struct volume *v, const struct meta *m)
{
	struct throttle *t = throttle_of(v);

	if (t || !has_limit(m))
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		log_error("volume", "%s: no memory for its limits", v->name);
	return t;
}

static void visited(struct retire *r)
{
	free(r);
}

/* Whoever sleeps until a turn that is no more is woken. */
static void wake_loops(struct volume *v)
{
	struct retire *r = calloc(1, sizeof(*r));

	if (!r || !v->server->loop_count) {
		free(r);	/* they come round once a second */
		return;
	}
	r->done = visited;
	engine_retire(v->server, r);
}

void throttle_load(struct volume *v, const struct meta *m)
{
	struct throttle *t = get_or_make(v, m);
	const char *line;
	bool changed;

	if (!t)
		return;
	t->read = (struct limit_rates){ 0 };
	for (struct own *o = atomic_load(&t->owns); o; o = o->next)
		o->read = (struct limit_rates){ 0 };
	for (line = m->more; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		read_line(t, v, line);
	changed = limit_set(&t->all, &t->read);
	for (struct own *o = atomic_load(&t->owns); o; o = o->next)
		changed |= limit_set(&o->limit, &o->read);
	if (changed)
		atomic_fetch_add(&t->changes, 1);
	if (throttle_of(v) && changed)
		wake_loops(v);
	atomic_store_explicit(&v->throttle, t, memory_order_release);
}

void throttle_free(struct throttle *t)
{
	struct own *o, *next;

	for (o = t ? atomic_load(&t->owns) : NULL; o; o = next) {
		next = o->next;
		free(o);
	}
	free(t);
}

static json_t *limit_json(const struct limit *l)
{
	struct limit_rates r = limit_get(l);

	return json_pack("{s:I, s:f, s:f}", "iops", (json_int_t)r.iops, "mbps", r.mbps, "burst", r.burst);
}

json_t *throttle_json(const struct volume *v, const char *only)
{
	struct throttle *t = throttle_of(v);
	bool any = t && limit_is_set(&t->all);
	json_t *j, *clients = json_object();

	for (struct own *o = t ? atomic_load_explicit(&t->owns, memory_order_acquire) : NULL; o; o = o->next) {
		if (!limit_is_set(&o->limit) || (only && strcmp(o->node, only) != 0))
			continue;
		json_object_set_new(clients, o->node, limit_json(&o->limit));
		any = true;
	}
	if (!any) {
		json_decref(clients);
		return json_null();
	}
	j = limit_json(&t->all);
	json_object_set_new(j, "waiting", json_integer((json_int_t)atomic_load(&t->waiting)));
	json_object_set_new(j, "clients", clients);
	return j;
}
