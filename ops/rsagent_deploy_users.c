/*
 * rsagent_deploy_users.c - who uses the volumes of a server that is to be taken away, as findings: they are named
 * before it is asked, and where nobody is asked it takes --force.
 */
#include <stdio.h>
#include <string.h>
#include "rsagent_deploy_users.h"
#include "rsagent_server.h"

/* Where a client is, as one of its connections has it; "" when it has none. */
static void place_of(const json_t *status, const char *node, char *buf, size_t size)
{
	const json_t *session;
	size_t i;

	*buf = 0;
	json_array_foreach(json_object_get(status, "sessions"), i, session) {
		const char *is = json_string_value(json_object_get(session, "node"));
		const char *address = json_string_value(json_object_get(session, "address"));

		if (is && address && strcmp(is, node) == 0)
			snprintf(buf, size, " (%.60s)", address);
	}
}

static void find(const json_t *status, const char *volume, const char *node, bool yes, bool force, struct deploy_findings *to)
{
	struct deploy_finding *f = &to->all[to->count];
	char place[80];

	if (to->count >= DEPLOY_FINDINGS_MAX)
		return;
	to->count++;
	place_of(status, node, place, sizeof(place));
	*f = (struct deploy_finding){ .level = yes && !force ? DEPLOY_REFUSAL : DEPLOY_WARNING, .what = "in-use" };
	snprintf(f->text, sizeof(f->text), "the client %.60s%s has the volume %.60s open", node, place, volume);
	if (!force)
		snprintf(f->next, sizeof(f->next), "end that there first (umount, 'rsconfig -d', close the file)%s",
			 yes ? ", or cut it off with --force" : "");
	err_clean(f->text);
}

/* A server that does not answer serves nobody. */
void deploy_find_users(struct remote *r, bool yes, bool force, struct deploy_findings *to)
{
	struct err ignored;
	json_t *status = rsagent_server_status(r, NULL, &ignored), *volume, *user;
	size_t i, k;

	json_array_foreach(json_object_get(status, "volumes"), i, volume) {
		const char *name = json_string_value(json_object_get(volume, "name"));

		if (!name || json_integer_value(json_object_get(volume, "opens")) < 1)
			continue;
		json_array_foreach(json_object_get(volume, "users"), k, user) {
			const char *node = json_string_value(json_object_get(user, "node"));

			if (node)
				find(status, name, node, yes, force, to);
		}
	}
	json_decref(status);
}
