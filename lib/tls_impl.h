/*
 * tls_impl.h - what tls.c and tls_handshake.c share, and nobody else.
 */
#ifndef RSIO_TLS_IMPL_H
#define RSIO_TLS_IMPL_H

#include "tls.h"

#define RECORD_HEADER 5
#define RECORD_PLAIN 16384u		/* of data in a record */
#define RECORD_TAG 16
#define RECORD_MAX (RECORD_PLAIN + 256u)	/* behind the header */
#define SECRET_SIZE 32			/* all our suites hash with SHA-256 */
#define NONCE_SIZE 12

enum record_type {
	RECORD_ALERT = 21,
	RECORD_HANDSHAKE = 22,
	RECORD_DATA = 23,
};

enum alert {
	ALERT_CLOSE_NOTIFY = 0,
	ALERT_UNEXPECTED_MESSAGE = 10,
	ALERT_BAD_RECORD_MAC = 20,
	ALERT_RECORD_OVERFLOW = 22,
	ALERT_DECRYPT_ERROR = 51,
	ALERT_INTERNAL_ERROR = 80,
	ALERT_UNRECOGNIZED_NAME = 112,
};

/* One direction's. */
struct tls_keys {
	uint8_t secret[SECRET_SIZE];
	bool has_secret;
	struct evp_cipher_ctx_st *cipher;
	uint8_t iv[NONCE_SIZE];
	uint64_t number;		/* of the next record under this key */
};

enum tls_suite { SUITE_AES_128_GCM = 0x1301, SUITE_CHACHA20_POLY1305 = 0x1303 };

/* What a thread's connections share. */
struct tls_work {
	unsigned users;
	unsigned spares;
	uint8_t *spare[4];		/* buffers for ciphertext to send */
	uint8_t in[TLS_RECEIVE];	/* ciphertext that was received */
};

struct tls {
	struct tls_work *work;
	bool server, open, ended, broken;
	bool new_key;			/* before the next record */
	bool said_end;

	struct tls_handshake *handshake;	/* until it is over */
	tls_look_up *look_up;
	void *look_up_arg;
	char namespace[TLS_NAME_MAX + 1], node[TLS_NAME_MAX + 1];
	uint8_t binding[TLS_BINDING_SIZE];
	enum tls_suite suite;

	struct tls_keys rx, tx;
	unsigned idle;			/* records in a row that brought no data */
	uint8_t *kept;			/* of a torn record; NULL: none */
	size_t kept_used;
	uint8_t *out;			/* ciphertext to send; NULL: none */
	size_t out_at, out_end;

	enum tls_fault fault;
	char why[160];
};

/* tls.c */
int tls_break(struct tls *t, enum tls_fault fault, const char *fmt, ...)	/* -EPROTO */
	__attribute__((format(printf, 3, 4)));
int tls_use_secret(struct tls *t, struct tls_keys *k);	/* 0 or -ENOMEM */
void tls_alert(struct tls *t, enum alert code);
/* Appends bytes as they are.  0 or -ENOMEM. */
int tls_out_raw(struct tls *t, const void *data, size_t n);

/* tls_handshake.c */
int tls_handshake_start(struct tls *t, const uint8_t *key);	/* 0 or -ENOMEM */
void tls_handshake_free(struct tls *t);
/* One record, with its header.  0, or -EPROTO after tls_break. */
int tls_handshake_record(struct tls *t, const uint8_t *record, size_t n);

#endif
