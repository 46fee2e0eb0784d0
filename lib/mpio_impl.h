/*
 * mpio_impl.h - what mpio.c shares with the namespace that owns the volumes.
 */
#ifndef RSIO_MPIO_IMPL_H
#define RSIO_MPIO_IMPL_H

#include "mpio.h"
#include "session.h"

enum mpio_open { MPIO_CLOSED, MPIO_OPENING, MPIO_OPEN };

struct mpio {
	struct list link;		/* of the namespace: offered, in no order; or its attic */
	struct mpio *hash_next;
	struct loop *loop;
	struct list *finished;		/* the namespace's queue of commands to give back */
	const char *namespace;
	struct wire_volume info;
	struct session *session;
	enum conf_on_loss on_loss;
	double give_up;			/* seconds */

	bool offered;			/* in the tree */
	bool listed;			/* seen in the list that is being read */
	bool stale;			/* other content under this name */
	bool lost;			/* give-up has passed, or an administrator said so */
	bool no_writes;			/* on-loss = read-only took effect; until nobody has it open */
	bool cache_lost;		/* the server lost what was written and not flushed */
	struct policy_choice *choice;	/* its own policy; NULL: the session's */
	uint64_t written, flushed;	/* changes acknowledged; how many of them a flush covers */
	enum mpio_open open;
	uint32_t handle;		/* while OPENING or OPEN */
	bool read_only;			/* how it was opened */
	unsigned users;
	int offered_twice;		/* 1 + id of the server whose second offer was logged */

	struct list all;		/* every command from submit to done */
	struct list pending;		/* wait for the open */
	struct list held;		/* wait for the ordering list */
	struct list ordered;		/* the ordering list */
	struct mpio_counts counts;
	uint64_t longest, longest_from;	/* ns; only what was submitted since then counts from then */
	void *tag;
};

struct mpio *mpio_new(struct loop *l, struct list *finished, const char *namespace, struct session *s,
		      const struct wire_volume *info, enum conf_on_loss on_loss, double give_up);
bool mpio_idle(const struct mpio *v);	/* no user, no command */
void mpio_free(struct mpio *v);		/* idle */

/* From the session, through the namespace. */
void mpio_opened(struct mpio *v, int error);
void mpio_forgotten(struct mpio *v);
/* No path was there for a while, and no event came: the server may have withdrawn the
 * volume and offered it again, and what the handle stood for is gone.  Opened anew with
 * the same handle; the server compares UUID and generation, and does nothing when the handle
 * is good. */
void mpio_reopen(struct mpio *v);
void mpio_cache_lost(struct mpio *v);	/* before mpio_forgotten */
void mpio_fenced(struct mpio *v, struct command *c);
void mpio_completed(struct mpio *v, struct command *c, int error, const uint8_t *payload, uint32_t length);
/* give-up has passed. */
void mpio_lose(struct mpio *v);
/* A path is there again. */
void mpio_found(struct mpio *v);
/* The content was replaced (stale) or is no longer offered: waits end with an error. */
void mpio_withdrawn(struct mpio *v, bool stale);
/* Gives back what is finished. */
void mpio_give_back(struct list *finished);

#endif
