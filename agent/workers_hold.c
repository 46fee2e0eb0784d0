/*
 * workers_hold.c - nothing that changes a volume is begun for a while: see workers.h
 * and, for what it is good for, hold.c.
 *
 * Held jobs stand in a list of their own, so that whoever takes work need not know of
 * it.  They are released in the order in which they came, before what comes later.
 */
#include <errno.h>
#include <time.h>
#include "workers_impl.h"

/* lock is held.  False: it is later than that. */
static bool wait_change(struct workers *w, uint64_t until)
{
	struct timespec t = { (time_t)(until / SECOND), (long)(until % SECOND) };

	return pthread_cond_timedwait(&w->hold_changed, &w->lock, &t) != ETIMEDOUT;
}

static bool any_held(struct work *const *k, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (k[i]->hold)
			return true;
	return false;
}

/* What is queued already and would change it goes where what comes will go. */
static void set_aside(struct workers *w, struct work *k)
{
	*k->parked_end = job_queue_pick(&k->jobs, NULL, true);
	while (*k->parked_end)
		k->parked_end = &(*k->parked_end)->next;
	if (job_queue_empty(&k->jobs) && !k->flushes)
		workers_unlist(w, k);
}

int workers_hold(struct workers *w, struct work *const *k, size_t n, uint64_t until)
{
	bool in_time = true;

	pthread_mutex_lock(&w->lock);
	while (any_held(k, n) && in_time)
		in_time = wait_change(w, until);
	if (any_held(k, n)) {
		pthread_mutex_unlock(&w->lock);
		return -EBUSY;
	}
	for (size_t i = 0; i < n; i++) {
		k[i]->hold = true;
		k[i]->next_hold = w->holds;
		w->holds = k[i];
		set_aside(w, k[i]);
	}
	pthread_mutex_unlock(&w->lock);
	return 0;
}

static bool any_changing(struct work *const *k, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (k[i]->changing)
			return true;
	return false;
}

int workers_drain(struct workers *w, struct work *const *k, size_t n, uint64_t until)
{
	bool in_time = true;
	int r;

	pthread_mutex_lock(&w->lock);
	while (any_held(k, n) && any_changing(k, n) && in_time)
		in_time = wait_change(w, until);
	r = !any_held(k, n) ? -ECANCELED : any_changing(k, n) ? -ETIMEDOUT : 0;
	pthread_mutex_unlock(&w->lock);
	return r;
}

static void release(struct workers *w, struct work *k)
{
	struct work **at = &w->holds;
	struct job *j, *next, *parked = k->parked;

	while (*at != k)
		at = &(*at)->next_hold;
	*at = k->next_hold;
	k->hold = false;
	k->parked = NULL;
	k->parked_end = &k->parked;
	for (j = parked; j; j = next) {
		next = j->next;
		workers_enqueue(w, j);
	}
}

void workers_release(struct workers *w, struct work *const *k, size_t n)
{
	pthread_mutex_lock(&w->lock);
	for (size_t i = 0; i < n; i++)
		release(w, k[i]);
	workers_wake(w);
	pthread_cond_broadcast(&w->hold_changed);
	pthread_mutex_unlock(&w->lock);
}

void workers_enter(struct workers *w, struct work *k)
{
	pthread_mutex_lock(&w->lock);
	while (k->hold)
		pthread_cond_wait(&w->hold_changed, &w->lock);
	k->changing++;
	pthread_mutex_unlock(&w->lock);
}

void workers_leave(struct workers *w, struct work *k)
{
	pthread_mutex_lock(&w->lock);
	workers_change_over(w, k);
	pthread_mutex_unlock(&w->lock);
}
