/*
 * conf_write.c - a configuration's sections and keys, edited in place.
 *
 * An edit finds the bytes that it is about and replaces them, or puts whole lines between others.
 * A line that is put looks like those beside it: their indentation, their column of '=',
 * their newlines.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "secure.h"
#include "conf_write_impl.h"

#define INDENT_MAX 40		/* what is more is no style */
#define ROOM (CONF_LINE_MAX + 4 * INDENT_MAX + 4)

/* Bytes. */

int conf_splice(struct conf_text *t, size_t from, size_t to, const char *bytes, size_t size, struct err *e)
{
	size_t all = t->size - (to - from) + size;
	char *text = all > CONF_FILE_MAX ? NULL : secure_alloc(all + 1);

	if (!text)
		return all > CONF_FILE_MAX ? err_set(e, EFBIG, "%s would be larger than %d KiB", t->path, CONF_FILE_MAX / 1024) :
					     err_set(e, ENOMEM, "no memory");
	memcpy(text, t->text, from);
	memcpy(text + from, bytes, size);
	memcpy(text + from + size, t->text + to, t->size - to);
	secure_free(t->text);
	t->text = text;
	t->size = all;
	return 0;
}

const char *conf_newline(const struct conf_text *t, size_t at)
{
	const char *before = at ? memrchr(t->text, '\n', at) : NULL;

	if (!before)
		before = memchr(t->text, '\n', t->size);
	return before && before > t->text && before[-1] == '\r' ? "\r\n" : "\n";
}

int conf_put_lines(struct conf_text *t, size_t at, const char *lines, struct err *e)
{
	const char *newline = conf_newline(t, at);
	size_t room = 2 * (strlen(lines) + 2), n = 0;
	char *out = secure_alloc(room);
	int r;

	if (!out)
		return err_set(e, ENOMEM, "no memory");
	if (at && t->text[at - 1] != '\n' && !(at == 3 && memcmp(t->text, "\xef\xbb\xbf", 3) == 0))
		n += (size_t)sprintf(out, "%s", newline);
	for (; *lines; lines++) {
		if (*lines == '\n')
			n += (size_t)sprintf(out + n, "%s", newline);
		else
			out[n++] = *lines;
	}
	r = conf_splice(t, at, at, out, n, e);
	secure_free(out);
	return r;
}

/* An edit in several steps. */

int conf_keep(const struct conf_text *t, struct conf_kept *k, struct err *e)
{
	k->text = secure_alloc(t->size + 1);
	if (!k->text)
		return err_set(e, ENOMEM, "no memory");
	k->size = t->size;
	memcpy(k->text, t->text, t->size);
	return 0;
}

int conf_keep_end(struct conf_text *t, struct conf_kept *k, int r)
{
	if (r) {
		secure_free(t->text);
		t->text = k->text;
		t->size = k->size;
	} else {
		secure_free(k->text);
	}
	return r;
}

int conf_value_fits(const char *value, struct err *e)
{
	size_t n = strlen(value);

	if (!n || isspace((unsigned char)value[0]) || isspace((unsigned char)value[n - 1]) || value[0] == ';')
		return err_set(e, EINVAL, "a value is not empty and does not begin or end with a blank, or begin with ';'");
	for (size_t i = 0; i < n; i++)
		if ((iscntrl((unsigned char)value[i]) && value[i] != '\t') || (value[i] == ';' && isspace((unsigned char)value[i - 1])))
			return err_set(e, EINVAL, "a value has no control characters and no ';' behind a blank");
	return 0;
}

/* What may be written. */

static int check_place(const struct conf_text *t, const struct conf_place *at, struct err *e)
{
	const struct conf_section_row *row = conf_section_find(t->file, at->kind);
	char namespace[CONF_NAME_MAX + 1], volume[CONF_VOLUME_MAX + 1];

	if (!row)
		return err_set(e, EINVAL, "there is no kind of section '%.40s'", at->kind);
	if ((row->naming == CONF_UNNAMED) != !at->name)
		return err_set(e, EINVAL, "[%s] takes %s name", at->kind, at->name ? "no" : "a");
	if (row->naming == CONF_NAMED && !conf_name_valid(at->name))
		return err_set(e, EINVAL, "'%.60s' is not a name: 1..%d of A-Z a-z 0-9 . _ -, no leading . or -", at->name,
			       CONF_NAME_MAX);
	if (row->naming == CONF_NAMED_VOLUME && (conf_split_volume(at->name, namespace, volume, e) || !strchr(at->name, ':')))
		return err_set(e, EINVAL, "'%.90s' is not a volume: NAMESPACE:VOLUME", at->name);
	return 0;
}

static int check_key(const struct conf_text *t, const struct conf_place *at, const char *key, struct err *e)
{
	char hint[80] = "";

	if (strcmp(at->kind, "clients") != 0 && conf_key_find(conf_section_find(t->file, at->kind), key, hint, sizeof(hint)))
		return 0;
	return err_set(e, EINVAL, "[%s] has no key '%.60s'%s", at->kind, key, hint);
}

/* Lines as those beside them. */

struct style {
	char indent[INDENT_MAX + 1], gap[INDENT_MAX + 1], behind[INDENT_MAX + 1];	/* gap: in front of '=' */
	size_t column;		/* of '=', from the key on; 0: the gap is always the same */
	int worth;		/* where it is from */
};

static bool take(char to[INDENT_MAX + 1], const char *from, size_t n)
{
	if (n > INDENT_MAX)
		return false;
	memcpy(to, from, n);
	to[n] = 0;
	return true;
}

static void take_style(struct style *s, const struct conf_walk *w, const struct conf_parts *p, int worth)
{
	struct style new = { .worth = worth };

	if (!take(new.indent, w->text + w->from, w->start - w->from) ||
	    !take(new.gap, w->text + p->word_end, p->equals - p->word_end) ||
	    !take(new.behind, w->text + p->equals + 1, p->value - p->equals - 1))
		return;
	if (*new.gap && !strpbrk(new.gap, "\t\v\f\r"))
		new.column = p->equals - w->start;
	*s = new;
}

/* Of the section's last entry; of another's of its kind; of any. */
static void find_style(const struct conf_text *t, const struct conf_place *at, struct style *s)
{
	struct conf_walk w;
	struct conf_parts p;

	*s = (struct style){ .gap = " ", .behind = " " };
	conf_walk_begin(&w, t);
	while (conf_walk_next(&w)) {
		int worth = conf_walk_is_at(&w, at) ? 3 : strcmp(w.kind, at->kind) == 0 ? 2 : 1;

		if (w.line != CONF_LINE_ENTRY || worth < s->worth)
			continue;
		conf_walk_parts(&w, &p);
		if (p.equals)
			take_style(s, &w, &p, worth);
	}
}

static int make_line(const struct conf_text *t, const struct conf_place *at, const char *key, const char *value,
		     char line[ROOM], struct err *e)
{
	size_t n = strlen(key), pad = 0;
	struct style s;
	int r = 0;

	find_style(t, at, &s);
	if (s.column)
		pad = s.column > n && s.column - n <= INDENT_MAX ? s.column - n : 1;
	if (n + strlen(value) < CONF_LINE_MAX)
		r = snprintf(line, ROOM, "%s%s%*s%s=%s%s\n", s.indent, key, (int)pad, "", pad ? "" : s.gap, s.behind, value);
	if (!r || (size_t)r - strlen(s.indent) - 1 > CONF_LINE_MAX)
		return err_set(e, EINVAL, "%s: a line has at most %d bytes", key, CONF_LINE_MAX);
	return 0;
}

/* Sections. */

static bool of_group(const struct conf_walk *w, const struct conf_text *t, const struct conf_place *at)
{
	bool client = t->file == CONF_FILE_CLIENT, server = strcmp(w->kind, "server") == 0;

	if (client && strcmp(at->kind, "server") == 0)
		return (server || strcmp(w->kind, "namespace") == 0) && strcmp(w->namespace, at->namespace) == 0;
	if (client && strcmp(at->kind, "namespace") == 0 && server)
		return true;
	return strcmp(w->kind, at->kind) == 0;
}

/* Behind the last section that it belongs to or that is of its kind; else at the end. */
static size_t place_for(const struct conf_text *t, const struct conf_place *at)
{
	struct conf_walk w;
	struct conf_span s;
	unsigned last = 0;

	conf_walk_begin(&w, t);
	while (conf_walk_next(&w))
		if (w.line == CONF_LINE_HEADER && of_group(&w, t, at))
			last = w.section;
	if (!last)
		return t->size;
	conf_span_of(t, last, &s);
	return s.to;
}

static bool blank_line_ends_at(const struct conf_text *t, size_t at)
{
	struct conf_walk w;
	bool blank = true;

	conf_walk_begin(&w, t);
	if (at == w.to)
		return true;
	while (conf_walk_next(&w) && w.to <= at)
		blank = w.line == CONF_LINE_BLANK;
	return blank;
}

/* The section, with one line in it, or none. */
static int add_section(struct conf_text *t, const struct conf_place *at, const char *line, struct err *e)
{
	struct conf_place namespace = { "namespace", at->namespace, NULL };
	char text[CONF_HEADER_MAX + ROOM + 8];
	size_t where;
	int r;

	if (t->file == CONF_FILE_CLIENT && strcmp(at->kind, "server") == 0 && (!at->namespace || !conf_text_has(t, &namespace)))
		return err_set(e, ENOENT, "%s: there is no [namespace %s] for [server %s]", t->path,
			       at->namespace ? at->namespace : "?", at->name);
	where = place_for(t, at);
	r = snprintf(text, sizeof(text), "%s[%s%s%s]\n%s", blank_line_ends_at(t, where) ? "" : "\n", at->kind,
		     at->name ? " " : "", at->name ? at->name : "", line);
	if (where < t->size && !strchr("\r\n", t->text[where]))
		text[r++] = '\n';
	text[r] = 0;
	r = conf_put_lines(t, where, text, e);
	secure_wipe(text, sizeof(text));
	return r;
}

int conf_text_add(struct conf_text *t, const struct conf_place *at, struct err *e)
{
	int r = check_place(t, at, e);

	return r || conf_text_has(t, at) ? r : add_section(t, at, "", e);
}

/* Takes the lines out, and does not leave two blank lines where there was one on each side. */
static int cut_lines(struct conf_text *t, size_t from, size_t to, struct err *e)
{
	struct conf_walk w;
	size_t blank = from;

	conf_walk_begin(&w, t);
	while (conf_walk_next(&w)) {
		if (w.to <= from)
			blank = w.line != CONF_LINE_BLANK ? w.to : blank > w.from ? w.from : blank;
		else if (w.from >= to && w.line == CONF_LINE_BLANK && blank_line_ends_at(t, from))
			to = w.to;
		else if (w.from >= to)
			break;
	}
	/* Nothing is left below it that the blank lines above would set it off from. */
	if (to == t->size)
		from = blank;
	return conf_splice(t, from, to, "", 0, e);
}

/* Of the client's namespace, what goes with it. */
static bool goes_with(const struct conf_walk *w, const char *namespace)
{
	size_t n = strlen(namespace);

	if (w->line != CONF_LINE_HEADER)
		return false;
	if (strcmp(w->kind, "server") == 0)
		return strcmp(w->namespace, namespace) == 0;
	return strcmp(w->kind, "volume") == 0 && strncmp(w->name, namespace, n) == 0 && w->name[n] == ':';
}

static int remove_parts(struct conf_text *t, const char *namespace, struct err *e)
{
	struct conf_walk w;
	struct conf_span s;
	int r;

	conf_walk_begin(&w, t);
	while (conf_walk_next(&w)) {
		struct conf_place part = { w.kind, w.name, strcmp(w.kind, "server") == 0 ? namespace : NULL };

		if (!goes_with(&w, namespace) || !conf_find_section(t, &part, &s))
			continue;
		r = cut_lines(t, s.from, s.to, e);
		if (r)
			return r;
		conf_walk_begin(&w, t);
	}
	return 0;
}

static int remove_section(struct conf_text *t, const struct conf_place *at, struct err *e)
{
	struct conf_span s;
	int r = 0;

	if (t->file == CONF_FILE_CLIENT && strcmp(at->kind, "namespace") == 0)
		r = remove_parts(t, at->name, e);
	if (r || !conf_find_section(t, at, &s))
		return r;
	return cut_lines(t, s.from, s.to, e);
}

int conf_text_remove(struct conf_text *t, const struct conf_place *at, struct err *e)
{
	struct conf_kept k = { NULL, 0 };
	int r = check_place(t, at, e);

	if (r || !conf_text_has(t, at))
		return r;
	r = conf_keep(t, &k, e);
	if (!r)
		r = conf_keep_end(t, &k, remove_section(t, at, e));
	return r;
}

/* Keys. */

/* Finds the key's line: 0, or -ENOENT. */
static int find_key(const struct conf_text *t, const struct conf_place *at, const char *key, struct conf_walk *w,
		    struct conf_parts *p)
{
	conf_walk_begin(w, t);
	while (conf_walk_next(w)) {
		if (w->line != CONF_LINE_ENTRY || !conf_walk_is_at(w, at))
			continue;
		conf_walk_parts(w, p);
		if (p->equals && conf_walk_is(w, p, key))
			return 0;
	}
	return -ENOENT;
}

/* The rest of the line stays as it is; a value where there was none is set off from what is beside it. */
static int replace_value(struct conf_text *t, const struct conf_walk *w, const struct conf_parts *p, const char *value,
			 struct err *e)
{
	char text[CONF_LINE_MAX + 4];
	size_t n = strlen(value);
	bool comment = p->value == p->value_end && p->value < w->end, gap;
	int r;

	if (n == p->value_end - p->value && memcmp(t->text + p->value, value, n) == 0)
		return 0;
	if (w->end - w->start - (p->value_end - p->value) + n + 2 > CONF_LINE_MAX)
		return err_set(e, EINVAL, "a line has at most %d bytes", CONF_LINE_MAX);
	gap = p->value == p->value_end && p->value == p->equals + 1 && p->word_end != p->equals;
	r = snprintf(text, sizeof(text), "%s%s%s", gap ? " " : "", value, comment ? " " : "");
	r = conf_splice(t, p->value, p->value_end, text, (size_t)r, e);
	secure_wipe(text, sizeof(text));
	return r;
}

int conf_text_set(struct conf_text *t, const struct conf_place *at, const char *key, const char *value, struct err *e)
{
	char line[ROOM];
	struct conf_walk w;
	struct conf_parts p;
	struct conf_span s;
	int r = check_place(t, at, e);

	if (!r)
		r = check_key(t, at, key, e);
	if (!r)
		r = conf_value_fits(value, e);
	if (r)
		return r;
	if (find_key(t, at, key, &w, &p) == 0)
		return replace_value(t, &w, &p, value, e);
	r = make_line(t, at, key, value, line, e);
	if (!r)
		r = conf_find_section(t, at, &s) ? conf_put_lines(t, s.last, line, e) : add_section(t, at, line, e);
	secure_wipe(line, sizeof(line));
	return r;
}

int conf_text_unset(struct conf_text *t, const struct conf_place *at, const char *key, struct err *e)
{
	struct conf_walk w;
	struct conf_parts p;
	int r = check_place(t, at, e);

	if (!r)
		r = check_key(t, at, key, e);
	if (r || find_key(t, at, key, &w, &p))
		return r;
	return conf_splice(t, w.from, w.to, "", 0, e);
}
