/*
 * status_numbers.h - what clients do on volumes, as JSON.
 */
#ifndef RSSRV_STATUS_NUMBERS_H
#define RSSRV_STATUS_NUMBERS_H

#include <jansson.h>

struct client;
struct volume;

/* Adds members to a volume's object: what was done on it, and "users", the same for each node
 * that has it open.  Not in the data path's locks: only volume->numbers.lock is taken. */
void status_add_numbers(json_t *volume, struct volume *v);
/* Adds to a session's object what its node does on the volumes that it has open.  clients.lock is held. */
void status_add_client(json_t *session, struct client *c);

#endif
