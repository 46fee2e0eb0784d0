/* lease.c - see lease.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include "client.h"
#include "lease.h"
#include "server.h"
#include "wire.h"

#define LOOK_EVERY_MS 50
#define WATCH_STACK (256u << 10)
#define MS 1000000ull

void lease_init(struct lease *l, uint32_t ms)
{
	if (!ms || ms > WIRE_LEASE_MAX)
		ms = WIRE_LEASE_MAX;
	else if (ms < WIRE_LEASE_MIN)
		ms = WIRE_LEASE_MIN;
	l->length = ms * MS;
	atomic_init(&l->runs, false);
	atomic_init(&l->from, 0);
}

static void extend(struct lease *l, uint64_t stamp)
{
	uint64_t from = atomic_load(&l->from);

	while (stamp > from && !atomic_compare_exchange_weak(&l->from, &from, stamp))
		;
}

void lease_start(struct lease *l, uint64_t now)
{
	if (atomic_load(&l->runs))
		return;
	extend(l, now);
	atomic_store(&l->runs, true);
}

/* What is over stays so; a stamp that was not made yet was not made by us. */
void lease_echo(struct lease *l, uint64_t stamp, uint64_t now)
{
	if (stamp <= now && !lease_over(l, now))
		extend(l, stamp);
}

uint64_t lease_end(const struct lease *l)
{
	return atomic_load(&l->from) + l->length - l->length / 8;
}

bool lease_over(const struct lease *l, uint64_t now)
{
	return atomic_load(&l->runs) && now >= lease_end(l);
}

/*
 * The thread.
 */
struct lease_watch {
	struct server *server;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool any;
};

static void *watch_thread(void *arg)
{
	static const struct timespec pause = { 0, LOOK_EVERY_MS * (long)MS };
	struct lease_watch *w = arg;

	pthread_setname_np(pthread_self(), "rssrv-lease");
	for (;;) {
		pthread_mutex_lock(&w->lock);
		while (!w->any)
			pthread_cond_wait(&w->wake, &w->lock);
		w->any = false;
		pthread_mutex_unlock(&w->lock);
		while (clients_end_leases(w->server->clients, clock_now()))
			nanosleep(&pause, NULL);
	}
	return NULL;
}

struct lease_watch *lease_watch_start(struct server *s, struct err *e)
{
	struct lease_watch *w = calloc(1, sizeof(*w));
	pthread_attr_t attr;
	pthread_t t;
	int r;

	if (!w) {
		err_set(e, ENOMEM, "no memory for the thread that looks after leases");
		return NULL;
	}
	w->server = s;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WATCH_STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&t, &attr, watch_thread, w);
	pthread_attr_destroy(&attr);
	if (!r)
		return w;
	err_sys(e, r, "cannot start the thread that looks after leases");
	free(w);
	return NULL;
}

void lease_watch_wake(struct lease_watch *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->any = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}
