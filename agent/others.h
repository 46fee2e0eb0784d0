/*
 * others.h - what is known of the other servers of shared volumes: which clients wait
 * for claims of theirs, and which of their processes are off.
 *
 * Who asks for a claim that is held (TAKEOVER, or OPEN of a restarted client) waits,
 * and asks again.  When it waited for longer than a lease can last, the server that
 * holds it hangs, and fence-command is run, where there is one.  Its word is about
 * one process, which .server.ID names (claim.h): claims that a server takes when it was
 * started anew are not covered by it.  On a device there are no claims to see; there
 * the word counts for those who ask within seconds.
 */
#ifndef RSSRV_OTHERS_H
#define RSSRV_OTHERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "err.h"
#include "wire.h"

struct server;
struct others;

/* A claim that is held, or may be. */
struct other_claim {
	char node[WIRE_NAME_MAX + 1];	/* the client */
	uint64_t life;			/* claim_life() of its */
	uint16_t id;			/* whose it is */
	char server[WIRE_NAME_MAX + 1];
	bool device;			/* it cannot be seen */
	uint8_t server_life[16];	/* else: of the process that has it */
	uint64_t lease;			/* ns: how long it could last by itself */
};

struct others *others_new(struct server *s, struct err *e);
/* On a worker: somebody asks, and the claim is held.  True: the process that has it is
 * off, so it counts no more.  o may be NULL, in tests. */
bool others_wait(struct others *o, const struct other_claim *k);
/* The same who asked was told that it is free. */
void others_free(struct others *o, const char *node, uint64_t life, uint16_t id);
/* Who waits now, and what fence-command said. */
json_t *others_json(struct others *o);
/* Is there a fence-command? */
bool others_can_fence(struct server *s);

#endif
