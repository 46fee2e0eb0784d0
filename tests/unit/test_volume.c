/* links: agent
 * test_volume.c - the backing stores: what is written is read, at any offset and
 * size, through the page cache and past it.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <cmocka.h>
#include "../seed.h"
#include "agent_parts.h"

#define SIZE (4u << 20)

static int set_up(void **state)
{
	(void)state;
	parts_start(1);
	make_file("v.raw", SIZE);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	parts_stop();
	return 0;
}

static uint8_t model[SIZE], got[SIZE];

static void compare(struct volume *v)
{
	for (uint32_t at = 0; at < SIZE; at += 1 << 20)
		assert_int_equal(volume_read(v, got + at, 1 << 20, at), 0);
	assert_memory_equal(got, model, SIZE);
}

static void any_offset_and_size(struct volume *v)
{
	static uint8_t data[100000];

	srandom((unsigned)test_seed(1));
	memset(model, 0, SIZE);
	for (int i = 0; i < 300; i++) {
		uint32_t count = 1 + (uint32_t)random() % (i % 3 ? 5000 : 99999);
		uint32_t offset = (uint32_t)random() % (SIZE - count);

		if (i % 10 == 9) {
			assert_int_equal(volume_zero(v, count, offset, i % 20 == 9, i % 30 == 9), 0);
			memset(model + offset, 0, count);
			continue;
		}
		memset(data, i + 1, count);
		assert_int_equal(volume_write(v, data, count, offset, i % 7 == 0), 0);
		memcpy(model + offset, data, count);
		assert_int_equal(volume_read(v, got, count, offset), 0);
		assert_memory_equal(got, data, count);
	}
	assert_int_equal(volume_flush(v), 0);
	compare(v);
	assert_int_equal(atomic_load(&v->errors), 0);
}

static void a_file(void **state)
{
	struct volume *v = open_volume("v", "v.raw", false);

	(void)state;
	assert_string_equal(v->ops->name, "file");
	assert_int_equal(atomic_load(&v->size), SIZE);
	any_offset_and_size(v);
	volume_put(v);
}

static void past_the_cache(void **state)
{
	struct volume *v = open_volume("v", "v.raw", true);

	(void)state;
	assert_string_equal(v->ops->name, "direct");
	any_offset_and_size(v);
	assert_int_equal(volume_read_now(v, got, 512, 0), -EAGAIN);
	assert_int_equal(volume_write_now(v, got, 512, 0, false), -EAGAIN);
	volume_put(v);
}

struct writer {
	struct volume *v;
	unsigned number;
};

/* Each writes its own quarter of every 512 bytes. */
static void *write_quarters(void *arg)
{
	struct writer *w = arg;
	uint8_t data[128];

	memset(data, (int)w->number + 1, sizeof(data));
	for (uint32_t at = w->number * 128; at < 65536; at += 512)
		assert_int_equal(volume_write(w->v, data, sizeof(data), at, false), 0);
	return NULL;
}

static void parts_of_a_block_at_once(void **state)
{
	struct volume *v = open_volume("v", "v.raw", true);
	pthread_t threads[4];
	struct writer w[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		w[i] = (struct writer){ v, i };
		pthread_create(&threads[i], NULL, write_quarters, &w[i]);
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(volume_read(v, got, 65536, 0), 0);
	for (unsigned i = 0; i < 65536; i++)
		assert_int_equal(got[i], i % 512 / 128 + 1);
	volume_put(v);
}

static void extents(void **state)
{
	struct volume *v = open_volume("v", "v.raw", false);
	uint8_t out[16 * WIRE_EXTENT_SIZE], data[4096] = { 1 };
	uint64_t length, sum = 0;
	uint32_t kind;
	int n;

	(void)state;
	assert_int_equal(volume_write(v, data, 4096, 1 << 20, false), 0);
	n = volume_extents(v, SIZE, 0, out, 16);
	assert_int_equal(n, 3);
	for (int i = 0; i < n; i++) {
		wire_get_extent(out + i * WIRE_EXTENT_SIZE, &length, &kind);
		assert_int_equal(kind, i == 1 ? WIRE_EXTENT_DATA : WIRE_EXTENT_HOLE);
		sum += length;
	}
	assert_int_equal(sum, SIZE);
	/* No more than there is room for, but always one. */
	assert_int_equal(volume_extents(v, SIZE, 0, out, 1), 1);
	wire_get_extent(out, &length, &kind);
	assert_int_equal(length, 1 << 20);
	assert_int_equal(volume_extents(v, 1, SIZE - 1, out, 16), 1);
	wire_get_extent(out, &length, &kind);
	assert_int_equal(length, 1);
	volume_put(v);
}

static void a_file_that_was_cut(void **state)
{
	struct volume *v = open_volume("v", "v.raw", false);
	uint64_t size;

	(void)state;
	assert_int_equal(truncate(in_dir("v.raw"), 100000), 0);
	memset(got, 7, 8192);
	assert_int_equal(volume_read(v, got, 8192, 98304), 0);
	for (int i = 0; i < 8192; i++)
		assert_int_equal(got[i], 0);
	assert_int_equal(volume_read(v, got, 8192, 200000), 0);
	assert_int_equal(volume_size_now(v, &size), 0);
	assert_int_equal(size, 99840);
	volume_put(v);
}

static void a_failed_flush_is_final(void **state)
{
	struct volume *v = open_volume("v", "v.raw", false), *again;
	uint8_t data[512] = { 0 };
	int fd = v->fd;

	(void)state;
	assert_int_equal(volume_flush(v), 0);
	close(fd);
	assert_int_equal(open("/dev/null", O_RDWR), fd);	/* which cannot be synced */
	assert_int_equal(volume_flush(v), -EINVAL);
	assert_int_equal(volume_flush(v), -EUCLEAN);
	assert_int_equal(volume_flush_now(v), -EUCLEAN);
	assert_int_equal(volume_write(v, data, 512, 0, true), -EUCLEAN);
	assert_int_equal(volume_zero(v, 512, 0, true, true), -EUCLEAN);
	assert_int_equal(volume_status(-EUCLEAN), WIRE_E_FLUSH_FAILED);
	again = open_volume("v", "v.raw", false);
	assert_int_equal(volume_flush(again), 0);
	volume_load_flush_error(again);		/* as after a restart */
	assert_int_equal(volume_flush(again), -EUCLEAN);
	volume_clear_flush_error(again);
	assert_int_equal(volume_flush(again), 0);
	volume_put(again);
	volume_put(v);
}

/*
 * A kernel whose write-back fails, as errseq_t in Linux has it: each description learns
 * of it at its next sync, once.  These two stand for the C library's here.
 */
#define FDS 1024

static atomic_uint failures;		/* of write-back so far */
static atomic_uint learnt[FDS];		/* by each descriptor */
static void (*before_check)(void), (*after_check)(void);	/* once each */

static void meanwhile(void (**fn)(void))
{
	void (*f)(void) = *fn;

	*fn = NULL;
	if (f)
		f();
}

static int check_failures(int fd)
{
	unsigned now;

	meanwhile(&before_check);
	now = atomic_load(&failures);
	now = atomic_exchange(&learnt[fd % FDS], now) == now;
	meanwhile(&after_check);
	if (now)
		return 0;
	errno = EIO;
	return -1;
}

static atomic_uint syncs;

int fdatasync(int fd)
{
	atomic_fetch_add(&syncs, 1);
	return syscall(SYS_fdatasync, fd) < 0 ? -1 : check_failures(fd);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	ssize_t done = syscall(SYS_pwritev2, fd, iov, n, (long)offset, 0L, flags);

	atomic_fetch_add(&syncs, flags & RWF_DSYNC ? 1 : 0);
	return done < 0 || !(flags & RWF_DSYNC) || !check_failures(fd) ? done : -1;
}

static bool syncs_to_write(struct volume *v, uint32_t count, uint64_t offset)
{
	static uint8_t data[8192] = { 1 };
	unsigned before = atomic_load(&syncs);

	assert_int_equal(volume_write(v, data, count, offset, false), 0);
	return atomic_load(&syncs) != before;
}

/* A flush by another server does not reach what this host knows of the file's blocks. */
static void new_blocks_of_a_shared_file(void **state)
{
	struct volume *v = open_volume("v", "v.raw", true);
	unsigned before;

	(void)state;
	assert_true(syncs_to_write(v, 4096, 65536));
	assert_false(syncs_to_write(v, 4096, 65536));
	assert_true(syncs_to_write(v, 8192, 65536));	/* half of it is new */
	assert_true(syncs_to_write(v, 8192, SIZE - 8192));
	assert_false(syncs_to_write(v, 8192, SIZE - 8192));
	before = atomic_load(&syncs);
	assert_int_equal(volume_zero(v, 8192, 65536, true, false), 0);
	assert_int_not_equal(atomic_load(&syncs), before);
	volume_put(v);
	v = open_volume("v", "v.raw", false);		/* nobody else flushes it */
	assert_false(syncs_to_write(v, 4096, 1 << 20));
	volume_put(v);
}

static int set_up_failures(void **state)
{
	atomic_store(&failures, 0);
	for (unsigned i = 0; i < FDS; i++)
		atomic_store(&learnt[i], 0);
	return set_up(state);
}

static struct volume *failing;
static pthread_t other;
static int other_result;

static void *flush_other(void *arg)
{
	(void)arg;
	other_result = volume_flush(failing);
	return NULL;
}

/* Flushes in another thread, and gives it time to end if nothing holds it up. */
static void flush_meanwhile(void)
{
	struct timespec until;

	assert_int_equal(pthread_create(&other, NULL, flush_other, NULL), 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 100000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	if (pthread_timedjoin_np(other, NULL, &until) == 0)
		other = 0;
}

static void write_fails(void)
{
	atomic_fetch_add(&failures, 1);
}

/* Two flushes cover a write that is lost; the first has learnt of it and not yet said so. */
static void neither_of_two_flushes(void **state)
{
	(void)state;
	failing = open_volume("v", "v.raw", false);
	assert_int_equal(volume_flush(failing), 0);
	write_fails();
	after_check = flush_meanwhile;
	assert_int_equal(volume_zero(failing, 4096, 0, false, true), -EIO);
	if (other)
		pthread_join(other, NULL);
	assert_int_not_equal(other_result, 0);
	volume_put(failing);
}

static void *write_other(void *arg)
{
	uint8_t data[512] = { 2 };

	(void)arg;
	other_result = volume_write(failing, data, sizeof(data), 8192, true);
	return NULL;
}

static void lose_and_write_other(void)
{
	write_fails();
	assert_int_equal(pthread_create(&other, NULL, write_other, NULL), 0);
	pthread_join(other, NULL);
}

/* What a FUA write wrote is lost, and another one asks first. */
static void neither_of_two_fua_writes(void **state)
{
	uint8_t data[512] = { 1 };

	(void)state;
	failing = open_volume("v", "v.raw", false);
	assert_int_equal(volume_write(failing, data, sizeof(data), 0, true), 0);
	before_check = lose_and_write_other;
	assert_int_not_equal(volume_write(failing, data, sizeof(data), 0, true), 0);
	assert_int_equal(volume_flush(failing), -EUCLEAN);
	volume_put(failing);
}

static struct volume *open_lossy(void)
{
	struct volume_setup setup = { .name = "v", .path = in_dir("v.raw"), .dirfd = AT_FDCWD, .pool = "main" };
	struct err e = { 0 };
	struct volume *v;

	setenv("RSIO_TEST_LOSSY", "1", 1);
	v = volume_open(&server, &setup, &e);
	unsetenv("RSIO_TEST_LOSSY");
	if (!v)
		fail_msg("%s", e.text);
	assert_string_equal(v->ops->name, "lossy");
	return v;
}

static void power_is_lost(void **state)
{
	struct volume *v = open_lossy();
	uint8_t data[5000];

	(void)state;
	any_offset_and_size(v);
	memset(data, 200, sizeof(data));
	assert_int_equal(volume_write(v, data, 5000, 3000, false), 0);
	assert_int_equal(volume_write(v, data, 5000, 1 << 20, true), 0);
	memcpy(model + (1 << 20), data, 5000);
	assert_int_equal(volume_read(v, got, 5000, 3000), 0);
	assert_memory_equal(got, data, 5000);
	volume_put(v);		/* as a crash */
	v = open_lossy();
	compare(v);
	volume_put(v);
}

static void what_is_no_volume(void **state)
{
	struct volume_setup setup = { .name = "d", .path = dir, .dirfd = AT_FDCWD };
	struct err e = { 0 };

	(void)state;
	assert_null(volume_open(&server, &setup, &e));
	assert_non_null(strstr(e.text, dir));
	setup.path = "/dev/null";
	assert_null(volume_open(&server, &setup, &e));
	assert_non_null(strstr(e.text, "neither a file nor a block device"));
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(a_file),
		WITH(past_the_cache),
		WITH(parts_of_a_block_at_once),
		WITH(extents),
		WITH(new_blocks_of_a_shared_file),
		WITH(a_file_that_was_cut),
		WITH(a_failed_flush_is_final),
		WITH(power_is_lost),
		WITH(what_is_no_volume),
		cmocka_unit_test_setup_teardown(neither_of_two_flushes, set_up_failures, tear_down),
		cmocka_unit_test_setup_teardown(neither_of_two_fua_writes, set_up_failures, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
