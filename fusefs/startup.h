/*
 * startup.h - when is rsiod usable, and who is told.
 */
#ifndef FUSEFS_STARTUP_H
#define FUSEFS_STARTUP_H

struct daemon;

/* Waits until each namespace is up, or for a bounded time.  0 when one is; those that are
 * not were named on standard error and in the log.  Else the exit status that says why. */
int startup_wait(struct daemon *d);
/* Tells the service manager, if one wants to know. */
void startup_notify(void);

#endif
