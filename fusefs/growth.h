/*
 * growth.h - a volume's device and the file system on it: they follow its size, or are brought
 * to rest for a snapshot.  On the threads of whoever asked over the control socket; the work is
 * the helper's (helper_fs.h).
 */
#ifndef FUSEFS_GROWTH_H
#define FUSEFS_GROWTH_H

#include <jansson.h>
#include "client.h"
#include "ctl.h"
#include "helper.h"

/* Waits until the volume has that size here, then has its device and the mounted file system
 * grow; each step is checked and told as progress.  The helper's reply, or NULL with e filled. */
json_t *growth_run(struct client *c, struct helper *h, const struct ctl_peer *peer, const char *namespace,
		   const char *volume, uint64_t size, struct err *e);

#define GROWTH_FROZEN_MAX 64

/* File systems that are at rest. */
struct growth_rest {
	int channels[GROWTH_FROZEN_MAX];
	size_t count;
	double seconds;			/* after the end: the longest */
	bool expired;			/* after the end: one of them went on by itself before */
};

/* Freezes what is mounted from the devices of these volumes; one that has none is left out.
 * 0, or -errno with e filled and nothing frozen: -ENOENT when none has any. */
int growth_freeze(struct growth_rest *r, struct client *c, struct helper *h, const char *namespace,
		  const json_t *volumes, struct err *e);
/* All go on. */
void growth_thaw(struct growth_rest *r);

#endif
