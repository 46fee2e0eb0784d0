/*
 * mpio.h - a volume as its user sees it: one device, whatever sessions and paths
 * lead there.  Owner of everything here: the loop's thread.
 *
 * A command has one owner at a time.  mpio_submit takes it, even when it fails;
 * done() gives it back exactly once, never from within mpio_submit.
 */
#ifndef RSIO_MPIO_H
#define RSIO_MPIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "conf.h"
#include "histogram.h"
#include "list.h"
#include "policy.h"
#include "wire.h"

struct mpio;		/* a volume */
struct path;

struct command {
	/* Set by the submitter. */
	uint8_t type;			/* enum wire_type: READ, WRITE, FLUSH, DISCARD, WRITE_ZEROES, STATUS, COPY */
	uint8_t flags;			/* WIRE_FLAG_FUA */
	uint64_t offset;		/* bytes; any alignment */
	uint32_t count;			/* bytes; within the volume and the type's limit */
	const uint8_t *data;		/* WRITE: count bytes, unchanged until done() */
	struct mpio *source;		/* COPY: of this volume, kept by the submitter until done() or give_up(), */
	uint64_t source_offset;		/* within which the range is that is copied */
	/* error 0 or -errno.  READ: payload has count bytes, STATUS: length bytes of extents;
	 * valid during the call only. */
	void (*done)(struct command *c, int error, const uint8_t *payload, uint32_t length);
	/* Tell the waiter now: the command itself is still on its way and cannot be called back
	 * (give-up passed, mpio_fail).  Called at most once, before done(), which then only
	 * returns the command and its memory. */
	void (*give_up)(struct command *c, int error);

	/* Owned by mpio, session and path from submit to done. */
	struct mpio *volume;		/* NULL: a command of the session's own */
	struct list link;		/* on one queue at most: held, pending, waiting, finished, a fence's */
	struct list all;		/* on the volume's list of everything submitted */
	struct list order;		/* on the volume's ordering list, else empty */
	uint8_t state;			/* enum command_state */
	bool abandoned;			/* its waiter was told; done() only returns it */
	uint8_t resent;			/* times, saturated */
	int error;			/* while on the finished queue */
	uint32_t handle;		/* of the volume on its session */
	uint32_t length;		/* of data, where it is not a WRITE: the session's own commands */
	uint32_t queue_ahead;		/* bytes in flight on the path when it was sent, for the policy */
	uint64_t submitted;		/* loop_now() */
	uint8_t leg;			/* the volume's, from WAITING to FENCED: which server it is for */
	uint8_t legs;			/* FLUSH: those it has yet to go to, by bits */
	uint64_t covers;		/* FLUSH: the leg's changes that were acknowledged before it was sent there */
	uint64_t sent;			/* loop_now() */
	uint64_t cookie;		/* while in flight */
	struct path *path;		/* while in flight */
	uint8_t copy[WIRE_COPY_SIZE];	/* COPY: its payload */
	uint8_t *placed;		/* READ: where a torn payload is being received */
};

enum command_state {
	COMMAND_HELD,		/* overlaps a command on the ordering list */
	COMMAND_PENDING,	/* the volume is open on no server that can be reached */
	COMMAND_WAITING,	/* for a path, or for room in one */
	COMMAND_SENT,		/* in flight: a slot of its path */
	COMMAND_FENCED,		/* was in flight on a path that failed: the fence decides */
	COMMAND_FINISHED,	/* done() comes before the loop sleeps */
};

void mpio_submit(struct mpio *v, struct command *c);

/* The waiter of c has gone.  True: c was not on its way yet and is the caller's again,
 * done() will not come.  False: it stays in flight; done() comes, and a write's data
 * must stay until then.  A later command that overlaps it waits for it. */
bool mpio_interrupt(struct command *c);

/* What the tree, status and attach show. */
const struct wire_volume *mpio_info(const struct mpio *v);
const char *mpio_namespace(const struct mpio *v);
const char *mpio_server(const struct mpio *v);	/* the name of one that offers it */
bool mpio_is_snapshot(const struct mpio *v);	/* its name is VOLUME@SNAP, and nobody writes to it */
enum mpio_state {
	MPIO_READY,		/* at least one path is up */
	MPIO_WAITING,		/* no path; I/O waits */
	MPIO_LOST,		/* give-up has passed (or an administrator said so) */
	MPIO_STALE,		/* the server offers another content under this name: EIO for ever */
	MPIO_GONE,		/* the server no longer offers it */
	MPIO_CACHE_LOST,	/* its host was restarted and lost writes: EIO until nobody has it open */
};
enum mpio_state mpio_state(const struct mpio *v);
const char *mpio_state_name(enum mpio_state s);
/* Seconds until give-up; < 0: not counting (ready, lost or queue). */
double mpio_give_up_in(const struct mpio *v);
bool mpio_writable(const struct mpio *v);
/* The -errno with which mpio_submit would end the command at once, or 0. */
int mpio_refusal(const struct mpio *v, const struct command *c);

/* Can a COPY from source to v be done by a server?  0: yes; -EAGAIN: when source is open there, as it
 * is after a read; -EXDEV: no.  It may end with -EXDEV all the same, and nothing done. */
int mpio_can_copy(const struct mpio *v, const struct mpio *source);

struct mpio_counts {
	uint64_t reads, writes, flushes, others;	/* completed */
	uint64_t read_bytes, write_bytes;
	uint64_t errors, resent;
	uint32_t in_flight;				/* from submit to done */
	uint64_t bytes_in_flight;
};
const struct mpio_counts *mpio_counts(const struct mpio *v);
struct mpio_rates {			/* a second, in the last whole second in which it was used; 0: it is not */
	double reads, writes;
	double read_bytes, write_bytes;
};
const struct mpio_rates *mpio_rates(const struct mpio *v);
/* How long reads or writes took, from submit to done, since the volume is known.  NULL: there
 * were none. */
const struct histogram *mpio_latency(const struct mpio *v, bool write);

/* The longest time, in seconds, that a command took or has been waiting for by now, since
 * it was last reset; 0: there was none. */
double mpio_longest(const struct mpio *v);
double mpio_oldest(const struct mpio *v);	/* so long waits what is under way now; 0: nothing */
void mpio_reset_longest(struct mpio *v);

/* Asks the server of this volume, as session_control in session.h. */
int mpio_ask_server(struct mpio *v, const char *json,
		    void (*answered)(void *arg, int error, const char *text, size_t length), void *arg);

unsigned mpio_servers(const struct mpio *v);	/* that offer it now */

/* This client has reserved it to be alone with it: each open from now on says so. */
void mpio_set_alone(struct mpio *v, bool alone);
bool mpio_alone(const struct mpio *v);

/* Users keep a volume with get/put: while the count is above zero it is open on
 * the server, and the object lives.  After the last put it may be gone. */
struct mpio *mpio_get(struct mpio *v);
void mpio_put(struct mpio *v);

/* Ends every wait with -EIO now, and, while there is no path, that of new commands too. */
void mpio_fail(struct mpio *v);

/* How its commands pick their paths, if it has a policy of its own; else NULL. */
struct policy_choice *mpio_policy(struct mpio *v);
/* A copy of choice becomes its own; NULL: as its session again.  0 or -ENOMEM. */
int mpio_set_policy(struct mpio *v, const struct policy_choice *choice);

/* For the user's own use: the inode of the tree. */
void mpio_set_tag(struct mpio *v, void *tag);
void *mpio_tag(const struct mpio *v);

#endif
