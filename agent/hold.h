/*
 * hold.h - no client's write is carried out on these volumes, for a moment.
 *
 * Between hold_begin and hold_end nothing changes the files behind them: what
 * came before is carried out to its end, what comes meanwhile waits.  Reads and
 * flushes go on.  So files that are cloned meanwhile are of one point in time, all
 * together: what was acknowledged before hold_begin is in, what was sent after
 * hold_end returned is not.  The argument stands on top of hold.c.
 *
 *	h = hold_begin(volumes, n, HOLD_LIMIT, e);
 *	... clone each file under a temporary name, or cow_start ...
 *	r = hold_end(h, &ns, e);
 *	if (r) ... throw the clones away: they are torn ...
 */
#ifndef RSSRV_HOLD_H
#define RSSRV_HOLD_H

#include <stddef.h>
#include "volume.h"

struct hold;

#define HOLD_LIMIT 1.0		/* seconds, where nobody asked for another */
#define HOLD_LIMIT_MIN 0.01
#define HOLD_LIMIT_MAX 10.0

/*
 * First what is dirty goes to the disks, with writes going on, so that the hold is
 * short; then writes are held for at most so many seconds in all.  The caller has a
 * reference to each volume and keeps it to hold_end; the same one twice is fine.
 * Blocks.  NULL with e filled, and nothing is held: ETIMEDOUT what was under way did
 * not come to its end in time; EBUSY another hold lasts too long; EUCLEAN one has a
 * failed flush behind it; EOPNOTSUPP one is offered by several servers.
 */
struct hold *hold_begin(struct volume **v, size_t n, double limit, struct err *e);
/* False: the limit has passed and writes go on already.  Long work may end then. */
bool hold_lasts(struct hold *h);
/* What waited goes on, in its order.  Says how long writes were held, in *ns (may be NULL)
 * and in the log.  0; -ETIMEDOUT with e filled: they were let go before this call, since
 * the limit had passed, so what was cloned meanwhile is of no one moment. */
int hold_end(struct hold *h, uint64_t *ns, struct err *e);

/* All that had begun to change the volume before this call is done when it returns; of a shared one,
 * all that had by way of this server.  Nothing is flushed first.  0 or -errno with e filled. */
int hold_pass(struct volume *v, double limit, struct err *e);

/*
 * Whoever changes a volume's content and is no command of a client (the server's own
 * copy into a volume) does so between these two.  Not on a loop: hold_enter waits while
 * the volume is held.
 */
void hold_enter(struct volume *v);
void hold_leave(struct volume *v);

#endif
