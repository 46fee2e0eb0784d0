/*
 * conn_out.c - replies: queued, gathered into as few sends as possible, and
 * counted until they have left.  See conn.h.
 *
 * A command counts as in flight until its reply was handed to the kernel as a
 * whole; before that the client cannot have it, so no client that keeps to the
 * limits is ever over them here.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include "client.h"
#include "conn.h"
#include "log.h"

void conn_reply_out(struct conn *c, struct out *o, const struct wire_reply *r, uint32_t length,
		    uint32_t bytes)
{
	struct wire_reply reply = *r;

	reply.length = length;
	wire_put_reply(o->header, &reply);
	o->length = WIRE_REPLY_SIZE + length;
	o->next = NULL;
	o->slot = -1;
	o->bytes = bytes;
	if (r->type != WIRE_EVENT && r->type != WIRE_PING && r->type != WIRE_BYE &&
	    c->state >= CONN_UP)
		o->slot = (int32_t)WIRE_SLOT(r->cookie);
	if (r->status)
		COUNT(c->traffic.errors, 1);
	*c->out_end = o;
	c->out_end = &o->next;
	c->out_bytes += o->length;
}

void conn_reply(struct conn *c, const struct wire_reply *r, const void *payload, uint32_t length)
{
	struct out *o = out_new(&c->loop->arena, length);

	if (!o) {
		conn_fail(c, "no memory for a reply");
		return;
	}
	if (length)
		memcpy(o->payload, payload, length);
	conn_reply_out(c, o, r, length, 0);
}

void conn_refuse(struct conn *c, enum wire_type type, uint64_t cookie, enum wire_status status,
		 const char *text)
{
	struct wire_reply r = { .type = (uint8_t)type, .cookie = cookie, .status = (uint16_t)status };
	uint8_t body[WIRE_TEXT_MAX + 16];

	conn_reply(c, &r, body, (uint32_t)wire_put_text_body(body, sizeof(body), text));
}

static void left(struct conn *c, struct out *o)
{
	if (o->slot >= 0) {
		c->slots[o->slot / 64] &= ~(1ull << (o->slot % 64));
		c->in_flight--;
	}
	c->bytes -= o->bytes;
	out_free(&c->loop->arena, o);
}

/* n bytes of the queue were taken by the kernel. */
static void sent(struct conn *c, size_t n)
{
	c->out_bytes -= n;
	n += c->out_sent;
	while (c->out && n >= c->out->length) {
		struct out *o = c->out;

		n -= o->length;
		c->out = o->next;
		left(c, o);
	}
	c->out_sent = (uint32_t)n;
	if (!c->out)
		c->out_end = &c->out;
}

/* What is about to leave is not in flight any more, and the session's other connections
 * must know that before the client has it: the next command may be on one of them, whose
 * thread runs, while this one does not come to count_bytes.  What then did not leave is
 * counted there again. */
static void give_back(struct conn *c, size_t pieces)
{
	int64_t delta = c->bytes - c->bytes_counted;

	for (struct out *o = c->out; o && pieces > 0; o = o->next, pieces--)
		delta -= o->bytes;
	if (!c->client || delta >= 0)
		return;
	atomic_fetch_add(&c->client->bytes, delta);
	c->bytes_counted += delta;
}

static size_t gather(struct conn *c, struct msghdr *m)
{
	struct iovec *iov = c->loop->iov;
	uint32_t skip = c->out_sent;
	size_t bytes = 0;
	unsigned n = 0;

	for (struct out *o = c->out; o && n < LOOP_IOV; o = o->next, skip = 0) {
		/* Not o->header + skip: it goes on into the payload. */
		iov[n].iov_base = (uint8_t *)o + offsetof(struct out, header) + skip;
		iov[n].iov_len = o->length - skip;
		bytes += iov[n++].iov_len;
	}
	*m = (struct msghdr){ .msg_iov = iov, .msg_iovlen = n };
	return bytes;
}

bool conn_sends(const struct conn *c)
{
	return c->tls ? tls_out(c->tls).iov_len > 0 || c->out : c->out != NULL;
}

/* Of TLS all counts as sent that was encrypted: it is in a buffer of bounded size. */
static ssize_t send_out(struct conn *c, const struct msghdr *m)
{
	size_t before = c->tls ? tls_out(c->tls).iov_len : 0;
	ssize_t n;

	if (c->tls)
		n = tls_send(c->tls, c->source.fd, m->msg_iov, (int)m->msg_iovlen);
	else if ((n = sendmsg(c->source.fd, m, MSG_NOSIGNAL | MSG_DONTWAIT)) < 0)
		n = -errno;
	if (n > 0 || (c->tls && tls_out(c->tls).iov_len < before))
		c->heard = c->loop->now;
	return n;
}

void conn_send(struct conn *c)
{
	struct msghdr m;

	while (conn_sends(c) && !c->failed) {
		size_t want = gather(c, &m);
		ssize_t n;

		give_back(c, m.msg_iovlen);
		n = send_out(c, &m);
		if (n == -EINTR)
			continue;
		if (n < 0) {
			if (n != -EAGAIN)
				conn_lost(c, strerror((int)-n));
			return;
		}
		sent(c, (size_t)n);
		if ((size_t)n < want || !c->out)
			return;		/* the socket is full */
	}
}
