/*
 * reload.h - from one configuration to another without touching what stays the same.
 */
#ifndef FUSEFS_RELOAD_H
#define FUSEFS_RELOAD_H

#include <stdbool.h>
#include "client.h"

/* Would namespace a of one configuration run as namespace b of the other?  Pure. */
bool reload_same(const struct conf_client *one, size_t a, const struct conf_client *other, size_t b);

/* On the loop: stops what went or changed, starts what came; the rest keeps its
 * sessions.  A namespace that changed is started when the old one has said goodbye. */
void reload_apply(struct client *c, struct config *config);

#endif
