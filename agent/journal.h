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
#include "err.h"

#define JOURNAL_FILE ".rsio.journal"
#define JOURNAL_SPARE ".rsio.journal.spare"	/* where the next one is written */
#define JOURNAL_PATH_MAX 160
#define JOURNAL_STEPS_MAX 8192

struct journal_step {
	char from[JOURNAL_PATH_MAX];
	char to[JOURNAL_PATH_MAX];	/* "": from is removed */
};

#define JOURNAL_BY_MAX 33

struct journal {			/* zero: empty */
	char by[JOURNAL_BY_MAX];	/* the request that it is for, in hexadecimal; "" none */
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

/* The file's text, both ways; for tests.  Parsing changes text.  0 or -EBADMSG with e. */
int journal_parse(struct journal *j, char *text, size_t length, struct err *e);
char *journal_format(const struct journal *j, size_t *length);	/* to be freed; NULL: no memory */

#endif
