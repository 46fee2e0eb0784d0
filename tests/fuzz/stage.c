/* stage.c - see stage.h: the server, its workers, its volumes, and the steps of an input. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../../agent/catalog.h"
#include "../../agent/claim.h"
#include "../../agent/conn.h"
#include "../../agent/hold.h"
#include "../../agent/listen.h"
#include "../../agent/manage.h"
#include "../../agent/offer.h"
#include "../../agent/pool.h"
#include "../../agent/registry.h"
#include "../../agent/schedule.h"
#include "../../agent/server.h"
#include "../../agent/status.h"
#include "../../agent/watch.h"
#include "ctl_impl.h"
#include "memsock.h"
#include "stage_impl.h"
#include "world.h"

#define LOOPS 2
#define VOLUMES 4
#define SHARED 3			/* the last one */
#define STEPS_MAX 200
#define TURNS_MAX 64
#define THREADS 20

void __wrap_workers_submit(struct workers *w, struct job *jobs);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
struct hold *__wrap_hold_begin(struct volume **v, size_t n, double limit, struct err *e);
int __wrap_hold_pass(struct volume *v, double limit, struct err *e);
int __wrap_fsync(int fd);
int __wrap_syncfs(int fd);
void __wrap_workers_cancel(struct workers *w, struct conn *c);

static struct server server;
static char paths[VOLUMES][PATH_MAX + 16], metas[VOLUMES][PATH_MAX + 32];
static const char *const names[VOLUMES] = { "oracle", "mail", "secret", "both" };
static const off_t sizes[VOLUMES] = { 1 << 20, 192 << 10, 4096, 64 << 10 };
static struct offer *offers[VOLUMES];
static bool in_memory = true;

static const char file[] =
	"[namespace osl]\nnamespaceid = 200\nsecurity = auth\n[server big-1]\nserverid = 1\n"
	"[interface if0]\naddress = 127.0.0.1\n[pool main]\npath = %s/pool\nmanage = sles1\n[clients]\n"
	"sles1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
	"venus 1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";

const uint8_t *stage_key(const char *node)
{
	return server.conf->clients[strcmp(node, "venus") == 0].key.bytes;
}

void stage_volume_uuid(uint8_t which, uint8_t uuid[WIRE_UUID_SIZE], uint64_t *generation)
{
	const struct volume *v = which < VOLUMES ? offers[which]->volume : NULL;

	memset(uuid, 0, WIRE_UUID_SIZE);
	*generation = 0;
	if (!v)
		return;
	memcpy(uuid, v->uuid, WIRE_UUID_SIZE);
	*generation = v->generation;
}

/* Another server of the shared volume, as far as this one sees it: its claims. */

static int other_claim = -1;
static char other_node[WIRE_NAME_MAX + 1];
static uint8_t other_life[16];

static int claim_file(const char *name)
{
	char path[PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/%s", fuzz_dir(), CLAIM_DIR, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0660);
	fuzz_check(fd >= 0);
	return fd;
}

/* All that is made once is there from the beginning, so that each input finds the same. */
static void make_claims(void)
{
	static const char text[] = "big-2 00000000-0000-4000-8000-000000000002\n";
	char path[PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", fuzz_dir(), CLAIM_DIR);
	fuzz_check(mkdir(path, 0770) == 0);
	close(claim_file("sles1"));
	close(claim_file("venus"));
	fd = claim_file(".server.2");
	fuzz_check(write(fd, text, sizeof(text) - 1) == sizeof(text) - 1);
	close(fd);
}

static void end_other_claim(void)
{
	if (other_claim >= 0)
		close(other_claim);
	other_claim = -1;
}

/* That server has one, for that life of a node; or none any more. */
static void change_other_claim(uint8_t how)
{
	struct flock f = { .l_type = F_WRLCK, .l_len = 1 };

	end_other_claim();
	if (how & 1)
		return;
	strcpy(other_node, how & 2 ? "venus" : "sles1");
	guest_life(other_life, how >> 2);
	f.l_start = claim_byte(claim_life(other_life), 2);
	other_claim = claim_file(other_node);
	if (fcntl(other_claim, F_OFD_SETLK, &f) < 0)
		end_other_claim();
}

bool stage_claimed_elsewhere(const char *node, const uint8_t life[16])
{
	return other_claim >= 0 && strcmp(node, other_node) == 0 &&
	       memcmp(life, other_life, sizeof(other_life)) == 0;
}

/* Workers: one queue, from which jobs are taken when the input says so. */

static struct job *jobs, **jobs_end = &jobs;
static bool hold_jobs;

void __wrap_workers_submit(struct workers *w, struct job *list)
{
	(void)w;
	*jobs_end = list;
	while (*jobs_end)
		jobs_end = &(*jobs_end)->next;
}

/* The threads of jobs: each runs to its end, when workers do. */
static struct {
	void *(*run)(void *);
	void *arg;
} threads[THREADS];
static unsigned thread_count;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	(void)attr;
	memset(thread, 0, sizeof(*thread));
	if (thread_count == THREADS)
		return EAGAIN;
	threads[thread_count].run = run;
	threads[thread_count++].arg = arg;
	return 0;
}

/* Nothing is to survive the host, and a disk would take most of the time. */
int __wrap_fsync(int fd)
{
	return fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}

int __wrap_syncfs(int fd)
{
	return __wrap_fsync(fd);
}

/* It would wait for loops, which do not run while a job does. */
struct hold *__wrap_hold_begin(struct volume **v, size_t n, double limit, struct err *e)
{
	(void)v;
	(void)n;
	(void)limit;
	err_set(e, EBUSY, "nothing is held here");
	return NULL;
}

/* Nor for these: what was begun has ended when a job runs, and what waits is not begun for who closed. */
int __wrap_hold_pass(struct volume *v, double limit, struct err *e)
{
	(void)v;
	(void)limit;
	(void)e;
	return 0;
}

static void run_thread(void)
{
	if (!thread_count)
		return;
	thread_count--;
	threads[thread_count].run(threads[thread_count].arg);
}

static void back(struct job *j)
{
	j->next = NULL;
	engine_post(j->loop, &j->message);
}

void __wrap_workers_cancel(struct workers *w, struct conn *c)
{
	struct job **at = &jobs, *j;

	(void)w;
	while ((j = *at)) {
		if (j->conn != c) {
			at = &j->next;
			continue;
		}
		*at = j->next;
		j->result = -ECANCELED;
		back(j);
	}
	jobs_end = at;
}

static void do_job(void)
{
	struct job *j = jobs;

	if (!j)
		return;
	jobs = j->next;
	if (!jobs)
		jobs_end = &jobs;
	if (atomic_load(j->dropped))
		j->result = -ECANCELED;
	else
		j->run(j);
	back(j);
}

/* The loops: each goes one round, until there is nothing more to do. */

static void settle(struct engine *l)
{
	conn_settle(l);
	l->stop = true;
}

static void round_of(struct engine *l)
{
	l->stop = false;
	world_armed = true;
	engine_run(l);
	world_armed = false;
}

void stage_turn(void)
{
	for (int i = 0; i < TURNS_MAX; i++) {
		round_of(server.loops[0]);
		round_of(server.loops[1]);
		while (jobs && !hold_jobs)
			do_job();
		while (thread_count && !hold_jobs)
			run_thread();
		if (!atomic_load(&server.loops[0]->inbox) && !atomic_load(&server.loops[1]->inbox))
			break;
	}
	for (unsigned i = 0; i < GUESTS; i++)
		guest_read(&guests[i]);
}

/* Once. */

static void make_conf(void)
{
	char path[PATH_MAX + 64], text[sizeof(file) + PATH_MAX];
	int fd = memfd_create("stage", MFD_CLOEXEC), n;
	struct conf_report report;

	n = snprintf(text, sizeof(text), file, fuzz_dir());
	fuzz_check(fd >= 0 && fchmod(fd, 0600) == 0 && write(fd, text, (size_t)n) == n);
	snprintf(path, sizeof(path), "%s/pool", fuzz_dir());
	fuzz_check(mkdir(path, 0700) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	server.conf = conf_server_read(path, (gid_t)-1, &report);
	fuzz_check(server.conf);
	conf_report_free(&report);
	close(fd);
}

/* A new file, whole and empty. */
static void make_file(unsigned i)
{
	int fd;

	unlink(paths[i]);
	fd = open(paths[i], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	fuzz_check(fd >= 0 && ftruncate(fd, sizes[i]) == 0);
	close(fd);
}

static void make_offer(unsigned i)
{
	snprintf(paths[i], sizeof(paths[i]), "%s/%s", fuzz_dir(), names[i]);
	snprintf(metas[i], sizeof(metas[i]), "%s/%s.rsio", fuzz_dir(), names[i]);
	make_file(i);
	offers[i] = offer_new(&server, names[i], AT_FDCWD, paths[i], metas[i]);
	fuzz_check(offers[i]);
	offers[i]->order = (int)i;
	offers[i]->conf.read_only = i == 1;
	offers[i]->conf.shared = i == SHARED;
	if (i == 2) {
		offers[i]->conf.clients = calloc(2, sizeof(char *));
		offers[i]->conf.clients[0] = strdup("venus");
	}
	offer_check(offers[i]);
	fuzz_check(offers[i]->volume);
}

void stage_init(void)
{
	struct err e = { .code = 0 };

	fuzz_log();
	make_conf();
	server.run_dir = strdup(fuzz_dir());
	server.state_dir = strdup(fuzz_dir());
	strcpy(server.name, "big-1");
	server.id = 1;
	server.machine[0] = server.boot[0] = server.life[0] = 1;
	server.started = clock_now();
	memory_init(&server.memory);
	pthread_rwlock_init(&server.conf_lock, NULL);
	server.loop_count = LOOPS;
	for (unsigned i = 0; i < LOOPS; i++) {
		server.loops[i] = engine_new(&server, i, "fuzz", &e);
		fuzz_check(server.loops[i]);
		server.loops[i]->settle = settle;
		server.loops[i]->tick = conn_tick;
	}
	server.control = server.loops[0];
	server.workers = workers_new(&e);
	server.registry = registry_new(&server, &e);
	server.clients = clients_new(&server, &e);
	server.listeners = listeners_new(&server, &e);
	server.watch = watch_new(&server, server.conf, &e);
	server.manage = manage_new(&server, &e);
	fuzz_check(server.workers && server.registry && server.clients && server.listeners &&
		   server.watch && server.manage);
	make_claims();
	for (unsigned i = 0; i < VOLUMES; i++)
		make_offer(i);
	for (unsigned i = 0; i < GUESTS; i++)
		guests[i].fd = -1;
}

/* Steps. */

static void connect_guest(unsigned which, unsigned loop)
{
	int fds[2];

	memsock_pair(fds);
	guest_open(&guests[which], fds[1]);
	loop %= LOOPS;
	fuzz_check(conn_adopt(server.loops[loop], fds[0], "127.0.0.1", (int)which, "if0") == 0);
	stage_turn();
}

static void pass_time(uint8_t how)
{
	world_now += (how & 128 ? (how & 127) * 500 : how * 20) * MS;
	for (unsigned i = 0; i < LOOPS; i++) {
		server.loops[i]->now = clock_now();
		conn_tick(server.loops[i]);
	}
	clients_tick(server.clients, clock_now());
	clients_end_leases(server.clients, clock_now());
	manage_tick(server.manage, clock_now());
	schedule_tick(&server, clock_now());
}

static void set_memory(bool yes)
{
	in_memory = yes;
	for (unsigned i = 0; i < VOLUMES; i++) {
		struct volume *v = offers[i]->volume;

		if (!v || v->shared)
			continue;
		v->memory = yes;
		atomic_store(&v->no_nowait_read, false);
	}
}

static void change_volume(uint8_t which, uint8_t what)
{
	unsigned i = which % VOLUMES;
	struct offer *o = offers[i];

	switch (what % 6) {
	case 0:
		if (truncate(paths[i], (what >> 3) * 4096) < 0)
			fuzz_check(errno == ENOENT);
		break;
	case 1:
		unlink(paths[i]);
		break;
	case 2:
		make_file(i);
		break;
	case 3:
		if (o->volume)
			atomic_store(&o->volume->flush_failed, what & 64);
		return;
	case 4:
		if (o->volume)
			atomic_store(&o->volume->read_only, what & 64);
		return;
	default:
		if (i == SHARED)
			change_other_claim(what / 6);
		else
			set_memory(what & 64);
		return;
	}
	/* Sometimes the watcher has not looked yet. */
	if (!(what & 128))
		offer_check(o);
	set_memory(in_memory);
}

/* A node's key goes, or comes back: its sessions end. */
static void change_keys(void)
{
	struct conf_server other = *server.conf;

	other.client_count--;
	clients_check_keys(server.clients, &other);
}

static void control(const uint8_t *text, size_t size)
{
	struct ctl_peer peer = { .uid = 0, .may_change = size & 1, .fd = -1 };
	json_t *reply = ctl_answer(status_handle, &server, &peer, (const char *)text, size);

	fuzz_check(json_is_boolean(json_object_get(reply, "ok")));
	json_decref(reply);
}

static void other(struct fuzz_in *in)
{
	uint8_t what = fuzz_u8(in);
	const uint8_t *text;
	size_t n;

	switch (what % 9) {
	case 0:
		control((const uint8_t *)"{\"do\":\"status\"}", 15);
		break;
	case 1:
		text = fuzz_bytes(in, fuzz_u8(in), &n);
		control(text, n);
		break;
	case 2:
		change_keys();
		break;
	case 3:
		clients_announce_portal(server.clients, "192.168.45.10/5000", what / 9 & 1);
		break;
	case 4:
		atomic_store(&server.leaving, true);
		clients_announce_leaving(server.clients);
		clients_leave_all(server.clients);
		break;
	case 5:
		guest_piece(SIZE_MAX);
		break;
	case 6:
		guest_piece(1 + (what >> 3));
		break;
	case 7:
		world_fails = 1 + what / 9;
		break;
	default:
		clients_close_all(server.clients, "the fuzzer says so");
		break;
	}
}

static void close_guest(struct guest *g, uint8_t how)
{
	if (how & 1 && g->fd >= 0)
		shutdown(g->fd, SHUT_WR);
	else
		guest_close(g);
}

static void work(uint8_t how)
{
	if (how < 64)
		hold_jobs = !hold_jobs;
	else if (how & 1)
		run_thread();
	else
		do_job();
}

static void step(uint8_t what, struct fuzz_in *in)
{
	struct guest *g = &guests[what / STAGE_STEPS % GUESTS];
	uint8_t a, b;
	uint16_t offset;
	const uint8_t *bytes;
	size_t n;

	switch ((enum stage_step)(what % STAGE_STEPS)) {
	case STAGE_COMMAND:
		a = fuzz_u8(in);
		b = fuzz_u8(in);
		offset = fuzz_u16(in);
		/* Few handles; counts of any size, most of them small. */
		guest_command(g, a, b & 7, offset * 64u,
			      b & 128 ? (b >> 3 & 15) * 65536u + 1 : (b >> 3) * 512u);
		break;
	case STAGE_FRAME:
		guest_frame(g, in);
		break;
	case STAGE_BYTES:
		bytes = fuzz_bytes(in, fuzz_u8(in), &n);
		(stage_tls && n % 2 ? guest_say_raw : guest_say)(g, bytes, n);
		break;
	case STAGE_CONNECT:
		connect_guest((unsigned)(g - guests), fuzz_u8(in));
		break;
	case STAGE_HELLO:
		guest_hello(g, fuzz_u8(in));
		break;
	case STAGE_AUTH:
		a = fuzz_u8(in);
		guest_auth(g, a, fuzz_u8(in));
		break;
	case STAGE_OPEN:
		a = fuzz_u8(in);
		b = fuzz_u8(in);
		guest_open_volume(g, a & 7, b, fuzz_u8(in));
		break;
	case STAGE_FENCE:
		a = fuzz_u8(in);
		b = fuzz_u8(in);
		if (a & 64)
			guest_takeover(g, a & 7, b);
		else
			guest_fence(g, a, b);
		break;
	case STAGE_CLOSE:
		close_guest(g, fuzz_u8(in));
		break;
	case STAGE_DEAF:
		g->deaf = !g->deaf;
		break;
	case STAGE_WORK:
		work(fuzz_u8(in));
		break;
	case STAGE_TIME:
		pass_time(fuzz_u8(in));
		break;
	case STAGE_VOLUME:
		a = fuzz_u8(in);
		change_volume(a, fuzz_u8(in));
		break;
	default:
		other(in);
		break;
	}
}

void stage_within_tls(bool least)
{
	stage_tls = true;
	server.conf->security = least ? CONF_SECURITY_TLS : CONF_SECURITY_AUTH;
}

bool stage_asks_for_tls(void)
{
	return server.conf->security == CONF_SECURITY_TLS;
}

void stage_begin(uint8_t how)
{
	world_random = 0;
	world_fails = 0;
	hold_jobs = false;
	atomic_store(&server.leaving, false);
	guest_piece(SIZE_MAX);
	set_memory(!(how & 1));
	for (unsigned i = 0; i < GUESTS; i++)
		memset(guests[i].session, 0, sizeof(guests[i].session));
	connect_guest(0, 0);
}

void stage_login(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct guest *g = &guests[i];

		if (i)
			connect_guest(i, i);
		guest_hello(g, 0);
		stage_turn();
		fuzz_check(g->welcome);
		guest_auth(g, (uint8_t)i, 0);
		stage_turn();
		fuzz_check(g->up && memcmp(g->session, guests[0].session, sizeof(g->session)) == 0);
	}
	guest_open_volume(&guests[0], 1, 0, 1);
	guest_open_volume(&guests[0], 2, 1, 1);
	stage_turn();
	fuzz_check(!guests[0].count);
}

void stage_steps(struct fuzz_in *in)
{
	for (unsigned i = 0; i < STEPS_MAX && fuzz_left(in); i++) {
		step(fuzz_u8(in), in);
		stage_turn();
	}
}

/* What jobs have made. */
static void empty_pool(void)
{
	struct pool *p = watch_pool(server.watch, "main");
	struct catalog_job j = { .id = NULL };
	char name[WIRE_VOLUME_NAME_MAX + 1];
	struct err e = { 0 };
	struct volume *v;
	size_t i;

	fuzz_check(p);
	do {
		registry_lock(server.registry);
		for (i = 0; (v = registry_at(server.registry, i)) && (!v->pool || v->snapshot); i++)
			;
		if (v)
			memcpy(name, v->name, sizeof(name));
		registry_unlock(server.registry);
		fuzz_check(!v || catalog_remove(p, &j, name, true, &e) == 0);
	} while (v);
	pool_put(p);
}

/* Volumes as they were made. */
static void restore(void)
{
	for (unsigned i = 0; i < VOLUMES; i++) {
		struct volume *v = offers[i]->volume;
		struct stat st;

		if (stat(paths[i], &st) < 0 || !v || v->origin.inode != st.st_ino) {
			make_file(i);
			world_now += 2000 * MS;		/* the next try */
		} else if (st.st_blocks || st.st_size != sizes[i]) {
			fuzz_check(truncate(paths[i], 0) == 0 && truncate(paths[i], sizes[i]) == 0);
		}
		offer_check(offers[i]);
		v = offers[i]->volume;
		fuzz_check(v && atomic_load(&v->size) == (uint64_t)sizes[i] &&
			   !atomic_load(&v->opens));
		atomic_store(&v->flush_failed, false);
		atomic_store(&v->read_only, i == 1);
	}
}

void stage_end(void)
{
	world_fails = 0;
	end_other_claim();
	for (unsigned i = 0; i < GUESTS; i++) {
		guest_close(&guests[i]);
		guests[i].number = 0;
	}
	hold_jobs = false;
	for (int i = 0; i < 4; i++)
		stage_turn();
	fuzz_check(!jobs && !server.loops[0]->conns && !server.loops[1]->conns && !atomic_load(&server.handshakes));
	/* Nobody comes back to his session. */
	world_now += 700 * 1000 * MS;
	clients_tick(server.clients, clock_now());
	fuzz_check(clients_count(server.clients) == 0);
	manage_tick(server.manage, clock_now());
	stage_turn();
	fuzz_check(!thread_count);
	empty_pool();
	for (unsigned i = 0; i < LOOPS; i++)
		for (int k = 0; k < 2; k++)
			arena_trim(&server.loops[i]->arena);
	fuzz_check(atomic_load(&server.memory.used) <=
		   LOOPS * (sizeof(struct chunk) + ARENA_CHUNK_SIZE + 4096));
	restore();
}
