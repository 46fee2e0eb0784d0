/* Each policy: which path takes the next command, and what it learns of them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "policy.h"

#define UP { .usable = true }
#define FULL { .usable = true, .full = true }
#define DOWN { .usable = false }
#define KIB 1024u

static void names(void **state)
{
	(void)state;
	for (int p = 0; p < POLICY_COUNT; p++)
		assert_int_equal(policy_parse(policy_name(p)), p);
	assert_int_equal(policy_parse("fastest"), -EINVAL);
	assert_int_equal(policy_parse(""), -EINVAL);
	assert_string_equal(policy_name(POLICY_COUNT), "unknown");
}

static void nothing_to_pick_from(void **state)
{
	static const struct policy_path none[3] = { DOWN, FULL, DOWN };

	(void)state;
	for (int p = 0; p < POLICY_COUNT; p++) {
		struct policy_state s = { 0 };

		assert_int_equal(policy_pick(p, &s, none, 0, 4096), -1);
		assert_int_equal(policy_pick(p, &s, none, 3, 4096), -1);
	}
}

/* Every combination of down, full and usable over four paths: what is picked is usable and has
 * room, and something is picked when something can be (but see fail-over). */
static void picks_what_has_room(void **state)
{
	(void)state;
	for (int p = 0; p < POLICY_COUNT; p++)
		for (int mix = 0; mix < 81; mix++) {
			struct policy_path paths[4];
			struct policy_state s = { 0 };
			int rest = mix, first_usable = -1, room = 0;

			memset(paths, 0, sizeof paths);
			for (int i = 0; i < 4; i++, rest /= 3) {
				paths[i].usable = rest % 3 != 0;
				paths[i].full = rest % 3 == 2;
				room += rest % 3 == 1;
				if (paths[i].usable && first_usable < 0)
					first_usable = i;
			}
			for (int turn = 0; turn < 6; turn++) {
				int i = policy_pick(p, &s, paths, 4, 4096);

				if (p == POLICY_FAIL_OVER) {
					/* It does not spill over: a full one is waited for. */
					int want = first_usable;

					if (want >= 0 && paths[want].full)
						want = -1;
					assert_int_equal(i, want);
					continue;
				}
				assert_int_equal(i >= 0, room > 0);
				if (i >= 0)
					assert_true(paths[i].usable && !paths[i].full);
			}
		}
}

/* Round-robin uses ALL paths alike, the last included. */
static void all_paths_take_turns(void **state)
{
	(void)state;
	for (int n = 1; n <= POLICY_PATHS_MAX; n++) {
		struct policy_path paths[POLICY_PATHS_MAX];
		int used[POLICY_PATHS_MAX] = { 0 };
		struct policy_state s = { 0 };

		memset(paths, 0, sizeof paths);
		for (int i = 0; i < n; i++)
			paths[i].usable = true;
		for (int turn = 0; turn < 10 * n; turn++)
			used[policy_pick(POLICY_ROUND_ROBIN, &s, paths, (size_t)n, 4096)]++;
		for (int i = 0; i < n; i++)
			assert_int_equal(used[i], 10);
	}
}

static void round_robin_skips_and_goes_on(void **state)
{
	struct policy_path paths[3] = { UP, UP, UP };
	struct policy_state s = { 0 };

	(void)state;
	assert_int_equal(policy_pick(POLICY_ROUND_ROBIN, &s, paths, 3, 0), 0);
	paths[1].full = true;
	assert_int_equal(policy_pick(POLICY_ROUND_ROBIN, &s, paths, 3, 0), 2);
	paths[1].full = false;
	paths[0].usable = false;
	assert_int_equal(policy_pick(POLICY_ROUND_ROBIN, &s, paths, 3, 0), 1);
	/* A path less than before: the turn is beyond the end. */
	s.turn = 3;
	assert_int_equal(policy_pick(POLICY_ROUND_ROBIN, &s, paths, 2, 0), 1);
	/* After 2^32 picks the turn wraps without leaving the array. */
	s.turn = UINT32_MAX;
	paths[0].usable = true;
	assert_in_range(policy_pick(POLICY_ROUND_ROBIN, &s, paths, 3, 0), 0, 2);
}

static void standbys_join_and_leave(void **state)
{
	struct policy_path paths[4] = { UP, UP, { .usable = true, .standby = true }, { .usable = true, .standby = true } };
	struct policy_state s = { 0 };
	int used[4] = { 0 };

	(void)state;
	for (int i = 0; i < 12; i++)
		used[policy_pick(POLICY_ROUND_ROBIN_SUBSET, &s, paths, 4, 0)]++;
	assert_true(used[0] == 6 && used[1] == 6);
	paths[0].full = true;		/* busy is not failed */
	paths[1].full = true;
	assert_int_equal(policy_pick(POLICY_ROUND_ROBIN_SUBSET, &s, paths, 4, 0), -1);
	paths[0].full = paths[1].full = paths[0].usable = false;
	memset(used, 0, sizeof used);
	for (int i = 0; i < 12; i++)
		used[policy_pick(POLICY_ROUND_ROBIN_SUBSET, &s, paths, 4, 0)]++;
	assert_true(used[1] == 4 && used[2] == 4 && used[3] == 4);
	paths[0].usable = true;
	for (int i = 0; i < 12; i++)
		assert_in_range(policy_pick(POLICY_ROUND_ROBIN_SUBSET, &s, paths, 4, 0), 0, 1);
	paths[0].standby = paths[1].standby = true;	/* nothing but standbys: they serve */
	assert_true(policy_pick(POLICY_ROUND_ROBIN_SUBSET, &s, paths, 4, 0) >= 0);
}

static void least_queue_and_least_blocks(void **state)
{
	struct policy_path paths[3] = {
		{ .usable = true, .in_flight = 3, .bytes = 1000 }, { .usable = true, .in_flight = 9, .bytes = 10 },
		{ .usable = true, .in_flight = 2, .bytes = 5000 },
	};
	struct policy_state s = { 0 };
	int used[3] = { 0 };

	(void)state;
	assert_int_equal(policy_pick(POLICY_LEAST_QUEUE, &s, paths, 3, 0), 2);
	assert_int_equal(policy_pick(POLICY_LEAST_BLOCKS, &s, paths, 3, 0), 1);
	paths[2].full = true;
	paths[1].usable = false;
	assert_int_equal(policy_pick(POLICY_LEAST_QUEUE, &s, paths, 3, 0), 0);
	assert_int_equal(policy_pick(POLICY_LEAST_BLOCKS, &s, paths, 3, 0), 0);
	/* Equal ones take turns. */
	for (int i = 0; i < 3; i++)
		paths[i] = (struct policy_path)UP;
	for (int i = 0; i < 30; i++)
		used[policy_pick(POLICY_LEAST_QUEUE, &s, paths, 3, 0)]++;
	assert_true(used[0] == 10 && used[1] == 10 && used[2] == 10);
}

static void weights_are_kept_and_spread(void **state)
{
	struct policy_path paths[3] = {
		{ .usable = true, .weight = 3 }, { .usable = true }, { .usable = true, .weight = 100, .full = true },
	};
	struct policy_state s = { 0 };
	int used[3] = { 0 }, last = -1, row = 0;

	(void)state;
	for (int i = 0; i < 400; i++) {
		int k = policy_pick(POLICY_WEIGHTED, &s, paths, 3, 0);

		used[k]++;
		row = k == last ? row + 1 : 1;
		last = k;
		assert_true(row <= 3);
	}
	assert_true(used[0] == 300 && used[1] == 100 && used[2] == 0);
	/* What could not take commands has no claim to what it missed. */
	paths[2].full = false;
	paths[2].weight = 4;
	memset(used, 0, sizeof used);
	for (int i = 0; i < 80; i++)
		used[policy_pick(POLICY_WEIGHTED, &s, paths, 3, 0)]++;
	assert_true(used[0] == 30 && used[1] == 10 && used[2] == 40);
}

static void fail_over_returns(void **state)
{
	struct policy_path paths[3] = { UP, UP, UP };
	struct policy_state s = { 0 };

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(policy_pick(POLICY_FAIL_OVER, &s, paths, 3, 0), 0);
	paths[0].usable = false;
	for (int i = 0; i < 5; i++)
		assert_int_equal(policy_pick(POLICY_FAIL_OVER, &s, paths, 3, 0), 1);
	paths[1].usable = false;
	assert_int_equal(policy_pick(POLICY_FAIL_OVER, &s, paths, 3, 0), 2);
	paths[0].usable = true;
	assert_int_equal(policy_pick(POLICY_FAIL_OVER, &s, paths, 3, 0), 0);
}

/*
 * A model of paths with a latency and a rate each: commands of a path are served
 * one behind the other.  Time is simulated; depth commands are always under way.
 */
struct model {
	double latency, rate;
	double free_at;		/* when the pipe has carried all it was given */
};
struct flying {
	double end, began;
	uint64_t ahead;
	int path;
};

static void simulate(struct model *m, int n, int depth, uint64_t bytes, int commands, int *used)
{
	struct policy_path paths[4];
	struct flying flying[64];
	struct policy_state s = { 0 };
	double now = 0;
	int under_way = 0;

	memset(paths, 0, sizeof paths);
	for (int i = 0; i < n; i++) {
		paths[i].usable = true;
		used[i] = 0;
	}
	while (commands > 0) {
		int next = 0;

		while (under_way < depth) {
			int i = policy_pick(POLICY_ADAPTIVE, &s, paths, (size_t)n, bytes);
			double start = m[i].free_at > now ? m[i].free_at : now;

			m[i].free_at = start + (double)bytes / m[i].rate;
			flying[under_way++] = (struct flying){ m[i].free_at + m[i].latency, now,
							       paths[i].bytes, i };
			paths[i].bytes += bytes;
			paths[i].in_flight++;
		}
		for (int i = 1; i < under_way; i++)
			if (flying[i].end < flying[next].end)
				next = i;
		now = flying[next].end;
		paths[flying[next].path].bytes -= bytes;
		paths[flying[next].path].in_flight--;
		policy_learn(&paths[flying[next].path], flying[next].ahead, bytes,
			     now - flying[next].began);
		used[flying[next].path]++;
		flying[next] = flying[--under_way];
		commands--;
	}
}

static void adaptive_splits_by_rate(void **state)
{
	/* The slow one first and last: where it stands must not matter. */
	for (int slow = 0; slow < 2; slow++) {
		struct model m[2] = { { 100e-6, 100e6, 0 }, { 100e-6, 100e6, 0 } };
		int used[2];
		double ratio;

		(void)state;
		m[slow].rate = 25e6;
		simulate(m, 2, 32, 128 * KIB, 4000, used);
		ratio = (double)used[!slow] / used[slow];
		print_message("100:25 MB/s: %d to %d, %.2f to 1\n", used[!slow], used[slow], ratio);
		assert_true(ratio > 3.2 && ratio < 5.0);
	}
}

/* Equal paths share a deep queue alike, and a command that comes alone stays where the last went. */
static void adaptive_on_equal_paths(void **state)
{
	struct model m[4] = { { 100e-6, 100e6, 0 }, { 100e-6, 100e6, 0 }, { 100e-6, 100e6, 0 }, { 100e-6, 100e6, 0 } };
	struct policy_path two[2] = { UP, UP };
	struct policy_state s = { 0 };
	int used[4], first;

	(void)state;
	simulate(m, 4, 64, 64 * KIB, 8000, used);
	print_message("four equal ones: %d, %d, %d, %d\n", used[0], used[1], used[2], used[3]);
	for (int i = 0; i < 4; i++)
		assert_in_range(used[i], 1600, 2400);
	two[0].latency = two[1].latency = 100e-6;
	two[0].rate = two[1].rate = 1e9;
	first = policy_pick(POLICY_ADAPTIVE, &s, two, 2, 4096);
	for (int i = 0; i < 10; i++)
		assert_int_equal(policy_pick(POLICY_ADAPTIVE, &s, two, 2, 4096), first);
	two[first].bytes = 100000;	/* 100 us of work ahead: the other one is clearly faster */
	assert_int_equal(policy_pick(POLICY_ADAPTIVE, &s, two, 2, 4096), !first);
}

static void adaptive_prefers_the_faster_when_idle(void **state)
{
	struct model rate[2] = { { 100e-6, 25e6, 0 }, { 100e-6, 100e6, 0 } };
	struct model latency[2] = { { 100e-6, 100e6, 0 }, { 900e-6, 100e6, 0 } };
	int used[2];

	(void)state;
	simulate(rate, 2, 1, 128 * KIB, 1000, used);
	print_message("depth 1, large, 1:4: %d to %d\n", used[0], used[1]);
	assert_true(used[1] > 950);
	simulate(latency, 2, 1, 4 * KIB, 1000, used);
	print_message("depth 1, small, latency 1:9: %d to %d\n", used[0], used[1]);
	assert_true(used[0] > 950);
}

/* Three paths, one of them much slower: nobody waits long behind it, and it is not left out. */
/* One late answer must not send the next ones over a worse path; a path that has become
 * slower must be left; and what is known of an idle one follows its pings quickly. */
static void adaptive_is_not_fooled_by_outliers(void **state)
{
	struct policy_path paths[2] = { UP, UP };
	struct policy_state s = { 0 };
	int slow = 0, ping = 0;

	(void)state;
	for (int i = 0; i < 50; i++) {
		policy_learn(&paths[0], 0, 8 * KIB, 173e-6);
		policy_learn(&paths[1], 0, 8 * KIB, 643e-6);
	}
	for (int i = 0; i < 100; i++) {
		policy_learn(&paths[0], 0, 8 * KIB, i % 20 ? 173e-6 : 5e-3);
		assert_int_equal(policy_pick(POLICY_ADAPTIVE, &s, paths, 2, 8 * KIB), 0);
	}
	while (policy_pick(POLICY_ADAPTIVE, &s, paths, 2, 8 * KIB) == 0 && slow++ < 100)
		policy_learn(&paths[0], 0, 8 * KIB, 5e-3);
	assert_in_range(slow, 5, 30);
	/* Nothing but pings tells that it is fast again. */
	while (policy_pick(POLICY_ADAPTIVE, &s, paths, 2, 8 * KIB) == 1 && ping++ < 100)
		policy_learn(&paths[0], 0, 0, 173e-6);
	assert_in_range(ping, 1, 5);
}

static void adaptive_with_three(void **state)
{
	struct model m[3] = { { 100e-6, 100e6, 0 }, { 100e-6, 10e6, 0 }, { 100e-6, 100e6, 0 } };
	int used[3];

	(void)state;
	simulate(m, 3, 48, 128 * KIB, 6000, used);
	print_message("100:10:100 MB/s: %d, %d, %d\n", used[0], used[1], used[2]);
	assert_true(used[1] > 100 && used[1] < 600);
	assert_true(used[0] > 2200 && used[2] > 2200);
}

static void learns_sanely(void **state)
{
	struct policy_path p = UP;

	(void)state;
	assert_true(policy_expect(&p, 4096) < 1e-5);	/* unknown: worth a try */
	policy_learn(&p, 0, 4096, 0);			/* a clock that stood still says nothing */
	policy_learn(&p, 0, 4096, -1);
	assert_true(p.latency == 0 && p.rate == 0);
	policy_learn(&p, 0, 4096, 200e-6);
	assert_true(p.latency > 199e-6 && p.latency < 201e-6 && p.rate == 0);
	policy_learn(&p, 1 << 20, 1 << 20, 0.02);
	assert_true(p.rate > 1.04e8 && p.rate < 1.06e8);
	/* What is under way counts. */
	p.bytes = 0;
	assert_true(policy_expect(&p, 4096) < 300e-6);
	p.bytes = 8 << 20;
	assert_true(policy_expect(&p, 4096) > 0.07);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(nothing_to_pick_from),
		cmocka_unit_test(picks_what_has_room),
		cmocka_unit_test(all_paths_take_turns),
		cmocka_unit_test(round_robin_skips_and_goes_on),
		cmocka_unit_test(standbys_join_and_leave),
		cmocka_unit_test(least_queue_and_least_blocks),
		cmocka_unit_test(weights_are_kept_and_spread),
		cmocka_unit_test(fail_over_returns),
		cmocka_unit_test(adaptive_splits_by_rate),
		cmocka_unit_test(adaptive_on_equal_paths),
		cmocka_unit_test(adaptive_prefers_the_faster_when_idle),
		cmocka_unit_test(adaptive_is_not_fooled_by_outliers),
		cmocka_unit_test(adaptive_with_three),
		cmocka_unit_test(learns_sanely),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
