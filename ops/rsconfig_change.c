/*
 * rsconfig_change.c - what changes something: attach, detach, and the actions
 * of -m.
 *
 * Of several volumes each is tried; each that fails has its own line, and the
 * exit status says whether all went well.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "conf.h"
#include "opt.h"
#include "policy.h"
#include "rsconfig.h"

static json_t *volume_array(const struct rsconfig *rc, char **operands)
{
	json_t *volumes = json_array();

	for (; *operands; operands++) {
		char *name = rsconfig_volume(rc, *operands);

		json_array_append_new(volumes, json_string(name));
		free(name);
	}
	return volumes;
}

const char *rsconfig_text(const json_t *object, const char *key, const char *fallback)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : fallback;
}

/* One volume's failure: the daemon's words; for a name that it does not know, also
 * what may have been meant. */
static void print_failure(const struct rsconfig *rc, const json_t *result)
{
	const json_t *error = json_object_get(result, "error");
	const char *volume = rsconfig_text(result, "volume", "-");
	const char *text = rsconfig_text(error, "text", "failed without a reason");
	bool named = strstr(text, volume) != NULL;
	struct err e;

	err_set(&e, EREMOTEIO, "%s%s%s", named ? "" : volume, named ? "" : ": ", text);
	err_next(&e, "%s", rsconfig_text(error, "next", ""));
	if (strcmp(rsconfig_text(error, "code", ""), "ENOENT") == 0)
		rsconfig_suggest(rc, volume, &e);
	err_print("rsconfig", &e);
}

/* Prints each result; verb is what was done to those that went well. */
static int print_results(const struct rsconfig *rc, json_t *reply, const char *verb)
{
	const json_t *results = json_object_get(reply, "results");
	int status = 0;
	size_t i;
	json_t *r;

	json_array_foreach(results, i, r) {
		if (!json_is_true(json_object_get(r, "ok")))
			status = 1;
		if (rc->json)
			continue;
		if (!json_is_true(json_object_get(r, "ok"))) {
			fflush(stdout);		/* the lines in the order of the volumes */
			print_failure(rc, r);
		} else if (json_is_string(json_object_get(r, "block"))) {
			printf("%s: %s %s\n", rsconfig_text(r, "volume", "-"), verb, rsconfig_text(r, "block", ""));
		} else {
			const char *more = rsconfig_text(r, "note", "");

			printf("%s: %s%s%s\n", rsconfig_text(r, "volume", "-"), verb, *more ? "; " : "", more);
		}
	}
	if (rc->json && rsconfig_print_json(json_pack("{s:O?}", "results", results)))
		status = 1;
	return status;
}

static int change(const struct rsconfig *rc, const char *what, char **operands, const char *verb)
{
	json_t *request = json_pack("{s:s, s:o, s:b}", "do", what, "volumes", volume_array(rc, operands),
				    "force", rc->force), *reply;
	int status;

	if (rc->exclusive)
		json_object_set_new(request, "exclusive", json_true());
	reply = rsconfig_call(rc, request);
	if (!reply)
		return 1;
	status = print_results(rc, reply, verb);
	/* All of none: that is not what was wanted. */
	if (rc->attach && json_array_size(json_object_get(reply, "results")) == 0) {
		fputs("rsconfig: no volume is offered to this client now\n"
		      "rsconfig: rsconfig -m status shows why\n", stderr);
		status = 1;
	}
	json_decref(reply);
	return status;
}

int rsconfig_attach(const struct rsconfig *rc, char **operands)
{
	return change(rc, "attach", operands, "attached as");
}

int rsconfig_detach(const struct rsconfig *rc, char **operands)
{
	return change(rc, "detach", operands, "detached");
}

int rsconfig_fail(const struct rsconfig *rc, char **operands)
{
	int status = 0;

	for (; *operands; operands++) {
		char *volume = rsconfig_volume(rc, *operands);
		struct err e;
		json_t *reply = rsconfig_ask(rc, json_pack("{s:s, s:s}", "do", "fail",
							   "volume", volume), &e);

		if (reply) {
			printf("%s: what waited was ended with an error\n", volume);
		} else {
			if (e.code == ENOENT)
				rsconfig_suggest(rc, volume, &e);
			fflush(stdout);
			err_print("rsconfig", &e);
			status = 1;
		}
		json_decref(reply);
		free(volume);
	}
	return status;
}

/* rsiod has the last word; a slip of the finger is told at once. */
static void check_policy(const char *policy)
{
	const char *known[POLICY_COUNT + 2] = { NULL }, *near;
	char list[160] = "";

	for (int i = 0; i < POLICY_COUNT; i++) {
		known[i] = policy_names[i];
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s, ", policy_names[i]);
	}
	known[POLICY_COUNT] = "default";
	for (int i = 0; known[i]; i++)
		if (strcmp(known[i], policy) == 0)
			return;
	near = opt_nearest(policy, known);
	if (near)
		rsconfig_usage("unknown policy '%s' (did you mean %s?)", policy, near);
	rsconfig_usage("unknown policy '%s': %sdefault", policy, list);
}

int rsconfig_policy(const struct rsconfig *rc, char **operands)
{
	char *ns = operands[0], *target = ns + strcspn(ns, ":/");
	json_t *request, *reply;

	check_policy(operands[1]);
	request = json_pack("{s:s, s:s}", "do", "policy", "policy", operands[1]);
	if (*target) {
		json_object_set_new(request, "target", json_string(target + 1));
		*target = 0;
	}
	json_object_set_new(request, "namespace", json_string(ns));
	if (rc->weight)
		json_object_set_new(request, "weight", json_string(rc->weight));
	if (rc->standby)
		json_object_set_new(request, "standby", json_string(rc->standby));
	reply = rsconfig_call(rc, request);
	json_decref(reply);
	return reply ? 0 : 1;
}

int rsconfig_reload(const struct rsconfig *rc, char **operands)
{
	json_t *reply = rsconfig_call(rc, json_pack("{s:s}", "do", "reload"));

	(void)operands;
	json_decref(reply);
	return reply ? 0 : 1;
}

/* Waits for the process to end; false when it is there still. */
static bool wait_gone(int pidfd)
{
	struct pollfd p = { pidfd, POLLIN, 0 };

	return poll(&p, 1, (int)(RSCONFIG_TIMEOUT * 1000)) == 1;
}

/* Done means that the process is gone, so that whoever stops a network next does
 * not take it from under the last goodbye. */
int rsconfig_stop(const struct rsconfig *rc, char **operands)
{
	json_t *reply = rsconfig_call(rc, json_pack("{s:s}", "do", "status"));
	int pid = (int)json_integer_value(json_object_get(reply, "pid")), fd = -1, status = 0;
	struct err e;

	(void)operands;
	json_decref(reply);
	if (!reply)
		return 1;
	/* Held before it is asked to stop: the number cannot become another's. */
	if (pid > 0)
		fd = (int)syscall(SYS_pidfd_open, pid, 0);
	/* Whoever calls this from within the tree does not mean to hold it. */
	if (chdir("/"))
		status = 1;
	reply = rsconfig_ask(rc, json_pack("{s:s, s:b}", "do", "stop", "force", rc->force), &e);
	if (!reply) {
		if (e.code == EBUSY && !e.next[0])
			err_next(&e, "end that first, or stop all the same with --force");
		err_print("rsconfig", &e);
		status = 1;
	} else if (fd >= 0 && !wait_gone(fd)) {
		fprintf(stderr, "rsconfig: rsiod (pid %d) said that it stops and has not within %g s\n"
			"rsconfig: rsclogcat shows what it waits for\n", pid, RSCONFIG_TIMEOUT);
		status = 1;
	}
	json_decref(reply);
	if (fd >= 0)
		close(fd);
	return status;
}
