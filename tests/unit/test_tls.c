/*
 * test_tls.c - both roles in memory, and each against OpenSSL's own other end.
 */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include "../seed.h"
#include "secure.h"
#include "tls.h"

#define BIG (3u << 20)
#define WIRE_MAX (8u << 20)

static const uint8_t good_key[TLS_KEY_SIZE] = "0123456789abcdef0123456789abcde";
static const uint8_t bad_key[TLS_KEY_SIZE] = "0123456789abcdef0123456789abcdf";

/* What is under way from one end to the other. */
struct pipe {
	uint8_t *data;
	size_t used;
};

struct pair {
	struct tls *client, *server;
	struct pipe up, down;		/* to the server, to the client */
	uint8_t *scratch;
};

static bool second_is_good;	/* of the two keys that the node has */

static enum tls_who look_up(void *arg, const char *namespace, const char *node, uint8_t keys[TLS_KEYS][TLS_KEY_SIZE])
{
	(*(unsigned *)arg)++;
	if (strcmp(namespace, "osl"))
		return TLS_NO_NAMESPACE;
	if (strcmp(node, "sles1"))
		return TLS_NO_NODE;
	memcpy(keys[second_is_good], good_key, TLS_KEY_SIZE);
	return TLS_KNOWN;
}

static unsigned asked;

static void pair_init(struct pair *p, const char *namespace, const char *node, const uint8_t *key)
{
	*p = (struct pair){ 0 };
	asked = 0;
	p->client = tls_client_new(namespace, node, key);
	p->server = tls_server_new(look_up, &asked);
	p->up.data = malloc(WIRE_MAX);
	p->down.data = malloc(WIRE_MAX);
	p->scratch = malloc(TLS_RECEIVE + TLS_SLACK);
	assert_non_null(p->client);
	assert_non_null(p->server);
}

static void pair_fini(struct pair *p)
{
	tls_free(p->client);
	tls_free(p->server);
	free(p->up.data);
	free(p->down.data);
	free(p->scratch);
}

/* What t has to send goes into the pipe. */
static void collect(struct tls *t, struct pipe *to)
{
	struct iovec o = tls_out(t);

	if (!o.iov_len)
		return;
	assert_true(to->used + o.iov_len <= WIRE_MAX);
	memcpy(to->data + to->used, o.iov_base, o.iov_len);
	to->used += o.iov_len;
	tls_sent(t, o.iov_len);
}

/* t receives at most n bytes; its plaintext goes to iov. */
static int deliver(struct tls *t, struct pipe *from, size_t n, const struct iovec *iov, int pieces, size_t *plain)
{
	size_t room = 0;
	struct iovec into;

	for (int i = 0; i < pieces; i++)
		room += iov[i].iov_len;
	into = tls_want(t, room);
	if (n > from->used)
		n = from->used;
	if (n > into.iov_len)
		n = into.iov_len;
	memcpy(into.iov_base, from->data, n);
	memmove(from->data, from->data + n, from->used -= n);
	return tls_got(t, n, iov, pieces, plain);
}

static int deliver_all(struct pair *p, struct tls *t, struct pipe *from, size_t *plain)
{
	struct iovec iov = { p->scratch, TLS_RECEIVE };

	return deliver(t, from, from->used, &iov, 1, plain);
}

/* Until both are open or one is not content; returns what the last one said. */
static int handshake(struct pair *p)
{
	size_t plain;
	int r = 0;

	for (int i = 0; i < 4 && !r; i++) {
		collect(p->client, &p->up);
		r = deliver_all(p, p->server, &p->up, &plain);
		collect(p->server, &p->down);
		if (!r)
			r = deliver_all(p, p->client, &p->down, &plain);
	}
	return r;
}

static void open_pair(struct pair *p)
{
	pair_init(p, "osl", "sles1", good_key);
	assert_int_equal(handshake(p), 0);
	assert_true(tls_is_open(p->client));
	assert_true(tls_is_open(p->server));
	assert_int_equal(p->up.used + p->down.used, 0);
}

static void fill(uint8_t *p, size_t n, unsigned from)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)((i + from) * 2654435761u >> 13);
}

static void put(struct tls *t, struct pipe *to, const void *data, size_t n)
{
	struct iovec iov = { (void *)(uintptr_t)data, n };
	size_t at = 0;

	while (at < n) {
		ssize_t r = tls_put(t, &iov, 1, at);

		assert_true(r > 0);
		at += (size_t)r;
		collect(t, to);
	}
}

static void opens(void **state)
{
	struct pair p;
	size_t plain;

	(void)state;
	open_pair(&p);
	assert_int_equal(asked, 1);
	assert_string_equal(tls_namespace(p.server), "osl");
	assert_string_equal(tls_node(p.server), "sles1");
	assert_memory_equal(tls_binding(p.client), tls_binding(p.server), TLS_BINDING_SIZE);
	assert_string_equal(tls_cipher(p.client), tls_cipher(p.server));
	/* No ticket, nothing else comes by itself. */
	assert_int_equal(tls_out(p.client).iov_len + tls_out(p.server).iov_len, 0);
	put(p.client, &p.up, "hello", 5);
	assert_int_equal(deliver_all(&p, p.server, &p.up, &plain), 0);
	assert_int_equal(plain, 5);
	assert_memory_equal(p.scratch, "hello", 5);
	put(p.server, &p.down, "welcome", 7);
	assert_null(memmem(p.down.data, p.down.used, "welcome", 7));
	assert_int_equal(deliver_all(&p, p.client, &p.down, &plain), 0);
	assert_int_equal(plain, 7);
	assert_memory_equal(p.scratch, "welcome", 7);
	pair_fini(&p);
}

/* Two connections of one node have nothing in common. */
static void binds(void **state)
{
	struct pair p, q;
	size_t plain;

	(void)state;
	open_pair(&p);
	open_pair(&q);
	assert_memory_not_equal(tls_binding(p.client), tls_binding(q.client), TLS_BINDING_SIZE);
	put(p.client, &q.up, "hello", 5);
	assert_int_equal(deliver_all(&q, q.server, &q.up, &plain), -EPROTO);
	/* Nor have the two directions: what one sent does not come back to it. */
	put(p.server, &p.up, "hello", 5);
	assert_int_equal(deliver_all(&p, p.server, &p.up, &plain), -EPROTO);
	assert_int_equal(plain, 0);
	pair_fini(&p);
	pair_fini(&q);
}

/* The client's hello can carry data behind its last record: it is not lost. */
static void data_behind_handshake(void **state)
{
	struct pair p;
	size_t plain;

	(void)state;
	pair_init(&p, "osl", "sles1", good_key);
	collect(p.client, &p.up);
	assert_int_equal(deliver_all(&p, p.server, &p.up, &plain), 0);
	collect(p.server, &p.down);
	assert_int_equal(deliver_all(&p, p.client, &p.down, &plain), 0);
	put(p.client, &p.up, "at once", 7);
	assert_false(tls_is_open(p.server));
	assert_int_equal(deliver_all(&p, p.server, &p.up, &plain), 0);
	assert_true(tls_is_open(p.server));
	assert_int_equal(plain, 7);
	pair_fini(&p);
}

static void refuses(const char *namespace, const char *node, const uint8_t *key, enum tls_fault fault,
		    const char *server_says, const char *client_says, uint8_t alert[64])
{
	struct pair p;
	size_t plain;

	pair_init(&p, namespace, node, key);
	collect(p.client, &p.up);
	assert_int_equal(deliver_all(&p, p.server, &p.up, &plain), -EPROTO);
	assert_int_equal(tls_fault(p.server), fault);
	assert_non_null(strstr(tls_why(p.server), server_says));
	assert_string_equal(tls_node(p.server), node);
	collect(p.server, &p.down);
	assert_in_range(p.down.used, 1, 63);
	memset(alert, 0, 64);
	memcpy(alert, p.down.data, p.down.used);
	assert_int_equal(deliver_all(&p, p.client, &p.down, &plain), -EPROTO);
	assert_int_equal(tls_fault(p.client), fault);
	assert_non_null(strstr(tls_why(p.client), client_says));
	assert_false(tls_is_open(p.server) || tls_is_open(p.client));
	assert_int_equal(tls_put(p.server, &(struct iovec){ p.scratch, 5 }, 1, 0), 0);
	pair_fini(&p);
}

static void wrong_keys(void **state)
{
	uint8_t wrong[64], unknown[64], namespace[64];

	(void)state;
	refuses("osl", "sles1", bad_key, TLS_FAULT_KEY, "key is wrong", "wrong key", wrong);
	refuses("osl", "sles2", good_key, TLS_FAULT_KEY, "no such node", "wrong key", unknown);
	assert_memory_equal(wrong, unknown, sizeof wrong);	/* nobody learns which */
	refuses("oslo", "sles1", good_key, TLS_FAULT_NAMESPACE, "namespace oslo", "namespace oslo", namespace);
}

/* What is no rssrv, and says so in TLS: nobody is sent to look for a mistake in a key. */
static void foreign_alerts(void **state)
{
	static const struct {
		uint8_t alert;
		enum tls_fault fault;
		const char *says;
	} cases[] = {
		{ 40, TLS_FAULT_FOREIGN, "alert 40 (handshake failure)" },
		{ 70, TLS_FAULT_FOREIGN, "alert 70 (protocol version)" },
		{ 116, TLS_FAULT_FOREIGN, "alert 116 (" },
		{ 200, TLS_FAULT_FOREIGN, "" },
		{ 51, TLS_FAULT_KEY, "wrong key" },
		{ 115, TLS_FAULT_KEY, "wrong key" },
		{ 112, TLS_FAULT_NAMESPACE, "namespace osl" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t record[] = { 21, 3, 3, 0, 2, 2, cases[i].alert };
		struct pair p;
		size_t plain;

		pair_init(&p, "osl", "sles1", good_key);
		collect(p.client, &p.up);
		memcpy(p.down.data, record, p.down.used = sizeof record);
		assert_int_equal(deliver_all(&p, p.client, &p.down, &plain), -EPROTO);
		assert_int_equal(tls_fault(p.client), cases[i].fault);
		if (!strstr(tls_why(p.client), cases[i].says))
			fail_msg("alert %d: %s", cases[i].alert, tls_why(p.client));
		pair_fini(&p);
	}
}

/* While a node's key is changed it has two, and its hello says which one it means. */
static void two_keys(void **state)
{
	struct pair p;

	(void)state;
	second_is_good = true;
	pair_init(&p, "osl", "sles1", good_key);
	assert_int_equal(handshake(&p), 0);
	assert_true(tls_is_open(p.server) && tls_is_open(p.client));
	assert_string_equal(tls_node(p.server), "sles1");
	pair_fini(&p);
	pair_init(&p, "osl", "sles1", bad_key);
	assert_int_not_equal(handshake(&p), 0);
	pair_fini(&p);
	second_is_good = false;
}

static void random_splits(void **state)
{
	uint8_t *data = malloc(BIG), *got = malloc(BIG + TLS_RECEIVE + TLS_SLACK);
	unsigned seed = (unsigned)test_seed(77);

	(void)state;
	fill(data, BIG, seed);
	for (int round = 0; round < 12; round++) {
		struct pair p;
		size_t sent = 0, have = 0, plain, step = round < 6 ? 700 : 200000;

		open_pair(&p);
		if (round & 1)
			tls_new_key(p.client);
		while (have < BIG / 4) {
			size_t n = 1 + (size_t)rand_r(&seed) % (sent % 3 ? 40 : 60000);
			size_t split = (size_t)rand_r(&seed) % 5000;
			struct iovec iov[2] = { { got + have, split }, { got + have + split, 4096 } };

			n = n < BIG - sent ? n : BIG - sent;
			put(p.client, &p.up, data + sent, n);
			sent += n;
			do {
				iov[0].iov_base = got + have;
				iov[1].iov_base = got + have + split;
				assert_int_equal(deliver(p.server, &p.up, 1 + (size_t)rand_r(&seed) % step, iov, 2,
							 &plain), 0);
				have += plain;
			} while (p.up.used);
			if (n % 50 == 0)
				tls_new_key(p.client);
		}
		assert_int_equal(have, sent);
		assert_memory_equal(got, data, have);
		pair_fini(&p);
	}
	free(data);
	free(got);
}

/* Many pieces become few records; what does not fit is taken next time. */
static void gathers(void **state)
{
	struct pair p;
	static uint8_t data[300 * 1000];
	struct iovec iov[300];
	size_t at = 0, have = 0, plain;
	uint8_t *got = malloc(sizeof data + TLS_RECEIVE + TLS_SLACK);

	(void)state;
	fill(data, sizeof data, 5);
	for (int i = 0; i < 300; i++)
		iov[i] = (struct iovec){ data + 1000 * i, i == 7 ? 0 : 1000 };
	open_pair(&p);
	while (at < sizeof data - 1000) {
		ssize_t n = tls_put(p.client, iov, 300, at);

		assert_true(n > 0);
		assert_true(n % 16384 == 0 || at + (size_t)n == sizeof data - 1000);
		at += (size_t)n;
		collect(p.client, &p.up);
	}
	assert_true(p.up.used < sizeof data - 1000 + (sizeof data / 16384 + 2) * 22);
	while (p.up.used) {
		struct iovec to = { got + have, TLS_RECEIVE };

		assert_int_equal(deliver(p.server, &p.up, p.up.used, &to, 1, &plain), 0);
		have += plain;
	}
	assert_int_equal(have, sizeof data - 1000);
	assert_memory_equal(got, data, 7000);
	assert_memory_equal(got + 7000, data + 8000, sizeof data - 8000);
	free(got);
	pair_fini(&p);
}

/* Each byte of a record changed, in turn: no plaintext comes of it. */
static void tampered(void **state)
{
	size_t length = 0;

	(void)state;
	for (size_t i = 0; i == 0 || i < length; i++) {
		struct pair p;
		size_t plain;
		int r;

		open_pair(&p);
		put(p.client, &p.up, "transfer 100", 12);
		length = p.up.used;
		p.up.data[i] ^= i == 3 ? 0x80 : 1;
		put(p.client, &p.up, "transfer 200", 12);
		r = deliver_all(&p, p.server, &p.up, &plain);
		assert_int_equal(plain, 0);
		assert_int_equal(r, -EPROTO);
		assert_true(*tls_why(p.server));
		/* And that was the end. */
		put(p.client, &p.up, "transfer 300", 12);
		assert_int_equal(deliver_all(&p, p.server, &p.up, &plain), -EPROTO);
		pair_fini(&p);
	}
}

/* A record that is left out, sent twice or out of order. */
static void order(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct pair p;
		size_t plain, one;
		uint8_t record[256];

		open_pair(&p);
		put(p.client, &p.up, "first", 5);
		one = p.up.used;
		memcpy(record, p.up.data, one);
		if (kind == 0)
			p.up.used = 0;
		put(p.client, &p.up, "other", 5);
		if (kind == 1) {
			memcpy(p.up.data + one, record, one);
		} else if (kind == 2) {
			memcpy(p.up.data, p.up.data + one, one);
			memcpy(p.up.data + one, record, one);
		}
		assert_int_equal(deliver_all(&p, p.server, &p.up, &plain), -EPROTO);
		assert_int_equal(plain, kind == 1 ? 5 : 0);
		pair_fini(&p);
	}
}

static void truncated(void **state)
{
	struct pair p;
	size_t plain, whole;

	(void)state;
	open_pair(&p);
	put(p.client, &p.up, "no half of this", 15);
	whole = p.up.used;
	for (size_t i = 1; i < whole; i++) {
		struct iovec iov = { p.scratch, TLS_RECEIVE };

		assert_int_equal(deliver(p.server, &p.up, 1, &iov, 1, &plain), 0);
		assert_int_equal(plain, 0);
	}
	assert_false(tls_ended(p.server));
	assert_int_equal(deliver_all(&p, p.server, &p.up, &plain), 0);
	assert_int_equal(plain, 15);
	/* An end that is one. */
	tls_end(p.client);
	collect(p.client, &p.up);
	assert_int_equal(deliver_all(&p, p.server, &p.up, &plain), 0);
	assert_true(tls_ended(p.server));
	assert_int_equal(tls_put(p.client, &(struct iovec){ p.scratch, 5 }, 1, 0), -EPROTO);
	pair_fini(&p);
}

/* What is no hello, and hellos that never end. */
static void strangers(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		enum tls_fault fault;
	} cases[] = {
		{ "R\1\1\0\0\0\0\0", 8, TLS_FAULT_NOT_TLS },
		{ "GET / HTTP/1.0\r\n", 16, TLS_FAULT_NOT_TLS },
		{ "\x16\3\1\0\5\1\0\0\1\0", 10, TLS_FAULT_OTHER },
		{ "\x16\3\1\xff\xff", 5, TLS_FAULT_OTHER },
		{ "\x17\3\3\0\2\0\0", 7, TLS_FAULT_OTHER },
		{ "\x16\3\1\0\0", 5, TLS_FAULT_OTHER },
		{ "\x14\3\3\0\1\1", 6, TLS_FAULT_OTHER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pair p;
		size_t plain;
		int r = 0;

		pair_init(&p, "osl", "sles1", good_key);
		for (int n = 0; n < 5000 && !r; n++) {
			memcpy(p.up.data, cases[i].bytes, p.up.used = cases[i].n);
			r = deliver_all(&p, p.server, &p.up, &plain);
			tls_sent(p.server, tls_out(p.server).iov_len);
		}
		assert_int_equal(r, -EPROTO);
		assert_int_equal(tls_fault(p.server), cases[i].fault);
		pair_fini(&p);
	}
}

/* Before the login a connection may cost 128 KiB. */
static void handshake_memory(void **state)
{
	struct pair p;
	size_t plain, before, after;
	struct tls *first = tls_server_new(look_up, &asked), *t;

	(void)state;
	pair_init(&p, "osl", "sles1", good_key);
	collect(p.client, &p.up);
	before = mallinfo2().uordblks;
	t = tls_server_new(look_up, &asked);
	assert_int_equal(deliver_all(&p, t, &p.up, &plain), 0);
	assert_true(tls_out(t).iov_len > 0);
	after = mallinfo2().uordblks;
	if (after > before)	/* 0: an allocator that does not say */
		assert_in_range(after - before, 1, 128 << 10);
	tls_free(t);
	tls_free(first);
	pair_fini(&p);
}

/*
 * OpenSSL's other end.
 */
static const char *foreign_identity = "osl/sles1";

static SSL_SESSION *foreign_session(SSL *s)
{
	uint8_t psk[SECURE_PROOF_SIZE];
	SSL_SESSION *session = SSL_SESSION_new();

	assert_int_equal(secure_tls_psk(good_key, foreign_identity, psk), 0);
	SSL_SESSION_set1_master_key(session, psk, sizeof psk);
	SSL_SESSION_set_cipher(session, SSL_CIPHER_find(s, (const unsigned char *)"\x13\x01"));
	SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION);
	return session;
}

static int foreign_use(SSL *s, const EVP_MD *md, const unsigned char **id, size_t *n, SSL_SESSION **session)
{
	(void)md;
	*id = (const unsigned char *)foreign_identity;
	*n = strlen(foreign_identity);
	*session = foreign_session(s);
	return 1;
}

static int foreign_find(SSL *s, const unsigned char *id, size_t n, SSL_SESSION **session)
{
	*session = n == 18 && !memcmp(id, "osl/sles1/", 10) ? foreign_session(s) : NULL;
	return 1;
}

enum foreign { WITH_PSK, WITHOUT_PSK, OLD, NO_DH, CHACHA };

static SSL *foreign_new(bool server, enum foreign kind)
{
	SSL_CTX *c = SSL_CTX_new(TLS_method());
	SSL *s;

	if (server)
		SSL_CTX_set_psk_find_session_callback(c, foreign_find);
	else if (kind != WITHOUT_PSK && kind != OLD)
		SSL_CTX_set_psk_use_session_callback(c, foreign_use);
	if (kind == OLD)
		SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION);
	if (kind == NO_DH)
		SSL_CTX_set_options(c, SSL_OP_ALLOW_NO_DHE_KEX);
	if (kind == CHACHA)
		SSL_CTX_set_ciphersuites(c, "TLS_CHACHA20_POLY1305_SHA256");
	s = SSL_new(c);
	SSL_CTX_free(c);
	SSL_set_bio(s, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	if (server)
		SSL_set_accept_state(s);
	else
		SSL_set_connect_state(s);
	return s;
}

/* What it says goes to t, what t says to it; *plain bytes of t's plaintext in scratch. */
static int exchange(SSL *s, struct tls *t, uint8_t *scratch, size_t *plain)
{
	struct iovec iov = { scratch, TLS_RECEIVE }, into = tls_want(t, TLS_RECEIVE), out;
	int n = BIO_read(SSL_get_wbio(s), into.iov_base, (int)into.iov_len), r;

	r = tls_got(t, n > 0 ? (size_t)n : 0, &iov, 1, plain);
	out = tls_out(t);
	if (out.iov_len) {
		BIO_write(SSL_get_rbio(s), out.iov_base, (int)out.iov_len);
		tls_sent(t, out.iov_len);
	}
	return r;
}

static int foreign_handshake(SSL *s, struct tls *t, uint8_t *scratch)
{
	size_t plain;
	int r = 0;

	for (int i = 0; i < 4 && !r; i++) {
		SSL_do_handshake(s);
		r = exchange(s, t, scratch, &plain);
	}
	ERR_clear_error();
	return r;
}

static void speaks_with(SSL *s, struct tls *t, uint8_t *scratch)
{
	struct iovec iov = { (void *)(uintptr_t)"to you", 6 };
	uint8_t binding[TLS_BINDING_SIZE], big[40000];
	size_t plain;

	assert_int_equal(foreign_handshake(s, t, scratch), 0);
	assert_true(tls_is_open(t) && SSL_is_init_finished(s) && SSL_session_reused(s));
	assert_int_equal(SSL_export_keying_material(s, binding, sizeof binding, "EXPORTER-rsio-binding", 21,
						    NULL, 0, 0), 1);
	assert_memory_equal(binding, tls_binding(t), sizeof binding);
	for (int i = 0; i < 6; i++) {
		if (i == 1)
			SSL_key_update(s, SSL_KEY_UPDATE_NOT_REQUESTED);
		if (i == 2)
			SSL_key_update(s, SSL_KEY_UPDATE_REQUESTED);
		if (i == 3)
			tls_new_key(t);
		fill(big, sizeof big, (unsigned)i);
		assert_int_equal(SSL_write(s, big, sizeof big), sizeof big);
		assert_int_equal(exchange(s, t, scratch, &plain), 0);
		assert_int_equal(plain, sizeof big);
		assert_memory_equal(scratch, big, sizeof big);
		assert_int_equal(tls_put(t, &iov, 1, 0), 6);
		assert_int_equal(exchange(s, t, scratch, &plain), 0);
		assert_int_equal(SSL_read(s, big, sizeof big), 6);
		assert_memory_equal(big, "to you", 6);
	}
	tls_end(t);
	assert_int_equal(exchange(s, t, scratch, &plain), 0);
	assert_int_equal(SSL_read(s, big, sizeof big), 0);
	assert_int_equal(SSL_get_shutdown(s) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
	SSL_shutdown(s);
	assert_int_equal(exchange(s, t, scratch, &plain), 0);
	assert_true(tls_ended(t));
}

static void foreign_peers(void **state)
{
	static const enum foreign kinds[] = { WITH_PSK, CHACHA };
	uint8_t *scratch = malloc(TLS_RECEIVE);

	(void)state;
	for (int i = 0; i < 4; i++) {
		bool server = i & 1;
		SSL *s = foreign_new(server, kinds[i / 2]);
		struct tls *t = server ? tls_client_new("osl", "sles1", good_key) : tls_server_new(look_up, &asked);

		if (server)
			SSL_set_num_tickets(s, 0);
		speaks_with(s, t, scratch);
		assert_string_equal(tls_cipher(t), SSL_get_cipher(s));
		SSL_free(s);
		tls_free(t);
	}
	free(scratch);
}

/* Who offers less is not let in, in either role. */
static void foreign_refused(void **state)
{
	static const enum foreign kinds[] = { WITHOUT_PSK, OLD, NO_DH };
	uint8_t *scratch = malloc(TLS_RECEIVE);

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		SSL *s = foreign_new(false, kinds[i]);
		struct tls *t = tls_server_new(look_up, &asked);
		int r = foreign_handshake(s, t, scratch);

		/* It wished for no Diffie-Hellman exchange, but offered one: then it was made. */
		if (kinds[i] == NO_DH && r == 0)
			assert_true(SSL_get_negotiated_group(s) != 0);
		else
			assert_false(tls_is_open(t));
		assert_true(r == 0 ? kinds[i] == NO_DH : *tls_why(t) != 0);
		SSL_free(s);
		tls_free(t);
	}
	free(scratch);
}

/* Keys that change all the time cost more than they are worth. */
static void idle(void **state)
{
	uint8_t *scratch = malloc(TLS_RECEIVE);
	SSL *s = foreign_new(false, WITH_PSK);
	struct tls *t = tls_server_new(look_up, &asked);
	size_t plain;

	(void)state;
	assert_int_equal(foreign_handshake(s, t, scratch), 0);
	for (int i = 1; i <= 2 * 32 + 1; i++) {
		SSL_key_update(s, SSL_KEY_UPDATE_NOT_REQUESTED);
		assert_int_equal(SSL_do_handshake(s), 1);
		assert_int_equal(exchange(s, t, scratch, &plain), i <= 2 * 32 ? 0 : -EPROTO);
		if (i != 32)
			continue;
		assert_int_equal(SSL_write(s, "x", 1), 1);	/* it counts from here */
		assert_int_equal(exchange(s, t, scratch, &plain), 0);
		assert_int_equal(plain, 1);
	}
	assert_non_null(strstr(tls_why(t), "without data"));
	SSL_free(s);
	tls_free(t);
	free(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens),
		cmocka_unit_test(binds),
		cmocka_unit_test(data_behind_handshake),
		cmocka_unit_test(wrong_keys),
		cmocka_unit_test(foreign_alerts),
		cmocka_unit_test(two_keys),
		cmocka_unit_test(random_splits),
		cmocka_unit_test(gathers),
		cmocka_unit_test(tampered),
		cmocka_unit_test(order),
		cmocka_unit_test(truncated),
		cmocka_unit_test(strangers),
		cmocka_unit_test(handshake_memory),
		cmocka_unit_test(foreign_peers),
		cmocka_unit_test(foreign_refused),
		cmocka_unit_test(idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
