/*
 * volume_file.c - files and block devices through the page cache.
 *
 * What may run on a loop.  Reading with RWF_NOWAIT takes what is in the page
 * cache and never waits for a disk.  Writing with RWF_NOWAIT does wait: for a
 * file system that is frozen (the kernel takes that lock before it looks at the
 * flag), and for whoever holds the inode.  So writes go to a worker, but for
 * tmpfs, which has no disk and cannot be frozen.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "volume_impl.h"

int store_read(int fd, void *buf, uint32_t count, uint64_t offset, int flags)
{
	uint8_t *p = buf;

	while (count) {
		struct iovec iov = { p, count };
		ssize_t n = flags ? preadv2(fd, &iov, 1, (off_t)offset, flags) :
				    pread(fd, p, count, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0 && (flags & RWF_NOWAIT))
			return -EAGAIN;		/* some kernels say so of what is not in the page cache */
		if (n == 0) {
			memset(p, 0, count);
			return 0;
		}
		p += n;
		offset += (uint64_t)n;
		count -= (uint32_t)n;
	}
	return 0;
}

int store_write(int fd, const void *buf, uint32_t count, uint64_t offset, int flags)
{
	const uint8_t *p = buf;

	while (count) {
		struct iovec iov = { (void *)p, count };
		ssize_t n = flags ? pwritev2(fd, &iov, 1, (off_t)offset, flags) :
				    pwrite(fd, p, count, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		p += n;
		offset += (uint64_t)n;
		count -= (uint32_t)n;
	}
	return 0;
}

int store_size(struct volume *v, uint64_t *size)
{
	uint64_t bytes;
	struct stat st;

	if (v->device) {
		if (ioctl(v->fd, BLKGETSIZE64, &bytes) < 0)
			return -errno;
	} else {
		if (fstat(v->fd, &st) < 0)
			return -errno;
		bytes = (uint64_t)st.st_size;
	}
	*size = volume_whole(v, bytes);
	return 0;
}

int store_extent(struct volume *v, uint64_t offset, uint64_t end, uint64_t *length, uint32_t *kind)
{
	off_t at = lseek(v->fd, (off_t)offset, SEEK_DATA);

	*kind = WIRE_EXTENT_DATA;
	if (at < 0 && errno == ENXIO) {
		*kind = WIRE_EXTENT_HOLE;
		at = (off_t)end;
	} else if (at < 0 && errno == EINVAL) {
		at = (off_t)end;	/* a device knows no holes */
	} else if (at < 0) {
		return -errno;
	} else if ((uint64_t)at > offset) {
		*kind = WIRE_EXTENT_HOLE;
	} else {
		at = lseek(v->fd, (off_t)offset, SEEK_HOLE);
		if (at < 0 && errno != ENXIO)
			return -errno;
		/* Changed meanwhile: as good an answer as any is that there is data. */
		if (at <= (off_t)offset)
			at = (off_t)end;
	}
	*length = ((uint64_t)at < end ? (uint64_t)at : end) - offset;
	return 0;
}

static int file_read_now(struct volume *v, void *buf, uint32_t count, uint64_t offset)
{
	int r;

	if (v->memory)
		return store_read(v->fd, buf, count, offset, 0);
	if (atomic_load_explicit(&v->no_nowait_read, memory_order_relaxed))
		return -EAGAIN;
	r = store_read(v->fd, buf, count, offset, RWF_NOWAIT);
	if (r == -EOPNOTSUPP || r == -EINVAL)
		atomic_store_explicit(&v->no_nowait_read, true, memory_order_relaxed);
	/* An error is the worker's to find again: it counts and reports. */
	return r ? -EAGAIN : 0;
}

static int file_write_now(struct volume *v, const void *buf, uint32_t count, uint64_t offset, bool fua)
{
	(void)fua;	/* memory is as stable as it gets */
	return v->memory ? store_write(v->fd, buf, count, offset, 0) : -EAGAIN;
}

static int file_flush(struct volume *v)
{
	return fdatasync(v->fd) < 0 ? -errno : 0;
}

static int file_flush_now(struct volume *v)
{
	return v->memory ? file_flush(v) : -EAGAIN;
}

static int file_read(struct volume *v, void *buf, uint32_t count, uint64_t offset)
{
	return store_read(v->fd, buf, count, offset, 0);
}

static int file_write(struct volume *v, const void *buf, uint32_t count, uint64_t offset, bool fua)
{
	return fua ? store_write_sync(v, buf, count, offset) :
		     store_write(v->fd, buf, count, offset, 0);
}

static int file_zero(struct volume *v, uint32_t count, uint64_t offset, bool discard)
{
	return store_zero(v, count, offset, discard, v->device ? v->align : 1);
}

/* ENOSPC and the like must not leave a half-zeroed range as "unsupported". */
static bool is_unsupported(int error)
{
	return error == EOPNOTSUPP || error == ENOSYS || error == ENODEV || error == EINVAL ||
	       error == ENOTTY;
}

static int try_fallocate(struct volume *v, int mode, atomic_bool *refused, uint64_t from, uint64_t to)
{
	struct range_lock r;
	int error = 0;

	if (atomic_load_explicit(refused, memory_order_relaxed))
		return -EOPNOTSUPP;
	if (v->shared)
		range_acquire(v, &r, from, to);
	while (fallocate(v->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from)) < 0) {
		error = errno;
		if (error != EINTR)
			break;
		error = 0;
	}
	if (v->shared)
		range_release(v, &r);
	if (error && is_unsupported(error)) {
		atomic_store_explicit(refused, true, memory_order_relaxed);
		return -EOPNOTSUPP;
	}
	return -error;
}

static int write_zeroes(struct volume *v, uint64_t from, uint64_t to)
{
	static uint8_t zeroes[256u << 10];
	int r = 0;

	while (from < to && !r) {
		uint32_t n = to - from < sizeof(zeroes) ? (uint32_t)(to - from) : sizeof(zeroes);

		r = v->ops->write(v, zeroes, n, from, false);
		from += n;
	}
	return r;
}

int store_zero(struct volume *v, uint32_t count, uint64_t offset, bool discard, uint32_t granule)
{
	uint64_t end = offset + count;
	uint64_t from = (offset + granule - 1) / granule * granule, to = end / granule * granule;
	int r = -EOPNOTSUPP;

	if (from >= to)
		return write_zeroes(v, offset, end);
	if (discard)
		r = try_fallocate(v, FALLOC_FL_PUNCH_HOLE, &v->no_punch, from, to);
	if (r == -EOPNOTSUPP)
		r = try_fallocate(v, FALLOC_FL_ZERO_RANGE, &v->no_zero, from, to);
	if (r == -EOPNOTSUPP)
		return write_zeroes(v, offset, end);
	if (!r)
		r = write_zeroes(v, offset, from);
	return r ? r : write_zeroes(v, to, end);
}

/* A batch of reads that were not in the page cache: all are started before the
 * first is waited for, so one worker keeps the disk as busy as many would. */
void volume_file_prepare(struct work *w, struct job *jobs)
{
	struct volume *v = (struct volume *)w;	/* its first member */

	for (struct job *j = jobs; j; j = j->next)
		if (j->type == WIRE_READ)
			posix_fadvise(v->fd, (off_t)j->offset, j->count, POSIX_FADV_WILLNEED);
}

const struct volume_ops volume_file_ops = {
	.name = "file",
	.read_now = file_read_now,
	.write_now = file_write_now,
	.flush_now = file_flush_now,
	.read = file_read,
	.write = file_write,
	.flush = file_flush,
	.zero = file_zero,
	.extent = store_extent,
	.size = store_size,
};
