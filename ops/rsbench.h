/*
 * rsbench.h - what rsbench's files share: the load, the figures, and the ways to
 * carry requests (a session of the protocol; a file or device).
 *
 * One thread does everything.  A carrier keeps `clients` times `jobs` times `depth`
 * requests under way: it asks bench_next what to do and tells bench_done how it went.
 */
#ifndef RSIO_RSBENCH_H
#define RSIO_RSBENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"

enum bench_kind { BENCH_READ, BENCH_WRITE, BENCH_MIXED };

struct bench_options {
	const char *config, *run_dir, *rw;
	unsigned long long block, size;		/* bytes; size 0: all of the target */
	int depth, jobs, clients, paths;	/* paths 0: all */
	int percent;				/* reads of a mixed load */
	int crc;
	double time, poll;			/* seconds; poll < 0: as configured */
	bool verify, json, quiet;
};

/* Latencies in ns: 64 steps an octave, so that a percentile is right to 1.6 %. */
#define BENCH_STEPS 64
#define BENCH_BINS (40 * BENCH_STEPS)
struct bench_latency {
	uint64_t bins[BENCH_BINS];
	uint64_t count, sum, max;
};
void bench_latency_add(struct bench_latency *l, uint64_t ns);
double bench_latency_at(const struct bench_latency *l, double percent);	/* in µs */

struct bench_io {
	bool write;
	uint64_t offset;
	uint32_t count;
	uint64_t started;
	uint32_t since;			/* verification: the block's sequence when a read began */
	uint32_t job;
	uint8_t *buffer;		/* count bytes, page aligned, the io's own */
};

struct bench {
	struct bench_options o;
	const char *target;
	enum bench_kind kind;
	bool random;

	/* Set by the carrier's open. */
	uint64_t size;			/* bytes of the target that are used */
	const char *carrier;		/* "session", "file" */

	/* The load. */
	uint64_t seed, blocks;
	uint64_t *positions;		/* sequential: each job's next block */
	struct bench_verify *verify;
	uint64_t start, now, stop;	/* CLOCK_MONOTONIC, ns */

	/* The figures. */
	struct bench_latency reads, writes;
	uint64_t read_bytes, write_bytes, errors, damaged;
	int first_error;
	unsigned failed_in_row;
};

/* What to do next, for an io of this job; false: time is over. */
bool bench_next(struct bench *b, struct bench_io *io);
/* A completed one; error 0 or -errno; data: what a read brought. */
void bench_done(struct bench *b, struct bench_io *io, int error, const uint8_t *data);
unsigned bench_under_way(const struct bench *b);
uint64_t bench_clock(void);
/* Draws the live line, at most so often; cheap to call. */
void bench_progress(struct bench *b);

/* Carriers: open finds the target and sets size; run returns when the time is over and
 * nothing is under way.  0 or -errno with e filled. */
struct bench_carrier {
	int (*open)(struct bench *b, struct err *e);
	int (*run)(struct bench *b, struct err *e);
	/* Seconds of CPU that the server has used so far; < 0: not known.  May be NULL. */
	double (*server_cpu)(struct bench *b);
	void (*close)(struct bench *b);
};
extern const struct bench_carrier bench_session, bench_file;

/*
 * Verification: every block that this run wrote carries its number, a sequence and a
 * checksum.  One write of a block is under way at a time.  A read must bring what was
 * last acknowledged when it began, or what was written since: an older sequence is
 * stale data.  A read that a write overlapped in time may be torn, so only one that
 * none did is compared by its checksum.
 */
struct bench_verify *bench_verify_new(uint64_t blocks, uint32_t block_size);
void bench_verify_free(struct bench_verify *v);
bool bench_verify_claim(struct bench_verify *v, uint64_t block);	/* false: a write of it is under way */
void bench_verify_fill(struct bench_verify *v, uint64_t block, uint8_t *data);
void bench_verify_wrote(struct bench_verify *v, uint64_t block, bool ok);
uint32_t bench_verify_since(const struct bench_verify *v, uint64_t block);	/* before a read */
bool bench_verify_check(const struct bench_verify *v, uint64_t block, uint32_t since, const uint8_t *data);

#endif
