/* copy.c - see copy.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "copy.h"
#include "workers.h"

#define BUFFER (1u << 20)
#define BLOCK 4096u
#define CLONE_PIECE (256ull << 20)
#define CLONE_ALIGN (1ull << 20)	/* more than the blocks of any file system have */
#define PACE (32ull << 20)
#define DISKS_MAX 32
#define RATE_GUESS 100e6		/* bytes a second, of a disk that nothing was copied to yet */
#define RATE_LEAST (16ull << 20)	/* copies that are worth learning from */

/*
 * How fast disks are.
 */
static struct {
	pthread_mutex_t lock;
	struct { dev_t device; double rate; } disk[DISKS_MAX];
	unsigned count;
} rates = { .lock = PTHREAD_MUTEX_INITIALIZER };

void copy_took(int fd, uint64_t bytes, uint64_t ns)
{
	double rate = ns ? (double)bytes * 1e9 / (double)ns : 0;
	struct stat st;
	unsigned i;

	if (bytes < RATE_LEAST || rate <= 0 || fstat(fd, &st) < 0)
		return;
	pthread_mutex_lock(&rates.lock);
	for (i = 0; i < rates.count && rates.disk[i].device != st.st_dev; i++)
		;
	if (i < rates.count) {
		rates.disk[i].rate = (rates.disk[i].rate + rate) / 2;
	} else if (i < DISKS_MAX) {
		rates.disk[i].device = st.st_dev;
		rates.disk[i].rate = rate;
		rates.count++;
	}
	pthread_mutex_unlock(&rates.lock);
}

double copy_rate(int fd)
{
	double rate = 0;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return 0;
	pthread_mutex_lock(&rates.lock);
	for (unsigned i = 0; i < rates.count; i++)
		if (rates.disk[i].device == st.st_dev)
			rate = rates.disk[i].rate;
	pthread_mutex_unlock(&rates.lock);
	return rate;
}

double copy_expect(int fd, uint64_t bytes)
{
	double rate = copy_rate(fd);

	return (double)bytes / (rate > 0 ? rate : RATE_GUESS);
}

/*
 * Parts.
 */
int copy_next_data(int fd, uint64_t offset, uint64_t end, uint64_t *data)
{
	off_t at = lseek(fd, (off_t)offset, SEEK_DATA);

	*data = end;
	if (at < 0 && errno == ENXIO)
		return 0;	/* nothing but a hole to the end of the file */
	if (at < 0 && errno != EINVAL)
		return -errno;
	if (at < 0)
		*data = offset;		/* knows no holes */
	else if ((uint64_t)at < end)
		*data = (uint64_t)at;
	return 0;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	return !*p && !memcmp(p, p + 1, n - 1);
}

static int write_all(int fd, const uint8_t *buf, size_t n, uint64_t offset)
{
	while (n) {
		ssize_t done = pwrite(fd, buf, n, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		buf += done;
		n -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

/* Into a hole: zeroes need not be written.  Blocks in a row go in one call. */
static int write_what_is(int fd, const uint8_t *buf, size_t n, uint64_t offset)
{
	size_t from = 0, at = 0;
	int r = 0;

	while (at < n && !r) {
		size_t step = n - at < BLOCK ? n - at : BLOCK;

		if (is_zero(buf + at, step)) {
			r = write_all(fd, buf + from, at - from, offset + from);
			from = at + step;
		}
		at += step;
	}
	return r ? r : write_all(fd, buf + from, n - from, offset + from);
}

int64_t copy_range(int from, int to, uint64_t offset, uint64_t end, uint8_t *buf, size_t size)
{
	uint64_t at, began;
	int r = copy_next_data(from, offset, end, &at);

	for (began = at; at < end && !r; ) {
		ssize_t n = pread(from, buf, end - at < size ? end - at : size, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = -errno;
		if (n <= 0)
			break;		/* the file is shorter: as good as a hole */
		r = write_what_is(to, buf, (size_t)n, at);
		at += (uint64_t)n;
	}
	return r ? r : (int64_t)(at - began);
}

uint64_t copy_data_bytes(int fd, uint64_t size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return 0;
	return (uint64_t)st.st_blocks * 512 < size ? (uint64_t)st.st_blocks * 512 : size;
}

void copy_keep_pace(struct copy_pace *c, int fd, uint64_t written)
{
	if (written < c->begun + PACE)
		return;
	sync_file_range(fd, (off_t)c->begun, (off_t)(written - c->begun), SYNC_FILE_RANGE_WRITE);
	if (c->begun > c->waited) {
		sync_file_range(fd, (off_t)c->waited, (off_t)(c->begun - c->waited), SYNC_FILE_RANGE_WAIT_BEFORE |
				SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
		posix_fadvise(fd, (off_t)c->waited, (off_t)(c->begun - c->waited), POSIX_FADV_DONTNEED);
	}
	c->waited = c->begun;
	c->begun = written;
}

/*
 * Sharing blocks.
 */
int copy_share_range(int from, int to, uint64_t offset, uint64_t length)
{
	struct file_clone_range r = { .src_fd = from, .src_offset = offset, .src_length = length, .dest_offset = offset };

	while (ioctl(to, FICLONERANGE, &r) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EXDEV || errno == EINVAL || errno == ENOTTY || errno == ENOSYS || errno == ENOTSUP)
			return -EOPNOTSUPP;
		return -errno;
	}
	return 0;
}

unsigned copy_pieces_of(int fd)
{
	struct fiemap m = { .fm_length = FIEMAP_MAX_OFFSET };

	return ioctl(fd, FS_IOC_FIEMAP, &m) < 0 ? 0 : m.fm_mapped_extents;
}

/* Over the data, so that a large and empty file takes no time.  The last piece goes to
 * the end of the file, which need not be that of a block. */
static int share_pieces(int from, int to, uint64_t size, bool (*go_on)(void *arg), void *arg)
{
	uint64_t at = 0, data, end;
	int r = 0;

	for (; at < size && !r; at = end) {
		r = copy_next_data(from, at, size, &data);
		if (r || data >= size)
			break;
		at = data - data % CLONE_ALIGN;
		end = at + CLONE_PIECE;
		if (go_on && !go_on(arg))
			return -ECANCELED;
		r = copy_share_range(from, to, at, end < size ? CLONE_PIECE : 0);
	}
	return r;
}

int copy_reflink(int from, int to, uint64_t size, bool (*go_on)(void *arg), void *arg, struct err *e)
{
	int r = ftruncate(to, (off_t)size) < 0 ? -errno : share_pieces(from, to, size, go_on, arg);
	struct stat st;

	/* The last piece may have been longer than what is wanted. */
	if (!r && (fstat(to, &st) < 0 || ((uint64_t)st.st_size != size && ftruncate(to, (off_t)size) < 0)))
		r = -errno;
	if (r == -EOPNOTSUPP)
		err_set(e, EOPNOTSUPP, "files cannot share blocks here");
	else if (r)
		err_sys(e, -r, "cannot share blocks with a new file");
	return r;
}

static int unnamed_file(int dirfd)
{
	return openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

bool copy_can_reflink(int dirfd)
{
	int a = unnamed_file(dirfd), b = unnamed_file(dirfd);
	bool yes = a >= 0 && b >= 0 && ftruncate(a, 1 << 16) == 0 && ftruncate(b, 1 << 16) == 0 && copy_share_range(a, b, 0, 0) == 0;

	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
	return yes;
}

/*
 * The whole of a file.
 */
static int copy_pieces(int from, int to, uint64_t size, uint8_t *buf, struct progress *p)
{
	struct copy_pace pace = { 0 };

	for (uint64_t at = 0, data; at < size; ) {
		int64_t n = copy_next_data(from, at, size, &data);

		if (n || data >= size)
			return (int)n;
		if (progress_cancelled(p))
			return -ECANCELED;
		at = size - data < BUFFER ? size : data + BUFFER;
		n = copy_range(from, to, data, at, buf, BUFFER);
		if (n < 0)
			return (int)n;
		progress_add(p, (uint64_t)n);
		copy_keep_pace(&pace, to, at);
	}
	return 0;
}

static int copy_bytes(int from, int to, uint64_t size, struct progress *p)
{
	uint64_t bytes = copy_data_bytes(from, size), began = workers_clock();
	uint8_t *buf = malloc(BUFFER);
	int r;

	if (!buf)
		return -ENOMEM;
	progress_expect(p, bytes);
	progress_stage(p, "copying");
	r = copy_pieces(from, to, size, buf, p);
	free(buf);
	if (r)
		return r;
	progress_stage(p, "syncing");
	if (fsync(to) < 0)
		return -errno;
	copy_took(to, bytes, workers_clock() - began);
	return 0;
}

static bool wanted(void *arg)
{
	return !progress_cancelled(arg);
}

int copy_file(int from, int to, uint64_t size, struct progress *p, struct err *e)
{
	int r = copy_reflink(from, to, size, wanted, p, e);

	if (r == -EOPNOTSUPP) {
		r = copy_bytes(from, to, size, p);
		if (r && r != -ECANCELED)
			err_sys(e, -r, "cannot copy");
	} else if (!r && fsync(to) < 0) {
		r = err_sys(e, errno, "cannot sync a new file");
	}
	if (r == -ECANCELED)
		err_set(e, ECANCELED, "cancelled");
	return r;
}
