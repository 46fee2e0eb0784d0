/*
 * discover.h - answers strangers who look for servers (wire_discover.h), at the portals' port.
 *
 * Nothing is granted and nothing is kept.  `discovery` says how much is told: `none` opens no
 * socket at all.  Each portal has a UDP socket at its own address, and each network that a
 * portal is on one that hears the group; the answer comes from the portal's.
 *
 * An answer is no longer than its question.  Whoever asks under another's address can have
 * that one sent what QUESTIONS and BYTES allow, and not more than he sends himself; there is
 * a fixed number of places for sources, several may share one, and all together get a small
 * share of the control loop's time: what is beyond waits in the kernel's queue, or is lost.
 */
#ifndef RSSRV_DISCOVER_H
#define RSSRV_DISCOVER_H

#include "conf.h"
#include "engine.h"

struct discover;
struct discover *discover_new(struct server *s, struct err *e);
/* The portals or conf changed.  What cannot be opened is logged and left out. */
void discover_apply(struct discover *d, const struct conf_server *conf);
void discover_settle(struct engine *l);		/* of the control loop */
void discover_close(struct discover *d);

#endif
