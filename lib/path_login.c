#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "path_impl.h"

void path_login_free(struct path *p)
{
	if (!p->login)
		return;
	secure_transcript_free(p->login->transcript);
	secure_wipe(p->login, sizeof *p->login);
	free(p->login);
	p->login = NULL;
}

/* Twice as long as we take to see that a server is gone: when it lets go, we know.  Where a
 * write of 1 MiB, which no ping overtakes once it is begun, takes seconds, the session would
 * end again and again: there it is the longest that there is. */
uint32_t path_lease(const struct path *p)
{
	double ms = p->slow ? WIRE_LEASE_MAX : 2 * p->setup.namespace->behaviour.detect * 1000;

	return ms < WIRE_LEASE_MIN ? WIRE_LEASE_MIN : ms > WIRE_LEASE_MAX ? WIRE_LEASE_MAX : (uint32_t)ms;
}

int path_login_start(struct path *p)
{
	const struct conf_namespace *n = p->setup.namespace;
	struct wire_hello h = {
		.features = { .payload_crc = n->behaviour.payload_crc, .snapshots = true, .copy = true },
		.limits = { WIRE_DATA_MAX, WIRE_IN_FLIGHT_MAX, WIRE_SESSION_BYTES_MAX },
		.namespace_id = (uint16_t)n->id,
		.lease = path_lease(p),
	};
	struct wire_request r = { .type = WIRE_HELLO };
	uint8_t body[WIRE_LOGIN_MAX], header[WIRE_REQUEST_SIZE];

	p->login = calloc(1, sizeof *p->login);
	if (p->login)
		p->login->transcript = secure_transcript_new();
	if (!p->login || !p->login->transcript || secure_random(h.nonce, sizeof h.nonce) < 0) {
		path_lost(p, "no memory for a login");
		return -ENOMEM;
	}
	if (n->behaviour.security == CONF_SECURITY_TLS) {
		p->tls = tls_client_new(n->name, n->nodename, n->key.bytes);
		if (!p->tls) {
			path_lost(p, "no memory for a TLS handshake");
			return -ENOMEM;
		}
	}
	strcpy(h.namespace, n->name);
	strcpy(h.node, n->nodename);
	memcpy(h.machine, p->setup.machine, sizeof h.machine);
	memcpy(h.boot, p->setup.boot, sizeof h.boot);
	memcpy(h.run, p->setup.run, sizeof h.run);
	memcpy(h.life, p->setup.life, sizeof h.life);
	r.length = (uint32_t)wire_put_hello(body, &h);
	wire_put_request(header, &r);
	secure_transcript_add(p->login->transcript, header, sizeof header);
	secure_transcript_add(p->login->transcript, body, r.length);
	return path_put(p, &r, body, true);
}

void path_login_header(struct path *p, const uint8_t *header)
{
	if (p->state == PATH_HELLO)
		secure_transcript_add(p->login->transcript, header, WIRE_REPLY_SIZE);
}

int path_login_auth(struct path *p)
{
	struct wire_auth a;
	struct wire_request r = { .type = WIRE_AUTH };
	uint8_t body[WIRE_LOGIN_MAX];

	if (p->tls)
		secure_transcript_add(p->login->transcript, tls_binding(p->tls), TLS_BINDING_SIZE);
	memcpy(a.session, p->login->join, sizeof a.session);
	secure_client_proof(p->login->transcript, p->setup.namespace->key.bytes, a.session, a.proof);
	memcpy(p->login->proof, a.proof, sizeof a.proof);
	r.length = (uint32_t)wire_put_auth(body, &a);
	return path_put(p, &r, body, true);
}

void path_proceed(struct path *p, const uint8_t join[WIRE_SESSION_SIZE])
{
	if (p->state != PATH_WAITING)
		return;
	memcpy(p->login->join, join, WIRE_SESSION_SIZE);
	path_event(p, PATH_EV_TURN);
}

static void refused_key(struct path *p)
{
	const struct conf_namespace *n = p->setup.namespace;

	p->refused = WIRE_E_KEY;
	path_lost(p, "the server refuses the login of node %s: unknown node name or wrong key; "
		  "compare nodename and nodekey of namespace %s with [clients] on the server", n->nodename, n->name);
}

void path_login_tls_failed(struct path *p)
{
	const struct conf_namespace *n = p->setup.namespace;

	tls_send(p->tls, p->fd, NULL, 0);	/* the alert, if there is one and it fits */
	switch (tls_is_open(p->tls) ? TLS_FAULT_OTHER : tls_fault(p->tls)) {
	case TLS_FAULT_KEY:
		refused_key(p);
		break;
	case TLS_FAULT_NAMESPACE:
		p->refused = WIRE_E_NAMESPACE;
		path_lost(p, "the server does not serve namespace %s", n->name);
		break;
	case TLS_FAULT_PROOF:
		p->refused = WIRE_E_KEY;
		path_lost(p, "the server does not prove that it knows the key of node %s: %s; "
			  "is that port a portal of rssrv, with nothing in between?", n->nodename, tls_why(p->tls));
		break;
	case TLS_FAULT_FOREIGN:
		path_lost(p, "%s; is that port a portal of rssrv? Its log says more", tls_why(p->tls));
		break;
	case TLS_FAULT_NOT_TLS:
		path_lost(p, "the server does not answer with TLS: %s; is that port a portal of rssrv?", tls_why(p->tls));
		break;
	default:
		path_lost(p, "protocol error: %s", tls_why(p->tls));
		break;
	}
}

/* The server said no: its words where it has some, ours otherwise, and the next step. */
static int refused(struct path *p, const struct wire_reply *r, const uint8_t *payload)
{
	const struct conf_namespace *n = p->setup.namespace;
	char text[WIRE_TEXT_MAX + 1];

	wire_get_text_body(payload, r->length, text);
	for (char *c = text; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	p->refused = r->status;
	if (r->status == WIRE_E_KEY)
		refused_key(p);
	else if (r->status == WIRE_E_SECURITY)
		path_lost(p, "the server refuses the login: %s; set security = tls in [namespace %s]",
			  *text ? text : wire_status_text(r->status), n->name);
	else if (r->status == WIRE_E_NAMESPACE)
		path_lost(p, "the server does not serve namespace %s (id %d)%s%s", n->name, n->id, *text ? ": " : "", text);
	else
		path_lost(p, "the server refuses the login: %s", *text ? text : wire_status_text(r->status));
	return -EACCES;
}

static int protocol_error(struct path *p, const char *what, const char *why)
{
	path_lost(p, "protocol error in %s: %s", what, why);
	return -EPROTO;
}

static int got_welcome(struct path *p, const struct wire_reply *r, const uint8_t *payload)
{
	struct wire_welcome *w = &p->welcome;
	const char *why = "";
	int go;

	secure_transcript_add(p->login->transcript, payload, r->length);
	if (r->status)
		return refused(p, r, payload);
	if (wire_get_welcome(payload, r->length, w, &why) < 0)
		return protocol_error(p, "the server's hello", why);
	if (*w->features.unknown) {
		path_lost(p, "the server insists on the feature %s, which this version does not have", w->features.unknown);
		return -EPROTO;
	}
	p->payload_crc = p->setup.namespace->behaviour.payload_crc && w->features.payload_crc;
	p->limits = wire_merge_limits((struct wire_limits){ WIRE_DATA_MAX, WIRE_IN_FLIGHT_MAX, WIRE_SESSION_BYTES_MAX },
				      w->limits);
	go = p->ops->welcome(p->owner, p, w, p->login->join);
	if (go < 0) {
		path_lost(p, "%s", p->reason);
		return go;
	}
	path_event(p, go ? PATH_EV_WELCOME : PATH_EV_WAIT);
	return 0;
}

static int got_grant(struct path *p, const struct wire_reply *r, const uint8_t *payload)
{
	struct wire_granted g;
	uint8_t expected[WIRE_PROOF_SIZE];
	const char *why = "";

	if (r->status)
		return refused(p, r, payload);
	if (wire_get_granted(payload, r->length, &g, &why) < 0)
		return protocol_error(p, "the server's grant", why);
	secure_server_proof(p->login->transcript, p->setup.namespace->key.bytes, g.session, g.connection,
			    p->login->proof, expected);
	if (!secure_equal(expected, g.proof, sizeof expected)) {
		p->refused = WIRE_E_KEY;
		path_lost(p, "the server does not prove that it knows the key of node %s", p->setup.namespace->nodename);
		return -EACCES;
	}
	p->connection = g.connection;
	g.joined = !memcmp(g.session, p->login->join, sizeof g.session);
	path_login_free(p);
	path_event(p, PATH_EV_GRANTED);
	p->ops->up(p->owner, p, &g);
	return 0;
}

int path_login_reply(struct path *p, const struct wire_reply *r, const uint8_t *payload)
{
	if (p->state == PATH_HELLO && r->type == WIRE_HELLO)
		return got_welcome(p, r, payload);
	if (p->state == PATH_LOGIN && r->type == WIRE_AUTH)
		return got_grant(p, r, payload);
	if ((r->type == WIRE_HELLO || r->type == WIRE_AUTH) && r->status)
		return refused(p, r, payload);	/* a late refusal: the connection's limits, say */
	return protocol_error(p, "the login", "an answer that nobody asked for");
}
