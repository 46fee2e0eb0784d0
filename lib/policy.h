/*
 * policy.h - which path takes the next command.  Pure functions of plain
 * numbers: no clock, no sockets, no allocation; a unit test per policy.
 */
#ifndef RSIO_POLICY_H
#define RSIO_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_PATHS_MAX 64
#define POLICY_INTERFACES_MAX 8

enum policy {
	POLICY_ADAPTIVE,	/* where it is expected to complete first */
	POLICY_ROUND_ROBIN,	/* each in turn */
	POLICY_ROUND_ROBIN_SUBSET,	/* each but the standbys, which join while another has failed */
	POLICY_FAIL_OVER,	/* the first that works, and back to it when it is back */
	POLICY_LEAST_QUEUE,	/* where the fewest commands are under way */
	POLICY_WEIGHTED,	/* each in proportion to its weight */
	POLICY_LEAST_BLOCKS,	/* where the fewest bytes are under way */
	POLICY_COUNT
};

const char *policy_name(enum policy p);
int policy_parse(const char *name);	/* enum policy, or -EINVAL */
/* The names, NULL at the end, in the order of the enum. */
extern const char *const policy_names[];

/* One path, as the policy sees it. */
struct policy_path {
	bool usable;		/* up */
	bool full;		/* has no room for one more command now */
	bool standby;		/* for round-robin-subset */
	int weight;		/* for weighted; 0 counts as 1 */
	uint32_t in_flight;	/* commands */
	uint64_t bytes;		/* in flight, both directions */
	double latency;		/* seconds that an empty path takes for a small command; 0: not known */
	double rate;		/* bytes a second that it was seen to carry; 0: not known */
};

/* What a policy remembers from pick to pick; starts zeroed. */
struct policy_state {
	uint32_t turn;		/* round-robin: the next one to try; else the last pick */
	int32_t credit[POLICY_PATHS_MAX];	/* weighted: what each is behind its share, in weights */
};

/* A policy with all it needs: of a session, or of a volume that has one of its own. */
struct policy_choice {
	enum policy policy;
	struct policy_state state;
	struct {
		int weight;
		bool standby;
	} interface[POLICY_INTERFACES_MAX];	/* of the client, by number */
};

/* The index of the path for a command that moves `bytes`, or -1 when it has to
 * wait: none is usable, or the one it belongs on is full.  count is at most POLICY_PATHS_MAX. */
int policy_pick(enum policy p, struct policy_state *s, const struct policy_path *paths,
		size_t count, uint64_t bytes);

/* Seconds until a command of `bytes` given to this path now is expected to be
 * complete: what adaptive compares. */
double policy_expect(const struct policy_path *p, uint64_t bytes);

/* Learns from one completed command: ahead bytes were in flight on the path when
 * it was sent, it moved `bytes` and took `seconds`. */
void policy_learn(struct policy_path *p, uint64_t ahead, uint64_t bytes, double seconds);

#endif
