/* links: fusefs
 * The tree's nodes: found, counted, kept while somebody has them, numbered alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "../../fusefs/names.h"

static char volume_memory[2];
#define VOLUME ((struct mpio *)(void *)&volume_memory[0])
#define ANOTHER ((struct mpio *)(void *)&volume_memory[1])

static struct names n;
static struct node *ns;

static int setup(void **state)
{
	(void)state;
	names_init(&n, 0, 0, 6, 0660);
	ns = names_add_dir(&n, &n.root, "osl", NULL);
	return ns ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	names_fini(&n);
	return 0;
}

static void finds_and_counts(void **state)
{
	struct node *v = names_add_volume(&n, ns, "oracle", NULL, VOLUME, 4096, false);
	struct stat st;

	(void)state;
	assert_ptr_equal(names_find(&n, &n.root, "osl"), ns);
	assert_ptr_equal(names_find(&n, ns, "oracle"), v);
	assert_null(names_find(&n, ns, "oracl"));
	assert_null(names_find(&n, v, "oracle"));
	assert_ptr_equal(names_node(&n, 1), &n.root);
	assert_ptr_equal(names_node(&n, names_nodeid(&n, v)), v);
	names_stat(v, &st);
	assert_int_equal(st.st_mode, S_IFREG | 0660);
	assert_int_equal(st.st_gid, 6);
	assert_int_equal(st.st_size, 4096);
	assert_int_equal(n.volumes, 1);
	names_set_size(&n, v, 8192);
	assert_int_equal(n.bytes, 8192);
	names_stat(&n.root, &st);
	assert_int_equal(st.st_nlink, 3);
	names_remove(&n, v);
	assert_int_equal(n.volumes, 0);
	assert_int_equal(n.bytes, 0);
}

static void read_only_has_no_write_bits(void **state)
{
	struct node *v = names_add_volume(&n, ns, "ro", NULL, VOLUME, 4096, true);
	struct stat st;

	(void)state;
	v->mode = S_IFREG | 0666;
	names_stat(v, &st);
	assert_int_equal(st.st_mode, S_IFREG | 0444);
}

static void lives_while_it_is_known(void **state)
{
	struct node *v = names_add_volume(&n, ns, "oracle", NULL, VOLUME, 4096, false), *w;
	uint64_t number = v->ino;
	struct stat st;

	(void)state;
	names_get(v);
	names_opened(v);
	names_remove(&n, v);
	assert_null(names_find(&n, ns, "oracle"));
	names_stat(v, &st);		/* freed memory, if it were not kept */
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_size, 4096);
	w = names_add_volume(&n, ns, "oracle", NULL, ANOTHER, 4096, false);
	assert_ptr_not_equal(w, v);
	assert_int_equal(w->ino, number);
	names_closed(&n, v);
	names_stat(v, &st);
	names_forget(&n, v, 1);		/* its last */
}

static void content_may_be_replaced(void **state)
{
	struct node *v = names_add_volume(&n, ns, "oracle", NULL, VOLUME, 4096, false);

	(void)state;
	assert_ptr_equal(names_add_volume(&n, ns, "oracle", NULL, ANOTHER, 512, true), v);
	assert_ptr_equal(v->volume, ANOTHER);
	assert_int_equal(n.volumes, 1);
	assert_int_equal(n.bytes, 512);
	/* A name that is something else is never made a volume. */
	assert_null(names_add_volume(&n, &n.root, "osl", NULL, VOLUME, 4096, false));
}

static void goes_with_its_directory(void **state)
{
	struct node *v = names_add_volume(&n, ns, "oracle", NULL, VOLUME, 4096, false);

	(void)state;
	names_get(v);
	names_remove(&n, ns);
	assert_null(names_find(&n, &n.root, "osl"));
	assert_null(v->parent);
	assert_int_equal(n.volumes, 0);
	names_forget(&n, v, 1);
}

/* A snapshot is no disk more, and has the time at which it was taken. */
static void snapshots_are_not_counted(void **state)
{
	struct node *dir = names_add_dir(&n, ns, ".snap", NULL), *v;
	struct stat st;

	(void)state;
	v = names_add_snapshot(&n, dir, "monday", NULL, VOLUME, 4096, 1795680000);
	assert_ptr_equal(names_find(&n, dir, "monday"), v);
	assert_int_equal(n.volumes, 0);
	assert_int_equal(n.bytes, 0);
	names_stat(v, &st);
	assert_int_equal(st.st_mode, S_IFREG | 0440);
	assert_int_equal(st.st_mtim.tv_sec, 1795680000);
	names_stat(dir, &st);
	assert_int_equal(st.st_mtim.tv_sec, 1795680000);
	names_stat(ns, &st);
	assert_int_equal(st.st_nlink, 3);
	names_remove(&n, dir);
	assert_int_equal(n.volumes, 0);
	names_stat(ns, &st);
	assert_int_equal(st.st_nlink, 2);
}

/* A plan is no volume yet, and no volume becomes a plan. */
static void plans_become_volumes(void **state)
{
	struct node *v = names_add_planned(&n, ns, "new", NULL);
	struct stat st;

	(void)state;
	assert_ptr_equal(names_add_planned(&n, ns, "new", NULL), v);
	assert_int_equal(n.planned, 1);
	assert_int_equal(n.volumes, 0);
	names_stat(v, &st);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_size, 0);
	assert_ptr_equal(names_add_volume(&n, ns, "new", NULL, VOLUME, 4096, false), v);
	assert_false(v->planned);
	assert_int_equal(n.planned, 0);
	assert_int_equal(n.volumes, 1);
	assert_null(names_add_planned(&n, ns, "new", NULL));
	assert_ptr_equal(v->volume, VOLUME);
	names_remove(&n, v);
	v = names_add_planned(&n, ns, "new", NULL);
	names_remove(&n, v);
	assert_int_equal(n.planned, 0);
	assert_int_equal(n.volumes, 0);
}

/* However many there are, each is found, also after others went. */
static void finds_among_many(void **state)
{
	struct node *dir = names_add_dir(&n, &n.root, "other", NULL);
	char name[16];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "v%d", i);
		assert_non_null(names_add_volume(&n, i % 2 ? ns : dir, name, NULL, VOLUME, 512, false));
	}
	for (int i = 0; i < 5000; i += 3) {
		snprintf(name, sizeof name, "v%d", i);
		names_remove(&n, names_find(&n, i % 2 ? ns : dir, name));
	}
	for (int i = 0; i < 5000; i++) {
		struct node *v;

		snprintf(name, sizeof name, "v%d", i);
		v = names_find(&n, i % 2 ? ns : dir, name);
		assert_int_equal(v != NULL, i % 3 != 0);
		assert_true(!v || strcmp(v->name, name) == 0);
		assert_null(names_find(&n, i % 2 ? dir : ns, name));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds_and_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(read_only_has_no_write_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(lives_while_it_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(content_may_be_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(snapshots_are_not_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(plans_become_volumes, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_among_many, setup, teardown),
		cmocka_unit_test_setup_teardown(goes_with_its_directory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
