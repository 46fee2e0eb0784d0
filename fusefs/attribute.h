/*
 * attribute.h - what a volume is beside its bytes, as extended attributes: user.rsio.uuid,
 * user.rsio.label and so on, for getfattr and setfattr.
 *
 * Their names are the same for all volumes, so that a list of them waits for nobody: ls
 * asks for one.  Some values are known here; for the others the server is asked,
 * ATTRIBUTE_LIMIT at most, and what it said is good for a moment, since getfattr asks twice
 * for each.
 *
 * Owner of everything here: the loop's thread.
 */
#ifndef FUSEFS_ATTRIBUTE_H
#define FUSEFS_ATTRIBUTE_H

#include "client.h"

#define ATTRIBUTE_LIMIT 2.0		/* seconds */

/* Each answers the request, now or later. */
void attribute_get(struct client *c, fuse_req_t req, struct node *node, const char *name, size_t size);
void attribute_list(struct client *c, fuse_req_t req, const struct node *node, size_t size);
void attribute_set(struct client *c, fuse_req_t req, struct node *node, const char *name, const char *value,
		   size_t size, int flags);
void attribute_remove(struct client *c, fuse_req_t req, struct node *node, const char *name);
/* Something was changed: the next who asks sees it. */
void attribute_forget(struct client *c);
/* The namespace ends: who waits is answered. */
void attribute_end(struct client *c, const struct namespace *ns);

#endif
