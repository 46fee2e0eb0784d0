/*
 * secure.c - keys, nonces and proofs over OpenSSL.
 *
 * OpenSSL can fail for want of memory, and a proof has no way to say so.  A
 * proof of zeroes would let anyone in who sends zeroes, so a failed one becomes
 * random bytes drawn when the transcript was made: nobody can match them.  Each
 * role has its own, so that what one side sends by mistake cannot be sent back
 * to it as the other's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <endian.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "secure.h"

#define HASH_SIZE 32
#define SESSION_SIZE 16

/* The terminating zero belongs to each label. */
static const char key_label[] = "rsio node key";
static const char psk_label[] = "rsio tls psk";
static const char client_label[] = "rsio client";
static const char server_label[] = "rsio server";

struct secure_transcript {
	EVP_MD_CTX *hash;
	bool failed;		/* something was not hashed: no proof can be right */
	uint8_t no_proof[2][SECURE_PROOF_SIZE];	/* client's, server's; see above */
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool key_from_hex(const char *text, size_t length, uint8_t key[SECURE_KEY_SIZE])
{
	if (length != 2 * SECURE_KEY_SIZE)
		return false;
	for (size_t i = 0; i < length; i++)
		if (hex_digit(text[i]) < 0)
			return false;
	for (size_t i = 0; i < SECURE_KEY_SIZE; i++)
		key[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
	return true;
}

/* SHA-256 of a, then b. */
static int hash2(const void *a, size_t a_size, const void *b, size_t b_size,
		 uint8_t out[HASH_SIZE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
		  EVP_DigestUpdate(ctx, a, a_size) == 1 &&
		  EVP_DigestUpdate(ctx, b, b_size) == 1 &&
		  EVP_DigestFinal_ex(ctx, out, NULL) == 1;

	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -ENOMEM;
}

int secure_key_from_text(const char *text, uint8_t key[SECURE_KEY_SIZE])
{
	size_t length = strlen(text);

	if (!length)
		return -EINVAL;
	if (key_from_hex(text, length, key))
		return 0;
	return hash2(key_label, sizeof key_label, text, length, key);
}

int secure_random(void *out, size_t size)
{
	uint8_t *p = out;

	while (size) {
		ssize_t n = getrandom(p, size, 0);

		if (n < 0 && errno != EINTR)
			return -EIO;
		if (n > 0) {
			p += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

void secure_wipe(void *p, size_t size)
{
	OPENSSL_cleanse(p, size);
}

#define BLOCK_HEADER 64		/* in front of the memory that is given out: its size with this */

void *secure_alloc(size_t size)
{
	char *block = mmap(NULL, BLOCK_HEADER + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (block == MAP_FAILED)
		return NULL;
	madvise(block, BLOCK_HEADER + size, MADV_DONTDUMP);
	*(size_t *)block = BLOCK_HEADER + size;
	return block + BLOCK_HEADER;
}

void secure_free(void *p)
{
	char *block;
	size_t size;

	if (!p)
		return;
	block = (char *)p - BLOCK_HEADER;
	size = *(size_t *)block;
	secure_wipe(block, size);
	munmap(block, size);
}

int secure_sha256(const void *data, size_t size, uint8_t out[SECURE_SHA256_SIZE])
{
	return hash2(data, size, "", 0, out);
}

int secure_sha256_fd(int fd, uint8_t out[SECURE_SHA256_SIZE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
	uint8_t piece[16384];
	ssize_t n = 0;
	int e = 0;

	while (ok && (n = read(fd, piece, sizeof piece)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		ok = EVP_DigestUpdate(ctx, piece, (size_t)n) == 1;
	}
	if (n < 0)
		e = errno;
	else if (!ok || EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		e = ENOMEM;
	secure_wipe(piece, sizeof piece);
	EVP_MD_CTX_free(ctx);
	return -e;
}

void secure_id(const char *label, const void *data, size_t size, uint8_t out[16])
{
	uint8_t hash[HASH_SIZE];

	/* Two machines must not become one because both had no memory. */
	if (hash2(label, strlen(label) + 1, data, size, hash) && secure_random(hash, sizeof hash))
		abort();
	memcpy(out, hash, 16);
}

struct secure_transcript *secure_transcript_new(void)
{
	struct secure_transcript *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->hash = EVP_MD_CTX_new();
	if (t->hash && EVP_DigestInit_ex(t->hash, EVP_sha256(), NULL) == 1 &&
	    !secure_random(t->no_proof, sizeof t->no_proof))
		return t;
	secure_transcript_free(t);
	return NULL;
}

void secure_transcript_add(struct secure_transcript *t, const void *data, size_t size)
{
	if (EVP_DigestUpdate(t->hash, data, size) != 1)
		t->failed = true;
}

void secure_transcript_free(struct secure_transcript *t)
{
	if (!t)
		return;
	EVP_MD_CTX_free(t->hash);
	secure_wipe(t, sizeof *t);
	free(t);
}

/* Finalises a copy: both proofs are over the same transcript. */
static bool transcript_hash(const struct secure_transcript *t, uint8_t out[HASH_SIZE])
{
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	bool ok = !t->failed && copy && EVP_MD_CTX_copy_ex(copy, t->hash) == 1 &&
		  EVP_DigestFinal_ex(copy, out, NULL) == 1;

	EVP_MD_CTX_free(copy);
	return ok;
}

static bool hmac(const uint8_t key[SECURE_KEY_SIZE], const void *data, size_t size,
		 uint8_t out[SECURE_PROOF_SIZE])
{
	unsigned int length = 0;

	return HMAC(EVP_sha256(), key, SECURE_KEY_SIZE, data, size, out, &length) &&
	       length == SECURE_PROOF_SIZE;
}

int secure_tls_psk(const uint8_t key[SECURE_KEY_SIZE], const char *identity, uint8_t psk[SECURE_PROOF_SIZE])
{
	uint8_t text[sizeof psk_label + 128];
	size_t n = strlen(identity);

	if (n > sizeof text - sizeof psk_label)
		return -EINVAL;
	memcpy(text, psk_label, sizeof psk_label);
	memcpy(text + sizeof psk_label, identity, n);
	return hmac(key, text, sizeof psk_label + n, psk) ? 0 : -ENOMEM;
}

void secure_client_proof(struct secure_transcript *t, const uint8_t key[SECURE_KEY_SIZE],
			 const uint8_t session[16], uint8_t proof[SECURE_PROOF_SIZE])
{
	struct {
		char label[sizeof client_label];
		uint8_t transcript[HASH_SIZE], session[SESSION_SIZE];
	} __attribute__((packed)) m;

	memcpy(m.label, client_label, sizeof m.label);
	memcpy(m.session, session, sizeof m.session);
	if (!transcript_hash(t, m.transcript) || !hmac(key, &m, sizeof m, proof))
		memcpy(proof, t->no_proof[0], SECURE_PROOF_SIZE);
}

void secure_server_proof(struct secure_transcript *t, const uint8_t key[SECURE_KEY_SIZE],
			 const uint8_t session[16], uint32_t connection,
			 const uint8_t client_proof[SECURE_PROOF_SIZE],
			 uint8_t proof[SECURE_PROOF_SIZE])
{
	struct {
		char label[sizeof server_label];
		uint8_t transcript[HASH_SIZE], session[SESSION_SIZE];
		uint32_t connection;
		uint8_t client_proof[SECURE_PROOF_SIZE];
	} __attribute__((packed)) m;

	memcpy(m.label, server_label, sizeof m.label);
	memcpy(m.session, session, sizeof m.session);
	m.connection = htole32(connection);
	memcpy(m.client_proof, client_proof, sizeof m.client_proof);
	if (!transcript_hash(t, m.transcript) || !hmac(key, &m, sizeof m, proof))
		memcpy(proof, t->no_proof[1], SECURE_PROOF_SIZE);
}

bool secure_equal(const void *a, const void *b, size_t size)
{
	return CRYPTO_memcmp(a, b, size) == 0;
}
