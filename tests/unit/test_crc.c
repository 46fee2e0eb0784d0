/* test_crc.c - CRC32C: the published values, and instruction against table. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "crc.h"

static void check_both(const void *data, size_t length, uint32_t want)
{
	assert_int_equal(crc32c(0, data, length), want);
	assert_int_equal(crc32c_table(0, data, length), want);
}

/* RFC 3720, appendix B.4: the bytes there are the register's, least first. */
static void published_values(void **state)
{
	static const uint8_t read_command[48] = {
		0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0x14, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
		0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0,
	};
	uint8_t b[32];

	(void)state;
	check_both("", 0, 0);
	check_both("123456789", 9, 0xe3069283);
	memset(b, 0, sizeof b);
	check_both(b, sizeof b, 0x8a9136aa);
	memset(b, 0xff, sizeof b);
	check_both(b, sizeof b, 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		b[i] = (uint8_t)i;
	check_both(b, sizeof b, 0x46dd794e);
	for (int i = 0; i < 32; i++)
		b[i] = (uint8_t)(31 - i);
	check_both(b, sizeof b, 0x113fdb5c);
	check_both(read_command, sizeof read_command, 0xd9963a56);
}

static uint8_t *noise(size_t size)
{
	uint8_t *b = malloc(size);
	uint64_t x = 88172645463325252u;

	assert_non_null(b);
	for (size_t i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		b[i] = (uint8_t)x;
	}
	return b;
}

/* A register's worth of bits by the definition, for what the table itself may have wrong. */
static uint32_t by_definition(uint32_t crc, const uint8_t *p, size_t n)
{
	crc = ~crc;
	for (; n; p++, n--) {
		crc ^= *p;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void every_length(void **state)
{
	uint8_t *b = noise(5008);
	uint32_t want = 0;

	(void)state;
	for (size_t n = 0; n <= 5000; n++) {
		assert_int_equal(crc32c(0, b, n), want);
		assert_int_equal(crc32c_table(0, b, n), want);
		want = by_definition(want, b + n, 1);
	}
	for (size_t at = 1; at < 8; at++)
		for (size_t n = 0; n <= 5000; n += 61)
			assert_int_equal(crc32c(7, b + at, n), crc32c_table(7, b + at, n));
	free(b);
}

static void long_data(void **state)
{
	size_t size = (1 << 20) + 13;
	uint8_t *b = noise(size);

	(void)state;
	assert_int_equal(crc32c(0, b, size), by_definition(0, b, size));
	for (size_t n = 8100; n < 8300; n++)
		assert_int_equal(crc32c(0, b, n), crc32c_table(0, b, n));
	free(b);
}

static void odd_splits(void **state)
{
	static const size_t steps[] = { 1, 3, 7, 8, 37, 503, 504, 505, 4096, 8183, 8185, 16001 };
	size_t size = 40009;
	uint8_t *b = noise(size);
	uint32_t want = crc32c_table(0, b, size);

	(void)state;
	for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
		uint32_t crc = 0;

		for (size_t at = 0, n; at < size; at += n) {
			n = size - at < steps[s] ? size - at : steps[s];
			crc = crc32c(crc, b + at, n);
		}
		assert_int_equal(crc, want);
	}
	free(b);
}

static void *one_thread(void *arg)
{
	uint8_t *b = arg;

	return (void *)(uintptr_t)crc32c(0, b, 9000);
}

/* Several first calls at once: all of them right, and under a thread checker silent.  Only the
 * first test of this program sees an unresolved function, so it comes first. */
static void first_calls_at_once(void **state)
{
	uint8_t *b = noise(9000);
	pthread_t threads[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, one_thread, b), 0);
	for (int i = 0; i < 8; i++) {
		void *got;

		assert_int_equal(pthread_join(threads[i], &got), 0);
		assert_int_equal((uintptr_t)got, by_definition(0, b, 9000));
	}
	free(b);
}

static void has_a_name(void **state)
{
	const char *name = crc32c_name();

	(void)state;
	assert_true(!strcmp(name, "sse4.2") || !strcmp(name, "armv8") || !strcmp(name, "table"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_calls_at_once),
		cmocka_unit_test(published_values),
		cmocka_unit_test(every_length),
		cmocka_unit_test(long_data),
		cmocka_unit_test(odd_splits),
		cmocka_unit_test(has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
