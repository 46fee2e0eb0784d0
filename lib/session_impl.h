/*
 * session_impl.h - what session.c and session_own.c share, and nobody else.
 */
#ifndef RSIO_SESSION_IMPL_H
#define RSIO_SESSION_IMPL_H

#include "session.h"

/* A connection that ended with reads or writes unanswered. */
struct session_fence {
	struct list link;
	uint32_t connection;
	struct list commands;		/* that change data, in the order in which they were sent */
	uint64_t bytes;			/* of session.bytes: what the server may still count for it */
	bool sent;			/* a FENCE for it is in flight */
};

struct path_tag {
	char text[64];			/* CONNECTION-INTERFACE-tx0, as the log names a transmitter */
};
struct path_tag path_log_tag(const struct path *p);

uint32_t session_bytes_of(const struct command *c);
void session_fence_answered(struct session *s, struct path *p, struct session_fence *f,
			    const struct wire_reply *r, const uint8_t *payload);

/* session_own.c: the session's own commands (volume NULL): LIST, OPEN, CLOSE, FENCE, CONTROL. */
int session_send_fence(struct session *s, struct session_fence *f);	/* 0 or -errno: later */
void session_own_answered(struct session *s, struct path *p, struct command *c, const struct wire_reply *r,
			  const uint8_t *payload);
/* Its path is gone: dropped, or put on again. */
void session_own_lost(struct session *s, struct command *c, struct list *again);
void session_drop_own(struct session *s, struct command *c);

#endif
