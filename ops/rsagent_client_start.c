/* rsagent_client_start.c - rsiod on this host: how it is started, and starting it.  See rsagent_client.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "rsagent_client.h"

#define UNIT "rsiod.service"

/* systemd's unit is for the usual files alone. */
static bool has_unit(const struct rsagent_client_options *o)
{
	static const char *const places[] = {
		"/etc/systemd/system/" UNIT, "/run/systemd/system/" UNIT, "/usr/local/lib/systemd/system/" UNIT,
		"/usr/lib/systemd/system/" UNIT, "/lib/systemd/system/" UNIT,
	};
	const char *dir = getenv("RSIO_RUN_DIR");

	if (o->config || o->run_dir || (dir && *dir) || geteuid() != 0 || access("/run/systemd/system", F_OK))
		return false;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (access(places[i], F_OK) == 0)
			return true;
	return false;
}

void rsagent_client_start_words(const struct rsagent_client_options *o, char *buf, size_t size)
{
	if (has_unit(o))
		snprintf(buf, size, "systemctl enable --now rsiod");
	else
		snprintf(buf, size, "rsiod%s%s%s%s", o->config ? " -c " : "", o->config ? o->config : "",
			 o->run_dir ? " --run-dir " : "", o->run_dir ? o->run_dir : "");
}

/* The one of this installation, else as a shell would find it. */
static void program(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof("/rsiod"));
	char *slash;

	path[n > 0 ? n : 0] = 0;
	slash = strrchr(path, '/');
	if (slash)
		strcpy(slash, "/rsiod");
	if (!slash || access(path, X_OK))
		strcpy(path, "rsiod");
}

/* Its standard output may be JSON's, or a pipe that somebody reads to its end. */
static void __attribute__((noreturn)) become(const struct rsagent_client_options *o, const char *path)
{
	const char *words[8] = { path };
	int n = 1, null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null >= 0)
		dup2(null, STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	if (has_unit(o)) {
		execlp("systemctl", "systemctl", "enable", "--now", "rsiod", NULL);
		_exit(127);
	}
	if (o->config) {
		words[n++] = "-c";
		words[n++] = o->config;
	}
	if (o->run_dir) {
		words[n++] = "--run-dir";
		words[n++] = o->run_dir;
	}
	execvp(path, (char **)(uintptr_t)words);
	_exit(127);
}

int rsagent_client_start(const struct rsagent_client_options *o, struct err *e)
{
	char path[PATH_MAX], words[2 * PATH_MAX + 32];
	int status = 0;
	pid_t pid;

	program(path);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		become(o, path);
	if (pid < 0)
		return err_sys(e, errno, "cannot start rsiod");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		err_set(e, ENOENT, "rsiod was not started: it is not installed here");
	else
		err_set(e, EIO, "rsiod was not started");
	rsagent_client_start_words(o, words, sizeof(words));
	err_next(e, "'%s' does it when that is mended", words);
	return -e->code;
}
