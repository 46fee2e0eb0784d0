/*
 * view.c - see view.h: what rsconfig prints.
 *
 * The lines of verbosity 0 are those that administrators of this technology
 * know; their columns do not move.  What is not as it should be stands at the
 * end of its line, so that a healthy system looks as it always has.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "view.h"
#include "view_impl.h"

char *view_json(const json_t *any)
{
	char *flat = json_dumps(any, JSON_INDENT(2) | JSON_ENCODE_ANY);
	struct view_out o;

	if (!flat)
		return NULL;
	view_start(&o);
	if (o.f)
		fprintf(o.f, "%s\n", flat);
	free(flat);
	return view_finish(&o);
}

/* "IP(TCP) 192.168.10.1/5000"; without an address where the kernel chooses it. */
static void put_address(FILE *f, const json_t *path, const char *key)
{
	const char *protocol = view_str(path, "protocol");
	char number[VIEW_SHORT];

	fprintf(f, "%s(", view_str(path, "family"));
	for (; *protocol; protocol++)
		fputc(toupper((unsigned char)*protocol), f);
	fputc(')', f);
	if (!view_is(path, key, "-"))
		fprintf(f, " %s/%s", view_str(path, key), view_count(number, path, "port"));
}

static void put_id(FILE *f, const json_t *object)
{
	double id = view_num(object, "id", -1);

	if (id >= 0)
		fprintf(f, "%03.0f", id);
	else
		fputs("---", f);
}

static void put_reason(FILE *f, const json_t *path, const char *indent)
{
	if (!view_is(path, "state", "up") && json_is_string(json_object_get(path, "reason")))
		fprintf(f, "%swhy: %s\n", indent, view_str(path, "reason"));
}

static void put_path_counts(FILE *f, const json_t *path, const char *indent)
{
	char commands[VIEW_SHORT], read[VIEW_SHORT], written[VIEW_SHORT], errors[VIEW_SHORT];

	fprintf(f, "%s%s commands (%.0f %%), %s read, %s written, %s errors\n", indent,
		view_count(commands, path, "commands"), 100 * view_num(path, "share", 0),
		view_bytes(read, view_num(path, "read_bytes", 0)),
		view_bytes(written, view_num(path, "write_bytes", 0)),
		view_count(errors, path, "errors"));
}

/* The query. */

static void query_path(FILE *f, const json_t *path, int verbosity)
{
	char rtt[VIEW_SHORT], port[VIEW_SHORT], flight[VIEW_SHORT];

	fprintf(f, "      path %s  %s -> %s/%s\n", view_str(path, "name"), view_str(path, "local"),
		view_str(path, "portal"), view_count(port, path, "port"));
	fprintf(f, "        %s, %s, %s in flight\n", view_str(path, "state"),
		view_time(rtt, view_num(path, "rtt_us", -1)),
		view_count(flight, path, "in_flight"));
	put_reason(f, path, "        ");
	if (verbosity >= 3)
		put_path_counts(f, path, "        ");
}

/* What an administrator has to know of a volume with several servers. */
static void put_volume_trouble(FILE *f, const json_t *v)
{
	if (json_is_string(json_object_get(v, "waits_for")))
		fprintf(f, "      waits: %s\n      " VIEW_CLAIM_NEXT "\n", view_str(v, "waits_for"));
	if (json_is_string(json_object_get(v, "refused")))
		fprintf(f, "      not used: the %s of server %s, which is not this volume; rename one of the two\n",
			view_str(v, "name"), view_str(v, "refused"));
}

/* Arrays of the namespace's snapshots, by their volumes' names; NULL where nothing shows them. */
static json_t *snapshots_by_volume(const json_t *ns, int verbosity)
{
	json_t *by = verbosity >= 1 ? json_object() : NULL, *snapshot;
	size_t i;

	json_array_foreach(view_list(ns, "snapshots"), i, snapshot) {
		const char *of = view_str(snapshot, "of");

		if (!json_object_get(by, of))
			json_object_set_new(by, of, json_array());
		json_array_append(json_object_get(by, of), snapshot);
	}
	return by;
}

static void put_snapshots(FILE *f, const json_t *snapshots, int verbosity)
{
	char when[VIEW_SHORT], blocks[VIEW_SHORT];
	json_t *snapshot;
	size_t i;

	if (json_array_size(snapshots))
		fprintf(f, "      snapshots %zu\n", json_array_size(snapshots));
	json_array_foreach(snapshots, i, snapshot)
		if (verbosity >= 2)
			fprintf(f, "        @%-12s %s, %s blocks\n", view_str(snapshot, "snapshot"),
				view_date(when, view_num(snapshot, "taken_seconds", 0)), view_count(blocks, snapshot, "blocks"));
}

static void query_volume(FILE *f, const json_t *v, const json_t *snapshots, int verbosity)
{
	char a[VIEW_SHORT], b[VIEW_SHORT], c[VIEW_SHORT], trouble[80];

	view_volume_trouble(trouble, sizeof(trouble), v);
	fprintf(f, "    %s %-12s disk %9s blocks of %4s bytes%s%s\n", view_count(a, v, "id"),
		view_str(v, "name"), view_count(b, v, "blocks"), view_count(c, v, "block_size"),
		trouble[0] ? "  " : "", trouble);
	put_volume_trouble(f, v);
	if (verbosity >= 1) {
		const char *policy = json_string_value(json_object_get(v, "policy"));

		fprintf(f, "      uuid %s generation %s\n", view_str(v, "uuid"), view_str(v, "generation"));
		fprintf(f, "      %s, %s, av%s, %s server(s), on loss %s%s%s\n", view_str(v, "state"),
			view_true(v, "read_only") ? "read-only" : "read-write",
			view_count(a, v, "av"), view_count(b, v, "servers"), view_str(v, "on_loss"),
			policy ? ", policy " : "", policy ? policy : "");
	}
	put_snapshots(f, json_object_get(snapshots, view_str(v, "name")), verbosity);
	if (verbosity < 3)
		return;
	fprintf(f, "      %s reads of %s", view_count(a, v, "reads"),
		view_bytes(b, view_num(v, "read_bytes", 0)));
	fprintf(f, ", %s writes of %s, %s flushes\n", view_count(a, v, "writes"),
		view_bytes(b, view_num(v, "write_bytes", 0)), view_count(c, v, "flushes"));
	fprintf(f, "      %s in flight, %s resent", view_count(a, v, "in_flight"),
		view_count(b, v, "resent"));
	fprintf(f, ", %s errors, %s opens\n", view_count(a, v, "errors"),
		view_count(b, v, "opens"));
	view_put_numbers(f, v, "      ");
}

static void query_server(FILE *f, const json_t *ns, const json_t *server, const json_t *snapshots, int verbosity)
{
	bool up = view_is(server, "state", "up");
	size_t i;
	json_t *item;

	fputs("  srv: ", f);
	put_id(f, server);
	fprintf(f, " %s%s%s\n", view_str(server, "name"), up ? "" : "  ",
		up ? "" : view_str(server, "state"));
	if (verbosity >= 1)
		fprintf(f, "      %s, %s, policy %s\n", view_str(server, "state"),
			view_str(server, "version"), view_str(server, "policy"));
	if (verbosity >= 2) {
		json_t *paths = view_sorted(server, "paths", NULL, "name");

		json_array_foreach(paths, i, item)
			query_path(f, item, verbosity);
		json_decref(paths);
	}
	json_array_foreach(view_list(ns, "volumes"), i, item)
		if (view_offers(item, view_str(server, "name")))
			query_volume(f, item, snapshots, verbosity);
}

static bool has_server(const json_t *ns, const char *name)
{
	size_t i;
	json_t *server;

	json_array_foreach(view_list(ns, "servers"), i, server)
		if (view_is(server, "name", name))
			return true;
	return false;
}

/* Portals that have never said which server they belong to, each once. */
struct unassigned {
	FILE *f;
	int verbosity;
	json_t *seen;
};

static void query_unassigned(void *arg, const struct view_path *p)
{
	struct unassigned *u = arg;
	const char *name = view_str(p->path, "server");
	char port[VIEW_SHORT];

	if (p->server)
		return;
	if (!p->spare && !json_object_get(u->seen, name)) {
		json_object_set_new(u->seen, name, json_true());
		fprintf(u->f, "  srv: --- %s  %s/%s %s\n", name, view_str(p->path, "portal"),
			view_count(port, p->path, "port"), view_str(p->path, "state"));
		put_reason(u->f, p->path, "      ");
	}
	if (u->verbosity >= 2)
		query_path(u->f, p->path, u->verbosity);
}

static void query_namespace(FILE *f, const json_t *ns, int verbosity)
{
	json_t *servers = view_sorted(ns, "servers", "id", "name"), *snapshots = snapshots_by_volume(ns, verbosity);
	struct unassigned u = { f, verbosity, json_object() };
	bool heading = false;
	size_t i;
	json_t *item;

	put_id(f, ns);
	fprintf(f, " %s\n  clt: %s\n", view_str(ns, "name"), view_str(ns, "node"));
	json_array_foreach(servers, i, item)
		query_server(f, ns, item, snapshots, verbosity);
	json_decref(servers);
	view_each_path(ns, 0, query_unassigned, &u);
	json_decref(u.seen);
	json_array_foreach(view_list(ns, "volumes"), i, item) {
		if (has_server(ns, view_str(item, "server")))
			continue;
		if (!heading)
			fputs("  srv: --- -\n", f);
		heading = true;
		query_volume(f, item, snapshots, verbosity);
	}
	json_decref(snapshots);
}

char *view_query(const json_t *status, int verbosity)
{
	struct view_out o;
	size_t i;
	json_t *ns;

	view_start(&o);
	if (!o.f)
		return NULL;
	json_array_foreach(view_list(status, "namespaces"), i, ns)
		query_namespace(o.f, ns, verbosity);
	return view_finish(&o);
}

/* Paths, by interface.  A portal's number is its place among all portals in the
 * order of their names, so that it stays when the servers' states change. */

struct path_list {
	struct view_path *at;
	size_t count, size;
	bool short_of_memory;
};

static void gather(void *arg, const struct view_path *p)
{
	struct path_list *l = arg;

	if (l->count == l->size) {
		size_t size = l->size ? 2 * l->size : 32;
		struct view_path *at = reallocarray(l->at, size, sizeof(*at));

		if (!at) {
			l->short_of_memory = true;
			return;
		}
		l->at = at;
		l->size = size;
	}
	l->at[l->count++] = *p;
}

static int compare_numbers(const json_t *a, const json_t *b, const char *key)
{
	double x = view_num(a, key, 0), y = view_num(b, key, 0);

	return (x > y) - (x < y);
}

static int compare_portals(const struct view_path *a, const struct view_path *b)
{
	int d;

	if (a->ns_index != b->ns_index)
		return a->ns_index < b->ns_index ? -1 : 1;
	d = strverscmp(view_str(a->path, "server"), view_str(b->path, "server"));
	if (!d)
		d = strcmp(view_str(a->path, "portal"), view_str(b->path, "portal"));
	return d ? d : compare_numbers(a->path, b->path, "port");
}

/* Several connections between the same two addresses: in the order they were made. */
static int by_portal(const void *one, const void *other)
{
	const struct view_path *a = one, *b = other;
	int d = compare_portals(a, b);

	return d ? d : compare_numbers(a->path, b->path, "connection");
}

/* Left out where an older rsiod does not say. */
static void put_path_rates(FILE *f, const json_t *path)
{
	char read[VIEW_SHORT], written[VIEW_SHORT], age[VIEW_SHORT], latency[VIEW_LATENCY];

	if (json_object_get(path, "read_rate"))
		fprintf(f, "      %s/s read, %s/s written, %.0f %% of the commands, %.0f failures\n",
			view_bytes(read, view_num(path, "read_rate", 0)),
			view_bytes(written, view_num(path, "write_rate", 0)),
			100 * view_num(path, "share", 0), view_num(path, "errors", 0));
	if (json_is_object(json_object_get(path, "latency")))
		fprintf(f, "      %.0f commands/s; %s\n", view_num(path, "iops", 0),
			view_latency(latency, path, "latency"));
	if (json_is_string(json_object_get(path, "lost_reason")))
		fprintf(f, "      last lost %s ago: %s\n", view_age(age, view_num(path, "lost_ago", -1)),
			view_str(path, "lost_reason"));
}

/* Left out where an older rsiod does not say. */
static void put_path_failover(FILE *f, const struct view_path *p)
{
	char last[80];

	if (!view_is(p->path, "state", "up") || !json_object_get(p->path, "failover_silent"))
		return;
	if (view_num(p->server, "paths_up", 0) > 1)
		fprintf(f, "      silent, I/O waits %g s; reset, %g s; then it goes on elsewhere\n",
			view_num(p->path, "failover_silent", 0), view_num(p->path, "failover_reset", 0));
	else
		fprintf(f, "      the last path: silent, %s\n", view_last(last, sizeof(last), p->ns, p->server));
}

static void put_path(FILE *f, const struct view_path *p, int number, int verbosity)
{
	bool up = view_is(p->path, "state", "up"), draining = view_is(p->path, "state", "draining");
	bool suspect = view_true(p->path, "suspect");
	char a[VIEW_SHORT], b[VIEW_SHORT], c[VIEW_SHORT];

	fprintf(f, "    rep: %03d ", number);
	put_address(f, p->path, "portal");
	fprintf(f, " %s tx: %s rx: %s\n",
		up ? "connected" : view_is(p->path, "state", "down") ? "disconnected" :
		view_str(p->path, "state"), up && !suspect ? "ok" : "-",
		suspect ? "late" : up || draining ? "ok" : "-");
	put_reason(f, p->path, "      ");
	if (view_num(p->path, "probation", -1) >= 0)
		fprintf(f, "      on probation for %.0f s more: it was lost again and again\n",
			view_num(p->path, "probation", 0));
	if (verbosity >= 1) {
		fprintf(f, "      %s to %s:%s, %s for %s\n", view_str(p->path, "name"),
			view_str(p->ns, "name"), p->server ? view_str(p->server, "name") : "-",
			view_str(p->path, "state"), view_age(a, view_num(p->path, "since", -1)));
		fprintf(f, "      round trip %s, %s in flight (%s)\n",
			view_time(a, view_num(p->path, "rtt_us", -1)),
			view_count(b, p->path, "in_flight"),
			view_bytes(c, view_num(p->path, "bytes_in_flight", 0)));
		put_path_rates(f, p->path);
		put_path_failover(f, p);
	}
	if (verbosity >= 2)
		put_path_counts(f, p->path, "      ");
}

static void put_interface(FILE *f, const struct path_list *l, const char *name, int number,
			  int verbosity)
{
	bool heading = false;
	int portal = -1;

	for (size_t i = 0; i < l->count; i++) {
		if (i == 0 || compare_portals(&l->at[i - 1], &l->at[i]) != 0)
			portal++;
		if (!view_is(l->at[i].path, "interface", name) || (l->at[i].spare && verbosity < 1))
			continue;
		if (!heading) {
			fprintf(f, "%d %s ", number, name);
			put_address(f, l->at[i].path, "local");
			fputc('\n', f);
		}
		heading = true;
		put_path(f, &l->at[i], portal, verbosity);
	}
}

/* The interface whose name comes next after last; NULL: that was the last. */
static const char *next_interface(const struct path_list *l, const char *last)
{
	const char *next = NULL;

	for (size_t i = 0; i < l->count; i++) {
		const char *name = view_str(l->at[i].path, "interface");

		if ((!last || strverscmp(name, last) > 0) && (!next || strverscmp(name, next) < 0))
			next = name;
	}
	return next;
}

static void put_servers_failover(FILE *f, const json_t *ns)
{
	json_t *servers = view_sorted(ns, "servers", "id", "name"), *s;
	char last[80];
	size_t i;

	json_array_foreach(servers, i, s) {
		if (!json_object_get(s, "failover_silent"))
			continue;
		fputs("srv: ", f);
		put_id(f, s);
		fprintf(f, " %s:%s silent, %s\n", view_str(ns, "name"), view_str(s, "name"),
			view_last(last, sizeof(last), ns, s));
	}
	json_decref(servers);
}

/* What the volumes do that were used. */
static void put_volumes(FILE *f, const json_t *ns)
{
	json_t *volumes = view_sorted(ns, "volumes", "id", "name"), *v;
	char flight[VIEW_SHORT], errors[VIEW_SHORT];
	size_t i;

	json_array_foreach(volumes, i, v) {
		if (!json_is_object(json_object_get(v, "read_latency")) &&
		    !json_is_object(json_object_get(v, "write_latency")))
			continue;
		fputs("vol: ", f);
		put_id(f, v);
		fprintf(f, " %s:%s %s in flight, %s errors\n", view_str(ns, "name"), view_str(v, "name"),
			view_count(flight, v, "in_flight"), view_count(errors, v, "errors"));
		view_put_numbers(f, v, "      ");
	}
	json_decref(volumes);
}

char *view_paths(const json_t *status, int verbosity)
{
	struct path_list l = { NULL, 0, 0, false };
	const char *name = NULL;
	struct view_out o;
	size_t i;
	json_t *ns;

	json_array_foreach(view_list(status, "namespaces"), i, ns)
		view_each_path(ns, i, gather, &l);
	view_start(&o);
	if (o.f && !l.short_of_memory) {
		if (l.count)
			qsort(l.at, l.count, sizeof(l.at[0]), by_portal);
		for (int n = 0; (name = next_interface(&l, name)); n++)
			put_interface(o.f, &l, name, n, verbosity);
		json_array_foreach(view_list(status, "namespaces"), i, ns)
			if (verbosity >= 1)
				put_servers_failover(o.f, ns);
		json_array_foreach(view_list(status, "namespaces"), i, ns)
			if (verbosity >= 1)
				put_volumes(o.f, ns);
	}
	free(l.at);
	if (l.short_of_memory) {
		free(view_finish(&o));
		return NULL;
	}
	return view_finish(&o);
}

/* Devices. */

static void put_device(FILE *f, const json_t *d, int verbosity)
{
	char id[VIEW_SHORT], a[VIEW_SHORT], b[VIEW_SHORT], name[128];
	int n = snprintf(name, sizeof(name), "%s:%s@%s", view_str(d, "namespace"),
			 view_str(d, "volume"), view_count(id, d, "id"));

	if (verbosity < 1) {
		fprintf(f, "%-28s %s", name, view_str(d, "block"));
		if (!view_is(d, "state", "ready"))
			fprintf(f, "  %s", view_str(d, "state"));
		fputc('\n', f);
		return;
	}
	fprintf(f, "%s%*s%s\n", name, view_is(d, "state", "ready") || n < 0 ? 0 : 2, "",
		view_is(d, "state", "ready") ? "" : view_str(d, "state"));
	if (verbosity >= 2)
		fprintf(f, "    c: %-24s %9s blocks, %2s server(s)\n", view_str(d, "raw"),
			view_count(a, d, "blocks"), view_count(b, d, "servers"));
	fprintf(f, "    b: %s\n", view_str(d, "block"));
	if (verbosity >= 3)
		fprintf(f, "    loop: %s, blocks of %s bytes, %s\n", view_str(d, "loop"),
			view_count(a, d, "block_size"), view_str(d, "state"));
}

char *view_devices(const json_t *status, int verbosity)
{
	json_t *devices, *d;
	struct view_out o;
	size_t i;

	view_start(&o);
	if (!o.f)
		return NULL;
	devices = view_sorted(status, "devices", "id", "volume");
	json_array_foreach(devices, i, d)
		put_device(o.f, d, verbosity);
	json_decref(devices);
	return view_finish(&o);
}
