/* latency.c - see latency.h. */
#include "latency.h"

static json_t *buckets_json(const struct histogram *h)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t n = histogram_in(h, i);

		if (n)
			json_array_append_new(list, json_pack("[I, I]", (json_int_t)histogram_from(i), (json_int_t)n));
	}
	return list;
}

json_t *latency_json(const struct histogram *h)
{
	uint64_t count = h ? histogram_count(h) : 0;

	if (!count)
		return json_null();
	return json_pack("{s:I, s:f, s:f, s:f, s:f, s:o}", "count", (json_int_t)count,
			 "p50_us", histogram_percentile(h, 50) / 1e3, "p90_us", histogram_percentile(h, 90) / 1e3,
			 "p99_us", histogram_percentile(h, 99) / 1e3, "p999_us", histogram_percentile(h, 99.9) / 1e3,
			 "buckets", buckets_json(h));
}

void latency_add(struct histogram *to, const json_t *latency)
{
	const json_t *pair;
	size_t i;

	json_array_foreach(json_object_get(latency, "buckets"), i, pair) {
		json_int_t from = json_integer_value(json_array_get(pair, 0)), n = json_integer_value(json_array_get(pair, 1));

		if (from >= 0 && n > 0)
			histogram_add(to, (uint64_t)from, (uint64_t)n);
	}
}
