/*
 * test_log.c - the ring: order, wrap-around, readers beside a writer, damage,
 * a writer that was killed in the middle of a line.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "log.h"
#include "log_ring.h"

static char dir[64], path[96];
static char buf[256 << 10];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/rsio-test-log-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/rsiod.log", dir);
	return 0;
}

static void end_writers(void);

static int remove_dir(void **state)
{
	(void)state;
	end_writers();
	log_close();
	log_set_level(LOG_LEVEL_INFO);
	unlink(path);
	return rmdir(dir);
}

static void open_log(void)
{
	struct err e;

	if (log_open(path, "big-2", 0, &e))
		fail_msg("%s", e.text);
}

static struct log_reader *open_reader(void)
{
	struct err e;
	struct log_reader *r = log_reader_open(path, &e);

	if (!r)
		fail_msg("%s", e.text);
	return r;
}

/* All that is there now, as a text. */
static size_t read_text(struct log_reader *r)
{
	uint64_t lost;
	ptrdiff_t n = log_reader_next(r, buf, sizeof(buf) - 1, &lost);

	assert_true(n >= 0);
	assert_int_equal(lost, 0);
	buf[n] = 0;
	return (size_t)n;
}

static void line_has_its_shape(void **state)
{
	struct log_reader *r;
	struct tm tm;
	char *end;

	(void)state;
	open_log();
	log_info("6-if0-tx0", "started transmit for rep %s/%d", "192.168.45.10", 5000);
	log_debug("x", "below the level");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("x", "now it counts");
	r = open_reader();
	read_text(r);
	assert_memory_equal(buf, "big-2@rsio ", 11);
	end = strptime(buf + 11, "%Y_%m_%d-%H:%M:%S", &tm);
	assert_non_null(end);
	assert_true(labs((long)(timegm(&tm) - time(NULL))) < 3);
	end[strcspn(end, "\n") + 1] = 0;
	assert_string_equal(end, " (GMT) INFO (6-if0-tx0): started transmit for rep 192.168.45.10/5000\n");
	assert_null(strstr(buf, "below"));
	end += strlen(end) + 1;
	assert_non_null(strstr(end, "DEBUG (x): now it counts\n"));
	assert_int_equal(read_text(r), 0);
	log_reader_close(r);
}

static void long_and_dirty_lines(void **state)
{
	struct log_reader *r;
	char text[3 * LOG_LINE_MAX], *p;

	(void)state;
	open_log();
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = 0;
	log_info("p", "%s", text);
	log_info(text, "%s", "long part");
	log_info("p", "evil\nbig-2@rsio \033[2J");
	r = open_reader();
	read_text(r);
	p = strchr(buf, '\n');
	assert_int_equal(p + 1 - buf, LOG_LINE_MAX);
	assert_non_null(strstr(p, "): long part\n"));
	assert_non_null(strstr(p, "(p): evil?big-2@rsio ?[2J\n"));
	log_reader_close(r);
}

/* Reads all lines "n INDEX", checks that they follow one another, and gives
 * back the first and the last index. */
static void read_numbers(struct log_reader *r, long *first, long *last)
{
	uint64_t lost;
	ptrdiff_t n;

	*first = *last = -1;
	while ((n = log_reader_next(r, buf, 64 << 10, &lost)) > 0) {
		buf[n] = 0;
		for (char *p = strtok(buf, "\n"); p; p = strtok(NULL, "\n")) {
			char *text = strstr(p, "(t): n ");
			long value;

			assert_memory_equal(p, "big-2@rsio ", 11);
			assert_non_null(text);
			value = strtol(text + 7, NULL, 10);
			if (*first < 0)
				*first = value;
			else
				assert_int_equal(value, *last + 1);
			*last = value;
		}
	}
	assert_int_equal(n, 0);
}

static void wraps_around(void **state)
{
	struct log_reader *r;
	long first, last;

	(void)state;
	open_log();
	for (long i = 0; i < 60000; i++)
		log_info("t", "n %ld", i);
	r = open_reader();
	read_numbers(r, &first, &last);
	assert_int_equal(last, 59999);
	/* A full ring: about its size in lines of 55 bytes. */
	assert_true(last - first > 15000 && last - first < 25000);
	log_reader_close(r);
}

static void slow_reader_learns_what_it_lost(void **state)
{
	struct log_reader *r;
	uint64_t lost = 0;
	ptrdiff_t n;

	(void)state;
	open_log();
	log_info("t", "n 0");
	r = open_reader();
	read_text(r);
	for (long i = 0; i < 60000; i++)
		log_info("t", "n %ld", i);
	n = log_reader_next(r, buf, sizeof(buf), &lost);
	assert_true(n > 0);
	assert_memory_equal(buf, "big-2@rsio ", 11);
	assert_int_equal(buf[n - 1], '\n');
	/* Written since, less what the ring still holds. */
	assert_true(lost > 1500000 && lost < 4000000);
	log_reader_close(r);
}

static void restarted_daemon_goes_on(void **state)
{
	struct log_reader *r;

	(void)state;
	open_log();
	log_info("t", "first life");
	r = open_reader();
	read_text(r);
	log_close();
	open_log();
	log_info("t", "second life");
	read_text(r);
	assert_non_null(strstr(buf, "second life\n"));
	log_reader_close(r);
	r = open_reader();
	read_text(r);
	assert_non_null(strstr(buf, "first life\n"));
	assert_non_null(strstr(buf, "second life\n"));
	log_reader_close(r);
}

/* As the writer leaves it that dies between claiming and having copied. */
static void writer_killed_in_a_line(void **state)
{
	struct log_ring_header h;
	struct log_reader *r;
	long first, last;
	int fd;

	(void)state;
	open_log();
	for (long i = 0; i < 30000; i++)
		log_info("t", "n %ld", i);
	log_close();
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, &h, sizeof(h), 0), (ssize_t)sizeof(h));
	h.claimed += 500;
	assert_int_equal(pwrite(fd, &h, sizeof(h), 0), (ssize_t)sizeof(h));
	assert_int_equal(pwrite(fd, "half a li", 9,
				(off_t)(LOG_RING_HEADER + h.written % h.data_size)), 9);
	close(fd);

	r = open_reader();
	read_numbers(r, &first, &last);
	assert_int_equal(last, 29999);
	open_log();
	log_info("t", "n 30000");
	read_numbers(r, &first, &last);
	assert_int_equal(first, 30000);
	log_reader_close(r);
	r = open_reader();
	read_numbers(r, &first, &last);
	assert_int_equal(last, 30000);
	log_reader_close(r);
}

static void damage(off_t at, const void *what, size_t size, off_t length)
{
	int fd = open(path, O_RDWR);

	assert_true(fd >= 0);
	if (size)
		assert_int_equal(pwrite(fd, what, size, at), (ssize_t)size);
	if (length >= 0)
		assert_int_equal(ftruncate(fd, length), 0);
	close(fd);
}

static void damaged_ring_is_made_anew(void **state)
{
	static const uint64_t huge = UINT64_MAX, small = 7;
	static const struct {
		off_t at;
		const void *what;
		size_t size;
		off_t length;
	} cases[] = {
		{ 0, "notalog!", 8, -1 },
		{ offsetof(struct log_ring_header, data_size), &small, 8, -1 },
		{ offsetof(struct log_ring_header, claimed), &huge, 8, -1 },
		{ offsetof(struct log_ring_header, written), &huge, 8, -1 },
		{ 0, NULL, 0, 0 },
		{ 0, NULL, 0, 100 },
		{ 0, NULL, 0, LOG_RING_BYTES / 2 },
		{ 0, NULL, 0, (off_t)LOG_RING_MAX * 2 },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct log_reader *r, *follower;
		struct stat st;

		open_log();
		log_info("t", "old life");
		follower = open_reader();
		read_text(follower);
		log_close();
		damage(cases[i].at, cases[i].what, cases[i].size, cases[i].length);
		assert_null(log_reader_open(path, &e));
		assert_int_equal(e.code, EUCLEAN);

		open_log();
		log_info("t", "new life %zu", i);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, LOG_RING_BYTES);
		r = open_reader();
		read_text(r);
		assert_non_null(strstr(buf, "was damaged and was made anew\n"));
		assert_non_null(strstr(buf, "new life"));
		assert_null(strstr(buf, "old life"));
		log_reader_close(r);
		/* Who followed the old one goes on in the new one. */
		read_text(follower);
		assert_non_null(strstr(buf, "new life"));
		log_reader_close(follower);
		log_close();
		unlink(path);
	}
}

/* Found by the fuzzer: the writer divided by the size that the file says. */
static void ring_damaged_while_it_is_written(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 7, UINT64_MAX, LOG_RING_BYTES * 2 };
	static const uint64_t good = LOG_RING_BYTES - LOG_RING_HEADER;
	const off_t at = offsetof(struct log_ring_header, data_size);
	struct log_reader *r;

	(void)state;
	open_log();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		damage(at, &sizes[i], sizeof(sizes[i]), -1);
		log_info("t", "damage %zu", i);
	}
	damage(at, &good, sizeof(good), -1);
	r = open_reader();
	read_text(r);
	assert_non_null(strstr(buf, "damage 0\n"));
	assert_non_null(strstr(buf, "damage 4\n"));
	log_reader_close(r);
}

static void says_what_it_cannot_open(void **state)
{
	char missing[128], link[128];
	struct err e;

	(void)state;
	snprintf(missing, sizeof(missing), "%s/no/rsiod.log", dir);
	assert_int_equal(log_open(missing, "n", 0, &e), -ENOENT);
	assert_non_null(strstr(e.text, missing));
	assert_null(log_reader_open(missing, &e));
	assert_int_equal(e.code, ENOENT);
	assert_non_null(strstr(e.next, "--run-dir"));

	snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	assert_int_equal(log_open(link, "n", 0, &e), -ELOOP);
	unlink(link);
	assert_int_equal(log_open(dir, "n", 0, &e), -EISDIR);
}

/* Several writers, and readers at the same time: each writer's lines come
 * whole and in order, and lost and read bytes add up. */
#define WRITERS 3
#define LINES 40000L

static struct {
	pthread_t threads[WRITERS];
	int started;
	atomic_int done;
	atomic_bool stop;	/* for those that write until they are told */
	long lines;
} writers;

/* How many of something there are to be; fewer where all is slow, as under valgrind. */
static long many(long n)
{
	return getenv("RSIO_SLOW") ? n / 20 : n;
}

static void *write_lines(void *arg)
{
	for (long i = 0; i < writers.lines && !atomic_load(&writers.stop); i++)
		log_info("w", "%ld %ld %.*s.", (long)(intptr_t)arg, i, (int)(i % 60),
			 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	atomic_fetch_add(&writers.done, 1);
	return NULL;
}

static void start_writers(long lines)
{
	writers.lines = lines;
	atomic_store(&writers.done, 0);
	atomic_store(&writers.stop, false);
	for (; writers.started < WRITERS; writers.started++)
		assert_int_equal(pthread_create(&writers.threads[writers.started], NULL, write_lines,
						(void *)(intptr_t)writers.started), 0);
}

/* Also when a test failed beside them. */
static void end_writers(void)
{
	atomic_store(&writers.stop, true);
	while (writers.started)
		pthread_join(writers.threads[--writers.started], NULL);
}

/* Checks one line; next: the index that each writer's next line must have, -1
 * where any will do. */
static void check_line(const char *line, long *next)
{
	const char *text = strstr(line, "INFO (w): ");
	long writer, i;
	int end = 0;

	assert_memory_equal(line, "big-2@rsio ", 11);
	assert_non_null(text);
	assert_int_equal(sscanf(text + 10, "%ld %ld %n", &writer, &i, &end), 2);
	text += 10 + end;
	assert_int_equal(strlen(text), i % 60 + 1);
	assert_true(writer >= 0 && writer < WRITERS);
	assert_true(next[writer] < 0 || i == next[writer]);
	next[writer] = i + 1;
}

static void check_lines(char *text, long *next)
{
	for (char *p = strtok(text, "\n"); p; p = strtok(NULL, "\n"))
		check_line(p, next);
}

static uint64_t bytes_written(void)
{
	int fd = open(path, O_RDONLY);
	uint64_t written;

	assert_int_equal(pread(fd, &written, 8, offsetof(struct log_ring_header, written)), 8);
	close(fd);
	return written;
}

static void follower_beside_writers(void **state)
{
	long next[WRITERS] = { 0 };
	uint64_t lost, start, bytes = 0;
	struct log_reader *r;
	bool ended = false;
	ptrdiff_t n = 1;

	(void)state;
	open_log();
	log_info("w", "the reader starts behind this");
	r = open_reader();
	assert_true(log_reader_next(r, buf, sizeof(buf), &lost) > 0);
	start = bytes_written();
	start_writers(many(LINES));
	while (!ended || n) {
		ended = atomic_load(&writers.done) == WRITERS;
		n = log_reader_next(r, buf, 32 << 10, &lost);
		assert_true(n >= 0);
		bytes += lost + (uint64_t)n;
		if (lost)
			memset(next, 0xff, sizeof(next));
		buf[n] = 0;
		check_lines(buf, next);
	}
	end_writers();
	log_reader_close(r);
	assert_int_equal(bytes, bytes_written() - start);
}

/* Who comes anew starts with the oldest lines: those that are overwritten under
 * the copy when the writers run at full speed. */
static void newcomers_beside_writers(void **state)
{
	struct log_reader *r;
	uint64_t lost;
	ptrdiff_t n;

	(void)state;
	open_log();
	start_writers(100 * LINES);
	for (int i = 0; i < 60000 && bytes_written() < 2 * LOG_RING_BYTES; i++)
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	for (int i = 0; i < many(500); i++) {
		long next[WRITERS] = { -1, -1, -1 };

		r = open_reader();
		n = log_reader_next(r, buf, sizeof(buf) - 1, &lost);
		assert_true(n > 0);
		assert_int_equal(lost, 0);
		buf[n] = 0;
		check_lines(buf, next);
		log_reader_close(r);
	}
	end_writers();
}

/* The same across processes, the writer killed at any moment: each restart
 * goes on, and no reader ever sees anything but whole lines. */
static void survives_kill(void **state)
{
	struct log_reader *r = NULL;

	(void)state;
	for (int round = 0; round < 20; round++) {
		struct timespec wait = { 0, 2000000 + round * 300000 };
		uint64_t lost;
		ptrdiff_t n;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			struct err e;

			if (log_open(path, "big-2", 0, &e))
				_exit(1);
			for (;;)
				log_info("t", "round %d %d", round, 12345);
		}
		nanosleep(&wait, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		if (!r)
			r = log_reader_open(path, NULL);
		while (r && (n = log_reader_next(r, buf, 64 << 10, &lost)) > 0) {
			buf[n] = 0;
			for (char *p = strtok(buf, "\n"); p; p = strtok(NULL, "\n")) {
				assert_memory_equal(p, "big-2@rsio ", 11);
				assert_non_null(strstr(p, " 12345"));
				assert_null(strstr(strstr(p, "round"), "big-2"));
			}
		}
	}
	assert_non_null(r);
	log_reader_close(r);
}

static void is_quick(void **state)
{
	struct timespec a, b;
	double each;

	(void)state;
	open_log();
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < 100000; i++)
		log_info("session osl/big-9", "path %s is up after %d ms", "if0/big-9-1", i);
	clock_gettime(CLOCK_MONOTONIC, &b);
	each = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / 100000;
	print_message("a line takes %.0f ns\n", each);
	/* 3 us is the goal; a busy machine must not fail it, but a write to a disk, or a
	 * system call more a line, would be of another order. */
	assert_true(each < 1000000);
}

static void bounded(void **state)
{
	struct log_bound b = { 0 };
	struct log_reader *r;
	unsigned lines = 0;

	(void)state;
	open_log();
	r = open_reader();
	for (unsigned i = 0; i < 1000; i++)
		log_bounded(&b, 7, LOG_LEVEL_WARNING, "srv", "it has moved to %u", i);
	read_text(r);
	for (const char *p = buf; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, LOG_BOUND + 1);
	assert_non_null(strstr(buf, "it has moved to 255\n"));
	assert_null(strstr(buf, "it has moved to 256\n"));
	assert_non_null(strstr(buf, "further ones are left out"));
	/* A minute later. */
	log_bounded(&b, 60000000007, LOG_LEVEL_INFO, "srv", "it has moved back");
	read_text(r);
	assert_non_null(strstr(buf, "744 lines like the last ones were left out"));
	assert_non_null(strstr(buf, "INFO (srv): it has moved back\n"));
	log_reader_close(r);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		TEST(line_has_its_shape),
		TEST(long_and_dirty_lines),
		TEST(wraps_around),
		TEST(slow_reader_learns_what_it_lost),
		TEST(restarted_daemon_goes_on),
		TEST(writer_killed_in_a_line),
		TEST(damaged_ring_is_made_anew),
		TEST(ring_damaged_while_it_is_written),
		TEST(says_what_it_cannot_open),
		TEST(follower_beside_writers),
		TEST(newcomers_beside_writers),
		TEST(survives_kill),
		TEST(is_quick),
		TEST(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
