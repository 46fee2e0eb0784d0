/* test_wire_discover.c - discovery's datagrams: an answer is never longer than its question, and torn ones are none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "wire_discover.h"

static const char *why;
static uint8_t buf[WIRE_DISCOVER_MAX + 1];

static struct wire_discover_answer an_answer(size_t portals)
{
	struct wire_discover_answer a = { .namespace = "osl", .server = "big-9", .namespace_id = 200, .server_id = 9,
					  .security = 1, .software = "0.1", .portal_count = portals };

	for (size_t i = 0; i < portals; i++)
		a.portals[i] = (struct wire_discover_portal){ .port = 5000, .family = i % 2 ? 6 : 4, .detailed = i != 1,
			.address = { 10, 99, 0, (uint8_t)i }, .prefix = i == 1 ? 0 : 24, .speed = i == 1 ? 0 : 25000,
			.mtu = i == 1 ? 0 : 9000, .duplex = i == 1 ? 0 : 2, .up = i != 1 };
	for (size_t i = 0; i < portals; i++) {
		strcpy(a.portals[i].device, i == 1 ? "" : "eth0");
		strcpy(a.portals[i].driver, i == 1 ? "" : "a-driver-of-thirty-one-letters-");
	}
	return a;
}

static struct wire_discover_question a_question(uint16_t length, uint8_t flags)
{
	return (struct wire_discover_question){ .length = length, .flags = flags, .nonce = "fifteen letters" };
}

static void test_question(void **state)
{
	struct wire_discover_question q = a_question(100, WIRE_DISCOVER_BRIEF), again;

	(void)state;
	strcpy(q.namespace, "osl");
	assert_int_equal(wire_put_discover_question(buf, sizeof(buf), &q), 100);
	assert_int_equal(wire_get_discover_question(buf, 100, &again, &why), 0);
	assert_memory_equal(&q, &again, sizeof(q));
	for (size_t n = 0; n < 100; n++)
		assert_int_equal(wire_get_discover_question(buf, n, &again, &why), -EPROTO);
	assert_int_equal(wire_get_discover_question(buf, 101, &again, &why), -EPROTO);
	q.length = 33;		/* no room for the namespace */
	assert_int_equal(wire_put_discover_question(buf, sizeof(buf), &q), 0);
	q = a_question(WIRE_DISCOVER_MAX, 0);
	assert_int_equal(wire_put_discover_question(buf, 1000, &q), 0);
	assert_int_equal(wire_put_discover_question(buf, sizeof(buf), &q), WIRE_DISCOVER_MAX);
	assert_int_equal(wire_get_discover_question(buf, WIRE_DISCOVER_MAX, &again, &why), 0);
	q.length = 31;
	assert_int_equal(wire_put_discover_question(buf, sizeof(buf), &q), 0);
}

static void test_answer(void **state)
{
	struct wire_discover_question q = a_question(WIRE_DISCOVER_LENGTH, 0);
	struct wire_discover_answer a = an_answer(WIRE_PORTALS_MAX), again;
	size_t n = wire_put_discover_answer(buf, sizeof(buf), &q, &a);

	(void)state;
	assert_in_range(n, 300, WIRE_DISCOVER_LENGTH);
	assert_int_equal(wire_get_discover_answer(buf, n, &again, &why), 0);
	assert_int_equal(again.flags, 0);	/* all fits, whatever the names' lengths */
	a.length = (uint16_t)n;
	memcpy(a.nonce, q.nonce, sizeof(a.nonce));
	assert_memory_equal(&a, &again, sizeof(a));
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(wire_get_discover_answer(buf, cut, &again, &why), -EPROTO);
	assert_int_equal(wire_get_discover_question(buf, n, &q, &why), -EPROTO);	/* no server answers an answer */
}

/* The longest that there is fits a question of the usual length. */
static void test_longest(void **state)
{
	struct wire_discover_question q = a_question(WIRE_DISCOVER_LENGTH, 0);
	struct wire_discover_answer a = an_answer(WIRE_PORTALS_MAX), again;
	size_t n;

	(void)state;
	memset(a.namespace, 'n', WIRE_NAME_MAX);
	memset(a.server, 's', WIRE_NAME_MAX);
	memset(a.software, '9', WIRE_DISCOVER_TEXT_MAX);
	for (size_t i = 0; i < WIRE_PORTALS_MAX; i++) {
		a.portals[i].family = 6;
		a.portals[i].detailed = true;
		memset(a.portals[i].device, 'd', WIRE_DISCOVER_TEXT_MAX);
		memset(a.portals[i].driver, 'd', WIRE_DISCOVER_TEXT_MAX);
	}
	n = wire_put_discover_answer(buf, sizeof(buf), &q, &a);
	assert_int_equal(wire_get_discover_answer(buf, n, &again, &why), 0);
	assert_int_equal(again.portal_count, WIRE_PORTALS_MAX);
	assert_int_equal(again.flags & WIRE_DISCOVER_MORE, 0);
}

static void test_never_longer(void **state)
{
	struct wire_discover_answer a = an_answer(WIRE_PORTALS_MAX), again;
	size_t last = 0;

	(void)state;
	for (uint16_t length = 0; length < 1500; length++) {
		for (uint8_t flags = 0; flags < 4; flags++) {
			struct wire_discover_question q = a_question(length, flags);
			size_t n = wire_put_discover_answer(buf, sizeof(buf), &q, &a);

			assert_true(n <= length);
			if (!n)
				continue;
			assert_int_equal(wire_get_discover_answer(buf, n, &again, &why), 0);
			assert_int_equal(again.brief, flags & WIRE_DISCOVER_BRIEF);
			if (flags & WIRE_DISCOVER_EQUAL)
				assert_int_equal(n, length);
			if (flags)
				continue;
			assert_true(again.portal_count >= last);
			assert_int_equal(!(again.flags & WIRE_DISCOVER_MORE), again.portal_count == WIRE_PORTALS_MAX);
			last = again.portal_count;
		}
	}
	assert_int_equal(last, WIRE_PORTALS_MAX);
}

/* Whatever byte is another one: it is refused, or is clean. */
static void test_damaged(void **state)
{
	struct wire_discover_question q = a_question(WIRE_DISCOVER_LENGTH, 0);
	struct wire_discover_answer a = an_answer(3), again;
	size_t n = wire_put_discover_answer(buf, sizeof(buf), &q, &a);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		uint8_t was = buf[i];

		for (int v = 0; v < 256; v++) {
			buf[i] = (uint8_t)v;
			if (wire_get_discover_answer(buf, n, &again, &why))
				continue;
			for (size_t p = 0; p < again.portal_count; p++)
				for (const char *t = again.portals[p].driver; *t; t++)
					assert_in_range(*t, '!', '~');
			assert_true(again.brief || wire_name_ok(again.server, strlen(again.server)));
			assert_true(again.portal_count <= WIRE_PORTALS_MAX);
		}
		buf[i] = was;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_question), cmocka_unit_test(test_answer), cmocka_unit_test(test_longest),
		cmocka_unit_test(test_never_longer), cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
