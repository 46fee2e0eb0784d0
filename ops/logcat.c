/*
 * logcat.c - prints a daemon's ring, and follows it.
 *
 * The ring is a mapped file, whose changes inotify does not tell; following
 * looks every 100 ms.  It needs no daemon: the log of one that crashed is read
 * as well.
 */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "log.h"
#include "logcat.h"
#include "opt.h"

#define TICK_MS 100

struct options {
	bool follow, json, audit;
	int lines;		/* the last so many; -1: all */
	const char *run_dir;
};

struct printer {
	const struct logcat *logcat;
	struct options options;
	char *path;
	struct log_reader *reader;
	char *all;		/* what is there at the start */
	size_t size;
};

static const struct opt table[] = {
	{ 'f', "follow", OPT_FLAG, NULL, offsetof(struct options, follow),
	  "go on with what is logged from now on", 0, 0 },
	{ 'n', "lines", OPT_INT, "N", offsetof(struct options, lines),
	  "begin with the last N lines, not with all", 0, INT_MAX },
	{ 'j', "json", OPT_FLAG, NULL, offsetof(struct options, json),
	  "print a JSON object a line", 0, 0 },
	{ 0, "run-dir", OPT_STRING, "DIR", offsetof(struct options, run_dir),
	  "where the daemon keeps its log", 0, 0 },
	{ 0, "audit", OPT_FLAG, NULL, offsetof(struct options, audit),
	  "only who did what: logins, opened volumes, changes", 0, 0 },
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};
#define WITHOUT_AUDIT (sizeof(table) / sizeof(table[0]) - 2)

/* Takes the text up to the mark off *rest; NULL when it has none. */
static json_t *take(const char **rest, const char *mark)
{
	const char *from = *rest, *end = strstr(from, mark);

	if (!end)
		return NULL;
	*rest = end + strlen(mark);
	return json_stringn(from, (size_t)(end - from));
}

/* "2010_09_14-15:02:32" as ISO 8601. */
static json_t *iso_time(const json_t *stamp)
{
	int y, mo, d, h, mi, s, end = 0;
	char text[80];

	if (!stamp || sscanf(json_string_value(stamp), "%4d_%2d_%2d-%2d:%2d:%2d%n",
			     &y, &mo, &d, &h, &mi, &s, &end) != 6 ||
	    json_string_value(stamp)[end])
		return NULL;
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02dZ", y, mo, d, h, mi, s);
	return json_string(text);
}

/* A line as an object.  One that is not of this shape is all text, with nulls
 * in the other places. */
json_t *logcat_line(const char *line)
{
	const char *rest = line;
	json_t *node = take(&rest, "@rsio "), *stamp = node ? take(&rest, " (GMT) ") : NULL;
	json_t *level = stamp ? take(&rest, " (") : NULL, *part = level ? take(&rest, "): ") : NULL;
	json_t *time = part ? iso_time(stamp) : NULL, *object;

	object = json_pack("{s:O?, s:O?, s:O?, s:O?, s:s}", "time", time, "node", time ? node : NULL,
			   "level", time ? level : NULL, "part", time ? part : NULL,
			   "text", time ? rest : line);
	json_decref(node);
	json_decref(stamp);
	json_decref(level);
	json_decref(part);
	json_decref(time);
	return object;
}

static void print_object(json_t *object)
{
	if (object)
		json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

/* Whole lines; text is writable and has room for a 0 behind it. */
static void print_lines(const struct printer *p, char *text, size_t size)
{
	char *end;

	if (!p->options.json) {
		fwrite(text, 1, size, stdout);
		return;
	}
	text[size] = 0;
	for (; (end = strchr(text, '\n')); text = end + 1) {
		*end = 0;
		print_object(logcat_line(text));
	}
}

/* "… (GMT) LEVEL (audit): …": the place counts, as the text may say anything. */
bool logcat_is_audit(const char *line, const char *end)
{
	const char *at = memmem(line, (size_t)(end - line), " (GMT) ", 7);

	at = at ? memchr(at + 7, ' ', (size_t)(end - at - 7)) : NULL;
	return at && end - at > 10 && memcmp(at, " (audit): ", 10) == 0;
}

/* Leaves what is asked for of whole lines; how many bytes that is. */
static size_t choose_lines(const struct printer *p, char *text, size_t size)
{
	char *to = text, *end;

	if (!p->options.audit)
		return size;
	for (char *line = text; line < text + size; line = end) {
		end = memchr(line, '\n', (size_t)(text + size - line));
		end = end ? end + 1 : text + size;
		if (!logcat_is_audit(line, end))
			continue;
		memmove(to, line, (size_t)(end - line));
		to += end - line;
	}
	return (size_t)(to - text);
}

static void print_loss(const struct printer *p, uint64_t lost)
{
	if (p->options.json)
		print_object(json_pack("{s:I}", "lost", (json_int_t)lost));
	else
		fprintf(stderr, "%s: %llu bytes were overwritten before they could be read\n",
			p->logcat->name, (unsigned long long)lost);
}

static int read_all(struct printer *p)
{
	int ret = log_reader_all(p->reader, &p->all, &p->size);

	if (!ret)
		p->size = choose_lines(p, p->all, p->size);
	return ret;
}

static void print_last(const struct printer *p)
{
	char *from = log_last_lines(p->all, p->size, p->options.lines);

	print_lines(p, from, (size_t)(p->all + p->size - from));
}

/* Does anybody still read what we print?  Waits a tick for the answer. */
static bool reader_left(void)
{
	struct pollfd fd = { STDOUT_FILENO, 0, 0 };

	return poll(&fd, 1, TICK_MS) > 0 && (fd.revents & POLLERR);
}

static int follow(struct printer *p)
{
	uint64_t lost;
	ptrdiff_t n;

	for (;;) {
		n = log_reader_next(p->reader, p->all, LOG_READER_CHUNK, &lost);
		if (n < 0)
			return (int)n;
		if (lost)
			print_loss(p, lost);
		print_lines(p, p->all, choose_lines(p, p->all, (size_t)n));
		if (fflush(stdout))
			return -errno;
		if (n == 0 && reader_left())
			return 0;
	}
}

static int run(struct printer *p, struct err *e)
{
	int ret;

	p->reader = log_reader_open(p->path, e);
	if (!p->reader)
		return -e->code;
	ret = read_all(p);
	if (ret)
		return err_sys(e, -ret, "cannot read the log %s", p->path);
	print_last(p);
	if (fflush(stdout))
		return err_sys(e, errno, "cannot write to standard output");
	ret = p->options.follow ? follow(p) : 0;
	return ret ? err_sys(e, -ret, "cannot follow the log %s", p->path) : 0;
}

int logcat_main(const struct logcat *l, int argc, char **argv)
{
	struct opt own[sizeof(table) / sizeof(table[0])];
	const struct opt_program program = {
		.name = l->name,
		.synopsis = l->audit ? "[-f] [-n N] [--audit] [--json] [--run-dir DIR]" : "[-f] [-n N] [--json] [--run-dir DIR]",
		.about = l->about,
		.table = own,
		.page = l->page,
	};
	struct printer p = { .logcat = l, .options = { .lines = -1 } };
	char file[32], *dir;
	struct err e;
	int first, ret;

	memcpy(own, table, sizeof(own));
	if (!l->audit)
		own[WITHOUT_AUDIT] = own[WITHOUT_AUDIT + 1];
	opt_parse(&program, &p.options, argc, argv, &first);
	snprintf(file, sizeof(file), "%s.log", l->daemon);
	dir = opt_run_dir_of(p.options.run_dir, file);
	if (asprintf(&p.path, "%s/%s", dir, file) < 0)
		abort();
	ret = run(&p, &e);
	if (ret)
		err_print(l->name, &e);
	log_reader_close(p.reader);
	free(p.all);
	free(p.path);
	free(dir);
	return ret ? 1 : 0;
}
