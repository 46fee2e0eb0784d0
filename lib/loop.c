#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "list.h"
#include "loop.h"

#define EVENTS_AT_ONCE 64
/* A round that takes longer than this was interrupted from outside. */
#define ABSENT_AFTER (200 * UINT64_C(1000000))

struct post {
	struct post *next;
	void (*fn)(void *arg);
	void *arg;
};

struct loop {
	int epoll;
	int wake;			/* eventfd: something was posted, or stop */
	struct loop_fd wake_fd;
	atomic_bool stop;
	uint64_t now, absent, poll;
	unsigned answers;		/* that are awaited */
	int lingered_well;		/* see LINGERING; > 0: it is worth it */
	uint8_t *scratch;

	struct loop_timer **heap;	/* [1..timers], the earliest at 1 */
	int timers, room;

	/* The batch being handled, so that loop_remove can take events out of it. */
	struct epoll_event events[EVENTS_AT_ONCE];
	int event_count, event_at;

	pthread_mutex_t lock;		/* guards first, last */
	struct post *first, **last;
};

uint64_t loop_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t loop_now(const struct loop *l)
{
	return l->now;
}

uint64_t loop_absent(const struct loop *l)
{
	return l->absent;
}

uint8_t *loop_scratch(struct loop *l)
{
	return l->scratch;
}

void loop_set_poll(struct loop *l, uint64_t ns)
{
	l->poll = ns;
}

void loop_expect(struct loop *l, unsigned answers)
{
	l->answers = answers;
}

/* The heap. */

static void heap_put(struct loop *l, int i, struct loop_timer *t)
{
	l->heap[i] = t;
	t->place = i;
}

static void heap_up(struct loop *l, int i)
{
	struct loop_timer *t = l->heap[i];

	for (; i > 1 && l->heap[i / 2]->when > t->when; i /= 2)
		heap_put(l, i, l->heap[i / 2]);
	heap_put(l, i, t);
}

static void heap_down(struct loop *l, int i)
{
	struct loop_timer *t = l->heap[i];
	int child;

	for (; (child = 2 * i) <= l->timers; i = child) {
		if (child < l->timers && l->heap[child + 1]->when < l->heap[child]->when)
			child++;
		if (l->heap[child]->when >= t->when)
			break;
		heap_put(l, i, l->heap[child]);
	}
	heap_put(l, i, t);
}

void loop_disarm(struct loop *l, struct loop_timer *t)
{
	int i = t->place;
	struct loop_timer *last;

	if (!i)
		return;
	t->place = 0;
	last = l->heap[l->timers--];
	if (last == t)
		return;
	heap_put(l, i, last);
	heap_up(l, i);
	heap_down(l, last->place);
}

void loop_arm(struct loop *l, struct loop_timer *t, uint64_t when)
{
	loop_disarm(l, t);
	if (l->timers + 1 >= l->room) {
		int room = l->room ? 2 * l->room : 64;
		struct loop_timer **heap = realloc(l->heap, (size_t)room * sizeof *heap);

		/* A timer that cannot be armed would be a hang: better to end here. */
		if (!heap)
			abort();
		l->heap = heap;
		l->room = room;
	}
	t->when = when;
	heap_put(l, ++l->timers, t);
	heap_up(l, t->place);
}

static void fire_timers(struct loop *l)
{
	while (l->timers && l->heap[1]->when <= l->now) {
		struct loop_timer *t = l->heap[1];

		loop_disarm(l, t);
		t->fire(t);
	}
}

/* Descriptors. */

int loop_add(struct loop *l, struct loop_fd *w)
{
	struct epoll_event ev = { .events = w->events, .data.ptr = w };

	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, w->fd, &ev) < 0 ? -errno : 0;
}

void loop_change(struct loop *l, struct loop_fd *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (w->events == events)
		return;
	w->events = events;
	epoll_ctl(l->epoll, EPOLL_CTL_MOD, w->fd, &ev);
}

void loop_remove(struct loop *l, struct loop_fd *w)
{
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	for (int i = l->event_at; i < l->event_count; i++)
		if (l->events[i].data.ptr == w)
			l->events[i].data.ptr = NULL;
}

/* Posts. */

int loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct post *p = malloc(sizeof *p);
	uint64_t one = 1;

	if (!p)
		return -ENOMEM;
	*p = (struct post){ .fn = fn, .arg = arg };
	pthread_mutex_lock(&l->lock);
	*l->last = p;
	l->last = &p->next;
	pthread_mutex_unlock(&l->lock);
	return write(l->wake, &one, sizeof one) < 0 && errno != EAGAIN ? -errno : 0;
}

struct call {
	void (*fn)(void *arg);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void run_call(void *arg)
{
	struct call *c = arg;

	c->fn(c->arg);
	pthread_mutex_lock(&c->lock);
	c->done = true;
	pthread_cond_signal(&c->cond);
	pthread_mutex_unlock(&c->lock);
}

int loop_call(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct call c = { fn, arg, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };
	int r = loop_post(l, run_call, &c);

	if (r < 0)
		return r;
	pthread_mutex_lock(&c.lock);
	while (!c.done)
		pthread_cond_wait(&c.cond, &c.lock);
	pthread_mutex_unlock(&c.lock);
	return 0;
}

static void run_posts(struct loop *l)
{
	struct post *p, *next;

	pthread_mutex_lock(&l->lock);
	p = l->first;
	l->first = NULL;
	l->last = &l->first;
	pthread_mutex_unlock(&l->lock);
	for (; p; p = next) {
		next = p->next;
		p->fn(p->arg);
		free(p);
	}
}

static void woken(struct loop_fd *w, uint32_t events)
{
	struct loop *l = container_of(w, struct loop, wake_fd);
	uint64_t n;

	(void)events;
	if (read(l->wake, &n, sizeof n) == sizeof n)
		run_posts(l);
}

/*
 * LINGERING.  Going to sleep and being woken costs both sides: in a virtual machine
 * some 20 us, most of it for the one who wakes.  When an answer is about to come it is
 * cheaper, and much quicker, to ask for it for as long as that.  Whether answers come
 * so soon is learned: each that does is worth a point, each wait that was in vain costs
 * LINGER_LOSS, and without points left the next LINGER_REST waits sleep at once.  With
 * more than a few answers awaited the next one is never far, and sleeping lets them
 * gather, which is cheaper.
 */
#define LINGER (50 * UINT64_C(1000))
#define LINGER_ANSWERS 8
#define LINGER_POINTS 16
#define LINGER_LOSS 4
#define LINGER_REST 64

/* How long to ask for events before sleeping. */
static uint64_t patience(struct loop *l)
{
	if (l->poll)
		return l->poll;
	if (!l->answers || l->answers > LINGER_ANSWERS)
		return 0;
	if (l->lingered_well <= 0 && ++l->lingered_well <= 0)
		return 0;
	return LINGER;
}

static void learn_to_linger(struct loop *l, bool came)
{
	if (came && l->lingered_well < LINGER_POINTS)
		l->lingered_well++;
	if (came)
		return;
	l->lingered_well -= LINGER_LOSS;
	if (l->lingered_well <= 0)
		l->lingered_well = -LINGER_REST;
}

/* The rounds. */

static int sleep_ms(const struct loop *l, uint64_t now)
{
	uint64_t ns;

	if (!l->timers)
		return -1;
	if (l->heap[1]->when <= now)
		return 0;
	ns = l->heap[1]->when - now + 999999;
	return ns / 1000000 > 3600000 ? 3600000 : (int)(ns / 1000000);
}

/* Asks without sleeping, for so long (ns), but not past a timer.  How many events there
 * are; 0: none came. */
static int ask(struct loop *l, uint64_t ns)
{
	uint64_t before = l->now, last;
	int n = 0;

	if (ns && l->timers)
		ns = l->heap[1]->when <= before ? 0 :
		     l->heap[1]->when - before < ns ? l->heap[1]->when - before : ns;
	while (!n && l->now - before < ns && !l->stop) {
		n = epoll_wait(l->epoll, l->events, EVENTS_AT_ONCE, 0);
		last = l->now;
		l->now = loop_clock();
		if (l->now - last > ABSENT_AFTER)
			l->absent += l->now - last;
	}
	if (ns && !l->poll)
		learn_to_linger(l, n);
	return n;
}

static int wait_for_events(struct loop *l)
{
	uint64_t before = loop_clock(), meant;
	int n, ms;

	if (before - l->now > ABSENT_AFTER)	/* the round itself was interrupted */
		l->absent += before - l->now;
	l->now = before;
	n = ask(l, patience(l));
	if (n)
		return n;
	ms = sleep_ms(l, l->now);
	n = epoll_wait(l->epoll, l->events, EVENTS_AT_ONCE, ms);
	meant = l->now + (uint64_t)(ms < 0 ? 0 : ms) * 1000000;
	l->now = loop_clock();
	if (ms >= 0 && l->now > meant + ABSENT_AFTER)
		l->absent += l->now - meant;
	return n;
}

void loop_run(struct loop *l, void (*after)(void *arg), void *arg)
{
	l->now = loop_clock();
	if (after)
		after(arg);
	while (!l->stop) {
		int n = wait_for_events(l);

		l->event_count = n > 0 ? n : 0;
		for (l->event_at = 0; l->event_at < l->event_count;) {
			struct epoll_event *ev = &l->events[l->event_at++];
			struct loop_fd *w = ev->data.ptr;

			if (w)
				w->ready(w, ev->events);
		}
		fire_timers(l);
		if (after)
			after(arg);
	}
	l->stop = false;	/* it may be run again */
}

void loop_stop(struct loop *l)
{
	uint64_t one = 1;
	ssize_t n;

	l->stop = true;
	n = write(l->wake, &one, sizeof one);
	(void)n;	/* a full counter wakes as well */
}

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof *l);
	int saved;

	if (!l)
		return NULL;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->last = &l->first;
	l->now = loop_clock();
	l->scratch = malloc(LOOP_SCRATCH);
	pthread_mutex_init(&l->lock, NULL);
	l->wake_fd = (struct loop_fd){ .fd = l->wake, .events = EPOLLIN, .ready = woken };
	if (!l->scratch || l->epoll < 0 || l->wake < 0 || loop_add(l, &l->wake_fd) < 0) {
		saved = errno;
		loop_free(l);
		errno = saved;
		return NULL;
	}
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	run_posts(l);
	if (l->epoll >= 0)
		close(l->epoll);
	if (l->wake >= 0)
		close(l->wake);
	pthread_mutex_destroy(&l->lock);
	free(l->heap);
	free(l->scratch);
	free(l);
}
