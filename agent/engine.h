/*
 * engine.h - what a thread needs from the kernel: events of sockets, messages
 * from other threads, the time.
 *
 * A loop is one thread.  Each round it waits, lets every ready source act, runs
 * the messages that arrived, and settles: batches that the round gathered go
 * out (jobs to the workers, replies of finished jobs).  Nothing that runs on a
 * loop may block.
 *
 * Messages are also how memory is freed that other loops may be looking at
 * without a lock: no loop keeps such a pointer from one round to the next, so
 * what was unlinked is free once a message has visited every loop (engine_retire).
 */
#ifndef RSSRV_ENGINE_H
#define RSSRV_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "arena.h"
#include "err.h"
#include "pace.h"
#include "strangers.h"

struct engine;
struct handle;
struct conn;
struct job;
struct server;
struct throttle_queue;

/* Embedded in whatever is posted; whoever posts keeps it alive until run(). */
struct message {
	struct message *next;
	void (*run)(struct engine *l, struct message *m);
};

/* A file descriptor that a loop watches. */
struct source {
	int fd;
	void (*ready)(struct engine *l, struct source *s, uint32_t events);	/* EPOLLIN … */
};

struct retire {
	struct message message;
	void (*done)(struct retire *r);	/* on the last loop */
};

/* Reads and writes that were answered at once, and whose time is not noted yet (numbers.h). */
struct at_once {
	struct handle *handle;		/* a reference: it may be closed before the round ends; NULL: there are none */
	struct numbers_part *numbers;	/* of it and the loop */
	uint64_t came;
	uint32_t count[2];		/* reads, writes */
};

#define LOOP_SCRATCH (256u << 10)
#define LOOP_IOV 1024

struct engine {
	/* Set before the thread starts. */
	struct server *server;
	unsigned index;			/* in server->loops */
	char name[16];
	uint64_t poll_ns;		/* how long to ask for events before sleeping */
	void (*settle)(struct engine *l);	/* end of each round; may be NULL */
	void (*tick)(struct engine *l);	/* about once a second; may be NULL */

	/* The thread's own. */
	uint64_t now;			/* CLOCK_BOOTTIME in ns when the last wait ended */
	uint64_t next_tick;
	uint64_t look_at;		/* a round has to begin by then; 0: nobody asked for it */
	bool stop;
	uint64_t round;			/* how often it went round */
	int epoll;
	struct source wake;
	struct conn *conns;		/* all that live here */
	struct conn *dirty;		/* replies were added since the last send */
	struct conn *gone;		/* freed when the round ends */
	struct conn *waiting, **waiting_end;	/* strangers.c: whose turn is later */
	struct pace strangers, hosts[STRANGERS_HOSTS];
	struct conn *turns, **turns_end;	/* turns.c: who has more to do than it may in a round */
	unsigned turn_count;
	struct throttle_queue *throttled;	/* throttle.c: commands beyond their volume's limit */
	struct job *jobs, **jobs_end;	/* for the workers, handed over when the round ends */
	struct at_once at_once;
	struct job *spare_jobs;
	unsigned spare_job_count;
	struct arena arena;
	uint8_t *scratch;		/* LOOP_SCRATCH bytes: what a receive brings */
	struct iovec iov[LOOP_IOV];

	/* Anyone's. */
	_Atomic(struct message *) inbox;	/* newest first */
	atomic_bool asleep;
	_Atomic uint32_t conn_count;
	struct message stopping;
	pthread_t thread;
};

struct engine *engine_new(struct server *s, unsigned index, const char *name, struct err *e);
void engine_free(struct engine *l);
int engine_start(struct engine *l, struct err *e);	/* on a thread of its own */
void engine_run(struct engine *l);			/* on this one, until stop */
void engine_stop(struct engine *l);			/* from any thread; then join */

/* From any thread.  Messages of one thread arrive in the order posted. */
void engine_post(struct engine *l, struct message *m);
void engine_retire(struct server *s, struct retire *r);

/* On the loop's own thread.  0 or -errno. */
int engine_add(struct engine *l, struct source *s, uint32_t events);
int engine_modify(struct engine *l, struct source *s, uint32_t events);
void engine_remove(struct engine *l, struct source *s);
/* In settle, each time anew: the next round begins by then, to a few ms. */
static inline void engine_look_at(struct engine *l, uint64_t when)
{
	if (!l->look_at || when < l->look_at)
		l->look_at = when;
}

uint64_t clock_now(void);	/* CLOCK_BOOTTIME, ns */
#define SECOND 1000000000ull

#endif
