/* view_numbers.c - see view.h: what volumes do, and how long it takes. */
#include "view.h"
#include "view_impl.h"

const char *view_latency(char *buf, const json_t *object, const char *key)
{
	const json_t *l = json_object_get(object, key);
	char a[VIEW_SHORT], b[VIEW_SHORT], c[VIEW_SHORT], d[VIEW_SHORT];

	if (!json_is_object(l))
		return "-";
	snprintf(buf, VIEW_LATENCY, "p50 %s, p90 %s, p99 %s, p99.9 %s", view_time(a, view_num(l, "p50_us", 0)),
		 view_time(b, view_num(l, "p90_us", 0)), view_time(c, view_num(l, "p99_us", 0)),
		 view_time(d, view_num(l, "p999_us", 0)));
	return buf;
}

static void put_side(FILE *f, const json_t *volume, const char *indent, const char *what, const char *iops,
		     const char *rate, const char *latency)
{
	char bytes[VIEW_SHORT], text[VIEW_LATENCY];

	if (json_is_object(json_object_get(volume, latency)))
		fprintf(f, "%s%-7s %.0f/s, %s/s; %s\n", indent, what, view_num(volume, iops, 0),
			view_bytes(bytes, view_num(volume, rate, 0)), view_latency(text, volume, latency));
}

void view_put_numbers(FILE *f, const json_t *volume, const char *indent)
{
	put_side(f, volume, indent, "reads", "read_iops", "read_rate", "read_latency");
	put_side(f, volume, indent, "writes", "write_iops", "write_rate", "write_latency");
}

static const char *percentile(char *buf, const json_t *volume, const char *side, const char *which)
{
	return view_time(buf, view_num(json_object_get(volume, side), which, 0));
}

/* Of the volumes that were used: a table below that of all. */
static void put_row(FILE *f, const json_t *v)
{
	char a[VIEW_SHORT], b[VIEW_SHORT], c[VIEW_SHORT], d[VIEW_SHORT], e[VIEW_SHORT];

	fprintf(f, "%-16s %6.0f %6.0f %10s %9s %9s %9s %9s\n", view_str(v, "name"), view_num(v, "read_iops", 0),
		view_num(v, "write_iops", 0),
		view_bytes(a, view_num(v, "read_rate", 0) + view_num(v, "write_rate", 0)),
		percentile(b, v, "read_latency", "p50_us"), percentile(c, v, "read_latency", "p99_us"),
		percentile(d, v, "write_latency", "p50_us"), percentile(e, v, "write_latency", "p99_us"));
}

void view_put_number_table(FILE *f, const json_t *volumes)
{
	bool heading = false;
	const json_t *v;
	size_t i;

	json_array_foreach(volumes, i, v) {
		if (!json_is_object(json_object_get(v, "read_latency")) &&
		    !json_is_object(json_object_get(v, "write_latency")))
			continue;
		if (!heading)
			fputs("\nvolume           read/s  wri/s    bytes/s  read p50       p99 write p50       p99\n", f);
		heading = true;
		put_row(f, v);
	}
}
