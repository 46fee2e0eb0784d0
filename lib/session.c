/*
 * ORDERING.  An application that got the answer to a write may write the same
 * block again, and the newer data must stay.  Over one connection nothing can go
 * wrong: the server executes a command once, after it arrived and before it
 * answers.  Trouble begins when a connection ends with a write W unanswered.  W
 * may be lost, done, or still on its way: in a socket buffer of the server, in a
 * thread of its that waits for a disk.  If W were simply sent again over another
 * path, answered there, and followed by a newer write N to the same block, then
 * the old copy of W could land on top of N.  So:
 *
 * 1. Writes that were out on a connection that ended go into a record, struct
 *    session_fence, with that connection's number.  Nothing of it is sent again
 *    until the server was asked over a working path to FENCE that connection.  It
 *    answers when nothing of it can touch a volume any more and says which of the
 *    commands were done; these are complete, the others are sent again.  The same
 *    holds when no path was left and the server comes back: connections of one
 *    session share its id, so the new one fences the old ones.
 * 2. If the server does not know the session any more, the grant names a new one.
 *    Either its process is another one: then the old process is gone, since a
 *    server holds locks on its pools and volumes as long as any thread of it lives
 *    and does not serve before it has them.  Or the same process has ended the
 *    session: then it has closed its connections and waited for all they had
 *    under way before it forgot them, which the protocol demands.  In both cases
 *    nothing of the old connections can touch a volume: every record is settled as
 *    "fenced, nothing known to be done".  A write that was done is then done twice,
 *    with nothing newer in between, as 4 shows.
 * 3. Reads, block status and flushes change nothing and are sent again at once.
 *    A flush that is sent again covers at least what the first one had to.  But a
 *    server that has not noticed the end of a connection goes on counting what its
 *    reads and writes weigh, and ends the one on which the session's limit is passed:
 *    so these bytes stay counted here too, and the connection is fenced, which
 *    makes the server forget them.
 * 4. Nobody may overtake a write that waits for its fence or was sent again: the
 *    volume keeps these on its ordering list (mpio.c), and a later write that
 *    overlaps one is held until it is complete.  So between two executions of W
 *    there is no newer write of this client.  One of another client was under way
 *    together with W, which nobody has acknowledged: any order of the two is right.
 *    A COPY is a write of the volume that it goes to and is treated as one.  Of its
 *    source nothing is ordered, as with reads: whoever writes there before the copy is
 *    answered may find either in it, also when it is carried out twice.
 * 5. A write whose waiter was told something else meanwhile (interrupted, give-up)
 *    is not sent again, but it stays in its record, and on the ordering list,
 *    until the fence has answered: what comes after it must come after it.
 *
 * A command is on one list at a time: waiting here, in flight on a path, or in a
 * fence's record; the callers' lists are mpio's.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "session_impl.h"

static void be_dirty(struct session *s)
{
	s->dirty = true;
}

uint32_t session_bytes_of(const struct command *c)
{
	return c->volume && (c->type == WIRE_READ || c->type == WIRE_WRITE) ? c->count : 0;
}

static bool changes_data(const struct command *c)
{
	return c->type == WIRE_WRITE || c->type == WIRE_DISCARD || c->type == WIRE_WRITE_ZEROES || c->type == WIRE_COPY;
}

static void count_resent(struct command *c)
{
	if (c->resent < UINT8_MAX)
		c->resent++;
}

/* Back to the front of the queue. */
static void wait_again(struct session *s, struct command *c)
{
	c->state = COMMAND_WAITING;
	count_resent(c);
	list_prepend(&s->waiting, &c->link);
	be_dirty(s);
}

/* Fences. */

static struct session_fence *fence_new(struct session *s, uint32_t connection)
{
	struct session_fence *f = calloc(1, sizeof *f);

	/* Without a record these writes could neither be sent again nor be given up. */
	if (!f)
		abort();
	f->connection = connection;
	list_init(&f->commands);
	list_append(&s->fences, &f->link);
	return f;
}

static void fence_free(struct session *s, struct session_fence *f)
{
	s->bytes -= f->bytes;
	be_dirty(s);
	list_remove(&f->link);
	free(f);
}

/* Every command left in the record was not done: again, or, if nobody waits any
 * more, never. */
static void fence_settle(struct session *s, struct session_fence *f)
{
	while (!list_empty(&f->commands)) {
		struct command *c = container_of(f->commands.prev, struct command, link);

		list_remove(&c->link);
		if (c->abandoned)
			s->ops->completed(s->owner, s, c, -ECANCELED, NULL, 0);
		else
			wait_again(s, c);
	}
	fence_free(s, f);
}

void session_end_fence(struct session *s)
{
	struct session_fence *f = container_of(s->fences.next, struct session_fence, link);

	while (!list_empty(&f->commands)) {
		struct command *c = container_of(f->commands.next, struct command, link);

		list_remove(&c->link);
		s->ops->completed(s->owner, s, c, -EIO, NULL, 0);
	}
	fence_free(s, f);
}

void session_settle(struct session *s, struct mpio *v, void (*release)(struct command *c))
{
	struct list mine, *f, *l, *keep;

	list_init(&mine);
	list_each(f, &s->fences) {
		list_each_safe(l, keep, &container_of(f, struct session_fence, link)->commands) {
			if (container_of(l, struct command, link)->volume != v)
				continue;
			list_remove(l);
			list_append(&mine, l);
		}
	}
	while (!list_empty(&mine)) {
		struct command *c = container_of(mine.next, struct command, link);

		list_remove(&c->link);
		release(c);
	}
}

static struct command *fence_take(struct session_fence *f, uint64_t cookie)
{
	struct list *l;

	list_each(l, &f->commands) {
		struct command *c = container_of(l, struct command, link);

		if (c->cookie == cookie) {
			list_remove(&c->link);
			return c;
		}
	}
	return NULL;
}

void session_fence_answered(struct session *s, struct path *p, struct session_fence *f,
			    const struct wire_reply *r, const uint8_t *payload)
{
	struct wire_fence *done;
	const char *why = wire_status_text(r->status);

	f->sent = false;
	if (r->status == WIRE_E_INVALID) {	/* it is over, but what it did is no longer known */
		log_warning(s->name, "connection %u is fenced, the server has forgotten what it had done", f->connection);
		fence_settle(s, f);
		return;
	}
	done = calloc(1, sizeof *done);
	if (!done || r->status || wire_get_fence(payload, r->length, done, true, &why) < 0 ||
	    done->connection != f->connection) {
		path_lost(p, "the server does not fence connection %u: %s", f->connection, done ? why : "no memory");
		free(done);
		return;
	}
	for (size_t i = 0; i < done->count; i++) {
		struct command *c = fence_take(f, done->cookies[i]);

		if (c)
			s->ops->completed(s->owner, s, c, -wire_status_errno(done->statuses[i]), NULL, 0);
	}
	log_info(s->name, "connection %u is fenced, %zu of its commands were done", f->connection, done->count);
	free(done);
	fence_settle(s, f);
}

static void send_fences(struct session *s)
{
	struct list *l, *keep;

	list_each_safe(l, keep, &s->fences) {
		struct session_fence *f = container_of(l, struct session_fence, link);

		if (!f->sent && session_send_fence(s, f) == 0)
			f->sent = true;
	}
}

/* Paths. */

/* By their order, which is the configuration's: the policies that have a first path mean
 * that one.  -ENOSPC: no room for one more. */
static int add_path(struct session *s, struct path *p)
{
	size_t at = s->path_count;

	for (size_t i = 0; i < s->path_count; i++)
		if (s->paths[i] == p)
			return 0;
	if (s->path_count == POLICY_PATHS_MAX)
		return -ENOSPC;
	while (at && s->paths[at - 1]->setup.order > p->setup.order)
		at--;
	memmove(&s->paths[at + 1], &s->paths[at], (s->path_count - at) * sizeof *s->paths);
	s->paths[at] = p;
	s->path_count++;
	return 0;
}

void session_sort(struct session *s)
{
	qsort(s->paths, s->path_count, sizeof *s->paths, path_by_order);
	be_dirty(s);
}

void session_path_gone(struct session *s, struct path *p)
{
	for (size_t i = 0; i < s->path_count; i++) {
		if (s->paths[i] != p)
			continue;
		s->path_count--;
		memmove(&s->paths[i], &s->paths[i + 1], (s->path_count - i) * sizeof *s->paths);
		return;
	}
}

int session_welcome(struct session *s, struct path *p, const struct wire_welcome *w, uint8_t join[WIRE_SESSION_SIZE])
{
	if (s->up && memcmp(w->machine, s->machine, sizeof s->machine)) {
		path_refuse(p, "another machine answers as server %s with id %d; each server of a namespace needs an id of its own",
			    w->server, w->server_id);
		return -EADDRINUSE;
	}
	if (add_path(s, p) < 0) {
		path_refuse(p, "server %s has %d paths already, as many as a session may have", s->name, POLICY_PATHS_MAX);
		return -ENOSPC;
	}
	memset(join, 0, WIRE_SESSION_SIZE);
	if (s->established && !memcmp(w->life, s->life, sizeof s->life)) {
		memcpy(join, s->id, WIRE_SESSION_SIZE);
		return 1;
	}
	if (s->founder && s->founder != p)
		return 0;
	s->founder = p;
	return 1;
}

/* The path that was to make the session failed: the next one tries. */
static void next_founder(struct session *s)
{
	static const uint8_t none[WIRE_SESSION_SIZE];

	s->founder = NULL;
	for (size_t i = 0; i < s->path_count; i++) {
		if (s->paths[i]->state != PATH_WAITING)
			continue;
		s->founder = s->paths[i];
		path_proceed(s->paths[i], none);
		return;
	}
}

static void drop_own_waiting(struct session *s)
{
	struct list *l, *keep;

	list_each_safe(l, keep, &s->waiting) {
		struct command *c = container_of(l, struct command, link);

		if (!c->volume)
			session_drop_own(s, c);
	}
}

/* The server made a new session: see 2 above. */
static void start_anew(struct session *s, struct path *p, const struct wire_granted *g)
{
	const struct wire_welcome *w = &p->welcome;
	bool restarted = s->established && memcmp(w->life, s->life, sizeof s->life);
	bool host_restarted = s->established && memcmp(w->boot, s->boot, sizeof s->boot);

	for (size_t i = 0; i < s->path_count; i++)
		if (s->paths[i] != p && s->paths[i]->counted)
			path_lost(s->paths[i], "the server %s", restarted ? "was restarted" : "ended the session");
	while (!list_empty(&s->fences))
		fence_settle(s, container_of(s->fences.next, struct session_fence, link));
	drop_own_waiting(s);
	memset(s->handles, 0, sizeof s->handles);
	memcpy(s->id, g->session, sizeof s->id);
	memcpy(s->machine, w->machine, sizeof s->machine);
	memcpy(s->boot, w->boot, sizeof s->boot);
	memcpy(s->life, w->life, sizeof s->life);
	strcpy(s->version, w->version);
	if (s->established)
		log_warning(s->name, "the server %s; volumes are opened anew",
			    restarted ? "was restarted" : "does not know the session any more");
	s->established = true;
	s->ops->forgotten(s->owner, s, host_restarted);
}

void session_path_up(struct session *s, struct path *p, const struct wire_granted *g)
{
	if (!s->established || memcmp(g->session, s->id, sizeof s->id)) {
		if (g->joined) {	/* it joined what another path has replaced meanwhile */
			path_lost(p, "joined a session that has ended");
			return;
		}
		start_anew(s, p, g);
	}
	if (s->founder == p)
		s->founder = NULL;
	s->copies = p->welcome.features.copy;
	p->counted = true;
	s->bytes_max = p->limits.session_bytes;
	log_info(path_log_tag(p).text, "started transmit for rep %s/%d", p->setup.portal->address, p->setup.port);
	if (s->up++ == 0)
		s->ops->reachable(s->owner, s, true);
	for (size_t i = 0; i < s->path_count; i++)
		path_proceed(s->paths[i], s->id);
	session_list(s);
	be_dirty(s);
	s->ops->changed(s->owner, s);
}

/* What p had in flight goes where the essay says. */
static void take_back(struct session *s, struct path *p)
{
	struct session_fence *fence = NULL;
	struct list again;
	struct command *c;

	list_init(&again);
	while ((c = inflight_take_any(&p->inflight))) {
		c->path = NULL;
		if (!fence && (session_bytes_of(c) || (c->volume && changes_data(c))))
			fence = fence_new(s, p->connection);
		if (fence)
			fence->bytes += session_bytes_of(c);
		if (!c->volume) {
			session_own_lost(s, c, &again);
		} else if (!changes_data(c) && c->abandoned) {
			/* Whom should it tell?  Waiting, nothing could end it but a path. */
			s->ops->completed(s->owner, s, c, -ECANCELED, NULL, 0);
		} else if (!changes_data(c)) {
			c->state = COMMAND_WAITING;
			count_resent(c);
			list_append(&again, &c->link);
		} else {
			c->state = COMMAND_FENCED;
			list_append(&fence->commands, &c->link);
			s->ops->fenced(s->owner, s, c);
		}
	}
	/* Oldest first, in front of what has never been sent. */
	list_splice(&again, &s->waiting);
	list_splice(&s->waiting, &again);
	be_dirty(s);
}

void session_path_down(struct session *s, struct path *p)
{
	bool was_up = p->counted;

	p->counted = false;
	take_back(s, p);
	if (s->founder == p)
		next_founder(s);
	if (!was_up)
		return;
	log_info(path_log_tag(p).text, "stopped transmit for rep %s/%d: %s", p->setup.portal->address, p->setup.port,
		 p->reason);
	if (--s->up == 0) {
		s->down_since = loop_now(s->loop);
		s->ops->reachable(s->owner, s, false);
	}
	s->ops->changed(s->owner, s);
}

/* Commands. */

void session_submit(struct session *s, struct command *c)
{
	c->state = COMMAND_WAITING;
	list_append(&s->waiting, &c->link);
	be_dirty(s);
}

bool session_withdraw(struct session *s, struct command *c)
{
	(void)s;
	if (c->state != COMMAND_WAITING)
		return false;
	list_remove(&c->link);
	return true;
}

void session_answered(struct session *s, struct path *p, struct command *c, const struct wire_reply *r,
		      const uint8_t *payload)
{
	s->bytes -= session_bytes_of(c);
	be_dirty(s);
	if (!c->volume) {
		session_own_answered(s, p, c, r, payload);
		return;
	}
	/* Not executed: again, unless nobody waits.  After CHECKSUM the server hangs up by
	 * itself, after LEAVING it would only say the same again. */
	if ((r->status == WIRE_E_CHECKSUM || r->status == WIRE_E_LEAVING) && !c->abandoned) {
		wait_again(s, c);
		if (r->status == WIRE_E_LEAVING)
			path_lost(p, "the server is shutting down");
		return;
	}
	s->ops->completed(s->owner, s, c, -wire_status_errno(r->status), payload, r->length);
}

static bool works(const struct path *p)
{
	return p->counted && p->state == PATH_UP && !p->doomed;
}

bool session_has_other(struct session *s, const struct path *p, uint64_t since)
{
	bool found = false;

	for (size_t i = 0; i < s->path_count && !found; i++) {
		struct path *other = s->paths[i];

		if (other == p || !works(other) || other->suspect)
			continue;
		found = other->heard > since;
		if (!found)
			path_ask(other);
	}
	return found;
}

void session_look_again(struct session *s)
{
	be_dirty(s);
}

/* Of the best path that works. */
unsigned session_rank(const struct session *s)
{
	unsigned best = UINT_MAX;

	for (size_t i = 0; i < s->path_count; i++)
		if (works(s->paths[i]) && path_rank(s->paths[i]) < best)
			best = path_rank(s->paths[i]);
	return best;
}

static struct path *pick(struct session *s, const struct command *c, uint64_t bytes)
{
	struct policy_choice *choice = c->volume ? mpio_policy(c->volume) : NULL;
	struct policy_path view[POLICY_PATHS_MAX];
	unsigned best = session_rank(s);
	int i;

	if (!choice)
		choice = &s->choice;
	for (size_t k = 0; k < s->path_count; k++) {
		unsigned interface = s->paths[k]->setup.interface_number;

		view[k] = s->paths[k]->policy;
		view[k].weight = choice->interface[interface].weight;
		view[k].standby = choice->interface[interface].standby;
		view[k].usable = works(s->paths[k]) && path_rank(s->paths[k]) == best;
		view[k].full = !path_room(s->paths[k]);
	}
	i = policy_pick(choice->policy, &choice->state, view, s->path_count, bytes);
	return i < 0 ? NULL : s->paths[i];
}

void session_load(const struct session *s, unsigned rank, const struct policy_choice *choice, struct policy_path *out)
{
	*out = (struct policy_path){ .full = true, .standby = true };
	for (size_t k = 0; k < s->path_count; k++) {
		const struct path *p = s->paths[k];

		if (!works(p) || path_rank(p) != rank)
			continue;
		out->usable = true;
		out->full &= !path_room(p);
		out->standby &= choice->interface[p->setup.interface_number].standby;
		out->weight += choice->interface[p->setup.interface_number].weight;
		out->in_flight += p->policy.in_flight;
		out->bytes += p->policy.bytes;
		out->rate += p->policy.rate;
		if (p->policy.latency > 0 && (out->latency <= 0 || p->policy.latency < out->latency))
			out->latency = p->policy.latency;
	}
}

bool session_before(const struct session *a, const struct session *b)
{
	return a->path_count && (!b->path_count || a->paths[0]->setup.order < b->paths[0]->setup.order);
}

/* What a suspect path has under way counts until its connection is fenced, since the server
 * counts it too.  Commands for the others do not wait for that until detect is over, which
 * may be an hour: the suspect is given up now. */
static void make_room(struct session *s)
{
	for (size_t i = 0; i < s->path_count; i++) {
		struct path *p = s->paths[i];

		if (works(p) && p->suspect && p->policy.bytes && session_rank(s) < path_rank(p))
			path_lost(p, "owes an answer, and what it has under way leaves no room for others");
	}
}

void session_flush(struct session *s)
{
	if (!s->dirty)
		return;
	s->dirty = false;
	if (!s->up)
		return;
	send_fences(s);
	while (!list_empty(&s->waiting)) {
		struct command *c = container_of(s->waiting.next, struct command, link);
		uint32_t bytes = session_bytes_of(c);
		struct path *p;

		if (bytes && s->bytes && s->bytes + bytes > s->bytes_max) {
			make_room(s);
			break;
		}
		p = pick(s, c, bytes);
		if (!p)
			break;
		list_remove(&c->link);
		if (path_send(p, c) < 0) {	/* no memory: the next round tries again */
			list_prepend(&s->waiting, &c->link);
			s->dirty = true;
			break;
		}
		s->bytes += bytes;
	}
}

struct session *session_new(struct loop *l, const struct wire_welcome *w, const struct session_ops *ops, void *owner)
{
	struct session *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->loop = l;
	s->ops = ops;
	s->owner = owner;
	strcpy(s->name, w->server);
	s->server_id = w->server_id;
	memcpy(s->machine, w->machine, sizeof s->machine);
	s->bytes_max = WIRE_SESSION_BYTES_MAX;
	s->down_since = loop_now(l);
	list_init(&s->link);
	list_init(&s->waiting);
	list_init(&s->asked);
	list_init(&s->fences);
	return s;
}

void session_free(struct session *s)
{
	drop_own_waiting(s);
	while (!list_empty(&s->fences))
		fence_free(s, container_of(s->fences.next, struct session_fence, link));
	list_remove(&s->link);
	free(s);
}
