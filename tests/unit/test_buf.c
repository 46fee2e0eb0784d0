/* The pool hands the same memory out again, keeps to its limit, and gives back what is too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "buf.h"

static void reuses(void **state)
{
	struct buf_pool *p = buf_pool_new(1 << 20, 1 << 20);
	struct buf *a, *b;

	(void)state;
	a = buf_get(p, 5000);
	assert_int_equal(a->size, 8192);
	assert_int_equal((uintptr_t)a->data % 64, 0);
	memset(a->data, 1, a->size);
	buf_put(a);
	b = buf_get(p, 8192);
	assert_ptr_equal(a, b);
	assert_int_equal(buf_counts(p)->held, 8192);
	buf_put(b);
	buf_pool_free(p);
}

static void keeps_to_its_limit(void **state)
{
	struct buf_pool *p = buf_pool_new(3 * BUF_LARGE, 3 * BUF_LARGE);
	struct buf *b[4];

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_non_null(b[i] = buf_get(p, 1 << 20));
	assert_null(buf_get(p, 1));
	assert_int_equal(buf_counts(p)->refused, 1);
	assert_false(buf_room(p, 1));
	for (int i = 0; i < 3; i++)
		buf_put(b[i]);
	/* What is free but of another size makes room. */
	for (int i = 0; i < 4; i++)
		assert_non_null(b[i] = buf_get(p, BUF_SMALL_MAX));
	assert_true(buf_counts(p)->held <= buf_counts(p)->limit);
	for (int i = 0; i < 4; i++)
		buf_put(b[i]);
	assert_int_equal(buf_counts(p)->used, 0);
	buf_pool_free(p);
}

static void stays_fixed(void **state)
{
	struct buf_pool *p = buf_pool_new(8 * BUF_LARGE, 0);
	struct buf *a, *b;

	(void)state;
	assert_int_equal(buf_pool_reserve(p, 8192, 1), 0);
	assert_int_equal(buf_pool_reserve(p, BUF_LARGE, 1), 0);
	buf_pool_fix(p);
	assert_non_null(a = buf_get(p, 100));
	assert_int_equal(a->size, 8192);
	assert_true(buf_room(p, 100));
	assert_non_null(b = buf_get(p, 100));
	assert_int_equal(b->size, BUF_LARGE);
	assert_false(buf_room(p, 100));
	assert_null(buf_get(p, 100));
	buf_put(a);
	assert_false(buf_room(p, 9000));
	assert_null(buf_get(p, 9000));
	buf_put(b);
	assert_ptr_equal(buf_get(p, 1 << 20), b);
	buf_put(b);
	assert_int_equal(buf_counts(p)->held, BUF_LARGE + 8192);
	assert_int_equal(buf_counts(p)->used, 0);
	buf_pool_free(p);
}

static void gives_back(void **state)
{
	struct buf_pool *p = buf_pool_new(8 * BUF_LARGE, BUF_LARGE);
	struct buf *b[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_non_null(b[i] = buf_get(p, BUF_LARGE));
	for (int i = 0; i < 8; i++)
		buf_put(b[i]);
	assert_int_equal(buf_counts(p)->held, BUF_LARGE);
	assert_null(buf_get(p, BUF_LARGE + 1));
	assert_int_equal(buf_pool_reserve(p, 8192, 2), 0);
	buf_pool_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reuses),
		cmocka_unit_test(keeps_to_its_limit),
		cmocka_unit_test(stays_fixed),
		cmocka_unit_test(gives_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
