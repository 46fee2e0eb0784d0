/*
 * reload.h - from one configuration to another without touching what stays the same.
 */
#ifndef FUSEFS_RELOAD_H
#define FUSEFS_RELOAD_H

#include "client.h"

/* On the loop: stops what went or changed, starts what came; the rest keeps its
 * sessions.  A namespace that ends is started when the old one has said goodbye. */
void reload_apply(struct client *c, struct config *config);

#endif
