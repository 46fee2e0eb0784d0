/*
 * audit.h - who did what, from where, and what came of it: lines of the log whose part is
 * "audit", for logins, opened volumes and what is changed over the control socket.
 *
 * Whoever has no key must not be able to flush the log.  Lines have room by source, which
 * is an address or a user, and in all; those without are counted, and the count is a line
 * when there is room again, or when the source was quiet for a while.
 *
 * Changes have room of their own: nobody hides one behind refused logins, his own or others'.
 */
#ifndef RSSRV_AUDIT_H
#define RSSRV_AUDIT_H

#include <stdbool.h>
#include <stdint.h>
#include "log.h"

#define AUDIT_SOURCES 64
#define AUDIT_AT_ONCE 1000	/* lines of a source; one a second in the long run */
#define AUDIT_ALL_AT_ONCE 2000	/* of all together, changes or not; five a second */
#define AUDIT_QUIET 10		/* seconds after which it is said how many were left out */

void audit(const char *source, uint64_t now, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* What was changed, or was to be: by a client node or a user. */
void audit_change(const char *who, uint64_t now, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* For other lines that a stranger can cause: is there room?  What was left out is said. */
bool audit_room(const char *source, uint64_t now);
/* Once a second. */
void audit_tick(uint64_t now);

#endif
