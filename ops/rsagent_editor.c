/*
 * rsagent_editor.c - the user's editor on a text, for a child that may not have the terminal.
 *
 * The parent waits for it, and so do the other hosts: there is one terminal.  The text is
 * in a directory that nobody else gets into; what needs hiding was taken out of it before.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "rsagent_many_impl.h"

static const char *editor(void)
{
	const char *name = getenv("VISUAL");

	name = name && *name ? name : getenv("EDITOR");
	return name && *name ? name : "vi";
}

/* Its name is a command with words, as git and sudoedit take it. */
static void __attribute__((noreturn)) run_editor(const char *path)
{
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY);
	char *command;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (tty >= 0) {
		dup2(tty, STDIN_FILENO);
		dup2(tty, STDOUT_FILENO);
	}
	if (asprintf(&command, "%s \"$1\"", editor()) >= 0)
		execl("/bin/sh", "sh", "-c", command, "sh", path, (char *)NULL);
	_exit(127);
}

static int edit_file(const char *path)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		run_editor(path);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECANCELED;
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), r = 0;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f)
		return -errno;
	if (fputs(text, f) < 0)
		r = -EIO;
	return fclose(f) ? -errno : r;
}

static int read_text(const char *path, char **text, size_t *size)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	int r = 0;

	if (!f || fstat(fileno(f), &st) || st.st_size >= TASK_TEXT_MAX)
		r = f ? -EFBIG : -errno;
	*text = r ? NULL : calloc(1, (size_t)st.st_size + 1);
	if (*text)
		*size = fread(*text, 1, (size_t)st.st_size, f);
	else if (!r)
		r = -ENOMEM;
	if (f)
		fclose(f);
	return r;
}

int editor_run(const char *name, const char *text, char **edited, size_t *size)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	char dir[256], path[600];
	int r;

	*edited = NULL;
	snprintf(dir, sizeof(dir), "%.200s/rsagent-XXXXXX", base && access(base, W_OK) == 0 ? base : "/tmp");
	if (!mkdtemp(dir))
		return -errno;
	/* An editor shows the name, and knows by it how to colour. */
	snprintf(path, sizeof(path), "%s/%.200s.rssrvcfg", dir, name);
	r = write_text(path, text);
	if (!r)
		r = edit_file(path);
	if (!r)
		r = read_text(path, edited, size);
	unlink(path);
	/* Not empty: the editor has left something, in a directory that is the user's alone. */
	if (rmdir(dir) && errno == ENOTEMPTY)
		fprintf(stderr, "%s: the editor left something in %s\n", name, dir);
	return r;
}
