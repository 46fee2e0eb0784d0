/*
 * arena.h - memory for replies and payloads.
 *
 * Two kinds, because they live for different times.  A reply that is made on
 * the loop is usually sent before the next receive: these are cut one after the
 * other from a chunk of the loop's own, which starts anew when the last of them
 * was sent, so it stays in the cache and costs no malloc.  What waits for a
 * worker may wait for long, and would keep a whole chunk from being reused:
 * that gets a buffer of its own.
 *
 * Both are counted in struct memory, so that the server can stop reading from
 * busy connections before it has promised more memory than it may use.
 */
#ifndef RSSRV_ARENA_H
#define RSSRV_ARENA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire.h"

struct memory {
	_Atomic size_t used;		/* bytes in chunks and buffers now */
	_Atomic size_t peak;
	size_t limit;			/* busy connections are not read from beyond this */
};

void memory_init(struct memory *m);
static inline bool memory_tight(struct memory *m)
{
	return atomic_load_explicit(&m->used, memory_order_relaxed) > m->limit;
}

/* A buffer that outlives the receive it came with.  NULL: no memory. */
void *buffer_new(struct memory *m, size_t size);
void buffer_free(struct memory *m, void *data);		/* NULL is fine */

#define ARENA_CHUNK_SIZE ((1u << 20) + (64u << 10))
#define ARENA_SPARE_MAX 16

struct chunk {
	struct chunk *next;		/* in the list of spares */
	uint32_t refs, used;
	_Alignas(64) uint8_t data[];
};

struct arena {
	struct memory *memory;
	struct chunk *current;
	struct chunk *spare;
	unsigned spares, least_spares;	/* least since the last arena_trim */
};

/* A reply on its way: this struct, the header, the payload, in one piece, so
 * that it is one element of the gathered send.  The payload lies on a cache line
 * of its own. */
struct out {
	struct out *next;
	struct chunk *chunk;		/* NULL: a buffer of its own */
	uint32_t length;		/* of header and payload */
	uint32_t bytes;			/* counted in flight until it is sent */
	int16_t slot;			/* freed when it is sent; -1: none */
	_Alignas(32) uint8_t header[WIRE_REPLY_SIZE];
	uint8_t payload[];
};
_Static_assert(sizeof(struct out) == 64, "the payload begins on a cache line");

void arena_init(struct arena *a, struct memory *m);
void arena_fini(struct arena *a);
/* A reply with room for `payload` bytes (at most WIRE_CONTROL_MAX); NULL: no memory.
 * The caller fills length, bytes and slot. */
struct out *out_new(struct arena *a, uint32_t payload);
struct out *out_new_slow(struct arena *a, uint32_t payload);	/* with a buffer of its own */
void out_free(struct arena *a, struct out *o);
void arena_trim(struct arena *a);	/* once a second: gives back what was not needed */

#endif
