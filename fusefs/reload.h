/*
 * reload.h - from one configuration to another without touching what stays the same.
 */
#ifndef FUSEFS_RELOAD_H
#define FUSEFS_RELOAD_H

#include "client.h"

/* What it takes that namespace a of one configuration runs as namespace b of the other, but
 * for its key.  Pure. */
enum reload_change {
	RELOAD_NOTHING,
	RELOAD_PATHS,		/* interfaces, portals, ports: namespace_reload, which may refuse */
	RELOAD_SESSIONS,	/* it ends, and starts anew */
};
enum reload_change reload_change(const struct conf_client *one, size_t a, const struct conf_client *other, size_t b);

/* On the loop: stops what went or changed, starts what came; the rest keeps its
 * sessions.  A namespace that ends is started when the old one has said goodbye. */
void reload_apply(struct client *c, struct config *config);

#endif
