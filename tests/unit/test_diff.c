/* test_diff.c - what differs, as patch(1) can use it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "diff.h"

static char *diff(const char *before, const char *after)
{
	struct diff_side a = { "a", before, strlen(before), NULL, 0 }, b = { "b", after, strlen(after), NULL, 0 };
	char *text = diff_unified(&a, &b);

	assert_non_null(text);
	return text;
}

static void expect(const char *before, const char *after, const char *expected)
{
	char *text = diff(before, after);

	assert_string_equal(text, expected);
	free(text);
}

#define HEAD "--- a\n+++ b\n"

static void test_nothing(void **state)
{
	(void)state;
	expect("", "", "");
	expect("one\ntwo\n", "one\ntwo\n", "");
	expect("one", "one", "");
}

static void test_ends(void **state)
{
	(void)state;
	expect("", "one\n", HEAD "@@ -0,0 +1,1 @@\n+one\n");
	expect("one\n", "", HEAD "@@ -1,1 +0,0 @@\n-one\n");
	expect("one\n", "one\ntwo\n", HEAD "@@ -1,1 +1,2 @@\n one\n+two\n");
	expect("one", "one\n", HEAD "@@ -1,1 +1,1 @@\n-one\n\\ No newline at end of file\n+one\n");
	expect("one\ntwo", "one\n2", HEAD "@@ -1,2 +1,2 @@\n one\n-two\n\\ No newline at end of file\n"
	       "+2\n\\ No newline at end of file\n");
}

#define SIX "1\n2\n3\n4\n5\n6\n"

static void test_context(void **state)
{
	(void)state;
	expect(SIX "x\n" SIX, SIX "y\n" SIX, HEAD "@@ -4,7 +4,7 @@\n 4\n 5\n 6\n-x\n+y\n 1\n 2\n 3\n");
	/* Six lines between are one hunk, seven are two. */
	expect("x\n" SIX "x\n", "y\n" SIX "y\n", HEAD "@@ -1,8 +1,8 @@\n-x\n+y\n 1\n 2\n 3\n 4\n 5\n 6\n-x\n+y\n");
	expect("x\n" SIX "7\nx\n", "y\n" SIX "7\ny\n",
	       HEAD "@@ -1,4 +1,4 @@\n-x\n+y\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-x\n+y\n");
}

static void test_shown(void **state)
{
	struct diff_side a = { "a", "k = 1\nx\n", 8, "k = (hidden)\nx\n", 15 }, b = { "b", "k = 2\nx\n", 8, "k = (hidden)\nx\n", 15 };
	char *text = diff_unified(&a, &b);

	(void)state;
	assert_string_equal(text, HEAD "@@ -1,2 +1,2 @@\n-k = (hidden)\n+k = (hidden)\n x\n");
	free(text);
}

static void test_terminal(void **state)
{
	(void)state;
	expect("", "a\x1b[31m\tb\r\n", HEAD "@@ -0,0 +1,1 @@\n+a?[31m b\n");
}

/* Texts of a few different lines, at random: what patch makes of one and the difference is the other, and no
 * shorter way is left out.  Here patch is a loop. */
static char *apply(const char *before, const char *changes)
{
	char *out = calloc(1, strlen(before) + strlen(changes) + 1), *to = out;
	const char *at = before, *line = changes;
	unsigned long from, count, here = 1;

	while (line && *line) {
		const char *next = strchr(line, '\n') + 1;
		const char *end = strchr(at, '\n');

		if (sscanf(line, "@@ -%lu,%lu", &from, &count) == 2) {
			for (from += !count; here < from; here++) {
				end = strchr(at, '\n') + 1;
				to = mempcpy(to, at, (size_t)(end - at));
				at = end;
			}
		} else if (*line == '+' && strncmp(line, "+++", 3) != 0) {
			to = mempcpy(to, line + 1, (size_t)(next - line - 1));
		} else if (*line == ' ' || (*line == '-' && strncmp(line, "---", 3) != 0)) {
			assert_memory_equal(line + 1, at, (size_t)(next - line - 1));
			if (*line == ' ')
				to = mempcpy(to, at, (size_t)(end + 1 - at));
			at = end + 1;
			here++;
		}
		line = next;
	}
	strcpy(to, at);
	return out;
}

static unsigned seed = 1;

static unsigned dice(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static void make(char *text, unsigned lines, unsigned kinds)
{
	*text = 0;
	while (lines--)
		sprintf(text + strlen(text), "line %u\n", dice(kinds));
}

static void test_random(void **state)
{
	char before[2000], after[2000], *changes, *patched;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		make(before, dice(30), 1 + dice(6));
		make(after, dice(30), 1 + dice(6));
		changes = diff(before, after);
		patched = apply(before, changes);
		assert_string_equal(patched, after);
		free(patched);
		free(changes);
	}
}

/* Two texts of 3000 lines with nothing in common; and a large one with one line more. */
static void test_large(void **state)
{
	char *before = calloc(1, 100000), *after = calloc(1, 100000), *changes, *patched, *to = before;

	(void)state;
	for (int i = 0; i < 3000; i++)
		to += sprintf(to, "old %d\n", i);
	to = after;
	for (int i = 0; i < 3000; i++)
		to += sprintf(to, "new %d\n", i);
	changes = diff(before, after);
	patched = apply(before, changes);
	assert_string_equal(patched, after);
	free(patched);
	free(changes);
	memcpy(after, before, 100000);
	strcat(after, "more\n");
	expect(before, after, HEAD "@@ -2998,3 +2998,4 @@\n old 2997\n old 2998\n old 2999\n+more\n");
	free(before);
	free(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing), cmocka_unit_test(test_ends), cmocka_unit_test(test_context),
		cmocka_unit_test(test_shown), cmocka_unit_test(test_terminal), cmocka_unit_test(test_random),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
