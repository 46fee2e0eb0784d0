/*
 * client_change.c - what ops/rsagent_client.h does to this host's client, for tests.
 *
 * client_change COMMAND CONFIG RUN-DIR NAMESPACE [KEY] [NAME=ADDRESS/PORT]...; COMMAND is defaults; or join or leave,
 * which show the difference, save, and have rsiod load it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../ops/rsagent_client.h"

#define PORTALS_MAX 8

static struct conf_join_portal portals[PORTALS_MAX];

static size_t take_portals(int count, char **words)
{
	size_t n = 0;

	for (int i = 0; i < count && n < PORTALS_MAX; i++)
		n += sscanf(words[i], "%40[^=]=%63[^/]/%d", portals[n].name, portals[n].address, &portals[n].port) == 3;
	return n;
}

static int show_defaults(const struct rsagent_client_options *o, const char *namespace, struct err *e)
{
	struct rsagent_client_defaults d;
	int r = rsagent_client_defaults(o, *namespace ? namespace : NULL, &d, e);

	if (!r)
		printf("%s known=%d id=%d node=%s key=%s\n", d.namespace, d.known, d.id, d.node, d.key);
	return r;
}

static int change(struct rsagent_client *c, struct err *e)
{
	struct rsagent_client_seen seen;
	int r;

	printf("%s", rsagent_client_diff(c));
	r = rsagent_client_save(c, e);
	if (!r)
		r = rsagent_client_load(c, &seen, e);
	if (!r)
		printf("%zu volumes, %zu paths, %s\n", seen.volumes, seen.paths, seen.mount);
	return r;
}

int main(int argc, char **argv)
{
	struct rsagent_client_options o = { .config = argc > 2 ? argv[2] : NULL, .run_dir = argc > 3 ? argv[3] : NULL, .wait = 5 };
	struct conf_join j = { .id = -1, .portals = portals };
	struct rsagent_client *c = NULL;
	struct err e = { 0 };
	int r = 1;

	if (argc < 5)
		return 2;
	j.namespace = argv[4];
	j.key = argc > 5 && *argv[5] ? argv[5] : NULL;
	j.node = j.key ? "node1" : NULL;
	j.portal_count = argc > 6 ? take_portals(argc - 6, argv + 6) : 0;
	if (strcmp(argv[1], "defaults") == 0)
		r = show_defaults(&o, argv[4], &e);
	else if (strcmp(argv[1], "join") == 0)
		c = rsagent_client_plan(&o, &j, &e);
	else
		c = rsagent_client_plan_leave(&o, j.namespace, portals, j.portal_count, &e);
	if (c)
		r = change(c, &e);
	rsagent_client_free(c);
	if (r && e.code)
		err_print("client_change", &e);
	return r ? 1 : 0;
}
