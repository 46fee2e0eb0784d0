/*
 * odd_io.c - reads and writes at any offset, of any length, against a copy in memory.
 *
 *	odd_io FILE BYTES OPERATIONS SEED
 *
 * Prints the first difference and ends with 1, or ends with 0.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/falloc.h>

static uint64_t state;
static uint8_t *copy, *got;

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Small ones often, and ends at or beside the borders of blocks. */
static size_t pick(size_t most)
{
	static const size_t near[] = { 512, 4096, 65536, 131072, 1 << 20 };
	size_t n = near[next() % 5] + next() % 5 - 2;

	if (next() % 2)
		n = 1 + next() % (next() % 3 ? 6000 : 200000);
	return n < most ? n : most;
}

static int differs(int fd, size_t at, size_t length)
{
	ssize_t n = pread(fd, got, length, (off_t)at);

	if (n != (ssize_t)length) {
		printf("read of %zu at %zu gives %zd\n", length, at, n);
		return 1;
	}
	for (size_t i = 0; i < length; i++) {
		if (got[i] == copy[at + i])
			continue;
		printf("at %zu: %d, not %d\n", at + i, got[i], copy[at + i]);
		return 1;
	}
	return 0;
}

static int change(int fd, size_t at, size_t length)
{
	int mode = next() % 10;

	if (mode < 2) {
		memset(copy + at, 0, length);
		return fallocate(fd, FALLOC_FL_KEEP_SIZE | (mode ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE),
				 (off_t)at, (off_t)length);
	}
	for (size_t i = 0; i < length; i++)
		copy[at + i] = (uint8_t)next();
	return pwrite(fd, copy + at, length, (off_t)at) == (ssize_t)length ? 0 : -1;
}

int main(int argc, char **argv)
{
	size_t size = argc == 5 ? strtoul(argv[2], NULL, 10) : 0;
	int fd = argc == 5 ? open(argv[1], O_RDWR) : -1;

	copy = malloc(size + 1);
	got = malloc(size + 1);
	if (fd < 0 || !copy || !got || pread(fd, copy, size, 0) != (ssize_t)size) {
		perror(argc == 5 ? argv[1] : "usage: odd_io FILE BYTES OPERATIONS SEED");
		return 2;
	}
	state = strtoul(argv[4], NULL, 10) | 1;
	for (long i = strtol(argv[3], NULL, 10); i > 0; i--) {
		size_t at = next() % size, length = pick(size - at);

		if (next() % 3 == 0) {
			if (differs(fd, at, length))
				return 1;
		} else if (change(fd, at, length) < 0) {
			perror("change");
			printf("at %zu, %zu bytes\n", at, length);
			return 1;
		}
	}
	return differs(fd, 0, size);
}
