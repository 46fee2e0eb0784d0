/*
 * request.h - one FUSE request in hand: what io.c and range.c share.
 * Owner of everything here: the loop's thread.
 */
#ifndef FUSEFS_REQUEST_H
#define FUSEFS_REQUEST_H

#include "io.h"

/* Commands of one long discard that are under way at once. */
#define REQUEST_PIECES 4

struct request {
	struct command command;
	struct list link;		/* on io->free, io->waiting or io->asked, else alone */
	struct io *io;
	fuse_req_t req;			/* NULL: a piece, or its waiter was answered before done() */
	struct mpio *volume;
	struct node *node;		/* while req is set: the file stays open until it is answered */
	struct buf *buf;		/* WRITE: where the data lies */
	bool asked;			/* on io->asked */
	bool registering;		/* FUSE may call back before it is known to be asked about */

	/* A long range in pieces (range.c). */
	struct request *parent;		/* a piece's */
	uint64_t next, end;		/* of the whole: what was not submitted yet */
	unsigned pieces;		/* of the whole: under way */
	struct request *piece[REQUEST_PIECES];
	int error;			/* of the whole: the first one */
	/* Copying (copy.c): from there. */
	struct mpio *source;
	uint64_t from;
	uint32_t length;
	/* Looking for data or a hole (range.c). */
	int whence;
};

/* NULL: no memory.  A request for an open volume; req is NULL for a piece. */
struct request *request_new(struct io *io, fuse_req_t req, struct mpio *volume, struct node *node);
void request_free(struct request *r);
/* Lets FUSE tell when the waiter is interrupted: after mpio_submit. */
void request_watch(struct request *r, const struct handle *h);
/* Looks whether the waiter dies, and if so answers and lets it go. */
void request_check(struct request *r);
/* range.c: lets go of the whole and its pieces; the caller answers. */
void request_abandon_range(struct request *r);

/* The command's give_up. */
void request_give_up(struct command *c, int error);
/* In done(): true when its waiter was answered before; it is freed then. */
bool request_ended(struct request *r);
/* Answers with 0 or -errno. */
void request_error(struct request *r, int error);
/* Its waiter has gone: frees it, or, when it is under way, has done() free it. */
void request_let_go(struct request *r);

#endif
