/* links: agent
 * test_journal.c - renames that happen all or not at all, and those that are refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../../agent/journal.h"

static char dir[128];
static int fd;
static struct journal j;
static struct err e;

static int set_up(void **state)
{
	const char *base = getenv("TMPDIR");

	(void)state;
	snprintf(dir, sizeof(dir), "%s/rsio-journal-XXXXXX", base ? base : "/tmp");
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	assert_int_equal(mkdirat(fd, "sub", 0755), 0);
	memset(&e, 0, sizeof(e));
	return 0;
}

static int tear_down(void **state)
{
	char command[200];

	(void)state;
	journal_free(&j);
	close(fd);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

/* A file that says which one it was. */
static void make(const char *name)
{
	int f = openat(fd, name, O_WRONLY | O_CREAT | O_EXCL, 0644);

	assert_true(f >= 0 && write(f, name, strlen(name)) == (ssize_t)strlen(name));
	close(f);
}

static const char *was(const char *name)
{
	static char text[64];
	int f = openat(fd, name, O_RDONLY);
	ssize_t n = f < 0 ? -1 : read(f, text, sizeof(text) - 1);

	if (f >= 0)
		close(f);
	text[n > 0 ? n : 0] = 0;
	return n < 0 ? NULL : text;
}

/* Is there one that has steps? */
static bool pending(void)
{
	char text[4096];
	int f = openat(fd, JOURNAL_FILE, O_RDONLY);
	ssize_t n = f < 0 ? 0 : read(f, text, sizeof(text) - 1);

	if (f >= 0)
		close(f);
	text[n > 0 ? n : 0] = 0;
	return strstr(text, "\nmove ") || strstr(text, "\nremove ");
}

static void steps_are_done_once_however_often(void **state)
{
	char *text, *copy;
	size_t length;

	(void)state;
	make("a");
	make("b");
	make("c");
	make("sub/d");
	journal_move(&j, "a", "b");
	journal_move(&j, "sub", "new");
	journal_remove(&j, "c");
	assert_int_equal(journal_commit(&j, fd, &e), 0);
	assert_true(pending());
	assert_string_equal(was("a"), "a");
	text = journal_format(&j, &length);
	copy = strdup(text);
	assert_int_equal(journal_finish(fd, &e), 0);
	assert_null(was("a"));
	assert_null(was("c"));
	assert_string_equal(was("b"), "a");
	assert_string_equal(was("new/d"), "sub/d");
	assert_false(pending());

	/* As after a crash before the journal was gone. */
	for (int i = 0; i < 2; i++) {
		int f = openat(fd, JOURNAL_FILE, O_WRONLY | O_CREAT, 0644);

		assert_int_equal(write(f, copy, length), length);
		close(f);
		assert_int_equal(journal_finish(fd, &e), 0);
		assert_string_equal(was("b"), "a");
		assert_string_equal(was("new/d"), "sub/d");
	}
	free(text);
	free(copy);
}

static void nothing_committed_is_nothing_to_do(void **state)
{
	(void)state;
	assert_int_equal(journal_finish(fd, &e), 0);
}

static int refused(const char *from, const char *to, const char *from2, const char *to2)
{
	struct journal bad = { 0 };
	int r;

	journal_move(&bad, from, to);
	if (from2 && to2)
		journal_move(&bad, from2, to2);
	else if (from2)
		journal_remove(&bad, from2);
	r = journal_commit(&bad, fd, &e);
	journal_free(&bad);
	assert_false(pending());
	return r;
}

static void what_could_not_be_done_twice_is_refused(void **state)
{
	char path[JOURNAL_PATH_MAX + 10];

	(void)state;
	assert_int_equal(refused("a", "b", "a", "c"), -EINVAL);
	assert_int_equal(refused("a", "b", "b", "c"), -EINVAL);
	assert_int_equal(refused("b", "c", "a", "b"), -EINVAL);
	assert_int_equal(refused("a", "b", "b", NULL), -EINVAL);
	assert_int_equal(refused("a", "b", "b/c", "d"), -EINVAL);
	assert_int_equal(refused("a", "c", "b", "c"), -EINVAL);
	assert_int_equal(refused("a", "a", NULL, NULL), -EINVAL);
	assert_int_equal(refused("a", "a/b", NULL, NULL), -EINVAL);
	assert_int_equal(refused("../a", "b", NULL, NULL), -EINVAL);
	assert_int_equal(refused("a", "/b", NULL, NULL), -EINVAL);
	assert_int_equal(refused("a", "b/../../c", NULL, NULL), -EINVAL);
	assert_int_equal(refused("a", "b c", NULL, NULL), -EINVAL);
	assert_int_equal(refused("a", "b\n", NULL, NULL), -EINVAL);
	assert_int_equal(refused("", "b", NULL, NULL), -EINVAL);
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = 0;
	assert_int_equal(refused("a", path, NULL, NULL), -ENAMETOOLONG);
	assert_non_null(strstr(e.text, JOURNAL_FILE));
}

static void a_damaged_one_is_refused_whole(void **state)
{
	size_t length;
	char *text;

	(void)state;
	make("a");
	make("b");
	journal_move(&j, "a", "c");
	journal_remove(&j, "b");
	text = journal_format(&j, &length);
	for (size_t i = 0; i < length; i++) {
		int f = openat(fd, JOURNAL_FILE, O_WRONLY | O_CREAT | O_TRUNC, 0644);

		text[i] ^= 1;
		assert_int_equal(write(f, text, length), length);
		text[i] ^= 1;
		assert_int_equal(journal_finish(fd, &e), -EBADMSG);
		assert_int_equal(ftruncate(f, (off_t)i), 0);
		close(f);
		assert_int_equal(journal_finish(fd, &e), -EBADMSG);
		assert_non_null(strstr(e.text, JOURNAL_FILE));
	}
	assert_string_equal(was("a"), "a");
	assert_string_equal(was("b"), "b");
	free(text);
}

static void a_step_that_fails_is_tried_again(void **state)
{
	(void)state;
	make("a");
	make("b");
	journal_move(&j, "a", "gone/a");	/* its directory is not there */
	journal_move(&j, "b", "c");
	assert_int_equal(journal_commit(&j, fd, &e), 0);
	assert_int_equal(journal_finish(fd, &e), -ENOENT);
	assert_non_null(strstr(e.text, "gone/a"));
	assert_string_equal(was("b"), "b");
	assert_true(journal_withdraw(&j, fd));
	assert_false(pending());
	assert_string_equal(was("a"), "a");
	journal_free(&j);

	journal_move(&j, "b", "c");
	journal_move(&j, "a", "gone/a");
	assert_int_equal(journal_commit(&j, fd, &e), 0);
	assert_int_equal(journal_finish(fd, &e), -ENOENT);
	assert_false(journal_withdraw(&j, fd));
	assert_int_equal(mkdirat(fd, "gone", 0755), 0);
	assert_int_equal(journal_finish(fd, &e), 0);
	assert_string_equal(was("c"), "b");
	assert_string_equal(was("gone/a"), "a");
}

/* Whoever owns the directory can put there what he likes; rssrv may be root. */
static void what_lies_in_its_place_is_not_written_to(void **state)
{
	(void)state;
	make("a");
	make("precious");
	make("other");
	assert_int_equal(linkat(fd, "precious", fd, JOURNAL_SPARE, 0), 0);
	journal_move(&j, "a", "b");
	assert_int_equal(journal_commit(&j, fd, &e), 0);
	assert_int_equal(journal_finish(fd, &e), 0);
	assert_string_equal(was("precious"), "precious");
	journal_free(&j);

	assert_int_equal(unlinkat(fd, JOURNAL_SPARE, 0), 0);
	assert_int_equal(symlinkat("other", fd, JOURNAL_SPARE), 0);
	journal_move(&j, "b", "c");
	assert_int_equal(journal_commit(&j, fd, &e), 0);
	assert_int_equal(journal_finish(fd, &e), 0);
	assert_string_equal(was("other"), "other");
	assert_string_equal(was("c"), "a");
}

/* A file system on which names cannot change places leaves it so. */
static void the_spare_one_may_be_missing(void **state)
{
	(void)state;
	make("a");
	assert_int_equal(journal_prepare(fd), 0);
	journal_move(&j, "a", "b");
	assert_int_equal(journal_commit(&j, fd, &e), 0);
	assert_int_equal(unlinkat(fd, JOURNAL_SPARE, 0), 0);
	assert_int_equal(journal_finish(fd, &e), 0);
	assert_string_equal(was("b"), "a");
	assert_false(pending());
	journal_free(&j);
	journal_move(&j, "b", "c");
	assert_int_equal(journal_commit(&j, fd, &e), 0);
	assert_int_equal(journal_finish(fd, &e), 0);
	assert_string_equal(was("c"), "a");
	assert_false(pending());
}

static void a_large_one_becomes_small_again(void **state)
{
	char from[32], to[32];
	struct stat st;

	(void)state;
	for (int i = 0; i < 600; i++) {
		snprintf(from, sizeof(from), "a-rather-long-name-%d", i);
		snprintf(to, sizeof(to), "b%d", i);
		make(from);
		journal_move(&j, from, to);
	}
	assert_int_equal(journal_commit(&j, fd, &e), 0);
	assert_int_equal(journal_finish(fd, &e), 0);
	assert_string_equal(was("b599"), "a-rather-long-name-599");
	journal_free(&j);
	journal_move(&j, "b0", "c");
	assert_int_equal(journal_commit(&j, fd, &e), 0);
	assert_int_equal(journal_finish(fd, &e), 0);
	assert_string_equal(was("c"), "a-rather-long-name-0");
	assert_int_equal(fstatat(fd, JOURNAL_SPARE, &st, 0), 0);
	assert_int_equal(st.st_size, 16384);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(steps_are_done_once_however_often),
		WITH(nothing_committed_is_nothing_to_do),
		WITH(what_could_not_be_done_twice_is_refused),
		WITH(a_damaged_one_is_refused_whole),
		WITH(a_step_that_fails_is_tried_again),
		WITH(what_lies_in_its_place_is_not_written_to),
		WITH(the_spare_one_may_be_missing),
		WITH(a_large_one_becomes_small_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
