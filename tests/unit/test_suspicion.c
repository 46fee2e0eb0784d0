/*
 * A path that owes an answer.  The scripted server answers pings only while the test
 * reads a connection, so one that is not read falls silent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <cmocka.h>
#include "../scripted.h"

#define S1 0x11			/* session id: this byte 16 times */

static struct script server;
static struct conn *a, *b;	/* portal 0, connection 1; portal 1, connection 2 */

#define FEW 16			/* blocks: what the session may have in flight, in begin_full */

#define MANY 32			/* writes of 1 MiB */

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

/* Suspect comes well before given up. */
static int begin_full(void **state)
{
	const struct client_setup setup = { .detect = 8 };

	(void)state;
	script_start(&server);
	server.limits.session_bytes = FEW * BLOCK;
	server.limits.data = FEW * BLOCK;
	a = script_begin(&server, &setup, S1);
	b = script_login(&server, 1, S1, 2);
	io_barrier(a);
	return 0;
}

/* One path, whose kernel takes little at a time. */
static int begin_one(void **state)
{
	const struct client_setup setup = { .detect = 2 };
	int little = 8192;

	(void)state;
	script_start(&server);
	setsockopt(server.listen[0], SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
	a = script_begin(&server, &setup, S1);
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

/* a falls silent with all that the session may have in flight: b does not wait for that
 * longer than until a is suspect. */
static void leaves_room(void **state)
{
	struct io *w[FEW], *n;
	struct request *fence, *r[FEW];
	char reason[240];

	(void)state;
	for (int i = 0; i < FEW; i++)
		r[i] = io_expect(a, w[i] = io_start(WIRE_WRITE, (uint64_t)i * BLOCK, BLOCK, 'W'));
	n = io_start(WIRE_WRITE, FEW * BLOCK, BLOCK, 'N');
	fence = script_fence(b, 1, FEW, r);
	lost_because(0, reason, sizeof reason);
	assert_non_null(strstr(reason, "leaves no room"));
	assert_false(io_done(n));
	script_fenced(b, fence, 1, 0, NULL, NULL);
	for (int i = 0; i < FEW; i++) {
		script_reply(b, io_expect(b, w[i]), WIRE_OK, NULL, 0);
		assert_int_equal(io_wait(w[i]), 0);
	}
	script_reply(b, io_expect(b, n), WIRE_OK, NULL, 0);
	assert_int_equal(io_wait(n), 0);
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

/* What status says of that: how long I/O waits when one of two falls silent or is reset,
 * and when it is the last.  See namespace_failover.c. */
static void bounds_are_shown(void **state)
{
	char silent[32], reset[32];

	(void)state;
	client_path(0, "failover_silent", silent, sizeof silent);
	client_path(0, "failover_reset", reset, sizeof reset);
	assert_string_equal(silent, "1.875");
	assert_string_equal(reset, "1");
	script_close(b);
	lost_because(1, reset, sizeof reset);
	client_path(0, "failover_silent", silent, sizeof silent);
	client_path(0, "failover_reset", reset, sizeof reset);
	assert_string_equal(silent, "61.25");
	assert_string_equal(reset, "60");
	client_path(1, "failover_silent", silent, sizeof silent);
	assert_string_equal(silent, "");
}

/* Reads a WRITE as a slow network would bring it: 8 KiB each 40 ms. */
static void read_slowly(struct conn *c, struct request *r)
{
	struct timespec pause = { 0, 40000000 };
	uint8_t some[8192];
	const char *why;
	ssize_t n;

	do {
		assert_int_equal(recv(c->fd, some, WIRE_REQUEST_SIZE, MSG_WAITALL), WIRE_REQUEST_SIZE);
		assert_int_equal(wire_get_request(some, &r->h, &why), 0);
	} while (script_serve(c, r));
	assert_int_equal(r->h.type, WIRE_WRITE);
	for (size_t left = r->h.length; left; left -= (size_t)n) {
		n = recv(c->fd, some, left < sizeof some ? left : sizeof some, 0);
		assert_true(n > 0);
		nanosleep(&pause, NULL);
	}
}

/* For longer than detect nothing is answered, since what is in front of the ping still
 * travels: that is no silence. */
static void slow_is_not_silent(void **state)
{
	struct io *w = io_start(WIRE_WRITE, 0, WIRE_DATA_MAX, 'W');
	struct request r;
	char reason[240];

	(void)state;
	read_slowly(a, &r);
	client_path(0, "lost_reason", reason, sizeof reason);
	assert_string_equal(reason, "");
	script_reply(a, &r, WIRE_OK, NULL, 0);
	assert_int_equal(io_wait(w), 0);
}

/* A ping does not wait behind all writes that wait. */
static void pings_come_first(void **state)
{
	struct timespec pause = { 0, 40000000 };
	struct request *r;
	struct io *w[MANY];
	int n = 0;

	(void)state;
	for (int i = 0; i < MANY; i++)
		w[i] = io_start(WIRE_WRITE, (uint64_t)i * WIRE_DATA_MAX, WIRE_DATA_MAX, 'W');
	for (; (r = script_read(a)) && r->h.type == WIRE_WRITE; n++) {
		script_reply(a, r, WIRE_OK, NULL, 0);
		nanosleep(&pause, NULL);
	}
	assert_non_null(r);
	assert_true(script_serve(a, r));
	assert_in_range(n, 0, MANY - 1);
	for (; n < MANY; n++)
		script_reply(a, script_expect(a, WIRE_WRITE), WIRE_OK, NULL, 0);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(io_wait(w[i]), 0);
}

/* The kernel of a server that stands still takes a few small commands all the time: that
 * is no sign of life. */
static void stuck_is_silent(void **state)
{
	struct timespec pause = { 0, 100000000 };
	char reason[240] = "";

	(void)state;
	for (int i = 0; i < 10 * WAIT_S && !*reason; i++) {
		io_start(WIRE_READ, 0, BLOCK, 0);
		nanosleep(&pause, NULL);
		client_path(0, "lost_reason", reason, sizeof reason);
	}
	assert_non_null(strstr(reason, "silent"));
}

/* A ping that is refused is answered, and without a stamp. */
static void refused_ping(void **state)
{
	static const uint32_t lengths[] = { 0, 6 };
	char text[240];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct request *r = script_read(a);

		while (r->h.type != WIRE_PING) {
			assert_true(script_serve(a, r));
			r = script_read(a);
		}
		script_reply(a, r, WIRE_E_IO, "\x11\x00\x02\x00no", lengths[i]);
		io_barrier(a);
		client_path(0, "state", text, sizeof text);
		assert_string_equal(text, "up");
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
#define FULL(f) cmocka_unit_test_setup_teardown(f, begin_full, end)
#define ONE(f) cmocka_unit_test_setup_teardown(f, begin_one, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_waits_is_not_forgotten),
		FULL(leaves_room),
		TEST(both_silent),
		TEST(bounds_are_shown),
		TEST(refused_ping),
		ONE(slow_is_not_silent),
		ONE(pings_come_first),
		ONE(stuck_is_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
