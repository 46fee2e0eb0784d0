/*
 * mount.h - the mount point, and the requests that come from it.
 *
 * mount_open and mount_close run on the main thread; what is between belongs to
 * the loop.  Unmounting itself is the helper's (helper.h): it touches the mount.
 */
#ifndef FUSEFS_MOUNT_H
#define FUSEFS_MOUNT_H

#include <stdbool.h>
#include "client.h"
#include "err.h"
#include "helper.h"
#include "loop.h"

struct mount {
	struct client *client;
	struct fuse_session *session;
	struct loop_fd device;		/* /dev/fuse */
	bool receiving;			/* owner: loop */
	bool made;			/* the directory was made by us; root's is the helper's to remove */
	/* Called on the loop when the kernel says that nothing is mounted any more. */
	void (*gone)(struct mount *m);
};

/* The default mount point: /rsio, for a plain user ~/rsio; the caller frees. */
char *mount_default(void);

/* What is at dir now, as far as it can be told without waiting for it. */
enum mount_found { MOUNT_NOTHING, MOUNT_STALE, MOUNT_TAKEN };
/* MOUNT_TAKEN fills e with whose it is. */
enum mount_found mount_look(const char *dir, struct err *e);

/* Makes dir where it is missing: *made.  0 or -errno with e filled. */
int mount_make_dir(const char *dir, bool *made, struct err *e);
/* Root's, for the kernel and for libfuse. */
#define MOUNT_OPTIONS "max_read=1048576,default_permissions"
#define MOUNT_OTHERS ",allow_other"
/* Makes c->mount_dir where it is missing and mounts there, as root by the helper; nothing
 * may be mounted.  others: root's tree is not for root alone. */
int mount_open(struct mount *m, struct client *c, struct helper *h, bool others, struct err *e);
/* On the loop: takes requests from now on. */
int mount_receive(struct mount *m);
/* On the loop: takes no more. */
void mount_ignore(struct mount *m);
/* When it is unmounted: frees, and removes the directory if it was made here. */
void mount_close(struct mount *m);

#endif
