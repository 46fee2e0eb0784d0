/* helper_work.h - what the helper does for the daemon; its side of helper.c. */
#ifndef FUSEFS_HELPER_WORK_H
#define FUSEFS_HELPER_WORK_H

#include <jansson.h>
#include "err.h"

/* One request, in a process of its own: the reply's members, or NULL with e filled. */
json_t *helper_work(json_t *request, struct err *e);
/* The daemon died with dir mounted; another one may have come to its place already. */
void helper_clean(const char *dir, int made);
/* Takes away what a dead daemon left at dir, devices and mount.  0 or -errno. */
int helper_clear(const char *dir, struct err *e);
/* Takes the mount away; lazy: also when somebody uses it.  0 or -errno. */
int helper_umount(const char *dir, int lazy, struct err *e);

#endif
