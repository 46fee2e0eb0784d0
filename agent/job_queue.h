/*
 * job_queue.h - the jobs of one volume that wait for a worker: a lane for each client,
 * which have their turn one after the other, a job at a time.
 *
 * So a client that has thousands queued does not keep out one that has a single one.
 * Within a lane the order is that in which they came.  The usual case, one client, has
 * its lane in the struct and allocates nothing; without memory for another one, two
 * clients share a lane.
 */
#ifndef RSSRV_JOB_QUEUE_H
#define RSSRV_JOB_QUEUE_H

#include <stdbool.h>

struct job;

struct job_lane {
	struct job_lane *next;
	const void *client;		/* job->client; not looked into */
	struct job *first, **end;
};

struct job_queue {
	struct job_lane *turn, **turn_end;	/* those with something in them; the first is next */
	struct job_lane *last;		/* that something was put into: the next goes there too, mostly; or NULL */
	struct job_lane own;
};

void job_queue_init(struct job_queue *q);
static inline bool job_queue_empty(const struct job_queue *q)
{
	return !q->turn;
}
/* More than one client's. */
static inline bool job_queue_mixed(const struct job_queue *q)
{
	return q->turn && q->turn->next;
}
void job_queue_add(struct job_queue *q, struct job *j);
/* What is next: one job, or where that is JOB_QUICK up to n of this kind, by turns. */
struct job *job_queue_take(struct job_queue *q, unsigned n);
/* Those of that connection (NULL: of any), and that change something if only_changes: a list. */
struct conn;
struct job *job_queue_pick(struct job_queue *q, const struct conn *c, bool only_changes);

#endif
