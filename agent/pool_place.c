/*
 * pool_place.c - is a pool's directory still the one that the configuration names, and on the file
 * system that it was on?  See pool.h.
 *
 * A server goes by the directory that it has opened, so of a file system that was unmounted under it (which
 * "umount -l" does) it sees all, and nobody else sees anything: what is made there is gone with the
 * server's end.  And where nothing is mounted when it starts, it sees the mount point's own directory, mostly
 * on the root file system, and would make volumes there.  The one shows in that the path leads to
 * another directory now.  For the other the server keeps in its state directory where the pool's file
 * system was mounted when it was opened last.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "log.h"
#include "pool.h"
#include "server.h"

int pool_place_check(const struct pool *p, struct err *e)
{
	struct stat ours, there;

	if (fstat(p->dirfd, &ours) < 0 || (stat(p->path, &there) < 0 && errno != ENOENT && errno != ENOTDIR))
		return 0;		/* that says nothing */
	if (stat(p->path, &there) < 0)
		err_set(e, ENODEV, "there is no %s any more", p->path);
	else if (ours.st_dev != there.st_dev)
		err_set(e, ENODEV, "%s is on another file system than the pool: that one was unmounted, or one was mounted over it",
			p->path);
	else if (ours.st_ino != there.st_ino)
		err_set(e, ENODEV, "%s is another directory than the pool's, which was moved away", p->path);
	else
		return 0;
	err_next(e, "put it back where it was; rssrv goes on with it by itself");
	return -ENODEV;
}

/* Where the file system is mounted that the directory is on.  False: that cannot be said. */
static bool mount_point(const char *directory, char out[PATH_MAX])
{
	struct stat here, above;
	char *path = realpath(directory, NULL), *slash;
	bool good = path && stat(path, &here) == 0;

	while (good && path[1]) {
		slash = strrchr(path, '/');
		snprintf(out, PATH_MAX, "%s", path);
		slash[slash == path] = 0;
		good = stat(path, &above) == 0;
		if (good && above.st_dev != here.st_dev) {
			free(path);
			return true;
		}
	}
	snprintf(out, PATH_MAX, "/");
	free(path);
	return good;
}

/* The file that says where that was; false: there is none. */
static bool note_path(const struct pool *p, char out[PATH_MAX])
{
	struct server *s = p->server;
	int n = 0;

	pthread_rwlock_rdlock(&s->conf_lock);
	if (s->conf)
		n = snprintf(out, PATH_MAX, "%s/%s:%s:%s.mount", s->state_dir, s->conf->namespace, s->conf->server, p->name);
	pthread_rwlock_unlock(&s->conf_lock);
	return n > 0 && n < PATH_MAX;
}

static bool read_line(FILE *f, char out[PATH_MAX])
{
	bool good = fgets(out, PATH_MAX, f);

	out[good ? strcspn(out, "\n") : 0] = 0;
	return good;
}

/* Whoever rssrv becomes owns the state directory: while it is root still, nothing there leads it elsewhere. */
static FILE *open_note(const char *path, int flags, const char *mode)
{
	int fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
	FILE *f = fd < 0 ? NULL : fdopen(fd, mode);

	if (!f && fd >= 0)
		close(fd);
	return f;
}

/* Where it was mounted for this same path; false: not known. */
static bool noted(const struct pool *p, const char *file, char mount[PATH_MAX])
{
	FILE *f = open_note(file, O_RDONLY, "r");
	char path[PATH_MAX];
	bool good = f && read_line(f, path) && strcmp(path, p->path) == 0 && read_line(f, mount) && *mount == '/';

	if (f)
		fclose(f);
	return good;
}

static bool is_below(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	return n == 1 || (strncmp(path, directory, n) == 0 && (path[n] == '/' || !path[n]));
}

int pool_place_open(const struct pool *p, struct err *e)
{
	char file[PATH_MAX], was[PATH_MAX], is[PATH_MAX];

	if (!note_path(p, file) || !mount_point(p->path, is) || !noted(p, file, was))
		return 0;
	if (strcmp(was, is) == 0 || !is_below(was, is))
		return 0;
	err_set(e, ENODEV, "[pool %s]: nothing is mounted at %s, where the file system of %s was: its volumes are not there", p->name,
		was, p->path);
	err_next(e, "mount it; if the pool is to begin anew on the file system of %s, remove %s", is, file);
	return -ENODEV;
}

void pool_place_note(const struct pool *p)
{
	char file[PATH_MAX], new[PATH_MAX + 8], was[PATH_MAX], is[PATH_MAX];
	FILE *f;
	bool good;

	if (!note_path(p, file) || !mount_point(p->path, is) || (noted(p, file, was) && strcmp(was, is) == 0))
		return;
	snprintf(new, sizeof(new), "%s.new", file);
	unlink(new);
	f = open_note(new, O_WRONLY | O_CREAT | O_EXCL, "w");
	good = f && fprintf(f, "%s\n%s\n", p->path, is) > 0;
	if (f && fclose(f) != 0)
		good = false;
	if (!good || rename(new, file) < 0)
		log_debug("pool", "%s: cannot note in %s where its file system is mounted: %s", p->name, file, strerror(errno));
}

void pool_trouble(struct pool *p, enum pool_state state, const char *why)
{
	bool other;

	pthread_mutex_lock(&p->owner_lock);
	other = p->trouble != state || strcmp(p->why, why) != 0;
	p->trouble = state;
	snprintf(p->why, sizeof(p->why), "%s", why);
	pthread_mutex_unlock(&p->owner_lock);
	if (!other)
		return;
	atomic_store(&p->looked, 0);
	if (state == POOL_LOST)
		log_error("pool", "%s: it is lost: %s; nothing is changed in it", p->name, why);
	else if (state == POOL_OK)
		log_info("pool", "%s: it can be changed again", p->name);
}

void pool_why(struct pool *p, char out[ERR_TEXT_MAX])
{
	pthread_mutex_lock(&p->owner_lock);
	snprintf(out, ERR_TEXT_MAX, "%s", p->why);
	pthread_mutex_unlock(&p->owner_lock);
}
