/* test_wire_damaged.c - bodies that are cut short, damaged, or noise: refused or read, never more. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../seed.h"
#include "wire.h"
#include "wire_samples.h"

static const char *why;
static uint8_t buf[WIRE_FENCE_MAX + WIRE_LOGIN_MAX];

/* All gets under one signature, each into a struct of its own. */
union any_body {
	struct wire_hello hello;
	struct wire_welcome welcome;
	struct wire_auth auth;
	struct wire_granted granted;
	struct wire_open open;
	struct wire_fence fence;
	struct wire_event_body event;
	char text[WIRE_TEXT_MAX + 1];
};
static union any_body body;

static int get_hello(const uint8_t *b, size_t n)
{
	return wire_get_hello(b, n, &body.hello, &why);
}

static int get_welcome(const uint8_t *b, size_t n)
{
	return wire_get_welcome(b, n, &body.welcome, &why);
}

static int get_auth(const uint8_t *b, size_t n)
{
	return wire_get_auth(b, n, &body.auth, &why);
}

static int get_granted(const uint8_t *b, size_t n)
{
	return wire_get_granted(b, n, &body.granted, &why);
}

static int get_open(const uint8_t *b, size_t n)
{
	return wire_get_open(b, n, &body.open, &why);
}

static int get_fence(const uint8_t *b, size_t n)
{
	return wire_get_fence(b, n, &body.fence, false, &why);
}

static int get_fence_reply(const uint8_t *b, size_t n)
{
	return wire_get_fence(b, n, &body.fence, true, &why);
}

static int get_event(const uint8_t *b, size_t n)
{
	return wire_get_event(b, n, &body.event, &why);
}

static int get_text(const uint8_t *b, size_t n)
{
	wire_get_text_body(b, n, body.text);
	assert_true(strlen(body.text) <= WIRE_TEXT_MAX);
	return 0;
}

static const struct {
	const char *name;
	int (*get)(const uint8_t *b, size_t n);
} gets[] = {
	{ "hello", get_hello }, { "welcome", get_welcome }, { "auth", get_auth },
	{ "granted", get_granted }, { "open", get_open }, { "fence", get_fence },
	{ "fence reply", get_fence_reply }, { "event", get_event }, { "text", get_text },
};
#define GETS (sizeof gets / sizeof gets[0])

static size_t make_valid(size_t which)
{
	static struct wire_fence f = { .connection = 3, .count = 20 };
	struct wire_hello h = a_hello();
	struct wire_welcome w = a_welcome();
	struct wire_auth a = { { 1 }, { 2 } };
	struct wire_granted g = { .session = { 1 }, .connection = 2, .proof = { 3 } };
	struct wire_open o = { .name = "oracle", .has_identity = true };
	struct wire_event_body e = { .kind = WIRE_EVENT_VOLUME_ADDED, .has_volume = true,
				     .volume = a_volume(), .portal = "10.0.0.1/5000" };

	switch (which) {
	case 0: return wire_put_hello(buf, &h);
	case 1: return wire_put_welcome(buf, &w);
	case 2: return wire_put_auth(buf, &a);
	case 3: return wire_put_granted(buf, &g);
	case 4: return wire_put_open(buf, &o);
	case 5: return wire_put_fence(buf, &f, false);
	case 6: return wire_put_fence(buf, &f, true);
	case 7: return wire_put_event(buf, sizeof buf, &e);
	default: return wire_put_text_body(buf, sizeof buf, "a sentence");
	}
}

/* In memory of exactly that size, so that a checker sees what is read beyond it. */
static int feed(size_t which, const uint8_t *b, size_t n)
{
	uint8_t *exact = malloc(n ? n : 1);
	int r;

	assert_non_null(exact);
	memcpy(exact, b, n);
	why = NULL;
	memset(&body, 0x5a, sizeof body);
	r = gets[which].get(exact, n);
	free(exact);
	if (r != 0 && r != -EPROTO)
		fail_msg("%s: %d", gets[which].name, r);
	if (r && !why)
		fail_msg("%s: refused without a reason", gets[which].name);
	return r;
}

/* A body that ends early is torn, or lacks what it needs, or is whole up to there. */
static void every_truncation(void **state)
{
	(void)state;
	for (size_t which = 0; which < GETS; which++) {
		size_t n = make_valid(which);

		assert_int_equal(feed(which, buf, n), 0);
		for (size_t cut = 0; cut < n; cut++)
			(void)feed(which, buf, cut);
		if (which < GETS - 1)
			assert_int_equal(feed(which, buf, n - 1), -EPROTO);
		memset(buf + n, 0, 3);		/* a torn record behind it */
		if (which < GETS - 1)
			assert_int_equal(feed(which, buf, n + 3), -EPROTO);
	}
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void damaged_bodies(void **state)
{
	uint64_t x = test_seed(1);

	(void)state;
	for (size_t which = 0; which < GETS; which++)
		for (int round = 0; round < 20000; round++) {
			size_t n = make_valid(which), hits = 1 + next_random(&x) % 4;

			for (size_t i = 0; i < hits; i++)
				buf[next_random(&x) % n] = (uint8_t)next_random(&x);
			(void)feed(which, buf, next_random(&x) % 4 ? n : next_random(&x) % (n + 1));
		}
}

static void random_bodies(void **state)
{
	uint64_t x = test_seed(2);

	(void)state;
	for (size_t which = 0; which < GETS; which++)
		for (int round = 0; round < 5000; round++) {
			size_t n = next_random(&x) % 300;

			for (size_t i = 0; i < n; i++)
				/* Small numbers make records more often than noise does. */
				buf[i] = (uint8_t)(next_random(&x) % (round % 2 ? 256 : 30));
			(void)feed(which, buf, n);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(damaged_bodies),
		cmocka_unit_test(random_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
