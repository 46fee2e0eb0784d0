/* links: fusefs
 * Whether a namespace has come up, and which exit status says why not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "../../fusefs/usable.h"

#define DOWN "{\"name\":\"if0/a\",\"state\":\"waiting\",\"reason\":\"connection refused\",\"refused\":null}"
#define BUSY "{\"name\":\"if0/b\",\"state\":\"connecting\",\"reason\":null,\"refused\":null}"
#define KEY "{\"name\":\"if0/c\",\"state\":\"waiting\",\"reason\":\"unknown node name or wrong key\",\"refused\":\"key\"}"
#define NAMESPACE "{\"name\":\"if0/d\",\"state\":\"waiting\",\"reason\":\"no such namespace\",\"refused\":\"namespace\"}"
#define IN_USE "{\"name\":\"if0/e\",\"state\":\"waiting\",\"reason\":\"logged in elsewhere\",\"refused\":\"in-use\"}"

static struct err e;

static enum usable judge(const char *servers, const char *unassigned, int final)
{
	json_t *ns = json_pack("{s:s, s:o, s:o}", "name", "osl", "servers", json_loads(servers, 0, NULL),
			       "unassigned", json_loads(unassigned, 0, NULL));
	enum usable u;

	memset(&e, 0, sizeof e);
	u = usable_judge(ns, final, &e);
	json_decref(ns);
	return u;
}

static void comes_up(void **state)
{
	(void)state;
	assert_int_equal(judge("[{\"state\":\"up\",\"listed\":true,\"paths\":[]}]", "[]", 0), USABLE_UP);
	/* Its volumes are awaited, but not for ever. */
	assert_int_equal(judge("[{\"state\":\"up\",\"listed\":false,\"paths\":[]}]", "[]", 0), USABLE_PENDING);
	assert_int_equal(judge("[{\"state\":\"up\",\"listed\":false,\"paths\":[]}]", "[]", 1), USABLE_UP);
	/* One is enough. */
	assert_int_equal(judge("[{\"state\":\"lost\",\"paths\":[" KEY "]},"
			       "{\"state\":\"up\",\"listed\":true,\"paths\":[]}]", "[" DOWN "]", 0), USABLE_UP);
}

static void refused(void **state)
{
	(void)state;
	assert_int_equal(judge("[]", "[" KEY "]", 0), USABLE_KEY);
	assert_string_equal(e.text, "namespace osl: if0/c: unknown node name or wrong key");
	assert_non_null(strstr(e.next, "[clients]"));
	assert_int_equal(judge("[]", "[" NAMESPACE "]", 0), USABLE_NAMESPACE);
	assert_int_equal(judge("[]", "[" IN_USE "]", 0), USABLE_REFUSED);
	/* While another path may still come up there is no verdict. */
	assert_int_equal(judge("[]", "[" KEY "," BUSY "]", 0), USABLE_PENDING);
	assert_int_equal(judge("[]", "[" DOWN "," KEY "]", 1), USABLE_KEY);
}

static void unreachable(void **state)
{
	(void)state;
	assert_int_equal(judge("[]", "[" DOWN "]", 0), USABLE_PENDING);
	assert_int_equal(judge("[]", "[" BUSY "," DOWN "]", 1), USABLE_UNREACHABLE);
	assert_string_equal(e.text, "namespace osl: no server answers: if0/a: connection refused");
	assert_int_equal(judge("[]", "[]", 1), USABLE_UNREACHABLE);
	assert_string_equal(e.text, "namespace osl: no server answers");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_up),
		cmocka_unit_test(refused),
		cmocka_unit_test(unreachable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
