/*
 * confine.h - a daemon gives up what it does not need.
 *
 * Three fences, each of which holds without the others: capabilities, system calls
 * (seccomp) and files (Landlock).  They are put up once everything is open that only
 * root can open, and before the first thread: a fence is the calling thread's, and
 * threads inherit it.  None can be taken down again, by the daemon or by whoever takes
 * it over.  What the kernel does not have is told and does no harm.
 *
 * They are left out where they would only break what watches the program: sanitizers
 * and valgrind make system calls and read files of their own, and gcov writes its counts
 * beside the objects when the program ends.
 */
#ifndef RSIO_CONFINE_H
#define RSIO_CONFINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "err.h"

/* What a path stays good for, with all that is below it. */
enum {
	CONFINE_READ = 1,	/* files and directories */
	CONFINE_WRITE = 2,	/* files that are there */
	CONFINE_MAKE = 4,	/* to make, rename and remove them */
	CONFINE_CONTROL = 8,	/* ioctl on a device */
	CONFINE_ALL = CONFINE_READ | CONFINE_WRITE | CONFINE_MAKE,
};

/* Which paths: filled before the fence is put up. */
struct confine_paths;
struct confine_paths *confine_paths_new(void);
void confine_paths_free(struct confine_paths *p);
/* path is copied; one that is not there is left out.  0 or -ENOMEM. */
int confine_path(struct confine_paths *p, const char *path, unsigned rights);
/* The same; where path is a link, the directory that it leads into too, since the file there may be
 * replaced, or come later: but no directory of the root's. */
int confine_link(struct confine_paths *p, const char *path, unsigned rights);
/* Would path, which need not be there, be within them, with these rights? */
bool confine_covers(const struct confine_paths *p, const char *path, unsigned rights);
/* What any program reads: libraries, the resolver's files, time zones, /proc. */
int confine_system(struct confine_paths *p);

/* What is in force; zero: nothing is. */
struct confinement {
	uint64_t capabilities;	/* that are left, as bits; valid with dropped */
	bool dropped;
	bool no_new_privs;
	bool calls;		/* seccomp */
	int files;		/* the ABI of Landlock; 0: none */
	const char *without;	/* why there is none at all: "a sanitizer"; NULL */
};

#define CONFINE_CAP(n) (UINT64_C(1) << (n))

/* Of what may be had ever again only keep stays: before root is dropped, which takes the
 * right to do this. */
void confine_bound(uint64_t keep);
/* Of what there is now only keep stays; *left, if not NULL: which of it there is.  0 or -errno. */
int confine_capabilities(uint64_t keep, uint64_t *left);
/* All the rest; keep: capabilities.  connects: it may open TCP connections.  0, or -errno
 * with e filled when a fence that the kernel has could not be put up. */
int confine(struct confinement *c, uint64_t keep, bool connects, const struct confine_paths *p, struct err *e);
/* One line about it for the log, and as JSON. */
const char *confine_text(const struct confinement *c, char out[200]);
json_t *confine_json(const struct confinement *c);

#endif
