/*
 * daemon.h - becoming a daemon, and giving up root.
 */
#ifndef RSSRV_DAEMON_H
#define RSSRV_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include "err.h"

/* Forks, before any lock or thread; the parent returns from this process only
 * when the child says that it is usable, or exits 1 when it ends before that. */
void daemon_fork(void);
/* In the child: usable now.  Lets go of the terminal. */
void daemon_ready(void);

/* All descriptors from first on. */
void close_from(int first);

int make_directories(const char *path, struct err *e);	/* as mkdir -p, mode 0755 */

/* Becomes that user for good, with no capability but keep (bits); NULL: rsio, where there
 * is such a user.  Without one stays root and says so.  Does nothing when this is not root. */
int drop_root(const char *user, const char *state_dir, uint64_t keep, struct err *e);

/* Open files: as many as the system lets us. */
void raise_limits(void);

#endif
