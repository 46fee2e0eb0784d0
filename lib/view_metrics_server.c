/* view_metrics_server.c - see view.h: the server's state as OpenMetrics text. */
#include <inttypes.h>
#include "view.h"
#include "view_impl.h"
#include "view_metrics.h"

#define ALL(a) (a), sizeof(a) / sizeof((a)[0])

static const struct metrics_family process_families[] = {
	{ "rssrv_uptime_seconds", "gauge", "seconds", "Time since the server started.", "uptime", 1 },
	{ "rssrv_memory_bytes", "gauge", "bytes", "Resident memory.", "memory", 1 },
	{ "rssrv_buffers_bytes", "gauge", "bytes", "Memory for commands and answers.", "buffers", 1 },
	{ "rssrv_workers", "gauge", NULL, "Threads that wait for disks.", "workers", 1 },
	{ "rssrv_cpu_user_seconds", "counter", "seconds", "Processor time of its own code.", "cpu_user", 1 },
	{ "rssrv_cpu_system_seconds", "counter", "seconds", "Processor time of the kernel for it.", "cpu_system", 1 },
};

static const struct metrics_family pool_families[] = {
	{ "rssrv_pool_size_bytes", "gauge", "bytes", "Size of the pool's file system.", "bytes", 1 },
	{ "rssrv_pool_free_bytes", "gauge", "bytes", "What is free there.", "free", 1 },
	{ "rssrv_pool_allocated_bytes", "gauge", "bytes", "What the pool's volumes and snapshots take.", "allocated", 1 },
	{ "rssrv_pool_promised_bytes", "gauge", "bytes", "What its volumes may grow to take.", "promised", 1 },
	{ "rssrv_pool_volumes", "gauge", NULL, "Volumes in the pool.", "volumes", 1 },
};

/* Of a volume, and of one that a client has open. */
#define TRAFFIC(of, whose)									\
	{ "rssrv_" of "_queue", "gauge", NULL, "Commands that wait for the disk" whose ".", "queue", 1 },	\
	{ "rssrv_" of "_reads", "counter", NULL, "Reads answered" whose ".", "reads", 1 },		\
	{ "rssrv_" of "_read_bytes", "counter", "bytes", "Bytes read" whose ".", "read_bytes", 1 },	\
	{ "rssrv_" of "_writes", "counter", NULL, "Writes answered" whose ".", "writes", 1 },		\
	{ "rssrv_" of "_write_bytes", "counter", "bytes", "Bytes written" whose ".", "write_bytes", 1 },	\
	{ "rssrv_" of "_flushes", "counter", NULL, "Flushes answered" whose ".", "flushes", 1 },		\
	{ "rssrv_" of "_failed", "counter", NULL, "Commands answered with an error" whose ".", "failed", 1 }

static const struct metrics_family volume_families[] = {
	{ "rssrv_volume_size_bytes", "gauge", "bytes", "Size of the volume.", "size", 1 },
	{ "rssrv_volume_opens", "gauge", NULL, "How often clients have it open.", "opens", 1 },
	{ "rssrv_volume_disk_errors", "counter", NULL, "Errors of its disk.", "errors", 1 },
	TRAFFIC("volume", ""),
};
static const struct metrics_family user_families[] = {
	TRAFFIC("client", ", of that client as long as it has the volume open"),
};
static const struct metrics_family latency_families[] = {
	{ "rssrv_volume_read_latency_seconds", "histogram", "seconds", "Time from a read's arrival to its answer.",
	  "read_latency", 0 },
	{ "rssrv_volume_write_latency_seconds", "histogram", "seconds", "Time from a write's arrival to its answer.",
	  "write_latency", 0 },
};
static const char *const pool_states[] = { "ok", "low", "full", "read-only", "gone", "lost", "waiting" };

/* A sample's name, and its value when the labels are written. */
static bool begin(FILE *f, const struct metrics_family *family, const json_t *object)
{
	if (!metrics_is_number(json_object_get(object, family->key)))
		return false;
	fprintf(f, "%s%s", family->name, family->type[0] == 'c' ? "_total" : "");
	return true;
}

static void end(FILE *f, const struct metrics_family *family, const json_t *object)
{
	metrics_number(f, json_object_get(object, family->key), family->factor);
}

/* The items of a list, each with its name as a label. */
static void put_list(FILE *f, const json_t *list, const char *thing, const struct metrics_family *families, size_t n)
{
	const json_t *item;
	size_t i;

	for (const struct metrics_family *family = families; family < families + n; family++) {
		metrics_family(f, family);
		json_array_foreach(list, i, item) {
			if (!begin(f, family, item))
				continue;
			metrics_label(f, "{", thing, view_str(item, "name"));
			fputc('}', f);
			end(f, family, item);
		}
	}
}

static void put_users(FILE *f, const json_t *volumes, const struct metrics_family *family)
{
	const json_t *volume, *user;
	size_t i, j;

	metrics_family(f, family);
	json_array_foreach(volumes, i, volume) {
		json_array_foreach(view_list(volume, "users"), j, user) {
			if (!begin(f, family, user))
				continue;
			metrics_label(f, "{", "volume", view_str(volume, "name"));
			metrics_label(f, ",", "client", view_str(user, "node"));
			fputc('}', f);
			end(f, family, user);
		}
	}
}

static void put_latency(FILE *f, const json_t *volumes, const struct metrics_family *family)
{
	struct metrics_histogram h;
	const json_t *volume;
	size_t i;

	metrics_family(f, family);
	json_array_foreach(volumes, i, volume) {
		if (!metrics_read(&h, json_object_get(volume, family->key)))
			continue;
		while (metrics_next(f, family, &h)) {
			metrics_label(f, "{", "volume", view_str(volume, "name"));
			metrics_value(f, &h);
		}
	}
}

static void put_pool_states(FILE *f, const json_t *pools)
{
	const json_t *pool;
	size_t i;

	metrics_head(f, "rssrv_pool_state", "stateset", NULL, "State of the pool.");
	json_array_foreach(pools, i, pool) {
		for (size_t n = 0; n < sizeof(pool_states) / sizeof(pool_states[0]); n++) {
			fputs("rssrv_pool_state", f);
			metrics_label(f, "{", "pool", view_str(pool, "name"));
			metrics_label(f, ",", "rssrv_pool_state", pool_states[n]);
			fprintf(f, "} %d\n", view_is(pool, "state", pool_states[n]));
		}
	}
}

static void put_server(FILE *f, const json_t *status)
{
	const json_t *process = json_object_get(status, "process");

	metrics_head(f, "rssrv_build", "info", NULL, "The server, and its version.");
	fputs("rssrv_build_info", f);
	metrics_label(f, "{", "namespace", view_str(status, "namespace"));
	metrics_label(f, ",", "server", view_str(status, "server"));
	metrics_label(f, ",", "version", view_str(status, "version"));
	fputs("} 1\n", f);
	for (size_t i = 0; i < sizeof(process_families) / sizeof(process_families[0]); i++) {
		metrics_family(f, &process_families[i]);
		if (begin(f, &process_families[i], process))
			end(f, &process_families[i], process);
	}
	metrics_head(f, "rssrv_sessions", "gauge", NULL, "Clients that are logged in.");
	fprintf(f, "rssrv_sessions %zu\n", json_array_size(json_object_get(status, "sessions")));
}

char *view_server_metrics(const json_t *status)
{
	const json_t *pools = view_list(status, "pools"), *volumes = view_list(status, "volumes");
	struct view_out o;

	view_start(&o);
	if (!o.f)
		return NULL;
	put_server(o.f, status);
	put_pool_states(o.f, pools);
	put_list(o.f, pools, "pool", ALL(pool_families));
	put_list(o.f, volumes, "volume", ALL(volume_families));
	for (size_t i = 0; i < sizeof(latency_families) / sizeof(latency_families[0]); i++)
		put_latency(o.f, volumes, &latency_families[i]);
	for (size_t i = 0; i < sizeof(user_families) / sizeof(user_families[0]); i++)
		put_users(o.f, volumes, &user_families[i]);
	fputs("# EOF\n", o.f);
	return view_finish(&o);
}
