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
#define BUSY (64u << 10)	/* bytes ahead from which a sample speaks of the rate */
#define CLEARLY 1.25		/* times slower: then the path is left */

static const char *const names[] = { "adaptive", "round-robin", "fail-over" };

const char *policy_name(enum policy p)
{
	return p < POLICY_COUNT ? names[p] : "unknown";
}

int policy_parse(const char *name)
{
	for (int i = 0; i < POLICY_COUNT; i++)
		if (!strcmp(name, names[i]))
			return i;
	return -EINVAL;
}

double policy_expect(const struct policy_path *p, uint64_t bytes)
{
	double latency = p->latency > 0 ? p->latency : LATENCY_UNKNOWN;
	double rate = p->rate > 0 ? p->rate : RATE_UNKNOWN;

	return latency + (double)(p->bytes + bytes) / rate;
}

void policy_learn(struct policy_path *p, uint64_t ahead, uint64_t bytes, double seconds)
{
	double sample;

	if (seconds <= 0)
		return;
	if (ahead + bytes < BUSY) {
		sample = seconds;
		p->latency = p->latency > 0 ? p->latency + LEARN * (sample - p->latency) : sample;
		return;
	}
	sample = (double)(ahead + bytes) / seconds;
	p->rate = p->rate > 0 ? p->rate + LEARN * (sample - p->rate) : sample;
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

		if (!paths[i].usable || paths[i].full)
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

static int pick_round_robin(struct policy_state *s, const struct policy_path *paths, size_t count)
{
	for (size_t k = 0; k < count; k++) {
		size_t i = (s->turn + k) % count;

		if (paths[i].usable && !paths[i].full) {
			s->turn = (uint32_t)i + 1;
			return (int)i;
		}
	}
	return -1;
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
		return pick_round_robin(s, paths, count);
	case POLICY_FAIL_OVER:
		return pick_fail_over(paths, count);
	default:
		return pick_adaptive(s, paths, count, bytes);
	}
}
