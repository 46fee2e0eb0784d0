/* buf.c - see buf.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "buf.h"

static const uint32_t sizes[BUF_CLASSES] = {
	4u << 10, 8u << 10, 16u << 10, 32u << 10, BUF_SMALL_MAX, BUF_LARGE,
};

struct buf_pool {
	struct buf *free[BUF_CLASSES];
	size_t keep;
	bool fixed;
	struct buf_counts counts;
};

static int class_of(size_t size)
{
	for (int i = 0; i < BUF_CLASSES; i++)
		if (size <= sizes[i])
			return i;
	return -1;
}

struct buf_pool *buf_pool_new(size_t limit, size_t keep)
{
	struct buf_pool *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->counts.limit = limit;
	p->keep = keep;
	return p;
}

/* Gives memory back to the system until what is held fits. */
static void shed(struct buf_pool *p, size_t most)
{
	for (int i = BUF_CLASSES - 1; i >= 0; i--) {
		while (p->free[i] && p->counts.held > most) {
			struct buf *b = p->free[i];

			p->free[i] = b->next;
			p->counts.held -= b->size;
			free(b);
		}
	}
}

void buf_pool_free(struct buf_pool *p)
{
	if (!p)
		return;
	shed(p, 0);
	free(p);
}

static struct buf *make(struct buf_pool *p, int class)
{
	struct buf *b = aligned_alloc(64, sizeof *b + sizes[class]);

	if (!b)
		return NULL;
	b->pool = p;
	b->class = (uint32_t)class;
	b->size = sizes[class];
	p->counts.held += b->size;
	return b;
}

int buf_pool_reserve(struct buf_pool *p, size_t size, unsigned count)
{
	int class = class_of(size);

	while (count--) {
		struct buf *b = make(p, class);

		if (!b)
			return -ENOMEM;
		memset(b->data, 0, b->size);
		b->next = p->free[class];
		p->free[class] = b;
	}
	return 0;
}

void buf_pool_fix(struct buf_pool *p)
{
	p->fixed = true;
}

/* The least class of which there is a free one, or BUF_CLASSES. */
static int free_class(const struct buf_pool *p, int class)
{
	while (class < BUF_CLASSES && !p->free[class])
		class++;
	return class;
}

int buf_room(const struct buf_pool *p, size_t size)
{
	int class = class_of(size);

	if (p->fixed && class >= 0)
		class = free_class(p, class);
	return class < BUF_CLASSES && class >= 0 && p->counts.used + sizes[class] <= p->counts.limit;
}

struct buf *buf_get(struct buf_pool *p, size_t size)
{
	int class = class_of(size);
	struct buf *b;

	if (!buf_room(p, size)) {
		p->counts.refused++;
		return NULL;
	}
	if (p->fixed)
		class = free_class(p, class);
	b = p->free[class];
	if (b) {
		p->free[class] = b->next;
	} else {
		/* Free buffers of other sizes count: they make room first. */
		if (p->counts.held + sizes[class] > p->counts.limit)
			shed(p, p->counts.limit - sizes[class]);
		b = make(p, class);
		if (!b)
			return NULL;
	}
	p->counts.used += b->size;
	return b;
}

void buf_put(struct buf *b)
{
	struct buf_pool *p;

	if (!b)
		return;
	p = b->pool;
	p->counts.used -= b->size;
	if (p->counts.held > p->keep && !p->fixed) {
		p->counts.held -= b->size;
		free(b);
		return;
	}
	b->next = p->free[b->class];
	p->free[b->class] = b;
}

const struct buf_counts *buf_counts(const struct buf_pool *p)
{
	return &p->counts;
}
