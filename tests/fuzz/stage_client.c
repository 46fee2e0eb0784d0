/* stage_client.c - the clients' side of a stage: what they say and what they hear. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../unit/wire_samples.h"
#include "crc.h"
#include "stage_impl.h"

struct guest guests[GUESTS];
static size_t piece = SIZE_MAX;
static const uint8_t zeroes[WIRE_DATA_MAX];

void guest_piece(size_t size)
{
	piece = size;
}

void guest_open(struct guest *g, int fd)
{
	guest_close(g);
	memset(g, 0, sizeof(*g));
	g->fd = fd;
	g->transcript = secure_transcript_new();
	fuzz_check(g->transcript);
}

void guest_close(struct guest *g)
{
	if (g->fd >= 0)
		close(g->fd);
	g->fd = -1;
	secure_transcript_free(g->transcript);
	g->transcript = NULL;
	tls_free(g->tls);
	g->tls = NULL;
}

/* Hearing. */

static void forget(struct guest *g, unsigned i)
{
	g->count--;
	memmove(&g->sent[i], &g->sent[i + 1], (g->count - i) * sizeof(g->sent[0]));
}

static void heard_login(struct guest *g)
{
	const struct wire_reply *r = &g->reply;
	struct wire_welcome w;
	struct wire_granted a;
	const char *why;

	if (r->status)
		return;
	if (r->type == WIRE_HELLO) {
		fuzz_check(wire_get_welcome(g->body, r->length, &w, &why) == 0);
		secure_transcript_add(g->transcript, g->header, sizeof(g->header));
		secure_transcript_add(g->transcript, g->body, r->length);
		if (g->tls)
			secure_transcript_add(g->transcript, tls_binding(g->tls), TLS_BINDING_SIZE);
		fuzz_check(g->tls ? tls_is_open(g->tls) : !stage_asks_for_tls());
		g->welcome = true;
		return;
	}
	/* Nobody gets in without the proof. */
	fuzz_check(wire_get_granted(g->body, r->length, &a, &why) == 0 && g->proven);
	memcpy(g->session, a.session, sizeof(g->session));
	g->number = a.connection;
	g->up = true;
}

/* The answer fits to what was asked. */
static void heard(struct guest *g)
{
	const struct wire_reply *r = &g->reply;

	if (r->type == WIRE_HELLO || r->type == WIRE_AUTH) {
		heard_login(g);
		return;
	}
	fuzz_check(g->up || r->status);
	if (r->type == WIRE_EVENT)
		return;
	for (unsigned i = 0; i < g->count; i++) {
		if (g->sent[i].cookie != r->cookie || g->sent[i].type != r->type)
			continue;
		if (!r->status && r->type == WIRE_READ)
			fuzz_check(r->length == g->sent[i].count);
		if (!r->status && r->type == WIRE_PING)
			g->stamp = wire_get_stamp(g->body);
		if (!r->status && r->type == WIRE_TAKEOVER)
			fuzz_check(g->deaf || !stage_claimed_elsewhere(g->node, g->life));
		forget(g, i);
		return;
	}
}

void guest_heard(struct guest *g, const uint8_t *data, size_t size)
{
	const char *why = "";

	while (size) {
		bool header = g->have < WIRE_REPLY_SIZE;
		size_t want = WIRE_REPLY_SIZE + (header ? 0 : g->reply.length) - g->have;
		size_t n = size < want ? size : want, at = g->have - WIRE_REPLY_SIZE;

		if (header)
			memcpy(g->header + g->have, data, n);
		else if (at < sizeof(g->body))
			memcpy(g->body + at, data, n < sizeof(g->body) - at ? n : sizeof(g->body) - at);
		g->have += (uint32_t)n;
		data += n;
		size -= n;
		if (n < want)
			return;
		if (header) {
			fuzz_check(wire_get_reply(g->header, &g->reply, &why) == 0);
			fuzz_check(wire_check_reply(&g->reply, &why) == 0);
		}
		if (g->have == WIRE_REPLY_SIZE + g->reply.length) {
			heard(g);
			g->have = 0;
		}
	}
}

void guest_read(struct guest *g)
{
	static uint8_t buf[64u << 10];

	while (g->fd >= 0 && !g->deaf) {
		ssize_t n;

		if (g->tls) {
			if (!guest_read_within(g))
				guest_close(g);
			return;
		}
		n = recv(g->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			guest_close(g);
		else
			guest_heard(g, buf, (size_t)n);
	}
}

/* Saying. */

void guest_say_raw(struct guest *g, const void *data, size_t size)
{
	const uint8_t *at = data;
	unsigned stuck = 0;

	while (size && g->fd >= 0 && stuck < 3) {
		size_t some = size < piece ? size : piece;
		ssize_t n = send(g->fd, at, some, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return;
		if (n > 0) {
			at += n;
			size -= (size_t)n;
			if (size > 64 * piece)
				piece = SIZE_MAX;
		}
		stuck = n < 0 ? stuck + 1 : 0;
		if (size)
			stage_turn();
	}
}

void guest_say(struct guest *g, const void *data, size_t size)
{
	if (g->tls && tls_is_open(g->tls))
		guest_say_within(g, data, size);
	else
		guest_say_raw(g, data, size);
}

static void say_frame(struct guest *g, struct wire_request *r, const void *payload, size_t have)
{
	uint8_t header[WIRE_REQUEST_SIZE];

	wire_put_request(header, r);
	if (g->transcript && r->type == WIRE_HELLO) {
		secure_transcript_add(g->transcript, header, sizeof(header));
		secure_transcript_add(g->transcript, payload, have);
	}
	guest_say(g, header, sizeof(header));
	if (have)
		guest_say(g, payload, have);
}

/* In a free slot, with a checksum where the input wants one. */
static void say_command(struct guest *g, struct wire_request *r, const void *payload, bool sum)
{
	uint32_t slot = (uint32_t)(g->sequence % WIRE_IN_FLIGHT_MAX);

	r->cookie = ++g->sequence << WIRE_SLOT_BITS | slot;
	if (sum) {
		r->flags |= WIRE_FLAG_CRC;
		r->payload_crc = crc32c(0, payload, r->length);
	}
	if (g->count < SENT_MAX)
		g->sent[g->count++] = *r;
	say_frame(g, r, payload, r->length);
}

void guest_life(uint8_t life[16], uint8_t which)
{
	memcpy(life, a_hello().life, 16);
	life[0] = which & 3;
}

void guest_hello(struct guest *g, uint8_t odd)
{
	struct wire_request r = { .type = WIRE_HELLO, .cookie = 7 };
	struct wire_hello h = a_hello();
	uint8_t body[WIRE_LOGIN_MAX];

	h.namespace_id = odd == 255 ? 1 : 200;
	h.features.payload_crc = !(odd & 1);
	h.features.snapshots = h.features.copy = odd != 251;
	strcpy(h.node, odd & 2 ? "venus" : "sles1");
	guest_life(h.life, odd >> 2);
	h.machine[0] = odd >> 4 & 1;
	h.run[0] = odd >> 5 & 1;
	if (odd & 64)
		h.limits = (struct wire_limits){ 4096, 2, 8192 };
	if (odd == 254)
		h.version_least = h.version_most = 2;
	if (odd == 253)
		strcpy(h.node, "nobody");
	strcpy(g->node, h.node);
	if (stage_tls && !g->tls && !(odd & 128 && odd < 250))
		guest_handshake(g, odd == 252 ? "venus" : g->node);
	memcpy(g->life, h.life, sizeof(g->life));
	g->asked = true;
	r.length = (uint32_t)wire_put_hello(body, &h);
	say_frame(g, &r, body, r.length);
}

void guest_auth(struct guest *g, uint8_t whose, uint8_t wrong)
{
	struct wire_request r = { .type = WIRE_AUTH, .cookie = 8 };
	struct wire_auth a = { .session = { 0 } };
	uint8_t body[WIRE_LOGIN_MAX];

	/* None, one that another connection has, or one that nobody has. */
	if (whose % 8 && whose % 8 <= GUESTS)
		memcpy(a.session, guests[whose % 8 - 1].session, sizeof(a.session));
	else if (whose % 8)
		memset(a.session, whose, sizeof(a.session));
	if (g->transcript)
		secure_client_proof(g->transcript, stage_key(g->node), a.session, a.proof);
	a.proof[wrong % 32] ^= wrong;
	/* A later one ends the connection, though the answer to this may be read only then. */
	if (!g->tried)
		g->proven = g->transcript && !wrong;
	g->tried = true;
	r.length = (uint32_t)wire_put_auth(body, &a);
	say_frame(g, &r, body, r.length);
}

static const uint8_t types[] = { WIRE_READ, WIRE_WRITE, WIRE_FLUSH, WIRE_DISCARD,
				 WIRE_WRITE_ZEROES, WIRE_STATUS, WIRE_LIST, WIRE_CLOSE, WIRE_PING,
				 WIRE_BYE, WIRE_CONTROL };

/* By handle what is asked for, of a few ids and names: requests that a server understands are
 * rarely found by chance. */
static size_t control_text(char *out, size_t size, uint8_t handle, uint32_t offset)
{
	static const char *const asks[] = { "counters", "pools", "volumes", "volume", "job", "cancel", "start" };
	static const char *const work[] = {
		"create\",\"volume\":\"%s\",\"size\":65536,\"if_missing\":true", "create\",\"volume\":\"%s\",\"size\":512,\"pool\":\"main\"",
		"resize\",\"volume\":\"%s\",\"size\":131072", "resize\",\"volume\":\"%1$s\",\"size\":1024,\"confirm\":\"%1$s\"",
		"rename\",\"volume\":\"%s\",\"to\":\"new\"", "remove\",\"volume\":\"%1$s\",\"confirm\":\"%1$s\",\"snapshots\":true",
		"snapshot\",\"volumes\":[\"%s\"],\"name\":\"s\"", "snapshot_remove\",\"volume\":\"%s\",\"snapshot\":\"s\"",
		"rollback\",\"volume\":\"%1$s\",\"snapshot\":\"s\",\"confirm\":\"%1$s\"", "clone\",\"volume\":\"%s@s\",\"to\":\"new\"",
		"clone\",\"volume\":\"%s\",\"prefix\":\"c\",\"count\":3", "copy\",\"volume\":\"%s\",\"to\":\"b\"",
		"access\",\"volume\":\"%s\",\"clients\":[\"venus:ro\"]", "label\",\"volume\":\"%s\",\"text\":\"x\"",
		"schedule\",\"volume\":\"%s\",\"every\":60,\"keep\":1", "limit\",\"volume\":\"%s\",\"iops\":100",
	};
	static const char *const names[] = { "a", "b", "new", "oracle", "a@s", "c1", "secret", "none" };
	const char *what = asks[handle % 7], *name = names[offset >> 6 & 7];
	char op[200] = "";
	int n;

	snprintf(op, sizeof(op), work[offset >> 9 & 15], name);
	n = snprintf(out, size, "{\"do\":\"%s\",\"id\":\"%032x\"%s%s%s%s%s%s%s}", what, offset >> 13 & 7,
		     strcmp(what, "volume") == 0 ? ",\"name\":\"" : "", strcmp(what, "volume") == 0 ? name : "",
		     strcmp(what, "volume") == 0 ? "\"" : "", strcmp(what, "start") == 0 ? ",\"work\":{\"op\":\"" : "",
		     strcmp(what, "start") == 0 ? op : "", strcmp(what, "start") == 0 ? "}" : "",
		     offset >> 16 & 1 && strcmp(what, "start") == 0 ? ",\"attended\":true" : "");
	fuzz_check(n > 0 && (size_t)n < size);
	return (size_t)n;
}

/* From the same volume or another one that may be open. */
static void guest_copy(struct guest *g, uint8_t how, uint8_t handle, uint32_t offset, uint32_t count)
{
	struct wire_request r = { .type = WIRE_COPY, .handle = handle, .offset = offset, .length = WIRE_COPY_SIZE };
	uint8_t source[WIRE_COPY_SIZE];

	r.count = count % (WIRE_COPY_MAX + 2);
	wire_put_copy(source, handle ^ (how >> 6), (count ^ offset) >> (how & 16));
	say_command(g, &r, source, how & 64);
}

void guest_command(struct guest *g, uint8_t how, uint8_t handle, uint32_t offset, uint32_t count)
{
	char control[512];
	uint8_t type = types[how % sizeof(types)];
	struct wire_request r = { .type = type, .handle = handle, .offset = offset };
	const void *payload = zeroes;
	bool fua = r.type == WIRE_WRITE || r.type == WIRE_DISCARD || r.type == WIRE_WRITE_ZEROES;

	if (type == WIRE_STATUS && how & 32) {
		guest_copy(g, how, handle, offset, count);
		return;
	}
	if (r.type == WIRE_READ || r.type == WIRE_WRITE || r.type == WIRE_LIST)
		r.count = count < WIRE_DATA_MAX ? count : WIRE_DATA_MAX;
	else if (r.type != WIRE_FLUSH && r.type != WIRE_CLOSE)
		r.count = count;
	if (r.type == WIRE_WRITE)
		r.length = r.count;
	if (r.type == WIRE_CONTROL) {
		payload = control;
		r.length = (uint32_t)control_text(control, sizeof(control), handle, offset);
		r.handle = 0;
		r.offset = r.count = 0;
	}
	r.flags = how & 128 && fua ? WIRE_FLAG_FUA : 0;
	if (how & 128 && r.type == WIRE_PING)
		r.offset = g->stamp;
	say_command(g, &r, payload, how & 64);
}

void guest_open_volume(struct guest *g, uint8_t handle, uint8_t volume, uint8_t how)
{
	static const char *const names[] = { "oracle", "mail", "secret", "none" };
	struct wire_request r = { .type = WIRE_OPEN, .handle = handle };
	struct wire_open o = { .has_identity = how & 1 };
	uint8_t body[WIRE_OPEN_MAX];

	strcpy(o.name, volume & 64 ? "both" : names[volume % 4]);
	stage_volume_uuid(volume & 64 ? 3 : volume % 4 == 3 ? 4 : volume % 4, o.uuid, &o.generation);
	o.generation += how >> 1 & 1;
	o.uuid[0] = (uint8_t)(o.uuid[0] + (how >> 2 & 1));
	r.flags = how & 8 ? WIRE_FLAG_READ_ONLY : 0;
	r.length = (uint32_t)wire_put_open(body, &o);
	say_command(g, &r, body, how & 16);
}

/* Of a connection of its own, of any other, or of one that never was. */
void guest_fence(struct guest *g, uint8_t whom, uint8_t how)
{
	static struct wire_fence f;
	static uint8_t body[WIRE_FENCE_MAX];
	struct wire_request r = { .type = WIRE_FENCE };
	const struct guest *of = &guests[whom % GUESTS];

	f.connection = whom & 128 ? whom : of->number;
	f.count = 0;
	for (unsigned i = 0; i < of->count; i++)
		if (how >> (i % 8) & 1)
			f.cookies[f.count++] = of->sent[i].cookie;
	r.length = (uint32_t)wire_put_fence(body, &f, false);
	say_command(g, &r, body, false);
}

/* Does a server, the other one of the shared volume or none, let go? */
void guest_takeover(struct guest *g, uint8_t handle, uint8_t how)
{
	struct wire_request r = { .type = WIRE_TAKEOVER, .handle = handle };
	struct wire_takeover t = { .server_id = how & 3 };
	uint8_t body[WIRE_TAKEOVER_MAX];

	strcpy(t.server, how & 4 ? "big-3" : "big-2");
	r.length = (uint32_t)wire_put_takeover(body, &t);
	say_command(g, &r, body, false);
}

/* Any header with a right checksum. */
void guest_frame(struct guest *g, struct fuzz_in *in)
{
	struct wire_request r = { .type = fuzz_u8(in), .flags = fuzz_u8(in) };
	uint8_t what = fuzz_u8(in);
	size_t n;
	const uint8_t *body;

	r.cookie = what & 1 ? fuzz_u8(in) : what & 2 && g->count ? g->sent[0].cookie : fuzz_u64(in);
	r.handle = fuzz_u8(in);
	r.offset = what & 4 ? fuzz_u64(in) : fuzz_u16(in) * 512u;
	r.count = what & 8 ? fuzz_u32(in) : fuzz_u8(in);
	body = fuzz_bytes(in, fuzz_u8(in), &n);
	r.length = what & 16 ? fuzz_u32(in) : (uint32_t)n;
	r.payload_crc = r.flags & WIRE_FLAG_CRC && !(what & 32) ? crc32c(0, body, n) : what;
	say_frame(g, &r, body, n);
}
