/*
 * steps_server.c - the server that is installed, stopped and started: as a unit of systemd, or by its own program,
 * which goes into the background and returns when it can be used.
 *
 * Whether a plain one runs is asked of the lock on its pid file, which the kernel lets go with the process; the
 * number in the file is used only while somebody has that lock.
 *
 * A server makes files of its own where it runs: in its run directory, its state and the pools.  What was there
 * before a start is noted, and what is not in that list and has a name that only rssrv gives goes
 * again when the start is undone.  What belongs to a volume that came meanwhile stays with it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "steps_impl.h"

#define UNIT "rssrv.service"
#define KILL_SECONDS 5			/* after SIGKILL */

struct how {
	bool systemd;
	const char *program, *config, *run_dir;
	int seconds;
};

static struct how how_of_step(const struct step *step)
{
	return (struct how){ step->systemd, step->program, step->config, step->run_dir, step->seconds };
}

static struct how how_of_entry(const json_t *entry)
{
	struct how h = { .systemd = strcmp(entry_text(entry, "how"), "systemd") == 0,
			 .program = entry_text(entry, "program"), .config = entry_text(entry, "config"),
			 .run_dir = entry_text(entry, "run_dir"), .seconds = (int)entry_number(entry, "seconds") };

	if (!*h.config)
		h.config = NULL;
	return h;
}

static json_t *entry_of(const char *what, const struct how *h)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i}", "do", what, "how", h->systemd ? "systemd" : "plain", "program",
			 h->program ? h->program : "", "config", h->config ? h->config : "", "run_dir",
			 h->run_dir ? h->run_dir : "", "seconds", h->seconds);
}

static int run_words(struct steps *s, struct steps_command *c, int seconds, const char *const *argv, struct err *e)
{
	c->argv = (char *const *)argv;
	c->seconds = seconds;
	return steps_command(s, c, e);
}
#define RUN(s, c, seconds, e, ...) run_words(s, c, seconds, (const char *const[]){ __VA_ARGS__, NULL }, e)

/*
 * Does it run?
 */
/* Its number, while it has its lock; 0: none runs. */
static pid_t plain_pid(const struct how *h)
{
	struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX], text[32];
	ssize_t n = 0;
	pid_t pid = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/rssrv.pid", h->run_dir);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return 0;
	if (fcntl(fd, F_OFD_GETLK, &f) == 0 && f.l_type != F_UNLCK)
		n = pread(fd, text, sizeof(text) - 1, 0);
	close(fd);
	if (n > 0) {
		text[n] = 0;
		pid = (pid_t)strtol(text, NULL, 10);
	}
	return pid > 1 ? pid : 0;
}

static bool runs(struct steps *s, const struct how *h)
{
	static const char *const words[] = { "active", "activating", "reloading", "deactivating" };
	struct steps_command c;
	struct err e;

	if (!h->systemd)
		return plain_pid(h) != 0;
	if (RUN(s, &c, h->seconds, &e, "systemctl", "is-active", UNIT) < 0)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strncmp(c.output, words[i], strlen(words[i])) == 0)
			return true;
	return false;
}

/*
 * Stopping and starting.
 */
static bool wait_gone(struct steps *s, const struct how *h, pid_t pid, int seconds)
{
	uint64_t until = steps_now() + 1000u * (unsigned)seconds;

	while (plain_pid(h) == pid) {
		if (steps_now() >= until)
			return false;
		if (s->in && !s->in->ended)
			steps_input_wait(s->in, -1, 20);
		else
			usleep(20000);
	}
	return true;
}

static int stop_plain(struct steps *s, const struct how *h, struct err *e)
{
	pid_t pid = plain_pid(h);

	if (!pid)
		return 0;
	if (kill(pid, SIGTERM) < 0 && errno != ESRCH)
		return err_sys(e, errno, "cannot end the server, pid %d", (int)pid);
	if (wait_gone(s, h, pid, h->seconds))
		return 0;
	kill(pid, SIGKILL);
	if (wait_gone(s, h, pid, KILL_SECONDS))
		return 0;
	return err_set(e, EBUSY, "the server, pid %d, does not end, not even killed", (int)pid);
}

/* systemd keeps that a unit failed, and counts its starts: without this a unit that is taken away stays in its list
 * of failed ones, and the start that brings the old server back may be one too many (StartLimitBurst=). */
static void forget_failure(struct steps *s, const struct how *h)
{
	struct steps_command c;
	struct err e;

	(void)RUN(s, &c, h->seconds, &e, "systemctl", "reset-failed", UNIT);	/* one that is not loaded has none */
}

static int stop_now(struct steps *s, const struct how *h, struct err *e)
{
	struct steps_command c;
	int r;

	if (!h->systemd)
		return stop_plain(s, h, e);
	r = RUN(s, &c, h->seconds, e, "systemctl", "stop", UNIT);
	if (!r && c.status && runs(s, h))
		r = err_set(e, EIO, "systemd does not stop " UNIT ": %.*s", (int)strcspn(c.output, "\n"), c.output);
	if (!r)
		forget_failure(s, h);
	return r;
}

/* "rssrv: text", and where there is one "rssrv: next", as it ends a start that fails. */
static int tell(const char *output, const char *before, struct err *e)
{
	static const char own[] = "rssrv: ";
	const char *second = strchr(output, '\n');
	int first = (int)strcspn(output, "\n");

	if (strncmp(output, own, strlen(own)) == 0) {
		output += strlen(own);
		first -= (int)strlen(own);
	}
	err_set(e, EIO, "%s: %.*s", before, first, first ? output : "it does not say why");
	if (second && strncmp(second + 1, own, strlen(own)) == 0)
		err_next(e, "%.*s", (int)strcspn(second + 1 + strlen(own), "\n"), second + 1 + strlen(own));
	return -EIO;
}

/* What a server that is not ready in time has left: it has made itself a session of its own, but as an orphan it
 * is this process's (PR_SET_CHILD_SUBREAPER). */
static void end_orphans(void)
{
	char path[64];
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	for (int tries = 0; tries < 100; tries++) {
		FILE *f = fopen(path, "re");
		int n = f ? fscanf(f, "%d", &pid) : 0;

		if (f)
			fclose(f);
		if (n != 1 || kill(pid, SIGKILL) < 0 || waitpid(pid, NULL, 0) < 0)
			return;
	}
}

/* By way of a shell, which keeps DIR's lock while the server starts: should this be killed, whoever undoes it finds
 * a server that runs or none, not one that is about to.  For the same reason it is waited for when the input ends. */
static int start_plain(struct steps *s, const struct how *h, struct err *e)
{
	static const char wait[] = "\"$@\"; exit $?";
	struct steps_input *in = s->in;
	struct steps_command c;
	int r;

	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	s->in = NULL;
	r = h->config ?
		RUN(s, &c, h->seconds, e, "sh", "-c", wait, "sh", h->program, "--run-dir", h->run_dir, "-c", h->config) :
		RUN(s, &c, h->seconds, e, "sh", "-c", wait, "sh", h->program, "--run-dir", h->run_dir);
	s->in = in;
	if (r == -ETIMEDOUT)
		end_orphans();
	prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
	return r || !c.status ? r : tell(c.output, "the server does not start", e);
}

static int start_systemd(struct steps *s, const struct how *h, struct err *e)
{
	struct steps_command c, log;
	struct err other;
	int r = RUN(s, &c, h->seconds, e, "systemctl", "daemon-reload");

	if (!r)
		r = RUN(s, &c, h->seconds, e, "systemctl", "start", UNIT);
	if (r || !c.status)
		return r;
	/* What the program said; systemd's own words are the same for every reason. */
	if (RUN(s, &log, 10, &other, "journalctl", "-q", "--no-pager", "-o", "cat", "-n", "2", "-u", UNIT, "-t", "rssrv") == 0 &&
	    !log.status && *log.output)
		return tell(log.output, UNIT " does not start", e);
	return tell(c.output, UNIT " does not start", e);
}

static int start_now(struct steps *s, const struct how *h, struct err *e)
{
	return h->systemd ? start_systemd(s, h, e) : start_plain(s, h, e);
}

/*
 * What is there before it starts.
 */
static json_t *names_in(const char *path)
{
	struct err e;
	int fd = steps_open(path, &e);	/* not where a link of the server's user leads */
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	json_t *list = d ? json_array() : NULL;
	struct dirent *f;

	while (d && (f = readdir(d)))
		if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0)
			json_array_append_new(list, json_string(f->d_name));	/* no UTF-8: none of ours */
	if (d)
		closedir(d);
	return list ? list : json_null();
}

static void note_dirs(json_t *entry, const struct step *step)
{
	json_t *dirs = json_object();

	if (step->run_dir)
		json_object_set_new(dirs, step->run_dir, names_in(step->run_dir));
	for (size_t i = 0; i < json_array_size(step->dirs); i++) {
		const char *path = json_string_value(json_array_get(step->dirs, i));

		json_object_set_new(dirs, path, names_in(path));
	}
	json_object_set_new(entry, "dirs", dirs);
}

static bool was_there(const json_t *names, const char *name)
{
	for (size_t i = 0; i < json_array_size(names); i++)
		if (strcmp(json_string_value(json_array_get(names, i)), name) == 0)
			return true;
	return false;
}

static bool ends_in(const char *name, const char *end, size_t *stem)
{
	size_t n = strlen(name), m = strlen(end);

	*stem = n > m ? n - m : 0;
	return *stem && strcmp(name + *stem, end) == 0;
}

/* NAME.meta of a volume that was there before; of one that came meanwhile it is needed. */
static bool is_meta_of_old(const json_t *names, const char *name)
{
	char raw[NAME_MAX + 8];
	size_t stem;

	if (!ends_in(name, ".meta", &stem))
		return false;
	snprintf(raw, sizeof(raw), "%.*s.raw", (int)stem, name);
	return was_there(names, raw);
}

static bool is_servers(const json_t *names, const char *name)
{
	static const char *const begins[] = { ".rsio.", "rssrv.", "flush-failed." };
	size_t stem;

	if (was_there(names, name))
		return false;
	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (strncmp(name, begins[i], strlen(begins[i])) == 0)
			return true;
	/* NAMESPACE:SERVER:POOL.mount (pool_place.c), and no unit of systemd's. */
	if (ends_in(name, ".mount", &stem) && strchr(name, ':') != strrchr(name, ':'))
		return true;
	return ends_in(name, ".rsio", &stem) || is_meta_of_old(names, name);
}

static int remove_servers(const char *path, const json_t *names, struct err *e)
{
	char name[NAME_MAX + 1];
	int parent = steps_parent(path, name, e), fd, r = 0;
	json_t *now = names_in(path);
	struct err none;

	if (parent < 0) {
		json_decref(now);
		return parent == -ENOENT ? 0 : parent;
	}
	fd = steps_open(path, &none);
	for (size_t i = 0; fd >= 0 && !r && i < json_array_size(now); i++) {
		const char *own = json_string_value(json_array_get(now, i));

		if (!is_servers(names, own))
			continue;
		/* Snapshots are somebody's; the directory for them alone is not. */
		if (strcmp(own, ".rsio.snap") == 0)
			unlinkat(fd, own, AT_REMOVEDIR);
		else
			r = steps_remove_all(fd, own, e);
	}
	if (fd >= 0)
		close(fd);
	if (json_is_null(names))
		unlinkat(parent, name, AT_REMOVEDIR);	/* the server made it */
	close(parent);
	json_decref(now);
	return r;
}

/*
 * The steps.
 */
int steps_start(struct steps *s, const struct step *step, bool *changed, struct err *e)
{
	struct how h = how_of_step(step);
	json_t *entry;
	int r;

	if (runs(s, &h))
		return 0;
	entry = entry_of("start", &h);
	if (entry)
		note_dirs(entry, step);
	r = trail_note(&s->trail, entry, e);
	if (!r)
		r = start_now(s, &h, e);
	*changed = !r;
	return r;
}

int steps_stop(struct steps *s, const struct step *step, bool *changed, struct err *e)
{
	struct how h = how_of_step(step);
	int r;

	if (!runs(s, &h)) {
		if (h.systemd)
			forget_failure(s, &h);
		return 0;
	}
	r = trail_note(&s->trail, entry_of("stop", &h), e);
	if (!r)
		r = stop_now(s, &h, e);
	*changed = !r;
	return r;
}

/* What is tried for ever helps nobody: a server that cannot be stopped or started now is said. */
static int said(int r)
{
	return r == -EIO || r == -EBUSY || r == -ETIMEDOUT ? -ECANCELED : r;
}

int undo_start(struct steps *s, const json_t *entry, struct err *e)
{
	struct how h = how_of_entry(entry);
	json_t *dirs = json_object_get(entry, "dirs"), *names;
	const char *path;
	int r = said(stop_now(s, &h, e));

	if (!r)
		json_object_foreach(dirs, path, names)
			if (!r)
				r = remove_servers(path, names, e);
	return r;
}

int undo_stop(struct steps *s, const json_t *entry, struct err *e)
{
	struct how h = how_of_entry(entry);

	return runs(s, &h) ? 0 : said(start_now(s, &h, e));
}
