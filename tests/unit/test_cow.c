/* links: agent
 * test_cow.c - a copy of one moment, made while others write; and plain copies.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <cmocka.h>
#include "agent_parts.h"
#include "../../agent/copy.h"
#include "../../agent/cow.h"
#include "../../agent/hold.h"
#include "log.h"

#define CHUNK (64u << 10)
#define SIZE (16u << 20)
#define WRITERS 4

static struct volume *v;
static bool share;
static uint8_t *moment;			/* what the file held then */

/* Not a whole number of chunks, and with holes. */
static int set_up(void **state)
{
	static uint8_t data[300000];

	(void)state;
	parts_start(2);
	make_file("v.raw", SIZE + 3 * 512);
	v = open_volume("v", "v.raw", false);
	memset(data, 'd', sizeof(data));
	for (off_t at = 5000; at < SIZE; at += 1 << 20)
		assert_int_equal(pwrite(v->fd, data, sizeof(data), at), sizeof(data));
	assert_int_equal(pwrite(v->fd, "the end", 7, SIZE + 1000), 7);
	moment = malloc(SIZE + 3 * 512);
	assert_non_null(moment);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(moment);
	volume_put(v);
	parts_stop();
	return 0;
}

static int new_target(void)
{
	int fd = open(in_dir("target"), O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static uint64_t size(void)
{
	return atomic_load(&v->size);
}

static void assert_is_moment(int fd)
{
	static uint8_t got[SIZE + 3 * 512];
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, size());
	assert_int_equal(pread(fd, got, size(), 0), size());
	for (uint64_t at = 0; at < size(); at += 512)
		if (memcmp(got + at, moment + at, 512))
			fail_msg("offset %llu differs", (unsigned long long)at);
}

/*
 * Writers.
 */
static atomic_bool stop;
static atomic_int writes;

static uint32_t dice(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33) % n;
}

/* Each write has its own content; some cross chunks, some make holes. */
static void change_something(uint64_t *seed, uint8_t *buf)
{
	uint32_t count = 512 * (1 + dice(seed, 300));
	uint64_t offset = 512ull * dice(seed, (uint32_t)((size() - count) / 512));
	uint32_t what = dice(seed, 10);

	memset(buf, (int)dice(seed, 255) + 1, count);
	if (what)
		assert_int_equal(volume_write(v, buf, count, offset, what == 1), 0);
	else
		assert_int_equal(volume_zero(v, count, offset, true, false), 0);
	atomic_fetch_add(&writes, 1);
}

static void *write_here_and_there(void *arg)
{
	uint64_t seed = (uintptr_t)arg;
	uint8_t *buf = malloc(512 * 301);

	while (!atomic_load(&stop)) {
		hold_enter(v);
		change_something(&seed, buf);
		hold_leave(v);
	}
	free(buf);
	return NULL;
}

static void start_writers(pthread_t *t)
{
	atomic_store(&stop, false);
	atomic_store(&writes, 0);
	for (uintptr_t i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, write_here_and_there, (void *)(i + 1)), 0);
}

static void end_writers(pthread_t *t)
{
	atomic_store(&stop, true);
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(t[i], NULL);
}

static struct cow *start_cow(int fd)
{
	struct err e = { 0 };
	struct hold *h = hold_begin(&v, 1, 10, &e);
	struct cow *c;

	assert_non_null(h);
	assert_int_equal(pread(v->fd, moment, size(), 0), size());
	c = cow_start(v, fd, share, &e);
	if (!c)
		fail_msg("%s", e.text);
	assert_int_equal(volume_write_now(v, "x", 1, 0, false), -EAGAIN);
	assert_int_equal(hold_end(h, NULL, &e), 0);
	return c;
}

static void copied_while_it_is_written_to(void **state)
{
	pthread_t t[WRITERS];

	(void)state;
	v->memory = true;	/* so that loops would write themselves */
	start_writers(t);
	for (int round = 0; round < 8; round++) {
		struct progress p = { 0 };
		struct err e = { 0 };
		int fd = new_target();
		struct cow *c = start_cow(fd);
		int before = atomic_load(&writes);

		while (round % 2 && atomic_load(&writes) < before + 50)
			;		/* the writers first */
		assert_int_equal(cow_run(c, &p, &e), 0);
		assert_int_equal(atomic_load(&v->guard), 0);
		cow_free(c);
		assert_is_moment(fd);
		assert_true(atomic_load(&p.done) > 0);
		close(fd);
	}
	end_writers(t);
	assert_int_equal(volume_write_now(v, "x", 1, 0, false), 0);
}

static void holes_stay_holes(void **state)
{
	int fd = new_target();
	struct cow *c = start_cow(fd);
	struct stat from, to;
	struct err e;

	(void)state;
	assert_int_equal(cow_run(c, NULL, &e), 0);
	cow_free(c);
	assert_is_moment(fd);
	assert_int_equal(fstat(v->fd, &from), 0);
	assert_int_equal(fstat(fd, &to), 0);
	assert_true(to.st_blocks <= from.st_blocks);
	close(fd);
}

/* The same by sharing blocks; where the file system cannot, each is copied after all. */
static void shared_while_it_is_written_to(void **state)
{
	share = true;
	copied_while_it_is_written_to(state);
	holes_stay_holes(state);
	share = false;
}

/* A chunk is read at the moment when it is needed, and one alone. */
static void a_write_copies_its_own_chunk(void **state)
{
	struct err e;
	int fd = new_target();
	struct cow *c = start_cow(fd);
	off_t data;

	(void)state;
	assert_int_equal(volume_write(v, "new", 3, (1 << 20) + 3 * CHUNK, false), 0);
	data = lseek(fd, 0, SEEK_DATA);
	assert_int_equal(data, (1 << 20) + 3 * CHUNK);
	assert_int_equal(volume_write(v, "new", 3, (1 << 20) + 3 * CHUNK + 50, false), 0);
	assert_int_equal(cow_run(c, NULL, &e), 0);
	cow_free(c);
	assert_is_moment(fd);
	close(fd);
}

/* Nothing can be written to the target, as when the disk is full. */
static int sealed_target(void)
{
	int fd = memfd_create("target", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size()), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	return fd;
}

static void a_copy_that_fails_fails_no_write(void **state)
{
	struct err e = { 0 };
	int fd = sealed_target();
	struct cow *c = start_cow(fd);

	(void)state;
	assert_int_equal(volume_write(v, "new", 3, 5000, false), 0);
	assert_int_equal(volume_write(v, "new", 3, 1 << 20, false), 0);
	assert_int_equal(cow_run(c, NULL, &e), -EPERM);
	assert_int_equal(e.code, EPERM);
	cow_free(c);
	close(fd);
	fd = sealed_target();
	c = start_cow(fd);
	assert_int_equal(cow_run(c, NULL, &e), -EPERM);	/* the copier's own */
	assert_int_equal(volume_write(v, "new", 3, 5000, false), 0);
	cow_free(c);
	close(fd);
}

static void cancelled(void **state)
{
	struct progress p = { .cancel = true };
	struct err e = { 0 };
	int fd = new_target(), second = new_target();
	struct cow *c = start_cow(fd);

	(void)state;
	assert_null(cow_start(v, second, false, &e));
	assert_int_equal(e.code, EBUSY);
	assert_int_equal(cow_run(c, &p, &e), -ECANCELED);
	assert_int_equal(volume_write(v, "new", 3, 5000, false), 0);
	cow_free(c);
	c = cow_start(v, second, false, &e);
	assert_non_null(c);
	cow_free(c);		/* never run */
	assert_int_equal(atomic_load(&v->guard), 0);
	close(fd);
	close(second);
}

/*
 * Turns.
 */
static struct progress waits;
static atomic_int turn_got;

static void *wait_for_turn(void *arg)
{
	struct err e = { 0 };
	int r = cow_turn(&v, 1, true, &waits, &e);

	(void)arg;
	atomic_store(&turn_got, r ? r : 1);
	return NULL;
}

static bool comes(const char *stage)
{
	for (int i = 0; i < 5000; i++) {
		const char *now = atomic_load(&waits.stage);

		if (now && strcmp(now, stage) == 0)
			return true;
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	}
	return false;
}

static void one_after_the_other(void **state)
{
	struct err e = { 0 };
	int fd = new_target();
	struct cow *c;
	pthread_t t;

	(void)state;
	assert_int_equal(cow_turn(&v, 1, true, NULL, &e), 0);
	c = start_cow(fd);
	assert_int_equal(cow_turn(&v, 1, false, NULL, &e), -EBUSY);
	assert_non_null(strstr(e.text, "another copy of "));

	memset(&waits, 0, sizeof(waits));
	atomic_store(&turn_got, 0);
	assert_int_equal(pthread_create(&t, NULL, wait_for_turn, NULL), 0);
	assert_true(comes("waiting for another copy of it"));
	atomic_store(&waits.cancel, true);
	pthread_join(t, NULL);
	assert_int_equal(atomic_load(&turn_got), -ECANCELED);

	memset(&waits, 0, sizeof(waits));
	assert_int_equal(pthread_create(&t, NULL, wait_for_turn, NULL), 0);
	assert_true(comes("waiting for another copy of it"));
	assert_int_equal(cow_run(c, NULL, &e), 0);
	cow_free(c);
	assert_int_equal(atomic_load(&turn_got), -ECANCELED);	/* not yet */
	cow_turn_over(&v, 1);
	pthread_join(t, NULL);
	assert_int_equal(atomic_load(&turn_got), 1);
	assert_int_equal(atomic_load(&waits.of), 0);
	close(fd);
	fd = new_target();
	c = start_cow(fd);
	assert_int_equal(cow_run(c, NULL, &e), 0);
	cow_free(c);
	cow_turn_over(&v, 1);
	close(fd);
}

/* It ends in the middle, with writers in it. */
static void ended_under_load(void **state)
{
	pthread_t t[WRITERS];

	(void)state;
	start_writers(t);
	for (int round = 0; round < 20; round++) {
		int fd = new_target();
		struct cow *c = start_cow(fd);

		while (!(atomic_load(&writes) % 8))
			;
		cow_free(c);
		close(fd);
	}
	end_writers(t);
}

/*
 * Plain copies.
 */
static void a_file_is_copied(void **state)
{
	struct progress p = { 0 };
	struct stat from, to;
	struct err e = { 0 };
	int fd = new_target();

	(void)state;
	assert_int_equal(pread(v->fd, moment, size(), 0), size());
	if (copy_file(v->fd, fd, size(), &p, &e))
		fail_msg("%s", e.text);
	assert_is_moment(fd);
	assert_int_equal(fstat(v->fd, &from), 0);
	assert_int_equal(fstat(fd, &to), 0);
	assert_true(to.st_blocks <= from.st_blocks + 8);
	close(fd);
	fd = new_target();
	atomic_store(&p.cancel, true);
	assert_int_equal(copy_file(v->fd, fd, size(), &p, &e), -ECANCELED);
	assert_int_equal(e.code, ECANCELED);
	close(fd);
}

static void what_is_expected(void **state)
{
	int fd = new_target();

	(void)state;
	assert_true(copy_expect(fd, 1ull << 30) > 0);
	copy_took(fd, 100ull << 20, SECOND);
	copy_took(fd, 100ull << 20, SECOND);
	assert_true(copy_rate(fd) > 0);
	assert_true(copy_expect(fd, 1ull << 30) > copy_expect(fd, 1ull << 20));
	assert_true(copy_data_bytes(v->fd, size()) < size() / 2);
	assert_true(copy_data_bytes(v->fd, size()) >= 16 * 300000);
	close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(copied_while_it_is_written_to),
		TEST(shared_while_it_is_written_to),
		TEST(holes_stay_holes),
		TEST(a_write_copies_its_own_chunk),
		TEST(a_copy_that_fails_fails_no_write),
		TEST(cancelled),
		TEST(one_after_the_other),
		TEST(ended_under_load),
		TEST(a_file_is_copied),
		TEST(what_is_expected),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
