/*
 * drill.h - a path or a server taken away as silence for a while, under whatever load there
 * is: how long did the I/O of each volume stand still, and was that as configured?
 * Everything ends by itself, also when nobody asks for the result.
 * Owner: the loop's thread.
 */
#ifndef FUSEFS_DRILL_H
#define FUSEFS_DRILL_H

#include <jansson.h>
#include "client.h"
#include "path.h"

#define DRILL_SECONDS_MAX 600

struct drill {
	struct client *client;
	struct loop_timer timer;
	bool running;
	char namespace[CONF_NAME_MAX + 1];
	char target[PATH_NAME_MAX + 1];
	double seconds, limit;
	bool others, servers;		/* something else led there: a path, or other servers */
	size_t paths;
	uint64_t began, returned;	/* loop_now(); 0: the paths are away still */
	json_t *volumes;		/* of the last one that ended; or NULL */
	bool passed;
};

void drill_init(struct drill *d, struct client *c);
void drill_fini(struct drill *d);
/* target: PATH or SERVER, behind NAMESPACE: where several have it.  0 or -errno with e filled. */
int drill_start(struct drill *d, const char *target, double seconds, struct err *e);
json_t *drill_state(const struct drill *d);	/* a new reference; rsconfig(8) names the members */

#endif
