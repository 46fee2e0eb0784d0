/* ops.h - FUSE's callbacks.  The session's user data is the struct client. */
#ifndef FUSEFS_OPS_H
#define FUSEFS_OPS_H

#include "client.h"

extern const struct fuse_lowlevel_ops ops_table;

/* Answers with a node that was found or made, or with a node's attributes. */
void ops_reply_entry(fuse_req_t req, struct node *node);
void ops_reply_attr(fuse_req_t req, const struct node *node);

#endif
