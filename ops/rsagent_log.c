/*
 * rsagent_log.c - rsagent log: the servers' logs, and what comes.
 *
 * The host's own rssrv prints it (rssrv --log): it knows how to read a ring that is written
 * at the same time, and what follows it there waits there.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "logcat.h"
#include "rsagent_server.h"

#define LINE_MAX_BYTES 65536
#define BATCH (64u << 10)
#define LINES 20

struct options {
	struct rsagent_remote remote;
	const char *run_dir;
	bool follow, audit, all, json;
	int lines;
};

static const struct opt table[] = {
	{ 'f', "follow", OPT_FLAG, NULL, offsetof(struct options, follow),
	  "go on with what is logged from now on", 0, 0 },
	{ 'n', "lines", OPT_INT, "N", offsetof(struct options, lines),
	  "begin with the last N lines (20)", 1, INT_MAX },
	{ 'a', "all", OPT_FLAG, NULL, offsetof(struct options, all),
	  "begin with all that there is", 0, 0 },
	{ 0, "audit", OPT_FLAG, NULL, offsetof(struct options, audit),
	  "only who did what: logins, opened volumes, changes", 0, 0 },
	RSAGENT_REMOTE_OPTIONS(struct options),
	RSAGENT_RUN_DIR_OPTION(struct options),
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

/* Lines on their way to the parent. */
struct batch {
	char *text;
	size_t size, room;
};

static void flush_batch(struct rsagent_task *t, struct batch *b)
{
	if (b->size)
		rsagent_output(t, b->text);
	b->size = 0;
}

static int add_line(struct batch *b, const char *line)
{
	size_t n = strlen(line), need = b->size + n + 2;

	if (need > b->room) {
		size_t room = 2 * need + BATCH;
		char *more = realloc(b->text, room);

		if (!more)
			return -ENOMEM;
		b->text = more;
		b->room = room;
	}
	memcpy(b->text + b->size, line, n);
	b->size += n;
	b->text[b->size++] = '\n';
	b->text[b->size] = 0;
	return 0;
}

static int add_json(struct rsagent_task *t, struct batch *b, char *line)
{
	json_t *object;
	char *text;
	int r;

	err_clean(line);
	object = logcat_line(line);
	json_object_set_new(object, "host", json_string(t->host->name));
	text = json_dumps(object, JSON_COMPACT);
	r = text ? add_line(b, text) : -ENOMEM;
	free(text);
	json_decref(object);
	return r;
}

/* Waits for more; 0, or the reason why there is none.  EPIPE: that was all. */
static int wait_more(struct remote *r, struct err *e)
{
	struct pollfd fd = { remote_fd(r), POLLIN, 0 };

	return poll(&fd, 1, 1000) == 0 ? remote_alive(r, e) : 0;
}

static int pass(struct rsagent_task *t, struct remote *r, struct remote_talk *talk, struct err *e)
{
	const struct options *o = t->arg;
	struct batch b = { NULL, 0, 0 };
	char *line;
	int ret;

	do {
		ret = remote_talk_poll(talk, &line, LINE_MAX_BYTES, e);
		if (!ret && (!line || b.size > BATCH))
			flush_batch(t, &b);
		if (!ret && !line)
			ret = wait_more(r, e);
		else if (!ret && (!o->audit || logcat_is_audit(line, line + strlen(line))))
			ret = o->json ? add_json(t, &b, line) : add_line(&b, line);
	} while (!ret);
	flush_batch(t, &b);
	free(b.text);
	if (ret == -EPIPE && remote_talk_status(talk) == 0)
		return 0;
	return ret;
}

static int show_log(struct rsagent_task *t, struct err *e)
{
	const struct options *o = t->arg;
	struct remote *r = rsagent_login(t, RSAGENT_USER, e);
	struct remote_talk *talk;
	char lines[16], *script;
	int ret;

	if (!r)
		return -e->code;
	/* The lines of the audit are few among the others: which are the last is seen here only. */
	snprintf(lines, sizeof(lines), "%d", o->all || (o->audit && !o->lines) ? INT_MAX : o->lines ? o->lines : LINES);
	script = rsagent_server_script(o->run_dir, "--log", "--lines", lines, o->follow ? "--follow" : NULL, NULL);
	talk = script ? remote_talk(r, "rssrv --log", script, 20, e) : NULL;
	ret = talk ? pass(t, r, talk, e) : -e->code;
	if (ret && talk && remote_talk_status(talk) > 0)
		rsagent_script_error(remote_talk_stderr(talk), remote_talk_status(talk), e);
	remote_talk_free(talk);
	free(script);
	remote_close(r);
	return ret;
}

/* All was shown. */
static void show_nothing(const struct rsagent_outcome *all, size_t count)
{
	(void)all;
	(void)count;
}

static int run(void *options, int count, char **words, struct err *e)
{
	struct options *o = options;
	struct rsagent_many m = {
		.run = show_log, .show = show_nothing, .arg = o, .endless = o->follow, .bare = o->remote.json,
	};

	o->json = o->remote.json;	/* an object a line, not one at the end */
	o->remote.json = false;
	o->remote.quiet = true;
	return rsagent_on_hosts(&m, &o->remote, count, words, e);
}

const struct rsagent_command rsagent_log = {
	.program = {
		.name = "rsagent log",
		.synopsis = "[-f] [-n N | --all] [--audit] [options] HOST...",
		.about = "Shows the logs of the servers on these hosts.",
		.table = table,
		.operands = "HOST",
		.page = "rsagent(8)",
	},
	.summary = "their logs",
	.size = sizeof(struct options),
	.run = run,
};
