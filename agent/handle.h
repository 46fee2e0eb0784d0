/*
 * handle.h - the volumes that a client has open: a table that is read without a lock.
 *
 * A client's connections live on different loops, so a CLOSE on one may meet a
 * READ on another.  The reader takes the pointer from the table and uses it
 * within one round of its loop, or takes a reference.  CLOSE takes the pointer
 * out, and the table's own reference goes only when every loop has begun another
 * round since (engine_retire): by then nobody can still be holding the bare pointer.
 */
#ifndef RSSRV_HANDLE_H
#define RSSRV_HANDLE_H

#include "engine.h"
#include "numbers.h"
#include "volume.h"

struct traffic_seen {
	double reads, read_bytes, writes, write_bytes;
};

struct handle {
	struct retire retire;
	atomic_uint refs;
	struct volume *volume;		/* a reference */
	bool read_only;			/* opened so */
	atomic_bool reads_only;		/* this client may not write to the volume */
	atomic_bool revoked;		/* this client may not see the volume any more */
	atomic_bool closed;		/* what it has under way and would change something is not begun any more */
	_Atomic uint8_t reserved;	/* RESERVE_NO_*: what another one's reservation forbids */
	char node[WIRE_NAME_MAX + 1];	/* the client's name */

	/* With volume->numbers.lock. */
	struct handle *next_of_volume;
	uint64_t looked_at;		/* clock_now(); 0: never */
	struct traffic_seen looked, of_late;	/* what there was then; what was done in a second before */

	unsigned loops;
	_Atomic(struct numbers_part *) numbers[];	/* [loops]; each made by its loop */
};

#define HANDLE_PAGE 256
struct handle_page {
	_Atomic(struct handle *) at[HANDLE_PAGE];
};

struct handle_table {
	_Atomic(struct handle_page *) pages[(WIRE_HANDLE_MAX + 1) / HANDLE_PAGE];
	unsigned count;			/* under clients.lock */
};

/* On a loop; valid to the end of its round.  NULL: not open. */
static inline struct handle *handle_find(struct handle_table *t, uint32_t id)
{
	struct handle_page *p;

	p = atomic_load_explicit(&t->pages[id / HANDLE_PAGE], memory_order_acquire);
	return p ? atomic_load_explicit(&p->at[id % HANDLE_PAGE], memory_order_acquire) : NULL;
}

struct handle *handle_get(struct handle *h);
void handle_put(struct handle *h);

/* Under clients.lock.  Opening what is open is fine if it is the same volume
 * (an OPEN that is sent again after a path was lost) or if that volume is gone;
 * else -EBUSY; -ENOMEM. */
int handle_open(struct server *s, struct handle_table *t, uint32_t id, struct volume *v, const char *node,
		bool read_only);
int handle_close(struct server *s, struct handle_table *t, uint32_t id);	/* -EBADF: not open */
bool handle_opened(struct handle_table *t, const struct volume *v);	/* is it open, under any handle? */
void handle_each(struct handle_table *t, void (*fn)(void *arg, struct handle *h), void *arg);
void handle_revoke(struct handle_table *t, const struct volume *v);
void handle_limit(struct handle_table *t, const struct volume *v, bool reads_only);
void handle_bar(struct handle_table *t, const struct volume *v, uint8_t reserved);
/* Nobody can look at the table any more. */
void handle_table_fini(struct handle_table *t);

#endif
