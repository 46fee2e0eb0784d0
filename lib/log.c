/*
 * log.c - see log.h: the writer.  log_ring.h has the file's layout and why a
 * reader can trust it.
 *
 * A line is formatted on the caller's stack; the lock is held for the copy
 * only.  The mapping is populated and its blocks are allocated when the ring is
 * made, so that a full disk is an error at the start and not a signal later.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "log.h"
#include "log_ring.h"

#define NODE_MAX 63

static struct {
	pthread_mutex_t lock;		/* orders the copies and guards ring against log_close */
	struct log_ring_header *ring;	/* lock: lock; NULL: none */
	char *data;			/* lock: lock */
	uint64_t data_size;		/* lock: lock; ours: what the file says may be changed */
	char node[NODE_MAX + 1];	/* const after log_open */
	atomic_bool open;
	atomic_bool to_stderr;
	bool journal;			/* const after log_open */
	atomic_int level;
} state = { .lock = PTHREAD_MUTEX_INITIALIZER, .level = LOG_LEVEL_INFO };

const char *log_level_name(enum log_level level)
{
	static const char *const names[] = { "ERROR", "WARNING", "INFO", "DEBUG" };

	return (unsigned int)level < 4 ? names[level] : "?";
}

void log_set_level(enum log_level least)
{
	atomic_store(&state.level, (int)least);
}

bool log_is_open(void)
{
	return atomic_load_explicit(&state.open, memory_order_acquire);
}

void log_set_stderr(int on)
{
	atomic_store(&state.to_stderr, on != 0);
}

/* systemd names the stream that it gave us; a redirected one is another. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char own[64];

	if (!stream || fstat(STDERR_FILENO, &st))
		return false;
	snprintf(own, sizeof(own), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	return strcmp(stream, own) == 0;
}

static bool header_sound(struct log_ring_header *h, uint64_t file_size)
{
	return log_ring_sound(h->magic, file_size, h->data_size, atomic_load(&h->claimed),
			      atomic_load(&h->written), LOG_LINE_MAX);
}

static struct log_ring_header *map_ring(int fd, uint64_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Maps the ring that is there.  0, -ENOENT, -EUCLEAN for one that is damaged,
 * or another -errno. */
static int open_ring(const char *path, struct log_ring_header **ring, uint64_t *size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct log_ring_header *h = NULL;
	struct stat st;
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		ret = -errno;
	else if (!S_ISREG(st.st_mode))
		ret = -EEXIST;
	else if (st.st_size < (off_t)LOG_RING_MIN || st.st_size > (off_t)LOG_RING_MAX)
		ret = -EUCLEAN;
	else if ((ret = -posix_fallocate(fd, 0, st.st_size)))
		;	/* somebody made holes in it, and the disk is full */
	else if (!(h = map_ring(fd, (uint64_t)st.st_size)))
		ret = -errno;
	else if (!header_sound(h, (uint64_t)st.st_size)) {
		munmap(h, (size_t)st.st_size);
		ret = -EUCLEAN;
	} else {
		*ring = h;
		*size = (uint64_t)st.st_size;
	}
	close(fd);
	return ret;
}

/* Makes a new one beside it and renames: whoever still reads the old one has a
 * file that stays as it is. */
static int make_ring(const char *path, struct log_ring_header **ring, uint64_t *size)
{
	struct log_ring_header *h;
	char *temporary;
	int fd, ret;

	if (asprintf(&temporary, "%s.new", path) < 0)
		return -ENOMEM;
	unlink(temporary);
	fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0) {
		ret = -errno;
		goto out;
	}
	ret = -posix_fallocate(fd, 0, LOG_RING_BYTES);
	if (ret)
		goto out;
	h = map_ring(fd, LOG_RING_BYTES);
	if (!h) {
		ret = -errno;
		goto out;
	}
	h->data_size = LOG_RING_BYTES - LOG_RING_HEADER;
	memcpy(h->magic, LOG_RING_MAGIC, sizeof(h->magic));
	if (rename(temporary, path)) {
		ret = -errno;
		munmap(h, LOG_RING_BYTES);
		goto out;
	}
	*ring = h;
	*size = LOG_RING_BYTES;
out:
	if (fd >= 0)
		close(fd);
	if (ret)
		unlink(temporary);
	free(temporary);
	return ret;
}

int log_open(const char *path, const char *node, int to_stderr, struct err *e)
{
	struct log_ring_header *ring = NULL;
	uint64_t size = 0;
	bool damaged;
	int ret;

	log_close();
	ret = open_ring(path, &ring, &size);
	damaged = ret == -EUCLEAN;
	if (damaged || ret == -ENOENT)
		ret = make_ring(path, &ring, &size);
	if (ret == -EEXIST || ret == -ELOOP) {
		err_set(e, -ret, "cannot log to %s: it is no regular file", path);
		err_next(e, "move it away, or choose another directory with --run-dir");
		return ret;
	}
	if (ret)
		return err_sys(e, -ret, "cannot open the log %s", path);

	snprintf(state.node, sizeof(state.node), "%s", node);
	err_clean(state.node);
	state.journal = stderr_is_journal();
	log_set_stderr(to_stderr);
	pthread_mutex_lock(&state.lock);
	state.ring = ring;
	state.data = (char *)ring + LOG_RING_HEADER;
	state.data_size = size - LOG_RING_HEADER;
	pthread_mutex_unlock(&state.lock);
	atomic_store(&state.open, true);
	if (damaged)
		log_warning("log", "%s was damaged and was made anew", path);
	return 0;
}

void log_close(void)
{
	struct log_ring_header *ring;
	uint64_t size;

	pthread_mutex_lock(&state.lock);
	ring = state.ring;
	size = state.data_size;
	state.ring = NULL;
	atomic_store(&state.open, false);
	pthread_mutex_unlock(&state.lock);
	if (ring)
		munmap(ring, (size_t)size + LOG_RING_HEADER);
}

static void ring_put(const char *line, size_t length)
{
	struct log_ring_header *h;
	uint64_t at, end, offset, head;

	pthread_mutex_lock(&state.lock);
	h = state.ring;
	if (h) {
		at = atomic_load_explicit(&h->written, memory_order_relaxed);
		end = at + length;
		if (end > atomic_load_explicit(&h->claimed, memory_order_relaxed))
			atomic_store_explicit(&h->claimed, end, memory_order_relaxed);
		atomic_thread_fence(memory_order_seq_cst);
		offset = at % state.data_size;
		head = state.data_size - offset < length ? state.data_size - offset : length;
		memcpy(state.data + offset, line, head);
		memcpy(state.data, line + head, length - head);
		atomic_store_explicit(&h->written, end, memory_order_release);
	}
	pthread_mutex_unlock(&state.lock);
}

static void stderr_put(enum log_level level, const char *line, size_t length, const char *said)
{
	static const char priority[] = "3467";	/* of syslog(3) */
	char out[LOG_LINE_MAX + 8];
	int n;

	if (!state.journal) {
		n = (int)length;
		memcpy(out, line, length);
	} else {
		n = snprintf(out, sizeof(out), "<%c>%s", priority[level], said);
	}
	/* One write, so that lines of several threads do not mix.  A standard
	 * error that takes nothing is nothing to report anywhere. */
	if (write(STDERR_FILENO, out, (size_t)n) < 0)
		return;
}

/* "2010_09_14-15:02:32", made once a second by each thread. */
static const char *stamp(void)
{
	static __thread char text[32];
	static __thread time_t of;
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (now.tv_sec != of || !text[0]) {
		gmtime_r(&now.tv_sec, &tm);
		strftime(text, sizeof(text), "%Y_%m_%d-%H:%M:%S", &tm);
		of = now.tv_sec;
	}
	return text;
}

static const char *speaker(void)
{
	return atomic_load_explicit(&state.open, memory_order_acquire) ? state.node :
	       program_invocation_short_name;
}

void log_line(enum log_level level, const char *part, const char *fmt, ...)
{
	int saved = errno, head, n, space;
	bool open, to_stderr;
	char line[LOG_LINE_MAX + 1];
	va_list ap;

	if ((int)level > atomic_load_explicit(&state.level, memory_order_relaxed))
		return;
	open = atomic_load_explicit(&state.open, memory_order_acquire);
	to_stderr = !open || atomic_load_explicit(&state.to_stderr, memory_order_relaxed);
	head = snprintf(line, 256, "%s@rsio %s (GMT) %s ", speaker(), stamp(), log_level_name(level));
	if (head > 255)
		head = 255;
	/* The newline has the last of LOG_LINE_MAX bytes. */
	space = LOG_LINE_MAX - head;
	n = snprintf(line + head, (size_t)space, "(%.*s): ", LOG_LINE_MAX / 4, part);
	va_start(ap, fmt);
	errno = saved;		/* for %m */
	if (vsnprintf(line + head + n, (size_t)(space - n), fmt, ap) < 0)
		line[head + n] = 0;
	va_end(ap);
	err_clean(line);
	n = (int)strlen(line);
	line[n++] = '\n';
	line[n] = 0;
	if (open)
		ring_put(line, (size_t)n);
	if (to_stderr)
		stderr_put(level, line, (size_t)n, line + head);
	errno = saved;
}

void log_bounded(struct log_bound *b, uint64_t now, enum log_level level, const char *part, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;

	if (!b->count || now - b->since >= UINT64_C(60000000000)) {
		if (b->count > LOG_BOUND)
			log_warning(part, "%u lines like the last ones were left out", b->count - LOG_BOUND);
		*b = (struct log_bound){ .since = now };
	}
	if (b->count++ == LOG_BOUND)
		log_warning(part, "%d lines like these within a minute: further ones are left out", LOG_BOUND);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_line(b->count > LOG_BOUND ? LOG_LEVEL_DEBUG : level, part, "%s", text);
}
