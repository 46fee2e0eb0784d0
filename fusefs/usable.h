/*
 * usable.h - has a namespace come up, and if not, why: from its state as JSON.
 * Pure.
 */
#ifndef FUSEFS_USABLE_H
#define FUSEFS_USABLE_H

#include <jansson.h>
#include "err.h"

/* The numbers are rsiod's exit statuses where nothing came up. */
enum usable {
	USABLE_UP = 0,
	USABLE_PENDING = 1,		/* no verdict yet */
	USABLE_KEY = 3,			/* the node's name or key was refused */
	USABLE_NAMESPACE = 4,		/* the server has no such namespace */
	USABLE_UNREACHABLE = 5,		/* no server answered */
	USABLE_REFUSED = 6,		/* refused for another reason */
};

/* ns is what namespace_status() gives.  final: the waiting is over, PENDING is not an
 * answer any more.  e is filled for all but UP and PENDING. */
enum usable usable_judge(const json_t *ns, int final, struct err *e);

#endif
