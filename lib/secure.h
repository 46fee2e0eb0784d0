/*
 * secure.h - who are you: keys, nonces and proofs.  With tls.h the door to OpenSSL.
 *
 * PROOFS.  T is the SHA-256 of the HELLO frame and its reply exactly as they
 * travelled, headers and payloads: both nonces, both roles' identities and
 * everything negotiated.  With the node key K
 *   client's proof = HMAC-SHA-256(K, "rsio client" 0x00 T session-to-join)
 *   server's proof = HMAC-SHA-256(K, "rsio server" 0x00 T session connection client's proof)
 * The role in the label stops reflection, the nonces stop replay, T stops a
 * relay from changing what was negotiated.  Proofs are compared in constant
 * time.  A server computes with a random key when it does not know the node, so
 * that "no such node" and "wrong key" look the same from outside.
 * Inside TLS, T goes on: after HELLO and its reply come the 32 bytes of
 * tls_binding(), which no other connection has.
 * (HMAC: RFC 2104; SHA-256: FIPS 180-4.)
 */
#ifndef RSIO_SECURE_H
#define RSIO_SECURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECURE_KEY_SIZE 32
#define SECURE_PROOF_SIZE 32
#define SECURE_NONCE_SIZE 32

/* 64 hex digits are the 256 bits; other text becomes SHA-256("rsio node key" 0x00 text).
 * 0, or -EINVAL for empty text, -ENOMEM. */
int secure_key_from_text(const char *text, uint8_t key[SECURE_KEY_SIZE]);
int secure_random(void *out, size_t size);	/* 0 or -EIO */
void secure_wipe(void *p, size_t size);
/* Memory for keys: zeroed, in pages of its own that no core file has; wiped when freed. */
void *secure_alloc(size_t size);	/* NULL: no memory */
void secure_free(void *p);		/* NULL is fine */
/* The pre-shared key that TLS is given for an identity (tls.h): HMAC-SHA-256(key, "rsio tls psk" 0x00
 * identity).  0 or -ENOMEM. */
int secure_tls_psk(const uint8_t key[SECURE_KEY_SIZE], const char *identity, uint8_t psk[SECURE_PROOF_SIZE]);
/* Plain SHA-256, as sha256sum has it: of bytes, and of what can be read from fd, from where it is to its
 * end.  0, -ENOMEM, or read's -errno. */
#define SECURE_SHA256_SIZE 32
int secure_sha256(const void *data, size_t size, uint8_t out[SECURE_SHA256_SIZE]);
int secure_sha256_fd(int fd, uint8_t out[SECURE_SHA256_SIZE]);
/* SHA-256 of label 0x00 data, cut to 16 bytes: machine ids never travel as they are. */
void secure_id(const char *label, const void *data, size_t size, uint8_t out[16]);

/* The transcript grows as frames are sent and received, in this order: HELLO
 * header, HELLO payload, reply header, reply payload. */
struct secure_transcript;
struct secure_transcript *secure_transcript_new(void);		/* NULL: no memory */
void secure_transcript_add(struct secure_transcript *t, const void *data, size_t size);
void secure_transcript_free(struct secure_transcript *t);

void secure_client_proof(struct secure_transcript *t, const uint8_t key[SECURE_KEY_SIZE],
			 const uint8_t session[16], uint8_t proof[SECURE_PROOF_SIZE]);
void secure_server_proof(struct secure_transcript *t, const uint8_t key[SECURE_KEY_SIZE],
			 const uint8_t session[16], uint32_t connection,
			 const uint8_t client_proof[SECURE_PROOF_SIZE], uint8_t proof[SECURE_PROOF_SIZE]);
bool secure_equal(const void *a, const void *b, size_t size);

#endif
