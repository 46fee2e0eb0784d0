/*
 * schedule.h - snapshots that the server takes by itself: every so many seconds, of which the
 * newest so many are kept.
 *
 * What is wanted is in the volume's meta, and which snapshots are the schedule's in theirs, so
 * a server that was started anew goes on where the one before ended; when several were missed
 * meanwhile one is taken, at once.  While a server runs the time between two is measured by a
 * clock that nobody sets.  The time of day gives them their names, and says after a start how
 * old the newest is; one from the future counts as just taken.
 */
#ifndef RSSRV_SCHEDULE_H
#define RSSRV_SCHEDULE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "err.h"

struct meta;
struct pool;
struct server;
struct task;
struct volume;

unsigned schedule_least(void);	/* seconds between two, at least; RSIO_TEST_EVERY_MIN: fewer */
#define SCHEDULE_RETRY 60	/* seconds after one that failed */

void schedule_read(struct volume *v, const struct meta *m);	/* what its meta says from now on */
/* When the next one is due, in seconds since 1970; 0: there is none, or that is not known yet. */
uint64_t schedule_next(const struct volume *v);
void schedule_tick(struct server *s, uint64_t now);		/* starts what is due; about once a second */
/* On a job's thread: manage_own. */
int schedule_run(struct pool *p, struct task *t, json_t **result, struct err *e);
/* "2026-01-31T12.00.00Z", a name: from 1 on for the second of that name. */
#define SCHEDULE_NAME 32
void schedule_name(uint64_t seconds, unsigned again, char out[SCHEDULE_NAME]);

#endif
