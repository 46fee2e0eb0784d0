/* test_wire.c - headers, what each type allows, statuses, records. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "crc.h"
#include "wire.h"

static const char *why;

static struct wire_request a_request(void)
{
	return (struct wire_request){
		.type = WIRE_WRITE, .flags = WIRE_FLAG_FUA | WIRE_FLAG_CRC, .length = 0x00012000,
		.cookie = 0x1122334455667788, .offset = 0x0102030405060708, .count = 0x00012000,
		.handle = 0x0000a1b2, .payload_crc = 0xdeadbeef,
	};
}

static struct wire_reply a_reply(void)
{
	return (struct wire_reply){
		.type = WIRE_READ, .flags = WIRE_FLAG_CRC, .status = WIRE_E_NO_SPACE,
		.length = 0x00000304, .cookie = 0x1122334455667788, .payload_crc = 0xdeadbeef,
	};
}

static void request_bytes(void **state)
{
	/* The checksum was computed by another implementation. */
	static const uint8_t want[WIRE_REQUEST_SIZE] = {
		'R', 1, 7, 3, 0x00, 0x20, 0x01, 0x00,
		0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
		0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
		0x00, 0x20, 0x01, 0x00, 0xb2, 0xa1, 0x00, 0x00,
		0xef, 0xbe, 0xad, 0xde, 0x9e, 0xfb, 0x16, 0xac,
	};
	struct wire_request r = a_request(), back;
	uint8_t b[WIRE_REQUEST_SIZE];

	(void)state;
	wire_put_request(b, &r);
	assert_memory_equal(b, want, sizeof b);
	memset(&back, 0, sizeof back);
	assert_int_equal(wire_get_request(b, &back, &why), 0);
	assert_int_equal(back.type, r.type);
	assert_int_equal(back.flags, r.flags);
	assert_int_equal(back.length, r.length);
	assert_int_equal(back.cookie, r.cookie);
	assert_int_equal(back.offset, r.offset);
	assert_int_equal(back.count, r.count);
	assert_int_equal(back.handle, r.handle);
	assert_int_equal(back.payload_crc, r.payload_crc);
}

static void reply_bytes(void **state)
{
	static const uint8_t want[WIRE_REPLY_SIZE] = {
		'R', 1, 6, 2, 0x04, 0x03, 0x00, 0x00,
		0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
		0x02, 0x00, 0x00, 0x00, 0xef, 0xbe, 0xad, 0xde,
		0x00, 0x00, 0x00, 0x00, 0x76, 0x31, 0x37, 0x18,
	};
	struct wire_reply r = a_reply(), back;
	uint8_t b[WIRE_REPLY_SIZE];

	(void)state;
	wire_put_reply(b, &r);
	assert_memory_equal(b, want, sizeof b);
	memset(&back, 0, sizeof back);
	assert_int_equal(wire_get_reply(b, &back, &why), 0);
	assert_int_equal(back.type, r.type);
	assert_int_equal(back.flags, r.flags);
	assert_int_equal(back.status, r.status);
	assert_int_equal(back.length, r.length);
	assert_int_equal(back.cookie, r.cookie);
	assert_int_equal(back.payload_crc, r.payload_crc);
}

static void no_flipped_bit_passes(void **state)
{
	struct wire_request r = a_request();
	struct wire_reply p = a_reply();
	uint8_t b[WIRE_REQUEST_SIZE], c[WIRE_REPLY_SIZE];

	(void)state;
	wire_put_request(b, &r);
	wire_put_reply(c, &p);
	for (size_t bit = 0; bit < 8 * sizeof b; bit++) {
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		why = NULL;
		assert_int_equal(wire_get_request(b, &r, &why), -EPROTO);
		assert_non_null(why);
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof c; bit++) {
		c[bit / 8] ^= (uint8_t)(1u << bit % 8);
		why = NULL;
		assert_int_equal(wire_get_reply(c, &p, &why), -EPROTO);
		assert_non_null(why);
		c[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* Sets bytes of a header and makes its checksum right again. */
static void patch(uint8_t *b, size_t size, size_t at, uint8_t v)
{
	uint32_t sum;

	b[at] = v;
	sum = crc32c(0, b, size - 4);
	for (int i = 0; i < 4; i++)
		b[size - 4 + (size_t)i] = (uint8_t)(sum >> 8 * i);
}

static int patched_request(size_t at, uint8_t v)
{
	struct wire_request r = a_request();
	uint8_t b[WIRE_REQUEST_SIZE];

	wire_put_request(b, &r);
	patch(b, sizeof b, at, v);
	why = "";
	return wire_get_request(b, &r, &why);
}

static int patched_reply(size_t at, uint8_t v)
{
	struct wire_reply r = a_reply();
	uint8_t b[WIRE_REPLY_SIZE];

	wire_put_reply(b, &r);
	patch(b, sizeof b, at, v);
	why = "";
	return wire_get_reply(b, &r, &why);
}

/* With a right checksum the fields still have to make sense. */
static void header_fields(void **state)
{
	(void)state;
	assert_int_equal(patched_request(0, 'S'), -EPROTO);
	assert_int_equal(patched_request(0, 0x16), -EPROTO);
	assert_non_null(strstr(why, "TLS"));
	assert_int_equal(patched_request(1, 2), -EPROTO);
	assert_non_null(strstr(why, "version"));
	assert_int_equal(patched_request(1, 0), -EPROTO);
	for (int type = 0; type < 256; type++) {
		bool known = type >= WIRE_HELLO && type <= WIRE_COPY;

		assert_int_equal(patched_request(2, (uint8_t)type),
				 known && type != WIRE_EVENT ? 0 : -EPROTO);
		assert_int_equal(patched_reply(2, (uint8_t)type), known ? 0 : -EPROTO);
	}
	for (int flags = 0; flags < 256; flags++) {
		/* The checksum in them is not 0, so its flag has to be there. */
		int want = !(flags & ~(15 | WIRE_FLAG_ALONE)) && flags & WIRE_FLAG_CRC ? 0 : -EPROTO;

		assert_int_equal(patched_request(3, (uint8_t)flags), want);
		assert_int_equal(patched_reply(3, (uint8_t)flags), want);
	}
	for (size_t at = 18; at < 28; at++)
		assert_int_equal(patched_reply(at, 1), at < 20 || at >= 24 ? -EPROTO : 0);
}

static void checksum_only_with_its_flag(void **state)
{
	struct wire_request r = a_request();
	struct wire_reply p = a_reply();
	uint8_t b[WIRE_REQUEST_SIZE];

	(void)state;
	r.flags = p.flags = 0;
	wire_put_request(b, &r);
	assert_int_equal(wire_get_request(b, &r, &why), 0);
	assert_int_equal(r.payload_crc, 0);
	wire_put_reply(b, &p);
	assert_int_equal(wire_get_reply(b, &p, &why), 0);
	assert_int_equal(p.payload_crc, 0);
}

static int request(uint8_t type, uint8_t flags, uint32_t length, uint64_t offset, uint32_t count)
{
	struct wire_request r = { .type = type, .flags = flags, .length = length,
				  .offset = offset, .count = count, .handle = WIRE_HANDLE_MAX };

	why = NULL;
	if (!wire_check_request(&r, &why)) {
		r.handle++;
		assert_int_equal(wire_check_request(&r, &why), -EPROTO);
		return 0;
	}
	assert_non_null(why);
	return -EPROTO;
}

static void ranges(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t max;
	} spans[] = {
		{ WIRE_READ, WIRE_DATA_MAX }, { WIRE_WRITE, WIRE_DATA_MAX },
		{ WIRE_DISCARD, WIRE_RANGE_MAX }, { WIRE_WRITE_ZEROES, WIRE_RANGE_MAX },
		{ WIRE_STATUS, WIRE_RANGE_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
		uint8_t t = spans[i].type;
		uint32_t max = spans[i].max, w = t == WIRE_WRITE;

		assert_int_equal(request(t, 0, 0, 0, 0), -EPROTO);
		assert_int_equal(request(t, 0, w, 0, 1), 0);
		assert_int_equal(request(t, 0, !w, 0, 1), -EPROTO);
		assert_int_equal(request(t, 0, w * max, 0, max), 0);
		assert_int_equal(request(t, 0, w * (max + 1), 0, max + 1), -EPROTO);
		assert_int_equal(request(t, 0, w * UINT32_MAX, 0, UINT32_MAX), -EPROTO);
		assert_int_equal(request(t, 0, w * 512, INT64_MAX - 512, 512), 0);
		assert_int_equal(request(t, 0, w * 512, INT64_MAX - 511, 512), -EPROTO);
		assert_int_equal(request(t, 0, w * 512, UINT64_MAX, 512), -EPROTO);
	}
}

static void request_lengths(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t max;
	} lengths[] = {
		{ WIRE_HELLO, WIRE_LOGIN_MAX }, { WIRE_AUTH, WIRE_LOGIN_MAX },
		{ WIRE_LIST, WIRE_CONTROL_MAX }, { WIRE_OPEN, WIRE_CONTROL_MAX },
		{ WIRE_CLOSE, 0 }, { WIRE_FLUSH, 0 }, { WIRE_PING, 0 }, { WIRE_BYE, 0 },
		{ WIRE_FENCE, WIRE_CONTROL_MAX }, { WIRE_CONTROL, WIRE_CONTROL_MAX }, { WIRE_TAKEOVER, WIRE_CONTROL_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		uint32_t max = lengths[i].max;

		assert_int_equal(request(lengths[i].type, 0, 0, 0, 0), 0);
		assert_int_equal(request(lengths[i].type, 0, max, UINT64_MAX, 77), 0);
		assert_int_equal(request(lengths[i].type, 0, max + 1, 0, 0), -EPROTO);
		assert_int_equal(request(lengths[i].type, 0, UINT32_MAX, 0, 0), -EPROTO);
	}
	for (uint32_t length = 0; length < 2 * WIRE_COPY_SIZE; length++)
		assert_int_equal(request(WIRE_COPY, 0, length, 0, 1), length == WIRE_COPY_SIZE ? 0 : -EPROTO);
	assert_int_equal(request(WIRE_COPY, 0, WIRE_COPY_SIZE, 0, WIRE_COPY_MAX), 0);
	assert_int_equal(request(WIRE_COPY, 0, WIRE_COPY_SIZE, 0, WIRE_COPY_MAX + 1), -EPROTO);
	assert_int_equal(request(WIRE_COPY, 0, WIRE_COPY_SIZE, 0, 0), -EPROTO);
	assert_int_equal(request(0, 0, 0, 0, 1), -EPROTO);
	assert_int_equal(request(WIRE_EVENT, 0, 0, 0, 1), -EPROTO);
	assert_int_equal(request(WIRE_COPY + 1, 0, 0, 0, 1), -EPROTO);
}

static void request_flags(void **state)
{
	(void)state;
	for (uint8_t type = WIRE_HELLO; type <= WIRE_COPY; type++) {
		uint8_t allowed = type == WIRE_WRITE || type == WIRE_WRITE_ZEROES ||
				  type == WIRE_DISCARD ? WIRE_FLAG_FUA :
				  type == WIRE_OPEN ? WIRE_FLAG_READ_ONLY | WIRE_FLAG_ALONE :
				  type == WIRE_AUTH ? WIRE_FLAG_FIRST : 0;

		if (type == WIRE_EVENT)
			continue;
		for (unsigned int f = 1; f < 256; f <<= 1)
			assert_int_equal(request(type, (uint8_t)f, type == WIRE_WRITE ? 1 : type == WIRE_COPY ? WIRE_COPY_SIZE : 0, 0, 1),
					 f == WIRE_FLAG_CRC || f & allowed ? 0 : -EPROTO);
	}
}

static int reply(uint8_t type, uint8_t flags, uint16_t status, uint32_t length, uint64_t cookie)
{
	struct wire_reply r = { .type = type, .flags = flags, .status = status,
				.length = length, .cookie = cookie };
	int result;

	why = NULL;
	result = wire_check_reply(&r, &why);
	assert_true(!result || why);
	return result;
}

static void reply_lengths(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t min, max;
	} lengths[] = {
		{ WIRE_HELLO, 0, WIRE_LOGIN_MAX }, { WIRE_AUTH, 0, WIRE_LOGIN_MAX },
		{ WIRE_LIST, 0, WIRE_CONTROL_MAX }, { WIRE_OPEN, 0, WIRE_CONTROL_MAX },
		{ WIRE_CLOSE, 0, 0 }, { WIRE_READ, 1, WIRE_DATA_MAX }, { WIRE_WRITE, 0, 0 },
		{ WIRE_FLUSH, 0, 0 }, { WIRE_DISCARD, 0, 0 }, { WIRE_WRITE_ZEROES, 0, 0 },
		{ WIRE_STATUS, 12, WIRE_CONTROL_MAX - WIRE_CONTROL_MAX % 12 },
		{ WIRE_FENCE, 0, WIRE_CONTROL_MAX }, { WIRE_PING, 8, 8 }, { WIRE_BYE, 0, 0 },
		{ WIRE_EVENT, 1, WIRE_CONTROL_MAX }, { WIRE_CONTROL, 0, WIRE_CONTROL_MAX }, { WIRE_TAKEOVER, 0, 0 },
		{ WIRE_COPY, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		uint8_t t = lengths[i].type;

		assert_int_equal(reply(t, 0, 0, lengths[i].min, 0), 0);
		assert_int_equal(reply(t, 0, 0, lengths[i].max, 0), 0);
		assert_int_equal(reply(t, 0, 0, lengths[i].max + 1, 0), -EPROTO);
		if (lengths[i].min)
			assert_int_equal(reply(t, 0, 0, lengths[i].min - 1, 0), -EPROTO);
		if (t == WIRE_EVENT)
			continue;
		assert_int_equal(reply(t, 0, WIRE_E_IO, 0, 5), 0);
		assert_int_equal(reply(t, 0, 999, WIRE_LOGIN_MAX, 5), 0);
		assert_int_equal(reply(t, 0, WIRE_E_IO, WIRE_LOGIN_MAX + 1, 5), -EPROTO);
	}
	assert_int_equal(reply(WIRE_STATUS, 0, 0, 13, 0), -EPROTO);
	assert_int_equal(reply(0, 0, 0, 0, 0), -EPROTO);
	assert_int_equal(reply(WIRE_COPY + 1, 0, 0, 0, 0), -EPROTO);
	assert_int_equal(reply(WIRE_EVENT, 0, 0, 8, 1), -EPROTO);
	assert_int_equal(reply(WIRE_EVENT, 0, WIRE_E_IO, 8, 0), -EPROTO);
	for (unsigned int f = 1; f < 256; f <<= 1) {
		assert_int_equal(reply(WIRE_READ, (uint8_t)f, 0, 1, 0),
				 f == WIRE_FLAG_CRC ? 0 : -EPROTO);
		assert_int_equal(reply(WIRE_OPEN, (uint8_t)f, 0, 1, 0),
				 f == WIRE_FLAG_CRC || f == WIRE_FLAG_READ_ONLY ? 0 : -EPROTO);
	}
}

static void type_names(void **state)
{
	(void)state;
	assert_string_equal(wire_type_name(WIRE_HELLO), "hello");
	assert_string_equal(wire_type_name(WIRE_WRITE_ZEROES), "write-zeroes");
	assert_string_equal(wire_type_name(WIRE_CONTROL), "control");
	for (int t = WIRE_HELLO; t <= WIRE_COPY; t++)
		for (int u = t + 1; u <= WIRE_COPY; u++)
			assert_string_not_equal(wire_type_name(t), wire_type_name(u));
	assert_string_equal(wire_type_name(0), "unknown");
	assert_string_equal(wire_type_name(WIRE_COPY + 1), "unknown");
	assert_string_equal(wire_type_name((enum wire_type)-1), "unknown");
}

static void statuses(void **state)
{
	(void)state;
	for (int s = 0; s < WIRE_STATUS_COUNT; s++) {
		assert_true(strlen(wire_status_name(s)) > 0 && strlen(wire_status_text(s)) > 0);
		assert_true((wire_status_errno(s) == 0) == (s == WIRE_OK));
		for (int u = s + 1; u < WIRE_STATUS_COUNT; u++)
			assert_string_not_equal(wire_status_name(s), wire_status_name(u));
	}
	assert_int_equal(wire_status_errno(WIRE_E_NO_SPACE), ENOSPC);
	assert_int_equal(wire_status_errno(WIRE_E_FLUSH_FAILED), EIO);
	assert_int_equal(wire_status_errno(WIRE_STATUS_COUNT), EIO);
	assert_int_equal(wire_status_errno(0xffff), EIO);
	assert_string_equal(wire_status_name(0xffff), "unknown");
	assert_non_null(wire_status_text(0xffff));
}

static void statuses_from_errno(void **state)
{
	static const int kept[] = { 0, EIO, ENOSPC, EDQUOT, EROFS, EINVAL, EOPNOTSUPP, ENOMEM,
				    EBUSY, ENOENT };

	(void)state;
	/* What a disk says reaches the application as it was said. */
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		assert_int_equal(wire_status_errno(wire_status_from_errno(kept[i])), kept[i]);
	assert_int_equal(wire_status_from_errno(EFBIG), WIRE_E_RANGE);
	assert_int_equal(wire_status_from_errno(EMFILE), WIRE_E_LIMIT);
	assert_int_equal(wire_status_from_errno(ENXIO), WIRE_E_IO);
	assert_int_equal(wire_status_from_errno(99999), WIRE_E_IO);
	assert_int_equal(wire_status_from_errno(-1), WIRE_E_IO);
}

static void records(void **state)
{
	static const uint8_t want[] = {
		1, 0, 2, 0, 0x34, 0x12,
		2, 0, 4, 0, 0x78, 0x56, 0x34, 0x12,
		3, 0x80, 8, 0, 8, 7, 6, 5, 4, 3, 2, 1,
		4, 0, 2, 0, 'a', 'b',
		5, 0, 0, 0,
	};
	struct wire_record r;
	struct wire_reader reader;
	struct wire_writer w;
	uint8_t b[64];

	(void)state;
	wire_writer_init(&w, b, sizeof b);
	wire_put_u16(&w, 1, 0x1234);
	wire_put_u32(&w, 2, 0x12345678);
	wire_put_u64(&w, 3 | WIRE_MANDATORY, 0x0102030405060708);
	wire_put_text(&w, 4, "ab");
	wire_put(&w, 5, NULL, 0);
	assert_false(w.overflow);
	assert_int_equal(wire_writer_used(&w, b), sizeof want);
	assert_memory_equal(b, want, sizeof want);

	wire_reader_init(&reader, b, sizeof want);
	for (uint16_t tag = 1; tag <= 5; tag++) {
		assert_int_equal(wire_next(&reader, &r), 1);
		assert_int_equal(r.tag, tag);
		assert_int_equal(r.mandatory, tag == 3);
		assert_true(r.data >= b && r.data + r.length <= b + sizeof want);
	}
	assert_int_equal(wire_next(&reader, &r), 0);
	assert_int_equal(wire_next(&reader, &r), 0);
	wire_reader_init(&reader, NULL, 0);
	assert_int_equal(wire_next(&reader, &r), 0);
	for (size_t cut = 1; cut < 6; cut++) {
		wire_reader_init(&reader, b, cut);
		assert_int_equal(wire_next(&reader, &r), -EPROTO);
	}
}

static void writer_never_passes_its_end(void **state)
{
	static const uint8_t data[70000];

	(void)state;
	for (size_t size = 0; size < 40; size++) {
		uint8_t *b = malloc(size + 1);
		struct wire_writer w;

		assert_non_null(b);
		b[size] = 0x77;
		wire_writer_init(&w, b, size);
		wire_put_u64(&w, 1, 1);
		wire_put_text(&w, 2, "fourteen chars");
		assert_int_equal(w.overflow, size < 12 + 18);
		assert_int_equal(wire_writer_used(&w, b), size < 12 ? 0 : size < 30 ? 12 : 30);
		wire_put_u16(&w, 3, 1);		/* small enough, but there would be a gap */
		assert_int_equal(wire_writer_used(&w, b),
				 size < 12 ? 0 : size < 30 ? 12 : size < 36 ? 30 : 36);
		assert_int_equal(b[size], 0x77);
		free(b);
	}
	for (size_t n = 65535; n <= 65536; n++) {
		uint8_t *b = malloc(80000);
		struct wire_writer w;

		assert_non_null(b);
		wire_writer_init(&w, b, 80000);
		wire_put(&w, 1, data, n);
		assert_int_equal(w.overflow, n > 65535);
		free(b);
	}
}

static void names(void **state)
{
	char name[WIRE_NAME_MAX + 2];

	(void)state;
	memset(name, 'n', sizeof name);
	assert_true(wire_name_ok(name, WIRE_NAME_MAX));
	assert_false(wire_name_ok(name, WIRE_NAME_MAX + 1));
	assert_false(wire_name_ok("", 0));
	assert_true(wire_name_ok("a.-_Z9", 6));
	assert_false(wire_name_ok(".a", 2));
	assert_false(wire_name_ok("-a", 2));
	assert_false(wire_name_ok("a/b", 3));
	assert_false(wire_name_ok("a\0b", 3));
	for (int c = 128; c < 256; c++) {
		name[1] = (char)c;
		assert_false(wire_name_ok(name, 3));
	}
}

static bool volume_name_ok(const char *name)
{
	return wire_volume_name_ok(name, strlen(name));
}

static void volume_names(void **state)
{
	char name[WIRE_VOLUME_NAME_MAX + 2] = "";

	(void)state;
	memset(name, 'n', WIRE_VOLUME_NAME_MAX);
	name[WIRE_NAME_MAX] = '@';
	assert_true(volume_name_ok(name));
	name[WIRE_VOLUME_NAME_MAX] = 'n';
	assert_false(volume_name_ok(name));
	assert_true(volume_name_ok("oracle"));
	assert_true(volume_name_ok("7"));
	assert_true(volume_name_ok("oracle@monday"));
	assert_true(volume_name_ok("oracle@2026-11-26"));
	assert_true(volume_name_ok("7@7a"));
	assert_false(volume_name_ok(""));
	assert_false(volume_name_ok("@monday"));
	assert_false(volume_name_ok("oracle@"));
	assert_false(volume_name_ok("oracle@0"));
	assert_false(volume_name_ok("oracle@12"));
	assert_false(volume_name_ok("oracle@.x"));
	assert_false(volume_name_ok("oracle@a@b"));
	assert_false(volume_name_ok("ora/cle@a"));
}

static void copies(void **state)
{
	static const uint8_t want[WIRE_COPY_SIZE] = { 4, 3, 2, 1, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11 };
	uint8_t b[WIRE_COPY_SIZE];
	uint64_t offset;
	uint32_t handle;

	(void)state;
	wire_put_copy(b, 0x01020304, 0x1112131415161718);
	assert_memory_equal(b, want, sizeof b);
	wire_get_copy(b, &handle, &offset);
	assert_true(handle == 0x01020304 && offset == 0x1112131415161718);
}

static void extents(void **state)
{
	static const uint8_t want[WIRE_EXTENT_SIZE] = { 8, 7, 6, 5, 4, 3, 2, 1, 1, 0, 0, 0 };
	uint8_t b[WIRE_EXTENT_SIZE];
	uint64_t length;
	uint32_t kind;

	(void)state;
	wire_put_extent(b, 0x0102030405060708, WIRE_EXTENT_HOLE);
	assert_memory_equal(b, want, sizeof b);
	wire_get_extent(b, &length, &kind);
	assert_int_equal(length, 0x0102030405060708);
	assert_int_equal(kind, WIRE_EXTENT_HOLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_bytes),
		cmocka_unit_test(reply_bytes),
		cmocka_unit_test(no_flipped_bit_passes),
		cmocka_unit_test(header_fields),
		cmocka_unit_test(checksum_only_with_its_flag),
		cmocka_unit_test(ranges),
		cmocka_unit_test(request_lengths),
		cmocka_unit_test(request_flags),
		cmocka_unit_test(reply_lengths),
		cmocka_unit_test(type_names),
		cmocka_unit_test(statuses),
		cmocka_unit_test(statuses_from_errno),
		cmocka_unit_test(records),
		cmocka_unit_test(writer_never_passes_its_end),
		cmocka_unit_test(names),
		cmocka_unit_test(volume_names),
		cmocka_unit_test(copies),
		cmocka_unit_test(extents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
