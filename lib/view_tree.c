/*
 * view_tree.c - see view.h: the status files of the mounted tree.
 *
 * Tables have a heading and one line for each thing, so that grep and awk do;
 * what is wrong has its reason on an indented line below.
 */
#include <string.h>
#include "view.h"
#include "view_impl.h"

json_t *view_json_servers(const json_t *ns)
{
	return view_sorted(ns, "servers", "id", "name");
}

json_t *view_json_volumes(const json_t *ns)
{
	json_t *volumes = json_object_get(ns, "volumes");

	return json_is_array(volumes) ? json_incref(volumes) : json_array();
}

static void add_path(void *arg, const struct view_path *p)
{
	json_array_append(arg, (json_t *)p->path);
}

json_t *view_json_paths(const json_t *ns)
{
	json_t *paths = json_array();

	if (paths)
		view_each_path(ns, 0, add_path, paths);
	return paths;
}

struct tally {
	size_t up, all;
	const json_t *server;	/* only its paths; NULL: all */
};

static void tally_path(void *arg, const struct view_path *p)
{
	struct tally *t = arg;

	if (p->spare || (t->server && p->server != t->server))
		return;
	t->all++;
	t->up += view_is(p->path, "state", "up");
}

static struct tally tally(const json_t *list, const char *good)
{
	struct tally t = { 0, 0, NULL };
	size_t i;
	json_t *item;

	json_array_foreach(list, i, item) {
		t.all++;
		t.up += view_is(item, "state", good);
	}
	return t;
}

static double sum(const json_t *list, const char *key)
{
	double total = 0;
	size_t i;
	json_t *item;

	json_array_foreach(list, i, item)
		total += view_num(item, key, 0);
	return total;
}

/* What is not as it should be, a line each. */

struct trouble {
	FILE *f;
	bool any;
};

static void trouble_path(void *arg, const struct view_path *p)
{
	struct trouble *t = arg;

	if (p->spare || view_is(p->path, "state", "up"))
		return;
	fprintf(t->f, "%s  path %s %s: %s\n", t->any ? "" : "trouble\n", view_str(p->path, "name"),
		view_str(p->path, "state"), view_str(p->path, "reason"));
	t->any = true;
}

static void put_trouble(FILE *f, const json_t *ns)
{
	struct trouble t = { f, false };
	char text[80];
	size_t i;
	json_t *v;

	view_each_path(ns, 0, trouble_path, &t);
	json_array_foreach(view_list(ns, "volumes"), i, v) {
		if (view_is(v, "state", "ready"))
			continue;
		fprintf(f, "%s  volume %s %s\n", t.any ? "" : "trouble\n", view_str(v, "name"),
			view_volume_trouble(text, sizeof(text), v));
		t.any = true;
	}
	if (!t.any)
		fputs("trouble     none\n", f);
}

/* The path and the server whose silence keeps I/O waiting the longest. */

struct worst {
	const json_t *path, *server;
};

static void worse(const json_t **worst, const json_t *o)
{
	const json_t *silent = json_object_get(o, "failover_silent");

	if (!silent || (json_is_null(silent) && !view_is(o, "state", "up")))
		return;
	if (!*worst || json_is_null(silent) ||
	    (json_is_number(json_object_get(*worst, "failover_silent")) &&
	     json_number_value(silent) > view_num(*worst, "failover_silent", 0)))
		*worst = o;
}

static void worse_path(void *arg, const struct view_path *p)
{
	struct worst *w = arg;

	worse(&w->path, p->path);
	if (p->server)
		worse(&w->server, p->server);
}

static void put_failover(FILE *f, const json_t *ns)
{
	char path[VIEW_SHORT], server[VIEW_SHORT];
	struct worst w = { NULL, NULL };

	view_each_path(ns, 0, worse_path, &w);
	if (w.path && w.server)
		fprintf(f, "failover    %s when a path falls silent, %s when a server does\n",
			view_wait(path, w.path, "failover_silent"), view_wait(server, w.server, "failover_silent"));
}

static void put_namespace(FILE *f, const json_t *ns)
{
	const json_t *volumes = view_list(ns, "volumes");
	struct tally paths = { 0, 0, NULL }, t = tally(view_list(ns, "servers"), "up");
	char id[VIEW_SHORT], bytes[VIEW_SHORT];

	view_each_path(ns, 0, tally_path, &paths);
	fprintf(f, "namespace   %s, id %s, this client is %s\n", view_str(ns, "name"),
		view_count(id, ns, "id"), view_str(ns, "node"));
	fprintf(f, "servers     %zu of %zu up\n", t.up, t.all);
	fprintf(f, "paths       %zu of %zu up\n", paths.up, paths.all);
	t = tally(volumes, "ready");
	fprintf(f, "volumes     %zu of %zu ready\n", t.up, t.all);
	fprintf(f, "in flight   %.0f\n", sum(volumes, "in_flight"));
	fprintf(f, "read        %s in %.0f reads\n", view_bytes(bytes, sum(volumes, "read_bytes")),
		sum(volumes, "reads"));
	fprintf(f, "written     %s in %.0f writes\n",
		view_bytes(bytes, sum(volumes, "write_bytes")), sum(volumes, "writes"));
	fprintf(f, "errors      %.0f, %.0f commands were sent again\n", sum(volumes, "errors"),
		sum(volumes, "resent"));
	put_failover(f, ns);
	put_trouble(f, ns);
}

char *view_tree_status(const json_t *ns)
{
	struct view_out o;

	view_start(&o);
	if (o.f)
		put_namespace(o.f, ns);
	return view_finish(&o);
}

static void put_memory(FILE *f, const json_t *memory)
{
	char used[VIEW_SHORT], held[VIEW_SHORT], limit[VIEW_SHORT], count[VIEW_SHORT];

	fprintf(f, "buffers     %s used, %s held, %s at most\n",
		view_bytes(used, view_num(memory, "buffers_used", 0)),
		view_bytes(held, view_num(memory, "buffers_held", 0)),
		view_bytes(limit, view_num(memory, "buffers_limit", 0)));
	fprintf(f, "requests    %s in hand", view_count(count, memory, "requests"));
	fprintf(f, ", %s interrupted", view_count(count, memory, "interrupted"));
	fprintf(f, ", %s times no buffer was left\n", view_count(count, memory, "paused"));
}

char *view_tree_client(const json_t *status)
{
	char pid[VIEW_SHORT], age[VIEW_SHORT];
	struct view_out o;
	size_t i;
	json_t *ns;

	view_start(&o);
	if (!o.f)
		return NULL;
	fprintf(o.f, "rsiod       version %s, pid %s, up %s\n", view_str(status, "version"),
		view_count(pid, status, "pid"), view_age(age, view_num(status, "uptime", -1)));
	fprintf(o.f, "mount       %s\nrun dir     %s\n", view_str(status, "mount"),
		view_str(status, "run_dir"));
	put_memory(o.f, json_object_get(status, "memory"));
	fprintf(o.f, "devices     %zu\n", json_array_size(json_object_get(status, "devices")));
	json_array_foreach(view_list(status, "namespaces"), i, ns) {
		fputc('\n', o.f);
		put_namespace(o.f, ns);
	}
	return view_finish(&o);
}

/* The tables. */

char *view_tree_servers(const json_t *ns)
{
	char id[VIEW_SHORT], up[48], wait[VIEW_SHORT];
	json_t *servers, *s;
	struct view_out o;
	size_t i;

	view_start(&o);
	if (!o.f)
		return NULL;
	fputs(" id server           state      version      policy         paths up  failover\n", o.f);
	servers = view_sorted(ns, "servers", "id", "name");
	json_array_foreach(servers, i, s) {
		struct tally t = { 0, 0, s };

		view_each_path(ns, 0, tally_path, &t);
		snprintf(up, sizeof(up), "%zu of %zu", t.up, t.all);
		fprintf(o.f, "%3s %-16s %-10s %-12s %-14s %-8s  %s\n", view_count(id, s, "id"),
			view_str(s, "name"), view_str(s, "state"), view_str(s, "version"),
			view_str(s, "policy"), up, view_wait(wait, s, "failover_silent"));
	}
	json_decref(servers);
	return view_finish(&o);
}

static void table_path(void *arg, const struct view_path *p)
{
	char rtt[VIEW_SHORT], flight[VIEW_SHORT], age[VIEW_SHORT];
	FILE *f = arg;

	fprintf(f, "%-24s %-10s %10s %9s %6.0f %%  %s\n", view_str(p->path, "name"),
		view_str(p->path, "state"), view_time(rtt, view_num(p->path, "rtt_us", -1)),
		view_count(flight, p->path, "in_flight"), 100 * view_num(p->path, "share", 0),
		view_age(age, view_num(p->path, "since", -1)));
	if (!p->spare && !view_is(p->path, "state", "up") && !view_is(p->path, "reason", "-"))
		fprintf(f, "  why: %s\n", view_str(p->path, "reason"));
}

char *view_tree_paths(const json_t *ns)
{
	struct view_out o;

	view_start(&o);
	if (!o.f)
		return NULL;
	fputs("path                     state      round trip in flight    share  for\n", o.f);
	view_each_path(ns, 0, table_path, o.f);
	return view_finish(&o);
}

char *view_tree_volumes(const json_t *ns)
{
	char id[VIEW_SHORT], blocks[VIEW_SHORT], size[VIEW_SHORT], text[80];
	struct view_out o;
	size_t i;
	json_t *v;

	view_start(&o);
	if (!o.f)
		return NULL;
	fputs(" id volume           server             blocks       size  state\n", o.f);
	json_array_foreach(view_list(ns, "volumes"), i, v) {
		const char *trouble = view_volume_trouble(text, sizeof(text), v);

		fprintf(o.f, "%3s %-16s %-13s %11s %10s  %s\n", view_count(id, v, "id"),
			view_str(v, "name"), view_str(v, "server"), view_count(blocks, v, "blocks"),
			view_bytes(size, view_num(v, "size", 0)), trouble[0] ? trouble : "ready");
	}
	view_put_number_table(o.f, view_list(ns, "volumes"));
	return view_finish(&o);
}
