/*
 * deploy_do.c - the steps of a plan, done by the rssrv that is carried over.
 *
 * One conversation: the script of deploy_boot.h takes the program, which then takes the steps, a line
 * of JSON each, and answers each.  Until "commit" was answered nothing is for good: should this end, or
 * the link, the other one undoes what it did.  So an error here has two parts: what failed, and whether
 * the host said that all is as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "deploy.h"
#include "deploy_boot.h"
#include "deploy_impl.h"
#include "remote.h"
#include "secure.h"

#define ANSWER_MAX (64u << 10)
#define CHUNK (256u << 10)
#define STALL 20			/* seconds in which the host takes nothing, or says nothing new */
#define ALIVE_EVERY 3			/* seconds */
#define STILL_EVERY 10			/* seconds */
#define MARGIN 30			/* seconds more than a step may take by itself */

struct deploy_run {
	struct remote *r;
	struct remote_talk *talk;
	const struct deploy_calls *calls;
	int64_t said;			/* ms: when the host was last told anything */
	int64_t shown;			/* ms: when progress was last said */
	char doing[200];
	enum { COPYING, DOING, COMMITTING } stage;
	bool undone;			/* the host said that all of it is */
	unsigned trouble;		/* lines of undoing that say what could not be undone */
	char first_trouble[200];
	bool stale;			/* the plan is for the host as it was */
	char marker[33];		/* of the script's lines */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void progress(struct deploy_run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void progress(struct deploy_run *run, const char *fmt, ...)
{
	char text[512];
	va_list args;

	if (!run->calls->progress)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	snprintf(run->doing, sizeof(run->doing), "%.190s", text);
	run->shown = now_ms();
	run->calls->progress(run->calls->arg, text);
}

/* Who waits for us sees that we wait. */
static void still(struct deploy_run *run)
{
	char text[220];

	if (!run->calls->progress || now_ms() - run->shown < STILL_EVERY * 1000)
		return;
	snprintf(text, sizeof(text), "still: %s", run->doing);
	run->shown = now_ms();
	run->calls->progress(run->calls->arg, text);
}

/* Lines there. */

static int send_text(struct deploy_run *run, const char *text, size_t size, struct err *e)
{
	int r = remote_talk_write(run->talk, text, size, STALL, e);

	if (!r)
		run->said = now_ms();
	return r;
}

int deploy_alive(struct deploy_run *run)
{
	static const char line[] = "{\"do\":\"alive\"}\n";
	int r = remote_alive(run->r, NULL);

	if (!r && now_ms() - run->said >= ALIVE_EVERY * 1000)
		r = send_text(run, line, strlen(line), NULL);
	return r;
}

/* As JSON has it between quotes; out has room for 6 bytes each. */
static char *escaped(char *out, const struct deploy_secret *text)
{
	for (size_t i = 0; i < text->size; i++) {
		unsigned char c = (unsigned char)text->text[i];

		if (c == '"' || c == '\\') {
			*out++ = '\\';
			*out++ = (char)c;
		} else if (c < 0x20) {
			out += sprintf(out, "\\u%04x", c);
		} else {
			*out++ = (char)c;
		}
	}
	return out;
}

/* The request, with the text that may have keys in it put in as the last member: jansson's memory never has it. */
static int send_step(struct deploy_run *run, const struct deploy_step *step, struct err *e)
{
	char *request = json_dumps(step->request, JSON_COMPACT | JSON_PRESERVE_ORDER), *line, *end;
	size_t n = request ? strlen(request) : 0;
	int r;

	line = request ? secure_alloc(n + 6 * step->text.size + 20) : NULL;
	if (!line) {
		free(request);
		return err_set(e, ENOMEM, "no memory");
	}
	memcpy(line, request, n);
	end = line + n;
	if (step->text.text) {
		end += sprintf(end - 1, ",\"text\":\"") - 1;
		end = escaped(end, &step->text);
		end += sprintf(end, "\"}");
	}
	*end++ = '\n';
	r = send_text(run, line, (size_t)(end - line), e);
	secure_free(line);
	free(request);
	return r;
}

/* Answers. */

static json_t *parse(const char *line)
{
	int depth = 0;

	for (const char *c = line; *c; c++)
		if ((*c == '{' || *c == '[') && ++depth > 64)
			return NULL;
	return json_loads(line, JSON_REJECT_DUPLICATES, NULL);
}

static const char *text_of(const json_t *answer, const char *key)
{
	const char *text = json_string_value(json_object_get(answer, key));

	return text ? text : "";
}

/* What could not be undone, or not be tidied up. */
static void note_trouble(struct deploy_run *run, const json_t *answer)
{
	if (!run->trouble++) {
		snprintf(run->first_trouble, sizeof(run->first_trouble), "%.60s: %.120s",
			 *text_of(answer, "undo") ? text_of(answer, "undo") : text_of(answer, "left"), text_of(answer, "error"));
		err_clean(run->first_trouble);
	}
}

/* The last one: all is undone, because it was asked for, because the input ended there, or by the process that came
 * after a killed one.  Whatever was waited for does not come. */
static bool is_end(struct deploy_run *run, const json_t *answer, struct err *e)
{
	if (!json_object_get(answer, "undone") || json_object_get(answer, "version"))
		return false;
	run->undone = json_is_true(json_object_get(answer, "ok"));
	if (!run->undone)
		note_trouble(run, answer);
	err_set(e, EPIPE, "the host ended it%s%.200s", *text_of(answer, "why") ? ": " : "", text_of(answer, "why"));
	err_clean(e->text);
	return true;
}

/* The next answer, a new reference; NULL with e filled.  The host is told meanwhile that somebody waits. */
static json_t *answer(struct deploy_run *run, int seconds, struct err *e)
{
	int64_t end = now_ms() + seconds * 1000;
	char *line;

	for (;;) {
		struct pollfd p = { .fd = remote_fd(run->r), .events = POLLIN };
		json_t *j;

		if (remote_talk_poll(run->talk, &line, ANSWER_MAX, e))
			return NULL;
		if (!line) {
			if (now_ms() >= end) {
				err_set(e, ETIMEDOUT, "the host has not answered for %d seconds", seconds);
				return NULL;
			}
			if (deploy_alive(run)) {
				err_set(e, ECONNRESET, "the link to the host was lost");
				return NULL;
			}
			still(run);
			poll(&p, 1, 200);
			continue;
		}
		j = parse(line);
		if (!json_is_object(j)) {
			json_decref(j);
			err_set(e, EPROTO, "the host's answer is none");
			return NULL;
		}
		if (is_end(run, j, e)) {
			json_decref(j);
			return NULL;
		}
		if (json_object_get(j, "ok"))
			return j;
		note_trouble(run, j);
		json_decref(j);
	}
}

/* An answer that says no, as an error. */
static int refused(const json_t *answer, const char *doing, struct err *e)
{
	char text[ERR_TEXT_MAX], next[ERR_NEXT_MAX];
	int code = (int)json_integer_value(json_object_get(answer, "errno"));

	snprintf(text, sizeof(text), "%.300s", text_of(answer, "error"));
	snprintf(next, sizeof(next), "%s", text_of(answer, "next"));
	err_clean(text);
	err_clean(next);
	err_set(e, code > 0 && code < 4096 ? code : EREMOTEIO, "%s%s%s", doing ? doing : "", doing ? ": " : "",
		*text ? text : "the host does not say why");
	if (*next)
		err_next(e, "%s", next);
	return -e->code;
}

static int expect(struct deploy_run *run, int seconds, const char *doing, json_t **out, struct err *e)
{
	json_t *j = answer(run, seconds, e);
	int r = j ? 0 : -e->code;

	if (j && !json_is_true(json_object_get(j, "ok")))
		r = refused(j, doing, e);
	if (out && !r)
		*out = json_incref(j);
	json_decref(j);
	return r;
}

/* The program. */

/* Lines until the script says that; what else a shell prints is nothing. */
static int wait_for(struct deploy_run *run, const struct deploy_boot *boot, enum deploy_boot_says what, int seconds, struct err *e)
{
	enum deploy_boot_says said;
	char *line;
	int r;

	for (;;) {
		r = remote_talk_line(run->talk, &line, ANSWER_MAX, (unsigned)seconds, e);
		if (r)
			return r;
		said = deploy_boot_line(boot, line, e);
		if (said == what)
			return 0;
		if (said == DEPLOY_BOOT_FAILED)
			return -e->code;
	}
}

static int copy(struct deploy_run *run, const struct deploy_binary *b, struct err *e)
{
	char *chunk = malloc(CHUNK);
	int fd = open(b->path, O_RDONLY | O_CLOEXEC), r = 0;
	int64_t shown = 0;
	uint64_t done = 0;
	ssize_t n;

	if (fd < 0 || !chunk)
		r = err_sys(e, chunk ? errno : ENOMEM, "cannot open %s", b->path);
	while (!r && done < b->size) {
		n = read(fd, chunk, CHUNK < b->size - done ? CHUNK : b->size - done);
		if (n <= 0) {
			r = err_set(e, EIO, "%s became shorter", b->path);
			break;
		}
		r = remote_talk_write(run->talk, chunk, (size_t)n, STALL, e);
		done += (uint64_t)n;
		if (now_ms() - shown < 500)
			continue;
		shown = now_ms();
		progress(run, "copying rssrv %s, %d %%", b->version, (int)(done * 100 / b->size));
	}
	if (fd >= 0)
		close(fd);
	free(chunk);
	run->said = now_ms();
	return r;
}

/* Steps. */

static int seconds_of(const json_t *request)
{
	int seconds = (int)json_integer_value(json_object_get(request, "seconds"));

	return (seconds > 0 ? seconds : 60) + MARGIN;
}

static int do_steps(struct deploy_run *run, const struct deploy_plan *p, struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < p->count; i++) {
		const struct deploy_step *s = &p->steps[i];

		if (s->say)
			progress(run, "%s", s->say);
		r = send_step(run, s, e);
		if (!r)
			r = expect(run, seconds_of(s->request), NULL, NULL, e);
	}
	return r;
}

static bool drain(struct deploy_run *run, int seconds);

/* The plan was made for the host as it was before. */
static int stale(struct deploy_run *run, struct err *e)
{
	static const char line[] = "{\"do\":\"undo\"}\n";

	progress(run, "undid what an earlier run that was cut off had left");
	send_text(run, line, strlen(line), NULL);
	drain(run, 60);
	run->stale = true;
	err_set(e, ESTALE, "an earlier run that was cut off there is undone now, and the host is not as it was looked at");
	err_next(e, "the same command again");
	return -ESTALE;
}

/* It says what it is: where the host has no program for that, this is how a damaged copy is known. */
static int hello(struct deploy_run *run, const struct deploy_binary *b, struct err *e)
{
	static const char line[] = "{\"do\":\"hello\"}\n";
	json_t *j = NULL;
	int r = send_text(run, line, strlen(line), e);

	if (!r)
		r = expect(run, 60, NULL, &j, e);
	if (!r && strcmp(text_of(j, "sha256"), b->sha) != 0)
		r = err_set(e, EBADMSG, "rssrv did not get there as it is here: its SHA-256 is another one");
	if (!r && json_integer_value(json_object_get(j, "undone")) > 0)
		r = stale(run, e);
	json_decref(j);
	return r;
}

static int commit(struct deploy_run *run, struct err *e)
{
	static const char line[] = "{\"do\":\"commit\"}\n";
	int r = send_text(run, line, strlen(line), e);

	return r ? r : expect(run, 60, "commit", NULL, e);
}

/* Until its end. */
static bool drain(struct deploy_run *run, int seconds)
{
	struct err e = { 0 };
	json_t *j;

	while ((j = answer(run, seconds, &e))) {
		if (!json_is_true(json_object_get(j, "ok")))
			note_trouble(run, j);
		json_decref(j);
	}
	return e.code == EPIPE;
}

/* Behind what failed: what is there now. */
static void add_outcome(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add_outcome(struct err *e, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list args;
	int n = snprintf(text, sizeof(text), "%.300s; ", e->text);

	va_start(args, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, args);
	va_end(args);
	memcpy(e->text, text, sizeof(text));
	err_clean(e->text);
}

/* Has all of it undone. */
static void undo(struct deploy_run *run, struct err *e)
{
	static const char line[] = "{\"do\":\"undo\"}\n";

	progress(run, "undoing what was done");
	send_text(run, line, strlen(line), NULL);
	if (!run->undone)
		drain(run, 120);
	if (run->trouble)
		add_outcome(e, "not all is undone: %s", run->first_trouble);
	else if (run->undone)
		add_outcome(e, "all that was done there is undone");
	else
		add_outcome(e, "the host has not said that it undid all; it does within 20 seconds of a lost link, and the next deploy does first");
}

static void failed(struct deploy_run *run, struct err *e)
{
	switch (run->stage) {
	case COPYING:
		add_outcome(e, e->code == ECONNRESET || e->code == ETIMEDOUT ?
			    "nothing was changed there but for a part of the copy, which the host removes by itself" : "nothing was changed there");
		break;
	case DOING:
		undo(run, e);
		break;
	case COMMITTING:
		add_outcome(e, "whether all was done or all is undone the host did not say any more");
		err_next(e, "the same command again finds out, and does what is left");
		break;
	}
}

static int converse(struct deploy_run *run, const struct deploy_binary *b, const struct deploy_plan *p, struct err *e)
{
	const struct deploy_boot boot = {
		.marker = run->marker, .dir = DEPLOY_STAGING, .size = b->size, .sha = b->sha, .machine = b->machine,
	};
	char *script = deploy_boot_script(&boot);
	int r = script ? 0 : err_set(e, ENOMEM, "no memory");

	if (!r)
		run->talk = remote_talk(run->r, "deploying", script, STALL, e);
	free(script);
	r = r ? r : run->talk ? wait_for(run, &boot, DEPLOY_BOOT_SEND, STALL, e) : -e->code;
	if (!r) {
		r = copy(run, b, e);
		/* A script that takes no more has said why. */
		if (!r || r == -EPIPE)
			r = wait_for(run, &boot, DEPLOY_BOOT_STEPS, 60, e);
	}
	if (!r)
		r = hello(run, b, e);
	if (r)
		return r;
	run->stage = DOING;
	r = do_steps(run, p, e);
	if (!r && run->calls->verify)
		r = run->calls->verify(run->calls->arg, run, e);
	if (r)
		return r;
	run->stage = COMMITTING;
	r = commit(run, e);
	if (r && r != -ECONNRESET && r != -EPIPE && r != -ETIMEDOUT)
		run->stage = DOING;		/* it said no */
	return r;
}

static void sweep(struct deploy_run *run, const char *script)
{
	struct remote_result result = { 0 };

	if (script && !remote_run(run->r, "removing empty directories", script, NULL, 0, 1024, 20, &result, NULL))
		remote_result_free(&result);
}

int deploy_do(struct remote *r, const struct deploy_binary *b, const struct deploy_plan *p,
	      const struct deploy_calls *calls, struct err *e)
{
	struct deploy_run run = { .r = r, .calls = calls };
	uint8_t bytes[16];
	int result;

	if (secure_random(bytes, sizeof(bytes)))
		return err_set(e, EIO, "no random numbers");
	for (size_t i = 0; i < sizeof(bytes); i++)
		sprintf(run.marker + 2 * i, "%02x", bytes[i]);
	result = converse(&run, b, p, e);
	if (result && !run.stale)
		failed(&run, e);
	else
		drain(&run, 30);
	remote_talk_free(run.talk);
	if (!result)
		sweep(&run, p->sweep);
	return result;
}
