/* handle.c - see handle.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "handle.h"
#include "server.h"

struct handle *handle_get(struct handle *h)
{
	atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
	return h;
}

void handle_put(struct handle *h)
{
	if (atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) != 1)
		return;
	numbers_close(h);
	volume_put(h->volume);
	free(h);
}

static void retired(struct retire *r)
{
	handle_put((struct handle *)r);
}

int handle_close(struct server *s, struct handle_table *t, uint32_t id)
{
	struct handle *h = handle_find(t, id);

	if (!h)
		return -EBADF;
	atomic_store(&h->closed, true);
	atomic_store(&atomic_load(&t->pages[id / HANDLE_PAGE])->at[id % HANDLE_PAGE], NULL);
	t->count--;
	atomic_fetch_sub(&h->volume->opens, 1);
	h->retire.done = retired;
	engine_retire(s, &h->retire);
	return 0;
}

int handle_open(struct server *s, struct handle_table *t, uint32_t id, struct volume *v,
		const char *node, bool read_only)
{
	struct handle_page *p = atomic_load(&t->pages[id / HANDLE_PAGE]);
	struct handle *h;

	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return -ENOMEM;
		atomic_store_explicit(&t->pages[id / HANDLE_PAGE], p, memory_order_release);
	}
	h = atomic_load(&p->at[id % HANDLE_PAGE]);
	if (h && h->volume == v && !atomic_load(&h->revoked))
		return h->read_only == read_only ? 0 : -EBUSY;
	if (h && !atomic_load(&h->revoked) && !atomic_load(&h->volume->gone))
		return -EBUSY;
	if (h)
		handle_close(s, t, id);
	h = calloc(1, sizeof(*h) + s->loop_count * sizeof(h->numbers[0]));
	if (!h)
		return -ENOMEM;
	atomic_init(&h->refs, 1);
	h->volume = volume_get(v);
	h->read_only = read_only;
	h->loops = s->loop_count;
	snprintf(h->node, sizeof(h->node), "%s", node);
	numbers_open(h);
	atomic_fetch_add(&v->opens, 1);
	t->count++;
	atomic_store_explicit(&p->at[id % HANDLE_PAGE], h, memory_order_release);
	return 0;
}

/* The next of them that is open for v, from *id on; NULL behind the last. */
static struct handle *next_of(struct handle_table *t, const struct volume *v, uint32_t *id)
{
	for (; *id <= WIRE_HANDLE_MAX; ++*id) {
		struct handle *h = handle_find(t, *id);

		if (!h && *id % HANDLE_PAGE == 0 && !atomic_load(&t->pages[*id / HANDLE_PAGE]))
			*id += HANDLE_PAGE - 1;
		else if (h && h->volume == v)
			return h;
	}
	return NULL;
}

bool handle_opened(struct handle_table *t, const struct volume *v)
{
	uint32_t id = 0;

	return next_of(t, v, &id) != NULL;
}

void handle_each(struct handle_table *t, void (*fn)(void *arg, struct handle *h), void *arg)
{
	for (uint32_t i = 0; i < (WIRE_HANDLE_MAX + 1) / HANDLE_PAGE; i++) {
		struct handle_page *p = atomic_load(&t->pages[i]);

		for (unsigned n = 0; p && n < HANDLE_PAGE; n++) {
			struct handle *h = atomic_load(&p->at[n]);

			if (h)
				fn(arg, h);
		}
	}
}

void handle_revoke(struct handle_table *t, const struct volume *v)
{
	struct handle *h;

	for (uint32_t id = 0; (h = next_of(t, v, &id)); id++)
		atomic_store(&h->revoked, true);
}

void handle_limit(struct handle_table *t, const struct volume *v, bool reads_only)
{
	struct handle *h;

	for (uint32_t id = 0; (h = next_of(t, v, &id)); id++)
		atomic_store(&h->reads_only, reads_only);
}

void handle_bar(struct handle_table *t, const struct volume *v, uint8_t reserved)
{
	struct handle *h;

	for (uint32_t id = 0; (h = next_of(t, v, &id)); id++)
		atomic_store(&h->reserved, reserved);
}

void handle_table_fini(struct handle_table *t)
{
	for (uint32_t i = 0; i < (WIRE_HANDLE_MAX + 1) / HANDLE_PAGE; i++) {
		struct handle_page *p = atomic_load(&t->pages[i]);

		for (unsigned n = 0; p && n < HANDLE_PAGE; n++) {
			struct handle *h = atomic_load(&p->at[n]);

			if (!h)
				continue;
			atomic_fetch_sub(&h->volume->opens, 1);
			handle_put(h);
		}
		free(p);
	}
}
