/*
 * conf_shown.c - a configuration as it may be shown: line for line, with the keys as "(hidden)".
 *
 * What may be a key is hidden too: the value of a name that is not known where keys stand, what a
 * comment says that looks like a line with a key, a word of 64 hex digits anywhere.  Where a key is
 * read from (@file:, @credential:) is shown.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "diff.h"
#include "secure.h"
#include "conf_write_impl.h"

#define HIDDEN "(hidden)"

struct out {
	char *text;
	size_t size, room;
};

static bool put(struct out *o, const char *bytes, size_t n)
{
	while (o->room - o->size < n + 1) {
		size_t room = o->room ? 2 * o->room : 4096;
		char *more = realloc(o->text, room);

		if (!more)
			return false;
		o->text = more;
		o->room = room;
	}
	memcpy(o->text + o->size, bytes, n);
	o->size += n;
	o->text[o->size] = 0;
	return true;
}

/* May what stands in this section be a key? */
static bool secret_section(const struct conf_walk *w)
{
	const struct conf_section_row *row = conf_section_find(w->file, w->kind);

	return !row || row->secret;
}

static bool known_key(const struct conf_walk *w, const struct conf_parts *p)
{
	const struct conf_section_row *row = conf_section_find(w->file, w->kind);
	char word[CONF_NAME_MAX + 1], hint[80];
	size_t n = p->word_end - w->start;
	const struct conf_key_row *key;

	if (!row || n >= sizeof(word))
		return false;
	memcpy(word, w->text + w->start, n);
	word[n] = 0;
	key = conf_key_find(row, word, hint, sizeof(hint));
	return key && key->type != CONF_TYPE_KEY;
}

static bool is_name(const char *from, size_t n)
{
	char name[CONF_NAME_MAX + 1];

	if (n > CONF_NAME_MAX)
		return false;
	memcpy(name, from, n);
	name[n] = 0;
	return conf_name_valid(name);
}

/* Where what has to be hidden begins in an entry; its end: nothing has to. */
static size_t hide_from(const struct conf_walk *w, const struct conf_parts *p)
{
	char at = p->value < w->end ? w->text[p->value] : 0;
	size_t n = w->end - p->value;

	if (!conf_walk_is(w, p, "nodekey") && (!secret_section(w) || known_key(w, p)))
		return w->end;
	if (at == '@' && ((n > 6 && memcmp(w->text + p->value, "@file:", 6) == 0) ||
			  (n > 12 && memcmp(w->text + p->value, "@credential:", 12) == 0)))
		return w->end;
	if (p->value == w->end || !is_name(w->text + w->start, p->word_end - w->start))
		return w->start;
	return p->value;
}

/* As if the line were none. */
static size_t hide_in_comment(const struct conf_walk *w)
{
	static const char word[] = "nodekey";
	struct conf_walk inside = *w;
	struct conf_parts p;
	const char *key = memmem(w->text + w->start, w->end - w->start, word, sizeof(word) - 1);
	size_t at = key ? (size_t)(key - w->text) + sizeof(word) - 1 : 0;

	if (key) {
		while (at < w->end && strchr(" \t=", w->text[at]))
			at++;
		return at;
	}
	if (strcmp(w->kind, "clients") != 0)
		return w->end;
	while (inside.start < inside.end && strchr("#; \t", w->text[inside.start]))
		inside.start++;
	conf_walk_parts(&inside, &p);
	/* Two words, the first one a name. */
	for (size_t i = p.value; i < p.value_end; i++)
		if (isspace((unsigned char)w->text[i]))
			return w->end;
	return p.value < p.value_end && is_name(w->text + inside.start, p.word_end - inside.start) ? p.value : w->end;
}

/* Of what is shown, words that can be nothing but a key. */
static bool put_shown(struct out *o, const char *from, size_t n)
{
	for (size_t i = 0, k; i < n; i = k) {
		for (k = i; k < n && isxdigit((unsigned char)from[k]);)
			k++;
		if (k - i >= 2 * CONF_KEY_BYTES ? !put(o, HIDDEN, sizeof(HIDDEN) - 1) : !put(o, from + i, k - i))
			return false;
		if (k < n && !put(o, from + k, 1))
			return false;
		k += k < n;
	}
	return true;
}

char *conf_text_hidden(enum conf_file file, const char *bytes, size_t size, size_t *shown_size)
{
	struct out o = { NULL, 0, 0 };
	struct conf_walk w;
	struct conf_parts p;
	bool good = put(&o, "", 0);

	conf_walk_bytes(&w, file, bytes, size);
	good = good && put(&o, bytes, w.to);
	while (good && conf_walk_next(&w)) {
		size_t from = w.end;

		conf_walk_parts(&w, &p);
		if (w.line == CONF_LINE_ENTRY)
			from = hide_from(&w, &p);
		else if (w.line == CONF_LINE_COMMENT)
			from = hide_in_comment(&w);
		good = put_shown(&o, bytes + w.from, from - w.from);
		if (good && from < w.end)
			good = put(&o, HIDDEN, sizeof(HIDDEN) - 1);
		good = good && put(&o, bytes + w.end, w.to - w.end);
	}
	if (!good) {
		free(o.text);
		return NULL;
	}
	*shown_size = o.size;
	return o.text;
}

char *conf_text_diff(const struct conf_text *t)
{
	struct diff_side before = { t->path, t->before, t->before_size, NULL, 0 };
	struct diff_side after = { t->path, t->text, t->size, NULL, 0 };
	char *shown[2], *diff = NULL;

	if (t->is_new)
		before.name = "/dev/null";
	shown[0] = conf_text_hidden(t->file, t->before, t->before_size, &before.shown_size);
	shown[1] = conf_text_hidden(t->file, t->text, t->size, &after.shown_size);
	before.shown = shown[0];
	after.shown = shown[1];
	if (shown[0] && shown[1])
		diff = diff_unified(&before, &after);
	free(shown[0]);
	free(shown[1]);
	return diff;
}
