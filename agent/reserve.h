/*
 * reserve.h - who may use a volume while others may not: persistent reservations as SCSI
 * has them, and volumes that one client has alone.
 *
 * What is registered and reserved belongs to a client's session: it stays when a path
 * goes, and ends with the session.  The first registration starts the session's lease, so
 * that the session of a client that died does end.  The argument stands on top of reserve.c.
 */
#ifndef RSSRV_RESERVE_H
#define RSSRV_RESERVE_H

#include <stdbool.h>
#include <stdint.h>
#include "err.h"
#include "wire.h"

struct client;
struct json_t;
struct server;
struct volume;

/* As linux/pr.h numbers them. */
enum reserve_type {
	RESERVE_NONE,
	RESERVE_WRITES,				/* the holder alone writes */
	RESERVE_ALL,				/* and reads */
	RESERVE_WRITES_REGISTERED,		/* who has registered writes */
	RESERVE_ALL_REGISTERED,
	RESERVE_WRITES_EACH,			/* the same, and each is a holder */
	RESERVE_ALL_EACH,
	RESERVE_TYPES
};

enum reserve_action { RESERVE_READ, RESERVE_REGISTER, RESERVE_TAKE, RESERVE_RELEASE, RESERVE_PREEMPT, RESERVE_CLEAR,
		      RESERVE_ALONE, RESERVE_ACTIONS };

#define RESERVE_ID 32
struct reserve_request {
	enum reserve_action action;
	char id[RESERVE_ID + 1];	/* the same one again is answered as before */
	uint64_t key;			/* the caller's own */
	uint64_t other;			/* REGISTER: the new one; PREEMPT: whose is thrown out */
	uint8_t type;
	bool ignore;			/* REGISTER: whatever the key was */
};

/* {"do": "reserve", ...}: 0 or -EINVAL. */
int reserve_parse(const struct json_t *j, struct reserve_request *q, struct err *e);
const char *reserve_action_name(enum reserve_action a);
/* Carries it out.  When it returns 0 no write that is not allowed any more is under way.  Blocks:
 * not on a loop.  -EBADE: it is against a reservation, or without a registration. */
int reserve_do(struct client *c, struct volume *v, const struct reserve_request *q, struct err *e);
struct json_t *reserve_show(struct volume *v);	/* NULL: no memory */

/* What a handle may not do. */
#define RESERVE_NO_WRITES 1u
#define RESERVE_NO_READS 2u
/* An OPEN; clients.lock and registry.lock are held.  WIRE_E_RESERVED, or WIRE_OK with *bars. */
enum wire_status reserve_open(struct client *c, struct volume *v, bool alone, bool read_only, uint8_t *bars);
/* The session is over; clients.lock is held. */
void reserve_end(struct client *c);
/* It may not write to the volume any more; clients.lock and registry.lock are held, and the
 * caller has a reference of v. */
void reserve_lose(struct client *c, const struct volume *v);
/* What clients have to be told of; under the lock, and without it. */
struct reserve_news;
struct reserve_news *reserve_news(struct server *s);
void reserve_tell(struct server *s, struct reserve_news *n);

#endif
