/*
 * Portals that the server tells of.  The configuration names the first one alone; fail-over
 * takes the configuration's path before a learned one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "../scripted.h"

#define S1 0x11			/* session id: this byte 16 times */
#define CONFIGURED "any/portal0"

static struct script server;
static struct conn *a, *b;	/* portal 0, portal 1 */
static char learned[80];	/* the name of the path to portal 1 */

static void begin(unsigned tells)
{
	const struct client_setup setup = { .one_portal = true };

	script_start(&server);
	server.tells = tells;
	snprintf(learned, sizeof learned, "any/srv@127.0.0.1/%d", server.port[1]);
	a = script_begin(&server, &setup, S1);
}

/* Both are up. */
static void begin_with_both(void)
{
	begin(3);
	b = script_login(&server, 1, S1, 2);
	io_barrier(a);
}

static int end(void **state)
{
	(void)state;
	client_stop();
	script_stop(&server);
	return 0;
}

static void becomes(const char *path, const char *key, const char *wanted)
{
	struct timespec pause = { 0, 10000000 };
	char now[240] = "nothing";

	for (int i = 0; i < 100 * WAIT_S; i++) {
		client_named_path(path, key, now, sizeof now);
		if (strstr(now, wanted) && (*wanted || !*now))
			return;
		nanosleep(&pause, NULL);
	}
	fail_msg("%s of %s is '%s', not '%s'", key, path, now, wanted);
}

static void is_gone(const char *path)
{
	struct timespec pause = { 0, 10000000 };
	char now[240];

	for (int i = 0; client_named_path(path, "state", now, sizeof now); i++) {
		if (i == 100 * WAIT_S)
			fail_msg("%s is still there", path);
		nanosleep(&pause, NULL);
	}
}

/* A write goes over c. */
static void goes_over(struct conn *c)
{
	struct io *io = io_start(WIRE_WRITE, 0, BLOCK, 'P');

	script_reply(c, io_expect(c, io), WIRE_OK, NULL, 0);
	assert_int_equal(io_wait(io), 0);
}

/* The server loses portal 1, and says so over c. */
static void remove_second(struct conn *c)
{
	server.tells = 1;
	script_portal(c, WIRE_EVENT_PORTAL_REMOVED, "127.0.0.1", server.port[1]);
}

static void learned_from_the_list(void **state)
{
	(void)state;
	begin_with_both();
	becomes(learned, "state", "up");
	becomes(learned, "learned", "true");
	becomes(CONFIGURED, "learned", "");
	assert_int_equal(client_paths(), 2);
	goes_over(a);
	script_close(a);
	becomes(CONFIGURED, "state", "hello");
	goes_over(b);
}

static void learned_from_an_event(void **state)
{
	(void)state;
	begin(0);
	assert_int_equal(client_paths(), 1);
	for (int i = 0; i < 3; i++)	/* to hear it again changes nothing */
		script_portal(a, WIRE_EVENT_PORTAL_ADDED, "127.0.0.1", server.port[1]);
	b = script_login(&server, 1, S1, 2);
	becomes(learned, "state", "up");
	assert_int_equal(client_paths(), 2);
}

/* What the configuration names is not made twice. */
static void named_already(void **state)
{
	(void)state;
	begin(1);
	script_portal(a, WIRE_EVENT_PORTAL_ADDED, "127.0.0.1", server.port[0]);
	io_barrier(a);
	assert_int_equal(client_paths(), 1);
}

static void refused(struct conn *c, const char *why)
{
	assert_null(script_next(c));	/* no AUTH */
	becomes(learned, "reason", why);
	goes_over(a);
}

static void another_server_answers(void **state)
{
	(void)state;
	begin(3);
	b = script_accept(&server, 1);
	server.name = "thief";
	script_welcome(b);
	refused(b, "server srv told of this portal, but server thief (id 1) answers there");
}

static void another_machine_answers(void **state)
{
	(void)state;
	begin(3);
	b = script_accept(&server, 1);
	server.machine[0]++;
	script_welcome(b);
	refused(b, "answers there, on another machine or with another id");
}

static void without_the_key(void **state)
{
	(void)state;
	begin(3);
	b = script_accept(&server, 1);
	script_welcome(b);
	script_auth(b);
	server.key[0]++;
	script_grant(b, S1, 2);
	assert_null(script_next(b));
	server.key[0]--;
	becomes(learned, "reason", "does not prove that it knows the key");
	goes_over(a);
}

/* Nothing new goes over it, what is under way is answered, and then it says goodbye. */
static void gone_when_nothing_is_in_flight(void **state)
{
	struct request *r, *bye;
	struct io *w;

	(void)state;
	begin_with_both();
	script_close(a);
	w = io_start(WIRE_WRITE, 0, BLOCK, 'W');
	r = io_expect(b, w);
	a = script_login(&server, 0, S1, 3);
	remove_second(b);
	becomes(learned, "leaving", "true");
	goes_over(a);
	assert_int_equal(script_poll(b, 200), 0);	/* no goodbye yet */
	script_reply(b, r, WIRE_OK, NULL, 0);
	assert_int_equal(io_wait(w), 0);
	bye = script_expect(b, WIRE_BYE);
	script_reply(b, bye, WIRE_OK, NULL, 0);
	script_closed(b);
	is_gone(learned);
	goes_over(a);
}

/* Its connection breaks before it is through: fence first, as ever. */
static void breaks_while_leaving(void **state)
{
	struct request *r, *fence;
	struct io *w;

	(void)state;
	begin_with_both();
	script_close(a);
	w = io_start(WIRE_WRITE, 0, BLOCK, 'W');
	r = io_expect(b, w);
	a = script_login(&server, 0, S1, 3);
	remove_second(a);
	becomes(learned, "leaving", "true");
	script_close(b);
	fence = script_fence(a, 2, 1, &r);
	assert_false(io_done(w));
	script_fenced(a, fence, 2, 0, NULL, NULL);
	script_reply(a, io_expect(a, w), WIRE_OK, NULL, 0);
	assert_int_equal(io_wait(w), 0);
	is_gone(learned);
}

static void the_last_one_stays(void **state)
{
	struct request *bye;

	(void)state;
	begin_with_both();
	script_close(a);
	becomes(CONFIGURED, "state", "hello");
	remove_second(b);
	becomes(learned, "leaving", "true");
	goes_over(b);
	a = script_login(&server, 0, S1, 3);
	bye = script_expect(b, WIRE_BYE);
	script_reply(b, bye, WIRE_OK, NULL, 0);
	is_gone(learned);
	goes_over(a);
}

/* What a client missed while it was away is in the list. */
static void not_in_the_list_any_more(void **state)
{
	(void)state;
	begin_with_both();
	server.tells = 1;
	script_close(b);
	script_close(a);
	a = script_login(&server, 0, S1, 3);
	script_open(a);
	io_barrier(a);
	is_gone(learned);
}

/* The list was on its way already when the event came: what it says is older. */
static void an_older_list(void **state)
{
	struct request *list;

	(void)state;
	begin_with_both();
	script_close(a);
	server.own_lists = true;
	a = script_login(&server, 0, S1, 3);
	list = script_expect_list(a);
	script_portal(a, WIRE_EVENT_PORTAL_REMOVED, "127.0.0.1", server.port[1]);
	script_answer_list(a, list);
	server.tells = 1;
	script_list(a);
	script_reply(b, script_expect(b, WIRE_BYE), WIRE_OK, NULL, 0);
	is_gone(learned);
}

/* A server that does not say anything of portals takes none back. */
static void a_list_without_portals(void **state)
{
	(void)state;
	begin_with_both();
	server.tells = 0;
	script_close(a);
	a = script_login(&server, 0, S1, 3);
	becomes(CONFIGURED, "state", "up");
	io_barrier(a);
	becomes(learned, "state", "up");
}

static void back_again(void **state)
{
	struct conn *again;
	struct request *bye;

	(void)state;
	begin_with_both();
	remove_second(a);
	bye = script_expect(b, WIRE_BYE);
	server.tells = 3;
	script_portal(a, WIRE_EVENT_PORTAL_ADDED, "127.0.0.1", server.port[1]);
	io_barrier(a);
	script_reply(b, bye, WIRE_OK, NULL, 0);
	script_closed(b);
	again = script_login(&server, 1, S1, 3);
	becomes(learned, "state", "up");
	io_barrier(a);
	assert_false(script_ended(again));
	assert_int_equal(client_paths(), 2);
}

/* A configured path whose portal is gone leaves it too, and goes on trying. */
static void a_configured_one_is_gone(void **state)
{
	(void)state;
	begin_with_both();
	script_portal(b, WIRE_EVENT_PORTAL_REMOVED, "127.0.0.1", server.port[0]);
	goes_over(b);
	assert_null(script_next(a));
	becomes(CONFIGURED, "reason", "the server has no portal there any more");
	a = script_login(&server, 0, S1, 3);
	becomes(CONFIGURED, "state", "up");
	becomes(CONFIGURED, "lost_reason", "");
}

/* Whatever it tells, the number of paths has an end. */
static void a_flood(void **state)
{
	(void)state;
	begin(0);
	for (int i = 0; i < 100; i++)
		script_portal(a, WIRE_EVENT_PORTAL_ADDED, "127.0.0.1", 1 + i);
	io_barrier(a);
	assert_int_equal(client_paths(), 1 + WIRE_PORTALS_MAX);
	for (int i = 0; i < 1000; i++) {
		script_portal(a, WIRE_EVENT_PORTAL_REMOVED, "127.0.0.1", 1 + i);
		script_portal(a, WIRE_EVENT_PORTAL_ADDED, "127.0.0.1", 2 + i);
	}
	io_barrier(a);
	assert_true(client_paths() <= 1 + 2 * WIRE_PORTALS_MAX);
}

static void nonsense(void **state)
{
	static const char *const addresses[] = { "", "0.0.0.0", "::", "fe80::1", "localhost", "a/b", "1.2.3.4.5" };

	(void)state;
	begin(0);
	for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
		script_portal(a, WIRE_EVENT_PORTAL_ADDED, addresses[i], 5000);
	script_portal(a, WIRE_EVENT_PORTAL_ADDED, "127.0.0.1", 0);
	script_portal(a, WIRE_EVENT_PORTAL_ADDED, "127.0.0.1", 65536);
	script_portal(a, WIRE_EVENT_PORTAL_ADDED, "127.0.0.1", -1);
	io_barrier(a);
	assert_int_equal(client_paths(), 1);
}

static void switched_off(void **state)
{
	const struct client_setup setup = { .one_portal = true, .learns_none = true };

	(void)state;
	script_start(&server);
	server.tells = 3;
	a = script_begin(&server, &setup, S1);
	script_portal(a, WIRE_EVENT_PORTAL_ADDED, "127.0.0.1", server.port[1]);
	io_barrier(a);
	assert_int_equal(client_paths(), 1);
}

#define TEST(f) cmocka_unit_test_teardown(f, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(learned_from_the_list), TEST(learned_from_an_event), TEST(named_already),
		TEST(another_server_answers), TEST(another_machine_answers), TEST(without_the_key),
		TEST(gone_when_nothing_is_in_flight), TEST(breaks_while_leaving), TEST(the_last_one_stays),
		TEST(not_in_the_list_any_more), TEST(an_older_list), TEST(a_list_without_portals), TEST(back_again),
		TEST(a_configured_one_is_gone), TEST(a_flood), TEST(nonsense),
		TEST(switched_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
