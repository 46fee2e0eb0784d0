/*
 * rsagent_status.c - rsagent status and rsagent ls: what the servers on other hosts say of
 * themselves and of their volumes.
 *
 * `rssrv --status` there has all of it, and everybody may ask; so nothing here needs root.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "ctl.h"
#include "rsagent_login.h"
#include "rsagent_server.h"

struct options {
	struct rsagent_remote remote;
	const char *run_dir;
};

static const struct opt table[] = {
	RSAGENT_REMOTE_OPTIONS(struct options),
	RSAGENT_RUN_DIR_OPTION(struct options),
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

json_t *rsagent_server_status(struct remote *r, const char *run_dir, struct err *e)
{
	char *script = rsagent_server_script(run_dir, "--status", NULL), *text;
	json_t *status = NULL;
	size_t size;

	text = script ? rsagent_run(r, "rssrv --status", script, NULL, 0, 20, &size, e) : NULL;
	if (!script)
		err_set(e, ENOMEM, "no memory");
	else if (text)
		status = ctl_parse(text, size, e);
	free(script);
	free(text);
	return status;
}

static int ask(struct rsagent_task *t, struct err *e)
{
	const struct options *o = t->arg;
	struct remote *r = rsagent_login(t, RSAGENT_USER, e);
	json_t *status;

	if (!r)
		return -e->code;
	rsagent_progress(t, "asking rssrv");
	status = rsagent_server_status(r, o->run_dir, e);
	remote_close(r);
	if (!status)
		return -e->code;
	json_object_set_new(t->result, "status", status);
	return 0;
}

/* What is in the answers. */

static const json_t *get(const struct rsagent_outcome *o, const char *key)
{
	return json_object_get(json_object_get(o->result, "status"), key);
}

/* A text from another host, fit for a terminal. */
static const char *text_of(const json_t *object, const char *key, char buf[128])
{
	const char *text = json_string_value(json_object_get(object, key));

	snprintf(buf, 128, "%s", text ? text : "-");
	err_clean(buf);
	return buf;
}

static const char *size_text(json_int_t bytes, char buf[32])
{
	static const char units[] = "KMGTPE";
	double n = (double)bytes;
	int unit = -1;

	for (; n >= 1024 && unit < 5; unit++)
		n /= 1024;
	if (unit < 0)
		snprintf(buf, 32, "%" JSON_INTEGER_FORMAT, bytes);
	else
		snprintf(buf, 32, "%.*f%c", n < 10 ? 1 : 0, n, units[unit]);
	return buf;
}

static const char *time_text(json_int_t seconds, char buf[32])
{
	long s = (long)seconds;

	if (s < 120)
		snprintf(buf, 32, "%lds", s);
	else if (s < 7200)
		snprintf(buf, 32, "%ldm", s / 60);
	else if (s < 48 * 3600)
		snprintf(buf, 32, "%ldh%02ldm", s / 3600, s / 60 % 60);
	else
		snprintf(buf, 32, "%ldd%02ldh", s / 86400, s / 3600 % 24);
	return buf;
}

/* What wants looking at, a line each; with to NULL it is only counted. */
static int troubles(const struct rsagent_outcome *o, FILE *to)
{
	char name[128], state[128];
	const json_t *v;
	int count = 0;
	size_t i;

	json_array_foreach(get(o, "pools"), i, v) {
		if (strcmp(text_of(v, "state", state), "ok") == 0)
			continue;
		count++;
		if (to)
			fprintf(to, "%s: the pool %s is %s\n", o->host->name, text_of(v, "name", name), state);
	}
	json_array_foreach(get(o, "volumes"), i, v) {
		if (!json_is_true(json_object_get(v, "flush_failed")))
			continue;
		count++;
		if (to)
			fprintf(to, "%s: a flush of the volume %s failed: 'rssrv --clear-flush-error %s' there when it was dealt with\n",
				o->host->name, text_of(v, "name", name), name);
	}
	return count;
}

static json_int_t connections(const struct rsagent_outcome *o)
{
	json_int_t n = 0;
	const json_t *v;
	size_t i;

	json_array_foreach(get(o, "sessions"), i, v)
		n += (json_int_t)json_array_size(json_object_get(v, "connections"));
	return n;
}

static json_int_t free_bytes(const struct rsagent_outcome *o)
{
	json_int_t n = 0;
	const json_t *v;
	size_t i;

	json_array_foreach(get(o, "pools"), i, v)
		n += json_integer_value(json_object_get(v, "free"));
	return n;
}

static int name_width(const struct rsagent_outcome *all, size_t count)
{
	int width = 4;

	for (size_t i = 0; i < count; i++)
		if ((int)strlen(all[i].host->name) > width)
			width = (int)strlen(all[i].host->name);
	return width;
}

static void server_text(const struct rsagent_outcome *o, char full[260])
{
	const json_t *status = json_object_get(o->result, "status");
	char namespace[128], server[128];

	snprintf(full, 260, "%s:%s", text_of(status, "namespace", namespace), text_of(status, "server", server));
}

static int server_width(const struct rsagent_outcome *all, size_t count)
{
	int width = 6;
	char full[260];

	for (size_t i = 0; i < count; i++) {
		server_text(&all[i], full);
		if (all[i].done && (int)strlen(full) > width)
			width = (int)strlen(full);
	}
	return width;
}

static void status_row(const struct rsagent_outcome *o, int width, int servers)
{
	char version[128], full[260], up[32], room[32];

	if (!o->done) {
		rsagent_failed_row(o, width);
		return;
	}
	server_text(o, full);
	printf("%-*s  %-6s  %-7s  %-*s  %7s %7zu %4zu %7zu %5" JSON_INTEGER_FORMAT " %5s\n", width, o->host->name,
	       troubles(o, NULL) ? "look" : "ok", text_of(json_object_get(o->result, "status"), "version", version), servers, full,
	       time_text(json_integer_value(json_object_get(get(o, "process"), "uptime")), up),
	       json_array_size(get(o, "portals")), json_array_size(get(o, "volumes")), json_array_size(get(o, "sessions")),
	       connections(o), size_text(free_bytes(o), room));
}

static void show_status(const struct rsagent_outcome *all, size_t count)
{
	int width = name_width(all, count), servers = server_width(all, count);

	printf("%-*s  STATE   VERSION  %-*s  %7s PORTALS VOLS CLIENTS PATHS  FREE\n", width, "HOST", servers, "SERVER", "UP");
	for (size_t i = 0; i < count; i++)
		status_row(&all[i], width, servers);
	for (size_t i = 0; i < count; i++)
		troubles(&all[i], stdout);
}

static void show_volumes(const struct rsagent_outcome *all, size_t count)
{
	int width = name_width(all, count);
	char name[128], pool[128], by[128], size[32];
	const json_t *v;
	size_t k;

	printf("%-*s  %-24s  %8s  %-12s  %5s  %-8s  %s\n", width, "HOST", "VOLUME", "SIZE", "POOL", "OPENS", "ACCESS", "RESERVED");
	for (size_t i = 0; i < count; i++) {
		json_array_foreach(get(&all[i], "volumes"), k, v)
			printf("%-*s  %-24s  %8s  %-12s  %5" JSON_INTEGER_FORMAT "  %-8s  %s\n", width, all[i].host->name,
			       text_of(v, "name", name), size_text(json_integer_value(json_object_get(v, "size")), size),
			       text_of(v, "pool", pool), json_integer_value(json_object_get(v, "opens")),
			       json_is_true(json_object_get(v, "read_only")) ? "read" : "write", text_of(v, "reserved_by", by));
	}
}

static int run_status(void *options, int count, char **words, struct err *e)
{
	const struct options *o = options;
	struct rsagent_many m = { .run = ask, .show = show_status, .arg = options };

	return rsagent_on_hosts(&m, &o->remote, count, words, e);
}

/* --json has the volumes only. */
static int ask_volumes(struct rsagent_task *t, struct err *e)
{
	int r = ask(t, e);

	if (!r && t->remote->json) {
		json_object_set(t->result, "volumes", json_object_get(json_object_get(t->result, "status"), "volumes"));
		json_object_del(t->result, "status");
	}
	return r;
}

static int run_ls(void *options, int count, char **words, struct err *e)
{
	const struct options *o = options;
	struct rsagent_many m = { .run = ask_volumes, .show = show_volumes, .arg = options };

	return rsagent_on_hosts(&m, &o->remote, count, words, e);
}

const struct rsagent_command rsagent_status = {
	.program = {
		.name = "rsagent status",
		.synopsis = "[options] HOST...",
		.about = "Shows what the servers on these hosts say of themselves.",
		.table = table,
		.operands = "HOST",
		.page = "rsagent(8)",
	},
	.summary = "how the servers on these hosts are",
	.size = sizeof(struct options),
	.run = run_status,
};

const struct rsagent_command rsagent_ls = {
	.program = {
		.name = "rsagent ls",
		.synopsis = "[options] HOST...",
		.about = "Lists the volumes of the servers on these hosts.",
		.table = table,
		.operands = "HOST",
		.page = "rsagent(8)",
	},
	.summary = "their volumes",
	.size = sizeof(struct options),
	.run = run_ls,
};
