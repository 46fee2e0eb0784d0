/*
 * cow.h - a volume's content of one moment, where the file system cannot share blocks, or not
 * as fast as that.
 *
 * From cow_start on each chunk of the volume is copied to the target before it is
 * overwritten for the first time, by whoever is about to overwrite it, while
 * cow_run copies the rest.  A write waits for its own chunk alone, and never
 * fails because of this: if the target cannot take a chunk (no space), the copy has failed
 * and the write goes on.
 *
 *	r = cow_turn(v, n, true, progress, e);
 *	h = hold_begin(...);
 *	for each: c[i] = cow_start(v[i], target[i], false, e);
 *	r = hold_end(h, ...);			(not 0: cow_free each, remove the targets)
 *	for each: r = cow_run(c[i], progress, e);	cow_free(c[i]);
 *	cow_turn_over(v, n);
 */
#ifndef RSSRV_COW_H
#define RSSRV_COW_H

#include "progress.h"
#include "volume.h"

struct cow;

/* The moment is when this is called: between hold_begin and hold_end.  `target` is a new
 * file, open for writing, which gets the volume's size; it is not closed, and stays open
 * until cow_free.  share: blocks are shared instead of copied, for a file that is in too many
 * pieces to be cloned during a hold.  The caller has a reference to v until then.  NULL with e filled:
 * EBUSY a copy of this volume is under way already; ENOMEM. */
struct cow *cow_start(struct volume *v, int target, bool share, struct err *e);
/* Copies what is left, holes kept, and syncs the target.  Adds to p->of and p->done.
 * 0; -ECANCELED; -errno with e filled, also for what a writer could not copy. */
int cow_run(struct cow *c, struct progress *p, struct err *e);
/* Ends it, done or not: from here on nobody copies into the target.  NULL is fine. */
void cow_free(struct cow *c);

/*
 * A volume has one such copy at a time.  Before the hold: waits until all of these have none, and they are the
 * caller's until cow_turn_over.  All at once, or several that wait could wait for each other.  Meanwhile p has
 * the progress of the one that is waited for; may_wait false: it does not wait.  0; -ECANCELED; -EBUSY
 * with e, which says how far that one is.
 */
int cow_turn(struct volume *const *v, size_t n, bool may_wait, struct progress *p, struct err *e);
void cow_turn_over(struct volume *const *v, size_t n);

void cow_init(struct volume *v);	/* for volume.c */
/* The same: before a write or zeroes, on a thread that may block. */
void cow_before(struct volume *v, uint64_t offset, uint64_t count);

#endif
