/*
 * mounts.h - what is mounted where, as the kernel lists it.
 */
#ifndef FUSEFS_MOUNTS_H
#define FUSEFS_MOUNTS_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#define MOUNTS_PATH_MAX 4096

struct mounts_entry {
	dev_t device;			/* st_dev of what is in it */
	char dir[MOUNTS_PATH_MAX];
	char type[64];			/* "ext4", "fuse.rsio" */
	char source[MOUNTS_PATH_MAX];
};

#define MOUNTS_OURS "fuse.rsio"

/* One line of /proc/PID/mountinfo; false when it is none. */
bool mounts_parse(const char *line, struct mounts_entry *m);

/* Calls fn for each line of file ("/proc/self/mountinfo") until it says true;
 * true if it did. */
bool mounts_each(const char *file, bool (*fn)(const struct mounts_entry *m, void *arg), void *arg);

/* The top-most mount at exactly dir, the one that has this device, the one that
 * path is in.  False: none. */
bool mounts_at(const char *dir, struct mounts_entry *found);
bool mounts_of_device(dev_t device, struct mounts_entry *found);
bool mounts_around(const char *path, struct mounts_entry *found);

/* path is dir or below it. */
bool mounts_below(const char *path, const char *dir);

#endif
