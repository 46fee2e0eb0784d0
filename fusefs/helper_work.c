/* helper_work.c - see helper_work.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "attach.h"
#include "helper_work.h"
#include "holders.h"
#include "mount.h"
#include "mounts.h"

/* A plain user's mount is taken away by fusermount3, which is setuid. */
static int run_fusermount(const char *dir, int lazy)
{
	const char *option = lazy ? "-uzq" : "-uq";
	int status, null;
	pid_t pid = fork();

	if (pid == 0) {
		null = open("/dev/null", O_RDWR);
		dup2(null, 2);
		execlp("fusermount3", "fusermount3", option, "--", dir, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBUSY;
}

static bool is_mounted(const char *dir)
{
	struct mounts_entry *m = malloc(sizeof *m);
	bool found = m && mounts_at(dir, m);

	free(m);
	return found;
}

static int try_umount(const char *dir, int lazy)
{
	int r;

	if (geteuid() == 0)
		r = umount2(dir, lazy ? MNT_DETACH : UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
	else
		r = is_mounted(dir) ? run_fusermount(dir, lazy) : 0;
	return r == -EINVAL ? 0 : r;	/* it was not mounted any more */
}

/* -EBUSY with the holders, when there are any. */
static int refuse_if_held(const char *dir, int devices, struct err *e)
{
	json_t *holders = holders_of_mount(dir, devices);
	char text[ERR_TEXT_MAX];
	int r = 0;

	if (json_array_size(holders) > 0)
		r = err_set(e, EBUSY, "%s is in use: %s", dir, holders_text(holders, text, sizeof text));
	json_decref(holders);
	return r;
}

int helper_umount(const char *dir, int lazy, struct err *e)
{
	struct timespec pause = { .tv_nsec = 50000000 };
	int r;

	/* A file that was closed just now may keep it busy for a moment. */
	for (int i = 0; i < 10; i++) {
		r = try_umount(dir, lazy);
		if (r != -EBUSY)
			return r < 0 ? err_sys(e, -r, "%s cannot be unmounted", dir) : 0;
		if (refuse_if_held(dir, 1, e) < 0)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	return err_set(e, EBUSY, "%s is in use by something that cannot be seen", dir);
}

/* Mounts what fuse_session_mount() would, and gives the descriptor to whoever asked. */
static int mount_fuse(const char *dir, bool others, struct err *e)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[128];

	if (fd < 0) {
		int r = err_sys(e, errno, "/dev/fuse");

		err_next(e, "load the module fuse, or give the container that device");
		return r;
	}
	snprintf(options, sizeof options, "fd=%d,rootmode=%o,user_id=%u,group_id=%u," MOUNT_OPTIONS "%s",
		 fd, (unsigned)S_IFDIR, geteuid(), getegid(), others ? MOUNT_OTHERS : "");
	if (mount("rsio", dir, MOUNTS_OURS, MS_NOSUID | MS_NODEV, options) < 0) {
		int r = err_sys(e, errno, "%s cannot be mounted", dir);

		close(fd);
		return r;
	}
	return fd;
}

static json_t *do_mount(json_t *request, struct err *e)
{
	const char *dir = json_string_value(json_object_get(request, "dir"));
	bool made = false;
	int fd;

	if (!dir) {
		err_set(e, EINVAL, "mount without dir");
		return NULL;
	}
	if (mount_make_dir(dir, &made, e) < 0)
		return NULL;
	fd = mount_fuse(dir, json_is_true(json_object_get(request, "others")), e);
	if (fd < 0 && made)
		rmdir(dir);
	return fd < 0 ? NULL : json_pack("{s:i, s:b}", "fd", fd, "made", (int)made);
}

/* All or nothing: devices are detached only if the mount can go too. */
static json_t *do_stop(json_t *request, struct err *e)
{
	const char *dir;
	int lazy = 0, made = 0;

	if (json_unpack(request, "{s:s, s?:b, s?:b}", "dir", &dir, "lazy", &lazy, "made", &made) < 0) {
		err_set(e, EINVAL, "stop without dir");
		return NULL;
	}
	if (!lazy && (attach_busy(dir, e) < 0 || refuse_if_held(dir, 0, e) < 0))
		return NULL;
	attach_clean(dir);
	if (helper_umount(dir, lazy, e) < 0)
		return NULL;
	if (made)
		rmdir(dir);
	return json_object();
}

static const struct {
	const char *name;
	json_t *(*run)(json_t *request, struct err *e);
} verbs[] = {
	{ "mount", do_mount },
	{ "stop", do_stop },
	{ "attach", attach_run },
	{ "detach", attach_detach },
	{ "resize", attach_resize },
};

json_t *helper_work(json_t *request, struct err *e)
{
	const char *what = json_string_value(json_object_get(request, "do"));

	for (size_t i = 0; what && i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(verbs[i].name, what) == 0)
			return verbs[i].run(request, e);
	err_set(e, EINVAL, "the helper does not know '%s'", what ? what : "");
	return NULL;
}

int helper_clear(const char *dir, struct err *e)
{
	attach_end(dir);
	return helper_umount(dir, 1, e);
}

/* Whoever starts the daemon anew may do it at once, and what it finds dead it clears away
 * itself: its own mount and devices must not go with the old ones. */
void helper_clean(const char *dir, int made)
{
	signal(SIGCHLD, SIG_DFL);	/* who is asked about the mount is waited for */
	switch (mount_look(dir, NULL)) {
	case MOUNT_TAKEN:
		return;
	case MOUNT_STALE:
		helper_clear(dir, NULL);
		break;
	case MOUNT_NOTHING:
		break;
	}
	if (made)
		rmdir(dir);
}
