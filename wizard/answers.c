/* answers.c - see answers.h.  This reads them. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "answers_impl.h"
#include "opt.h"
#include "secure.h"

#define LINE_MAX_BYTES 199	/* as of a configuration's line */
#define FILE_MAX_BYTES (1 << 20)
#define WORDS_MAX 64

struct reader {
	struct plan *plan;
	struct remarks *remarks;
	int line;
	/* The section that the lines are of. */
	struct conf_place at;
	char kind[CONF_NAME_MAX + 1], name[LINE_MAX_BYTES + 1], namespace[LINE_MAX_BYTES + 1];
	bool skip;		/* its header was wrong */
	int header;		/* its line */
	int keys;		/* that were said of it */
	int removed;		/* the line that removes it; 0: none does */
	/* What was said: "[SECTION of NAMESPACE] key", and where. */
	struct said {
		char *what;
		int line;
	} *said;
	size_t said_count;
	bool has_key;		/* a node key itself */
};

static void mistake(struct reader *r, const char *key, const char *text, const char *hint)
{
	struct remark *m = remarks_add(r->remarks, false, "%s%s", text, hint);

	if (!m)
		return;
	m->of_answers = true;
	m->line = r->line;
	snprintf(m->key, sizeof(m->key), "%s", key);
	if (r->at.kind)
		snprintf(m->section, sizeof(m->section), "%s%s%.90s", r->at.kind, r->at.name ? " " : "", r->at.name ? r->at.name : "");
	err_clean(m->section);
}

static void hint_of(char hint[96], const char *word, const char *const *words)
{
	const char *nearest = opt_nearest(word, words);

	*hint = 0;
	if (nearest)
		snprintf(hint, 96, " (did you mean %s?)", nearest);
}

/* Where it was said before; 0: nowhere, and now it is. */
static int said_before(struct reader *r, const char *key)
{
	struct said *more;
	char *what;

	if (asprintf(&what, "%s %s of %s: %s", r->at.kind, r->at.name ? r->at.name : "", r->at.namespace ? r->at.namespace : "",
		     key) < 0) {
		r->remarks->no_memory = true;
		return 0;
	}
	for (size_t i = 0; i < r->said_count; i++)
		if (strcmp(r->said[i].what, what) == 0) {
			free(what);
			return r->said[i].line;
		}
	more = reallocarray(r->said, r->said_count + 1, sizeof(*more));
	if (!more) {
		free(what);
		r->remarks->no_memory = true;
		return 0;
	}
	r->said = more;
	r->said[r->said_count++] = (struct said){ what, r->line };
	return 0;
}

static void said_again(struct reader *r, const char *key, const char *what, int line)
{
	char number[32];

	snprintf(number, sizeof(number), "%d", line);
	mistake(r, key, what, number);
}

/* Sections. */

static void say_unknown_kind(struct reader *r, const char *kind)
{
	const char *words[WORDS_MAX + 1] = { NULL };
	const struct conf_key_row *rows;
	char hint[96];
	size_t count, n = 0;

	rows = conf_key_table(&count);
	for (size_t i = 0; i < count && n < WORDS_MAX; i++)
		if (rows[i].file == CONF_FILE_CLIENT && (!n || strcmp(words[n - 1], rows[i].section) != 0))
			words[n++] = rows[i].section;
	hint_of(hint, kind, words);
	mistake(r, "", "unknown section", hint);
}

static bool is_kind(const char *kind)
{
	const struct conf_key_row *rows;
	size_t count;

	rows = conf_key_table(&count);
	for (size_t i = 0; i < count; i++)
		if (rows[i].file == CONF_FILE_CLIENT && strcmp(rows[i].section, kind) == 0)
			return true;
	return false;
}

/* "KIND NAME" becomes the section that the next lines are of. */
static bool take_names(struct reader *r, char *inner)
{
	char *name = inner + strcspn(inner, " \t"), *slash;

	if (*name)
		*name++ = 0;
	name += strspn(name, " \t");
	r->at = (struct conf_place){ .kind = NULL };
	if (strlen(inner) > CONF_NAME_MAX || !is_kind(inner)) {
		say_unknown_kind(r, inner);
		return false;
	}
	snprintf(r->kind, sizeof(r->kind), "%s", inner);
	snprintf(r->name, sizeof(r->name), "%s", name);
	slash = strcmp(r->kind, "volume") == 0 ? strchr(r->name, '/') : NULL;
	if (slash)
		*slash = ':';
	if (strcmp(r->kind, "namespace") == 0)
		snprintf(r->namespace, sizeof(r->namespace), "%s", name);
	r->at.kind = r->kind;
	r->at.name = *name ? r->name : NULL;
	if (strcmp(r->kind, "server") != 0)
		return true;
	r->at.namespace = *r->namespace ? r->namespace : NULL;
	if (!r->at.namespace)
		mistake(r, "", "stands above the first [namespace]; a server belongs to the namespace above it", "");
	return r->at.namespace != NULL;
}

static void end_section(struct reader *r)
{
	if (!r->removed)
		return;
	if (r->keys) {
		r->line = r->removed;
		mistake(r, "remove", "stands alone: a section that is gone has no keys", "");
	}
	if (plan_remove(r->plan, &r->at, r->removed))
		r->remarks->no_memory = true;
}

static void take_header(struct reader *r, char *line)
{
	char *end = strchr(line, ']'), *after;
	int before;

	r->header = r->line;
	r->keys = r->removed = 0;
	r->skip = true;
	if (!end) {
		r->at.kind = NULL;
		mistake(r, "", "a section's header ends with ']'", "");
		return;
	}
	after = end + 1 + strspn(end + 1, " \t");
	if (*after && *after != '#' && *after != ';') {
		r->at.kind = NULL;
		mistake(r, "", "nothing but a comment may follow a section's header", "");
		return;
	}
	while (end > line + 1 && strchr(" \t", end[-1]))
		end--;
	*end = 0;
	if (!take_names(r, line + 1 + strspn(line + 1, " \t")))
		return;
	before = said_before(r, "");
	if (before) {
		said_again(r, "", "is the same section as in line ", before);
		return;
	}
	r->skip = false;
	/* An empty [defaults] is no answer. */
	if (r->at.name && plan_add(r->plan, &r->at, r->line))
		r->remarks->no_memory = true;
}

/* Keys. */

static void say_unknown_key(struct reader *r, const char *key)
{
	const char *words[WORDS_MAX + 1] = { NULL }, *elsewhere = NULL;
	const struct conf_key_row *rows;
	char hint[96];
	size_t count, n = 0;

	rows = conf_key_table(&count);
	for (size_t i = 0; i < count && n < WORDS_MAX; i++) {
		if (rows[i].file != CONF_FILE_CLIENT)
			continue;
		if (strcmp(rows[i].section, r->kind) == 0)
			words[n++] = rows[i].name;
		else if (strcmp(rows[i].name, key) == 0)
			elsewhere = rows[i].section;
	}
	hint_of(hint, key, words);
	if (elsewhere)
		snprintf(hint, sizeof(hint), " here; it belongs in [%s]", elsewhere);
	mistake(r, key, "unknown key", hint);
}

static bool is_key(const char *kind, const char *key)
{
	const struct conf_key_row *rows;
	size_t count;

	rows = conf_key_table(&count);
	for (size_t i = 0; i < count; i++)
		if (rows[i].file == CONF_FILE_CLIENT && strcmp(rows[i].section, kind) == 0 && strcmp(rows[i].name, key) == 0)
			return true;
	return false;
}

static void take_remove(struct reader *r, const char *value)
{
	if (strcmp(value, "yes") == 0)
		r->removed = r->line;
	else if (strcmp(value, "no") != 0)
		mistake(r, "remove", "is yes or no", "");
}

static void answer(struct reader *r, const char *key, const char *value)
{
	int before = said_before(r, key);

	if (before) {
		said_again(r, key, "is already set in line ", before);
		return;
	}
	if (strcmp(key, "remove") == 0) {
		take_remove(r, value);
		return;
	}
	if (!is_key(r->kind, key)) {
		say_unknown_key(r, key);
		return;
	}
	r->keys++;
	r->has_key |= strcmp(key, "nodekey") == 0 && *value && !answers_key_is_elsewhere(value);
	if (*value ? plan_set(r->plan, &r->at, key, value, r->line) : plan_unset(r->plan, &r->at, key, r->line))
		r->remarks->no_memory = true;
}

/* A value ends as in a configuration: at its last character, or at a blank and ';'. */
static void end_value(char *value)
{
	size_t n;

	for (char *c = value; *c; c++)
		if (*c == ';' && (c == value || isblank((unsigned char)c[-1]))) {
			*c = 0;
			break;
		}
	for (n = strlen(value); n && isspace((unsigned char)value[n - 1]);)
		value[--n] = 0;
}

static void take_key(struct reader *r, char *line)
{
	char *equals = strchr(line, '='), *value;
	size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	if (!equals) {
		mistake(r, "", "a line here is KEY = VALUE, and this one has no '='", "");
		return;
	}
	if (!n || n >= REMARK_KEY_MAX || line + n + strspn(line + n, " \t") != equals) {
		mistake(r, "", "what stands before '=' is not a key", "");
		return;
	}
	line[n] = 0;
	value = equals + 1 + strspn(equals + 1, " \t");
	end_value(value);
	answer(r, line, value);
}

/* The file. */

static void take_line(struct reader *r, char *line, size_t length)
{
	while (length && isspace((unsigned char)line[length - 1]))
		line[--length] = 0;
	if (memchr(line, 0, length)) {
		mistake(r, "", "a NUL byte; this is not a text file", "");
		return;
	}
	length -= strspn(line, " \t");
	line += strspn(line, " \t");
	if (!*line || *line == '#' || *line == ';')
		return;
	if (length > LINE_MAX_BYTES) {
		mistake(r, "", "the line is longer than 199 bytes", "");
	} else if (*line == '[') {
		end_section(r);
		take_header(r, line);
	} else if (!r->header) {
		mistake(r, "", "a line before the first section", "");
	} else if (!r->skip) {
		take_key(r, line);
	}
}

static void take_text(struct reader *r, char *text, size_t size)
{
	char *at = text, *end = text + size, *newline;

	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		at += 3;
	for (; at < end; at = newline + 1) {
		newline = memchr(at, '\n', (size_t)(end - at));
		if (!newline)
			newline = end;
		*newline = 0;
		r->line++;
		take_line(r, at, (size_t)(newline - at));
	}
	end_section(r);
}

static int load(int fd, const char *path, char *text, size_t *size, struct err *e)
{
	for (*size = 0; *size <= FILE_MAX_BYTES;) {
		ssize_t n = read(fd, text + *size, FILE_MAX_BYTES + 1 - *size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "cannot read %s", path);
		if (n == 0)
			return 0;
		*size += (size_t)n;
	}
	return err_set(e, EFBIG, "%s is larger than %d KiB: it is no answers file", path, FILE_MAX_BYTES / 1024);
}

/* As for a configuration: a node key is nobody else's. */
static void check_mode(struct reader *r, int fd)
{
	struct stat st;
	char text[120];

	if (!r->has_key || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return;
	if (!(st.st_mode & S_IROTH) && (!(st.st_mode & S_IRGRP) || st.st_gid == getegid()))
		return;
	snprintf(text, sizeof(text), "has a node key in it and can be read by others (mode %04o); chmod 600 mends it",
		 (unsigned)(st.st_mode & 07777));
	r->line = 0;
	r->at.kind = NULL;
	mistake(r, "", text, "");
}

int answers_read(struct plan *p, const char *path, struct remarks *remarks, struct err *e)
{
	struct reader r = { .plan = p, .remarks = remarks };
	bool standard = strcmp(path, ANSWERS_STDIN) == 0;
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), ret;
	char *text;
	size_t size = 0;

	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	text = secure_alloc(FILE_MAX_BYTES + 2);
	ret = text ? load(fd, path, text, &size, e) : err_set(e, ENOMEM, "no memory");
	if (!ret) {
		take_text(&r, text, size);
		check_mode(&r, fd);
	}
	secure_free(text);
	for (size_t i = 0; i < r.said_count; i++)
		free(r.said[i].what);
	free(r.said);
	if (!standard)
		close(fd);
	return ret;
}
