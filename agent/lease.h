/*
 * lease.h - how long a session with a claim (claim.h) may go on: LEASE from the
 * newest of this process's stamps that came back in a PING.
 *
 * What counts is when the stamp was made and not when it came back, so a ping, or
 * its answer, that was held up on its way extends nothing.  A session is ended an
 * eighth of its lease early: from then on nothing new is begun for it, and what
 * is being carried out has that time to come to its end.
 */
#ifndef RSSRV_LEASE_H
#define RSSRV_LEASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "err.h"

struct server;

struct lease {
	uint64_t length;		/* ns; fixed */
	atomic_bool runs;		/* it does from the session's first claim on */
	_Atomic uint64_t from;		/* clock_now(); grows only */
};

void lease_init(struct lease *l, uint32_t ms);	/* as a HELLO says it; 0: not said */
/* Any thread: */
void lease_start(struct lease *l, uint64_t now);
void lease_echo(struct lease *l, uint64_t stamp, uint64_t now);
uint64_t lease_end(const struct lease *l);	/* when nothing is begun any more */
bool lease_over(const struct lease *l, uint64_t now);

/* The thread that ends sessions whose lease is over.  It sleeps while there is none. */
struct lease_watch;
struct lease_watch *lease_watch_start(struct server *s, struct err *e);
void lease_watch_wake(struct lease_watch *w);	/* a lease began; NULL is fine */

#endif
