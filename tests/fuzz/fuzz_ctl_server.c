/*
 * fuzz_ctl_server.c - a control socket and those who connect to it: who they are,
 * what they say, when they go.
 *
 * The server is the daemons' own; its threads are not.  What a connection's thread
 * does is done in one go when the input says so; where it would wait for its peer,
 * the peers go on with what they do, and when that does not help the wait is over.
 * The listening thread's part is done when somebody connects.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "ctl_impl.h"
#include "fuzz.h"
#include "fuzz_ctl_server.h"
#include "memsock.h"

#define GUESTS 48		/* more than there are places */
#define THREADS 64
#define STEPS_MAX 200
#define GROUPS_MAX 300		/* more than the server looks at */
#define OWNER 0
#define ADMINS 500
#define FIRST_PID 4711		/* the first guest's, so that a pid says who it is */
#define LARGE 6000		/* does not fit into a socket */

int __wrap_clock_gettime(clockid_t which, struct timespec *t);
int __real_clock_gettime(clockid_t which, struct timespec *t);
int __wrap_poll(struct pollfd *p, nfds_t count, int ms);
int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *size, int flags);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *size);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg);
int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *lock, clockid_t clock,
				  const struct timespec *until);

static struct guest {
	int fd, server_fd;	/* -1: closed; the server's end, until it was accepted */
	uid_t uid;
	gid_t gid;
	unsigned groups;	/* of the others; the last of these is the admins' */
	bool admin;
	bool unknown;		/* the kernel does not say who it is */
	bool gone;		/* will say nothing more */

	uint8_t header[4];	/* of what it hears */
	char body[1024];	/* its beginning */
	size_t have;		/* of both */
} guests[GUESTS];
static unsigned guest_count;
static struct guest *caller;	/* who is about to be accepted */

/* Threads: 0 is the one that listens. */
static struct {
	void *(*run)(void *arg);
	void *arg;
	struct guest *guest;
	bool ended;
} threads[THREADS];
static unsigned thread_count;
static bool no_threads, no_files;

static struct fuzz_in in;
static unsigned steps;
static double now;
static gid_t admin_group;
static char path[PATH_MAX + 16], long_dir[PATH_MAX + 128], in_long_dir[PATH_MAX + 160];
static char long_name[PATH_MAX + 128];
static char large[LARGE + 1];

static void quiet_steps(struct pollfd *p);	/* until that is ready */
static bool hear(struct guest *g);		/* true at its end */

/* Time and threads. */

int __wrap_clock_gettime(clockid_t which, struct timespec *t)
{
	if (which != CLOCK_MONOTONIC)
		return __real_clock_gettime(which, t);
	t->tv_sec = (time_t)now;
	t->tv_nsec = (long)((now - (double)t->tv_sec) * 1e9);
	return 0;
}

/* The listening thread goes to its end when nobody waits to be accepted; it is
 * started again for the next one. */
int __wrap_poll(struct pollfd *p, nfds_t count, int ms)
{
	int n;

	if (count == 2) {
		bool waits = caller && caller->server_fd >= 0;

		p[0].revents = waits ? POLLIN : 0;
		p[1].revents = waits ? 0 : POLLIN;
		return 1;
	}
	n = memsock_poll(p);
	if (n || !ms)
		return n;
	quiet_steps(p);
	n = memsock_poll(p);
	if (!n)
		now += ms / 1e3;
	return n;
}

int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *size, int flags)
{
	(void)fd, (void)sa, (void)size, (void)flags;
	if (no_files) {
		no_files = false;
		errno = EMFILE;
		return -1;
	}
	fd = caller->server_fd;
	caller->server_fd = -1;
	return fd;
}

/* Asked by the listening thread, of the one that it accepted. */
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *size)
{
	const struct guest *g = caller;
	gid_t groups[GROUPS_MAX];

	(void)fd;
	fuzz_check(g && level == SOL_SOCKET);
	if (option == SO_PEERCRED) {
		struct ucred c = { FIRST_PID + (pid_t)(g - guests), g->uid, g->gid };

		memcpy(value, &c, sizeof(c));
		errno = ENOTCONN;
		return g->unknown ? -1 : 0;
	}
	fuzz_check(option == SO_PEERGROUPS);
	if (g->groups * sizeof(gid_t) > *size) {
		errno = ERANGE;
		return -1;
	}
	for (unsigned i = 0; i < g->groups; i++)
		groups[i] = i + 1 == g->groups && g->admin ? ADMINS : 1000 + i;
	*size = g->groups * (socklen_t)sizeof(gid_t);
	memcpy(value, groups, *size);
	return 0;
}

static bool may_change(const struct guest *g)
{
	return g->uid == OWNER ||
	       (admin_group == ADMINS &&
		(g->gid == ADMINS || (g->admin && g->groups && g->groups < GROUPS_MAX)));
}

/* Nobody who may only read takes more than his share. */
static void check_places(const struct guest *g)
{
	unsigned all = 0, same = 0, present = 0;

	for (unsigned i = 1; i < thread_count; i++) {
		const struct guest *other = threads[i].guest;

		if (threads[i].ended)
			continue;
		all++;
		same += other->uid == g->uid;
		present += other->uid == g->uid && !other->gone;
	}
	fuzz_check(all < CTL_CONNECTIONS);
	if (!may_change(g))
		fuzz_check(same < 2 * CTL_PER_USER && present < CTL_PER_USER);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg)
{
	(void)attr;
	if (no_threads) {
		no_threads = false;
		return EAGAIN;
	}
	if (caller)
		check_places(caller);
	fuzz_check(thread_count < THREADS);
	*thread = thread_count;
	threads[thread_count].run = run;
	threads[thread_count].arg = arg;
	threads[thread_count].guest = caller;
	threads[thread_count++].ended = false;
	return 0;
}

static void run_thread(unsigned i)
{
	if (!i || i >= thread_count || threads[i].ended)
		return;
	threads[i].ended = true;
	threads[i].run(threads[i].arg);
	fuzz_check(hear(threads[i].guest));	/* that it is over */
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
	(void)result;
	run_thread((unsigned)thread);
	return 0;
}

/* Somebody's thread ends, if its peer has gone; else time passes. */
int __wrap_pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *lock, clockid_t clock,
				  const struct timespec *until)
{
	unsigned i;

	(void)cond, (void)clock;
	for (i = 1; i < thread_count; i++)
		if (!threads[i].ended && threads[i].guest->gone)
			break;
	if (i == thread_count) {
		now = (double)until->tv_sec + 1;
		return ETIMEDOUT;
	}
	pthread_mutex_unlock(lock);
	run_thread(i);
	pthread_mutex_lock(lock);
	return 0;
}

/* The daemon. */

static json_t *handle(void *arg, const struct ctl_peer *peer, const char *what, json_t *request,
		      struct err *e)
{
	const struct guest *g = &guests[peer->pid - FIRST_PID];

	fuzz_check(arg == guests && json_is_object(request));
	fuzz_check(g >= guests && g < guests + guest_count);
	fuzz_check(peer->uid == g->uid && peer->gid == g->gid && !g->unknown);
	fuzz_check(peer->may_change == may_change(g));
	if (strcmp(what, "status") == 0)
		return json_pack("{s:s}", "version", "fuzz");
	if (strcmp(what, "large") == 0)
		return json_pack("{s:s}", "text", large);
	if (strcmp(what, "nothing") == 0)
		return NULL;
	err_set(e, ENOSYS, "'%.100s' is not known here", what);
	err_next(e, "ask for something else");
	return NULL;
}

/* The guests. */

static struct guest *guest(void)
{
	uint8_t which = fuzz_u8(&in);

	/* The newest ones are the most interesting. */
	return guest_count ? &guests[guest_count - 1 - which % guest_count] : NULL;
}

static void join(uint8_t who)
{
	static const uid_t uids[] = { 1000, 1001, OWNER, 1002 };
	static const unsigned groups[] = { 0, 1, 256, GROUPS_MAX };
	struct guest *g = &guests[guest_count];
	int fds[2];

	if (guest_count == GUESTS)
		return;
	memsock_pair(fds);
	*g = (struct guest){
		.fd = fds[0], .server_fd = fds[1], .uid = uids[who & 3],
		.gid = who & 4 ? ADMINS : 100, .groups = groups[who >> 3 & 3],
		.admin = who & 32, .unknown = (who & 192) == 192,
	};
	guest_count++;
	caller = g;
	threads[0].run(threads[0].arg);
	fuzz_check(g->server_fd < 0);
	caller = NULL;
}

static void say(struct guest *g, const void *data, size_t size)
{
	if (g && g->fd >= 0)
		(void)!send(g->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void say_message(struct guest *g, const char *text, size_t size)
{
	uint32_t length = htonl((uint32_t)size);

	say(g, &length, sizeof(length));
	say(g, text, size);
}

static void say_request(struct guest *g, uint8_t which)
{
	static const char *const texts[] = {
		"{\"do\":\"status\"}", "{\"do\":\"large\"}", "{\"do\":\"nothing\"}",
		"{\"do\":\"other\",\"a\":[1,2]}", "{\"a\":1}", "[]", "{", "",
	};
	const char *text = texts[which % 8];

	say_message(g, text, strlen(text));
}

/* Each answer says whether it is one; the large one is believed. */
static void heard(struct guest *g, size_t length)
{
	struct err e;
	json_t *reply, *ok;

	if (length > sizeof(g->body)) {
		fuzz_check(length > LARGE && length < LARGE + 64);
		return;
	}
	reply = ctl_parse(g->body, length, &e);
	ok = json_object_get(reply, "ok");
	fuzz_check(json_is_boolean(ok));
	fuzz_check(json_is_true(ok) || json_object_get(reply, "error"));
	json_decref(reply);
}

static void take(struct guest *g, const uint8_t *data, size_t size)
{
	uint32_t length;

	while (size) {
		bool header = g->have < sizeof(g->header);
		size_t at = header ? g->have : g->have - sizeof(g->header), want, n;

		memcpy(&length, g->header, sizeof(length));
		want = (header ? sizeof(g->header) : ntohl(length)) - at;
		n = size < want ? size : want;
		if (header)
			memcpy(g->header + at, data, n);
		else if (at < sizeof(g->body))
			memcpy(g->body + at, data, n < sizeof(g->body) - at ? n : sizeof(g->body) - at);
		g->have += n;
		data += n;
		size -= n;
		if (header || n < want)
			continue;
		heard(g, ntohl(length));
		g->have = 0;
	}
}

static bool hear(struct guest *g)
{
	static uint8_t buf[64u << 10];
	ssize_t n;

	if (!g || g->fd < 0)
		return true;
	while ((n = recv(g->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		take(g, buf, (size_t)n);
	return n == 0 || errno == ECONNRESET;
}

static void leave(struct guest *g, uint8_t how)
{
	if (!g || g->fd < 0)
		return;
	g->gone = true;
	if (how & 1) {
		shutdown(g->fd, SHUT_WR);
		return;
	}
	close(g->fd);
	g->fd = -1;
}

/* Steps. */

/* What the guests do by themselves, whatever the server waits for. */
static void quiet_step(uint8_t what)
{
	struct guest *g = guest();
	const uint8_t *bytes;
	size_t n;

	switch (what % CTL_STEPS) {
	case CTL_SAY:
		say_request(g, fuzz_u8(&in));
		break;
	case CTL_BYTES:
		bytes = fuzz_bytes(&in, fuzz_u8(&in), &n);
		if (what & 128)
			say_message(g, (const char *)bytes, n);
		else
			say(g, bytes, n);
		break;
	case CTL_LEAVE:
		leave(g, fuzz_u8(&in));
		break;
	default:
		hear(g);
		break;
	}
}

static void quiet_steps(struct pollfd *p)
{
	while (fuzz_left(&in) && *in.at % CTL_STEPS < CTL_QUIET && steps++ < STEPS_MAX &&
	       !memsock_poll(p))
		quiet_step(fuzz_u8(&in));
}

static void step(uint8_t what)
{
	uint8_t who;

	switch (what % CTL_STEPS) {
	case CTL_JOIN:
		join(fuzz_u8(&in));
		break;
	case CTL_CROWD:
		who = fuzz_u8(&in);
		for (unsigned i = 1 + (what >> 3); i; i--)
			join(who);
		break;
	case CTL_RUN:
		who = fuzz_u8(&in);
		if (thread_count > 1)
			run_thread(thread_count - 1 - who % (thread_count - 1));
		break;
	case CTL_TROUBLE:
		if (what & 128)
			no_threads = true;
		else
			no_files = true;
		break;
	default:
		quiet_step(what);
		break;
	}
}

static int old_socket(bool listens)
{
	struct sockaddr_un sa;
	int dir, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	fuzz_check(fd >= 0 && ctl_address(path, &sa, &dir) == 0 && dir < 0);
	fuzz_check(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	if (listens && listen(fd, 1) == 0)
		return fd;
	close(fd);
	return -1;
}

/* NULL: as it should be then. */
static struct ctl_server *start(uint8_t what)
{
	static const int codes[CTL_STARTS] = {
		[CTL_IN_USE] = EADDRINUSE, [CTL_NO_SOCKET] = EEXIST, [CTL_NO_THREAD] = EAGAIN,
		[CTL_LONG_NAME] = ENAMETOOLONG,
	};
	const char *at = what == CTL_LONG_NAME ? long_name : what == CTL_LONG_DIR ? in_long_dir : path;
	struct ctl_server *s;
	struct err e = { .code = 0 };
	int other = -1;

	if (what == CTL_LEFT_OVER || what == CTL_IN_USE)
		other = old_socket(what == CTL_IN_USE);
	else if (what == CTL_NO_SOCKET)
		close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	no_threads = what == CTL_NO_THREAD;
	s = ctl_server_start(at, admin_group, handle, guests, &e);
	fuzz_check(e.code == codes[what] && !s == !!e.code);
	if (!s)
		fuzz_check(e.text[0] && fuzz_clean(e.text) && fuzz_clean(e.next));
	if (other >= 0)
		close(other);
	if (what == CTL_IN_USE || what == CTL_NO_SOCKET)
		fuzz_check(unlink(path) == 0);	/* it is still there */
	return s;
}

/* Everybody hears that it is over, and nothing is left. */
static void check_end(int free_fd)
{
	int fd;

	for (unsigned i = 0; i < guest_count; i++) {
		fuzz_check(hear(&guests[i]));
		if (guests[i].fd >= 0)
			close(guests[i].fd);
	}
	for (unsigned i = 1; i < thread_count; i++)
		fuzz_check(threads[i].ended);
	fuzz_check(!memsock_count() && access(path, F_OK) < 0 && access(in_long_dir, F_OK) < 0);
	fd = dup(STDERR_FILENO);
	fuzz_check(fd == free_fd);
	close(fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_log();
	memsock_room = 4096;
	snprintf(path, sizeof(path), "%s/socket", fuzz_dir());
	snprintf(long_name, sizeof(long_name), "%s/%0100d", fuzz_dir(), 1);
	snprintf(long_dir, sizeof(long_dir), "%s/%0100d", fuzz_dir(), 2);
	snprintf(in_long_dir, sizeof(in_long_dir), "%s/socket", long_dir);
	fuzz_check(mkdir(long_dir, 0700) == 0);
	memset(large, 'x', LARGE);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ctl_server *s;
	int free_fd = dup(STDERR_FILENO);
	uint8_t how;

	close(free_fd);
	in = (struct fuzz_in){ data, data + size };
	steps = guest_count = thread_count = 0;
	no_files = no_threads = false;
	now = 1000;
	how = fuzz_u8(&in);
	admin_group = how & 128 ? (gid_t)-1 : ADMINS;
	s = start(how % CTL_STARTS);
	while (s && fuzz_left(&in) && steps++ < STEPS_MAX)
		step(fuzz_u8(&in));
	ctl_server_stop(s);
	check_end(free_fd);
	return 0;
}
