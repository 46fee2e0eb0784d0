/* strangers.c - see strangers.h. */
#include <pthread.h>
#include <sys/epoll.h>
#include <time.h>
#include "conn.h"
#include "secure.h"
#include "strangers.h"

#define BURST ((uint64_t)STRANGERS_BURST * STRANGERS_SHARE)
/* An address pays more slowly than all together do, so that it still owes something when
 * there is time again; what it did is forgotten that much later at the latest. */
#define HOST_SLOWER 64
#define HOST_FORGET (10 * SECOND)

uint64_t thread_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static uint64_t secret;

static void make_secret(void)
{
	if (secure_random(&secret, sizeof(secret)) < 0)
		secret = clock_now();
}

/* Nobody outside can tell which addresses have the same place. */
uint8_t strangers_place(const char *host)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	uint64_t hash;

	pthread_once(&once, make_secret);
	for (hash = secret; *host; host++) {
		hash = (hash ^ (uint8_t)*host) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 32;
	}
	return (uint8_t)(hash >> 56);
}

static void act(struct conn *c, uint32_t events)
{
	struct engine *l = c->loop;
	uint64_t began = thread_time(), cost;

	conn_act(c, events);
	cost = (thread_time() - began) * STRANGERS_SHARE;
	pace_use(&l->strangers, l->now, cost);
	if (pace_wait(&l->hosts[c->host_place], l->now, 0) < HOST_FORGET)
		pace_use(&l->hosts[c->host_place], l->now, cost * HOST_SLOWER);
	c->stranger_cost += cost;
	if (c->state == CONN_DEAD || conn_is_stranger(c))
		return;
	pace_return(&l->strangers, c->stranger_cost);
	pace_return(&l->hosts[c->host_place], c->stranger_cost * HOST_SLOWER);
	c->stranger_cost = 0;
}

void strangers_ready(struct conn *c, uint32_t events)
{
	struct engine *l = c->loop;

	if (!(events & EPOLLIN) || (!l->waiting && !pace_wait(&l->strangers, l->now, BURST))) {
		act(c, events);
		return;
	}
	if (c->waits || events & (EPOLLERR | EPOLLHUP)) {
		/* It waits already, or is gone and nobody cares what it said. */
		conn_act(c, events & ~(uint32_t)EPOLLIN);
		return;
	}
	c->waits = true;
	c->next_stranger = NULL;
	*l->waiting_end = c;
	l->waiting_end = &c->next_stranger;
	conn_act(c, 0);
}

void strangers_forget(struct conn *c)
{
	struct engine *l = c->loop;
	struct conn **at = &l->waiting;

	if (!c->waits)
		return;
	while (*at != c)
		at = &(*at)->next_stranger;
	*at = c->next_stranger;
	if (!*at)
		l->waiting_end = at;
	c->waits = false;
}

/* Of the address that owes least, the one that waits longest. */
static struct conn *take_next(struct engine *l)
{
	struct conn *best = l->waiting;
	uint64_t least = UINT64_MAX;

	for (struct conn *c = l->waiting; c && least; c = c->next_stranger) {
		uint64_t wait = pace_wait(&l->hosts[c->host_place], l->now, 0);

		if (wait < least) {
			best = c;
			least = wait;
		}
	}
	strangers_forget(best);
	return best;
}

void strangers_settle(struct engine *l)
{
	uint64_t wait = 0;

	while (l->waiting && !(wait = pace_wait(&l->strangers, l->now, BURST)))
		act(take_next(l), EPOLLIN);
	if (l->waiting)
		engine_look_at(l, l->now + wait);
}
