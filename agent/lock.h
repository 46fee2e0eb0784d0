/*
 * lock.h - the locks that this process holds for as long as it lives.
 *
 * They are open-file-description locks: the kernel gives one back when the last
 * descriptor of that open file is gone, which for a process that is being killed
 * is when its last thread has left the kernel, so after the last write that a
 * thread of it is in the middle of.  A new rssrv takes the locks before it
 * accepts a login.  So whoever is welcomed by a process with another `life` may
 * take it as proof that the earlier one can write no more (fence.c).
 * For that to hold nothing else may keep these descriptors: they are closed on
 * exec, and the daemon forks only before it takes the first.
 *
 * What belongs to one server is locked as a whole.  What several servers use is
 * locked by bytes, so that the two kinds of use exclude each other:
 *   0            the pool's owner (pool.c)
 *   1            who gives a file its identity, while it does (offer.c)
 *   2 + its id   each server: a second one with that id, and its own earlier
 *                process, keep it out; on a volume of a shared pool: clients
 *                of that server have it open (shared, for others to see)
 */
#ifndef RSSRV_LOCK_H
#define RSSRV_LOCK_H

#include <stdbool.h>
#include <stdint.h>
#include "err.h"

#define LOCK_WAIT 10.0		/* seconds that a dying process is given */

#define LOCK_OWNER 0
#define LOCK_IDENTITY 1
#define LOCK_SERVER(id) (2 + (id))

/* Tries to lock, or unlocks, one byte.  0, -EAGAIN where somebody has it, or -errno. */
int lock_byte(int fd, int64_t byte, bool lock);

/* Locks the whole file; exclusive needs a descriptor that can write.
 * 0, or -errno with e filled: who says what is locked. */
int lock_take(int fd, bool exclusive, double seconds, const char *what, struct err *e);
/* The same for a file that several servers use: this server's byte. */
int lock_take_shared(int fd, bool exclusive, uint16_t id, double seconds, const char *what, struct err *e);
/* A mark of this server, for others, on a file that several use; and the id of another one that has
 * set its own, or -1. */
void lock_mark(int fd, uint16_t id, bool there);
int lock_marked(int fd);
/* RUN_DIR/rssrv.pid: made, locked and written.  The descriptor, or -errno with e. */
int lock_pid_file(const char *run_dir, struct err *e);

#endif
