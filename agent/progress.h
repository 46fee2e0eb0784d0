/*
 * progress.h - how far long work has come, for whoever looks at it from another
 * thread, and the wish that it end.
 */
#ifndef RSSRV_PROGRESS_H
#define RSSRV_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
	_Atomic(const char *) stage;	/* "copying": a literal; NULL: not begun */
	_Atomic uint64_t done, of;	/* bytes; of 0: not known */
	atomic_bool cancel;		/* the work ends soon with -ECANCELED */
	atomic_bool taken;		/* the moment of a snapshot is over: writes go on */
};

/* NULL stands for nobody who looks. */
static inline void progress_stage(struct progress *p, const char *stage)
{
	if (p)
		atomic_store_explicit(&p->stage, stage, memory_order_relaxed);
}

static inline void progress_add(struct progress *p, uint64_t bytes)
{
	if (p)
		atomic_fetch_add_explicit(&p->done, bytes, memory_order_relaxed);
}

static inline void progress_expect(struct progress *p, uint64_t bytes)
{
	if (p)
		atomic_fetch_add_explicit(&p->of, bytes, memory_order_relaxed);
}

/* Of what others do, for which this one waits; 0, 0: it begins itself. */
static inline void progress_set(struct progress *p, uint64_t done, uint64_t of)
{
	if (p) {
		atomic_store_explicit(&p->done, done, memory_order_relaxed);
		atomic_store_explicit(&p->of, of, memory_order_relaxed);
	}
}

static inline void progress_taken(struct progress *p)
{
	if (p)
		atomic_store_explicit(&p->taken, true, memory_order_relaxed);
}

static inline bool progress_cancelled(struct progress *p)
{
	return p && atomic_load_explicit(&p->cancel, memory_order_relaxed);
}

#endif
