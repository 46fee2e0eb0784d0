/* test_err.c - texts for the user: one line, cut in one place, clean. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "err.h"

static void sets_and_clears(void **state)
{
	struct err e;

	(void)state;
	memset(&e, 'x', sizeof(e));
	assert_int_equal(err_set(&e, ENOENT, "no volume %s", "osl:a"), -ENOENT);
	assert_int_equal(e.code, ENOENT);
	assert_string_equal(e.text, "no volume osl:a");
	assert_string_equal(e.next, "");
	err_next(&e, "try %s", "rsconfig -q");
	assert_string_equal(e.next, "try rsconfig -q");
	assert_int_equal(err_set(NULL, EIO, "x"), -EIO);
	assert_int_equal(err_sys(NULL, EIO, "x"), -EIO);
	err_next(NULL, "x");
}

static void adds_the_reason(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(err_sys(&e, EACCES, "cannot open %s", "/x"), -EACCES);
	assert_string_equal(e.text, "cannot open /x: Permission denied");
	err_sys(&e, 99999, "a");
	assert_string_equal(e.text, "a: unknown error");
}

static void keeps_the_reason_of_a_long_text(void **state)
{
	char name[2 * ERR_TEXT_MAX];
	struct err e;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = 0;
	err_sys(&e, ENOSPC, "%s", name);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	assert_non_null(strstr(e.text, "n: No space left on device"));
	err_next(&e, "%s", name);
	assert_int_equal(strlen(e.next), ERR_NEXT_MAX - 1);
}

static void may_quote_itself(void **state)
{
	struct err e;

	(void)state;
	err_set(&e, EIO, "inner");
	err_set(&e, EINVAL, "outer: %s", e.text);
	assert_string_equal(e.text, "outer: inner");
}

static void stays_one_line(void **state)
{
	struct err e;

	(void)state;
	err_set(&e, EIO, "a\nb\rc\033[31m\177");
	assert_string_equal(e.text, "a?b?c?[31m?");
}

static void cleans_what_is_not_utf8(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "\xff" "a", "?a" },
		{ "cut \xe2\x82", "cut ??" },
		{ "\xc0\xaf", "??" },			/* '/' in two bytes */
		{ "\xe0\x80\xaf", "???" },
		{ "\xed\xa0\x80", "???" },		/* a surrogate */
		{ "\xf4\x90\x80\x80", "????" },		/* beyond U+10FFFF */
		{ "\xc2\x9b" "31m", "??31m" },		/* CSI */
		{ "\xc2\xa0", "\xc2\xa0" },
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strcpy(text, cases[i].in);
		err_clean(text);
		assert_string_equal(text, cases[i].out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_and_clears),
		cmocka_unit_test(adds_the_reason),
		cmocka_unit_test(keeps_the_reason_of_a_long_text),
		cmocka_unit_test(may_quote_itself),
		cmocka_unit_test(stays_one_line),
		cmocka_unit_test(cleans_what_is_not_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
