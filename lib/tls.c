/*
 * tls.c - records: see tls.h.
 *
 * A record is protected with the direction's key, a nonce made of its number, and
 * its header as additional data; the last byte of what is encrypted is the true
 * type, and zeroes may follow it.  Numbers never repeat under a key: they count,
 * and a key is replaced long before the bound that its cipher has (RFC 8446, 5.5).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "secure.h"
#include "tls_impl.h"

#define OUT_RECORD (RECORD_HEADER + RECORD_PLAIN + 1 + RECORD_TAG)
#define OUT_RESERVE 4096	/* for the handshake, an alert, a key update */
#define OUT_SIZE (8 * OUT_RECORD + OUT_RESERVE)
#define RECORDS_A_KEY (UINT64_C(1) << 23)
#define IDLE_MAX 32		/* each of them costs us more than the peer */
#define KEY_UPDATE 24		/* a handshake message */
#define SPARES_MAX (sizeof ((struct tls_work *)0)->spare / sizeof ((struct tls_work *)0)->spare[0])

/*
 * What the connections of a thread share.  The first buffer to send from is there as
 * long as there is one of them: writing out needs no memory then.
 */
static _Thread_local struct tls_work *thread_work;

static struct tls_work *work_get(void)
{
	struct tls_work *w = thread_work;

	if (!w) {
		w = malloc(sizeof *w);
		if (!w)
			return NULL;
		w->users = 0;
		w->spares = 1;
		w->spare[0] = malloc(OUT_SIZE);
		if (!w->spare[0]) {
			free(w);
			return NULL;
		}
		thread_work = w;
	}
	w->users++;
	return w;
}

static void work_put(struct tls_work *w)
{
	if (--w->users)
		return;
	while (w->spares)
		free(w->spare[--w->spares]);
	if (thread_work == w)
		thread_work = NULL;
	free(w);
}

static int out_take(struct tls *t)
{
	if (!t->out)
		t->out = t->work->spares ? t->work->spare[--t->work->spares] : malloc(OUT_SIZE);
	return t->out ? 0 : -ENOMEM;
}

static void out_give_back(struct tls *t)
{
	if (t->out && t->work->spares < SPARES_MAX)
		t->work->spare[t->work->spares++] = t->out;
	else
		free(t->out);
	t->out = NULL;
	t->out_at = t->out_end = 0;
}

/*
 * The beginning and the end.
 */
static struct tls *new_one(void)
{
	struct tls *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->work = work_get();
	if (t->work)
		return t;
	free(t);
	return NULL;
}

struct tls *tls_client_new(const char *namespace, const char *node, const uint8_t key[TLS_KEY_SIZE])
{
	struct tls *t = new_one();

	if (!t)
		return NULL;
	snprintf(t->namespace, sizeof t->namespace, "%s", namespace);
	snprintf(t->node, sizeof t->node, "%s", node);
	if (!tls_handshake_start(t, key))
		return t;
	tls_free(t);
	return NULL;
}

struct tls *tls_server_new(tls_look_up *look_up, void *arg)
{
	struct tls *t = new_one();

	if (!t)
		return NULL;
	t->server = true;
	t->look_up = look_up;
	t->look_up_arg = arg;
	if (!tls_handshake_start(t, NULL))
		return t;
	tls_free(t);
	return NULL;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	tls_handshake_free(t);
	EVP_CIPHER_CTX_free(t->rx.cipher);
	EVP_CIPHER_CTX_free(t->tx.cipher);
	free(t->kept);
	out_give_back(t);
	work_put(t->work);
	secure_wipe(t, sizeof *t);
	free(t);
}

bool tls_is_open(const struct tls *t)
{
	return t->open;
}

bool tls_ended(const struct tls *t)
{
	return t->ended;
}

const uint8_t *tls_binding(const struct tls *t)
{
	return t->binding;
}

const char *tls_cipher(const struct tls *t)
{
	return t->suite == SUITE_AES_128_GCM ? "TLS_AES_128_GCM_SHA256" : "TLS_CHACHA20_POLY1305_SHA256";
}

const char *tls_namespace(const struct tls *t)
{
	return t->namespace;
}

const char *tls_node(const struct tls *t)
{
	return t->node;
}

enum tls_fault tls_fault(const struct tls *t)
{
	return t->fault;
}

const char *tls_why(const struct tls *t)
{
	return t->why;
}

int tls_break(struct tls *t, enum tls_fault fault, const char *fmt, ...)
{
	va_list ap;

	t->broken = true;
	if (t->fault)
		return -EPROTO;
	t->fault = fault;
	va_start(ap, fmt);
	vsnprintf(t->why, sizeof t->why, fmt, ap);
	va_end(ap);
	return -EPROTO;
}

/*
 * Keys: RFC 8446, 7.1 to 7.3.  HKDF-Expand-Label with an empty context, for
 * results that are not longer than the hash.
 */
static int expand(const uint8_t secret[SECRET_SIZE], const char *label, uint8_t *out, size_t size)
{
	uint8_t info[64], hash[SECRET_SIZE];
	size_t n = strlen(label);
	bool ok;

	info[0] = 0;
	info[1] = (uint8_t)size;
	info[2] = (uint8_t)(6 + n);
	memcpy(info + 3, "tls13 ", 6);
	memcpy(info + 9, label, n);
	info[9 + n] = 0;
	info[10 + n] = 1;
	ok = HMAC(EVP_sha256(), secret, SECRET_SIZE, info, 11 + n, hash, NULL) != NULL;
	if (ok)
		memcpy(out, hash, size);
	secure_wipe(hash, sizeof hash);
	return ok ? 0 : -ENOMEM;
}

int tls_use_secret(struct tls *t, struct tls_keys *k)
{
	const EVP_CIPHER *cipher = t->suite == SUITE_AES_128_GCM ? EVP_aes_128_gcm() : EVP_chacha20_poly1305();
	uint8_t key[32];
	bool ok;

	if (!k->cipher)
		k->cipher = EVP_CIPHER_CTX_new();
	ok = k->cipher && !expand(k->secret, "key", key, (size_t)EVP_CIPHER_get_key_length(cipher)) &&
	     !expand(k->secret, "iv", k->iv, sizeof k->iv) &&
	     EVP_CipherInit_ex(k->cipher, cipher, NULL, key, NULL, k == &t->tx) == 1;
	secure_wipe(key, sizeof key);
	k->number = 0;
	return ok ? 0 : -ENOMEM;
}

static int next_secret(struct tls *t, struct tls_keys *k)
{
	return expand(k->secret, "traffic upd", k->secret, sizeof k->secret) ? -ENOMEM : tls_use_secret(t, k);
}

static bool begin_record(struct tls_keys *k, const uint8_t header[RECORD_HEADER])
{
	uint8_t nonce[NONCE_SIZE];
	int n;

	memcpy(nonce, k->iv, sizeof nonce);
	for (int i = 0; i < 8; i++)
		nonce[NONCE_SIZE - 1 - i] ^= (uint8_t)(k->number >> 8 * i);
	k->number++;
	return EVP_CipherInit_ex(k->cipher, NULL, NULL, NULL, nonce, -1) == 1 &&
	       EVP_CipherUpdate(k->cipher, NULL, &n, header, RECORD_HEADER) == 1;
}

/*
 * Pieces of memory as one stretch.
 */
struct cursor {
	const struct iovec *iov;
	int pieces;
	size_t at;			/* of the first piece */
};

static void skip(struct cursor *c, size_t n)
{
	c->at += n;
	while (c->pieces > 1 && c->at >= c->iov->iov_len) {
		c->at -= c->iov->iov_len;
		c->iov++;
		c->pieces--;
	}
}

static uint8_t byte_at(const struct cursor *from, size_t i)
{
	struct cursor c = *from;

	skip(&c, i);
	return ((const uint8_t *)c.iov->iov_base)[c.at];
}

static size_t bytes_in(const struct cursor *c)
{
	size_t n = 0;

	for (int i = 0; i < c->pieces; i++)
		n += c->iov[i].iov_len;
	return n > c->at ? n - c->at : 0;
}

/*
 * Sending.
 */
static void put_header(uint8_t *h, size_t length)
{
	h[0] = RECORD_DATA;
	h[1] = 3;
	h[2] = 3;
	h[3] = (uint8_t)(length >> 8);
	h[4] = (uint8_t)length;
}

/* n bytes of data, at most RECORD_PLAIN, as a record of that type.  The room is there. */
static int put_record(struct tls *t, enum record_type type, struct cursor *data, size_t n)
{
	uint8_t *p = t->out + t->out_end, tail = type;
	int done = 0;
	bool ok;

	put_header(p, n + 1 + RECORD_TAG);
	ok = begin_record(&t->tx, p);
	p += RECORD_HEADER;
	while (n && ok) {
		size_t part = data->iov->iov_len - data->at;

		if (part > n)
			part = n;
		ok = !part || EVP_CipherUpdate(t->tx.cipher, p, &done, (uint8_t *)data->iov->iov_base + data->at,
					       (int)part) == 1;
		p += part;
		n -= part;
		skip(data, part);
	}
	ok = ok && EVP_CipherUpdate(t->tx.cipher, p, &done, &tail, 1) == 1 &&
	     EVP_CipherFinal_ex(t->tx.cipher, p + 1, &done) == 1 &&
	     EVP_CIPHER_CTX_ctrl(t->tx.cipher, EVP_CTRL_AEAD_GET_TAG, RECORD_TAG, p + 1) == 1;
	if (!ok)
		return tls_break(t, TLS_FAULT_OTHER, "a record cannot be encrypted");
	t->out_end = (size_t)(p + 1 + RECORD_TAG - t->out);
	return 0;
}

static int put_new_key(struct tls *t)
{
	uint8_t update[] = { KEY_UPDATE, 0, 0, 1, 0 };	/* none is asked for in return */
	struct iovec iov = { update, sizeof update };
	struct cursor c = { &iov, 1, 0 };

	t->new_key = false;
	if (put_record(t, RECORD_HANDSHAKE, &c, sizeof update))
		return -EPROTO;
	return next_secret(t, &t->tx) ? tls_break(t, TLS_FAULT_OTHER, "no memory for a new key") : 0;
}

ssize_t tls_put(struct tls *t, const struct iovec *iov, int pieces, size_t at)
{
	struct cursor c = { iov, pieces, 0 };
	size_t all, left;

	skip(&c, at);
	all = left = bytes_in(&c);
	if (!t->open || !all)
		return 0;
	if (t->broken || t->said_end)
		return -EPROTO;
	if (out_take(t))
		return -ENOMEM;
	while (left && t->out_end + OUT_RECORD + OUT_RESERVE <= OUT_SIZE) {
		size_t n = left < RECORD_PLAIN ? left : RECORD_PLAIN;

		if ((t->new_key || t->tx.number >= RECORDS_A_KEY) && put_new_key(t))
			return -EPROTO;
		if (put_record(t, RECORD_DATA, &c, n))
			return -EPROTO;
		left -= n;
	}
	return (ssize_t)(all - left);
}

struct iovec tls_out(const struct tls *t)
{
	return (struct iovec){ t->out ? t->out + t->out_at : NULL, t->out_end - t->out_at };
}

void tls_sent(struct tls *t, size_t n)
{
	t->out_at += n;
	if (t->out_at == t->out_end)
		out_give_back(t);
}

int tls_out_raw(struct tls *t, const void *data, size_t n)
{
	if (out_take(t) || t->out_end + n > OUT_SIZE)
		return -ENOMEM;
	memcpy(t->out + t->out_end, data, n);
	t->out_end += n;
	return 0;
}

void tls_alert(struct tls *t, enum alert code)
{
	uint8_t plain[] = { RECORD_ALERT, 3, 3, 0, 2, code == ALERT_CLOSE_NOTIFY ? 1 : 2, (uint8_t)code };
	struct iovec iov = { plain + RECORD_HEADER, 2 };
	struct cursor c = { &iov, 1, 0 };

	if (t->said_end || out_take(t) || t->out_end + 64 > OUT_SIZE)
		return;
	t->said_end = true;
	if (t->open)
		put_record(t, RECORD_ALERT, &c, 2);
	else
		tls_out_raw(t, plain, sizeof plain);
}

void tls_end(struct tls *t)
{
	if (t->open && !t->broken)
		tls_alert(t, ALERT_CLOSE_NOTIFY);
}

void tls_new_key(struct tls *t)
{
	t->new_key = true;
}

/*
 * Receiving.
 */
struct iovec tls_want(struct tls *t, size_t room)
{
	size_t most = TLS_RECEIVE - t->kept_used;

	/* What ciphertext is longer by. */
	room += room / 512 + 2 * (RECORD_HEADER + 1 + RECORD_TAG);
	if (t->kept_used)
		memcpy(t->work->in, t->kept, t->kept_used);
	return (struct iovec){ t->work->in + t->kept_used, room < most ? room : most };
}

static int keep(struct tls *t, const uint8_t *p, size_t n)
{
	if (!n) {
		free(t->kept);
		t->kept = NULL;
	} else if (!t->kept) {
		t->kept = malloc(RECORD_HEADER + RECORD_MAX);
		if (!t->kept)
			return tls_break(t, TLS_FAULT_OTHER, "no memory to receive");
	}
	if (n)
		memcpy(t->kept, p, n);
	t->kept_used = n;
	return 0;
}

/* The last byte that is not zero of the n bytes from `from` on is the record's type. */
static int true_type(const struct cursor *from, size_t *n)
{
	while (*n) {
		uint8_t last = byte_at(from, --*n);

		if (last)
			return last;
	}
	return -1;
}

/* What is not data: an alert, or a new key. */
static int got_other(struct tls *t, int type, const struct cursor *from, size_t n)
{
	static const uint8_t update[] = { KEY_UPDATE, 0, 0, 1 };
	uint8_t p[8] = { 0 };

	for (size_t i = 0; i < n && i < sizeof p; i++)
		p[i] = byte_at(from, i);
	if (type == RECORD_ALERT && n == 2 && p[1] == ALERT_CLOSE_NOTIFY) {
		t->ended = true;
		return 0;
	}
	if (type == RECORD_ALERT && n == 2)
		return tls_break(t, TLS_FAULT_OTHER, "the other side ended it with TLS alert %d", p[1]);
	if (type == RECORD_HANDSHAKE && n == 5 && !memcmp(p, update, sizeof update) && p[4] <= 1) {
		t->new_key |= p[4] == 1;
		return next_secret(t, &t->rx) ? tls_break(t, TLS_FAULT_OTHER, "no memory for a new key") : 0;
	}
	tls_alert(t, ALERT_UNEXPECTED_MESSAGE);
	return tls_break(t, TLS_FAULT_OTHER, "a TLS record of type %d that is not allowed after the handshake", type);
}

/* Decrypts n bytes of ciphertext to `to`.  False: it was damaged, and what lies there is nothing. */
static bool decrypt(struct tls_keys *k, const uint8_t *record, size_t n, struct cursor to)
{
	const uint8_t *p = record + RECORD_HEADER;
	bool ok = begin_record(k, record);
	uint8_t none;
	int done;

	while (n && ok) {
		size_t part = to.pieces > 1 && to.iov->iov_len - to.at < n ? to.iov->iov_len - to.at : n;

		ok = !part || EVP_CipherUpdate(k->cipher, (uint8_t *)to.iov->iov_base + to.at, &done, p, (int)part) == 1;
		p += part;
		n -= part;
		skip(&to, part);
	}
	return ok && EVP_CIPHER_CTX_ctrl(k->cipher, EVP_CTRL_AEAD_SET_TAG, RECORD_TAG, (void *)(uintptr_t)p) == 1 &&
	       EVP_CipherFinal_ex(k->cipher, &none, &done) == 1;
}

/* One whole record; moves `to` over its data. */
static int got_record(struct tls *t, const uint8_t *record, size_t length, struct cursor *to, size_t *plain)
{
	size_t n = length - RECORD_TAG;
	int type;

	if (t->ended)
		return 0;		/* what follows the end is nobody's */
	if (!decrypt(&t->rx, record, n, *to)) {
		tls_alert(t, ALERT_BAD_RECORD_MAC);
		return tls_break(t, TLS_FAULT_OTHER, "a TLS record that was damaged on its way");
	}
	type = true_type(to, &n);
	t->idle = type == RECORD_DATA && n ? 0 : t->idle + 1;
	if (t->idle > IDLE_MAX)
		return tls_break(t, TLS_FAULT_OTHER, "%d TLS records in a row without data", IDLE_MAX);
	if (type == RECORD_DATA && n <= RECORD_PLAIN) {
		skip(to, n);
		*plain += n;
		return 0;
	}
	return got_other(t, type, to, n);
}

/* 0, or -EPROTO: such a record cannot be. */
static int check_header(struct tls *t, const uint8_t *h, size_t length)
{
	bool known = h[0] == RECORD_DATA || (!t->open && h[0] >= 20 && h[0] <= RECORD_HANDSHAKE);

	if (!known || h[1] != 3) {
		if (t->open)
			tls_alert(t, ALERT_UNEXPECTED_MESSAGE);
		return tls_break(t, t->open ? TLS_FAULT_OTHER : TLS_FAULT_NOT_TLS,
				 "what came is not TLS (it begins with 0x%02x)", h[0]);
	}
	if (length > RECORD_MAX || (t->open && length <= RECORD_TAG)) {
		tls_alert(t, ALERT_RECORD_OVERFLOW);
		return tls_break(t, TLS_FAULT_OTHER, "a TLS record of %zu bytes", length);
	}
	return 0;
}

int tls_got(struct tls *t, size_t got, const struct iovec *iov, int pieces, size_t *plain)
{
	struct cursor to = { iov, pieces, 0 };
	const uint8_t *p = t->work->in;
	size_t n = t->kept_used + got;
	int r = 0;

	*plain = 0;
	skip(&to, 0);
	while (n >= RECORD_HEADER && !t->broken) {
		size_t length = (size_t)p[3] << 8 | p[4];

		if (check_header(t, p, length))
			return -EPROTO;
		if (n < RECORD_HEADER + length)
			break;
		r = t->open ? got_record(t, p, length, &to, plain) :
			      tls_handshake_record(t, p, RECORD_HEADER + length);
		if (r)
			return r;
		p += RECORD_HEADER + length;
		n -= RECORD_HEADER + length;
	}
	return t->broken ? -EPROTO : keep(t, p, n);
}
