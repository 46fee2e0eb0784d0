/*
 * helper_fs.c - see helper_fs.h.
 *
 * FROZEN FOR EVER is what must not happen.  Two processes see to it: the one that froze waits
 * for the end of its channel (the daemon is done, or died) and for its time; a second one waits
 * for the first, and for some more time, should that be killed.  Each has the mounted directory
 * open, so neither looks for a path in a file system that stands still, and neither writes a log.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/btrfs.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include "attach.h"
#include "helper_fs.h"
#include "loopdev.h"
#include "mounts.h"

#define OUTPUT_MAX 400		/* of a tool, for the message when it fails */

static void say(int channel, json_t *j)
{
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	if (text)
		send(channel, text, strlen(text), MSG_NOSIGNAL);
	free(text);
	json_decref(j);
}

static void say_error(int channel, const struct err *e)
{
	say(channel, json_pack("{s:{s:i, s:s, s:s}}", "error", "code", e->code, "text", e->text, "next", e->next));
}

static void say_stage(int channel, const char *stage)
{
	say(channel, json_pack("{s:s}", "stage", stage));
}

/* The file system. */

struct target {
	char device[24];
	dev_t number;
	struct mounts_entry at;
};

/* btrfs has a device number of its own: it is known by the device that it was mounted from. */
static bool is_on(const struct mounts_entry *m, void *arg)
{
	struct target *t = arg;
	struct stat st;

	if (m->device != t->number &&
	    (strcmp(m->type, "btrfs") != 0 || stat(m->source, &st) < 0 || !S_ISBLK(st.st_mode) || st.st_rdev != t->number))
		return false;
	t->at = *m;
	return true;
}

static int find(struct target *t, json_t *request, struct err *e)
{
	const char *namespace = json_string_value(json_object_get(request, "namespace"));
	const char *volume = json_string_value(json_object_get(request, "volume"));
	int number = attach_find(request, e);
	struct stat st;

	if (number < 0)
		return number;
	loopdev_name(number, t->device);
	if (stat(t->device, &st) < 0)
		return err_sys(e, errno, "%s", t->device);
	t->number = st.st_rdev;
	if (mounts_each("/proc/self/mountinfo", is_on, t))
		return 0;
	err_set(e, ENOENT, "no file system is mounted from the device of %s:%s (%s)", namespace, volume, t->device);
	err_next(e, "what is on it otherwise, a partition or a database, has to be dealt with by its own tools");
	return -ENOENT;
}

static uint64_t size_of(const char *dir)
{
	struct statvfs s;

	return statvfs(dir, &s) < 0 ? 0 : (uint64_t)s.f_blocks * s.f_frsize;
}

/* Tools: from where the system has them, with nothing of ours but the arguments. */

static _Noreturn void exec_tool(char *const argv[], int output)
{
	static const char *const places[] = { "/usr/sbin", "/sbin", "/usr/bin", "/bin" };
	char *environment[] = { "PATH=/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL=C", NULL };
	char path[128];

	dup2(output, 1);
	dup2(output, 2);
	signal(SIGPIPE, SIG_DFL);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		snprintf(path, sizeof path, "%s/%s", places[i], argv[0]);
		execve(path, argv, environment);
	}
	_exit(127);
}

/* What it printed, the end of it: there the reason stands. */
static void read_output(int fd, char *out)
{
	char piece[256];
	size_t have = 0;
	ssize_t n;

	while ((n = read(fd, piece, sizeof piece)) > 0 || (n < 0 && errno == EINTR)) {
		size_t more = n > 0 ? (size_t)n : 0, drop = have + more > OUTPUT_MAX ? have + more - OUTPUT_MAX : 0;

		memmove(out, out + drop, have - drop);
		memcpy(out + have - drop, piece, more);
		have += more - drop;
	}
	while (have && strchr("\n ", out[have - 1]))
		have--;
	out[have] = 0;
	for (char *c = out; (c = strchr(c, '\n')); )
		*c = ' ';
}

static int run_tool(char *const argv[], struct err *e)
{
	char out[OUTPUT_MAX + sizeof(char[256])] = "";
	int p[2], status;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		return err_sys(e, errno, "%s cannot be run", argv[0]);
	if (pid == 0)
		exec_tool(argv, p[1]);
	close(p[1]);
	read_output(p[0], out);
	close(p[0]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, errno, "%s", argv[0]);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		err_set(e, ENOENT, "there is no %s on this machine", argv[0]);
		err_next(e, "install it, and grow the file system then with the same command");
		return -ENOENT;
	}
	return err_set(e, EIO, "%s failed: %.300s", argv[0], *out ? out : "it said nothing");
}

/* Growing. */

/* Its number among those of the file system, by which it is named to the tool; 0: not found. */
static unsigned long long btrfs_device(const struct target *t, int fd)
{
	struct btrfs_ioctl_fs_info_args fs = { 0 };
	struct btrfs_ioctl_dev_info_args *d = calloc(1, sizeof *d);
	unsigned long long found = 0;
	struct stat st;

	if (d && ioctl(fd, BTRFS_IOC_FS_INFO, &fs) == 0) {
		for (unsigned long long id = 1; id <= fs.max_id && !found; id++) {
			memset(d, 0, sizeof *d);
			d->devid = id;
			if (ioctl(fd, BTRFS_IOC_DEV_INFO, d) == 0 && stat((char *)d->path, &st) == 0 &&
			    st.st_rdev == t->number)
				found = id;
		}
	}
	free(d);
	return found;
}

/* The mounted directory.  By its path something else may be reached: what was mounted over it
 * since, or where somebody who owns a directory above has put a link.  That one is not touched. */
static int open_mounted(const struct target *t, struct err *e)
{
	int fd = open(t->at.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return err_sys(e, errno, "%s", t->at.dir);
	if (strcmp(t->at.type, "btrfs") == 0 ? btrfs_device(t, fd) > 0 : fstat(fd, &st) == 0 && st.st_dev == t->number)
		return fd;
	close(fd);
	err_set(e, EBUSY, "the %s of %s is mounted at %s, but that leads to something else now", t->at.type, t->device, t->at.dir);
	err_next(e, "unmount what is mounted over it");
	return -EBUSY;
}

static int grow_btrfs(struct target *t, struct err *e)
{
	char what[40];
	char *argv[] = { "btrfs", "filesystem", "resize", what, t->at.dir, NULL };
	int fd = open_mounted(t, e);

	if (fd < 0)
		return fd;
	snprintf(what, sizeof what, "%llu:max", btrfs_device(t, fd));
	close(fd);
	return run_tool(argv, e);
}

static int grow_known(struct target *t, struct err *e)
{
	char *ext4[] = { "resize2fs", t->device, NULL };
	char *xfs[] = { "xfs_growfs", "-d", t->at.dir, NULL };

	if (strcmp(t->at.type, "ext4") == 0) {
		int r = run_tool(ext4, e);

		if (r < 0 && prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE, 0, 0, 0) != 1)
			err_next(e, "ext4 grows only for who has CAP_SYS_RESOURCE, which this container was not given");
		return r;
	}
	if (strcmp(t->at.type, "xfs") == 0)
		return run_tool(xfs, e);
	if (strcmp(t->at.type, "btrfs") == 0)
		return grow_btrfs(t, e);
	err_set(e, EOPNOTSUPP, "a %s cannot be grown while it is mounted at %s", t->at.type, t->at.dir);
	err_next(e, "ext4, XFS and btrfs can");
	return -EOPNOTSUPP;
}

/* Did it take what there is?  A file system keeps some of its device for itself. */
static int check_grown(const struct target *t, uint64_t before, uint64_t after, uint64_t device, struct err *e)
{
	if (after > before || after >= device - device / 4)
		return 0;
	return err_set(e, EIO, "the %s at %s has %llu bytes as before, its device %llu", t->at.type, t->at.dir,
		       (unsigned long long)after, (unsigned long long)device);
}

static void grow(json_t *request, int channel)
{
	struct target *t = calloc(1, sizeof *t);
	struct err e = { .code = ENOMEM, .text = "no memory" };
	uint64_t before, device = (uint64_t)json_integer_value(json_object_get(request, "size"));
	json_t *resized;
	int dir;

	if (!t || find(t, request, &e) < 0)
		goto out;
	say_stage(channel, "device");
	resized = attach_resize(request, &e);	/* and looks whether it has that size */
	if (!resized)
		goto out;
	json_decref(resized);
	say_stage(channel, t->at.type);
	dir = open_mounted(t, &e);	/* the tool goes by the path */
	if (dir < 0)
		goto out;
	close(dir);
	before = size_of(t->at.dir);
	if (grow_known(t, &e) < 0 || check_grown(t, before, size_of(t->at.dir), device, &e) < 0)
		goto out;
	say(channel, json_pack("{s:s, s:s, s:s, s:I, s:I}", "filesystem", t->at.type, "device", t->device, "mount",
			       t->at.dir, "before", (json_int_t)before, "size", (json_int_t)size_of(t->at.dir)));
	free(t);
	return;
out:
	say_error(channel, &e);
	free(t);
}

/* At rest. */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Until fd has something to say, an end too; false: the time was over. */
static bool wait_for(int fd, double seconds)
{
	struct pollfd p = { fd, POLLIN, 0 };
	double until = now() + seconds, left;

	while ((left = until - now()) > 0)
		if (poll(&p, 1, (int)(left * 1000) + 1) > 0)
			return true;
	return false;
}

/* The second process: it goes when the first one says so, and thaws when that has ended otherwise. */
static void watch(int first, int dir)
{
	char c;

	if (wait_for(first, HELPER_FREEZE_MAX + 2) && read(first, &c, 1) == 1)
		return;
	ioctl(dir, FITHAW, 0);
}

/* The descriptor that tells it to go; -1: it could not be made. */
static int start_watch(int dir, int channel)
{
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		setsid();
		close(p[1]);
		close(channel);
		watch(p[0], dir);
		_exit(0);
	}
	close(p[0]);
	if (pid > 0)
		return p[1];
	close(p[1]);
	return -1;
}

static void rest(const struct target *t, int dir, int guard, int channel)
{
	double began, seconds;
	char word[16];
	struct err e;
	bool asked;

	if (ioctl(dir, FIFREEZE, 0) < 0) {
		int code = errno;

		if (write(guard, "", 1) < 0)
			return;		/* it has ended: nothing is frozen by us */
		err_sys(&e, code, "the %s at %s cannot be frozen", t->at.type, t->at.dir);
		if (code == EBUSY)
			err_next(&e, "somebody else has frozen it: fsfreeze -u lets it go on");
		say_error(channel, &e);
		return;
	}
	began = now();
	say(channel, json_pack("{s:s}", "frozen", t->at.dir));
	asked = wait_for(channel, HELPER_FREEZE_MAX);
	ioctl(dir, FITHAW, 0);
	seconds = now() - began;
	if (write(guard, "", 1) < 0)
		asked = false;		/* it came before us */
	/* What lies there unread would take our answer with it when we close. */
	if (asked && recv(channel, word, sizeof word, MSG_DONTWAIT) < 0)
		return;
	say(channel, json_pack("{s:f, s:b}", "seconds", seconds, "expired", !asked));
}

static void freeze(json_t *request, int channel)
{
	struct target *t = calloc(1, sizeof *t);
	struct err e = { .code = ENOMEM, .text = "no memory" };
	int dir = -1, guard = -1;

	if (!t || find(t, request, &e) < 0)
		goto out;
	dir = open_mounted(t, &e);
	if (dir < 0)
		goto out;
	guard = start_watch(dir, channel);
	if (guard < 0) {
		err_set(&e, ENOMEM, "no process that would thaw %s again", t->at.dir);
		goto out;
	}
	rest(t, dir, guard, channel);
	goto end;
out:
	say_error(channel, &e);
end:
	if (guard >= 0)
		close(guard);
	if (dir >= 0)
		close(dir);
	free(t);
}

void helper_talk(json_t *request, int channel)
{
	const char *what = json_string_value(json_object_get(request, "do"));
	struct err e;

	if (what && strcmp(what, "grow") == 0) {
		grow(request, channel);
	} else if (what && strcmp(what, "freeze") == 0) {
		freeze(request, channel);
	} else {
		err_set(&e, EINVAL, "the helper does not know '%.40s'", what ? what : "");
		say_error(channel, &e);
	}
}
