/*
 * io.h - data requests: from FUSE to a command on a volume, and back.
 *
 * A READ is answered straight from the memory that the reply was received into.
 * A WRITE's data lies in the buffer that /dev/fuse was read into: up to 64 KiB
 * are copied into a buffer of their own, what is longer keeps the whole receive
 * buffer, and the next request is read into another.  So data is copied once at
 * most, and memory is bounded.  The buffer to receive into is always there: while
 * no room is left, everything but a write is still taken and answered.  A write
 * that finds no room is held where it was received, and nothing is read from
 * /dev/fuse until it has its place.
 *
 * WAITING AND SIGNALS.  To an application a volume is a disk: a signal that does
 * not kill (a profiler's timer, SIGCHLD, SIGWINCH) must not break a read or
 * write.  FUSE says INTERRUPT for any signal, and says it once.  So the answer
 * depends on what the waiting thread has pending (interrupt.h): something that
 * ends it is answered with EINTR at once; else the request goes on, and is asked
 * about again every 100 ms, since the signal that kills may come later.
 * While a write is held no INTERRUPT is read: all who wait are looked at in the same
 * rhythm, but for the kernel's own threads (a loop device's).  Whose request was not
 * read yet needs none of this: the kernel lets it go.
 *
 * Owner of everything here: the loop's thread.
 */
#ifndef FUSEFS_IO_H
#define FUSEFS_IO_H

#include <stdbool.h>
#include <sys/types.h>
#include "buf.h"
#include "list.h"
#include "loop.h"
#include "mpio.h"
#include "names.h"
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

/* An open file: a volume, or a text as it was when it was opened. */
struct handle {
	struct list link;		/* VOLUME: on the client's list of open ones */
	struct node *node;
	struct namespace *ns;		/* VOLUME: that it was opened in */
	struct mpio *volume;		/* held; NULL: a text, or it was taken away from this file (EIO) */
	pid_t opener;
	bool device;			/* a loop device's file */
	bool writes;			/* opened for writing */
	bool planned;			/* the volume is yet to be made: it is held from then on */
	struct text *text;		/* TEXT: what it says; NULL: that is being made (opening.h) */
};

struct io_counts {
	uint64_t interrupted;		/* requests that were answered with EINTR */
	uint64_t paused;		/* times that a write found no room */
	uint32_t requests;		/* in hand now */
	uint32_t requests_made;		/* memory for so many */
};

/* A write that found no room, as io_write was called. */
struct io_held {
	fuse_req_t req;			/* NULL: there is none */
	struct handle *h;
	const char *data;		/* within io->receive */
	size_t size;
	off_t offset;
	int flags;
};

struct io {
	struct loop *loop;
	struct buf_pool *pool;
	struct buf *receive;		/* what /dev/fuse is read into */
	struct io_held held;
	bool fixed;
	void (*resume)(struct io *io);	/* nothing is held any more */

	struct list free;		/* struct request */
	struct list waiting;		/* in hand, for a thread that a signal may end */
	struct list asked;		/* interrupted, but by nothing that kills */
	struct loop_timer ask;
	struct list slabs;
	struct io_counts counts;
};

/* limit: bytes of write data in all.  0 or -ENOMEM. */
int io_init(struct io *io, struct loop *l, size_t limit);
/* Takes now what writing needs, and no more later: see guard_reclaims. */
void io_fix(struct io *io);
void io_fini(struct io *io);		/* no request may be in hand */
/* A request may be received; false: pause, resume() comes. */
bool io_ready(struct io *io);
/* Whatever waits for this volume without being its yet ends with EIO: mpio_fail's part here. */
void io_fail(struct io *io, const struct mpio *volume);

void io_read(struct io *io, fuse_req_t req, struct handle *h, size_t size, off_t offset);
/* data lies within io->receive. */
void io_write(struct io *io, fuse_req_t req, struct handle *h, const char *data, size_t size,
	      off_t offset, int flags);
void io_fsync(struct io *io, fuse_req_t req, struct handle *h);
void io_fallocate(struct io *io, fuse_req_t req, struct handle *h, int mode, off_t offset, off_t length);
/* Within one server, and at most WIRE_COPY_MAX at once; else EXDEV, and the kernel does it. */
void io_copy(struct io *io, fuse_req_t req, struct handle *from, off_t from_offset, struct handle *to, off_t offset,
	     size_t length, int flags);
void io_lseek(struct io *io, fuse_req_t req, struct handle *h, off_t offset, int whence);

#endif
