/* Commands whose waiter has gone or was told something else: interrupted, give-up, on-loss. */
#include "session_parts.h"

/* Whose waiter has gone. */

static void interrupted_write_is_waited_for(void **state)
{
	struct io *w = write_block(0, 'W'), *n, *m;
	struct request *r = io_expect(a, w);

	(void)state;
	assert_false(io_interrupt(w));		/* on its way: cannot be called back */
	n = write_block(0, 'N');
	m = write_block(1, 'M');
	carry_out(a, m);
	io_barrier(a);
	assert_false(io_done(w));		/* its data is still ours */
	answer(a, r);
	io_wait(w);
	carry_out(a, n);
}

static void interrupted_before_it_was_sent(void **state)
{
	struct io *w = write_block(0, 'W'), *n, *m;
	struct request *r = io_expect(a, w);

	(void)state;
	script_close(b);
	assert_false(io_interrupt(w));
	n = write_block(0, 'N');		/* held */
	assert_true(io_interrupt(n));
	script_close(a);
	m = write_block(3, 'M');		/* waits for a path */
	assert_true(io_interrupt(m));
	a = script_login(&server, 0, S1, 3);
	r = script_fence(a, 1, 1, &r);
	script_open(a);
	nothing_done(a, r, 1);
	io_wait(w);
	io_barrier(a);				/* none of the three */
}

/* Fenced: never sent again once nobody waits for it, done or not. */
static void interrupted_and_fenced(void **state)
{
	struct io *w = write_block(0, 'W'), *n;
	struct request *r = io_expect(a, w), *fence;

	(void)state;
	assert_false(io_interrupt(w));
	n = write_block(0, 'N');
	script_close(a);
	fence = script_fence(b, 1, 1, &r);
	io_barrier(b);
	nothing_done(b, fence, 1);
	carry_out(b, n);
	io_barrier(b);
	assert_true(io_done(w));
}

/* What changes nothing has nobody to wait for it: it ends with its path, also when
 * no other one is left.  Found by the fuzzer. */
static void interrupted_read_ends_with_its_path(void **state)
{
	struct io *read = io_start(WIRE_READ, 0, BLOCK, 0), *flush = io_start(WIRE_FLUSH, 0, 0, 0);

	(void)state;
	io_expect(a, read);
	io_expect(a, flush);
	assert_false(io_interrupt(read));
	assert_false(io_interrupt(flush));
	script_close(b);
	script_close(a);
	io_wait(read);
	io_wait(flush);
	a = script_login(&server, 0, S1, 3);
	script_fence_reads(a, 1);
	script_open(a);
	io_barrier(a);			/* neither is sent again */
}

/* Nor is it sent again when the server found it damaged. */
static void interrupted_and_damaged(void **state)
{
	struct io *w = write_block(0, 'W'), *read;
	struct request *r = io_expect(a, w);

	(void)state;
	read = io_start(WIRE_READ, 0, BLOCK, 0);
	io_expect(a, read);
	assert_false(io_interrupt(w));
	assert_false(io_interrupt(read));
	script_reply(a, r, WIRE_E_CHECKSUM, NULL, 0);
	io_wait(w);
	script_close(a);
	io_wait(read);
	script_fence_reads(b, 1);
	io_barrier(b);
}

static void gave_up_then_fenced(void **state)
{
	struct io *w = write_block(0, 'W'), *x, *read, *n;
	struct request *r = io_expect(a, w), *fence;

	(void)state;
	script_close(b);
	script_close(a);
	x = write_block(2, 'X');		/* waits for a path */
	read = io_start(WIRE_READ, 0, BLOCK, 0);
	assert_int_equal(io_wait(x), -EIO);
	assert_int_equal(io_wait(read), -EIO);
	assert_int_equal(io_given_up(w), -EIO);
	assert_int_equal(client_state(), MPIO_LOST);
	assert_int_equal(io_wait(write_block(7, 'z')), -EIO);
	a = script_login(&server, 0, S1, 3);
	fence = script_fence(a, 1, 1, &r);
	script_open(a);
	assert_int_equal(client_state(), MPIO_READY);
	n = write_block(0, 'N');
	io_barrier(a);				/* n is held until the old one is fenced */
	assert_false(io_done(w));
	nothing_done(a, fence, 1);
	carry_out(a, n);
	io_barrier(a);				/* w never again */
	assert_true(io_done(w));
}

static void gave_up_and_restarted(void **state)
{
	struct io *w = write_block(0, 'W'), *n;

	(void)state;
	io_expect(a, w);
	script_close(b);
	script_close(a);
	assert_int_equal(io_given_up(w), -EIO);
	script_restarted(&server);
	a = script_login(&server, 0, S2, 1);
	script_open(a);
	n = write_block(0, 'N');
	carry_out(a, n);
	io_barrier(a);
	assert_true(io_done(w));
}
static int begin_read_only(void **state)
{
	const struct client_setup setup = { .give_up = 0.3, .on_loss = "read-only" };

	(void)state;
	begin_with(&setup);
	return 0;
}

static void gave_up_read_only(void **state)
{
	struct io *w = write_block(0, 'W'), *read;
	struct request *r = io_expect(a, w), *fence;
	uint8_t zero[BLOCK] = { 0 };

	(void)state;
	script_close(b);
	script_close(a);
	assert_int_equal(io_given_up(w), -EROFS);
	a = script_login(&server, 0, S1, 3);
	fence = script_fence(a, 1, 1, &r);
	script_open(a);
	assert_int_equal(io_wait(write_block(0, 'N')), -EROFS);
	read = io_start(WIRE_READ, 0, BLOCK, 0);
	script_reply(a, io_expect(a, read), WIRE_OK, zero, BLOCK);
	assert_int_equal(io_wait(read), 0);
	nothing_done(a, fence, 1);
	io_barrier(a);
}

static int begin_queue(void **state)
{
	const struct client_setup setup = { .give_up = 0.1, .on_loss = "queue" };

	(void)state;
	begin_with(&setup);
	return 0;
}

static void queued_for_ever(void **state)
{
	struct io *w = write_block(0, 'W'), *first, *n;
	struct request *r = io_expect(a, w), *fence;

	(void)state;
	script_close(b);
	script_close(a);
	n = write_block(1, 'N');
	/* give-up passes: shown by the reconnects that go on in vain meanwhile. */
	for (int i = 0; i < 6; i++)
		script_close(script_accept(&server, 0));
	first = write_block(2, 'F');
	assert_false(io_done(w) || io_done(n) || io_done(first));
	a = script_login(&server, 0, S1, 3);
	fence = script_fence(a, 1, 1, &r);
	script_open(a);
	carry_out(a, n);
	carry_out(a, first);
	nothing_done(a, fence, 1);
	carry_out(a, w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(interrupted_write_is_waited_for),
		TEST(interrupted_before_it_was_sent),
		TEST(interrupted_and_fenced),
		TEST(interrupted_read_ends_with_its_path),
		TEST(interrupted_and_damaged),
		TEST_WITH(gave_up_then_fenced, begin_impatient),
		TEST_WITH(gave_up_and_restarted, begin_impatient),
		TEST_WITH(gave_up_read_only, begin_read_only),
		TEST_WITH(queued_for_ever, begin_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
