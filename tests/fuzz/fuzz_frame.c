/*
 * fuzz_frame.c - a stream of frames that arrives in pieces of any size comes
 * out as the frames that went in, in order, whatever stops in between.
 *
 * The input is a list of frames (length, whether the receiver stops behind it)
 * and the sizes of the receives.  The stream is made from it: a header says how
 * long its payload is, and a payload's bytes follow from the frame's number.
 */
#include <errno.h>
#include <string.h>
#include "frame.h"
#include "fuzz.h"

#define FRAMES_MAX 32
#define HEADER 16
#define LENGTH_MAX (160u << 10)		/* longer than what is placed */
#define STREAM_MAX (1u << 20)

static struct {
	uint8_t stream[STREAM_MAX];
	size_t size;
	struct { uint32_t length; bool stop; } frames[FRAMES_MAX];
	unsigned count, headers, payloads;	/* made; seen by the callbacks */
	unsigned refuse_at;			/* header that is refused */
	bool placed;
} test;

static uint8_t scratch[FRAME_SCRATCH_MIN];
static uint8_t pattern[LENGTH_MAX + 256];
static uint8_t room[LENGTH_MAX];	/* malloc would ask the system for each */

static int on_header(void *arg, const uint8_t *header, uint32_t *length)
{
	unsigned i = test.headers++;

	fuzz_check(arg == &test && i < test.count && i == test.payloads);
	for (int k = 4; k < HEADER; k++)
		fuzz_check(header[k] == (uint8_t)(i + 1));
	memcpy(length, header, sizeof(*length));
	fuzz_check(*length == test.frames[i].length);
	return i == test.refuse_at ? -EPROTO : 0;
}

static uint8_t *on_place(void *arg, uint32_t length)
{
	fuzz_check(arg == &test && length > FRAME_KEEP_MAX && !test.placed);
	test.placed = true;
	/* What is written behind it is behind room. */
	return room + LENGTH_MAX - length;
}

static int on_payload(void *arg, const uint8_t *payload, uint32_t length)
{
	unsigned i = test.payloads++;

	fuzz_check(arg == &test && test.payloads == test.headers);
	fuzz_check(length == test.frames[i].length && !length == !payload);
	fuzz_check(!test.placed || payload == room + LENGTH_MAX - length);
	fuzz_check(!length || memcmp(payload, pattern + i, length) == 0);
	test.placed = false;
	return test.frames[i].stop ? FRAME_STOP : 0;
}

static const struct frame_ops ops = {
	.header_size = HEADER, .header = on_header, .place = on_place, .payload = on_payload,
};

static void make_stream(struct fuzz_in *in)
{
	unsigned count = fuzz_u8(in) % FRAMES_MAX;

	test.refuse_at = fuzz_u8(in);
	while (test.count < count) {
		unsigned i = test.count, what = fuzz_u8(in);
		/* Most of them short, a few up to the largest. */
		uint32_t length = what % 8 < 6 ? fuzz_u8(in) : what % 8 < 7 ? fuzz_u16(in) / 8u :
				  fuzz_u16(in) * 5u / 2;
		uint8_t *p = test.stream + test.size;

		if (length > LENGTH_MAX || test.size + HEADER + length > STREAM_MAX)
			return;
		test.frames[i].length = length;
		test.frames[i].stop = what & 8;
		memcpy(p, &length, sizeof(length));
		memset(p + 4, (int)i + 1, HEADER - 4);
		memcpy(p + HEADER, pattern + i, length);
		test.size += HEADER + length;
		test.count++;
	}
}

/* As readv would: n bytes of the stream to where they are wanted. */
static size_t receive(struct frame *f, size_t at, size_t n)
{
	struct iovec iov[2];
	int pieces = frame_want(f, scratch, sizeof(scratch), iov);
	size_t done = 0;

	fuzz_check(pieces == 1 || pieces == 2);
	for (int i = 0; i < pieces && done < n; i++) {
		size_t part = iov[i].iov_len < n - done ? iov[i].iov_len : n - done;

		memcpy(iov[i].iov_base, test.stream + at + done, part);
		done += part;
	}
	return done;
}

static void play(struct fuzz_in *in, struct frame *f)
{
	struct iovec iov[2];
	size_t at = 0;
	int r = 0;

	while (at < test.size && r >= 0) {
		size_t n = fuzz_left(in) ? fuzz_u16(in) * 4u + fuzz_u8(in) % 4 : test.size;

		if (!n)
			n = 1;
		if (n > test.size - at)
			n = test.size - at;
		n = receive(f, at, n);
		at += n;
		r = frame_got(f, scratch, sizeof(scratch), n, &ops, &test);
		fuzz_check(frame_memory(f) <= FRAME_KEEP_MAX + sizeof(scratch));
		while (r == FRAME_STOP) {
			fuzz_check(frame_want(f, scratch, sizeof(scratch), iov) == 0);
			r = frame_resume(f, scratch, sizeof(scratch), &ops, &test);
		}
	}
	if (test.refuse_at < test.count)
		fuzz_check(r == -EPROTO && test.headers == test.refuse_at + 1);
	else
		fuzz_check(r == 0 && test.payloads == test.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, data + size };
	struct frame f;

	if (!pattern[1])
		for (size_t i = 0; i < sizeof(pattern); i++)
			pattern[i] = (uint8_t)((i * 2654435761u >> 13) + 1);
	test.size = 0;
	test.count = test.headers = test.payloads = 0;
	make_stream(&in);
	frame_init(&f);
	play(&in, &f);
	frame_fini(&f);
	test.placed = false;
	return 0;
}
