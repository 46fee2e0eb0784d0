/*
 * canned_ctl.c - a daemon's control socket that answers from a file, for tests of
 * the programs that ask: canned_ctl SOCKET ANSWERS LOG
 *
 * ANSWERS is an object: the request's "do" -> the reply.  A reply with "error" is
 * sent as a failure; the reply "silence" is never sent.  One with "progress", an array, has
 * those sent first, one every 50 ms, and the last again and again until a request was
 * made that "until" names.  Every request is appended
 * to LOG as a line.  Prints "ready" when it listens; ends on SIGTERM.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "ctl.h"

struct canned {
	json_t *answers;	/* const after start */
	FILE *log;
	pthread_mutex_t lock;
	char asked[256];	/* lock: each "do" so far, with a blank before and behind */
};

static void note_asked(struct canned *c, const char *what)
{
	size_t n;

	pthread_mutex_lock(&c->lock);
	n = strlen(c->asked);
	snprintf(c->asked + n, sizeof c->asked - n, " %s ", what);
	pthread_mutex_unlock(&c->lock);
}

static bool was_asked(struct canned *c, const char *what)
{
	char word[64];
	bool yes;

	snprintf(word, sizeof word, " %s ", what);
	pthread_mutex_lock(&c->lock);
	yes = strstr(c->asked, word) != NULL;
	pthread_mutex_unlock(&c->lock);
	return yes;
}

static void show_progress(struct canned *c, const struct ctl_peer *peer, const json_t *answer)
{
	const json_t *all = json_object_get(answer, "progress");
	const char *until = json_string_value(json_object_get(answer, "until"));
	size_t i = 0, n = json_array_size(all);

	while (n && (i < n || (until && !was_asked(c, until)))) {
		if (ctl_progress(peer, json_incref(json_array_get(all, i < n ? i : n - 1))) < 0)
			return;
		nanosleep(&(struct timespec){ 0, 50000000 }, NULL);
		i++;
	}
}

static json_t *fail_as(const json_t *error, struct err *e)
{
	ctl_take_error(error, "canned_ctl", e);
	return NULL;
}

static json_t *handle(void *arg, const struct ctl_peer *peer, const char *what, json_t *request,
		      struct err *e)
{
	struct canned *c = arg;
	const json_t *answer = json_object_get(c->answers, what);
	char *line = json_dumps(request, JSON_COMPACT | JSON_SORT_KEYS);

	note_asked(c, what);
	if (line) {
		fprintf(c->log, "%s\n", line);
		fflush(c->log);
	}
	free(line);
	if (json_is_string(answer))
		for (;;)
			pause();
	if (!answer) {
		err_set(e, ENOSYS, "no answer for %s", what);
		return NULL;
	}
	show_progress(c, peer, answer);
	if (json_object_get(answer, "error"))
		return fail_as(json_object_get(answer, "error"), e);
	return json_deep_copy(answer);
}

/* It ends with its threads as they are, see below: these are no leaks. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "report_thread_leaks=0";
}

int main(int argc, char **argv)
{
	struct canned c = { .lock = PTHREAD_MUTEX_INITIALIZER };
	json_error_t why;
	struct err e;
	sigset_t set;
	int signo;

	if (argc != 4) {
		fputs("canned_ctl: SOCKET ANSWERS LOG\n", stderr);
		return 2;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	c.answers = json_load_file(argv[2], 0, &why);
	c.log = fopen(argv[3], "a");
	if (!c.answers || !c.log) {
		fprintf(stderr, "canned_ctl: %s\n", c.answers ? argv[3] : why.text);
		return 1;
	}
	if (!ctl_server_start(argv[1], (gid_t)-1, handle, &c, &e)) {
		err_print("canned_ctl", &e);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	sigwait(&set, &signo);
	/* Not stopped in order: a handler may be silent for ever. */
	unlink(argv[1]);
	_exit(0);
}
