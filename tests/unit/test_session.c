/*
 * What is out on a connection that ends: fenced, then done or sent again, and
 * never overtaken.  The scripted server holds answers back, closes connections
 * and comes back in all the ways that the essay on top of session.c argues about.
 *
 * "Nothing else was sent" is shown by a read that is let in behind it: what waits
 * for a path is sent in order.
 */
#include "session_parts.h"

/* The other path, to the same server. */

static void fence_comes_first(void **state)
{
	struct io *w = write_block(0, 'W'), *n, *m;
	struct request *r = io_expect(a, w), *fence;

	(void)state;
	script_close(a);
	fence = script_fence(b, 1, 1, &r);
	n = write_block(0, 'N');		/* overlaps: held */
	m = write_block(1, 'M');		/* does not: sent */
	carry_out(b, m);
	io_barrier(b);				/* neither w nor n */
	nothing_done(b, fence, 1);
	r = io_expect(b, w);
	io_barrier(b);				/* n waits until w is complete */
	assert_false(io_done(n));
	answer(b, r);
	assert_int_equal(io_wait(w), 0);
	carry_out(b, n);
}

static void done_is_not_sent_again(void **state)
{
	struct io *w[3] = { write_block(0, '0'), write_block(1, '1'), write_block(2, '2') }, *n;
	struct request *r[3], *fence;
	static const enum wire_status statuses[] = { WIRE_OK, WIRE_E_NO_SPACE };

	(void)state;
	for (int i = 0; i < 3; i++)
		r[i] = io_expect(a, w[i]);
	script_close(a);
	fence = script_fence(b, 1, 3, r);
	n = write_block(0, 'N');
	io_barrier(b);
	/* 0 and 1 were done, one of them in vain. */
	script_fenced(b, fence, 1, 2, r, statuses);
	assert_int_equal(io_wait(w[0]), 0);
	assert_int_equal(io_wait(w[1]), -ENOSPC);
	/* 2 again; n goes on, as 0 is complete; nothing else. */
	r[2] = io_expect(b, w[2]);
	r[0] = io_expect(b, n);
	io_barrier(b);
	answer(b, r[2]);
	answer(b, r[0]);
	assert_int_equal(io_wait(w[2]), 0);
	assert_int_equal(io_wait(n), 0);
}

static void all_kinds_of_changes(void **state)
{
	struct io *w[3] = { write_block(0, '0'), io_start(WIRE_DISCARD, BLOCK, 8 * BLOCK, 0),
			    io_start(WIRE_WRITE_ZEROES, 20 * BLOCK, 4 * BLOCK, 0) };
	struct io *n[5];
	struct request *r[3], *fence;

	(void)state;
	for (int i = 0; i < 3; i++)
		r[i] = io_expect(a, w[i]);
	script_close(a);
	fence = script_fence(b, 1, 3, r);
	n[0] = io_start(WIRE_DISCARD, 0, 64 * BLOCK, 0);	/* overlaps all */
	n[1] = io_start(WIRE_WRITE_ZEROES, 8 * BLOCK, 2 * BLOCK, 0);	/* the discard's end */
	n[2] = io_start(WIRE_WRITE, 23 * BLOCK + 512, 512, 'n');	/* within the zeroes */
	n[3] = io_start(WIRE_WRITE, 9 * BLOCK, 11 * BLOCK, 'g');	/* between the two: free */
	n[4] = io_start(WIRE_WRITE, 24 * BLOCK, BLOCK, 'b');		/* right behind: free */
	carry_out(b, n[3]);
	carry_out(b, n[4]);
	io_barrier(b);
	nothing_done(b, fence, 1);
	for (int i = 0; i < 3; i++)
		r[i] = io_expect(b, w[i]);
	answer(b, r[1]);
	assert_int_equal(io_wait(w[1]), 0);
	carry_out(b, n[1]);		/* released by w[1] alone */
	answer(b, r[2]);
	carry_out(b, n[2]);
	answer(b, r[0]);
	carry_out(b, n[0]);
}

/* Of its target: nobody overtakes it there.  Its source is free. */
static void copies_are_changes(void **state)
{
	struct io *w = io_start(WIRE_COPY, 0, 4 * BLOCK, 40), *n, *s;
	struct request *r = io_expect(a, w), *fence;

	(void)state;
	script_close(a);
	fence = script_fence(b, 1, 1, &r);
	n = write_block(3, 'N');
	s = write_block(41, 'S');
	carry_out(b, s);
	io_barrier(b);
	nothing_done(b, fence, 1);
	r = io_expect(b, w);
	io_barrier(b);
	assert_false(io_done(n));
	answer(b, r);
	assert_int_equal(io_wait(w), 0);
	carry_out(b, n);
	/* Interrupted, it is on its way all the same. */
	w = io_start(WIRE_COPY, 0, 4 * BLOCK, 40);
	r = io_expect(b, w);
	assert_false(io_interrupt(w));
	n = write_block(0, 'N');
	io_barrier(b);
	answer(b, r);
	carry_out(b, n);
}

static int begin_without_copies(void **state)
{
	const struct client_setup plain = { 0 };

	(void)state;
	script_start(&server);
	server.no_copy = true;
	a = script_begin(&server, &plain, S1);
	io_barrier(a);
	return 0;
}

static void copies_need_a_server_that_knows_them(void **state)
{
	struct io *w = io_start(WIRE_COPY, 0, BLOCK, 40);

	(void)state;
	assert_int_equal(io_wait(w), -EXDEV);
	io_barrier(a);		/* nothing was sent */
}

static void reads_go_on_at_once(void **state)
{
	struct io *read = io_start(WIRE_READ, 0, BLOCK, 0), *w, *flush, *status;
	uint8_t data[BLOCK] = { 'r' }, extent[WIRE_EXTENT_SIZE];
	struct request *r, *fence, *again;

	(void)state;
	io_expect(a, read);
	w = write_block(0, 'W');
	r = io_expect(a, w);
	flush = io_start(WIRE_FLUSH, 0, 0, 0);
	io_expect(a, flush);
	status = io_start(WIRE_STATUS, 0, 1 << 20, 0);
	io_expect(a, status);
	script_close(a);
	/* The fence in front; it is not waited for. */
	fence = script_fence(b, 1, 1, &r);
	again = io_expect(b, read);
	script_reply(b, again, WIRE_OK, data, BLOCK);
	assert_int_equal(io_wait(read), 0);
	assert_int_equal(read->data[0], 'r');
	answer(b, io_expect(b, flush));
	assert_int_equal(io_wait(flush), 0);
	again = io_expect(b, status);
	wire_put_extent(extent, 1 << 20, WIRE_EXTENT_HOLE);
	script_reply(b, again, WIRE_OK, extent, sizeof extent);
	assert_int_equal(io_wait(status), 0);
	assert_false(io_done(w));
	nothing_done(b, fence, 1);
	carry_out(b, w);
}

static void answer_read(struct conn *c, struct io *io)
{
	static const uint8_t data[BLOCK] = { 'r' };

	script_reply(c, io_expect(c, io), WIRE_OK, data, BLOCK);
	assert_int_equal(io_wait(io), 0);
}

/* What the server may still count for a connection that ended is not asked for twice. */
static void within_the_limit(void **state)
{
	struct io *reads[3];
	struct request *fence, *first;
	uint8_t data[BLOCK] = { 'r' };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {	/* 4 blocks were agreed */
		reads[i] = io_start(WIRE_READ, (uint64_t)i * BLOCK, BLOCK, 0);
		io_expect(a, reads[i]);
	}
	script_close(a);
	fence = script_fence(b, 1, 0, NULL);
	first = io_expect(b, reads[0]);
	assert_int_equal(script_poll(b, 100), 0);
	nothing_done(b, fence, 1);
	answer_read(b, reads[1]);		/* there is room again */
	answer_read(b, reads[2]);
	script_reply(b, first, WIRE_OK, data, BLOCK);
	assert_int_equal(io_wait(reads[0]), 0);
}

static void nothing_out_needs_no_fence(void **state)
{
	(void)state;
	script_close(a);
	io_barrier(b);
	carry_out(b, write_block(0, 'x'));
}

/* The path that carries the fence fails too; each connection has a fence of its own. */
static void fence_is_asked_again(void **state)
{
	struct io *w = write_block(0, 'W'), *x, *n;
	struct request *r = io_expect(a, w), *rx, *f1, *f2;
	static const enum wire_status ok[] = { WIRE_OK };

	(void)state;
	script_close(a);
	script_fence(b, 1, 1, &r);		/* never answered */
	x = write_block(5, 'X');
	rx = io_expect(b, x);
	a = script_login(&server, 0, S1, 3);
	assert_memory_equal(a->wanted, b->session, 16);
	script_close(b);
	/* Both fences over a: 2 and 1, in whatever order they come. */
	f1 = script_expect(a, WIRE_FENCE);
	f2 = script_expect(a, WIRE_FENCE);
	assert_int_not_equal(f1->payload[4], f2->payload[4]);	/* the connection's low byte */
	if (f1->payload[4] == 2) {
		struct request *t = f1;

		f1 = f2;
		f2 = t;
	}
	n = write_block(5, 'N');
	io_barrier(a);
	script_fenced(a, f2, 2, 1, &rx, ok);
	assert_int_equal(io_wait(x), 0);
	carry_out(a, n);
	assert_false(io_done(w));
	nothing_done(a, f1, 1);
	carry_out(a, w);
}

/* Sent again, and its new connection ends as well: another fence, with its new cookie. */
static void sent_again_and_again(void **state)
{
	struct io *w = write_block(0, 'W'), *n = NULL;
	struct request *r = io_expect(a, w), *fence;
	struct conn *from = a, *over = b;
	uint32_t number = 2;
	static const enum wire_status ok[] = { WIRE_OK };

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct conn *back;

		script_close(from);
		fence = script_fence(over, from->number, 1, &r);
		back = script_login(&server, from->portal, S1, ++number);
		assert_memory_equal(back->wanted, over->session, 16);
		if (!n)
			n = write_block(0, 'N');
		nothing_done(over, fence, from->number);
		/* With both up, portal 0 is preferred. */
		if (back->portal == 0) {
			struct conn *t = over;

			over = back;
			back = t;
		}
		r = io_expect(over, w);
		from = over;
		over = back;
	}
	io_barrier(from);
	script_close(from);
	fence = script_fence(over, from->number, 1, &r);
	script_fenced(over, fence, from->number, 1, &r, ok);
	assert_int_equal(io_wait(w), 0);
	carry_out(over, n);
}

/* The server no longer knows what the connection had done: it is over, so w goes again. */
static void forgotten_fence(void **state)
{
	struct io *w = write_block(0, 'W'), *n;
	struct request *r = io_expect(a, w), *fence;

	(void)state;
	script_close(a);
	fence = script_fence(b, 1, 1, &r);
	n = write_block(0, 'N');
	script_reply(b, fence, WIRE_E_INVALID, NULL, 0);
	r = io_expect(b, w);
	io_barrier(b);
	answer(b, r);
	carry_out(b, n);
	assert_true(io_done(w));
}

/* Refused for another reason, or answered with nonsense: not fenced.  That path is
 * given up, and the question asked again. */
static void refused_fence(void **state)
{
	struct io *w = write_block(0, 'W');
	struct request *r = io_expect(a, w), *fence;

	(void)state;
	script_close(a);
	fence = script_fence(b, 1, 1, &r);
	script_reply(b, fence, WIRE_E_NO_MEMORY, NULL, 0);
	script_closed(b);
	a = script_login(&server, 0, S1, 3);
	fence = script_fence(a, 1, 1, &r);
	nothing_done(a, fence, 2);		/* of another connection */
	script_closed(a);
	b = script_login(&server, 1, S1, 4);
	fence = script_fence(b, 1, 1, &r);
	script_reply(b, fence, WIRE_OK, "\016\000\004\000", 4);		/* torn */
	script_closed(b);
	a = script_login(&server, 0, S1, 5);
	fence = script_fence(a, 1, 1, &r);
	script_open(a);
	assert_false(io_done(w));
	nothing_done(a, fence, 1);
	carry_out(a, w);
}

/* No path left. */

static void both_down_and_back(void **state)
{
	struct io *w = write_block(0, 'W'), *x, *n;
	struct request *r = io_expect(a, w), *fence;

	(void)state;
	script_close(b);
	script_close(a);
	x = write_block(9, 'X');	/* meanwhile */
	n = write_block(0, 'N');
	b = script_login(&server, 1, S1, 3);
	assert_memory_equal(b->wanted, a->session, 16);
	fence = script_fence(b, 1, 1, &r);
	script_open(b);
	carry_out(b, x);
	a = script_login(&server, 0, S1, 4);
	assert_memory_equal(a->wanted, b->session, 16);
	io_barrier(a);
	nothing_done(b, fence, 1);
	carry_out(a, w);
	carry_out(a, n);
}

/* The process is another one: nothing to fence, but everything is opened anew first. */
static void server_restarted(void **state)
{
	struct io *w = write_block(0, 'W'), *n;
	struct request *r = io_expect(a, w);

	(void)state;
	script_close(b);
	script_close(a);
	script_restarted(&server);
	n = write_block(0, 'N');
	a = script_login(&server, 0, S2, 1);
	assert_memory_equal(a->wanted, none, 16);
	script_open(a);				/* checks UUID and generation */
	r = io_expect(a, w);
	io_barrier(a);
	b = script_login(&server, 1, S2, 2);
	assert_memory_equal(b->wanted, a->session, 16);
	answer(a, r);
	assert_int_equal(io_wait(w), 0);
	carry_out(a, n);
}

/* The same process has forgotten the session: it says so by naming another one. */
static void session_ended(void **state)
{
	struct io *w = write_block(0, 'W');

	(void)state;
	io_expect(a, w);
	script_close(b);
	script_close(a);
	b = script_accept(&server, 1);
	script_welcome(b);
	script_auth(b);
	assert_memory_equal(b->wanted, a->session, 16);
	script_grant(b, S2, 1);
	script_open(b);
	carry_out(b, w);
}

/* One path learns of the restart while the other still believes in the old process. */
static void restart_seen_by_one_path(void **state)
{
	struct io *w = write_block(0, 'W');

	(void)state;
	io_expect(a, w);
	script_close(b);
	script_restarted(&server);
	b = script_login(&server, 1, S2, 1);
	assert_memory_equal(b->wanted, none, 16);
	script_closed(a);
	script_open(b);
	carry_out(b, w);
}

/* Two paths that come at once make one session: the second waits for the first. */
static void one_makes_the_session(void **state)
{
	(void)state;
	script_close(a);
	script_close(b);
	script_restarted(&server);
	a = script_accept(&server, 0);
	script_welcome(a);
	script_auth(a);
	assert_memory_equal(a->wanted, none, 16);
	b = script_accept(&server, 1);
	script_welcome(b);
	client_path_becomes(1, "waiting");
	script_grant(a, S2, 1);
	script_auth(b);
	assert_memory_equal(b->wanted, a->session, 16);
	script_grant(b, S2, 2);
	script_open(a);
	carry_out(a, write_block(0, 'W'));
}

/* The first fails: it is the second's turn. */
static void another_makes_the_session(void **state)
{
	(void)state;
	script_close(a);
	script_close(b);
	script_restarted(&server);
	a = script_accept(&server, 0);
	script_welcome(a);
	script_auth(a);
	b = script_accept(&server, 1);
	script_welcome(b);
	client_path_becomes(1, "waiting");
	script_close(a);
	script_auth(b);
	assert_memory_equal(b->wanted, none, 16);
	script_grant(b, S2, 1);
	script_open(b);
	carry_out(b, write_block(0, 'W'));
}

static double round_trip(void)
{
	char text[32];

	client_path(0, "rtt_us", text, sizeof text);
	return atof(text);
}

/* Answers take as long as the disk; that is no reason to avoid the path. */
static void flushes_do_not_make_a_path_slow(void **state)
{
	double before;

	(void)state;
	before = round_trip();
	assert_true(before > 0);
	for (int i = 0; i < 10; i++) {
		struct io *flush = io_start(WIRE_FLUSH, 0, 0, 0);
		struct request *r = io_expect(a, flush);

		usleep(before < 20000 ? 20 * (useconds_t)before : 400000);
		answer(a, r);
		assert_int_equal(io_wait(flush), 0);
	}
	/* A ping may have been answered meanwhile: it counts for half. */
	assert_true(round_trip() <= 4 * before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fence_comes_first),
		TEST(done_is_not_sent_again),
		TEST(all_kinds_of_changes),
		TEST(copies_are_changes),
		TEST_WITH(copies_need_a_server_that_knows_them, begin_without_copies),
		TEST(reads_go_on_at_once),
		TEST(flushes_do_not_make_a_path_slow),
		TEST_WITH(within_the_limit, begin_tight),
		TEST(nothing_out_needs_no_fence),
		TEST(fence_is_asked_again),
		TEST(sent_again_and_again),
		TEST(forgotten_fence),
		TEST(refused_fence),
		TEST(both_down_and_back),
		TEST(server_restarted),
		TEST(session_ended),
		TEST(restart_seen_by_one_path),
		TEST(one_makes_the_session),
		TEST(another_makes_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
