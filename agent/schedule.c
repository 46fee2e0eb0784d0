/* schedule.c - see schedule.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "catalog.h"
#include "engine.h"
#include "log.h"
#include "manage_impl.h"
#include "pool.h"
#include "registry.h"
#include "schedule.h"
#include "server.h"

#define MADE_BY "schedule-"	/* and a number: of the snapshots that are to go again */
#define AT_ONCE 32		/* that are started in one tick */
#define UNDER_WAY UINT64_MAX	/* volume.due: a job has it */

unsigned schedule_least(void)
{
	const char *test = getenv("RSIO_TEST_EVERY_MIN");

	return test ? (unsigned)strtoul(test, NULL, 10) : EVERY_MIN;
}

static uint32_t number(const struct meta *m, const char *key)
{
	char text[24];

	return meta_get(m, key, text, sizeof(text)) ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

void schedule_read(struct volume *v, const struct meta *m)
{
	uint32_t every = number(m, SCHEDULE_EVERY), keep = number(m, SCHEDULE_KEEP);

	if (v->snapshot || !keep)
		every = 0;
	else if (every && every < schedule_least())
		every = schedule_least();	/* it was written by hand */
	atomic_store(&v->keep, keep);
	if (atomic_exchange(&v->every, every) != every)
		atomic_store(&v->due, 0);
}

uint64_t schedule_next(const struct volume *v)
{
	uint64_t due = atomic_load(&v->due), now = clock_now(), seconds = (uint64_t)time(NULL);

	if (!atomic_load(&v->every) || !due)
		return 0;
	return due == UNDER_WAY || due <= now ? seconds : seconds + (due - now + SECOND / 2) / SECOND;
}

static size_t collect(struct server *s, uint64_t now, struct volume *due[AT_ONCE])
{
	struct volume *v;
	size_t n = 0;

	registry_lock(s->registry);
	for (size_t i = 0; n < AT_ONCE && (v = registry_at(s->registry, i)); i++)
		if (atomic_load_explicit(&v->every, memory_order_relaxed) && now >= atomic_load(&v->due) && v->pool)
			due[n++] = volume_get(v);
	registry_unlock(s->registry);
	return n;
}

void schedule_tick(struct server *s, uint64_t now)
{
	struct volume *due[AT_ONCE];
	size_t n = collect(s, now, due);

	for (size_t i = 0; i < n; i++) {
		struct manage_work w = { .due = atomic_exchange(&due[i]->due, UNDER_WAY) };

		memcpy(w.volume, due[i]->name, sizeof(w.volume));
		/* Too many are under way: tried again at the next tick. */
		if (manage_own(s->manage, &w, due[i]->pool) < 0)
			atomic_store(&due[i]->due, w.due);
		volume_put(due[i]);
	}
}

void schedule_name(uint64_t seconds, unsigned again, char out[SCHEDULE_NAME])
{
	time_t t = (time_t)seconds;
	struct tm tm;
	size_t n;

	gmtime_r(&t, &tm);
	n = strftime(out, SCHEDULE_NAME, "%Y-%m-%dT%H.%M.%SZ", &tm);
	if (again)
		snprintf(out + n, SCHEDULE_NAME - n, "-%u", again);
}

/*
 * One volume, on a job's thread.
 */

/* The schedule's own, oldest first: the others' entries are taken out. */
static int own_snapshots(struct pool *p, const char *volume, struct catalog_snapshot **list, size_t *n, struct err *e)
{
	char name[WIRE_VOLUME_NAME_MAX + 1], by[64];
	struct err unread = { 0 };
	struct catalog_info info;
	size_t own = 0;
	int r = catalog_snapshots(p, volume, list, n, e);

	if (r)
		return r;
	for (size_t i = 0; i < *n; i++) {
		snprintf(name, sizeof(name), "%.*s@%s", CONF_NAME_MAX, volume, (*list)[i].name);
		if (catalog_info(p, name, &info, &unread) == 0 && meta_get(&info.meta, "made-by", by, sizeof(by)) &&
		    strncmp(by, MADE_BY, sizeof(MADE_BY) - 1) == 0)
			(*list)[own++] = (*list)[i];
	}
	*n = own;
	return 0;
}

/* Seconds until the next one, going by the time of day; 0: now. */
static uint64_t seconds_left(const struct catalog_snapshot *list, size_t n, uint32_t every)
{
	uint64_t now = (uint64_t)time(NULL), taken = n ? meta_time(list[n - 1].taken) : 0;

	if (!n || !taken || now >= taken + every)
		return 0;
	return now < taken ? every : taken + every - now;
}

static int take(struct pool *p, struct task *t, char name[SCHEDULE_NAME], double *held, struct err *e)
{
	const char *volume = t->work.volume;
	char id[64];
	int r = -EEXIST;

	snprintf(id, sizeof(id), MADE_BY "%016" PRIx64, clock_now());
	/* A clock that was set back makes names that are taken. */
	for (unsigned again = 0; r == -EEXIST && again < 100; again++) {
		struct catalog_job j = { .id = id, .progress = &t->progress };

		schedule_name((uint64_t)time(NULL), again, name);
		r = catalog_snapshot(p, &j, &volume, 1, name, e);
		*held = (double)j.held / SECOND;
	}
	return r;
}

/* All but the newest keep; never the one that was just taken, whatever the clock says. */
static void forget_old(struct pool *p, struct task *t, const char *taken, uint32_t keep)
{
	struct catalog_snapshot *list = NULL;
	struct err e = { 0 };
	size_t n = 0;

	if (own_snapshots(p, t->work.volume, &list, &n, &e) < 0)
		n = 0;
	for (size_t i = 0, left = n; i < n && left > keep; i++) {
		struct catalog_job j = { .progress = &t->progress };

		if (strcmp(list[i].name, taken) == 0)
			continue;
		left--;
		if (catalog_snapshot_remove(p, &j, t->work.volume, list[i].name, &e) < 0)
			log_warning("schedule", "%s@%s stays for now: %s", t->work.volume, list[i].name, e.text);
	}
	free(list);
}

static int take_one(struct pool *p, struct task *t, uint32_t keep, json_t **result, struct err *e)
{
	char name[SCHEDULE_NAME];
	double held = 0;
	int r = take(p, t, name, &held, e);

	if (r)
		return r;
	log_info("schedule", "%s@%s taken, writes were held for %.3f s", t->work.volume, name, held);
	*result = json_pack("{s:s}", "snapshot", name);
	forget_old(p, t, name, keep);
	return 0;
}

/* What became of it says when it is due again: in equal steps while they can be kept. */
static uint64_t next_due(uint64_t was, uint64_t every, int r)
{
	uint64_t now = clock_now();

	if (r)
		return now + (every < SCHEDULE_RETRY ? every : SCHEDULE_RETRY) * SECOND;
	return was && was + every * SECOND > now ? was + every * SECOND : now + every * SECOND;
}

static int run(struct pool *p, struct task *t, struct volume *v, json_t **result, struct err *e)
{
	uint32_t every = atomic_load(&v->every), keep = atomic_load(&v->keep);
	struct catalog_snapshot *list = NULL;
	uint64_t left = 0, expected = UNDER_WAY, due;
	size_t n = 0;
	int r = 0;

	if (!pool_owner(p)) {
		left = SCHEDULE_RETRY;		/* another server takes them, as long as it lives */
	} else if (!t->work.due) {
		r = own_snapshots(p, t->work.volume, &list, &n, e);
		left = r ? 0 : seconds_left(list, n, every);
		free(list);
	}
	if (!r && !left)
		r = take_one(p, t, keep, result, e);
	due = left ? clock_now() + left * SECOND : next_due(t->work.due, every, r);
	/* Unless the schedule is another one by now. */
	atomic_compare_exchange_strong(&v->due, &expected, due);
	return r;
}

int schedule_run(struct pool *p, struct task *t, json_t **result, struct err *e)
{
	struct registry *g = p->server->registry;
	struct volume *v;
	int r;

	registry_lock(g);
	v = registry_find(g, t->work.volume);
	if (v)
		volume_get(v);
	registry_unlock(g);
	if (!v)
		return 0;
	r = atomic_load(&v->every) ? run(p, t, v, result, e) : 0;
	volume_put(v);
	return r;
}
