/*
 * path_impl.h - what path.c, path_health.c, path_login.c and path_io.c share, and nobody else.
 */
#ifndef RSIO_PATH_IMPL_H
#define RSIO_PATH_IMPL_H

#include "path.h"
#include "secure.h"

/* Lives from the first byte sent to the grant. */
struct path_login {
	struct secure_transcript *transcript;
	uint8_t join[WIRE_SESSION_SIZE];
	uint8_t proof[WIRE_PROOF_SIZE];		/* ours */
};

/* path.c */
void path_event(struct path *p, enum path_event event);
const char *path_log_name(const struct path *p);

/* path_health.c */
void path_health_begin(struct path *p);		/* it is up */
void path_health_loss(struct path *p);		/* it was up and is lost */
double path_keepalive_time(double detect);	/* seconds: when to call path_keepalive first */
void path_keepalive(struct path *p);		/* looks, and arms the timer for the next look */
void path_alive(struct path *p, uint64_t when);	/* there was a sign of life */

/* path_login.c: each returns 0, or -errno after path_lost. */
int path_login_start(struct path *p);				/* sends HELLO */
int path_login_auth(struct path *p);				/* sends AUTH */
void path_login_header(struct path *p, const uint8_t *header);	/* of a reply, for the transcript */
int path_login_reply(struct path *p, const struct wire_reply *r, const uint8_t *payload);
void path_login_free(struct path *p);
void path_login_tls_failed(struct path *p);			/* path_lost, with the reason */

/* path_io.c */
struct path_out *path_out_new(void);
void path_out_free(struct path_out *o);
bool path_out_empty(const struct path *p);
/* Queues a frame.  With copy the payload is copied and freed when sent, else it must live. */
int path_put(struct path *p, const struct wire_request *r, const void *payload, bool copy);
void path_ping(struct path *p);
/* Has the peer's kernel taken more since the last call of what was sent in front of the
 * ping that is under way, and not all of it yet?  ago: how long ago (ns) it last did. */
bool path_ping_moves(struct path *p, uint64_t *ago);
void path_receive(struct path *p);

#endif
