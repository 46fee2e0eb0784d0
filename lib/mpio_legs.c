/*
 * mpio_legs.c - a volume over several servers.  A leg is the volume as one server
 * offers it: a session, and a handle there.  A command is for one leg from when it is
 * dispatched until it is done; when that server cannot be reached it is dispatched anew.
 *
 * GOING ON OVER ANOTHER SERVER.  Why no old copy of a write may land on newer data stands on
 * top of session.c.  Between two servers of the same storage it is kept so:
 *
 * 1. What waits for a path of A was never sent there, or was fenced there: it goes to B at
 *    once.  So do reads and flushes that were out, since they change nothing.
 * 2. Writes that were out on A stay in the records of A's session.  They leave them in one of
 *    three ways: A is reached again and answers the FENCE; A made a new session, which it does
 *    only when nothing of the old one can touch a volume any more; or B answers TAKEOVER
 *    with OK.  B does so when A's claim on the storage is free.  A holds it for as long as it
 *    may write anything of this session, the kernel holds it for as long as a thread of A
 *    lives, and A never takes it twice for one session: so the OK stays true for ever.  It
 *    speaks of the session for which it was asked: an answer that comes when A has made
 *    another one since then is thrown away, for the records are that one's now.
 * 3. Meanwhile they are on the volume's ordering list, and what overlaps them waits (mpio.c).
 *    What does not overlap goes on over B: that is why it is worth asking per volume.
 * 4. A FLUSH covers what one server acknowledged.  So it goes, one after another, to each leg that
 *    has acknowledged changes which no flush covers yet.  Of a leg that cannot be reached
 *    nothing is asked: its data went past all caches of its host, to the storage that the
 *    others flush.
 * 5. A server makes a write of less than a block whole by reading the block and writing it,
 *    under a lock of its own.  Another server knows nothing of that.  So on a volume that
 *    may have several legs such a write waits until no other change to its blocks is under
 *    way, and is on the ordering list, with whole blocks, until it is done (mpio.c).
 *
 * A HOST THAT WAS RESTARTED has lost nothing of a volume that is still reached over another
 * server: what was acknowledged is on the storage.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "mpio_impl.h"

#define ASK_AGAIN UINT64_C(50000000)	/* ns: a server that was busy */

static unsigned number_of(const struct mpio *v, const struct mpio_leg *g)
{
	return (unsigned)(g - v->legs);
}

struct mpio_leg *mpio_leg_of(const struct mpio *v, const struct session *s)
{
	for (unsigned i = 0; i < v->leg_count; i++)
		if (v->legs[i].session == s)
			return &v->legs[i];
	return NULL;
}

unsigned mpio_servers(const struct mpio *v)
{
	unsigned n = 0;

	for (unsigned i = 0; i < v->leg_count; i++)
		n += v->legs[i].offered;
	return n;
}

struct session *mpio_session(const struct mpio *v)
{
	for (unsigned i = 0; i < v->leg_count; i++)
		if (v->legs[i].offered)
			return v->legs[i].session;
	return v->legs[0].session;
}

bool mpio_reachable(const struct mpio *v)
{
	for (unsigned i = 0; i < v->leg_count; i++)
		if (v->legs[i].offered && v->legs[i].session->up)
			return true;
	return false;
}

bool mpio_another_reachable(const struct mpio *v, const struct mpio_leg *g)
{
	for (unsigned i = 0; i < v->leg_count; i++)
		if (&v->legs[i] != g && v->legs[i].offered && v->legs[i].session->up)
			return true;
	return false;
}

static bool usable(const struct mpio_leg *g)
{
	return g->offered && g->open == MPIO_OPEN && g->session->up;
}

uint8_t mpio_usable_legs(const struct mpio *v)
{
	uint8_t legs = 0;

	for (unsigned i = 0; i < v->leg_count; i++)
		if (usable(&v->legs[i]))
			legs |= (uint8_t)(1u << i);
	return legs;
}

/* What all of them can do. */
static void combine(struct mpio *v)
{
	bool first = true;

	for (unsigned i = 0; i < v->leg_count; i++) {
		const struct mpio_leg *g = &v->legs[i];

		if (!g->offered)
			continue;
		if (first || g->size < v->info.size)
			v->info.size = g->size;
		if (first || g->block_size > v->info.block_size)
			v->info.block_size = g->block_size;
		v->info.flags = first ? g->flags : v->info.flags | g->flags;
		first = false;
	}
}

static struct mpio_leg *add_leg(struct mpio *v, struct session *s)
{
	struct mpio_leg *legs = reallocarray(v->legs, v->leg_count + 1, sizeof *legs);

	if (!legs)
		return NULL;
	v->legs = legs;
	legs[v->leg_count] = (struct mpio_leg){ .session = s };
	return &legs[v->leg_count++];
}

static bool wanted(const struct mpio *v)
{
	return v->offered && (v->users || !list_empty(&v->pending));
}

int mpio_leg_offered(struct mpio *v, struct session *s, const struct wire_volume *info)
{
	struct mpio_leg *g = mpio_leg_of(v, s);

	if (!g && v->leg_count == MPIO_LEGS_MAX)
		return -ENOSPC;
	if (!g)
		g = add_leg(v, s);
	if (!g)
		return -ENOMEM;
	g->offered = g->listed = true;
	g->size = info->size;
	g->block_size = info->block_size;
	g->flags = info->flags;
	if (info->shared && info->block_size > v->whole)
		v->whole = info->block_size;
	if (mpio_servers(v) == 1)
		v->info = *info;
	combine(v);
	if (wanted(v))
		mpio_want_open(v);
	return 0;
}

/* Open and close. */

static int ask_open(struct mpio *v, struct mpio_leg *g)
{
	struct wire_open o = { .has_identity = true, .generation = v->info.generation };

	strcpy(o.name, v->info.name);
	memcpy(o.uuid, v->info.uuid, sizeof o.uuid);
	return session_open(g->session, v, g->handle, &o, (g->read_only ? WIRE_FLAG_READ_ONLY : 0) |
			    (v->reserved_alone ? WIRE_FLAG_ALONE : 0));
}

static void open_leg(struct mpio *v, struct mpio_leg *g)
{
	if (!g->offered || g->open != MPIO_CLOSED)
		return;
	g->busy = false;
	g->handle = session_new_handle(g->session);
	g->read_only = v->info.flags & WIRE_FLAG_READ_ONLY;
	if (ask_open(v, g) == 0)
		g->open = MPIO_OPENING;
	else
		session_free_handle(g->session, g->handle);
}

void mpio_want_open(struct mpio *v)
{
	for (unsigned i = 0; i < v->leg_count; i++)
		if (!v->legs[i].busy)
			open_leg(v, &v->legs[i]);
}

static void close_leg(struct mpio_leg *g)
{
	g->busy = false;
	if (g->open != MPIO_OPEN)
		return;		/* OPENING: when the answer is here */
	session_close(g->session, g->handle);
	g->open = MPIO_CLOSED;
}

void mpio_close_legs(struct mpio *v)
{
	for (unsigned i = 0; i < v->leg_count; i++)
		close_leg(&v->legs[i]);
}

void mpio_close_unused(struct mpio *v)
{
	if (mpio_idle(v))
		mpio_close_legs(v);
}

static void dispatch_pending(struct mpio *v)
{
	struct list ready;

	list_init(&ready);
	list_splice(&ready, &v->pending);
	while (!list_empty(&ready)) {
		struct command *c = container_of(ready.next, struct command, link);

		list_remove(&c->link);
		mpio_dispatch(v, c);
	}
}

/* What waits for this leg's server goes to another one, or waits for one. */
static void pull(struct mpio *v, struct mpio_leg *g)
{
	struct list *l, *keep, again;

	list_init(&again);
	list_each_safe(l, keep, &v->all) {
		struct command *c = container_of(l, struct command, all);

		if (c->state == COMMAND_WAITING && c->leg == number_of(v, g) && session_withdraw(g->session, c))
			list_append(&again, &c->link);
	}
	while (!list_empty(&again)) {
		struct command *c = container_of(again.next, struct command, link);

		list_remove(&c->link);
		mpio_dispatch(v, c);
	}
	/* What was held for one of these, which is now held for it, goes first. */
	mpio_release_held(v);
}

void mpio_leg_withdrawn(struct mpio *v, struct mpio_leg *g)
{
	g->offered = false;
	combine(v);
	close_leg(g);
	pull(v, g);
}

static void fail_pending(struct mpio *v, int error)
{
	while (!list_empty(&v->pending)) {
		struct command *c = container_of(v->pending.next, struct command, link);

		list_remove(&c->link);
		mpio_finish(v, c, error);
	}
}

/* May an open of another leg still succeed? */
static bool another_may_open(const struct mpio *v)
{
	for (unsigned i = 0; i < v->leg_count; i++)
		if (v->legs[i].offered && (v->legs[i].open != MPIO_CLOSED || v->legs[i].busy))
			return true;
	return false;
}

static void look_after(struct mpio *v);

static void open_failed(struct mpio *v, struct mpio_leg *g, int error)
{
	/* A shared volume: an earlier run of ours still has it there or on another server. */
	g->busy = error == -EBUSY && v->info.shared;
	if (error != -EBUSY || g->busy)
		session_free_handle(g->session, g->handle);
	else	/* the volume is being changed; or the handle itself is taken, which is of no use to anybody */
		session_close(g->session, g->handle);
	if (error == -EBADE)
		log_error(v->info.name, "%s:%s cannot be opened on %s: %s%s", v->namespace, v->info.name, g->session->name,
			  *v->info.reserved_by ? "it is reserved by client " : "another client has had it meanwhile",
			  v->info.reserved_by);
	else if (!g->busy)
		log_error(v->info.name, "%s:%s cannot be opened on %s: %s", v->namespace, v->info.name,
			  g->session->name, strerror(-error));
	else if (!v->waits_for[0])
		log_info(v->info.name, "%s:%s waits for a server to let go what an earlier run of this client had open",
			 v->namespace, v->info.name);
	if (g->busy)
		snprintf(v->waits_for, sizeof v->waits_for, "a server has it open for an earlier run of this client;"
			 " the log of one that answers says which");
	if (!another_may_open(v))
		fail_pending(v, error);
}

void mpio_opened(struct mpio *v, struct mpio_leg *g, int error)
{
	if (g->open != MPIO_OPENING)
		return;
	g->open = error ? MPIO_CLOSED : MPIO_OPEN;
	if (error) {
		open_failed(v, g, error);
	} else {
		v->waits_for[0] = 0;
		dispatch_pending(v);
	}
	if (!g->offered || !v->offered)
		close_leg(g);
	else
		mpio_close_unused(v);	/* its last user may have gone meanwhile */
	look_after(v);
}

void mpio_reopen(struct mpio *v, struct mpio_leg *g)
{
	if (g->open != MPIO_OPEN || !g->offered)
		return;
	if (ask_open(v, g) == 0) {
		g->open = MPIO_OPENING;
		pull(v, g);
	} else {
		dispatch_pending(v);
	}
}

void mpio_forgotten(struct mpio *v, struct mpio_leg *g)
{
	g->open = MPIO_CLOSED;
	g->asking = false;
	pull(v, g);
	if (wanted(v))
		open_leg(v, g);
}

/* Which leg takes a command. */

/* Their positions in the order of the configuration, for the policies that have a first. */
static unsigned in_order(const struct mpio *v, unsigned order[MPIO_LEGS_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; i < v->leg_count; i++) {
		unsigned at = n++;

		for (; at && session_before(v->legs[i].session, v->legs[order[at - 1]].session); at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
	return n;
}

/* Each one's, UINT_MAX for those that cannot be used; the best of them. */
static unsigned ranks(const struct mpio *v, unsigned rank[MPIO_LEGS_MAX])
{
	unsigned best = UINT_MAX;

	for (unsigned i = 0; i < v->leg_count; i++) {
		rank[i] = usable(&v->legs[i]) ? session_rank(v->legs[i].session) : UINT_MAX;
		if (rank[i] < best)
			best = rank[i];
	}
	return best;
}

static int pick_by_policy(struct mpio *v, const struct command *c)
{
	struct policy_path view[MPIO_LEGS_MAX] = { 0 };
	const struct policy_choice *choice = v->choice;
	unsigned order[MPIO_LEGS_MAX], rank[MPIO_LEGS_MAX], n = in_order(v, order), best = ranks(v, rank);
	int picked, first = -1;

	for (unsigned k = 0; k < n; k++) {
		const struct mpio_leg *g = &v->legs[order[k]];

		if (!usable(g) || rank[order[k]] != best)
			continue;
		if (!choice)
			choice = &g->session->choice;
		session_load(g->session, best, choice, &view[k]);
		if (first < 0)
			first = (int)k;
	}
	if (first < 0)
		return -1;
	picked = policy_pick(choice->policy, &v->turns, view, n, c->count);
	return (int)order[picked < 0 ? first : picked];
}

int mpio_pick_leg(struct mpio *v, const struct command *c)
{
	if (v->leg_count == 1)
		return usable(&v->legs[0]) ? 0 : -1;
	for (unsigned i = 0; i < v->leg_count; i++)
		if ((c->legs & 1u << i) && usable(&v->legs[i]))
			return (int)i;
	return pick_by_policy(v, c);
}

/* Copies: a server reads what it writes itself, so it has to have both open. */

static struct mpio_leg *source_leg(const struct mpio *source, const struct session *s)
{
	struct mpio_leg *g = s->copies ? mpio_leg_of(source, s) : NULL;

	return g && g->offered ? g : NULL;
}

bool mpio_aim_copy(struct mpio *v, struct command *c, unsigned leg)
{
	const struct mpio_leg *g = source_leg(c->source, v->legs[leg].session);

	if (!g || g->open != MPIO_OPEN)
		return false;
	wire_put_copy(c->copy, g->handle, c->source_offset);
	c->data = c->copy;
	c->length = WIRE_COPY_SIZE;
	return true;
}

int mpio_can_copy(const struct mpio *v, const struct mpio *source)
{
	int r = -EXDEV;

	for (unsigned i = 0; i < v->leg_count; i++) {
		const struct mpio_leg *g = v->legs[i].offered ? source_leg(source, v->legs[i].session) : NULL;

		if (g && g->open == MPIO_OPEN)
			return 0;
		if (g)
			r = -EAGAIN;
	}
	return r;
}

/* Taking over. */

bool mpio_has_records(const struct mpio *v, const struct mpio_leg *g)
{
	struct list *l;

	list_each(l, &v->all) {
		const struct command *c = container_of(l, struct command, all);

		if (c->state == COMMAND_FENCED && c->leg == number_of(v, g))
			return true;
	}
	return false;
}

/* Is there a write on a server that is away, that another one may take over? */
static bool away_with_records(const struct mpio *v, const struct mpio_leg *g)
{
	return !g->session->up && mpio_has_records(v, g);
}

uint64_t mpio_waits_since(const struct mpio *v)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < v->leg_count; i++) {
		const struct mpio_leg *g = &v->legs[i];

		if (away_with_records(v, g))
			return g->session->down_since;
		if (g->offered && !g->session->up && g->session->down_since > last)
			last = g->session->down_since;
	}
	return mpio_reachable(v) ? 0 : last;
}

static void ask_for(struct mpio *v, const struct mpio_leg *away)
{
	for (unsigned i = 0; i < v->leg_count; i++) {
		struct mpio_leg *g = &v->legs[i];

		if (g == away || !usable(g) || g->asking)
			continue;
		g->asking = session_takeover(g->session, v, g->handle, away->session) == 0;
		return;
	}
}

/* Asks what can be asked now, and later again who was busy. */
static void look_after(struct mpio *v)
{
	bool again = false;

	if (v->leg_count == 1 && !v->legs[0].busy)
		return;
	for (unsigned i = 0; i < v->leg_count; i++) {
		struct mpio_leg *g = &v->legs[i];

		if (g->busy && !wanted(v))
			g->busy = false;
		again |= g->busy;
		if (!v->offered || v->leg_count == 1 || !away_with_records(v, g))
			continue;
		again = true;
		if (!v->timer.place)
			ask_for(v, g);
	}
	if (again && !v->timer.place)
		loop_arm(v->loop, &v->timer, loop_now(v->loop) + ASK_AGAIN);
}

void mpio_timer(struct loop_timer *t)
{
	struct mpio *v = container_of(t, struct mpio, timer);

	for (unsigned i = 0; i < v->leg_count; i++)
		if (v->legs[i].busy && wanted(v))
			open_leg(v, &v->legs[i]);
	look_after(v);
}

void mpio_unreachable(struct mpio *v, struct mpio_leg *g)
{
	pull(v, g);
	look_after(v);
}

static void release(struct command *c)
{
	struct mpio *v = c->volume;

	if (c->abandoned) {
		mpio_completed(v, c, -ECANCELED, NULL, 0);
		return;
	}
	if (c->resent < UINT8_MAX)
		c->resent++;
	mpio_dispatch(v, c);
}

void mpio_took_over(struct mpio *v, struct mpio_leg *g, const struct session *from, int error, const char *text)
{
	struct mpio_leg *away = mpio_leg_of(v, from);
	char why[sizeof v->waits_for];

	g->asking = false;
	if (!away || from->up)
		return;		/* it was reached meanwhile, and answers for itself */
	if (error) {
		snprintf(why, sizeof why, "%s", *text ? text : strerror(-error));
		if (strcmp(v->waits_for, why))	/* it is asked often, and said once */
			log_warning(v->info.name, "%s:%s: writes wait for %s: %s", v->namespace, v->info.name,
				    from->name, why);
		memcpy(v->waits_for, why, sizeof why);
		loop_arm(v->loop, &v->timer, loop_now(v->loop) + ASK_AGAIN);
		return;
	}
	log_info(v->info.name, "%s:%s: %s took over from %s", v->namespace, v->info.name, g->session->name, from->name);
	v->waits_for[0] = 0;
	session_settle(away->session, v, release);
	mpio_found(v);
}
