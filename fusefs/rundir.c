/* rundir.c - see rundir.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "rundir.h"

char *rundir_path(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

static int taken(const char *dir, int fd, struct err *e)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof text - 1, 0);

	text[n > 0 ? n : 0] = 0;
	err_set(e, EEXIST, "rsiod is already running, pid %d (run directory %s)", atoi(text), dir);
	err_next(e, "a second one needs a run directory of its own: --run-dir DIR");
	return -EEXIST;
}

/* The file may have been taken away by its last owner between open and lock. */
static bool is_still(const char *path, int fd)
{
	struct stat a, b;

	return stat(path, &a) == 0 && fstat(fd, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int try_lock(const char *dir, const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644), r;

	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		r = taken(dir, fd, e);
	else if (!is_still(path, fd))
		r = -EAGAIN;
	else if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
		r = err_sys(e, errno, "%s", path);
	else
		return fd;
	close(fd);
	return r;
}

int rundir_lock(const char *dir, struct err *e)
{
	char *path = rundir_path(dir, "rsiod.pid");
	int fd = -EAGAIN;

	if (!path)
		return err_set(e, ENOMEM, "no memory to start with");
	for (int i = 0; i < 10 && fd == -EAGAIN; i++)
		fd = try_lock(dir, path, e);
	free(path);
	return fd == -EAGAIN ? err_set(e, EAGAIN, "another rsiod comes and goes in %s", dir) : fd;
}

/* Taken away while it is locked, so that no other's is. */
void rundir_unlock(const char *dir, int fd)
{
	char *path = rundir_path(dir, "rsiod.pid");

	if (path)
		unlink(path);
	free(path);
	close(fd);
}
