/* scripted_client.c - see scripted.h: the client, and commands of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "conf.h"
#include "log.h"
#include "loop.h"
#include "namespace.h"
#include "scripted.h"

static struct {
	struct loop *loop;
	pthread_t thread;
	struct conf_client *conf;
	struct namespace *ns;
	char dir[32];
	pthread_mutex_t lock;		/* guards what the loop tells */
	pthread_cond_t cond;
	struct mpio *volume;		/* offered now */
	struct mpio *held;		/* the one with our mpio_get */
	struct io *ios;
	bool stopped;
} client = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

/* Waits until *flag under the lock. */
static void wait_until(bool (*is)(void *arg), void *arg, const char *what)
{
	struct timespec end;
	bool late = false;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += WAIT_S;
	pthread_mutex_lock(&client.lock);
	while (!is(arg) && !late)
		late = pthread_cond_timedwait(&client.cond, &client.lock, &end) == ETIMEDOUT;
	late = !is(arg);
	pthread_mutex_unlock(&client.lock);
	if (late)
		fail_msg("waited %d s for %s", WAIT_S, what);
}

static void told(void)
{
	pthread_cond_broadcast(&client.cond);
	pthread_mutex_unlock(&client.lock);
}

static void added(void *arg, struct namespace *ns, struct mpio *v)
{
	(void)arg;
	(void)ns;
	pthread_mutex_lock(&client.lock);
	client.volume = v;
	told();
}

static void removed(void *arg, struct namespace *ns, struct mpio *v)
{
	(void)arg;
	(void)ns;
	(void)v;
	pthread_mutex_lock(&client.lock);
	client.volume = NULL;
	told();
}

static void resized(void *arg, struct namespace *ns, struct mpio *v)
{
	(void)arg;
	(void)ns;
	(void)v;
}

static void changed(void *arg, struct namespace *ns)
{
	(void)arg;
	(void)ns;
	pthread_mutex_lock(&client.lock);
	told();
}

static const struct namespace_ops ns_ops = { added, removed, resized, changed };

static void after_round(void *arg)
{
	(void)arg;
	namespace_flush(client.ns);
}

static void *run_loop(void *arg)
{
	(void)arg;
	loop_run(client.loop, after_round, NULL);
	return NULL;
}

static void write_conf(const struct script *s, const struct client_setup *setup, const char *path)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f, "[namespace ns]\nnamespaceid = 3\nnodename = node\nnodekey = %s\nsecurity = auth\n", SCRIPT_KEY);
	fprintf(f, "retry = 0.05\nprobation = %g\non-loss = %s\npolicy = %s\npayload-crc = %s\nlearn-portals = %s\n",
		setup->probation, setup->on_loss ? setup->on_loss : "fail", setup->policy ? setup->policy : "fail-over",
		setup->no_crc ? "no" : "yes", setup->learns_none ? "no" : "yes");
	for (int i = 0; i < (setup->one_portal ? 1 : PORTALS); i++)
		fprintf(f, "[server portal%d]\naddress = 127.0.0.1\nport = %d\n", i, s->port[i]);
	fchmod(fileno(f), 0600);
	fclose(f);
}

static const char *log_path(void)
{
	static char path[64];

	snprintf(path, sizeof path, "%s/log", client.dir);
	return path;
}

unsigned client_logged(const char *what)
{
	struct err e = { 0 };
	struct log_reader *r = log_reader_open(log_path(), &e);
	char line[1024];
	uint64_t lost;
	unsigned n = 0;

	assert_non_null(r);
	while (log_reader_next(r, line, sizeof line, &lost) > 0)
		n += strstr(line, what) != NULL;
	log_reader_close(r);
	return n;
}

void client_start(struct script *s, const struct client_setup *setup)
{
	static struct namespace_identity id;
	struct conf_report report;
	struct err e = { 0 };
	char path[64];

	strcpy(client.dir, "/tmp/scripted-XXXXXX");
	assert_non_null(mkdtemp(client.dir));
	snprintf(path, sizeof path, "%s/conf", client.dir);
	write_conf(s, setup, path);
	log_open(log_path(), "node", getenv("SCRIPT_LOG") != NULL, &e);
	client.conf = conf_client_read(path, (gid_t)-1, &report);
	conf_report_print("conf", &report);
	conf_report_free(&report);
	assert_non_null(client.conf);
	/* Silence is no failure, but where it is the matter, and give-up may be shorter than what is allowed. */
	client.conf->namespaces[0].behaviour.detect = setup->detect > 0 ? setup->detect : 60;
	client.conf->namespaces[0].behaviour.give_up = setup->give_up > 0 ? setup->give_up : 60;
	assert_int_equal(namespace_identity_init(&id, client.dir, &e), 0);
	client.volume = client.held = NULL;
	client.ios = NULL;
	client.stopped = false;
	client.loop = loop_new();
	client.ns = namespace_new(client.loop, client.conf, 0, &id, &ns_ops, NULL, &e);
	assert_non_null(client.ns);
	assert_int_equal(pthread_create(&client.thread, NULL, run_loop, NULL), 0);
}

void client_stop(void)
{
	char path[64];
	struct io *io;

	/* From here on this thread owns everything. */
	loop_stop(client.loop);
	pthread_join(client.thread, NULL);
	if (client.held)
		mpio_put(client.held);
	namespace_free(client.ns);
	loop_free(client.loop);
	while ((io = client.ios)) {
		client.ios = io->next;
		if (!io->done)
			fail_msg("a command at %llu was never given back",
				 (unsigned long long)io->command.offset);
		free(io->data);
		free(io);
	}
	conf_client_free(client.conf);
	log_close();
	unlink(log_path());
	snprintf(path, sizeof path, "%s/conf", client.dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/rsiod.id", client.dir);
	unlink(path);
	rmdir(client.dir);
}

struct namespace *client_namespace(void)
{
	return client.ns;
}

void client_call(void (*fn)(void *arg), void *arg)
{
	assert_int_equal(loop_call(client.loop, fn, arg), 0);
}

static bool is_offered(void *arg)
{
	return client.volume && client.volume != arg;
}

bool client_offered(void)
{
	bool is;

	pthread_mutex_lock(&client.lock);
	is = client.volume;
	pthread_mutex_unlock(&client.lock);
	return is;
}

static void hold(void *arg)
{
	struct mpio *old = client.held;

	(void)arg;
	client.held = mpio_get(client.volume);
	if (old)
		mpio_put(old);
}

struct mpio *client_new_volume(const struct mpio *old)
{
	wait_until(is_offered, (void *)(uintptr_t)old, "a volume");
	client_call(hold, NULL);
	return client.held;
}

struct mpio *client_volume(void)
{
	return client_new_volume(NULL);
}

struct conn *script_begin(struct script *s, const struct client_setup *setup, uint8_t session)
{
	struct conn *c;

	client_start(s, setup);
	c = script_login(s, 0, session, 1);
	script_list(c);
	client_volume();
	script_open(c);
	return c;
}

static void kick(void *arg)
{
	(void)arg;
	namespace_kick(client.ns);
}

void client_kick(void)
{
	client_call(kick, NULL);
}

static void count_volume(void *arg, struct mpio *v)
{
	(void)v;
	++*(unsigned *)arg;
}

static void count_volumes(void *arg)
{
	namespace_each_volume(client.ns, count_volume, arg);
}

unsigned client_volumes(void)
{
	unsigned n = 0;

	client_call(count_volumes, &n);
	return n;
}

static void get_state(void *arg)
{
	*(enum mpio_state *)arg = mpio_state(client.held);
}

static void give_up_in(void *arg)
{
	*(double *)arg = mpio_give_up_in(client.held);
}

double client_gives_up_in(void)
{
	double left = 0;

	client_call(give_up_in, &left);
	return left;
}

enum mpio_state client_state(void)
{
	enum mpio_state s = MPIO_READY;

	client_call(get_state, &s);
	return s;
}

static void get_status(void *arg)
{
	*(json_t **)arg = namespace_status(client.ns);
}

/* All paths, of the first server and of none; a new reference. */
static json_t *all_paths(void)
{
	json_t *status = NULL, *paths;

	client_call(get_status, &status);
	paths = json_copy(json_object_get(status, "unassigned"));
	json_array_extend(paths, json_object_get(json_array_get(json_object_get(status, "servers"), 0), "paths"));
	json_decref(status);
	return paths;
}

size_t client_paths(void)
{
	json_t *paths = all_paths();
	size_t n = json_array_size(paths);

	json_decref(paths);
	return n;
}

bool client_named_path(const char *name, const char *key, char *out, size_t size)
{
	json_t *paths = all_paths(), *p, *v;
	bool found = false;
	size_t i;

	out[0] = 0;
	json_array_foreach(paths, i, p) {
		v = json_object_get(p, key);
		if (strcmp(json_string_value(json_object_get(p, "name")), name))
			continue;
		found = true;
		if (json_is_number(v))
			snprintf(out, size, "%g", json_number_value(v));
		else if (json_is_string(v))
			snprintf(out, size, "%s", json_string_value(v));
		else if (json_is_true(v))
			snprintf(out, size, "true");
	}
	json_decref(paths);
	return found;
}

void client_path(int portal, const char *key, char *out, size_t size)
{
	char name[32];

	snprintf(name, sizeof name, "any/portal%d", portal);
	client_named_path(name, key, out, size);
}

void client_path_becomes(int portal, const char *state)
{
	const struct timespec pause = { 0, 5000000 };
	char now[32];

	for (int i = 0; i < WAIT_S * 200; i++) {
		client_path(portal, "state", now, sizeof now);
		if (!strcmp(now, state))
			return;
		nanosleep(&pause, NULL);
	}
	fail_msg("path %d is %s, not %s", portal, now, state);
}

/* I/O. */

static void io_finished(struct command *c, int error, const uint8_t *payload, uint32_t length)
{
	struct io *io = container_of(c, struct io, command);

	pthread_mutex_lock(&client.lock);
	if (io->done)
		abort();
	if (c->type == WIRE_READ && !error) {
		free(io->data);
		io->data = malloc(length);
		memcpy(io->data, payload, length);
	}
	io->done = true;
	io->error = error;
	told();
}

static void io_told(struct command *c, int error)
{
	struct io *io = container_of(c, struct io, command);

	pthread_mutex_lock(&client.lock);
	if (io->gave_up || io->done)
		abort();
	io->gave_up = true;
	io->gave_up_error = error;
	told();
}

static void submit(void *arg)
{
	struct io *io = arg;

	mpio_submit(client.held, &io->command);
}

struct io *io_start(enum wire_type type, uint64_t offset, uint32_t count, uint8_t fill)
{
	struct io *io = calloc(1, sizeof *io);

	io->next = client.ios;
	client.ios = io;
	io->command = (struct command){ .type = (uint8_t)type, .offset = offset, .count = count,
					.done = io_finished, .give_up = io_told };
	if (type == WIRE_WRITE) {
		io->data = malloc(count);
		memset(io->data, fill, count);
		io->command.data = io->data;
	}
	if (type == WIRE_COPY) {
		io->command.source = client.held;
		io->command.source_offset = (uint64_t)fill * BLOCK;
	}
	client_call(submit, io);
	return io;
}

static bool is_done(void *arg)
{
	return ((struct io *)arg)->done;
}

int io_wait(struct io *io)
{
	wait_until(is_done, io, "a command to end");
	return io->error;
}

static bool is_told(void *arg)
{
	return ((struct io *)arg)->gave_up;
}

int io_given_up(struct io *io)
{
	wait_until(is_told, io, "a waiter to be told");
	return io->gave_up_error;
}

bool io_done(struct io *io)
{
	bool done;

	pthread_mutex_lock(&client.lock);
	done = io->done;
	pthread_mutex_unlock(&client.lock);
	return done;
}

static void interrupt(void *arg)
{
	struct io **io = arg;

	if (!mpio_interrupt(&(*io)->command))
		return;
	pthread_mutex_lock(&client.lock);
	(*io)->done = true;	/* taken back */
	told();
	*io = NULL;
}

bool io_interrupt(struct io *io)
{
	client_call(interrupt, &io);
	return !io;
}

void io_barrier(struct conn *c)
{
	struct io *io = io_start(WIRE_READ, c->server->volume.size - BLOCK, BLOCK, 0);
	struct request *r = script_expect(c, WIRE_READ);
	uint8_t zero[BLOCK] = { 0 };

	assert_int_equal(r->h.offset, io->command.offset);
	script_reply(c, r, WIRE_OK, zero, BLOCK);
	assert_int_equal(io_wait(io), 0);
}

struct request *io_expect(struct conn *c, const struct io *io)
{
	struct request *r = script_expect(c, io->command.type);

	assert_int_equal(r->h.offset, io->command.offset);
	assert_int_equal(r->h.count, io->command.count);
	if (io->command.type == WIRE_WRITE)
		assert_memory_equal(r->payload, io->data, io->command.count);
	if (io->command.type == WIRE_COPY) {
		uint64_t offset;
		uint32_t handle;

		assert_int_equal(r->h.length, WIRE_COPY_SIZE);
		wire_get_copy(r->payload, &handle, &offset);
		assert_int_equal(handle, r->h.handle);
		assert_true(offset == io->command.source_offset);
	}
	return r;
}
