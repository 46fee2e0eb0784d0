/* status.h - the state of the whole client as JSON: what rsconfig -q shows (view.h has its members). */
#ifndef FUSEFS_STATUS_H
#define FUSEFS_STATUS_H

#include <jansson.h>

struct client;

/* On any thread but the loop's, which describes a few volumes at a time, and serves I/O in
 * between.  devices: attach_list() as it is now, taken; NULL: as they were when somebody looked
 * last.  namespace: of all there are only that one; NULL: all.  A new reference; NULL: no memory. */
json_t *status_collect(struct client *c, json_t *devices, const char *namespace);

#endif
