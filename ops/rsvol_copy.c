/* rsvol_copy.c - one moment of volumes, kept, gone back to, and made volumes of their own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rsvol.h"

/* snapshot */

static void snapshot_name(const struct rsvol *rv, const struct rsvol_name *first, char to[CONF_NAME_MAX + 1])
{
	const char *name = rv->name ? rv->name : first->snapshot;

	if (rv->name && first->snapshot[0] && strcmp(rv->name, first->snapshot) != 0)
		rsvol_usage("the snapshot is to be %s and %s", first->snapshot, rv->name);
	if (!*name)
		rsvol_usage("name the snapshot with --name");
	rsvol_check_name("snapshot", name);
	if (name[strspn(name, "0123456789")] == 0)
		rsvol_usage("a snapshot's name is not a number alone: %s", name);
	snprintf(to, CONF_NAME_MAX + 1, "%s", name);
}

/* All of one namespace; the name of a snapshot may stand behind a single volume. */
static json_t *volumes_of(char **operands, struct rsvol_name *first)
{
	json_t *volumes = json_array();

	*first = operands[1] ? rsvol_volume(operands[0]) : rsvol_name(operands[0]);
	for (char **o = operands; *o; o++) {
		struct rsvol_name n = operands[1] ? rsvol_volume(*o) : *first;

		if (strcmp(n.namespace, first->namespace) != 0)
			rsvol_usage("%s and %s are not of one namespace: a snapshot is of one moment at one server", operands[0], *o);
		json_array_append_new(volumes, json_string(n.volume));
	}
	return volumes;
}

static void print_held(const json_t *reply)
{
	const json_t *held = json_object_get(json_object_get(reply, "result"), "held");
	const json_t *frozen = json_object_get(reply, "frozen");
	int count = (int)json_integer_value(json_object_get(frozen, "count"));

	if (json_is_number(held))
		printf("writes were held for %.1f ms\n", json_number_value(held) * 1e3);
	if (frozen)
		printf("%d file system%s at rest for %.1f ms\n", count, count == 1 ? "" : "s",
		       json_number_value(json_object_get(frozen, "seconds")) * 1e3);
}

/* "osl:db, osl:log"; what would not fit into a line or two is counted. */
static const char *taken_of(char **operands, const char *namespace, char *buf, size_t size)
{
	size_t used = 0, rest = 0;
	char full[128];

	for (char **o = operands; *o; o++) {
		struct rsvol_name n = rsvol_name(*o);

		n.snapshot[0] = 0;
		snprintf(n.text, sizeof n.text, "%s", n.volume);
		rsvol_full(&n, namespace, full);
		if (rest || used + strlen(full) + 20 > size)
			rest++;
		else
			used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? ", " : "", full);
	}
	if (rest)
		snprintf(buf + used, size - used, " and %zu more", rest);
	return buf;
}

int rsvol_snapshot(const struct rsvol *rv, char **operands)
{
	struct rsvol_name first;
	json_t *volumes = volumes_of(operands, &first), *w, *request, *reply;
	char name[CONF_NAME_MAX + 1], all[160];
	size_t more = json_array_size(volumes) - 1;
	int status;

	snapshot_name(rv, &first, name);
	w = json_pack("{s:s, s:o, s:s}", "op", "snapshot", "volumes", volumes, "name", name);
	if (rv->hold > 0)
		json_object_set_new(w, "hold_limit", json_real(rv->hold));
	request = json_pack("{s:s, s:o}", "do", "manage", "work", w);
	if (rv->server)
		json_object_set_new(request, "server", json_string(rv->server));
	if (rv->freeze)
		json_object_set_new(request, "freeze", json_true());
	first.snapshot[0] = 0;
	if (more)
		snprintf(first.text, sizeof first.text, "%s and %zu more", first.volume, more);
	else
		snprintf(first.text, sizeof first.text, "%s", first.volume);
	status = rsvol_follow(rv, &first, "taking a snapshot of", request, &reply);
	if (status)
		return status;
	if (rv->json)
		return rsvol_done(rv, &first, reply, "snapshot %s taken", name);
	printf("%s: snapshot %s taken\n", taken_of(operands, rsvol_text(reply, "namespace", ""), all, sizeof all), name);
	print_held(reply);
	json_decref(reply);
	return RSVOL_DONE;
}

/* rollback */

/* taken: when the snapshot was. */
static int ask_about_rollback(const struct rsvol *rv, const struct rsvol_name *n, char taken[32])
{
	char namespace[CONF_NAME_MAX + 1], full[128], what[320];
	struct err e;
	json_t *snapshot;

	rsvol_confirmed(rv, n);
	snapshot = rsvol_volume_of(rv, n, namespace, &e);	/* one that is not there needs no asking */
	if (!snapshot)
		return rsvol_failed(rv, n, &e);
	snprintf(taken, 32, "%s", rsvol_text(snapshot, "taken", "-"));
	json_decref(snapshot);
	snprintf(what, sizeof what, "everything written since the snapshot %s of %s will be lost for good",
		 rsvol_full(n, namespace, full), taken);
	rsvol_confirm(rv, n, what);
	return 0;
}

int rsvol_rollback(const struct rsvol *rv, char **operands)
{
	struct rsvol_name n = rsvol_name(operands[0]);
	char taken[32];
	json_t *reply;
	int status;

	if (!n.snapshot[0])
		rsvol_usage("roll back to which snapshot? %s@SNAP; rsvol snapshots shows them", n.volume);
	status = ask_about_rollback(rv, &n, taken);
	if (status)
		return status;
	status = rsvol_work(rv, &n, "rolling back to",
			    json_pack("{s:s, s:s, s:s, s:s}", "op", "rollback", "volume", n.volume, "snapshot", n.snapshot,
				      "confirm", n.volume), &reply);
	return status ? status : rsvol_done(rv, &n, reply, "%s is as it was at %s", n.volume, taken);
}

/* clone, copy */

static void set_pool(const struct rsvol *rv, json_t *w)
{
	if (!rv->pool)
		return;
	rsvol_check_name("pool", rv->pool);
	json_object_set_new(w, "pool", json_string(rv->pool));
}

static const char *target(const struct rsvol_name *from, const char *text)
{
	static struct rsvol_name to;

	to = rsvol_volume(text);
	if (*to.namespace && *from->namespace && strcmp(to.namespace, from->namespace) != 0)
		rsvol_usage("the new volume is in the same namespace: %s is another than %s", to.namespace, from->namespace);
	return to.volume;
}

static const char *name_at(const json_t *names, size_t i)
{
	const char *name = json_string_value(json_array_get(names, i));

	return name ? name : "-";
}

int rsvol_clone(const struct rsvol *rv, char **operands)
{
	struct rsvol_name n = rsvol_name(operands[0]);
	json_t *w = json_pack("{s:s, s:s}", "op", "clone", "volume", n.text), *reply;
	const char *to = operands[1] ? target(&n, operands[1]) : NULL;
	char first[CONF_NAME_MAX + 1], last[CONF_NAME_MAX + 1];
	const json_t *names;
	int status;

	if (to ? rv->count || rv->name : !rv->count || !rv->name)
		rsvol_usage("clone takes a new name, or --count and --name");
	if (to) {
		json_object_set_new(w, "to", json_string(to));
	} else {
		rsvol_check_name("volume", rv->name);
		json_object_set_new(w, "prefix", json_string(rv->name));
		json_object_set_new(w, "count", json_integer(rv->count));
	}
	set_pool(rv, w);
	status = rsvol_work(rv, &n, "cloning", w, &reply);
	if (status)
		return status;
	if (to)
		return rsvol_done(rv, &n, reply, "cloned as %s", to);
	names = json_object_get(json_object_get(reply, "result"), "volumes");
	snprintf(first, sizeof first, "%s", name_at(names, 0));
	snprintf(last, sizeof last, "%s", name_at(names, json_array_size(names) - 1));
	if (strcmp(first, last) == 0)
		return rsvol_done(rv, &n, reply, "cloned as %s", first);
	return rsvol_done(rv, &n, reply, "%d clones made, %s to %s", rv->count, first, last);
}

int rsvol_copy(const struct rsvol *rv, char **operands)
{
	struct rsvol_name n = rsvol_name(operands[0]);
	const char *to = target(&n, operands[1]);
	json_t *w = json_pack("{s:s, s:s, s:s}", "op", "copy", "volume", n.text, "to", to), *reply;
	int status;

	set_pool(rv, w);
	status = rsvol_work(rv, &n, "copying", w, &reply);
	return status ? status : rsvol_done(rv, &n, reply, "copied to %s", to);
}
