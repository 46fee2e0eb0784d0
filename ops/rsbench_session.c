/* Requests over a session of the protocol, without the mount. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "conf.h"
#include "loop.h"
#include "mpio.h"
#include "opt.h"
#include "namespace.h"
#include "rsbench.h"

#define OPEN_TIME 10.0		/* seconds for the first path and the list of volumes */

struct unit {			/* one request that is always under way */
	struct command command;
	struct bench_io io;
	struct bench_session_state *state;
};

static struct bench_session_state {
	struct bench *bench;
	struct conf_client *conf;
	struct loop *loop;
	struct namespace *ns;
	struct mpio *volume;
	char wanted[CONF_NAME_MAX + 1];
	struct unit *units;
	unsigned busy;
	struct list idle;
	struct loop_timer timer;
	int error;
} state;

static void added(void *arg, struct namespace *ns, struct mpio *v)
{
	struct bench_session_state *s = arg;

	(void)ns;
	if (!s->volume && !strcmp(mpio_info(v)->name, s->wanted)) {
		s->volume = mpio_get(v);
		loop_stop(s->loop);
	}
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
	struct bench_session_state *s = arg;

	namespace_flush(s->ns);
}

static void too_late(struct loop_timer *t)
{
	(void)t;
	state.error = -ETIMEDOUT;
	loop_stop(state.loop);
}

/* Why there is no path: the first reason that a path gives. */
static int no_volume(struct err *e)
{
	json_t *status = namespace_status(state.ns), *paths = json_object_get(status, "unassigned"), *p;
	const char *why = NULL;
	size_t i;

	json_array_foreach(paths, i, p)
		if (!why)
			why = json_string_value(json_object_get(p, "reason"));
	if (why)
		err_set(e, EHOSTUNREACH, "%s: no server: %s", state.bench->target, why);
	else
		err_set(e, ENOENT, "%s: the servers of namespace %s do not offer this volume", state.bench->target,
			namespace_name(state.ns));
	json_decref(status);
	return -e->code;
}

static int read_conf(struct bench *b, const char *namespace, size_t *n, struct err *e)
{
	struct conf_report report = { 0 };
	char *path = b->o.config ? strdup(b->o.config) : conf_client_default_path();

	state.conf = conf_client_read(path, (gid_t)-1, &report);
	if (!state.conf) {
		conf_report_print("rsbench", &report);
		err_set(e, EINVAL, "the configuration %s cannot be used", path);
	}
	conf_report_free(&report);
	free(path);
	if (!state.conf)
		return -e->code;
	for (*n = 0; *n < state.conf->namespace_count; (*n)++)
		if (!strcmp(state.conf->namespaces[*n].name, namespace))
			return 0;
	return err_set(e, ENOENT, "the configuration has no namespace %s", namespace);
}

static int session_open_target(struct bench *b, struct err *e)
{
	char namespace[CONF_NAME_MAX + 1], *run_dir;
	struct namespace_identity id;
	size_t n = 0;
	int r;

	state.bench = b;
	r = conf_split_volume(b->target, namespace, state.wanted, e);
	if (r || (r = read_conf(b, namespace, &n, e)))
		return r;
	if (b->o.crc >= 0)
		state.conf->namespaces[n].behaviour.payload_crc = b->o.crc;
	run_dir = opt_run_dir(b->o.run_dir);
	r = namespace_identity_init(&id, run_dir, e);
	free(run_dir);
	if (r)
		return r;
	state.loop = loop_new();
	if (!state.loop)
		return err_sys(e, errno, "event loop");
	loop_set_poll(state.loop, (uint64_t)(b->o.poll * 1e9));
	state.ns = namespace_new(state.loop, state.conf, n, &id, &ops, &state, e);
	if (!state.ns)
		return -e->code;
	state.timer.fire = too_late;
	loop_arm(state.loop, &state.timer, loop_clock() + (uint64_t)(OPEN_TIME * 1e9));
	loop_run(state.loop, flush, &state);
	loop_disarm(state.loop, &state.timer);
	if (!state.volume)
		return no_volume(e);
	b->size = mpio_info(state.volume)->size;
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
	mpio_submit(state.volume, &u->command);
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
	struct bench_session_state *s = arg;

	namespace_flush(s->ns);
	s->bench->now = bench_clock();
	bench_progress(s->bench);
}

static void tick(struct loop_timer *t)
{
	loop_arm(state.loop, t, loop_now(state.loop) + 100000000);
}

static int session_run(struct bench *b, struct err *e)
{
	unsigned n = (unsigned)(b->o.depth * b->o.jobs);

	state.units = calloc(n, sizeof *state.units);
	if (!state.units)
		return err_set(e, ENOMEM, "no memory for %u requests", n);
	for (unsigned i = 0; i < n; i++) {
		struct unit *u = &state.units[i];

		u->command.done = done;
		u->command.give_up = give_up;
		u->io.job = i % (unsigned)b->o.jobs;
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
		loop_run(state.loop, after, &state);
	loop_disarm(state.loop, &state.timer);
	return state.error ? err_sys(e, -state.error, "%s", b->target) : 0;
}

static void stopped(void *arg)
{
	(void)arg;
	loop_stop(state.loop);
}

static void session_close_target(struct bench *b)
{
	if (state.ns) {
		if (state.volume)
			mpio_put(state.volume);
		namespace_stop(state.ns, stopped, NULL);
		loop_run(state.loop, flush, &state);
		namespace_free(state.ns);
	}
	for (int i = 0; state.units && i < b->o.depth * b->o.jobs; i++)
		free(state.units[i].io.buffer);
	free(state.units);
	loop_free(state.loop);
	conf_client_free(state.conf);
}

const struct bench_carrier bench_session = {
	.open = session_open_target, .run = session_run, .close = session_close_target,
};
