/*
 * conn_tls.c - TLS of a connection: see tls.h for what it is.
 *
 * The first byte decides.  Until it has come a connection has no TLS state; from
 * then until the handshake is over it has one of HANDSHAKES_MAX places, of which
 * one address cannot have more than its logins (listen.h), and the few dozen KiB
 * that OpenSSL takes.  All of that is within the time that a login has.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "audit.h"
#include "conn.h"
#include "log.h"
#include "secure.h"
#include "server.h"

_Static_assert(LOOP_SCRATCH == TLS_RECEIVE, "what is received fits there when it is decrypted, and what came "
	       "before there was TLS fits into what tls_want gives");

enum tls_who conn_tls_who(void *arg, const char *namespace, const char *node, uint8_t keys[TLS_KEYS][TLS_KEY_SIZE])
{
	struct server *s = arg;
	enum tls_who who = TLS_NO_NODE;
	const struct conf_allowed *a;

	pthread_rwlock_rdlock(&s->conf_lock);
	if (strcmp(namespace, s->conf->namespace) != 0)
		who = TLS_NO_NAMESPACE;
	a = who == TLS_NO_NODE ? access_node(s->conf, node) : NULL;
	if (a) {
		who = TLS_KNOWN;
		memcpy(keys[0], a->key.bytes, TLS_KEY_SIZE);
	}
	if (a && a->second.line)
		memcpy(keys[1], a->second.bytes, TLS_KEY_SIZE);
	pthread_rwlock_unlock(&s->conf_lock);
	return who;
}

static void handshake_over(struct conn *c)
{
	if (c->handshakes)
		atomic_fetch_sub(&c->loop->server->handshakes, 1);
	c->handshakes = false;
}

void conn_tls_free(struct conn *c)
{
	handshake_over(c);
	tls_free(c->tls);
	c->tls = NULL;
}

static int begin(struct conn *c)
{
	struct server *s = c->loop->server;

	c->handshakes = true;
	if (atomic_fetch_add(&s->handshakes, 1) >= HANDSHAKES_MAX) {
		handshake_over(c);
		conn_lost(c, "too many TLS handshakes at once");
		return -EPROTO;
	}
	c->tls = tls_server_new(conn_tls_who, s);
	if (c->tls)
		return 0;
	conn_lost(c, "no memory for a TLS handshake");
	return -EPROTO;
}

/* It is told by an alert, which leaves before the connection is closed. */
static int refuse(struct conn *c)
{
	static const enum wire_status status[] = {
		[TLS_FAULT_KEY] = WIRE_E_KEY, [TLS_FAULT_NAMESPACE] = WIRE_E_NAMESPACE,
		[TLS_FAULT_OTHER] = WIRE_E_SECURITY,
	};
	enum tls_fault fault = tls_fault(c->tls);

	audit(c->host, c->loop->now, LOG_LEVEL_WARNING, "login of %s from %s refused (%s): %s",
	      *tls_node(c->tls) ? tls_node(c->tls) : "(no name)", c->peer,
	      wire_status_name(fault < sizeof(status) / sizeof(*status) && status[fault] ? status[fault] : WIRE_E_SECURITY),
	      tls_why(c->tls));
	conn_leave(c);
	return -EPROTO;
}

/* What tls_got said. */
static int after(struct conn *c, int r)
{
	if (r >= 0 && tls_is_open(c->tls))
		handshake_over(c);
	if (r != -EPROTO)
		return r;
	if (!tls_is_open(c->tls))
		return refuse(c);
	conn_fail(c, "%s", tls_why(c->tls));
	return -EPROTO;
}

static int first_bytes(struct conn *c, const struct iovec *iov, int pieces, size_t *n)
{
	struct iovec into;

	c->begun = true;
	if (*(const uint8_t *)iov->iov_base != TLS_FIRST_BYTE)
		return 1;
	if (begin(c))
		return -EPROTO;
	into = tls_want(c->tls, *n);
	memcpy(into.iov_base, iov->iov_base, *n);
	return after(c, tls_got(c->tls, *n, iov, pieces, n) ? -EPROTO : 1);
}

int conn_receive(struct conn *c, const struct iovec *iov, int pieces, size_t *n, bool *more)
{
	size_t asked = 0;
	ssize_t got;

	if (c->tls)
		return after(c, tls_receive(c->tls, c->source.fd, iov, pieces, n, more));
	got = readv(c->source.fd, iov, pieces);
	if (got <= 0)
		return got ? -errno : 0;
	for (int i = 0; i < pieces; i++)
		asked += iov[i].iov_len;
	*n = (size_t)got;
	*more = *n == asked;
	return c->begun ? 1 : first_bytes(c, iov, pieces, n);
}
