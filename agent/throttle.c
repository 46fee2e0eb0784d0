/* throttle.c - see throttle.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "conn.h"
#include "handle.h"
#include "serve.h"
#include "server.h"
#include "throttle_impl.h"

/* A command that waits. */
struct waiting {
	struct waiting *next;
	struct conn *conn;
	struct handle *handle;		/* a reference */
	struct wire_request request;
	uint64_t came;
	uint8_t *payload;		/* a buffer of its own, or NULL */
};

/* One client's. */
struct lane {
	struct lane *next;
	const struct client *client;
	struct limit *own;		/* NULL: it has none of its own */
	struct waiting *first, **end;
};

/* All that waits on a loop for one volume: there is something in it. */
struct throttle_queue {
	struct throttle_queue *next;
	struct volume *volume;		/* kept by what waits */
	struct lane *lanes;		/* the first is next */
	unsigned changes;		/* as the lanes know it */
	bool has_turn;			/* at `turn`, for so many bytes */
	uint64_t turn;
	uint32_t turn_bytes;
};

static struct limit *limit_of(struct throttle *t, const char *node)
{
	struct own *o = throttle_own(t, node);

	return o && limit_is_set(&o->limit) ? &o->limit : NULL;
}

static uint64_t own_wait(const struct lane *k, uint64_t now)
{
	return k->own ? limit_wait(k->own, now) : 0;
}

/* Bytes that count. */
static uint32_t bytes_of(const struct wire_request *r)
{
	return r->type == WIRE_READ || r->type == WIRE_WRITE || r->type == WIRE_COPY ? r->count : 0;
}

/*
 * In.
 */
static struct throttle_queue *find_queue(const struct engine *l, const struct volume *v)
{
	struct throttle_queue *q = l->throttled;

	while (q && q->volume != v)
		q = q->next;
	return q;
}

static struct lane *find_lane(const struct throttle_queue *q, const struct client *client)
{
	struct lane *k = q ? q->lanes : NULL;

	while (k && k->client != client)
		k = k->next;
	return k;
}

static void append_lane(struct throttle_queue *q, struct lane *k)
{
	struct lane **at = &q->lanes;

	while (*at)
		at = &(*at)->next;
	k->next = NULL;
	*at = k;
}

static struct throttle_queue *add_queue(struct engine *l, struct volume *v)
{
	struct throttle_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->volume = v;
	q->changes = atomic_load(&throttle_of(v)->changes);
	q->next = l->throttled;
	l->throttled = q;
	return q;
}

static uint32_t served(struct throttle *t, const struct lane *k)
{
	return atomic_load_explicit(&t->served[k->client->index], memory_order_relaxed);
}

static struct lane *add_lane(struct throttle_queue *q, const struct client *client)
{
	struct throttle *t = throttle_of(q->volume);
	uint32_t last = atomic_load_explicit(&t->served_last, memory_order_relaxed);
	struct lane *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->client = client;
	if ((int32_t)(last - served(t, k)) > 1)
		atomic_store_explicit(&t->served[client->index], last - 1, memory_order_relaxed);
	k->own = limit_of(t, client->node);
	k->end = &k->first;
	append_lane(q, k);
	return k;
}

static void drop_queue(struct engine *l, struct throttle_queue *q)
{
	struct throttle_queue **at = &l->throttled;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	free(q);
}

static int keep_payload(struct conn *c, struct waiting *w, const uint8_t *payload)
{
	if (!c->request.length)
		return 0;
	if (c->placed) {
		w->payload = c->placed;
		c->placed = NULL;
		return 0;
	}
	w->payload = buffer_new(&c->loop->server->memory, c->request.length);
	if (!w->payload)
		return -ENOMEM;
	memcpy(w->payload, payload, c->request.length);
	return 0;
}

static struct waiting *waiting_new(struct conn *c, struct handle *h, const uint8_t *payload)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (!w || keep_payload(c, w, payload) < 0) {
		free(w);
		return NULL;
	}
	w->conn = c;
	w->handle = handle_get(h);
	w->request = c->request;
	w->came = c->came;
	return w;
}

static void waiting_free(struct waiting *w)
{
	buffer_free(&w->conn->loop->server->memory, w->payload);
	handle_put(w->handle);
	free(w);
}

static int wait_in_line(struct conn *c, struct handle *h, const uint8_t *payload)
{
	struct throttle_queue *q = find_queue(c->loop, h->volume);
	struct lane *k = find_lane(q, c->client);
	struct waiting *w = waiting_new(c, h, payload);

	if (!w)
		return -ENOMEM;
	if (!q)
		q = add_queue(c->loop, h->volume);
	if (q && !k)
		k = add_lane(q, c->client);
	if (!k) {
		if (q && !q->lanes)
			drop_queue(c->loop, q);
		waiting_free(w);
		return -ENOMEM;
	}
	*k->end = w;
	k->end = &w->next;
	c->throttled++;
	atomic_fetch_add_explicit(&throttle_of(h->volume)->waiting, 1, memory_order_relaxed);
	return 1;
}

int throttle_command(struct conn *c, struct handle *h, const uint8_t *payload)
{
	struct throttle *t = throttle_of(h->volume);
	struct limit *own = limit_of(t, c->client->node);
	const struct throttle_queue *q = find_queue(c->loop, h->volume);
	uint64_t now = c->loop->now;
	uint32_t bytes = bytes_of(&c->request);

	if (c->request.type == WIRE_FLUSH || c->request.type == WIRE_STATUS)
		return 0;
	if (q && (q->has_turn || find_lane(q, c->client)))
		return wait_in_line(c, h, payload);
	if (limit_wait(&t->all, now) || (own && limit_wait(own, now)))
		return wait_in_line(c, h, payload);
	limit_use(&t->all, now, bytes);
	if (own)
		limit_use(own, now, bytes);
	return 0;
}

/*
 * Out.
 */
static struct waiting *take_first(struct lane *k)
{
	struct waiting *w = k->first;

	k->first = w->next;
	if (!k->first)
		k->end = &k->first;
	return w;
}

static void unlink_lane(struct throttle_queue *q, struct lane *k)
{
	struct lane **at = &q->lanes;

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
}

static void let_go(struct throttle_queue *q, struct lane *k)
{
	struct waiting *w = take_first(k);

	unlink_lane(q, k);
	if (k->first)
		append_lane(q, k);	/* the others have their turn before */
	else
		free(k);
	atomic_fetch_sub_explicit(&throttle_of(q->volume)->waiting, 1, memory_order_relaxed);
	w->conn->throttled--;
	serve_later(w->conn, w->handle, &w->request, w->came, w->payload);
	w->payload = NULL;
	waiting_free(w);
}

/* Its limits are others now. */
static void look_anew(struct throttle_queue *q, struct throttle *t)
{
	unsigned changes = atomic_load(&t->changes);

	if (q->changes == changes)
		return;
	q->changes = changes;
	q->has_turn = false;
	for (struct lane *k = q->lanes; k; k = k->next)
		k->own = limit_of(t, k->client->node);
}

/* Counts a command of it.  One that its own limit held back has no claim on what it missed. */
static void serve_lane(struct throttle *t, const struct lane *k)
{
	uint32_t n = served(t, k) + 1, last = atomic_load_explicit(&t->served_last, memory_order_relaxed);

	if ((int32_t)(last - n) > 0)
		n = last;
	atomic_store_explicit(&t->served[k->client->index], n, memory_order_relaxed);
	atomic_store_explicit(&t->served_last, n, memory_order_relaxed);
}

/* Of those which their own limit lets, the lane that was served least; or NULL and how long until
 * there is one. */
static struct lane *next_lane(const struct throttle_queue *q, struct throttle *t, uint64_t now, uint64_t *wait)
{
	struct lane *best = NULL;

	*wait = UINT64_MAX;
	for (struct lane *k = q->lanes; k; k = k->next) {
		uint64_t own = own_wait(k, now);

		if (!own && (!best || (int32_t)(served(t, k) - served(t, best)) < 0))
			best = k;
		if (own < *wait)
			*wait = own;
	}
	return best;
}

/* 0: the turn is the first command's of k; else how long it is until then. */
static uint64_t wait_for_turn(struct throttle_queue *q, struct throttle *t, const struct lane *k, uint64_t now)
{
	uint32_t bytes = bytes_of(&k->first->request);

	if (!q->has_turn) {
		q->turn = limit_use(&t->all, now, bytes);
		q->turn_bytes = bytes;
		q->has_turn = true;
	}
	if (q->turn > now)
		return q->turn - now;
	if (q->turn_bytes != bytes) {
		/* Asked for when another was first. */
		limit_return(&t->all, q->turn_bytes);
		limit_use(&t->all, now, bytes);
	}
	q->has_turn = false;
	return 0;
}

static void settle_queue(struct engine *l, struct throttle_queue *q)
{
	struct throttle *t = throttle_of(q->volume);
	struct lane *k;
	uint64_t wait;

	look_anew(q, t);
	while (q->lanes) {
		k = next_lane(q, t, l->now, &wait);
		if (k)
			wait = wait_for_turn(q, t, k, l->now);
		if (wait) {
			engine_look_at(l, l->now + wait);
			return;
		}
		if (k->own)
			limit_use(k->own, l->now, bytes_of(&k->first->request));
		serve_lane(t, k);
		let_go(q, k);
	}
}

static void drop_turn(struct throttle_queue *q)
{
	struct throttle *t = throttle_of(q->volume);

	if (q->has_turn && q->changes == atomic_load(&t->changes))
		limit_return(&t->all, q->turn_bytes);
	q->has_turn = false;
}

void throttle_settle(struct engine *l)
{
	struct throttle_queue *q, *next;

	for (q = l->throttled; q; q = next) {
		struct volume *v = q->volume;

		next = q->next;
		volume_get(v);		/* the last command's may have been the last reference */
		settle_queue(l, q);
		if (!q->lanes)
			drop_queue(l, q);
		volume_put(v);
	}
}

static void forget_in(struct lane *k, struct conn *c, struct waiting **gone)
{
	struct waiting **at = &k->first;

	while (*at) {
		struct waiting *w = *at;

		if (w->conn != c) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->next = *gone;
		*gone = w;
	}
	k->end = at;
}

static void forget_in_queue(struct throttle_queue *q, struct conn *c, struct waiting **gone)
{
	struct lane *k, *next;

	for (k = q->lanes; k; k = next) {
		next = k->next;
		if (k->client != c->client)
			continue;
		forget_in(k, c, gone);
		if (k->first)
			continue;
		unlink_lane(q, k);
		free(k);
	}
}

void throttle_forget(struct conn *c)
{
	struct throttle_queue *q, *next;
	struct waiting *gone = NULL;

	for (q = c->throttled ? c->loop->throttled : NULL; q; q = next) {
		next = q->next;
		forget_in_queue(q, c, &gone);
		if (q->lanes)
			continue;
		drop_turn(q);
		drop_queue(c->loop, q);
	}
	while (gone) {
		struct waiting *w = gone;

		gone = w->next;
		atomic_fetch_sub_explicit(&throttle_of(w->handle->volume)->waiting, 1, memory_order_relaxed);
		waiting_free(w);
	}
	c->throttled = 0;
}
