/*
 * strangers.h - who has not shown a key, and how little time of a loop they get.
 *
 * A connection costs its peer next to nothing and the server a TLS handshake, and nobody
 * has to have a key to ask for one: a hello that was recorded on the wire will do.  So what
 * a loop does for connections that have not shown one is measured, in CPU time, and may be
 * 1/STRANGERS_SHARE of it, and STRANGERS_BURST at once.  Beyond that they wait, unread,
 * within the time that a login has, and it is the turn of the address that took least of
 * late: one that floods does not hold up the logins of others.  A connection whose key is
 * right is no stranger from then on and gives back what it took: so a thousand clients
 * that all come at once, after a restart, are not held up either.
 */
#ifndef RSSRV_STRANGERS_H
#define RSSRV_STRANGERS_H

#include <stdbool.h>
#include <stdint.h>

#define STRANGERS_SHARE 40
#define STRANGERS_BURST 50000000u	/* ns */
#define STRANGERS_HOSTS 256		/* places for addresses; some may have the same one */

struct conn;
struct engine;

/* Its socket is ready: handled now or later. */
void strangers_ready(struct conn *c, uint32_t events);
void strangers_forget(struct conn *c);		/* it closes */
/* At the end of a round: whose turn has come. */
void strangers_settle(struct engine *l);
uint8_t strangers_place(const char *host);	/* in engine.hosts */
/* CPU time of this thread, ns. */
uint64_t thread_time(void);

#endif
