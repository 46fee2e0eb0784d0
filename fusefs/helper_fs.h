/*
 * helper_fs.h - the helper's part with the file system that is mounted from a volume's device:
 * it grows, or is brought to rest.  Either takes a while, so it has a channel of its own to
 * whoever asked (helper_open), and a process of its own.
 */
#ifndef FUSEFS_HELPER_FS_H
#define FUSEFS_HELPER_FS_H

#include <jansson.h>

/* Seconds that a file system is at rest, whatever happens. */
#define HELPER_FREEZE_MAX 10

/* Works on the request, says how it goes over the channel, and returns at the end.
 *
 * grow: mount, namespace, volume, size.  {"stage": …} as often as there is a next step, at the end
 *   {"filesystem", "device", "mount", "before", "size"} or {"error"}.
 * freeze: mount, namespace, volume.  {"frozen": DIR} or {"error"}; then it waits until the channel
 *   says anything or is closed, or HELPER_FREEZE_MAX is over, and lets the file system go on:
 *   {"seconds": how long it was at rest, "expired": whether the time was over}. */
void helper_talk(json_t *request, int channel);

#endif
