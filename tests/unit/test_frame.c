/* test_frame.c - the same bytes in any pieces are the same frames. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../seed.h"
#include "frame.h"

/* The frames of this test: u32 magic, u32 length, u64 number; every payload byte depends on the
 * frame's number and its own place. */
#define HEADER 16
#define MAGIC 0x12345678u
#define SCRATCH FRAME_SCRATCH_MIN
#define LENGTH_MAX (1u << 20)

struct peer {
	struct frame f;
	uint8_t *scratch;
	/* What was handed out. */
	uint64_t frames, headers;
	uint32_t length;		/* of the current frame */
	bool awaits_payload;
	/* Places. */
	uint8_t *placed;
	size_t places, placed_payloads;
	/* What to do. */
	uint64_t stop_every, fail_at;
	bool no_place;
	size_t most_memory;
};

static uint8_t byte_of(uint64_t frame, uint32_t at)
{
	return (uint8_t)(frame * 131 + at * 7 + (at >> 8) * 13 + (at >> 16));
}

static int on_header(void *arg, const uint8_t *header, uint32_t *length)
{
	struct peer *p = arg;
	uint32_t magic;
	uint64_t number;

	assert_false(p->awaits_payload);
	memcpy(&magic, header, 4);
	memcpy(length, header + 4, 4);
	memcpy(&number, header + 8, 8);
	if (magic != MAGIC)
		return -EPROTO;
	assert_int_equal(number, p->frames);
	assert_true(*length <= LENGTH_MAX);
	p->headers++;
	p->length = *length;
	p->awaits_payload = true;
	return 0;
}

static uint8_t *on_place(void *arg, uint32_t length)
{
	struct peer *p = arg;

	assert_true(p->awaits_payload);
	assert_null(p->placed);
	assert_int_equal(length, p->length);
	assert_true(length > FRAME_KEEP_MAX);
	if (p->no_place)
		return NULL;
	p->placed = malloc(length);	/* exactly: a checker sees what goes beyond */
	p->places++;
	return p->placed;
}

static int on_payload(void *arg, const uint8_t *payload, uint32_t length)
{
	struct peer *p = arg;

	assert_true(p->awaits_payload);
	assert_int_equal(length, p->length);
	assert_true((payload == NULL) == (length == 0));
	if (p->placed) {
		assert_ptr_equal(payload, p->placed);
		p->placed_payloads++;
	}
	for (uint32_t i = 0; i < length; i++)
		if (payload[i] != byte_of(p->frames, i))
			fail_msg("frame %llu: wrong byte at %u of %u",
				 (unsigned long long)p->frames, i, length);
	free(p->placed);
	p->placed = NULL;
	p->awaits_payload = false;
	p->frames++;
	if (p->fail_at && p->frames == p->fail_at)
		return -EIO;
	return p->stop_every && p->frames % p->stop_every == 0 ? FRAME_STOP : 0;
}

static const struct frame_ops ops = { HEADER, on_header, on_place, on_payload };

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* A stream of frames with the given lengths, in exactly as many bytes. */
static uint8_t *make_stream(const uint32_t *lengths, size_t count, size_t *size)
{
	uint8_t *stream, *at;

	*size = 0;
	for (size_t i = 0; i < count; i++)
		*size += HEADER + lengths[i];
	stream = at = malloc(*size);
	assert_non_null(stream);
	for (uint64_t i = 0; i < count; i++) {
		uint32_t magic = MAGIC;

		memcpy(at, &magic, 4);
		memcpy(at + 4, &lengths[i], 4);
		memcpy(at + 8, &i, 8);
		for (uint32_t k = 0; k < lengths[i]; k++)
			at[HEADER + k] = byte_of(i, k);
		at += HEADER + lengths[i];
	}
	return stream;
}

static void peer_init(struct peer *p)
{
	memset(p, 0, sizeof *p);
	frame_init(&p->f);
	p->scratch = malloc(SCRATCH);
	assert_non_null(p->scratch);
}

static void peer_fini(struct peer *p)
{
	frame_fini(&p->f);
	assert_int_equal(frame_memory(&p->f), 0);
	free(p->placed);
	free(p->scratch);
}

/* One receive of at most n of the bytes at `bytes`; *used: how many it was. */
static int receive(struct peer *p, const uint8_t *bytes, size_t n, size_t *used)
{
	struct iovec iov[2];
	int pieces = frame_want(&p->f, p->scratch, SCRATCH, iov), r;

	assert_in_range(pieces, 1, 2);
	*used = 0;
	/* Another connection was here in the meantime. */
	memset(p->scratch, 0xee, 2 * n + 64 < SCRATCH ? 2 * n + 64 : SCRATCH);
	for (int i = 0; i < pieces; i++) {
		size_t part = n - *used < iov[i].iov_len ? n - *used : iov[i].iov_len;

		assert_true(iov[i].iov_len > 0);
		memcpy(iov[i].iov_base, bytes + *used, part);
		*used += part;
	}
	assert_true(!n || *used);
	r = frame_got(&p->f, p->scratch, SCRATCH, *used, &ops, p);
	if (frame_memory(&p->f) > p->most_memory)
		p->most_memory = frame_memory(&p->f);
	return r;
}

/* FRAME_STOP in between: resumes until there is no more of it. */
static int resume_all(struct peer *p)
{
	struct iovec iov[2];
	int r;

	do {
		uint64_t before = p->frames;

		assert_int_equal(frame_want(&p->f, p->scratch, SCRATCH, iov), 0);
		r = frame_resume(&p->f, p->scratch, SCRATCH, &ops, p);
		assert_true(p->frames - before <= p->stop_every);
	} while (r == FRAME_STOP);
	return r;
}

/* Delivers the stream in pieces of 1..step bytes (step itself when it is 1). */
static void deliver(struct peer *p, const uint8_t *stream, size_t size, size_t step, uint64_t seed)
{
	for (size_t at = 0, used; at < size; at += used) {
		size_t n = step == 1 ? 1 : 1 + next_random(&seed) % step;
		int r = receive(p, stream + at, n < size - at ? n : size - at, &used);

		if (r == FRAME_STOP)
			r = resume_all(p);
		assert_int_equal(r, 0);
	}
}

static const uint32_t mixed[] = {
	0, 0, 1, 8192, 0, 65535, 65536, 65537, 15, 131072, 262144, 0, 4096, 300000, 5, 1 << 20,
	1 << 20, 0, 512, 131072 - HEADER, 131072 - HEADER + 1, 8192, 8192, 8192, 100, 1,
};
#define MIXED (sizeof mixed / sizeof mixed[0])

static void any_pieces(void **state)
{
	static const size_t steps[] = { 7, 17, 100, 5000, 70000, 140000, SCRATCH, 4 * SCRATCH };
	size_t size;
	uint8_t *stream = make_stream(mixed, MIXED, &size);

	(void)state;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
		for (uint64_t stop = 0; stop < (i > 1 ? 4 : 1); stop++) {
			struct peer p;

			peer_init(&p);
			p.stop_every = stop;
			deliver(&p, stream, size, steps[i], test_seed(i));
			assert_int_equal(p.frames, MIXED);
			assert_int_equal(p.headers, MIXED);
			assert_int_equal(p.places, p.placed_payloads);
			assert_int_equal(frame_memory(&p.f), 0);
			assert_true(p.most_memory <= FRAME_KEEP_MAX + SCRATCH);
			peer_fini(&p);
		}
	free(stream);
}

static void byte_by_byte(void **state)
{
	static const uint32_t lengths[] = { 0, 1, 15, 16, 17, 0, 700, FRAME_KEEP_MAX,
					    FRAME_KEEP_MAX + 1, 0 };
	size_t count = sizeof lengths / sizeof lengths[0], size;
	uint8_t *stream = make_stream(lengths, count, &size);
	struct peer p;

	(void)state;
	peer_init(&p);
	for (size_t at = 0, used; at < size; at += used) {
		struct iovec iov[2];
		int pieces = frame_want(&p.f, p.scratch, SCRATCH, iov);

		assert_in_range(pieces, 1, 2);
		*(uint8_t *)iov[0].iov_base = stream[at];
		used = 1;
		assert_int_equal(frame_got(&p.f, p.scratch, SCRATCH, 1, &ops, &p), 0);
	}
	assert_int_equal(p.frames, count);
	assert_int_equal(p.places, 1);
	peer_fini(&p);
	free(stream);
}

/* Every way to cut a short stream in two, each with a stop at every frame or without. */
static void every_cut(void **state)
{
	static const uint32_t lengths[] = { 3, 0, 40, 0, 1 };
	size_t size, used;
	uint8_t *stream = make_stream(lengths, 5, &size);

	(void)state;
	for (size_t cut = 0; cut <= size; cut++)
		for (uint64_t stop = 0; stop < 3; stop++) {
			struct peer p;
			int r;

			peer_init(&p);
			p.stop_every = stop;
			r = receive(&p, stream, cut, &used);
			assert_int_equal(used, cut);
			assert_int_equal(r == FRAME_STOP ? resume_all(&p) : r, 0);
			r = receive(&p, stream + cut, size - cut, &used);
			assert_int_equal(r == FRAME_STOP ? resume_all(&p) : r, 0);
			assert_int_equal(p.frames, 5);
			peer_fini(&p);
		}
	free(stream);
}

static void whole_frames_are_not_copied(void **state)
{
	static const uint32_t lengths[] = { 8192, 0, 100000, 17 };
	size_t size, used;
	uint8_t *stream = make_stream(lengths, 4, &size);
	struct peer p;

	(void)state;
	peer_init(&p);
	assert_int_equal(receive(&p, stream, size, &used), 0);
	assert_int_equal(used, size);
	assert_int_equal(p.frames, 4);
	assert_int_equal(p.places, 0);
	assert_int_equal(p.most_memory, 0);
	peer_fini(&p);
	free(stream);
}

/* A long payload's rest is received where it belongs, and little behind it. */
static void long_payloads_are_received_in_place(void **state)
{
	static const uint32_t lengths[] = { 1 << 20, 1 << 20 };
	size_t size, used;
	uint8_t *stream = make_stream(lengths, 2, &size);
	struct iovec iov[2];
	struct peer p;

	(void)state;
	peer_init(&p);
	assert_int_equal(frame_want(&p.f, p.scratch, SCRATCH, iov), 1);
	assert_int_equal(iov[0].iov_len, SCRATCH);
	assert_ptr_equal(iov[0].iov_base, p.scratch);
	assert_int_equal(receive(&p, stream, HEADER + 100, &used), 0);
	assert_int_equal(frame_want(&p.f, p.scratch, SCRATCH, iov), 2);
	assert_ptr_equal(iov[0].iov_base, p.placed + 100);
	assert_int_equal(iov[0].iov_len, (1 << 20) - 100);
	assert_ptr_equal(iov[1].iov_base, p.scratch);
	assert_int_equal(iov[1].iov_len, FRAME_BEHIND);
	assert_int_equal(frame_memory(&p.f), 0);
	assert_int_equal(receive(&p, stream + HEADER + 100, size - HEADER - 100, &used), 0);
	assert_int_equal(used, (1 << 20) - 100 + FRAME_BEHIND);
	assert_int_equal(p.frames, 1);
	assert_int_equal(p.places, 2);
	assert_int_equal(frame_want(&p.f, p.scratch, SCRATCH, iov), 2);
	assert_ptr_equal(iov[0].iov_base, p.placed + FRAME_BEHIND - HEADER);
	peer_fini(&p);
	free(stream);
}

/* A header alone costs nothing when its payload is short, and asks for its place when it is long. */
static void header_alone(void **state)
{
	static const uint32_t lengths[] = { FRAME_KEEP_MAX }, longer[] = { FRAME_KEEP_MAX + 1 };
	size_t size, used;
	uint8_t *stream = make_stream(lengths, 1, &size);
	struct peer p;

	(void)state;
	peer_init(&p);
	assert_int_equal(receive(&p, stream, HEADER, &used), 0);
	assert_int_equal(p.headers, 1);
	assert_int_equal(frame_memory(&p.f), 0);
	assert_int_equal(receive(&p, stream + HEADER, 1, &used), 0);
	assert_int_equal(frame_memory(&p.f), FRAME_KEEP_MAX);
	assert_int_equal(receive(&p, stream + HEADER + 1, size - HEADER - 1, &used), 0);
	assert_int_equal(p.frames, 1);
	assert_int_equal(p.places, 0);
	assert_int_equal(frame_memory(&p.f), 0);
	peer_fini(&p);
	free(stream);

	stream = make_stream(longer, 1, &size);
	peer_init(&p);
	assert_int_equal(receive(&p, stream, HEADER, &used), 0);
	assert_int_equal(p.places, 1);
	peer_fini(&p);
	free(stream);
}

static void errors_end_it(void **state)
{
	static const uint32_t lengths[] = { 8, 100000, 0 };
	size_t size, used;
	uint8_t *stream = make_stream(lengths, 3, &size);
	struct peer p;

	(void)state;
	peer_init(&p);			/* the header's */
	stream[HEADER + 8] ^= 1;
	assert_int_equal(receive(&p, stream, size, &used), -EPROTO);
	assert_int_equal(p.frames, 1);
	peer_fini(&p);
	stream[HEADER + 8] ^= 1;

	peer_init(&p);			/* the payload's, in place */
	p.fail_at = 2;
	assert_int_equal(receive(&p, stream, size, &used), -EIO);
	assert_int_equal(p.frames, 2);
	peer_fini(&p);

	peer_init(&p);			/* the payload's, placed */
	p.fail_at = 2;
	assert_int_equal(receive(&p, stream, 200, &used), 0);
	assert_int_equal(receive(&p, stream + 200, size - 200, &used), -EIO);
	peer_fini(&p);

	peer_init(&p);			/* the payload's, torn and short */
	p.fail_at = 1;
	assert_int_equal(receive(&p, stream, HEADER + 3, &used), 0);
	assert_int_equal(receive(&p, stream + HEADER + 3, 50, &used), -EIO);
	peer_fini(&p);

	peer_init(&p);			/* no place */
	p.no_place = true;
	assert_int_equal(receive(&p, stream, 200, &used), -ENOMEM);
	peer_fini(&p);
	free(stream);
}

static void stop_with_nothing_left(void **state)
{
	static const uint32_t lengths[] = { 8, 9 };
	size_t size, used;
	uint8_t *stream = make_stream(lengths, 2, &size);
	struct iovec iov[2];
	struct peer p;

	(void)state;
	peer_init(&p);
	p.stop_every = 1;
	assert_int_equal(frame_resume(&p.f, p.scratch, SCRATCH, &ops, &p), 0);
	assert_int_equal(receive(&p, stream, HEADER + 8, &used), FRAME_STOP);
	assert_int_equal(frame_memory(&p.f), 0);
	assert_int_equal(frame_want(&p.f, p.scratch, SCRATCH, iov), 0);
	assert_int_equal(frame_resume(&p.f, p.scratch, SCRATCH, &ops, &p), 0);
	assert_int_equal(receive(&p, stream + HEADER + 8, HEADER + 9, &used), FRAME_STOP);
	peer_fini(&p);
	free(stream);
}

/* Ends in the middle of everything leave nothing behind (a leak checker sees it). */
static void any_end(void **state)
{
	static const uint32_t lengths[] = { 3, 2000, 70000 };
	size_t size, used;
	uint8_t *stream = make_stream(lengths, 3, &size);

	(void)state;
	for (size_t end = 0; end < size; end += end < 2100 ? 1 : 997) {
		struct peer p;

		peer_init(&p);
		p.stop_every = end % 3;
		(void)receive(&p, stream, end, &used);
		peer_fini(&p);
	}
	free(stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_pieces),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(every_cut),
		cmocka_unit_test(whole_frames_are_not_copied),
		cmocka_unit_test(long_payloads_are_received_in_place),
		cmocka_unit_test(header_alone),
		cmocka_unit_test(errors_end_it),
		cmocka_unit_test(stop_with_nothing_left),
		cmocka_unit_test(any_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
