/*
 * rsagent_many.c - see rsagent_many.h: the parent.
 *
 * One loop waits for the children's lines, for signals, for the line that is typed and for
 * the next host's time to be up.  A child ends when its socket does; what it told before that
 * is what became of its host.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "rsagent_many_impl.h"
#include "secure.h"

#define MESSAGE_MAX (32u << 20)
#define CHUNK 65536u
#define GRACE 10.0
#define ASKED_MAX 0xffffffffu

enum child_state { CHILD_WAITS, CHILD_RUNS, CHILD_OVER };

struct child {
	struct rsagent_outcome *outcome;
	enum child_state state;
	pid_t pid;
	int fd;
	char *buf;			/* what came and is no whole line yet */
	size_t size, room;
	double began, heard;
	double kill_at;			/* 0: it was not told to end */
	unsigned asks;			/* the number of its question; 0: it has none */
	bool secret, edits, ended;
	char *question;
	char last[160];			/* line of progress */
};

struct many {
	const struct rsagent_many *m;
	const struct rsagent_remote *remote;
	struct child *children;
	struct pollfd *polled;
	size_t count;
	unsigned asked;			/* questions so far */
	struct child *asking;		/* whose question stands there */
	struct screen screen;
	int signals;
	bool interrupted;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The child. */

/* No terminal, no core file with a key in it, and no life of its own. */
static void become_child(pid_t parent)
{
	struct rlimit none = { 0, 0 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t set;

	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	setrlimit(RLIMIT_CORE, &none);
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
}

static void __attribute__((noreturn)) child_main(const struct many *a, const struct child *c, int fd)
{
	struct rsagent_task t = { c->outcome->host, a->remote, a->m->arg, json_object(), fd };
	struct err e = { 0 };
	json_t *end;
	int r = a->m->run(&t, &e);

	err_clean(e.text);
	err_clean(e.next);
	end = json_pack("{s:b, s:b, s:i, s:s, s:s, s:O}", "end", true, "done", r == 0, "errno", e.code ? e.code : -r, "error",
			*e.text ? e.text : strerror(r < 0 ? -r : EIO), "next", e.next, "result", t.result);
	task_tell(&t, end);
	_exit(r ? 1 : 0);
}

/* detail: why, or what it said last; may be empty. */
static void fail(struct child *c, int code, const char *what, const char *detail)
{
	err_set(&c->outcome->e, code, "%s%s%s", what, *detail ? ": " : "", detail);
}

static void start(struct many *a, struct child *c)
{
	pid_t parent = getpid();
	int pair[2];

	c->state = CHILD_RUNS;
	c->began = c->heard = now();
	c->fd = -1;
	fflush(stdout);
	fflush(stderr);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		fail(c, errno, "cannot begin", strerror(errno));
		c->state = CHILD_OVER;
		return;
	}
	c->pid = fork();
	if (c->pid == 0) {
		for (size_t i = 0; i < a->count; i++)
			if (&a->children[i] != c && a->children[i].state == CHILD_RUNS && a->children[i].fd >= 0)
				close(a->children[i].fd);
		close(pair[0]);
		close(a->signals);
		become_child(parent);
		child_main(a, c, pair[1]);
	}
	close(pair[1]);
	c->fd = pair[0];
	if (c->pid > 0)
		return;
	fail(c, errno, "cannot begin", strerror(errno));
	close(c->fd);
	c->state = CHILD_OVER;
}

/* What children say. */

static void answer(struct child *c, int code, const char *text, size_t size)
{
	struct task_answer head = { (uint32_t)code, (uint32_t)size };

	free(c->question);
	c->question = NULL;
	c->asks = 0;
	c->heard = now();
	/* It waits for this and reads all of it. */
	if (!task_send(c->fd, &head, sizeof(head)) && size)
		task_send(c->fd, text, size);
}

static void end_of(struct child *c, json_t *message)
{
	struct rsagent_outcome *o = c->outcome;
	const char *next = json_string_value(json_object_get(message, "next"));
	const char *text = json_string_value(json_object_get(message, "error"));

	c->ended = true;
	json_decref(o->result);
	o->result = json_incref(json_object_get(message, "result"));
	o->done = json_is_true(json_object_get(message, "done"));
	if (o->done)
		return;
	err_set(&o->e, (int)json_integer_value(json_object_get(message, "errno")), "%s", text ? text : "");
	if (next && *next)
		err_next(&o->e, "%s", next);
}

static void message_of(struct many *a, struct child *c, const char *line, size_t size)
{
	json_t *message = json_loadb(line, size, JSON_ALLOW_NUL, NULL);
	const char *host = c->outcome->host->name, *text;

	if ((text = json_string_value(json_object_get(message, "progress")))) {
		snprintf(c->last, sizeof(c->last), "%s", text);
		screen_progress(&a->screen, (size_t)(c - a->children), host, text);
	} else if ((text = json_string_value(json_object_get(message, "output")))) {
		screen_output(&a->screen, host, text);
	} else if ((text = json_string_value(json_object_get(message, "ask"))) ||
		   (text = json_string_value(json_object_get(message, "edit")))) {
		free(c->question);
		c->question = strdup(text);
		c->edits = json_object_get(message, "edit") != NULL;
		c->secret = json_is_true(json_object_get(message, "secret"));
		c->asks = ++a->asked;
	} else if (json_object_get(message, "end")) {
		end_of(c, message);
	}
	json_decref(message);
}

/* It is gone: what it said last is what counts. */
static void over(struct many *a, struct child *c)
{
	struct rsagent_outcome *o = c->outcome;
	char how[64] = "";
	int status = 0;

	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	close(c->fd);
	c->state = CHILD_OVER;
	o->seconds = now() - c->began;
	if (a->asking == c) {
		screen_end_question(&a->screen);
		a->asking = NULL;
	}
	if (!c->ended && !o->done && !*o->e.text) {
		if (WIFSIGNALED(status))
			snprintf(how, sizeof(how), "its process was ended by signal %d", WTERMSIG(status));
		else
			snprintf(how, sizeof(how), "its process ended without a word");
		fail(c, EIO, how, c->last);
	}
	if (!a->screen.one)
		screen_progress(&a->screen, (size_t)(c - a->children), o->host->name, o->done ? "done" : o->e.text);
	free(c->buf);
	free(c->question);
	c->buf = NULL;
	c->question = NULL;
}

static void receive(struct many *a, struct child *c)
{
	char *line, *end;
	ssize_t n;

	if (c->room - c->size < CHUNK) {
		size_t room = c->room ? 2 * c->room : 2 * CHUNK;
		char *more = room <= MESSAGE_MAX ? realloc(c->buf, room) : NULL;

		if (!more) {
			fail(c, E2BIG, "it says too much", "");
			kill(c->pid, SIGKILL);
			over(a, c);
			return;
		}
		c->buf = more;
		c->room = room;
	}
	n = recv(c->fd, c->buf + c->size, c->room - c->size, 0);
	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) {
		over(a, c);
		return;
	}
	c->size += (size_t)n;
	c->heard = now();
	for (line = c->buf; (end = memchr(line, '\n', c->size - (size_t)(line - c->buf))); line = end + 1)
		message_of(a, c, line, (size_t)(end - line));
	c->size -= (size_t)(line - c->buf);
	memmove(c->buf, line, c->size);
}

/* Questions, the oldest first. */

/* Nobody is heard of meanwhile, which is not their fault. */
static void edit(struct many *a, struct child *c)
{
	size_t size = 0;
	char *text = NULL;
	int r;

	screen_hide(&a->screen);
	r = editor_run(c->outcome->host->name, c->question, &text, &size);

	answer(c, -r, text, r ? 0 : size);
	free(text);
	for (size_t i = 0; i < a->count; i++)
		a->children[i].heard = now();
}

static void ask_next(struct many *a)
{
	struct child *first = NULL;
	int r;

	for (size_t i = 0; i < a->count; i++) {
		struct child *c = &a->children[i];

		if (c->state == CHILD_RUNS && c->asks && c->asks < (first ? first->asks : ASKED_MAX))
			first = c;
	}
	if (!first || a->asking)
		return;
	if (first->edits) {
		edit(a, first);
		return;
	}
	r = screen_ask(&a->screen, first->outcome->host->name, first->question, first->secret);
	if (r)
		answer(first, -r, "", 0);
	else
		a->asking = first;
}

static void end_all(struct many *a)
{
	double grace = a->m->grace > 0 ? a->m->grace : GRACE;

	screen_end_question(&a->screen);
	a->asking = NULL;
	for (size_t i = 0; i < a->count; i++) {
		struct child *c = &a->children[i];

		if (c->state == CHILD_OVER || c->ended)
			continue;
		/* What has no end of its own is done when it is ended. */
		if (a->m->endless)
			c->outcome->done = true;
		else if (!*c->outcome->e.text)
			fail(c, EINTR, "interrupted", c->last);
		if (c->state == CHILD_WAITS)
			c->state = CHILD_OVER;
		else
			kill(c->pid, a->interrupted ? SIGKILL : SIGTERM);
		c->kill_at = now() + grace;
	}
	a->interrupted = true;
}

static void typed(struct many *a)
{
	char text[TASK_ANSWER_MAX];
	struct child *c = a->asking;
	int n = screen_answer(&a->screen, text, sizeof(text));

	if (n == -EAGAIN)
		return;
	a->asking = NULL;
	answer(c, n == -EINTR ? ECANCELED : n < 0 ? -n : 0, text, n > 0 ? (size_t)n : 0);
	secure_wipe(text, sizeof(text));
	if (n == -EINTR)
		end_all(a);
}

/* Time. */

/* Seconds until something is due of this child; it is done when it is. */
static double due(const struct many *a, struct child *c)
{
	double limit = a->remote->timeout > 0 ? a->remote->timeout : RSAGENT_TIMEOUT, t = now();
	char text[64];

	if (c->state != CHILD_RUNS)
		return 3600;
	if (c->kill_at > 0) {
		if (t < c->kill_at)
			return c->kill_at - t;
		kill(c->pid, SIGKILL);
		return 3600;
	}
	if (a->m->endless || c->asks)
		return 3600;
	if (t < c->heard + limit)
		return c->heard + limit - t;
	snprintf(text, sizeof(text), "nothing was heard of it for %.3g s", limit);
	fail(c, ETIMEDOUT, text, c->last);
	err_next(&c->outcome->e, "'--timeout TIME' waits longer");
	kill(c->pid, SIGTERM);
	c->kill_at = t + (a->m->grace > 0 ? a->m->grace : GRACE);
	return 1;
}

static bool start_more(struct many *a)
{
	int most = a->remote->parallel > 0 ? a->remote->parallel : RSAGENT_PARALLEL, running = 0;
	bool left = false;

	for (size_t i = 0; i < a->count; i++)
		running += a->children[i].state == CHILD_RUNS;
	for (size_t i = 0; i < a->count; i++) {
		struct child *c = &a->children[i];

		if (c->state == CHILD_WAITS && running < most) {
			start(a, c);
			running += c->state == CHILD_RUNS;
		}
		left |= c->state != CHILD_OVER;
	}
	return left;
}

/* Once; waits for what comes first. */
static void turn(struct many *a)
{
	double wait = 3600;
	struct signalfd_siginfo info;

	a->polled[0] = (struct pollfd){ .fd = a->signals, .events = POLLIN };
	a->polled[1] = (struct pollfd){ .fd = a->screen.tty, .events = POLLIN };
	for (size_t i = 0; i < a->count; i++) {
		struct child *c = &a->children[i];
		double d = due(a, c);

		wait = d < wait ? d : wait;
		a->polled[2 + i] = (struct pollfd){ .fd = c->state == CHILD_RUNS ? c->fd : -1, .events = POLLIN };
	}
	if (poll(a->polled, 2 + a->count, (int)(wait * 1000) + 1) <= 0)
		return;
	for (size_t i = 0; i < a->count; i++)
		if (a->polled[2 + i].revents)
			receive(a, &a->children[i]);
	if (a->asking && a->polled[1].revents)
		typed(a);
	if (a->polled[0].revents && read(a->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		end_all(a);
}

static int show(const struct many *a, const struct rsagent_outcome *all)
{
	int status = 0, r = 0;

	for (size_t i = 0; i < a->count; i++)
		status |= !all[i].done;
	if (a->m->step && !status)
		return 0;
	if (a->remote->json)
		r = table_print_json(all, a->count);
	else if (a->m->show)
		a->m->show(all, a->count);
	else
		table_print(all, a->count);
	if (!a->remote->json)
		table_print_failures(all, a->count);
	return r || fflush(stdout) ? 1 : status;
}

static int prepare(struct many *a, const struct rsagent_hosts *hosts, struct rsagent_outcome *all, sigset_t *before)
{
	sigset_t set;

	for (size_t i = 0; i < hosts->count; i++) {
		all[i].host = &hosts->list[i];
		a->children[i].outcome = &all[i];
	}
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, before);
	a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return a->signals < 0 ? -errno : 0;
}

int rsagent_many(const struct rsagent_many *m, const struct rsagent_remote *remote, const struct rsagent_hosts *hosts,
		 struct err *e)
{
	struct many a = {
		.m = m, .remote = remote, .count = hosts->count, .signals = -1,
		.screen = { .quiet = remote->quiet, .json = remote->json, .one = hosts->count == 1, .bare = m->bare || hosts->count == 1, .tty = -1 },
	};
	struct rsagent_outcome *all = calloc(hosts->count, sizeof(*all));
	sigset_t before;
	int status = 1, r;

	a.children = calloc(hosts->count, sizeof(*a.children));
	a.polled = calloc(hosts->count + 2, sizeof(*a.polled));
	if (!all || !a.children || !a.polled)
		abort();
	r = prepare(&a, hosts, all, &before);
	if (r) {
		err_sys(e, -r, "cannot wait for signals");
	} else {
		screen_start(&a.screen, hosts);
		while (start_more(&a)) {
			ask_next(&a);
			turn(&a);
		}
		screen_end(&a.screen);
		close(a.signals);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (!r) {
		bool bad = m->finish && !a.interrupted && m->finish(all, hosts->count, m->arg);

		status = show(&a, all) || bad;
	}
	for (size_t i = 0; i < hosts->count; i++)
		json_decref(all[i].result);
	free(all);
	free(a.children);
	free(a.polled);
	return status;
}

int rsagent_on_hosts(const struct rsagent_many *m, const struct rsagent_remote *remote, int count, char **words,
		     struct err *e)
{
	struct rsagent_hosts hosts;
	int status = rsagent_hosts_find(remote, count, words, &hosts, e);

	if (status)
		return status == -EINVAL ? RSAGENT_USAGE : 1;
	status = rsagent_many(m, remote, &hosts, e);
	rsagent_hosts_free(&hosts);
	return status;
}
