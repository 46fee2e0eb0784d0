/* Commands in flight: filled to the limit, found by cookie, never by a stale or invented one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "../seed.h"
#include "inflight.h"
#include "mpio.h"
#include "wire.h"

static struct command commands[WIRE_IN_FLIGHT_MAX + 1];

static void fills_to_the_limit(void **state)
{
	static uint64_t cookies[WIRE_IN_FLIGHT_MAX];
	static bool slots[WIRE_IN_FLIGHT_MAX];
	uint64_t extra = 0;
	struct inflight f;

	(void)state;
	inflight_init(&f, WIRE_IN_FLIGHT_MAX);
	for (unsigned i = 0; i < WIRE_IN_FLIGHT_MAX; i++) {
		assert_int_equal(inflight_add(&f, &commands[i], &cookies[i]), 0);
		assert_false(slots[WIRE_SLOT(cookies[i])]);
		slots[WIRE_SLOT(cookies[i])] = true;
	}
	assert_int_equal(inflight_add(&f, &commands[WIRE_IN_FLIGHT_MAX], &extra), -EBUSY);
	assert_int_equal(f.used, WIRE_IN_FLIGHT_MAX);
	for (unsigned i = 0; i < WIRE_IN_FLIGHT_MAX; i++)
		assert_ptr_equal(inflight_find(&f, cookies[i]), &commands[i]);
	/* One leaves, one may come. */
	assert_ptr_equal(inflight_take(&f, cookies[500]), &commands[500]);
	assert_int_equal(inflight_add(&f, &commands[WIRE_IN_FLIGHT_MAX], &extra), 0);
	assert_int_equal(WIRE_SLOT(extra), WIRE_SLOT(cookies[500]));
	assert_int_not_equal(extra, cookies[500]);
	inflight_fini(&f);
}

static void lower_limits_hold(void **state)
{
	static const uint32_t limits[] = { 1, 2, 31, 32, 33, 1000 };
	uint64_t cookie;

	(void)state;
	for (size_t k = 0; k < sizeof limits / sizeof *limits; k++) {
		struct inflight f;

		inflight_init(&f, limits[k]);
		for (uint32_t i = 0; i < limits[k]; i++)
			assert_int_equal(inflight_add(&f, &commands[i], &cookie), 0);
		assert_int_equal(inflight_add(&f, &commands[limits[k]], &cookie), -EBUSY);
		inflight_fini(&f);
		/* Still usable, still limited. */
		assert_int_equal(inflight_add(&f, &commands[0], &cookie), 0);
		assert_int_equal(f.limit, limits[k]);
		inflight_fini(&f);
	}
}

static void limit_beyond_the_protocol_is_cut(void **state)
{
	struct inflight f;

	(void)state;
	inflight_init(&f, 1u << 20);
	assert_int_equal(f.limit, WIRE_IN_FLIGHT_MAX);
	inflight_fini(&f);
}

static void stale_cookies_find_nothing(void **state)
{
	uint64_t a, b, c;
	struct inflight f;

	(void)state;
	inflight_init(&f, 16);
	assert_null(inflight_find(&f, 0));
	assert_null(inflight_take(&f, 0));
	assert_int_equal(inflight_add(&f, &commands[0], &a), 0);
	assert_int_equal(inflight_add(&f, &commands[1], &b), 0);
	assert_int_not_equal(a, 0);		/* 0 is the events' */
	assert_ptr_equal(inflight_take(&f, a), &commands[0]);
	assert_null(inflight_find(&f, a));
	assert_null(inflight_take(&f, a));
	/* The slot is used again: its old cookie is still nobody's. */
	assert_int_equal(inflight_add(&f, &commands[2], &c), 0);
	assert_int_equal(WIRE_SLOT(c), WIRE_SLOT(a));
	assert_null(inflight_find(&f, a));
	assert_ptr_equal(inflight_find(&f, c), &commands[2]);
	/* Invented ones: a slot that was never used, one beyond the table. */
	assert_null(inflight_find(&f, WIRE_SLOT(UINT64_MAX)));
	assert_null(inflight_find(&f, UINT64_MAX));
	assert_null(inflight_find(&f, c + (1u << WIRE_SLOT_BITS)));
	assert_ptr_equal(inflight_find(&f, b), &commands[1]);
	assert_int_equal(f.used, 2);
	inflight_fini(&f);
}

/* Against a plain model: random adds and takes, with the table growing meanwhile. */
static void growth_keeps_everything(void **state)
{
	static struct { uint64_t cookie; struct command *c; } model[WIRE_IN_FLIGHT_MAX];
	unsigned count = 0, seed = (unsigned)test_seed(1);
	struct inflight f;

	(void)state;
	inflight_init(&f, 300);
	for (int turn = 0; turn < 20000; turn++) {
		unsigned r = (unsigned)rand_r(&seed);

		if (count < 300 && (!count || r % 5 < 3)) {
			model[count].c = &commands[r % 1024];
			assert_int_equal(inflight_add(&f, model[count].c, &model[count].cookie), 0);
			count++;
		} else {
			unsigned i = r % count;

			assert_ptr_equal(inflight_find(&f, model[i].cookie), model[i].c);
			assert_ptr_equal(inflight_take(&f, model[i].cookie), model[i].c);
			model[i] = model[--count];
		}
		assert_int_equal(f.used, count);
	}
	inflight_fini(&f);
}

static void taken_oldest_first(void **state)
{
	struct inflight f;
	uint64_t cookies[100];

	(void)state;
	inflight_init(&f, 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(inflight_add(&f, &commands[i], &cookies[i]), 0);
	/* Holes, filled anew: the order of sending is not that of the slots. */
	for (int i = 0; i < 50; i += 2)
		inflight_take(&f, cookies[i]);
	for (int i = 0; i < 50; i += 2)
		assert_int_equal(inflight_add(&f, &commands[100 + i], &cookies[i]), 0);
	for (int i = 1; i < 50; i += 2)
		assert_ptr_equal(inflight_take_any(&f), &commands[i]);
	for (int i = 50; i < 100; i++)
		assert_ptr_equal(inflight_take_any(&f), &commands[i]);
	for (int i = 0; i < 50; i += 2)
		assert_ptr_equal(inflight_take_any(&f), &commands[100 + i]);
	assert_null(inflight_take_any(&f));
	assert_int_equal(f.used, 0);
	inflight_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_to_the_limit),
		cmocka_unit_test(lower_limits_hold),
		cmocka_unit_test(limit_beyond_the_protocol_is_cut),
		cmocka_unit_test(stale_cookies_find_nothing),
		cmocka_unit_test(growth_keeps_everything),
		cmocka_unit_test(taken_oldest_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
