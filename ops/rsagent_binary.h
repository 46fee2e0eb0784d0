/* rsagent_binary.h - what commands that put a server on a host need beforehand. */
#ifndef OPS_RSAGENT_BINARY_H
#define OPS_RSAGENT_BINARY_H

#include <limits.h>
#include "deploy.h"

/* The static rssrv for a machine, as uname -m says it there: given, unless NULL, else beside this program, where make
 * install puts those of all machines and make builds this one's.  path is b's and as long as b.  0 or -errno with e filled. */
int rsagent_find_binary(const char *given, const char *machine, char path[PATH_MAX], struct deploy_binary *b, struct err *e);
/* Random digits, by which a script's lines are told from others. */
int rsagent_marker(char marker[33], struct err *e);

#endif
