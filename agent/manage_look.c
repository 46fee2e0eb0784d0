/*
 * manage_look.c - questions whose answer is in files: threads of their own read these, so
 * that a pool whose file system hangs keeps only who asks about it waiting, and not for ever
 * those who ask about others.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "manage.h"
#include "manage_impl.h"
#include "volume.h"

#define LOOKS_RUN 4	/* at once, */
#define LOOKS_POOL 2	/* and in one pool */
#define LOOKS_NODE 64	/* that a node may have under way */

struct looks {
	pthread_mutex_t lock;
	struct look *first;		/* those that run too */
	const struct look *running[LOOKS_RUN];
	unsigned runs, threads;
};

struct looks *looks_new(void)
{
	struct looks *l = calloc(1, sizeof(*l));

	if (l)
		pthread_mutex_init(&l->lock, NULL);
	return l;
}

void looks_free(struct looks *l)
{
	if (l)
		pthread_mutex_destroy(&l->lock);
	free(l);
}

static bool same_pool(const struct look *a, const struct look *b)
{
	const char *x = a->volume->pool, *y = b->volume->pool;

	return x && y ? strcmp(x, y) == 0 : x == y;
}

/* Under the lock.  Of the node that has the fewest running the oldest, so that one that asks for
 * much is no row for others to stand in. */
static struct look *next_look(struct looks *l)
{
	struct look *best = NULL;
	unsigned least = LOOKS_RUN;

	for (struct look *k = l->first; k && least; k = k->next) {
		unsigned pool = 0, node = 0;

		if (k->runs)
			continue;
		for (unsigned i = 0; i < l->runs; i++) {
			pool += same_pool(l->running[i], k);
			node += strcmp(l->running[i]->node, k->node) == 0;
		}
		if (pool >= LOOKS_POOL || node >= least)
			continue;
		best = k;
		least = node;
	}
	return best;
}

static void begin(struct looks *l, struct look *k)
{
	k->runs = true;
	l->running[l->runs++] = k;
}

static void end(struct looks *l, const struct look *k)
{
	unsigned i = 0;

	while (l->running[i] != k)
		i++;
	l->running[i] = l->running[--l->runs];
}

static void take_out(struct looks *l, struct look *k)
{
	struct look **at;

	for (at = &l->first; *at != k; at = &(*at)->next)
		;
	*at = k->next;
}

static void *look_main(void *arg)
{
	struct looks *l = arg;
	struct look *k;

	pthread_setname_np(pthread_self(), "rssrv-look");
	pthread_mutex_lock(&l->lock);
	while ((k = next_look(l))) {
		begin(l, k);
		pthread_mutex_unlock(&l->lock);
		k->answer = show_volume(k->volume->server, k->node, k->volume);
		pthread_mutex_lock(&l->lock);
		end(l, k);
		take_out(l, k);
		engine_post(k->loop, &k->message);
	}
	l->threads--;
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

static int start_thread(struct looks *l)
{
	pthread_attr_t attr;
	pthread_t t;
	int r;

	if (l->threads == LOOKS_RUN)
		return 0;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, MANAGE_STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&t, &attr, look_main, l);
	pthread_attr_destroy(&attr);
	l->threads += !r;
	return l->threads ? 0 : -r;
}

int looks_add(struct looks *l, struct look *k)
{
	struct look **end;
	unsigned mine = 0;
	int r = -EAGAIN;

	k->next = NULL;
	k->runs = false;
	pthread_mutex_lock(&l->lock);
	for (end = &l->first; *end; end = &(*end)->next)
		mine += strcmp((*end)->node, k->node) == 0;
	if (mine < LOOKS_NODE)
		r = start_thread(l);
	if (!r)
		*end = k;
	pthread_mutex_unlock(&l->lock);
	return r;
}
