/*
 * login.c - HELLO and AUTH.  wire.h has the frames, secure.h the proofs.
 *
 * Until the proof was checked a connection can make the server send two small
 * frames and compute two hashes, and nothing else.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "audit.h"
#include "conn.h"
#include "listen.h"
#include "log.h"
#include "secure.h"
#include "server.h"

struct conn_login {
	struct secure_transcript *transcript;
	uint8_t header[WIRE_REQUEST_SIZE];	/* of the frame that is awaited */
	struct wire_hello hello;
	struct login_request request;
	uint8_t keys[2][SECURE_KEY_SIZE];	/* that the node may have */
	unsigned place;				/* which it was: 1 or 2 */
	const char *joined_with;		/* access_key_name of its place then: others may look for another meanwhile */
	uint8_t proof[WIRE_PROOF_SIZE];		/* the client's */
	uint64_t cookie;			/* of AUTH */
	bool known;				/* the node is in the client list */
};

void login_log(struct conn *c, enum log_level level, const char *fmt, ...)
{
	char part[CONN_PART_MAX], text[WIRE_TEXT_MAX + 200];
	va_list ap;

	if (level < LOG_LEVEL_DEBUG && !audit_room(c->host, c->loop->now))
		level = LOG_LEVEL_DEBUG;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_line(level, conn_part(c, false, part), "%s", text);
}

void login_free(struct conn *c)
{
	if (!c->login)
		return;
	secure_transcript_free(c->login->transcript);
	secure_free(c->login);
	c->login = NULL;
}

void login_header(struct conn *c, const uint8_t *header)
{
	if (!c->login) {
		c->login = secure_alloc(sizeof(*c->login));
		if (!c->login)
			return;		/* login_frame says so */
	}
	memcpy(c->login->header, header, WIRE_REQUEST_SIZE);
}

/* The client gets a sentence, and so does the log. */
static int refuse(struct conn *c, enum wire_status status, const char *log_text, const char *text)
{
	const struct wire_hello *h = &c->login->hello;

	audit(c->host, c->loop->now, LOG_LEVEL_WARNING, "login of %s from %s refused (%s): %s",
	      h->node[0] ? h->node : "(no name)", c->peer, wire_status_name(status), log_text);
	conn_refuse(c, c->request.type, c->request.cookie, status, text);
	conn_leave(c);
	return FRAME_STOP;
}

static int check_hello(struct conn *c, const struct wire_hello *h, const struct conf_server *conf)
{
	char text[WIRE_TEXT_MAX + 1];

	if (h->version_least > WIRE_VERSION || h->version_most < WIRE_VERSION) {
		snprintf(text, sizeof(text), "this server speaks version %d of the protocol, the client %u to %u",
			 WIRE_VERSION, h->version_least, h->version_most);
		return refuse(c, WIRE_E_VERSION, text, text);
	}
	if (h->features.unknown[0]) {
		snprintf(text, sizeof(text), "feature %s is not known here", h->features.unknown);
		return refuse(c, WIRE_E_FEATURE, text, text);
	}
	if (h->unknown_tag) {
		snprintf(text, sizeof(text), "record %u is mandatory and not known here", h->unknown_tag);
		return refuse(c, WIRE_E_FEATURE, text, text);
	}
	if (conf->security == CONF_SECURITY_TLS && !c->tls)
		return refuse(c, WIRE_E_SECURITY, "it offers auth, and tls is the least that is accepted",
			      "this server asks for tls, and this client offers auth");
	if (strcmp(h->namespace, conf->namespace) != 0 || h->namespace_id != conf->namespace_id) {
		snprintf(text, sizeof(text), "this server is of namespace %s (%d), the client asks for %s (%u)",
			 conf->namespace, conf->namespace_id, h->namespace, h->namespace_id);
		return refuse(c, WIRE_E_NAMESPACE, text, text);
	}
	return 0;
}

static void welcome(struct conn *c, const struct wire_hello *h, const struct conf_server *conf)
{
	static const struct wire_limits mine = { WIRE_DATA_MAX, WIRE_IN_FLIGHT_MAX, WIRE_SESSION_BYTES_MAX };
	const struct server *s = c->loop->server;
	struct wire_welcome w = {
		.features = { .payload_crc = h->features.payload_crc, .snapshots = h->features.snapshots,
			      .copy = h->features.copy },
		.limits = wire_merge_limits(mine, h->limits),
		.server_id = (uint16_t)conf->server_id,
	};
	struct wire_reply r = { .type = WIRE_HELLO, .cookie = c->request.cookie };
	uint8_t body[WIRE_LOGIN_MAX], header[WIRE_REPLY_SIZE];

	memcpy(w.server, conf->server, sizeof(w.server));
	memcpy(w.machine, s->machine, sizeof(w.machine));
	memcpy(w.boot, s->boot, sizeof(w.boot));
	memcpy(w.life, s->life, sizeof(w.life));
	snprintf(w.version, sizeof(w.version), "rssrv %s", RSIO_VERSION);
	if (secure_random(w.nonce, sizeof(w.nonce)) < 0) {
		conn_fail(c, "no random numbers for a login");
		return;
	}
	c->crc = w.features.payload_crc;
	c->snapshots = w.features.snapshots;
	c->copies = w.features.copy;
	c->secure = c->tls != NULL;
	c->limits = w.limits;
	r.length = (uint32_t)wire_put_welcome(body, &w);
	wire_put_reply(header, &r);
	secure_transcript_add(c->login->transcript, header, sizeof(header));
	secure_transcript_add(c->login->transcript, body, r.length);
	conn_reply(c, &r, body, r.length);
}

static int hello(struct conn *c, const uint8_t *payload, uint32_t length)
{
	struct conn_login *l = c->login;
	struct server *s = c->loop->server;
	const char *why;
	int r;

	if (wire_get_hello(payload, length, &l->hello, &why))
		return conn_fail(c, "%s", why);
	/* Who made the handshake is who logs in. */
	if (c->tls && (strcmp(l->hello.node, tls_node(c->tls)) != 0 ||
		       strcmp(l->hello.namespace, tls_namespace(c->tls)) != 0))
		return conn_fail(c, "a hello of %s/%s in a TLS connection of %s/%s", l->hello.namespace,
				 l->hello.node, tls_namespace(c->tls), tls_node(c->tls));
	l->transcript = secure_transcript_new();
	if (!l->transcript)
		return conn_fail(c, "no memory for a login");
	secure_transcript_add(l->transcript, l->header, sizeof(l->header));
	secure_transcript_add(l->transcript, payload, length);
	pthread_rwlock_rdlock(&s->conf_lock);
	r = check_hello(c, &l->hello, s->conf);
	if (!r)
		welcome(c, &l->hello, s->conf);
	pthread_rwlock_unlock(&s->conf_lock);
	if (!r)
		c->state = CONN_AUTH;
	return r;
}

/* A node that is not known gets random keys, so that it looks as one with a wrong key,
 * and one that has a single key gets a random second. */
static int find_keys(struct conn *c)
{
	struct conn_login *l = c->login;
	struct server *s = c->loop->server;
	const struct conf_allowed *a;

	if (secure_random(l->keys, sizeof(l->keys)) < 0)
		return conn_fail(c, "no random numbers for a login");
	pthread_rwlock_rdlock(&s->conf_lock);
	a = access_node(s->conf, l->hello.node);
	l->known = a != NULL;
	if (a)
		memcpy(l->keys[0], a->key.bytes, SECURE_KEY_SIZE);
	if (a && a->second.line)
		memcpy(l->keys[1], a->second.bytes, SECURE_KEY_SIZE);
	pthread_rwlock_unlock(&s->conf_lock);
	return 0;
}

/* Whose proof is it: 1, 2, or 0 for none of them. */
static unsigned proved(struct conn_login *l, const struct wire_auth *a)
{
	uint8_t expected[WIRE_PROOF_SIZE];
	unsigned place = 0;

	for (unsigned i = 0; i < 2; i++) {
		secure_client_proof(l->transcript, l->keys[i], a->session, expected);
		if (secure_equal(expected, a->proof, sizeof(expected)))
			place = i + 1;
	}
	return l->known ? place : 0;
}

static void granted(struct conn *c)
{
	struct conn_login *l = c->login;
	struct wire_granted g = { .connection = c->number };
	struct wire_reply r = { .type = WIRE_AUTH, .cookie = l->cookie };
	uint8_t body[WIRE_LOGIN_MAX];
	char part[CONN_PART_MAX];

	memcpy(g.session, c->client->id, sizeof(g.session));
	secure_server_proof(l->transcript, l->keys[l->place - 1], g.session, g.connection, l->proof, g.proof);
	conn_reply(c, &r, body, (uint32_t)wire_put_granted(body, &g));
	c->state = CONN_UP;
	c->deadline = 0;
	log_info(conn_part(c, true, part), "started transmit for clt %s %s", c->client->node, c->peer);
	log_info(conn_part(c, false, part), "started receive for clt %s %s%s%s", c->client->node, c->peer,
		 c->tls ? ", " : "", c->tls ? tls_cipher(c->tls) : "");
	audit(c->host, c->loop->now, LOG_LEVEL_INFO, "login of %s from %s granted: session %u over %s, %s key%s",
	      c->client->node, c->peer, c->client->index, c->portal, l->joined_with, c->tls ? ", tls" : "");
	login_free(c);
	listen_login_over(c->loop->server->listeners, c->host);
	c->counted = false;
}

/* The key may have been taken away since it was proved, and more security may be asked for:
 * a login can wait for long.  Whoever
 * takes it away afterwards finds this connection in its session. */
static enum login_result join(struct conn *c, enum wire_status *status, char text[WIRE_TEXT_MAX + 1])
{
	struct server *s = c->loop->server;
	enum login_result r = LOGIN_REFUSED;

	pthread_rwlock_rdlock(&s->conf_lock);
	c->key_place = access_key_place(s->conf, c->login->hello.node, c->key_id);
	c->login->joined_with = access_key_name(c->key_place);
	*status = WIRE_E_KEY;
	snprintf(text, WIRE_TEXT_MAX + 1, "the node's key was changed or removed");
	if (c->key_place && s->conf->security == CONF_SECURITY_TLS && !c->secure) {
		*status = WIRE_E_SECURITY;
		snprintf(text, WIRE_TEXT_MAX + 1, "tls is asked for from now on");
	} else if (c->key_place)
		r = client_login(s->clients, c, &c->login->request, status, text);
	pthread_rwlock_unlock(&s->conf_lock);
	return r;
}

static int try_login(struct conn *c)
{
	char text[WIRE_TEXT_MAX + 1];
	enum wire_status status;
	char part[CONN_PART_MAX];

	switch (join(c, &status, text)) {
	case LOGIN_DONE:
		granted(c);
		return 0;
	case LOGIN_WAIT:
		if (c->state != CONN_JOINING)
			log_info(conn_part(c, false, part), "login of %s from %s waits for its earlier session to end",
				 c->login->hello.node, c->peer);
		c->state = CONN_JOINING;
		c->deadline = c->loop->now + WIRE_LEASE * SECOND;
		c->holds++;
		return FRAME_STOP;
	case LOGIN_REFUSED:
		break;
	}
	return refuse(c, status, text, text);
}

void conn_login_again(struct engine *l, struct message *m)
{
	struct conn *c = (struct conn *)((char *)m - offsetof(struct conn, again));

	(void)l;
	c->holds--;
	if (c->state == CONN_JOINING)
		try_login(c);
	else
		conn_release(c);
	conn_touch(c);
}

static int auth(struct conn *c, const uint8_t *payload, uint32_t length)
{
	struct conn_login *l = c->login;
	struct wire_auth a;
	const char *why;

	if (wire_get_auth(payload, length, &a, &why))
		return conn_fail(c, "%s", why);
	if (find_keys(c))
		return -EPROTO;
	if (c->tls)
		secure_transcript_add(l->transcript, tls_binding(c->tls), TLS_BINDING_SIZE);
	l->place = proved(l, &a);
	if (!l->place)
		return refuse(c, WIRE_E_KEY, l->known ? "its key is wrong" : "no such node in [clients]",
			      "unknown node name or wrong key: compare nodename and nodekey with the server's [clients]");
	access_key_id(l->keys[l->place - 1], c->key_id);
	memcpy(l->proof, a.proof, sizeof(l->proof));
	l->cookie = c->request.cookie;
	memcpy(l->request.node, l->hello.node, sizeof(l->request.node));
	memcpy(l->request.machine, l->hello.machine, sizeof(l->request.machine));
	memcpy(l->request.boot, l->hello.boot, sizeof(l->request.boot));
	memcpy(l->request.run, l->hello.run, sizeof(l->request.run));
	memcpy(l->request.life, l->hello.life, sizeof(l->request.life));
	memcpy(l->request.session, a.session, sizeof(l->request.session));
	l->request.lease = l->hello.lease;
	c->again.run = conn_login_again;
	return try_login(c);
}

int login_frame(struct conn *c, const uint8_t *payload, uint32_t length)
{
	if (!c->login)
		return conn_fail(c, "no memory for a login");
	return c->state == CONN_HELLO ? hello(c, payload, length) : auth(c, payload, length);
}
