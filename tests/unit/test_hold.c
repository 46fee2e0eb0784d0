/* links: agent
 * test_hold.c - writes are held, all of them and no longer than allowed; nothing is lost.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>
#include "agent_parts.h"
#include "../../agent/hold.h"
#include "log.h"

#define LOOPS 3
#define LONG 10.0	/* seconds: a limit that is not reached */

static struct volume *a, *b;
static atomic_bool never = false;
static atomic_int begun, back, cancelled;
static atomic_int order[64];
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static int set_up(void **state)
{
	(void)state;
	parts_start(LOOPS);
	make_file("a.raw", 1 << 20);
	make_file("b.raw", 1 << 20);
	a = open_volume("a", "a.raw", false);
	b = open_volume("b", "b.raw", false);
	atomic_store(&begun, 0);
	atomic_store(&back, 0);
	atomic_store(&cancelled, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	volume_put(a);
	volume_put(b);
	parts_stop();
	return 0;
}

static bool reaches(atomic_int *n, int value)
{
	struct timespec pause = { 0, 1000000 };

	for (int i = 0; i < 10000 && atomic_load(n) != value; i++)
		nanosleep(&pause, NULL);
	return atomic_load(n) == value;
}

static void on_back(struct engine *l, struct message *m)
{
	struct job *j = (struct job *)m;

	(void)l;
	if (j->result == -ECANCELED)
		atomic_fetch_add(&cancelled, 1);
	free(j);
	atomic_fetch_add(&back, 1);
}

static void run_noted(struct job *j)
{
	atomic_store(&order[atomic_fetch_add(&begun, 1)], (int)j->cookie);
	j->result = 0;
}

static void run_gated(struct job *j)
{
	run_noted(j);
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
}

static struct job *new_job(struct volume *v, uint8_t type, int cookie, void (*run)(struct job *), struct conn *c)
{
	struct job *j = calloc(1, sizeof(*j));

	assert_non_null(j);
	j->message.run = on_back;
	j->loop = server.loops[0];
	j->conn = c;
	j->dropped = &never;
	j->work = &v->work;
	j->kind = type == WIRE_FLUSH ? JOB_FLUSH : JOB_SLOW;
	j->changes = type == WIRE_WRITE;
	j->run = run;
	j->cookie = (uint64_t)cookie;
	return j;
}

static void submit(struct volume *v, uint8_t type, int cookie, void (*run)(struct job *), struct conn *c)
{
	workers_submit(server.workers, new_job(v, type, cookie, run, c));
}

/* Without an end, until it is told. */
static atomic_int pieces;
static atomic_bool enough;

static void run_piece(struct job *j)
{
	struct timespec pause = { 0, 200000 };

	nanosleep(&pause, NULL);
	atomic_fetch_add(&pieces, 1);
	j->result = 0;
	j->again = !atomic_load(&enough);
}

static bool goes_on_from(int n)
{
	struct timespec pause = { 0, 1000000 };

	for (int i = 0; i < 10000 && atomic_load(&pieces) < n + 3; i++)
		nanosleep(&pause, NULL);
	return atomic_load(&pieces) >= n + 3;
}

static void what_takes_long_is_held_in_the_middle(void **state)
{
	struct err e = { 0 };
	struct hold *h;
	int n;

	(void)state;
	atomic_store(&enough, false);
	submit(a, WIRE_WRITE, 1, run_piece, NULL);
	submit(a, WIRE_WRITE, 2, run_piece, NULL);
	assert_true(goes_on_from(atomic_load(&pieces)));
	for (int i = 0; i < 20; i++) {
		h = hold_begin(&a, 1, LONG, &e);
		assert_non_null(h);
		n = atomic_load(&pieces);
		submit(a, WIRE_READ, 3, run_noted, NULL);
		assert_true(reaches(&back, i + 1));
		assert_int_equal(atomic_load(&pieces), n);
		assert_int_equal(hold_end(h, NULL, &e), 0);
		assert_true(goes_on_from(n));
	}
	atomic_store(&enough, true);
	assert_true(reaches(&back, 22));
	assert_int_equal(atomic_load(&cancelled), 0);
}

/* Of those who wait for a turn, of those that are held, and of those that a worker is at. */
static void the_rest_of_what_takes_long_is_taken_back(void **state)
{
	struct conn *gone = (struct conn *)&gate, *other = (struct conn *)&never;
	static atomic_bool dropped;
	struct err e = { 0 };
	struct hold *h = NULL;

	(void)state;
	for (int i = 0; i < 40; i++) {
		atomic_store(&dropped, false);
		atomic_store(&enough, false);
		for (int k = 0; k < 6; k++) {
			struct job *j = new_job(a, WIRE_WRITE, k, run_piece, k % 2 ? gone : other);

			j->dropped = k % 2 ? &dropped : &never;
			workers_submit(server.workers, j);
		}
		assert_true(goes_on_from(atomic_load(&pieces)));
		if (i % 2)
			assert_non_null(h = hold_begin(&a, 1, LONG, &e));
		atomic_store(&dropped, true);
		workers_cancel(server.workers, gone);
		assert_true(reaches(&cancelled, 3 * (i + 1)));
		if (i % 2)
			assert_int_equal(hold_end(h, NULL, &e), 0);
		atomic_store(&enough, true);
		assert_true(reaches(&back, 6 * (i + 1)));
	}
	assert_int_equal(atomic_load(&cancelled), 120);
}

static void changes_wait_and_reads_do_not(void **state)
{
	struct volume *both[] = { a, b, a };
	struct err e;
	struct hold *h = hold_begin(both, 3, LONG, &e);
	uint64_t ns = 0;

	(void)state;
	assert_non_null(h);
	for (int i = 0; i < 5; i++)
		submit(a, WIRE_WRITE, 10 + i, run_noted, NULL);
	submit(b, WIRE_WRITE, 15, run_noted, NULL);
	submit(a, WIRE_READ, 1, run_noted, NULL);
	submit(a, WIRE_FLUSH, 2, run_noted, NULL);
	submit(b, WIRE_READ, 3, run_noted, NULL);
	assert_true(reaches(&back, 3));
	for (int i = 0; i < 3; i++)
		assert_in_range(atomic_load(&order[i]), 1, 3);
	assert_int_equal(volume_write_now(a, "x", 1, 0, false), -EAGAIN);
	assert_true(hold_lasts(h));
	assert_int_equal(hold_end(h, &ns, &e), 0);
	assert_true(ns > 0);
	assert_true(reaches(&back, 9));
	assert_int_equal(atomic_load(&a->guard), 0);
}

/* One worker, so that the order can be seen. */
static void they_go_on_in_order(void **state)
{
	struct err e;
	struct hold *h = hold_begin(&a, 1, LONG, &e);

	(void)state;
	assert_non_null(h);
	a->work.active += WORKERS_PER_VOLUME - 1;
	for (int i = 0; i < 20; i++)
		submit(a, WIRE_WRITE, i, run_noted, NULL);
	assert_int_equal(hold_end(h, NULL, &e), 0);
	for (int i = 20; i < 30; i++)
		submit(a, WIRE_WRITE, i, run_noted, NULL);
	assert_true(reaches(&back, 30));
	for (int i = 0; i < 30; i++)
		assert_int_equal(atomic_load(&order[i]), i);
	a->work.active -= WORKERS_PER_VOLUME - 1;
}

static struct hold *held;
static struct err held_error;
static atomic_int answered;

static void *begin(void *limit)
{
	held = hold_begin(&a, 1, *(double *)limit, &held_error);
	atomic_fetch_add(&answered, 1);
	return NULL;
}

static void what_was_under_way_is_waited_for(void **state)
{
	double limit = LONG;
	struct err e;
	pthread_t t;

	(void)state;
	atomic_store(&answered, 0);
	pthread_mutex_lock(&gate);
	submit(a, WIRE_WRITE, 1, run_gated, NULL);
	assert_true(reaches(&begun, 1));
	assert_int_equal(pthread_create(&t, NULL, begin, &limit), 0);
	while (!(atomic_load(&a->guard) & GUARD_HOLD))
		sched_yield();
	submit(a, WIRE_WRITE, 2, run_noted, NULL);
	submit(a, WIRE_READ, 3, run_noted, NULL);
	assert_true(reaches(&back, 1));		/* the read */
	assert_int_equal(atomic_load(&answered), 0);
	pthread_mutex_unlock(&gate);
	pthread_join(t, NULL);
	assert_non_null(held);
	assert_int_equal(atomic_load(&begun), 2);
	assert_int_equal(hold_end(held, NULL, &e), 0);
	assert_true(reaches(&back, 3));
}

/* On a loop: it looked before the hold began, and is at it still. */
static int write_gated(struct volume *v, const void *buf, uint32_t count, uint64_t offset, bool fua)
{
	(void)v;
	(void)buf;
	(void)count;
	(void)offset;
	(void)fua;
	atomic_fetch_add(&begun, 1);
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return 0;
}

static void on_write(struct engine *l, struct message *m)
{
	(void)l;
	(void)m;
	assert_int_equal(volume_write_now(a, "x", 1, 0, false), 0);
	atomic_fetch_add(&back, 1);
}

static void what_a_loop_is_at_is_waited_for(void **state)
{
	struct volume_ops ops = volume_file_ops;
	struct message m = { .run = on_write };
	struct err e = { 0 };
	struct hold *h;

	(void)state;
	ops.write_now = write_gated;
	a->ops = &ops;
	pthread_mutex_lock(&gate);
	engine_post(server.loops[LOOPS - 1], &m);
	assert_true(reaches(&begun, 1));
	h = hold_begin(&a, 1, 0.05, &e);
	pthread_mutex_unlock(&gate);
	assert_null(h);
	assert_int_equal(e.code, ETIMEDOUT);
	assert_true(reaches(&back, 1));
	h = hold_begin(&a, 1, LONG, &e);
	assert_non_null(h);
	assert_int_equal(hold_end(h, NULL, &e), 0);
	a->ops = &volume_file_ops;
}

static void too_long_under_way(void **state)
{
	double limit = 0.05;
	pthread_t t;

	(void)state;
	pthread_mutex_lock(&gate);
	submit(a, WIRE_WRITE, 1, run_gated, NULL);
	assert_true(reaches(&begun, 1));
	assert_int_equal(pthread_create(&t, NULL, begin, &limit), 0);
	while (!(atomic_load(&a->guard) & GUARD_HOLD))
		sched_yield();
	submit(a, WIRE_WRITE, 2, run_noted, NULL);
	pthread_join(t, NULL);
	assert_null(held);
	assert_int_equal(held_error.code, ETIMEDOUT);
	assert_true(reaches(&back, 1));		/* 2, while 1 still is at it */
	pthread_mutex_unlock(&gate);
	assert_true(reaches(&back, 2));
}

static void too_long_a_clone(void **state)
{
	struct err e = { 0 };
	struct hold *h = hold_begin(&a, 1, 0.05, &e);
	uint64_t ns;

	(void)state;
	assert_non_null(h);
	submit(a, WIRE_WRITE, 1, run_noted, NULL);
	assert_true(reaches(&back, 1));
	assert_false(hold_lasts(h));
	assert_int_equal(hold_end(h, &ns, &e), -ETIMEDOUT);
	assert_int_equal(e.code, ETIMEDOUT);
	assert_true(ns >= SECOND / 20);
}

static void too_much_memory(void **state)
{
	size_t limit = server.memory.limit;
	struct err e = { 0 };
	struct hold *h;
	void *buffer;

	(void)state;
	server.memory.limit = 1;
	h = hold_begin(&a, 1, LONG, &e);
	assert_non_null(h);
	submit(a, WIRE_WRITE, 1, run_noted, NULL);
	buffer = buffer_new(&server.memory, 4096);
	assert_true(reaches(&back, 1));
	assert_int_equal(hold_end(h, NULL, &e), -ETIMEDOUT);
	buffer_free(&server.memory, buffer);
	server.memory.limit = limit;
}

/* As a FENCE does, or the end of a connection. */
static void held_writes_are_taken_back(void **state)
{
	struct conn *gone = (struct conn *)&gate, *other = (struct conn *)&never;
	struct err e;
	struct hold *h = hold_begin(&a, 1, LONG, &e);

	(void)state;
	assert_non_null(h);
	submit(a, WIRE_WRITE, 1, run_noted, gone);
	submit(a, WIRE_WRITE, 2, run_noted, other);
	submit(a, WIRE_WRITE, 3, run_noted, gone);
	workers_cancel(server.workers, gone);
	assert_true(reaches(&back, 2));
	assert_int_equal(atomic_load(&cancelled), 2);
	assert_int_equal(hold_end(h, NULL, &e), 0);
	assert_true(reaches(&back, 3));
	assert_int_equal(atomic_load(&begun), 1);
	assert_int_equal(atomic_load(&order[0]), 2);
}

static void two_holds(void **state)
{
	struct volume *both[] = { a, b };
	struct err e = { 0 };
	struct hold *h = hold_begin(&b, 1, LONG, &e), *second;

	(void)state;
	assert_non_null(h);
	assert_null(hold_begin(both, 2, 0.02, &e));
	assert_int_equal(e.code, EBUSY);
	second = hold_begin(&a, 1, LONG, &e);	/* nothing was left of it */
	assert_non_null(second);
	assert_int_equal(hold_end(second, NULL, &e), 0);
	assert_int_equal(hold_end(h, NULL, &e), 0);
}

static void what_cannot_be_held(void **state)
{
	struct err e = { 0 };

	(void)state;
	a->shared = true;
	assert_null(hold_begin(&a, 1, LONG, &e));
	assert_int_equal(e.code, EOPNOTSUPP);
	a->shared = false;
	atomic_store(&b->flush_failed, true);
	assert_null(hold_begin(&b, 1, LONG, &e));
	assert_int_equal(e.code, EUCLEAN);
}

/*
 * Pairs: number n is written to a, then, when that is done, to b.  Each loop has a pair of its own,
 * and two threads that write past the loops.
 */
#define PAIRS (LOOPS + 2)
#define SNAPSHOTS 300

struct pair {
	struct message message;		/* first */
	struct job job;
	struct engine *loop;
	uint64_t offset, number;
	bool in_b;
	_Atomic uint64_t done;		/* to both */
};

static struct pair pairs[PAIRS];
static atomic_bool stop;
static atomic_int stopped;

static void go_on(struct pair *p);

static void run_pair(struct job *j)
{
	struct pair *p = (struct pair *)((char *)j - offsetof(struct pair, job));

	j->result = volume_write(p->in_b ? b : a, &p->number, sizeof(p->number), p->offset, false);
}

static void pair_done(struct pair *p)
{
	if (p->in_b) {
		atomic_store(&p->done, p->number);
		p->number++;
	}
	p->in_b = !p->in_b;
}

static void on_pair_back(struct engine *l, struct message *m)
{
	struct pair *p = (struct pair *)((char *)m - offsetof(struct pair, job.message));

	(void)l;
	pair_done(p);
	go_on(p);
}

static void on_pair(struct engine *l, struct message *m)
{
	(void)l;
	go_on((struct pair *)m);
}

static void go_on(struct pair *p)
{
	struct volume *v = p->in_b ? b : a;
	int r;

	if (atomic_load(&stop)) {
		atomic_fetch_add(&stopped, 1);
		return;
	}
	r = volume_write_now(v, &p->number, sizeof(p->number), p->offset, false);
	if (r == -EAGAIN) {
		p->job = (struct job){ .message.run = on_pair_back, .loop = p->loop, .dropped = &never,
				       .work = &v->work, .changes = true, .run = run_pair, .type = WIRE_WRITE };
		workers_submit(server.workers, &p->job);
		return;
	}
	pair_done(p);
	engine_post(p->loop, &p->message);
}

static void *write_pairs(void *arg)
{
	struct pair *p = arg;

	while (!atomic_load(&stop)) {
		struct volume *v = p->in_b ? b : a;

		hold_enter(v);
		volume_write(v, &p->number, sizeof(p->number), p->offset, false);
		hold_leave(v);
		pair_done(p);
	}
	return NULL;
}

static uint64_t number_in(const struct volume *v, const struct pair *p)
{
	uint64_t n;

	assert_int_equal(pread(v->fd, &n, sizeof(n), (off_t)p->offset), sizeof(n));
	return n;
}

/* What a clone would hold: each is looked at alone, with time in between. */
static void look(void)
{
	struct volume *both[] = { a, b };
	uint64_t before[PAIRS], in_a[PAIRS], in_b;
	struct hold *h;
	struct err e;

	for (unsigned i = 0; i < PAIRS; i++)
		before[i] = atomic_load(&pairs[i].done);
	h = hold_begin(both, 2, LONG, &e);
	assert_non_null(h);
	for (unsigned i = 0; i < PAIRS; i++)
		in_a[i] = number_in(a, &pairs[i]);
	for (int i = 0; i < 5; i++)
		sched_yield();
	for (unsigned i = 0; i < PAIRS; i++) {
		in_b = number_in(b, &pairs[i]);
		assert_true(in_b >= before[i]);
		assert_true(in_b == in_a[i] || in_b + 1 == in_a[i]);
	}
	assert_int_equal(hold_end(h, NULL, &e), 0);
}

static void pairs_are_never_torn(void **state)
{
	pthread_t threads[PAIRS - LOOPS];

	(void)state;
	a->memory = b->memory = true;		/* so that loops write themselves */
	memset(pairs, 0, sizeof(pairs));
	atomic_store(&stop, false);
	atomic_store(&stopped, 0);
	for (unsigned i = 0; i < PAIRS; i++) {
		pairs[i].offset = 4096ull * i;
		pairs[i].number = 1;
		pairs[i].message.run = on_pair;
		if (i >= LOOPS)
			assert_int_equal(pthread_create(&threads[i - LOOPS], NULL, write_pairs, &pairs[i]), 0);
		else
			pairs[i].loop = server.loops[i];
		if (i < LOOPS)
			engine_post(pairs[i].loop, &pairs[i].message);
	}
	for (int i = 0; i < SNAPSHOTS; i++)
		look();
	atomic_store(&stop, true);
	for (unsigned i = LOOPS; i < PAIRS; i++)
		pthread_join(threads[i - LOOPS], NULL);
	assert_true(reaches(&stopped, LOOPS));
	for (unsigned i = 0; i < PAIRS; i++)
		assert_true(pairs[i].number > 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(changes_wait_and_reads_do_not),
		TEST(they_go_on_in_order),
		TEST(what_was_under_way_is_waited_for),
		TEST(what_a_loop_is_at_is_waited_for),
		TEST(too_long_under_way),
		TEST(too_long_a_clone),
		TEST(too_much_memory),
		TEST(held_writes_are_taken_back),
		TEST(what_takes_long_is_held_in_the_middle),
		TEST(the_rest_of_what_takes_long_is_taken_back),
		TEST(two_holds),
		TEST(what_cannot_be_held),
		TEST(pairs_are_never_torn),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
