/* conf_write_client.c - the lines of the server's [clients], and the lists that speak of them. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "secure.h"
#include "conf_write_impl.h"

#define GAP_MAX 40

static const struct conf_place clients = { .kind = "clients" };

/* Where the client's keys stand. */
struct lines {
	struct conf_walk at[2];
	struct conf_parts parts[2];
	unsigned count;			/* of them; more than two are counted on */
};

static void find_lines(const struct conf_text *t, const char *name, struct lines *l)
{
	struct conf_walk w;
	struct conf_parts p;

	l->count = 0;
	conf_walk_begin(&w, t);
	while (conf_walk_next(&w)) {
		if (w.line != CONF_LINE_ENTRY || !conf_walk_is_at(&w, &clients))
			continue;
		conf_walk_parts(&w, &p);
		if (!conf_walk_is(&w, &p, name))
			continue;
		if (l->count < 2) {
			l->at[l->count] = w;
			l->parts[l->count] = p;
		}
		l->count++;
	}
}

static int refuse(const struct conf_text *t, const char *what, const char *next, struct err *e)
{
	err_set(e, EINVAL, "%s: %s", t->path, what);
	if (next)
		err_next(e, "%s", next);
	return -EINVAL;
}

static int may(const struct conf_text *t, enum conf_client_edit what, unsigned count, struct err *e)
{
	if (count > 2 && what != CONF_CLIENT_REMOVE)
		return refuse(t, "there are more keys than there may be", "mend it by hand", e);
	if (what == CONF_CLIENT_ADD && count)
		return refuse(t, "that client has a key already", "--second puts the new one beside it, --replace in its place", e);
	if (what == CONF_CLIENT_SECOND && count != 1)
		return refuse(t, count ? "that client has two keys already" : "that client has no key yet",
			      count ? "--drop-first takes one away" : NULL, e);
	if (what == CONF_CLIENT_DROP_FIRST && count != 2)
		return refuse(t, count ? "that client has one key only" : "that client has no key", NULL, e);
	return 0;
}

static int check_words(const char *name, const char *key, struct err *e)
{
	if (!conf_name_valid(name))
		return err_set(e, EINVAL, "'%.60s' is not a client's name: 1..%d of A-Z a-z 0-9 . _ -, no leading . or -", name,
			       CONF_NAME_MAX);
	for (const char *c = key; c && *c; c++)
		if (isspace((unsigned char)*c) || iscntrl((unsigned char)*c))
			return err_set(e, EINVAL, "a node key has no blanks");
	if (key && (!*key || strlen(name) + strlen(key) + 1 > CONF_LINE_MAX))
		return err_set(e, EINVAL, "a key has 1..%zu bytes beside this name", CONF_LINE_MAX - strlen(name) - 1);
	return 0;
}

/* As the section's last line: its indentation, and the column of its key. */
static int put_line(struct conf_text *t, size_t at, const char *name, const char *key, struct err *e)
{
	char line[CONF_LINE_MAX + 2 * GAP_MAX + 4], indent[GAP_MAX + 1] = "";
	size_t column = 0, gap = 1;
	struct conf_walk w;
	struct conf_parts p;
	int r;

	conf_walk_begin(&w, t);
	while (conf_walk_next(&w)) {
		if (w.line != CONF_LINE_ENTRY || !conf_walk_is_at(&w, &clients) || w.start - w.from > GAP_MAX)
			continue;
		conf_walk_parts(&w, &p);
		snprintf(indent, sizeof(indent), "%.*s", (int)(w.start - w.from), t->text + w.from);
		column = p.value - p.word_end > 1 ? p.value - w.start : 0;
	}
	if (column > strlen(name) && column - strlen(name) <= GAP_MAX)
		gap = column - strlen(name);
	if (strlen(name) + gap + strlen(key) > CONF_LINE_MAX)
		gap = 1;
	snprintf(line, sizeof(line), "%s%s%*s%s\n", indent, name, (int)gap, "", key);
	r = conf_put_lines(t, at, line, e);
	secure_wipe(line, sizeof(line));
	return r;
}

static int add_line(struct conf_text *t, const char *name, const char *key, struct err *e)
{
	struct conf_span s;
	int r = conf_text_add(t, &clients, e);

	if (r || !conf_find_section(t, &clients, &s))
		return r;
	return put_line(t, s.last, name, key, e);
}

/* From number first on; what stood below moves up. */
static int drop_lines(struct conf_text *t, const char *name, unsigned first, unsigned count, struct err *e)
{
	struct lines l;
	int r = 0;

	for (; !r && count; count--) {
		find_lines(t, name, &l);
		if (l.count <= first)
			break;
		r = conf_splice(t, l.at[first].from, l.at[first].to, "", 0, e);
	}
	return r;
}

/* Lists. */

/* The list's next word from i on, its place into from and to; without what is behind a ':'. */
static bool next_word(const char *t, size_t *i, size_t end, size_t *from, size_t *to, size_t *name_end)
{
	while (*i < end && strchr(" \t,", t[*i]))
		(*i)++;
	*from = *name_end = *i;
	while (*i < end && !strchr(" \t,", t[*i]))
		(*i)++;
	*to = *i;
	while (*name_end < *to && t[*name_end] != ':')
		(*name_end)++;
	return *to > *from;
}

/* Takes the name out of the list: 1 when it was in it, or -errno. */
static int cut_word(struct conf_text *t, const struct conf_walk *w, const struct conf_parts *p, const char *name, struct err *e)
{
	size_t i = p->value, from, to, name_end, count = 0, cut_from = 0, cut_to = 0, before = 0;
	bool first = false;
	int r;

	for (; next_word(t->text, &i, p->value_end, &from, &to, &name_end); count++) {
		if (first)
			cut_to = from;
		first = false;
		if (name_end - from == strlen(name) && memcmp(t->text + from, name, strlen(name)) == 0) {
			cut_from = count ? before : from;
			cut_to = to;
			first = !count;
		}
		before = to;
	}
	if (!cut_to)
		return 0;
	if (count == 1)
		return err_set(e, EBUSY, "%s: the %.*s of [%s %.80s] is %s alone, and without it everybody", t->path,
			       (int)(p->word_end - w->start), t->text + w->start, w->kind, w->name, name);
	r = conf_splice(t, cut_from, cut_to, "", 0, e);
	return r ? r : 1;
}

static int leave_lists(struct conf_text *t, const char *name, struct err *e)
{
	struct conf_walk w;
	struct conf_parts p;
	int r;

	conf_walk_begin(&w, t);
	while (conf_walk_next(&w)) {
		if (w.line != CONF_LINE_ENTRY || (strcmp(w.kind, "pool") != 0 && strcmp(w.kind, "volume") != 0))
			continue;
		conf_walk_parts(&w, &p);
		if (!p.equals || (!conf_walk_is(&w, &p, "clients") && !conf_walk_is(&w, &p, "manage")))
			continue;
		r = cut_word(t, &w, &p, name, e);
		if (r < 0) {
			err_next(e, "give it to somebody else first, or take it away");
			return r;
		}
		if (r)
			conf_walk_begin(&w, t);
	}
	return 0;
}

/* The whole. */

static int edit(struct conf_text *t, enum conf_client_edit what, const char *name, const char *key, const struct lines *l,
		struct err *e)
{
	int r;

	switch (what) {
	case CONF_CLIENT_SECOND:
		return put_line(t, l->at[0].to, name, key, e);
	case CONF_CLIENT_DROP_FIRST:
		return drop_lines(t, name, 0, 1, e);
	case CONF_CLIENT_REMOVE:
		r = drop_lines(t, name, 0, l->count, e);
		return r ? r : leave_lists(t, name, e);
	case CONF_CLIENT_ADD:
	case CONF_CLIENT_REPLACE:
		break;
	}
	if (!l->count)
		return add_line(t, name, key, e);
	/* The second one first: it stands below, and the first one stays where it is. */
	r = drop_lines(t, name, 1, 1, e);
	if (!r && l->parts[0].value == l->parts[0].word_end)
		return refuse(t, "that client's line has no key", "mend it by hand", e);
	return r ? r : conf_splice(t, l->parts[0].value, l->parts[0].value_end, key, strlen(key), e);
}

int conf_text_client(struct conf_text *t, enum conf_client_edit what, const char *name, const char *key, struct err *e)
{
	struct conf_kept k = { NULL, 0 };
	struct lines l;
	int r;

	if (t->file != CONF_FILE_SERVER)
		return err_set(e, EINVAL, "%s is a client's file, and has no [clients]", t->path);
	r = check_words(name, key, e);
	if (r)
		return r;
	find_lines(t, name, &l);
	r = may(t, what, l.count, e);
	if (!r)
		r = conf_keep(t, &k, e);
	return r ? r : conf_keep_end(t, &k, edit(t, what, name, key, &l, e));
}
