/*
 * buf.h - data buffers of a few sizes from a pool.
 *
 * The steady path allocates nothing: a buffer that was put back is handed out
 * again.  The pool is bounded, and a part of it exists and is touched from the
 * start, so that writing out works while the machine has no memory to give.
 * One thread owns a pool and all of its buffers.
 */
#ifndef RSIO_BUF_H
#define RSIO_BUF_H

#include <stddef.h>
#include <stdint.h>

/* Sizes: 4, 8, 16, 32, 64 KiB, and one for a whole write request of 1 MiB with
 * its headers. */
#define BUF_CLASSES 6
#define BUF_SMALL_MAX (64u << 10)
#define BUF_LARGE ((1u << 20) + 8192)

struct buf {
	struct buf *next;		/* in the free list */
	struct buf_pool *pool;
	uint32_t size;			/* of data: its class's */
	uint32_t class;
	_Alignas(64) uint8_t data[];
};

struct buf_counts {
	size_t used;			/* bytes handed out */
	size_t held;			/* bytes allocated: used and free */
	size_t limit;
	uint64_t refused;		/* times that the limit said no */
};

struct buf_pool;
/* At most limit bytes in all; up to keep bytes are kept when they are free. */
struct buf_pool *buf_pool_new(size_t limit, size_t keep);
/* All buffers must be back.  NULL is fine. */
void buf_pool_free(struct buf_pool *p);
/* Makes count buffers of size ready and touches their memory.  0 or -ENOMEM. */
int buf_pool_reserve(struct buf_pool *p, size_t size, unsigned count);
/* From now on nothing is allocated and nothing given back: what is held is all there is.
 * Where a size has none left, a larger one stands in. */
void buf_pool_fix(struct buf_pool *p);

/* A buffer of at least size (up to BUF_LARGE); NULL: the limit, or no memory. */
struct buf *buf_get(struct buf_pool *p, size_t size);
void buf_put(struct buf *b);		/* NULL is fine */
/* Whether buf_get for these bytes stays within the limit. */
int buf_room(const struct buf_pool *p, size_t size);
const struct buf_counts *buf_counts(const struct buf_pool *p);

#endif
