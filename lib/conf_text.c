/* conf_text.c - a configuration as a text: its lines, sections and values, and where they stand. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "secure.h"
#include "conf_write_impl.h"

static const char blanks[] = " \t\v\f\r";

static bool is_blank(char c)
{
	return c && strchr(blanks, c);
}

/* Lines. */

void conf_walk_bytes(struct conf_walk *w, enum conf_file file, const char *text, size_t size)
{
	memset(w, 0, sizeof(*w));
	w->text = text;
	w->size = size;
	w->file = file;
	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		w->to = 3;
}

void conf_walk_begin(struct conf_walk *w, const struct conf_text *t)
{
	conf_walk_bytes(w, t->file, t->text, t->size);
}

/* "KIND" or "KIND NAME"; what is longer than a header may be is none. */
static void take_header(struct conf_walk *w)
{
	const char *from = w->text + w->start + 1, *last = w->text + w->end;
	const char *end = memchr(from, ']', (size_t)(last - from)), *word;
	size_t n;

	w->section++;
	w->kind[0] = w->name[0] = 0;
	while (from < last && is_blank(*from))
		from++;
	if (!end || end - from > CONF_HEADER_MAX)
		return;
	while (end > from && is_blank(end[-1]))
		end--;
	for (word = from; word < end && !is_blank(*word);)
		word++;
	n = (size_t)(word - from);
	if (n >= sizeof(w->kind))
		return;
	memcpy(w->kind, from, n);
	w->kind[n] = 0;
	while (word < end && is_blank(*word))
		word++;
	memcpy(w->name, word, (size_t)(end - word));
	w->name[end - word] = 0;
	if (w->file != CONF_FILE_CLIENT)
		return;
	if (strcmp(w->kind, "volume") == 0 && w->name[strcspn(w->name, ":/")])
		w->name[strcspn(w->name, ":/")] = ':';
	if (strcmp(w->kind, "namespace") == 0)
		memcpy(w->namespace, w->name, sizeof(w->namespace));
}

bool conf_walk_next(struct conf_walk *w)
{
	const char *newline;

	w->from = w->to;
	if (w->from >= w->size)
		return false;
	newline = memchr(w->text + w->from, '\n', w->size - w->from);
	w->end = newline ? (size_t)(newline - w->text) : w->size;
	w->to = newline ? w->end + 1 : w->end;
	w->start = w->from;
	while (w->start < w->end && (w->text[w->start] == ' ' || w->text[w->start] == '\t'))
		w->start++;
	while (w->end > w->start && is_blank(w->text[w->end - 1]))
		w->end--;
	if (w->start == w->end) {
		w->line = CONF_LINE_BLANK;
	} else if (w->text[w->start] == '#' || w->text[w->start] == ';') {
		w->line = CONF_LINE_COMMENT;
	} else if (w->text[w->start] == '[') {
		w->line = CONF_LINE_HEADER;
		take_header(w);
	} else {
		w->line = CONF_LINE_ENTRY;
	}
	return true;
}

bool conf_walk_is_at(const struct conf_walk *w, const struct conf_place *at)
{
	return w->section && strcmp(w->kind, at->kind) == 0 && strcmp(w->name, at->name ? at->name : "") == 0 &&
	       (!at->namespace || strcmp(w->namespace, at->namespace) == 0);
}

void conf_walk_parts(const struct conf_walk *w, struct conf_parts *p)
{
	const char *t = w->text;
	bool list = strcmp(w->kind, "clients") == 0;
	size_t i = w->start;

	while (i < w->end && !is_blank(t[i]) && (list || t[i] != '='))
		i++;
	p->word_end = i;
	while (i < w->end && is_blank(t[i]))
		i++;
	p->equals = !list && i < w->end && t[i] == '=' ? i++ : 0;
	p->value = i;
	/* A ';' behind a blank begins a comment, but a key has none behind it. */
	while (i < w->end && (list || t[i] != ';' || i == p->value || !is_blank(t[i - 1])))
		i++;
	p->value_end = i;
	while (p->value < p->value_end && is_blank(t[p->value]))
		p->value++;
	while (p->value_end > p->value && is_blank(t[p->value_end - 1]))
		p->value_end--;
}

bool conf_walk_is(const struct conf_walk *w, const struct conf_parts *p, const char *word)
{
	size_t n = strlen(word);

	return p->word_end - w->start == n && memcmp(w->text + w->start, word, n) == 0;
}

void conf_span_of(const struct conf_text *t, unsigned section, struct conf_span *s)
{
	struct conf_walk w;
	bool attached = false;

	memset(s, 0, sizeof(*s));
	conf_walk_begin(&w, t);
	while (conf_walk_next(&w) && w.section <= section) {
		if (w.section < section)
			continue;
		if (w.line == CONF_LINE_HEADER)
			s->from = w.from;
		if (w.line == CONF_LINE_HEADER || w.line == CONF_LINE_ENTRY) {
			s->last = s->to = w.to;
			attached = true;
		} else if (w.line == CONF_LINE_BLANK && attached) {
			s->to = w.from;
			attached = false;
		}
	}
	/* Comments up to the end of the text; up to the next header they are that one's. */
	if (attached && w.from >= w.size)
		s->to = w.size;
}

bool conf_find_section(const struct conf_text *t, const struct conf_place *at, struct conf_span *s)
{
	struct conf_walk w;

	conf_walk_begin(&w, t);
	while (conf_walk_next(&w)) {
		if (w.line != CONF_LINE_HEADER || !conf_walk_is_at(&w, at))
			continue;
		conf_span_of(t, w.section, s);
		return true;
	}
	return false;
}

/* What is there. */

bool conf_text_has(const struct conf_text *t, const struct conf_place *at)
{
	struct conf_span s;

	return conf_find_section(t, at, &s);
}

int conf_text_get(const struct conf_text *t, const struct conf_place *at, const char *key, char *buf, size_t size)
{
	struct conf_walk w;
	struct conf_parts p;

	conf_walk_begin(&w, t);
	while (conf_walk_next(&w)) {
		if (w.line != CONF_LINE_ENTRY || !conf_walk_is_at(&w, at))
			continue;
		conf_walk_parts(&w, &p);
		if (!p.equals || !conf_walk_is(&w, &p, key))
			continue;
		if (p.value_end - p.value >= size)
			return -ENOSPC;
		memcpy(buf, w.text + p.value, p.value_end - p.value);
		buf[p.value_end - p.value] = 0;
		return (int)(p.value_end - p.value);
	}
	return -ENOENT;
}

bool conf_text_section(const struct conf_text *t, const char *kind, size_t i, char name[2 * CONF_NAME_MAX + 2],
		       char namespace[CONF_NAME_MAX + 1])
{
	struct conf_walk w;

	conf_walk_begin(&w, t);
	while (conf_walk_next(&w)) {
		if (w.line != CONF_LINE_HEADER || strcmp(w.kind, kind) != 0 || i--)
			continue;
		snprintf(name, 2 * CONF_NAME_MAX + 2, "%.*s", 2 * CONF_NAME_MAX + 1, w.name);
		if (namespace)
			snprintf(namespace, CONF_NAME_MAX + 1, "%.*s", CONF_NAME_MAX,
				 strcmp(kind, "server") == 0 ? w.namespace : "");
		return true;
	}
	return false;
}

unsigned conf_text_client_keys(const struct conf_text *t, const char *name)
{
	static const struct conf_place clients = { .kind = "clients" };
	struct conf_walk w;
	struct conf_parts p;
	unsigned count = 0;

	conf_walk_begin(&w, t);
	while (conf_walk_next(&w)) {
		if (w.line != CONF_LINE_ENTRY || !conf_walk_is_at(&w, &clients))
			continue;
		conf_walk_parts(&w, &p);
		count += conf_walk_is(&w, &p, name);
	}
	return count;
}

/* The text itself. */

const char *conf_text_bytes(const struct conf_text *t, size_t *size)
{
	*size = t->size;
	return t->text;
}

const char *conf_text_path(const struct conf_text *t)
{
	return t->path;
}

bool conf_text_is_new(const struct conf_text *t)
{
	return t->is_new;
}

bool conf_text_changed(const struct conf_text *t)
{
	return t->size != t->before_size || memcmp(t->text, t->before, t->size) != 0;
}

int conf_text_begin_anew(struct conf_text *t, struct err *e)
{
	char *text = secure_alloc(t->before_size + 1);

	if (!text)
		return err_set(e, ENOMEM, "no memory");
	memcpy(text, t->before, t->before_size);
	secure_free(t->text);
	t->text = text;
	t->size = t->before_size;
	return 0;
}

void conf_text_keep_unknown(struct conf_text *t)
{
	t->keep_unknown = true;
}

struct conf_client *conf_text_read_client(const struct conf_text *t, struct conf_report *report)
{
	return (t->keep_unknown ? conf_client_parse_kept : conf_client_parse)(t->path, t->text, t->size, report);
}

struct conf_text *conf_text_of(enum conf_file file, const char *path, const char *bytes, size_t size, struct err *e)
{
	struct conf_text *t;

	if (size > CONF_FILE_MAX || memchr(bytes, 0, size)) {
		err_set(e, EINVAL, "%s is not a configuration file", path);
		return NULL;
	}
	t = calloc(1, sizeof(*t));
	if (t) {
		t->file = file;
		t->path = strdup(path);
		t->before = secure_alloc(size + 1);
		t->text = secure_alloc(size + 1);
	}
	if (!t || !t->path || !t->before || !t->text) {
		conf_text_free(t);
		err_set(e, ENOMEM, "no memory");
		return NULL;
	}
	memcpy(t->before, bytes, size);
	memcpy(t->text, bytes, size);
	t->before_size = t->size = size;
	return t;
}

void conf_text_free(struct conf_text *t)
{
	if (!t)
		return;
	secure_free(t->before);
	secure_free(t->text);
	free(t->path);
	free(t->real);
	free(t);
}

static void first_mistake(const struct conf_report *r, struct err *e)
{
	size_t i = 0;

	while (i < r->count && strstr(r->lines[i], " warning: "))
		i++;
	err_set(e, EINVAL, "%s", i < r->count ? r->lines[i] : "no memory");
}

int conf_text_check(const struct conf_text *t, struct conf_report *report, struct err *e)
{
	struct conf_report own;
	bool good;

	if (!report)
		report = &own;
	if (t->file == CONF_FILE_SERVER) {
		struct conf_server *c = conf_server_parse(t->path, t->text, t->size, report);

		good = c != NULL;
		conf_server_free(c);
	} else {
		struct conf_client *c = conf_text_read_client(t, report);

		good = c != NULL;
		conf_client_free(c);
	}
	if (!good)
		first_mistake(report, e);
	if (report == &own)
		conf_report_free(&own);
	return good ? 0 : -EINVAL;
}
