/*
 * rsagent_many.h - one thing done on many hosts at once.
 *
 * Each host has a child process, so that one that hangs, fails or crashes is none of the
 * others' concern.  A child shows nothing and asks nothing itself: it tells the parent, which
 * prints a line of progress each and asks at /dev/tty, one question at a time.  At the end
 * there is a table, or one JSON object.
 *
 * A child that says nothing for remote->timeout is given up, unless it waits for an answer:
 * what takes longer says so now and then.  ^C, or the parent's end, is SIGTERM to each child;
 * SIGINT and SIGHUP it ignores.  Whoever has something to undo on the host undoes it then, or
 * leaves it to the other end, which sees the link go.
 */
#ifndef OPS_RSAGENT_MANY_H
#define OPS_RSAGENT_MANY_H

#include <jansson.h>
#include <stdbool.h>
#include "rsagent_hosts.h"

/* In the child. */
struct rsagent_task {
	const struct rsagent_host *host;
	const struct rsagent_remote *remote;
	void *arg;			/* as the parent had it at the fork */
	json_t *result;			/* an object: what --json has of this host beside "host" and "done"; put there
					 * what there is to say.  "text", where it is there, is the table's words. */
	int fd;				/* to the parent */
};

struct rsagent_outcome {
	const struct rsagent_host *host;
	bool done;
	double seconds;
	json_t *result;			/* an object, also of a host that failed; borrowed */
	struct err e;			/* of a host that failed */
};

struct rsagent_many {
	/* Does it: 0, or -errno with e filled. */
	int (*run)(struct rsagent_task *t, struct err *e);
	/* Prints the end to standard output, instead of the table; NULL: the table.  What failed is
	 * printed to standard error afterwards.  Not with --json. */
	void (*show)(const struct rsagent_outcome *all, size_t count);
	/* What is done once, here, when no host is at work any more and before the end is shown: it may ask, and change
	 * results.  Not after ^C.  Other than 0: the exit status is 1. */
	int (*finish)(const struct rsagent_outcome *all, size_t count, void *arg);
	void *arg;
	double grace;			/* seconds from SIGTERM to SIGKILL; 0: 10 */
	bool endless;			/* it may be silent: no limit */
	bool step;			/* of something larger: without a failure nothing is shown at the end */
	bool bare;			/* outputs never have the host's name in front */
};

/* Exit status: 0 when all hosts are done, 1 when one or more are not. */
int rsagent_many(const struct rsagent_many *m, const struct rsagent_remote *remote, const struct rsagent_hosts *hosts,
		 struct err *e);
/* The same with the words that say which hosts: RSAGENT_USAGE with e filled when there are none. */
int rsagent_on_hosts(const struct rsagent_many *m, const struct rsagent_remote *remote, int count, char **words,
		     struct err *e);

/* For a table of one's own: the row of a host that failed, without its end where that is too long. */
void rsagent_failed_row(const struct rsagent_outcome *o, int width);

/* In the child; what is said is cleaned of control characters by the parent. */

/* "storage1: …" */
void rsagent_progress(struct rsagent_task *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Lines for standard output, at once: a plan, a difference, a log; with --json they go to standard error. */
void rsagent_output(struct rsagent_task *t, const char *text);
/* The answer to a question, without its end of line; secret: it is not shown when typed, and the caller
 * wipes it.  -ENOTTY without a terminal, -ECANCELED with ^C or ^D, with e filled. */
int rsagent_ask(struct rsagent_task *t, const char *question, bool secret, char *answer, size_t size, struct err *e);
/* The text as the user's editor has left it, which the caller frees; the parent has the terminal meanwhile, and
 * all other hosts wait.  Nothing secret: an editor keeps copies. */
int rsagent_edit(struct rsagent_task *t, const char *text, char **edited, struct err *e);
/* "question [yes/no]?": 0 only for yes; -ECANCELED for no. */
int rsagent_confirm(struct rsagent_task *t, const char *question, struct err *e);

#endif
