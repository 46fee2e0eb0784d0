/*
 * rundir.h - the run directory: one daemon each.
 */
#ifndef FUSEFS_RUNDIR_H
#define FUSEFS_RUNDIR_H

#include "err.h"

/* DIR/name; the caller frees.  NULL: no memory. */
char *rundir_path(const char *dir, const char *name);
/* Takes DIR/rsiod.pid for this process: a descriptor that keeps it, or -errno with e
 * filled (-EEXIST: another rsiod runs there). */
int rundir_lock(const char *dir, struct err *e);
void rundir_unlock(const char *dir, int fd);

#endif
