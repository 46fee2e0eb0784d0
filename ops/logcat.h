/*
 * logcat.h - what rsclogcat and rsslogcat share: they differ in whose log it is.
 */
#ifndef RSIO_LOGCAT_H
#define RSIO_LOGCAT_H

#include <stdbool.h>

struct logcat {
	const char *name;	/* of the program */
	const char *about;
	const char *page;
	const char *daemon;	/* "rsiod"; its log is RUN_DIR/rsiod.log */
	bool audit;		/* it has lines of part "audit" */
};

int logcat_main(const struct logcat *l, int argc, char **argv);

#endif
