/*
 * rsvol_change.c - a volume is made, gets another size or name, goes, or has another label, other
 * clients, other limits, a schedule.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "opt.h"
#include "rsvol.h"

static json_t *work(const char *op, const struct rsvol_name *n)
{
	return json_pack("{s:s, s:s}", "op", op, "volume", n->volume);
}

/* The volume itself, if it is there. */
static json_t *what_is_there(const struct rsvol *rv, const struct rsvol_name *n)
{
	struct err e;

	return rv->if_missing ? rsvol_volume_of(rv, n, NULL, &e) : NULL;
}

int rsvol_create(const struct rsvol *rv, char **operands)
{
	struct rsvol_name n = rsvol_volume(operands[0]);
	uint64_t size = rsvol_size(operands[1]);
	json_t *w = work("create", &n), *reply, *there;
	const char *pool;
	char text[32];
	int status;

	json_object_set_new(w, "size", json_integer((json_int_t)size));
	if (rv->pool) {
		rsvol_check_name("pool", rv->pool);
		json_object_set_new(w, "pool", json_string(rv->pool));
	}
	if (rv->preallocate)
		json_object_set_new(w, "preallocate", json_true());
	if (rv->if_missing)
		json_object_set_new(w, "if_missing", json_true());
	there = what_is_there(rv, &n);
	status = rsvol_work(rv, &n, "creating", w, &reply);
	if (status) {
		json_decref(there);
		return status;
	}
	/* Of one that was there its own size and pool, whatever was asked for. */
	if (there)
		size = (uint64_t)json_integer_value(json_object_get(there, "size"));
	pool = rsvol_text(there ? there : json_object_get(reply, "result"), "pool", NULL);
	status = rsvol_done(rv, &n, reply, there ? "is there already, %s%s%s" : "created, %s%s%s", rsvol_size_text(size, text),
			    pool ? " in pool " : "", pool ? pool : "");
	json_decref(there);
	return status;
}

/* resize: SIZE, +SIZE */

static uint64_t new_size(const char *text, uint64_t now)
{
	uint64_t more;

	if (*text != '+')
		return rsvol_size(text);
	more = rsvol_size(text + 1);
	if (now > INT64_MAX - more)
		rsvol_usage("a volume of %s more is more than 8 EiB", text + 1);
	return now + more;
}

/* What is behind the new end is lost: that is asked for. */
static bool shrinks(const struct rsvol *rv, const struct rsvol_name *n, uint64_t size, uint64_t now)
{
	char what[256], a[32], b[32], full[128];

	if (size >= now) {
		rsvol_confirmed(rv, n);
		return false;
	}
	snprintf(what, sizeof what, "%s shrinks from %s to %s: what is behind that is lost for good", rsvol_full(n, NULL, full),
		 rsvol_size_text(now, a), rsvol_size_text(size, b));
	rsvol_confirm(rv, n, what);
	return true;
}

static int grow(const struct rsvol *rv, const struct rsvol_name *n, json_t *reply, uint64_t size)
{
	struct rsvol_name where = *n;
	json_t *grown;
	int status;

	snprintf(where.namespace, sizeof where.namespace, "%s", rsvol_text(reply, "namespace", n->namespace));
	status = rsvol_follow(rv, &where, "growing", json_pack("{s:s, s:s, s:I}", "do", "grow", "volume", n->volume,
							       "size", (json_int_t)size), &grown);
	if (status)
		return status;
	json_object_del(grown, "ok");
	json_object_set_new(reply, "grown", grown);
	return 0;
}

/* Nothing is changed where what was asked for cannot be done to its end: a volume does not shrink
 * again while it is used.  False, with e filled: it has no device here. */
static bool has_device(const struct rsvol *rv, const struct rsvol_name *n, const char *namespace, struct err *e)
{
	json_t *status = rsvol_ask_daemon(rv, json_pack("{s:s}", "do", "status"), e), *d;
	char full[128];
	bool has = false;
	size_t i;

	if (!status)
		return false;
	json_array_foreach(json_object_get(status, "devices"), i, d)
		has |= strcmp(rsvol_text(d, "namespace", ""), namespace) == 0 && strcmp(rsvol_text(d, "volume", ""), n->volume) == 0;
	json_decref(status);
	if (has)
		return true;
	err_set(e, ENODEV, "%s is not attached to this machine: nothing was changed", rsvol_full(n, namespace, full));
	err_next(e, "say it where the file system is mounted; without --grow-fs the volume grows alone");
	return false;
}

/* The one that was looked at, and perhaps asked about, whatever has the name when the server does it. */
static void identify(json_t *w, const json_t *volume, bool content)
{
	json_t *uuid = json_object_get(volume, "uuid"), *generation = json_object_get(volume, "generation");

	if (json_is_string(uuid))
		json_object_set(w, "uuid", uuid);
	if (json_is_string(uuid) && json_is_string(generation) && content)
		json_object_set(w, "generation", generation);
}

int rsvol_resize(const struct rsvol *rv, char **operands)
{
	struct rsvol_name n = rsvol_volume(operands[0]);
	json_t *volume, *w, *reply;
	const json_t *grown;
	uint64_t now, size;
	struct err e;
	char text[32], full[128], namespace[CONF_NAME_MAX + 1];
	int status;

	if (*operands[1] != '+')
		rsvol_size(operands[1]);	/* a mistake costs no question */
	volume = rsvol_volume_of(rv, &n, namespace, &e);
	if (!volume)
		return rsvol_failed(rv, &n, &e);
	now = (uint64_t)json_integer_value(json_object_get(volume, "size"));
	size = new_size(operands[1], now);
	w = work("resize", &n);
	json_object_set_new(w, "size", json_integer((json_int_t)size));
	identify(w, volume, size < now);
	json_decref(volume);
	if (rv->grow_fs && size < now)
		rsvol_usage("--grow-fs is for more, not for less");
	if (rv->grow_fs && !has_device(rv, &n, namespace, &e)) {
		json_decref(w);
		return rsvol_failed(rv, &n, &e);
	}
	if (shrinks(rv, &n, size, now))
		json_object_set_new(w, "confirm", json_string(n.volume));
	status = rsvol_work(rv, &n, "resizing", w, &reply);
	if (status)
		return status;
	if (rv->grow_fs && (status = grow(rv, &n, reply, size)) != 0) {
		fprintf(stderr, "rsvol: the volume itself has %s now; for the file system alone again:"
			" rsvol resize %s %llu --grow-fs\n", rsvol_size_text(size, text), rsvol_full(&n, NULL, full),
			(unsigned long long)size);
		json_decref(reply);
		return status;
	}
	grown = json_object_get(reply, "grown");
	return rsvol_done(rv, &n, reply, "%s now%s%s%s%s", rsvol_size_text(size, text), grown ? ", and so has the " : "",
			  grown ? rsvol_text(grown, "filesystem", "file system") : "", grown ? " at " : "",
			  grown ? rsvol_text(grown, "mount", "-") : "");
}

int rsvol_rename(const struct rsvol *rv, char **operands)
{
	struct rsvol_name n = rsvol_volume(operands[0]), to = rsvol_volume(operands[1]);
	json_t *w = work("rename", &n), *reply;
	int status;

	if (*to.namespace && *n.namespace && strcmp(to.namespace, n.namespace) != 0)
		rsvol_usage("a volume stays in its namespace: %s is another than %s", to.namespace, n.namespace);
	json_object_set_new(w, "to", json_string(to.volume));
	status = rsvol_work(rv, &n, "renaming", w, &reply);
	return status ? status : rsvol_done(rv, &n, reply, "is %s now", to.volume);
}

/* rm */

static int rm_snapshot(const struct rsvol *rv, const struct rsvol_name *n)
{
	json_t *w = work("snapshot_remove", n), *reply;
	int status;

	if (rv->confirm || rv->snapshots)
		rsvol_usage("%s is a snapshot: --confirm and --snapshots are for a volume", n->text);
	json_object_set_new(w, "snapshot", json_string(n->snapshot));
	status = rsvol_work(rv, n, "removing", w, &reply);
	return status ? status : rsvol_done(rv, n, reply, "removed");
}

/* What is about to be lost, in a line; false: it has snapshots that were not to go with it. */
static bool describe(const struct rsvol *rv, const json_t *volume, const char *full, char *what, size_t size, struct err *e)
{
	size_t snapshots = json_array_size(json_object_get(volume, "snapshots"));
	const char *label = rsvol_text(volume, "label", "");
	char bytes[32], some[48] = "";

	if (snapshots && !rv->snapshots) {
		err_set(e, ENOTEMPTY, "%s has %zu snapshot%s", full, snapshots, snapshots == 1 ? "" : "s");
		err_next(e, "rsvol snapshots shows them; --snapshots removes them too");
		return false;
	}
	if (snapshots)
		snprintf(some, sizeof some, " and its %zu snapshot%s", snapshots, snapshots == 1 ? "" : "s");
	snprintf(what, size, "%s (%s%s%.60s)%s will be removed for good", full,
		 rsvol_size_text((uint64_t)json_integer_value(json_object_get(volume, "size")), bytes), *label ? ", " : "", label, some);
	return true;
}

int rsvol_rm(const struct rsvol *rv, char **operands)
{
	struct rsvol_name n = rsvol_name(operands[0]);
	char namespace[CONF_NAME_MAX + 1], full[128], what[320];
	json_t *volume, *w, *reply;
	struct err e;
	bool good;
	int status;

	if (n.snapshot[0])
		return rm_snapshot(rv, &n);
	rsvol_confirmed(rv, &n);
	volume = rsvol_volume_of(rv, &n, namespace, &e);
	if (!volume)
		return rsvol_failed(rv, &n, &e);
	good = describe(rv, volume, rsvol_full(&n, namespace, full), what, sizeof what, &e);
	w = work("remove", &n);
	identify(w, volume, false);
	json_decref(volume);
	if (!good) {
		json_decref(w);
		return rsvol_failed(rv, &n, &e);
	}
	rsvol_confirm(rv, &n, what);
	json_object_set_new(w, "confirm", json_string(n.volume));
	if (rv->snapshots)
		json_object_set_new(w, "snapshots", json_true());
	status = rsvol_work(rv, &n, "removing", w, &reply);
	return status ? status : rsvol_done(rv, &n, reply, "removed");
}

/* What a volume has, and what it is to have instead. */

/* One member of the volume: as JSON, or as the function prints it. */
static int show_member(const struct rsvol *rv, const struct rsvol_name *n, const char *key,
		       void (*print)(const json_t *member))
{
	struct err e;
	json_t *volume = rsvol_volume_of(rv, n, NULL, &e), *member;

	if (!volume)
		return rsvol_failed(rv, n, &e);
	member = json_object_get(volume, key);
	member = member ? json_incref(member) : json_null();
	json_decref(volume);
	if (rv->json)
		return rsvol_print_json(json_pack("{s:o}", key, member));
	print(member);
	json_decref(member);
	return RSVOL_DONE;
}

/* A server's word: no terminal is told anything by it. */
static void print_word(const char *word, const char *end)
{
	char *copy = strdup(word ? word : "");

	if (!copy)
		abort();
	err_clean(copy);
	printf("%s%s", copy, end);
	free(copy);
}

static void print_label(const json_t *label)
{
	print_word(json_string_value(label), "\n");
}

int rsvol_label(const struct rsvol *rv, char **operands)
{
	struct rsvol_name n = rsvol_volume(operands[0]);
	json_t *w, *reply;
	int status;

	if (!operands[1])
		return show_member(rv, &n, "label", print_label);
	w = work("label", &n);
	if (json_object_set_new(w, "text", json_string(operands[1])) < 0)
		rsvol_usage("the label is not UTF-8");
	status = rsvol_work(rv, &n, "labelling", w, &reply);
	return status ? status : rsvol_done(rv, &n, reply, *operands[1] ? "labelled" : "has no label now");
}

static void print_clients(const json_t *clients)
{
	json_t *name;
	size_t i;

	if (!json_is_array(clients))
		puts("every client of its pool");
	json_array_foreach(clients, i, name)
		print_word(json_string_value(name), "\n");
}

int rsvol_access(const struct rsvol *rv, char **operands)
{
	struct rsvol_name n = rsvol_volume(operands[0]);
	json_t *w, *clients, *reply;
	char text[200];
	int status;

	if (!operands[1] && !rv->everyone)
		return show_member(rv, &n, "clients", print_clients);
	if (operands[1] && rv->everyone)
		rsvol_usage("either --everyone or names of clients");
	clients = rv->everyone ? json_null() : json_array();
	for (char **c = operands + 1; *c; c++)
		json_array_append_new(clients, json_string(*c));
	w = work("access", &n);
	json_object_set_new(w, "clients", clients);
	json_incref(clients);
	status = rsvol_work(rv, &n, "changing access to", w, &reply);
	if (!status)
		status = rsvol_done(rv, &n, reply, "for %s now", rv->everyone ? "every client of its pool" :
				    rsvol_list_text(clients, text, sizeof text));
	json_decref(clients);
	return status;
}

/* limit */

/* "none" is 0. */
static double rate(const char *option, const char *text)
{
	char *end;
	double n;

	if (strcmp(text, "none") == 0)
		return 0;
	n = strtod(text, &end);
	if (end == text || *end || !(n > 0) || n > 1e9)
		rsvol_usage("--%s wants a number above 0, or none, not '%s'", option, text);
	return n;
}

static void print_one_limit(const char *client, const json_t *l)
{
	double iops = json_number_value(json_object_get(l, "iops")), mbps = json_number_value(json_object_get(l, "mbps"));
	double burst = json_number_value(json_object_get(l, "burst"));
	char text[32];

	if (iops <= 0 && mbps <= 0)
		return;
	print_word(client, ":");
	if (iops > 0)
		printf(" %.0f requests/s", iops);
	if (mbps > 0)
		printf("%s %g MB/s", iops > 0 ? "," : "", mbps);
	if (burst > 0)
		printf(", burst %s", rsvol_time_text(burst, text));
	putchar('\n');
}

static void print_limits(const json_t *limits)
{
	const char *client;
	json_t *l;

	if (!json_is_object(limits))
		puts("no limit");
	print_one_limit("all together", limits);
	json_object_foreach(json_object_get(limits, "clients"), client, l)
		print_one_limit(client, l);
}

/* What was set, in the words in which limit shows it: "500 requests/s, 40 MB/s, burst 2s". */
static const char *limit_set(const struct rsvol *rv, char *buf, size_t size)
{
	char iops[60] = "", mbps[60] = "", burst[60] = "", span[32];

	if (rv->none)
		return "no limit now";
	if (rv->iops && rate("iops", rv->iops) > 0)
		snprintf(iops, sizeof iops, ", %.0f requests/s", rate("iops", rv->iops));
	else if (rv->iops)
		snprintf(iops, sizeof iops, ", any number of requests");
	if (rv->mbps && rate("mbps", rv->mbps) > 0)
		snprintf(mbps, sizeof mbps, ", %g MB/s", rate("mbps", rv->mbps));
	else if (rv->mbps)
		snprintf(mbps, sizeof mbps, ", any number of MB/s");
	if (rv->burst > 0)
		snprintf(burst, sizeof burst, ", burst %s", rsvol_time_text(rv->burst, span));
	snprintf(buf, size, "%s%s%s", iops, mbps, burst);
	return buf + 2;
}

int rsvol_limit(const struct rsvol *rv, char **operands)
{
	struct rsvol_name n = rsvol_volume(operands[0]);
	json_t *w, *reply;
	char text[200];
	int status;

	if (!rv->none && !rv->iops && !rv->mbps && rv->burst <= 0) {
		if (rv->client)
			rsvol_usage("which limit is %s to have: --iops, --mbps, --burst or --none", rv->client);
		return show_member(rv, &n, "limits", print_limits);
	}
	if (rv->none && (rv->iops || rv->mbps || rv->burst > 0))
		rsvol_usage("either --none or limits");
	w = work("limit", &n);
	if (rv->client)
		json_object_set_new(w, "client", json_string(rv->client));
	if (rv->none || rv->iops)
		json_object_set_new(w, "iops", json_integer((json_int_t)(rv->none ? 0 : rate("iops", rv->iops) + 0.5)));
	if (rv->none || rv->mbps)
		json_object_set_new(w, "mbps", json_real(rv->none ? 0 : rate("mbps", rv->mbps)));
	if (rv->none || rv->burst > 0)
		json_object_set_new(w, "burst", json_real(rv->burst));
	status = rsvol_work(rv, &n, "limiting", w, &reply);
	return status ? status : rsvol_done(rv, &n, reply, "%s: %s", rv->client ? rv->client : "all together",
					    limit_set(rv, text, sizeof text));
}

/* schedule */

static void print_schedule(const json_t *schedule)
{
	double every = json_number_value(json_object_get(schedule, "every"));
	const char *next = rsvol_text(schedule, "next", "");
	char text[32];

	if (every <= 0) {
		puts("no schedule");
		return;
	}
	printf("a snapshot every %s, %d are kept%s", rsvol_time_text(every, text),
	       (int)json_integer_value(json_object_get(schedule, "keep")), *next ? ", the next is taken at " : "");
	print_word(next, "\n");
}

int rsvol_schedule(const struct rsvol *rv, char **operands)
{
	struct rsvol_name n = rsvol_volume(operands[0]);
	json_t *w, *reply;
	char text[32];
	int status;

	if (!rv->none && rv->every <= 0 && !rv->keep)
		return show_member(rv, &n, "schedule", print_schedule);
	if (rv->none ? rv->every > 0 || rv->keep : rv->every <= 0 || !rv->keep)
		rsvol_usage("either --every and --keep, or --none");
	w = work("schedule", &n);
	json_object_set_new(w, "every", json_real(rv->every));
	if (rv->keep)
		json_object_set_new(w, "keep", json_integer(rv->keep));
	status = rsvol_work(rv, &n, "scheduling", w, &reply);
	if (status)
		return status;
	if (rv->none)
		return rsvol_done(rv, &n, reply, "has no schedule now");
	return rsvol_done(rv, &n, reply, "a snapshot every %s, %d are kept", rsvol_time_text(rv->every, text), rv->keep);
}
