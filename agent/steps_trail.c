/*
 * steps_trail.c - what a run is about to change, on stable storage before it does (steps.c has the argument).
 *
 * DIR/journal has a line for each change: '+', or '-' once it is undone; a checksum of what follows; JSON.
 * The first byte alone is ever written again, in its place, so marking takes no space on a full disk.  A last
 * line that is not whole was cut off by a failure before it was acknowledged: what it says was never begun.
 *
 * The commit is a change of the file's name to journal.committed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "crc.h"
#include "secure.h"
#include "steps_impl.h"

#define JOURNAL "journal"
#define COMMITTED "journal.committed"
#define FILE_LARGEST (64 << 20)
#define HEAD 11			/* "+ 12345678 " */

static int add(struct trail *t, json_t *what, off_t at, bool undone)
{
	if (t->count == t->room) {
		size_t room = t->room ? 2 * t->room : 16;
		struct trail_entry *bigger = realloc(t->entries, room * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		t->entries = bigger;
		t->room = room;
	}
	t->entries[t->count++] = (struct trail_entry){ .what = what, .at = at, .undone = undone };
	return 0;
}

static json_t *parse_line(const char *line, size_t length)
{
	unsigned sum;

	if (length < HEAD || (line[0] != '+' && line[0] != '-') || sscanf(line + 1, " %8x ", &sum) != 1 ||
	    crc32c(0, line + HEAD, length - HEAD) != sum)
		return NULL;
	return json_loadb(line + HEAD, length - HEAD, 0, NULL);
}

static int parse(struct trail *t, const char *text, size_t size, struct err *e)
{
	size_t at = 0;

	while (at < size) {
		const char *nl = memchr(text + at, '\n', size - at);
		json_t *what = nl ? parse_line(text + at, (size_t)(nl - text) - at) : NULL;

		if (!json_is_object(what)) {
			json_decref(what);
			if (nl && nl + 1 < text + size)
				return err_set(e, EUCLEAN, "%s/" JOURNAL " is damaged after byte %zu: what it notes "
					       "cannot be undone", t->path, at);
			break;
		}
		if (add(t, what, (off_t)at, text[at] == '-') < 0) {
			json_decref(what);
			return err_set(e, ENOMEM, "cannot read %s/" JOURNAL ": no memory", t->path);
		}
		at = (size_t)(nl + 1 - text);
	}
	t->end = (off_t)at;
	return 0;
}

static int load(struct trail *t, const char *name, struct err *e)
{
	struct stat st;
	ssize_t n;
	char *text;
	int r;

	t->fd = openat(t->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (t->fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot open %s/%s", t->path, name);
	if (fstat(t->fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_LARGEST)
		return err_set(e, EUCLEAN, "%s/%s is not a journal of rssrv", t->path, name);
	text = malloc((size_t)st.st_size + 1);
	n = text ? pread(t->fd, text, (size_t)st.st_size, 0) : -1;
	if (n >= 0)
		text[n] = 0;
	if (n < 0)
		r = err_sys(e, text ? errno : ENOMEM, "cannot read %s/%s", t->path, name);
	else
		r = parse(t, text, (size_t)n, e);
	free(text);
	/* A half line is not left in the way of the next one. */
	if (!r && t->end < st.st_size && ftruncate(t->fd, t->end) < 0)
		t->broken = true;
	return r;
}

/* A command that a killed run has started has the lock until it ends. */
static int open_dir(struct trail *t, int wait, struct err *e)
{
	uint64_t until = steps_now() + 1000u * (unsigned)wait;
	struct stat st;
	int r;

	t->dir = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (t->dir < 0 || fstat(t->dir, &st) < 0)
		return err_sys(e, errno, "cannot use %s", t->path);
	if (st.st_uid != geteuid() || st.st_mode & 022)
		return err_set(e, EPERM, "%s is not this user's alone: others could change what is done", t->path);
	while ((r = flock(t->dir, LOCK_EX | LOCK_NB)) < 0 && errno == EWOULDBLOCK && steps_now() < until)
		usleep(20000);
	if (r < 0 && errno == EWOULDBLOCK) {
		err_set(e, EBUSY, "%s: another deploy of this host is under way", t->path);
		err_next(e, "wait until it has ended; one whose link was lost is undone within %d s", STEPS_SILENCE);
		return -EBUSY;
	}
	return 0;
}

int trail_open(struct trail *t, const char *dir, int wait, bool *committed, struct err *e)
{
	uint32_t id;
	int r;

	*t = (struct trail){ .dir = -1, .fd = -1, .path = realpath(dir, NULL) };
	if (!t->path)
		return err_sys(e, errno, "cannot use %s", dir);
	if (secure_random(&id, sizeof(id)) < 0)
		return err_set(e, EIO, "no random numbers");
	snprintf(t->id, sizeof(t->id), "%08x", id);
	r = open_dir(t, wait, e);
	if (!r)
		r = load(t, COMMITTED, e);
	*committed = t->fd >= 0;
	if (!r && !*committed)
		r = load(t, JOURNAL, e);
	return r;
}

static void forget(struct trail *t)
{
	for (size_t i = 0; i < t->count; i++)
		json_decref(t->entries[i].what);
	t->count = 0;
	t->end = 0;
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

void trail_close(struct trail *t)
{
	forget(t);
	free(t->entries);
	free(t->path);
	if (t->dir >= 0)
		close(t->dir);
}

static int begin(struct trail *t)
{
	if (t->fd >= 0)
		return 0;
	t->fd = openat(t->dir, JOURNAL, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (t->fd < 0 || fsync(t->dir) < 0)
		return -errno;
	return 0;
}

static int append(struct trail *t, const json_t *what)
{
	size_t length = json_dumpb(what, NULL, 0, JSON_COMPACT), size = HEAD + length + 1;
	char *line = length ? malloc(size) : NULL, head[HEAD + 1];
	ssize_t n;
	int r;

	if (!line)
		return -ENOMEM;
	json_dumpb(what, line + HEAD, length, JSON_COMPACT);
	snprintf(head, sizeof(head), "+ %08x ", crc32c(0, line + HEAD, length));
	memcpy(line, head, HEAD);
	line[size - 1] = '\n';
	n = pwrite(t->fd, line, size, t->end);
	r = n < 0 ? -errno : (size_t)n < size ? -ENOSPC : fdatasync(t->fd) < 0 ? -errno : 0;
	free(line);
	if (!r)
		t->end += (off_t)size;
	else if (ftruncate(t->fd, t->end) < 0)
		t->broken = true;
	return r;
}

int trail_note(struct trail *t, json_t *what, struct err *e)
{
	off_t at = t->end;
	int r = t->broken ? -EIO : what ? begin(t) : -ENOMEM;

	if (!r)
		r = append(t, what);
	if (!r)
		r = add(t, what, at, false);
	if (r) {
		json_decref(what);
		return err_sys(e, -r, "cannot write %s/" JOURNAL, t->path);
	}
	return 0;
}

int trail_mark_undone(struct trail *t, size_t i, struct err *e)
{
	if (pwrite(t->fd, "-", 1, t->entries[i].at) != 1 || fdatasync(t->fd) < 0)
		return err_sys(e, errno, "cannot write %s/" JOURNAL, t->path);
	t->entries[i].undone = true;
	return 0;
}

int trail_commit(struct trail *t, struct err *e)
{
	int r = 0;

	if (t->fd < 0)
		return 0;
	if (renameat(t->dir, JOURNAL, t->dir, COMMITTED) < 0)
		r = -errno;
	else if (fsync(t->dir) < 0)
		/* Nobody knows whether it will be there after a failure of power: it is not to be. */
		r = renameat(t->dir, COMMITTED, t->dir, JOURNAL) < 0 ? -EIO : -errno;
	return r ? err_sys(e, -r, "cannot rename %s/" JOURNAL, t->path) : 0;
}

static void remove_kept(const struct trail *t)
{
	DIR *d = opendir(t->path);

	for (struct dirent *f; d && (f = readdir(d));)
		if (strncmp(f->d_name, TRAIL_KEPT, strlen(TRAIL_KEPT)) == 0)
			unlinkat(t->dir, f->d_name, 0);
	if (d)
		closedir(d);
}

int trail_end(struct trail *t, struct err *e)
{
	if (t->fd < 0) {
		remove_kept(t);		/* of a change that was not noted any more */
		return 0;
	}
	if ((unlinkat(t->dir, JOURNAL, 0) < 0 && errno != ENOENT) ||
	    (unlinkat(t->dir, COMMITTED, 0) < 0 && errno != ENOENT) || fsync(t->dir) < 0)
		return err_sys(e, errno, "cannot remove %s/" JOURNAL, t->path);
	remove_kept(t);
	forget(t);
	return 0;
}
