/* arena.c - see arena.h. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "arena.h"

#define MEMORY_LIMIT_MAX (2ull << 30)

void memory_init(struct memory *m)
{
	uint64_t limit = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4;

	atomic_init(&m->used, 0);
	atomic_init(&m->peak, 0);
	m->limit = limit < MEMORY_LIMIT_MAX ? limit : MEMORY_LIMIT_MAX;
}

static void memory_take(struct memory *m, size_t size)
{
	size_t used = atomic_fetch_add_explicit(&m->used, size, memory_order_relaxed) + size;

	if (used > atomic_load_explicit(&m->peak, memory_order_relaxed))
		atomic_store_explicit(&m->peak, used, memory_order_relaxed);
}

static void memory_give(struct memory *m, size_t size)
{
	atomic_fetch_sub_explicit(&m->used, size, memory_order_relaxed);
}

/* The size stands in front; a cache line is spent on it, so that data is aligned. */
struct buffer {
	size_t size;
	_Alignas(64) uint8_t data[];
};

void *buffer_new(struct memory *m, size_t size)
{
	struct buffer *b;
	size_t whole = (sizeof(*b) + size + 63) & ~(size_t)63;

	b = aligned_alloc(64, whole);
	if (!b)
		return NULL;
	b->size = whole;
	memory_take(m, whole);
	return b->data;
}

void buffer_free(struct memory *m, void *data)
{
	struct buffer *b;

	if (!data)
		return;
	b = (struct buffer *)((uint8_t *)data - offsetof(struct buffer, data));
	memory_give(m, b->size);
	free(b);
}

static struct chunk *chunk_new(struct arena *a)
{
	struct chunk *c = a->spare;

	if (c) {
		a->spare = c->next;
		a->spares--;
		if (a->spares < a->least_spares)
			a->least_spares = a->spares;
	} else {
		c = mmap(NULL, ARENA_CHUNK_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (c == MAP_FAILED)
			return NULL;
		memory_take(a->memory, ARENA_CHUNK_SIZE);
	}
	c->next = NULL;
	c->refs = 0;
	c->used = 0;
	return c;
}

static void chunk_free(struct arena *a, struct chunk *c)
{
	munmap(c, ARENA_CHUNK_SIZE);
	memory_give(a->memory, ARENA_CHUNK_SIZE);
}

static void chunk_put(struct arena *a, struct chunk *c)
{
	if (a->spares >= ARENA_SPARE_MAX) {
		chunk_free(a, c);
		return;
	}
	c->next = a->spare;
	a->spare = c;
	a->spares++;
}

void arena_init(struct arena *a, struct memory *m)
{
	*a = (struct arena){ .memory = m };
}

void arena_fini(struct arena *a)
{
	if (a->current && !a->current->refs)
		chunk_free(a, a->current);
	a->current = NULL;
	while (a->spare) {
		struct chunk *c = a->spare;

		a->spare = c->next;
		chunk_free(a, c);
	}
	a->spares = 0;
}

void arena_trim(struct arena *a)
{
	for (; a->least_spares && a->spare; a->least_spares--, a->spares--) {
		struct chunk *c = a->spare;

		a->spare = c->next;
		chunk_free(a, c);
	}
	a->least_spares = a->spares;
}

struct out *out_new(struct arena *a, uint32_t payload)
{
	uint32_t room = ARENA_CHUNK_SIZE - (uint32_t)offsetof(struct chunk, data);
	uint32_t size = ((uint32_t)sizeof(struct out) + payload + 63) & ~63u;
	struct chunk *c = a->current;
	struct out *o;

	if (!c || c->used + size > room) {
		/* The full one comes back when the last reply in it was sent. */
		if (c && !c->refs)
			chunk_put(a, c);
		c = a->current = chunk_new(a);
		if (!c)
			return NULL;
	}
	o = (struct out *)(c->data + c->used);
	c->used += size;
	c->refs++;
	o->chunk = c;
	return o;
}

struct out *out_new_slow(struct arena *a, uint32_t payload)
{
	struct out *o = buffer_new(a->memory, sizeof(*o) + payload);

	if (o)
		o->chunk = NULL;
	return o;
}

void out_free(struct arena *a, struct out *o)
{
	struct chunk *c = o->chunk;

	if (!c) {
		buffer_free(a->memory, o);
		return;
	}
	if (--c->refs)
		return;
	c->used = 0;
	if (c != a->current)
		chunk_put(a, c);
}
