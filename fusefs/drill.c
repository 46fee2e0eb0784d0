/* drill.c - see drill.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "drill.h"
#include "log.h"

#define LOOK_EVERY (50 * UINT64_C(1000000))

static void set_away(struct drill *d, bool away)
{
	struct member *m = client_member(d->client, d->namespace);

	if (m)
		namespace_set_away(m->ns, d->target, away);
}

static void reset(void *arg, struct mpio *v)
{
	(void)arg;
	mpio_reset_longest(v);
}

/* What the volumes of the namespace went through. */
struct survey {
	const struct drill *drill;
	json_t *volumes;
	bool waiting;			/* what was submitted during the drill is under way still */
	bool passed;
};

static void look(void *arg, struct mpio *v)
{
	struct survey *s = arg;
	const struct drill *d = s->drill;
	double longest = mpio_longest(v), since = (double)(loop_now(d->client->loop) - d->returned) / 1e9;

	if (strcmp(mpio_namespace(v), d->namespace) || longest <= 0)
		return;
	s->waiting |= mpio_oldest(v) > since;
	s->passed &= longest <= d->limit;
	json_array_append_new(s->volumes, json_pack("{s:s, s:f}", "volume", mpio_info(v)->name, "longest", longest));
}

static struct survey survey(const struct drill *d)
{
	struct survey s = { .drill = d, .volumes = json_array(), .passed = true };

	client_each_volume(d->client, look, &s);
	if (json_array_size(s.volumes) == 0)
		s.passed = false;
	return s;
}

static void finish(struct drill *d, const struct survey *s)
{
	d->running = false;
	json_decref(d->volumes);
	d->volumes = s->volumes;
	d->passed = s->passed;
	log_info("drill", "%s is back after %g s: %s", d->target, d->seconds,
		 json_array_size(s->volumes) == 0 ? "no volume was in use" :
		 s->passed ? "no I/O stood still for longer than it may" : "I/O stood still for too long");
}

/* The time is over: the paths come back, and what waited for them has its time too. */
static void tick(struct loop_timer *t)
{
	struct drill *d = container_of(t, struct drill, timer);
	uint64_t now = loop_now(d->client->loop);
	struct survey s;

	if (!d->returned) {
		set_away(d, false);
		d->returned = now;
		loop_arm(d->client->loop, t, now + LOOK_EVERY);
		return;
	}
	s = survey(d);
	if (s.waiting && now - d->returned < (uint64_t)(d->limit * 1e9)) {
		json_decref(s.volumes);
		loop_arm(d->client->loop, t, now + LOOK_EVERY);
		return;
	}
	finish(d, &s);
}

/* The address in a path's name may have colons too. */
static const char *behind_namespace(const char *target)
{
	size_t n = strcspn(target, ":/");

	return target[n] == ':' ? target + n + 1 : target;
}

/* Which namespace has it?  NULL with e filled: none, or several. */
static struct member *find(struct drill *d, const char *target, struct err *e)
{
	const char *name = behind_namespace(target);
	struct member *found = NULL;
	struct list *l;

	list_each(l, &d->client->members) {
		struct member *m = container_of(l, struct member, link);

		if (name != target && (strlen(namespace_name(m->ns)) != (size_t)(name - 1 - target) ||
				       strncmp(namespace_name(m->ns), target, (size_t)(name - 1 - target))))
			continue;
		if (!namespace_drill_paths(m->ns, name).count)
			continue;
		if (found) {
			err_set(e, EINVAL, "several namespaces have %s", name);
			err_next(e, "name one, as %s:%s", namespace_name(m->ns), name);
			return NULL;
		}
		found = m;
	}
	if (!found) {
		err_set(e, ENOENT, "no path and no server %s is connected", target);
		err_next(e, "rsconfig -m status -v shows the paths that are, as INTERFACE/PORTAL to NAMESPACE:SERVER");
	}
	return found;
}

int drill_start(struct drill *d, const char *target, double seconds, struct err *e)
{
	struct member *m = find(d, target, e);
	uint64_t now = loop_now(d->client->loop);
	struct drill_paths p;

	if (!m)
		return -e->code;
	if (d->running)
		return err_set(e, EBUSY, "a drill with %s is under way", d->target);
	if (!(seconds >= 0.1 && seconds <= DRILL_SECONDS_MAX))
		return err_set(e, EINVAL, "a drill takes from 0.1 to %d seconds", DRILL_SECONDS_MAX);
	snprintf(d->namespace, sizeof d->namespace, "%s", namespace_name(m->ns));
	snprintf(d->target, sizeof d->target, "%s", behind_namespace(target));
	p = namespace_drill_paths(m->ns, d->target);
	d->limit = namespace_drill_limit(m->ns, &p, seconds);
	if (d->limit < 0) {
		err_set(e, EINVAL, "nothing else leads to that server, and %g s are too close to give-up: I/O would fail", seconds);
		err_next(e, "choose a shorter time with --for, or a longer give-up");
		return -EINVAL;
	}
	d->seconds = seconds;
	d->others = p.others;
	d->servers = p.servers;
	d->paths = p.count;
	d->returned = 0;
	d->running = true;
	client_each_volume(d->client, reset, NULL);
	set_away(d, true);
	d->began = now;
	loop_arm(d->client->loop, &d->timer, now + (uint64_t)(seconds * 1e9));
	log_info("drill", "%s is taken away for %g s", d->target, seconds);
	return 0;
}

json_t *drill_state(const struct drill *d)
{
	json_t *volumes = d->running ? survey(d).volumes : json_deep_copy(d->volumes);

	return json_pack("{s:b, s:b, s:s, s:s, s:i, s:b, s:b, s:f, s:f, s:f, s:o}", "running", d->running,
		"passed", !d->running && d->passed, "namespace", d->namespace, "target", d->target, "paths", (int)d->paths,
		"others", d->others, "servers", d->servers, "seconds", d->seconds, "limit", d->limit,
		"elapsed", (double)(loop_now(d->client->loop) - d->began) / 1e9,
		"volumes", volumes ? volumes : json_array());
}

void drill_init(struct drill *d, struct client *c)
{
	*d = (struct drill){ .client = c, .timer.fire = tick };
}

void drill_fini(struct drill *d)
{
	if (d->client)
		loop_disarm(d->client->loop, &d->timer);
	json_decref(d->volumes);
	d->volumes = NULL;
}
