/*
 * stamp.c - writes blocks that say what they are, and checks them from elsewhere.
 *
 *	stamp write FILE LOG [options]	until --seconds have passed, or SIGTERM
 *	stamp verify FILE LOG [options]	once, or again and again for --seconds
 *
 * Each block of 4 KiB carries the volume's name, its offset, a sequence number
 * that grows with every write of that block, the writer's id, a filling that
 * follows from these, and a checksum.  The log is a shared mapping: for each
 * block the newest sequence that was issued, acknowledged and flushed.  It says
 * so in time, whoever is killed: issued before the write begins, acknowledged
 * after it ended.
 *
 * One writer may have a part of the volume only, from --first on, and another one, with a
 * log of its own, the rest.  With --reads a job reads at times instead of writing, what is
 * its own log's or that of --other, and verifies that.
 *
 * verify may run beside write, in another process and through another client: a
 * block must hold no less than what was acknowledged before it was read, and no
 * more than what was issued after it was read; never another block's, another
 * volume's or another writer's content, and never parts of two writes.  (A read
 * that meets a write of the same block may see parts of both, as on any disk: while
 * one is under way a torn block is read again.)
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "crc.h"

#define BLOCK 4096u
#define BLOCKS_A_WRITE 16u
#define JOBS_MAX 256u
#define STAMP_MAGIC 0x504d415453495352u	/* "RSISTAMP" */
#define COMPLAINTS_MAX 20

struct stamp {				/* at the start of each block, and of the log */
	uint64_t magic;
	char volume[48];
	uint64_t offset;		/* of the log: where its first block is */
	uint64_t sequence;
	uint64_t writer;
	uint32_t blocks;		/* of the log only */
	uint32_t crc;			/* of the block, with 0 here */
};
_Static_assert(sizeof(struct stamp) == offsetof(struct stamp, crc) + 4, "crc is the last");

struct entry {				/* of the log */
	_Atomic uint64_t issued, acknowledged, flushed;
};

struct log {
	struct stamp *head;
	struct entry *entries;
};

static struct {
	const char *volume, *other;
	uint64_t writer, seed, first;
	uint32_t blocks, jobs, flush_every, reads, pause;
	double seconds;
	bool buffered, dsync, go_on, only_flushed, random_size;
} opt = { .volume = "volume", .writer = 1, .seed = 1, .blocks = 1024, .jobs = 4 };

static const char *file_name;
static int file;
static struct log own, other;
static atomic_bool stop;
static atomic_int complaints;
static _Atomic uint64_t done_writes, done_reads, done_flushes, done_errors, longest;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t next_random(uint64_t *state)	/* splitmix64 */
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void put_stamp(uint8_t *block, uint64_t offset, uint64_t sequence)
{
	struct stamp *s = (struct stamp *)block;
	uint64_t *fill = (uint64_t *)(block + sizeof *s), seed = offset * 31 + sequence;

	memset(s, 0, sizeof *s);
	s->magic = STAMP_MAGIC;
	memcpy(s->volume, own.head->volume, sizeof s->volume);
	s->offset = offset;
	s->sequence = sequence;
	s->writer = own.head->writer;
	for (size_t i = 0; i < (BLOCK - sizeof *s) / 8; i++)
		fill[i] = next_random(&seed);
	s->crc = crc32c(0, block, BLOCK);
}

static void complain(uint64_t offset, const char *what, uint64_t got, uint64_t least, uint64_t most)
{
	if (complaints++ < COMPLAINTS_MAX)
		printf("block at %llu: %s (sequence %llu, %llu..%llu is right)\n",
		       (unsigned long long)offset, what, (unsigned long long)got,
		       (unsigned long long)least, (unsigned long long)most);
}

static bool all_zero(const uint8_t *block)
{
	return !block[0] && !memcmp(block, block + 1, BLOCK - 1);
}

static bool whole(const uint8_t *block)
{
	const struct stamp *s = (const struct stamp *)block;
	const size_t at = offsetof(struct stamp, crc);
	uint32_t crc = crc32c(0, block, at);

	crc = crc32c(crc, "\0\0\0", sizeof s->crc);
	crc = crc32c(crc, block + sizeof *s, BLOCK - sizeof *s);
	return s->magic == STAMP_MAGIC && crc == s->crc;
}

/* least: known before the block was read; most: known after it. */
static void check_block(const struct stamp *head, const uint8_t *block, uint64_t offset,
			uint64_t least, uint64_t most)
{
	const struct stamp *s = (const struct stamp *)block;

	if (all_zero(block)) {
		if (least)
			complain(offset, "zeroes, though it was written", 0, least, most);
		return;
	}
	if (!whole(block))
		complain(offset, "torn or foreign content", 0, least, most);
	else if (memcmp(s->volume, head->volume, sizeof s->volume))
		complain(offset, "the content of another volume", s->sequence, least, most);
	else if (s->writer != head->writer)
		complain(offset, "the content of another writer", s->sequence, least, most);
	else if (s->offset != offset)
		complain(offset, "the content of another block", s->sequence, least, most);
	else if (s->sequence < least)
		complain(offset, "older than what was acknowledged", s->sequence, least, most);
	else if (s->sequence > most)
		complain(offset, "newer than what was issued", s->sequence, least, most);
}

static void note_wait(uint64_t ns)
{
	uint64_t most = longest;

	while (ns > most && !atomic_compare_exchange_weak(&longest, &most, ns))
		;
}

static bool failed(const char *what, uint64_t offset, uint64_t began)
{
	done_errors++;
	note_wait(now() - began);
	if (opt.go_on)
		return true;
	printf("%s %s at %llu: %s after %.3f s\n", what, file_name, (unsigned long long)offset,
	       strerror(errno), (double)(now() - began) / 1e9);
	complaints++;
	stop = true;
	return false;
}

static uint64_t lower_bound(const struct entry *e)
{
	return opt.only_flushed ? e->flushed : e->acknowledged;
}

/* A block of which a write is under way may be torn: then it is read again. */
static void check_one(const struct log *l, uint8_t *block, uint32_t b, uint64_t least)
{
	const uint64_t offset = l->head->offset + (uint64_t)b * BLOCK;
	const struct entry *e = &l->entries[b];
	const struct timespec pause = { 0, 2000000 };

	for (int i = 0; i < 100 && !whole(block) && !all_zero(block); i++) {
		if (e->issued == least)
			break;
		nanosleep(&pause, NULL);
		least = lower_bound(e);
		if (pread(file, block, BLOCK, (off_t)offset) != BLOCK)
			break;
	}
	check_block(l->head, block, offset, least, e->issued);
}

/* At most BLOCKS_A_WRITE blocks of that log are what they should be. */
static bool check_some(const struct log *l, uint8_t *buffer, uint32_t first, uint32_t n)
{
	uint64_t least[BLOCKS_A_WRITE], offset = l->head->offset + (uint64_t)first * BLOCK, began;
	ssize_t r;

	for (uint32_t i = 0; i < n; i++)
		least[i] = lower_bound(&l->entries[first + i]);
	began = now();
	r = pread(file, buffer, (size_t)n * BLOCK, (off_t)offset);
	if (r != (ssize_t)(n * BLOCK)) {
		if (r >= 0)
			errno = EIO;	/* nothing here may be short */
		return failed("reading", offset, began);
	}
	note_wait(now() - began);
	done_reads++;
	for (uint32_t i = 0; i < n; i++)
		check_one(l, buffer + (size_t)i * BLOCK, first + i, least[i]);
	return true;
}

/* Writing. */

struct job {
	pthread_t thread;
	uint32_t first, count;		/* its blocks; nobody else writes them */
	uint64_t random;
	uint8_t *buffer;
	unsigned writes;
};

static void write_some(struct job *j)
{
	uint32_t most = j->count < BLOCKS_A_WRITE ? j->count : BLOCKS_A_WRITE;
	uint32_t n = opt.random_size ? 1 + (uint32_t)(next_random(&j->random) % most) : 1;
	uint32_t first = j->first + (uint32_t)(next_random(&j->random) % (j->count - n + 1));
	uint64_t offset = own.head->offset + (uint64_t)first * BLOCK, began;
	struct entry *e = own.entries + first;
	ssize_t r;

	for (uint32_t i = 0; i < n; i++)
		put_stamp(j->buffer + (size_t)i * BLOCK, offset + (uint64_t)i * BLOCK,
			  ++e[i].issued);
	began = now();
	r = pwrite(file, j->buffer, (size_t)n * BLOCK, (off_t)offset);
	if (r != (ssize_t)(n * BLOCK)) {
		if (r >= 0)
			errno = EIO;	/* nothing here may be short */
		failed("writing", offset, began);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		e[i].acknowledged = e[i].issued;
		if (opt.dsync)
			e[i].flushed = e[i].issued;
	}
	note_wait(now() - began);
	done_writes++;
}

static void flush(struct job *j)
{
	uint64_t *seen = malloc(j->count * sizeof *seen), began = now();
	struct entry *e = own.entries + j->first;

	if (!seen)
		abort();
	for (uint32_t i = 0; i < j->count; i++)
		seen[i] = e[i].acknowledged;
	if (fdatasync(file) == 0) {
		for (uint32_t i = 0; i < j->count; i++)
			e[i].flushed = seen[i];
		note_wait(now() - began);
		done_flushes++;
	} else {
		failed("flushing", 0, began);
	}
	free(seen);
}

static void read_some(struct job *j)
{
	const struct log *l = other.head && next_random(&j->random) % 2 ? &other : &own;
	uint32_t most = l->head->blocks < BLOCKS_A_WRITE ? l->head->blocks : BLOCKS_A_WRITE;
	uint32_t n = 1 + (uint32_t)(next_random(&j->random) % most);

	check_some(l, j->buffer, (uint32_t)(next_random(&j->random) % (l->head->blocks - n + 1)), n);
}

static void think(struct job *j)
{
	uint64_t us = next_random(&j->random) % (2 * (uint64_t)opt.pause + 1);
	struct timespec pause = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };

	if (opt.pause)
		nanosleep(&pause, NULL);
}

static void *run_job(void *arg)
{
	struct job *j = arg;

	while (!stop) {
		think(j);
		if (opt.reads && next_random(&j->random) % 100 < opt.reads) {
			read_some(j);
			continue;
		}
		write_some(j);
		if (opt.flush_every && ++j->writes % opt.flush_every == 0)
			flush(j);
	}
	return NULL;
}

static void on_signal(int number)
{
	(void)number;
	stop = true;
}

static int write_mode(void)
{
	static struct job jobs[JOBS_MAX];
	struct sigaction act = { .sa_handler = on_signal };
	uint64_t end = now() + (uint64_t)(opt.seconds * 1e9);
	struct timespec pause = { 0, 10000000 };

	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	for (uint32_t i = 0; i < opt.jobs; i++) {
		struct job *j = &jobs[i];

		j->first = (uint32_t)((uint64_t)opt.blocks * i / opt.jobs);
		j->count = (uint32_t)((uint64_t)opt.blocks * (i + 1) / opt.jobs) - j->first;
		j->random = opt.seed * 1000003 + i;
		j->buffer = aligned_alloc(BLOCK, BLOCKS_A_WRITE * BLOCK);
		if (!j->buffer || pthread_create(&j->thread, NULL, run_job, j)) {
			fprintf(stderr, "stamp: no memory for %u jobs\n", opt.jobs);
			return 1;
		}
	}
	while (!stop && (!opt.seconds || now() < end))
		nanosleep(&pause, NULL);
	stop = true;
	for (uint32_t i = 0; i < opt.jobs; i++) {
		pthread_join(jobs[i].thread, NULL);
		free(jobs[i].buffer);
	}
	printf("%llu writes, %llu errors, longest wait %.3f s, %llu reads, %llu flushes, %d wrong\n",
	       (unsigned long long)done_writes, (unsigned long long)done_errors, (double)longest / 1e9,
	       (unsigned long long)done_reads, (unsigned long long)done_flushes, (int)complaints);
	return complaints ? 1 : 0;
}

/* Verifying. */

static bool verify_once(uint8_t *buffer)
{
	const uint32_t blocks = own.head->blocks;

	for (uint32_t b = 0; b < blocks; b += BLOCKS_A_WRITE)
		if (!check_some(&own, buffer, b, blocks - b < BLOCKS_A_WRITE ? blocks - b : BLOCKS_A_WRITE))
			return false;
	return true;
}

static int verify_mode(void)
{
	uint64_t end = now() + (uint64_t)(opt.seconds * 1e9), written = 0, sum = 0, rounds = 0;
	uint8_t *buffer = aligned_alloc(BLOCK, BLOCKS_A_WRITE * BLOCK);
	struct sigaction act = { .sa_handler = on_signal };

	sigaction(SIGTERM, &act, NULL);
	if (!buffer)
		abort();
	do {
		rounds++;
		if (!verify_once(buffer))
			break;
	} while (!stop && now() < end && !complaints);
	free(buffer);
	for (uint32_t b = 0; b < own.head->blocks; b++) {
		written += own.entries[b].acknowledged != 0;
		sum += own.entries[b].acknowledged;
	}
	printf("%u blocks, %llu of them written %llu times in all, checked %llu times: %d wrong\n",
	       own.head->blocks, (unsigned long long)written, (unsigned long long)sum,
	       (unsigned long long)rounds, (int)complaints);
	return complaints ? 1 : 0;
}

/* Opening. */

static int open_log(struct log *l, const char *name, bool make)
{
	int fd = open(name, make ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0644);
	size_t size = BLOCK + (size_t)opt.blocks * sizeof *l->entries;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || (make && !st.st_size && ftruncate(fd, (off_t)size) < 0)) {
		perror(name);
		return 1;
	}
	if (st.st_size)		/* an earlier run's: go on with its sequences */
		size = (size_t)st.st_size;
	l->head = mmap(NULL, size, make ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (l->head == MAP_FAILED) {
		perror(name);
		return 1;
	}
	l->entries = (struct entry *)((char *)l->head + BLOCK);
	if (make && !l->head->magic) {
		strncpy(l->head->volume, opt.volume, sizeof l->head->volume - 1);
		l->head->writer = opt.writer;
		l->head->offset = opt.first * BLOCK;
		l->head->blocks = opt.blocks;
		l->head->magic = STAMP_MAGIC;
	}
	if (l->head->magic != STAMP_MAGIC || size < BLOCK + (size_t)l->head->blocks * sizeof *l->entries) {
		fprintf(stderr, "stamp: %s is no log\n", name);
		return 1;
	}
	return 0;
}

static int open_logs(const char *name, bool writes)
{
	if (open_log(&own, name, writes) || (opt.other && open_log(&other, opt.other, false)))
		return 1;
	opt.blocks = own.head->blocks;
	if (opt.jobs > opt.blocks || opt.jobs > JOBS_MAX || !opt.jobs) {
		fprintf(stderr, "stamp: %s has %u blocks; more jobs than blocks, or than %u\n", name,
			opt.blocks, JOBS_MAX);
		return 1;
	}
	return 0;
}

static int usage(void)
{
	fputs("usage: stamp write FILE LOG [--volume NAME] [--writer N] [--first BLOCK] [--blocks N]\n"
	      "             [--jobs N] [--seconds S] [--seed N] [--random-size] [--flush-every N]\n"
	      "             [--reads PERCENT] [--other LOG] [--pause MICROSECONDS] [--dsync]\n"
	      "             [--buffered] [--go-on]\n"
	      "       stamp verify FILE LOG [--seconds S] [--flushed] [--buffered]\n"
	      "--pause: on average, between what a job does\n"
	      "--go-on: an error is no failure; what became of that write is not known\n", stderr);
	return 2;
}

static int options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "volume", 1, NULL, 'v' }, { "writer", 1, NULL, 'w' }, { "blocks", 1, NULL, 'b' },
		{ "jobs", 1, NULL, 'j' }, { "seconds", 1, NULL, 's' }, { "seed", 1, NULL, 'r' },
		{ "random-size", 0, NULL, 'z' }, { "flush-every", 1, NULL, 'f' },
		{ "dsync", 0, NULL, 'd' }, { "buffered", 0, NULL, 'B' }, { "go-on", 0, NULL, 'g' },
		{ "flushed", 0, NULL, 'F' }, { "first", 1, NULL, 'o' }, { "reads", 1, NULL, 'R' },
		{ "other", 1, NULL, 'O' }, { "pause", 1, NULL, 'p' }, { 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'v': opt.volume = optarg; break;
		case 'w': opt.writer = strtoull(optarg, NULL, 10); break;
		case 'b': opt.blocks = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'j': opt.jobs = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 's': opt.seconds = strtod(optarg, NULL); break;
		case 'r': opt.seed = strtoull(optarg, NULL, 10); break;
		case 'f': opt.flush_every = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'o': opt.first = strtoull(optarg, NULL, 10); break;
		case 'R': opt.reads = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'p': opt.pause = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'O': opt.other = optarg; break;
		case 'z': opt.random_size = true; break;
		case 'd': opt.dsync = true; break;
		case 'B': opt.buffered = true; break;
		case 'g': opt.go_on = true; break;
		case 'F': opt.only_flushed = true; break;
		default: return 2;
		}
	return argc - optind == 3 && opt.blocks ? 0 : 2;
}

int main(int argc, char **argv)
{
	bool writes;
	int flags;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (options(argc, argv))
		return usage();
	writes = !strcmp(argv[optind], "write");
	if (!writes && strcmp(argv[optind], "verify"))
		return usage();
	file_name = argv[optind + 1];
	if (!writes)
		opt.jobs = 1;
	if (open_logs(argv[optind + 2], writes))
		return 1;
	flags = (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | (opt.buffered ? 0 : O_DIRECT) |
		(opt.dsync ? O_DSYNC : 0);
	file = open(file_name, flags);
	if (file < 0) {
		perror(file_name);
		return 1;
	}
	return writes ? write_mode() : verify_mode();
}
