/*
 * opening.h - the opening of a status file that shows volumes: of ten thousand its text takes long,
 * so a thread of its own makes it, and the open is answered when it is there.
 * Owner of everything here: the loop's thread.
 */
#ifndef FUSEFS_OPENING_H
#define FUSEFS_OPENING_H

#include "client.h"

/* Answers the open of h, whose text is made now.  answer: with 0 once h->text is there, or with the
 * error; then h is the caller's again.  One that was killed meanwhile gets EINTR. */
void opening_wait(struct client *c, fuse_req_t req, struct handle *h,
		  void (*answer)(struct client *c, fuse_req_t req, struct handle *h, int error));
/* The end: all who wait get ESHUTDOWN.  The loop runs on until nothing is made any more. */
void opening_end(struct client *c);
bool opening_busy(const struct client *c);

#endif
