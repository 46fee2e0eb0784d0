/* links: agent
 * test_conn_out.c - what a session has in flight is given back before a reply can be seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <cmocka.h>
#include "../../agent/client.h"
#include "../../agent/conn.h"

#define BYTES 8192u

static struct memory memory;
static struct engine engine;
static struct client client;
static struct conn conn;
static ssize_t taken;		/* what the socket takes of a send; -1: all */
static long long seen;		/* client.bytes when it was sent */

/* In place of libc's: here the peer has the reply. */
ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	size_t all = 0;

	(void)fd;
	(void)flags;
	for (size_t i = 0; i < m->msg_iovlen; i++)
		all += m->msg_iov[i].iov_len;
	seen = (long long)atomic_load(&client.bytes);
	return taken < 0 ? (ssize_t)all : taken;
}

static int set_up(void **state)
{
	(void)state;
	memory_init(&memory);
	arena_init(&engine.arena, &memory);
	conn = (struct conn){ .loop = &engine, .client = &client, .state = CONN_UP };
	conn.out_end = &conn.out;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_fini(&engine.arena);
	return 0;
}

/* n commands are in flight and counted, and all are answered. */
static void answer(unsigned n)
{
	struct wire_reply r = { .type = WIRE_WRITE };

	conn.bytes = conn.bytes_counted = n * BYTES;
	conn.in_flight = n;
	atomic_store(&client.bytes, n * BYTES);
	for (unsigned i = 0; i < n; i++) {
		r.cookie = i;
		conn_reply_out(&conn, out_new(&engine.arena, 0), &r, 0, BYTES);
	}
}

static void given_back_before_it_is_sent(void **state)
{
	(void)state;
	taken = -1;
	answer(3);
	conn_send(&conn);
	assert_int_equal(seen, 0);
	assert_int_equal(conn.bytes, 0);
	assert_int_equal(conn.bytes_counted, 0);
}

/* What the socket did not take is in flight still: conn.c counts the difference. */
static void what_stays_is_counted_again(void **state)
{
	(void)state;
	taken = WIRE_REPLY_SIZE + 1;
	answer(3);
	conn_send(&conn);
	assert_int_equal(seen, 0);
	assert_int_equal(conn.bytes, 2 * BYTES);
	assert_int_equal(conn.bytes_counted, 0);
	taken = -1;
	conn_send(&conn);		/* not given back twice */
	assert_int_equal(seen, 0);
	assert_int_equal(conn.bytes, 0);
	assert_int_equal(conn.bytes_counted, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(given_back_before_it_is_sent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_stays_is_counted_again, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
