/*
 * holders.h - who keeps a mount or a block device busy, in words.
 * Looks only at /proc and /sys, never at the mount or the device itself.
 */
#ifndef FUSEFS_HOLDERS_H
#define FUSEFS_HOLDERS_H

#include <jansson.h>

/* More are counted, not named. */
#define HOLDERS_MAX 16

/* Arrays of sentences ("dd (pid 4711) has /rsio/osl/oracle open"), new references;
 * empty when none is found. */
json_t *holders_of_mount(const char *dir, int devices);	/* loop devices over its files too */
json_t *holders_of_device(const char *device);	/* "/dev/loop3" */

/* "a; b; and 3 more" into buf. */
const char *holders_text(const json_t *holders, char *buf, size_t size);

#endif
