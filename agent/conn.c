/* conn.c - see conn.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "crc.h"
#include "listen.h"
#include "log.h"
#include "serve.h"
#include "server.h"
#include "strangers.h"
#include "throttle.h"
#include "turns.h"

#define RECEIVES_MAX 4		/* in a row, then the loop's other connections have a turn */

static int fail(struct conn *c, enum log_level level, const char *text)
{
	static char no_memory[] = "";

	if (c->failed)
		return -EPROTO;
	c->failed_level = level;
	c->failed = strdup(text);
	if (!c->failed)
		c->failed = no_memory;
	return -EPROTO;
}

int conn_fail(struct conn *c, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return fail(c, LOG_LEVEL_WARNING, text);
}

int conn_lost(struct conn *c, const char *why)
{
	return fail(c, LOG_LEVEL_INFO, why);
}

const char *conn_part(const struct conn *c, bool transmit, char buf[CONN_PART_MAX])
{
	if (c->client)
		snprintf(buf, CONN_PART_MAX, "%u-%s-%s%u", c->client->index, c->portal,
			 transmit ? "tx" : "rx", c->number);
	else
		snprintf(buf, CONN_PART_MAX, "login-%s", c->portal);
	return buf;
}

struct conn *conn_find(struct engine *l, const struct client *client, uint32_t number)
{
	struct conn *c;

	for (c = l->conns; c; c = c->next)
		if (c->client == client && c->number == number && !c->finished)
			return c;
	return NULL;
}

/*
 * The end.
 */
void conn_release(struct conn *c)
{
	if (!c->finished || c->holds)
		return;
	c->next_gone = c->loop->gone;
	c->loop->gone = c;
	c->holds++;		/* not twice */
}

static void uncount_login(struct conn *c)
{
	if (c->counted)
		listen_login_over(c->loop->server->listeners, c->host);
	c->counted = false;
}

/* Closed, and nothing of it executes any more. */
static void finish(struct conn *c)
{
	if (c->finished || c->executing || c->state != CONN_DEAD)
		return;
	c->finished = true;
	if (c->client)
		client_conn_finished(c->loop->server->clients, c);
	fence_finished(c);
	conn_release(c);
}

/* The session's other connections may use what a dead one had in flight: its client
 * counts that no longer, and what a disk still holds up is a few jobs. */
static void give_bytes_back(struct conn *c)
{
	if (c->client)
		atomic_fetch_sub(&c->client->bytes, c->bytes_counted);
	c->bytes_counted = 0;
}

static void drop_out(struct conn *c)
{
	while (c->out) {
		struct out *o = c->out;

		c->out = o->next;
		out_free(&c->loop->arena, o);
	}
	c->out_end = &c->out;
	c->out_bytes = 0;
}

void conn_close(struct conn *c, enum log_level level, const char *fmt, ...)
{
	char part[CONN_PART_MAX], text[200];
	va_list ap;

	if (c->state == CONN_DEAD)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (c->client)
		log_line(level, conn_part(c, false, part), "connection of %s %s ended: %s",
			 c->client->node, c->peer, text);
	else
		login_log(c, level, "connection of %s ended: %s", c->peer, text);
	if (c->state == CONN_JOINING && client_login_cancel(c->loop->server->clients, c))
		c->holds--;
	c->state = CONN_DEAD;
	atomic_store(&c->closed, true);
	engine_remove(c->loop, &c->source);
	close(c->source.fd);
	c->source.fd = -1;
	drop_out(c);
	give_bytes_back(c);
	frame_fini(&c->frame);
	buffer_free(&c->loop->server->memory, c->placed);
	c->placed = NULL;
	login_free(c);
	conn_tls_free(c);
	uncount_login(c);
	strangers_forget(c);
	throttle_forget(c);
	turn_forget(c);
	if (c->executing)
		workers_cancel(c->loop->server->workers, c);
	finish(c);
}

static void free_gone(struct engine *l)
{
	while (l->gone) {
		struct conn *c = l->gone;

		l->gone = c->next_gone;
		*(c->prev ? &c->prev->next : &l->conns) = c->next;
		if (c->next)
			c->next->prev = c->prev;
		atomic_fetch_sub(&l->conn_count, 1);
		done_fini(&c->done);
		if (c->client)
			client_put(c->client);
		if (c->failed && *c->failed)
			free(c->failed);
		free(c);
	}
}

static void leave(struct conn *c)
{
	c->state = CONN_LEAVING;
	c->deadline = c->loop->now + CONN_LEAVE_TIME;
}

void conn_leave(struct conn *c)
{
	if (c->state < CONN_LEAVING)
		leave(c);
}

/*
 * Backpressure: a client that asks for more than it takes is not read from until
 * it took it; and while the whole server is short of memory, neither is one that
 * has more in flight than its share of it.  So one that fills the memory, because
 * its disk hangs, waits, and those that ask for little go on.
 */
static bool has_its_share(const struct conn *c)
{
	struct server *s = c->loop->server;
	unsigned clients = atomic_load_explicit(&s->client_count, memory_order_relaxed);

	return c->in_flight && atomic_load_explicit(&c->client->bytes, memory_order_relaxed) >
				       (int64_t)(s->memory.limit / 2 / (clients ? clients : 1));
}

static bool too_much(const struct conn *c, size_t bound)
{
	return c->out_bytes > bound || (memory_tight(&c->loop->server->memory) && has_its_share(c));
}

/*
 * Bytes in.
 */
static int check_time(struct conn *c)
{
	const struct wire_request *r = &c->request;
	bool login = r->type == WIRE_HELLO || r->type == WIRE_AUTH;

	if (c->state == CONN_UP) {
		if (login)
			return conn_fail(c, "a second %s", wire_type_name(r->type));
		if ((r->type == WIRE_READ || r->type == WIRE_WRITE) && r->count > c->limits.data)
			return conn_fail(c, "a %s of %u bytes; %u were agreed", wire_type_name(r->type),
					 r->count, c->limits.data);
		return 0;
	}
	if (r->type != (c->state == CONN_HELLO ? WIRE_HELLO : WIRE_AUTH))
		return conn_fail(c, "a %s before the login", wire_type_name(r->type));
	return 0;
}

static int on_header(void *arg, const uint8_t *header, uint32_t *length)
{
	struct conn *c = arg;
	const char *why;

	/* The one field that later versions keep: who speaks another one is told so. */
	if (c->state == CONN_HELLO && header[0] == WIRE_MAGIC && header[1] != WIRE_VERSION) {
		conn_refuse(c, WIRE_HELLO, 0, WIRE_E_VERSION, "this server speaks version 1 of the protocol only");
		login_log(c, LOG_LEVEL_WARNING, "%s: a hello of protocol version %u", c->peer, header[1]);
		leave(c);
		return -EPROTO;
	}
	if (wire_get_request(header, &c->request, &why) || wire_check_request(&c->request, &why))
		return conn_fail(c, "%s", why);
	if (check_time(c))
		return -EPROTO;
	if (c->state != CONN_UP)
		login_header(c, header);
	*length = c->request.length;
	return 0;
}

static uint8_t *on_place(void *arg, uint32_t length)
{
	struct conn *c = arg;

	c->placed = buffer_new(&c->loop->server->memory, length);
	return c->placed;
}

static bool checksum_ok(const struct conn *c, const uint8_t *payload, uint32_t length)
{
	return !(c->request.flags & WIRE_FLAG_CRC) ||
	       crc32c(0, payload, length) == c->request.payload_crc;
}

/* A command is in flight from here on until its reply has left. */
static int begin(struct conn *c)
{
	const struct wire_request *r = &c->request;
	uint32_t slot = WIRE_SLOT(r->cookie);

	COUNT(c->traffic.commands, 1);
	if (r->type == WIRE_PING || r->type == WIRE_BYE)
		return 0;
	if (c->slots[slot / 64] & 1ull << (slot % 64))
		return conn_fail(c, "two commands in flight in slot %u", slot);
	if (c->in_flight >= c->limits.in_flight)
		return conn_fail(c, "more than %u commands in flight", c->limits.in_flight);
	c->slots[slot / 64] |= 1ull << (slot % 64);
	c->in_flight++;
	if (c->fenced_count)
		fence_answer_arrived(c, slot);
	return 0;
}

static int take_frame(struct conn *c, const uint8_t *payload, uint32_t length)
{
	char part[CONN_PART_MAX];

	if (c->state == CONN_UP && begin(c))
		return -EPROTO;
	if (!checksum_ok(c, payload, length)) {
		log_warning(conn_part(c, false, part), "a %s from %s arrived damaged (%u bytes)",
			    wire_type_name(c->request.type), c->peer, length);
		conn_refuse(c, c->request.type, c->request.cookie, WIRE_E_CHECKSUM,
			    "the payload's checksum is wrong");
		leave(c);
		return FRAME_STOP;
	}
	return c->state == CONN_UP ? serve_frame(c, payload, length) : login_frame(c, payload, length);
}

/* Bytes that its answer has. */
static uint32_t asked(const struct conn *c)
{
	return c->request.type == WIRE_READ ? c->request.count : 0;
}

static int on_payload(void *arg, const uint8_t *payload, uint32_t length)
{
	struct conn *c = arg;
	int r = take_frame(c, payload, length);

	buffer_free(&c->loop->server->memory, c->placed);
	c->placed = NULL;
	if (r)
		return r;
	if (c->out_bytes > CONN_SEND_AT)
		conn_send(c);
	if (c->failed)
		return -EPROTO;
	if (c->state != CONN_UP)
		return 0;
	if (too_much(c, CONN_OUT_HIGH))
		return FRAME_STOP;
	if (turn_goes_on(&c->left, length + asked(c)))
		return 0;
	turn_wait(c);
	return FRAME_STOP;
}

static const struct frame_ops ops = {
	.header_size = WIRE_REQUEST_SIZE,
	.header = on_header,
	.place = on_place,
	.payload = on_payload,
};

/* What frame_got or frame_resume returned. */
static void after_frames(struct conn *c, int r)
{
	if (r == -ENOMEM)
		conn_fail(c, "no memory for a payload");
	if (r == FRAME_STOP)
		c->stopped = true;
}

static bool reads(const struct conn *c)
{
	return c->state < CONN_LEAVING && !c->stopped;
}

static void receive_some(struct conn *c)
{
	struct engine *l = c->loop;
	struct iovec iov[2];
	bool more = true;

	for (int i = 0; i < RECEIVES_MAX && more && reads(c) && !c->failed; i++) {
		int pieces = frame_want(&c->frame, l->scratch, LOOP_SCRATCH, iov);
		size_t n;
		int r = conn_receive(c, iov, pieces, &n, &more);

		if (r == -EINTR)
			continue;
		if (r == -EAGAIN || r == -EPROTO)
			return;
		if (r <= 0) {
			conn_lost(c, r ? strerror(-r) : "closed by the client");
			return;
		}
		c->heard = l->now;
		if (n)
			after_frames(c, frame_got(&c->frame, l->scratch, LOOP_SCRATCH, n, &ops, c));
		conn_send(c);
	}
}

static void receive(struct conn *c)
{
	if (!turn_begin(c))
		return;
	receive_some(c);
	turn_over(c);
}

/* Everything was said; what still comes is thrown away, so that closing with
 * unread bytes does not reset the connection before our last words have arrived. */
static void drain(struct conn *c)
{
	ssize_t n = recv(c->source.fd, c->loop->scratch, LOOP_SCRATCH, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		conn_close(c, LOG_LEVEL_DEBUG, "done");
}

static void go_on_reading(struct conn *c)
{
	while (c->stopped && c->state == CONN_UP && !c->failed && !too_much(c, CONN_OUT_LOW) && turn_begin(c)) {
		c->stopped = false;
		after_frames(c, frame_resume(&c->frame, c->loop->scratch, LOOP_SCRATCH, &ops, c));
		turn_over(c);
		conn_send(c);
	}
}

static void watch(struct conn *c)
{
	bool in = !c->waits && (reads(c) || c->state == CONN_DRAINING || (c->yields && c->state < CONN_LEAVING));
	uint32_t events = (in ? EPOLLIN : 0) | (conn_sends(c) ? EPOLLOUT : 0);

	if (events == c->events)
		return;
	c->events = events;
	if (engine_modify(c->loop, &c->source, events) < 0)
		conn_close(c, LOG_LEVEL_ERROR, "cannot watch its socket: %s", strerror(errno));
}

static void count_bytes(struct conn *c)
{
	int64_t delta = c->bytes - c->bytes_counted, now;

	atomic_store_explicit(&c->in_flight_seen, c->in_flight, memory_order_relaxed);
	if (!c->client || !delta)
		return;
	now = atomic_fetch_add_explicit(&c->client->bytes, delta, memory_order_relaxed) + delta;
	c->bytes_counted = c->bytes;
	if (now > (int64_t)c->limits.session_bytes && delta > 0)
		conn_fail(c, "its session has %lld bytes in flight; %u were agreed", (long long)now,
			  c->limits.session_bytes);
}

/* BYE is answered when all before it is; then, as after a refusal, the
 * connection closes when everything was sent. */
static void go_on_leaving(struct conn *c)
{
	struct wire_reply r = { .type = WIRE_BYE, .cookie = c->bye_cookie };

	if (c->executing || c->fencing || c->asking || c->throttled)
		return;
	if (c->bye && c->bye_cookie != UINT64_MAX) {
		c->bye_cookie = UINT64_MAX;
		conn_reply(c, &r, NULL, 0);
		conn_send(c);
	}
	if (c->tls && !conn_sends(c))
		tls_end(c->tls);
	conn_send(c);
	if (conn_sends(c) || c->failed)
		return;
	shutdown(c->source.fd, SHUT_WR);
	c->state = CONN_DRAINING;
	c->deadline = c->loop->now + CONN_DRAIN_TIME;
}

/* After anything that happened to it: what can be done is done. */
static void work(struct conn *c)
{
	if (c->state == CONN_DEAD) {
		finish(c);
		return;
	}
	conn_send(c);
	go_on_reading(c);
	if (c->state == CONN_LEAVING)
		go_on_leaving(c);
	count_bytes(c);
	if (c->failed)
		conn_close(c, c->failed_level, "%s", c->failed);
	if (c->state != CONN_DEAD)
		watch(c);
}

bool conn_is_stranger(const struct conn *c)
{
	return c->counted && !(c->tls && tls_is_open(c->tls));
}

void conn_act(struct conn *c, uint32_t events)
{
	if (c->state == CONN_DRAINING && events)
		drain(c);
	else if (events & EPOLLIN && reads(c))
		receive(c);
	else if (events & (EPOLLERR | EPOLLHUP))
		conn_lost(c, "closed by the client");
	work(c);
}

static void on_ready(struct engine *l, struct source *s, uint32_t events)
{
	struct conn *c = (struct conn *)s;

	(void)l;
	if (c->state == CONN_DEAD)
		return;
	if (conn_is_stranger(c))
		strangers_ready(c, events);
	else
		conn_act(c, events);
}

void conn_touch(struct conn *c)
{
	if (c->dirty)
		return;
	c->dirty = true;
	c->next_dirty = c->loop->dirty;
	c->loop->dirty = c;
}

static void work_dirty(struct engine *l)
{
	while (l->dirty) {
		struct conn *c = l->dirty;

		l->dirty = c->next_dirty;
		c->dirty = false;
		work(c);
	}
}

void conn_settle(struct engine *l)
{
	turns_settle(l);
	strangers_settle(l);
	work_dirty(l);
	/* What may go on now has answers to send, and makes room to read more. */
	while (l->throttled) {
		throttle_settle(l);
		if (!l->dirty)
			break;
		work_dirty(l);
	}
	serve_submit(l);
	free_gone(l);
}

/*
 * The beginning.
 */
static void on_start(struct engine *l, struct message *m)
{
	struct conn *c = (struct conn *)((char *)m - offsetof(struct conn, again));
	int r;

	c->heard = c->opened = l->now;
	c->deadline = l->now + CONN_LOGIN_TIME;
	c->next = l->conns;
	if (c->next)
		c->next->prev = c;
	l->conns = c;
	atomic_fetch_add(&l->conn_count, 1);
	c->events = EPOLLIN;
	r = engine_add(l, &c->source, c->events);
	if (r < 0)
		conn_close(c, LOG_LEVEL_ERROR, "cannot watch its socket: %s", strerror(-r));
}

int conn_adopt(struct engine *l, int fd, const char *host, int port, const char *portal)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->source.fd = fd;
	c->source.ready = on_ready;
	c->loop = l;
	c->counted = true;
	c->out_end = &c->out;
	frame_init(&c->frame);
	snprintf(c->host, sizeof(c->host), "%s", host);
	snprintf(c->peer, sizeof(c->peer), "%s/%d", c->host, port);
	snprintf(c->portal, sizeof(c->portal), "%s", portal);
	c->host_place = strangers_place(c->host);
	c->again.run = on_start;
	engine_post(l, &c->again);
	return 0;
}
