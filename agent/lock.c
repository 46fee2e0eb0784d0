/* lock.c - see lock.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "lock.h"

#define TRY_EVERY_MS 50

static int try_lock(int fd, bool exclusive)
{
	struct flock f = { .l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &f) < 0 ? -errno : 0;
}

int lock_take(int fd, bool exclusive, double seconds, const char *what, struct err *e)
{
	static const struct timespec pause = { 0, TRY_EVERY_MS * 1000000 };
	int tries = (int)(seconds * 1000 / TRY_EVERY_MS), r;

	for (;;) {
		r = try_lock(fd, exclusive);
		if (r != -EAGAIN && r != -EACCES)
			break;
		if (tries-- <= 0) {
			err_set(e, EBUSY, "%s is in use by another rssrv", what);
			err_next(e, "one that was killed lets go when its last write has ended; "
				 "'fuser -v' on it names the process");
			return -EBUSY;
		}
		nanosleep(&pause, NULL);
	}
	return r ? err_sys(e, -r, "cannot lock %s", what) : 0;
}

static long read_pid(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = 0;
	return strtol(text, NULL, 10);
}

/* A process that was told to end, or killed, may still be there for a moment;
 * one that is there for longer runs. */
int lock_pid_file(const char *run_dir, struct err *e)
{
	char path[512], text[32];
	int fd, r, n;

	snprintf(path, sizeof(path), "%s/rssrv.pid", run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	r = lock_take(fd, true, 1.0, path, e);
	if (r == -EBUSY) {
		err_set(e, EBUSY, "rssrv is already running in %s, pid %ld", run_dir, read_pid(fd));
		err_next(e, "a second one needs a run directory of its own: --run-dir DIR");
	}
	n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (!r && (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n))
		r = err_sys(e, errno, "cannot write %s", path);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}
