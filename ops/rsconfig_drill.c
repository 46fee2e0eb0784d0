/* rsconfig_drill.c - -m drill: a path or a server is silent for a while; what did I/O see? */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>
#include "rsconfig.h"

#define DRILL_TIME 5.0		/* seconds, unless --for says otherwise */
#define LOOK_EVERY 200		/* ms */

static double number(const json_t *state, const char *key)
{
	return json_number_value(json_object_get(state, key));
}

static void progress(const struct rsconfig *rc, const json_t *state)
{
	double left = number(state, "seconds") - number(state, "elapsed");

	if (rc->json || !isatty(STDERR_FILENO))
		return;
	if (left > 0)
		fprintf(stderr, "\r%s is silent, %.0f s left   ", rsconfig_text(state, "target", "-"), left);
	else
		fprintf(stderr, "\r%s is back, I/O goes on   ", rsconfig_text(state, "target", "-"));
}

static int print(const json_t *state)
{
	const json_t *volumes = json_object_get(state, "volumes");
	bool passed = json_is_true(json_object_get(state, "passed"));
	json_t *v;
	size_t i;

	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%60s\r", "");
	if (json_array_size(volumes) == 0) {
		fputs("rsconfig: no volume was in use meanwhile: nothing was measured\n"
		      "rsconfig: repeat it under load, for instance with rsbench on a file of the mount\n", stderr);
		return 1;
	}
	json_array_foreach(volumes, i, v)
		printf("%s:%-20s longest wait %6.2f s of %.2f s\n", rsconfig_text(state, "namespace", "-"),
		       rsconfig_text(v, "volume", "-"),
		       number(v, "longest"), number(state, "limit"));
	printf("%s: %s was silent for %g s, %s\n", passed ? "passed" : "FAILED", rsconfig_text(state, "target", "-"),
	       number(state, "seconds"), json_is_true(json_object_get(state, "others")) ?
	       "another path led to the server" : json_is_true(json_object_get(state, "servers")) ?
	       "another server offered its volumes" : "nothing else led to the server");
	return passed ? 0 : 1;
}

int rsconfig_drill(const struct rsconfig *rc, char **operands)
{
	double seconds = rc->drill_time != 0 ? rc->drill_time : DRILL_TIME;
	json_t *state = rsconfig_call(rc, json_pack("{s:s, s:s, s:f}", "do", "drill", "target", operands[0],
						    "seconds", seconds));
	int status;

	/* It ends by itself in rsiod, also when we are ended. */
	while (state && json_is_true(json_object_get(state, "running"))) {
		progress(rc, state);
		poll(NULL, 0, LOOK_EVERY);
		json_decref(state);
		state = rsconfig_call(rc, json_pack("{s:s}", "do", "drill"));
	}
	if (!state)
		return 1;
	if (!rc->json) {
		status = print(state);
		json_decref(state);
		return status;
	}
	status = json_is_true(json_object_get(state, "passed")) ? 0 : 1;
	json_object_del(state, "running");
	return rsconfig_print_json(state) ? 1 : status;
}
