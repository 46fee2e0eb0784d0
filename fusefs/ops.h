/* ops.h - FUSE's callbacks.  The session's user data is the struct client. */
#ifndef FUSEFS_OPS_H
#define FUSEFS_OPS_H

#include "client.h"

extern const struct fuse_lowlevel_ops ops_table;

#endif
