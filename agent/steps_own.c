/*
 * steps_own.c - what a server keeps in a pool changes its owner: to root when its user goes, and back when it comes.
 *
 * Others may keep something of theirs in the same directory, and the user rsio is one of them, who may have been
 * somebody else's for a while.  So only what belongs to the old owner is given away; of root's only what has a
 * name that a server gives, and is nowhere else: by a second name (a hard link) rsio could get a file of /etc.
 * Links stay as they are: one that is root's would be followed (steps_path.c).
 *
 * Nobody may change a directory while names in it are looked up.  To root a directory goes before what is in it,
 * from root after it; so it is root's meanwhile, and also while it is undone, which goes backwards.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "steps_impl.h"

#define DEPTH_MAX 64

struct owning {
	struct steps *s;
	uid_t was, uid;
	gid_t gid;
	long mount;
	bool changed;
};

static bool is_servers(const char *name)
{
	static const char *const ends[] = { ".raw", ".meta", ".flush-failed" };
	size_t n = strlen(name);

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (n > strlen(ends[i]) && strcmp(name + n - strlen(ends[i]), ends[i]) == 0)
			return true;
	return strncmp(name, ".rsio.", 6) == 0;
}

static bool is_plain(const struct stat *st)
{
	return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode);
}

/* 0; 1: it is not there, or neither a file nor a directory. */
static int open_plain(int dir, const char *name, int *fd, struct stat *st)
{
	*fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0)
		return errno == ENOENT ? 1 : -errno;
	if (fstat(*fd, st) == 0 && is_plain(st))
		return 0;
	close(*fd);
	return 1;
}

static int give(int fd, uid_t uid, gid_t gid)
{
	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* names: what is to be given away, with its links and its group; dirs: what is to be entered. */
static int gather(const struct owning *o, int dir, const char *path, bool top, json_t *names, json_t *dirs, struct err *e)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	long mount;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *child;
	struct stat st;

	if (!d)
		return err_sys(e, errno, "cannot look into %s", path);
	while (!r && (child = readdir(d))) {
		const char *name = child->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || (top && !o->was && !is_servers(name)) ||
		    open_plain(dir, name, &fd, &st))
			continue;
		mount = steps_mount_of(fd);
		close(fd);
		if (mount != o->mount)
			continue;
		if (S_ISDIR(st.st_mode))
			json_array_append_new(dirs, json_string(name));
		if (st.st_uid != o->was)
			continue;
		if (S_ISREG(st.st_mode) && st.st_nlink > 1 && !o->was) {
			r = err_set(e, EMLINK, "%s/%s has another name elsewhere (a hard link): it is given to nobody", path, name);
			err_next(e, "remove the other name, or make it a copy");
			continue;
		}
		/* No UTF-8: no server's. */
		json_object_set_new(names, name, json_pack("[I,I]", (json_int_t)st.st_nlink, (json_int_t)st.st_gid));
	}
	closedir(d);
	return r;
}

static int give_names(struct owning *o, int dir, const char *path, json_t *names, struct err *e)
{
	const char *name;
	json_t *value;
	struct stat st;
	int r, fd;

	if (!json_object_size(names))
		return 0;
	r = trail_note(&o->s->trail, json_pack("{s:s, s:s, s:O, s:I, s:[I,I]}", "do", "own", "path", path, "names", names, "was",
					       (json_int_t)o->was, "now", (json_int_t)o->uid, (json_int_t)o->gid), e);
	if (r)
		return r;
	o->changed = true;
	json_object_foreach(names, name, value) {
		r = open_plain(dir, name, &fd, &st);
		if (!r) {
			if (st.st_uid == o->was)
				r = give(fd, o->uid, o->gid);
			close(fd);
		}
		if (r < 0)
			return err_sys(e, -r, "cannot change the owner of %s/%s", path, name);
	}
	return syncfs(dir) < 0 ? err_sys(e, errno, "cannot change the owners in %s", path) : 0;
}

static int own_below(struct owning *o, int dir, const char *path, int depth, struct err *e);

static int enter_all(struct owning *o, int dir, const char *path, const json_t *dirs, int depth, struct err *e)
{
	char below[PATH_MAX];
	int r = 0, fd;

	for (size_t i = 0; !r && i < json_array_size(dirs); i++) {
		const char *name = json_string_value(json_array_get(dirs, i));

		fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
			continue;
		if (fd < 0)
			return err_sys(e, errno, "cannot look into %s/%s", path, name);
		if (depth == DEPTH_MAX || (size_t)snprintf(below, sizeof(below), "%s/%s", path, name) >= sizeof(below))
			r = err_set(e, ENAMETOOLONG, "%s is nested too deep", path);
		else
			r = own_below(o, fd, below, depth + 1, e);
		close(fd);
	}
	return r;
}

static int own_below(struct owning *o, int dir, const char *path, int depth, struct err *e)
{
	json_t *names = json_object(), *dirs = json_array();
	int r = gather(o, dir, path, !depth, names, dirs, e);

	if (!r && !o->uid)
		r = give_names(o, dir, path, names, e);
	if (!r)
		r = enter_all(o, dir, path, dirs, depth, e);
	if (!r && o->uid)
		r = give_names(o, dir, path, names, e);
	json_decref(names);
	json_decref(dirs);
	return r;
}

int steps_own(struct steps *s, const struct step *step, bool *changed, struct err *e)
{
	struct owning o = { .s = s };
	gid_t unused;
	int r = steps_owner(step->was, &o.was, &unused, e), dir;

	if (!r)
		r = steps_owner(step->owner, &o.uid, &o.gid, e);
	dir = r ? r : steps_open(step->path, e);
	if (dir < 0)
		return dir;
	o.mount = steps_mount_of(dir);
	r = o.mount < 0 ? err_set(e, EIO, "cannot see what is mounted at %s", step->path) :
		own_below(&o, dir, step->path, 0, e);
	close(dir);
	*changed = !r && o.changed;
	return r;
}

/* 1: somebody else has changed it since. */
static int take_back(int dir, const char *name, const json_t *value, const json_t *entry)
{
	const json_t *now = json_object_get(entry, "now");
	uid_t was = (uid_t)entry_number(entry, "was");
	struct stat st;
	int fd, r = open_plain(dir, name, &fd, &st);

	if (r)
		return r < 0 ? r : 0;
	if (st.st_uid == was)
		r = 0;			/* not begun, or undone already */
	else if (st.st_uid != (uid_t)json_integer_value(json_array_get(now, 0)) ||
		 (S_ISREG(st.st_mode) && (json_int_t)st.st_nlink != json_integer_value(json_array_get(value, 0))))
		r = 1;
	else
		r = give(fd, was, (gid_t)json_integer_value(json_array_get(value, 1)));
	close(fd);
	return r;
}

int undo_own(struct steps *s, const json_t *entry, struct err *e)
{
	const char *path = entry_text(entry, "path"), *name;
	int dir = *path == '/' ? steps_open(path, e) : -ENOENT, r = 0;
	bool theirs = false;
	json_t *value;

	(void)s;
	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	json_object_foreach(json_object_get(entry, "names"), name, value) {
		r = take_back(dir, name, value, entry);
		if (r < 0) {
			err_sys(e, -r, "cannot bring back the owner of %s/%s", path, name);
			break;
		}
		if (r && !theirs) {
			theirs = true;
			err_set(e, ECANCELED, "%s/%s was changed by somebody else meanwhile, and keeps its owner", path, name);
		}
	}
	if (r >= 0)
		r = syncfs(dir) < 0 ? err_sys(e, errno, "cannot bring back the owners in %s", path) : theirs ? -ECANCELED : 0;
	close(dir);
	return r;
}
