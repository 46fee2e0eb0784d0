/* What is said of single interfaces: weights and standbys, as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "shares.h"

static struct shares s;
static char why[SHARES_WHY_MAX];

static void weights_and_standbys(void **state)
{
	(void)state;
	memset(&s, 0, sizeof s);
	assert_true(shares_set_weights(&s, " if0=3, if1=100 ", why));
	assert_true(shares_set_standbys(&s, "if1 ,if2", why));
	assert_int_equal(shares_of(&s, "if0").weight, 3);
	assert_int_equal(shares_of(&s, "if1").weight, 100);
	assert_int_equal(shares_of(&s, "if2").weight, 0);
	assert_false(shares_of(&s, "if0").standby);
	assert_true(shares_of(&s, "if1").standby && shares_of(&s, "if2").standby);
	assert_int_equal(shares_of(&s, "if3").weight, 0);
	assert_false(shares_of(&s, NULL).standby);
}

static void the_new_takes_the_place_of_the_old(void **state)
{
	struct shares before;

	(void)state;
	memset(&s, 0, sizeof s);
	assert_true(shares_set_weights(&s, "a=1,b=2", why) && shares_set_standbys(&s, "b,c", why));
	assert_true(shares_set_weights(&s, "c=5", why));
	assert_int_equal(s.count, 2);	/* a says nothing any more */
	assert_true(shares_of(&s, "b").standby && !shares_of(&s, "b").weight);
	assert_true(shares_of(&s, "c").standby && shares_of(&s, "c").weight == 5);
	before = s;
	assert_false(shares_set_weights(&s, "c=5,d=0", why));
	assert_true(shares_equal(&s, &before));
	assert_true(shares_set_weights(&s, "", why) && shares_set_standbys(&s, "", why));
	assert_int_equal(s.count, 0);
	assert_false(shares_equal(&s, &before));
}

static void what_is_no_share(void **state)
{
	static const char *const bad[] = {
		"if0", "if0=", "if0=0", "if0=101", "if0=-1", "if0=+1", "if0=1x", "if0= 1", "=1", "if0=1=2",
		"if0=99999999999999999999", "if0=1,if0=1", "if0=1,,if1=1", "a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1",
	};
	char longest[SHARES_NAME_MAX + 2];

	(void)state;
	memset(&s, 0, sizeof s);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		*why = 0;
		if (shares_set_weights(&s, bad[i], why))
			fail_msg("'%s' was taken", bad[i]);
		assert_true(*why && s.count == 0);
	}
	memset(longest, 'x', sizeof longest);
	longest[SHARES_NAME_MAX + 1] = 0;
	assert_false(shares_set_standbys(&s, longest, why));
	longest[SHARES_NAME_MAX] = 0;
	assert_true(shares_set_standbys(&s, longest, why));
	assert_false(shares_set_standbys(&s, "a,a", why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weights_and_standbys),
		cmocka_unit_test(the_new_takes_the_place_of_the_old),
		cmocka_unit_test(what_is_no_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
