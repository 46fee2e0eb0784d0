/* helper.c - see helper.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "helper.h"
#include "helper_fs.h"
#include "helper_work.h"
#include "log.h"

struct helper {
	int fd;
	pid_t pid;			/* 0: it is gone; owner: the main thread */
	pthread_mutex_t lock;		/* guards next, and a request with its reply */
	json_int_t next;
};

/* The helper's side. */

union one_fd {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

/* A member "fd" goes as a descriptor, and comes out as the receiver's number of it. */
static int send_json(int fd, json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);
	json_t *pass = json_object_get(j, "fd");
	struct iovec part = { text, text ? strlen(text) : 0 };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
	union one_fd control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
					   .cmsg_type = SCM_RIGHTS } };
	int number = (int)json_integer_value(pass), r = 0;

	if (pass) {
		memcpy(CMSG_DATA(&control.head), &number, sizeof number);
		m.msg_control = &control;
		m.msg_controllen = sizeof control;
	}
	if (!text || part.iov_len > HELPER_PACKET)
		r = text ? -EMSGSIZE : -ENOMEM;
	else if (sendmsg(fd, &m, MSG_NOSIGNAL) < 0)
		r = -errno;
	free(text);
	return r;
}

/* *fd: a descriptor that came with it, or as it was. */
static ssize_t receive_packet(int from, char *packet, int *fd, int flags)
{
	union one_fd control;
	struct iovec part = { packet, HELPER_PACKET };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
			    .msg_controllen = sizeof control };
	ssize_t n = recvmsg(from, &m, flags | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;

	if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	return n;
}

static void reply(int fd, json_t *request, json_t *result, const struct err *e)
{
	json_t *j = result ? result : json_pack("{s:{s:i, s:s, s:s}}", "error", "code", e->code,
						"text", e->text, "next", e->next);

	json_object_set(j, "id", json_object_get(request, "id"));
	send_json(fd, j);
	json_decref(j);
}

static void work(int fd, json_t *request)
{
	struct err e = { 0 };
	json_t *result = helper_work(request, &e);

	reply(fd, request, result, &e);
}

struct mounted {
	char dir[4096];			/* "": nothing is */
	int made;
};

/* The helper's part: the writing end of the pipe that its spare waits at. */
static int alive = -1;

static void note_mounted(struct mounted *m, json_t *request)
{
	const char *dir = json_string_value(json_object_get(request, "dir"));

	strncpy(m->dir, dir ? dir : "", sizeof m->dir - 1);
	m->made = json_is_true(json_object_get(request, "made"));
}

/* Its work is said over the channel, if it came with one. */
static void handle(int fd, json_t *request, int channel, struct mounted *m)
{
	const char *what = json_string_value(json_object_get(request, "do"));
	struct err e;

	if (what && strcmp(what, "mounted") == 0) {
		note_mounted(m, request);
		reply(fd, request, json_object(), NULL);
		return;
	}
	switch (fork()) {
	case -1:
		err_sys(&e, errno, "the helper cannot fork");
		if (channel < 0)
			reply(fd, request, NULL, &e);
		break;
	case 0:
		close(alive);		/* one that hangs is not the helper */
		signal(SIGCHLD, SIG_DFL);
		if (channel >= 0) {
			close(fd);
			helper_talk(request, channel);
		} else {
			work(fd, request);
		}
		_exit(0);
	}
}

/*
 * The daemon gave up the right to unmount, so whoever kills the helper must not leave it
 * without one: a spare waits for the helper's end, and goes on in its place, with a spare
 * of its own.
 */
static void keep_spare(void)
{
	int p[2];
	pid_t pid;
	ssize_t n;
	char c;

	for (;;) {
		prctl(PR_SET_NAME, "rsiod-helper");
		alive = -1;
		if (pipe2(p, O_CLOEXEC) < 0)
			return;
		pid = fork();
		close(p[pid != 0 ? 0 : 1]);
		if (pid != 0) {
			alive = p[1];
			return;
		}
		prctl(PR_SET_NAME, "rsiod-spare");
		do
			n = read(p[0], &c, 1);
		while (n < 0 && errno == EINTR);
		if (n == 1)
			_exit(0);
		close(p[0]);
	}
}

static void end_spare(void)
{
	if (write(alive, "", 1) < 0)
		_exit(1);
}

static _Noreturn void helper_main(int fd, int quiet)
{
	/* The spare has to know it as well. */
	struct mounted *m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sigset_t none;
	char *packet = m == MAP_FAILED ? NULL : malloc(HELPER_PACKET + 1);
	int null = open("/dev/null", O_RDWR), channel = -1;
	ssize_t n;

	setsid();
	/* It ends when the daemon does, and not before. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);	/* no zombies */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int i = 0; null >= 0 && i < (quiet ? 3 : 2); i++)
		dup2(null, i);
	/* What the daemon had open (its lock, the terminal's pipe) ends with the daemon. */
	if (fd != 3)
		fd = dup2(fd, 3);
	close_range(4, ~0U, 0);
	keep_spare();
	while (packet && ((n = receive_packet(fd, packet, &channel, 0)) > 0 || (n < 0 && errno == EINTR))) {
		json_t *request = n < 0 ? NULL : json_loadb(packet, (size_t)n, 0, NULL);

		if (request)
			handle(fd, request, channel, m);
		json_decref(request);
		if (channel >= 0)
			close(channel);
		channel = -1;
	}
	end_spare();
	if (packet && m->dir[0])
		helper_clean(m->dir, m->made);
	_exit(0);
}

/* The daemon's side. */

struct helper *helper_start(int quiet, struct err *e)
{
	struct helper *h = calloc(1, sizeof *h);
	int fds[2];

	if (!h || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
		err_sys(e, h ? errno : ENOMEM, "no socket for the helper");
		free(h);
		return NULL;
	}
	h->pid = fork();
	if (h->pid == 0) {
		close(fds[0]);
		helper_main(fds[1], quiet);
	}
	close(fds[1]);
	if (h->pid < 0) {
		err_sys(e, errno, "the helper cannot be forked");
		close(fds[0]);
		free(h);
		return NULL;
	}
	h->fd = fds[0];
	pthread_mutex_init(&h->lock, NULL);
	return h;
}

void helper_reap(struct helper *h)
{
	if (h->pid <= 0 || waitpid(h->pid, NULL, WNOHANG) != h->pid)
		return;
	h->pid = 0;
	log_warning("helper", "the helper process is gone: its spare goes on");
}

void helper_stop(struct helper *h)
{
	if (!h)
		return;
	close(h->fd);
	if (h->pid > 0)
		waitpid(h->pid, NULL, 0);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The next packet before the deadline; NULL with *error. */
static json_t *receive(struct helper *h, double deadline, int *error)
{
	char *packet = malloc(HELPER_PACKET);
	json_t *j = NULL;
	ssize_t n = -1;
	int fd = -1;

	*error = ENOMEM;
	while (packet && n < 0) {
		struct pollfd p = { .fd = h->fd, .events = POLLIN };
		double left = deadline - seconds();

		*error = ETIMEDOUT;
		if (left <= 0)
			break;
		if (poll(&p, 1, (int)(left * 1000) + 1) <= 0)
			continue;
		n = receive_packet(h->fd, packet, &fd, MSG_DONTWAIT);
		*error = EPIPE;
	}
	if (n > 0)
		j = json_loadb(packet, (size_t)n, 0, NULL);
	if (fd >= 0 && j)
		json_object_set_new(j, "fd", json_integer(fd));
	else if (fd >= 0)
		close(fd);
	free(packet);
	return j;
}

/* A reply that nobody waits for any more. */
static void discard(json_t *j)
{
	json_t *fd = json_object_get(j, "fd");

	if (fd)
		close((int)json_integer_value(fd));
	json_decref(j);
}

/* The reply to id; what comes late for an earlier one is dropped. */
static json_t *await(struct helper *h, json_int_t id, struct err *e)
{
	double deadline = seconds() + HELPER_TIMEOUT;
	json_t *j;
	int error;

	while ((j = receive(h, deadline, &error))) {
		if (json_integer_value(json_object_get(j, "id")) == id)
			return j;
		discard(j);
	}
	if (error == ETIMEDOUT) {
		err_set(e, error, "the kernel did not finish this within %d s", HELPER_TIMEOUT);
		err_next(e, "it may still finish: look with rsconfig -lvvv; rsconfig -q says what the volume waits for");
	} else {
		err_sys(e, error, "the helper process of rsiod is gone");
	}
	return NULL;
}

static json_t *check(json_t *j, struct err *e)
{
	json_t *error = json_object_get(j, "error");
	const char *text = "", *next = "";
	int code = EIO;

	if (!error)
		return j;
	json_unpack(error, "{s:i, s:s, s:s}", "code", &code, "text", &text, "next", &next);
	err_set(e, code, "%s", text);
	err_next(e, "%s", next);
	json_decref(j);
	return NULL;
}

/* Somebody killed it, and its spare: then the caller's thread does the work, where it has
 * kept the right to.  No reply depends on that thread either. */
static json_t *without_helper(json_t *request, struct err *e)
{
	const char *what = json_string_value(json_object_get(request, "do"));

	if (what && strcmp(what, "mounted") == 0)
		return json_object();
	if (geteuid() != 0)
		return helper_work(request, e);
	err_set(e, EPIPE, "the helper process of rsiod was killed, and rsiod itself may not do this");
	err_next(e, "end rsiod and start it again: it clears away what is left");
	return NULL;
}

json_t *helper_call(struct helper *h, json_t *request, struct err *e)
{
	json_t *j = NULL;
	json_int_t id;
	bool gone;
	int r;

	pthread_mutex_lock(&h->lock);
	id = ++h->next;
	json_object_set_new(request, "id", json_integer(id));
	r = send_json(h->fd, request);
	gone = r == -EPIPE || r == -ECONNRESET;
	if (r == 0)
		j = await(h, id, e);
	else if (!gone)
		err_sys(e, -r, "the helper process of rsiod cannot be reached");
	pthread_mutex_unlock(&h->lock);
	if (gone)
		j = without_helper(request, e);
	json_decref(request);
	return j ? check(j, e) : NULL;
}

int helper_open(struct helper *h, json_t *request, struct err *e)
{
	int fds[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
		json_decref(request);
		return err_sys(e, errno, "no socket for the helper");
	}
	json_object_set_new(request, "fd", json_integer(fds[1]));
	pthread_mutex_lock(&h->lock);
	r = send_json(h->fd, request);
	pthread_mutex_unlock(&h->lock);
	json_decref(request);
	close(fds[1]);
	if (r == 0)
		return fds[0];
	close(fds[0]);
	err_sys(e, -r, "the helper process of rsiod cannot be reached");
	err_next(e, "end rsiod and start it again: it clears away what is left");
	return r;
}

json_t *helper_next(int channel, int ms, struct err *e)
{
	struct pollfd p = { .fd = channel, .events = POLLIN };
	char *packet = malloc(HELPER_PACKET);
	json_t *j = NULL;
	ssize_t n = 0;

	if (!packet || poll(&p, 1, ms) <= 0) {
		err_set(e, packet ? ETIMEDOUT : ENOMEM, "the helper has not said anything yet");
	} else {
		n = recv(channel, packet, HELPER_PACKET, MSG_DONTWAIT);
		j = n > 0 ? json_loadb(packet, (size_t)n, 0, NULL) : NULL;
		if (!j)
			err_set(e, EPIPE, "the process of the helper that worked on this has ended");
	}
	free(packet);
	return j ? check(j, e) : NULL;
}

int helper_mounted(struct helper *h, const char *dir, int made, struct err *e)
{
	json_t *j = helper_call(h, json_pack("{s:s, s:s?, s:b}", "do", "mounted", "dir", dir,
					     "made", made), e);

	json_decref(j);
	return j ? 0 : -e->code;
}

int helper_mount(struct helper *h, const char *dir, bool others, bool *made, struct err *e)
{
	json_t *j = helper_call(h, json_pack("{s:s, s:s, s:b}", "do", "mount", "dir", dir, "others", (int)others), e);
	json_t *fd = json_object_get(j, "fd");
	int r = fd ? (int)json_integer_value(fd) : -EIO;

	if (j && !fd)
		err_set(e, EIO, "the helper gave no mount");
	*made = json_is_true(json_object_get(j, "made"));
	json_decref(j);
	return r < 0 ? -e->code : r;
}
