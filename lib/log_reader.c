/*
 * log_reader.c - see log.h: the readers.  log_ring.h has the argument.
 *
 * The file is read with pread and not mapped: a foreign hand that cuts it short
 * must not kill the reader.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "log.h"
#include "log_ring.h"

#define TRIES 64

struct log_reader {
	char *path;
	int fd;
	dev_t dev;
	ino_t ino;
	uint64_t data_size;
	uint64_t at;		/* the next byte; the first of a line unless in_line */
	bool in_line;		/* what was overwritten ended somewhere in a line */
};

struct marks {
	uint64_t claimed, written, data_size;
};

static int read_all(int fd, void *to, size_t size, uint64_t offset)
{
	char *p = to;

	while (size) {
		ssize_t n = pread(fd, p, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EUCLEAN;
		p += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

/* A copy by the kernel may tear a number that changes.  Both only grow, so two
 * copies that are in order are good: written from the earlier one and claimed
 * from the later one err, if at all, to the safe side.  Nor may a whole ring be
 * written between the two, as when this process was kept from running.
 * -EUCLEAN: no ring. */
static int read_marks(int fd, struct marks *m)
{
	struct log_ring_header a, b;
	struct stat st;
	int ret;

	for (int try = 0; try < TRIES; try++) {
		ret = read_all(fd, &a, sizeof(a), 0);
		if (!ret)
			ret = read_all(fd, &b, sizeof(b), 0);
		if (ret)
			return ret;
		m->written = atomic_load(&a.written);
		m->claimed = atomic_load(&b.claimed);
		m->data_size = a.data_size;
		if (m->written <= atomic_load(&b.written) && atomic_load(&a.claimed) <= m->claimed &&
		    m->claimed - m->written <= m->data_size)
			break;
	}
	if (fstat(fd, &st))
		return -errno;
	return log_ring_sound(a.magic, (uint64_t)st.st_size, m->data_size, m->claimed, m->written,
			      m->data_size) ? 0 : -EUCLEAN;
}

static uint64_t oldest(const struct marks *m)
{
	return m->claimed > m->data_size ? m->claimed - m->data_size : 0;
}

static int read_data(struct log_reader *r, char *buf, size_t size)
{
	uint64_t offset = r->at % r->data_size;
	size_t head = r->data_size - offset < size ? (size_t)(r->data_size - offset) : size;
	int ret = read_all(r->fd, buf, head, LOG_RING_HEADER + offset);

	return ret ? ret : read_all(r->fd, buf + head, size - head, LOG_RING_HEADER);
}

/* Copies at most size bytes from the present place; the place moves on over
 * what was overwritten and margin bytes more, which are added to *lost.
 * -EAGAIN: the writer was faster. */
static ptrdiff_t copy_out(struct log_reader *r, char *buf, size_t size, uint64_t margin,
			  uint64_t *lost)
{
	struct marks before, after;
	size_t n, skip;
	char *newline;
	int ret;

	ret = read_marks(r->fd, &before);
	if (ret)
		return ret;
	r->data_size = before.data_size;
	if (r->at < oldest(&before)) {
		uint64_t to = oldest(&before) + margin;

		r->in_line = to < before.written;
		if (!r->in_line)
			to = before.written;
		*lost += to - r->at;
		r->at = to;
	}
	if (r->at >= before.written)
		return 0;
	n = before.written - r->at < size ? (size_t)(before.written - r->at) : size;
	ret = read_data(r, buf, n);
	if (ret)
		return ret;
	atomic_thread_fence(memory_order_seq_cst);
	ret = read_marks(r->fd, &after);
	if (ret)
		return ret;
	if (r->at < oldest(&after))
		return -EAGAIN;
	if (!r->in_line)
		return (ptrdiff_t)n;

	newline = memchr(buf, '\n', n);
	skip = newline ? (size_t)(newline - buf) + 1 : n;
	*lost += skip;
	r->at += skip;
	r->in_line = !newline;
	memmove(buf, buf + skip, n - skip);
	return n == skip ? -EAGAIN : (ptrdiff_t)(n - skip);
}

static int open_file(struct log_reader *r)
{
	struct stat st;
	int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st)) {
		close(fd);
		return -errno;
	}
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		return -EUCLEAN;
	}
	if (r->fd >= 0)
		close(r->fd);
	r->fd = fd;
	r->dev = st.st_dev;
	r->ino = st.st_ino;
	r->at = 0;
	r->in_line = false;
	return 0;
}

struct log_reader *log_reader_open(const char *path, struct err *e)
{
	struct log_reader *r = calloc(1, sizeof(*r));
	struct marks m;
	int ret = -ENOMEM;

	if (!r)
		goto fail;
	r->fd = -1;
	r->path = strdup(path);
	if (!r->path)
		goto fail;
	ret = open_file(r);
	if (ret)
		goto fail;
	ret = read_marks(r->fd, &m);
	if (ret)
		goto fail;
	return r;
fail:
	if (ret == -EUCLEAN)
		err_set(e, EUCLEAN, "%s is not a log of this program, or damaged", path);
	else
		err_sys(e, -ret, "cannot read the log %s", path);
	if (ret == -ENOENT)
		err_next(e, "start the daemon first, or name its directory with --run-dir");
	log_reader_close(r);
	return NULL;
}

static bool was_replaced(const struct log_reader *r)
{
	struct stat st;

	return stat(r->path, &st) == 0 && (st.st_dev != r->dev || st.st_ino != r->ino);
}

ptrdiff_t log_reader_next(struct log_reader *r, char *buf, size_t size, uint64_t *lost)
{
	bool from_start = r->at == 0, reopened = false;
	ptrdiff_t n = 0;
	char *last;

	*lost = 0;
	if (size < LOG_LINE_MAX)
		return -EINVAL;
	for (int try = 0; try < TRIES; try++) {
		/* A writer at full speed eats the oldest lines under the copy: the
		 * second try keeps a distance from it. */
		n = copy_out(r, buf, size, try ? r->data_size / 8 : 0, lost);
		/* What was there before we came is not lost to us. */
		if (from_start)
			*lost = 0;
		if (n > 0)
			break;
		if (n == -EAGAIN)
			continue;
		if (reopened || !was_replaced(r) || open_file(r))
			return n;
		reopened = from_start = true;
	}
	if (n <= 0)
		return n == -EAGAIN ? 0 : n;
	last = memrchr(buf, '\n', (size_t)n);
	if (!last) {	/* no line of ours is as long as that */
		*lost += (uint64_t)n;
		r->at += (uint64_t)n;
		return 0;
	}
	n = last + 1 - buf;
	r->at += (uint64_t)n;
	return n;
}

/* Bounded, since a busy daemon may write as fast as we read. */
int log_reader_all(struct log_reader *r, char **text, size_t *size)
{
	uint64_t lost;
	ptrdiff_t n;

	*size = 0;
	*text = malloc(LOG_RING_BYTES + 2 * LOG_READER_CHUNK);
	if (!*text)
		return -ENOMEM;
	while (*size < LOG_RING_BYTES + LOG_READER_CHUNK) {
		n = log_reader_next(r, *text + *size, LOG_READER_CHUNK, &lost);
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		*size += (size_t)n;
	}
	return 0;
}

/* A newline ends a line: the one in front of the last N ends what is left out. */
char *log_last_lines(char *text, size_t size, int lines)
{
	char *from = text + size;

	if (lines < 0)
		return text;
	for (; lines > 0 && from > text; lines--) {
		char *before = memrchr(text, '\n', (size_t)(from - text - 1));

		from = before ? before + 1 : text;
	}
	return from;
}

void log_reader_close(struct log_reader *r)
{
	if (!r)
		return;
	if (r->fd >= 0)
		close(r->fd);
	free(r->path);
	free(r);
}
