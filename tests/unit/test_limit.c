/* links: agent
 * test_limit.c - requests and bytes a second, exactly, on a clock of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "../../agent/limit.h"

#define MS 1000000ull
#define S (1000 * MS)

/* As much as may go between two moments, looked at that often: requests. */
static unsigned run(struct limit *l, uint64_t from, uint64_t to, uint64_t step, uint32_t bytes)
{
	unsigned n = 0;

	for (uint64_t now = from; now < to; now += step)
		for (; !limit_wait(l, now); n++)
			assert_int_equal(limit_use(l, now, bytes), now);
	return n;
}

static void none_is_none(void **state)
{
	struct limit l = { 0 };

	(void)state;
	assert_false(limit_is_set(&l));
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(limit_wait(&l, S), 0);
		assert_int_equal(limit_use(&l, S, 1u << 30), S);
	}
}

static void requests_a_second(void **state)
{
	struct limit l = { 0 };

	(void)state;
	assert_true(limit_set(&l, &(struct limit_rates){ .iops = 500 }));
	assert_true(limit_is_set(&l));
	/* A tenth of a second at once: 50, and the one that is being paid for. */
	assert_int_equal(run(&l, S, S + 1, 1, 1 << 20), 51);
	assert_int_equal(run(&l, S + 2 * MS, 11 * S, MS, 1 << 20), 5000 - 1);
}

static void bytes_a_second(void **state)
{
	struct limit l = { 0 };

	(void)state;
	limit_set(&l, &(struct limit_rates){ .mbps = 40.96, .burst = 2 });
	/* 4096 bytes are 100 us. */
	assert_int_equal(run(&l, S, S + 1, 1, 4096), 20001);
	assert_int_equal(limit_wait(&l, S), 100000);
	assert_int_equal(run(&l, S + 100000, 11 * S, MS / 10, 4096), 100000 - 1);
}

static void both_hold(void **state)
{
	struct limit l = { 0 };

	(void)state;
	limit_set(&l, &(struct limit_rates){ .iops = 1000, .mbps = 1, .burst = 0.1 });
	/* Large ones are held by the bytes: 100 ms each; small ones by their number. */
	assert_in_range(run(&l, S, 11 * S, MS, 100000), 101, 102);
	limit_set(&l, &(struct limit_rates){ .iops = 1000, .mbps = 2, .burst = 0.1 });
	assert_in_range(run(&l, 20 * S, 30 * S, MS, 512), 10000, 10101);
}

static void one_in_a_long_time(void **state)
{
	struct limit l = { 0 };

	(void)state;
	limit_set(&l, &(struct limit_rates){ .iops = 1 });
	assert_int_equal(run(&l, 100 * S, 110 * S, MS, 4096), 11);
	limit_set(&l, &(struct limit_rates){ .mbps = 0.001 });
	/* 1 MiB in 1048.576 s. */
	assert_int_equal(limit_use(&l, S, 1 << 20), S);
	assert_int_equal(limit_wait(&l, S), 1048576 * MS - 100 * MS);
}

static void who_waits_has_a_moment_of_its_own(void **state)
{
	struct limit l = { 0 };

	(void)state;
	limit_set(&l, &(struct limit_rates){ .iops = 10, .burst = 0.05 });
	assert_int_equal(limit_use(&l, S, 0), S);
	assert_int_equal(limit_use(&l, S, 0), S + 50 * MS);
	assert_int_equal(limit_use(&l, S, 0), S + 150 * MS);
	limit_return(&l, 0);
	assert_int_equal(limit_use(&l, S, 0), S + 150 * MS);
}

static void a_change_holds_at_once(void **state)
{
	struct limit l = { 0 };
	struct limit_rates r = { .iops = 1 };

	(void)state;
	limit_set(&l, &r);
	for (int i = 0; i < 1000; i++)
		limit_use(&l, S, 0);
	assert_true(limit_wait(&l, S) > 900 * S);
	assert_false(limit_set(&l, &r));
	assert_true(limit_wait(&l, S) > 900 * S);	/* said once more, it is no change */
	r.iops = 2;
	assert_true(limit_set(&l, &r));
	assert_int_equal(limit_wait(&l, S), 0);
	r = (struct limit_rates){ 0 };
	assert_true(limit_set(&l, &r));
	assert_false(limit_set(&l, &r));
	assert_false(limit_is_set(&l));
}

/* Any values, any sizes, looks at any time that are no further apart than the burst: in every
 * stretch no more than the rate and the burst, and in the long run no less. */
static void any_limit_is_kept(void **state)
{
	(void)state;
	srand(7);
	for (int i = 0; i < 300; i++) {
		struct limit_rates r = { .iops = 1 + (uint64_t)(rand() % 20000), .burst = 0.02 + rand() % 1000 / 1000.0 };
		struct limit l = { 0 };
		uint64_t now = S + (uint64_t)rand(), end = now + 5 * S, step;
		double n = 0, most, least;

		limit_set(&l, &r);
		for (; now < end; now += step) {
			while (!limit_wait(&l, now)) {
				limit_use(&l, now, 4096);
				n++;
			}
			step = MS / 10 + (uint64_t)rand() % (20 * MS);
		}
		most = (double)r.iops * (5 + r.burst) + 1;
		least = (double)r.iops * (5 + r.burst - 0.0202);
		assert_true(n <= most + 1e-6 * most && n >= least);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_is_none),
		cmocka_unit_test(requests_a_second),
		cmocka_unit_test(bytes_a_second),
		cmocka_unit_test(both_hold),
		cmocka_unit_test(one_in_a_long_time),
		cmocka_unit_test(who_waits_has_a_moment_of_its_own),
		cmocka_unit_test(a_change_holds_at_once),
		cmocka_unit_test(any_limit_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
