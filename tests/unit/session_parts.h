/* session_parts.h - two paths to one scripted server, for the tests of a session. */
#ifndef SESSION_PARTS_H
#define SESSION_PARTS_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "../scripted.h"

#define S1 0x11			/* session ids: this byte 16 times */
#define S2 0x22

static struct script server;
static struct conn *a, *b;	/* portal 0, connection 1; portal 1, connection 2 */
static const uint8_t none[16];

/* Both paths up in one session, the volume open; commands go over a (fail-over). */
static inline void begin_within(const struct client_setup *setup, uint32_t session_bytes)
{
	script_start(&server);
	server.limits.session_bytes = session_bytes;
	a = script_begin(&server, setup, S1);
	assert_memory_equal(a->wanted, none, 16);
	b = script_login(&server, 1, S1, 2);
	assert_memory_equal(b->wanted, a->session, 16);
	io_barrier(a);
}

static inline void begin_with(const struct client_setup *setup)
{
	begin_within(setup, WIRE_SESSION_BYTES_MAX);
}

static inline int begin_tight(void **state)
{
	const struct client_setup plain = { 0 };

	(void)state;
	begin_within(&plain, 4 * BLOCK);
	return 0;
}

static inline int begin(void **state)
{
	const struct client_setup plain = { 0 };

	(void)state;
	begin_with(&plain);
	return 0;
}

static inline int begin_impatient(void **state)
{
	const struct client_setup impatient = { .give_up = 0.3 };

	(void)state;
	begin_with(&impatient);
	return 0;
}

static inline int end(void **state)
{
	(void)state;
	client_stop();
	script_stop(&server);
	return 0;
}

static inline struct io *write_block(unsigned block, uint8_t fill)
{
	return io_start(WIRE_WRITE, (uint64_t)block * BLOCK, BLOCK, fill);
}

static inline void answer(struct conn *c, const struct request *r)
{
	script_reply(c, r, WIRE_OK, NULL, 0);
}

/* The write arrives at c, is answered, and done. */
static inline void carry_out(struct conn *c, struct io *io)
{
	answer(c, io_expect(c, io));
	assert_int_equal(io_wait(io), 0);
}

static inline void nothing_done(struct conn *c, const struct request *fence, uint32_t number)
{
	script_fenced(c, fence, number, 0, NULL, NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
#define TEST_WITH(f, setup) cmocka_unit_test_setup_teardown(f, setup, end)

#endif
