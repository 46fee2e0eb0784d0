/* usable.c - see usable.h. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include "usable.h"

struct tally {
	size_t paths, refused;
	const json_t *first_refused;	/* a path */
	const json_t *first_down;
};

static const char *text(const json_t *j, const char *name)
{
	return json_string_value(json_object_get(j, name));
}

static void count_paths(const json_t *paths, struct tally *t)
{
	const json_t *p;
	size_t i;

	json_array_foreach(paths, i, p) {
		t->paths++;
		if (text(p, "refused")) {
			t->refused++;
			t->first_refused = t->first_refused ? t->first_refused : p;
		} else if (text(p, "reason")) {
			t->first_down = t->first_down ? t->first_down : p;
		}
	}
}

/* True when one server is up and, but for the last look, its volumes are known: while
 * further paths come up the list may be on its way again. */
static bool look(const json_t *ns, bool final, struct tally *t)
{
	const json_t *servers = json_object_get(ns, "servers"), *s;
	size_t i;

	json_array_foreach(servers, i, s) {
		const char *state = text(s, "state");

		if (state && strcmp(state, "up") == 0 &&
		    (final || json_is_true(json_object_get(s, "listed"))))
			return true;
		count_paths(json_object_get(s, "paths"), t);
	}
	count_paths(json_object_get(ns, "unassigned"), t);
	return false;
}

static enum usable refusal(const char *ns, const json_t *path, struct err *e)
{
	const char *why = text(path, "refused"), *reason = text(path, "reason"), *name = text(path, "name");

	err_set(e, EACCES, "namespace %s: %s: %s", ns, name ? name : "?", reason ? reason : why);
	if (strcmp(why, "key") == 0) {
		err_next(e, "nodename and nodekey of [namespace %s] must be a line of [clients] on the server", ns);
		return USABLE_KEY;
	}
	if (strcmp(why, "namespace") == 0) {
		err_next(e, "name and namespaceid of [namespace %s] must be those of the server", ns);
		return USABLE_NAMESPACE;
	}
	return USABLE_REFUSED;
}

static enum usable unreachable(const char *ns, const struct tally *t, struct err *e)
{
	const char *name = text(t->first_down, "name"), *reason = text(t->first_down, "reason");

	if (name && reason)
		err_set(e, EHOSTUNREACH, "namespace %s: no server answers: %s: %s", ns, name, reason);
	else
		err_set(e, EHOSTUNREACH, "namespace %s: no server answers", ns);
	err_next(e, "mend what it names; --no-wait starts at once and goes on trying");
	return USABLE_UNREACHABLE;
}

enum usable usable_judge(const json_t *ns, int final, struct err *e)
{
	const char *name = text(ns, "name") ? text(ns, "name") : "?";
	struct tally t = { 0 };

	if (look(ns, final, &t))
		return USABLE_UP;
	if (t.first_refused && (final || t.refused == t.paths))
		return refusal(name, t.first_refused, e);
	return final ? unreachable(name, &t, e) : USABLE_PENDING;
}
