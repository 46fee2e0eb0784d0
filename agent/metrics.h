/*
 * metrics.h - what rssrv --status says, as OpenMetrics text in a file, again and again: for a
 * collector that reads files.
 *
 * Written beside it and renamed, so that a reader always finds a whole one; taken away
 * at the end, so that nobody reads of a server that is not there any more.  A thread of its
 * own does it: the file may be anywhere.
 */
#ifndef RSSRV_METRICS_H
#define RSSRV_METRICS_H

#include "err.h"

struct server;
struct metrics;

struct metrics *metrics_start(struct server *s, struct err *e);
/* The configuration was read again. */
void metrics_apply(struct metrics *m);
/* Waits for what it is writing, for a second at most. */
void metrics_stop(struct metrics *m);		/* NULL is fine */

#endif
