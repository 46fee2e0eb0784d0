/*
 * bounds.h - what rsiod confines itself to when its helper runs: it talks to servers, to
 * /dev/fuse and over its control socket, and writes into its run directory; all else is
 * the helper's (helper.h).
 *
 * It stays root by number, for its files' sake, without the rights of root.  Kept is only
 * what the machine at hand makes necessary: CAP_IPC_LOCK where the limit of locked memory
 * could not be lifted, since each later allocation would fail beyond it, and
 * CAP_DAC_OVERRIDE where the run directory, the configuration or a key's file is not root's.  To bind
 * a socket to a device needs no right since Linux 5.7, and that the memory of others
 * waits for us was said to the kernel before (guard.h).
 *
 * A plain user's rsiod has no rights to give up, and to mount and unmount it runs
 * fusermount3, which is setuid: that works only in a process that may gain privileges.
 */
#ifndef FUSEFS_BOUNDS_H
#define FUSEFS_BOUNDS_H

#include "conf.h"
#include "confine.h"
#include "err.h"

/* For good; before the first thread.  0 or -errno with e filled. */
int bounds_set(struct confinement *c, const char *run_dir, const struct conf_client *conf, struct err *e);

#endif
