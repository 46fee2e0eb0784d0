/*
 * rsvol_show.c - what there is: volumes, one of them, its snapshots, pools.
 *
 * Every server of a namespace is asked what it has; a volume or a pool that two of them offer
 * is shown once.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rsvol.h"
#include "view.h"

#define PAGES_MAX 4096		/* of one server's list: it ends, whatever the server says */

const char *rsvol_text(const json_t *object, const char *key, const char *fallback)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : fallback;
}

int rsvol_print_json(json_t *json)
{
	char *text = json ? view_json(json) : NULL;

	json_decref(json);
	if (!text) {
		fputs("rsvol: not enough memory\n", stderr);
		return RSVOL_FAILED;
	}
	fputs(text, stdout);
	free(text);
	return RSVOL_DONE;
}

int rsvol_done(const struct rsvol *rv, const struct rsvol_name *n, json_t *reply, const char *fmt, ...)
{
	char full[128], text[256];
	va_list ap;

	if (rv->json) {
		json_object_del(reply, "ok");
		return rsvol_print_json(reply);
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	err_clean(text);		/* a server's word may be in it */
	printf("%s: %s\n", rsvol_full(n, rsvol_text(reply, "namespace", ""), full), text);
	json_decref(reply);
	return RSVOL_DONE;
}

/* Tables: the first row is the heading; a column that begins with '>' there is one of numbers. */

#define COLUMNS 10

struct table {
	char *(*rows)[COLUMNS];
	size_t count, room;
	int columns;
};

static void table_row(struct table *t, ...)
{
	va_list ap;

	if (t->count == t->room) {
		t->room = t->room ? 2 * t->room : 64;
		t->rows = realloc(t->rows, t->room * sizeof *t->rows);
	}
	if (!t->rows)
		abort();
	va_start(ap, t);
	for (int i = 0; i < t->columns; i++) {
		t->rows[t->count][i] = strdup(va_arg(ap, const char *));
		if (!t->rows[t->count][i])
			abort();
		err_clean(t->rows[t->count][i]);
	}
	va_end(ap);
	t->count++;
}

static void table_print(struct table *t)
{
	int width[COLUMNS] = { 0 };

	for (size_t r = 0; r < t->count; r++)
		for (int i = 0; i < t->columns; i++) {
			int n = (int)strlen(t->rows[r][i]) - (t->rows[r][i][0] == '>');

			width[i] = n > width[i] ? n : width[i];
		}
	for (size_t r = 0; r < t->count; r++) {
		for (int i = 0; i < t->columns; i++) {
			const char *text = t->rows[r][i] + (t->rows[r][i][0] == '>');
			bool number = t->rows[0][i][0] == '>', last = i == t->columns - 1;

			printf("%s%*s", i ? "  " : "", number ? width[i] : last ? 0 : -width[i], text);
		}
		putchar('\n');
	}
	for (size_t r = 0; r < t->count; r++)
		for (int i = 0; i < t->columns; i++)
			free(t->rows[r][i]);
	free(t->rows);
}

static const char *bytes(const json_t *object, const char *key, char buf[32])
{
	const json_t *n = json_object_get(object, key);

	return json_is_number(n) ? rsvol_size_text((uint64_t)json_number_value(n), buf) : "-";
}

const char *rsvol_list_text(const json_t *list, char *buf, size_t size)
{
	size_t used = 0, i;
	json_t *name;

	snprintf(buf, size, "-");
	json_array_foreach(list, i, name)
		if (json_is_string(name) && used + 1 < size)
			used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? "," : "", json_string_value(name));
	return buf;
}

/* Questions to all servers of the namespaces. */

static json_t *ask(const struct rsvol *rv, const char *namespace, const char *server, json_t *question, struct err *e)
{
	json_t *request = json_pack("{s:s, s:o, s:s}", "do", "ask", "question", question, "namespace", namespace);

	if (server)
		json_object_set_new(request, "server", json_string(server));
	return rsvol_ask_daemon(rv, request, e);
}

/* The namespaces that are meant: the one that was named, or all; NULL with the error printed. */
static json_t *namespaces(const struct rsvol *rv, const char *named)
{
	json_t *reply, *list;
	struct err e;

	if (named) {
		rsvol_check_name("namespace", named);
		return json_pack("[s]", named);
	}
	reply = rsvol_ask_daemon(rv, json_pack("{s:s}", "do", "namespaces"), &e);
	if (!reply) {
		err_print("rsvol", &e);
		return NULL;
	}
	list = json_incref(json_object_get(reply, "namespaces"));
	json_decref(reply);
	return list;
}

/* An answer of one server, put to what there is already. */
typedef void (*collect_fn)(const struct rsvol *rv, const char *namespace, const char *server, json_t *answer, json_t *all);

/* Some servers may not answer: the others' answers are good. */
static int collect(const struct rsvol *rv, const char *named, json_t *question, collect_fn take, json_t *all)
{
	json_t *list = namespaces(rv, named), *ns, *reply, *answer;
	int status = list ? RSVOL_DONE : RSVOL_FAILED;
	struct err e;
	size_t i, j;

	json_array_foreach(list, i, ns) {
		reply = ask(rv, json_string_value(ns), rv->server, json_deep_copy(question), &e);
		if (!reply) {
			err_print("rsvol", &e);
			status = RSVOL_FAILED;
		}
		json_array_foreach(json_object_get(reply, "answers"), j, answer) {
			const json_t *error = json_object_get(answer, "error");

			if (!error) {
				take(rv, json_string_value(ns), rsvol_text(answer, "server", ""), json_object_get(answer, "answer"), all);
				continue;
			}
			err_set(&e, EIO, "%s: %s", rsvol_text(answer, "server", "-"), rsvol_text(error, "text", "no answer"));
			err_next(&e, "%s", rsvol_text(error, "next", ""));
			err_print("rsvol", &e);
			status = RSVOL_FAILED;
		}
		json_decref(reply);
	}
	json_decref(list);
	json_decref(question);
	return status;
}

/* ls */

/* all: {"volumes": [...], "known": {"NS/UUID": the volume}}: one that two servers share is there once. */
static void take_page(const char *namespace, const char *server, const json_t *page, json_t *all)
{
	json_t *list = json_object_get(all, "volumes"), *known = json_object_get(all, "known"), *v, *before;
	char key[128];
	size_t i;

	json_array_foreach(json_object_get(page, "volumes"), i, v) {
		snprintf(key, sizeof key, "%s/%s", namespace, rsvol_text(v, "uuid", rsvol_text(v, "name", "")));
		before = json_object_get(known, key);
		if (before) {
			json_array_append_new(json_object_get(before, "servers"), json_string(server));
			continue;
		}
		json_object_set_new(v, "namespace", json_string(namespace));
		json_object_set_new(v, "servers", json_pack("[s]", server));
		json_array_append(list, v);
		json_object_set(known, key, v);
	}
}

static void take_volumes(const struct rsvol *rv, const char *namespace, const char *server, json_t *answer, json_t *all)
{
	json_int_t total = json_integer_value(json_object_get(answer, "total")), from = 0, count;
	json_t *reply = NULL, *page = answer;
	struct err e;

	for (int i = 0; i < PAGES_MAX; i++) {
		count = (json_int_t)json_array_size(json_object_get(page, "volumes"));
		take_page(namespace, server, page, all);
		json_decref(reply);
		reply = NULL;
		from += count;
		if (!count || from >= total)
			break;
		reply = ask(rv, namespace, server, json_pack("{s:s, s:I}", "do", "volumes", "from", from), &e);
		if (!reply) {
			err_print("rsvol", &e);
			break;
		}
		page = json_object_get(json_array_get(json_object_get(reply, "answers"), 0), "answer");
	}
	json_decref(reply);
}

static int by_name(const void *a, const void *b)
{
	const json_t *v = *(json_t *const *)a, *w = *(json_t *const *)b;
	int r = strverscmp(rsvol_text(v, "namespace", ""), rsvol_text(w, "namespace", ""));

	return r ? r : strverscmp(rsvol_text(v, "name", ""), rsvol_text(w, "name", ""));
}

static json_t *sorted(const json_t *list)
{
	size_t n = json_array_size(list);
	json_t **all = calloc(n + 1, sizeof *all), *out = json_array();

	if (!all)
		abort();
	for (size_t i = 0; i < n; i++)
		all[i] = json_array_get(list, i);
	qsort(all, n, sizeof *all, by_name);
	for (size_t i = 0; i < n; i++)
		json_array_append(out, all[i]);
	free(all);
	return out;
}

static void print_volumes(const json_t *list)
{
	struct table t = { .columns = 6 };
	char size[32], allocated[32], name[128], servers[160];
	json_t *v;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	table_row(&t, "VOLUME", ">SIZE", ">ALLOCATED", "POOL", "SERVER", "OPEN");
	json_array_foreach(list, i, v) {
		snprintf(name, sizeof name, "%s:%s", rsvol_text(v, "namespace", "-"), rsvol_text(v, "name", "-"));
		table_row(&t, name, bytes(v, "size", size), bytes(v, "allocated", allocated), rsvol_text(v, "pool", "-"),
			  rsvol_list_text(json_object_get(v, "servers"), servers, sizeof servers),
			  json_is_true(json_object_get(v, "open")) ? "yes" : "-");
	}
	table_print(&t);
}

int rsvol_ls(const struct rsvol *rv, char **operands)
{
	json_t *all = json_pack("{s:[], s:{}}", "volumes", "known"), *list;
	int status = collect(rv, operands[0], json_pack("{s:s, s:i}", "do", "volumes", "from", 0), take_volumes, all);

	list = sorted(json_object_get(all, "volumes"));
	json_decref(all);
	if (rv->json) {
		int printed = rsvol_print_json(json_pack("{s:o}", "volumes", list));

		return status ? status : printed;
	}
	print_volumes(list);
	json_decref(list);
	return status;
}

/* info, snapshots */

static void line(const char *key, const char *text)
{
	char copy[512];

	snprintf(copy, sizeof copy, "%s", *text ? text : "-");
	err_clean(copy);
	printf("%-11s %s\n", key, copy);
}

static void print_limit(const json_t *l, char *buf, size_t size)
{
	double iops = json_number_value(json_object_get(l, "iops")), mbps = json_number_value(json_object_get(l, "mbps"));

	snprintf(buf, size, "-");
	if (iops > 0 && mbps > 0)
		snprintf(buf, size, "%.0f requests/s, %g MB/s", iops, mbps);
	else if (iops > 0)
		snprintf(buf, size, "%.0f requests/s", iops);
	else if (mbps > 0)
		snprintf(buf, size, "%g MB/s", mbps);
}

/* A line for all together, and one for each client that has its own. */
static void print_limits(const json_t *limits)
{
	const char *client;
	char one[100], text[160];
	json_t *l;

	print_limit(limits, one, sizeof one);
	line("limit", one);
	json_object_foreach(json_object_get(limits, "clients"), client, l) {
		print_limit(l, one, sizeof one);
		snprintf(text, sizeof text, "%s: %s", client, one);
		line("", text);
	}
}

static void print_info(const json_t *v, const char *full)
{
	const json_t *clients = json_object_get(v, "clients"), *schedule = json_object_get(v, "schedule");
	char a[32], b[32], text[400];

	line("volume", full);
	line("server", rsvol_text(v, "server", "-"));
	line("pool", rsvol_text(v, "pool", "-"));
	line("size", bytes(v, "size", a));
	line("allocated", bytes(v, "allocated", b));
	line("uuid", rsvol_text(v, "uuid", "-"));
	line("generation", rsvol_text(v, "generation", "-"));
	if (json_object_get(v, "created"))
		line("created", rsvol_text(v, "created", "-"));
	if (json_object_get(v, "taken"))
		line("taken", rsvol_text(v, "taken", "-"));
	line("label", rsvol_text(v, "label", "-"));
	line("clients", json_is_array(clients) ? rsvol_list_text(clients, text, sizeof text) :
		     clients ? "every client of its pool" : "-");
	line("open by", rsvol_list_text(json_object_get(v, "open_by"), text, sizeof text));
	if (json_is_string(json_object_get(v, "reserved_by")))
		line("reserved by", rsvol_text(v, "reserved_by", "-"));
	print_limits(json_object_get(v, "limits"));
	if (json_number_value(json_object_get(schedule, "every")) > 0) {
		const char *next = rsvol_text(schedule, "next", "");

		snprintf(text, sizeof text, "every %s, %d kept%s%.40s",
			 rsvol_time_text(json_number_value(json_object_get(schedule, "every")), a),
			 (int)json_integer_value(json_object_get(schedule, "keep")), *next ? ", next at " : "", next);
		line("schedule", text);
	}
	snprintf(text, sizeof text, "%zu", json_array_size(json_object_get(v, "snapshots")));
	line("snapshots", text);
}

int rsvol_info(const struct rsvol *rv, char **operands)
{
	struct rsvol_name n = rsvol_name(operands[0]);
	char namespace[CONF_NAME_MAX + 1], full[128];
	struct err e;
	json_t *v = rsvol_volume_of(rv, &n, namespace, &e);

	if (!v)
		return rsvol_failed(rv, &n, &e);
	json_object_set_new(v, "namespace", json_string(namespace));
	if (rv->json)
		return rsvol_print_json(json_pack("{s:o}", "volume", v));
	print_info(v, rsvol_full(&n, namespace, full));
	json_decref(v);
	return RSVOL_DONE;
}

int rsvol_snapshots(const struct rsvol *rv, char **operands)
{
	struct rsvol_name n = rsvol_volume(operands[0]);
	struct table t = { .columns = 4 };
	char size[32], allocated[32];
	struct err e;
	json_t *v = rsvol_volume_of(rv, &n, NULL, &e), *list, *s;
	size_t i;

	if (!v)
		return rsvol_failed(rv, &n, &e);
	list = json_object_get(v, "snapshots");
	list = list ? json_incref(list) : json_array();
	json_decref(v);
	if (rv->json)
		return rsvol_print_json(json_pack("{s:o}", "snapshots", list));
	if (json_array_size(list))
		table_row(&t, "SNAPSHOT", "TAKEN", ">SIZE", ">ALLOCATED");
	json_array_foreach(list, i, s)
		table_row(&t, rsvol_text(s, "name", "-"), rsvol_text(s, "taken", "-"), bytes(s, "size", size),
			  bytes(s, "allocated", allocated));
	table_print(&t);
	json_decref(list);
	return RSVOL_DONE;
}

/* pool ls */

/* A pool that two servers reach is its owner's; the other's word counts where the owner is silent. */
static void take_pools(const struct rsvol *rv, const char *namespace, const char *server, json_t *answer, json_t *all)
{
	json_t *p, *other;
	size_t i, j;

	(void)rv;
	json_array_foreach(json_object_get(answer, "pools"), i, p) {
		bool again = false;

		json_object_set_new(p, "namespace", json_string(namespace));
		json_object_set_new(p, "server", json_string(server));
		json_array_foreach(all, j, other) {
			if (!json_is_true(json_object_get(p, "shared")) || strcmp(rsvol_text(other, "namespace", ""), namespace) ||
			    strcmp(rsvol_text(other, "name", ""), rsvol_text(p, "name", "")) ||
			    strcmp(rsvol_text(other, "owner", ""), rsvol_text(p, "owner", "")))
				continue;
			again = true;
			if (strcmp(server, rsvol_text(p, "owner", "")) == 0)
				json_array_set(all, j, p);
		}
		if (!again)
			json_array_append(all, p);
	}
}

/* A server's words. */
static void print_why(const json_t *p)
{
	char text[ERR_TEXT_MAX + 200];

	if (!json_is_string(json_object_get(p, "why")))
		return;
	snprintf(text, sizeof text, "pool %s:%s on %s is %s: %s", rsvol_text(p, "namespace", "-"), rsvol_text(p, "name", "-"), rsvol_text(p, "server", "-"),
		 rsvol_text(p, "state", "-"), rsvol_text(p, "why", ""));
	err_clean(text);
	puts(text);
}

/* With a column of the namespaces where there are several. */
static void print_pools(const json_t *list)
{
	const char *first = rsvol_text(json_array_get(list, 0), "namespace", "-");
	const char *last = rsvol_text(json_array_get(list, json_array_size(list) - 1), "namespace", "-");
	bool several = strcmp(first, last) != 0;
	struct table t = { .columns = 9 + several };
	char size[32], allocated[32], promised[32], left[32];
	const json_t *reflink;
	json_t *p;
	size_t i;

#define ROW(namespace, ...) (several ? table_row(&t, namespace, __VA_ARGS__) : table_row(&t, __VA_ARGS__))
	ROW("NAMESPACE", "POOL", "SERVER", ">SIZE", ">ALLOCATED", ">PROMISED", ">FREE", "FS", "STATE", "SNAPSHOTS");
	json_array_foreach(list, i, p) {
		reflink = json_object_get(p, "reflink");
		ROW(rsvol_text(p, "namespace", "-"), rsvol_text(p, "name", "-"), rsvol_text(p, "server", "-"), bytes(p, "size", size),
		    bytes(p, "allocated", allocated), bytes(p, "promised", promised), bytes(p, "free", left),
		    rsvol_text(p, "filesystem", "-"), rsvol_text(p, "state", "-"),
		    !reflink ? "-" : json_is_true(reflink) ? "instant" : "copied");
	}
#undef ROW
	table_print(&t);
	json_array_foreach(list, i, p)
		print_why(p);
}

int rsvol_pool(const struct rsvol *rv, char **operands)
{
	json_t *list = json_array(), *sort;
	int status;

	if (strcmp(operands[0], "ls") != 0)
		rsvol_usage("pool takes the word ls, not '%s'", operands[0]);
	status = collect(rv, operands[1], json_pack("{s:s}", "do", "pools"), take_pools, list);
	sort = sorted(list);
	json_decref(list);
	if (rv->json) {
		int printed = rsvol_print_json(json_pack("{s:o}", "pools", sort));

		return status ? status : printed;
	}
	if (json_array_size(sort))
		print_pools(sort);
	json_decref(sort);
	return status;
}
