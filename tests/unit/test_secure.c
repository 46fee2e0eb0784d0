/* test_secure.c - keys and proofs, against values from another implementation. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "login_vectors.h"
#include "secure.h"

static size_t from_hex(const char *hex, uint8_t *out, size_t size)
{
	size_t n = strlen(hex) / 2;

	assert_true(n <= size);
	for (size_t i = 0; i < n; i++) {
		unsigned int v;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		out[i] = (uint8_t)v;
	}
	return n;
}

static void assert_hex(const uint8_t *got, size_t size, const char *hex)
{
	uint8_t want[1024];

	assert_int_equal(from_hex(hex, want, sizeof want), size);
	assert_memory_equal(got, want, size);
}

static void keys(void **state)
{
	uint8_t key[SECURE_KEY_SIZE], again[SECURE_KEY_SIZE];

	(void)state;
	assert_int_equal(secure_key_from_text(VECTOR_KEY, key), 0);
	assert_hex(key, sizeof key, VECTOR_KEY);
	assert_int_equal(secure_key_from_text(
		"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", again), 0);
	assert_memory_equal(key, again, sizeof key);
	/* sha256(b"rsio node key\0" b"geheim") */
	assert_int_equal(secure_key_from_text("geheim", key), 0);
	assert_hex(key, sizeof key,
		   "b6e651a18475a6e08d0f2a782ed6b13e7a37489cdb3cd27aa7e0a40238a26f56");
	assert_int_equal(secure_key_from_text("", key), -EINVAL);
	/* 64 characters, but not all of them digits; 63 digits: texts. */
	assert_int_equal(secure_key_from_text(
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g", again), 0);
	assert_int_not_equal(again[1], 1);
	assert_int_equal(secure_key_from_text(
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1", again), 0);
	assert_int_not_equal(again[1], 1);
}

/* hmac_sha256(bytes(range(32)), b"rsio tls psk\0osl/sles1") */
static void tls_psk(void **state)
{
	uint8_t key[SECURE_KEY_SIZE], psk[SECURE_PROOF_SIZE];

	(void)state;
	assert_int_equal(secure_key_from_text(VECTOR_KEY, key), 0);
	assert_int_equal(secure_tls_psk(key, "osl/sles1", psk), 0);
	assert_hex(psk, sizeof psk, "847df0beecea4f7703ae122a904ab1a2c7913ed3a0abe8ebc152a2ee86323ac9");
}

static void ids(void **state)
{
	uint8_t id[16], other[16];

	(void)state;
	/* sha256(b"machine\0" b"4242")[:16] */
	secure_id("machine", "4242", 4, id);
	assert_hex(id, sizeof id, "70305ce922cb179922e99368f27c2737");
	secure_id("boot", "4242", 4, other);
	assert_memory_not_equal(id, other, sizeof id);
}

static void randoms(void **state)
{
	static uint8_t a[1000], b[1000];
	bool all_zero = true;

	(void)state;
	assert_int_equal(secure_random(a, sizeof a), 0);
	assert_int_equal(secure_random(b, sizeof b), 0);
	assert_memory_not_equal(a, b, sizeof a);
	for (size_t i = sizeof a - 32; i < sizeof a; i++)
		all_zero = all_zero && !a[i];
	assert_false(all_zero);
	assert_int_equal(secure_random(a, 0), 0);
	secure_wipe(a, sizeof a);
	for (size_t i = 0; i < sizeof a; i++)
		assert_int_equal(a[i], 0);
}

static void equal(void **state)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };

	(void)state;
	assert_true(secure_equal(a, b, sizeof a));
	for (size_t i = 0; i < 8 * sizeof a; i++) {
		b[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_false(secure_equal(a, b, sizeof a));
		b[i / 8] ^= (uint8_t)(1u << i % 8);
	}
}

struct login {
	uint8_t key[SECURE_KEY_SIZE], said[1024], to_join[16], session[16];
	size_t said_size;
	uint32_t connection;
};

static struct login vector(void)
{
	struct login l = { .connection = 1 };

	from_hex(VECTOR_KEY, l.key, sizeof l.key);
	l.said_size = from_hex(VECTOR_HELLO VECTOR_WELCOME, l.said, sizeof l.said);
	from_hex("808182838485868788898a8b8c8d8e8f", l.session, sizeof l.session);
	return l;
}

/* Adds what was said in pieces of `step` bytes. */
static void prove(const struct login *l, size_t step, uint8_t client[32], uint8_t server[32])
{
	struct secure_transcript *t = secure_transcript_new();

	assert_non_null(t);
	for (size_t at = 0, n; at < l->said_size; at += n) {
		n = l->said_size - at < step ? l->said_size - at : step;
		secure_transcript_add(t, l->said + at, n);
	}
	secure_client_proof(t, l->key, l->to_join, client);
	secure_server_proof(t, l->key, l->session, l->connection, client, server);
	secure_transcript_free(t);
}

static void proofs(void **state)
{
	static const size_t steps[] = { 1, 7, 40, 64, 1024 };
	struct login l = vector();
	uint8_t client[32], server[32];

	(void)state;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		prove(&l, steps[i], client, server);
		assert_hex(client, 32, VECTOR_CLIENT_PROOF);
		assert_hex(server, 32, VECTOR_SERVER_PROOF);
	}
}

/* A proof does not end the transcript: asked twice it says the same, and it can grow on. */
static void transcript_goes_on(void **state)
{
	struct login l = vector();
	struct secure_transcript *t = secure_transcript_new();
	uint8_t a[32], b[32];

	(void)state;
	assert_non_null(t);
	secure_transcript_add(t, l.said, 40);
	secure_client_proof(t, l.key, l.to_join, a);
	secure_client_proof(t, l.key, l.to_join, b);
	assert_memory_equal(a, b, 32);
	secure_transcript_add(t, l.said + 40, l.said_size - 40);
	secure_client_proof(t, l.key, l.to_join, b);
	assert_hex(b, 32, VECTOR_CLIENT_PROOF);
	assert_memory_not_equal(a, b, 32);
	secure_transcript_free(t);
	secure_transcript_free(NULL);
}

/* Whatever was said or agreed otherwise makes other proofs. */
static void everything_counts(void **state)
{
	struct login l = vector();
	uint8_t client[32], server[32], want_client[32], want_server[32];

	(void)state;
	prove(&l, 1024, want_client, want_server);
	assert_memory_not_equal(want_client, want_server, 32);
	for (size_t bit = 0; bit < 8 * l.said_size; bit++) {
		l.said[bit / 8] ^= (uint8_t)(1u << bit % 8);
		prove(&l, 1024, client, server);
		assert_memory_not_equal(client, want_client, 32);
		assert_memory_not_equal(server, want_server, 32);
		l.said[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof l.key; bit++) {
		l.key[bit / 8] ^= (uint8_t)(1u << bit % 8);
		prove(&l, 1024, client, server);
		assert_memory_not_equal(client, want_client, 32);
		l.key[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	l.to_join[15] ^= 1;
	prove(&l, 1024, client, server);
	assert_memory_not_equal(client, want_client, 32);
	l.to_join[15] ^= 1;
	l.session[0] ^= 1;
	prove(&l, 1024, client, server);
	assert_memory_equal(client, want_client, 32);
	assert_memory_not_equal(server, want_server, 32);
	l.session[0] ^= 1;
	l.connection += 1u << 24;
	prove(&l, 1024, client, server);
	assert_memory_not_equal(server, want_server, 32);
}

static void server_proof_is_over_the_clients(void **state)
{
	struct login l = vector();
	struct secure_transcript *t = secure_transcript_new();
	uint8_t client[32], a[32], b[32];

	(void)state;
	assert_non_null(t);
	secure_transcript_add(t, l.said, l.said_size);
	secure_client_proof(t, l.key, l.to_join, client);
	secure_server_proof(t, l.key, l.session, 1, client, a);
	client[31] ^= 0x80;
	secure_server_proof(t, l.key, l.session, 1, client, b);
	assert_memory_not_equal(a, b, 32);
	secure_transcript_free(t);
}

/* Nothing is freed as well; the sanitizer sees what is done with it before. */
/* sha256sum of an empty file, of "abc" and of 100000 times "a". */
static void sha256(void **state)
{
	static const char many[] = "6d1cf22d7cc09b085dfc25ee1a1f3ae0265804c607bc2074ad253bcc82fd81ee";
	uint8_t out[SECURE_SHA256_SIZE];
	FILE *f = tmpfile();

	(void)state;
	assert_int_equal(secure_sha256("", 0, out), 0);
	assert_hex(out, sizeof out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_int_equal(secure_sha256("abc", 3, out), 0);
	assert_hex(out, sizeof out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_non_null(f);
	for (int i = 0; i < 100000; i++)
		fputc('a', f);
	rewind(f);
	assert_int_equal(secure_sha256_fd(fileno(f), out), 0);
	assert_hex(out, sizeof out, many);
	fclose(f);
	assert_int_equal(secure_sha256_fd(-1, out), -EBADF);
}

static void memory(void **state)
{
	uint8_t *p = secure_alloc(5000);

	(void)state;
	assert_non_null(p);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(p[i], 0);
	memset(p, 1, 5000);
	secure_free(p);
	secure_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys),
		cmocka_unit_test(tls_psk),
		cmocka_unit_test(ids),
		cmocka_unit_test(sha256),
		cmocka_unit_test(randoms),
		cmocka_unit_test(equal),
		cmocka_unit_test(memory),
		cmocka_unit_test(proofs),
		cmocka_unit_test(transcript_goes_on),
		cmocka_unit_test(everything_counts),
		cmocka_unit_test(server_proof_is_over_the_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
