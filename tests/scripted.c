/* scripted.c - see scripted.h: the server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "crc.h"
#include "scripted.h"
#include "secure.h"

void script_start(struct script *s)
{
	*s = (struct script){
		.limits = { WIRE_DATA_MAX, WIRE_IN_FLIGHT_MAX, WIRE_SESSION_BYTES_MAX },
		.volume = { .name = "vol", .generation = 7, .size = 64 << 20, .block_size = 512 },
	};
	memset(s->volume.uuid, 0xab, sizeof s->volume.uuid);
	memset(s->machine, 'm', sizeof s->machine);
	memset(s->boot, 'b', sizeof s->boot);
	memset(s->life, 1, sizeof s->life);
	assert_int_equal(secure_key_from_text(SCRIPT_KEY, s->key), 0);
	for (int i = 0; i < PORTALS; i++) {
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		socklen_t length = sizeof a;

		s->listen[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(s->listen[i], (struct sockaddr *)&a, sizeof a), 0);
		assert_int_equal(listen(s->listen[i], 64), 0);
		getsockname(s->listen[i], (struct sockaddr *)&a, &length);
		s->port[i] = ntohs(a.sin_port);
	}
}

static void forget_requests(struct conn *c)
{
	struct request *r;

	while ((r = c->requests)) {
		c->requests = r->next;
		free(r->payload);
		free(r);
	}
}

void script_stop(struct script *s)
{
	struct conn *c;

	while ((c = s->conns)) {
		s->conns = c->next;
		script_close(c);
		forget_requests(c);
		secure_transcript_free(c->transcript);
		free(c);
	}
	for (int i = 0; i < PORTALS; i++)
		close(s->listen[i]);
}

void script_restarted(struct script *s)
{
	s->life[0]++;
}

static void wait_readable(int fd, const char *what)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, WAIT_S * 1000) != 1)
		fail_msg("waited %d s for %s", WAIT_S, what);
}

int script_poll(struct conn *c, int ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	return poll(&p, 1, ms);
}

/* false: end of stream. */
static bool read_all(struct conn *c, void *out, size_t size)
{
	uint8_t *at = out;

	while (size) {
		ssize_t n;

		wait_readable(c->fd, "the client to say something");
		n = read(c->fd, at, size);
		if (n <= 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

void script_send(struct conn *c, const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size) {
		ssize_t n = send(c->fd, at, size, MSG_NOSIGNAL);

		if (n < 0)
			return;		/* the client has closed it: the test looks for that */
		at += n;
		size -= (size_t)n;
	}
}

static struct request *read_request(struct conn *c, uint8_t raw[WIRE_REQUEST_SIZE])
{
	struct request *r = calloc(1, sizeof *r);
	const char *why = "";

	r->next = c->requests;
	c->requests = r;
	if (!read_all(c, raw, WIRE_REQUEST_SIZE))
		return NULL;
	if (wire_get_request(raw, &r->h, &why) || wire_check_request(&r->h, &why))
		fail_msg("the client sends nonsense: %s", why);
	r->payload = malloc(r->h.length + 1);
	if (!read_all(c, r->payload, r->h.length))
		return NULL;
	if (r->h.flags & WIRE_FLAG_CRC)
		assert_int_equal(r->h.payload_crc, crc32c(0, r->payload, r->h.length));
	return r;
}

void script_reply(struct conn *c, const struct request *r, enum wire_status status,
		  const void *payload, uint32_t length)
{
	struct wire_reply h = { .type = r->h.type, .cookie = r->h.cookie, .status = status, .length = length };

	if (length && !c->server->no_crc) {
		h.flags = WIRE_FLAG_CRC;
		h.payload_crc = crc32c(0, payload, length);
	}
	script_say(c, &h, payload, length);
}

void script_say(struct conn *c, const struct wire_reply *h, const void *payload, uint32_t length)
{
	uint8_t *frame = malloc(WIRE_REPLY_SIZE + length);

	wire_put_reply(frame, h);
	if (length)
		memcpy(frame + WIRE_REPLY_SIZE, payload, length);
	script_send(c, frame, WIRE_REPLY_SIZE + length);
	free(frame);
}

struct conn *script_accept(struct script *s, int portal)
{
	uint8_t raw[WIRE_REQUEST_SIZE];

	for (;;) {
		struct conn *c = calloc(1, sizeof *c);
		struct request *r;
		int one = 1;

		c->server = s;
		c->portal = portal;
		c->next = s->conns;
		s->conns = c;
		wait_readable(s->listen[portal], "a connection");
		c->fd = accept(s->listen[portal], NULL, NULL);
		assert_true(c->fd >= 0);
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		r = read_request(c, raw);
		if (!r) {	/* given up meanwhile: the next one */
			script_close(c);
			continue;
		}
		assert_int_equal(r->h.type, WIRE_HELLO);
		c->transcript = secure_transcript_new();
		secure_transcript_add(c->transcript, raw, sizeof raw);
		secure_transcript_add(c->transcript, r->payload, r->h.length);
		return c;
	}
}

void script_welcome(struct conn *c)
{
	const struct script *s = c->server;
	struct wire_welcome w = { .features = { .payload_crc = !s->no_crc, .copy = !s->no_copy },
				  .limits = s->limits, .server_id = 1 };
	uint8_t frame[WIRE_REPLY_SIZE + WIRE_LOGIN_MAX];
	struct wire_reply h = { .type = WIRE_HELLO };

	strcpy(w.server, s->name ? s->name : "srv");
	memcpy(w.machine, s->machine, sizeof w.machine);
	memcpy(w.boot, s->boot, sizeof w.boot);
	memcpy(w.life, s->life, sizeof w.life);
	if (s->two_servers && c->portal) {
		strcpy(w.server, "srv2");
		w.server_id = 2;
		w.machine[15] = w.boot[15] = 2;
		memset(w.life, 2, sizeof w.life);
	}
	memset(w.nonce, 'n', sizeof w.nonce);
	h.length = (uint32_t)wire_put_welcome(frame + WIRE_REPLY_SIZE, &w);
	wire_put_reply(frame, &h);
	secure_transcript_add(c->transcript, frame, WIRE_REPLY_SIZE + h.length);
	script_send(c, frame, WIRE_REPLY_SIZE + h.length);
}

void script_auth(struct conn *c)
{
	uint8_t raw[WIRE_REQUEST_SIZE], expected[32];
	struct wire_auth a;
	const char *why = "";
	struct request *r = read_request(c, raw);

	assert_non_null(r);
	assert_int_equal(r->h.type, WIRE_AUTH);
	assert_int_equal(wire_get_auth(r->payload, r->h.length, &a, &why), 0);
	secure_client_proof(c->transcript, c->server->key, a.session, expected);
	assert_memory_equal(a.proof, expected, sizeof expected);
	memcpy(c->wanted, a.session, sizeof c->wanted);
	memcpy(c->proof, a.proof, sizeof c->proof);
}

void script_grant(struct conn *c, uint8_t session, uint32_t number)
{
	struct wire_granted g = { .connection = number };
	struct wire_reply h = { .type = WIRE_AUTH };
	uint8_t frame[WIRE_REPLY_SIZE + WIRE_LOGIN_MAX];

	memset(g.session, session, sizeof g.session);
	memcpy(c->session, g.session, sizeof g.session);
	c->number = number;
	secure_server_proof(c->transcript, c->server->key, g.session, number, c->proof, g.proof);
	h.length = (uint32_t)wire_put_granted(frame + WIRE_REPLY_SIZE, &g);
	wire_put_reply(frame, &h);
	script_send(c, frame, WIRE_REPLY_SIZE + h.length);
}

struct conn *script_login(struct script *s, int portal, uint8_t session, uint32_t number)
{
	struct conn *c = script_accept(s, portal);

	script_welcome(c);
	script_auth(c);
	script_grant(c, session, number);
	return c;
}

void script_close(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void script_closed(struct conn *c)
{
	char junk[4096];

	do
		wait_readable(c->fd, "the client to close the connection");
	while (read(c->fd, junk, sizeof junk) > 0);
	script_close(c);
}

bool script_ended(struct conn *c)
{
	char b;

	return recv(c->fd, &b, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void script_answer_list(struct conn *c, const struct request *r)
{
	uint8_t body[WIRE_VOLUME_MAX + 16 + PORTALS * WIRE_PORTAL_MAX];
	char text[WIRE_PORTAL_MAX];
	struct wire_writer w;

	wire_writer_init(&w, body, sizeof body);
	for (int i = 0; i < PORTALS; i++) {
		snprintf(text, sizeof text, "127.0.0.1/%d", c->server->port[i]);
		if (c->server->tells & 1u << i)
			wire_put_text(&w, WIRE_TAG_PORTAL, text);
	}
	wire_put_volume(&w, &c->server->volume);
	wire_put_u32(&w, WIRE_TAG_TOTAL, 1);
	script_reply(c, r, WIRE_OK, body, (uint32_t)wire_writer_used(&w, body));
}

struct request *script_expect_list(struct conn *c)
{
	uint8_t raw[WIRE_REQUEST_SIZE];
	struct request *r = read_request(c, raw);

	assert_non_null(r);
	assert_int_equal(r->h.type, WIRE_LIST);
	return r;
}

void script_list(struct conn *c)
{
	script_answer_list(c, script_expect_list(c));
}

struct request *script_read(struct conn *c)
{
	uint8_t raw[WIRE_REQUEST_SIZE];

	return read_request(c, raw);
}

bool script_serve(struct conn *c, const struct request *r)
{
	uint64_t clock = r->h.offset;

	if (r->h.type == WIRE_PING)
		script_reply(c, r, WIRE_OK, &clock, 8);
	else if (r->h.type == WIRE_LIST && !c->server->own_lists)
		script_answer_list(c, r);
	else
		return false;
	return true;
}

struct request *script_next(struct conn *c)
{
	struct request *r;

	do
		r = script_read(c);
	while (r && script_serve(c, r));
	return r;
}

struct request *script_expect(struct conn *c, enum wire_type type)
{
	struct request *r = script_next(c);

	if (!r)
		fail_msg("end of stream instead of %s", wire_type_name(type));
	if (r->h.type != type)
		fail_msg("%s at %llu instead of %s", wire_type_name(r->h.type),
			 (unsigned long long)r->h.offset, wire_type_name(type));
	return r;
}

void script_event(struct conn *c, enum wire_event kind)
{
	struct wire_event_body e = { .kind = kind, .has_volume = kind <= WIRE_EVENT_VOLUME_REPLACED };
	struct request r = { .h.type = WIRE_EVENT };
	uint8_t body[512];

	e.volume = c->server->volume;
	script_reply(c, &r, WIRE_OK, body, (uint32_t)wire_put_event(body, sizeof body, &e));
}

void script_portal(struct conn *c, enum wire_event kind, const char *address, int port)
{
	struct wire_event_body e = { .kind = kind };
	struct request r = { .h.type = WIRE_EVENT };
	uint8_t body[512];

	snprintf(e.portal, sizeof e.portal, "%s/%d", address, port);
	script_reply(c, &r, WIRE_OK, body, (uint32_t)wire_put_event(body, sizeof body, &e));
}

void script_open(struct conn *c)
{
	struct request *r = script_expect(c, WIRE_OPEN);
	uint8_t body[WIRE_VOLUME_MAX];
	struct wire_writer w;
	struct wire_open o;
	const char *why = "";

	assert_int_equal(wire_get_open(r->payload, r->h.length, &o, &why), 0);
	assert_string_equal(o.name, c->server->volume.name);
	assert_true(o.has_identity);
	assert_memory_equal(o.uuid, c->server->volume.uuid, sizeof o.uuid);
	assert_int_equal(o.generation, c->server->volume.generation);
	wire_writer_init(&w, body, sizeof body);
	wire_put_volume(&w, &c->server->volume);
	script_reply(c, r, WIRE_OK, body, (uint32_t)wire_writer_used(&w, body));
}

struct request *script_fence(struct conn *c, uint32_t number, size_t count, struct request *const *commands)
{
	struct request *r = script_expect(c, WIRE_FENCE);
	struct wire_fence f;
	const char *why = "";

	assert_int_equal(wire_get_fence(r->payload, r->h.length, &f, false, &why), 0);
	assert_int_equal(f.connection, number);
	assert_int_equal(f.count, count);
	for (size_t i = 0; i < count; i++) {
		size_t k = 0;

		while (k < count && f.cookies[k] != commands[i]->h.cookie)
			k++;
		if (k == count)
			fail_msg("FENCE does not name command %zu", i);
	}
	return r;
}

void script_fence_reads(struct conn *c, uint32_t number)
{
	script_fenced(c, script_fence(c, number, 0, NULL), number, 0, NULL, NULL);
}

void script_fenced(struct conn *c, const struct request *fence, uint32_t number, size_t count,
		   struct request *const *commands, const enum wire_status *statuses)
{
	struct wire_fence f = { .connection = number, .count = count };
	static uint8_t body[WIRE_FENCE_MAX];

	for (size_t i = 0; i < count; i++) {
		f.cookies[i] = commands[i]->h.cookie;
		f.statuses[i] = (uint16_t)statuses[i];
	}
	script_reply(c, fence, WIRE_OK, body, (uint32_t)wire_put_fence(body, &f, true));
}
