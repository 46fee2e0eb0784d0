/*
 * view_metrics.c - see view.h: OpenMetrics text.
 *
 * The format wants all samples of a family together, after its HELP, TYPE and
 * UNIT; so each family walks all namespaces once.  A family is a row of a table:
 * the member that it shows, and what the member is multiplied with (metrics are
 * in seconds and bytes).
 */
#include <string.h>
#include "view.h"
#include "view_impl.h"
#include "view_metrics.h"

#define ALL(a) (a), sizeof(a) / sizeof((a)[0])

static const struct metrics_family path_families[] = {
	{ "rsio_path_rtt_seconds", "gauge", "seconds", "Recent time from a command to its answer.",
	  "rtt_us", 1e-6 },
	{ "rsio_path_state_age_seconds", "gauge", "seconds", "Time in the path's present state.",
	  "since", 1 },
	{ "rsio_path_in_flight", "gauge", NULL, "Commands sent and not answered yet.",
	  "in_flight", 1 },
	{ "rsio_path_in_flight_bytes", "gauge", "bytes", "Payload of the commands in flight.",
	  "bytes_in_flight", 1 },
	{ "rsio_path_share_ratio", "gauge", "ratio", "The path's part of the commands of its session.",
	  "share", 1 },
	{ "rsio_path_commands", "counter", NULL, "Commands completed over the path.",
	  "commands", 1 },
	{ "rsio_path_read_bytes", "counter", "bytes", "Payload received over the path.",
	  "read_bytes", 1 },
	{ "rsio_path_write_bytes", "counter", "bytes", "Payload sent over the path.",
	  "write_bytes", 1 },
	{ "rsio_path_errors", "counter", NULL, "Failures of the path.", "errors", 1 },
};

static const struct metrics_family volume_families[] = {
	{ "rsio_volume_size_bytes", "gauge", "bytes", "Size of the volume.", "size", 1 },
	{ "rsio_volume_generation", "gauge", NULL,
	  "Generation: changes when content is replaced behind the clients' backs.",
	  "generation", 1 },
	{ "rsio_volume_servers", "gauge", NULL, "Servers that offer the volume.", "servers", 1 },
	{ "rsio_volume_give_up_seconds", "gauge", "seconds",
	  "Time until waiting commands are given up; absent while none is counted.",
	  "give_up_in", 1 },
	{ "rsio_volume_opens", "gauge", NULL, "Users of the volume on this client.", "opens", 1 },
	{ "rsio_volume_in_flight", "gauge", NULL, "Commands submitted and not done yet.",
	  "in_flight", 1 },
	{ "rsio_volume_reads", "counter", NULL, "Reads completed.", "reads", 1 },
	{ "rsio_volume_read_bytes", "counter", "bytes", "Bytes read.", "read_bytes", 1 },
	{ "rsio_volume_writes", "counter", NULL, "Writes completed.", "writes", 1 },
	{ "rsio_volume_write_bytes", "counter", "bytes", "Bytes written.", "write_bytes", 1 },
	{ "rsio_volume_flushes", "counter", NULL, "Flushes completed.", "flushes", 1 },
	{ "rsio_volume_errors", "counter", NULL, "Commands that ended with an error.",
	  "errors", 1 },
	{ "rsio_volume_resent", "counter", NULL, "Commands sent again after a path was lost.",
	  "resent", 1 },
};

static const struct metrics_family latency_families[] = {
	{ "rsio_volume_read_latency_seconds", "histogram", "seconds", "Time from a read to its end.", "read_latency", 0 },
	{ "rsio_volume_write_latency_seconds", "histogram", "seconds", "Time from a write to its end.",
	  "write_latency", 0 },
};

static const struct metrics_family memory_families[] = {
	{ "rsio_buffers_used_bytes", "gauge", "bytes", "Write data in hand.", "buffers_used", 1 },
	{ "rsio_buffers_held_bytes", "gauge", "bytes", "Memory kept for write data.",
	  "buffers_held", 1 },
	{ "rsio_buffers_limit_bytes", "gauge", "bytes", "Most write data in hand.",
	  "buffers_limit", 1 },
	{ "rsio_requests_in_hand", "gauge", NULL, "Requests of the kernel not answered yet.",
	  "requests", 1 },
	{ "rsio_requests_interrupted", "counter", NULL, "Requests whose waiter was killed.",
	  "interrupted", 1 },
	{ "rsio_buffer_waits", "counter", NULL, "Times that no buffer was left.", "paused", 1 },
};

static const char *const path_states[] = {
	"down", "unused", "connecting", "hello", "waiting", "login", "up", "draining", "stopped",
};
static const char *const server_states[] = { "up", "connecting", "lost" };
static const char *const volume_states[] = { "ready", "waiting", "lost", "stale", "gone", "cache-lost" };

/* What a family's samples are taken from, one at a time. */
struct sample {
	FILE *f;
	const struct metrics_family *family;
	const char *const *states;	/* for a state set: the family is NULL */
	size_t state_count;
	const char *set;		/* its name */
};

static void path_labels(FILE *f, const struct view_path *p)
{
	metrics_label(f, "{", "namespace", view_str(p->ns, "name"));
	metrics_label(f, ",", "server", p->server ? view_str(p->server, "name") : "");
	metrics_label(f, ",", "path", view_str(p->path, "name"));
}

static void path_sample(void *arg, const struct view_path *p)
{
	const struct sample *s = arg;
	const json_t *v = json_object_get(p->path, s->family->key);

	if (!json_is_number(v))
		return;
	fprintf(s->f, "%s%s", s->family->name, s->family->type[0] == 'c' ? "_total" : "");
	path_labels(s->f, p);
	fputc('}', s->f);
	metrics_number(s->f, v, s->family->factor);
}

static void path_state(void *arg, const struct view_path *p)
{
	const struct sample *s = arg;

	for (size_t i = 0; i < s->state_count; i++) {
		fputs(s->set, s->f);
		path_labels(s->f, p);
		metrics_label(s->f, ",", s->set, s->states[i]);
		fprintf(s->f, "} %d\n", view_is(p->path, "state", s->states[i]));
	}
}

static void path_latency(void *arg, const struct view_path *p)
{
	struct metrics_histogram h;
	const struct sample *s = arg;

	if (!metrics_read(&h, json_object_get(p->path, s->family->key)))
		return;
	while (metrics_next(s->f, s->family, &h)) {
		path_labels(s->f, p);
		metrics_value(s->f, &h);
	}
}

static void put_paths(FILE *f, const json_t *namespaces)
{
	static const struct metrics_family latency = {
		"rsio_path_latency_seconds", "histogram", "seconds",
		"Time from sending a read or write over the path to its answer.", "latency", 0
	};
	struct sample s = { f, &latency, ALL(path_states), "rsio_path_state" };
	size_t i;
	json_t *ns;

	metrics_head(f, s.set, "stateset", NULL, "State of the path.");
	json_array_foreach(namespaces, i, ns)
		view_each_path(ns, i, path_state, &s);
	metrics_family(f, &latency);
	json_array_foreach(namespaces, i, ns)
		view_each_path(ns, i, path_latency, &s);
	for (size_t n = 0; n < sizeof(path_families) / sizeof(path_families[0]); n++) {
		s.family = &path_families[n];
		metrics_family(f, s.family);
		json_array_foreach(namespaces, i, ns)
			view_each_path(ns, i, path_sample, &s);
	}
}

/* The states of the servers or the volumes of all namespaces. */
static void put_states(FILE *f, const json_t *namespaces, const char *list, const char *thing,
		       const char *set, const char *const *states, size_t count)
{
	size_t i, j;
	json_t *ns, *item;

	json_array_foreach(namespaces, i, ns) {
		json_array_foreach(view_list(ns, list), j, item) {
			for (size_t n = 0; n < count; n++) {
				fputs(set, f);
				metrics_label(f, "{", "namespace", view_str(ns, "name"));
				metrics_label(f, ",", thing, view_str(item, "name"));
				metrics_label(f, ",", set, states[n]);
				fprintf(f, "} %d\n", view_is(item, "state", states[n]));
			}
		}
	}
}

static void put_volume_family(FILE *f, const json_t *namespaces, const struct metrics_family *family)
{
	size_t i, j;
	json_t *ns, *volume;

	metrics_family(f, family);
	json_array_foreach(namespaces, i, ns) {
		json_array_foreach(view_list(ns, "volumes"), j, volume) {
			const json_t *v = json_object_get(volume, family->key);

			if (!metrics_is_number(v))
				continue;
			fprintf(f, "%s%s", family->name, family->type[0] == 'c' ? "_total" : "");
			metrics_label(f, "{", "namespace", view_str(ns, "name"));
			metrics_label(f, ",", "volume", view_str(volume, "name"));
			fputc('}', f);
			metrics_number(f, v, family->factor);
		}
	}
}

static void put_volume_latency(FILE *f, const json_t *namespaces, const struct metrics_family *family)
{
	struct metrics_histogram h;
	size_t i, j;
	json_t *ns, *volume;

	metrics_family(f, family);
	json_array_foreach(namespaces, i, ns) {
		json_array_foreach(view_list(ns, "volumes"), j, volume) {
			if (!metrics_read(&h, json_object_get(volume, family->key)))
				continue;
			while (metrics_next(f, family, &h)) {
				metrics_label(f, "{", "namespace", view_str(ns, "name"));
				metrics_label(f, ",", "volume", view_str(volume, "name"));
				metrics_value(f, &h);
			}
		}
	}
}

/* One member of one object as a family of one sample. */
static void put_single(FILE *f, const json_t *object, const struct metrics_family *family)
{
	const json_t *v = json_object_get(object, family->key);

	metrics_family(f, family);
	if (!json_is_number(v))
		return;
	fprintf(f, "%s%s", family->name, family->type[0] == 'c' ? "_total" : "");
	metrics_number(f, v, family->factor);
}

static void put_client(FILE *f, const json_t *status)
{
	static const struct metrics_family uptime = {
		"rsio_uptime_seconds", "gauge", "seconds", "Time since the client daemon started.",
		"uptime", 1
	};
	const json_t *memory = json_object_get(status, "memory");

	metrics_head(f, "rsio_build", "info", NULL, "The client daemon's version.");
	fputs("rsio_build_info", f);
	metrics_label(f, "{", "version", view_str(status, "version"));
	fputs("} 1\n", f);
	put_single(f, status, &uptime);
	for (size_t n = 0; n < sizeof(memory_families) / sizeof(memory_families[0]); n++)
		put_single(f, memory, &memory_families[n]);
}

static void put_devices(FILE *f, const json_t *status)
{
	size_t i;
	json_t *d;

	metrics_head(f, "rsio_device", "info", NULL, "Attached block devices.");
	json_array_foreach(view_list(status, "devices"), i, d) {
		fputs("rsio_device_info", f);
		metrics_label(f, "{", "namespace", view_str(d, "namespace"));
		metrics_label(f, ",", "volume", view_str(d, "volume"));
		metrics_label(f, ",", "device", view_str(d, "block"));
		fputs("} 1\n", f);
	}
}

char *view_metrics(const json_t *status)
{
	const json_t *namespaces = view_list(status, "namespaces");
	struct view_out o;

	view_start(&o);
	if (!o.f)
		return NULL;
	put_client(o.f, status);
	put_devices(o.f, status);
	metrics_head(o.f, "rsio_server_state", "stateset", NULL, "State of the session with a server.");
	put_states(o.f, namespaces, "servers", "server", "rsio_server_state", ALL(server_states));
	put_paths(o.f, namespaces);
	metrics_head(o.f, "rsio_volume_state", "stateset", NULL, "State of the volume.");
	put_states(o.f, namespaces, "volumes", "volume", "rsio_volume_state", ALL(volume_states));
	for (size_t n = 0; n < sizeof(volume_families) / sizeof(volume_families[0]); n++)
		put_volume_family(o.f, namespaces, &volume_families[n]);
	for (size_t n = 0; n < sizeof(latency_families) / sizeof(latency_families[0]); n++)
		put_volume_latency(o.f, namespaces, &latency_families[n]);
	fputs("# EOF\n", o.f);
	return view_finish(&o);
}
