/*
 * steps_run.c - commands of the host: their output, their end, their limits.
 *
 * A command gets no input, no environment but a plain one, and its time.  When whoever asked for it goes, it is
 * ended, with what it started: it is in a process group of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "steps_impl.h"

#define PATHS "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define END_MS 3000		/* after SIGTERM, before SIGKILL */

extern char **environ;

const char *steps_which(const char *name, char path[PATH_MAX])
{
	static const char dirs[] = PATHS;

	for (const char *d = dirs; d; d = strchr(d, ':')) {
		d += *d == ':';
		snprintf(path, PATH_MAX, "%.*s/%s", (int)strcspn(d, ":"), d, name);
		if (access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

/* DIR's lock stays with it (dir): nobody undoes what it may still be doing. */
static void __attribute__((noreturn)) become(char *const *argv, int out, int dir)
{
	static char *plain[] = { (char *)"PATH=" PATHS, (char *)"LC_ALL=C", (char *)"HOME=/root", NULL };
	char path[PATH_MAX];
	const char *program = strchr(argv[0], '/') ? argv[0] : steps_which(argv[0], path);
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	fcntl(dir, F_SETFD, 0);
	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
	if (chdir("/") == 0 && program)
		execve(program, argv, plain);
	dprintf(2, "%s: %s\n", argv[0], program ? strerror(errno) : "there is no such command");
	_exit(127);
}

/* What there is now; false: there will be no more.  What is too much is read all the same. */
static bool take_output(struct steps_command *c, int fd)
{
	char piece[4096];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0) {
		size_t fits = STEPS_OUTPUT_MAX - c->length;

		fits = (size_t)n < fits ? (size_t)n : fits;
		memcpy(c->output + c->length, piece, fits);
		c->length += fits;
	}
	return n < 0 && errno == EAGAIN;
}

/* Lines stay lines; nothing else is there that a terminal or JSON would mind. */
static void clean(struct steps_command *c)
{
	char *at = c->output, *nl;

	for (size_t i = 0; i < c->length; i++)
		if (!c->output[i])
			c->output[i] = '?';
	c->output[c->length] = 0;
	while ((nl = strchr(at, '\n'))) {
		*nl = 0;
		err_clean(at);
		*nl = '\n';
		at = nl + 1;
	}
	err_clean(at);
}

static bool ended(pid_t pid, int *status)
{
	return waitpid(pid, status, WNOHANG) == pid;
}

static void end_group(struct steps *s, pid_t pid, int *status)
{
	uint64_t until = steps_now() + END_MS;

	kill(-pid, SIGTERM);
	while (!ended(pid, status)) {
		if (steps_now() >= until) {
			kill(-pid, SIGKILL);
			waitpid(pid, status, 0);
			return;
		}
		if (s->in && !s->in->ended)
			steps_input_wait(s->in, -1, 50);
		else
			usleep(20000);
	}
}

/* 0 when it ended by itself. */
static int follow(struct steps *s, struct steps_command *c, pid_t pid, int fd)
{
	uint64_t until = steps_now() + 1000u * (unsigned)c->seconds;
	bool listens = s->in && !s->in->ended, more = true;

	while (!ended(pid, &c->status)) {
		int r = listens && s->in->ended ? -ECANCELED : steps_now() >= until ? -ETIMEDOUT : 0;

		if (r) {
			end_group(s, pid, &c->status);
			return r;
		}
		more = more && take_output(c, fd);
		if (listens)
			steps_input_wait(s->in, more ? fd : -1, 200);
		else
			usleep(20000);
	}
	return 0;
}

int steps_command(struct steps *s, struct steps_command *c, struct err *e)
{
	int fds[2], r;
	pid_t pid;

	c->length = 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, errno, "cannot run %s", c->argv[0]);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	pid = fork();
	if (pid == 0)
		become(c->argv, fds[1], s->trail.dir);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return err_sys(e, errno, "cannot run %s", c->argv[0]);
	}
	setpgid(pid, pid);
	r = follow(s, c, pid, fds[0]);
	take_output(c, fds[0]);
	close(fds[0]);
	clean(c);
	if (r == -ETIMEDOUT)
		return err_set(e, ETIMEDOUT, "%s did not end within %d s, and was ended", c->argv[0], c->seconds);
	return r ? err_set(e, ECANCELED, "%s was ended: %s", c->argv[0], s->in->why) : 0;
}

/* The last line that is not empty. */
static const char *last_line(const char *text, int *length)
{
	size_t end = strlen(text), at;

	while (end && text[end - 1] == '\n')
		end--;
	for (at = end; at && text[at - 1] != '\n'; at--)
		;
	*length = (int)(end - at);
	return text + at;
}

int steps_command_ok(struct steps *s, struct steps_command *c, struct err *e)
{
	int r = steps_command(s, c, e), length;
	const char *last = last_line(c->output, &length);

	if (r || !c->status)
		return r;
	if (WIFSIGNALED(c->status))
		return err_set(e, EIO, "%s was killed by signal %d%s%.*s", c->argv[0], WTERMSIG(c->status),
			       length ? ": " : "", length, last);
	return err_set(e, WEXITSTATUS(c->status) == 127 ? ENOENT : EIO, "%s ended with status %d%s%.*s", c->argv[0],
		       WEXITSTATUS(c->status), length ? ": " : "", length, last);
}

/* NULL when there is no memory; the texts stay the list's. */
static char **to_argv(const json_t *list)
{
	size_t n = json_array_size(list);
	char **argv = calloc(n + 1, sizeof(*argv));

	for (size_t i = 0; argv && i < n; i++)
		argv[i] = (char *)json_string_value(json_array_get(list, i));
	return argv;
}

int steps_run(struct steps *s, const struct step *step, json_t *more, struct err *e)
{
	struct steps_command c = { .argv = to_argv(step->argv), .seconds = step->seconds };
	int r = c.argv ? 0 : err_set(e, ENOMEM, "no memory");

	if (!r && step->undo)
		r = trail_note(&s->trail, json_pack("{s:s, s:O, s:i}", "do", "run", "undo", step->undo, "seconds",
						    step->seconds), e);
	if (!r) {
		r = steps_command_ok(s, &c, e);
		json_object_set_new(more, "status", json_integer(WIFEXITED(c.status) ? WEXITSTATUS(c.status) : -1));
		json_object_set_new(more, "output", json_string(c.output));
	}
	free((void *)c.argv);
	return r;
}

/* One that fails is said and not tried again: it would fail for ever. */
int undo_run(struct steps *s, const json_t *entry, struct err *e)
{
	struct steps_command c = { .argv = to_argv(json_object_get(entry, "undo")),
				   .seconds = (int)entry_number(entry, "seconds") };
	int r = c.argv && c.argv[0] ? steps_command_ok(s, &c, e) : 0;

	free((void *)c.argv);
	return r == -EIO || r == -ETIMEDOUT || r == -ENOENT ? -ECANCELED : r;
}
