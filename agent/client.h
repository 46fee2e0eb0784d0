/*
 * client.h - the clients that are logged in: one session each, over one or more
 * connections, and what of it outlives a connection.
 *
 * A session is made by the first AUTH and joined by further ones.  It ends when
 * its last connection said BYE, when it had no connection for CLIENT_FORGET, or
 * when a new session of the same client replaces it (fence.c, rule 4).
 */
#ifndef RSSRV_CLIENT_H
#define RSSRV_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include "engine.h"
#include "fence.h"
#include "handle.h"
#include "lease.h"
#include "reserve.h"
#include "sock.h"
#include "turns.h"
#include "wire.h"

#define CLIENTS_MAX 256
#define CLIENT_CONNS_MAX 64
#define CLIENT_FORGET (600 * SECOND)

struct claim;
struct conn;
struct clients;
struct conf_server;

struct traffic {			/* since the start of whatever has it */
	_Atomic uint64_t commands, errors;
	_Atomic uint64_t read_bytes, written_bytes;
	_Atomic uint64_t reads, writes, flushes, others;
};

#define RESERVE_DONE 8
struct reserve_done {			/* a request about reservations, and how it ended */
	char id[RESERVE_ID + 1];
	int result;
};

struct client {
	/* Fixed. */
	struct server *server;
	uint8_t id[WIRE_SESSION_SIZE];
	unsigned index;			/* the least free number: names it in the log */
	char node[WIRE_NAME_MAX + 1];
	uint8_t machine[16], boot[16], run[16], life[16];
	uint64_t since;

	struct turn *turns;		/* one for each loop, that loop's */
	atomic_uint refs;		/* the table's, and one for each connection and fence */
	_Atomic int64_t bytes;		/* in flight over all connections */
	struct handle_table handles;
	struct lease lease;

	/* Under clients.lock. */
	struct client *next;
	struct claim *claims;		/* one for each directory of shared volumes; none goes before the session */
	struct conn *conns[CLIENT_CONNS_MAX];	/* not yet finished; [conn_count] */
	unsigned conn_count;
	uint32_t next_connection;	/* number of the next one; from 1 */
	struct dead_list dead;		/* what finished connections had done */
	bool ending;			/* waits for its connections to finish */
	bool goodbye;			/* the last connection that finished had said BYE */
	uint64_t heard;			/* when the last connection finished: heard from it */
	char address[SOCK_TEXT_MAX];		/* of the newest connection */
	struct conn *waiting;		/* logins of the session that replaces it */
	struct traffic past;		/* of finished connections */
	struct reserve_done reserve_done[RESERVE_DONE];	/* the newest */
	unsigned reserve_count;
};

struct clients *clients_new(struct server *s, struct err *e);
void clients_free(struct clients *t);		/* no connection is left */
void clients_lock(struct clients *t);
void clients_unlock(struct clients *t);
struct client *clients_first(struct clients *t);	/* under the lock; by next */
unsigned clients_count(struct clients *t);

struct client *client_get(struct client *c);
void client_put(struct client *c);

/* An AUTH whose proof was right. */
struct login_request {
	char node[WIRE_NAME_MAX + 1];
	uint8_t machine[16], boot[16], run[16], life[16];
	uint8_t session[WIRE_SESSION_SIZE];	/* zero: none to join */
	uint32_t lease;				/* ms, as the hello says it */
};
enum login_result {
	LOGIN_DONE,		/* conn->client and conn->number are set */
	LOGIN_WAIT,		/* an earlier session has to end first: conn_login_again is called then */
	LOGIN_REFUSED,		/* *status and text say why */
};
enum login_result client_login(struct clients *t, struct conn *c, const struct login_request *q,
			       enum wire_status *status, char text[WIRE_TEXT_MAX + 1]);
/* A waiting connection died.  True: it will not be called any more. */
bool client_login_cancel(struct clients *t, struct conn *c);

/* A connection is closed and nothing of it executes any more.  Its table of what
 * was done goes to the session.  On the connection's loop. */
void client_conn_finished(struct clients *t, struct conn *c);

/* OPEN and CLOSE: a wire status.  *claim_on is set, to a reference, where that volume has to be
 * opened first (volume_need), or a claim on its directory taken; nothing was opened then. */
enum wire_status client_open(struct client *c, uint32_t handle, const struct wire_open *o, uint8_t flags,
			     struct wire_volume *out, struct volume **claim_on);
enum wire_status client_close(struct client *c, uint32_t handle);
/* The session's claim on the directory of v, taken or not; it lasts as long as the session.
 * NULL: no memory. */
struct claim *client_claim(struct client *c, const struct volume *v);
/* If no client has v open, none can open it until clients_unbar.  Else -EBUSY, and the nodes that
 * have it, as text: "node1, node2". */
int clients_bar(struct clients *t, struct volume *v, char *who, size_t size);
void clients_unbar(struct clients *t, struct volume *v);
/* Ends the sessions whose lease is over; how many leases there are. */
unsigned clients_end_leases(struct clients *t, uint64_t now);

/* Events go over every connection of a session: one that is about to die may
 * lose its copy, and seeing an event twice is harmless. */
void clients_announce(struct clients *t, enum wire_event kind, struct volume *v);
/* To those who may not see it any more, as they might with the list of clients `before`: for them
 * it has gone. */
void clients_announce_lost(struct clients *t, struct volume *v, char *const *before);
void clients_announce_portal(struct clients *t, const char *portal, bool there);
void clients_announce_leaving(struct clients *t);
/* Its list of clients changed: closes the handles of those who may not see it any more, and
 * lets no one write who may not. */
void clients_revoke(struct clients *t, const struct volume *v);
/* Ends what was let in with a key that the list has no more: the session, or those of its
 * connections when others have another key. */
void clients_check_keys(struct clients *t, const struct conf_server *now);
void clients_tick(struct clients *t, uint64_t now);
/* Nothing more is read; connections close when all is answered and sent. */
void clients_leave_all(struct clients *t);
/* Closes every connection; they finish on their loops. */
void clients_close_all(struct clients *t, const char *why);
unsigned clients_connected(struct clients *t);	/* connections that are not finished */

#endif
