/*
 * Two servers offer one volume: a device with two legs.  The scripted servers say what a
 * test wants; what an old copy of a write may never do is the question.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "../scripted.h"

#define S1 0x11			/* session ids: this byte 16 times */
#define S2 0x22
#define S3 0x33

static struct script server;
static struct conn *a, *b;	/* srv and srv2 */

static void both(const char *policy, double give_up)
{
	const struct client_setup setup = { .policy = policy, .give_up = give_up };

	script_start(&server);
	server.two_servers = true;
	server.volume.shared = true;
	server.volume.block_size = BLOCK;
	a = script_begin(&server, &setup, S1);
	b = script_login(&server, 1, S2, 1);
	script_list(b);
	script_open(b);
}

/* Commands go over srv while it works. */
static int begin(void **state)
{
	(void)state;
	both("fail-over", 0);
	io_barrier(a);
	return 0;
}

static int begin_in_turn(void **state)
{
	(void)state;
	both("round-robin", 0);
	return 0;
}

static int begin_short(void **state)
{
	(void)state;
	both("fail-over", 1.5);
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

static void answer(struct conn *c, struct io *io, const struct request *r)
{
	script_reply(c, r, WIRE_OK, NULL, 0);
	assert_int_equal(io_wait(io), 0);
}

static struct request *asked(void)
{
	struct request *r = script_expect(b, WIRE_TAKEOVER);
	struct wire_takeover t;
	const char *why;

	assert_int_equal(wire_get_takeover(r->payload, r->h.length, &t, &why), 0);
	assert_string_equal(t.server, "srv");
	assert_int_equal(t.server_id, 1);
	return r;
}

static void say_busy(const struct request *r)
{
	uint8_t body[WIRE_TEXT_MAX];

	script_reply(b, r, WIRE_E_BUSY, body, (uint32_t)wire_put_text_body(body, sizeof body, "it is stopped"));
}

/* A longer text than is kept of it. */
static void say_busy_at_length(const struct request *r)
{
	char text[WIRE_TEXT_MAX + 1];
	uint8_t body[2 * WIRE_TEXT_MAX];

	memset(text, 'l', sizeof text);
	text[WIRE_TEXT_MAX] = 0;
	script_reply(b, r, WIRE_E_BUSY, body, (uint32_t)wire_put_text_body(body, sizeof body, text));
}

/* srv is reached again, its process is what it was: the path joins the session. */
static void a_is_back(uint8_t session, uint32_t number)
{
	client_kick();
	a = script_login(&server, 0, session, number);
}

static void one_device(void **state)
{
	(void)state;
	assert_int_equal(client_volumes(), 1);
	assert_int_equal(client_state(), MPIO_READY);
	script_close(a);
	io_barrier(b);
	assert_int_equal(client_state(), MPIO_READY);
}

/* What status says: when all of srv falls silent, srv2 has taken over within so many seconds
 * (namespace_failover.c: detect is 60 s); without srv2 give-up, 60 s, has to pass. */
static void bounds_are_shown(void **state)
{
	const struct timespec pause = { 0, 5000000 };
	char silent[32], reset[32];

	(void)state;
	client_path(0, "failover_silent", silent, sizeof silent);
	client_path(0, "failover_reset", reset, sizeof reset);
	assert_string_equal(silent, "66");
	assert_string_equal(reset, "66");
	script_close(b);
	for (int i = 0; i < 200 * WAIT_S && !strcmp(silent, "66"); i++) {
		nanosleep(&pause, NULL);
		client_path(0, "failover_silent", silent, sizeof silent);
	}
	client_path(0, "failover_reset", reset, sizeof reset);
	assert_string_equal(silent, "125");
	assert_string_equal(reset, "60");
}

/* What was out on srv stays there until srv2 says that it can do no more harm. */
static void takes_over(void **state)
{
	struct io *w = io_start(WIRE_WRITE, 0, BLOCK, 'W'), *newer, *other;
	struct request *r;

	(void)state;
	io_expect(a, w);
	script_close(a);
	say_busy(asked());
	newer = io_start(WIRE_WRITE, 0, BLOCK, 'N');
	other = io_start(WIRE_WRITE, 4 * BLOCK, BLOCK, 'O');
	do		/* asked again and again, and what is elsewhere goes on */
		r = script_next(b);
	while (r->h.type == WIRE_TAKEOVER);
	assert_int_equal(r->h.type, WIRE_WRITE);
	assert_int_equal(r->h.offset, 4 * BLOCK);
	answer(b, other, r);
	assert_int_equal(client_state(), MPIO_WAITING);
	say_busy(asked());
	script_reply(b, asked(), WIRE_OK, NULL, 0);
	r = io_expect(b, w);
	io_barrier(b);			/* the newer one waits for it */
	answer(b, w, r);
	answer(b, newer, io_expect(b, newer));
	assert_int_equal(client_state(), MPIO_READY);
}

/* srv2 has ended its session meanwhile, and the question with it. */
static void asked_once_more(void **state)
{
	struct io *w = io_start(WIRE_WRITE, 0, BLOCK, 'W');

	(void)state;
	io_expect(a, w);
	script_close(a);
	asked();
	script_close(b);
	client_kick();
	b = script_login(&server, 1, S3, 1);
	script_open(b);
	script_list(b);
	script_reply(b, asked(), WIRE_OK, NULL, 0);
	answer(b, w, io_expect(b, w));
}

/* A read changes nothing: it goes to srv2 without any question, and so does a flush. */
static void reads_move_at_once(void **state)
{
	struct io *w = io_start(WIRE_WRITE, 0, BLOCK, 'W'), *rd, *fl;
	struct request *r;

	(void)state;
	io_expect(a, w);
	rd = io_start(WIRE_READ, 2 * BLOCK, BLOCK, 0);
	io_expect(a, rd);
	fl = io_start(WIRE_FLUSH, 0, 0, 0);
	io_expect(a, fl);
	script_close(a);
	for (int i = 0; i < 2; ) {
		static const uint8_t data[BLOCK];

		r = script_next(b);
		if (r->h.type == WIRE_TAKEOVER)
			continue;
		assert_true(r->h.type == WIRE_READ || r->h.type == WIRE_FLUSH);
		script_reply(b, r, WIRE_OK, data, r->h.type == WIRE_READ ? BLOCK : 0);
		i++;
	}
	assert_int_equal(io_wait(rd), 0);
	assert_int_equal(io_wait(fl), 0);
	assert_false(io_done(w));
}

/* srv is reached again first: it says itself what was done, and is believed. */
static void comes_back_first(void **state)
{
	static const enum wire_status done[] = { WIRE_OK };
	struct io *w = io_start(WIRE_WRITE, 0, BLOCK, 'W');
	struct request *r, *fence, *question;

	(void)state;
	r = io_expect(a, w);
	script_close(a);
	question = asked();
	a_is_back(S1, 2);
	fence = script_fence(a, 1, 1, &r);
	script_fenced(a, fence, 1, 1, &r, done);
	assert_int_equal(io_wait(w), 0);
	script_reply(b, question, WIRE_OK, NULL, 0);	/* too late to matter */
	io_barrier(b);
}

/* The answer is about a session that has been made anew since: what is out on the new one
 * may still be carried out. */
static void a_late_answer(void **state)
{
	struct io *w = io_start(WIRE_WRITE, 0, BLOCK, 'W'), *second;
	struct request *r, *question;

	(void)state;
	io_expect(a, w);
	script_close(a);
	question = asked();
	server.life[0]++;
	a_is_back(S3, 1);
	answer(b, w, io_expect(b, w));	/* nothing of the old session lives: sent again at once */
	script_open(a);
	script_list(a);
	io_barrier(a);
	second = io_start(WIRE_WRITE, 0, BLOCK, 'X');
	io_expect(a, second);
	script_close(a);
	/* That question still stands there, so no other one is asked before it is answered. */
	script_reply(b, question, WIRE_OK, NULL, 0);
	r = asked();			/* and not the write */
	script_reply(b, r, WIRE_OK, NULL, 0);
	answer(b, second, io_expect(b, second));
}

/* Nobody waits any more for a write that may still land: a newer one waits all the same. */
static void interrupted(void **state)
{
	struct io *w = io_start(WIRE_WRITE, 0, BLOCK, 'W'), *newer;
	struct request *r;

	(void)state;
	io_expect(a, w);
	assert_false(io_interrupt(w));
	script_close(a);
	newer = io_start(WIRE_WRITE, 0, BLOCK, 'N');
	say_busy(asked());
	r = asked();
	script_reply(b, r, WIRE_OK, NULL, 0);
	answer(b, newer, io_expect(b, newer));
}

/* give-up counts for the volume, though one of its servers works: a write cannot go on. */
static void gives_up(void **state)
{
	struct io *w = io_start(WIRE_WRITE, 0, BLOCK, 'W'), *next;
	struct request *r;

	(void)state;
	io_expect(a, w);
	script_close(a);
	while (client_state() != MPIO_LOST)
		say_busy(asked());
	assert_int_equal(io_given_up(w), -EIO);
	next = io_start(WIRE_READ, 0, BLOCK, 0);
	assert_int_equal(io_wait(next), -EIO);
	r = asked();
	script_reply(b, r, WIRE_OK, NULL, 0);	/* the fence-command ran, say */
	do
		r = script_poll(b, 0) ? script_next(b) : NULL;
	while (client_state() == MPIO_LOST);
	assert_int_equal(client_state(), MPIO_READY);
	io_barrier(b);
}

/* A flush goes to each server that has acknowledged something since the last. */
static void flushes_both(void **state)
{
	struct io *io[2], *flush;
	struct request *r;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct conn *c = i ? b : a;

		io[i] = io_start(WIRE_WRITE, (uint64_t)i * BLOCK, BLOCK, 'W');
		if (!script_poll(c, 2000))
			c = i ? a : b;
		answer(c, io[i], io_expect(c, io[i]));
	}
	flush = io_start(WIRE_FLUSH, 0, 0, 0);
	r = io_expect(a, flush);
	assert_int_equal(script_poll(b, 50), 0);
	script_reply(a, r, WIRE_OK, NULL, 0);
	r = io_expect(b, flush);
	assert_false(io_done(flush));
	answer(b, flush, r);
	/* All is flushed: one server is enough for the next. */
	flush = io_start(WIRE_FLUSH, 0, 0, 0);
	r = script_poll(a, 2000) ? io_expect(a, flush) : io_expect(b, flush);
	script_reply(script_poll(a, 0) ? a : b, r, WIRE_OK, NULL, 0);
}

/* A failure of one is the failure of all. */
static void a_flush_fails(void **state)
{
	struct io *w = io_start(WIRE_WRITE, 0, BLOCK, 'W'), *flush;
	struct request *r;

	(void)state;
	answer(a, w, io_expect(a, w));
	flush = io_start(WIRE_FLUSH, 0, 0, 0);
	r = io_expect(a, flush);
	script_reply(a, r, WIRE_E_FLUSH_FAILED, NULL, 0);
	assert_int_equal(io_wait(flush), -EIO);
}

/* Parts of a block: no other change to that block is under way meanwhile. */
static void parts_of_blocks(void **state)
{
	struct io *part = io_start(WIRE_WRITE, 512, 512, 'p'), *same, *next, *elsewhere;
	struct request *r;

	(void)state;
	r = io_expect(a, part);
	same = io_start(WIRE_WRITE, 1024, 512, 'q');
	next = io_start(WIRE_WRITE, 0, BLOCK, 'r');
	elsewhere = io_start(WIRE_WRITE, BLOCK, BLOCK, 's');
	answer(a, elsewhere, io_expect(a, elsewhere));
	io_barrier(a);
	answer(a, part, r);
	answer(a, same, io_expect(a, same));
	answer(a, next, io_expect(a, next));
	/* And the other way round: a whole one is out, then a part of it comes. */
	next = io_start(WIRE_WRITE, 0, BLOCK, 't');
	r = io_expect(a, next);
	part = io_start(WIRE_WRITE, 512, 512, 'u');
	io_barrier(a);
	answer(a, next, r);
	answer(a, part, io_expect(a, part));
}

/* A whole block is out, and a part of it waits for that. */
static struct request *part_waits(struct io **whole, struct io **part)
{
	struct request *r;

	*whole = io_start(WIRE_WRITE, 0, BLOCK, 'w');
	r = io_expect(a, *whole);
	*part = io_start(WIRE_WRITE, 512, 512, 'p');
	io_barrier(a);
	return r;
}

/* The whole block has to be sent anew: they do not wait for each other. */
static void parts_of_blocks_anew(void **state)
{
	struct io *whole, *part;
	struct request *r = part_waits(&whole, &part);

	(void)state;
	script_reply(a, r, WIRE_E_HANDLE, NULL, 0);
	answer(a, part, io_expect(a, part));
	answer(a, whole, io_expect(a, whole));
}

/* They stop sharing it meanwhile: the part does not wait for ever. */
static void parts_of_blocks_no_longer(void **state)
{
	struct io *whole, *part;
	struct request *r = part_waits(&whole, &part);

	(void)state;
	server.volume.shared = false;
	server.volume.block_size = 512;
	script_event(b, WIRE_EVENT_VOLUME_RESIZED);
	script_reply(b, script_expect(b, WIRE_CLOSE), WIRE_OK, NULL, 0);
	script_event(a, WIRE_EVENT_VOLUME_RESIZED);
	io_barrier(a);
	answer(a, whole, r);
	answer(a, part, io_expect(a, part));
}

/* However often it is asked, and however long the answer is. */
static void said_once(void **state)
{
	struct io *w = io_start(WIRE_WRITE, 0, BLOCK, 'W');

	(void)state;
	io_expect(a, w);
	script_close(a);
	for (int i = 0; i < 4; i++)
		say_busy_at_length(asked());
	script_reply(b, asked(), WIRE_OK, NULL, 0);
	answer(b, w, io_expect(b, w));
	assert_int_equal(client_logged("writes wait for srv"), 1);
}

/* The host of one restarts: the storage is the same. */
static void a_host_restarts(void **state)
{
	struct io *w = io_start(WIRE_WRITE, 0, BLOCK, 'W');

	(void)state;
	answer(a, w, io_expect(a, w));
	script_close(a);
	io_barrier(b);
	server.life[0]++;
	server.boot[0]++;
	a_is_back(S3, 1);
	script_open(a);
	script_list(a);
	io_barrier(a);			/* fail-over: back to the first */
	assert_int_equal(client_state(), MPIO_READY);
}

/* An earlier run of this client still has a server: the open waits, and nothing counts down. */
static void open_waits(void **state)
{
	static const uint8_t data[BLOCK];
	struct io *r;

	(void)state;
	script_close(a);
	script_close(b);
	server.life[0]++;
	a_is_back(S3, 1);
	script_reply(a, script_expect(a, WIRE_OPEN), WIRE_E_BUSY, NULL, 0);
	script_list(a);
	r = io_start(WIRE_READ, 0, BLOCK, 0);
	for (int i = 0; i < 3; i++)
		script_reply(a, script_expect(a, WIRE_OPEN), WIRE_E_BUSY, NULL, 0);
	assert_false(io_done(r));
	assert_true(client_gives_up_in() < 0);
	script_open(a);
	script_reply(a, io_expect(a, r), WIRE_OK, data, BLOCK);
	assert_int_equal(io_wait(r), 0);
}

/* The same name, but not the same volume. */
static int begin_other(void **state)
{
	const struct client_setup setup = { 0 };

	(void)state;
	script_start(&server);
	server.two_servers = true;
	a = script_begin(&server, &setup, S1);
	return 0;
}

static void not_shared(void **state)
{
	(void)state;
	b = script_login(&server, 1, S2, 1);
	script_list(b);
	io_barrier(a);
	assert_int_equal(client_volumes(), 1);
	assert_int_equal(script_poll(b, 50), 0);	/* it is not opened there */
}

/* It was, and srv2 offers it for itself now: its cache knows nothing of what srv writes. */
static void shared_no_longer(void **state)
{
	(void)state;
	server.volume.shared = false;
	script_event(b, WIRE_EVENT_VOLUME_RESIZED);
	script_reply(b, script_expect(b, WIRE_CLOSE), WIRE_OK, NULL, 0);
	io_barrier(a);
	script_close(a);
	while (client_state() != MPIO_WAITING)
		;
	assert_int_equal(script_poll(b, 50), 0);
}

static void another_uuid(void **state)
{
	struct request *r;

	(void)state;
	server.volume.shared = true;
	server.volume.uuid[0]++;
	b = script_login(&server, 1, S2, 1);
	script_list(b);
	io_barrier(a);
	assert_int_equal(script_poll(b, 50), 0);
	/* The first one goes: the name is the other's now, which is asked what it has. */
	server.volume.uuid[0]--;
	script_event(a, WIRE_EVENT_VOLUME_REMOVED);
	server.volume.uuid[0]++;
	script_list(b);
	client_new_volume(NULL);
	r = script_expect(a, WIRE_CLOSE);
	script_reply(a, r, WIRE_OK, NULL, 0);
}

int main(void)
{
#define WITH(set, test) cmocka_unit_test_setup_teardown(test, set, end)
	const struct CMUnitTest tests[] = {
		WITH(begin, one_device),
		WITH(begin, bounds_are_shown),
		WITH(begin, takes_over),
		WITH(begin, asked_once_more),
		WITH(begin, reads_move_at_once),
		WITH(begin, comes_back_first),
		WITH(begin, a_late_answer),
		WITH(begin, interrupted),
		WITH(begin_short, gives_up),
		WITH(begin_in_turn, flushes_both),
		WITH(begin, a_flush_fails),
		WITH(begin, parts_of_blocks),
		WITH(begin, parts_of_blocks_anew),
		WITH(begin, parts_of_blocks_no_longer),
		WITH(begin, said_once),
		WITH(begin, a_host_restarts),
		WITH(begin, open_waits),
		WITH(begin_other, not_shared),
		WITH(begin, shared_no_longer),
		WITH(begin_other, another_uuid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
