/*
 * workers_impl.h - what workers.c and workers_hold.c share, and nobody else.
 */
#ifndef RSSRV_WORKERS_IMPL_H
#define RSSRV_WORKERS_IMPL_H

#include <pthread.h>
#include "workers.h"

struct work_device {
	struct work_device *next;
	dev_t device;
	unsigned active;
};

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t wake;		/* there is something to do, or stop */
	pthread_cond_t ended;		/* a thread went */
	pthread_cond_t hold_changed;	/* all that had begun is done, or a hold ended */
	struct work *head, *tail;	/* volumes with something queued, the longest waiting first */
	struct work *holds;		/* volumes that are held */
	struct work_device *devices;
	unsigned threads, idle, signals;	/* signals: wake-ups that no idle thread took yet */
	bool stop;
};

/* Under workers.lock: */
void workers_enqueue(struct workers *w, struct job *j);
void workers_unlist(struct workers *w, struct work *k);	/* nothing is queued any more */
void workers_wake(struct workers *w);		/* something was queued */
/* Something that changes the volume is over. */
static inline void workers_change_over(struct workers *w, struct work *k)
{
	if (!--k->changing && k->hold)
		pthread_cond_broadcast(&w->hold_changed);
}

#endif
