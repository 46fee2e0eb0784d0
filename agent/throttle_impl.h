/*
 * throttle_impl.h - what throttle.c and throttle_keys.c share.
 */
#ifndef RSSRV_THROTTLE_IMPL_H
#define RSSRV_THROTTLE_IMPL_H

#include "client.h"
#include "throttle.h"
#include "volume.h"

/* A client's own limit.  Never unlinked while the volume lives: loops look at them without a lock. */
struct own {
	struct own *next;
	char node[WIRE_NAME_MAX + 1];
	struct limit limit;
	struct limit_rates read;	/* throttle_load's */
};

struct throttle {
	struct limit all;
	struct limit_rates read;	/* throttle_load's */
	_Atomic(struct own *) owns;
	atomic_uint changes;		/* how often it was changed */
	atomic_uint waiting;		/* commands, on all loops */
	/* How much each client was let through, by its index, to tell who is behind; whoever begins
	 * to wait begins where the others are.  Races between loops cost a turn at most. */
	_Atomic uint32_t served[CLIENTS_MAX], served_last;
};

static inline struct throttle *throttle_of(const struct volume *v)
{
	return atomic_load_explicit(&v->throttle, memory_order_acquire);
}
struct own *throttle_own(struct throttle *t, const char *node);	/* NULL: it never had a limit */

#endif
