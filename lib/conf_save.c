/*
 * conf_save.c - a configuration's file: read, and replaced as a whole.
 *
 * ONE AT A TIME.  Who saves makes FILE.new, which nobody else may then make, and keeps it locked; only
 * then does he look whether the file is still what he read.  When his text is in its place FILE.new is
 * gone, and the next one finds another file than he read.  One that was killed leaves a FILE.new that
 * nobody has locked, which the next one takes away.  Editors know nothing of this: what they save
 * between the look and the rename is lost, as it would be with two of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "secure.h"
#include "conf_write_impl.h"

#define ACCESS_LIST "system.posix_acl_access"
#define ACCESS_LIST_MAX 4096

/* Reading. */

static int read_all(int fd, size_t size, char *bytes)
{
	for (size_t at = 0; at < size;) {
		ssize_t n = read(fd, bytes + at, size - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EAGAIN;
		at += (size_t)n;
	}
	return 0;
}

static struct conf_text *take_file(enum conf_file file, const char *path, int fd, struct err *e)
{
	struct conf_text *t = NULL;
	struct stat st;
	char *bytes;
	int r;

	if (fstat(fd, &st)) {
		err_sys(e, errno, "cannot open %s", path);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > CONF_FILE_MAX) {
		err_set(e, EINVAL, "%s is not a configuration file", path);
		return NULL;
	}
	bytes = secure_alloc((size_t)st.st_size + 1);
	r = bytes ? read_all(fd, (size_t)st.st_size, bytes) : -ENOMEM;
	if (r)
		err_sys(e, -r, "cannot read %s", path);
	else
		t = conf_text_of(file, path, bytes, (size_t)st.st_size, e);
	secure_free(bytes);
	if (t)
		t->st = st;
	return t;
}

/* Where a file that is not there yet will be: its directory may be a link. */
static char *future_path(const char *path)
{
	char copy[PATH_MAX], copy2[PATH_MAX], dir[PATH_MAX], *real;

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return NULL;
	memcpy(copy2, copy, sizeof(copy));
	if (!realpath(dirname(copy), dir))
		return strdup(path);
	return asprintf(&real, "%s/%s", dir, basename(copy2)) < 0 ? NULL : real;
}

static struct conf_text *new_text(enum conf_file file, const char *path, struct err *e)
{
	struct conf_text *t = conf_text_of(file, path, "", 0, e);

	if (!t)
		return NULL;
	t->is_new = true;
	t->real = future_path(path);
	if (t->real)
		return t;
	conf_text_free(t);
	err_set(e, ENOMEM, "no memory for the path %s", path);
	return NULL;
}

/* A link that leads nowhere is none that a file could be made of. */
static bool is_nothing(const char *path)
{
	struct stat st;

	return errno == ENOENT && lstat(path, &st) && errno == ENOENT;
}

struct conf_text *conf_text_open(enum conf_file file, const char *path, bool may_be_new, struct err *e)
{
	char *real = realpath(path, NULL);
	struct conf_text *t = NULL;
	int fd = real ? open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;

	if (fd >= 0) {
		t = take_file(file, path, fd, e);
		close(fd);
	} else if (!real && may_be_new && is_nothing(path)) {
		return new_text(file, path, e);
	} else {
		err_sys(e, errno, "cannot open %s", path);
	}
	if (t)
		t->real = real;
	else
		free(real);
	return t;
}

/* Who else has been at it. */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int stale(const struct conf_text *t, struct err *e)
{
	err_set(e, ESTALE, "%s was changed by somebody else meanwhile; it was left as it is now", t->path);
	err_next(e, "look at it, and do this again");
	return -ESTALE;
}

/* Its bytes, not its times: who wrote the same is nobody's loss. */
static int still_same(const struct conf_text *t, struct stat *st, struct err *e)
{
	int fd = open(t->real, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r;
	char *bytes;

	if (fd < 0 && errno == ENOENT && t->is_new)
		return 0;
	if (fd < 0)
		return errno == ENOENT ? stale(t, e) : err_sys(e, errno, "cannot open %s", t->path);
	r = t->is_new || fstat(fd, st) || !S_ISREG(st->st_mode) || (size_t)st->st_size != t->before_size ? -ESTALE : 0;
	bytes = r ? NULL : secure_alloc(t->before_size + 1);
	if (!r)
		r = bytes ? read_all(fd, t->before_size, bytes) : -ENOMEM;
	if (!r && memcmp(bytes, t->before, t->before_size) != 0)
		r = -ESTALE;
	secure_free(bytes);
	close(fd);
	return r == -ESTALE || r == -EAGAIN ? stale(t, e) : r ? err_sys(e, -r, "cannot read %s", t->path) : 0;
}

/* FILE.new. */

/* Somebody's who was killed: true when it is gone. */
static bool clear_left(const char *new)
{
	int fd = open(new, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st, now;
	bool left;

	if (fd < 0)
		return errno == ENOENT;
	left = flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && lstat(new, &now) == 0 && same_file(&st, &now) &&
	       S_ISREG(st.st_mode) && unlink(new) == 0;
	close(fd);
	return left;
}

static int make_new(const struct conf_text *t, const char *new, struct err *e)
{
	struct stat st;
	int fd = -1;

	for (int i = 0; fd < 0 && i < 2; i++) {
		fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 && errno != EEXIST)
			return err_sys(e, errno, "cannot make %s", new);
		if (fd < 0 && !clear_left(new))
			break;
	}
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_nlink == 1)
		return fd;
	if (fd >= 0)
		close(fd);
	err_set(e, EBUSY, "%s is being saved by somebody else just now", t->path);
	err_next(e, "if nobody does, take %s away", new);
	return -EBUSY;
}

static int write_all(int fd, const char *bytes, size_t size)
{
	for (size_t at = 0; at < size;) {
		ssize_t n = write(fd, bytes + at, size - at);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* A directory may give its files an access list of its own, which would let others in. */
static int same_access_list(const char *old, int fd)
{
	char list[ACCESS_LIST_MAX];
	ssize_t n = old ? getxattr(old, ACCESS_LIST, list, sizeof(list)) : -1;

	if (n < 0 && old && errno != ENODATA && errno != EOPNOTSUPP)
		return -errno;
	if (n >= 0)
		return fsetxattr(fd, ACCESS_LIST, list, (size_t)n, 0) ? -errno : 0;
	return fremovexattr(fd, ACCESS_LIST) && errno != ENODATA && errno != EOPNOTSUPP ? -errno : 0;
}

/* The owner first: who may read it gets to only when it is that one's. */
static int same_rights(const struct conf_text *t, int fd, const struct stat *st)
{
	int r;

	if (!t->is_new && fchown(fd, st->st_uid, st->st_gid))
		return -errno;
	r = same_access_list(t->is_new ? NULL : t->real, fd);
	if (!r && !t->is_new && fchmod(fd, st->st_mode & 07777))
		r = -errno;
	return r;
}

/* Those who may read it: as the daemons look at it, but the daemon's group is the file's. */
static int check_rights(const struct conf_text *t, const char *new, gid_t group, struct conf_report *report, struct err *e)
{
	bool good;

	conf_report_free(report);
	if (t->file == CONF_FILE_SERVER) {
		struct conf_server *c = conf_server_read(new, group, report);

		good = c != NULL;
		conf_server_free(c);
	} else {
		struct conf_client *c = (t->keep_unknown ? conf_client_read_kept : conf_client_read)(new, group, report);

		good = c != NULL;
		conf_client_free(c);
	}
	return good ? 0 : err_set(e, EINVAL, "with that, %s would have mistakes: it was left as it was", t->path);
}

/* Its place. */

static int sync_directory(const char *path)
{
	char copy[PATH_MAX];
	int fd, r;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fsync(fd) && errno != EINVAL ? -errno : 0;
	close(fd);
	return r;
}

/* The old file by another name: its mode, its owner, its bytes. */
static int keep_backup(const struct conf_text *t, struct err *e)
{
	char from[PATH_MAX + 16], to[PATH_MAX + 16];

	for (int i = CONF_BACKUPS; i > 1; i--) {
		snprintf(from, sizeof(from), "%s.bak-%d", t->real, i - 1);
		snprintf(to, sizeof(to), "%s.bak-%d", t->real, i);
		if (rename(from, to) && errno != ENOENT)
			return err_sys(e, errno, "cannot make %s", to);
	}
	snprintf(to, sizeof(to), "%s.bak-1", t->real);
	return linkat(AT_FDCWD, t->real, AT_FDCWD, to, 0) ? err_sys(e, errno, "cannot make %s", to) : 0;
}

static int put_in_place(struct conf_text *t, const char *new, bool backup, struct err *e)
{
	int r = backup && !t->is_new ? keep_backup(t, e) : 0;

	if (r)
		return r;
	/* A name that is given to it by a link is not taken from anybody, as it would be by a rename. */
	if (t->is_new ? linkat(AT_FDCWD, new, AT_FDCWD, t->real, 0) : rename(new, t->real))
		return errno == EEXIST ? stale(t, e) : err_sys(e, errno, "cannot replace %s", t->path);
	if (t->is_new)
		unlink(new);
	return 0;
}

static int save_as(struct conf_text *t, const char *new, int fd, bool backup, struct conf_report *report, struct err *e)
{
	struct stat st = { 0 };
	int r = still_same(t, &st, e);

	if (r)
		return r;
	r = same_rights(t, fd, &st);
	if (!r)
		r = write_all(fd, t->text, t->size);
	if (!r && fsync(fd))
		r = -errno;
	if (r)
		return err_sys(e, -r, "cannot write %s", new);
	r = check_rights(t, new, t->is_new ? getegid() : st.st_gid, report, e);
	return r ? r : put_in_place(t, new, backup, e);
}

/* The directory of a new file, and those above it. */
static int make_directories(const char *path, struct err *e)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", path);
	for (char *slash = dir; (slash = strchr(slash + 1, '/')); *slash = '/') {
		*slash = 0;
		if (mkdir(dir, 0755) && errno != EEXIST)
			return err_sys(e, errno, "cannot make the directory %s", dir);
	}
	return 0;
}

/* What was saved is what the next change begins from. */
static int begin_anew(struct conf_text *t)
{
	char *before = secure_alloc(t->size + 1);

	if (!before)
		return -ENOMEM;
	memcpy(before, t->text, t->size);
	secure_free(t->before);
	t->before = before;
	t->before_size = t->size;
	t->is_new = false;
	return 0;
}

static int save(struct conf_text *t, bool backup, struct conf_report *report, struct err *e)
{
	char new[PATH_MAX + 8];
	int fd, r = t->is_new ? make_directories(t->real, e) : 0;

	if (r)
		return r;
	if (snprintf(new, sizeof(new), "%s.new", t->real) >= PATH_MAX)
		return err_set(e, ENAMETOOLONG, "%s: the path is too long", t->path);
	fd = make_new(t, new, e);
	if (fd < 0)
		return fd;
	r = save_as(t, new, fd, backup, report, e);
	if (r)
		unlink(new);
	close(fd);
	if (!r && (r = sync_directory(t->real)))
		err_sys(e, -r, "%s is written, and cannot be brought to stable storage", t->path);
	return r ? r : begin_anew(t);
}

int conf_text_save(struct conf_text *t, bool backup, struct conf_report *report, struct err *e)
{
	struct conf_report own = { NULL, 0, 0 }, *to = report ? report : &own;
	int r;

	memset(to, 0, sizeof(*to));
	if (!t->real)
		return err_set(e, EINVAL, "%s is no file here", t->path);
	if (!conf_text_changed(t))
		return 0;
	/* Before there is a file, and with the file's own name in the report. */
	r = conf_text_check(t, to, e);
	if (r)
		err_set(e, EINVAL, "with that, %s would have mistakes: it was left as it was", t->path);
	else
		r = save(t, backup, to, e);
	if (!report)
		conf_report_free(&own);
	return r;
}
