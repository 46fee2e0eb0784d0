/* play_server.c - the server's side of a play: what it hears and what it says. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../unit/wire_samples.h"
#include "crc.h"
#include "play_impl.h"
#include "play_order.h"

#define VOLUMES 4
#define VOLUME_SIZE (1u << 20)

struct peer play_peers[PEERS];
unsigned play_serial;
static size_t piece = SIZE_MAX;
static uint8_t zeroes[WIRE_DATA_MAX + 4096];

void peer_piece(size_t size)
{
	piece = size;
}

void peer_open(struct peer *p, int fd)
{
	peer_close(p);
	p->fd = fd;
	p->serial = ++play_serial;
	p->have = 0;
	p->count = 0;
	p->hello = p->auth = false;
	p->transcript = secure_transcript_new();
	fuzz_check(p->transcript);
	p->tls = play_tls ? peer_tls() : NULL;
}

void peer_close(struct peer *p)
{
	if (p->fd >= 0) {
		close(p->fd);
		order_ended(p->serial);
	}
	p->fd = -1;
	secure_transcript_free(p->transcript);
	p->transcript = NULL;
	tls_free(p->tls);
	p->tls = NULL;
}

/* Hearing. */

static void heard_login(struct peer *p)
{
	const struct wire_request *r = &p->request;
	struct wire_hello h;
	struct wire_auth a;
	const char *why;

	p->cookie = r->cookie;
	if (r->type == WIRE_HELLO) {
		fuzz_check(wire_get_hello(p->body, r->length, &h, &why) == 0 && !h.unknown_tag);
		secure_transcript_add(p->transcript, p->header, sizeof(p->header));
		secure_transcript_add(p->transcript, p->body, r->length);
		p->hello = true;
		return;
	}
	fuzz_check(wire_get_auth(p->body, r->length, &a, &why) == 0);
	memcpy(p->proof, a.proof, sizeof(p->proof));
	memcpy(p->join, a.session, sizeof(p->join));
	p->auth = true;
}

static void heard(struct peer *p)
{
	static struct wire_fence f;
	const struct wire_request *r = &p->request;
	struct wire_takeover t;
	const char *why;
	uint64_t number;

	if (r->type == WIRE_HELLO || r->type == WIRE_AUTH) {
		heard_login(p);
		return;
	}
	if (r->type == WIRE_WRITE) {
		memcpy(&number, p->body, sizeof(number));
		order_heard(p->serial, number, r->cookie);
	}
	if (p->count == WAIT_MAX)
		return;
	p->fences[p->count] = 0;
	if (r->type == WIRE_TAKEOVER) {
		fuzz_check(wire_get_takeover(p->body, r->length, &t, &why) == 0);
		p->fences[p->count] = t.server_id;
		p->newest[p->count] = play_serial;
	}
	if (r->type == WIRE_FENCE) {
		fuzz_check(wire_get_fence(p->body, r->length, &f, false, &why) == 0);
		p->fences[p->count] = f.connection;
	}
	p->wait[p->count++] = *r;
}

/* Whatever the server said, what the client says keeps to the protocol. */
static void check_request(const struct peer *p)
{
	const char *why = "";

	fuzz_check(wire_check_request(&p->request, &why) == 0);
	for (unsigned i = 0; i < p->count; i++)
		fuzz_check(p->request.type == WIRE_PING || p->request.type == WIRE_BYE ||
			   p->wait[i].type == WIRE_PING ||
			   WIRE_SLOT(p->wait[i].cookie) != WIRE_SLOT(p->request.cookie));
}

void peer_heard(struct peer *p, const uint8_t *data, size_t size)
{
	const char *why;

	while (size) {
		bool header = p->have < WIRE_REQUEST_SIZE;
		size_t want = WIRE_REQUEST_SIZE + (header ? 0 : p->request.length) - p->have;
		size_t n = size < want ? size : want, at = p->have - WIRE_REQUEST_SIZE;

		if (header)
			memcpy(p->header + p->have, data, n);
		else if (at < sizeof(p->body))
			memcpy(p->body + at, data, n < sizeof(p->body) - at ? n : sizeof(p->body) - at);
		p->have += (uint32_t)n;
		data += n;
		size -= n;
		if (n < want)
			return;
		if (header) {
			fuzz_check(wire_get_request(p->header, &p->request, &why) == 0);
			check_request(p);
		}
		if (p->have == WIRE_REQUEST_SIZE + p->request.length) {
			heard(p);
			p->have = 0;
		}
	}
}

void peer_read(struct peer *p)
{
	static uint8_t buf[64u << 10];

	while (p->fd >= 0) {
		ssize_t n;

		if (p->tls) {
			if (!peer_read_within(p))
				peer_close(p);
			return;
		}
		n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			peer_close(p);
		else
			peer_heard(p, buf, (size_t)n);
	}
}

/* Saying. */

void peer_say_raw(struct peer *p, const void *data, size_t size)
{
	const uint8_t *at = data;
	unsigned stuck = 0;

	while (size && p->fd >= 0 && stuck < 3) {
		size_t some = size < piece ? size : piece;
		ssize_t n = send(p->fd, at, some, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return;
		if (n > 0) {
			at += n;
			size -= (size_t)n;
			/* Pieces are for headers and what follows them, not for a megabyte. */
			if (size > 64 * piece)
				piece = SIZE_MAX;
		}
		stuck = n < 0 ? stuck + 1 : 0;
		if (size)
			play_turn(1);
	}
}

void peer_say(struct peer *p, const void *data, size_t size)
{
	if (p->tls && tls_is_open(p->tls))
		peer_say_within(p, data, size);
	else
		peer_say_raw(p, data, size);
}

void peer_frame(struct peer *p, struct wire_reply *r, const void *payload)
{
	uint8_t header[WIRE_REPLY_SIZE];

	wire_put_reply(header, r);
	if (p->transcript && r->type == WIRE_HELLO) {
		secure_transcript_add(p->transcript, header, sizeof(header));
		secure_transcript_add(p->transcript, payload, r->length);
		if (p->tls)
			secure_transcript_add(p->transcript, tls_binding(p->tls), TLS_BINDING_SIZE);
	}
	peer_say(p, header, sizeof(header));
	if (r->length)
		peer_say(p, payload, r->length);
}

static void forget(struct peer *p, unsigned i)
{
	p->count--;
	memmove(&p->wait[i], &p->wait[i + 1], (p->count - i) * sizeof(p->wait[0]));
	memmove(&p->fences[i], &p->fences[i + 1], (p->count - i) * sizeof(p->fences[0]));
	memmove(&p->newest[i], &p->newest[i + 1], (p->count - i) * sizeof(p->newest[0]));
}

void peer_answered(struct peer *p, uint64_t cookie)
{
	for (unsigned i = 0; i < p->count; i++) {
		if (p->wait[i].cookie == cookie) {
			forget(p, i);
			return;
		}
	}
}

void peer_welcome(struct peer *p, uint8_t server, uint8_t odd)
{
	struct wire_reply r = { .type = WIRE_HELLO, .cookie = p->cookie };
	struct wire_welcome w = a_welcome();
	uint8_t body[WIRE_LOGIN_MAX];

	if (odd & (32 | 64))
		order_unnamed();
	w.server_id = server;
	strcpy(w.server, server == 2 ? "big-2" : "big-1");
	w.features.payload_crc = !(odd & 1);
	w.life[0] = odd >> 1 & 3;
	w.machine[0] = odd >> 3 & 1;
	if (odd & 16)
		w.limits = (struct wire_limits){ 4096, 2, 8192 };
	if (odd & 32)
		strcpy(w.server, "other");
	if (odd & 64)
		w.server_id = 2;
	r.length = (uint32_t)wire_put_welcome(body, &w);
	p->hello = false;
	peer_frame(p, &r, body);
}

void peer_grant(struct peer *p, uint8_t session, uint8_t number, uint8_t wrong)
{
	struct wire_reply r = { .type = WIRE_AUTH, .cookie = p->cookie };
	struct wire_granted g = { .connection = number };
	uint8_t body[WIRE_LOGIN_MAX];

	/* What it wants to join, or one of a few others. */
	if (session == 0 && p->join[0])
		memcpy(g.session, p->join, sizeof(g.session));
	else
		memset(g.session, session ? session : 0x51, sizeof(g.session));
	if (p->transcript)
		secure_server_proof(p->transcript, play_key, g.session, g.connection, p->proof,
				    g.proof);
	if (p->auth && !wrong)
		order_granted(p->serial, of_second(p), g.session, g.connection);
	g.proof[0] ^= wrong;
	r.length = (uint32_t)wire_put_granted(body, &g);
	p->auth = false;
	peer_frame(p, &r, body);
}

static struct wire_volume volume(uint8_t which, uint8_t how)
{
	static const char *const names[VOLUMES] = { "oracle", "mail", "a", "b" };
	struct wire_volume v = a_volume();

	strcpy(v.name, names[which % VOLUMES]);
	v.id = which;
	v.uuid[0] = (uint8_t)(which % VOLUMES + (how & 1));
	v.generation = how >> 1 & 1;
	v.size = (how >> 2 & 3) == 3 ? 512 : VOLUME_SIZE << (how >> 2 & 3);
	v.flags = how & 16 ? WIRE_FLAG_READ_ONLY : 0;
	v.block_size = how & 32 ? 4096 : 512;
	v.size &= ~(uint64_t)(v.block_size - 1);
	return v;
}

/* Two that nobody else names, one of the configuration, one that nobody answers at. */
static const char *const portals[] = {
	"127.0.0.4/5000", "127.0.0.5/5000", "127.0.0.2/5000", "192.168.45.10/5000",
};

void peer_event(struct peer *p, uint16_t kind, uint8_t which, uint8_t how)
{
	struct wire_event_body e = {
		.kind = kind, .has_volume = !(how & 128), .volume = volume(which, how),
	};
	struct wire_reply r = { .type = WIRE_EVENT };
	uint8_t body[WIRE_LOGIN_MAX];

	if (how & 64)
		strcpy(e.portal, portals[which % 4]);
	r.length = (uint32_t)wire_put_event(body, sizeof(body), &e);
	peer_frame(p, &r, body);
}

/* Bodies of replies: how is 0 for what a good server says. */

static size_t list_body(uint8_t *body, uint8_t how, struct fuzz_in *in)
{
	unsigned count = how ? how % 6 : 2;
	struct wire_writer w;

	wire_writer_init(&w, body, WIRE_LOGIN_MAX);
	for (unsigned i = 0; i < count; i++) {
		struct wire_volume v = volume((uint8_t)i, how ? fuzz_u8(in) : 0);

		wire_put_volume(&w, &v);
	}
	for (unsigned i = 0; i < 3 && how & 64; i++)
		if (how >> (3 + i) & 1)
			wire_put_text(&w, WIRE_TAG_PORTAL, portals[i]);
	wire_put_u32(&w, WIRE_TAG_TOTAL, how & 128 ? how : count);
	return wire_writer_used(&w, body);
}

/* Of what was asked, some were done: by the bits of how. */
static size_t fence_body(uint8_t *body, const struct peer *p, unsigned which, uint8_t how)
{
	static struct wire_fence asked, f;
	const char *why;

	f = (struct wire_fence){ .connection = p->fences[which] + (how >> 7) };
	/* Only the newest request's body is remembered; of other fences nothing was done. */
	if (p->request.type != WIRE_FENCE ||
	    wire_get_fence(p->body, p->request.length, &asked, false, &why) ||
	    asked.connection != p->fences[which])
		return wire_put_fence(body, &f, true);
	for (size_t i = 0; i < asked.count; i++) {
		if (!(how >> (i % 7) & 1))
			continue;
		f.cookies[f.count] = asked.cookies[i];
		f.statuses[f.count++] = how & 32 ? WIRE_E_IO : WIRE_OK;
	}
	return wire_put_fence(body, &f, true);
}

static size_t status_body(uint8_t *body, const struct wire_request *q, uint8_t how)
{
	uint64_t half = q->count / 2;

	wire_put_extent(body, half ? half : 1, how & 3);
	wire_put_extent(body + WIRE_EXTENT_SIZE, how & 4 ? UINT64_MAX : q->count - half, 1);
	return how & 8 ? WIRE_EXTENT_SIZE : 2 * WIRE_EXTENT_SIZE;
}

void peer_reply(struct peer *p, unsigned which, uint8_t status, uint8_t how, struct fuzz_in *in)
{
	struct wire_reply r = { .status = status % (WIRE_STATUS_COUNT + 2) };
	uint8_t *body = zeroes, b[WIRE_FENCE_MAX];
	struct wire_request q;

	if (!p->count)
		return;
	which %= p->count;
	q = p->wait[which];
	r.type = q.type;
	r.cookie = q.cookie;
	if (r.status) {
		r.length = (uint32_t)wire_put_text_body(b, sizeof(b), "no");
		body = b;
	} else if (q.type == WIRE_READ) {
		r.length = q.count;
	} else if (q.type == WIRE_PING) {
		r.length = 8;
	} else if (q.type == WIRE_LIST) {
		body = b;
		r.length = (uint32_t)list_body(b, how, in);
	} else if (q.type == WIRE_FENCE) {
		body = b;
		r.length = (uint32_t)fence_body(b, p, which, how);
	} else if (q.type == WIRE_STATUS) {
		body = b;
		r.length = (uint32_t)status_body(b, &q, how);
	}
	if (how & 64) {
		r.flags = WIRE_FLAG_CRC;
		r.payload_crc = crc32c(0, body, r.length);
	}
	order_answered(p->serial, q.cookie);
	if (q.type == WIRE_FENCE && (r.status == WIRE_E_INVALID || (!r.status && !(how & 128))))
		order_fenced(p->serial, p->fences[which]);
	if (q.type == WIRE_TAKEOVER && !r.status)
		order_took_over(p->fences[which] == 2, p->newest[which]);
	forget(p, which);
	peer_frame(p, &r, body);
}
