/*
 * conf_change.h - what it takes to get from one configuration of the client to another: the daemon does it, the
 * guided set-up says it beforehand.
 */
#ifndef RSIO_CONF_CHANGE_H
#define RSIO_CONF_CHANGE_H

#include "conf.h"

/* That namespace a of one configuration runs as namespace b of the other, but for its key.  Pure. */
enum conf_change {
	CONF_CHANGE_NOTHING,
	CONF_CHANGE_PATHS,	/* interfaces, portals, ports: paths come and go */
	CONF_CHANGE_SESSIONS,	/* it ends, and starts anew */
};
enum conf_change conf_change(const struct conf_client *one, size_t a, const struct conf_client *other, size_t b);

#endif
