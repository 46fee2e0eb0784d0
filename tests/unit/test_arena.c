/* links: agent
 * test_arena.c - replies' memory: one after the other, again and again, counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "../../agent/arena.h"

static struct memory memory;
static struct arena arena;

static int set_up(void **state)
{
	(void)state;
	memory_init(&memory);
	arena_init(&arena, &memory);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_fini(&arena);
	assert_int_equal(atomic_load(&memory.used), 0);
	return 0;
}

static void a_sent_reply_leaves_its_place(void **state)
{
	struct out *first = NULL;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		struct out *o = out_new(&arena, 8192);

		assert_non_null(o);
		assert_int_equal((uintptr_t)o->payload % 64, 0);
		assert_ptr_equal(o->payload, o->header + WIRE_REPLY_SIZE);
		memset(o->payload, i, 8192);
		first = first ? first : o;
		assert_ptr_equal(o, first);
		out_free(&arena, o);
	}
	assert_true(atomic_load(&memory.used) <= ARENA_CHUNK_SIZE);
}

static void many_at_once_do_not_overlap(void **state)
{
	enum { N = 300 };
	struct out *o[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		o[i] = out_new(&arena, (uint32_t)(i * 37 % 9000));
		assert_non_null(o[i]);
		memset(o[i]->payload, i, (size_t)(i * 37 % 9000));
	}
	for (int i = 0; i < N; i++)
		for (int n = 0; n < i * 37 % 9000; n++)
			assert_int_equal(o[i]->payload[n], (uint8_t)i);
	for (int i = 0; i < N; i++)
		out_free(&arena, o[(i * 7) % N]);
	/* What is not used comes back a second later. */
	arena_trim(&arena);
	arena_trim(&arena);
	assert_true(atomic_load(&memory.used) <= ARENA_CHUNK_SIZE);
}

static void the_largest_reply_fits(void **state)
{
	struct out *a, *b;

	(void)state;
	a = out_new(&arena, WIRE_DATA_MAX);
	b = out_new(&arena, WIRE_DATA_MAX);
	memset(a->payload, 1, WIRE_DATA_MAX);
	memset(b->payload, 2, WIRE_DATA_MAX);
	assert_int_equal(a->payload[WIRE_DATA_MAX - 1], 1);
	out_free(&arena, b);
	out_free(&arena, a);
}

static void slow_ones_hold_up_nothing(void **state)
{
	struct out *slow = out_new_slow(&arena, 8192);
	size_t used = atomic_load(&memory.used);

	(void)state;
	assert_true(used >= 8192 && used < 8192 + 512);
	for (int i = 0; i < 1000; i++)
		out_free(&arena, out_new(&arena, 8192));
	assert_true(atomic_load(&memory.used) <= used + ARENA_CHUNK_SIZE);
	out_free(&arena, slow);
}

static void the_limit_is_seen(void **state)
{
	void *b;

	(void)state;
	memory.limit = 1 << 20;
	assert_false(memory_tight(&memory));
	b = buffer_new(&memory, 2 << 20);
	assert_int_equal((uintptr_t)b % 64, 0);
	assert_true(memory_tight(&memory));
	buffer_free(&memory, b);
	buffer_free(&memory, NULL);
	assert_false(memory_tight(&memory));
	assert_true(atomic_load(&memory.peak) >= 2 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_sent_reply_leaves_its_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_at_once_do_not_overlap, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_largest_reply_fits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(slow_ones_hold_up_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_limit_is_seen, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
