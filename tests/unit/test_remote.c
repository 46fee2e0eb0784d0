/* The targets that remote_parse takes, and words for sh.  What needs a host is in tests/deploy. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "remote.h"

static void test_targets(void **state)
{
	static const struct { const char *text, *user, *host; int port; } good[] = {
		{ "storage1", "", "storage1", 0 },
		{ "root@storage1", "root", "storage1", 0 },
		{ "root@storage1:2222", "root", "storage1", 2222 },
		{ "a.b-c+d@x.y.z:1", "a.b-c+d", "x.y.z", 1 },
		{ "me@example.org@h", "me@example.org", "h", 0 },
		{ "10.0.0.1:65535", "", "10.0.0.1", 65535 },
		{ "fd00::1", "", "fd00::1", 0 },
		{ "root@[fd00::1]", "root", "fd00::1", 0 },
		{ "[fe80::1%eth0]:22", "", "fe80::1%eth0", 22 },
	};
	struct remote_target t;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(remote_parse(good[i].text, &t, &e), 0);
		assert_string_equal(t.user, good[i].user);
		assert_string_equal(t.host, good[i].host);
		assert_int_equal(t.port, good[i].port);
	}
}

static void test_no_targets(void **state)
{
	static const char *const bad[] = {
		"", "@", "@h", "root@", "-oProxyCommand=x", "-l@h", "h:", "h:0", "h:65536", "h:1x", "h:-1", "h: 22", "a b", "h;id", "$(id)@h",
		"`id`", "u'@h", "[fd00::1]:x", "h\n", "h/..",
	};
	char longest[400];
	struct remote_target t;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (remote_parse(bad[i], &t, &e) != -EINVAL)
			fail_msg("\"%s\" is taken", bad[i]);
		assert_true(*e.text && *e.next);
	}
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(remote_parse(longest, &t, &e), -EINVAL);
	assert_true(*e.next);
}

static void test_words(void **state)
{
	static const char *const texts[] = { "", "a", "it's", "''", "a b\n$(id) `id` \\ \" !", "\xc3\xa4" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *word = remote_quote(texts[i]), command[200], said[100] = "";
		FILE *f;

		snprintf(command, sizeof(command), "printf %%s %s", word);
		f = popen(command, "r");
		assert_non_null(f);
		said[fread(said, 1, sizeof(said) - 1, f)] = 0;
		pclose(f);
		assert_string_equal(said, texts[i]);
		free(word);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_no_targets),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
