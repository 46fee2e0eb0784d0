#include <errno.h>
#include <stdlib.h>
#include "inflight.h"
#include "wire.h"

#define FIRST_SIZE 32u

void inflight_init(struct inflight *f, uint32_t limit)
{
	*f = (struct inflight){ .limit = limit < WIRE_IN_FLIGHT_MAX ? limit : WIRE_IN_FLIGHT_MAX };
}

void inflight_fini(struct inflight *f)
{
	free(f->slots);
	inflight_init(f, f->limit);
}

static int grow(struct inflight *f)
{
	uint32_t size = f->size ? 2 * f->size : FIRST_SIZE;
	struct inflight_slot *slots;

	if (size > f->limit)
		size = f->limit;
	if (size <= f->size)
		return -EBUSY;
	slots = realloc(f->slots, size * sizeof *slots);
	if (!slots)
		return -ENOMEM;
	f->slots = slots;
	for (uint32_t i = f->size; i < size; i++)
		slots[i] = (struct inflight_slot){ .next_free = i + 1 };
	f->free = f->size;
	f->size = size;
	return 0;
}

int inflight_add(struct inflight *f, struct command *c, uint64_t *cookie)
{
	struct inflight_slot *s;
	int r;

	if (f->free == f->size) {
		r = grow(f);
		if (r < 0)
			return r;
	}
	s = &f->slots[f->free];
	*cookie = s->cookie = (++f->sequence << WIRE_SLOT_BITS) | f->free;
	f->free = s->next_free;
	s->command = c;
	f->used++;
	return 0;
}

struct command *inflight_find(const struct inflight *f, uint64_t cookie)
{
	uint32_t i = WIRE_SLOT(cookie);

	if (i >= f->size || !f->slots[i].command || f->slots[i].cookie != cookie)
		return NULL;
	return f->slots[i].command;
}

static struct command *release(struct inflight *f, uint32_t i)
{
	struct command *c = f->slots[i].command;

	f->slots[i].command = NULL;
	f->slots[i].next_free = f->free;
	f->free = i;
	f->used--;
	return c;
}

struct command *inflight_take(struct inflight *f, uint64_t cookie)
{
	return inflight_find(f, cookie) ? release(f, WIRE_SLOT(cookie)) : NULL;
}

struct command *inflight_take_any(struct inflight *f)
{
	uint32_t oldest = f->size;

	if (!f->used)
		return NULL;
	for (uint32_t i = 0; i < f->size; i++)
		if (f->slots[i].command &&
		    (oldest == f->size || f->slots[i].cookie < f->slots[oldest].cookie))
			oldest = i;
	return release(f, oldest);
}
