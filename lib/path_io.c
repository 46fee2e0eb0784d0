#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "buf.h"
#include "crc.h"
#include "log.h"
#include "path_impl.h"

/*
 * SENDING.  Frames wait in a ring in the order in which they were queued; one
 * gathered send takes as many as fit, headers from the ring, payloads from where
 * they lie.  What a frame points to must stay until it was sent: a command's data
 * does, since a command is given back only when it was answered or when this
 * ring was thrown away with its connection.
 */
#define FIRST_ITEMS 64u
#define GATHER 256
#define RECEIVES_A_TURN 8

struct out_item {
	uint8_t header[WIRE_REQUEST_SIZE];
	const uint8_t *data;
	uint32_t length;
	uint8_t *owned;			/* freed when sent */
};

struct path_out {
	struct out_item *items;		/* a ring; size is a power of two */
	uint32_t size, head, tail;	/* head..tail wait; they only grow */
	uint32_t sent;			/* bytes of the head item */
	uint64_t gone;			/* bytes that the kernel or TLS took, ever */
	uint64_t ping;			/* of these, when the newest ping will be the last in them */
	uint64_t arrived;		/* of gone: what the peer's kernel had when it was last looked */
};

struct path_out *path_out_new(void)
{
	struct path_out *o = calloc(1, sizeof *o);

	if (!o)
		return NULL;
	o->size = FIRST_ITEMS;
	o->items = malloc(o->size * sizeof *o->items);
	if (!o->items) {
		free(o);
		return NULL;
	}
	return o;
}

static struct out_item *item(const struct path_out *o, uint32_t i)
{
	return &o->items[i & (o->size - 1)];
}

void path_out_free(struct path_out *o)
{
	if (!o)
		return;
	for (; o->head != o->tail; o->head++)
		free(item(o, o->head)->owned);
	free(o->items);
	free(o);
}

bool path_out_empty(const struct path *p)
{
	return !p->out || p->out->head == p->out->tail;
}

/* Does something wait for the socket to have room?  With TLS it is encrypted then; frames
 * in the ring wait for the handshake. */
static bool waits(const struct path *p)
{
	return p->tls ? tls_out(p->tls).iov_len > 0 : !path_out_empty(p);
}

static int grow(struct path_out *o)
{
	struct out_item *bigger = malloc(2 * o->size * sizeof *bigger);
	uint32_t n = o->tail - o->head;

	if (!bigger)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		bigger[i] = *item(o, o->head + i);
	free(o->items);
	o->items = bigger;
	o->size *= 2;
	o->head = 0;
	o->tail = n;
	return 0;
}

int path_put(struct path *p, const struct wire_request *r, const void *payload, bool copy)
{
	struct path_out *o = p->out;
	struct out_item *i;
	uint8_t *owned = NULL;

	if (o->tail - o->head == o->size && grow(o) < 0)
		return -ENOMEM;
	if (copy && r->length) {
		owned = malloc(r->length);
		if (!owned)
			return -ENOMEM;
		memcpy(owned, payload, r->length);
		payload = owned;
	}
	i = item(o, o->tail++);
	wire_put_request(i->header, r);
	i->data = payload;
	i->length = r->length;
	i->owned = owned;
	if (list_empty(&p->to_send))
		p->ops->dirty(p->owner, p);
	return 0;
}

/* A frame without a payload, in front of all that is not on its way yet.  *end: what gone
 * will be then. */
static int put_first(struct path *p, const struct wire_request *r, uint64_t *end)
{
	struct path_out *o = p->out;
	uint32_t at;

	if (o->tail - o->head == o->size && grow(o) < 0)
		return -ENOMEM;
	at = --o->head;
	*end = o->gone + WIRE_REQUEST_SIZE;
	if (o->sent) {		/* behind the rest of the frame that was begun */
		*item(o, at) = *item(o, at + 1);
		*end += WIRE_REQUEST_SIZE + item(o, at)->length - o->sent;
		at++;
	}
	*item(o, at) = (struct out_item){ .length = 0 };
	wire_put_request(item(o, at)->header, r);
	if (list_empty(&p->to_send))
		p->ops->dirty(p->owner, p);
	return 0;
}

static void put_piece(struct iovec *iov, int *n, const void *base, size_t length, size_t *skip)
{
	if (*skip >= length) {
		*skip -= length;
		return;
	}
	iov[*n].iov_base = (char *)(uintptr_t)base + *skip;
	iov[(*n)++].iov_len = length - *skip;
	*skip = 0;
}

/* Takes n sent bytes off the ring. */
static void sent(struct path_out *o, size_t n)
{
	n += o->sent;
	while (o->head != o->tail) {
		struct out_item *i = item(o, o->head);
		size_t whole = WIRE_REQUEST_SIZE + i->length;

		if (n < whole)
			break;
		n -= whole;
		free(i->owned);
		o->head++;
	}
	o->sent = (uint32_t)n;
}

static ssize_t send_out(struct path *p, struct iovec *iov, int n)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)n };
	ssize_t done;

	if (p->tls)
		return tls_send(p->tls, p->fd, iov, n);
	done = sendmsg(p->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	return done < 0 ? -errno : done;
}

void path_flush(struct path *p)
{
	struct path_out *o = p->out;
	struct iovec iov[2 * GATHER];

	list_remove(&p->to_send);
	if (p->away)
		return;
	while (o && (o->head != o->tail || waits(p))) {
		size_t skip = o->sent;
		int n = 0;
		ssize_t done;

		for (uint32_t k = o->head; k != o->tail && n < 2 * GATHER - 1; k++) {
			struct out_item *i = item(o, k);

			put_piece(iov, &n, i->header, WIRE_REQUEST_SIZE, &skip);
			if (i->length)
				put_piece(iov, &n, i->data, i->length, &skip);
		}
		done = send_out(p, iov, n);
		if (done == -EINTR)
			continue;
		if (done < 0 && done != -EAGAIN) {
			path_lost(p, "sending: %s", strerror((int)-done));
			return;
		}
		if (done <= 0)		/* of TLS nothing: the socket is full, or the handshake is not over */
			break;
		o->gone += (uint64_t)done;
		sent(o, (size_t)done);
	}
	if (o)
		loop_change(p->loop, &p->watch, waits(p) ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

_Static_assert(LOOP_SCRATCH >= TLS_RECEIVE, "what is received fits there when it is decrypted");

/* Commands. */

bool path_room(const struct path *p)
{
	return p->state == PATH_UP && !p->doomed && p->inflight.used < p->inflight.limit;
}

static uint32_t bytes_of(const struct command *c)
{
	return c->type == WIRE_READ || c->type == WIRE_WRITE ? c->count : 0;
}

/* The time of the others is the disk's, not the path's. */
static bool tells_of_path(const struct command *c)
{
	return c->type != WIRE_FLUSH && c->type != WIRE_COPY && c->type != WIRE_DISCARD && c->type != WIRE_WRITE_ZEROES &&
	       c->type != WIRE_FENCE && !(c->flags & WIRE_FLAG_FUA);
}

int path_send(struct path *p, struct command *c)
{
	struct wire_request r = {
		.type = c->type, .flags = c->flags, .offset = c->offset, .count = c->count, .handle = c->handle,
		.length = c->type == WIRE_WRITE ? c->count : c->length,
	};
	int e = inflight_add(&p->inflight, c, &r.cookie);

	if (e < 0)
		return e;
	if (p->payload_crc && r.length) {
		r.flags |= WIRE_FLAG_CRC;
		r.payload_crc = crc32c(0, c->data, r.length);
	}
	e = path_put(p, &r, c->data, false);
	if (e < 0) {
		inflight_take(&p->inflight, r.cookie);
		return e;
	}
	c->cookie = r.cookie;
	c->path = p;
	c->state = COMMAND_SENT;
	c->sent = loop_now(p->loop);
	c->queue_ahead = (uint32_t)p->policy.bytes;
	p->policy.bytes += bytes_of(c);
	p->policy.in_flight++;
	return 0;
}

void path_ping(struct path *p)
{
	struct wire_request r = { .type = WIRE_PING, .offset = p->stamp };

	/* In front of megabytes that wait: a server's lease ends when none comes back for too long. */
	if (put_first(p, &r, &p->out->ping) == 0)
		p->pinged = p->last_ping = loop_now(p->loop);
}

bool path_ping_moves(struct path *p, uint64_t *ago)
{
	struct path_out *o = p->out;
	uint64_t queued, before = o->arrived;

	if (p->away || sock_unacknowledged(p->fd, &queued, ago) < 0)
		return false;
	queued += p->tls ? tls_out(p->tls).iov_len : 0;
	o->arrived = o->gone > queued ? o->gone - queued : 0;
	if (o->arrived <= before || o->arrived >= o->ping)
		return false;
	if (!p->slow)
		sock_keep_little(p->fd);
	p->slow = true;
	return true;
}

void path_ask(struct path *p)
{
	if (!p->pinged)
		path_ping(p);
}

/* Receiving. */

static int broken(struct path *p, const char *why)
{
	path_lost(p, "protocol error: %s", why);
	return -EPROTO;
}

static int got_header(void *arg, const uint8_t *header, uint32_t *length)
{
	struct path *p = arg;
	struct wire_reply *r = &p->reply;
	const char *why = "";

	if (wire_get_reply(header, r, &why) < 0 || wire_check_reply(r, &why) < 0)
		return broken(p, why);
	p->receiving = NULL;
	*length = r->length;
	if (p->state != PATH_UP && p->state != PATH_DRAINING) {
		if (r->length > WIRE_LOGIN_MAX)
			return broken(p, "an answer to the login that is too long");
		path_login_header(p, header);
		return 0;
	}
	if (r->cookie) {
		p->receiving = inflight_find(&p->inflight, r->cookie);
		if (!p->receiving || p->receiving->type != r->type)
			return broken(p, "an answer to a command that is not in flight");
	}
	if (r->length > (p->receiving && r->type == WIRE_READ ? p->receiving->count + WIRE_TEXT_MAX : WIRE_CONTROL_MAX))
		return broken(p, "an answer longer than what was asked");
	return 0;
}

static uint8_t *place(void *arg, uint32_t length)
{
	struct path *p = arg;

	if (!p->receiving)	/* an event is never that long */
		return NULL;
	return p->receiving->placed = malloc(length);
}

static int got_own(struct path *p, const struct wire_reply *r, const uint8_t *payload)
{
	switch (r->type) {
	case WIRE_EVENT:
		p->ops->event(p->owner, p, payload, r->length);
		return 0;
	case WIRE_PING:
		if (!p->pinged)
			return broken(p, "an answer that nobody asked for");
		if (!r->status)		/* a refusal has none */
			p->stamp = wire_get_stamp(payload);
		if (!p->inflight.used)
			policy_learn(&p->policy, 0, 0, (double)(loop_now(p->loop) - p->pinged) / 1e9);
		p->pinged = 0;
		return 0;
	case WIRE_BYE:
		if (p->state != PATH_DRAINING)
			return broken(p, "a goodbye that nobody said");
		p->doomed = true;
		return 0;
	default:
		return broken(p, "an answer that nobody asked for");
	}
}

/* Is the answer what the command asked for? */
static const char *check_answer(const struct command *c, const struct wire_reply *r)
{
	if (r->status)
		return NULL;
	if (c->type == WIRE_READ && r->length != c->count)
		return "a read answered with the wrong number of bytes";
	if (c->type == WIRE_STATUS && (!r->length || r->length % WIRE_EXTENT_SIZE))
		return "a block status of the wrong length";
	return NULL;
}

static void note_answer(struct path *p, const struct command *c)
{
	uint64_t took = loop_now(p->loop) - c->sent;

	if (tells_of_path(c))
		policy_learn(&p->policy, c->queue_ahead, bytes_of(c), (double)took / 1e9);
	p->commands++;
	if (c->type != WIRE_READ && c->type != WIRE_WRITE)
		return;
	*(c->type == WIRE_READ ? &p->read_bytes : &p->write_bytes) += c->count;
	if (!p->latency)
		p->latency = calloc(1, sizeof *p->latency);
	if (p->latency)
		histogram_add(p->latency, took, 1);
}

static int got_payload(void *arg, const uint8_t *payload, uint32_t length)
{
	struct path *p = arg;
	const struct wire_reply *r = &p->reply;
	struct command *c = p->receiving;
	uint8_t *placed = c ? c->placed : NULL;
	const char *why;

	if ((r->flags & WIRE_FLAG_CRC) && crc32c(0, payload, length) != r->payload_crc)
		return broken(p, "a payload that was damaged on its way");
	if (p->state != PATH_UP && p->state != PATH_DRAINING)
		return path_login_reply(p, r, payload);
	if (!c)
		return got_own(p, r, payload);
	why = check_answer(c, r);
	if (why)
		return broken(p, why);
	p->receiving = NULL;
	inflight_take(&p->inflight, r->cookie);
	p->policy.in_flight--;
	p->policy.bytes -= bytes_of(c);
	note_answer(p, c);
	c->path = NULL;
	c->placed = NULL;
	p->ops->answered(p->owner, p, c, r, payload);	/* c may be gone now */
	free(placed);
	return p->doomed ? -ECANCELED : 0;
}

static const struct frame_ops frame_ops = {
	.header_size = WIRE_REPLY_SIZE,
	.header = got_header, .place = place, .payload = got_payload,
};

static void closed_by_server(struct path *p)
{
	path_lost(p, p->state == PATH_UP ? "closed by the server" :
		     p->tls && !tls_is_open(p->tls) ? "closed by the server during the TLS handshake" :
						      "closed by the server during the login");
}

/* 1: *n bytes came, with TLS perhaps none for frames, and *more may be there; 0: the end; -errno. */
static int receive(struct path *p, const struct iovec *iov, int pieces, size_t *n, bool *more)
{
	ssize_t got;

	if (p->tls)
		return tls_receive(p->tls, p->fd, iov, pieces, n, more);
	got = readv(p->fd, iov, pieces);
	if (got <= 0)
		return got ? -errno : 0;
	*n = (size_t)got;
	*more = *n >= iov[0].iov_len;
	return 1;
}

static void not_received(struct path *p, int r)
{
	if (r == 0)
		closed_by_server(p);
	else if (r == -EPROTO && p->tls)
		path_login_tls_failed(p);
	else
		path_lost(p, "receiving: %s", strerror(-r));
}

void path_receive(struct path *p)
{
	uint8_t *scratch = loop_scratch(p->loop);
	bool more = true;

	p->receives = true;
	for (int turn = 0; turn < RECEIVES_A_TURN && more && !p->doomed; turn++) {
		struct iovec iov[2];
		int n = frame_want(&p->in, scratch, LOOP_SCRATCH, iov), r;
		size_t got;

		r = receive(p, iov, n, &got, &more);
		if (r == -EINTR)
			continue;
		if (r == -EAGAIN)
			break;
		if (r <= 0) {
			not_received(p, r);
			break;
		}
		p->heard = loop_now(p->loop);
		path_alive(p, p->heard);
		r = got ? frame_got(&p->in, scratch, LOOP_SCRATCH, got, &frame_ops, p) : 0;
		if (r == -ENOMEM)
			path_lost(p, "no memory to receive an answer");
		if (r < 0)
			break;
	}
	if (p->tls && p->login && !p->doomed)
		path_flush(p);		/* the handshake goes on, and HELLO behind it */
	p->receives = false;
	if (p->doomed)
		path_event(p, p->state == PATH_DRAINING ? PATH_EV_BYE : PATH_EV_LOST);
}
