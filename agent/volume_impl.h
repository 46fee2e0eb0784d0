/*
 * volume_impl.h - what the backing stores share; for volume_*.c only.
 */
#ifndef RSSRV_VOLUME_IMPL_H
#define RSSRV_VOLUME_IMPL_H

#include "volume.h"

/* The whole of a request, whatever pieces the kernel makes of it.  What lies
 * beyond the end of a file that is shorter than its volume reads as zeroes. */
int store_read(int fd, void *buf, uint32_t count, uint64_t offset, int flags);
int store_write(int fd, const void *buf, uint32_t count, uint64_t offset, int flags);

/* volume_sync.c: a write that is on the disk when it returns. */
int store_write_sync(struct volume *v, const void *buf, uint32_t count, uint64_t offset);
void sync_init(struct volume *v);
int sync_open(struct volume *v);	/* the first description: 0 or -errno */
void sync_fini(struct volume *v);

int store_size(struct volume *v, uint64_t *size);
int store_extent(struct volume *v, uint64_t offset, uint64_t end, uint64_t *length, uint32_t *kind);

/* volume_lossy.c: makes v one that loses what was not flushed.  0 or -errno. */
int lossy_attach(struct volume *v);
void lossy_detach(struct volume *v);

void volume_file_prepare(struct work *w, struct job *jobs);

/* Zeroes by what the kernel offers, else by writing them through ops->write.
 * granule: of what fallocate takes; the edges are written. */
int store_zero(struct volume *v, uint32_t count, uint64_t offset, bool discard, uint32_t granule);

/* Excludes all others from whole blocks around a range, for direct volumes. */
void range_acquire(struct volume *v, struct range_lock *r, uint64_t from, uint64_t to);
void range_release(struct volume *v, struct range_lock *r);

#endif
