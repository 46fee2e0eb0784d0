/*
 * guard.h - keeps the daemon able to run when the machine is out of memory: it
 * stands between that memory and the volumes it would be written to.
 */
#ifndef FUSEFS_GUARD_H
#define FUSEFS_GUARD_H

#include <stdbool.h>

/* Memory that the kernel allocates for us must not wait for I/O that needs us.
 * Before the first thread, which inherit it. */
void guard_reclaim(void);
/* Whether the kernel knows; where not, whoever writes memory out to us must find ours allocated. */
bool guard_reclaims(void);
/* Locks what there is, and what will be touched later; never the last to be
 * killed for memory.  After the buffers exist.  A plain user: as far as allowed. */
void guard_memory(void);
/* Whether there is a limit of locked memory that only a right keeps us above. */
bool guard_needs_limit(void);

#endif
