/*
 * interrupt.h - will a thread that waits for us die once we let it go?
 */
#ifndef FUSEFS_INTERRUPT_H
#define FUSEFS_INTERRUPT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* From the text of /proc/TID/status; nothing else. */
bool interrupt_fatal_text(const char *status);

/* True too for what cannot be known: no thread id (0: it lives in another pid
 * namespace), or one whose status cannot be read. */
bool interrupt_fatal(pid_t tid);

/* True only for what is known to die. */
bool interrupt_dying(pid_t tid);

#endif
