/*
 * steps_path.c - ways through the tree, for a process that is root in directories that others can change.
 *
 * A path is walked part by part, each opened without following what it is.  A symbolic link on the way is
 * followed where root, or the user that this process runs as, made it (/usr/local -> /opt), and refused where
 * anybody else did: the user rsio, whose directories are among those that are changed here, could else lead a
 * chown to /etc.  What is then done is done in the opened directory, by the last name alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <dirent.h>
#include "steps_impl.h"

#define LINKS_MAX 40
#define DEPTH_MAX 64
#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

struct walk {
	int fd;
	char rest[2 * PATH_MAX];	/* what is still to be walked */
	int links;
};

/* The first part of what is left goes to part. */
static bool next_part(struct walk *w, char part[NAME_MAX + 1])
{
	char *p = w->rest + strspn(w->rest, "/");
	size_t n = strcspn(p, "/");

	if (n > NAME_MAX)
		n = NAME_MAX;		/* openat says what is wrong with it */
	memcpy(part, p, n);
	part[n] = 0;
	p += n;
	memmove(w->rest, p, strlen(p) + 1);
	return n != 0;
}

/* Puts the link's target in front of what is left. */
static int follow(struct walk *w, const char *part)
{
	char to[PATH_MAX], all[2 * PATH_MAX];
	struct stat st;
	ssize_t n;

	if (fstatat(w->fd, part, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISLNK(st.st_mode))
		return -ENOTDIR;
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return -EPERM;
	if (++w->links > LINKS_MAX)
		return -ELOOP;
	n = readlinkat(w->fd, part, to, sizeof(to) - 1);
	if (n < 0)
		return -errno;
	to[n] = 0;
	if ((size_t)snprintf(all, sizeof(all), "%s/%s", to, w->rest) >= sizeof(all))
		return -ENAMETOOLONG;
	memcpy(w->rest, all, strlen(all) + 1);
	if (*to != '/')
		return 0;
	close(w->fd);
	w->fd = open("/", OPEN_DIR);
	return w->fd < 0 ? -errno : 0;
}

static int step_into(struct walk *w, const char *part)
{
	int fd = openat(w->fd, part, OPEN_DIR | O_NOFOLLOW);

	if (fd < 0)
		return errno == ELOOP || errno == ENOTDIR ? follow(w, part) : -errno;
	close(w->fd);
	w->fd = fd;
	return 0;
}

static int walk(const char *path, size_t length)
{
	struct walk w = { .fd = open("/", OPEN_DIR) };
	char part[NAME_MAX + 1];
	int r = w.fd < 0 ? -errno : 0;

	memcpy(w.rest, path, length);
	w.rest[length] = 0;
	while (!r && next_part(&w, part))
		r = step_into(&w, part);
	if (r && w.fd >= 0)
		close(w.fd);
	return r ? r : w.fd;
}

int steps_parent(const char *path, char name[NAME_MAX + 1], struct err *e)
{
	const char *last = strrchr(path, '/');
	int fd = walk(path, (size_t)(last - path));

	snprintf(name, NAME_MAX + 1, "%s", last + 1);
	if (fd == -EPERM)
		return err_set(e, EPERM, "%s leads through a symbolic link that is neither root's nor this user's", path);
	if (fd < 0)
		return err_sys(e, -fd, "cannot open the directory of %s", path);
	return fd;
}

int steps_open(const char *path, struct err *e)
{
	char within[PATH_MAX + 2], name[NAME_MAX + 1];

	if ((size_t)snprintf(within, sizeof(within), "%s/.", path) >= PATH_MAX)
		return err_set(e, ENAMETOOLONG, "%s is too long", path);
	return steps_parent(within, name, e);
}

void steps_aside(struct steps *s, const char *end, char name[NAME_MAX + 1])
{
	snprintf(name, NAME_MAX + 1, ".rsio-%s-%zu.%s", s->trail.id, s->serial++, end);
}

bool steps_is_there(int dir, const char *name, struct stat *st)
{
	struct stat other;

	return fstatat(dir, name, st ? st : &other, AT_SYMLINK_NOFOLLOW) == 0;
}

int steps_rename_new(int dir, const char *from, const char *to)
{
	if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* A file system without it: the look and the change are two calls. */
	if (steps_is_there(dir, to, NULL))
		return -EEXIST;
	return renameat(dir, from, dir, to) < 0 ? -errno : 0;
}

bool steps_same_owner(const struct stat *st, mode_t mode, uid_t uid, gid_t gid)
{
	return (st->st_mode & 07777) == mode && st->st_uid == uid && st->st_gid == gid;
}

/*
 * Owners.  The files themselves are read: a static program has nothing else that could.
 */
static bool number(const char *text, long *n)
{
	char *end;

	*n = strtol(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && *n < 0xffffffffL;
}

static bool find_user(const char *name, uid_t *uid, gid_t *gid)
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd *pw;
	bool found = false;

	while (f && !found && (pw = fgetpwent(f))) {
		found = strcmp(pw->pw_name, name) == 0;
		if (found) {
			*uid = pw->pw_uid;
			*gid = pw->pw_gid;
		}
	}
	if (f)
		fclose(f);
	return found;
}

static bool find_group(const char *name, gid_t *gid)
{
	FILE *f = fopen("/etc/group", "re");
	struct group *gr;
	bool found = false;

	while (f && !found && (gr = fgetgrent(f))) {
		found = strcmp(gr->gr_name, name) == 0;
		if (found)
			*gid = gr->gr_gid;
	}
	if (f)
		fclose(f);
	return found;
}

int steps_owner(const char *text, uid_t *uid, gid_t *gid, struct err *e)
{
	char user[64], *group;
	long n;

	*uid = geteuid();
	*gid = getegid();
	if (!text)
		return 0;
	if (strlen(text) >= sizeof(user))
		return err_set(e, EINVAL, "an owner's name is too long");
	snprintf(user, sizeof(user), "%s", text);
	group = strchr(user, ':');
	if (group)
		*group++ = 0;
	if (number(user, &n))
		*uid = (uid_t)n;
	else if (!find_user(user, uid, gid))
		return err_set(e, ENOENT, "there is no user %s in /etc/passwd", user);
	if (!group)
		return 0;
	if (number(group, &n))
		*gid = (gid_t)n;
	else if (!find_group(group, gid))
		return err_set(e, ENOENT, "there is no group %s in /etc/group", group);
	return 0;
}

/*
 * Removing a tree.
 *
 * Nothing that is mounted in it is entered: not another file system, nor a part of the same one that is mounted
 * there as well, which has the same device number.  What tells is the number of the mount.
 */
long steps_mount_of(int fd)
{
	char path[64], line[128];
	long id = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "mnt_id: %ld", &id) == 1)
			break;
	if (f)
		fclose(f);
	return id;
}

static int remove_below(int parent, const char *name, long mount, int depth);

static int remove_one(int parent, const char *name, long mount, int depth)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	return remove_below(parent, name, mount, depth);
}

static int remove_children(DIR *d, long mount, int depth)
{
	struct dirent *child;
	int r = 0;

	while (!r && (child = readdir(d)))
		if (strcmp(child->d_name, ".") != 0 && strcmp(child->d_name, "..") != 0)
			r = remove_one(dirfd(d), child->d_name, mount, depth + 1);
	return r;
}

static int remove_below(int parent, const char *name, long mount, int depth)
{
	int fd = depth > DEPTH_MAX ? -1 : openat(parent, name, OPEN_DIR | O_NOFOLLOW), r;
	DIR *d;

	if (depth > DEPTH_MAX)
		return -ELOOP;
	if (fd < 0)
		return -errno;
	if (mount < 0 || steps_mount_of(fd) != mount) {
		close(fd);
		return -EBUSY;
	}
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	r = remove_children(d, mount, depth);
	closedir(d);
	if (!r && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

/* A blank, a tab, a backslash and a line's end are written as \ooo in there. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		unsigned c;

		if (*text == '\\' && sscanf(text + 1, "%3o", &c) == 1) {
			*to++ = (char)c;
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = 0;
}

int steps_no_mounts(int parent, const char *name, const char *path, struct err *e)
{
	char link[64], real[PATH_MAX], line[3 * PATH_MAX], at[PATH_MAX];
	int fd = openat(parent, name, OPEN_DIR | O_NOFOLLOW), r = 0;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = fd < 0 || !f ? -1 : readlink(link, real, sizeof(real) - 1);
	if (n < 0)
		r = err_sys(e, errno, "cannot see whether something is mounted in %s", path);
	while (!r && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %*s %*s %*s %4095s", at) != 1)
			continue;
		unescape(at);
		if (strncmp(at, real, (size_t)n) == 0 && at[n] == '/')
			r = err_set(e, EBUSY, "something is mounted in %s, on %s: it is not removed", path, at);
	}
	if (r == -EBUSY)
		err_next(e, "unmount it first");
	if (f)
		fclose(f);
	if (fd >= 0)
		close(fd);
	return r;
}

int steps_remove_all(int parent, const char *name, struct err *e)
{
	int r = steps_is_there(parent, name, NULL) ? remove_one(parent, name, steps_mount_of(parent), 0) : 0;

	return r ? err_sys(e, -r, "cannot remove %s", name) : 0;
}
