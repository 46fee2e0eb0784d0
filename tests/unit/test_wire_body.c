/* test_wire_body.c - the payloads that consist of records. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "login_vectors.h"
#include "wire.h"
#include "wire_samples.h"

static const char *why;
static uint8_t buf[WIRE_FENCE_MAX + WIRE_LOGIN_MAX], again[WIRE_FENCE_MAX];

/* What the last get_ of this file filled. */
union any_body {
	struct wire_hello hello;
	struct wire_welcome welcome;
	struct wire_auth auth;
	struct wire_granted granted;
	struct wire_open open;
	struct wire_fence fence;
	struct wire_event_body event;
};
static union any_body body;

static int get_hello(const uint8_t *b, size_t n)
{
	return wire_get_hello(b, n, &body.hello, &why);
}

static int get_welcome(const uint8_t *b, size_t n)
{
	return wire_get_welcome(b, n, &body.welcome, &why);
}

static int get_auth(const uint8_t *b, size_t n)
{
	return wire_get_auth(b, n, &body.auth, &why);
}

static int get_granted(const uint8_t *b, size_t n)
{
	return wire_get_granted(b, n, &body.granted, &why);
}

static int get_open(const uint8_t *b, size_t n)
{
	return wire_get_open(b, n, &body.open, &why);
}

static int get_fence(const uint8_t *b, size_t n)
{
	return wire_get_fence(b, n, &body.fence, false, &why);
}

static int get_fence_reply(const uint8_t *b, size_t n)
{
	return wire_get_fence(b, n, &body.fence, true, &why);
}

static int get_event(const uint8_t *b, size_t n)
{
	return wire_get_event(b, n, &body.event, &why);
}

static size_t from_hex(const char *hex, uint8_t *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned int v;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		out[i] = (uint8_t)v;
	}
	return n;
}

/* The frame in hex, its header first, is what put makes, and get reads it back. */
static void assert_frame(const char *hex, size_t header_size, size_t n)
{
	uint8_t want[1024];
	size_t size = from_hex(hex, want);

	assert_int_equal(size - header_size, n);
	assert_memory_equal(buf, want + header_size, n);
	if (header_size == WIRE_REQUEST_SIZE) {
		struct wire_request r;

		assert_int_equal(wire_get_request(want, &r, &why), 0);
		assert_int_equal(wire_check_request(&r, &why), 0);
		assert_int_equal(r.length, n);
	} else {
		struct wire_reply r;

		assert_int_equal(wire_get_reply(want, &r, &why), 0);
		assert_int_equal(wire_check_reply(&r, &why), 0);
		assert_int_equal(r.length, n);
	}
}

/* What was read makes the same bytes in `again` as are in buf. */
static void assert_again(size_t size, size_t n)
{
	assert_int_equal(size, n);
	assert_memory_equal(again, buf, n);
}

static void login(void **state)
{
	struct wire_hello h = a_hello();
	struct wire_welcome w = a_welcome();
	struct wire_auth a = { { 0 }, { 0 } };
	struct wire_granted g = { .connection = 1 };
	size_t n;

	(void)state;
	n = wire_put_hello(buf, &h);
	assert_frame(VECTOR_HELLO, WIRE_REQUEST_SIZE, n);
	assert_int_equal(get_hello(buf, n), 0);
	assert_again(wire_put_hello(again, &body.hello), n);

	n = wire_put_welcome(buf, &w);
	assert_frame(VECTOR_WELCOME, WIRE_REPLY_SIZE, n);
	assert_int_equal(get_welcome(buf, n), 0);
	assert_again(wire_put_welcome(again, &body.welcome), n);

	from_hex(VECTOR_CLIENT_PROOF, a.proof);
	n = wire_put_auth(buf, &a);
	assert_frame(VECTOR_AUTH, WIRE_REQUEST_SIZE, n);
	assert_int_equal(get_auth(buf, n), 0);
	assert_again(wire_put_auth(again, &body.auth), n);

	fill(g.session, 16, 0x80);
	from_hex(VECTOR_SERVER_PROOF, g.proof);
	n = wire_put_granted(buf, &g);
	assert_frame(VECTOR_GRANTED, WIRE_REPLY_SIZE, n);
	assert_int_equal(get_granted(buf, n), 0);
	assert_again(wire_put_granted(again, &body.granted), n);
}

/* What is absent is zero, but for what must be there. */
static void absent_records(void **state)
{
	struct wire_hello zero = { .version_least = 1, .version_most = 1 };
	struct wire_writer w;
	size_t n;

	(void)state;
	assert_int_equal(get_hello(buf, 0), -EPROTO);
	assert_int_equal(get_welcome(buf, 0), -EPROTO);
	assert_int_equal(get_auth(buf, 0), -EPROTO);
	assert_int_equal(get_granted(buf, 0), -EPROTO);
	assert_int_equal(get_open(buf, 0), -EPROTO);
	assert_int_equal(get_fence(buf, 0), -EPROTO);
	assert_int_equal(get_event(buf, 0), -EPROTO);
	fill(zero.nonce, 32, 1);
	wire_writer_init(&w, buf, sizeof buf);
	wire_put(&w, WIRE_TAG_NONCE, zero.nonce, 32);
	assert_int_equal(get_hello(buf, wire_writer_used(&w, buf)), 0);
	n = wire_put_hello(buf, &zero);
	assert_again(wire_put_hello(again, &body.hello), n);
	assert_string_equal(body.hello.node, "");
	assert_int_equal(body.hello.limits.data, 0);
}

/* The hello above plus one record. */
static int hello_with(uint16_t tag, const void *data, size_t length)
{
	struct wire_hello h = a_hello();
	struct wire_writer w;

	wire_writer_init(&w, buf, sizeof buf);
	w.at += wire_put_hello(buf, &h);
	wire_put(&w, tag, data, length);
	why = NULL;
	return get_hello(buf, wire_writer_used(&w, buf));
}

static void unknown_records_and_features(void **state)
{
	struct wire_open o = { .name = "v" };
	struct wire_writer w;

	(void)state;
	assert_int_equal(hello_with(999, "x", 1), 0);
	assert_int_equal(body.hello.unknown_tag, 0);
	assert_int_equal(hello_with(999 | WIRE_MANDATORY, "x", 1), 0);
	assert_int_equal(body.hello.unknown_tag, 999);
	/* A known tag that belongs elsewhere is unknown here. */
	assert_int_equal(hello_with(WIRE_TAG_PROOF | WIRE_MANDATORY, "x", 1), 0);
	assert_int_equal(body.hello.unknown_tag, WIRE_TAG_PROOF);
	assert_int_equal(hello_with(WIRE_TAG_FEATURE, "\0later", 6), 0);
	assert_string_equal(body.hello.features.unknown, "");
	assert_true(body.hello.features.payload_crc);
	assert_false(body.hello.features.snapshots);
	assert_int_equal(hello_with(WIRE_TAG_FEATURE, "\1later", 6), 0);
	assert_string_equal(body.hello.features.unknown, "later");
	assert_int_equal(hello_with(WIRE_TAG_FEATURE, "\1payload-crc", 12), 0);
	assert_string_equal(body.hello.features.unknown, "");
	assert_int_equal(hello_with(WIRE_TAG_FEATURE, "\0snapshots", 10), 0);
	assert_true(body.hello.features.snapshots);
	assert_false(body.hello.features.copy);
	assert_int_equal(hello_with(WIRE_TAG_FEATURE, "\0copy", 5), 0);
	assert_true(body.hello.features.copy);
	assert_int_equal(hello_with(WIRE_TAG_FEATURE, "\0snapshot", 9), 0);
	assert_false(body.hello.features.snapshots);
	assert_int_equal(hello_with(WIRE_TAG_FEATURE, "\2later", 6), -EPROTO);
	assert_int_equal(hello_with(WIRE_TAG_FEATURE, "\1", 1), -EPROTO);
	assert_int_equal(hello_with(WIRE_TAG_FEATURE, "", 0), -EPROTO);
	assert_int_equal(hello_with(WIRE_TAG_FEATURE, "\1a b", 4), -EPROTO);

	/* Other bodies refuse the whole. */
	wire_writer_init(&w, buf, sizeof buf);
	w.at += wire_put_open(buf, &o);
	wire_put_u16(&w, 999, 1);
	assert_int_equal(get_open(buf, wire_writer_used(&w, buf)), 0);
	wire_put_u16(&w, 999 | WIRE_MANDATORY, 1);
	assert_int_equal(get_open(buf, wire_writer_used(&w, buf)), -EPROTO);
	assert_non_null(strstr(why, "mandatory"));
}

static void values(void **state)
{
	static const uint8_t small_data[12] = { 255, 1, 0, 0 }, small_session[12] = {
		[4] = 1, [8] = 255, [9] = 1 };
	static const uint8_t b[64];

	(void)state;
	assert_int_equal(hello_with(WIRE_TAG_NONCE, b, 32), -EPROTO);	/* twice */
	assert_non_null(strstr(why, "twice"));
	for (uint16_t tag = WIRE_TAG_LIMITS; tag <= WIRE_TAG_NONCE; tag++) {
		struct wire_writer w;

		wire_writer_init(&w, buf, sizeof buf);
		wire_put(&w, tag, b, 33);
		assert_int_equal(get_hello(buf, wire_writer_used(&w, buf)), -EPROTO);
		assert_non_null(strstr(why, "not allowed"));
		wire_writer_init(&w, buf, sizeof buf);
		wire_put(&w, tag, b, 1);
		assert_int_equal(get_hello(buf, wire_writer_used(&w, buf)), -EPROTO);
		assert_non_null(strstr(why, "not allowed"));
	}
	for (int i = 0; i < 2; i++) {
		struct wire_writer w;

		wire_writer_init(&w, buf, sizeof buf);
		wire_put(&w, WIRE_TAG_LIMITS, i ? small_data : small_session, 12);
		wire_put(&w, WIRE_TAG_NONCE, b, 32);
		assert_int_equal(get_hello(buf, wire_writer_used(&w, buf)), -EPROTO);
	}
}

static void versions(void **state)
{
	struct wire_hello h = a_hello();
	size_t n;

	(void)state;
	h.version_least = h.version_most = 0;
	n = wire_put_hello(buf, &h);
	assert_int_equal(get_hello(buf, n), 0);
	assert_int_equal(body.hello.version_least, WIRE_VERSION);
	assert_int_equal(body.hello.version_most, WIRE_VERSION);
	h.version_least = 2;
	h.version_most = 300;
	n = wire_put_hello(buf, &h);
	assert_int_equal(get_hello(buf, n), 0);
	assert_int_equal(body.hello.version_least, 2);
	assert_int_equal(body.hello.version_most, 300);
	h.version_least = 301;
	n = wire_put_hello(buf, &h);
	assert_int_equal(get_hello(buf, n), -EPROTO);
}

static void limits(void **state)
{
	struct wire_limits none = { 0, 0, 0 }, l;

	(void)state;
	l = wire_merge_limits(none, none);
	assert_int_equal(l.data, WIRE_DATA_MAX);
	assert_int_equal(l.in_flight, WIRE_IN_FLIGHT_MAX);
	assert_int_equal(l.session_bytes, WIRE_SESSION_BYTES_MAX);
	l = wire_merge_limits((struct wire_limits){ 4096, 5, 1 << 20 }, none);
	assert_int_equal(l.data, 4096);
	assert_int_equal(l.in_flight, 5);
	assert_int_equal(l.session_bytes, 1 << 20);
	l = wire_merge_limits((struct wire_limits){ 4096, 64, UINT32_MAX },
			      (struct wire_limits){ UINT32_MAX, 32, 8192 });
	assert_int_equal(l.data, 4096);
	assert_int_equal(l.in_flight, 32);
	assert_int_equal(l.session_bytes, 8192);
	/* Never raised beyond the protocol's, and one command always fits. */
	l = wire_merge_limits((struct wire_limits){ UINT32_MAX, UINT32_MAX, UINT32_MAX },
			      (struct wire_limits){ UINT32_MAX, UINT32_MAX, 1000 });
	assert_int_equal(l.data, 1000);
	assert_int_equal(l.in_flight, WIRE_IN_FLIGHT_MAX);
	assert_int_equal(l.session_bytes, 1000);
}

static void text_bodies(void **state)
{
	char text[1000], got[WIRE_TEXT_MAX + 1];
	size_t n;

	(void)state;
	n = wire_put_text_body(buf, sizeof buf, "no namespace \"osl\" here");
	wire_get_text_body(buf, n, got);
	assert_string_equal(got, "no namespace \"osl\" here");
	wire_get_text_body(buf, n - 1, got);
	assert_string_equal(got, "");
	wire_get_text_body(NULL, 0, got);
	assert_string_equal(got, "");
	assert_int_equal(wire_put_text_body(buf, 5, "too long"), 0);
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = 0;
	assert_int_equal(wire_put_text_body(buf, sizeof buf, text), 4 + WIRE_TEXT_MAX);
	/* A character of two bytes over the end goes as a whole. */
	memcpy(text + WIRE_TEXT_MAX - 1, "\xc3\xa9", 2);
	n = wire_put_text_body(buf, sizeof buf, text);
	assert_int_equal(n, 4 + WIRE_TEXT_MAX - 1);
	/* What comes from the network has no say over the terminal. */
	n = wire_put_text_body(buf, sizeof buf, "a\033[2Jb\nc");
	wire_get_text_body(buf, n, got);
	assert_null(strchr(got, '\033'));
	assert_null(strchr(got, '\n'));
	/* Longer than the limit. */
	memset(buf + 4, 'y', 1000);
	buf[0] = WIRE_TAG_TEXT;
	buf[1] = 0;
	buf[2] = 1000 & 255;
	buf[3] = 1000 >> 8;
	wire_get_text_body(buf, 1004, got);
	assert_int_equal(strlen(got), WIRE_TEXT_MAX);
}

static void takeovers(void **state)
{
	struct wire_takeover t = { .server = "big-9", .server_id = 300 }, got;
	size_t n = wire_put_takeover(buf, &t);
	struct wire_writer w;

	(void)state;
	assert_int_equal(wire_get_takeover(buf, n, &got, &why), 0);
	assert_string_equal(got.server, "big-9");
	assert_int_equal(got.server_id, 300);
	memset(t.server, 'n', WIRE_NAME_MAX);
	assert_true(wire_put_takeover(buf, &t) <= WIRE_TAKEOVER_MAX);
	wire_writer_init(&w, buf, sizeof buf);
	wire_put_text(&w, WIRE_TAG_SERVER, "big-9");
	assert_int_equal(wire_get_takeover(buf, wire_writer_used(&w, buf), &got, &why), -EPROTO);
	assert_non_null(strstr(why, "takeover"));
}

static void stamps(void **state)
{
	uint8_t stamp[WIRE_STAMP_SIZE];

	(void)state;
	wire_put_stamp(stamp, UINT64_C(0x0102030405060708));
	assert_int_equal(stamp[0], 8);
	assert_true(wire_get_stamp(stamp) == UINT64_C(0x0102030405060708));
}

static void opens(void **state)
{
	struct wire_open o = { .name = "oracle" };
	struct wire_writer w;
	size_t n;

	(void)state;
	n = wire_put_open(buf, &o);
	assert_int_equal(get_open(buf, n), 0);
	assert_again(wire_put_open(again, &body.open), n);
	assert_int_equal(body.open.has_identity, o.has_identity);
	memset(o.name, 'n', WIRE_VOLUME_NAME_MAX);
	o.name[WIRE_NAME_MAX] = '@';
	assert_int_equal(get_open(buf, wire_put_open(buf, &o)), 0);
	assert_string_equal(body.open.name, o.name);
	o.has_identity = true;
	o.generation = 5;
	fill(o.uuid, 16, 3);
	n = wire_put_open(buf, &o);
	assert_true(n <= WIRE_OPEN_MAX);
	assert_int_equal(get_open(buf, n), 0);
	assert_again(wire_put_open(again, &body.open), n);
	assert_int_equal(body.open.has_identity, o.has_identity);

	wire_writer_init(&w, buf, sizeof buf);
	wire_put_text(&w, WIRE_TAG_NAME, "v");
	wire_put_u64(&w, WIRE_TAG_GENERATION, 5);
	assert_int_equal(get_open(buf, wire_writer_used(&w, buf)), -EPROTO);
	wire_writer_init(&w, buf, sizeof buf);
	wire_put_text(&w, WIRE_TAG_NAME, "../etc");
	assert_int_equal(get_open(buf, wire_writer_used(&w, buf)), -EPROTO);
}

static int volume_back(const struct wire_volume *v, struct wire_volume *out)
{
	struct wire_reader reader;
	struct wire_record r;
	struct wire_writer w;

	wire_writer_init(&w, buf, WIRE_VOLUME_MAX);
	wire_put_volume(&w, v);
	assert_false(w.overflow);
	wire_reader_init(&reader, buf, wire_writer_used(&w, buf));
	assert_int_equal(wire_next(&reader, &r), 1);
	assert_int_equal(r.tag, WIRE_TAG_VOLUME);
	return wire_get_volume(&r, out);
}

static void volumes(void **state)
{
	static const uint8_t want[] = {
		20, 0, 50, 0,
		0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7,
		0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef,
		8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, 0xc0, 3, 0, 0, 0,
		0, 2, 0, 0, 7, 0, 0, 0, 4, 3, 1, 6, 'o', 'r', 'a', 'c', 'l', 'e',
	};
	struct wire_volume v = a_volume(), got;
	struct wire_writer w;

	(void)state;
	assert_int_equal(volume_back(&v, &got), 0);
	assert_memory_equal(buf, want, sizeof want);
	wire_writer_init(&w, again, sizeof again);
	wire_put_volume(&w, &got);
	assert_again(wire_writer_used(&w, again), sizeof want);
	memset(v.name, 'n', WIRE_NAME_MAX);
	assert_int_equal(volume_back(&v, &got), 0);
	assert_string_equal(got.name, v.name);

#define REFUSED(change) do { v = a_volume(); change; \
		assert_int_equal(volume_back(&v, &got), -EPROTO); } while (0)
	REFUSED(v.name[0] = '\0');
	REFUSED(v.name[0] = '.');
	REFUSED(v.name[2] = '/');
	REFUSED(v.block_size = 0);
	REFUSED(v.block_size = 256);
	REFUSED(v.block_size = 768);
	REFUSED(v.block_size = 131072);
	REFUSED(v.size = (uint64_t)INT64_MAX + 1);
	REFUSED(v.size -= 1);
	REFUSED(v.flags |= WIRE_FLAG_FUA);
	REFUSED(v.av = 4);
#undef REFUSED
}

static void snapshots(void **state)
{
	struct wire_volume v = a_snapshot(), got;
	struct wire_record r = { .tag = WIRE_TAG_VOLUME };

	(void)state;
	assert_int_equal(volume_back(&v, &got), 0);
	assert_string_equal(got.name, "oracle@monday");
	assert_int_equal(got.flags, WIRE_FLAG_READ_ONLY | WIRE_FLAG_SNAPSHOT);
	assert_true(got.taken == v.taken);
	assert_int_equal(buf[4 + 44 + 13], v.taken & 0xff);
	r.data = buf + 4;
	for (r.length = 44; r.length < 44 + 13 + 8; r.length++)
		assert_int_equal(wire_get_volume(&r, &got), -EPROTO);
	assert_int_equal(wire_get_volume(&r, &got), 0);
	memset(v.name, 'n', WIRE_VOLUME_NAME_MAX);
	v.name[WIRE_NAME_MAX] = '@';
	assert_int_equal(volume_back(&v, &got), 0);
	assert_string_equal(got.name, v.name);

#define REFUSED(change) do { v = a_snapshot(); change; \
		assert_int_equal(volume_back(&v, &got), -EPROTO); } while (0)
	REFUSED(v.flags = WIRE_FLAG_SNAPSHOT);
	REFUSED(v.flags = WIRE_FLAG_READ_ONLY);
	REFUSED(v.flags = 0);
	REFUSED(strcpy(v.name, "oracle"));
	REFUSED(strcpy(v.name, "oracle@7"));
	REFUSED(strcpy(v.name, "oracle@"));
	REFUSED(strcpy(v.name, "@monday"));
	REFUSED(strcpy(v.name, "oracle@mon@day"));
#undef REFUSED
}

/* A later version may add to a volume; nothing may be missing from it. */
static void volume_lengths(void **state)
{
	struct wire_volume v = a_volume(), got;
	struct wire_record r = { .tag = WIRE_TAG_VOLUME };

	(void)state;
	assert_int_equal(volume_back(&v, &got), 0);
	r.data = buf + 4;
	memset(buf + 54, 0, 10);
	for (r.length = 0; r.length < 50; r.length++)
		assert_int_equal(wire_get_volume(&r, &got), -EPROTO);
	for (; r.length < 60; r.length++)
		assert_int_equal(wire_get_volume(&r, &got), 0);
	buf[4 + 42] = 2;
	assert_int_equal(wire_get_volume(&r, &got), -EPROTO);
}

static void reserved_volumes(void **state)
{
	struct wire_volume v = a_volume(), got;

	(void)state;
	assert_int_equal(volume_back(&v, &got), 0);
	assert_string_equal(got.reserved_by, "");
	strcpy(v.reserved_by, "sles1");
	assert_int_equal(volume_back(&v, &got), 0);
	assert_string_equal(got.reserved_by, "sles1");
	memset(v.reserved_by, 'n', WIRE_NAME_MAX);
	assert_int_equal(volume_back(&v, &got), 0);
	assert_string_equal(got.reserved_by, v.reserved_by);
	strcpy(v.reserved_by, "no name");
	assert_int_equal(volume_back(&v, &got), -EPROTO);
	v = a_snapshot();
	strcpy(v.reserved_by, "sles1");
	assert_int_equal(volume_back(&v, &got), 0);
	assert_string_equal(got.reserved_by, "");
}

static void fences(void **state)
{
	static struct wire_fence f;
	size_t n;

	(void)state;
	for (f.count = 0; f.count <= WIRE_IN_FLIGHT_MAX; f.count += 512) {
		f.connection = 0x01020304;
		for (size_t i = 0; i < f.count; i++) {
			f.cookies[i] = 0x1111111111111111 * i + i;
			f.statuses[i] = (uint16_t)(0x101 * i);
		}
		n = wire_put_fence(buf, &f, true);
		assert_true(n <= WIRE_FENCE_MAX);
		assert_int_equal(get_fence_reply(buf, n), 0);
		assert_int_equal(body.fence.connection, 0x01020304);
		assert_int_equal(body.fence.count, f.count);
		assert_memory_equal(body.fence.cookies, f.cookies, f.count * 8);
		assert_memory_equal(body.fence.statuses, f.statuses, f.count * 2);
		if (f.count)		/* statuses belong into replies, and must be there */
			assert_int_equal(get_fence(buf, n), -EPROTO);
		n = wire_put_fence(buf, &f, false);
		assert_int_equal(get_fence(buf, n), 0);
		assert_int_equal(body.fence.count, f.count);
		assert_memory_equal(body.fence.cookies, f.cookies, f.count * 8);
		assert_int_equal(get_fence_reply(buf, n), f.count ? -EPROTO : 0);
	}
}

/* Records as given: pairs of tag and length in bytes, ended by tag 0. */
static int odd_fence(bool reply, const uint16_t *pairs)
{
	static const uint8_t zeroes[8 * WIRE_IN_FLIGHT_MAX + 8];
	static uint8_t b[3 * sizeof zeroes];
	struct wire_writer w;

	wire_writer_init(&w, b, sizeof b);
	wire_put_u32(&w, WIRE_TAG_CONNECTION, 1);
	for (; *pairs; pairs += 2)
		wire_put(&w, pairs[0], zeroes, pairs[1]);
	assert_false(w.overflow);
	return wire_get_fence(b, wire_writer_used(&w, b), &body.fence, reply, &why);
}
#define ODD_FENCE(reply, ...) odd_fence(reply, (const uint16_t[]){ __VA_ARGS__, 0 })

static void fence_records(void **state)
{
	enum { C = WIRE_TAG_COOKIES, S = WIRE_TAG_STATUSES, MAX = WIRE_IN_FLIGHT_MAX };

	(void)state;
	assert_int_equal(ODD_FENCE(false, C, 16, C, 8, C, 0), 0);
	assert_int_equal(body.fence.count, 3);
	assert_int_equal(ODD_FENCE(false, C, 8 * MAX), 0);
	assert_int_equal(ODD_FENCE(false, C, 8 * MAX + 8), -EPROTO);
	assert_int_equal(ODD_FENCE(false, C, 8 * MAX, C, 8), -EPROTO);
	assert_int_equal(ODD_FENCE(false, C, 8, C, 8 * MAX), -EPROTO);
	assert_int_equal(ODD_FENCE(false, C, 12), -EPROTO);
	assert_int_equal(ODD_FENCE(true, C, 16, S, 4, C, 8, S, 2), 0);
	assert_int_equal(body.fence.count, 3);
	assert_int_equal(ODD_FENCE(true, C, 16, S, 2), -EPROTO);
	assert_int_equal(ODD_FENCE(true, C, 16, C, 8, S, 6), -EPROTO);
	assert_int_equal(ODD_FENCE(true, S, 4, C, 16), -EPROTO);
	assert_int_equal(ODD_FENCE(true, C, 8, S, 2, S, 2), -EPROTO);
	assert_int_equal(ODD_FENCE(false, WIRE_TAG_CONNECTION, 4), -EPROTO);
	assert_int_equal(ODD_FENCE(false, 999, 4), 0);
	assert_int_equal(ODD_FENCE(false, 999 | WIRE_MANDATORY, 4), -EPROTO);
}

static void events(void **state)
{
	struct wire_event_body e = { .kind = WIRE_EVENT_VOLUME_RESIZED, .has_volume = true };
	size_t n;

	(void)state;
	e.volume = a_volume();
	n = wire_put_event(buf, sizeof buf, &e);
	assert_int_equal(get_event(buf, n), 0);
	assert_again(wire_put_event(again, sizeof again, &body.event), n);
	for (uint16_t kind = 1; kind < 10; kind++) {
		e = (struct wire_event_body){ .kind = kind };
		n = wire_put_event(buf, sizeof buf, &e);
		assert_int_equal(get_event(buf, n), kind <= WIRE_EVENT_PORTAL_ADDED || kind == WIRE_EVENT_PORTAL_REMOVED ? -EPROTO : 0);
	}
	e = (struct wire_event_body){ .kind = WIRE_EVENT_PORTAL_ADDED,
				      .portal = "2001:db8::1/5000" };
	n = wire_put_event(buf, sizeof buf, &e);
	assert_int_equal(get_event(buf, n), 0);
	assert_again(wire_put_event(again, sizeof again, &body.event), n);
	e.portal[3] = '\n';
	n = wire_put_event(buf, sizeof buf, &e);
	assert_int_equal(get_event(buf, n), -EPROTO);
}

static void portals(void **state)
{
	static const char text[WIRE_PORTAL_MAX] = "2001:db8::1/5000";
	struct wire_record r = { .tag = WIRE_TAG_PORTAL, .length = 16, .data = (const uint8_t *)text };
	uint8_t many[WIRE_PORTAL_MAX];
	char out[WIRE_PORTAL_MAX];

	(void)state;
	assert_int_equal(wire_get_portal(&r, out), 0);
	assert_string_equal(out, text);
	r.length = 17;		/* the zero behind it */
	assert_int_equal(wire_get_portal(&r, out), -EPROTO);
	r.length = 0;
	assert_int_equal(wire_get_portal(&r, out), -EPROTO);
	memset(many, '1', sizeof many);
	r.data = many;
	r.length = WIRE_PORTAL_MAX - 1;
	assert_int_equal(wire_get_portal(&r, out), 0);
	assert_int_equal(strlen(out), WIRE_PORTAL_MAX - 1);
	r.length = WIRE_PORTAL_MAX;
	assert_int_equal(wire_get_portal(&r, out), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(login),
		cmocka_unit_test(absent_records),
		cmocka_unit_test(unknown_records_and_features),
		cmocka_unit_test(values),
		cmocka_unit_test(versions),
		cmocka_unit_test(limits),
		cmocka_unit_test(text_bodies),
		cmocka_unit_test(opens),
		cmocka_unit_test(takeovers),
		cmocka_unit_test(stamps),
		cmocka_unit_test(volumes),
		cmocka_unit_test(snapshots),
		cmocka_unit_test(volume_lengths),
		cmocka_unit_test(reserved_volumes),
		cmocka_unit_test(portals),
		cmocka_unit_test(fences),
		cmocka_unit_test(fence_records),
		cmocka_unit_test(events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
