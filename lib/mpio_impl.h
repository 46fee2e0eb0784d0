/*
 * mpio_impl.h - what mpio.c and mpio_legs.c share, with each other and with the namespace
 * that owns the volumes.
 */
#ifndef RSIO_MPIO_IMPL_H
#define RSIO_MPIO_IMPL_H

#include "mpio.h"
#include "session.h"

#define MPIO_LEGS_MAX 8		/* servers that offer one volume; bits of command.legs */

enum mpio_open { MPIO_CLOSED, MPIO_OPENING, MPIO_OPEN };

/* A volume as one server offers it. */
struct mpio_leg {
	struct session *session;
	bool offered;
	bool listed;			/* seen in the list that is being read */
	bool busy;			/* the server was not ready to open it; asked again soon */
	bool asking;			/* a TAKEOVER is under way here */
	bool read_only;			/* how it was opened */
	enum mpio_open open;
	uint32_t handle;		/* while OPENING or OPEN */
	uint64_t size;			/* bytes, as this server says; likewise: */
	uint32_t block_size;
	uint8_t flags;
	uint64_t written, flushed;	/* changes acknowledged; how many of them a flush covers */
	uint64_t commands;		/* that were given to it */
};

struct mpio {
	struct list link;		/* of the namespace: offered, in no order; or its attic */
	struct mpio *hash_next;
	struct loop *loop;
	struct list *finished;		/* the namespace's queue of commands to give back */
	const char *namespace;
	struct wire_volume info;	/* what all legs can do: the least size, the largest block */
	struct mpio_leg *legs;		/* [leg_count]; the first one met is the first; a number is never reused */
	unsigned leg_count;		/* at least 1 */
	struct policy_state turns;	/* of the policy, over the legs */
	struct loop_timer timer;	/* asks again who was busy */
	char waits_for[160];		/* why a server that is away has not been replaced yet; "" */
	enum conf_on_loss on_loss;
	double give_up;			/* seconds */

	bool offered;			/* in the tree: by a leg at least */
	bool stale;			/* other content under this name */
	bool lost;			/* give-up has passed, or an administrator said so */
	bool reserved_alone;		/* each open says so */
	bool no_writes;			/* on-loss = read-only took effect; until nobody has it open */
	bool cache_lost;		/* the server lost what was written and not flushed */
	struct policy_choice *choice;	/* its own policy; NULL: the session's */
	unsigned users;
	uint32_t whole;			/* bytes: the largest block of any server that shares it, or ever did; 0: none */
	struct session *refused;	/* offers another volume under this name, or the same one not as shared */

	struct list all;		/* every command from submit to done */
	struct list pending;		/* wait for a leg */
	struct list held;		/* wait for the ordering list */
	struct list ordered;		/* the ordering list */
	struct mpio_counts counts;
	struct histogram *latency[2];	/* of reads and of writes, from submit to done; NULL: there were none */
	struct loop_timer look;		/* at what was counted, while something is */
	struct mpio_counts looked;	/* what it was then, */
	uint64_t looked_at;		/* by loop_now(), */
	struct mpio_rates rates;	/* and how fast it grew before */
	uint64_t longest, longest_from;	/* ns; only what was submitted since then counts from then */
	void *tag;
};

struct mpio *mpio_new(struct loop *l, struct list *finished, const char *namespace, struct session *s,
		      const struct wire_volume *info, enum conf_on_loss on_loss, double give_up);
bool mpio_idle(const struct mpio *v);	/* no user, no command */
bool mpio_unused(const struct mpio *v);	/* idle, and no answer of a server is awaited */
void mpio_free(struct mpio *v);		/* unused, or its sessions go too */

/* Legs.  One that is added or seen again takes on what info says.  0, -ENOSPC or -ENOMEM. */
struct mpio_leg *mpio_leg_of(const struct mpio *v, const struct session *s);	/* or NULL */
int mpio_leg_offered(struct mpio *v, struct session *s, const struct wire_volume *info);
/* This server offers it no longer; another one does. */
void mpio_leg_withdrawn(struct mpio *v, struct mpio_leg *g);
bool mpio_reachable(const struct mpio *v);	/* over some leg */
bool mpio_another_reachable(const struct mpio *v, const struct mpio_leg *g);
/* Since when, by loop_now(), commands wait for a server that is away; 0: they do not. */
uint64_t mpio_waits_since(const struct mpio *v);
struct session *mpio_session(const struct mpio *v);	/* the first that offers it now; else the first */

/* From a session, through the namespace. */
void mpio_opened(struct mpio *v, struct mpio_leg *g, int error);
void mpio_forgotten(struct mpio *v, struct mpio_leg *g);
/* No path was there for a while, and no event came: the server may have withdrawn the
 * volume and offered it again, and what the handle stood for is gone.  Opened anew with
 * the same handle; the server compares UUID and generation, and does nothing when the handle
 * is good. */
void mpio_reopen(struct mpio *v, struct mpio_leg *g);
void mpio_unreachable(struct mpio *v, struct mpio_leg *g);	/* no path is left */
void mpio_cache_lost(struct mpio *v, struct mpio_leg *g);	/* before mpio_forgotten */
void mpio_took_over(struct mpio *v, struct mpio_leg *g, const struct session *from, int error, const char *text);
void mpio_fenced(struct mpio *v, struct command *c);
void mpio_completed(struct mpio *v, struct command *c, int error, const uint8_t *payload, uint32_t length);
/* give-up has passed since the last path of a leg was lost. */
void mpio_lose(struct mpio *v);
/* A path is there again, or another server took over. */
void mpio_found(struct mpio *v);
/* The content was replaced (stale) or is no longer offered: waits end with an error. */
void mpio_withdrawn(struct mpio *v, bool stale);
/* Gives back what is finished. */
void mpio_give_back(struct list *finished);

/* mpio_numbers.c: c is done, for whoever waited. */
void mpio_count(struct mpio *v, const struct command *c, int error);
void mpio_look(struct loop_timer *t);

/* Between mpio.c and mpio_legs.c. */
bool mpio_changes_data(const struct command *c);
void mpio_dispatch(struct mpio *v, struct command *c);	/* to a leg, or where it has to wait */
void mpio_release_held(struct mpio *v);	/* what nothing stands in the way of any more */
void mpio_finish(struct mpio *v, struct command *c, int error);
void mpio_end_all(struct mpio *v, int error, int write_error);
int mpio_pick_leg(struct mpio *v, const struct command *c);	/* -1: none can take it now */
/* A COPY's payload for this leg; false: the source is not open there. */
bool mpio_aim_copy(struct mpio *v, struct command *c, unsigned leg);
uint8_t mpio_usable_legs(const struct mpio *v);	/* bits */
bool mpio_has_records(const struct mpio *v, const struct mpio_leg *g);	/* writes that were out when it was lost */
void mpio_want_open(struct mpio *v);	/* on all legs */
void mpio_close_unused(struct mpio *v);
void mpio_close_legs(struct mpio *v);
void mpio_timer(struct loop_timer *t);

#endif
