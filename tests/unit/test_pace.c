/* links: agent
 * test_pace.c - how much may be used in a time, to the nanosecond, on a clock of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <cmocka.h>
#include "../../agent/pace.h"

#define MS 1000000ull
#define S (1000 * MS)

/* Uses what it may at a moment, in pieces of that cost; how many. */
static unsigned use_all(struct pace *p, uint64_t now, uint64_t cost, uint64_t burst)
{
	unsigned n = 0;

	for (; !pace_wait(p, now, burst); n++)
		pace_use(p, now, cost);
	return n;
}

static void an_idle_one_has_its_burst_and_then_its_pace(void **state)
{
	struct pace p = { 0 };
	uint64_t now = 5 * S;

	(void)state;
	/* 2 ms a piece, 100 ms at once: the first is free, so 51. */
	assert_int_equal(use_all(&p, now, 2 * MS, 100 * MS), 51);
	assert_int_equal(pace_wait(&p, now, 100 * MS), 2 * MS);
	assert_int_equal(use_all(&p, now + 2 * MS - 1, 2 * MS, 100 * MS), 0);
	assert_int_equal(use_all(&p, now + 2 * MS, 2 * MS, 100 * MS), 1);
	/* However long it was idle, it has no more than that. */
	assert_int_equal(use_all(&p, now + 1000 * S, 2 * MS, 100 * MS), 51);
}

static void who_looks_late_loses_nothing(void **state)
{
	struct pace p = { 0 };
	unsigned n = 0, at = 0;

	(void)state;
	/* Looks that are 1 to 40 ms apart, none further than the burst: exactly 500 a second. */
	for (uint64_t now = S; now <= 11 * S; now += (1 + at++ * 7 % 40) * MS)
		n += use_all(&p, now, 2 * MS, 50 * MS);
	assert_in_range(n, 5000 + 26 - 20, 5000 + 26);
}

static void one_a_second_is_one_a_second(void **state)
{
	struct pace p = { 0 };
	unsigned n = 0;

	(void)state;
	for (uint64_t now = S; now < 61 * S; now += MS)
		n += use_all(&p, now, S, 100 * MS);
	/* 60 s, and the tenth of a second at the beginning brings the last one forward. */
	assert_int_equal(n, 61);
}

static void what_was_returned_may_be_used_again(void **state)
{
	struct pace p = { 0 };

	(void)state;
	assert_int_equal(pace_use(&p, S, 10 * MS), S);
	assert_int_equal(pace_use(&p, S, 10 * MS), S + 10 * MS);
	assert_int_equal(pace_wait(&p, S, 0), 20 * MS);
	pace_return(&p, 10 * MS);
	assert_int_equal(pace_wait(&p, S, 0), 10 * MS);
	pace_return(&p, 100 * S);
	assert_int_equal(pace_wait(&p, 0, 0), 0);
}

static struct pace shared;

static void *use_a_lot(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100000; i++)
		pace_use(&shared, S, 3);
	return NULL;
}

static void threads_share_one(void **state)
{
	pthread_t t[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, use_a_lot, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(shared.due, S + 4 * 100000 * 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idle_one_has_its_burst_and_then_its_pace),
		cmocka_unit_test(who_looks_late_loses_nothing),
		cmocka_unit_test(one_a_second_is_one_a_second),
		cmocka_unit_test(what_was_returned_may_be_used_again),
		cmocka_unit_test(threads_share_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
