/*
 * probe.c - see probe.h.
 *
 * All pairs are paths of one namespace, as they are in rsiod: a server has one session with a node, and
 * several logins of their own would end each other.  The policy is round-robin, so that reads of a
 * server's first volume, one after another, come over each of its paths.  What the paths
 * are doing is looked at in the namespace's status, which has the words for the user too.
 *
 * The end is orderly: each path says goodbye.  A server that did not hear one would take the node name
 * for taken until it has missed the client for long enough.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "loop.h"
#include "mpio.h"
#include "namespace.h"
#include "probe.h"
#include "secure.h"
#include "wire.h"

#define LOOK_EVERY (10 * 1000 * 1000ull)	/* ns */
#define LOOKS_A_QUESTION 10			/* go_on is asked in each tenth look */
#define STOP_TIME (2 * 1000 * 1000 * 1000ull)
#define READ_MAX 4096u
#define READS_A_PAIR 8				/* that a pair may miss before it counts as left out */

struct server {					/* one that listed its volumes */
	char name[64];
	size_t volumes;
	struct mpio *volume;			/* that is read from, or NULL */
	struct command read;
	bool busy;
	unsigned reads;
	int error;
	struct server *next;
};

struct probe {
	const struct probe_wish *wish;
	struct probe_result *result;
	bool *known;				/* for each pair */
	struct conf_client conf;		/* of the wish's, with one namespace of our own */
	struct conf_namespace *conf_ns;
	struct loop *loop;
	struct namespace *ns;
	struct loop_timer timer;
	struct server *servers;
	uint64_t start, stop_at;
	unsigned looks;
	bool stopping, stopped, cancelled;
};

const char *probe_state_name(enum probe_state s)
{
	static const char *const names[] = {
		[PROBE_NOTHING] = "nothing", [PROBE_NO_WAY] = "no-way", [PROBE_ANSWERED] = "answered", [PROBE_IN] = "in",
		[PROBE_LISTED] = "listed", [PROBE_READ] = "read", [PROBE_NOT_READ] = "not-read",
	};

	return names[s];
}

static const char *text_of(const json_t *j, const char *name)
{
	const char *text = json_string_value(json_object_get(j, name));

	return text ? text : "";
}

/* Pairs. */

static bool same_pair(const struct probe_pair *p, const json_t *path)
{
	const char *interface = text_of(path, "interface");

	return strcmp(p->portal, text_of(path, "server")) == 0 &&
	       strcmp(*p->interface ? p->interface : "any", interface) == 0;
}

static const char *portal_address(const struct probe *p, const char *portal)
{
	for (size_t i = 0; i < p->conf_ns->portal_count; i++)
		if (strcmp(p->conf_ns->portals[i].name, portal) == 0)
			return p->conf_ns->portals[i].address;
	return "";
}

/* The paths that there are when nobody has answered yet. */
static int make_pairs(struct probe *p, struct err *e)
{
	json_t *status = namespace_servers(p->ns), *paths = json_object_get(status, "unassigned"), *path;
	size_t n = json_array_size(paths), i;

	p->result->pairs = calloc(n + 1, sizeof(*p->result->pairs));
	p->known = calloc(n + 1, sizeof(*p->known));
	if (!p->result->pairs || !p->known) {
		json_decref(status);
		return err_set(e, ENOMEM, "no memory");
	}
	p->result->count = n;
	json_array_foreach(paths, i, path) {
		struct probe_pair *pair = &p->result->pairs[i];
		const char *interface = p->conf.interface_count ? text_of(path, "interface") : "";

		snprintf(pair->interface, sizeof(pair->interface), "%s", interface);
		snprintf(pair->portal, sizeof(pair->portal), "%s", text_of(path, "server"));
		snprintf(pair->address, sizeof(pair->address), "%s", portal_address(p, pair->portal));
		pair->port = (int)json_integer_value(json_object_get(path, "port"));
		pair->round_trip = -1;
		pair->server_id = -1;
	}
	json_decref(status);
	return n ? 0 : err_set(e, EHOSTUNREACH, "none of this host's interfaces is of the kind of any portal of namespace %s",
			       p->conf_ns->name);
}

static void tell(struct probe *p, size_t i)
{
	struct probe_pair *pair = &p->result->pairs[i];

	p->known[i] = true;
	pair->took = (double)(loop_now(p->loop) - p->start) / 1e9;
	p->result->good += pair->good;
	p->result->no_way += pair->state == PROBE_NO_WAY;
	if (p->wish->known)
		p->wish->known(p->wish->arg, pair);
}

static void is_good(struct probe *p, size_t i, enum probe_state state)
{
	p->result->pairs[i].state = state;
	p->result->pairs[i].good = true;
	*p->result->pairs[i].why = 0;
	tell(p, i);
}

/* Servers and their volumes. */

static bool is_of(struct mpio *v, const char *server)
{
	json_t *j = namespace_volume_status(v), *leg;
	bool is = strcmp(text_of(j, "server"), server) == 0;
	size_t i;

	json_array_foreach(json_object_get(j, "legs"), i, leg)
		is |= strcmp(text_of(leg, "server"), server) == 0;
	json_decref(j);
	return is;
}

static void count_volume(void *arg, struct mpio *v)
{
	struct server *s = arg;

	if (!is_of(v, s->name))
		return;
	s->volumes++;
	if (!s->volume && mpio_info(v)->size && mpio_info(v)->block_size)
		s->volume = mpio_get(v);
}

static struct server *find_server(struct probe *p, const char *name)
{
	struct server *s = p->servers;

	while (s && strcmp(s->name, name) != 0)
		s = s->next;
	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->next = p->servers;
	p->servers = s;
	namespace_each_volume(p->ns, count_volume, s);
	return s;
}

static void read_done(struct command *c, int error, const uint8_t *payload, uint32_t length)
{
	struct server *s = container_of(c, struct server, read);

	(void)payload;
	(void)length;
	s->busy = false;
	s->reads++;
	s->error = error;
}

static void read_given_up(struct command *c, int error)
{
	container_of(c, struct server, read)->error = error;
}

static void read_block(struct server *s)
{
	uint32_t size = mpio_info(s->volume)->block_size;

	s->read = (struct command){ .type = WIRE_READ, .count = size < READ_MAX ? size : READ_MAX, .done = read_done,
				    .give_up = read_given_up };
	s->busy = true;
	mpio_submit(s->volume, &s->read);
}

/* What the pair's server has to do yet; wants_read is set when it is a read. */
static void look_at_listed(struct probe *p, size_t i, const json_t *path, struct server *s, bool *wants_read)
{
	struct probe_pair *pair = &p->result->pairs[i];
	json_t *rtt = json_object_get(path, "rtt_us");

	pair->volumes = s->volumes;
	if (json_is_number(rtt))
		pair->round_trip = json_number_value(rtt) / 1e6;
	if (!p->wish->read || !s->volume) {
		is_good(p, i, PROBE_LISTED);
		return;
	}
	snprintf(pair->volume, sizeof(pair->volume), "%s", mpio_info(s->volume)->name);
	if (json_integer_value(json_object_get(path, "read_bytes"))) {
		is_good(p, i, PROBE_READ);
	} else if (s->error || s->reads > READS_A_PAIR * p->result->count) {
		pair->state = PROBE_NOT_READ;
		snprintf(pair->why, sizeof(pair->why), "block 0 of %s cannot be read%s%s", pair->volume, s->error ? ": " : " this way",
			 s->error ? strerrordesc_np(-s->error) : "");
		tell(p, i);
	} else {
		*wants_read = true;
	}
}

static void look_at_path(struct probe *p, const json_t *path, const json_t *server)
{
	const char *state = text_of(path, "state"), *reason = text_of(path, "reason");
	struct server *s = NULL;
	struct probe_pair *pair;
	bool wants_read = false;
	size_t i = 0;

	while (i < p->result->count && !same_pair(&p->result->pairs[i], path))
		i++;
	if (i == p->result->count || p->known[i])
		return;
	pair = &p->result->pairs[i];
	if (server) {
		pair->state = PROBE_ANSWERED;
		snprintf(pair->server, sizeof(pair->server), "%s", text_of(server, "name"));
		snprintf(pair->version, sizeof(pair->version), "%s", text_of(server, "version"));
		pair->server_id = (int)json_integer_value(json_object_get(server, "id"));
	}
	if (*text_of(path, "refused"))
		pair->state = PROBE_ANSWERED;
	snprintf(pair->why, sizeof(pair->why), "%s", reason);
	pair->in_use = strcmp(text_of(path, "refused"), wire_status_name(WIRE_E_IN_USE)) == 0;
	if (strcmp(state, "unused") == 0)
		pair->state = PROBE_NO_WAY;
	if (strcmp(state, "up") == 0 || pair->in_use)
		pair->state = PROBE_IN;
	/* That a name is in use does not change while who uses it is there. */
	if (pair->in_use ||
	    (*reason && (strcmp(state, "unused") == 0 || (!p->wish->patient && strcmp(state, "down") == 0)))) {
		tell(p, i);
		return;
	}
	if (strcmp(state, "up") == 0 && json_is_true(json_object_get(server, "listed")))
		s = find_server(p, pair->server);
	if (s)
		look_at_listed(p, i, path, s, &wants_read);
	if (wants_read && !s->busy)
		read_block(s);
}

/* The whole. */

static void stopped(void *arg)
{
	struct probe *p = arg;

	p->stopped = true;
	loop_stop(p->loop);
}

static void let_volumes_go(struct probe *p)
{
	for (struct server *s = p->servers; s; s = s->next) {
		if (s->volume && !s->busy)
			mpio_put(s->volume);
		if (!s->busy)
			s->volume = NULL;
	}
}

static void end(struct probe *p)
{
	if (p->stopping)
		return;
	p->stopping = true;
	p->stop_at = loop_now(p->loop) + STOP_TIME;
	let_volumes_go(p);
	namespace_stop(p->ns, stopped, p);
}

static void look_at_paths(struct probe *p, const json_t *paths, const json_t *server)
{
	json_t *path;
	size_t i;

	json_array_foreach(paths, i, path)
		look_at_path(p, path, server);
}

static bool all_known(const struct probe *p)
{
	for (size_t i = 0; i < p->result->count; i++)
		if (!p->known[i])
			return false;
	return true;
}

static void too_late(struct probe *p)
{
	for (size_t i = 0; i < p->result->count; i++) {
		struct probe_pair *pair = &p->result->pairs[i];

		if (p->known[i])
			continue;
		if (!*pair->why)
			snprintf(pair->why, sizeof(pair->why), "it was not done within %g s", p->wish->limit);
		tell(p, i);
	}
}

static void look(struct probe *p)
{
	json_t *status = namespace_servers(p->ns), *server;
	size_t i;

	look_at_paths(p, json_object_get(status, "unassigned"), NULL);
	json_array_foreach(json_object_get(status, "servers"), i, server)
		look_at_paths(p, json_object_get(server, "paths"), server);
	json_decref(status);
}

static void tick(struct loop_timer *t)
{
	struct probe *p = container_of(t, struct probe, timer);
	uint64_t now = loop_now(p->loop);

	loop_arm(p->loop, t, now + LOOK_EVERY);
	if (p->stopping) {
		if (now >= p->stop_at)
			loop_stop(p->loop);
		return;
	}
	look(p);
	if (p->wish->go_on && p->looks++ % LOOKS_A_QUESTION == 0 && !p->wish->go_on(p->wish->arg))
		p->cancelled = true;
	else if (!all_known(p) && (double)(now - p->start) / 1e9 >= p->wish->limit)
		too_late(p);
	if (p->cancelled || all_known(p))
		end(p);
}

static void flush(void *arg)
{
	namespace_flush(((struct probe *)arg)->ns);
}

static void ignore_volume(void *arg, struct namespace *ns, struct mpio *v)
{
	(void)arg;
	(void)ns;
	(void)v;
}

static void ignore(void *arg, struct namespace *ns)
{
	(void)arg;
	(void)ns;
}

static const struct namespace_ops ops = {
	.added = ignore_volume, .removed = ignore_volume, .resized = ignore_volume, .changed = ignore,
};

/* The namespace as it is, but for how paths are picked, and that there are no other portals than its own. */
static int set_up(struct probe *p, struct err *e)
{
	struct namespace_identity id;

	if (secure_random(&id, sizeof(id)))
		return err_set(e, EIO, "no random numbers");
	p->conf_ns = secure_alloc(sizeof(*p->conf_ns));
	p->loop = loop_new();
	if (!p->conf_ns || !p->loop)
		return err_set(e, ENOMEM, "no memory");
	*p->conf_ns = p->wish->conf->namespaces[p->wish->namespace];
	p->conf_ns->behaviour.learn_portals = false;
	p->conf_ns->behaviour.policy = POLICY_ROUND_ROBIN;
	memset(&p->conf_ns->behaviour.shares, 0, sizeof(p->conf_ns->behaviour.shares));
	p->conf = *p->wish->conf;
	p->conf.namespaces = p->conf_ns;
	p->conf.namespace_count = 1;
	p->conf.volumes = NULL;
	p->conf.volume_count = 0;
	p->ns = namespace_new(p->loop, &p->conf, 0, &id, &ops, p, e);
	return p->ns ? make_pairs(p, e) : -e->code;
}

static void clean_up(struct probe *p)
{
	struct server *s, *next;

	if (p->loop)
		loop_disarm(p->loop, &p->timer);
	/* A read that is still under way ends with the namespace. */
	if (p->ns)
		namespace_free(p->ns);
	for (s = p->servers; s; s = next) {
		next = s->next;
		free(s);
	}
	if (p->loop)
		loop_free(p->loop);
	secure_free(p->conf_ns);
	free(p->known);
}

int probe_run(const struct probe_wish *w, struct probe_result *result, struct err *e)
{
	struct probe p = { .wish = w, .result = result };
	int r;

	memset(result, 0, sizeof(*result));
	r = set_up(&p, e);
	if (!r) {
		p.start = loop_clock();
		p.timer.fire = tick;
		loop_arm(p.loop, &p.timer, p.start);
		loop_run(p.loop, flush, &p);
		if (p.cancelled)
			r = err_set(e, ECANCELED, "it was not waited for");
	}
	clean_up(&p);
	return r;
}

void probe_result_free(struct probe_result *r)
{
	free(r->pairs);
	memset(r, 0, sizeof(*r));
}
