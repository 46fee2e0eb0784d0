/*
 * doorbell.h - the kernel says that a link or an address changed.  What it says
 * is not looked at: namespaces look for themselves.  Owner: the loop's thread.
 */
#ifndef FUSEFS_DOORBELL_H
#define FUSEFS_DOORBELL_H

#include "loop.h"

struct client;

struct doorbell {
	struct client *client;
	struct loop_fd fd;		/* fd -1: not open */
	struct loop_timer soon;		/* several rings in a row are one */
};

int doorbell_start(struct doorbell *b, struct client *c);	/* 0 or -errno */
void doorbell_stop(struct doorbell *b);

#endif
