/*
 * loopdev.h - loop devices: find, make, clear.  0 or -errno, and a struct err
 * where somebody is to be told.
 */
#ifndef FUSEFS_LOOPDEV_H
#define FUSEFS_LOOPDEV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "err.h"

#define LOOPDEV_FILE_MAX 4096

struct loopdev {
	int number;			/* /dev/loopN */
	char file[LOOPDEV_FILE_MAX];	/* behind it, as the kernel names it now */
	uint64_t size;			/* bytes, as the kernel sees the device */
};

/* Each bound loop device, until fn says true; true if it did.  Looks at /sys only. */
bool loopdev_each(bool (*fn)(const struct loopdev *d, void *arg), void *arg);
/* The one with that number; false: it is not bound. */
bool loopdev_get(int number, struct loopdev *d);

/* The number in "/dev/loopN", else -1; and back. */
int loopdev_number(const char *device);
const char *loopdev_name(int number, char buf[24]);

/* st_dev of the file system that the file behind it is on; 0: not known. */
dev_t loopdev_backing(int number);

/* A new one over an open file; direct I/O, or it fails.  block_size: its logical blocks, at most
 * a page, else 512: a volume of several servers must not be written in parts of its own.
 * Its number or -errno. */
int loopdev_make(int file, bool read_only, uint32_t block_size, struct err *e);
/* The size that a device over so many bytes has: whole sectors. */
uint64_t loopdev_size(uint64_t bytes);
/* Takes the file's size anew; bytes is what it should be. */
int loopdev_refresh(int number, uint64_t bytes, struct err *e);
/* Lets the file go: at once, or when its last user does (*later). */
int loopdev_clear(int number, bool *later, struct err *e);
/* The same without waiting to see when. */
int loopdev_let_go(int number, struct err *e);
/* Whether it was let go and only its last user keeps it bound. */
bool loopdev_ending(int number);
/* Whether somebody claims it: -EBUSY (a mount, another device), else 0 or -errno. */
int loopdev_claimed(int number);

#endif
