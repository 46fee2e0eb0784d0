/*
 * logcat.h - what rsclogcat and rsslogcat share: they differ in whose log it is.
 */
#ifndef RSIO_LOGCAT_H
#define RSIO_LOGCAT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct logcat {
	const char *name;	/* of the program */
	const char *about;
	const char *page;
	const char *daemon;	/* "rsiod"; its log is RUN_DIR/rsiod.log */
	bool audit;		/* it has lines of part "audit" */
};

/* A line as an object, a new reference. */
json_t *logcat_line(const char *line);
/* Is it one of who did what? */
bool logcat_is_audit(const char *line, const char *end);

int logcat_main(const struct logcat *l, int argc, char **argv);

#endif
