/*
 * volume_lossy.c - for tests: a disk with a cache that loses power.
 *
 * A page cache outlives rssrv, so killing rssrv loses nothing; what a host that
 * restarts loses can be tested only with a store that really drops what was not
 * flushed.  Here writes go to a private mapping of the file, and a flush
 * copies the blocks that were written to the file.  With RSIO_TEST_LOSSY in the
 * environment all pools are kept so; RSIO_TEST_BOOT, any text, stands for
 * the host's boot id.  Such a volume cannot grow.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "volume_impl.h"

#define BLOCK 4096u

struct lossy {
	pthread_mutex_t lock;
	uint64_t size;
	uint8_t *map;
	uint8_t *dirty;		/* one for each block */
};

int lossy_attach(struct volume *v)
{
	struct lossy *s = calloc(1, sizeof(*s));
	uint64_t size;
	void *map;
	int r = s ? store_size(v, &size) : -ENOMEM;

	if (r || !size) {
		free(s);
		return r;	/* nothing to lose: stays a plain file */
	}
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, v->fd, 0);
	s->dirty = calloc(1, size / BLOCK + 1);
	if (map == MAP_FAILED || !s->dirty) {
		free(s->dirty);
		free(s);
		return -ENOMEM;
	}
	pthread_mutex_init(&s->lock, NULL);
	s->map = map;
	s->size = size;
	v->lossy = s;
	v->ops = &volume_lossy_ops;
	return 0;
}

void lossy_detach(struct volume *v)
{
	struct lossy *s = v->lossy;

	if (!s)
		return;
	munmap(s->map, s->size);
	free(s->dirty);
	free(s);
}

static int lossy_read(struct volume *v, void *buf, uint32_t count, uint64_t offset)
{
	pthread_mutex_lock(&v->lossy->lock);
	memcpy(buf, v->lossy->map + offset, count);
	pthread_mutex_unlock(&v->lossy->lock);
	return 0;
}

static void mark(struct lossy *s, uint32_t count, uint64_t offset)
{
	memset(s->dirty + offset / BLOCK, 1, (offset + count - 1) / BLOCK - offset / BLOCK + 1);
}

/* Under the lock: copies the written blocks of a range. */
static int copy_out(struct volume *v, uint64_t from, uint64_t to)
{
	struct lossy *s = v->lossy;
	int r = 0;

	for (uint64_t b = from / BLOCK; b * BLOCK < to && !r; b++) {
		uint64_t at = b * BLOCK;
		uint32_t n = s->size - at < BLOCK ? (uint32_t)(s->size - at) : BLOCK;

		if (!s->dirty[b])
			continue;
		r = store_write(v->fd, s->map + at, n, at, 0);
		s->dirty[b] = r != 0;
	}
	if (!r && fdatasync(v->fd) < 0)
		r = -errno;
	return r;
}

static int lossy_write(struct volume *v, const void *buf, uint32_t count, uint64_t offset, bool fua)
{
	struct lossy *s = v->lossy;
	int r = 0;

	pthread_mutex_lock(&s->lock);
	memcpy(s->map + offset, buf, count);
	mark(s, count, offset);
	if (fua)
		r = copy_out(v, offset, offset + count);
	pthread_mutex_unlock(&s->lock);
	return r;
}

static int lossy_flush(struct volume *v)
{
	int r;

	pthread_mutex_lock(&v->lossy->lock);
	r = copy_out(v, 0, v->lossy->size);
	pthread_mutex_unlock(&v->lossy->lock);
	return r;
}

static int lossy_zero(struct volume *v, uint32_t count, uint64_t offset, bool discard)
{
	(void)discard;
	pthread_mutex_lock(&v->lossy->lock);
	memset(v->lossy->map + offset, 0, count);
	mark(v->lossy, count, offset);
	pthread_mutex_unlock(&v->lossy->lock);
	return 0;
}

static int lossy_extent(struct volume *v, uint64_t offset, uint64_t end, uint64_t *length, uint32_t *kind)
{
	(void)v;
	*length = end - offset;
	*kind = WIRE_EXTENT_DATA;
	return 0;
}

static int lossy_size(struct volume *v, uint64_t *size)
{
	*size = v->lossy->size;
	return 0;
}

static int not_now(struct volume *v)
{
	(void)v;
	return -EAGAIN;
}

static int no_read_now(struct volume *v, void *buf, uint32_t count, uint64_t offset)
{
	(void)buf;
	(void)count;
	(void)offset;
	return not_now(v);
}

static int no_write_now(struct volume *v, const void *buf, uint32_t count, uint64_t offset, bool fua)
{
	(void)buf;
	(void)count;
	(void)offset;
	(void)fua;
	return not_now(v);
}

const struct volume_ops volume_lossy_ops = {
	.name = "lossy",
	.read_now = no_read_now,
	.write_now = no_write_now,
	.flush_now = not_now,
	.read = lossy_read,
	.write = lossy_write,
	.flush = lossy_flush,
	.zero = lossy_zero,
	.extent = lossy_extent,
	.size = lossy_size,
};
