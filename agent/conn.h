/*
 * conn.h - one connection: bytes in, frames to serve.c, replies out.
 *
 * It belongs to one loop from accept to close, and only that thread touches it,
 * but for the fields that say otherwise.  It ends in two steps: conn_close
 * closes the socket and drops what was not started; when the workers have
 * given back what they had begun, it is finished (client_conn_finished), and
 * from then on nothing of it can touch a volume.
 */
#ifndef RSSRV_CONN_H
#define RSSRV_CONN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include "access.h"
#include "client.h"
#include "engine.h"
#include "fence.h"
#include "frame.h"
#include "log.h"
#include "sock.h"
#include "tls.h"
#include "wire.h"

enum conn_state {
	CONN_HELLO,		/* waits for HELLO */
	CONN_AUTH,		/* waits for AUTH */
	CONN_JOINING,		/* waits until an earlier session of its node has ended */
	CONN_UP,
	CONN_LEAVING,		/* nothing is read any more; closes when all is answered and sent */
	CONN_DRAINING,		/* said its last; waits for the other side's end of stream */
	CONN_DEAD,		/* closed */
};

/* Unsent replies beyond which nothing more is read from a connection. */
#define CONN_OUT_HIGH (2u << 20)
#define CONN_OUT_LOW (1u << 20)
#define CONN_SEND_AT (512u << 10)	/* replies that are sent before the receive is worked off */
#define HANDSHAKES_MAX 128		/* of TLS at once, in the whole server */
#define CONN_FENCES_MAX 64
#define CONN_LOGIN_TIME (5 * SECOND)
#define CONN_LEAVE_TIME (5 * SECOND)
#define CONN_DRAIN_TIME (2 * SECOND)

struct conn_login;

struct conn {
	struct source source;		/* first */
	struct engine *loop;
	struct conn *next, *prev;	/* loop->conns */
	struct conn *next_dirty, *next_gone;
	enum conn_state state;
	uint64_t deadline;		/* of this state, on loop->now's clock; 0: none */
	uint32_t events;		/* that are watched for */
	bool stopped;			/* does not read: too much is unanswered */
	bool dirty;			/* in loop->dirty */
	bool yields, called;		/* in loop->turns; it is its turn (turns.c) */
	bool finished;
	bool bye;			/* the client said it; answered last */
	bool counted;			/* among the logins that are not through (listen.c) */
	bool begun;			/* its first byte has come */
	bool handshakes;		/* counted in server->handshakes */
	bool waits;			/* in loop->waiting: not read from until its turn (strangers.c) */
	uint64_t stranger_cost;		/* what it took of loop->strangers */
	struct conn *next_stranger;
	uint8_t host_place;		/* in loop->hosts */
	int64_t left;			/* of its turn */
	struct conn *next_turn;
	unsigned holds;			/* messages under way that come back to this struct */
	uint64_t bye_cookie;

	struct tls *tls;		/* NULL: frames travel as they are */

	/* In. */
	struct frame frame;
	struct wire_request request;	/* the frame whose payload is awaited */
	uint64_t came;			/* loop->now when that command on a volume did */
	uint8_t *placed;		/* the buffer that frame was given */
	struct conn_login *login;	/* while it lasts */
	uint64_t heard;			/* loop->now of the last byte in, or of progress out */
	uint64_t opened;
	char *failed;			/* why it is to end (conn_fail); else NULL */
	enum log_level failed_level;

	/* Set by the login. */
	struct client *client;		/* a reference */
	uint32_t number;		/* in the session */
	uint8_t key_id[ACCESS_KEY_ID];	/* of the key that it proved; set before client_login */
	unsigned key_place;		/* which of its node's that is; under clients.lock */
	struct wire_limits limits;
	bool crc;
	bool snapshots;			/* it knows what they are: else there are none */
	bool copies;			/* it may send COPY */
	bool secure;			/* logged in within TLS */
	struct conn *next_waiting;	/* client->waiting; under clients.lock */
	struct client *waits_for;	/* under clients.lock */
	struct message again;		/* calls conn_login_again */

	/* In flight. */
	uint64_t slots[WIRE_IN_FLIGHT_MAX / 64];
	unsigned in_flight;		/* commands not yet answered: the reply has left */
	unsigned executing;		/* at the workers */
	unsigned fencing;		/* FENCEs of its own under way, */
	unsigned asking;		/* and CONTROLs: no I/O on a volume, so fences do not wait for them */
	unsigned throttled;		/* commands that wait for their limit (throttle.c) */
	int64_t bytes, bytes_counted;	/* in flight; the part that client->bytes knows of */
	atomic_bool closed;		/* workers do not start its jobs any more */
	struct done_table done;
	struct fence *fences;		/* that wait for it to finish */
	struct { int32_t slot; uint32_t number; } fenced[CONN_FENCES_MAX];	/* answers under way */
	unsigned fenced_count;

	/* Out. */
	struct out *out, **out_end;
	size_t out_bytes;		/* of it that is not sent */
	uint32_t out_sent;		/* of the first one */

	char peer[SOCK_TEXT_MAX + 8];	/* ADDRESS/PORT */
	char host[SOCK_TEXT_MAX];	/* ADDRESS */
	char portal[WIRE_NAME_MAX + 1];
	struct traffic traffic;		/* written here, read by the status thread */
	_Atomic uint32_t in_flight_seen;	/* in_flight, for the status thread */
};

/* Adds to a counter that one thread writes and others read. */
#define COUNT(counter, n) \
	atomic_store_explicit(&(counter), \
		atomic_load_explicit(&(counter), memory_order_relaxed) + (n), memory_order_relaxed)

/* On the control loop, with a connected socket, which it owns.  0 or -errno. */
int conn_adopt(struct engine *l, int fd, const char *host, int port, const char *portal);

/* "6-if0-rx0" and "6-if0-tx0": who speaks in the log. */
#define CONN_PART_MAX 64
const char *conn_part(const struct conn *c, bool transmit, char buf[CONN_PART_MAX]);

/* Says why in the log (at level info, warning when it is the peer's fault). */
void conn_close(struct conn *c, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Closes when all is answered and sent. */
void conn_leave(struct conn *c);

/* Queues a reply with a copy of the payload; the header's length is set here.
 * Without memory the connection ends.  conn_send or conn_touch sends. */
void conn_reply(struct conn *c, const struct wire_reply *r, const void *payload, uint32_t length);
/* The same with a payload that is in place; takes o over.  bytes: that the command counted
 * for in flight; they are given back when the reply has left. */
void conn_reply_out(struct conn *c, struct out *o, const struct wire_reply *r, uint32_t length,
		    uint32_t bytes);
/* A refusal with a sentence. */
void conn_refuse(struct conn *c, enum wire_type type, uint64_t cookie, enum wire_status status,
		 const char *text);
bool conn_sends(const struct conn *c);	/* something waits for the socket to have room */
/* Sends what there is; on an error the connection is marked to end (conn_fail). */
void conn_send(struct conn *c);
/* Something was queued, or a job came back: looked at when the round ends. */
void conn_touch(struct conn *c);
/* Frees it when the round ends, if nothing holds it. */
void conn_release(struct conn *c);

/* conn_tls.c: 1: *n bytes for frames came, with TLS perhaps none, and *more may be there; 0: the
 * end of the stream; -errno; -EPROTO: the connection is to end, why was said. */
int conn_receive(struct conn *c, const struct iovec *iov, int pieces, size_t *n, bool *more);
void conn_tls_free(struct conn *c);
tls_look_up conn_tls_who;		/* its arg: the server */

/* It has not shown a key. */
bool conn_is_stranger(const struct conn *c);
/* Does what there is to do; events: of its socket. */
void conn_act(struct conn *c, uint32_t events);

/* Any that is not finished, so perhaps closed (CONN_DEAD). */
struct conn *conn_find(struct engine *l, const struct client *client, uint32_t number);
void conn_settle(struct engine *l);	/* engine's settle */
void conn_tick(struct engine *l);	/* engine's tick */

/* login.c: HELLO and AUTH.  As frame_ops.payload: 0, FRAME_STOP or -errno with the reason set. */
void login_header(struct conn *c, const uint8_t *header);
int login_frame(struct conn *c, const uint8_t *payload, uint32_t length);
void login_free(struct conn *c);
/* A line about a connection that is not logged in.  Whoever has no key must not be able to
 * flush the log: those beyond a bound are counted, and said at level debug only. */
void login_log(struct conn *c, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The earlier session ended: AUTH is looked at once more. */
void conn_login_again(struct engine *l, struct message *m);

/* For callbacks of a receive, where a connection cannot be closed: it is when the receive
 * was worked off.  Keeps the first reason.  Returns -EPROTO.  conn_fail is for what a
 * peer must not do (a warning in the log), conn_lost for what networks do. */
int conn_fail(struct conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int conn_lost(struct conn *c, const char *why);

#endif
