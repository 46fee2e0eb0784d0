/*
 * status.h - answers the control socket.  rssrv(8) documents what it says.
 */
#ifndef RSSRV_STATUS_H
#define RSSRV_STATUS_H

#include "ctl.h"
#include "server.h"

json_t *status_json(struct server *s);	/* a new reference */
json_t *status_volumes_json(struct server *s);	/* its "volumes" */
/* arg is the struct server. */
json_t *status_handle(void *arg, const struct ctl_peer *peer, const char *what, json_t *request,
		      struct err *e);

#endif
