/*
 * fuzz_tls.c - both ends of TLS, each with a key, and somebody between them who
 * alters, leaves out, repeats, swaps and puts in what he likes; an end may also say
 * within TLS what it must not.
 *
 * An end gives out what the other one put in, in order and from its beginning, and
 * nothing else, whatever happens in between.  Nobody who has another key, or no name,
 * gets as far as that.  Who is left alone gets all there is.
 */
#include <errno.h>
#include <string.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "fuzz_tls.h"
#include "secure.h"
#include "tls_impl.h"

#define WIRE_SIZE (256u << 10)
#define STEPS_MAX 100
#define BINDER_SIZE (2 + 1 + SECURE_PROOF_SIZE)	/* at the end of a hello */

/* One direction: what is under way, and what was put in and came out. */
struct way {
	uint8_t data[WIRE_SIZE];
	size_t used;
	size_t put, got;
	bool altered, misused;
	struct tls *from, *to;
};

static struct way ways[2];		/* to the server, to the client */
static uint8_t kept[RECORD_HEADER + RECORD_MAX], scratch[TLS_RECEIVE + TLS_SLACK], text[64u << 10];
static size_t kept_size;
static bool two_keys, second_fits;
static uint8_t key[TLS_KEY_SIZE];
static char identity[2 * TLS_NAME_MAX + 2];

int __wrap_secure_random(void *out, size_t size);
int __wrap_secure_random(void *out, size_t size)
{
	memset(out, 0x5a, size);
	return 0;
}

static enum tls_who look_up(void *arg, const char *namespace, const char *node, uint8_t keys[TLS_KEYS][TLS_KEY_SIZE])
{
	(void)arg;
	fuzz_check(*namespace && *node && fuzz_clean(namespace) && fuzz_clean(node));
	if (strcmp(namespace, "osl") != 0)
		return TLS_NO_NAMESPACE;
	if (strncmp(node, "sles", 4) != 0)
		return TLS_NO_NODE;
	memset(keys[0], 7, TLS_KEY_SIZE);
	if (two_keys)
		memset(keys[1], 8, TLS_KEY_SIZE);
	return TLS_KNOWN;
}

/* What is at that place of all that an end says. */
static uint8_t pattern(const struct way *w, size_t at)
{
	return (uint8_t)(at * 131 + (at >> 8) + (w == &ways[1]));
}

static void collect(struct way *w)
{
	struct iovec o = tls_out(w->from);

	if (o.iov_len > WIRE_SIZE - w->used)
		o.iov_len = WIRE_SIZE - w->used;
	if (!o.iov_len)
		return;
	memcpy(w->data + w->used, o.iov_base, o.iov_len);
	w->used += o.iov_len;
	tls_sent(w->from, o.iov_len);
}

static void check_open(const struct tls *client, const struct tls *server)
{
	if (tls_is_open(server)) {
		char name[sizeof identity];

		snprintf(name, sizeof name, "%s/%s", tls_namespace(server), tls_node(server));
		fuzz_check(second_fits || key[0] == 7);
		fuzz_check(strncmp(name, "osl/sles", 8) == 0 && strcmp(name, identity) == 0);
	}
	if (tls_is_open(client) && tls_is_open(server))
		fuzz_check(memcmp(tls_binding(client), tls_binding(server), TLS_BINDING_SIZE) == 0 &&
			   strcmp(tls_cipher(client), tls_cipher(server)) == 0);
}

/* n bytes, at most, of what is under way arrive, in pieces of memory. */
static void deliver(struct way *w, size_t n)
{
	struct iovec iov[2] = { { scratch, 700 }, { scratch + 700, TLS_RECEIVE - 700 } }, into = tls_want(w->to, TLS_RECEIVE);
	size_t plain;
	int r;

	n = n < w->used ? n : w->used;
	n = n < into.iov_len ? n : into.iov_len;
	if (!n)
		return;
	memcpy(into.iov_base, w->data, n);
	memmove(w->data, w->data + n, w->used -= n);
	r = tls_got(w->to, n, iov, 2, &plain);
	fuzz_check(r == 0 || r == -EPROTO);
	for (size_t i = 0; i < plain; i++)
		fuzz_check(scratch[i] == pattern(w, w->got + i));
	w->got += plain;
	fuzz_check(w->got <= w->put);
	if (r) {
		fuzz_check(tls_fault(w->to) != TLS_FAULT_NONE && *tls_why(w->to) && fuzz_clean(tls_why(w->to)));
		fuzz_check(strlen(tls_why(w->to)) < 160);
	}
	check_open(ways[0].from, ways[0].to);
	collect(&ways[0]);
	collect(&ways[1]);
}

static size_t first_record(const struct way *w, size_t from)
{
	size_t n;

	if (w->used < from + RECORD_HEADER)
		return w->used - from;
	n = RECORD_HEADER + ((size_t)w->data[from + 3] << 8 | w->data[from + 4]);
	return n < w->used - from ? n : w->used - from;
}

static void all(void)
{
	for (int i = 0; i < 20 && (ways[0].used || ways[1].used); i++) {
		deliver(&ways[0], WIRE_SIZE);
		deliver(&ways[1], WIRE_SIZE);
	}
}

static void put_in(struct way *w, const uint8_t *data, size_t n)
{
	if (!n || n > WIRE_SIZE - w->used)
		return;
	memmove(w->data + n, w->data, w->used);
	memcpy(w->data, data, n);
	w->used += n;
	w->altered = true;
}

static void say(struct way *w, size_t n)
{
	struct iovec iov[2] = { { text, 1000 }, { text + 1000, sizeof text - 1000 } };
	ssize_t taken;

	n %= sizeof text - 1000;
	for (size_t i = 0; i < n + 1000; i++)
		text[i] = pattern(w, w->put + i);
	iov[1].iov_len = n;
	taken = tls_put(w->from, iov, 2, 0);
	if (taken > 0)
		w->put += (size_t)taken;
	fuzz_check(taken >= 0 || taken == -EPROTO);
	fuzz_check(taken == 0 || tls_is_open(w->from));
	collect(w);
}

/* A record of any type, as an end that has the key can make it; data is what it would say. */
static void misuse(struct way *w, uint8_t type, unsigned zeroes, const uint8_t *data, size_t n)
{
	static const uint8_t none[256];
	struct tls_keys *k = &w->from->tx;
	uint8_t record[RECORD_HEADER + 600] = { RECORD_DATA, 3, 3 }, nonce[NONCE_SIZE], *p = record + RECORD_HEADER;
	size_t size = n + 1 + zeroes + RECORD_TAG;
	int done;

	if (!tls_is_open(w->from) || w->from->said_end || tls_out(w->from).iov_len || size > WIRE_SIZE - w->used)
		return;
	memcpy(nonce, k->iv, sizeof nonce);
	for (int i = 0; i < 8; i++)
		nonce[NONCE_SIZE - 1 - i] ^= (uint8_t)(k->number >> 8 * i);
	k->number++;
	record[3] = (uint8_t)(size >> 8);
	record[4] = (uint8_t)size;
	fuzz_check(EVP_CipherInit_ex(k->cipher, NULL, NULL, NULL, nonce, -1) == 1);
	EVP_CipherUpdate(k->cipher, NULL, &done, record, RECORD_HEADER);
	for (size_t i = 0; i < n; i++, p++) {
		uint8_t c = type == RECORD_DATA ? pattern(w, w->put++) : data[i];

		EVP_CipherUpdate(k->cipher, p, &done, &c, 1);
	}
	EVP_CipherUpdate(k->cipher, p++, &done, &type, 1);
	EVP_CipherUpdate(k->cipher, p, &done, none, (int)zeroes);
	p += zeroes;
	EVP_CipherFinal_ex(k->cipher, p, &done);
	EVP_CIPHER_CTX_ctrl(k->cipher, EVP_CTRL_AEAD_GET_TAG, RECORD_TAG, p);
	memcpy(w->data + w->used, record, RECORD_HEADER + size);
	w->used += RECORD_HEADER + size;
	w->misused = true;
}

/* RFC 8446, 7.1, for 32 bytes. */
static void expand(const uint8_t secret[SECRET_SIZE], const char *label, const uint8_t *context, uint8_t *out)
{
	uint8_t info[128] = { 0, SECRET_SIZE };
	size_t n = strlen(label), c = context ? SECRET_SIZE : 0;

	info[2] = (uint8_t)(6 + n);
	memcpy(info + 3, "tls13 ", 6);
	memcpy(info + 9, label, n);
	info[9 + n] = (uint8_t)c;
	if (c)
		memcpy(info + 10 + n, context, c);
	info[10 + n + c] = 1;
	HMAC(EVP_sha256(), secret, SECRET_SIZE, info, 11 + n + c, out, NULL);
}

static void mend(struct way *w)
{
	static const uint8_t zeroes[SECRET_SIZE];
	uint8_t psk[SECURE_PROOF_SIZE], early[SECRET_SIZE], one[SECRET_SIZE], two[SECRET_SIZE], hash[SECRET_SIZE];
	size_t n = first_record(w, 0);

	if (n < RECORD_HEADER + 4 + BINDER_SIZE || secure_tls_psk(key, identity, psk))
		return;
	HMAC(EVP_sha256(), zeroes, sizeof zeroes, psk, sizeof psk, early, NULL);
	EVP_Digest("", 0, hash, NULL, EVP_sha256(), NULL);
	expand(early, "ext binder", hash, one);
	expand(one, "finished", NULL, two);
	EVP_Digest(w->data + RECORD_HEADER, n - RECORD_HEADER - BINDER_SIZE, hash, NULL, EVP_sha256(), NULL);
	HMAC(EVP_sha256(), two, sizeof two, hash, sizeof hash, w->data + n - SECURE_PROOF_SIZE, NULL);
	w->altered = true;
}

static void record_step(enum step what, struct way *w, struct fuzz_in *in)
{
	size_t n = first_record(w, 0), m, at;

	switch (what) {
	case STEP_ALTER:
		at = fuzz_u16(in);
		if (at < w->used) {
			w->data[at] ^= fuzz_u8(in) | (at == 0);
			w->altered = true;
		}
		break;
	case STEP_LEAVE_OUT:
		w->altered |= n > 0;
		memmove(w->data, w->data + n, w->used -= n);
		break;
	case STEP_REPEAT:
	case STEP_KEEP:
		if (n <= sizeof kept) {
			memcpy(kept, w->data, n);
			kept_size = n;
		}
		if (what == STEP_REPEAT)
			put_in(w, kept, n <= sizeof kept ? n : 0);
		break;
	case STEP_PUT_BACK:
		put_in(w, kept, kept_size);
		break;
	default:
		m = first_record(w, n);
		if (!m || n > sizeof kept)
			break;
		memcpy(kept, w->data, kept_size = n);
		memmove(w->data, w->data + n, m);
		memcpy(w->data + m, kept, n);
		w->altered = true;
		break;
	}
}

static void strange_record(struct way *w, struct fuzz_in *in)
{
	uint8_t record[RECORD_HEADER + 255] = { RECORD_HANDSHAKE, 3, 3 }, how = fuzz_u8(in);
	size_t n;
	const uint8_t *data = fuzz_bytes(in, fuzz_u8(in), &n);

	record[0] = 20 + how % 8;
	record[4] = (uint8_t)n;
	memcpy(record + RECORD_HEADER, data, n);
	if (how & 128)
		put_in(w, data, n);
	else
		put_in(w, record, RECORD_HEADER + n);
}

static void step(struct fuzz_in *in)
{
	uint8_t b = fuzz_u8(in), type, zeroes;
	enum step what = b % STEP_STEPS;
	struct way *w = &ways[b / STEP_STEPS & 1];
	const uint8_t *data;
	size_t n;

	switch (what) {
	case STEP_DELIVER:
		n = fuzz_u8(in);
		deliver(w, n ? n : first_record(w, 0));
		break;
	case STEP_PUT_IN:
		strange_record(w, in);
		break;
	case STEP_SAY:
		say(w, fuzz_u16(in));
		break;
	case STEP_NEW_KEY:
		tls_new_key(w->from);
		break;
	case STEP_END:
		tls_end(w->from);
		collect(w);
		break;
	case STEP_MEND:
		mend(&ways[0]);
		break;
	case STEP_MISUSE:
		type = fuzz_u8(in);
		type |= !type;		/* zeroes are none */
		zeroes = fuzz_u8(in);
		data = fuzz_bytes(in, fuzz_u8(in), &n);
		misuse(w, type, zeroes, data, n);
		break;
	case STEP_ALL:
		all();
		break;
	default:
		record_step(what, w, in);
		break;
	}
}

static void begin(struct fuzz_in *in)
{
	char namespace[TLS_NAME_MAX + 1] = "osl", node[TLS_NAME_MAX + 1] = "sles1";
	uint8_t how = fuzz_u8(in);
	const uint8_t *name;
	size_t n;

	fuzz_random(how);
	memset(key, how & 1 ? 8 : 7, sizeof key);
	key[1] ^= how >> 1 & 1;
	two_keys = how & 4;
	second_fits = two_keys && (how & 1);
	if (how & 8) {
		name = fuzz_bytes(in, fuzz_u8(in) % (TLS_NAME_MAX + 1), &n);
		memcpy(how & 16 ? namespace : node, name, n);
		(how & 16 ? namespace : node)[n] = 0;
	}
	snprintf(identity, sizeof identity, "%s/%s", namespace, node);
	for (int i = 0; i < 2; i++) {
		struct way *w = &ways[i];

		w->used = w->put = w->got = 0;
		w->altered = w->misused = false;
	}
	kept_size = 0;
	ways[0].from = ways[1].to = tls_client_new(namespace, node, key);
	ways[0].to = ways[1].from = tls_server_new(look_up, NULL);
	fuzz_check(ways[0].from && ways[0].to);
	collect(&ways[0]);
}

/* Nobody was between them, and both did what they should. */
static void check_alone(void)
{
	bool fits = !(key[1] ^ key[0]) && (key[0] == 7 || second_fits) && strncmp(identity, "osl/sles", 8) == 0 &&
		    fuzz_clean(identity) && !strpbrk(identity + 4, " /\x7f");
	struct tls *client = ways[0].from, *server = ways[0].to;

	for (size_t i = 4; identity[i]; i++)
		fits &= identity[i] > ' ' && identity[i] < 0x7f;
	if (ways[0].altered || ways[1].altered || ways[0].misused || ways[1].misused)
		return;
	fuzz_check(tls_is_open(server) == fits && tls_is_open(client) == fits);
	if (!fits)
		return;
	for (int i = 0; i < 2; i++)
		fuzz_check(ways[i].got == ways[i].put && !tls_fault(ways[i].to));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, data + size };

	begin(&in);
	for (int i = 0; i < STEPS_MAX && fuzz_left(&in); i++)
		step(&in);
	all();
	check_alone();
	tls_free(ways[0].from);
	tls_free(ways[0].to);
	return 0;
}
