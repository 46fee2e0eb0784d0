/*
 * The server's host restarts: what was acknowledged and not flushed is lost, and nothing
 * that the client does may cover that up.  What counts as flushed is the question.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "../scripted.h"

#define S1 0x11			/* session ids: this byte 16 times */
#define S2 0x22

static struct script server;
static struct conn *a;

static int begin(void **state)
{
	const struct client_setup plain = { 0 };

	(void)state;
	script_start(&server);
	a = script_begin(&server, &plain, S1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	client_stop();
	script_stop(&server);
	return 0;
}

static void answer(struct conn *c, struct io *io, const struct request *r)
{
	script_reply(c, r, WIRE_OK, NULL, 0);
	assert_int_equal(io_wait(io), 0);
}

static struct io *write_start(struct request **r)
{
	struct io *io = io_start(WIRE_WRITE, 0, BLOCK, 'W');

	*r = io_expect(a, io);
	return io;
}

static void write_done(void)
{
	struct request *r;
	struct io *io = write_start(&r);

	answer(a, io, r);
}

static struct io *flush_start(struct request **r)
{
	struct io *io = io_start(WIRE_FLUSH, 0, 0, 0);

	*r = io_expect(a, io);
	return io;
}

static void flush_done(void)
{
	struct request *r;
	struct io *io = flush_start(&r);

	answer(a, io, r);
}

/* The process is another one, and so is the host's boot. */
static void power_fails(bool host)
{
	script_close(a);
	script_restarted(&server);
	server.boot[0] += host;
	a = script_login(&server, 0, S2, 1);
}

static void goes_on(void)
{
	struct io *io;

	script_open(a);
	assert_int_equal(client_state(), MPIO_READY);
	io = io_start(WIRE_WRITE, 0, BLOCK, 'X');
	answer(a, io, io_expect(a, io));
}

static void is_lost(void)
{
	static const enum wire_type types[] = { WIRE_READ, WIRE_WRITE, WIRE_FLUSH };

	script_open(a);		/* shows that it has learnt of it */
	assert_int_equal(client_state(), MPIO_CACHE_LOST);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		assert_int_equal(io_wait(io_start(types[i], 0, types[i] == WIRE_FLUSH ? 0 : BLOCK, 'x')), -EIO);
}

static void not_flushed(void **state)
{
	(void)state;
	write_done();
	power_fails(true);
	is_lost();
}

static void flushed(void **state)
{
	(void)state;
	write_done();
	flush_done();
	power_fails(true);
	goes_on();
}

static void only_the_process(void **state)
{
	(void)state;
	write_done();
	power_fails(false);
	goes_on();
}

/* Acknowledged when the flush was on its way: that may have passed it. */
static void written_during_a_flush(void **state)
{
	struct request *w, *f;
	struct io *write = write_start(&w), *flush = flush_start(&f);

	(void)state;
	answer(a, write, w);
	answer(a, flush, f);
	power_fails(true);
	is_lost();
}

static void flush_failed(void **state)
{
	struct request *f;
	struct io *flush;

	(void)state;
	write_done();
	flush = flush_start(&f);
	script_reply(a, f, WIRE_E_IO, NULL, 0);
	assert_int_equal(io_wait(flush), -EIO);
	power_fails(true);
	is_lost();
}

/* What waits when it is learnt: the flush covers the loss up, the read shows the old block. */
static void waiting_meanwhile(void **state)
{
	struct io *flush, *read;

	(void)state;
	write_done();
	flush = io_start(WIRE_FLUSH, 0, 0, 0);
	read = io_start(WIRE_READ, 0, BLOCK, 0);
	io_expect(a, flush);
	io_expect(a, read);
	power_fails(true);
	assert_int_equal(io_wait(flush), -EIO);
	assert_int_equal(io_wait(read), -EIO);
	is_lost();
}

/* Its waiter has gone; it was done all the same. */
static void interrupted_write(void **state)
{
	struct request *r;
	struct io *io = write_start(&r);

	(void)state;
	assert_false(io_interrupt(io));
	answer(a, io, r);
	power_fails(true);
	is_lost();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(not_flushed),
		TEST(flushed),
		TEST(only_the_process),
		TEST(written_during_a_flush),
		TEST(flush_failed),
		TEST(waiting_meanwhile),
		TEST(interrupted_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
