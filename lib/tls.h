/*
 * tls.h - TLS 1.3 over a connection, keyed with the node key: ciphertext that was
 * received becomes plaintext for frame.c, a batch of plaintext becomes ciphertext.
 * It never blocks and takes no lock on the data path.
 *
 * KEYS.  There are no certificates.  Both sides know the node key K; with the
 * identity "NAMESPACE/NODE", which travels in the clear, the external PSK is
 *	HMAC-SHA-256(K, "rsio tls psk" 0x00 identity)
 * A third part of what travels, "/HINT", is no part of that: it says which of two keys
 * is meant while a node's key is changed, and tells nobody more of K than the proof
 * of it that follows in the same hello.
 * and it is used together with an ephemeral Diffie-Hellman exchange only
 * (psk_dhe_ke), so that who learns K later cannot read what was recorded.  Who has
 * not the key cannot finish the handshake, in either role.  HELLO and AUTH travel
 * inside and prove the key once more, over a transcript that ends with
 * tls_binding(): what they prove holds for this connection and no other.
 *
 * WHO DOES WHAT.  OpenSSL does the handshake.  When it is over, the connection's
 * two traffic secrets are taken from it, its state is freed, and the records are
 * protected here (RFC 8446, section 5), as a kernel would.  That is for the copies:
 * a payload is encrypted from where it lies and decrypted to where it belongs,
 * and a connection at rest holds two cipher contexts.  Tickets, early data,
 * renegotiation and other versions do not exist.
 *
 * Connections of one thread share the large buffers: a struct tls is used and
 * freed by the thread that made it.
 */
#ifndef RSIO_TLS_H
#define RSIO_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define TLS_FIRST_BYTE 0x16		/* of a hello; our own frames begin with 'R' */
#define TLS_NAME_MAX 40			/* of a namespace's and a node's name */
#define TLS_KEY_SIZE 32
#define TLS_BINDING_SIZE 32
#define TLS_RECEIVE (256u << 10)	/* ciphertext that one receive takes, at most */
#define TLS_SLACK (20u << 10)		/* see tls_receive */

enum tls_who { TLS_KNOWN, TLS_NO_NODE, TLS_NO_NAMESPACE };

enum tls_fault {
	TLS_FAULT_NONE,
	TLS_FAULT_KEY,			/* no such node, or another key */
	TLS_FAULT_NAMESPACE,		/* the server serves another one */
	TLS_FAULT_NOT_TLS,		/* what came is no TLS at all */
	TLS_FAULT_OTHER,
	/* Client: */
	TLS_FAULT_PROOF,		/* the server did not use the node key at all */
	TLS_FAULT_FOREIGN,		/* TLS, but no handshake that rssrv would answer with */
};

struct tls;

struct tls *tls_client_new(const char *namespace, const char *node,
			   const uint8_t key[TLS_KEY_SIZE]);	/* NULL: no memory */
#define TLS_KEYS 2			/* that a node may have */
/* look_up says who that is, and if it is known writes its node key, or both.  The peer does not
 * learn whether a node is unknown or its key is another one. */
typedef enum tls_who tls_look_up(void *arg, const char *namespace, const char *node,
				 uint8_t keys[TLS_KEYS][TLS_KEY_SIZE]);
struct tls *tls_server_new(tls_look_up *look_up, void *arg);
void tls_free(struct tls *t);		/* NULL is fine */

bool tls_is_open(const struct tls *t);	/* the handshake is over: plaintext flows */
/* Of an open one. */
const uint8_t *tls_binding(const struct tls *t);
const char *tls_cipher(const struct tls *t);
/* Server: who the client said it is, "" before; proved when it is open. */
const char *tls_namespace(const struct tls *t);
const char *tls_node(const struct tls *t);
/* After -EPROTO: what it was, and in words. */
enum tls_fault tls_fault(const struct tls *t);
const char *tls_why(const struct tls *t);

/*
 * Receiving: tls_want says where ciphertext goes, at most `room` bytes; tls_got turns
 * the n bytes that came into *plain bytes of plaintext in iov, perhaps none.  All is
 * taken; only a torn record is kept.  The last piece of iov must have room for TLS_SLACK
 * bytes more than iov_len and than room says, or for TLS_RECEIVE in all.
 * tls_got: 0, or -EPROTO.
 */
struct iovec tls_want(struct tls *t, size_t room);
int tls_got(struct tls *t, size_t n, const struct iovec *iov, int pieces, size_t *plain);
/* The other side said that it sends no more. */
bool tls_ended(const struct tls *t);

/*
 * Sending: tls_put encrypts of iov, from its byte `at` on, as much as there is room
 * for and returns how many bytes that was (0 before it is open), or -ENOMEM, -EPROTO.  What
 * tls_out names is to be sent; tls_sent says how much was.
 */
ssize_t tls_put(struct tls *t, const struct iovec *iov, int pieces, size_t at);
struct iovec tls_out(const struct tls *t);	/* iov_len 0: nothing */
void tls_sent(struct tls *t, size_t n);
void tls_end(struct tls *t);		/* says that no more is sent (close_notify) */
void tls_new_key(struct tls *t);	/* for what is sent from now on; else after 2^23 records */

/*
 * The same with a socket.
 * Receives once: 1 with *plain, and *more whether the socket may have more; 0 at the end
 * of the stream; -EAGAIN, another -errno, or -EPROTO.
 */
int tls_receive(struct tls *t, int fd, const struct iovec *iov, int pieces, size_t *plain, bool *more);
/* Sends until all is taken or the socket is full: how many bytes of plaintext were taken
 * (what tls_out has left of them is sent by a later call, which may have no pieces), or
 * -errno. */
ssize_t tls_send(struct tls *t, int fd, const struct iovec *iov, int pieces);

#endif
