/* links: agent
 * test_handle.c - handles read on some loops while another closes them, and
 * the messages between loops that make that safe.
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

static struct handle_table table;

static int set_up(void **state)
{
	(void)state;
	parts_start(3);
	make_file("a.raw", 4096);
	make_file("b.raw", 4096);
	memset(&table, 0, sizeof(table));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	handle_table_fini(&table);
	parts_stop();
	return 0;
}

static void opening_and_closing(void **state)
{
	struct volume *a = open_volume("a", "a.raw", false), *b = open_volume("b", "b.raw", false);

	(void)state;
	assert_null(handle_find(&table, 0));
	assert_null(handle_find(&table, WIRE_HANDLE_MAX));
	assert_int_equal(handle_open(&server, &table, WIRE_HANDLE_MAX, a, "node1", false), 0);
	assert_int_equal(handle_open(&server, &table, 0, b, "node1", true), 0);
	assert_ptr_equal(handle_find(&table, WIRE_HANDLE_MAX)->volume, a);
	assert_ptr_equal(handle_find(&table, 0)->volume, b);
	assert_int_equal(handle_open(&server, &table, 0, b, "node1", true), 0);		/* again */
	assert_int_equal(handle_open(&server, &table, 0, b, "node1", false), -EBUSY);
	assert_int_equal(handle_open(&server, &table, 0, a, "node1", true), -EBUSY);
	assert_int_equal(atomic_load(&b->opens), 1);
	/* What is gone makes room. */
	atomic_store(&b->gone, WIRE_E_GENERATION);
	assert_int_equal(handle_open(&server, &table, 0, a, "node1", true), 0);
	assert_int_equal(atomic_load(&b->opens), 0);
	assert_int_equal(atomic_load(&a->opens), 2);
	assert_int_equal(handle_close(&server, &table, 0), 0);
	assert_int_equal(handle_close(&server, &table, 0), -EBADF);
	assert_null(handle_find(&table, 0));
	assert_int_equal(table.count, 1);
	handle_revoke(&table, b);
	assert_false(atomic_load(&handle_find(&table, WIRE_HANDLE_MAX)->revoked));
	handle_revoke(&table, a);
	assert_true(atomic_load(&handle_find(&table, WIRE_HANDLE_MAX)->revoked));
	volume_put(a);
	volume_put(b);
}

/* Looks at the handle on its loop, round after round. */
struct reader {
	struct message message;
	atomic_bool stop, stopped;
	atomic_uint rounds;
	uint64_t found;
};

static void read_round(struct engine *l, struct message *m)
{
	struct reader *r = (struct reader *)m;

	for (int i = 0; i < 100; i++) {
		struct handle *h = handle_find(&table, 1);

		if (!h)
			continue;
		r->found++;
		if (i % 10 == 0)
			sched_yield();		/* time for a CLOSE */
		/* Freed memory would show with a sanitizer, or not be the volume's name. */
		assert_true(h->volume->name[0] == 'a');
		if (i % 10 == 0)
			handle_put(handle_get(h));
	}
	atomic_fetch_add(&r->rounds, 1);
	if (atomic_load(&r->stop))
		atomic_store(&r->stopped, true);
	else
		engine_post(l, m);
}

/* Enough rounds of each to have met a CLOSE. */
static bool all_have_read(struct reader *r)
{
	return atomic_load(&r[0].rounds) > 10 && atomic_load(&r[1].rounds) > 10 &&
		atomic_load(&r[2].rounds) > 10;
}

static void closing_what_others_read(void **state)
{
	struct volume *a = open_volume("a", "a.raw", false);
	struct timespec pause = { 0, 1000000 };
	struct reader r[3];

	(void)state;
	memset(r, 0, sizeof(r));
	for (int i = 0; i < 3; i++) {
		r[i].message.run = read_round;
		engine_post(server.loops[i], &r[i].message);
	}
	for (int i = 0; i < 3000 || !all_have_read(r); i++) {
		assert_int_equal(handle_open(&server, &table, 1, a, "node1", false), 0);
		if (i % 100 == 0)
			nanosleep(&pause, NULL);
		assert_int_equal(handle_close(&server, &table, 1), 0);
	}
	for (int i = 0; i < 3; i++) {
		atomic_store(&r[i].stop, true);
		while (!atomic_load(&r[i].stopped))
			nanosleep(&pause, NULL);
	}
	/* All that were closed are gone when the loops have come round. */
	for (int i = 0; i < 5000 && atomic_load(&a->refs) > 1; i++)
		nanosleep(&pause, NULL);
	assert_int_equal(atomic_load(&a->refs), 1);
	volume_put(a);
}

/* Messages of one thread arrive in order, whether the loop sleeps or not. */
struct counted {
	struct message message;
	int number;
};
static atomic_int last;
static bool in_order;

static void count_message(struct engine *l, struct message *m)
{
	struct counted *c = (struct counted *)m;

	(void)l;
	in_order &= c->number == atomic_load(&last) + 1;
	atomic_store(&last, c->number);
	free(c);
}

static void messages_keep_their_order(void **state)
{
	struct timespec pause = { 0, 100000 };

	(void)state;
	in_order = true;
	atomic_store(&last, 0);
	for (int i = 1; i <= 20000; i++) {
		struct counted *c = malloc(sizeof(*c));

		c->message.run = count_message;
		c->number = i;
		engine_post(server.loops[1], &c->message);
		if (i % 1000 == 0)
			nanosleep(&pause, NULL);
	}
	for (int i = 0; i < 50000 && atomic_load(&last) < 20000; i++)
		nanosleep(&pause, NULL);
	assert_int_equal(atomic_load(&last), 20000);
	assert_true(in_order);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(opening_and_closing),
		WITH(closing_what_others_read),
		WITH(messages_keep_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
