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
		WITH(a_file_that_was_cut),
		WITH(a_failed_flush_is_final),
		WITH(power_is_lost),
		WITH(what_is_no_volume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
