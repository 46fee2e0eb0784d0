/*
 * ctl_server.c - see ctl.h: the answering side.
 *
 * One thread accepts; each connection has a thread that reads, calls the
 * handler and answers.  All waits on a peer are bounded, so that one that does
 * nothing holds its place for a minute at most, and who may only read can hold
 * but a part of the places.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "ctl_impl.h"
#include "log.h"

#define IDLE_SECONDS 60		/* between two requests */
#define TRANSFER_SECONDS 10	/* a request to come, an answer to go */
/* A daemon that locks its memory pays for every byte of a stack. */
#define STACK_BYTES (512u << 10)

enum place_state { PLACE_FREE, PLACE_BUSY, PLACE_ENDED };

struct place {
	struct ctl_server *server;	/* const after start */
	enum place_state state;		/* lock: server->lock */
	int fd;				/* lock: server->lock; closed by whoever joins the thread */
	struct ctl_peer peer;		/* const while not free */
	pthread_t thread;		/* owner: the accepting thread; stop, once that has ended */
};

struct ctl_server {
	char *path;
	int fd, wake;			/* const after start */
	gid_t admin_gid;
	uid_t owner;			/* const after run */
	bool runs;
	ctl_handler handler;
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t freed;		/* a place has ended */
	struct place places[CTL_CONNECTIONS];
};

static json_t *error_reply(const struct err *e)
{
	const char *name = strerrorname_np(e->code);
	json_t *error = json_pack("{s:s, s:s}", "code", name ? name : "EIO", "text", e->text);

	if (error && e->next[0])
		json_object_set_new(error, "next", json_string(e->next));
	return json_pack("{s:b, s:o}", "ok", 0, "error", error);
}

json_t *ctl_answer(ctl_handler handler, void *arg, const struct ctl_peer *peer,
		   const char *text, size_t size)
{
	struct err e = { .code = EIO, .text = "no reason given" };
	json_t *request, *reply = NULL;
	const char *what;

	request = ctl_parse(text, size, &e);
	what = json_string_value(json_object_get(request, "do"));
	if (request && !what)
		err_set(&e, EPROTO, "a request without a \"do\"");
	if (what)
		reply = handler(arg, peer, what, request, &e);
	if (reply)
		json_object_set_new(reply, "ok", json_true());
	else
		reply = error_reply(&e);
	json_decref(request);
	return reply;
}

static int refuse(int fd, int code, const char *text, const char *next)
{
	struct err e;
	json_t *reply;
	int ret;

	err_set(&e, code, "%s", text);
	err_next(&e, "%s", next);
	reply = error_reply(&e);
	ret = ctl_send(fd, reply, ctl_deadline(0.1));
	json_decref(reply);
	return ret;
}

static int serve_one(struct place *c)
{
	json_t *reply;
	size_t size;
	char *text;
	int ret;

	ret = ctl_receive(c->fd, CTL_REQUEST_MAX, ctl_deadline(IDLE_SECONDS), TRANSFER_SECONDS,
			  &text, &size);
	if (ret == -EMSGSIZE)
		refuse(c->fd, EMSGSIZE, "a request of more than 1 MiB", "");
	if (ret)
		return ret;
	reply = ctl_answer(c->server->handler, c->server->arg, &c->peer, text, size);
	free(text);
	if (!reply)
		return -ENOMEM;
	ret = ctl_send(c->fd, reply, ctl_deadline(TRANSFER_SECONDS));
	json_decref(reply);
	if (ret == -EMSGSIZE)
		ret = refuse(c->fd, EMSGSIZE, "the answer has more than 32 MiB", "");
	return ret;
}

static void *serve(void *arg)
{
	struct place *c = arg;

	while (!serve_one(c))
		;
	/* The peer shall see the end now; the descriptor's number stays taken
	 * until nobody can mean this connection by it. */
	shutdown(c->fd, SHUT_RDWR);
	pthread_mutex_lock(&c->server->lock);
	c->state = PLACE_ENDED;
	pthread_cond_signal(&c->server->freed);
	pthread_mutex_unlock(&c->server->lock);
	return NULL;
}

static bool in_group(int fd, gid_t primary, gid_t group)
{
	gid_t groups[256];
	socklen_t size = sizeof(groups);

	if (group == (gid_t)-1)
		return false;
	if (primary == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size))
		return false;
	for (size_t i = 0; i < size / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}

static int read_peer(const struct ctl_server *s, int fd, struct ctl_peer *peer)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size))
		return -errno;
	peer->uid = cred.uid;
	peer->gid = cred.gid;
	peer->pid = cred.pid;
	peer->fd = fd;
	peer->may_change = cred.uid == 0 || cred.uid == s->owner ||
			   in_group(fd, cred.gid, s->admin_gid);
	return 0;
}

static void collect(struct place *c)
{
	pthread_join(c->thread, NULL);
	close(c->fd);
	c->fd = -1;
	c->state = PLACE_FREE;
}

static bool hung_up(int fd)
{
	struct pollfd p = { fd, POLLRDHUP, 0 };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLRDHUP | POLLERR));
}

bool ctl_gone(const struct ctl_peer *peer)
{
	return peer->fd >= 0 && hung_up(peer->fd);
}

int ctl_progress(const struct ctl_peer *peer, json_t *progress)
{
	json_t *message = json_pack("{s:o}", "progress", progress);
	struct pollfd p = { peer->fd, POLLOUT, 0 };
	int ret = message ? 0 : -ENOMEM;

	/* Who does not look (it may be stopped) misses some, and keeps nobody waiting. */
	if (message && peer->fd >= 0 && poll(&p, 1, 0) > 0)
		ret = ctl_send(peer->fd, message, ctl_deadline(TRANSFER_SECONDS));
	json_decref(message);
	return ret;
}

/* Joins what has ended.  A place for that peer; NULL when there is none, *soon
 * when one is about to be free.  lock: s->lock. */
static struct place *look_for_place(struct ctl_server *s, const struct ctl_peer *peer, bool *soon)
{
	struct place *found = NULL;
	int same_user = 0, leaving = 0, readers = 0;

	*soon = false;
	for (int i = 0; i < CTL_CONNECTIONS; i++) {
		struct place *c = &s->places[i];

		if (c->state == PLACE_ENDED)
			collect(c);	/* it has let go of the lock for good */
		if (c->state == PLACE_FREE) {
			found = found ? found : c;
			continue;
		}
		if (hung_up(c->fd))
			*soon = true;
		readers += !c->peer.may_change;
		if (c->peer.uid == peer->uid) {
			same_user++;
			leaving += hung_up(c->fd);
		}
	}
	/* Whose peer has left does not count, so that a quick succession of
	 * calls is no crowd; but it may be at work, so there is an end to that. */
	if (!peer->may_change &&
	    (same_user - leaving >= CTL_PER_USER || same_user >= 2 * CTL_PER_USER)) {
		*soon = false;
		return NULL;
	}
	if (!peer->may_change && readers >= CTL_READERS)
		return NULL;
	return found;
}

static struct place *find_place(struct ctl_server *s, const struct ctl_peer *peer)
{
	struct timespec until;
	struct place *found;
	bool soon;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 1;
	pthread_mutex_lock(&s->lock);
	do {
		found = look_for_place(s, peer, &soon);
	} while (!found && soon &&
		 !pthread_cond_clockwait(&s->freed, &s->lock, CLOCK_MONOTONIC, &until));
	pthread_mutex_unlock(&s->lock);
	return found;
}

static int start_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	/* Signals are the daemon's main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(thread, &attr, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -ret;
}

static void take_connection(struct ctl_server *s, int fd)
{
	struct ctl_peer peer;
	struct place *c;

	if (read_peer(s, fd, &peer)) {
		close(fd);
		return;
	}
	c = find_place(s, &peer);
	if (!c) {
		refuse(fd, EBUSY, "too many connections to the control socket", "try again later");
		close(fd);
		return;
	}
	pthread_mutex_lock(&s->lock);
	c->peer = peer;
	c->fd = fd;
	c->state = PLACE_BUSY;
	pthread_mutex_unlock(&s->lock);
	if (start_thread(&c->thread, serve, c)) {
		pthread_mutex_lock(&s->lock);
		c->state = PLACE_FREE;
		pthread_mutex_unlock(&s->lock);
		close(fd);
	}
}

static void *accept_loop(void *arg)
{
	struct ctl_server *s = arg;
	struct pollfd p[2] = { { s->fd, POLLIN, 0 }, { s->wake, POLLIN, 0 } };

	for (;;) {
		int fd;

		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents)
			return NULL;
		fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0) {
			take_connection(s, fd);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
			/* It stays in the queue and would be reported again at once. */
			poll(&p[1], 1, 100);
		}
	}
}

/* Is the socket at that address answered, left over, or something else? */
static int probe(const struct sockaddr_un *sa)
{
	struct stat st;
	int fd, ret = 0;

	if (lstat(sa->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno == EAGAIN)
		ret = -EADDRINUSE;
	else if (errno != ECONNREFUSED)
		ret = -errno;
	close(fd);
	if (!ret && unlink(sa->sun_path))
		ret = -errno;
	return ret;
}

static int listen_at(const char *path, int *fd)
{
	struct sockaddr_un sa;
	int dir, ret;

	ret = ctl_address(path, &sa, &dir);
	if (!ret)
		ret = probe(&sa);
	if (ret)
		goto out;
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Everybody may ask; the run directory says who gets here at all. */
	if (*fd < 0 || bind(*fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    chmod(sa.sun_path, 0666) || listen(*fd, CTL_CONNECTIONS))
		ret = -errno;
out:
	if (dir >= 0)
		close(dir);
	return ret;
}

static void cannot_listen(int code, const char *path, struct err *e)
{
	if (code == EADDRINUSE) {
		err_set(e, code, "another daemon listens at %s", path);
		err_next(e, "end it first, or give this one a --run-dir of its own");
	} else if (code == EEXIST) {
		err_set(e, code, "%s is in the way: it is no socket", path);
	} else {
		err_sys(e, code, "cannot listen at %s", path);
	}
}

static void free_server(struct ctl_server *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	if (s->wake >= 0)
		close(s->wake);
	pthread_cond_destroy(&s->freed);
	pthread_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}

struct ctl_server *ctl_server_listen(const char *path, gid_t admin_gid,
				     ctl_handler handler, void *arg, struct err *e)
{
	struct ctl_server *s = calloc(1, sizeof(*s));
	int ret = -ENOMEM;

	if (!s)
		goto fail;
	s->fd = s->wake = -1;
	s->admin_gid = admin_gid;
	s->handler = handler;
	s->arg = arg;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->freed, NULL);
	for (int i = 0; i < CTL_CONNECTIONS; i++)
		s->places[i] = (struct place){ .server = s, .fd = -1 };
	s->wake = eventfd(0, EFD_CLOEXEC);
	s->path = strdup(path);
	if (s->wake < 0 || !s->path) {
		ret = -errno;
		goto fail;
	}
	ret = listen_at(path, &s->fd);
	if (!ret)
		return s;
fail:
	cannot_listen(-ret, path, e);
	free_server(s);
	return NULL;
}

int ctl_server_run(struct ctl_server *s, struct err *e)
{
	int ret;

	s->owner = geteuid();
	ret = start_thread(&s->thread, accept_loop, s);
	s->runs = !ret;
	return ret ? err_sys(e, -ret, "cannot start the control socket's thread") : 0;
}

struct ctl_server *ctl_server_start(const char *path, gid_t admin_gid,
				    ctl_handler handler, void *arg, struct err *e)
{
	struct ctl_server *s = ctl_server_listen(path, admin_gid, handler, arg, e);

	if (!s || ctl_server_run(s, e) == 0)
		return s;
	ctl_server_stop(s);
	return NULL;
}

void ctl_server_stop(struct ctl_server *s)
{
	bool taken[CTL_CONNECTIONS];
	uint64_t one = 1;

	if (!s)
		return;
	unlink(s->path);
	if (!s->runs) {
		free_server(s);
		return;
	}
	if (write(s->wake, &one, sizeof(one)) != sizeof(one))
		log_error("control", "cannot wake the control socket's thread");
	pthread_join(s->thread, NULL);
	close(s->fd);
	s->fd = -1;
	/* Nobody reads another request; who works on one may still answer. */
	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < CTL_CONNECTIONS; i++) {
		taken[i] = s->places[i].state != PLACE_FREE;
		if (s->places[i].state == PLACE_BUSY)
			shutdown(s->places[i].fd, SHUT_RD);
	}
	pthread_mutex_unlock(&s->lock);
	for (int i = 0; i < CTL_CONNECTIONS; i++)
		if (taken[i])
			collect(&s->places[i]);
	free_server(s);
}
