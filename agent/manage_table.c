/*
 * manage_table.c - the jobs: which there are, which is next, and which of those that have ended
 * are kept.  All of it under manage.lock.
 *
 * A job is made, and found again, under the node that asked and the id that it gave; ids of
 * several nodes have nothing to do with each other.  From its end on the job is kept for a
 * while, so that the client learns of it over another connection too.
 *
 * WHO IS NEXT.  Nodes take turns: of the first that has a job which may run, the oldest such
 * job is taken, and the node goes to the end of the row.  A pool has places that are for nodes
 * which have nothing under way: one that copies for hours in all the others holds up itself.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine.h"
#include "manage.h"
#include "manage_impl.h"

void task_free(struct task *t)
{
	manage_work_free(&t->work);
	place_fini(&t->place);
	json_decref(t->result);
	free(t);
}

bool task_over(const struct task *t)
{
	return t->state != TASK_WAITS && t->state != TASK_RUNS;
}

static struct manage_node *find_node(struct manage *m, const char *name)
{
	struct manage_node *n;

	for (n = m->nodes; n; n = n->next)
		if (strcmp(n->name, name) == 0)
			return n;
	return NULL;
}

struct task *task_find(struct manage *m, const char *node, const char *id)
{
	struct manage_node *n = find_node(m, node);
	struct task *t;

	for (t = n ? n->tasks : NULL; t; t = t->next)
		if (strcmp(t->id, id) == 0)
			return t;
	return NULL;
}

struct manage_node *manage_node_get(struct manage *m, const char *name)
{
	struct manage_node *n = find_node(m, name), **end = &m->nodes;

	if (n || !(n = calloc(1, sizeof(*n))))
		return n;
	snprintf(n->name, sizeof(n->name), "%s", name);
	while (*end)
		end = &(*end)->next;
	*end = n;
	return n;
}

void manage_node_last(struct manage *m, struct manage_node *n)
{
	struct manage_node **at;

	for (at = &m->nodes; *at != n; at = &(*at)->next)
		;
	*at = n->next;
	while (*at)
		at = &(*at)->next;
	*at = n;
	n->next = NULL;
}

void task_add(struct manage_node *n, struct task *t)
{
	struct task **end = &n->tasks;

	while (*end)
		end = &(*end)->next;
	*end = t;
	t->of = n;
	n->waits++;
}

void task_drop(struct manage *m, struct manage_node *n, struct task *t)
{
	struct task **at;

	for (at = &n->tasks; *at != t; at = &(*at)->next)
		;
	*at = t->next;
	n->kept--;
	m->kept--;
	task_free(t);
}

static struct task *oldest_kept(const struct manage_node *n)
{
	struct task *oldest = NULL;

	for (struct task *t = n->tasks; t; t = t->next)
		if (task_over(t) && (!oldest || t->ended < oldest->ended))
			oldest = t;
	return oldest;
}

/* One more has ended: is it too many? */
static void make_room(struct manage *m, struct manage_node *n)
{
	if (n->kept > MANAGE_NODE_KEPT)
		task_drop(m, n, oldest_kept(n));
	if (m->kept <= MANAGE_KEPT)
		return;
	for (struct manage_node *o = m->nodes; o; o = o->next)
		if (o->kept > n->kept)
			n = o;
	task_drop(m, n, oldest_kept(n));
}

void task_ended(struct manage *m, struct task *t, enum task_state state)
{
	t->state = state;
	t->ended = clock_now();
	t->of->waits--;
	t->of->kept++;
	m->kept++;
	make_room(m, t->of);
}

static unsigned pool_runs(const struct manage *m, const char *pool)
{
	unsigned count = 0;

	for (unsigned i = 0; i < m->runs; i++)
		count += strcmp(m->running[i].name, pool) == 0;
	return count;
}

struct task *task_next(struct manage *m)
{
	for (struct manage_node *n = m->nodes; n; n = n->next) {
		unsigned most = n->runs ? MANAGE_POOL_RUNS : MANAGE_POOL_FIRST;

		if (n->runs >= MANAGE_NODE_RUNS)
			continue;
		for (struct task *t = n->tasks; t; t = t->next)
			if (t->state == TASK_WAITS && pool_runs(m, t->place.pool) < most)
				return t;
	}
	return NULL;
}

void task_begin(struct manage *m, struct task *t)
{
	t->state = TASK_RUNS;
	t->of->runs++;
	memcpy(m->running[m->runs++].name, t->place.pool, sizeof(t->place.pool));
	manage_node_last(m, t->of);
}

void task_end(struct manage *m, struct task *t, int r, json_t *result, const struct err *e)
{
	unsigned i = 0;

	while (strcmp(m->running[i].name, t->place.pool) != 0)
		i++;
	m->running[i] = m->running[--m->runs];
	t->of->runs--;
	t->result = result;
	t->error = *e;
	task_ended(m, t, !r ? TASK_DONE : r == -ECANCELED ? TASK_CANCELLED : TASK_FAILED);
}
