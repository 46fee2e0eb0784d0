/*
 * view_metrics.h - how OpenMetrics text is written.  For lib/view_metrics*.c only.
 */
#ifndef RSIO_VIEW_METRICS_H
#define RSIO_VIEW_METRICS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include "histogram.h"

struct metrics_family {
	const char *name;	/* without _total */
	const char *type;	/* "counter", "gauge" or "histogram" */
	const char *unit;	/* NULL: none; else the name ends with it */
	const char *help;
	const char *key;	/* the member that it shows */
	double factor;		/* and what that is multiplied with: metrics are in seconds and bytes */
};

void metrics_head(FILE *f, const char *name, const char *type, const char *unit, const char *help);
void metrics_family(FILE *f, const struct metrics_family *family);
void metrics_label(FILE *f, const char *before, const char *name, const char *value);
/* A string is a whole number as well, one that not every reader of JSON could keep. */
bool metrics_is_number(const json_t *v);
void metrics_number(FILE *f, const json_t *v, double factor);

/*
 * A histogram: how many took less than each second power of two ns from 16 us to 17 s,
 * then all, how many, and their sum.
 *	if (metrics_read(&h, what latency_json made))
 *		while (metrics_next(f, family, &h)) {
 *			metrics_label(f, "{", ...);
 *			metrics_value(f, &h);
 *		}
 */
struct metrics_histogram {
	struct histogram h;
	uint64_t count;
	unsigned bit;		/* of the bound whose sample is being written; beyond the last: +Inf, count, sum */
};
bool metrics_read(struct metrics_histogram *h, const json_t *latency);	/* false: there is nothing */
bool metrics_next(FILE *f, const struct metrics_family *family, struct metrics_histogram *h);
void metrics_value(FILE *f, const struct metrics_histogram *h);		/* closes the labels */

#endif
