/*
 * pace.h - how much of something may be used in a time, as plain arithmetic.
 *
 * Whatever is used takes a time to be paid for: a command at 500 a second 2 ms.  `due` is
 * when all that was used is paid for, and there may be debts for `burst` at most: so who
 * was idle has that much at once, and after that all comes at its pace, however late
 * anybody looks at the clock.  No division, no rounding that adds up, and one word, which
 * loops can share without a lock.  Times are ns on any one clock.
 */
#ifndef RSSRV_PACE_H
#define RSSRV_PACE_H

#include <stdatomic.h>
#include <stdint.h>

struct pace {
	_Atomic uint64_t due;
};

/* 0: something may be used now; else how long until then. */
static inline uint64_t pace_wait(const struct pace *p, uint64_t now, uint64_t burst)
{
	uint64_t due = atomic_load_explicit(&p->due, memory_order_relaxed);

	return due > now + burst ? due - now - burst : 0;
}

/* What was used takes so long to be paid for.  Returns when that begins. */
static inline uint64_t pace_use(struct pace *p, uint64_t now, uint64_t cost)
{
	uint64_t due = atomic_load_explicit(&p->due, memory_order_relaxed), from;

	do
		from = due > now ? due : now;
	while (!atomic_compare_exchange_weak_explicit(&p->due, &due, from + cost, memory_order_relaxed,
						      memory_order_relaxed));
	return from;
}

/* It need not be paid for after all. */
static inline void pace_return(struct pace *p, uint64_t cost)
{
	uint64_t due = atomic_load_explicit(&p->due, memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(&p->due, &due, due > cost ? due - cost : 0,
						      memory_order_relaxed, memory_order_relaxed))
		;
}

#endif
