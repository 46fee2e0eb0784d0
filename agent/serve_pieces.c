/*
 * serve_pieces.c - DISCARD, WRITE_ZEROES and COPY, which may be for very much at once, are carried out
 * piece by piece: see serve.h.
 *
 * A piece is of some megabytes, as large as the ones before say that it may be: a disk that needs a while for
 * each, however small it is, gets large ones.  Between two the
 * worker looks whether it is to go on, and gives the rest back to the queue when the volume is held for a
 * snapshot, or when it has been at it for long: then the others that wait have their turn.
 *
 * WHAT A FENCE PROVES (fence.c) stays true.  The job is one job from the beginning to the end: it is counted
 * in `executing` while its rest is queued, too.  A connection that closes sets `closed` and takes back what is
 * queued, a rest like anything else; a worker that is in the middle sees `closed` after its piece, and one that is
 * about to queue a rest looks under the lock under which it would have been taken back (workers.c).  So
 * after one more piece it has ended, as not done: no part of it is carried out after the FENCE was
 * answered.  What was done of it stays, as with any command that was stopped in the middle; it is
 * sent again from its beginning, and what overlaps it waits at the client until then, so that a piece which
 * is carried out twice is the same.
 *
 * A SNAPSHOT may have some pieces and not the others.  None of these commands is atomic by contract, as
 * none is on a disk that loses its power; and hold.c's argument needs only this: between hold_begin and hold_end no
 * piece is carried out, for a rest is parked like a command that has not begun; a command is
 * acknowledged after its last piece, so that all of one which was acknowledged before hold_begin is in; and nothing
 * of one that was sent after hold_end is.  Of what was under way meanwhile the client knows nothing yet,
 * and may find any part of it in the snapshot, as after a crash of its own.
 */
#include <errno.h>
#include "conn.h"
#include "serve.h"
#include "workers.h"

#define PIECE_LEAST (1u << 20)
#define PIECE_MOST (16u << 20)
#define PIECE_QUICK (20 * SECOND / 1000)	/* one that took less is followed by a larger one, */
#define PIECE_SLOW (100 * SECOND / 1000)	/* and one that took more by a smaller one */
#define TURN (10 * SECOND / 1000)		/* after that long others are next */

/* Ends where whole pieces of that size end, for what the file system has in blocks. */
static uint32_t next_piece(const struct job *j)
{
	uint64_t from = j->offset + j->done, to = (from + j->piece) / PIECE_LEAST * PIECE_LEAST;
	uint32_t left = j->count - j->done;

	return to - from < left ? (uint32_t)(to - from) : left;
}

static void learn(struct job *j, uint64_t ns)
{
	if (ns < PIECE_QUICK && j->piece < PIECE_MOST)
		j->piece *= 2;
	else if (ns > PIECE_SLOW && j->piece > PIECE_LEAST)
		j->piece /= 2;
}

static bool goes_on(struct job *j)
{
	if (serve_too_late(j))		/* which says why */
		return false;
	if (!atomic_load_explicit(j->dropped, memory_order_acquire))
		return true;
	j->result = -ECANCELED;
	return false;
}

static bool others_first(const struct job *j, uint64_t since)
{
	return atomic_load_explicit(&j->handle->volume->guard, memory_order_relaxed) & GUARD_HOLD ||
	       workers_clock() - since > TURN;
}

static void run(struct job *j, int (*carry_out)(struct job *j, uint64_t offset, uint32_t count))
{
	uint64_t since = workers_clock(), before, now = since;

	if (!j->piece)
		j->piece = PIECE_LEAST;
	while (goes_on(j)) {
		uint32_t n = next_piece(j);

		before = now;
		j->result = carry_out(j, j->offset + j->done, n);
		j->done += n;
		if (j->result || j->done == j->count)
			return;
		now = workers_clock();
		learn(j, now - before);
		if (others_first(j, since)) {
			j->again = true;
			return;
		}
	}
}

/* With FUA the last piece brings all of them to the disk. */
static int zero(struct job *j, uint64_t offset, uint32_t count)
{
	bool last = j->done + count == j->count;

	return volume_zero(j->handle->volume, count, offset, j->type == WIRE_DISCARD, last && j->flags & WIRE_FLAG_FUA);
}

static int copy(struct job *j, uint64_t offset, uint32_t count)
{
	return volume_copy(j->handle->volume, count, offset, j->source->volume, j->source_offset + j->done);
}

void serve_run_zero(struct job *j)
{
	run(j, zero);
}

void serve_run_copy(struct job *j)
{
	run(j, copy);
}
