/*
 * hold.c - why files that are cloned during a hold are of one moment.
 *
 * WHAT CHANGES A VOLUME is a write, a discard or zeroes of a client, and it is carried
 * out in one of two places: by a worker, as a job that says so (job.changes), or, where
 * the store is memory, on the loop that received it (volume_write_now).  What the
 * server does by itself stands between hold_enter and hold_leave, which count as a
 * worker's job does.
 *
 * WORKERS.  Under workers.lock each volume of the hold gets its mark, all in one go; from
 * then on jobs that change one of them are parked, those that were queued already too.
 * Those that a worker had taken are counted (work.changing, under the same lock), and
 * are waited for.
 *
 * LOOPS look at volume.guard before they carry out a write themselves: not 0, and it is
 * left to a worker, who parks it.  That look is a relaxed load of a variable that nobody
 * writes to otherwise, and is all that a hold costs while there is none.  It
 * may be relaxed: a message is posted to every loop after guard was set, and waited
 * for.  Posting and taking a message synchronise, so what a loop does after it took the
 * message sees guard set; and what it did before is over, since a write on a loop runs to
 * its end within one round.  The same once more when a hold ends with a copy left
 * behind (cow.c): its bit is set in guard before the hold's is cleared, and a loop
 * which saw the one can later read only what was stored in the same variable after it;
 * so it never reads 0 in between.
 *
 * ONE MOMENT.  When all this is done, at T, no write is under way on any of the volumes,
 * and none begins until hold_end.  So the files together hold exactly what was
 * carried out before T.  A write is acknowledged after it was carried out.  Hence:
 * what was acknowledged before hold_begin was called is in.  What was sent after hold_end
 * returned is not.  If a client sent write B after write A was acknowledged, to
 * whichever of the volumes, then B is not in without A: B was carried out before T, so
 * A was.  No order of the volumes among each other is needed for this, since all
 * are held before the first is cloned.
 *
 * THE LIMIT.  A thread ends the hold when its time is over, whatever hold_begin's caller
 * does: a clone that takes long, or hangs, delays writes by no more than that (unless the
 * kernel itself makes them wait for it).  hold_end then says that what was
 * cloned is torn.  It also ends when the server runs short of memory, for held payloads
 * count in it: beyond the bound connections are not read from, and a ping that is not
 * read is a path that has failed.
 *
 * NO PATH FAILS FOR A HELD COMMAND.  A client takes a path for failed when a ping is not
 * answered (path_health.c).  Pings are answered on the loop, whatever is held; they need
 * no slot and count no bytes, so they also pass when everything that a session may have
 * in flight is held.  How long a command itself takes is never a reason.  (What else
 * such a session wants waits with it, as with a disk that is slow: for a second.)
 *
 * WHAT TAKES LONG, a discard or a copy of many megabytes, is a row of short jobs, between two of which it is
 * parked: it is not waited for to its end.  serve_pieces.c says why the files are of one moment all the same.
 *
 * A CONNECTION THAT ENDS while its writes are held takes them back at once
 * (workers_cancel looks among the parked, too), so a FENCE is answered during a hold, and says
 * of them that they were not done; they are sent again over another path, and are held
 * there.  A lease that is over is seen when the job is begun, after the hold, as
 * for any other (serve.c, too_late).  done_note is made when a job comes back, as ever.
 *
 * FLUSHES GO ON.  A flush changes nothing that a clone shows: it covers what was
 * acknowledged, which is in the files already.  A held write is not acknowledged, so a
 * flush that overtakes it promises nothing about it.  Holding flushes would only add
 * the writing out of everything to the time of the hold.  A write with FUA is a write.
 *
 * SEVERAL SERVERS.  Writes by way of another server are not ours to hold, so a volume
 * that others offer too is refused.
 */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <time.h>
#include "hold.h"
#include "log.h"
#include "server.h"

#define FLUSH_ROUNDS 4			/* before writes are held */
#define FLUSH_QUICK 0.1			/* of the limit: what is dirty after that is written out soon enough */
#define LOOK_NS (20 * SECOND / 1000)	/* at the memory */
#define STACK (256u << 10)

enum outcome { HOLD_LASTS, HOLD_ENDED, HOLD_TOO_LONG, HOLD_NO_MEMORY };

struct hold {
	struct server *server;
	struct volume **volumes;	/* each once */
	struct work **works;
	size_t count;
	double limit;
	uint64_t since, until;		/* workers_clock() */
	uint64_t drained;
	pthread_t guard;		/* ends it when its time is over */

	pthread_mutex_t lock;		/* of what follows; workers.lock may be taken under it */
	pthread_cond_t changed;
	enum outcome outcome;
	uint64_t let_go;
	unsigned visits;		/* of loops that are still to come */
	unsigned refs;			/* the caller's and the visits' */
};

/* A message to each loop: where it runs, what the loop did before is over. */
struct visit {
	struct message message;
	struct hold *hold;
};

static void drop(struct hold *h)
{
	unsigned left;

	pthread_mutex_lock(&h->lock);
	left = --h->refs;
	pthread_mutex_unlock(&h->lock);
	if (left)
		return;
	pthread_mutex_destroy(&h->lock);
	pthread_cond_destroy(&h->changed);
	free(h->volumes);
	free(h->works);
	free(h);
}

static void on_visit(struct engine *l, struct message *m)
{
	struct visit *v = (struct visit *)m;
	struct hold *h = v->hold;

	(void)l;
	free(v);
	pthread_mutex_lock(&h->lock);
	h->visits--;
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
	drop(h);
}

/* Lets writes go on, once.  lock is held. */
static void let_go(struct hold *h, enum outcome why)
{
	if (h->outcome != HOLD_LASTS)
		return;
	h->outcome = why;
	for (size_t i = 0; i < h->count; i++)
		atomic_fetch_and(&h->volumes[i]->guard, ~GUARD_HOLD);
	workers_release(h->server->workers, h->works, h->count);
	h->let_go = workers_clock();
	pthread_cond_broadcast(&h->changed);
}

static void let_go_locked(struct hold *h, enum outcome why)
{
	pthread_mutex_lock(&h->lock);
	let_go(h, why);
	pthread_mutex_unlock(&h->lock);
}

/* lock is held. */
static void wait_until(struct hold *h, uint64_t until)
{
	struct timespec t = { (time_t)(until / SECOND), (long)(until % SECOND) };

	pthread_cond_timedwait(&h->changed, &h->lock, &t);
}

static void *guard(void *arg)
{
	struct hold *h = arg;
	uint64_t now;

	pthread_setname_np(pthread_self(), "rssrv-hold");
	pthread_mutex_lock(&h->lock);
	while (h->outcome == HOLD_LASTS) {
		now = workers_clock();
		if (now >= h->until)
			let_go(h, HOLD_TOO_LONG);
		else if (memory_tight(&h->server->memory))
			let_go(h, HOLD_NO_MEMORY);
		else
			wait_until(h, now + LOOK_NS < h->until ? now + LOOK_NS : h->until);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

/*
 * Before.
 */
static int refuse(const struct volume *v, struct err *e)
{
	if (v->shared) {
		err_set(e, EOPNOTSUPP, "volume %s is offered by several servers: what is written by way of another one "
			"cannot be held here", v->name);
		return -EOPNOTSUPP;
	}
	return 0;
}

static int flush(struct volume *v, struct err *e)
{
	int r = v->cannot_write ? 0 : volume_flush(v);

	if (r == -EUCLEAN)
		err_set(e, EUCLEAN, "a flush of volume %s has failed: what its disk has is not known", v->name);
	else if (r)
		err_sys(e, -r, "cannot flush volume %s", v->name);
	if (r == -EUCLEAN)
		err_next(e, "'clear-flush-error' says that this was dealt with");
	return r;
}

/* Until little is dirty: as much as is written to them while the last round takes. */
static int flush_all(struct hold *h, struct err *e)
{
	int r = 0;

	for (int round = 0; round < FLUSH_ROUNDS && !r; round++) {
		uint64_t begin = workers_clock();

		for (size_t i = 0; i < h->count && !r; i++)
			r = flush(h->volumes[i], e);
		if ((double)(workers_clock() - begin) < h->limit * FLUSH_QUICK * SECOND)
			break;
	}
	return r;
}

static bool has(const struct hold *h, const struct volume *v)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->volumes[i] == v)
			return true;
	return false;
}

static struct hold *hold_new(struct volume **v, size_t n, double limit, struct err *e)
{
	struct hold *h = calloc(1, sizeof(*h));
	pthread_condattr_t attr;

	if (h) {
		h->volumes = calloc(n, sizeof(*h->volumes));
		h->works = calloc(n, sizeof(*h->works));
	}
	if (!h || !h->volumes || !h->works) {
		err_set(e, ENOMEM, "cannot hold writes: no memory");
		if (h) {
			free(h->volumes);
			free(h->works);
		}
		free(h);
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		if (has(h, v[i]))
			continue;
		h->works[h->count] = &v[i]->work;
		h->volumes[h->count++] = v[i];
	}
	h->server = v[0]->server;
	h->limit = limit < HOLD_LIMIT_MIN ? HOLD_LIMIT_MIN : limit > HOLD_LIMIT_MAX ? HOLD_LIMIT_MAX : limit;
	h->refs = 1;
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->changed, &attr);
	pthread_condattr_destroy(&attr);
	return h;
}

/*
 * The hold.
 */
static int start_guard(struct hold *h, struct err *e)
{
	pthread_attr_t attr;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	r = pthread_create(&h->guard, &attr, guard, h);
	pthread_attr_destroy(&attr);
	return r ? err_sys(e, r, "cannot start the thread that ends a hold") : 0;
}

static int visit_loops(struct hold *h)
{
	for (unsigned i = 0; i < h->server->loop_count; i++) {
		struct visit *v = calloc(1, sizeof(*v));

		if (!v)
			return -ENOMEM;
		v->hold = h;
		v->message.run = on_visit;
		pthread_mutex_lock(&h->lock);
		h->visits++;
		h->refs++;
		pthread_mutex_unlock(&h->lock);
		engine_post(h->server->loops[i], &v->message);
	}
	return 0;
}

/* When it returns 0 nothing of a client is under way on any of them. */
static int drain(struct hold *h)
{
	int r = visit_loops(h);

	pthread_mutex_lock(&h->lock);
	while (!r && h->visits && h->outcome == HOLD_LASTS)
		pthread_cond_wait(&h->changed, &h->lock);
	pthread_mutex_unlock(&h->lock);
	if (!r)
		r = workers_drain(h->server->workers, h->works, h->count, h->until);
	/* Its disk loses what was not flushed, and a clone would not see it. */
	for (size_t i = 0; i < h->count && !r; i++)
		if (h->volumes[i]->lossy)
			r = volume_flush(h->volumes[i]);
	h->drained = workers_clock();
	return r;
}

static int start(struct hold *h, struct err *e)
{
	uint64_t limit = (uint64_t)(h->limit * SECOND);
	int r = workers_hold(h->server->workers, h->works, h->count, workers_clock() + limit);

	if (r) {
		err_set(e, EBUSY, "writes to volume %s%s are held already, for longer than %g s", h->volumes[0]->name,
			h->count > 1 ? " or another one of these" : "", h->limit);
		return r;
	}
	h->since = workers_clock();
	h->until = h->since + limit;
	for (size_t i = 0; i < h->count; i++)
		atomic_fetch_or(&h->volumes[i]->guard, GUARD_HOLD);
	r = start_guard(h, e);
	if (r)
		let_go_locked(h, HOLD_ENDED);
	return r;
}

static struct hold *begin(struct volume **v, size_t n, double limit, bool flush_first, struct err *e)
{
	struct hold *h = hold_new(v, n, limit, e);
	int r;

	if (!h)
		return NULL;
	if ((flush_first && flush_all(h, e)) || start(h, e)) {
		drop(h);
		return NULL;
	}
	r = drain(h);
	if (!r)
		return h;
	if (r == -ETIMEDOUT)
		let_go_locked(h, HOLD_TOO_LONG);
	if (!hold_end(h, NULL, e))
		err_sys(e, -r, "cannot hold writes to volume %s", v[0]->name);
	return NULL;
}

struct hold *hold_begin(struct volume **v, size_t n, double limit, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (refuse(v[i], e))
			return NULL;
	return begin(v, n, limit, true, e);
}

int hold_pass(struct volume *v, double limit, struct err *e)
{
	struct hold *h = begin(&v, 1, limit, false, e);

	return h ? hold_end(h, NULL, e) : -e->code;
}

bool hold_lasts(struct hold *h)
{
	bool yes;

	pthread_mutex_lock(&h->lock);
	yes = h->outcome == HOLD_LASTS;
	pthread_mutex_unlock(&h->lock);
	return yes;
}

/*
 * After.
 */
static void say(const struct hold *h)
{
	const char *name = h->volumes[0]->name;
	char others[48] = "";

	if (h->count > 1)
		snprintf(others, sizeof(others), " and %zu other%s", h->count - 1, h->count > 2 ? "s" : "");
	log_line(h->outcome == HOLD_ENDED ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "hold",
		 "writes to %s%s were held for %.1f ms, %.1f of them for what was under way%s", name, others,
		 (double)(h->let_go - h->since) / 1e6, (double)(h->drained - h->since) / 1e6,
		 h->outcome == HOLD_TOO_LONG ? ", which is the limit: in vain" :
		 h->outcome == HOLD_NO_MEMORY ? ", until memory became short: in vain" : "");
}

static int result(const struct hold *h, struct err *e)
{
	if (h->outcome == HOLD_ENDED)
		return 0;
	if (h->outcome == HOLD_NO_MEMORY)
		err_set(e, ETIMEDOUT, "what had to wait while writes to volume %s%s were held took too much memory",
			h->volumes[0]->name, h->count > 1 ? " and others" : "");
	else
		err_set(e, ETIMEDOUT, "writes to volume %s%s would have had to be held for longer than %g s",
			h->volumes[0]->name, h->count > 1 ? " and others" : "", h->limit);
	err_next(e, "try again when less is written, or allow more");
	return -ETIMEDOUT;
}

int hold_end(struct hold *h, uint64_t *ns, struct err *e)
{
	int r;

	let_go_locked(h, HOLD_ENDED);
	pthread_join(h->guard, NULL);
	if (ns)
		*ns = h->let_go - h->since;
	say(h);
	r = result(h, e);
	drop(h);
	return r;
}

void hold_enter(struct volume *v)
{
	workers_enter(v->server->workers, &v->work);
}

void hold_leave(struct volume *v)
{
	workers_leave(v->server->workers, &v->work);
}
