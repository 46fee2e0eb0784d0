/*
 * attach.h - block devices over volumes: a loop device with direct I/O over the
 * mounted file, and its names in /dev/avN.
 *
 * What is attached is never written down: the kernel is asked (each loop device
 * knows its file), so nothing can be stale.  /dev/avN/VOLUME is a link to the
 * loop device, /dev/avN/rVOLUME one to the mounted file.  A name belongs to whom
 * its link leads to: another daemon's live device, or another namespace's volume,
 * is never taken over; a link that leads nowhere is replaced.
 *
 * attach_list may be called anywhere but on the loop; the rest runs in the helper.
 */
#ifndef FUSEFS_ATTACH_H
#define FUSEFS_ATTACH_H

#include <jansson.h>
#include "err.h"

/* All devices over files of the mount: [{"namespace", "volume", "av", "block", "raw", "loop",
 * "size"}]; "av", "block" and "raw" only while their links are there.  Looks at /sys and
 * /dev, not at the mount. */
json_t *attach_list(const char *mount_dir);

/* The helper's verbs: the reply's members, or NULL with e filled.
 * attach: mount, namespace, volume, av, size, read_only, block_size -> block, raw, loop, and opener: who
 *   opened the file (0: it was attached already, which is fine).
 * detach: mount, namespace, volume, force -> note (or absent).
 * resize: mount, namespace, volume, size -> loop. */
json_t *attach_run(json_t *request, struct err *e);
json_t *attach_detach(json_t *request, struct err *e);
json_t *attach_resize(json_t *request, struct err *e);
/* The number of the loop device of mount, namespace and volume; -ENOENT with e filled. */
int attach_find(json_t *request, struct err *e);

/* Whether one of the mount's devices is in use: 0, or -EBUSY with e saying by whom. */
int attach_busy(const char *mount_dir, struct err *e);
/* Detaches what nobody uses. */
void attach_clean(const char *mount_dir);
/* The mount's daemon is gone: its devices go too, those that are in use with their last
 * user.  To be called while the mount is there: afterwards nothing tells whose they were. */
void attach_end(const char *mount_dir);

#endif
