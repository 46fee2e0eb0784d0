/* Requests over sessions of the protocol, without the mount.  Several clients are as
 * many logins, under node names of their own, all on one loop. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conf.h"
#include "loop.h"
#include "mpio.h"
#include "opt.h"
#include "namespace.h"
#include "rsbench.h"

#define OPEN_TIME 10.0		/* seconds for the first path and the list of volumes */
#define ANSWER_TIME 2.0		/* seconds for the server's counters */

struct unit {			/* one request that is always under way */
	struct command command;
	struct bench_io io;
	struct mpio *volume;
};

struct client {			/* one login */
	struct conf_client *conf;
	struct namespace *ns;
	struct mpio *volume;
};

static struct {
	struct bench *bench;
	struct client *clients;
	unsigned client_count, ready, stopped;
	struct loop *loop;
	char wanted[CONF_VOLUME_MAX + 1];
	struct unit *units;
	unsigned unit_count, busy;
	struct loop_timer timer;
	int error;
} state;

static void added(void *arg, struct namespace *ns, struct mpio *v)
{
	struct client *c = arg;

	(void)ns;
	if (c->volume || strcmp(mpio_info(v)->name, state.wanted))
		return;
	c->volume = mpio_get(v);
	if (++state.ready == state.client_count)
		loop_stop(state.loop);
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
	.added = added, .removed = ignore_volume, .resized = ignore_volume, .changed = ignore,
};

static void flush(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < state.client_count; i++)
		if (state.clients[i].ns)
			namespace_flush(state.clients[i].ns);
}

static void too_late(struct loop_timer *t)
{
	(void)t;
	state.error = -ETIMEDOUT;
	loop_stop(state.loop);
}

static const char *first_reason(const json_t *paths)
{
	const char *why = NULL;
	json_t *p;
	size_t i;

	json_array_foreach(paths, i, p)
		if (!why)
			why = json_string_value(json_object_get(p, "reason"));
	return why;
}

/* Why this client has no volume: the first reason that a path gives.  A server that
 * refuses the login has said who it is, and has no list of volumes. */
static int no_volume(const struct client *c, struct err *e)
{
	json_t *status = namespace_status(c->ns), *server;
	const char *why = first_reason(json_object_get(status, "unassigned"));
	size_t i;

	json_array_foreach(json_object_get(status, "servers"), i, server)
		if (!why && !json_is_true(json_object_get(server, "listed")))
			why = first_reason(json_object_get(server, "paths"));
	if (why)
		err_set(e, EHOSTUNREACH, "%s: no server: %s", state.bench->target, why);
	else
		err_set(e, ENOENT, "%s: the servers of namespace %s do not offer this volume", state.bench->target,
			namespace_name(c->ns));
	json_decref(status);
	return -e->code;
}

static struct conf_client *read_conf(struct bench *b, const char *namespace, size_t *n, struct err *e)
{
	struct conf_report report = { 0 };
	char *path = b->o.config ? strdup(b->o.config) : conf_client_default_path();
	struct conf_client *conf = conf_client_read(path, (gid_t)-1, &report);

	if (!conf) {
		conf_report_print("rsbench", &report);
		err_set(e, EINVAL, "the configuration %s cannot be used", path);
	}
	conf_report_free(&report);
	free(path);
	if (!conf)
		return NULL;
	for (*n = 0; *n < conf->namespace_count; (*n)++)
		if (!strcmp(conf->namespaces[*n].name, namespace))
			return conf;
	conf_client_free(conf);
	err_set(e, ENOENT, "the configuration has no namespace %s", namespace);
	return NULL;
}

/* Each interface is tried with each portal: the first interfaces, then more portals. */
static void limit_paths(struct conf_client *conf, struct conf_namespace *ns, size_t paths)
{
	size_t portals;

	ns->behaviour.learn_portals = false;
	for (size_t i = paths; i < conf->interface_count; i++) {
		free(conf->interfaces[i].address);
		free(conf->interfaces[i].device);
	}
	if (conf->interface_count > paths)
		conf->interface_count = paths;
	portals = paths / (conf->interface_count ? conf->interface_count : 1);
	for (size_t i = portals; i < ns->portal_count; i++)
		free(ns->portals[i].address);
	if (ns->portal_count > portals)
		ns->portal_count = portals;
}

/* As rsiod waits. */
static void set_poll(const struct bench *b, const struct conf_namespace *ns)
{
	double poll = b->o.poll < 0 ? ns->behaviour.poll : b->o.poll;

	if (poll == CONF_POLL_AUTO)
		loop_expect(state.loop, bench_under_way(b));
	else
		loop_set_poll(state.loop, (uint64_t)(poll * 1e9));
}

/* With several clients each has a node name of its own, NODE-1, NODE-2 and so on. */
static int client_start(struct client *c, unsigned i, const char *namespace,
			const struct namespace_identity *id, struct err *e)
{
	struct bench *b = state.bench;
	struct conf_namespace *ns;
	size_t n = 0, length;

	c->conf = read_conf(b, namespace, &n, e);
	if (!c->conf)
		return -e->code;
	ns = &c->conf->namespaces[n];
	if (state.client_count > 1) {
		length = strlen(ns->nodename);
		if (snprintf(ns->nodename + length, sizeof ns->nodename - length, "-%u", i + 1) >=
		    (int)(sizeof ns->nodename - length))
			return err_set(e, EINVAL, "the node name is too long for -%u behind it", i + 1);
	}
	if (b->o.crc >= 0)
		ns->behaviour.payload_crc = b->o.crc;
	if (b->o.paths)
		limit_paths(c->conf, ns, (size_t)b->o.paths);
	if (i == 0)
		set_poll(b, ns);
	c->ns = namespace_new(state.loop, c->conf, n, id, &ops, c, e);
	return c->ns ? 0 : -e->code;
}

static int session_open_target(struct bench *b, struct err *e)
{
	char namespace[CONF_NAME_MAX + 1], *run_dir;
	struct namespace_identity id;
	int r;

	state.bench = b;
	r = conf_split_volume(b->target, namespace, state.wanted, e);
	if (r)
		return r;
	run_dir = opt_run_dir(b->o.run_dir);
	if (mkdir(run_dir, 0755) < 0 && errno != EEXIST) {
		r = err_sys(e, errno, "the run directory %s cannot be made", run_dir);
		err_next(e, "name another: --run-dir DIR");
	} else {
		r = namespace_identity_init(&id, run_dir, e);
	}
	free(run_dir);
	if (r)
		return r;
	state.loop = loop_new();
	state.clients = calloc((size_t)b->o.clients, sizeof *state.clients);
	if (!state.loop || !state.clients)
		return err_sys(e, errno, "event loop");
	state.client_count = (unsigned)b->o.clients;
	for (unsigned i = 0; !r && i < state.client_count; i++)
		r = client_start(&state.clients[i], i, namespace, &id, e);
	if (r)
		return r;
	state.timer.fire = too_late;
	loop_arm(state.loop, &state.timer, loop_clock() + (uint64_t)(OPEN_TIME * 1e9));
	loop_run(state.loop, flush, NULL);
	loop_disarm(state.loop, &state.timer);
	for (unsigned i = 0; i < state.client_count; i++)
		if (!state.clients[i].volume)
			return no_volume(&state.clients[i], e);
	b->size = mpio_info(state.clients[0].volume)->size;
	return 0;
}

static void issue(struct unit *u)
{
	if (!bench_next(state.bench, &u->io)) {
		if (--state.busy == 0)
			loop_stop(state.loop);
		return;
	}
	u->command.type = u->io.write ? WIRE_WRITE : WIRE_READ;
	u->command.offset = u->io.offset;
	u->command.count = u->io.count;
	u->command.data = u->io.buffer;
	mpio_submit(u->volume, &u->command);
}

static void done(struct command *c, int error, const uint8_t *payload, uint32_t length)
{
	struct unit *u = container_of(c, struct unit, command);

	(void)length;
	bench_done(state.bench, &u->io, error, payload);
	issue(u);
}

static void give_up(struct command *c, int error)
{
	(void)c;
	state.error = error;	/* done() follows when the path is back or the session ends */
}

static void after(void *arg)
{
	flush(arg);
	state.bench->now = bench_clock();
	bench_progress(state.bench);
}

static void tick(struct loop_timer *t)
{
	loop_arm(state.loop, t, loop_now(state.loop) + 100000000);
}

static int session_run(struct bench *b, struct err *e)
{
	unsigned n = bench_under_way(b);

	state.units = calloc(n, sizeof *state.units);
	if (!state.units)
		return err_set(e, ENOMEM, "no memory for %u requests", n);
	state.unit_count = n;
	for (unsigned i = 0; i < n; i++) {
		struct unit *u = &state.units[i];

		u->command.done = done;
		u->command.give_up = give_up;
		u->volume = state.clients[i % state.client_count].volume;
		u->io.job = i / state.client_count % (unsigned)b->o.jobs;
		u->io.buffer = aligned_alloc(4096, (b->o.block + 4095) / 4096 * 4096);
		if (!u->io.buffer)
			return err_set(e, ENOMEM, "no memory for %u requests", n);
		memset(u->io.buffer, 0x5a, b->o.block);
	}
	state.busy = n;
	state.timer.fire = tick;
	loop_arm(state.loop, &state.timer, loop_clock());
	for (unsigned i = 0; i < n; i++)
		issue(&state.units[i]);
	if (state.busy)
		loop_run(state.loop, after, NULL);
	loop_disarm(state.loop, &state.timer);
	return state.error ? err_sys(e, -state.error, "%s", b->target) : 0;
}

static void told(void *arg, int error, const char *text, size_t length)
{
	json_t *j = error ? NULL : json_loadb(text, length, 0, NULL);

	if (json_is_number(json_object_get(j, "cpu")))
		*(double *)arg = json_number_value(json_object_get(j, "cpu"));
	json_decref(j);
	loop_stop(state.loop);
}

static void no_answer(struct loop_timer *t)
{
	(void)t;
	loop_stop(state.loop);
}

/* All clients use the volume of one server. */
static double session_server_cpu(struct bench *b)
{
	static double cpu;	/* an answer that comes too late finds it */

	(void)b;
	cpu = -1;
	if (mpio_ask_server(state.clients[0].volume, "{\"do\":\"counters\"}", told, &cpu))
		return -1;
	state.timer.fire = no_answer;
	loop_arm(state.loop, &state.timer, loop_clock() + (uint64_t)(ANSWER_TIME * 1e9));
	loop_run(state.loop, flush, NULL);
	loop_disarm(state.loop, &state.timer);
	return cpu;
}

static void stopped(void *arg)
{
	(void)arg;
	if (--state.stopped == 0)
		loop_stop(state.loop);
}

static void session_close_target(struct bench *b)
{
	(void)b;
	for (unsigned i = 0; i < state.client_count; i++) {
		struct client *c = &state.clients[i];

		if (!c->ns)
			continue;
		if (c->volume)
			mpio_put(c->volume);
		state.stopped++;
		namespace_stop(c->ns, stopped, NULL);
	}
	if (state.stopped)
		loop_run(state.loop, flush, NULL);
	for (unsigned i = 0; i < state.client_count; i++) {
		if (state.clients[i].ns)
			namespace_free(state.clients[i].ns);
		conf_client_free(state.clients[i].conf);
	}
	for (unsigned i = 0; i < state.unit_count; i++)
		free(state.units[i].io.buffer);
	free(state.units);
	free(state.clients);
	loop_free(state.loop);
}

const struct bench_carrier bench_session = {
	.open = session_open_target, .run = session_run, .server_cpu = session_server_cpu, .close = session_close_target,
};
