/*
 * hold_thread.c - holds the next thread that a thread of a process makes, before it did anything.
 *
 *	hold_thread PID THREAD
 *
 * THREAD is the name of the one that makes it.  Prints "ready", then "held" when there is one,
 * which goes on when standard input ends.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t thread_named(const char *pid, const char *name)
{
	char path[280], comm[32];
	struct dirent *d;
	pid_t found = 0;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%.20s/task", pid);
	dir = opendir(path);
	while (dir && !found && (d = readdir(dir))) {
		FILE *f;

		snprintf(path, sizeof path, "/proc/%.20s/task/%.200s/comm", pid, d->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fgets(comm, sizeof comm, f) && strncmp(comm, name, strlen(name)) == 0 && comm[strlen(name)] == '\n')
			found = atoi(d->d_name);
		fclose(f);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* The thread that maker made. */
static pid_t next_thread(pid_t maker)
{
	unsigned long made;
	int status;

	for (;;) {
		if (waitpid(maker, &status, __WALL) < 0 || !WIFSTOPPED(status))
			return -1;
		if (status >> 8 == (SIGTRAP | (PTRACE_EVENT_CLONE << 8)))
			break;
		ptrace(PTRACE_CONT, maker, 0, status >> 16 ? 0 : (long)WSTOPSIG(status));
	}
	if (ptrace(PTRACE_GETEVENTMSG, maker, 0, &made) < 0 || waitpid((pid_t)made, &status, __WALL) < 0)
		return -1;
	return ptrace(PTRACE_DETACH, maker, 0, 0) < 0 ? -1 : (pid_t)made;
}

int main(int argc, char **argv)
{
	pid_t maker = argc == 3 ? thread_named(argv[1], argv[2]) : 0, made;
	char c;

	setlinebuf(stdout);
	if (maker <= 0 || ptrace(PTRACE_SEIZE, maker, 0, PTRACE_O_TRACECLONE) < 0) {
		perror("hold_thread: nothing to hold");
		return 1;
	}
	puts("ready");
	made = next_thread(maker);
	if (made < 0) {
		perror("hold_thread");
		return 1;
	}
	puts("held");
	while (read(0, &c, 1) > 0)
		;
	return ptrace(PTRACE_DETACH, made, 0, 0) < 0;
}
