/* links: agent
 * test_manage_jobs.c - the table of jobs: whose turn it is, how many there may be, how long
 * they are kept, and which end because nobody asks for them any more.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "../../agent/manage.h"
#include "../../agent/manage_impl.h"
#include "agent_parts.h"

static struct manage *m;

static int set_up(void **state)
{
	struct err e;

	(void)state;
	parts_start(1);
	m = manage_new(&server, &e);
	assert_non_null(m);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	manage_free(m);
	parts_stop();
	return 0;
}

static struct task *add(const char *node, unsigned id, const char *pool)
{
	static const struct member none = { .name = NULL };
	static const struct manage_op op = { "test", &none, NULL };
	struct task *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->work.op = &op;
	snprintf(t->node, sizeof(t->node), "%s", node);
	snprintf(t->id, sizeof(t->id), "%032u", id);
	snprintf(t->place.pool, sizeof(t->place.pool), "%s", pool);
	t->asked = clock_now();
	task_add(manage_node_get(m, node), t);
	return t;
}

/* As a thread begins and ends one; who and which it is. */
static void begins(const char *node, unsigned id)
{
	char text[33];
	struct task *t = task_next(m);

	assert_non_null(t);
	snprintf(text, sizeof(text), "%032u", id);
	assert_string_equal(t->node, node);
	assert_string_equal(t->id, text);
	task_begin(m, t);
}

static void ends(const char *node, unsigned id)
{
	char text[33];
	struct err e = { 0 };

	snprintf(text, sizeof(text), "%032u", id);
	task_end(m, task_find(m, node, text), 0, NULL, &e);
}

static void nodes_take_turns(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++)
		add("a", i, i < 3 ? "fast" : "slow");
	add("b", 0, "fast");
	add("b", 1, "fast");
	begins("a", 0);
	begins("b", 0);
	begins("a", 1);
	begins("b", 1);
	/* The pool has as many as may run there: the oldest that is for another one. */
	begins("a", 3);
	begins("a", 4);
	assert_null(task_next(m));	/* a has four */
	ends("b", 0);
	assert_null(task_next(m));
	ends("a", 3);
	begins("a", 2);
	assert_null(task_next(m));
	ends("a", 0);
	begins("a", 5);
}

static void so_many_are_kept(void **state)
{
	char id[33];

	(void)state;
	for (unsigned i = 0; i < MANAGE_NODE_KEPT + 10; i++) {
		add("a", i, "fast");
		begins("a", i);
		ends("a", i);
	}
	for (unsigned i = 0; i < MANAGE_NODE_KEPT + 10; i++) {
		snprintf(id, sizeof(id), "%032u", i);
		assert_int_equal(task_find(m, "a", id) != NULL, i >= 10);
		assert_null(task_find(m, "b", id));
	}
}

static void they_are_forgotten(void **state)
{
	uint64_t now = clock_now();

	(void)state;
	add("a", 0, "fast");
	begins("a", 0);
	ends("a", 0);
	manage_tick(m, now + (MANAGE_KEEP - 1) * SECOND);
	assert_non_null(task_find(m, "a", "00000000000000000000000000000000"));
	manage_tick(m, now + (MANAGE_KEEP + 2) * SECOND);
	assert_null(task_find(m, "a", "00000000000000000000000000000000"));
	assert_null(m->nodes);
	assert_int_equal(m->kept, 0);
}

static void nobody_asks_any_more(void **state)
{
	struct task *t = add("a", 0, "fast"), *other = add("a", 1, "fast");
	uint64_t now = clock_now();

	(void)state;
	t->attended = true;
	begins("a", 0);
	manage_tick(m, now + (MANAGE_ATTENTION - 1) * SECOND);
	assert_false(progress_cancelled(&t->progress));
	t->asked = now + 10 * SECOND;
	manage_tick(m, now + (MANAGE_ATTENTION + 9) * SECOND);
	assert_false(progress_cancelled(&t->progress));
	manage_tick(m, now + (MANAGE_ATTENTION + 11) * SECOND);
	assert_true(progress_cancelled(&t->progress));
	assert_false(progress_cancelled(&other->progress));
	ends("a", 0);
	begins("a", 1);
	ends("a", 1);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(nodes_take_turns),
		WITH(so_many_are_kept),
		WITH(they_are_forgotten),
		WITH(nobody_asks_any_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
