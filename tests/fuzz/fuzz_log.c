/*
 * fuzz_log.c - the log's ring with whatever in it, for readers and for the
 * daemon that finds it at its start or while it writes.
 *
 * The input gives the header's fields, each right or wrong, a pattern for the
 * data, and what happens to the file in between.  The files are in memory: in a
 * file system most of the time would go into making and removing them.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "fuzz.h"
#include "log_ring.h"
#include "memfile.h"

#define FILE_SIZE LOG_RING_MIN
#define DATA_SIZE (FILE_SIZE - LOG_RING_HEADER)
#define READS_MAX 200

static const char path[] = MEMFILE_DIR "ring", other[] = MEMFILE_DIR "other";
static char buf[8192];

/* A number near one that matters, or any. */
static uint64_t position(struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);

	if (how < 200)
		return (how & 7) * (uint64_t)DATA_SIZE + fuzz_u16(in);
	if (how < 230)
		return fuzz_u32(in);
	return fuzz_u64(in);
}

static void make_header(struct fuzz_in *in, struct log_ring_header *h)
{
	uint8_t wrong = fuzz_u8(in);
	uint64_t written = position(in);
	size_t n;
	const uint8_t *magic;

	memcpy(h->magic, LOG_RING_MAGIC, sizeof(h->magic));
	h->data_size = DATA_SIZE;
	atomic_store(&h->written, written);
	atomic_store(&h->claimed, written + fuzz_u8(in) * (wrong & 128 ? 300u : 1u));
	if ((wrong & 7) == 1)
		h->data_size = position(in);
	if ((wrong & 7) == 2)
		atomic_store(&h->claimed, position(in));
	if ((wrong & 7) != 3)
		return;
	magic = fuzz_bytes(in, sizeof(h->magic), &n);
	memcpy(h->magic, magic, n);
}

static void make_file(struct fuzz_in *in, const char *name)
{
	static union {
		struct log_ring_header header;
		uint8_t bytes[FILE_SIZE];
	} file;
	uint8_t cut = fuzz_u8(in);
	size_t size = cut < 230 ? FILE_SIZE : cut < 240 ? 1u << (cut - 230) : FILE_SIZE + 4096;
	size_t have;
	const uint8_t *pattern;

	memset(&file.header, 0, sizeof(file.header));
	make_header(in, &file.header);
	pattern = fuzz_bytes(in, fuzz_u8(in), &have);
	memset(file.bytes + LOG_RING_HEADER, '\n', 256);
	memcpy(file.bytes + LOG_RING_HEADER, pattern, have);
	for (size_t at = 256; at < DATA_SIZE; at += 256)
		memcpy(file.bytes + LOG_RING_HEADER + at, file.bytes + LOG_RING_HEADER, 256);
	memfile_make(name, file.bytes, sizeof(file), size);
}

static void change_header(struct fuzz_in *in)
{
	struct log_ring_header h;

	memset(&h, 0, sizeof(h));
	make_header(in, &h);
	memfile_change(path, &h, sizeof(h));
}

/* Something happens to the file while it is read. */
static void disturb(struct fuzz_in *in)
{
	uint8_t what = fuzz_left(in) ? fuzz_u8(in) % 8 : 7;

	if (what == 0) {
		change_header(in);
	} else if (what == 1) {
		make_file(in, other);
		fuzz_check(rename(other, path) == 0);
	} else if (what == 2) {
		memfile_cut(path, fuzz_u16(in));
	}
}

static void read_all(struct log_reader *r, struct fuzz_in *in)
{
	uint64_t lost;

	for (int i = 0; i < READS_MAX; i++) {
		size_t size = LOG_LINE_MAX +
			      (fuzz_left(in) ? fuzz_u16(in) % (sizeof(buf) - LOG_LINE_MAX) : 7000);
		ptrdiff_t n = log_reader_next(r, buf, size, &lost);

		fuzz_check(n <= (ptrdiff_t)size && n > -4096);
		fuzz_check(n <= 0 || buf[n - 1] == '\n');
		if (n <= 0 && !lost && !fuzz_left(in))
			return;
		disturb(in);
	}
}

static void try_reader(struct fuzz_in *in)
{
	struct err e = { .code = 0 };
	struct log_reader *r;

	make_file(in, path);
	r = log_reader_open(path, &e);
	fuzz_check(r || (e.code && e.text[0]));
	if (r)
		read_all(r, in);
	log_reader_close(r);
}

/* The line that was written last is the last that a reader gets. */
static void check_last(const char *line)
{
	struct log_reader *r;
	uint64_t lost;
	ptrdiff_t n;
	struct err e;
	size_t length = strlen(line), have = 0;

	r = log_reader_open(path, &e);
	fuzz_check(r);
	while ((n = log_reader_next(r, buf, sizeof(buf) - 1, &lost)) > 0 || lost)
		if (n > 0)
			have = (size_t)n;
	log_reader_close(r);
	fuzz_check(n == 0 && have > length + 1);
	fuzz_check(memcmp(buf + have - 1 - length, line, length) == 0);
}

static void try_writer(struct fuzz_in *in)
{
	static const char last[] = "the last line";
	bool touched = false;
	struct err e;

	make_file(in, path);
	fuzz_check(log_open(path, "node", 0, &e) == 0);
	while (fuzz_left(in)) {
		uint8_t what = fuzz_u8(in);
		size_t n;
		const uint8_t *text = fuzz_bytes(in, what, &n);

		log_info("part", "%.*s", (int)n, (const char *)text);
		if (what < 4) {
			change_header(in);
			touched = true;
		}
	}
	log_info("part", "%s", last);
	if (!touched)
		check_last(last);
	log_close();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, data + size };

	if (fuzz_u8(&in) % 4)
		try_reader(&in);
	else
		try_writer(&in);
	memfile_end();
	return 0;
}
