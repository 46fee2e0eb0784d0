#include <errno.h>
#include <string.h>
#include "policy.h"

/*
 * ADAPTIVE models a path as a pipe with a latency and a rate, and expects a
 * command to take latency + (bytes ahead of it + its own) / rate.  The rate is
 * learned from commands that found the path busy, the latency from those that
 * found it nearly empty, so that neither pollutes the other.  A path nothing is
 * known of is expected to be as good as a fast one: trying it once is cheap and
 * is how it becomes known.
 *
 * It stays with the path it picked last until another one is expected to be
 * clearly faster: commands that go the same way travel in one send and are
 * answered in one receive, which is worth more than an even spread.
 */
#define LATENCY_UNKNOWN 1e-6
#define RATE_UNKNOWN 1e10
#define LEARN 0.1		/* weight of a new sample */
#define LEARN_IDLE 0.5		/* of a ping: all there is of a path that is not used */
#define OUTLIER 2.0		/* times the latency: a sample counts as no more than that */
#define BUSY (64u << 10)	/* bytes ahead from which a sample speaks of the rate */
#define CLEARLY 1.25		/* times slower: then the path is left */

const char *const policy_names[] = {
	"adaptive", "round-robin", "round-robin-subset", "fail-over", "least-queue", "weighted",
	"least-blocks", NULL
};
_Static_assert(sizeof policy_names / sizeof *policy_names == POLICY_COUNT + 1, "a name for each");

const char *policy_name(enum policy p)
{
	return p < POLICY_COUNT ? policy_names[p] : "unknown";
}

int policy_parse(const char *name)
{
	for (int i = 0; i < POLICY_COUNT; i++)
		if (!strcmp(name, policy_names[i]))
			return i;
	return -EINVAL;
}

double policy_expect(const struct policy_path *p, uint64_t bytes)
{
	double latency = p->latency > 0 ? p->latency : LATENCY_UNKNOWN;
	double rate = p->rate > 0 ? p->rate : RATE_UNKNOWN;

	return latency + (double)(p->bytes + bytes) / rate;
}

/* One answer that came late, because a thread was not scheduled or a frame was lost, says
 * little of the path; a path that is slower now says so again and again. */
static void learn_latency(struct policy_path *p, double seconds, double weight)
{
	if (p->latency > 0 && seconds > OUTLIER * p->latency)
		seconds = OUTLIER * p->latency;
	p->latency = p->latency > 0 ? p->latency + weight * (seconds - p->latency) : seconds;
}

void policy_learn(struct policy_path *p, uint64_t ahead, uint64_t bytes, double seconds)
{
	double sample;

	if (seconds <= 0)
		return;
	if (ahead + bytes < BUSY) {
		learn_latency(p, seconds, bytes ? LEARN : LEARN_IDLE);
		return;
	}
	sample = (double)(ahead + bytes) / seconds;
	p->rate = p->rate > 0 ? p->rate + LEARN * (sample - p->rate) : sample;
}

static bool takes(const struct policy_path *p)
{
	return p->usable && !p->full;
}

static int pick_adaptive(struct policy_state *s, const struct policy_path *paths, size_t count, uint64_t bytes)
{
	size_t last = s->turn % count;
	double best_time = 0;
	int best = -1;

	/* Behind the last pick the search begins, so that equal ones take turns. */
	for (size_t k = 1; k <= count; k++) {
		size_t i = (last + k) % count;
		double t;

		if (!takes(&paths[i]))
			continue;
		t = policy_expect(&paths[i], bytes);
		if (i == last)
			t /= CLEARLY;
		if (best < 0 || t < best_time) {
			best = (int)i;
			best_time = t;
		}
	}
	if (best >= 0)
		s->turn = (uint32_t)best;
	return best;
}

static int pick_round_robin(struct policy_state *s, const struct policy_path *paths, size_t count, bool standbys)
{
	for (size_t k = 0; k < count; k++) {
		size_t i = (s->turn + k) % count;

		if (takes(&paths[i]) && (standbys || !paths[i].standby)) {
			s->turn = (uint32_t)i + 1;
			return (int)i;
		}
	}
	return -1;
}

/* Standbys serve while one of the others has failed, or when there are no others. */
static bool standbys_serve(const struct policy_path *paths, size_t count)
{
	size_t primaries = 0;

	for (size_t i = 0; i < count; i++) {
		if (paths[i].standby)
			continue;
		if (!paths[i].usable)
			return true;
		primaries++;
	}
	return primaries == 0;
}

/* The least by what `load` says; equal ones take turns. */
static int pick_least(struct policy_state *s, const struct policy_path *paths, size_t count,
		      uint64_t (*load)(const struct policy_path *p))
{
	int best = -1;

	for (size_t k = 1; k <= count; k++) {
		size_t i = (s->turn + k) % count;

		if (takes(&paths[i]) && (best < 0 || load(&paths[i]) < load(&paths[best])))
			best = (int)i;
	}
	if (best >= 0)
		s->turn = (uint32_t)best;
	return best;
}

static uint64_t commands_under_way(const struct policy_path *p)
{
	return p->in_flight;
}

static uint64_t bytes_under_way(const struct policy_path *p)
{
	return p->bytes;
}

/* Each that can take a command earns its weight, and who has most pays for all: with
 * 3 to 1 that gives a a b a, not a a a b.  What one earned while it alone was full is
 * not kept: who cannot take commands earns nothing. */
static int pick_weighted(struct policy_state *s, const struct policy_path *paths, size_t count)
{
	int32_t total = 0;
	int best = -1;

	for (size_t i = 0; i < count; i++) {
		int32_t weight = paths[i].weight > 0 ? paths[i].weight : 1;

		if (!takes(&paths[i]))
			continue;
		s->credit[i] += weight;
		total += weight;
		if (best < 0 || s->credit[i] > s->credit[best])
			best = (int)i;
	}
	if (best >= 0)
		s->credit[best] -= total;
	return best;
}

static int pick_fail_over(const struct policy_path *paths, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (paths[i].usable)
			return paths[i].full ? -1 : (int)i;
	return -1;
}

int policy_pick(enum policy p, struct policy_state *s, const struct policy_path *paths,
		size_t count, uint64_t bytes)
{
	if (!count)
		return -1;
	switch (p) {
	case POLICY_ROUND_ROBIN:
		return pick_round_robin(s, paths, count, true);
	case POLICY_ROUND_ROBIN_SUBSET:
		return pick_round_robin(s, paths, count, standbys_serve(paths, count));
	case POLICY_LEAST_QUEUE:
		return pick_least(s, paths, count, commands_under_way);
	case POLICY_LEAST_BLOCKS:
		return pick_least(s, paths, count, bytes_under_way);
	case POLICY_WEIGHTED:
		return pick_weighted(s, paths, count);
	case POLICY_FAIL_OVER:
		return pick_fail_over(paths, count);
	default:
		return pick_adaptive(s, paths, count, bytes);
	}
}
