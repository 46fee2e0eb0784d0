/*
 * cow.c - why the target has the volume's content of one moment.
 *
 * The volume is looked at as a row of chunks.  Each is copied once, by whoever comes
 * first: the copier, which goes through them in order, or a writer, which has
 * to before it changes anything in it.  A chunk that was not copied yet was not changed
 * since the moment, because
 *
 * 1. at the moment no write was under way (a hold), and before the hold ended volume.guard
 *    said that there is a copy: so every change that began after it comes here first
 *    (hold.c says why no loop misses that; a worker takes its job under workers.lock,
 *    after the hold gave it back under the same lock);
 * 2. whoever changes a chunk does so after it was copied: cow_before returns when all the
 *    chunks that it is asked about are.  Two who want the same one: the second waits.
 *
 * So what is read from a chunk while it is copied is what it held at the moment, holes
 * too: a chunk is asked for its holes while nobody may change it.  The copier
 * jumps over a hole that spans many chunks: those that nobody copied are a hole now, so
 * they were; those that were copied are done anyway.
 *
 * IF A CHUNK CANNOT BE COPIED the whole copy has failed, for good, and from then on
 * nobody waits for anything: cow_run says so and the target is thrown away.  A write never
 * learns of it.
 *
 * SHARING instead of copying is the same with another call, where a file system can do it: a file
 * in very many pieces takes long to be cloned, and writes would be held for all that
 * time; so each piece of it is cloned by itself.  The copier takes as many chunks at once as the
 * kernel shares in a few milliseconds, since that is what a write may have to wait for.
 *
 * Memory: one bit for each chunk ahead of the copier that a writer copied, in pages that
 * are there when they are touched, and one chunk's buffer for each thread that copies.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "copy.h"
#include "cow.h"

#define CHUNK (64u << 10)
#define CHUNKS_MAX (1ull << 28)		/* of CHUNK: 16 TiB; beyond that they are larger */
#define BUFFER CHUNK
#define READ_AHEAD (4ull << 20)
#define SHARE_MOST (256ull << 20)	/* at once, */
#define SHARE_NS (SECOND / 500)		/* when it takes no longer than this */
#define LOOK_NS (SECOND / 10)		/* at the one that is waited for */

struct busy {				/* chunks that are being copied */
	struct busy *next;
	uint64_t chunk, count;
};

struct cow {
	struct volume *volume;
	int target;
	uint64_t size, chunk, count;
	unsigned users;			/* under volume.cow_lock: writers in here */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t next;			/* the copier's: all before it are done */
	uint8_t *done;			/* bits, for those ahead of it */
	struct busy *busy;
	int error;			/* -errno; 0: none yet */
	uint64_t copied;		/* bytes */
	uint64_t expected, told;	/* the copier's: what there was to copy, and what it said of it */
	bool share;
	uint64_t at_once;		/* the copier's: chunks */
};

/*
 * A chunk.  lock is held, but for copying.
 */
static bool is_done(const struct cow *c, uint64_t i)
{
	return i < c->next || (c->done[i / 8] & 1u << i % 8);
}

static bool is_busy(const struct cow *c, uint64_t i)
{
	for (const struct busy *b = c->busy; b; b = b->next)
		if (i - b->chunk < b->count)
			return true;
	return false;
}

static void not_busy(struct cow *c, struct busy *b)
{
	struct busy **at = &c->busy;

	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
}

/* The end of the volume need not be that of a block: it is copied. */
static int64_t copy_chunks(struct cow *c, const struct busy *b)
{
	uint64_t from = b->chunk * c->chunk, to = from + b->count * c->chunk;
	uint8_t *buf;
	int64_t n;

	if (c->share && to <= c->size) {
		n = copy_share_range(c->volume->fd, c->target, from, to - from);
		if (n != -EOPNOTSUPP)
			return n ? n : (int64_t)(to - from);
	}
	buf = malloc(BUFFER);
	n = buf ? copy_range(c->volume->fd, c->target, from, to < c->size ? to : c->size, buf, BUFFER) : -ENOMEM;
	free(buf);
	return n;
}

/* Nobody is at these. */
static void copy_these(struct cow *c, uint64_t i, uint64_t count)
{
	struct busy b = { .next = c->busy, .chunk = i, .count = count };
	int64_t n;

	c->busy = &b;
	pthread_mutex_unlock(&c->lock);
	n = copy_chunks(c, &b);
	pthread_mutex_lock(&c->lock);
	not_busy(c, &b);
	if (n < 0 && !c->error)
		c->error = (int)n;
	if (n >= 0) {
		for (uint64_t k = i; k < i + count; k++)
			c->done[k / 8] |= (uint8_t)(1u << k % 8);
		c->copied += (uint64_t)n;
	}
	pthread_cond_broadcast(&c->changed);
}

/* When it returns the chunk is copied, or the whole copy has failed. */
static void need(struct cow *c, uint64_t i)
{

	while (!c->error && is_busy(c, i))
		pthread_cond_wait(&c->changed, &c->lock);
	if (!c->error && !is_done(c, i))
		copy_these(c, i, 1);
}

/*
 * Writers.
 */
static struct cow *enter(struct volume *v)
{
	struct cow *c;

	pthread_mutex_lock(&v->cow_lock);
	c = v->cow;
	if (c)
		c->users++;
	pthread_mutex_unlock(&v->cow_lock);
	return c;
}

static void leave(struct volume *v, struct cow *c)
{
	pthread_mutex_lock(&v->cow_lock);
	if (!--c->users)
		pthread_cond_broadcast(&v->cow_left);
	pthread_mutex_unlock(&v->cow_lock);
}

void cow_before(struct volume *v, uint64_t offset, uint64_t count)
{
	struct cow *c = count ? enter(v) : NULL;
	uint64_t last;

	if (!c)
		return;
	last = (offset + count - 1) / c->chunk;
	pthread_mutex_lock(&c->lock);
	for (uint64_t i = offset / c->chunk; i <= last && i < c->count && !c->error; i++)
		need(c, i);
	pthread_mutex_unlock(&c->lock);
	leave(v, c);
}

/* No writer comes any more, and none is in here. */
static void detach(struct cow *c)
{
	struct volume *v = c->volume;

	pthread_mutex_lock(&v->cow_lock);
	if (v->cow == c) {
		atomic_fetch_and(&v->guard, ~GUARD_COW);
		v->cow = NULL;
	}
	while (c->users)
		pthread_cond_wait(&v->cow_left, &v->cow_lock);
	pthread_mutex_unlock(&v->cow_lock);
}

static bool attach(struct cow *c)
{
	struct volume *v = c->volume;
	bool first;

	pthread_mutex_lock(&v->cow_lock);
	first = !v->cow;
	if (first) {
		v->cow = c;
		atomic_fetch_or(&v->guard, GUARD_COW);
	}
	pthread_mutex_unlock(&v->cow_lock);
	return first;
}

/*
 * Turns.
 */
void cow_init(struct volume *v)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&v->cow_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&v->cow_left, &attr);
	pthread_condattr_destroy(&attr);
}

/* One that is not to be had is waited for with none of the others taken. */
static struct volume *take_all(struct volume *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool had;

		pthread_mutex_lock(&v[i]->cow_lock);
		had = v[i]->cow_taken;
		v[i]->cow_taken = true;
		pthread_mutex_unlock(&v[i]->cow_lock);
		if (!had)
			continue;
		cow_turn_over(v, i);
		return v[i];
	}
	return NULL;
}

void cow_turn_over(struct volume *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		pthread_mutex_lock(&v[i]->cow_lock);
		v[i]->cow_taken = false;
		pthread_cond_broadcast(&v[i]->cow_left);
		pthread_mutex_unlock(&v[i]->cow_lock);
	}
}

/* volume.cow_lock is held. */
static void how_far(struct volume *v, uint64_t *done, uint64_t *of)
{
	*done = *of = 0;
	if (!v->cow)
		return;
	pthread_mutex_lock(&v->cow->lock);
	*of = v->cow->expected;
	*done = v->cow->copied < *of ? v->cow->copied : *of;
	pthread_mutex_unlock(&v->cow->lock);
}

static int wait_turn(struct volume *v, struct progress *p)
{
	uint64_t done, of;

	pthread_mutex_lock(&v->cow_lock);
	while (v->cow_taken && !progress_cancelled(p)) {
		uint64_t until = workers_clock() + LOOK_NS;
		struct timespec t = { (time_t)(until / SECOND), (long)(until % SECOND) };

		how_far(v, &done, &of);
		progress_set(p, done, of);
		pthread_cond_timedwait(&v->cow_left, &v->cow_lock, &t);
	}
	pthread_mutex_unlock(&v->cow_lock);
	return progress_cancelled(p) ? -ECANCELED : 0;
}

static int too_early(struct volume *v, struct err *e)
{
	uint64_t done, of;
	char far[64] = "";

	pthread_mutex_lock(&v->cow_lock);
	how_far(v, &done, &of);
	pthread_mutex_unlock(&v->cow_lock);
	if (of)
		snprintf(far, sizeof(far), ", %.0f %% of which is done", 100.0 * (double)done / (double)of);
	err_set(e, EBUSY, "another copy of %s is being made%s", v->name, far);
	err_next(e, "try again when that is done");
	return -EBUSY;
}

int cow_turn(struct volume *const *v, size_t n, bool may_wait, struct progress *p, struct err *e)
{
	struct volume *busy;
	int r = 0;

	while (!r && (busy = take_all(v, n))) {
		progress_stage(p, "waiting for another copy of it");
		r = may_wait ? wait_turn(busy, p) : too_early(busy, e);
	}
	progress_set(p, 0, 0);
	return r;
}

static void destroy(struct cow *c)
{
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->changed);
	free(c->done);
	free(c);
}

struct cow *cow_start(struct volume *v, int target, bool share, struct err *e)
{
	struct cow *c = calloc(1, sizeof(*c));

	if (!c)
		goto no_memory;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	c->volume = v;
	c->target = target;
	c->share = share;
	c->at_once = 2;
	c->size = atomic_load(&v->size);
	c->chunk = CHUNK;
	while (c->size / c->chunk >= CHUNKS_MAX)
		c->chunk *= 2;
	c->count = (c->size + c->chunk - 1) / c->chunk;
	c->done = calloc(1, c->count / 8 + 1);
	if (!c->done) {
		destroy(c);
		goto no_memory;
	}
	if (ftruncate(target, (off_t)c->size) < 0)
		err_sys(e, errno, "cannot make a copy of volume %s", v->name);
	else if (!attach(c))
		err_set(e, EBUSY, "a copy of volume %s is under way already", v->name);
	else
		return c;
	destroy(c);
	return NULL;
no_memory:
	err_set(e, ENOMEM, "cannot copy volume %s: no memory", v->name);
	return NULL;
}

/*
 * The copier.
 */

/* Where the next data are; what lies before them is done, or being done by a writer.  lock is
 * held. */
static void skip_holes(struct cow *c)
{
	uint64_t from = c->next * c->chunk, data;
	int r;

	pthread_mutex_unlock(&c->lock);
	r = copy_next_data(c->volume->fd, from, c->size, &data);
	if (!r && (from % READ_AHEAD == 0 || data / READ_AHEAD > from / READ_AHEAD))
		posix_fadvise(c->volume->fd, (off_t)data, 2 * READ_AHEAD, POSIX_FADV_WILLNEED);
	pthread_mutex_lock(&c->lock);
	if (r && !c->error)
		c->error = r;
	if (!r)
		c->next = data < c->size ? data / c->chunk : c->count;
}

static uint64_t free_chunks(const struct cow *c)
{
	uint64_t n = 0;

	while (n < c->at_once && c->next + n < c->size / c->chunk && !is_done(c, c->next + n) && !is_busy(c, c->next + n))
		n++;
	return n;
}

/* The next chunk; where sharing is quick, a row of them. */
static void take_next(struct cow *c)
{
	uint64_t n = c->share ? free_chunks(c) : 0, began;

	if (n < 2) {
		need(c, c->next);
		n = 1;
	} else {
		began = workers_clock();
		copy_these(c, c->next, n);
		if (workers_clock() - began > SHARE_NS)
			c->at_once = c->at_once > 2 ? c->at_once / 2 : 2;
		else if (n == c->at_once && n * c->chunk < SHARE_MOST)
			c->at_once *= 2;
	}
	if (!c->error)
		c->next += n;
}

/* What others write meanwhile, and holes that are shared, are not said. */
static void tell(struct cow *c, struct progress *p)
{
	uint64_t now = c->copied < c->expected ? c->copied : c->expected;

	progress_add(p, now - c->told);
	c->told = now;
}

static void copy_rest(struct cow *c, struct progress *p)
{
	struct copy_pace pace = { 0 };

	pthread_mutex_lock(&c->lock);
	while (c->next < c->count && !c->error) {
		skip_holes(c);
		if (c->next >= c->count || c->error)
			break;
		if (progress_cancelled(p)) {
			c->error = -ECANCELED;
			break;
		}
		take_next(c);
		tell(c, p);
		pthread_mutex_unlock(&c->lock);
		copy_keep_pace(&pace, c->target, c->next * c->chunk);
		pthread_mutex_lock(&c->lock);
	}
	/* A writer may still be at one that was jumped over. */
	while (c->busy)
		pthread_cond_wait(&c->changed, &c->lock);
	tell(c, p);
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

static int failed(const struct cow *c, int r, struct err *e)
{
	if (r == -ECANCELED)
		err_set(e, ECANCELED, "cancelled");
	else if (r)
		err_sys(e, -r, "cannot copy volume %s", c->volume->name);
	return r;
}

int cow_run(struct cow *c, struct progress *p, struct err *e)
{
	uint64_t began = workers_clock(), expected = copy_data_bytes(c->volume->fd, c->size);

	pthread_mutex_lock(&c->lock);
	c->expected = expected;
	pthread_mutex_unlock(&c->lock);
	progress_expect(p, expected);
	progress_stage(p, "copying");
	copy_rest(c, p);
	detach(c);
	if (c->error)
		return failed(c, c->error, e);
	progress_stage(p, "syncing");
	if (fsync(c->target) < 0)
		return failed(c, -errno, e);
	if (!c->share)
		copy_took(c->target, c->copied, workers_clock() - began);
	return 0;
}

void cow_free(struct cow *c)
{
	if (!c)
		return;
	/* Whoever waits for a chunk does so no longer. */
	pthread_mutex_lock(&c->lock);
	if (!c->error)
		c->error = -ECANCELED;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	detach(c);
	destroy(c);
}
