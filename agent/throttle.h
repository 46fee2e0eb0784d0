/*
 * throttle.h - volumes that have a limit, for all together or for one client: commands
 * beyond it wait on the loop that received them.
 *
 * A volume that never had a limit costs a look at one pointer.  Of one that has, reads,
 * writes, copies, discards and write-zeroes count, and of reads, writes and copies the bytes; a flush
 * does not: what it covers was paid for.
 *
 * What waits is in flight like any other command: at most as much as a session may have.
 * Nothing else waits for it, neither the connection's pings nor its commands on other
 * volumes.  When its connection closes it is thrown away, and has not been done.
 *
 * WHO IS NEXT.  Each loop on which something waits holds one moment of the volume's limit
 * (limit_use), and asks for the next when that is used: so the loops take turns.  Such a
 * moment is for the client that was let through least of late, on all loops together, of
 * those that wait there: so one which has a thousand waiting, on many connections, does not
 * keep out one that has one.
 */
#ifndef RSSRV_THROTTLE_H
#define RSSRV_THROTTLE_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "limit.h"
#include "wire.h"

struct conn;
struct engine;
struct handle;
struct meta;
struct volume;

/* A volume's; made when it first has a limit, and there until the volume goes. */
struct throttle;

/* Where a volume's limits are kept: in its meta, as KEY or KEY@NODE. */
#define THROTTLE_IOPS "limit-iops"
#define THROTTLE_MBPS "limit-mbps"
#define THROTTLE_BURST "limit-burst"
#define THROTTLE_KEYS 3
#define THROTTLE_KEY_MAX 64
/* The lines of meta that stand for such a limit: values "" where there is none.  client:
 * NULL for all together. */
struct throttle_line {
	char key[THROTTLE_KEY_MAX], value[32];
};
void throttle_lines(const char *client, const struct limit_rates *r, struct throttle_line lines[THROTTLE_KEYS]);
/* What meta says now. */
struct limit_rates throttle_read(const struct meta *m, const char *client);
/* What meta says holds from now on.  One thread at a time for a volume. */
void throttle_load(struct volume *v, const struct meta *m);
void throttle_free(struct throttle *t);		/* NULL is fine */
/* {"iops", "mbps", "burst", "waiting", "clients": {NODE: …}}, null without a limit.  only: of
 * the clients that one; NULL: all. */
json_t *throttle_json(const struct volume *v, const char *only);

/* On a loop, for the command in c->request on a volume that has (v->throttle).  0: it goes
 * on; 1: it waits, and took what it needs of the payload; -ENOMEM. */
int throttle_command(struct conn *c, struct handle *h, const uint8_t *payload);
void throttle_settle(struct engine *l);		/* at the end of a round: whose time has come */
void throttle_forget(struct conn *c);		/* it closes */

#endif
