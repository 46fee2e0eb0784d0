/*
 * numbers.h - what each client does on each volume that it has open, and how long that
 * takes here.
 *
 * Each handle counts for itself, and on each loop apart: no lock, and no line of
 * the cache that two processors write.  Sums are made when somebody asks, and what a
 * handle has counted goes to its volume when it is closed.
 *
 * TIMES are from the round of the loop in which a command came to its answer; waiting for
 * a limit, for the disk and for other commands is in them.  Of what a worker did
 * the answer is the round in which it came back.  What is in memory is answered at once: of
 * these the time is until the loop turns to another connection or volume, or goes
 * to sleep, which is when their replies have been handed to the kernel, together.  So a
 * command costs an increment, and a batch of them one look at the clock.
 */
#ifndef RSSRV_NUMBERS_H
#define RSSRV_NUMBERS_H

#include <pthread.h>
#include <stdint.h>
#include "engine.h"
#include "histogram.h"

struct handle;
struct server;
struct volume;

/* A handle's, on one loop: written there, read by anyone. */
struct numbers_part {
	_Atomic uint64_t reads, read_bytes, writes, write_bytes, flushes, others;
	_Atomic uint64_t failed;	/* answered with an error; in none of the above */
	_Atomic uint64_t begun, ended;	/* at the workers */
	_Atomic(struct histogram *) latency[2];		/* of reads, of writes; NULL: there were none */
};

/* Of several together. */
struct numbers_sum {
	uint64_t reads, read_bytes, writes, write_bytes, flushes, others, failed;
	uint64_t queue;			/* at the workers now */
	double read_iops, read_rate, write_iops, write_rate;	/* a second, bytes a second: of late */
	struct histogram latency[2];
};

/* A volume's. */
struct volume_numbers {
	pthread_mutex_t lock;
	struct handle *handles;		/* that are open for it, or were and are still in use */
	struct numbers_sum *past;	/* of those that are gone; NULL: nothing yet */
};

void numbers_init(struct volume_numbers *n);
void numbers_fini(struct volume_numbers *n);
/* A handle's beginning and end. */
void numbers_open(struct handle *h);
void numbers_close(struct handle *h);

/* On the handle's loop.  A command of that type was answered with this status: at once; or by a worker. */
void numbers_at_once(struct engine *l, struct handle *h, uint8_t type, uint32_t count, uint64_t came);
void numbers_later(struct engine *l, struct handle *h, uint8_t type, uint32_t count, uint64_t came, bool failed);
void numbers_failed(struct engine *l, struct handle *h);
void numbers_queued(struct engine *l, struct handle *h);	/* a worker is to do it */
void numbers_back(struct engine *l, struct handle *h);		/* and has, or never will */
/* What was answered at once has left. */
void numbers_settle(struct engine *l);

/* Once a second: how much is done of late. */
void numbers_look(struct server *s);

/* Adds to a sum what was done on a volume: by all, ever; or by that node (with the handles that it
 * has open). */
void numbers_of_volume(struct volume *v, struct numbers_sum *to);
void numbers_of_node(struct volume *v, const char *node, struct numbers_sum *to);
void numbers_of_handle(struct handle *h, struct numbers_sum *to);
/* Calls fn for each node that has the volume open, once. */
void numbers_nodes(struct volume *v, void (*fn)(void *arg, const char *node), void *arg);

#endif
