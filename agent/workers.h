/*
 * workers.h - a bounded number of threads for whatever may block.
 *
 * A loop hands over what a round gathered in one go.  The jobs queue at their
 * volume (struct work), a worker takes many at once, and the finished ones go
 * back to their loops together: one wake-up in each direction for a batch.
 *
 * A disk that hangs must not take every worker with it: at most
 * WORKERS_PER_VOLUME are busy for one volume and WORKERS_PER_DEVICE for all
 * volumes of one file system or device.  Flushes of one volume are merged: all
 * that wait when a worker gets to them are answered by one fdatasync.
 *
 * Who asks for little does not wait for who asks for much: a volume's clients have their
 * turns (job_queue.h), and so have a device's volumes.  While several clients use a volume
 * whose jobs take long, a worker takes few at once, or the one that asks for little
 * would find all of them busy with the other's.
 *
 * A job that takes long may stop in the middle and be queued again, for others to have their turn.  It is
 * held, and taken back, like one that has not begun.
 */
#ifndef RSSRV_WORKERS_H
#define RSSRV_WORKERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "engine.h"
#include "job_queue.h"

#define WORKERS_MAX 32
#define WORKERS_PER_VOLUME 4
#define WORKERS_PER_DEVICE 12
#define WORKERS_BATCH 32	/* quick jobs that a worker takes at once */
#define WORKERS_SHARED_BATCH 2	/* the same, of a volume that is slow and used by several clients */
#define WORKERS_SLOW 100000	/* ns: a job that takes so long is */

struct workers;
struct work_device;

enum job_kind {
	JOB_QUICK,		/* reads and writes through the page cache: taken in batches */
	JOB_SLOW,		/* taken one at a time */
	JOB_FLUSH,		/* merged */
};

struct job {
	struct message message;		/* how it comes back: message.run on its loop */
	struct job *next;
	struct engine *loop;
	struct conn *conn;		/* lives until the job is back */
	const void *client;		/* whose it is: only to tell one from another */
	const atomic_bool *dropped;	/* true: not to be started any more */
	struct work *work;
	enum job_kind kind;
	bool changes;			/* waits while its volume is held */
	void (*run)(struct job *j);	/* on the worker; sets result, or again */
	bool again;			/* JOB_SLOW: it is not done, and is run once more when it has its turn */
	int result;			/* 0 or -errno; -ECANCELED: was not started */

	/* What serve.c wants to be done. */
	struct handle *handle;		/* a reference */
	uint64_t came;			/* loop->now when the command did */
	uint64_t cookie, offset;
	uint32_t count;
	uint8_t type, flags;
	struct handle *source;		/* copy: a reference; else NULL */
	uint64_t source_offset;
	uint32_t done, piece;		/* serve_pieces.c's: bytes */
	uint8_t *payload;		/* a buffer of the job's own, or NULL */
	struct out *reply;		/* read and status: room for the answer */
	uint32_t reply_length, reply_crc;
};

/* The jobs of one volume; embedded in it.  All fields under workers.lock. */
struct work {
	struct job_queue jobs;
	struct job *flushes, **flushes_end;
	unsigned active;		/* workers busy here */
	unsigned changing;		/* of them and others, at something that changes the volume */
	bool flushing;
	bool hold;			/* what changes it is parked */
	struct job *parked, **parked_end;
	struct work *next_hold;		/* all that are held */
	bool listed;
	struct work *next, *prev;	/* all that have something queued */
	struct work_device *device;
	unsigned batch;			/* quick jobs a worker may take at once */
	const void *client;		/* of the job that was queued last */
	uint64_t shared;		/* when it was another's than the one before; 0: never */
	bool slow;			/* the last ones were */
	/* Sees a batch before it runs: the place to start reading ahead.  May be NULL. */
	void (*prepare)(struct work *w, struct job *jobs);
};

struct workers *workers_new(struct err *e);
/* Waits until nothing runs any more, at most so long; threads that still hang
 * in the kernel then end with the process.  True: all are done. */
bool workers_stop(struct workers *w, double seconds);
void workers_free(struct workers *w);	/* all are done, and nothing will be submitted */

void work_init(struct workers *w, struct work *k, dev_t device, unsigned batch);
/* A list linked by next; takes it over. */
void workers_submit(struct workers *w, struct job *jobs);
/* Takes back what is queued for this connection and not started: each comes back to its
 * loop with -ECANCELED. */
void workers_cancel(struct workers *w, struct conn *c);
unsigned workers_count(struct workers *w);	/* threads now */

/*
 * For hold.c.  Times are workers_clock's.
 */
uint64_t workers_clock(void);			/* CLOCK_MONOTONIC, ns */
/* From here on nothing is begun that changes one of these, all together: it queues.  Waits
 * until nobody else holds one.  0 or -EBUSY. */
int workers_hold(struct workers *w, struct work *const *k, size_t n, uint64_t until);
/* Waits until all that had begun is done.  0; -ETIMEDOUT; -ECANCELED: they were released. */
int workers_drain(struct workers *w, struct work *const *k, size_t n, uint64_t until);
void workers_release(struct workers *w, struct work *const *k, size_t n);
/* A change that is no job begins (waits while k is held) and is over.  Not on a loop. */
void workers_enter(struct workers *w, struct work *k);
void workers_leave(struct workers *w, struct work *k);

#endif
