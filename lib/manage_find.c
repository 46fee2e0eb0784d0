/*
 * manage_find.c - which server is to be asked: the one that offers the volumes that the work
 * names; for a new volume the one that has the pool.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "manage_impl.h"

#define ASK_WITHIN 5.0		/* seconds for each of several servers to say what pools it has */

struct session *manage_server(const struct namespace *ns, const char *name)
{
	struct list *l;

	list_each(l, &ns->sessions) {
		struct session *s = container_of(l, struct session, link);

		if (s->established && !strcmp(s->name, name))
			return s;
	}
	return NULL;
}

static size_t count_servers(const struct namespace *ns, struct session **one)
{
	struct list *l;
	size_t n = 0;

	list_each(l, &ns->sessions) {
		struct session *s = container_of(l, struct session, link);

		if (!s->established)
			continue;
		*one = s;
		n++;
	}
	return n;
}

/* The names of all servers, or of those that offer v, in one line. */
static const char *server_names(const struct namespace *ns, const struct mpio *v, char *buf, size_t size)
{
	struct list *l;
	size_t used = 0;

	buf[0] = 0;
	list_each(l, &ns->sessions) {
		const struct session *s = container_of(l, struct session, link);
		const struct mpio_leg *g = v ? mpio_leg_of(v, s) : NULL;

		if (s->established && (!v || (g && g->offered)) && used + 1 < size)
			used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? ", " : "", s->name);
	}
	return buf;
}

static struct session *only_server(const struct namespace *ns, struct err *e)
{
	char names[ERR_NEXT_MAX];
	struct session *s = NULL;
	size_t n = count_servers(ns, &s);

	if (n == 1)
		return s;
	if (n == 0) {
		err_set(e, ENOTCONN, "no server of namespace %s has been reached", ns->name);
		err_next(e, "rsconfig -m status shows why");
	} else {
		err_set(e, EINVAL, "namespace %s has %zu servers: which one is meant?", ns->name, n);
		err_next(e, "name it with --server: %s", server_names(ns, NULL, names, 160));
	}
	return NULL;
}

/* A volume by the name in front of @SNAP. */
static struct mpio *find_volume(const struct namespace *ns, const char *name)
{
	char base[WIRE_NAME_MAX + 1];
	size_t n = strcspn(name, "@");

	if (n > WIRE_NAME_MAX)
		return NULL;
	snprintf(base, sizeof base, "%.*s", (int)n, name);
	return namespace_volume((struct namespace *)ns, base);
}

/* Of several the first that is reached now. */
static struct session *session_of(const struct mpio *v)
{
	struct session *first = mpio_session(v);

	for (unsigned i = 0; i < v->leg_count && !first->up; i++)
		if (v->legs[i].offered && v->legs[i].session->up)
			return v->legs[i].session;
	return first;
}

struct session *manage_server_of(const struct namespace *ns, const char *volume, struct err *e)
{
	const struct mpio *v = volume ? find_volume(ns, volume) : NULL;
	struct session *any;

	if (v)
		return session_of(v);
	if (!volume || !count_servers(ns, &any))
		return only_server(ns, e);
	err_set(e, ENOENT, "there is no volume %s:%.80s", ns->name, volume);
	err_next(e, "rsvol ls shows those that this client may see");
	return NULL;
}

/* All of them must be one server's: a snapshot of several volumes is one point in time there. */
static struct session *server_of_all(const struct namespace *ns, const json_t *volumes, struct err *e)
{
	struct session *s = NULL, *other;
	const char *first = "";
	json_t *name;
	size_t i;

	json_array_foreach(volumes, i, name) {
		const char *text = json_string_value(name);

		other = manage_server_of(ns, text ? text : "", e);
		if (!other)
			return NULL;
		if (s && other != s && !mpio_leg_of(find_volume(ns, text), s)) {
			err_set(e, EXDEV, "%s:%s is on server %s and %s:%s on %s: volumes of two servers have no moment in common",
				ns->name, first, s->name, ns->name, text, other->name);
			err_next(e, "take a snapshot of each server's volumes");
			return NULL;
		}
		if (!s) {
			s = other;
			first = text;
		}
	}
	return s ? s : only_server(ns, e);
}

/* A name that another server has already would be the same volume to nobody and two to all. */
static int check_free(const struct namespace *ns, const char *name, struct err *e)
{
	struct mpio *v = name ? namespace_volume((struct namespace *)ns, name) : NULL;
	char names[160];

	if (!v)
		return 0;
	err_set(e, EEXIST, "there is a volume %s:%s already, on %s", ns->name, name,
		server_names(ns, v, names, sizeof names));
	err_next(e, "choose another name");
	return -EEXIST;
}

static const char *member(const json_t *j, const char *name)
{
	return json_string_value(json_object_get(j, name));
}

static int find_for_create(struct manage *m, struct err *e)
{
	bool if_missing = json_is_true(json_object_get(m->work, "if_missing"));
	const char *name = member(m->work, "volume");
	struct mpio *there = name ? namespace_volume(m->ns, name) : NULL;
	json_t *question;
	int r;

	if (there && if_missing) {
		m->server = session_of(there);
		return 0;
	}
	if (check_free(m->ns, name, e) < 0)
		return -EEXIST;
	if (count_servers(m->ns, &m->server) <= 1) {
		m->server = only_server(m->ns, e);
		return m->server ? 0 : -ENOTCONN;
	}
	m->server = NULL;
	question = json_pack("{s:s}", "do", "pools");
	r = manage_ask_each(m, question, e);
	json_decref(question);
	return r;
}

int manage_find(struct manage *m, struct err *e)
{
	const json_t *volumes = json_object_get(m->work, "volumes");
	const char *op = member(m->work, "op"), *volume = member(m->work, "volume");

	if (op && !strcmp(op, "create"))
		return find_for_create(m, e);
	if (check_free(m->ns, member(m->work, "to"), e) < 0)
		return -EEXIST;
	m->server = json_is_array(volumes) ? server_of_all(m->ns, volumes, e) :
					     manage_server_of(m->ns, volume ? volume : "", e);
	return m->server ? 0 : -e->code;
}

/* Done once more it would lose what was written since it was done. */
static bool loses_content(const struct manage *m, const char *op)
{
	return !strcmp(op, "rollback") || (!strcmp(op, "resize") && json_object_get(m->work, "confirm"));
}

void manage_identify(struct manage *m)
{
	const char *op = member(m->work, "op"), *volume = member(m->work, "volume"), *snapshot = member(m->work, "snapshot");
	char name[WIRE_VOLUME_NAME_MAX + 1], uuid[2 * WIRE_UUID_SIZE + 5], *at = uuid;
	const struct mpio *v;

	if (!op || !volume || !strcmp(op, "create") || json_object_get(m->work, "uuid"))
		return;
	if (!strcmp(op, "snapshot_remove") && snapshot)
		snprintf(name, sizeof name, "%s@%s", volume, snapshot);
	else
		snprintf(name, sizeof name, "%s", volume);
	v = namespace_volume(m->ns, name);
	if (!v)
		return;
	for (size_t i = 0; i < WIRE_UUID_SIZE; i++)
		at += sprintf(at, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", v->info.uuid[i]);
	json_object_set_new(m->work, "uuid", json_string(uuid));
	if (loses_content(m, op))
		json_object_set_new(m->work, "generation", json_sprintf("%llu", (unsigned long long)v->info.generation));
}

/* Several servers. */

static void part_done(void *arg, const char *server, json_t *result, const struct err *e)
{
	struct manage_part *p = arg;
	struct manage *m = p->whole;
	const char *code = result ? NULL : strerrorname_np(e->code);

	(void)server;
	p->part = NULL;
	if (result)
		json_array_append_new(m->answers, json_pack("{s:s, s:O}", "server", p->server, "answer", result));
	else
		json_array_append_new(m->answers, json_pack("{s:s, s:{s:s, s:s, s:s}}", "server", p->server, "error",
							    "code", code ? code : "EIO", "text", e->text, "next", e->next));
	if (--m->parts_left == 0)
		loop_arm(m->ns->loop, &m->step, loop_now(m->ns->loop));
}

static const struct manage_calls part_calls = { .done = part_done };

int manage_ask_each(struct manage *m, const json_t *question, struct err *e)
{
	struct manage_wish w = { .limit = ASK_WITHIN };
	struct session *any;
	size_t n = count_servers(m->ns, &any);
	struct list *l;

	if (n == 0) {
		only_server(m->ns, e);
		return -ENOTCONN;
	}
	m->state = MANAGE_FINDING;
	m->parts = calloc(n, sizeof *m->parts);
	m->answers = json_array();
	if (!m->parts || !m->answers)
		return err_set(e, ENOMEM, "no memory to ask %zu servers", n);
	list_each(l, &m->ns->sessions) {
		const struct session *s = container_of(l, struct session, link);
		struct manage_part *p = &m->parts[m->part_count];

		if (!s->established)
			continue;
		m->part_count++;
		p->whole = m;
		strcpy(p->server, s->name);
		w.server = p->server;
		p->part = manage_ask(m->ns, &w, json_deep_copy(question), &part_calls, p, e);
		if (!p->part)
			return -e->code;
	}
	m->parts_left = m->part_count;
	return 0;
}

/* Where a new volume could be made. */
struct place {
	struct session *server;
	const char *pool;
	bool there, allowed;		/* a pool of that name; one that this client may use */
	size_t count;
	char text[ERR_NEXT_MAX];	/* all of them */
};

static void look_at_pool(const struct manage *m, const char *server, const json_t *pool, struct place *p)
{
	const char *wanted = member(m->work, "pool"), *name = member(pool, "name"), *owner = member(pool, "owner");
	struct session *s = manage_server(m->ns, owner && *owner ? owner : server);
	size_t used = strlen(p->text);

	if (!name || !s || (wanted && strcmp(wanted, name) != 0))
		return;
	p->there = true;
	if (json_is_false(json_object_get(pool, "manage")))
		return;
	p->allowed = true;
	/* A pool that two servers reach is one pool, its owner's. */
	if (p->count && p->server == s && !strcmp(p->pool, name))
		return;
	p->count++;
	p->server = s;
	p->pool = name;
	snprintf(p->text + used, sizeof p->text - used, "%s%s on %s", used ? ", " : "", name, s->name);
}

static struct session *no_place(const struct manage *m, const struct place *p, struct err *e)
{
	const char *wanted = member(m->work, "pool");

	if (p->there && !p->allowed) {
		err_set(e, EACCES, "no pool%s%s of %s is this client's to manage", wanted ? " " : "", wanted ? wanted : "",
			m->ns->name);
		err_next(e, "the server's [pool] names with manage who may");
	} else {
		err_set(e, ENOENT, "no server of %s that answers has a pool%s%s", m->ns->name, wanted ? " " : "",
			wanted ? wanted : "");
		err_next(e, "rsvol pool ls shows those that there are");
	}
	return NULL;
}

struct session *manage_choose(struct manage *m, struct err *e)
{
	struct place p = { .count = 0 };
	json_t *answer, *pool;
	size_t i, j;

	json_array_foreach(m->answers, i, answer)
		json_array_foreach(json_object_get(json_object_get(answer, "answer"), "pools"), j, pool)
			look_at_pool(m, member(answer, "server"), pool, &p);
	if (p.count == 0)
		return no_place(m, &p, e);
	if (p.count == 1) {
		json_object_set_new(m->work, "pool", json_string(p.pool));
		return p.server;
	}
	err_set(e, EINVAL, "the volume could be made in %zu pools: %s", p.count, p.text);
	err_next(e, "name one with --pool%s", member(m->work, "pool") ? ", and its server with --server" : " or its server with --server");
	return NULL;
}
