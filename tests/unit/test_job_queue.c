/* links: agent
 * test_job_queue.c - clients of a volume take turns, each in its own order; what is picked out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../../agent/workers.h"

static struct job_queue q;
static struct job jobs[20000];
static unsigned used;
static const char a[] = "a", b[] = "b", c[] = "c";

static int set_up(void **state)
{
	(void)state;
	used = 0;
	job_queue_init(&q);
	return 0;
}

static struct job *add(const char *client, uint64_t number, enum job_kind kind)
{
	struct job *j = &jobs[used++];

	*j = (struct job){ .client = client, .kind = kind, .cookie = number };
	job_queue_add(&q, j);
	return j;
}

/* "a1 b1 a2 ": what is taken, in rows of n at most. */
static const char *take(unsigned n)
{
	static char text[4096];
	size_t at = 0;

	text[0] = 0;
	for (struct job *j = job_queue_take(&q, n); j; j = j->next)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%d ", (const char *)j->client, (int)j->cookie);
	return text;
}

static void one_client_in_its_order(void **state)
{
	(void)state;
	assert_true(job_queue_empty(&q));
	for (uint64_t i = 1; i <= 5; i++)
		add(a, i, JOB_QUICK);
	assert_false(job_queue_mixed(&q));
	assert_string_equal(take(3), "a1 a2 a3 ");
	add(a, 6, JOB_SLOW);
	add(a, 7, JOB_QUICK);
	assert_string_equal(take(9), "a4 a5 ");
	assert_string_equal(take(9), "a6 ");
	assert_string_equal(take(9), "a7 ");
	assert_true(job_queue_empty(&q));
}

static void clients_take_turns(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 1000; i++)
		add(a, i, JOB_QUICK);
	add(b, 1, JOB_QUICK);
	add(b, 2, JOB_QUICK);
	add(c, 1, JOB_QUICK);
	assert_true(job_queue_mixed(&q));
	assert_string_equal(take(6), "a1 b1 c1 a2 b2 a3 ");
	assert_false(job_queue_mixed(&q));
	/* Whoever comes is next, or after one. */
	add(c, 2, JOB_QUICK);
	assert_string_equal(take(2), "a4 c2 ");
	add(b, 3, JOB_SLOW);
	assert_string_equal(take(4), "a5 ");
	assert_string_equal(take(4), "b3 ");
	assert_string_equal(take(3), "a6 a7 a8 ");
}

static void what_is_picked(void **state)
{
	struct conn *mine = (struct conn *)&q, *theirs = (struct conn *)&used;
	struct job *j;
	int n = 0;

	(void)state;
	for (uint64_t i = 0; i < 30; i++) {
		j = add(i % 3 == 0 ? a : i % 3 == 1 ? b : c, i, JOB_QUICK);
		j->conn = i % 3 == 1 || i % 2 ? mine : theirs;
		j->changes = i % 2;
	}
	for (j = job_queue_pick(&q, theirs, false); j; j = j->next, n++)
		assert_ptr_equal(j->conn, theirs);
	assert_int_equal(n, 10);
	for (n = 0, j = job_queue_pick(&q, NULL, true); j; j = j->next, n++)
		assert_true(j->changes);
	assert_int_equal(n, 15);
	/* Those of b that change nothing are left: 4, 10, 16, 22, 28. */
	assert_string_equal(take(2), "b4 b10 ");
	add(a, 99, JOB_QUICK);
	assert_string_equal(take(9), "b16 a99 b22 b28 ");
	assert_null(job_queue_pick(&q, NULL, false));
	assert_true(job_queue_empty(&q));
}

/* Whatever comes and goes: each client's in its order, and none is lost. */
static void any_order(void **state)
{
	static const char *const clients[] = { "k0", "k1", "k2", "k3", "k4", "k5" };
	uint64_t put[6] = { 0 }, got[6] = { 0 };

	(void)state;
	srand(3);
	while (used < 20000) {
		int k = rand() % 6 * (rand() % 3 != 0);

		if (rand() % 5 < 3) {
			add(clients[k], put[k]++, rand() % 4 ? JOB_QUICK : JOB_SLOW);
		} else if (!job_queue_empty(&q)) {
			for (struct job *j = job_queue_take(&q, 1 + (unsigned)rand() % 8); j; j = j->next) {
				k = ((const char *)j->client)[1] - '0';
				assert_int_equal(j->cookie, got[k]++);
			}
		}
	}
	while (!job_queue_empty(&q))
		for (struct job *j = job_queue_take(&q, 8); j; j = j->next)
			got[((const char *)j->client)[1] - '0']++;
	assert_memory_equal(put, got, sizeof(put));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_client_in_its_order, set_up),
		cmocka_unit_test_setup(clients_take_turns, set_up),
		cmocka_unit_test_setup(what_is_picked, set_up),
		cmocka_unit_test_setup(any_order, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
