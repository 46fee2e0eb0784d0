/*
 * changes.h - what another configuration changes of who may do what, as audit lines: a
 * line for each client that comes, goes or gets another key, and for each list of clients
 * that is another one.
 */
#ifndef RSSRV_CHANGES_H
#define RSSRV_CHANGES_H

#include "conf.h"

/* source: as in audit.h; who: "uid 0 (pid 4711) with SIGHUP". */
void changes_audit(const struct conf_server *old, const struct conf_server *now, const char *source, const char *who);

#endif
