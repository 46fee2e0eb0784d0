/*
 * A path that owes an answer.  The scripted server answers pings only while the test
 * reads a connection, so one that is not read falls silent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "../scripted.h"

#define S1 0x11			/* session id: this byte 16 times */

static struct script server;
static struct conn *a, *b;	/* portal 0, connection 1; portal 1, connection 2 */

/* Both paths are up, the volume is open; commands go over a (fail-over), one at a time. */
static int begin(void **state)
{
	const struct client_setup setup = { .detect = 1 };

	(void)state;
	script_start(&server);
	server.limits.in_flight = 1;
	a = script_begin(&server, &setup, S1);
	b = script_login(&server, 1, S1, 2);
	io_barrier(a);
	return 0;
}

static int end(void **state)
{
	(void)state;
	client_stop();
	script_stop(&server);
	return 0;
}

static void lost_because(int portal, char *reason, size_t size)
{
	struct timespec pause = { 0, 10000000 };

	for (int i = 0; i < 100 * WAIT_S; i++) {
		client_path(portal, "lost_reason", reason, size);
		if (*reason)
			return;
		nanosleep(&pause, NULL);
	}
	fail_msg("path %d was not given up", portal);
}

/* a has no room and then falls silent: what waits for it goes elsewhere at once, not
 * only when a is given up, which FENCE would show. */
static void who_waits_is_not_forgotten(void **state)
{
	struct io *w = io_start(WIRE_WRITE, 0, BLOCK, 'W'), *n;
	struct request *r = io_expect(a, w), *fence;
	char reason[240];

	(void)state;
	n = io_start(WIRE_WRITE, BLOCK, BLOCK, 'N');
	script_reply(b, io_expect(b, n), WIRE_OK, NULL, 0);
	assert_int_equal(io_wait(n), 0);
	fence = script_fence(b, 1, 1, &r);
	lost_because(0, reason, sizeof reason);
	assert_non_null(strstr(reason, "while another path"));
	script_fenced(b, fence, 1, 0, NULL, NULL);
	script_reply(b, io_expect(b, w), WIRE_OK, NULL, 0);
	assert_int_equal(io_wait(w), 0);
}

/* A server that stands still: neither path is given up before its time because the
 * other one is there. */
static void both_silent(void **state)
{
	char reason[240];

	(void)state;
	lost_because(0, reason, sizeof reason);
	assert_non_null(strstr(reason, "silent"));
	assert_null(strstr(reason, "another path"));
	lost_because(1, reason, sizeof reason);
	assert_null(strstr(reason, "another path"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_waits_is_not_forgotten),
		TEST(both_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
