/*
 * fence.h - what a connection has done to volumes, and the proof that it can do
 * no more.  The argument stands on top of fence.c.
 */
#ifndef RSSRV_FENCE_H
#define RSSRV_FENCE_H

#include <stdbool.h>
#include <stdint.h>
#include "engine.h"
#include "wire.h"

struct client;
struct conn;

/* For each slot the newest command that was carried out and changed something. */
#define DONE_PAGE 64
struct done_page {
	uint64_t cookies[DONE_PAGE];
	uint16_t statuses[DONE_PAGE];	/* DONE_NONE: none yet */
};
#define DONE_NONE 0xffff
struct done_table {
	struct done_page *pages[WIRE_IN_FLIGHT_MAX / DONE_PAGE];
};

/* Before a command starts: afterwards nothing may fail.  0 or -ENOMEM. */
int done_reserve(struct done_table *t, uint64_t cookie);
void done_note(struct done_table *t, uint64_t cookie, enum wire_status status);
bool done_find(const struct done_table *t, uint64_t cookie, uint16_t *status);
bool done_empty(const struct done_table *t);
void done_fini(struct done_table *t);

/* The tables of a session's finished connections, oldest number first. */
#define DEAD_MAX 256
struct dead {
	struct dead *next;
	uint32_t number;
	bool answered;		/* the client has shown that it got its fence's answer */
	struct done_table done;
};
struct dead_list {
	struct dead *first;
	unsigned count;
	uint32_t forgotten;	/* the highest number whose table was dropped; 0: none */
};
/* Takes the table over (it is empty afterwards).  Never fails: without memory
 * the number counts as forgotten. */
void dead_add(struct dead_list *l, uint32_t number, struct done_table *done);
void dead_answered(struct dead_list *l, uint32_t number);
/* Fills in which of the asked cookies were done.  WIRE_E_INVALID: not known any more. */
enum wire_status dead_answer(const struct dead_list *l, struct wire_fence *f);
void dead_fini(struct dead_list *l);

/* A FENCE under way: visits the loop of the connection that it names, and comes back. */
struct fence {
	struct message message;
	struct fence *next;		/* in the fenced connection's list */
	struct conn *asker;		/* lives until the fence is back */
	struct engine *asker_loop;
	struct client *client;		/* a reference */
	uint64_t cookie;
	enum wire_status status;
	struct wire_fence body;
};

/* Carries out FENCE for connection c; the reply is sent when it is proven.
 * WIRE_OK, or the status to answer with at once. */
enum wire_status fence_start(struct conn *c, uint64_t cookie, const struct wire_fence *body);
/* A command came in a slot: answers of FENCEs in that slot have arrived. */
void fence_answer_arrived(struct conn *c, uint32_t slot);
/* Connection c is finished: answers those who wait for that. */
void fence_finished(struct conn *c);

#endif
