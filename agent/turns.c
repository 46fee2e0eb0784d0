/* turns.c - see turns.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include "conn.h"
#include "turns.h"

struct turn *turns_new(unsigned loops)
{
	size_t size = (loops ? loops : 1) * sizeof(struct turn);
	struct turn *t = aligned_alloc(_Alignof(struct turn), size);

	if (t)
		memset(t, 0, size);
	return t;
}

static struct turn *turn_of(const struct conn *c)
{
	return c->client ? &c->client->turns[c->loop->index] : NULL;
}

static void append(struct engine *l, struct conn *c)
{
	c->next_turn = NULL;
	*l->turns_end = c;
	l->turns_end = &c->next_turn;
}

void turn_wait(struct conn *c)
{
	struct turn *t = turn_of(c);

	if (c->yields || !t)
		return;
	c->yields = true;
	t->waiting++;
	c->loop->turn_count++;
	append(c->loop, c);
}

/* Those of its connections that wait already are first. */
bool turn_begin(struct conn *c)
{
	struct turn *t = turn_of(c);

	c->left = TURN_MAX;
	if (!t)
		return true;
	if (t->round != c->loop->round) {
		t->round = c->loop->round;
		t->left = TURN_MAX;
	}
	if (t->left > 0 && !c->yields && (c->called || !t->waiting)) {
		c->called = false;
		c->left = t->left;
		return true;
	}
	turn_wait(c);
	return false;
}

void turn_over(struct conn *c)
{
	struct turn *t = turn_of(c);

	if (t)
		t->left = c->left;
}

static void unlink_turn(struct conn *c)
{
	struct engine *l = c->loop;
	struct conn **at = &l->turns;

	while (*at != c)
		at = &(*at)->next_turn;
	*at = c->next_turn;
	if (!*at)
		l->turns_end = at;
	l->turn_count--;
	c->yields = false;
	turn_of(c)->waiting--;
}

void turn_forget(struct conn *c)
{
	if (c->yields)
		unlink_turn(c);
}

static bool may_now(const struct conn *c)
{
	const struct turn *t = turn_of(c);

	return t->round != c->loop->round || t->left > 0;
}

/* What a turn does closes no other connection: that takes a message. */
void turns_settle(struct engine *l)
{
	struct conn *c = l->turns, *next;

	/* Those that are added meanwhile are behind. */
	for (unsigned n = l->turn_count; n; n--, c = next) {
		next = c->next_turn;
		if (!may_now(c))
			continue;
		unlink_turn(c);
		c->called = true;
		conn_act(c, c->stopped ? 0 : EPOLLIN);
		c->called = false;
	}
	if (l->turns)
		engine_look_at(l, l->now);
}
