/*
 * histogram.h - how long things took: fixed in size, made to be added to.
 *
 * Buckets are HISTOGRAM_STEPS to an octave, so a bucket's bounds are a
 * sixteenth apart and its middle is right to a thirty-second: a percentile is
 * right to 3.2 %, from 1 µs up; below, to 32 ns.  Beyond two minutes all is one
 * bucket.  Two histograms are added bucket by bucket, so those of threads, volumes
 * or hosts give that of all, and a later state less an earlier one that of the
 * time between.
 *
 * One thread adds; others may read meanwhile, and see each bucket as it was a moment
 * ago.  Adding is one increment; the count, the percentiles and the like are made from
 * the buckets when they are asked for.  Pure: no clock, no memory.
 */
#ifndef RSIO_HISTOGRAM_H
#define RSIO_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_UNIT_BITS 6		/* the first buckets are 64 ns wide */
#define HISTOGRAM_STEP_BITS 4
#define HISTOGRAM_STEPS (1u << HISTOGRAM_STEP_BITS)
#define HISTOGRAM_OCTAVES 28
#define HISTOGRAM_BUCKETS (HISTOGRAM_OCTAVES * HISTOGRAM_STEPS)

struct histogram {
	_Atomic uint64_t at[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t ns)
{
	uint64_t n = ns >> HISTOGRAM_UNIT_BITS;
	unsigned octave;

	if (n < 2 * HISTOGRAM_STEPS)
		return (unsigned)n;
	octave = 63 - (unsigned)__builtin_clzll(n) - HISTOGRAM_STEP_BITS;
	if (octave > HISTOGRAM_OCTAVES - 2)
		return HISTOGRAM_BUCKETS - 1;
	return octave * HISTOGRAM_STEPS + (unsigned)(n >> octave);
}

/* count of them, that took so long each. */
static inline void histogram_add(struct histogram *h, uint64_t ns, uint64_t count)
{
	_Atomic uint64_t *b = &h->at[histogram_bucket(ns)];

	atomic_store_explicit(b, atomic_load_explicit(b, memory_order_relaxed) + count, memory_order_relaxed);
}

static inline uint64_t histogram_in(const struct histogram *h, unsigned bucket)
{
	return atomic_load_explicit(&h->at[bucket], memory_order_relaxed);
}

/* What is counted in a bucket took at least this, in ns, and less than the next one's. */
uint64_t histogram_from(unsigned bucket);

uint64_t histogram_count(const struct histogram *h);
/* to gets what from has, too.  from NULL: nothing. */
void histogram_merge(struct histogram *to, const struct histogram *from);
/* to gets what came after the earlier state of it. */
void histogram_since(struct histogram *to, const struct histogram *earlier);
/* percent of them, 0 to 100, took no longer than this, in ns: a bucket's middle, to which no
 * more than half its width is wrong.  0: there are none. */
double histogram_percentile(const struct histogram *h, double percent);
/* All together, in ns, each as the middle of its bucket. */
double histogram_sum(const struct histogram *h);
/* How many took less than ns, which has to be a bucket's bound to be exact: each power of
 * two from 64 on is one. */
uint64_t histogram_below(const struct histogram *h, uint64_t ns);

#endif
