/*
 * limit.h - a bound on requests and bytes a second, as plain arithmetic: see pace.h.
 *
 * One that was idle has `burst` at once.  It holds over all loops without a lock; its
 * values may be changed by one thread while others use it.
 */
#ifndef RSSRV_LIMIT_H
#define RSSRV_LIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include "pace.h"

/* What an administrator says. */
struct limit_rates {
	uint64_t iops;		/* a second; 0: no limit */
	double mbps;		/* 1,000,000 bytes a second; 0: no limit */
	double burst;		/* seconds; 0: LIMIT_BURST */
};
#define LIMIT_BURST 0.1
#define LIMIT_IOPS_MAX 1000000000u
#define LIMIT_MBPS_MAX 1e6
#define LIMIT_BURST_MIN 0.02	/* less would be lost to how seldom a loop looks */
#define LIMIT_BURST_MAX 3600.0

struct limit {
	struct pace requests, bytes;
	_Atomic uint64_t iops, bytes_a_second;	/* 0: no limit */
	_Atomic uint64_t burst;			/* ns */
};

/* Whoever waits has to look anew.  False: these are the values that it has. */
bool limit_set(struct limit *l, const struct limit_rates *r);
struct limit_rates limit_get(const struct limit *l);
static inline bool limit_is_set(const struct limit *l)
{
	return atomic_load_explicit(&l->iops, memory_order_relaxed) ||
	       atomic_load_explicit(&l->bytes_a_second, memory_order_relaxed);
}

/* 0: a request may go now; else how long until then, in ns, if nobody else takes its turn. */
uint64_t limit_wait(const struct limit *l, uint64_t now);
/* One of so many bytes goes.  Returns the time at which it may: later than now when there was
 * something to wait for, and then that moment is its own. */
uint64_t limit_use(struct limit *l, uint64_t now, uint32_t bytes);
void limit_return(struct limit *l, uint32_t bytes);	/* it did not go after all */

#endif
