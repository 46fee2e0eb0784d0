/* numbers.c - see numbers.h. */
#include <stdlib.h>
#include <string.h>
#include "handle.h"
#include "numbers.h"
#include "registry.h"
#include "server.h"

/* A counter that one thread writes. */
static void count(_Atomic uint64_t *n, uint64_t more)
{
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + more, memory_order_relaxed);
}

static uint64_t get(_Atomic uint64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

/*
 * On a loop.  Without memory nothing is counted.
 */
static struct numbers_part *numbers_of(const struct engine *l, struct handle *h)
{
	struct numbers_part *n = atomic_load_explicit(&h->numbers[l->index], memory_order_relaxed);

	if (n)
		return n;
	n = calloc(1, sizeof(*n));
	atomic_store_explicit(&h->numbers[l->index], n, memory_order_release);
	return n;
}

static void add_time(struct numbers_part *n, bool write, uint64_t ns, uint64_t how_often)
{
	struct histogram *h = atomic_load_explicit(&n->latency[write], memory_order_relaxed);

	if (!h) {
		h = calloc(1, sizeof(*h));
		atomic_store_explicit(&n->latency[write], h, memory_order_release);
	}
	if (h)
		histogram_add(h, ns, how_often);
}

static void count_type(struct numbers_part *n, uint8_t type, uint32_t bytes)
{
	switch (type) {
	case WIRE_READ:
		count(&n->reads, 1);
		count(&n->read_bytes, bytes);
		break;
	case WIRE_WRITE:
		count(&n->writes, 1);
		count(&n->write_bytes, bytes);
		break;
	case WIRE_FLUSH:
		count(&n->flushes, 1);
		break;
	default:
		count(&n->others, 1);
	}
}

void numbers_settle(struct engine *l)
{
	struct at_once *o = &l->at_once;
	uint64_t took;

	if (!o->handle)
		return;
	took = clock_now() - o->came;
	for (int write = 0; write < 2; write++)
		if (o->count[write])
			add_time(o->numbers, write, took, o->count[write]);
	handle_put(o->handle);
	*o = (struct at_once){ .handle = NULL };
}

void numbers_at_once(struct engine *l, struct handle *h, uint8_t type, uint32_t bytes, uint64_t came)
{
	struct at_once *o = &l->at_once;
	struct numbers_part *n = numbers_of(l, h);

	if (!n)
		return;
	count_type(n, type, bytes);
	if (type != WIRE_READ && type != WIRE_WRITE)
		return;
	if (o->numbers != n || o->came != came) {
		numbers_settle(l);
		o->handle = handle_get(h);
		o->numbers = n;
		o->came = came;
	}
	o->count[type == WIRE_WRITE]++;
}

void numbers_later(struct engine *l, struct handle *h, uint8_t type, uint32_t bytes, uint64_t came, bool failed)
{
	struct numbers_part *n = numbers_of(l, h);

	if (!n)
		return;
	if (failed) {
		count(&n->failed, 1);
		return;
	}
	count_type(n, type, bytes);
	if (type == WIRE_READ || type == WIRE_WRITE)
		add_time(n, type == WIRE_WRITE, l->now - came, 1);
}

void numbers_failed(struct engine *l, struct handle *h)
{
	struct numbers_part *n = numbers_of(l, h);

	if (n)
		count(&n->failed, 1);
}

void numbers_queued(struct engine *l, struct handle *h)
{
	struct numbers_part *n = numbers_of(l, h);

	if (n)
		count(&n->begun, 1);
}

void numbers_back(struct engine *l, struct handle *h)
{
	struct numbers_part *n = atomic_load_explicit(&h->numbers[l->index], memory_order_relaxed);

	if (n)
		count(&n->ended, 1);
}

/*
 * Sums.  With volume_numbers.lock.
 */
static void add_numbers(struct numbers_sum *to, struct numbers_part *n)
{
	uint64_t ended = get(&n->ended), begun = get(&n->begun);

	to->reads += get(&n->reads);
	to->read_bytes += get(&n->read_bytes);
	to->writes += get(&n->writes);
	to->write_bytes += get(&n->write_bytes);
	to->flushes += get(&n->flushes);
	to->others += get(&n->others);
	to->failed += get(&n->failed);
	to->queue += begun > ended ? begun - ended : 0;
	for (int write = 0; write < 2; write++)
		histogram_merge(&to->latency[write], atomic_load_explicit(&n->latency[write], memory_order_acquire));
}

static void add_handle(struct numbers_sum *to, struct handle *h)
{
	for (unsigned i = 0; i < h->loops; i++) {
		struct numbers_part *n = atomic_load_explicit(&h->numbers[i], memory_order_acquire);

		if (n)
			add_numbers(to, n);
	}
	to->read_iops += h->of_late.reads;
	to->read_rate += h->of_late.read_bytes;
	to->write_iops += h->of_late.writes;
	to->write_rate += h->of_late.write_bytes;
}

static void add_past(struct numbers_sum *to, const struct numbers_sum *past)
{
	to->reads += past->reads;
	to->read_bytes += past->read_bytes;
	to->writes += past->writes;
	to->write_bytes += past->write_bytes;
	to->flushes += past->flushes;
	to->others += past->others;
	to->failed += past->failed;
	for (int write = 0; write < 2; write++)
		histogram_merge(&to->latency[write], &past->latency[write]);
}

void numbers_of_volume(struct volume *v, struct numbers_sum *to)
{
	pthread_mutex_lock(&v->numbers.lock);
	if (v->numbers.past)
		add_past(to, v->numbers.past);
	for (struct handle *h = v->numbers.handles; h; h = h->next_of_volume)
		add_handle(to, h);
	pthread_mutex_unlock(&v->numbers.lock);
}

void numbers_of_handle(struct handle *h, struct numbers_sum *to)
{
	pthread_mutex_lock(&h->volume->numbers.lock);
	add_handle(to, h);
	pthread_mutex_unlock(&h->volume->numbers.lock);
}

void numbers_of_node(struct volume *v, const char *node, struct numbers_sum *to)
{
	pthread_mutex_lock(&v->numbers.lock);
	for (struct handle *h = v->numbers.handles; h; h = h->next_of_volume)
		if (strcmp(h->node, node) == 0)
			add_handle(to, h);
	pthread_mutex_unlock(&v->numbers.lock);
}

static bool is_earlier(const struct handle *first, const struct handle *h)
{
	for (; first != h; first = first->next_of_volume)
		if (strcmp(first->node, h->node) == 0)
			return true;
	return false;
}

void numbers_nodes(struct volume *v, void (*fn)(void *arg, const char *node), void *arg)
{
	char (*nodes)[WIRE_NAME_MAX + 1];
	size_t n = 0, most = 0;

	pthread_mutex_lock(&v->numbers.lock);
	for (struct handle *h = v->numbers.handles; h; h = h->next_of_volume)
		most++;
	nodes = most ? malloc(most * sizeof(*nodes)) : NULL;
	for (struct handle *h = v->numbers.handles; nodes && h; h = h->next_of_volume)
		if (!is_earlier(v->numbers.handles, h))
			memcpy(nodes[n++], h->node, sizeof(*nodes));
	pthread_mutex_unlock(&v->numbers.lock);
	for (size_t i = 0; i < n; i++)
		fn(arg, nodes[i]);
	free(nodes);
}

/*
 * A handle's life.
 */
void numbers_init(struct volume_numbers *n)
{
	pthread_mutex_init(&n->lock, NULL);
}

void numbers_fini(struct volume_numbers *n)
{
	pthread_mutex_destroy(&n->lock);
	free(n->past);
}

void numbers_open(struct handle *h)
{
	struct volume_numbers *n = &h->volume->numbers;

	pthread_mutex_lock(&n->lock);
	h->next_of_volume = n->handles;
	n->handles = h;
	pthread_mutex_unlock(&n->lock);
}

static void free_numbers(struct handle *h)
{
	for (unsigned i = 0; i < h->loops; i++) {
		struct numbers_part *n = atomic_load(&h->numbers[i]);

		if (!n)
			continue;
		free(atomic_load(&n->latency[0]));
		free(atomic_load(&n->latency[1]));
		free(n);
	}
}

static bool was_used(struct handle *h)
{
	for (unsigned i = 0; i < h->loops; i++)
		if (atomic_load(&h->numbers[i]))
			return true;
	return false;
}

void numbers_close(struct handle *h)
{
	struct volume_numbers *n = &h->volume->numbers;
	struct handle **at = &n->handles;

	pthread_mutex_lock(&n->lock);
	while (*at != h)
		at = &(*at)->next_of_volume;
	*at = h->next_of_volume;
	if (!n->past && was_used(h))
		n->past = calloc(1, sizeof(*n->past));
	if (n->past)
		add_handle(n->past, h);
	pthread_mutex_unlock(&n->lock);
	free_numbers(h);
}

/*
 * Of late.
 */
static void look(struct handle *h, uint64_t now)
{
	double seconds = (double)(now - h->looked_at) / 1e9;
	struct traffic_seen seen = { 0, 0, 0, 0 }, before = h->looked;

	for (unsigned i = 0; i < h->loops; i++) {
		struct numbers_part *n = atomic_load_explicit(&h->numbers[i], memory_order_acquire);

		if (!n)
			continue;
		seen.reads += (double)get(&n->reads);
		seen.read_bytes += (double)get(&n->read_bytes);
		seen.writes += (double)get(&n->writes);
		seen.write_bytes += (double)get(&n->write_bytes);
	}
	if (h->looked_at && seconds > 0)
		h->of_late = (struct traffic_seen){
			.reads = (seen.reads - before.reads) / seconds,
			.read_bytes = (seen.read_bytes - before.read_bytes) / seconds,
			.writes = (seen.writes - before.writes) / seconds,
			.write_bytes = (seen.write_bytes - before.write_bytes) / seconds,
		};
	h->looked = seen;
	h->looked_at = now;
}

void numbers_look(struct server *s)
{
	uint64_t now = clock_now();
	struct volume *v;

	registry_lock(s->registry);
	for (size_t i = 0; (v = registry_at(s->registry, i)); i++) {
		if (!atomic_load_explicit(&v->opens, memory_order_relaxed))
			continue;
		pthread_mutex_lock(&v->numbers.lock);
		for (struct handle *h = v->numbers.handles; h; h = h->next_of_volume)
			look(h, now);
		pthread_mutex_unlock(&v->numbers.lock);
	}
	registry_unlock(s->registry);
}
