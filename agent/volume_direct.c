/*
 * volume_direct.c - volumes that other servers offer too, past the page cache.
 *
 * Each server's page cache knows nothing of the others', so nothing may be kept
 * in it.  The kernel takes only whole blocks this way; a request that is not
 * made of whole blocks is completed by reading the rest, under a lock on the
 * blocks' range: two writes to different parts of one block would otherwise
 * write back each other's old part.  The lock is this server's; ordering
 * between servers is the client's business (it fences one before it uses the
 * other).
 *
 * Clients count on it that what was acknowledged here is on the storage: a flush
 * that another server carries out covers it, and it stays when this host is lost
 * (mpio_legs.c, 4).  Of a file the data alone is not enough.  Which blocks it has, and
 * which of them were ever written, waits in this host's journal.  So a write to blocks
 * that are new, and what makes holes, is done when that is stable too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "volume_impl.h"

#define MEMORY_ALIGN 4096u

/* At most WORKERS_PER_VOLUME ranges are held at once, so a list will do. */
static bool overlaps_one(const struct volume *v, const struct range_lock *r)
{
	for (const struct range_lock *o = v->ranges; o; o = o->next)
		if (o->from < r->to && r->from < o->to)
			return true;
	return false;
}

void range_acquire(struct volume *v, struct range_lock *r, uint64_t from, uint64_t to)
{
	r->from = from - from % v->align;
	r->to = (to + v->align - 1) / v->align * v->align;
	pthread_mutex_lock(&v->range_lock);
	while (overlaps_one(v, r))
		pthread_cond_wait(&v->range_free, &v->range_lock);
	r->next = v->ranges;
	v->ranges = r;
	pthread_mutex_unlock(&v->range_lock);
}

void range_release(struct volume *v, struct range_lock *r)
{
	struct range_lock **p;

	pthread_mutex_lock(&v->range_lock);
	for (p = &v->ranges; *p != r; p = &(*p)->next)
		;
	*p = r->next;
	pthread_cond_broadcast(&v->range_free);
	pthread_mutex_unlock(&v->range_lock);
}

/* The whole blocks around a request, in memory that direct I/O takes. */
struct blocks {
	uint8_t *data;
	uint64_t from;
	uint32_t length;
	uint32_t skip;		/* of data before the request's own */
};

static int blocks_get(const struct volume *v, struct blocks *b, uint32_t count, uint64_t offset)
{
	uint64_t to = (offset + count + v->align - 1) / v->align * v->align;
	void *data;

	b->from = offset - offset % v->align;
	b->length = (uint32_t)(to - b->from);
	b->skip = (uint32_t)(offset - b->from);
	if (posix_memalign(&data, MEMORY_ALIGN, b->length))
		return -ENOMEM;
	b->data = data;
	return 0;
}

static int direct_now(struct volume *v, void *buf, uint32_t count, uint64_t offset)
{
	(void)v;
	(void)buf;
	(void)count;
	(void)offset;
	return -EAGAIN;
}

static int direct_write_now(struct volume *v, const void *buf, uint32_t count, uint64_t offset, bool fua)
{
	(void)v;
	(void)buf;
	(void)count;
	(void)offset;
	(void)fua;
	return -EAGAIN;
}

static int direct_flush_now(struct volume *v)
{
	(void)v;
	return -EAGAIN;
}

static int direct_read(struct volume *v, void *buf, uint32_t count, uint64_t offset)
{
	struct blocks b;
	int r = blocks_get(v, &b, count, offset);

	if (r)
		return r;
	r = store_read(v->fd, b.data, b.length, b.from, 0);
	if (!r)
		memcpy(buf, b.data + b.skip, count);
	free(b.data);
	return r;
}

/* Reads the first and the last block, where the request covers only a part. */
static int complete(struct volume *v, const struct blocks *b, uint32_t count)
{
	uint32_t last = b->length - v->align;
	bool head = b->skip, tail = b->skip + count < b->length;
	int r = 0;

	if (head || (tail && !last))
		r = store_read(v->fd, b->data, v->align, b->from, 0);
	if (!r && tail && last)
		r = store_read(v->fd, b->data + last, v->align, b->from + last, 0);
	return r;
}

/* Does it change more of the file than the data?  A file system that cannot tell says no. */
static bool is_new(const struct volume *v, const struct blocks *b)
{
	off_t hole = v->device ? (off_t)(b->from + b->length) : lseek(v->fd, (off_t)b->from, SEEK_HOLE);

	return hole < 0 || (uint64_t)hole < b->from + b->length;
}

static int direct_write(struct volume *v, const void *buf, uint32_t count, uint64_t offset, bool fua)
{
	struct range_lock range;
	struct blocks b;
	int r = blocks_get(v, &b, count, offset);

	if (r)
		return r;
	range_acquire(v, &range, offset, offset + count);
	r = complete(v, &b, count);
	if (!r) {
		memcpy(b.data + b.skip, buf, count);
		r = fua || is_new(v, &b) ? store_write_sync(v, b.data, b.length, b.from) :
			store_write(v->fd, b.data, b.length, b.from, 0);
	}
	range_release(v, &range);
	free(b.data);
	return r;
}

static int direct_flush(struct volume *v)
{
	return fdatasync(v->fd) < 0 ? -errno : 0;
}

static int direct_zero(struct volume *v, uint32_t count, uint64_t offset, bool discard)
{
	int r = store_zero(v, count, offset, discard, v->align);

	return r || v->device ? r : volume_flush(v);
}

const struct volume_ops volume_direct_ops = {
	.name = "direct",
	.read_now = direct_now,
	.write_now = direct_write_now,
	.flush_now = direct_flush_now,
	.read = direct_read,
	.write = direct_write,
	.flush = direct_flush,
	.zero = direct_zero,
	.extent = store_extent,
	.size = store_size,
};
