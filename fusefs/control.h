/* control.h - answers the control socket.  Runs on ctl.h's threads. */
#ifndef FUSEFS_CONTROL_H
#define FUSEFS_CONTROL_H

#include "ctl.h"

/* A ctl_handler; arg is the struct daemon. */
json_t *control_handle(void *arg, const struct ctl_peer *peer, const char *what, json_t *request,
		       struct err *e);

#endif
