/*
 * fuzz_wire.c - headers and bodies as a peer sends them.
 *
 * The first byte says what the rest is.  Headers get a right checksum first,
 * else nothing would come past it.  What is understood is written again and
 * must be understood as the same.
 */
#include <stdlib.h>
#include <string.h>
#include <endian.h>
#include "crc.h"
#include "fuzz.h"
#include "wire.h"

static const char *why;

static void put_sum(uint8_t *header, size_t at)
{
	uint32_t sum = htole32(crc32c(0, header, at));

	memcpy(header + at, &sum, sizeof(sum));
}

static void try_request(struct fuzz_in *in)
{
	uint8_t b[WIRE_REQUEST_SIZE] = { 0 }, again[WIRE_REQUEST_SIZE];
	struct wire_request r;
	size_t n;
	const uint8_t *from = fuzz_bytes(in, sizeof(b), &n);

	memcpy(b, from, n);
	wire_get_request(b, &r, &why);
	put_sum(b, 36);
	if (wire_get_request(b, &r, &why))
		return;
	wire_put_request(again, &r);
	fuzz_check(memcmp(b, again, sizeof(b)) == 0);
	if (wire_check_request(&r, &why))
		return;
	fuzz_check(r.length <= WIRE_CONTROL_MAX && r.handle <= WIRE_HANDLE_MAX);
	if (r.type == WIRE_READ || r.type == WIRE_WRITE)
		fuzz_check(r.count && r.count <= WIRE_DATA_MAX && r.offset + r.count <= INT64_MAX);
}

static void try_reply(struct fuzz_in *in)
{
	uint8_t b[WIRE_REPLY_SIZE] = { 0 }, again[WIRE_REPLY_SIZE];
	struct wire_reply r;
	size_t n;
	const uint8_t *from = fuzz_bytes(in, sizeof(b), &n);

	memcpy(b, from, n);
	wire_get_reply(b, &r, &why);
	put_sum(b, 28);
	if (wire_get_reply(b, &r, &why))
		return;
	wire_put_reply(again, &r);
	fuzz_check(memcmp(b, again, sizeof(b)) == 0);
	if (!wire_check_reply(&r, &why))
		fuzz_check(r.length <= WIRE_CONTROL_MAX);
	fuzz_check(wire_status_errno(r.status) >= 0 && wire_status_name(r.status)[0]);
	fuzz_check(wire_status_text(r.status)[0] && wire_type_name(r.type)[0]);
}

static bool limits_ok(const struct wire_limits *l)
{
	struct wire_limits mine = { WIRE_DATA_MAX, WIRE_IN_FLIGHT_MAX, WIRE_SESSION_BYTES_MAX };
	struct wire_limits m = wire_merge_limits(mine, *l);

	return m.data >= 512 && m.data <= WIRE_DATA_MAX && m.data <= m.session_bytes &&
	       m.in_flight >= 1 && m.in_flight <= WIRE_IN_FLIGHT_MAX &&
	       m.session_bytes <= WIRE_SESSION_BYTES_MAX;
}

static void try_hello(const uint8_t *p, size_t n, uint8_t *buf)
{
	struct wire_hello h, again;

	if (wire_get_hello(p, n, &h, &why))
		return;
	fuzz_check(limits_ok(&h.limits));
	/* What is not known cannot be said again. */
	h.unknown_tag = 0;
	memset(h.features.unknown, 0, sizeof(h.features.unknown));
	n = wire_put_hello(buf, &h);
	fuzz_check(wire_get_hello(buf, n, &again, &why) == 0 && memcmp(&h, &again, sizeof(h)) == 0);
}

static void try_welcome(const uint8_t *p, size_t n, uint8_t *buf)
{
	struct wire_welcome h, again;

	if (wire_get_welcome(p, n, &h, &why))
		return;
	fuzz_check(limits_ok(&h.limits));
	memset(h.features.unknown, 0, sizeof(h.features.unknown));
	n = wire_put_welcome(buf, &h);
	fuzz_check(wire_get_welcome(buf, n, &again, &why) == 0 &&
		   memcmp(&h, &again, sizeof(h)) == 0);
}

static void try_auth(const uint8_t *p, size_t n, uint8_t *buf)
{
	struct wire_auth a, again;

	if (wire_get_auth(p, n, &a, &why))
		return;
	n = wire_put_auth(buf, &a);
	fuzz_check(wire_get_auth(buf, n, &again, &why) == 0 && memcmp(&a, &again, sizeof(a)) == 0);
}

static void try_granted(const uint8_t *p, size_t n, uint8_t *buf)
{
	struct wire_granted g, again;

	if (wire_get_granted(p, n, &g, &why))
		return;
	n = wire_put_granted(buf, &g);
	fuzz_check(wire_get_granted(buf, n, &again, &why) == 0 &&
		   memcmp(&g, &again, sizeof(g)) == 0);
}

static void try_open(const uint8_t *p, size_t n, uint8_t *buf)
{
	struct wire_open o, again;

	if (wire_get_open(p, n, &o, &why))
		return;
	n = wire_put_open(buf, &o);
	fuzz_check(n <= WIRE_OPEN_MAX);
	fuzz_check(wire_get_open(buf, n, &again, &why) == 0 && memcmp(&o, &again, sizeof(o)) == 0);
}

static void try_fence(const uint8_t *p, size_t n, uint8_t *buf, bool reply)
{
	static struct wire_fence f, again;

	if (wire_get_fence(p, n, &f, reply, &why))
		return;
	fuzz_check(f.count <= WIRE_IN_FLIGHT_MAX);
	n = wire_put_fence(buf, &f, reply);
	fuzz_check(n <= WIRE_FENCE_MAX && wire_get_fence(buf, n, &again, reply, &why) == 0);
	fuzz_check(f.connection == again.connection && f.count == again.count);
	fuzz_check(memcmp(f.cookies, again.cookies, f.count * sizeof(f.cookies[0])) == 0);
	fuzz_check(memcmp(f.statuses, again.statuses, f.count * sizeof(f.statuses[0])) == 0);
}

static void try_event(const uint8_t *p, size_t n, uint8_t *buf)
{
	struct wire_event_body e, again;

	if (wire_get_event(p, n, &e, &why))
		return;
	fuzz_check(!e.has_volume || wire_volume_name_ok(e.volume.name, strlen(e.volume.name)));
	n = wire_put_event(buf, WIRE_LOGIN_MAX, &e);
	fuzz_check(wire_get_event(buf, n, &again, &why) == 0 && memcmp(&e, &again, sizeof(e)) == 0);
}

/* LIST's reply, as session_own.c reads it. */
static void try_list(const uint8_t *p, size_t n, uint8_t *buf)
{
	struct wire_volume v, again;
	struct wire_reader reader;
	struct wire_record r;
	struct wire_writer w;

	wire_reader_init(&reader, p, n);
	while (wire_next(&reader, &r) > 0) {
		fuzz_check(r.data >= p && r.data + r.length <= p + n);
		if (wire_get_volume(&r, &v))
			continue;
		wire_writer_init(&w, buf, WIRE_VOLUME_MAX);
		wire_put_volume(&w, &v);
		fuzz_check(!w.overflow);
		wire_reader_init(&reader, buf, wire_writer_used(&w, buf));
		fuzz_check(wire_next(&reader, &r) == 1 && wire_get_volume(&r, &again) == 0);
		fuzz_check(memcmp(&v, &again, sizeof(v)) == 0);
		return;
	}
}

static void try_text(const uint8_t *p, size_t n, uint8_t *buf)
{
	char text[WIRE_TEXT_MAX + 1], again[WIRE_TEXT_MAX + 1];

	wire_get_text_body(p, n, text);
	fuzz_check(fuzz_clean(text));
	n = wire_put_text_body(buf, WIRE_LOGIN_MAX, text);
	wire_get_text_body(buf, n, again);
	fuzz_check(strcmp(text, again) == 0);
}

static void try_body(unsigned what, const uint8_t *p, size_t n)
{
	uint8_t buf[WIRE_FENCE_MAX];

	switch (what) {
	case 0: try_hello(p, n, buf); break;
	case 1: try_welcome(p, n, buf); break;
	case 2: try_auth(p, n, buf); break;
	case 3: try_granted(p, n, buf); break;
	case 4: try_open(p, n, buf); break;
	case 5: try_fence(p, n, buf, false); break;
	case 6: try_fence(p, n, buf, true); break;
	case 7: try_event(p, n, buf); break;
	case 8: try_list(p, n, buf); break;
	case 9: try_text(p, n, buf); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, data + size };
	unsigned what = fuzz_u8(&in) % 12;

	if (what == 10)
		try_request(&in);
	else if (what == 11)
		try_reply(&in);
	else
		try_body(what, in.at, fuzz_left(&in));
	return 0;
}
