/* job_queue.c - see job_queue.h. */
#include <stdlib.h>
#include "job_queue.h"
#include "workers.h"

void job_queue_init(struct job_queue *q)
{
	*q = (struct job_queue){ .turn = NULL };
	q->turn_end = &q->turn;
}

static struct job_lane *lane_new(struct job_queue *q, const void *client)
{
	struct job_lane *k = q->own.first ? malloc(sizeof(*k)) : &q->own;

	if (!k)
		return q->turn;		/* there is one: own is in use */
	k->client = client;
	k->first = NULL;
	k->end = &k->first;
	return k;
}

static struct job_lane *lane_for(struct job_queue *q, const void *client)
{
	struct job_lane *k;

	if (q->last && q->last->client == client)
		return q->last;
	for (k = q->turn; k; k = k->next)
		if (k->client == client)
			return k;
	return lane_new(q, client);
}

static void to_the_end(struct job_queue *q, struct job_lane *k)
{
	k->next = NULL;
	*q->turn_end = k;
	q->turn_end = &k->next;
}

void job_queue_add(struct job_queue *q, struct job *j)
{
	struct job_lane *k = lane_for(q, j->client);

	if (!k->first)
		to_the_end(q, k);
	j->next = NULL;
	*k->end = j;
	k->end = &j->next;
	q->last = k;
}

/* It is empty, and not in the list of turns any more. */
static void lane_free(struct job_queue *q, struct job_lane *k)
{
	if (q->last == k)
		q->last = NULL;
	if (k != &q->own)
		free(k);
}

static struct job *take_one(struct job_queue *q)
{
	struct job_lane *k = q->turn;
	struct job *j = k->first;

	q->turn = k->next;
	if (!q->turn)
		q->turn_end = &q->turn;
	k->first = j->next;
	if (k->first)
		to_the_end(q, k);
	else
		lane_free(q, k);
	j->next = NULL;
	return j;
}

struct job *job_queue_take(struct job_queue *q, unsigned n)
{
	struct job *first = take_one(q), *last = first;

	if (first->kind != JOB_QUICK)
		return first;
	while (--n && q->turn && q->turn->first->kind == JOB_QUICK) {
		last->next = take_one(q);
		last = last->next;
	}
	return first;
}

struct job *job_queue_pick(struct job_queue *q, const struct conn *c, bool only_changes)
{
	struct job_lane **lane = &q->turn, *k;
	struct job *picked = NULL, **end = &picked;

	while ((k = *lane)) {
		struct job **at = &k->first, *j;

		while ((j = *at)) {
			if ((c && j->conn != c) || (only_changes && !j->changes)) {
				at = &j->next;
				continue;
			}
			*at = j->next;
			*end = j;
			end = &j->next;
		}
		k->end = at;
		if (k->first) {
			lane = &k->next;
		} else {
			*lane = k->next;
			lane_free(q, k);
		}
	}
	q->turn_end = lane;
	*end = NULL;
	return picked;
}
