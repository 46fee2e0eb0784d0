/* steps_directory.c - directories that are to be there, with whoever they belong to. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "steps_impl.h"

static int set_owner(int fd, mode_t mode, uid_t uid, gid_t gid)
{
	/* In this order: a change of owner takes away what the mode may have of setgid. */
	if (fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

static int open_one(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int make_one(struct steps *s, const char *path, int parent, const char *name, const struct step *as,
		    struct err *e)
{
	uid_t uid;
	gid_t gid;
	int r = steps_owner(as ? as->owner : NULL, &uid, &gid, e), fd;

	if (!r)
		r = trail_note(&s->trail, json_pack("{s:s, s:s}", "do", "made", "path", path), e);
	if (r)
		return r;
	if (mkdirat(parent, name, 0700) < 0)
		return err_sys(e, errno, "cannot make directory %s", path);
	fd = open_one(parent, name);
	r = fd < 0 ? fd : set_owner(fd, as ? as->mode : 0755, uid, gid);
	if (!r && fsync(parent) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r ? err_sys(e, -r, "cannot make directory %s", path) : 0;
}

/* The outer ones that are not there yet. */
static int make_parents(struct steps *s, const char *path, bool *changed, struct err *e)
{
	char part[PATH_MAX], name[NAME_MAX + 1];

	for (size_t i = 1; path[i]; i++) {
		int parent, r = 0;

		if (path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = 0;
		parent = steps_parent(part, name, e);
		if (parent < 0)
			return parent;
		if (!steps_is_there(parent, name, NULL)) {
			r = make_one(s, part, parent, name, NULL, e);
			*changed |= !r;
		}
		close(parent);
		if (r)
			return r;
	}
	return 0;
}

static int change_owner(struct steps *s, const char *path, int fd, const struct stat *st, const struct step *step,
			uid_t uid, gid_t gid, struct err *e)
{
	int r = trail_note(&s->trail, json_pack("{s:s, s:s, s:[I,I,I], s:[I,I,I]}", "do", "mode", "path", path, "was",
						(json_int_t)st->st_mode & 07777, (json_int_t)st->st_uid,
						(json_int_t)st->st_gid, "now", (json_int_t)step->mode,
						(json_int_t)uid, (json_int_t)gid), e);

	if (r)
		return r;
	r = set_owner(fd, step->mode, uid, gid);
	return r ? err_sys(e, -r, "cannot change the owner or the mode of %s", path) : 0;
}

static int suit(struct steps *s, const struct step *step, int parent, const char *name, bool *changed, struct err *e)
{
	struct stat st, to;
	uid_t uid;
	gid_t gid;
	int r = steps_owner(step->owner, &uid, &gid, e), fd;

	if (r)
		return r;
	if (!steps_is_there(parent, name, &st))
		return err_sys(e, errno, "cannot look at %s", step->path);
	if (S_ISLNK(st.st_mode)) {
		if (fstatat(parent, name, &to, 0) == 0 && S_ISDIR(to.st_mode) &&
		    steps_same_owner(&to, step->mode, uid, gid))
			return 0;
		err_set(e, ELOOP, "%s is a symbolic link, and what it leads to has another owner or mode than is needed",
			step->path);
		err_next(e, "give that directory to %s, mode %04o, or use its own path", step->owner ? step->owner : "root",
			 step->mode);
		return -ELOOP;
	}
	fd = open_one(parent, name);
	if (fd < 0)
		return err_sys(e, -fd, "cannot use directory %s", step->path);
	if (!steps_same_owner(&st, step->mode, uid, gid)) {
		r = change_owner(s, step->path, fd, &st, step, uid, gid, e);
		*changed |= !r;
	}
	close(fd);
	return r;
}

int steps_directory(struct steps *s, const struct step *step, bool *changed, struct err *e)
{
	char name[NAME_MAX + 1];
	int r = make_parents(s, step->path, changed, e), parent;

	if (r)
		return r;
	parent = steps_parent(step->path, name, e);
	if (parent < 0)
		return parent;
	if (steps_is_there(parent, name, NULL)) {
		r = suit(s, step, parent, name, changed, e);
	} else {
		r = make_one(s, step->path, parent, name, step, e);
		*changed |= !r;
	}
	close(parent);
	return r;
}

/* "a, b and 3 more" of what is in it. */
static void name_some(int parent, const char *name, char *out, size_t size)
{
	int fd = open_one(parent, name);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *child;
	int count = 0;
	size_t used = 0;

	*out = 0;
	while (d && (child = readdir(d))) {
		if (strcmp(child->d_name, ".") == 0 || strcmp(child->d_name, "..") == 0)
			continue;
		if (++count <= 3)
			used += (size_t)snprintf(out + used, size - used, "%s%.60s", used ? ", " : "", child->d_name);
	}
	if (count > 3)
		snprintf(out + used, size - used, " and %d more", count - 3);
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

int undo_made(struct steps *s, const json_t *entry, struct err *e)
{
	const char *path = entry_text(entry, "path");
	char name[NAME_MAX + 1], within[256];
	int parent = *path == '/' ? steps_parent(path, name, e) : -ENOENT, r = 0;

	(void)s;
	if (parent < 0)
		return parent == -ENOENT ? 0 : parent;
	if (steps_is_there(parent, name, NULL) && unlinkat(parent, name, AT_REMOVEDIR) < 0)
		r = -errno;
	if (r == -ENOTEMPTY || r == -EEXIST) {
		name_some(parent, name, within, sizeof(within));
		r = err_set(e, ECANCELED, "%s is not empty: somebody has put %s into it, and it stays", path, within);
	} else if (r == -ENOTDIR) {
		r = err_set(e, ECANCELED, "%s was replaced by somebody else meanwhile, and stays as it is", path);
	} else if (r || fsync(parent) < 0) {
		r = err_sys(e, errno, "cannot remove directory %s", path);
	}
	close(parent);
	return r;
}

static long member(const json_t *entry, const char *key, size_t i)
{
	return (long)json_integer_value(json_array_get(json_object_get(entry, key), i));
}

static int bring_back_mode(int fd, const char *path, const json_t *entry, struct err *e)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "cannot look at %s", path);
	/* Killed in the middle, it has the new owner and the old mode. */
	if (st.st_uid != (uid_t)member(entry, "was", 1) || st.st_gid != (gid_t)member(entry, "was", 2)) {
		if (st.st_uid != (uid_t)member(entry, "now", 1) || st.st_gid != (gid_t)member(entry, "now", 2))
			return err_set(e, ECANCELED, "%s was given to another owner by somebody else meanwhile, and stays "
				       "so", path);
	} else if ((st.st_mode & 07777) == (mode_t)member(entry, "was", 0)) {
		return 0;
	}
	r = set_owner(fd, (mode_t)member(entry, "was", 0), (uid_t)member(entry, "was", 1), (gid_t)member(entry, "was", 2));
	return r ? err_sys(e, -r, "cannot bring back the owner and the mode of %s", path) : 0;
}

int undo_mode(struct steps *s, const json_t *entry, struct err *e)
{
	const char *path = entry_text(entry, "path");
	char name[NAME_MAX + 1];
	int parent = *path == '/' ? steps_parent(path, name, e) : -ENOENT, fd, r;

	(void)s;
	if (parent < 0)
		return parent == -ENOENT ? 0 : parent;
	fd = open_one(parent, name);
	close(parent);
	if (fd < 0)
		return fd == -ENOENT ? 0 : err_sys(e, -fd, "cannot open directory %s", path);
	r = bring_back_mode(fd, path, entry, e);
	close(fd);
	return r;
}
