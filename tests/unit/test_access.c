/* links: agent
 * The right to manage a pool, and what a refusal says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "../../agent/access.h"

static char *managers[] = { (char *)"big-2", (char *)"venus", NULL };
static struct conf_pool pools[] = { { .name = "fast", .manage = managers }, { .name = "all" } };
static struct conf_allowed clients[] = { { .name = "big-2", .key.bytes = { 1 }, .second = { .bytes = { 2 }, .line = 9 } },
					 { .name = "big", .key.bytes = { 3 } } };
static const struct conf_server conf = { .pools = pools, .pool_count = 2, .clients = clients, .client_count = 2 };

static void manage(void **state)
{
	char why[ACCESS_WHY_MAX];

	(void)state;
	assert_true(access_may_manage(&conf, "big-2", "fast", why));
	assert_true(access_may_manage(&conf, "big", "all", why));
	assert_false(access_may_manage(&conf, "big", "fast", why));
	assert_string_equal(why, "big lacks the right to manage pool fast: it is not in its 'manage ='");
	assert_false(access_may_manage(&conf, "venus", "fast", why));	/* in the list, but no client any more */
	assert_false(access_may_manage(&conf, "venus", "all", why));
	assert_false(access_may_manage(&conf, "big-2", "slow", why));
	assert_string_equal(why, "there is no pool slow here");
	assert_false(access_may_manage(&conf, "big-2", NULL, why));
	assert_non_null(strstr(why, "[volume]"));
}

static void rights(void **state)
{
	char *list[] = { (char *)"a", (char *)"bc:ro", NULL };

	(void)state;
	assert_int_equal(conf_right(list, "a"), CONF_RIGHT_WRITE);
	assert_int_equal(conf_right(list, "bc"), CONF_RIGHT_READ);
	assert_int_equal(conf_right(list, "b"), CONF_RIGHT_NONE);
	assert_int_equal(conf_right(list, "bcd"), CONF_RIGHT_NONE);
	assert_int_equal(conf_right(NULL, "b"), CONF_RIGHT_WRITE);
}

static void keys(void **state)
{
	uint8_t id[ACCESS_KEY_ID];

	(void)state;
	access_key_id(clients[0].second.bytes, id);
	assert_int_equal(access_key_place(&conf, "big-2", id), 2);
	assert_int_equal(access_key_place(&conf, "big", id), 0);
	access_key_id(clients[0].key.bytes, id);
	assert_int_equal(access_key_place(&conf, "big-2", id), 1);
	access_key_id(clients[1].second.bytes, id);	/* there is none */
	assert_int_equal(access_key_place(&conf, "big", id), 0);
	assert_int_equal(access_key_place(&conf, "nobody", id), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manage),
		cmocka_unit_test(rights),
		cmocka_unit_test(keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
