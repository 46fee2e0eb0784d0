/* links: agent
 * test_fence.c - what a connection has done, and what is known of dead ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "../../agent/fence.h"

static void note(struct done_table *t, uint64_t cookie, enum wire_status status)
{
	assert_int_equal(done_reserve(t, cookie), 0);
	done_note(t, cookie, status);
}

static void the_newest_of_a_slot_is_known(void **state)
{
	struct done_table t = { 0 };
	uint16_t status;

	(void)state;
	assert_true(done_empty(&t));
	assert_false(done_find(&t, 5, &status));
	assert_int_equal(done_reserve(&t, 5), 0);
	assert_false(done_find(&t, 5, &status));	/* room is not a note */
	note(&t, 5, WIRE_E_NO_SPACE);
	note(&t, 1023, WIRE_OK);
	assert_true(done_find(&t, 5, &status));
	assert_int_equal(status, WIRE_E_NO_SPACE);
	note(&t, 5 + 7 * 1024, WIRE_OK);
	assert_false(done_find(&t, 5, &status));
	assert_true(done_find(&t, 5 + 7 * 1024, &status));
	assert_int_equal(status, WIRE_OK);
	assert_true(done_find(&t, 1023, &status));
	done_fini(&t);
	assert_true(done_empty(&t));
}

static void every_slot_has_its_place(void **state)
{
	struct done_table t = { 0 };
	uint16_t status;

	(void)state;
	for (uint64_t slot = 0; slot < 1024; slot++)
		note(&t, (slot + 1) << 10 | slot, (enum wire_status)(slot % WIRE_STATUS_COUNT));
	for (uint64_t slot = 0; slot < 1024; slot++) {
		assert_true(done_find(&t, (slot + 1) << 10 | slot, &status));
		assert_int_equal(status, slot % WIRE_STATUS_COUNT);
	}
	done_fini(&t);
}

static void add(struct dead_list *l, uint32_t number, uint64_t cookie)
{
	struct done_table t = { 0 };

	if (cookie)
		note(&t, cookie, WIRE_OK);
	dead_add(l, number, &t);
	assert_true(done_empty(&t));
}

/* How many of the two cookies were done, or minus the status. */
static int ask(const struct dead_list *l, uint32_t number, uint64_t a, uint64_t b)
{
	struct wire_fence f = { .connection = number, .count = 2, .cookies = { a, b } };
	enum wire_status status = dead_answer(l, &f);

	if (status)
		return -(int)status;
	assert_int_equal(f.connection, number);
	if (f.count == 1)
		assert_true(f.cookies[0] == a || f.cookies[0] == b);
	return (int)f.count;
}

static void an_answer_stays_the_same(void **state)
{
	struct dead_list l = { 0 };

	(void)state;
	add(&l, 3, 77);
	add(&l, 2, 78);
	add(&l, 4, 0);
	assert_int_equal(l.count, 2);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(&l, 3, 76, 77), 1);
		assert_int_equal(ask(&l, 2, 78, 77), 1);
		assert_int_equal(ask(&l, 4, 78, 77), 0);
		dead_answered(&l, 3);
	}
	dead_fini(&l);
}

static void the_oldest_go_first(void **state)
{
	struct dead_list l = { 0 };

	(void)state;
	for (uint32_t n = 1; n <= DEAD_MAX; n++)
		add(&l, n, n);
	assert_int_equal(l.forgotten, 0);
	add(&l, 1000, 1000);
	assert_int_equal(l.count, DEAD_MAX);
	/* Of a number that was dropped nothing is claimed. */
	assert_int_equal(ask(&l, 1, 1, 2), -WIRE_E_INVALID);
	assert_int_equal(ask(&l, 2, 2, 1), 1);
	assert_int_equal(ask(&l, 1000, 1000, 1), 1);
	/* Later ones that left no table did nothing. */
	assert_int_equal(ask(&l, 999, 1, 2), 0);
	dead_fini(&l);
}

static void answered_ones_go_before_the_oldest(void **state)
{
	struct dead_list l = { 0 };

	(void)state;
	for (uint32_t n = 1; n <= DEAD_MAX; n++)
		add(&l, n, n);
	dead_answered(&l, 100);
	dead_answered(&l, 5000);	/* never heard of it */
	add(&l, 1000, 1000);
	assert_int_equal(ask(&l, 1, 1, 2), 1);
	assert_int_equal(ask(&l, 100, 100, 2), -WIRE_E_INVALID);
	assert_int_equal(ask(&l, 99, 99, 2), 1);
	dead_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newest_of_a_slot_is_known),
		cmocka_unit_test(every_slot_has_its_place),
		cmocka_unit_test(an_answer_stays_the_same),
		cmocka_unit_test(the_oldest_go_first),
		cmocka_unit_test(answered_ones_go_before_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
