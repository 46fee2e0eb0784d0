/* status.h - the state of the whole client as JSON: what rsconfig -q shows (view.h has its members). */
#ifndef FUSEFS_STATUS_H
#define FUSEFS_STATUS_H

#include <jansson.h>

struct client;

/* On the loop, all at once; a new reference, or NULL. */
json_t *client_status(struct client *c);
/* On any other thread: the loop describes a few volumes at a time, and serves I/O in between.
 * devices: attach_list() as it is now; taken. */
json_t *status_collect(struct client *c, json_t *devices);

#endif
