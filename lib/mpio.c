/*
 * One device over whatever leads to it.  A command submitted here is on the list
 * `all` until done(), and in one of these places:
 *
 *   held      a write that overlaps one on the ordering list
 *   pending   the volume is not open on its server yet
 *   the session's: waiting for a path, in flight, or fenced (session.c)
 *   finished  to be given back before the loop sleeps, so that done() never comes
 *             from within a call of the user's
 *
 * THE ORDERING LIST.  Commands in flight are unordered, as on a disk, and the
 * common write meets an empty list and costs nothing here.  On the list are only
 * writes that were out on a connection that ended (session.c, 4), and writes
 * whose waiter has gone though they may still be executed.  A write that
 * overlaps one of them is held until the other is complete: whatever the user
 * was told of the older one, the newer one's data stays.
 *
 * A SERVER'S HOST THAT WAS RESTARTED has lost what was acknowledged and not
 * flushed, as a disk does whose cache lost power.  Nobody may read the old block
 * as if it were the newest, and no later flush may say that all is well.  So a
 * volume counts its acknowledged changes, and how many of them a flush covers: a
 * flush covers those acknowledged before it was submitted.  If some were not
 * covered when the session learns of another boot id, every command of the volume
 * fails with EIO until nobody has it open any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "mpio_impl.h"

static bool changes_data(const struct command *c)
{
	return c->type == WIRE_WRITE || c->type == WIRE_DISCARD || c->type == WIRE_WRITE_ZEROES;
}

static bool overlaps(const struct command *a, const struct command *b)
{
	return a->offset < b->offset + b->count && b->offset < a->offset + a->count;
}

static bool must_hold(const struct mpio *v, const struct command *c)
{
	struct list *l;

	/* What is on the list itself holds up others and is held up by nobody. */
	if (list_empty(&v->ordered) || !changes_data(c) || !list_empty(&c->order))
		return false;
	list_each(l, &v->ordered) {
		const struct command *o = container_of(l, struct command, order);

		if (overlaps(o, c))
			return true;
	}
	return false;
}

static void finish(struct mpio *v, struct command *c, int error)
{
	c->state = COMMAND_FINISHED;
	c->error = error;
	list_append(v->finished, &c->link);
}

/* The error that a command meets before it is tried, or 0. */
static int refusal(const struct mpio *v, const struct command *c)
{
	bool change = changes_data(c);

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

static int ask_open(struct mpio *v)
{
	struct wire_open o = { .has_identity = true, .generation = v->info.generation };

	strcpy(o.name, v->info.name);
	memcpy(o.uuid, v->info.uuid, sizeof o.uuid);
	return session_open(v->session, v, v->handle, &o, v->read_only);
}

static void want_open(struct mpio *v)
{
	if (v->open != MPIO_CLOSED)
		return;
	v->handle = session_new_handle(v->session);
	v->read_only = v->info.flags & WIRE_FLAG_READ_ONLY;
	if (ask_open(v) == 0)
		v->open = MPIO_OPENING;
	else
		session_free_handle(v->session, v->handle);
}

static void dispatch(struct mpio *v, struct command *c)
{
	if (must_hold(v, c)) {
		c->state = COMMAND_HELD;
		list_append(&v->held, &c->link);
	} else if (v->open != MPIO_OPEN) {
		c->state = COMMAND_PENDING;
		list_append(&v->pending, &c->link);
		want_open(v);
	} else {
		c->handle = v->handle;
		session_submit(v->session, c);
	}
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
	c->covers = v->written;
	c->submitted = loop_now(v->loop);
	v->counts.in_flight++;
	v->counts.bytes_in_flight += c->count;
	error = refusal(v, c);
	if (error)
		finish(v, c, error);
	else
		dispatch(v, c);
}

/* Held writes that nothing stands in the way of any more go on, in their order. */
static void release_held(struct mpio *v)
{
	struct list ready, *l, *keep;

	list_init(&ready);
	list_each_safe(l, keep, &v->held) {
		struct command *c = container_of(l, struct command, link);

		if (must_hold(v, c))
			continue;
		list_remove(l);
		list_append(&ready, l);
	}
	while (!list_empty(&ready)) {
		struct command *c = container_of(ready.next, struct command, link);

		list_remove(&c->link);
		dispatch(v, c);
	}
}

static void close_unused(struct mpio *v)
{
	if (v->open != MPIO_OPEN || !mpio_idle(v))
		return;
	session_close(v->session, v->handle);
	v->open = MPIO_CLOSED;
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
	if (was_ordered)
		release_held(v);
	close_unused(v);
}

static void count(struct mpio *v, const struct command *c, int error)
{
	struct mpio_counts *n = &v->counts;

	if (c->resent)
		n->resent++;
	if (error) {
		n->errors++;
		return;
	}
	switch (c->type) {
	case WIRE_READ:
		n->reads++;
		n->read_bytes += c->count;
		break;
	case WIRE_WRITE:
		n->writes++;
		n->write_bytes += c->count;
		break;
	case WIRE_FLUSH:
		n->flushes++;
		break;
	default:
		n->others++;
		break;
	}
}

/* Even a change whose waiter was told otherwise may have been made. */
static void note_durability(struct mpio *v, const struct command *c, int error)
{
	if (c->type == WIRE_FLUSH && !error && c->covers > v->flushed)
		v->flushed = c->covers;
	if (changes_data(c) && !(c->flags & WIRE_FLAG_FUA) && (!error || c->abandoned))
		v->written++;
}

void mpio_completed(struct mpio *v, struct command *c, int error, const uint8_t *payload, uint32_t length)
{
	note_durability(v, c, error);
	if (!c->abandoned)
		count(v, c, error);
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
		return session_withdraw(v->session, c);
	default:
		return false;
	}
}

/* The waiter is told otherwise; c goes on, and what overlaps it waits for it. */
static void abandon(struct mpio *v, struct command *c)
{
	c->abandoned = true;
	if (changes_data(c) && list_empty(&c->order))
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
static void end_all(struct mpio *v, int error, int write_error)
{
	struct list *l, *keep;

	list_each_safe(l, keep, &v->all) {
		struct command *c = container_of(l, struct command, all);
		int e = changes_data(c) ? write_error : error;

		if (c->state == COMMAND_FINISHED || c->abandoned)
			continue;
		if (withdraw(v, c)) {
			finish(v, c, e);
			continue;
		}
		abandon(v, c);
		count(v, c, e);
		c->give_up(c, e);
	}
}

void mpio_fail(struct mpio *v)
{
	if (!v->session->up)
		v->lost = true;
	log_warning(v->info.name, "an administrator ended all waiting I/O of %s:%s", v->namespace, v->info.name);
	end_all(v, -EIO, -EIO);
}

void mpio_lose(struct mpio *v)
{
	if (v->on_loss == CONF_ON_LOSS_QUEUE || v->lost)
		return;
	v->lost = true;
	log_error(v->info.name, "no path to %s:%s for %.0f s: I/O ends with an error (on-loss = %s)", v->namespace,
		  v->info.name, v->give_up, conf_on_loss_name(v->on_loss));
	if (v->on_loss == CONF_ON_LOSS_READ_ONLY) {
		v->no_writes = v->users > 0;	/* who opens it afterwards begins anew */
		end_all(v, -EIO, -EROFS);
	} else {
		end_all(v, -EIO, -EIO);
	}
}

void mpio_found(struct mpio *v)
{
	if (v->lost)
		log_info(v->info.name, "%s:%s has a path again", v->namespace, v->info.name);
	v->lost = false;
}

/* The server's handle stands for what is gone: kept open it would keep that alive
 * there, and be of no use when the same volume is offered again. */
static void close_withdrawn(struct mpio *v)
{
	if (v->open != MPIO_OPEN)
		return;		/* OPENING: when the answer is here */
	session_close(v->session, v->handle);
	v->open = MPIO_CLOSED;
}

void mpio_withdrawn(struct mpio *v, bool stale)
{
	v->offered = false;
	v->stale = v->stale || stale;
	end_all(v, stale ? -ESTALE : -ENXIO, stale ? -ESTALE : -ENXIO);
	close_withdrawn(v);
}

void mpio_cache_lost(struct mpio *v)
{
	if (v->written == v->flushed || v->cache_lost)
		return;
	v->flushed = v->written;
	v->cache_lost = v->users > 0;
	log_error(v->info.name, "the host of server %s was restarted and lost writes of %s:%s that were not flushed: "
		  "all its I/O fails until nobody has it open", v->session->name, v->namespace, v->info.name);
	end_all(v, -EIO, -EIO);
}

void mpio_fenced(struct mpio *v, struct command *c)
{
	if (list_empty(&c->order))
		list_append(&v->ordered, &c->order);
}

void mpio_opened(struct mpio *v, int error)
{
	struct list ready;

	if (v->open != MPIO_OPENING)
		return;
	list_init(&ready);
	list_splice(&ready, &v->pending);
	v->open = error ? MPIO_CLOSED : MPIO_OPEN;
	if (error && error != -EBUSY)	/* which says that it is taken */
		session_free_handle(v->session, v->handle);
	if (error)
		log_error(v->info.name, "%s:%s cannot be opened on %s: %s", v->namespace, v->info.name,
			  v->session->name, strerror(-error));
	if (error == -ESTALE)
		mpio_withdrawn(v, true);
	while (!list_empty(&ready)) {
		struct command *c = container_of(ready.next, struct command, link);

		list_remove(&c->link);
		if (error)
			finish(v, c, error);
		else
			dispatch(v, c);
	}
	if (v->offered)
		close_unused(v);	/* its last user may have gone meanwhile */
	else
		close_withdrawn(v);
}

/* What waits for a path waits for the open first. */
static void wait_for_open(struct mpio *v)
{
	struct list *l;

	list_each(l, &v->all) {
		struct command *c = container_of(l, struct command, all);

		if (c->state == COMMAND_WAITING && session_withdraw(v->session, c)) {
			c->state = COMMAND_PENDING;
			list_append(&v->pending, &c->link);
		}
	}
}

void mpio_reopen(struct mpio *v)
{
	if (v->open != MPIO_OPEN || !v->offered || ask_open(v) < 0)
		return;
	v->open = MPIO_OPENING;
	wait_for_open(v);
}

void mpio_forgotten(struct mpio *v)
{
	v->open = MPIO_CLOSED;
	wait_for_open(v);
	if (v->offered && (v->users || !list_empty(&v->pending)))
		want_open(v);
}

struct mpio *mpio_get(struct mpio *v)
{
	if (v->users++ == 0)
		want_open(v);
	return v;
}

void mpio_put(struct mpio *v)
{
	if (--v->users)
		return;
	v->no_writes = false;
	v->cache_lost = false;
	close_unused(v);
}

struct mpio *mpio_new(struct loop *l, struct list *finished, const char *namespace, struct session *s,
		      const struct wire_volume *info, enum conf_on_loss on_loss, double give_up)
{
	struct mpio *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->loop = l;
	v->finished = finished;
	v->namespace = namespace;
	v->session = s;
	v->info = *info;
	v->on_loss = on_loss;
	v->give_up = give_up;
	v->offered = true;
	list_init(&v->link);
	list_init(&v->all);
	list_init(&v->pending);
	list_init(&v->held);
	list_init(&v->ordered);
	return v;
}

bool mpio_idle(const struct mpio *v)
{
	return !v->users && list_empty(&v->all);
}

void mpio_free(struct mpio *v)
{
	list_remove(&v->link);
	free(v->choice);
	free(v);
}

/* What others see. */

int mpio_ask_server(struct mpio *v, const char *json,
		    void (*answered)(void *arg, int error, const char *text, size_t length), void *arg)
{
	return session_control(v->session, json, answered, arg);
}

const struct wire_volume *mpio_info(const struct mpio *v)
{
	return &v->info;
}

const char *mpio_namespace(const struct mpio *v)
{
	return v->namespace;
}

enum mpio_state mpio_state(const struct mpio *v)
{
	if (v->stale)
		return MPIO_STALE;
	if (!v->offered)
		return MPIO_GONE;
	if (v->cache_lost)
		return MPIO_CACHE_LOST;
	if (v->session->up)
		return MPIO_READY;
	return v->lost ? MPIO_LOST : MPIO_WAITING;
}

const char *mpio_state_name(enum mpio_state s)
{
	static const char *const names[] = { "ready", "waiting", "lost", "stale", "gone", "cache-lost" };

	return names[s];
}

double mpio_give_up_in(const struct mpio *v)
{
	double left;

	if (mpio_state(v) != MPIO_WAITING || v->on_loss == CONF_ON_LOSS_QUEUE)
		return -1;
	left = v->give_up - (double)(loop_now(v->loop) - v->session->down_since) / 1e9;
	return left > 0 ? left : 0;
}

bool mpio_writable(const struct mpio *v)
{
	return !v->no_writes && !(v->info.flags & WIRE_FLAG_READ_ONLY);
}

const struct mpio_counts *mpio_counts(const struct mpio *v)
{
	return &v->counts;
}

struct policy_choice *mpio_policy(struct mpio *v)
{
	return v->choice;
}

int mpio_set_policy(struct mpio *v, const struct policy_choice *choice)
{
	struct policy_choice *copy = NULL;

	if (choice) {
		copy = malloc(sizeof *copy);
		if (!copy)
			return -ENOMEM;
		*copy = *choice;
	}
	free(v->choice);
	v->choice = copy;
	return 0;
}

void mpio_set_tag(struct mpio *v, void *tag)
{
	v->tag = tag;
}

void *mpio_tag(const struct mpio *v)
{
	return v->tag;
}
