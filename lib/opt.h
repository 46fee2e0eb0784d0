/*
 * opt.h - one table of options feeds the parser, --help, --long-options,
 * shell completion and the test that compares them with the man page.
 */
#ifndef RSIO_OPT_H
#define RSIO_OPT_H

#include <stdbool.h>
#include <stdio.h>
#include "err.h"

enum opt_type {
	OPT_FLAG,		/* bool: set to true */
	OPT_COUNT,		/* int: one more each time (-v -v, -vv) */
	OPT_STRING,		/* const char *: points into argv */
	OPT_INT,		/* int, min..max */
	OPT_DURATION,		/* double seconds: 500us, 20ms, 2, 2s, 5min, 1h */
	OPT_SIZE,		/* uint64_t bytes: 4096, 20G, 1.5TiB (all units are powers of 1024) */
};

struct opt {
	char short_name;	/* 0: none */
	const char *name;	/* long name, without dashes; NULL ends the table */
	enum opt_type type;
	const char *arg;	/* what help calls the argument; NULL for flags.  Completion takes
				 * "…FILE", "…DIR" and "one|of|these" by their words. */
	size_t offset;		/* of the value in the program's option struct */
	const char *help;	/* half a sentence */
	int min, max;		/* OPT_INT */
};

struct opt_program {
	const char *name;	/* "rsconfig" */
	const char *synopsis;	/* without the name; several lines allowed */
	const char *about;	/* one sentence */
	const struct opt *table;
	const char *operands;	/* what remains may be: "[NS:VOLUME…]"; NULL: nothing may */
	const char *page;	/* "rsconfig(8)": the last line of --help */
	const char *complete;	/* shell command that prints what an operand may be, for completion; may be NULL */
	/* The same for the argument of the option $prev, where its name in the table does not
	 * say; $cur is what is there of it. */
	const char *complete_option;
};

/* Parses; operands end up at argv[*first…argc-1].  Options and operands may be
 * mixed; "--" ends options; unique prefixes of long names are taken.
 * --help, --version, --long-options and --completion print to standard output and exit 0;
 * the last two are for scripts and are neither listed nor guessed from their beginning.
 * A mistake prints one line and "try --help" to standard error and exits 2. */
void opt_parse(const struct opt_program *p, void *values, int argc, char **argv, int *first);

/* The one place that knows $RSIO_RUN_DIR, /run/rsio, $XDG_RUNTIME_DIR/rsio.
 * given may be NULL.  Returns memory that the caller frees. */
char *opt_run_dir(const char *given);
/* The same for a tool that looks for a daemon's file (its socket, its log): where a
 * plain user named no directory and has no such file of their own, root's. */
char *opt_run_dir_of(const char *given, const char *file);

/* The values' parsers, for the configuration too; 0 or -errno. */
int opt_parse_duration(const char *text, double *seconds);
int opt_parse_size(const char *text, unsigned long long *bytes);

/* "did you mean": the candidate nearest to word by edit distance, or NULL when
 * none is near.  candidates ends with NULL. */
const char *opt_nearest(const char *word, const char *const *candidates);

#endif
