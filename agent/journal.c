/*
 * journal.c - see journal.h.
 *
 * THE ARGUMENT.  A change is a list of steps, `move A B` and `remove A`, for which
 *   (a) no path is the source of two steps, and
 *   (b) no source is, or lies in, what a step moves something to.
 * So once a step is done its source is gone, and no step brings it back: a step is done
 * if, and only if, its source is not there.  Each may therefore be done again without
 * harm, at any time, together with any others, as long as the order is kept.  Both
 * rules are checked when a journal is written and when one is read.
 *
 * The list is written to .rsio.journal.spare, synced, and changes its name with
 * .rsio.journal, whose list was empty, in one call (RENAME_EXCHANGE); then the directory is
 * synced.  Before that is on the disk the journal is empty, and no step was taken:
 * nothing happened.  After it the steps are taken, at once or by the next start.  The
 * change is thus made by one call.  Whatever a step moves into place was synced before,
 * with its directory, or there would be a name without its content.
 *
 * The empty journal comes back, in the same way, only when all directories in which names
 * changed are synced, or a name could come back that no journal is left to take away.
 * That is synced too before anybody learns that the change is made: a journal that
 * came back with the power would be done once more, over what was made of these names by
 * then.
 *
 * A pool that is full must not be one from which nothing can be removed.  So both files
 * stay, have their blocks, and are written where they lie (on btrfs that is asked for);
 * and two names that change places take no space in the directory, as one more name may.
 * Where names cannot change places, the spare one becomes the journal and is removed
 * afterwards.
 *
 * Nobody else may change these names from the commit to the end: that is pool.catalog
 * among threads, and the pool's lock among processes.
 *
 * Its last line has a checksum.  A journal is never half there, so one that does not
 * match was damaged by the disk or by hand: it is refused, with its name, and nothing of
 * it is done.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "crc.h"
#include "journal_impl.h"
#include "log.h"

#define FILE_MAX (4u << 20)
#define SPARE (16u << 10)	/* bytes that are kept */
static const char head[] = "# A change of this pool that is being made: rssrv does it to its end, when it starts at\n"
			   "# the latest.  See rssrv(8).\n";
static const char by[] = "# by ";
static const char on[] = "# if ";
static const char head_of_none[] = "# Changes of this pool are noted here while they are made; now there is none.\n";

void journal_free(struct journal *j)
{
	free(j->steps);
	memset(j, 0, sizeof(*j));
}

static bool path_valid(const char *path)
{
	const char *part = path;

	if (strlen(path) >= JOURNAL_PATH_MAX)
		return false;
	for (const char *c = path;; c++) {
		if (*c && *c != '/' && !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-", *c))
			return false;
		if (*c && *c != '/')
			continue;
		if (c == part || (c - part <= 2 && strspn(part, ".") >= (size_t)(c - part)))
			return false;
		if (!*c)
			return true;
		part = c + 1;
	}
}

/* Is path, or something that it lies in, the other one? */
static bool is_within(const char *path, const char *other)
{
	size_t n = strlen(other);

	return n && strncmp(path, other, n) == 0 && (!path[n] || path[n] == '/');
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Is path, or something that it lies in, in the list? */
static bool any_above(char *const *list, size_t n, const char *path)
{
	char part[JOURNAL_PATH_MAX], *slash;
	const char *key = part;

	snprintf(part, sizeof(part), "%s", path);
	for (;;) {
		if (bsearch(&key, list, n, sizeof(*list), by_text))
			return true;
		slash = strrchr(part, '/');
		if (!slash)
			return false;
		*slash = 0;
	}
}

/* The rules (a) and (b). */
static bool steps_valid(const struct journal *j)
{
	char **from = calloc(j->count + 1, sizeof(*from)), **to = calloc(j->count + 1, sizeof(*to));
	bool valid = from && to;
	size_t n = 0;

	for (size_t i = 0; i < j->count && valid; i++) {
		valid = path_valid(j->steps[i].from) && (!*j->steps[i].to || path_valid(j->steps[i].to));
		valid &= !is_within(j->steps[i].to, j->steps[i].from);
		from[i] = j->steps[i].from;
		if (*j->steps[i].to)
			to[n++] = j->steps[i].to;
	}
	if (valid) {
		qsort(from, j->count, sizeof(*from), by_text);
		qsort(to, n, sizeof(*to), by_text);
	}
	for (size_t i = 0; i < j->count && valid; i++)
		valid = (!i || strcmp(from[i], from[i - 1]) != 0) && !any_above(to, n, from[i]);
	for (size_t i = 1; i < n && valid; i++)
		valid = strcmp(to[i], to[i - 1]) != 0;
	free(from);
	free(to);
	return valid;
}

static void add(struct journal *j, const char *from, const char *to)
{
	struct journal_step *more;

	if (j->count == j->room && !j->error) {
		size_t room = j->room ? j->room * 2 : 8;

		more = room <= JOURNAL_STEPS_MAX ? reallocarray(j->steps, room, sizeof(*more)) : NULL;
		if (more) {
			j->steps = more;
			j->room = room;
		} else {
			j->error = room > JOURNAL_STEPS_MAX ? -E2BIG : -ENOMEM;
		}
	}
	if (!j->error && (strlen(from) >= JOURNAL_PATH_MAX || strlen(to) >= JOURNAL_PATH_MAX))
		j->error = -ENAMETOOLONG;
	if (j->error)
		return;
	snprintf(j->steps[j->count].from, JOURNAL_PATH_MAX, "%s", from);
	snprintf(j->steps[j->count++].to, JOURNAL_PATH_MAX, "%s", to);
}

void journal_move(struct journal *j, const char *from, const char *to)
{
	add(j, from, to);
}

void journal_remove(struct journal *j, const char *path)
{
	add(j, path, "");
}

/*
 * The text.
 */
char *journal_format(const struct journal *j, size_t *length)
{
	size_t room = sizeof(head) + sizeof(head_of_none) + sizeof(by) + sizeof(on) + sizeof(*j) + j->count * (2 * JOURNAL_PATH_MAX + 8) + 32, n;
	char *text = malloc(room);

	if (!text)
		return NULL;
	n = (size_t)snprintf(text, room, "%s", j->count ? head : head_of_none);
	if (*j->by)
		n += (size_t)snprintf(text + n, room - n, "%s%s\n", by, j->by);
	if (*j->on.id)
		n += (size_t)snprintf(text + n, room - n, "%s%s %s %s\n", on, j->on.id, j->on.pool, j->on.name);
	for (size_t i = 0; i < j->count; i++) {
		const struct journal_step *s = &j->steps[i];

		n += (size_t)snprintf(text + n, room - n, *s->to ? "move %s %s\n" : "remove %s%s\n", s->from, s->to);
	}
	n += (size_t)snprintf(text + n, room - n, "end %08x\n", crc32c(0, text, n));
	*length = n;
	return text;
}

static bool parse_step(struct journal *j, char *line)
{
	char *save = NULL, *what = strtok_r(line, " ", &save);
	const char *from = strtok_r(NULL, " ", &save), *to = strtok_r(NULL, " ", &save);

	if (!what || !from || strtok_r(NULL, " ", &save))
		return false;
	if (strcmp(what, "move") == 0 && to)
		journal_move(j, from, to);
	else if (strcmp(what, "remove") == 0 && !to)
		journal_remove(j, from);
	else
		return false;
	return true;
}

static bool parse_on(struct journal_on *out, char *text)
{
	char *save = NULL, *id = strtok_r(text, " ", &save), *pool = strtok_r(NULL, " ", &save);
	const char *name = strtok_r(NULL, " ", &save);
	uint8_t uuid[16];

	if (!id || !pool || !name || uuid_parse(id, uuid) || uuid_parse(pool, uuid) || !conf_name_valid(name))
		return false;
	snprintf(out->id, sizeof(out->id), "%s", id);
	snprintf(out->pool, sizeof(out->pool), "%s", pool);
	snprintf(out->name, sizeof(out->name), "%s", name);
	return true;
}

/* True: nothing is wrong with it. */
static bool parse_line(struct journal *j, char *line)
{
	if (strncmp(line, by, sizeof(by) - 1) == 0)
		snprintf(j->by, sizeof(j->by), "%s", line + sizeof(by) - 1);
	else if (strncmp(line, on, sizeof(on) - 1) == 0)
		return parse_on(&j->on, line + sizeof(on) - 1);
	return *line == '#' || parse_step(j, line);
}

int journal_parse(struct journal *j, char *text, size_t length, struct err *e)
{
	char end[32], *last, *save = NULL, *line;

	memset(j, 0, sizeof(*j));
	if (!length || text[length - 1] != '\n' || memchr(text, 0, length))
		goto damaged;
	text[length - 1] = 0;
	last = strrchr(text, '\n');
	if (!last)
		goto damaged;
	snprintf(end, sizeof(end), "end %08x", crc32c(0, text, (size_t)(last + 1 - text)));
	if (strcmp(last + 1, end) != 0)
		goto damaged;
	*last = 0;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!parse_line(j, line))
			goto damaged;
	if (!j->error && steps_valid(j))
		return 0;
damaged:
	journal_free(j);
	return err_set(e, EBADMSG, "it is damaged");
}

/*
 * The file.
 */
static int write_at(int fd, const char *text, size_t length, off_t at)
{
	while (length) {
		ssize_t n = pwrite(fd, text, length, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		text += n;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

/* What can be had of that; without, it is as good as any file. */
static void stay_in_place(int fd)
{
	int flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
		flags |= FS_NOCOW_FL;
		ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
	/* Is it full already?  The write says so. */
	if (fallocate(fd, 0, 0, SPARE) < 0)
		return;
}

/* The text, and zeroes to the end of the file. */
static int write_whole(int fd, const char *text, size_t length)
{
	static const char zeroes[4096];
	off_t at = (off_t)length;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!st.st_size)
		stay_in_place(fd);
	if (st.st_size > SPARE && length <= SPARE && ftruncate(fd, st.st_size = SPARE) < 0)
		return -errno;
	if (st.st_size < SPARE)
		st.st_size = SPARE;
	r = write_at(fd, text, length, 0);
	while (at < st.st_size && !r) {
		size_t n = st.st_size - at < (off_t)sizeof(zeroes) ? (size_t)(st.st_size - at) : sizeof(zeroes);

		r = write_at(fd, zeroes, n, at);
		at += (off_t)n;
	}
	return !r && fsync(fd) < 0 ? -errno : r;
}

/* The spare one: a file of its own, that this user may write to.  What is not is in the way. */
static int open_spare(int dir)
{
	struct stat st;
	int fd;

	for (int tries = 0; tries < 2; tries++) {
		fd = openat(dir, JOURNAL_SPARE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1)
			return fd;
		if (fd >= 0)
			close(fd);
		else if (errno != EACCES && errno != EPERM && errno != ELOOP && errno != ENXIO)
			return -errno;
		if (unlinkat(dir, JOURNAL_SPARE, 0) < 0)
			return -errno;
	}
	return -EACCES;
}

static int write_file(int dir, const char *text, size_t length)
{
	int fd = open_spare(dir), r;

	if (fd < 0)
		return fd;
	r = write_whole(fd, text, length);
	if (close(fd) < 0 && !r)
		r = -errno;
	return r;
}

/* Without the zeroes behind it. */
static size_t text_length(const char *text, size_t n)
{
	while (n && !text[n - 1])
		n--;
	return n;
}

int journal_read(struct journal *j, int dir, const char *file, struct err *e)
{
	int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), r;
	struct stat st;
	ssize_t n = 0;
	char *text;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot read %s", file);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > (off_t)FILE_MAX) {
		close(fd);
		return err_set(e, EBADMSG, "%s is damaged", file);
	}
	text = malloc((size_t)st.st_size + 1);
	if (text)
		n = pread(fd, text, (size_t)st.st_size, 0);
	if (!text || n < 0)
		r = err_sys(e, text ? errno : ENOMEM, "cannot read %s", file);
	else
		r = journal_parse(j, text, text_length(text, (size_t)n), NULL);
	if (r == -EBADMSG)
		err_set(e, EBADMSG, "%s is damaged", file);
	free(text);
	close(fd);
	return r ? r : j->count != 0;
}

static bool is_empty(int dir, const char *file)
{
	struct journal j = { 0 };
	int r = journal_read(&j, dir, file, NULL);
	struct stat st;

	journal_free(&j);
	return r == 0 && fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size <= SPARE;
}

static int exchange(int dir)
{
	return renameat2(dir, JOURNAL_SPARE, dir, JOURNAL_FILE, RENAME_EXCHANGE) < 0 ? -errno : 0;
}

/* From here on the journal is empty. */
static int forget(int dir, struct err *e)
{
	int r = is_empty(dir, JOURNAL_SPARE) ? exchange(dir) : -ENOENT;

	if (r && unlinkat(dir, JOURNAL_FILE, 0) == 0)
		r = 0;
	if ((r && errno != ENOENT) || fsync(dir) < 0)
		return err_sys(e, errno, "cannot end the change in %s", JOURNAL_FILE);
	return 0;
}

static int write_empty(int dir)
{
	const struct journal none = { 0 };
	size_t length;
	char *text = journal_format(&none, &length);
	int r = text ? write_file(dir, text, length) : -ENOMEM;

	free(text);
	return r;
}

int journal_prepare(int dir)
{
	struct stat st;
	int r = 0;

	if (fstatat(dir, JOURNAL_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		r = errno == ENOENT ? write_empty(dir) : -errno;
		if (!r && renameat(dir, JOURNAL_SPARE, dir, JOURNAL_FILE) < 0)
			r = -errno;
	}
	if (!r && fstatat(dir, JOURNAL_SPARE, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = errno == ENOENT ? write_empty(dir) : -errno;
	return r;
}

int journal_note(const struct journal *j, int dir, struct err *e)
{
	size_t length;
	char *text;
	int r;

	if (j->error || !steps_valid(j))
		return err_sys(e, j->error ? -j->error : EINVAL, "cannot note the change in %s", JOURNAL_FILE);
	text = journal_format(j, &length);
	if (!text)
		return err_set(e, ENOMEM, "cannot note the change: no memory");
	journal_prepare(dir);		/* if it cannot, what follows cannot either, and says so */
	/* What is overwritten must not be the journal, for the disk. */
	r = fsync(dir) < 0 ? -errno : write_file(dir, text, length);
	free(text);
	return r ? err_sys(e, -r, "cannot note the change in %s", JOURNAL_FILE) : 0;
}

int journal_commit(const struct journal *j, int dir, struct err *e)
{
	int r = journal_note(j, dir, e);

	if (r)
		return r;
	r = exchange(dir);
	if (r == -ENOENT || r == -EINVAL || r == -ENOSYS)
		r = renameat(dir, JOURNAL_SPARE, dir, JOURNAL_FILE) < 0 ? -errno : 0;
	if (r)
		return err_sys(e, -r, "cannot note the change in %s", JOURNAL_FILE);
	if (fsync(dir) == 0)
		return 0;
	/* Is it on the disk?  It is not to be. */
	r = err_sys(e, errno, "cannot note the change in %s", JOURNAL_FILE);
	forget(dir, NULL);
	return r;
}

static bool is_there(int dir, const char *path)
{
	struct stat st;

	return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

static int do_step(int dir, const struct journal_step *s, struct err *e)
{
	int r;

	if (!is_there(dir, s->from)) {
		if (*s->to && !is_there(dir, s->to))
			log_warning("pool", "neither %s nor %s is there, one of which ought to be", s->from, s->to);
		return 0;
	}
	if (*s->to)
		r = renameat(dir, s->from, dir, s->to);
	else if ((r = unlinkat(dir, s->from, 0)) < 0 && (errno == EISDIR || errno == EPERM))
		r = unlinkat(dir, s->from, AT_REMOVEDIR);
	return r < 0 ? err_sys(e, errno, "cannot %s %s%s%s", *s->to ? "move" : "remove", s->from, *s->to ? " to " : "",
			       s->to) : 0;
}

static int sync_parent(int dir, const char *path, struct err *e)
{
	char parent[JOURNAL_PATH_MAX], *slash;
	int fd, r;

	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (slash)
		*slash = 0;
	fd = openat(dir, slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	/* It was moved or removed, which is a change of the directory that it was in. */
	if (fd < 0 && errno == ENOENT)
		return 0;
	r = fd < 0 || fsync(fd) < 0 ? err_sys(e, errno, "cannot sync the directory of %s", path) : 0;
	if (fd >= 0)
		close(fd);
	return r;
}

static bool same_parent(const char *a, const char *b)
{
	const char *x = strrchr(a, '/'), *y = strrchr(b, '/');

	if (!x || !y)
		return x == y;
	return x - a == y - b && strncmp(a, b, (size_t)(x - a)) == 0;
}

/* Each directory once, as far as steps that follow each other have the same ones. */
static int sync_all(int dir, const struct journal *j, struct err *e)
{
	const char *from = NULL, *to = NULL;
	int r = 0;

	for (size_t i = 0; i < j->count && !r; i++) {
		const struct journal_step *s = &j->steps[i];

		if (!from || !same_parent(from, s->from))
			r = sync_parent(dir, s->from, e);
		if (!r && *s->to && (!to || !same_parent(to, s->to)))
			r = sync_parent(dir, s->to, e);
		from = s->from;
		to = *s->to ? s->to : to;
	}
	return r;
}

bool journal_has_steps(int dir)
{
	struct journal j = { 0 };
	int r = journal_read(&j, dir, JOURNAL_FILE, NULL);

	journal_free(&j);
	return r == 1;
}

void journal_last(int dir, char out[JOURNAL_BY_MAX])
{
	struct journal j = { 0 };

	journal_read(&j, dir, JOURNAL_SPARE, NULL);
	memcpy(out, j.by, sizeof(j.by));
	journal_free(&j);
}

int journal_do(const struct journal *j, int dir, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < j->count && !r; i++)
		r = do_step(dir, &j->steps[i], e);
	return r ? r : sync_all(dir, j, e);
}

int journal_finish(int dir, struct err *e)
{
	struct journal j = { 0 };
	int r = journal_read(&j, dir, JOURNAL_FILE, e);

	if (r <= 0)
		return r;
	r = journal_do(&j, dir, e);
	journal_free(&j);
	return r ? r : forget(dir, e);
}

bool journal_withdraw(const struct journal *j, int dir)
{
	for (size_t i = 0; i < j->count; i++)
		if (!is_there(dir, j->steps[i].from))
			return false;
	return forget(dir, NULL) == 0;
}
