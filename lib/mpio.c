/*
 * One device over whatever leads to it.  A command submitted here is on the list
 * `all` until done(), and in one of these places:
 *
 *   held      a write that overlaps one on the ordering list
 *   pending   the volume is open on no server that can be reached
 *   a session's: waiting for a path, in flight, or fenced (session.c); which one is its leg's
 *             (mpio_legs.c)
 *   finished  to be given back before the loop sleeps, so that done() never comes
 *             from within a call of the user's
 *
 * THE ORDERING LIST.  Commands in flight are unordered, as on a disk, and the
 * common write meets an empty list and costs nothing here.  On the list are only
 * writes that were out on a connection that ended (session.c, 4), writes
 * whose waiter has gone though they may still be executed, and, where several servers
 * offer a volume, writes of parts of blocks (mpio_legs.c, 5).  A write that
 * overlaps one of them is held until the other is complete: whatever the user
 * was told of the older one, the newer one's data stays.
 *
 * A SERVER'S HOST THAT WAS RESTARTED has lost what was acknowledged and not
 * flushed, as a disk does whose cache lost power.  Nobody may read the old block
 * as if it were the newest, and no later flush may say that all is well.  So each
 * leg counts its acknowledged changes, and how many of them a flush covers: a
 * flush covers those acknowledged before it was sent.  If some were not
 * covered when the session learns of another boot id, every command of the volume
 * fails with EIO until nobody has it open any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "mpio_impl.h"

bool mpio_changes_data(const struct command *c)
{
	return c->type == WIRE_WRITE || c->type == WIRE_DISCARD || c->type == WIRE_WRITE_ZEROES || c->type == WIRE_COPY;
}

/* Does it leave a part of a block as it is, which its server has to read first, while other
 * servers may write to the block too?  Once yes, always yes: a server that shares the volume no
 * longer may still have such a write under way, and others may be held for it. */
static bool partial(const struct mpio *v, const struct command *c)
{
	return v->whole && ((c->offset | c->count) & (v->whole - 1));
}

static bool overlaps(const struct mpio *v, const struct command *a, const struct command *b)
{
	uint64_t mask = partial(v, a) || partial(v, b) ? v->whole - 1 : 0;

	return (a->offset & ~mask) < ((b->offset + b->count + mask) & ~mask) &&
	       (b->offset & ~mask) < ((a->offset + a->count + mask) & ~mask);
}

static bool on_its_way(const struct command *c)
{
	return c->state == COMMAND_WAITING || c->state == COMMAND_SENT || c->state == COMMAND_FENCED;
}

/* It goes alone: after all that touches its blocks, also after what is before it on the list. */
static bool must_hold_partial(const struct mpio *v, const struct command *c)
{
	struct list *l;

	list_each(l, &v->all) {
		const struct command *o = container_of(l, struct command, all);

		if (o != c && mpio_changes_data(o) && on_its_way(o) && overlaps(v, o, c))
			return true;
	}
	list_each(l, &v->ordered) {
		const struct command *o = container_of(l, struct command, order);

		if (o == c)
			break;
		if (overlaps(v, o, c))
			return true;
	}
	return false;
}

static bool must_hold(const struct mpio *v, const struct command *c)
{
	struct list *l;

	if (!mpio_changes_data(c))
		return false;
	if (partial(v, c))
		return must_hold_partial(v, c);
	/* What is on the list itself holds up others and is held up by nobody. */
	if (list_empty(&v->ordered) || !list_empty(&c->order))
		return false;
	list_each(l, &v->ordered)
		if (overlaps(v, container_of(l, struct command, order), c))
			return true;
	return false;
}

void mpio_finish(struct mpio *v, struct command *c, int error)
{
	c->state = COMMAND_FINISHED;
	c->error = error;
	list_append(v->finished, &c->link);
}

int mpio_refusal(const struct mpio *v, const struct command *c)
{
	bool change = mpio_changes_data(c);

	if (v->stale)
		return -ESTALE;
	if (!v->offered)
		return -ENXIO;
	if (change && (v->no_writes || (v->info.flags & WIRE_FLAG_READ_ONLY)))
		return -EROFS;
	if (v->lost || v->cache_lost)
		return -EIO;
	if (c->type != WIRE_FLUSH && (c->offset > v->info.size || c->count > v->info.size - c->offset))
		return change ? -ENOSPC : -EINVAL;
	return 0;
}

void mpio_dispatch(struct mpio *v, struct command *c)
{
	int leg;

	if (mpio_changes_data(c) && partial(v, c) && list_empty(&c->order))
		list_append(&v->ordered, &c->order);
	if (must_hold(v, c)) {
		c->state = COMMAND_HELD;
		list_append(&v->held, &c->link);
		return;
	}
	leg = mpio_pick_leg(v, c);
	if (leg < 0) {
		c->state = COMMAND_PENDING;
		list_append(&v->pending, &c->link);
		mpio_want_open(v);
		return;
	}
	if (c->type == WIRE_COPY && !mpio_aim_copy(v, c, (unsigned)leg)) {
		mpio_finish(v, c, -EXDEV);
		return;
	}
	c->leg = (uint8_t)leg;
	c->handle = v->legs[leg].handle;
	c->covers = v->legs[leg].written;
	v->legs[leg].commands++;
	session_submit(v->legs[leg].session, c);
}

/* Whose acknowledged changes are covered by no flush yet. */
static uint8_t unflushed(const struct mpio *v)
{
	uint8_t legs = 0;

	for (unsigned i = 0; i < v->leg_count; i++)
		if (v->legs[i].written != v->legs[i].flushed)
			legs |= (uint8_t)(1u << i);
	return legs;
}

void mpio_submit(struct mpio *v, struct command *c)
{
	int error;

	c->volume = v;
	c->abandoned = false;
	c->resent = 0;
	c->path = NULL;
	c->placed = NULL;
	c->length = 0;
	list_init(&c->link);
	list_init(&c->order);
	list_append(&v->all, &c->all);
	c->legs = c->type == WIRE_FLUSH ? unflushed(v) : 0;
	c->submitted = loop_now(v->loop);
	v->counts.in_flight++;
	v->counts.bytes_in_flight += c->count;
	error = mpio_refusal(v, c);
	if (error)
		mpio_finish(v, c, error);
	else
		mpio_dispatch(v, c);
}

/* Held writes that nothing stands in the way of any more go on, in their order. */
void mpio_release_held(struct mpio *v)
{
	struct list held;

	list_init(&held);
	list_splice(&held, &v->held);
	while (!list_empty(&held)) {
		struct command *c = container_of(held.next, struct command, link);

		list_remove(&c->link);
		mpio_dispatch(v, c);	/* which may hold it again */
	}
}

/* How long it took, or has waited; what came before the reset counts from the reset. */
static uint64_t took(const struct mpio *v, const struct command *c)
{
	return loop_now(v->loop) - (c->submitted > v->longest_from ? c->submitted : v->longest_from);
}

double mpio_oldest(const struct mpio *v)
{
	return list_empty(&v->all) ? 0 : (double)took(v, container_of(v->all.next, struct command, all)) / 1e9;
}

double mpio_longest(const struct mpio *v)
{
	double oldest = mpio_oldest(v), longest = (double)v->longest / 1e9;

	return oldest > longest ? oldest : longest;
}

void mpio_reset_longest(struct mpio *v)
{
	v->longest = 0;
	v->longest_from = loop_now(v->loop);
}

/* c leaves for good: nothing of v knows it afterwards. */
static void forget(struct mpio *v, struct command *c)
{
	bool was_ordered = !list_empty(&c->order);
	uint64_t t = took(v, c);

	if (t > v->longest)
		v->longest = t;
	list_remove(&c->order);
	list_remove(&c->all);
	v->counts.in_flight--;
	v->counts.bytes_in_flight -= c->count;
	if (was_ordered || v->whole)
		mpio_release_held(v);
	mpio_close_unused(v);
}

/* Even a change whose waiter was told otherwise may have been made. */
static void note_durability(struct mpio_leg *g, const struct command *c, int error)
{
	if (c->type == WIRE_FLUSH && !error && c->covers > g->flushed)
		g->flushed = c->covers;
	if (mpio_changes_data(c) && !(c->flags & WIRE_FLAG_FUA) && (!error || c->abandoned))
		g->written++;
}

/* A flush of one leg that others need too, or a command that its server did not carry out
 * since it offers the volume no longer, while another one does. */
static bool goes_on(struct mpio *v, struct command *c, int error)
{
	uint8_t others = mpio_usable_legs(v) & (uint8_t)~(1u << c->leg);

	if (v->leg_count == 1 || c->abandoned || c->state == COMMAND_FINISHED)
		return false;
	if (c->type == WIRE_FLUSH && !error) {
		c->legs &= unflushed(v) & others;
		return c->legs;
	}
	return (error == -ENOENT || error == -EBADF || error == -ESTALE) && others;
}

void mpio_completed(struct mpio *v, struct command *c, int error, const uint8_t *payload, uint32_t length)
{
	if (c->state != COMMAND_FINISHED)
		note_durability(&v->legs[c->leg], c, error);
	if (goes_on(v, c, error)) {
		mpio_dispatch(v, c);
		mpio_release_held(v);	/* held for c, and now c for it? */
		return;
	}
	if (!c->abandoned)
		mpio_count(v, c, error);
	forget(v, c);
	c->done(c, error, payload, length);
}

void mpio_give_back(struct list *finished)
{
	while (!list_empty(finished)) {
		struct command *c = container_of(finished->next, struct command, link);

		list_remove(&c->link);
		mpio_completed(c->volume, c, c->error, NULL, 0);
	}
}

/* Takes c from where it waits; false: it is on its way, or finished. */
static bool withdraw(struct mpio *v, struct command *c)
{
	switch (c->state) {
	case COMMAND_HELD:
	case COMMAND_PENDING:
		list_remove(&c->link);
		return true;
	case COMMAND_WAITING:
		return session_withdraw(v->legs[c->leg].session, c);
	default:
		return false;
	}
}

/* The waiter is told otherwise; c goes on, and what overlaps it waits for it. */
static void abandon(struct mpio *v, struct command *c)
{
	c->abandoned = true;
	if (mpio_changes_data(c) && list_empty(&c->order))
		list_append(&v->ordered, &c->order);
}

bool mpio_interrupt(struct command *c)
{
	struct mpio *v = c->volume;

	if (c->state == COMMAND_FINISHED || c->abandoned)
		return false;
	if (withdraw(v, c)) {
		forget(v, c);
		return true;
	}
	abandon(v, c);
	return false;
}

/* Every wait ends now. */
void mpio_end_all(struct mpio *v, int error, int write_error)
{
	struct list *l, *keep;

	list_each_safe(l, keep, &v->all) {
		struct command *c = container_of(l, struct command, all);
		int e = mpio_changes_data(c) ? write_error : error;

		if (c->state == COMMAND_FINISHED || c->abandoned)
			continue;
		if (withdraw(v, c)) {
			mpio_finish(v, c, e);
			continue;
		}
		abandon(v, c);
		mpio_count(v, c, e);
		c->give_up(c, e);
	}
}

void mpio_fail(struct mpio *v)
{
	if (!mpio_reachable(v))
		v->lost = true;
	log_warning(v->info.name, "an administrator ended all waiting I/O of %s:%s", v->namespace, v->info.name);
	mpio_end_all(v, -EIO, -EIO);
}

/* Since when no path to this leg's server is there, if it is longer than give-up ago. */
static bool long_away(const struct mpio *v, const struct mpio_leg *g)
{
	return !g->session->up && (double)(loop_now(v->loop) - g->session->down_since) >= v->give_up * 1e9 - 1e6;
}

/* Has give-up passed for the volume: on all its legs, or on one that has writes which no
 * other server could take over? */
static bool is_lost(const struct mpio *v)
{
	bool all = true;

	for (unsigned i = 0; i < v->leg_count; i++) {
		const struct mpio_leg *g = &v->legs[i];
		bool away = long_away(v, g);

		if (away && mpio_has_records(v, g))
			return true;
		all &= away || !g->offered;
	}
	return all;
}

void mpio_lose(struct mpio *v)
{
	if (v->on_loss == CONF_ON_LOSS_QUEUE || v->lost || !is_lost(v))
		return;
	v->lost = true;
	log_error(v->info.name, "%s %s:%s for %.0f s: I/O ends with an error (on-loss = %s)",
		  mpio_reachable(v) ? "no server could take over the writes of" : "no path to", v->namespace,
		  v->info.name, v->give_up, conf_on_loss_name(v->on_loss));
	if (v->on_loss == CONF_ON_LOSS_READ_ONLY) {
		v->no_writes = v->users > 0;	/* who opens it afterwards begins anew */
		mpio_end_all(v, -EIO, -EROFS);
	} else {
		mpio_end_all(v, -EIO, -EIO);
	}
}

void mpio_found(struct mpio *v)
{
	if (!v->lost || is_lost(v))
		return;
	log_info(v->info.name, "%s:%s has a path again", v->namespace, v->info.name);
	v->lost = false;
}

void mpio_withdrawn(struct mpio *v, bool stale)
{
	v->offered = false;
	v->stale = v->stale || stale;
	for (unsigned i = 0; i < v->leg_count; i++)
		v->legs[i].offered = false;
	mpio_end_all(v, stale ? -ESTALE : -ENXIO, stale ? -ESTALE : -ENXIO);
	/* The servers' handles stand for what is gone: kept open they would keep that alive
	 * there, and be of no use when the same volume is offered again. */
	mpio_close_legs(v);
}

void mpio_cache_lost(struct mpio *v, struct mpio_leg *g)
{
	if (g->written == g->flushed)
		return;
	g->flushed = g->written;
	if (v->cache_lost || mpio_another_reachable(v, g))
		return;
	v->cache_lost = v->users > 0;
	log_error(v->info.name, "the host of server %s was restarted and lost writes of %s:%s that were not flushed: "
		  "all its I/O fails until nobody has it open", g->session->name, v->namespace, v->info.name);
	mpio_end_all(v, -EIO, -EIO);
}

void mpio_fenced(struct mpio *v, struct command *c)
{
	if (list_empty(&c->order))
		list_append(&v->ordered, &c->order);
}

struct mpio *mpio_get(struct mpio *v)
{
	if (v->users++ == 0)
		mpio_want_open(v);
	return v;
}

void mpio_put(struct mpio *v)
{
	if (--v->users)
		return;
	v->no_writes = false;
	v->cache_lost = false;
	if (mpio_idle(v))
		v->waits_for[0] = 0;
	mpio_close_unused(v);
}
