/* histogram.c - see histogram.h. */
#include "histogram.h"

uint64_t histogram_from(unsigned bucket)
{
	unsigned octave = bucket / HISTOGRAM_STEPS;
	uint64_t n = bucket;

	if (octave > 1)
		n = (uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << (octave - 1);
	return n << HISTOGRAM_UNIT_BITS;
}

uint64_t histogram_count(const struct histogram *h)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		n += histogram_in(h, i);
	return n;
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
	for (unsigned i = 0; from && i < HISTOGRAM_BUCKETS; i++)
		atomic_store_explicit(&to->at[i], histogram_in(to, i) + histogram_in(from, i), memory_order_relaxed);
}

void histogram_since(struct histogram *to, const struct histogram *earlier)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t now = histogram_in(to, i), before = histogram_in(earlier, i);

		/* Less than before: it began anew in between. */
		atomic_store_explicit(&to->at[i], now > before ? now - before : 0, memory_order_relaxed);
	}
}

static double middle(unsigned bucket)
{
	return ((double)histogram_from(bucket) + (double)histogram_from(bucket + 1)) / 2;
}

double histogram_percentile(const struct histogram *h, double percent)
{
	double wanted = (double)histogram_count(h) * percent / 100;
	uint64_t seen = 0;
	unsigned last = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t n = histogram_in(h, i);

		if (!n)
			continue;
		last = i;
		seen += n;
		if ((double)seen >= wanted)
			break;
	}
	return seen ? middle(last) : 0;
}

double histogram_sum(const struct histogram *h)
{
	double sum = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		sum += (double)histogram_in(h, i) * middle(i);
	return sum;
}

uint64_t histogram_below(const struct histogram *h, uint64_t ns)
{
	unsigned end = histogram_bucket(ns);
	uint64_t n = 0;

	for (unsigned i = 0; i < end; i++)
		n += histogram_in(h, i);
	return n;
}
