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

/* The same by sharing blocks alone: instant, whole or not at all, and not synced.
 * -EOPNOTSUPP: not on this file system, or not between these two. */
int copy_reflink(int from, int to, uint64_t size, struct err *e);

/* Bytes of a file that are no holes; what a copy of it reads and writes. */
int copy_data_bytes(int fd, uint64_t size, uint64_t *bytes);
/* Seconds that so many bytes are expected to take to the disk where fd lies: from
 * what earlier copies to it took, else a careful guess. */
double copy_expect(int fd, uint64_t bytes);
/* How fast copies to that disk were: bytes a second; 0: none was made yet. */
double copy_rate(int fd);

#endif
