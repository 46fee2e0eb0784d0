/* daemon.c - see daemon.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "conf.h"
#include "confine.h"
#include "daemon.h"
#include "log.h"

static int ready_pipe = -1;

static void __attribute__((noreturn)) wait_for(pid_t child, int fd)
{
	int status = 0;
	char c;
	ssize_t n;

	do
		n = read(fd, &c, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(0);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
}

void daemon_fork(void)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) < 0 || (child = fork()) < 0) {
		fprintf(stderr, "rssrv: cannot start a daemon: %s\n", strerror(errno));
		exit(1);
	}
	if (child) {
		close(fds[1]);
		wait_for(child, fds[0]);
	}
	close(fds[0]);
	ready_pipe = fds[1];
	setsid();
}

void daemon_ready(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (ready_pipe < 0) {
		if (null >= 0)
			close(null);
		return;
	}
	log_set_stderr(0);
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		if (null > 2)
			close(null);
	}
	if (chdir("/") < 0)
		log_warning("main", "cannot change to /: %s", strerror(errno));
	if (write(ready_pipe, "", 1) < 0)
		log_debug("main", "whoever started this has gone");
	close(ready_pipe);
	ready_pipe = -1;
}

/* Before Linux 5.9 there was no call for it. */
void close_from(int first)
{
	struct dirent *d;
	DIR *open_ones;
	int fd;

	if (close_range((unsigned)first, ~0U, 0) == 0)
		return;
	open_ones = opendir("/proc/self/fd");
	while (open_ones && (d = readdir(open_ones))) {
		fd = atoi(d->d_name);
		if (fd >= first && fd != dirfd(open_ones))
			close(fd);
	}
	if (open_ones)
		closedir(open_ones);
}

int make_directories(const char *path, struct err *e)
{
	char part[512];
	size_t length = strlen(path);
	struct stat st;

	if (length >= sizeof(part))
		return err_set(e, ENAMETOOLONG, "%s is too long for a path", path);
	for (size_t i = 1; i <= length; i++) {
		if (path[i] != '/' && path[i])
			continue;
		memcpy(part, path, i);
		part[i] = 0;
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return err_sys(e, errno, "cannot make directory %s", part);
	}
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "%s is not a directory", path);
	return 0;
}

int drop_root(const char *user, const char *state_dir, uint64_t keep, struct err *e)
{
	struct passwd *pw;

	if (geteuid() != 0)
		return 0;
	pw = getpwnam(user ? user : CONF_SERVER_USER);
	if (!pw && user) {
		err_set(e, ENOENT, "there is no user %s to drop root to", user);
		err_next(e, "make it (useradd -r %s), or mend 'user' in the configuration", user);
		return -ENOENT;
	}
	if (!pw) {
		log_warning("main", "there is no user " CONF_SERVER_USER ": staying root ('useradd -r " CONF_SERVER_USER
			    "' would change that)");
		return 0;
	}
	if (pw->pw_uid == 0)
		return 0;
	if (chown(state_dir, pw->pw_uid, pw->pw_gid) < 0)
		log_warning("main", "cannot give %s to %s: %s", state_dir, pw->pw_name, strerror(errno));
	confine_bound(keep);
	prctl(PR_SET_KEEPCAPS, keep != 0, 0, 0, 0);
	if (setgroups(0, NULL) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0 || confine_capabilities(keep, NULL) < 0)
		return err_sys(e, errno, "cannot become user %s", pw->pw_name);
	if (setuid(0) == 0)
		return err_set(e, EPERM, "could become root again after dropping it");
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	log_info("main", "now running as user %s", pw->pw_name);
	return 0;
}

void raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r) < 0)
		log_warning("main", "cannot raise the limit of open files: %s", strerror(errno));
}
