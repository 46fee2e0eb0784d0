/*
 * rsvol_work.c - rsiod is asked, work is followed until its end, and what went wrong is said.
 *
 * rsiod says how far the work is a few times a second, also when there is nothing new: then a
 * Ctrl-C is handed on as a request to stop.  A second one ends rsvol; the work is the server's.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "ctl.h"
#include "names.h"
#include "rsvol.h"

#define TIMEOUT NAMES_TIMEOUT
#define QUIET 0.5		/* seconds: what is done by then needs no progress */
#define QUIET_LINES 2.0		/* the same where there is no terminal */
#define LINE_EVERY 10.0		/* seconds, where there is no terminal */
#define WINDOW 4.0		/* seconds that the rate is of */

static volatile sig_atomic_t interrupted;

static void interrupt(int signo)
{
	(void)signo;
	interrupted = 1;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

json_t *rsvol_ask_daemon(const struct rsvol *rv, json_t *request, struct err *e)
{
	json_t *reply = ctl_call(rv->socket, "rsiod", request, TIMEOUT, e);

	json_decref(request);
	return reply;
}

/* Members that were given; a name that was left out is rsiod's to find. */
static void set_text(json_t *j, const char *key, const char *text)
{
	if (text && *text)
		json_object_set_new(j, key, json_string(text));
}

json_t *rsvol_volume_of(const struct rsvol *rv, const struct rsvol_name *n, char namespace[CONF_NAME_MAX + 1],
			struct err *e)
{
	json_t *request = json_pack("{s:s, s:{s:s, s:s}}", "do", "ask", "question", "do", "volume", "name", n->text);
	json_t *reply, *answer, *volume;

	set_text(request, "namespace", n->namespace);
	set_text(request, "server", rv->server);
	reply = rsvol_ask_daemon(rv, request, e);
	if (!reply)
		return NULL;
	answer = json_array_get(json_object_get(reply, "answers"), 0);
	volume = json_object_get(json_object_get(answer, "answer"), "volume");
	if (volume) {
		json_object_set(volume, "server", json_object_get(answer, "server"));
		if (namespace)
			snprintf(namespace, CONF_NAME_MAX + 1, "%s", rsvol_text(reply, "namespace", ""));
	} else {
		err_set(e, EPROTO, "the server does not say what %s is", n->text);
	}
	json_incref(volume);
	json_decref(reply);
	return volume;
}

/* Progress. */

struct show {
	const struct rsvol *rv;
	char name[128];
	const char *doing;
	bool terminal, asked;		/* asked: to stop */
	double began, printed;
	double from_time, from_done;	/* what the rate is counted from */
	double last_time, last_done;	/* what it is counted from next */
	char stage[40];
	int tenth;
	size_t width;
};

static void ask_to_stop(struct show *s, const char *id)
{
	struct err e;
	json_t *reply;

	s->asked = true;
	reply = rsvol_ask_daemon(s->rv, json_pack("{s:s, s:s}", "do", "cancel", "id", id), &e);
	json_decref(reply);
	if (s->terminal)
		fprintf(stderr, "\r%*s\r", (int)s->width, "");
	s->width = 0;
	fputs("rsvol: asked the server to stop; again to leave it at work\n", stderr);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
}

static double rate_of(struct show *s, double done)
{
	double t = now();

	if (t - s->last_time >= WINDOW) {
		s->from_time = s->last_time;
		s->from_done = s->last_done;
		s->last_time = t;
		s->last_done = done;
	}
	return t - s->from_time > 0.1 ? (done - s->from_done) / (t - s->from_time) : 0;
}

static const char *time_text(double seconds, char buf[24])
{
	long s = (long)(seconds + 0.5);

	if (s < 3600)
		snprintf(buf, 24, "%ld:%02ld", s / 60, s % 60);
	else
		snprintf(buf, 24, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
	return buf;
}

/* "creating osl:vol: copying, 1.2 of 20 GiB (6 %), 340 MiB/s, 0:55 left" */
static void line_text(struct show *s, const json_t *p, char *buf, size_t size)
{
	double done = json_number_value(json_object_get(p, "done")), of = json_number_value(json_object_get(p, "of"));
	const char *stage = rsvol_text(p, "stage", "");
	char have[32], all[32], speed[32], left[24];
	double rate = rate_of(s, done);
	size_t n = (size_t)snprintf(buf, size, "%s %s%s%s", s->doing, s->name, *stage ? ": " : "", stage);

	if (of > 0 && n < size)
		n += (size_t)snprintf(buf + n, size - n, ", %s of %s (%d %%)", rsvol_size_text((uint64_t)done, have),
				      rsvol_size_text((uint64_t)of, all), (int)(done * 100 / of));
	if (of > 0 && rate > 0 && n < size)
		snprintf(buf + n, size - n, ", %s/s, %s left", rsvol_size_text((uint64_t)rate, speed),
			 time_text((of - done) / rate, left));
	err_clean(buf);
}

static void new_stage(struct show *s, const json_t *p)
{
	const char *stage = rsvol_text(p, "stage", "");

	if (strcmp(stage, s->stage) == 0)
		return;
	snprintf(s->stage, sizeof s->stage, "%s", stage);
	s->from_time = s->last_time = now();
	s->from_done = s->last_done = json_number_value(json_object_get(p, "done"));
	s->tenth = -1;
}

static void print_progress(struct show *s, const json_t *p)
{
	double done = json_number_value(json_object_get(p, "done")), of = json_number_value(json_object_get(p, "of"));
	int tenth = of > 0 ? (int)(done * 10 / of) : 0;
	char line[200];

	line_text(s, p, line, sizeof line);
	if (s->terminal) {
		size_t n = strlen(line);

		fprintf(stderr, "\r%.79s%*s", line, (int)(s->width > n ? s->width - n : 0), "");
		s->width = n < 79 ? n : 79;
	} else if (tenth != s->tenth || now() - s->printed >= LINE_EVERY) {
		fprintf(stderr, "rsvol: %s\n", line);
		s->printed = now();
	}
	s->tenth = tenth;
}

static void shown(void *arg, const json_t *p)
{
	struct show *s = arg;

	new_stage(s, p);
	if (interrupted && !s->asked)
		ask_to_stop(s, rsvol_text(p, "id", ""));
	if (now() - s->began >= (s->terminal ? QUIET : QUIET_LINES) && (s->terminal || !s->rv->json))
		print_progress(s, p);
}

static void catch_signals(void)
{
	struct sigaction a = { .sa_handler = interrupt };

	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
}

/* What went wrong. */

int rsvol_failed(const struct rsvol *rv, const struct rsvol_name *n, struct err *e)
{
	char full[128];

	if (e->code == ENOENT && n && strstr(e->text, "there is no volume")) {
		/* Of a snapshot the volume may well be there. */
		if (n->snapshot[0])
			err_next(e, "rsvol snapshots %s shows those that there are", n->volume);
		else
			names_suggest(rv->socket, rsvol_full(n, NULL, full), "rsvol ls", e);
	}
	err_print("rsvol", e);
	if (e->code == ECANCELED)
		return RSVOL_CANCELLED;
	/* ESHUTDOWN: rsiod lets go of it, the server may go on. */
	return e->code == ETIMEDOUT || e->code == ECONNRESET || e->code == ESHUTDOWN ? RSVOL_UNKNOWN : RSVOL_FAILED;
}

int rsvol_follow(const struct rsvol *rv, const struct rsvol_name *n, const char *doing, json_t *request, json_t **reply)
{
	struct show s = { .rv = rv, .doing = doing, .terminal = isatty(STDERR_FILENO), .began = now(), .tenth = -1 };
	struct err e;

	s.printed = s.began;
	rsvol_full(n, NULL, s.name);
	set_text(request, "namespace", n->namespace);
	catch_signals();
	*reply = ctl_follow(rv->socket, "rsiod", request, TIMEOUT, shown, &s, &e);
	json_decref(request);
	if (s.width)
		fprintf(stderr, "\r%*s\r", (int)s.width, "");
	if (*reply)
		return RSVOL_DONE;
	return rsvol_failed(rv, n, &e);
}

int rsvol_work(const struct rsvol *rv, const struct rsvol_name *n, const char *doing, json_t *work, json_t **reply)
{
	json_t *request = json_pack("{s:s, s:o}", "do", "manage", "work", work);

	set_text(request, "server", rv->server);
	return rsvol_follow(rv, n, doing, request, reply);
}
