/*
 * engine_epoll.c - a loop over epoll: see engine.h.
 *
 * The inbox is a stack that is taken whole and turned round, so posting is one
 * exchange and never fails.  A wake-up costs a system call on both sides, so it
 * is only sent to a loop that says it is asleep: the loop says so first and then
 * looks into the inbox once more, the poster posts first and then looks whether
 * the loop is asleep; in whatever order these four happen, one of the two sees
 * the other.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "engine.h"
#include "log.h"
#include "server.h"

#define EVENTS_MAX 64
#define LOOP_STACK (512u << 10)

uint64_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void on_wake(struct engine *l, struct source *s, uint32_t events)
{
	uint64_t n;

	(void)l;
	(void)events;
	if (read(s->fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_error(l->name, "cannot read the wake-up descriptor: %s", strerror(errno));
}

struct engine *engine_new(struct server *s, unsigned index, const char *name, struct err *e)
{
	struct engine *l = aligned_alloc(64, (sizeof(*l) + 63) & ~(size_t)63);

	if (!l)
		goto no_memory;
	memset(l, 0, sizeof(*l));
	l->server = s;
	l->index = index;
	snprintf(l->name, sizeof(l->name), "%s", name);
	l->jobs_end = &l->jobs;
	l->waiting_end = &l->waiting;
	l->turns_end = &l->turns;
	arena_init(&l->arena, &s->memory);
	l->wake.ready = on_wake;
	l->wake.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->scratch = aligned_alloc(4096, LOOP_SCRATCH);
	if (l->wake.fd < 0 || l->epoll < 0 || engine_add(l, &l->wake, EPOLLIN) < 0) {
		err_sys(e, errno, "cannot start %s", name);
		engine_free(l);
		return NULL;
	}
	if (!l->scratch) {
		engine_free(l);
		goto no_memory;
	}
	return l;
no_memory:
	err_set(e, ENOMEM, "cannot start %s: no memory", name);
	return NULL;
}

void engine_free(struct engine *l)
{
	if (!l)
		return;
	if (l->epoll >= 0)
		close(l->epoll);
	if (l->wake.fd >= 0)
		close(l->wake.fd);
	arena_fini(&l->arena);
	free(l->scratch);
	free(l);
}

int engine_add(struct engine *l, struct source *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };

	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, s->fd, &ev) < 0 ? -errno : 0;
}

int engine_modify(struct engine *l, struct source *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };

	return epoll_ctl(l->epoll, EPOLL_CTL_MOD, s->fd, &ev) < 0 ? -errno : 0;
}

void engine_remove(struct engine *l, struct source *s)
{
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, s->fd, NULL);
}

void engine_post(struct engine *l, struct message *m)
{
	struct message *head = atomic_load_explicit(&l->inbox, memory_order_relaxed);
	uint64_t one = 1;

	do
		m->next = head;
	while (!atomic_compare_exchange_weak(&l->inbox, &head, m));
	/* The counter of an eventfd does not fill up here: only the one who
	 * finds the loop asleep writes. */
	if (atomic_load(&l->asleep) && atomic_exchange(&l->asleep, false))
		while (write(l->wake.fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
}

static void run_inbox(struct engine *l)
{
	struct message *m = NULL, *next, *taken;

	if (!atomic_load_explicit(&l->inbox, memory_order_relaxed))
		return;
	taken = atomic_exchange(&l->inbox, NULL);
	for (; taken; taken = next) {
		next = taken->next;
		taken->next = m;
		m = taken;
	}
	for (; m; m = next) {
		next = m->next;		/* run() may free it */
		m->run(l, m);
	}
}

static void retire_visit(struct engine *l, struct message *m)
{
	struct retire *r = (struct retire *)m;
	unsigned next = l->index + 1;

	if (next < l->server->loop_count)
		engine_post(l->server->loops[next], m);
	else
		r->done(r);
}

void engine_retire(struct server *s, struct retire *r)
{
	r->message.run = retire_visit;
	engine_post(s->loops[0], &r->message);
}

/* Asks without sleeping for as long as polling is worth it; it ends by itself. */
static int spin(struct engine *l, struct epoll_event *events)
{
	uint64_t end = clock_now() + l->poll_ns;
	int n;

	do {
		n = epoll_wait(l->epoll, events, EVENTS_MAX, 0);
		if (n || atomic_load_explicit(&l->inbox, memory_order_relaxed))
			return n;
	} while (clock_now() < end);
	return 0;
}

/* ms; -1: until something happens. */
static int time_to_sleep(const struct engine *l)
{
	uint64_t now, until = l->tick ? l->next_tick : UINT64_MAX;

	if (l->look_at && l->look_at < until)
		until = l->look_at;
	if (until == UINT64_MAX)
		return -1;
	now = clock_now();
	return now >= until ? 0 : (int)((until - now) / 1000000) + 1;
}

static int wait_events(struct engine *l, struct epoll_event *events, bool busy)
{
	int timeout, n;

	if (l->poll_ns && busy) {
		n = spin(l, events);
		if (n || atomic_load_explicit(&l->inbox, memory_order_relaxed))
			return n;
	}
	timeout = time_to_sleep(l);
	atomic_store(&l->asleep, true);
	if (atomic_load(&l->inbox))
		timeout = 0;
	n = epoll_wait(l->epoll, events, EVENTS_MAX, timeout);
	atomic_store(&l->asleep, false);
	return n;
}

void engine_run(struct engine *l)
{
	struct epoll_event events[EVENTS_MAX];
	bool busy = false;

	l->now = clock_now();
	l->next_tick = l->now + SECOND;
	while (!l->stop) {
		int n = wait_events(l, events, busy);

		l->now = clock_now();
		l->round++;
		busy = n > 0;
		for (int i = 0; i < n; i++) {
			struct source *s = events[i].data.ptr;

			s->ready(l, s, events[i].events);
		}
		run_inbox(l);
		l->look_at = 0;
		if (l->settle)
			l->settle(l);
		if (l->tick && l->now >= l->next_tick) {
			l->next_tick = l->now + SECOND;
			l->tick(l);
		}
	}
}

static void *engine_thread(void *arg)
{
	struct engine *l = arg;

	pthread_setname_np(pthread_self(), l->name);
	engine_run(l);
	return NULL;
}

int engine_start(struct engine *l, struct err *e)
{
	pthread_attr_t attr;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, LOOP_STACK);
	r = pthread_create(&l->thread, &attr, engine_thread, l);
	pthread_attr_destroy(&attr);
	return r ? err_sys(e, r, "cannot start a thread for %s", l->name) : 0;
}

static void on_stop(struct engine *l, struct message *m)
{
	(void)m;
	l->stop = true;
}

void engine_stop(struct engine *l)
{
	l->stopping.run = on_stop;
	engine_post(l, &l->stopping);
}
