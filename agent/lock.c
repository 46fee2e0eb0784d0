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

/* Length 0: to the end. */
static int try_lock(int fd, bool exclusive, int64_t from, int64_t length)
{
	struct flock f = {
		.l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET, .l_start = from, .l_len = length,
	};

	if (fcntl(fd, F_OFD_SETLK, &f) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

int lock_byte(int fd, int64_t byte, bool lock)
{
	struct flock f = { .l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	if (lock)
		return try_lock(fd, true, byte, 1);
	return fcntl(fd, F_OFD_SETLK, &f) < 0 ? -errno : 0;
}

static int try_long(int fd, bool exclusive, int64_t from, int64_t length, double seconds)
{
	static const struct timespec pause = { 0, TRY_EVERY_MS * 1000000 };
	int tries = (int)(seconds * 1000 / TRY_EVERY_MS), r;

	while ((r = try_lock(fd, exclusive, from, length)) == -EAGAIN && tries-- > 0)
		nanosleep(&pause, NULL);
	return r;
}

/* Who is in the way: 0: one that uses the file alone; 2 + its id: one that shares it;
 * -1: nobody now. */
static int64_t find_holder(int fd, int64_t from, int64_t length)
{
	struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = from, .l_len = length };

	if (fcntl(fd, F_OFD_GETLK, &f) < 0 || f.l_type == F_UNLCK)
		return -1;
	return f.l_start == 0 ? 0 : (int64_t)f.l_start;
}

void lock_mark(int fd, uint16_t id, bool there)
{
	struct flock f = { .l_type = there ? F_RDLCK : F_UNLCK, .l_whence = SEEK_SET, .l_start = LOCK_SERVER(id),
			   .l_len = 1 };

	fcntl(fd, F_OFD_SETLK, &f);
}

int lock_marked(int fd)
{
	int64_t holder = find_holder(fd, LOCK_SERVER(0), 0);

	return holder < LOCK_SERVER(0) ? -1 : (int)(holder - LOCK_SERVER(0));
}

int lock_take(int fd, bool exclusive, double seconds, const char *what, struct err *e)
{
	int r = try_long(fd, exclusive, 0, 0, seconds);
	int64_t holder;

	if (r != -EAGAIN)
		return r ? err_sys(e, -r, "cannot lock %s", what) : 0;
	holder = find_holder(fd, LOCK_SERVER(0), 0);
	if (holder >= LOCK_SERVER(0)) {
		err_set(e, EBUSY, "%s is shared by other servers, the one with serverid %lld among them", what,
			(long long)holder - LOCK_SERVER(0));
		err_next(e, "say 'shared = yes' in its section here too");
		return -EBUSY;
	}
	err_set(e, EBUSY, "%s is in use by another rssrv", what);
	err_next(e, "one that was killed lets go when its last write has ended; 'fuser -v' on it names the process");
	return -EBUSY;
}

int lock_take_shared(int fd, bool exclusive, uint16_t id, double seconds, const char *what, struct err *e)
{
	int r = try_long(fd, exclusive, LOCK_SERVER(id), 1, seconds);

	if (r != -EAGAIN)
		return r ? err_sys(e, -r, "cannot lock %s", what) : 0;
	if (find_holder(fd, LOCK_SERVER(id), 1) == 0) {
		err_set(e, EBUSY, "%s is in use by an rssrv that does not share it", what);
		err_next(e, "say 'shared = yes' in its section of that server's configuration, and restart it");
		return -EBUSY;
	}
	err_set(e, EBUSY, "%s is in use by another rssrv with serverid %u", what, id);
	err_next(e, "give each server a serverid of its own; one that was killed lets go when its last write has ended");
	return -EBUSY;
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
