/*
 * latency.h - a histogram as JSON, and back.
 *
 * { "count": n, "p50_us": µs, "p90_us": …, "p99_us": …, "p999_us": …,
 *   "buckets": [ [from, n], … ] }
 * with a pair for each bucket that is not empty: what took at least `from` ns, and less
 * than the next sixteenth of an octave.  Who adds the buckets of two such objects, or
 * takes those of an earlier one off, has the percentiles of both, or of the time between.
 */
#ifndef RSIO_LATENCY_H
#define RSIO_LATENCY_H

#include <jansson.h>
#include "histogram.h"

/* A new reference; null where nothing was counted.  h may be NULL. */
json_t *latency_json(const struct histogram *h);
/* Adds what such an object says; anything else counts as nothing. */
void latency_add(struct histogram *to, const json_t *latency);

#endif
