/*
 * fence_command.c - see fence_command.h.
 *
 * The runner is a process beside rssrv.  What it is told is a packet: the target, and two
 * pipes, one for the command's output and one for what became of it.  Each run is a
 * process of its own, so that a command that hangs holds up no other.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon.h"
#include "engine.h"
#include "fence_command.h"
#include "log.h"

#define ENVIRONMENT 4
#define LOOK_EVERY_MS 20
#define LINES_MAX 100		/* of its output that are logged */
#define ANSWER_SECONDS (FENCE_COMMAND_SECONDS + 5)	/* else the runner was stopped, or killed */

/* What became of a run. */
struct outcome {
	int error;		/* errno of starting it; ETIMEDOUT: it was killed */
	int status;		/* as waitpid gives it */
};

static int runner = -1;		/* const once threads run */

/*
 * The runner's side.
 */

struct environment {
	char own[ENVIRONMENT][64];
	char **list;
};

static int make_environment(struct environment *env, const struct fence_target *t)
{
	size_t n = 0;

	snprintf(env->own[0], sizeof(env->own[0]), "RSIO_SERVER=%s", t->server);
	snprintf(env->own[1], sizeof(env->own[1]), "RSIO_SERVER_ID=%u", t->id);
	snprintf(env->own[2], sizeof(env->own[2]), "RSIO_NAMESPACE=%s", t->namespace);
	snprintf(env->own[3], sizeof(env->own[3]), "RSIO_CLIENT=%s", t->client);
	while (environ[n])
		n++;
	env->list = calloc(n + ENVIRONMENT + 1, sizeof(char *));
	if (!env->list)
		return -ENOMEM;
	for (size_t i = 0; i < ENVIRONMENT; i++)
		env->list[i] = env->own[i];
	memcpy(env->list + ENVIRONMENT, environ, n * sizeof(char *));
	return 0;
}

/* Nothing of ours goes along: not the signals that are blocked here, and no descriptor,
 * above all none with a lock (lock.h).  A process group of its own can be killed as one. */
static int spawn(const char *command, char **environment, int output, pid_t *pid)
{
	char *argv[] = { "/bin/sh", "-c", (char *)command, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, output, 1);
	posix_spawn_file_actions_adddup2(&files, output, 2);
	posix_spawn_file_actions_addclosefrom_np(&files, 3);
	r = posix_spawn(pid, argv[0], &files, &attr, argv, environment);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return -r;
}

/* Its outcome when it ended or took too long. */
static void wait_for(pid_t pid, struct outcome *o)
{
	uint64_t end = clock_now() + FENCE_COMMAND_SECONDS * SECOND;

	while (waitpid(pid, &o->status, WNOHANG) == 0) {
		if (clock_now() >= end) {
			kill(-pid, SIGKILL);
			waitpid(pid, &o->status, 0);
			o->error = ETIMEDOUT;
			return;
		}
		poll(NULL, 0, LOOK_EVERY_MS);
	}
}

static void run(const char *command, const struct fence_target *t, int output, int answer)
{
	struct outcome o = { 0 };
	struct environment env;
	pid_t pid;

	signal(SIGCHLD, SIG_DFL);
	o.error = -make_environment(&env, t);
	if (!o.error)
		o.error = -spawn(command, env.list, output, &pid);
	close(output);
	if (!o.error)
		wait_for(pid, &o);
	_exit(write(answer, &o, sizeof(o)) != sizeof(o));
}

/* A packet with two descriptors: its size, 0 at the end. */
static ssize_t take(int from, struct fence_target *t, int fds[2])
{
	union { struct cmsghdr head; char room[CMSG_SPACE(2 * sizeof(int))]; } control;
	struct iovec part = { t, sizeof(*t) };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(from, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (n != sizeof(*t) || !c || c->cmsg_len != CMSG_LEN(2 * sizeof(int)))
		return 0;
	memcpy(fds, CMSG_DATA(c), 2 * sizeof(int));
	return n;
}

static void __attribute__((noreturn)) runner_main(const char *command, int from)
{
	struct fence_target t;
	sigset_t none;
	int fds[2];

	prctl(PR_SET_NAME, "rssrv-fence");
	/* It ends when rssrv does: a terminal's or a service manager's signals are for that one. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);	/* no zombies */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Nothing of rssrv's that is open goes along, above all none with a lock (lock.h). */
	if (from != 3)
		from = dup2(from, 3);
	close_from(4);
	while (take(from, &t, fds) > 0) {
		t.server[WIRE_NAME_MAX] = t.namespace[WIRE_NAME_MAX] = t.client[WIRE_NAME_MAX] = 0;
		if (fork() == 0)
			run(command, &t, fds[0], fds[1]);
		close(fds[0]);
		close(fds[1]);
	}
	_exit(0);
}

int fence_command_start(const char *command, struct err *e)
{
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0 || (pid = fork()) < 0)
		return err_sys(e, errno, "no process for fence-command");
	if (pid == 0)
		runner_main(command, fds[1]);
	close(fds[1]);
	runner = fds[0];
	return 0;
}

/*
 * The asking side.
 */
struct output {
	int fd;
	char line[200];
	size_t length;
	unsigned lines;
};

static void end_line(struct output *o)
{
	o->line[o->length] = 0;
	if (o->length && o->lines++ < LINES_MAX)
		log_info("fence", "fence-command: %s", o->line);
	o->length = 0;
}

/* Logs what there is by now. */
static void read_output(struct output *o)
{
	char part[4096];
	ssize_t n;

	while ((n = read(o->fd, part, sizeof(part))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (part[i] == '\n' || o->length == sizeof(o->line) - 1)
				end_line(o);
			if (part[i] != '\n')
				o->line[o->length++] = part[i];
		}
	}
}

/* Hands the target over with two pipes; gives their other ends. */
static int ask(const struct fence_target *t, int *output, int *answer)
{
	union { struct cmsghdr head; char room[CMSG_SPACE(2 * sizeof(int))]; } control = { .head = {
		.cmsg_len = CMSG_LEN(2 * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec part = { (void *)t, sizeof(*t) };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	int out[2], in[2], fds[2], r = 0;

	if (pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	if (pipe2(in, O_CLOEXEC) < 0) {
		r = -errno;
		close(out[0]);
		close(out[1]);
		return r;
	}
	fds[0] = out[1];
	fds[1] = in[1];
	memcpy(CMSG_DATA(&control.head), fds, sizeof(fds));
	if (sendmsg(runner, &m, MSG_NOSIGNAL) < 0)
		r = -errno;
	close(out[1]);
	close(in[1]);
	*output = out[0];
	*answer = in[0];
	if (r) {
		close(out[0]);
		close(in[0]);
	}
	return r;
}

/* Logs its output until there is an outcome. */
static void follow(struct output *o, int answer, struct outcome *outcome)
{
	uint64_t end = clock_now() + ANSWER_SECONDS * SECOND;
	struct pollfd p[2] = { { .fd = o->fd, .events = POLLIN }, { .fd = answer, .events = POLLIN } };

	*outcome = (struct outcome){ .error = ETIMEDOUT };
	while (clock_now() < end) {
		poll(p, 2, 1000);
		read_output(o);
		if (p[0].revents & POLLHUP)
			p[0].fd = -1;	/* it closed its output */
		if (!p[1].revents)
			continue;
		if (read(answer, outcome, sizeof(*outcome)) != sizeof(*outcome))
			outcome->error = EPIPE;
		break;
	}
	read_output(o);
	end_line(o);
}

static void say(const struct fence_target *t, const struct outcome *o)
{
	if (o->error == ETIMEDOUT)
		log_error("fence", "fence-command took longer than %d s and was killed: server %s (id %u) is not known to be off",
			  FENCE_COMMAND_SECONDS, t->server, t->id);
	else if (o->error)
		log_error("fence", "cannot run fence-command: %s", strerror(o->error));
	else if (WIFSIGNALED(o->status))
		log_error("fence", "fence-command ended by signal %d: server %s (id %u) is not known to be off",
			  WTERMSIG(o->status), t->server, t->id);
	else if (WEXITSTATUS(o->status))
		log_error("fence", "fence-command ended with status %d: server %s (id %u) is not known to be off",
			  WEXITSTATUS(o->status), t->server, t->id);
	else
		log_warning("fence", "fence-command says that server %s (id %u) is off", t->server, t->id);
}

bool fence_command_run(const char *command, const struct fence_target *t)
{
	struct output o = { .fd = -1 };
	struct outcome outcome;
	int answer = -1, r;

	log_warning("fence", "server %s (id %u) keeps its claims, client %s waits: running fence-command \"%s\"",
		    t->server, t->id, t->client, command);
	r = ask(t, &o.fd, &answer);
	if (r) {
		log_error("fence", "cannot run fence-command: %s", strerror(-r));
		return false;
	}
	follow(&o, answer, &outcome);
	close(o.fd);
	close(answer);
	say(t, &outcome);
	return !outcome.error && WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == 0;
}
