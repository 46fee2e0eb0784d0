/*
 * copy.h - the content of one file into another, holes kept, on the disk at the end.
 */
#ifndef RSSRV_COPY_H
#define RSSRV_COPY_H

#include <stdint.h>
#include "err.h"
#include "progress.h"

/*
 * The first `size` bytes of `from` into `to`, a new file (empty, or all hole), which gets
 * this size.  Shares blocks where the file system can, else copies what is no hole.
 * Nobody changes `from` meanwhile.  Adds to p->of what is to be copied, to p->done
 * what was.  `to` is synced at the end (its directory is not).
 * 0; -ECANCELED: p->cancel; else -errno with e filled; `to` is then the caller's to remove.
 */
int copy_file(int from, int to, uint64_t size, struct progress *p, struct err *e);

/* The same by sharing blocks alone, in no time, and not synced.  Piece by piece as long as
 * go_on(arg) says so (NULL: to the end).  0; -EOPNOTSUPP: not on this file system, or not between
 * these two; -ECANCELED: go_on said no; else -errno; all with e filled. */
int copy_reflink(int from, int to, uint64_t size, bool (*go_on)(void *arg), void *arg, struct err *e);
/* Can files in this directory share blocks?  Makes two for a moment. */
bool copy_can_reflink(int dirfd);

/* How much of a file is no hole, about: what a copy of it reads and writes. */
uint64_t copy_data_bytes(int fd, uint64_t size);
/* Seconds that so many bytes are expected to take to the disk where fd lies: from
 * what earlier copies to it took, else a careful guess. */
double copy_expect(int fd, uint64_t bytes);
/* How fast copies to that disk were: bytes a second; 0: none was made yet. */
double copy_rate(int fd);

/*
 * The parts, for cow.c.
 */
/* Where the first data at or behind `offset` are, in *data; `end` when none are before it.
 * 0 or -errno.  (To ask where they end can take long on tmpfs, which looks at each page.) */
int copy_next_data(int fd, uint64_t offset, uint64_t end, uint64_t *data);
/* What is neither a hole nor zero between `offset` and `end`, by way of buf; how many bytes were
 * looked at, or -errno. */
int64_t copy_range(int from, int to, uint64_t offset, uint64_t end, uint8_t *buf, size_t size);
/* A range that begins and ends with whole blocks: 0; -EOPNOTSUPP, or another -errno. */
int copy_share_range(int from, int to, uint64_t offset, uint64_t length);
/* In how many pieces a file lies on its disk, about; sharing its blocks takes that much longer. */
unsigned copy_pieces_of(int fd);
/* Much that is dirty would make every flush on that disk wait: called with how far a file was
 * written, this writes it out bit by bit. */
struct copy_pace {
	uint64_t begun, waited;
};
void copy_keep_pace(struct copy_pace *c, int fd, uint64_t written);
/* So many bytes took so long (ns). */
void copy_took(int fd, uint64_t bytes, uint64_t ns);

#endif
