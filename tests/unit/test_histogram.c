/* The histogram's percentiles beside exact ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "histogram.h"

#define N 20000
#define ERROR (1.0 / 32 + 1e-9)	/* half a bucket */

static uint64_t seed = 88172645463325252u;

static double uniform(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (double)(seed >> 11) / 9007199254740992.0;
}

/* Distributions as latencies have them, and as they have not. */
static uint64_t evenly(void)
{
	return 1000 + (uint64_t)(uniform() * 5e6);
}

static uint64_t long_tail(void)
{
	return 20000 + (uint64_t)(5e4 / (1.0001 - uniform()));
}

static uint64_t two_humps(void)
{
	return uniform() < 0.97 ? 40000 + (uint64_t)(uniform() * 1000) : 8000000 + (uint64_t)(uniform() * 1e6);
}

static uint64_t decades(void)
{
	return (uint64_t)((1 + uniform()) * (double)(UINT64_C(1024) << (int)(uniform() * 24)));
}

static uint64_t always(void)
{
	return 123456;
}

static int order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void percentiles(void **state)
{
	static uint64_t (*const kinds[])(void) = { evenly, long_tail, two_humps, decades, always };
	static const double at[] = { 0.1, 1, 10, 50, 90, 99, 99.9, 99.99, 100 };
	static uint64_t exact[N];

	(void)state;
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		static struct histogram h;
		double sum = 0, wrong_sum;

		memset(&h, 0, sizeof h);
		for (size_t i = 0; i < N; i++) {
			exact[i] = kinds[k]();
			sum += (double)exact[i];
			histogram_add(&h, exact[i], 1);
		}
		qsort(exact, N, sizeof *exact, order);
		assert_int_equal(histogram_count(&h), N);
		wrong_sum = histogram_sum(&h) - sum;
		assert_true((wrong_sum < 0 ? -wrong_sum : wrong_sum) <= sum * ERROR);
		for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
			double want = (double)exact[(size_t)(N * at[i] / 100 + 0.999999) - 1];
			double got = histogram_percentile(&h, at[i]), wrong = got > want ? got - want : want - got;

			if (wrong > want * ERROR)
				fail_msg("kind %zu: p%g is %g, not %g", k, at[i], want, got);
		}
	}
}

/* Every bucket begins where the one before ends, and holds what it says. */
static void buckets(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t from = histogram_from(i), to = histogram_from(i + 1);

		assert_true(from < to);
		assert_int_equal(histogram_bucket(from), i);
		assert_int_equal(histogram_bucket(to - 1), i);
		if (from >= 1024)
			assert_true((double)(to - from) <= (double)from / HISTOGRAM_STEPS);
	}
	assert_int_equal(histogram_from(0), 0);
	assert_true(histogram_from(HISTOGRAM_BUCKETS) > UINT64_C(120000000000));
	assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void adds_up(void **state)
{
	static struct histogram a, b, all, earlier;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		uint64_t x = long_tail(), y = two_humps();

		histogram_add(&a, x, 1);
		histogram_add(&b, y, 2);
		histogram_add(&all, x, 1);
		histogram_add(&all, y, 1);
		histogram_add(&all, y, 1);
	}
	earlier = a;
	histogram_merge(&a, &b);
	histogram_merge(&a, NULL);
	assert_memory_equal(&a, &all, sizeof a);
	histogram_since(&a, &earlier);
	assert_memory_equal(&a, &b, sizeof a);
	histogram_since(&a, &all);		/* it began anew */
	assert_int_equal(histogram_count(&a), 0);
	assert_true(histogram_percentile(&a, 50) == 0);
}

static void below(void **state)
{
	static struct histogram h;
	uint64_t n = 0;

	(void)state;
	for (unsigned bit = 6; bit < 36; bit++) {
		histogram_add(&h, (UINT64_C(1) << bit) - 1, 1);
		n++;
		assert_int_equal(histogram_below(&h, UINT64_C(1) << bit), n);
		histogram_add(&h, UINT64_C(1) << bit, 1);
		assert_int_equal(histogram_below(&h, UINT64_C(1) << bit), n);
		n++;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles), cmocka_unit_test(buckets), cmocka_unit_test(adds_up),
		cmocka_unit_test(below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
