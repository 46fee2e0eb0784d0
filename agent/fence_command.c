/* fence_command.c - see fence_command.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "engine.h"
#include "fence_command.h"
#include "log.h"

#define ENVIRONMENT 4
#define LOOK_EVERY_MS 20
#define LINES_MAX 100		/* of its output that are logged */

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

/* Its status, or -1 when it took too long. */
static int wait_for(pid_t pid, struct output *o)
{
	uint64_t end = clock_now() + FENCE_COMMAND_SECONDS * SECOND;
	struct pollfd p = { .fd = o->fd, .events = POLLIN };
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (clock_now() >= end) {
			kill(-pid, SIGKILL);
			waitpid(pid, &status, 0);
			return -1;
		}
		poll(&p, 1, LOOK_EVERY_MS);
		read_output(o);
		if (p.revents & POLLHUP)
			p.fd = -1;	/* it closed its output: poll is the pause alone */
	}
	read_output(o);
	end_line(o);
	return status;
}

static void say(const struct fence_target *t, int status)
{
	if (status < 0)
		log_error("fence", "fence-command took longer than %d s and was killed: server %s (id %u) is not known to be off",
			  FENCE_COMMAND_SECONDS, t->server, t->id);
	else if (WIFSIGNALED(status))
		log_error("fence", "fence-command ended by signal %d: server %s (id %u) is not known to be off",
			  WTERMSIG(status), t->server, t->id);
	else if (WEXITSTATUS(status))
		log_error("fence", "fence-command ended with status %d: server %s (id %u) is not known to be off",
			  WEXITSTATUS(status), t->server, t->id);
	else
		log_warning("fence", "fence-command says that server %s (id %u) is off", t->server, t->id);
}

bool fence_command_run(const char *command, const struct fence_target *t)
{
	struct environment env;
	struct output o = { .fd = -1 };
	int pipes[2], r, status = -1;
	pid_t pid;

	log_warning("fence", "server %s (id %u) keeps its claims, client %s waits: running fence-command \"%s\"",
		    t->server, t->id, t->client, command);
	if (make_environment(&env, t) < 0 || pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0) {
		log_error("fence", "cannot run fence-command: %s", strerror(errno));
		return false;
	}
	r = spawn(command, env.list, pipes[1], &pid);
	close(pipes[1]);
	o.fd = pipes[0];
	if (r)
		log_error("fence", "cannot run fence-command: %s", strerror(-r));
	else
		status = wait_for(pid, &o);
	close(pipes[0]);
	free(env.list);
	if (!r)
		say(t, status);
	return !r && status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
