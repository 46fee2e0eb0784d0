/* mount.c - see mount.h. */
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "log.h"
#include "mount.h"
#include "ops.h"

/* Requests taken in one round before sockets get their turn. */
#define REQUESTS_A_ROUND 64
#define SEND_AT_ONCE (128 << 10)	/* a request of that size does not wait for others */
/* A mount that does not answer for so long (ms) is not waited for. */
#define PROBE_WAIT 2000

char *mount_default(void)
{
	const char *home = getenv("HOME");
	struct passwd *pw = home ? NULL : getpwuid(geteuid());
	char *dir;

	if (geteuid() == 0)
		return strdup("/rsio");
	if (!home)
		home = pw ? pw->pw_dir : "/tmp";
	return asprintf(&dir, "%s/rsio", home) < 0 ? NULL : dir;
}

/* Whose it is. */

/* The type of what is mounted at dir, from the kernel's list. */
static bool mounted_type(const char *dir, char *type, size_t size)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	bool found = false;

	if (!f)
		return false;
	while ((m = getmntent(f))) {	/* the last one is on top */
		if (strcmp(m->mnt_dir, dir) != 0)
			continue;
		found = true;
		snprintf(type, size, "%s", m->mnt_type);
	}
	endmntent(f);
	return found;
}

static bool is_dead(int error)
{
	return error == ENOTCONN || error == ECONNABORTED;
}

/* A process of its own touches the mount: it may hang there, not we. */
static int probe(const char *dir, char *reply, size_t size)
{
	char path[4200];
	int fd, p[2];
	ssize_t n = 0;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		struct stat st;
		char buf[2048];

		signal(SIGTERM, SIG_DFL);
		if (stat(dir, &st) < 0)
			_exit(is_dead(errno) ? 1 : 2);
		snprintf(path, sizeof path, "%s/.rsio/status.json", dir);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, buf, sizeof buf);
		/* The kernel may have known the directory's attributes still. */
		if (n < 0 && is_dead(errno))
			_exit(1);
		if (n > 0 && write(p[1], buf, (size_t)n) < 0)
			_exit(2);
		_exit(0);
	}
	close(p[1]);
	if (pid > 0) {
		struct pollfd wait = { .fd = p[0], .events = POLLIN };
		int status = 0;

		reply[0] = 0;
		if (poll(&wait, 1, PROBE_WAIT) > 0) {
			n = read(p[0], reply, size - 1);
			reply[n > 0 ? n : 0] = 0;
			waitpid(pid, &status, 0);
		} else {
			kill(pid, SIGKILL);	/* it ends when the mount lets it */
			status = 0;
		}
		close(p[0]);
		return WIFEXITED(status) && WEXITSTATUS(status) == 1 ? -ENOTCONN : 0;
	}
	close(p[0]);
	return -EAGAIN;
}

/* A member of the status, of which only the beginning was read; "" when it is not there. */
static void member(const char *reply, const char *name, char *out, size_t size)
{
	char key[32];
	const char *at;

	snprintf(key, sizeof key, "\"%s\":", name);
	at = strstr(reply, key);
	at = at ? at + strlen(key) : "";
	at += strspn(at, " \"");
	snprintf(out, size, "%.*s", (int)strcspn(at, "\",\n"), at);
}

static void say_whose(const char *dir, const char *type, const char *reply, struct err *e)
{
	char pid[16], run_dir[256];

	member(reply, "pid", pid, sizeof pid);
	member(reply, "run_dir", run_dir, sizeof run_dir);
	if (atoi(pid) > 0) {
		err_set(e, EBUSY, "%s is in use by rsiod, pid %s, run directory %s", dir, pid, run_dir);
		err_next(e, "mount elsewhere with -m DIR, or end it: kill %s", pid);
	} else {
		err_set(e, EBUSY, "%s is a mount point already (%s)", dir, type);
		err_next(e, "mount elsewhere with -m DIR, or umount %s", dir);
	}
}

enum mount_found mount_look(const char *dir, struct err *e)
{
	char type[64] = "", reply[2048];

	if (!mounted_type(dir, type, sizeof type))
		return MOUNT_NOTHING;
	if (strncmp(type, "fuse", 4) == 0) {
		if (probe(dir, reply, sizeof reply) == -ENOTCONN)
			return MOUNT_STALE;
	} else {
		reply[0] = 0;
	}
	say_whose(dir, type, reply, e);
	return MOUNT_TAKEN;
}

/* Requests. */

static void pause_until_room(struct mount *m)
{
	loop_change(m->client->loop, &m->device, 0);
}

static void resume(struct io *io)
{
	struct client *c = container_of(io, struct client, io);

	if (c->mount && c->mount->receiving)
		loop_change(c->loop, &c->mount->device, EPOLLIN);
}

static void device_gone(struct mount *m)
{
	mount_ignore(m);
	m->gone(m);
}

static void device_ready(struct loop_fd *w, uint32_t events)
{
	struct mount *m = container_of(w, struct mount, device);
	struct io *io = &m->client->io;

	for (int i = 0; i < REQUESTS_A_ROUND; i++) {
		struct fuse_buf buf = { .size = BUF_LARGE };
		int n;

		if (!io_ready(io)) {
			/* This is told though nothing is asked for. */
			if (events & EPOLLERR)
				device_gone(m);
			else
				pause_until_room(m);
			return;
		}
		buf.mem = io->receive->data;
		n = fuse_session_receive_buf(m->session, &buf);
		if (n == -EAGAIN)
			return;
		if (n == -EINTR)
			continue;
		if (n <= 0) {
			device_gone(m);
			return;
		}
		fuse_session_process_buf(m->session, &buf);
		/* The server works on it while the next one is copied. */
		if (n >= SEND_AT_ONCE)
			client_flush(m->client);
	}
}

int mount_receive(struct mount *m)
{
	int r = loop_add(m->client->loop, &m->device);

	if (r == 0)
		m->receiving = true;
	return r;
}

void mount_ignore(struct mount *m)
{
	if (!m->receiving)
		return;
	m->receiving = false;
	loop_remove(m->client->loop, &m->device);
}

/* Start and end. */

int mount_make_dir(const char *dir, bool *made, struct err *e)
{
	struct stat st;

	if (mkdir(dir, 0755) == 0) {
		*made = true;
		return 0;
	}
	if (errno != EEXIST)
		return err_sys(e, errno, "%s cannot be made", dir);
	if (stat(dir, &st) < 0)
		return err_sys(e, errno, "%s", dir);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "%s is not a directory", dir);
	return 0;
}

static struct fuse_session *make_session(struct client *c)
{
	char program[] = "rsiod", o[] = "-o";
	char options[] = "fsname=rsio,subtype=rsio," MOUNT_OPTIONS;
	char *argv[] = { program, o, options, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	struct fuse_session *s = fuse_session_new(&args, &ops_table, sizeof ops_table, c);

	fuse_opt_free_args(&args);
	return s;
}

/* libfuse takes a mount that is there already by the name of its descriptor. */
static int mount_as_root(struct mount *m, struct helper *h, const char *dir, bool others, struct err *e)
{
	int fd = helper_mount(h, dir, others, &m->made, e);
	char name[32];

	if (fd < 0)
		return fd;
	snprintf(name, sizeof name, "/dev/fd/%d", fd);
	if (fuse_session_mount(m->session, name) == 0)
		return 0;
	close(fd);
	return err_set(e, EIO, "libfuse does not take the mount at %s", dir);
}

static int mount_as_user(struct mount *m, const char *dir, struct err *e)
{
	if (mount_make_dir(dir, &m->made, e) < 0)
		return -e->code;
	if (fuse_session_mount(m->session, dir) == 0)
		return 0;
	/* libfuse has said why on standard error. */
	err_set(e, EIO, "%s cannot be mounted", dir);
	err_next(e, "see the line above; /dev/fuse and, for a plain user, fusermount3 are needed");
	return -EIO;
}

int mount_open(struct mount *m, struct client *c, struct helper *h, bool others, struct err *e)
{
	const char *dir = c->mount_dir;
	int fd, flags;

	m->client = c;
	m->session = make_session(c);
	if (!m->session)
		return err_set(e, ENOMEM, "no FUSE session");
	if ((geteuid() == 0 ? mount_as_root(m, h, dir, others, e) : mount_as_user(m, dir, e)) < 0) {
		mount_close(m);
		return -e->code;
	}
	fd = fuse_session_fd(m->session);
	flags = fcntl(fd, F_GETFL);
	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	m->device = (struct loop_fd){ .fd = fd, .events = EPOLLIN, .ready = device_ready };
	c->io.resume = resume;
	return 0;
}

/* Nothing is mounted any more, not even out of sight. */
static bool is_severed(const struct mount *m)
{
	struct pollfd p = { .fd = fuse_session_fd(m->session) };

	return p.fd >= 0 && poll(&p, 1, 0) > 0 && p.revents & POLLERR;
}

void mount_close(struct mount *m)
{
	char *dir = m->client->mount_dir;

	/* This would unmount by name, whatever is mounted there now; here it only tidies up. */
	if (m->session && is_severed(m))
		fuse_session_unmount(m->session);
	if (m->session)
		fuse_session_destroy(m->session);
	m->session = NULL;
	if (m->made && dir && geteuid() != 0 && rmdir(dir) < 0 && errno != ENOENT)
		log_warning("mount", "%s was made at the start and cannot be removed: %s", dir,
			    strerror(errno));
	m->made = false;
}
