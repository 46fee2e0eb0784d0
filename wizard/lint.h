/*
 * lint.h - what is no mistake in a configuration and yet not what an admin wants: two interfaces in one
 * subnet, portals that no interface is near to, different MTUs, data in the clear.
 */
#ifndef RSIO_LINT_H
#define RSIO_LINT_H

#include "conf.h"
#include "facts.h"
#include "remarks.h"

/* Warnings, with the configuration's lines.  facts NULL: only what needs no look at this host. */
void lint(const struct conf_client *c, const struct facts *facts, struct remarks *r);

#endif
