/*
 * journal.h - several renames and removals in a directory that happen all or not at all.
 *
 * The argument is on top of journal.c.  Paths are relative to the directory, of
 * [A-Za-z0-9._@/-], without ".." and without an empty part.
 */
#ifndef RSSRV_JOURNAL_H
#define RSSRV_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include "conf.h"
#include "err.h"
#include "text.h"

#define JOURNAL_FILE ".rsio.journal"
#define JOURNAL_SPARE ".rsio.journal.spare"	/* where the next one is written */
#define JOURNAL_PENDING ".rsio.pending"		/* one that another directory decides on */
#define JOURNAL_PATH_MAX 160
#define JOURNAL_STEPS_MAX 8192

struct journal_step {
	char from[JOURNAL_PATH_MAX];
	char to[JOURNAL_PATH_MAX];	/* "": from is removed */
};

#define JOURNAL_BY_MAX 33

/* On what a pending one depends (catalog_between.c); all "": it is none. */
struct journal_on {
	char id[UUID_TEXT];		/* of the decision */
	char pool[UUID_TEXT];		/* where it is made: the pool's identity, and its name then */
	char name[CONF_NAME_MAX + 1];
};

struct journal {			/* zero: empty */
	char by[JOURNAL_BY_MAX];	/* the request that it is for, in hexadecimal; "" none */
	struct journal_on on;
	struct journal_step *steps;
	size_t count, room;
	int error;			/* what journal_move or journal_remove met; journal_commit tells of it */
};

/* Of a file or a directory, onto a file that may be there (it goes), or an empty directory. */
void journal_move(struct journal *j, const char *from, const char *to);
/* Of a file, or of an empty directory. */
void journal_remove(struct journal *j, const char *path);
void journal_free(struct journal *j);

/* Makes both files, where they are not there, so that they have their space: 0 or -errno. */
int journal_prepare(int dir);
/* From the return of 0 on the steps will be done.  Else -errno with e filled, and none will. */
int journal_commit(const struct journal *j, int dir, struct err *e);
/* Does what is committed, to the disk, and forgets the journal.  Nothing committed: 0 at once.
 * -errno with e filled: to be called again; some steps may be done. */
int journal_finish(int dir, struct err *e);
bool journal_has_steps(int dir);
/* After journal_finish: the request that the last change was made for; "" not known. */
void journal_last(int dir, char by[JOURNAL_BY_MAX]);
/* As after journal_finish failed: where no step was done none will be.  False: some were. */
bool journal_withdraw(const struct journal *j, int dir);

/*
 * A pending journal, beside an empty one (journal_pending.c).  Until it is dropped nothing else may change
 * what its steps name.  All return 0 or -errno with e filled, which may be NULL.
 */
/* Noted, and on the disk; nothing is done.  j->on is filled. */
int journal_pend(const struct journal *j, int dir, struct err *e);
bool journal_is_pending(int dir);		/* true also where that cannot be found out */
int journal_pending(struct journal *j, int dir, struct err *e);	/* 1: *j is it; 0: none */
int journal_do(const struct journal *j, int dir, struct err *e);	/* its steps, to the disk */
int journal_drop(int dir, struct err *e);
/* Is a step of the (other) journal under way that makes this name?  1; 0; -errno. */
int journal_makes(int dir, const char *path, struct err *e);

/* The file's text, both ways; for tests.  Parsing changes text.  0 or -EBADMSG with e. */
int journal_parse(struct journal *j, char *text, size_t length, struct err *e);
char *journal_format(const struct journal *j, size_t *length);	/* to be freed; NULL: no memory */

#endif
