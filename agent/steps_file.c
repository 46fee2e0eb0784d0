/*
 * steps_file.c - files, links and removals: one name of a directory at a time.
 *
 * Nothing is ever written in its place.  What is to come is made beside the name, whole and synced, under a
 * hidden name that nobody could know before; what is there gets a second, hidden name (a hard link); and one
 * rename puts the new in the place of the old.  So undoing is a rename too: it brings back the very file that
 * was there, with its times, attributes and links, and it takes no space.
 *
 * An undo does only what it recognises: it puts the old one back over what this run put there, or where nothing
 * is, and takes away only what this run put there.  What somebody else has written meanwhile stays, and so
 * does, under its hidden name, what was there before; the answer names both.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "secure.h"
#include "steps_impl.h"

#define SHA_TEXT (2 * SECURE_SHA256_SIZE + 1)

struct place {
	const char *path;
	int dir;
	char name[NAME_MAX + 1], new[NAME_MAX + 1], old[NAME_MAX + 1];
	bool there;
	struct stat st;
};

struct content {
	const char *text;
	size_t length;
	int fd;				/* or -1, and text */
	char sha[SHA_TEXT];
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

const char *entry_text(const json_t *entry, const char *key)
{
	const char *text = json_string_value(json_object_get(entry, key));

	return text ? text : "";
}

long entry_number(const json_t *entry, const char *key)
{
	return (long)json_integer_value(json_object_get(entry, key));
}

static void sha_text(const uint8_t sha[SECURE_SHA256_SIZE], char out[SHA_TEXT])
{
	for (size_t i = 0; i < SECURE_SHA256_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", sha[i]);
}

static int sha_of(int dir, const char *name, char out[SHA_TEXT])
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK), r;
	uint8_t sha[SECURE_SHA256_SIZE];

	if (fd < 0)
		return -errno;
	r = secure_sha256_fd(fd, sha);
	close(fd);
	sha_text(sha, out);
	return r;
}

static int find_place(struct steps *s, const char *path, struct place *p, struct err *e)
{
	p->path = path;
	p->dir = steps_parent(path, p->name, e);
	if (p->dir < 0)
		return p->dir;
	p->there = steps_is_there(p->dir, p->name, &p->st);
	if (!p->there && errno != ENOENT) {
		int r = err_sys(e, errno, "cannot look at %s", path);

		close(p->dir);
		return r;
	}
	steps_aside(s, "new", p->new);
	steps_aside(s, "old", p->old);
	return 0;
}

/*
 * Replacing.
 */
static int refuse(const struct place *p, const char *what, int code, struct err *e)
{
	err_set(e, code, "%s is %s: it is neither followed nor replaced", p->path, what);
	err_next(e, "move it away, or choose another place");
	return -code;
}

/* The new one is there, under p->new: it takes the name. */
static int put_in_place(struct place *p, struct err *e)
{
	int r = 0;

	if (p->there && linkat(p->dir, p->name, p->dir, p->old, 0) < 0)
		return err_sys(e, errno, "cannot keep the old %s", p->path);
	if (!p->there)
		r = steps_rename_new(p->dir, p->new, p->name);
	else if (renameat(p->dir, p->new, p->dir, p->name) < 0)
		r = -errno;
	if (!r && fsync(p->dir) < 0)
		r = -errno;
	return r ? err_sys(e, -r, "cannot write %s", p->path) : 0;
}

static int copy_all(int from, int to)
{
	char piece[65536];
	ssize_t n;

	if (lseek(from, 0, SEEK_SET) < 0)
		return -errno;
	while ((n = read(from, piece, sizeof(piece))) > 0) {
		ssize_t done = write(to, piece, (size_t)n);

		if (done != n)
			return done < 0 ? -errno : -ENOSPC;
	}
	return n < 0 ? -errno : 0;
}

static int write_all(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t n = write(fd, text, length);

		if (n < 0)
			return -errno;
		text += n;
		length -= (size_t)n;
	}
	return 0;
}

static int write_new(const struct place *p, const struct content *c, struct err *e)
{
	int fd = openat(p->dir, p->new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), r;

	if (fd < 0)
		return err_sys(e, errno, "cannot write %s", p->path);
	r = c->fd >= 0 ? copy_all(c->fd, fd) : write_all(fd, c->text, c->length);
	if (!r && (fchown(fd, c->uid, c->gid) < 0 || fchmod(fd, c->mode) < 0 || fsync(fd) < 0))
		r = -errno;
	if (close(fd) < 0 && !r)
		r = -errno;
	return r ? err_sys(e, -r, "cannot write %s", p->path) : 0;
}

static bool is_content(int dir, const char *name, const char *sha, mode_t mode, uid_t uid, gid_t gid)
{
	char now[SHA_TEXT];
	struct stat st;

	return steps_is_there(dir, name, &st) && S_ISREG(st.st_mode) && steps_same_owner(&st, mode, uid, gid) &&
	       sha_of(dir, name, now) == 0 && strcmp(now, sha) == 0;
}

static json_t *file_entry(const struct place *p, const struct content *c)
{
	json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:I}", "do", "file", "path", p->path, "new", p->new,
			      "sha256", c->sha, "mode", (int)c->mode, "uid", (json_int_t)c->uid, "gid",
			      (json_int_t)c->gid);

	if (p->there)
		json_object_set_new(j, "old", json_string(p->old));
	return j;
}

static int replace_file(struct steps *s, struct place *p, const struct content *c, bool *changed, struct err *e)
{
	int r;

	if (p->there && S_ISLNK(p->st.st_mode))
		return refuse(p, "a symbolic link", ELOOP, e);
	if (p->there && !S_ISREG(p->st.st_mode))
		return refuse(p, "no plain file", EEXIST, e);
	if (is_content(p->dir, p->name, c->sha, c->mode, c->uid, c->gid))
		return 0;
	r = trail_note(&s->trail, file_entry(p, c), e);
	if (!r)
		r = write_new(p, c, e);
	if (!r)
		r = put_in_place(p, e);
	*changed = !r;
	return r;
}

static int content_sha(struct content *c, struct err *e)
{
	uint8_t sha[SECURE_SHA256_SIZE];
	int r = c->fd >= 0 ? secure_sha256_fd(c->fd, sha) : secure_sha256(c->text, c->length, sha);

	sha_text(sha, c->sha);
	return r ? err_sys(e, -r, "cannot read what is to be written") : 0;
}

int steps_file(struct steps *s, const struct step *step, bool *changed, struct err *e)
{
	struct content c = { .text = step->text, .length = step->text_length, .fd = -1, .mode = step->mode };
	struct place p;
	int r = steps_owner(step->owner, &c.uid, &c.gid, e);

	if (!r && step->from_self) {
		c.fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		r = c.fd < 0 ? err_sys(e, errno, "cannot read this program (/proc/self/exe)") : 0;
	}
	if (!r)
		r = content_sha(&c, e);
	if (!r)
		r = find_place(s, step->path, &p, e);
	if (!r) {
		r = replace_file(s, &p, &c, changed, e);
		close(p.dir);
	}
	if (c.fd >= 0)
		close(c.fd);
	return r;
}

static bool is_link_to(int dir, const char *name, const char *to)
{
	char now[PATH_MAX];
	ssize_t n = readlinkat(dir, name, now, sizeof(now) - 1);

	return n >= 0 && (size_t)n == strlen(to) && memcmp(now, to, (size_t)n) == 0;
}

static int replace_link(struct steps *s, struct place *p, const char *to, bool *changed, struct err *e)
{
	json_t *entry;
	int r;

	if (p->there && !S_ISLNK(p->st.st_mode) && !S_ISREG(p->st.st_mode))
		return refuse(p, "neither a link nor a plain file", EEXIST, e);
	if (is_link_to(p->dir, p->name, to))
		return 0;
	entry = json_pack("{s:s, s:s, s:s, s:s}", "do", "link", "path", p->path, "new", p->new, "to", to);
	if (p->there)
		json_object_set_new(entry, "old", json_string(p->old));
	r = trail_note(&s->trail, entry, e);
	if (!r && symlinkat(to, p->dir, p->new) < 0)
		r = err_sys(e, errno, "cannot make the link %s", p->path);
	if (!r)
		r = put_in_place(p, e);
	*changed = !r;
	return r;
}

int steps_link(struct steps *s, const struct step *step, bool *changed, struct err *e)
{
	struct place p;
	int r = find_place(s, step->path, &p, e);

	if (r)
		return r;
	r = replace_link(s, &p, step->to, changed, e);
	close(p.dir);
	return r;
}

static bool is_ours(int dir, const char *name, const json_t *entry)
{
	if (strcmp(entry_text(entry, "do"), "link") == 0)
		return is_link_to(dir, name, entry_text(entry, "to"));
	return is_content(dir, name, entry_text(entry, "sha256"), (mode_t)entry_number(entry, "mode"),
			  (uid_t)entry_number(entry, "uid"), (gid_t)entry_number(entry, "gid"));
}

/* Where an entry's names are.  1: their directory is gone, and they with it. */
static int open_place(const json_t *entry, struct place *p, struct err *e)
{
	p->path = entry_text(entry, "path");
	if (*p->path != '/')
		return err_set(e, EUCLEAN, "a journal's entry has no path");
	p->dir = steps_parent(p->path, p->name, e);
	snprintf(p->new, sizeof(p->new), "%s", entry_text(entry, "new"));
	snprintf(p->old, sizeof(p->old), "%s", entry_text(entry, "old"));
	return p->dir == -ENOENT ? 1 : p->dir < 0 ? p->dir : 0;
}

static int conflict(const struct place *p, const char *what, struct err *e)
{
	const char *last = strrchr(p->path, '/');

	err_set(e, ECANCELED, "%s was %s by somebody else meanwhile, and stays as it is", p->path, what);
	if (*p->old)
		err_next(e, "what was there before is %.*s/%s", (int)(last - p->path), p->path, p->old);
	return -ECANCELED;
}

/* Whether two names are of one file.  An overlay may give each a number of its own: then content and owner say
 * it, and one of two that are alike is as good as the other. */
static bool is_same(const struct place *p, const struct stat *old, const struct stat *now)
{
	char sha[SHA_TEXT], to[PATH_MAX];
	ssize_t n;

	if (old->st_dev == now->st_dev && old->st_ino == now->st_ino)
		return true;
	if (S_ISREG(old->st_mode))
		return sha_of(p->dir, p->old, sha) == 0 &&
		       is_content(p->dir, p->name, sha, old->st_mode & 07777, old->st_uid, old->st_gid);
	n = readlinkat(p->dir, p->old, to, sizeof(to) - 1);
	to[n > 0 ? n : 0] = 0;
	return n > 0 && is_link_to(p->dir, p->name, to);
}

static int restore_old(const struct place *p, const json_t *entry, struct err *e)
{
	struct stat old, now;

	if (!steps_is_there(p->dir, p->old, &old))
		return 0;		/* not begun, or undone already */
	if (steps_is_there(p->dir, p->name, &now)) {
		if (!is_same(p, &old, &now) && !is_ours(p->dir, p->name, entry))
			return conflict(p, "changed", e);
	}
	/* A rename between two names of one file leaves both. */
	if (renameat(p->dir, p->old, p->dir, p->name) < 0 ||
	    (unlinkat(p->dir, p->old, 0) < 0 && errno != ENOENT))
		return -errno;
	return 0;
}

static int take_away(const struct place *p, const json_t *entry, struct err *e)
{
	if (!steps_is_there(p->dir, p->name, NULL))
		return 0;
	if (!is_ours(p->dir, p->name, entry))
		return conflict(p, "written", e);
	return unlinkat(p->dir, p->name, 0) < 0 ? -errno : 0;
}

int undo_replaced(struct steps *s, const json_t *entry, struct err *e)
{
	struct place p;
	int r = open_place(entry, &p, e);

	(void)s;
	if (r)
		return r < 0 ? r : 0;
	r = *p.old ? restore_old(&p, entry, e) : take_away(&p, entry, e);
	/* Looked at first: where nothing can be written nothing can be removed, not even what is not there. */
	if ((!r || r == -ECANCELED) && steps_is_there(p.dir, p.new, NULL) && unlinkat(p.dir, p.new, 0) < 0)
		r = -errno;
	if (!r && fsync(p.dir) < 0)
		r = -errno;
	close(p.dir);
	return r && r != -ECANCELED ? err_sys(e, -r, "cannot bring back %s", p.path) : r;
}

int tidy_replaced(struct steps *s, const json_t *entry, struct err *e)
{
	struct place p;
	int r = open_place(entry, &p, e);

	(void)s;
	if (r)
		return r < 0 ? r : 0;
	if (*p.new && steps_is_there(p.dir, p.new, NULL) && unlinkat(p.dir, p.new, 0) < 0)
		r = err_sys(e, errno, "cannot remove what was left beside %s", p.path);
	if (!r && *p.old)
		r = steps_remove_all(p.dir, p.old, e);
	close(p.dir);
	return r;
}

/*
 * Removing: the name is moved aside.
 */
static bool is_empty(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), names = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	while (d && names <= 2 && readdir(d))
		names++;		/* "." and ".." */
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	return d && names <= 2;
}

static int check_removable(const struct place *p, bool tree, struct err *e)
{
	mode_t mode = p->st.st_mode;

	if (tree && !S_ISDIR(mode))
		return refuse(p, "no directory", ENOTDIR, e);
	if (S_ISREG(mode) || S_ISLNK(mode) || tree)
		return 0;
	if (!S_ISDIR(mode))
		return refuse(p, "neither a file, a link nor a directory", EINVAL, e);
	return is_empty(p->dir, p->name) ? 0 : err_set(e, ENOTEMPTY, "%s is not empty", p->path);
}

static int move_aside(const struct place *p)
{
	int r = steps_rename_new(p->dir, p->name, p->old);

	/* A directory of an overlay's lower layer cannot be moved; an empty one can be made again. */
	if (r == -EXDEV && S_ISDIR(p->st.st_mode))
		return unlinkat(p->dir, p->name, AT_REMOVEDIR) < 0 ? (errno == ENOTEMPTY ? -EXDEV : -errno) : 0;
	return r;
}

static int remove_place(struct steps *s, const struct place *p, bool tree, bool *changed, struct err *e)
{
	json_t *entry;
	int r = check_removable(p, tree, e);

	if (!r && tree)
		r = steps_no_mounts(p->dir, p->name, p->path, e);
	if (r)
		return r;
	entry = json_pack("{s:s, s:s, s:s}", "do", "remove", "path", p->path, "old", p->old);
	if (S_ISDIR(p->st.st_mode))
		json_object_set_new(entry, "directory", json_pack("{s:i, s:I, s:I}", "mode", (int)p->st.st_mode & 07777,
								  "uid", (json_int_t)p->st.st_uid, "gid",
								  (json_int_t)p->st.st_gid));
	r = trail_note(&s->trail, entry, e);
	if (r)
		return r;
	r = move_aside(p);
	if (!r && fsync(p->dir) < 0)
		r = -errno;
	*changed = !r;
	return r ? err_sys(e, -r, "cannot remove %s", p->path) : 0;
}

int steps_remove(struct steps *s, const struct step *step, bool *changed, struct err *e)
{
	struct place p;
	int r = find_place(s, step->path, &p, e);

	if (r)
		return r == -ENOENT ? 0 : r;
	if (p.there)
		r = remove_place(s, &p, step->what == STEP_REMOVE_TREE, changed, e);
	close(p.dir);
	return r;
}

/* That was empty and had to be removed rather than moved: made beside, so that it comes back whole. */
static int make_again(const struct place *p, const json_t *directory)
{
	if (!steps_is_there(p->dir, p->old, NULL) &&
	    (steps_is_there(p->dir, p->name, NULL) || mkdirat(p->dir, p->old, 0700) < 0))
		return steps_is_there(p->dir, p->name, NULL) ? 0 : -errno;
	if (fchownat(p->dir, p->old, (uid_t)entry_number(directory, "uid"), (gid_t)entry_number(directory, "gid"),
		     AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(p->dir, p->old, (mode_t)entry_number(directory, "mode"), 0) < 0)
		return -errno;
	return 0;
}

int undo_removed(struct steps *s, const json_t *entry, struct err *e)
{
	struct place p;
	int r = open_place(entry, &p, e);

	(void)s;
	if (r)
		return r < 0 ? r : err_set(e, ECANCELED, "cannot bring back %s: its directory is gone", p.path);
	if (json_object_get(entry, "directory"))
		r = make_again(&p, json_object_get(entry, "directory"));
	if (!r && steps_is_there(p.dir, p.old, NULL))
		r = steps_rename_new(p.dir, p.old, p.name);
	if (!r && fsync(p.dir) < 0)
		r = -errno;
	close(p.dir);
	if (r == -EEXIST)
		return conflict(&p, "made anew", e);
	return r ? err_sys(e, -r, "cannot bring back %s", p.path) : 0;
}
