/*
 * A server that lies: whatever is wrong with a reply, the connection is closed, the
 * reason is said, and the command goes on over the other path.
 */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../scripted.h"
#include "crc.h"

#define S1 0x11

static struct script server;
static struct conn *a, *b;
static uint32_t number;			/* of the newest connection */
static uint8_t data[1 << 20];

static int begin(void **state)
{
	const struct client_setup plain = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	script_start(&server);
	a = script_begin(&server, &plain, S1);
	b = script_login(&server, 1, S1, 2);
	io_barrier(a);
	number = 2;
	return 0;
}

static int end(void **state)
{
	(void)state;
	client_stop();
	script_stop(&server);
	return 0;
}

static void reason_is(int portal, const char *part, const char *name)
{
	char reason[256];

	client_path(portal, "reason", reason, sizeof reason);
	if (!strstr(reason, part))
		fail_msg("%s: the reason is \"%s\", not \"%s\"", name, reason, part);
}

/* A read of count bytes was asked over a, which then says `frame`. */
static void wrong_frame(const char *name, const char *reason, struct io *io, struct request *r,
			const void *frame, size_t size)
{
	struct request *again;

	script_send(a, frame, size);
	script_closed(a);
	reason_is(0, reason, name);
	script_fence_reads(b, a->number);
	again = io_expect(b, io);
	assert_int_equal(again->h.type, r->h.type);
	script_reply(b, again, WIRE_OK, data, io->command.count);
	assert_int_equal(io_wait(io), 0);
	if (memcmp(io->data, data, io->command.count))
		fail_msg("%s: the data is not what the other path said", name);
	client_kick();
	a = script_login(&server, 0, S1, ++number);
	io_barrier(a);
}

static struct io *ask(uint32_t count, struct request **r)
{
	struct io *io = io_start(WIRE_READ, 0, count, 0);

	*r = io_expect(a, io);
	return io;
}

/* The right answer to r as a frame; freed by the caller. */
static uint8_t *right_answer(const struct request *r, struct wire_reply *h)
{
	uint8_t *frame = malloc(WIRE_REPLY_SIZE + r->h.count);

	*h = (struct wire_reply){ .type = r->h.type, .cookie = r->h.cookie, .length = r->h.count,
				  .flags = WIRE_FLAG_CRC, .payload_crc = crc32c(0, data, r->h.count) };
	wire_put_reply(frame, h);
	memcpy(frame + WIRE_REPLY_SIZE, data, r->h.count);
	return frame;
}

static void each_bit_of_a_header(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < WIRE_REPLY_SIZE * 8; bit++) {
		struct wire_reply h;
		struct request *r;
		struct io *io = ask(512, &r);
		uint8_t *frame = right_answer(r, &h);
		char name[32];

		snprintf(name, sizeof name, "bit %u", bit);
		frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
		wrong_frame(name, bit < 8 ? "not an rsio frame" : bit < 16 ? "version" : "checksum", io, r,
			    frame, WIRE_REPLY_SIZE + 512);
		free(frame);
	}
}

static void bits_of_a_payload(void **state)
{
	static const uint32_t sizes[] = { 512, 4096, 200000 };

	(void)state;
	for (size_t k = 0; k < 3; k++)
		for (uint32_t bit = 0; bit < sizes[k] * 8; bit += sizes[k] * 8 / 7) {
			struct wire_reply h;
			struct request *r;
			struct io *io = ask(sizes[k], &r);
			uint8_t *frame = right_answer(r, &h);

			frame[WIRE_REPLY_SIZE + bit / 8] ^= (uint8_t)(1u << bit % 8);
			wrong_frame("payload", "damaged on its way", io, r, frame, WIRE_REPLY_SIZE + sizes[k]);
			free(frame);
		}
}

/* What a changed header field leads to; its checksum is right. */
static const struct lie {
	const char *name, *reason;
	uint8_t type, flags;
	int cookie;			/* added */
	int length;			/* added, also to what is sent */
	uint16_t status;
	bool no_crc;
} lies[] = {
	{ "type 0", "unknown type", .type = 99 },
	{ "another type", "not in flight", .type = WIRE_LIST },
	{ "a write's answer", "a payload where none belongs", .type = WIRE_WRITE },
	{ "an event's type", "an event with a cookie", .type = WIRE_EVENT },
	{ "a flag that is not known", "unknown flags", .flags = 0x40 },
	{ "a flag that does not belong", "flag", .flags = WIRE_FLAG_FUA },
	{ "the cookie of the future", "not in flight", .cookie = 1 << WIRE_SLOT_BITS },
	{ "the cookie of the past", "not in flight", .cookie = -(1 << WIRE_SLOT_BITS) },
	{ "another slot", "not in flight", .cookie = 1 },
	{ "a byte too few", "wrong number of bytes", .length = -1 },
	{ "a byte too many", "wrong number of bytes", .length = 1 },
	{ "much too many", "longer than what was asked", .length = 100000 },
	{ "more than ever", "longer than the limit", .length = 1 << 20 },
	{ "nothing", "shorter than it can be", .length = -4096 },
	{ "a refusal of 4 KiB and more", "refusal longer", .length = 1, .status = WIRE_E_IO },
	{ "a checksum without its flag", "without its flag", .no_crc = true },
};

static void each_field(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		const struct lie *l = &lies[i];
		struct wire_reply h;
		struct request *r;
		struct io *io = ask(4096, &r);
		uint8_t *frame = right_answer(r, &h);
		uint32_t length = (uint32_t)((int)h.length + l->length);

		free(frame);
		if (l->type)
			h.type = l->type;
		h.flags |= l->flags;
		h.cookie += (uint64_t)(int64_t)l->cookie;
		h.status = l->status;
		h.length = length;
		frame = calloc(1, WIRE_REPLY_SIZE + length);
		memcpy(frame + WIRE_REPLY_SIZE, data, length < sizeof data ? length : sizeof data);
		h.payload_crc = crc32c(0, frame + WIRE_REPLY_SIZE, length);
		wire_put_reply(frame, &h);
		if (l->no_crc) {
			uint32_t sum;

			frame[3] = 0;
			sum = htole32(crc32c(0, frame, WIRE_REPLY_SIZE - 4));
			memcpy(frame + WIRE_REPLY_SIZE - 4, &sum, 4);
		}
		wrong_frame(l->name, l->reason, io, r, frame, WIRE_REPLY_SIZE + length);
		free(frame);
	}
}

static void reserved_fields(void **state)
{
	static const int at[] = { 18, 19, 24, 27 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct wire_reply h;
		struct request *r;
		struct io *io = ask(512, &r);
		uint8_t *frame = right_answer(r, &h);
		uint32_t sum;

		frame[at[i]] = 1;
		sum = htole32(crc32c(0, frame, WIRE_REPLY_SIZE - 4));
		memcpy(frame + WIRE_REPLY_SIZE - 4, &sum, 4);
		wrong_frame("reserved", "reserved fields", io, r, frame, WIRE_REPLY_SIZE + 512);
		free(frame);
	}
}

/* The stream ends within a frame. */
static void torn_replies(void **state)
{
	static const size_t ends[] = { 1, 31, 32, 33, 70000, 199999 };

	(void)state;
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		struct wire_reply h;
		struct request *r;
		struct io *io = ask(200000, &r);
		uint8_t *frame = right_answer(r, &h);

		script_send(a, frame, ends[i]);
		script_close(a);
		script_fence_reads(b, a->number);
		r = io_expect(b, io);
		reason_is(0, "closed by the server", "torn");
		script_reply(b, r, WIRE_OK, data, 200000);
		assert_int_equal(io_wait(io), 0);
		assert_memory_equal(io->data, data, 200000);
		client_kick();
		a = script_login(&server, 0, S1, ++number);
		io_barrier(a);
		free(frame);
	}
}

static void answered_twice(void **state)
{
	struct request *r, *s;
	struct io *io = ask(512, &r), *other = io_start(WIRE_READ, 8192, 512, 0);

	(void)state;
	s = io_expect(a, other);
	script_reply(a, r, WIRE_OK, data, 512);
	assert_int_equal(io_wait(io), 0);
	script_reply(a, r, WIRE_OK, data, 512);
	script_closed(a);
	reason_is(0, "not in flight", "answered twice");
	script_fence_reads(b, a->number);
	s = io_expect(b, other);
	script_reply(b, s, WIRE_OK, data, 512);
	assert_int_equal(io_wait(other), 0);
}

/* Frames without a cookie that nobody asked for. */
static void unasked(void **state)
{
	static const struct {
		uint8_t type;
		uint16_t status;
		uint32_t length;
		const char *body, *reason;
	} frames[] = {
		{ WIRE_HELLO, 0, 0, "", "nobody asked for" },
		{ WIRE_AUTH, 0, 0, "", "nobody asked for" },
		{ WIRE_FLUSH, 0, 0, "", "nobody asked for" },
		{ WIRE_PING, 0, 8, "12345678", "nobody asked for" },
		{ WIRE_PING, 0, 7, "1234567", "shorter" },
		{ WIRE_BYE, 0, 0, "", "nobody said" },
		{ WIRE_EVENT, WIRE_E_IO, 4, "xxxx", "status" },
		{ WIRE_EVENT, 0, 0, "", "shorter" },
		{ WIRE_EVENT, 0, 3, "\x18\x00\x02", "torn" },			/* a record's header */
		{ WIRE_EVENT, 0, 5, "\x18\x00\x02\x00\x01", "torn" },
		{ WIRE_EVENT, 0, 6, "\x18\x00\x02\x00\x01\x00", "without the volume" },
		{ WIRE_EVENT, 0, 6, "\x18\x00\x02\x00\x05\x00", "without the portal" },
		{ WIRE_EVENT, 0, 8, "\x18\x00\x04\x00\x01\x00\x00\x00", "not allowed" },
		{ WIRE_EVENT, 0, 4, "\x63\x80\x00\x00", "mandatory" },
		{ WIRE_EVENT, 0, 4, "\x63\x00\x00\x00", "lacks" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
		struct wire_reply h = { .type = frames[i].type, .status = frames[i].status,
					.length = frames[i].length };

		script_say(a, &h, frames[i].body, frames[i].length);
		script_closed(a);
		reason_is(0, frames[i].reason, wire_type_name(frames[i].type));
		io_barrier(b);
		client_kick();
		a = script_login(&server, 0, S1, ++number);
		io_barrier(a);
	}
}

/* Events and statuses of later versions are no lies. */
static void unknown_but_harmless(void **state)
{
	struct wire_reply h = { .type = WIRE_EVENT, .length = 6 };
	struct request *r;
	struct io *io;

	(void)state;
	script_say(a, &h, "\x18\x00\x02\x00\x63\x00", 6);	/* kind 99 */
	io_barrier(a);
	h.length = 10;
	script_say(a, &h, "\x63\x00\x00\x00\x18\x00\x02\x00\x63\x00", 10);	/* an unknown record too */
	io_barrier(a);
	io = ask(512, &r);
	script_reply(a, r, 999, NULL, 0);
	assert_int_equal(io_wait(io), -5);	/* EIO */
	io_barrier(a);
}

static void statuses_of_extents(void **state)
{
	static const uint32_t lengths[] = { 0, 11, 13 };
	uint8_t extents[24];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct io *io = io_start(WIRE_STATUS, 0, 1 << 20, 0);
		struct request *r = io_expect(a, io);

		memset(extents, 1, sizeof extents);
		script_reply(a, r, WIRE_OK, extents, lengths[i]);
		script_closed(a);
		r = io_expect(b, io);
		wire_put_extent(extents, 4096, WIRE_EXTENT_DATA);
		wire_put_extent(extents + 12, (1 << 20) - 4096, WIRE_EXTENT_HOLE);
		script_reply(b, r, WIRE_OK, extents, 24);
		assert_int_equal(io_wait(io), 0);
		client_kick();
		a = script_login(&server, 0, S1, ++number);
		io_barrier(a);
	}
}

/* The server says that it did not do it. */
static void not_done(void **state)
{
	struct io *w = io_start(WIRE_WRITE, 0, 4096, 'W');
	struct request *r = io_expect(a, w);

	(void)state;
	/* It arrived damaged: again, at once; the server closes afterwards. */
	script_reply(a, r, WIRE_E_CHECKSUM, NULL, 0);
	r = io_expect(a, w);
	script_close(a);
	r = script_fence(b, 1, 1, &r);
	script_fenced(b, r, 1, 0, NULL, NULL);
	r = io_expect(b, w);
	client_kick();
	a = script_login(&server, 0, S1, ++number);
	/* It is leaving: over another path. */
	script_reply(b, r, WIRE_E_LEAVING, NULL, 0);
	r = io_expect(a, w);
	script_reply(a, r, WIRE_E_LEAVING, NULL, 0);
	/* All do: it waits for the server to come back. */
	script_close(a);
	script_close(b);
	script_restarted(&server);
	client_kick();
	a = script_login(&server, 0, 0x22, 1);
	script_open(a);
	r = io_expect(a, w);
	script_reply(a, r, WIRE_OK, NULL, 0);
	assert_int_equal(io_wait(w), 0);
}

/* A list longer than what is kept of a torn receive. */
static void long_list(void **state)
{
	const uint32_t count = 1000;
	uint8_t *body = malloc(count * WIRE_VOLUME_MAX + 16);
	struct wire_volume v = server.volume;
	struct wire_writer w;
	struct wire_reply h = { .type = WIRE_LIST };
	struct request *r;

	(void)state;
	script_close(b);
	client_kick();
	b = script_login(&server, 1, S1, ++number);	/* which makes the client ask for the list */
	r = script_expect_list(a);
	wire_writer_init(&w, body, count * WIRE_VOLUME_MAX + 16);
	wire_put_volume(&w, &v);
	for (uint32_t i = 1; i < count; i++) {
		snprintf(v.name, sizeof v.name, "a-volume-with-a-name-of-many-letters-%03u", i);
		memcpy(v.uuid, &i, sizeof i);
		wire_put_volume(&w, &v);
	}
	wire_put_u32(&w, WIRE_TAG_TOTAL, count);
	h.cookie = r->h.cookie;
	h.length = (uint32_t)wire_writer_used(&w, body);
	assert_true(h.length > 70000);
	/* In two pieces, so that it is torn. */
	{
		uint8_t *frame = malloc(WIRE_REPLY_SIZE + h.length);

		wire_put_reply(frame, &h);
		memcpy(frame + WIRE_REPLY_SIZE, body, h.length);
		script_send(a, frame, 1000);
		client_volumes();	/* a turn of the client's loop */
		script_send(a, frame + 1000, WIRE_REPLY_SIZE + h.length - 1000);
		free(frame);
	}
	io_barrier(a);
	assert_int_equal(client_volumes(), count);
	free(body);
}

/* A list that is torn, impossible or endless: the path ends, the next one is asked. */
static void wrong_lists(void **state)
{
	static const char *const reasons[] = { "torn", "cannot be", "more volumes", "mandatory" };
	uint8_t body[256];

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct wire_volume v = server.volume;
		struct wire_writer w;
		struct request *r;

		script_close(b);
		client_kick();
		b = script_login(&server, 1, S1, ++number);
		r = script_expect_list(a);
		wire_writer_init(&w, body, sizeof body);
		if (i == 1)
			v.block_size = 500;
		wire_put_volume(&w, &v);
		wire_put_u32(&w, WIRE_TAG_TOTAL, i == 2 ? UINT32_MAX : 1);
		if (i == 3)
			wire_put(&w, 99 | WIRE_MANDATORY, NULL, 0);
		script_reply(a, r, WIRE_OK, body, (uint32_t)wire_writer_used(&w, body) - (i == 0));
		script_closed(a);
		reason_is(0, reasons[i], "list");
		script_list(b);
		io_barrier(b);
		client_kick();
		a = script_login(&server, 0, S1, ++number);
		script_list(a);
		io_barrier(a);
		assert_int_equal(client_volumes(), 1);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_bit_of_a_header),
		TEST(bits_of_a_payload),
		TEST(each_field),
		TEST(reserved_fields),
		TEST(torn_replies),
		TEST(answered_twice),
		TEST(unasked),
		TEST(unknown_but_harmless),
		TEST(statuses_of_extents),
		TEST(not_done),
		TEST(long_list),
		TEST(wrong_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
