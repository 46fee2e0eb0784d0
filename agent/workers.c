/* workers.c - see workers.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "log.h"
#include "workers_impl.h"

#define WORKER_STACK (256u << 10)
#define IDLE_SECONDS 10
#define HOLD_NS 300000		/* finished jobs wait for the rest of their batch so long */

struct workers *workers_new(struct err *e)
{
	struct workers *w = calloc(1, sizeof(*w));
	pthread_condattr_t attr;

	if (!w) {
		err_set(e, ENOMEM, "cannot start workers: no memory");
		return NULL;
	}
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &attr);
	pthread_cond_init(&w->ended, &attr);
	pthread_cond_init(&w->hold_changed, &attr);
	pthread_condattr_destroy(&attr);
	return w;
}

/* Devices are few and come back, so an entry is kept. */
static struct work_device *device_get(struct workers *w, dev_t device)
{
	struct work_device *d;

	for (d = w->devices; d; d = d->next)
		if (d->device == device)
			return d;
	d = calloc(1, sizeof(*d));
	if (!d)
		return w->devices;	/* a limit that is shared with another one */
	d->device = device;
	d->next = w->devices;
	w->devices = d;
	return d;
}

void work_init(struct workers *w, struct work *k, dev_t device, unsigned batch)
{
	job_queue_init(&k->jobs);
	k->flushes = k->parked = NULL;
	k->parked_end = &k->parked;
	k->flushes_end = &k->flushes;
	k->batch = batch;
	pthread_mutex_lock(&w->lock);
	k->device = device_get(w, device);
	pthread_mutex_unlock(&w->lock);
}

static void list_add(struct workers *w, struct work *k)
{
	if (k->listed)
		return;
	k->listed = true;
	k->next = NULL;
	k->prev = w->tail;
	*(w->tail ? &w->tail->next : &w->head) = k;
	w->tail = k;
}

void workers_unlist(struct workers *w, struct work *k)
{
	if (!k->listed)
		return;
	k->listed = false;
	*(k->prev ? &k->prev->next : &w->head) = k->next;
	*(k->next ? &k->next->prev : &w->tail) = k->prev;
}

static bool runnable(const struct work *k)
{
	if (k->active >= WORKERS_PER_VOLUME)
		return false;
	if (k->device && k->device->active >= WORKERS_PER_DEVICE)
		return false;
	return !job_queue_empty(&k->jobs) || (k->flushes && !k->flushing);
}

static struct work *next_runnable(struct workers *w)
{
	struct work *k;

	for (k = w->head; k; k = k->next)
		if (runnable(k))
			return k;
	return NULL;
}

/* Several clients have used it of late. */
static bool is_shared(const struct work *k)
{
	return job_queue_mixed(&k->jobs) || (k->shared && clock_now() - k->shared < SECOND);
}

static unsigned batch_of(const struct work *k)
{
	return k->slow && k->batch > WORKERS_SHARED_BATCH && is_shared(k) ? WORKERS_SHARED_BATCH : k->batch;
}

/* What one worker does in one go: all flushes, or one slow job, or a row of quick ones. */
struct batch {
	struct job *jobs;
	unsigned count;
	bool flush, changes;
	bool quick;
};

static struct batch take(struct work *k)
{
	struct batch b = { .flush = k->flushes && !k->flushing };

	if (b.flush) {
		b.jobs = k->flushes;
		k->flushes = NULL;
		k->flushes_end = &k->flushes;
		k->flushing = true;
		return b;
	}
	b.jobs = job_queue_take(&k->jobs, batch_of(k));
	b.quick = b.jobs->kind == JOB_QUICK;
	for (struct job *j = b.jobs; j; j = j->next) {
		b.changes |= j->changes;
		b.count++;
	}
	return b;
}

static void post_all(struct job **held)
{
	struct job *j, *next;

	for (j = *held; j; j = next) {
		next = j->next;
		engine_post(j->loop, &j->message);
	}
	*held = NULL;
}

uint64_t workers_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void run_one(struct job *j)
{
	if (atomic_load_explicit(j->dropped, memory_order_acquire))
		j->result = -ECANCELED;
	else
		j->run(j);
}

/* One fdatasync answers them all: each was queued before it began.  They come
 * back at once, so that the loop answers them at once. */
static struct job *run_flushes(struct job *jobs)
{
	struct job *j;

	jobs->run(jobs);
	for (j = jobs->next; j; j = j->next)
		j->result = jobs->result;
	return jobs;
}

/* Returns the finished jobs that are not posted yet, at least one, or *again, one that is to be queued
 * again: they keep their volume, and so *k, alive until the caller is done with it. */
static struct job *run_jobs(struct work *k, struct job *jobs, struct job **again)
{
	struct job *held = NULL, **end = &held, *next;
	uint64_t since = 0, now;

	if (k->prepare && jobs->kind == JOB_QUICK && jobs->next)
		k->prepare(k, jobs);
	for (struct job *j = jobs; j; j = next) {
		next = j->next;
		run_one(j);
		if (j->again) {		/* it is the only one */
			*again = j;
			break;
		}
		j->next = NULL;
		*end = j;
		end = &j->next;
		if (!next)
			break;
		now = workers_clock();
		if (!since)
			since = now;
		if (now - since > HOLD_NS) {
			post_all(&held);
			end = &held;
			since = 0;
		}
	}
	return held;
}

static int start_thread(struct workers *w);

/* Whoever takes work wakes the next one if there is more: lock is held. */
static void wake_one(struct workers *w)
{
	if (w->idle > w->signals) {
		w->signals++;
		pthread_cond_signal(&w->wake);
	} else if (w->threads < WORKERS_MAX) {
		if (start_thread(w) < 0 && !w->threads)
			log_error("workers", "cannot start a thread; disk requests wait");
	}
}

static bool sleep_idle(struct workers *w)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	w->idle++;
	while (!w->signals && !w->stop && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&w->wake, &w->lock, &until);
	w->idle--;
	if (w->signals)
		w->signals--;
	else if (r == ETIMEDOUT)
		return false;
	return true;
}

static struct batch begin(struct workers *w, struct work *k)
{
	struct batch b = take(k);

	k->active++;
	k->changing += b.changes;
	if (k->device)
		k->device->active++;
	/* Others first, next time. */
	workers_unlist(w, k);
	if (!job_queue_empty(&k->jobs) || k->flushes)
		list_add(w, k);
	if (next_runnable(w))
		wake_one(w);
	return b;
}

static void end(struct workers *w, struct work *k, const struct batch *b, uint64_t took)
{
	k->active--;
	if (b->changes)
		workers_change_over(w, k);
	if (b->quick)
		k->slow = took / b->count > WORKERS_SLOW;
	if (k->device)
		k->device->active--;
	if (b->flush)
		k->flushing = false;
}

/* The rest of a job: after end(), so that while its volume is held it is parked.  Once its connection is
 * closed it has ended: workers_cancel may have been here before.  lock is held. */
static void queue_again(struct workers *w, struct job *j, struct job **done)
{
	j->again = false;
	if (!atomic_load_explicit(j->dropped, memory_order_acquire)) {
		workers_enqueue(w, j);
		return;
	}
	j->result = -ECANCELED;
	j->next = *done;
	*done = j;
}

static void *worker(void *arg)
{
	struct workers *w = arg;
	struct job *done = NULL, *again = NULL;
	struct batch b = { .jobs = NULL };
	uint64_t took = 0;
	struct work *k;

	pthread_setname_np(pthread_self(), "rssrv-worker");
	pthread_mutex_lock(&w->lock);
	for (;;) {
		k = next_runnable(w);
		if (!k && !done) {
			if (w->stop || !sleep_idle(w))
				break;
			continue;
		}
		if (k)
			b = begin(w, k);
		pthread_mutex_unlock(&w->lock);
		post_all(&done);
		if (k) {
			took = workers_clock();
			done = b.flush ? run_flushes(b.jobs) : run_jobs(k, b.jobs, &again);
			took = workers_clock() - took;
		}
		pthread_mutex_lock(&w->lock);
		if (k)
			end(w, k, &b, took);
		if (again)
			queue_again(w, again, &done);
		again = NULL;
	}
	w->threads--;
	pthread_cond_broadcast(&w->ended);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static int start_thread(struct workers *w)
{
	pthread_attr_t attr;
	pthread_t t;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&t, &attr, worker, w);
	pthread_attr_destroy(&attr);
	if (!r)
		w->threads++;
	return -r;
}

void workers_wake(struct workers *w)
{
	if (next_runnable(w))
		wake_one(w);
}

void workers_enqueue(struct workers *w, struct job *j)
{
	struct work *k = j->work;
	struct job ***end_of = k->hold && j->changes ? &k->parked_end : &k->flushes_end;

	if (end_of != &k->parked_end)
		list_add(w, k);
	if (end_of != &k->parked_end && j->kind != JOB_FLUSH) {
		job_queue_add(&k->jobs, j);
		return;
	}
	j->next = NULL;
	**end_of = j;
	*end_of = &j->next;
}

/* On the job's own loop. */
static void note_client(struct work *k, const struct job *j)
{
	if (k->client == j->client)
		return;
	k->shared = k->client ? clock_now() : 0;
	k->client = j->client;
}

void workers_submit(struct workers *w, struct job *jobs)
{
	struct job *j, *next;

	pthread_mutex_lock(&w->lock);
	for (j = jobs; j; j = next) {
		next = j->next;
		note_client(j->work, j);
		workers_enqueue(w, j);
	}
	workers_wake(w);
	pthread_mutex_unlock(&w->lock);
}

static void cancel_in(struct job **from, struct job ***from_end, struct conn *c, struct job **taken)
{
	struct job **at = from;

	while (*at) {
		struct job *j = *at;

		if (j->conn != c) {
			at = &j->next;
			continue;
		}
		*at = j->next;
		j->result = -ECANCELED;
		j->next = *taken;
		*taken = j;
	}
	*from_end = at;
}

static void cancel_jobs(struct work *k, struct conn *c, struct job **taken)
{
	struct job *j, *next;

	for (j = job_queue_pick(&k->jobs, c, false); j; j = next) {
		next = j->next;
		j->result = -ECANCELED;
		j->next = *taken;
		*taken = j;
	}
}

void workers_cancel(struct workers *w, struct conn *c)
{
	struct job *taken = NULL;
	struct work *k, *next;

	pthread_mutex_lock(&w->lock);
	for (k = w->head; k; k = next) {
		next = k->next;
		cancel_jobs(k, c, &taken);
		cancel_in(&k->flushes, &k->flushes_end, c, &taken);
		if (job_queue_empty(&k->jobs) && !k->flushes)
			workers_unlist(w, k);
	}
	for (k = w->holds; k; k = k->next_hold)
		cancel_in(&k->parked, &k->parked_end, c, &taken);
	pthread_mutex_unlock(&w->lock);
	post_all(&taken);
}

unsigned workers_count(struct workers *w)
{
	unsigned n;

	pthread_mutex_lock(&w->lock);
	n = w->threads;
	pthread_mutex_unlock(&w->lock);
	return n;
}

bool workers_stop(struct workers *w, double seconds)
{
	struct timespec until;
	bool done;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)seconds;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->wake);
	while (w->threads && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&w->ended, &w->lock, &until);
	done = !w->threads;
	pthread_mutex_unlock(&w->lock);
	return done;
}

void workers_free(struct workers *w)
{
	while (w->devices) {
		struct work_device *d = w->devices;

		w->devices = d->next;
		free(d);
	}
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->wake);
	pthread_cond_destroy(&w->ended);
	pthread_cond_destroy(&w->hold_changed);
	free(w);
}
