/*
 * inflight.h - the commands that one connection waits for: cookie to command.
 *
 * A cookie is a slot (its low WIRE_SLOT_BITS bits) and a sequence number above,
 * so that an answer finds its command by an index, and a stale or invented
 * cookie finds nothing.  Slots are handed out last freed first: a connection
 * with little to do stays in few cache lines, and the table grows only with the
 * depth that was really used.
 */
#ifndef RSIO_INFLIGHT_H
#define RSIO_INFLIGHT_H

#include <stddef.h>
#include <stdint.h>

struct command;

struct inflight {
	struct inflight_slot {
		struct command *command;	/* NULL: free */
		uint64_t cookie;
		uint32_t next_free;
	} *slots;
	uint32_t size;		/* slots that exist */
	uint32_t limit;		/* how many there may be */
	uint32_t used;
	uint32_t free;		/* first free slot, or size when none */
	uint64_t sequence;
};

/* limit is at most WIRE_IN_FLIGHT_MAX. */
void inflight_init(struct inflight *f, uint32_t limit);
void inflight_fini(struct inflight *f);
/* 0 and *cookie, or -EBUSY (limit), -ENOMEM. */
int inflight_add(struct inflight *f, struct command *c, uint64_t *cookie);
/* The command, taken out; NULL when that cookie is not in flight. */
struct command *inflight_take(struct inflight *f, uint64_t cookie);
struct command *inflight_find(const struct inflight *f, uint64_t cookie);
/* The oldest that is left, taken out; NULL: empty. */
struct command *inflight_take_any(struct inflight *f);

#endif
