/*
 * journal_pending.c - steps that are done if another directory's journal has decided so.
 *
 * The file is written as a journal is, and is one, but for its name: while it has that,
 * nobody does its steps who was not told to.  It is written in the place of the spare
 * one, and becomes that again when it is dropped, so that no space is needed for it that was not kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "journal_impl.h"

int journal_pend(const struct journal *j, int dir, struct err *e)
{
	int r = journal_note(j, dir, e);

	if (r)
		return r;
	if (renameat(dir, JOURNAL_SPARE, dir, JOURNAL_PENDING) < 0)
		return err_sys(e, errno, "cannot note the change in %s", JOURNAL_PENDING);
	if (fsync(dir) == 0)
		return 0;
	r = err_sys(e, errno, "cannot note the change in %s", JOURNAL_PENDING);
	journal_drop(dir, NULL);
	return r;
}

bool journal_is_pending(int dir)
{
	struct stat st;

	return fstatat(dir, JOURNAL_PENDING, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

int journal_pending(struct journal *j, int dir, struct err *e)
{
	int r;

	if (!journal_is_pending(dir))
		return 0;
	r = journal_read(j, dir, JOURNAL_PENDING, e);
	if (r == 0 || (r == 1 && !*j->on.id)) {
		journal_free(j);
		r = err_set(e, EBADMSG, "%s is damaged", JOURNAL_PENDING);
	}
	return r;
}

int journal_drop(int dir, struct err *e)
{
	if (renameat(dir, JOURNAL_PENDING, dir, JOURNAL_SPARE) < 0 && errno != ENOENT)
		return err_sys(e, errno, "cannot end the change in %s", JOURNAL_PENDING);
	return fsync(dir) < 0 ? err_sys(e, errno, "cannot end the change in %s", JOURNAL_PENDING) : 0;
}

int journal_makes(int dir, const char *path, struct err *e)
{
	struct journal j = { 0 };
	int r = journal_read(&j, dir, JOURNAL_FILE, e);
	size_t i = 0;

	while (r == 1 && i < j.count && strcmp(j.steps[i].to, path) != 0)
		i++;
	r = r < 0 ? r : r == 1 && i < j.count;
	journal_free(&j);
	return r;
}
