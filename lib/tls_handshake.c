/*
 * tls_handshake.c - the handshake, by OpenSSL: see tls.h.
 *
 * It is fed one record at a time, so that nothing it must not see, the data behind
 * the last record, is ever inside of it; and what it says is taken out after each.
 * It reads no file, knows no certificate and keeps no session.  Both roles check
 * that the handshake was made with the external PSK: OpenSSL calls that a session
 * that was reused.
 *
 * What comes before the handshake is over is bounded (HANDSHAKE_MAX).
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include "secure.h"
#include "tls_impl.h"

#define HANDSHAKE_MAX (16u << 10)
#define HINT_DIGITS 8
#define IDENTITY_MAX (2 * TLS_NAME_MAX + 1 + 1 + HINT_DIGITS)
#define SUITES "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"	/* of the PSK's hash */
#define GROUPS "X25519:P-256"

static const char binding_label[] = "EXPORTER-rsio-binding";
static const char client_secret[] = "CLIENT_TRAFFIC_SECRET_0 ";
static const char server_secret[] = "SERVER_TRAFFIC_SECRET_0 ";

struct tls_handshake {
	SSL *ssl;
	BIO *in, *out;			/* the ssl's */
	char identity[IDENTITY_MAX + 1];
	uint8_t psk[SECURE_PROOF_SIZE];	/* client */
	enum tls_who who;		/* server: what look_up said */
	size_t fed;
};

/*
 * What both roles are made of: const once made.
 */
static SSL_CTX *contexts[2];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int find_session(SSL *ssl, const unsigned char *identity, size_t n, SSL_SESSION **session);
static int use_session(SSL *ssl, const EVP_MD *md, const unsigned char **identity, size_t *n,
		       SSL_SESSION **session);
static void got_secret(const SSL *ssl, const char *line);

static SSL_CTX *new_context(bool server)
{
	SSL_CTX *c = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	if (!c)
		return NULL;
	SSL_CTX_set_options(c, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_clear_options(c, SSL_OP_ENABLE_MIDDLEBOX_COMPAT | SSL_OP_ALLOW_NO_DHE_KEX);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_keylog_callback(c, got_secret);
	if (server)
		SSL_CTX_set_psk_find_session_callback(c, find_session);
	else
		SSL_CTX_set_psk_use_session_callback(c, use_session);
	/* A client believes no certificate, whoever signed it: it has no list of those. */
	SSL_CTX_set_verify(c, server ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) == 1 &&
	    SSL_CTX_set_max_proto_version(c, TLS1_3_VERSION) == 1 &&
	    SSL_CTX_set_ciphersuites(c, SUITES) == 1 && SSL_CTX_set1_groups_list(c, GROUPS) == 1 &&
	    SSL_CTX_set_num_tickets(c, 0) == 1 && SSL_CTX_set_max_early_data(c, 0) == 1)
		return c;
	SSL_CTX_free(c);
	return NULL;
}

static void make_contexts(void)
{
	contexts[0] = new_context(false);
	contexts[1] = new_context(true);
}

/*
 * The pre-shared key.
 */
static SSL_SESSION *psk_session(SSL *ssl, const uint8_t psk[SECURE_PROOF_SIZE])
{
	static const unsigned char suite[] = { SUITE_AES_128_GCM >> 8, SUITE_AES_128_GCM & 0xff };
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, suite);
	SSL_SESSION *s = SSL_SESSION_new();

	if (s && cipher && SSL_SESSION_set1_master_key(s, psk, SECURE_PROOF_SIZE) == 1 &&
	    SSL_SESSION_set_cipher(s, cipher) == 1 &&
	    SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION) == 1)
		return s;
	SSL_SESSION_free(s);
	return NULL;
}

static int use_session(SSL *ssl, const EVP_MD *md, const unsigned char **identity, size_t *n,
		       SSL_SESSION **session)
{
	struct tls_handshake *h = ((struct tls *)SSL_get_app_data(ssl))->handshake;

	(void)md;			/* SHA-256: there are no other suites */
	*session = psk_session(ssl, h->psk);
	*identity = (const unsigned char *)h->identity;
	*n = strlen(h->identity);
	return *session != NULL;
}

static bool set_name(char to[TLS_NAME_MAX + 1], const unsigned char *from, size_t n)
{
	if (!n || n > TLS_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (from[i] <= ' ' || from[i] >= 0x7f)
			return false;
	memcpy(to, from, n);
	to[n] = 0;
	return true;
}

static void make_hint(const uint8_t key[TLS_KEY_SIZE], char hint[HINT_DIGITS + 1])
{
	uint8_t id[16];

	secure_id("rsio tls hint", key, TLS_KEY_SIZE, id);
	for (int i = 0; i < HINT_DIGITS / 2; i++)
		sprintf(hint + 2 * i, "%02x", id[i]);
}

/* NAMESPACE/NODE or NAMESPACE/NODE/HINT into t's names; the hint, or NULL. */
static const unsigned char *split(struct tls *t, const unsigned char *identity, size_t n, bool *ok)
{
	const unsigned char *end = identity + n, *node = memchr(identity, '/', n), *hint;

	*ok = false;
	if (!node)
		return NULL;
	hint = memchr(node + 1, '/', (size_t)(end - node - 1));
	if (hint && end - hint != 1 + HINT_DIGITS)
		return NULL;
	*ok = set_name(t->namespace, identity, (size_t)(node - identity)) &&
	      set_name(t->node, node + 1, (size_t)((hint ? hint : end) - node - 1));
	return hint ? hint + 1 : NULL;
}

/* Who is not known gets random keys: it fails as one with a wrong key does. */
static int find_session(SSL *ssl, const unsigned char *identity, size_t n, SSL_SESSION **session)
{
	struct tls *t = SSL_get_app_data(ssl);
	struct tls_handshake *h = t->handshake;
	uint8_t keys[TLS_KEYS][TLS_KEY_SIZE], psk[SECURE_PROOF_SIZE];
	const unsigned char *hint;
	char second[HINT_DIGITS + 1];
	bool ok;

	*session = NULL;
	h->who = TLS_NO_NODE;
	if (secure_random(keys, sizeof keys))
		return 0;
	hint = split(t, identity, n, &ok);
	if (ok)
		h->who = t->look_up(t->look_up_arg, t->namespace, t->node, keys);
	make_hint(keys[1], second);
	snprintf(h->identity, sizeof h->identity, "%s/%s", t->namespace, t->node);
	if (!secure_tls_psk(keys[hint && !memcmp(hint, second, HINT_DIGITS)], h->identity, psk))
		*session = psk_session(ssl, psk);
	secure_wipe(keys, sizeof keys);
	secure_wipe(psk, sizeof psk);
	return *session != NULL;
}

/*
 * What it leaves behind.  OpenSSL gives its secrets out as lines of text: NAME, the
 * client's random and the secret, in hexadecimal digits.
 */
static bool hex_secret(const char *text, uint8_t out[SECRET_SIZE])
{
	const char *p = strchr(text, ' ');

	if (!p || strlen(++p) != 2 * SECRET_SIZE)
		return false;
	for (int i = 0; i < SECRET_SIZE; i++) {
		unsigned int v;

		if (sscanf(p + 2 * i, "%2x", &v) != 1)
			return false;
		out[i] = (uint8_t)v;
	}
	return true;
}

static void got_secret(const SSL *ssl, const char *line)
{
	struct tls *t = SSL_get_app_data(ssl);

	if (!strncmp(line, client_secret, sizeof client_secret - 1)) {
		struct tls_keys *k = t->server ? &t->rx : &t->tx;

		k->has_secret = hex_secret(line + sizeof client_secret - 1, k->secret);
	} else if (!strncmp(line, server_secret, sizeof server_secret - 1)) {
		struct tls_keys *k = t->server ? &t->tx : &t->rx;

		k->has_secret = hex_secret(line + sizeof server_secret - 1, k->secret);
	}
}

static int finish(struct tls *t)
{
	struct tls_handshake *h = t->handshake;
	const SSL_CIPHER *cipher = SSL_get_current_cipher(h->ssl);

	t->suite = cipher ? (enum tls_suite)SSL_CIPHER_get_protocol_id(cipher) : 0;
	if (!SSL_session_reused(h->ssl) || SSL_version(h->ssl) != TLS1_3_VERSION || (t->server && h->who != TLS_KNOWN))
		return tls_break(t, t->server ? TLS_FAULT_KEY : TLS_FAULT_PROOF, "a TLS handshake without the node key");
	if (!t->rx.has_secret || !t->tx.has_secret || BIO_ctrl_pending(h->in) || SSL_has_pending(h->ssl) ||
	    (t->suite != SUITE_AES_128_GCM && t->suite != SUITE_CHACHA20_POLY1305))
		return tls_break(t, TLS_FAULT_OTHER, "a TLS handshake that left no keys");
	if (SSL_export_keying_material(h->ssl, t->binding, sizeof t->binding, binding_label,
				       sizeof binding_label - 1, NULL, 0, 0) != 1 ||
	    tls_use_secret(t, &t->rx) || tls_use_secret(t, &t->tx))
		return tls_break(t, TLS_FAULT_OTHER, "no memory for the keys");
	t->open = true;
	return 0;
}

/*
 * Why it failed.  The alert of an unknown node is that of a wrong key (RFC 8446,
 * 4.2.11 and 6.2); that of another namespace says so.
 */
static int refuse_psk(struct tls *t)
{
	struct tls_handshake *h = t->handshake;

	BIO_reset(h->out);
	tls_alert(t, h->who == TLS_NO_NAMESPACE ? ALERT_UNRECOGNIZED_NAME : ALERT_DECRYPT_ERROR);
	switch (h->who) {
	case TLS_NO_NAMESPACE:
		return tls_break(t, TLS_FAULT_NAMESPACE, "it asks for namespace %s, which is not served here",
				 t->namespace);
	case TLS_NO_NODE:
		return tls_break(t, TLS_FAULT_KEY, "no such node in [clients]");
	default:
		return tls_break(t, TLS_FAULT_KEY, "its key is wrong");
	}
}

static int explain_server(struct tls *t, int reason, const char *text)
{
	if (reason == SSL_R_BINDER_DOES_NOT_VERIFY)
		return refuse_psk(t);
	if (!*t->node)
		return tls_break(t, TLS_FAULT_OTHER, "a TLS hello that has no key in common with [clients] (%s)", text);
	return tls_break(t, TLS_FAULT_OTHER, "the TLS handshake failed (%s)", text);
}

/* Only what rssrv itself answers to a wrong key is one: who shares no key with whatever is
 * behind that port need not look for a mistake in it. */
static int explain_client(struct tls *t, int reason, const char *text)
{
	int alert = reason - SSL_AD_REASON_OFFSET;

	if (alert == ALERT_DECRYPT_ERROR || alert == SSL_AD_UNKNOWN_PSK_IDENTITY)
		return tls_break(t, TLS_FAULT_KEY, "unknown node name or wrong key");
	if (alert == ALERT_UNRECOGNIZED_NAME)
		return tls_break(t, TLS_FAULT_NAMESPACE, "the server does not serve namespace %s", t->namespace);
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
		return tls_break(t, TLS_FAULT_PROOF, "the other side has a certificate, not the node key");
	if (alert >= 0 && alert <= 255)
		return tls_break(t, TLS_FAULT_FOREIGN, "the other side ended the TLS handshake with alert %d (%s)", alert,
				 SSL_alert_desc_string_long(alert));
	return tls_break(t, TLS_FAULT_FOREIGN, "the TLS handshake failed (%s)", text);
}

static int explain(struct tls *t)
{
	unsigned long e = ERR_peek_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	return (t->server ? explain_server : explain_client)(t, ERR_GET_REASON(e), text ? text : "no reason given");
}

static int take_out(struct tls *t)
{
	struct tls_handshake *h = t->handshake;
	char *data;
	long n = BIO_get_mem_data(h->out, &data);

	if (n > 0 && tls_out_raw(t, data, (size_t)n))
		return tls_break(t, TLS_FAULT_OTHER, "no memory for a TLS handshake");
	BIO_reset(h->out);
	return 0;
}

static int step(struct tls *t)
{
	struct tls_handshake *h = t->handshake;
	int r, failed = 0;

	ERR_clear_error();
	r = SSL_do_handshake(h->ssl);
	if (r != 1 && SSL_get_error(h->ssl, r) != SSL_ERROR_WANT_READ)
		failed = explain(t);
	ERR_clear_error();
	if (take_out(t) || failed)
		return -EPROTO;
	if (r != 1)
		return 0;
	r = finish(t);
	tls_handshake_free(t);
	return r;
}

int tls_handshake_record(struct tls *t, const uint8_t *record, size_t n)
{
	struct tls_handshake *h = t->handshake;

	h->fed += n;
	if (h->fed > HANDSHAKE_MAX)
		return tls_break(t, TLS_FAULT_OTHER, "a TLS handshake of more than %u bytes", HANDSHAKE_MAX);
	if (BIO_write(h->in, record, (int)n) != (int)n)
		return tls_break(t, TLS_FAULT_OTHER, "no memory for a TLS handshake");
	return step(t);
}

int tls_handshake_start(struct tls *t, const uint8_t *key)
{
	struct tls_handshake *h = calloc(1, sizeof *h);

	t->handshake = h;
	pthread_once(&once, make_contexts);
	if (!h || !contexts[t->server])
		return -ENOMEM;
	h->ssl = SSL_new(contexts[t->server]);
	h->in = BIO_new(BIO_s_mem());
	h->out = BIO_new(BIO_s_mem());
	if (!h->ssl || !h->in || !h->out) {
		BIO_free(h->in);
		BIO_free(h->out);
		return -ENOMEM;
	}
	BIO_set_mem_eof_return(h->in, -1);
	SSL_set_bio(h->ssl, h->in, h->out);
	SSL_set_app_data(h->ssl, t);
	if (t->server) {
		SSL_set_accept_state(h->ssl);
		return 0;
	}
	SSL_set_connect_state(h->ssl);
	snprintf(h->identity, sizeof h->identity, "%s/%s", t->namespace, t->node);
	if (secure_tls_psk(key, h->identity, h->psk))
		return -ENOMEM;
	strcat(h->identity, "/");
	make_hint(key, strchr(h->identity, 0));
	return step(t) ? -ENOMEM : 0;
}

void tls_handshake_free(struct tls *t)
{
	struct tls_handshake *h = t->handshake;

	if (!h)
		return;
	SSL_free(h->ssl);
	secure_wipe(h, sizeof *h);
	free(h);
	t->handshake = NULL;
}
