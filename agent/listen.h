/*
 * listen.h - portals: listening sockets on the control loop, whose connections
 * go to the loops in turn.
 *
 * A connection that has not logged in costs one of LOGINS_MAX places, of which one
 * source address gets LOGINS_PER_HOST, for 5 s at most.
 */
#ifndef RSSRV_LISTEN_H
#define RSSRV_LISTEN_H

#include <jansson.h>
#include "conf.h"
#include "engine.h"
#include "sock.h"
#include "wire.h"

#define LOGINS_MAX 256
#define LOGINS_PER_HOST 64

struct listeners;
struct listeners *listeners_new(struct server *s, struct err *e);
/* Opens what is new in conf and closes what is gone.  All or nothing at the start
 * (-errno with e filled); later, what cannot be opened is logged and left out. */
int listeners_apply(struct listeners *ls, const struct conf_server *conf, bool starting, struct err *e);
/* Looks again whenever an address of this host comes or goes: a portal given by its device
 * follows, one given by its address is told to the clients while that is there. */
int listeners_watch(struct listeners *ls, struct err *e);
/* What clients are told, as it travels; how many.  Any thread. */
size_t listeners_portals(struct listeners *ls, char out[WIRE_PORTALS_MAX][WIRE_PORTAL_MAX]);
/* Where it listens, for discovery; how many.  The control loop's. */
struct listen_place {
	struct sock_addr at;
	char device[32];	/* "": an address is configured */
	int port;
	bool told;		/* its address is there */
};
size_t listeners_places(const struct listeners *ls, struct listen_place out[WIRE_PORTALS_MAX]);
void listeners_settle(struct engine *l);	/* of the control loop */
void listeners_close(struct listeners *ls);
/* A connection's login is over, either way. */
void listen_login_over(struct listeners *ls, const char *host);
json_t *listeners_json(struct listeners *ls);

#endif
