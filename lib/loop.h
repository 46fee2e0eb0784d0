/*
 * loop.h - one thread's world: file descriptors, timers, and what other threads
 * post to it.  Everything registered with a loop is owned by the thread that
 * runs it; only loop_post and loop_stop may be called from elsewhere.
 */
#ifndef RSIO_LOOP_H
#define RSIO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* A watched descriptor, embedded in its owner.  events are EPOLLIN, EPOLLOUT. */
struct loop_fd {
	int fd;
	uint32_t events;
	void (*ready)(struct loop_fd *w, uint32_t events);
};

/* A timer, embedded in its owner; fires once. */
struct loop_timer {
	uint64_t when;			/* loop_now() clock; ns */
	void (*fire)(struct loop_timer *t);
	int place;			/* in the heap, 1-based; 0: not armed */
};

struct loop *loop_new(void);		/* NULL: errno says why */
void loop_free(struct loop *l);
/* Runs until loop_stop.  after is called when all that waited was handled and
 * before the thread sleeps: the place to send what was gathered. */
void loop_run(struct loop *l, void (*after)(void *arg), void *arg);
void loop_stop(struct loop *l);		/* any thread, signal-safe */
/* Asks for events for so long (ns) before sleeping; 0: sleeps at once. */
void loop_set_poll(struct loop *l, uint64_t ns);
/* So many answers are awaited from now on: for a few the loop lingers before it sleeps,
 * as long as that pays (loop.c). */
void loop_expect(struct loop *l, unsigned answers);

int loop_add(struct loop *l, struct loop_fd *w);	/* 0 or -errno */
void loop_change(struct loop *l, struct loop_fd *w, uint32_t events);
void loop_remove(struct loop *l, struct loop_fd *w);	/* never called back afterwards */

void loop_arm(struct loop *l, struct loop_timer *t, uint64_t when);	/* moves it if armed */
void loop_disarm(struct loop *l, struct loop_timer *t);

/* CLOCK_BOOTTIME in ns as of this round of the loop; loop_clock reads it anew. */
uint64_t loop_now(const struct loop *l);
uint64_t loop_clock(void);
/* How long, in all since the start, the thread was kept from running (stopped,
 * starved, suspended) beyond what it meant to sleep.  Who judges a peer by its
 * silence takes this off, since that part of the silence was ours. */
uint64_t loop_absent(const struct loop *l);

/* Memory for whoever is being called back, LOOP_SCRATCH bytes: nothing in it
 * outlives the callback. */
#define LOOP_SCRATCH (256u << 10)
uint8_t *loop_scratch(struct loop *l);

/* Runs fn(arg) on the loop's thread, in order of posting; any thread. -ENOMEM. */
int loop_post(struct loop *l, void (*fn)(void *arg), void *arg);
/* The same, and waits until it ran.  Never from the loop's own thread. */
int loop_call(struct loop *l, void (*fn)(void *arg), void *arg);

#endif
