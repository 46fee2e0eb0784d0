/* view_metrics_text.c - see view_metrics.h. */
#include <inttypes.h>
#include <string.h>
#include "latency.h"
#include "view_metrics.h"

#define FIRST_BIT 14	/* 16 us */
#define LAST_BIT 34	/* 17 s */
#define INF (LAST_BIT + 2)
#define COUNT (INF + 2)
#define SUM (COUNT + 2)

void metrics_head(FILE *f, const char *name, const char *type, const char *unit, const char *help)
{
	fprintf(f, "# TYPE %s %s\n", name, type);
	if (unit)
		fprintf(f, "# UNIT %s %s\n", name, unit);
	fprintf(f, "# HELP %s %s\n", name, help);
}

void metrics_family(FILE *f, const struct metrics_family *family)
{
	metrics_head(f, family->name, family->type, family->unit, family->help);
}

void metrics_label(FILE *f, const char *before, const char *name, const char *value)
{
	fprintf(f, "%s%s=\"", before, name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", f);
		else if (*value == '"' || *value == '\\')
			fprintf(f, "\\%c", *value);
		else
			fputc(*value, f);
	}
	fputc('"', f);
}

bool metrics_is_number(const json_t *v)
{
	return json_is_number(v) || json_is_string(v);
}

void metrics_number(FILE *f, const json_t *v, double factor)
{
	if (json_is_string(v))
		fprintf(f, " %s\n", json_string_value(v));
	else if (json_is_integer(v) && factor == 1)
		fprintf(f, " %" JSON_INTEGER_FORMAT "\n", json_integer_value(v));
	else
		fprintf(f, " %.9g\n", json_number_value(v) * factor);
}

bool metrics_read(struct metrics_histogram *h, const json_t *latency)
{
	memset(h, 0, sizeof(*h));
	latency_add(&h->h, latency);
	h->count = histogram_count(&h->h);
	return h->count;
}

bool metrics_next(FILE *f, const struct metrics_family *family, struct metrics_histogram *h)
{
	h->bit = h->bit ? h->bit + 2 : FIRST_BIT;
	if (h->bit > SUM)
		return false;
	fprintf(f, "%s%s", family->name, h->bit <= INF ? "_bucket" : h->bit == COUNT ? "_count" : "_sum");
	return true;
}

void metrics_value(FILE *f, const struct metrics_histogram *h)
{
	if (h->bit < INF)
		fprintf(f, ",le=\"%.12g\"} %" PRIu64 "\n", (double)(UINT64_C(1) << h->bit) / 1e9,
			histogram_below(&h->h, UINT64_C(1) << h->bit));
	else if (h->bit == INF)
		fprintf(f, ",le=\"+Inf\"} %" PRIu64 "\n", h->count);
	else if (h->bit == COUNT)
		fprintf(f, "} %" PRIu64 "\n", h->count);
	else
		fprintf(f, "} %.9g\n", histogram_sum(&h->h) / 1e9);
}
