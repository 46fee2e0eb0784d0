/*
 * frame.c - from a stream of bytes to frames.
 *
 * Between two receives a stream stands in one of four places: before a header;
 * inside of one (header_used > 0); before a short payload of which nothing has
 * come (has_header, no body: nothing is allocated, most likely it comes whole);
 * inside of a payload, or before a long one (body).  All but the last receive
 * into the start of scratch.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "frame.h"

void frame_init(struct frame *f)
{
	memset(f, 0, sizeof *f);
}

static void drop_body(struct frame *f)
{
	if (!f->body_placed)
		free(f->body);
	f->body = NULL;
}

static void drop_kept(struct frame *f)
{
	free(f->kept);
	f->kept = NULL;
}

void frame_fini(struct frame *f)
{
	drop_body(f);
	drop_kept(f);
	frame_init(f);
}

size_t frame_memory(const struct frame *f)
{
	return (f->body && !f->body_placed ? f->length : 0) + (f->kept ? f->kept_used : 0);
}

int frame_want(struct frame *f, uint8_t *scratch, size_t size, struct iovec iov[2])
{
	if (f->stopped)
		return 0;
	if (!f->body) {
		iov[0] = (struct iovec){ scratch, size };
		return 1;
	}
	if (f->body_placed && size > FRAME_BEHIND)
		size = FRAME_BEHIND;
	iov[0] = (struct iovec){ f->body + f->body_used, f->length - f->body_used };
	iov[1] = (struct iovec){ scratch, size };
	return 2;
}

/* Moves *p and *n over a header, which may be torn.  1: header() was called; 0: not all of it is
 * here, the rest of the bytes was taken. */
static int take_header(struct frame *f, const uint8_t **p, size_t *n,
		       const struct frame_ops *ops, void *arg)
{
	const uint8_t *header = *p;
	size_t part = ops->header_size - f->header_used;
	int r;

	if (part > *n)
		part = *n;
	if (part < ops->header_size) {
		memcpy(f->header + f->header_used, *p, part);
		header = f->header;
	}
	f->header_used += part;
	*p += part;
	*n -= part;
	if (f->header_used < ops->header_size)
		return 0;
	f->header_used = 0;
	r = ops->header(arg, header, &f->length);
	assert(r <= 0);
	if (r)
		return r;
	f->has_header = true;
	return 1;
}

/* The n bytes at p are all there is so far of the awaited payload. */
static int begin_body(struct frame *f, const uint8_t *p, size_t n,
		      const struct frame_ops *ops, void *arg)
{
	f->body_placed = f->length > FRAME_KEEP_MAX;
	if (!n && !f->body_placed)
		return 0;
	f->body = f->body_placed ? ops->place(arg, f->length) : malloc(f->length);
	if (!f->body)
		return -ENOMEM;
	memcpy(f->body, p, n);
	f->body_used = (uint32_t)n;
	return 0;
}

/* Hands out frames from *p on, until it is used up or a callback says otherwise.  On FRAME_STOP
 * *p and *n are what is left; else all was taken. */
static int drain(struct frame *f, const uint8_t **p, size_t *n,
		 const struct frame_ops *ops, void *arg)
{
	const uint8_t *payload;
	int r;

	for (;;) {
		if (!f->has_header) {
			r = *n ? take_header(f, p, n, ops, arg) : 0;
			if (r <= 0)
				return r;
		}
		if (*n < f->length)
			return begin_body(f, *p, *n, ops, arg);
		payload = f->length ? *p : NULL;
		*p += f->length;
		*n -= f->length;
		f->has_header = false;
		r = ops->payload(arg, payload, f->length);
		if (r)
			return r;
	}
}

/* n more bytes of the awaited payload have come into its body.  Hands it out when it is whole. */
static int fill_body(struct frame *f, size_t n, const struct frame_ops *ops, void *arg)
{
	int r;

	f->body_used += (uint32_t)n;
	if (f->body_used < f->length)
		return 0;
	f->has_header = false;
	r = ops->payload(arg, f->body, f->length);
	drop_body(f);
	return r;
}

static int keep(struct frame *f, const uint8_t *p, size_t n)
{
	f->stopped = true;
	if (!n)
		return FRAME_STOP;
	f->kept = malloc(n);
	if (!f->kept)
		return -ENOMEM;
	memcpy(f->kept, p, n);
	f->kept_at = 0;
	f->kept_used = n;
	return FRAME_STOP;
}

int frame_got(struct frame *f, uint8_t *scratch, size_t size, size_t n,
	      const struct frame_ops *ops, void *arg)
{
	const uint8_t *p = scratch;
	int r = 0;

	assert(!f->stopped && ops->header_size && ops->header_size <= FRAME_HEADER_MAX);
	if (f->body) {
		size_t missing = f->length - f->body_used, part = n < missing ? n : missing;

		r = fill_body(f, part, ops, arg);
		n -= part;
	}
	assert(n <= size);
	if (!r && n)
		r = drain(f, &p, &n, ops, arg);
	return r == FRAME_STOP ? keep(f, p, n) : r;
}

int frame_resume(struct frame *f, uint8_t *scratch, size_t size,
		 const struct frame_ops *ops, void *arg)
{
	const uint8_t *p;
	size_t n;
	int r = 0;

	(void)scratch;
	(void)size;
	f->stopped = false;
	if (!f->kept)
		return 0;
	p = f->kept + f->kept_at;
	n = f->kept_used - f->kept_at;
	r = drain(f, &p, &n, ops, arg);
	if (r == FRAME_STOP) {
		f->stopped = true;
		f->kept_at = f->kept_used - n;
	}
	if (r != FRAME_STOP || !n)
		drop_kept(f);
	return r;
}
