/*
 * frame.h - from a stream of bytes to frames: a state over bytes, without a
 * file descriptor, a clock or knowledge of what a frame means.
 *
 * One thread receives for many connections into one large scratch buffer of its
 * own, so a connection at rest holds no buffer.  What a receive brought is
 * handed out frame by frame, in place and without a copy.  Two things outlive a
 * receive, and only these are copied: a torn header, and what there is of a torn
 * payload.  That moves to memory of its own when it is short, to where it
 * belongs when it is long (ops->place), and its rest is received straight into
 * there.  Behind the rest of a long one only a little is received into scratch:
 * what follows a long payload is often another, and its bytes would be copied.
 *
 *	struct iovec iov[2];
 *	int n = frame_want(f, scratch, SIZE, iov);
 *	got = readv(fd, iov, n);
 *	r = frame_got(f, scratch, SIZE, got, ops, arg);
 */
#ifndef RSIO_FRAME_H
#define RSIO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define FRAME_SCRATCH_MIN (128u << 10)	/* scratch buffers are at least this large */
#define FRAME_KEEP_MAX (64u << 10)	/* longer torn payloads are placed */
#define FRAME_HEADER_MAX 64
#define FRAME_BEHIND 4096		/* bytes received into scratch behind a placed payload */

struct frame_ops {
	size_t header_size;
	/* A whole header has arrived: check it, say how long its payload is.  Called once a frame.
	 * 0, or a negative errno, which ends everything: frame_got returns it. */
	int (*header)(void *arg, const uint8_t *header, uint32_t *length);
	/* A torn payload of more than FRAME_KEEP_MAX bytes needs a place of `length` bytes that
	 * lives until payload() or until the connection is closed.  NULL: no memory, ends with -ENOMEM. */
	uint8_t *(*place)(void *arg, uint32_t length);
	/* The whole payload (NULL and 0 where there is none), in place in the scratch buffer
	 * (valid during this call) or where place() said.  0, or a negative errno, or
	 * FRAME_STOP: the frame was taken, but hand out no more from this receive
	 * (the rest is kept; frame_resume goes on, and until then nothing is received). */
	int (*payload)(void *arg, const uint8_t *payload, uint32_t length);
};
#define FRAME_STOP 1

struct frame {
	uint8_t header[FRAME_HEADER_MAX];	/* a torn one */
	size_t header_used;
	bool has_header;		/* header() was called, its payload is awaited */
	uint32_t length;		/* of that payload */
	uint8_t *body;			/* where that payload goes when it was torn; else NULL */
	uint32_t body_used;
	bool body_placed;		/* by place(); else ours */
	bool stopped;			/* since FRAME_STOP */
	uint8_t *kept;			/* received but not handed out because of it; else NULL */
	size_t kept_at, kept_used;
};

void frame_init(struct frame *f);
void frame_fini(struct frame *f);		/* frees what is kept; a placed buffer is its owner's */
/* Where the next receive goes: one or two pieces.  Returns how many; 0 between FRAME_STOP and
 * frame_resume. */
int frame_want(struct frame *f, uint8_t *scratch, size_t size, struct iovec iov[2]);
/* n bytes were received there: hands out whole frames.  0, FRAME_STOP, or the callbacks' -errno. */
int frame_got(struct frame *f, uint8_t *scratch, size_t size, size_t n,
	      const struct frame_ops *ops, void *arg);
/* After FRAME_STOP: hands out what was kept, without a receive; else does nothing.  Results as
 * frame_got's.  Payloads are in place in what was kept; scratch is left alone. */
int frame_resume(struct frame *f, uint8_t *scratch, size_t size,
		 const struct frame_ops *ops, void *arg);
/* Bytes of memory that f holds now, without itself and what was placed: at most
 * FRAME_KEEP_MAX + the size of scratch. */
size_t frame_memory(const struct frame *f);

#endif
