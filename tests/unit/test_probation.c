/*
 * A path that was lost again and again: fail-over, whose first path it is, shows whether
 * commands avoid it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../scripted.h"

#define S1 0x11			/* session id: this byte 16 times */

static struct script server;
static struct conn *a, *b;	/* portal 0, portal 1 */
static uint32_t number;		/* of the newest connection */

static void begin(double probation)
{
	const struct client_setup setup = { .probation = probation };

	script_start(&server);
	a = script_begin(&server, &setup, S1);
	number = 2;
	b = script_login(&server, 1, S1, number);
	io_barrier(a);
}

static int end(void **state)
{
	(void)state;
	client_stop();
	script_stop(&server);
	return 0;
}

static void lose(struct conn **c, int portal)
{
	script_close(*c);
	*c = script_login(&server, portal, S1, ++number);
	client_path_becomes(portal, "up");
}

/* A write goes over c. */
static void goes_over(struct conn *c)
{
	struct io *io = io_start(WIRE_WRITE, 0, BLOCK, 'P');

	script_reply(c, io_expect(c, io), WIRE_OK, NULL, 0);
	assert_int_equal(io_wait(io), 0);
}

static bool on_probation(int portal)
{
	char left[64];

	client_path(portal, "probation", left, sizeof left);
	return *left;
}

static void twice_is_nothing(void **state)
{
	(void)state;
	begin(60);
	lose(&a, 0);
	goes_over(a);
	lose(&a, 0);
	assert_false(on_probation(0));
	goes_over(a);
}

static void avoided_while_another_is_there(void **state)
{
	(void)state;
	begin(60);
	for (int i = 0; i < 3; i++)
		lose(&a, 0);
	assert_true(on_probation(0));
	assert_false(on_probation(1));
	goes_over(b);
	script_close(b);
	client_path_becomes(1, "hello");	/* and nobody answers it */
	goes_over(a);
}

static void both_flap(void **state)
{
	(void)state;
	begin(60);
	for (int i = 0; i < 3; i++) {
		lose(&a, 0);
		lose(&b, 1);
	}
	assert_true(on_probation(0) && on_probation(1));
	goes_over(a);
}

/* Pings are answered meanwhile. */
static void wait_until_over(int portal)
{
	for (int i = 0; on_probation(portal); i++) {
		assert_true(i < 50 * WAIT_S);
		if (script_poll(a, 10) == 1)
			assert_true(script_serve(a, script_read(a)));
		if (script_poll(b, 10) == 1)
			assert_true(script_serve(b, script_read(b)));
	}
}

static void in_full_after_good_behaviour(void **state)
{
	(void)state;
	begin(2);	/* no shorter than detect */
	for (int i = 0; i < 3; i++)
		lose(&a, 0);
	goes_over(b);
	wait_until_over(0);
	goes_over(a);
}

/* Each loss during probation begins it anew, however long the others are past. */
static void a_loss_begins_it_anew(void **state)
{
	char left[64];

	(void)state;
	begin(60);
	for (int i = 0; i < 3; i++)
		lose(&a, 0);
	lose(&a, 0);
	client_path(0, "probation", left, sizeof left);
	assert_true(atof(left) > 50);
}

static void switched_off(void **state)
{
	(void)state;
	begin(0);
	for (int i = 0; i < 4; i++)
		lose(&a, 0);
	assert_false(on_probation(0));
	goes_over(a);
}

#define TEST(f) cmocka_unit_test_teardown(f, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(twice_is_nothing), TEST(avoided_while_another_is_there), TEST(both_flap),
		TEST(in_full_after_good_behaviour), TEST(a_loss_begins_it_anew), TEST(switched_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
