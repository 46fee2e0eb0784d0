/*
 * plan_check.c - what is wrong with a plan.
 *
 * One reader decides what is a mistake: the daemon's own (conf.h).  It speaks of lines of a text that is not in
 * any file yet, so each of its mistakes is given to the answer that it is about, by section and key; what is
 * about none is the file's own, and keeps the file's line where nothing was laid over it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lint.h"
#include "plan_impl.h"

#define WARNING "warning: "

static void header_of(const char *kind, const char *name, char out[REMARK_SECTION_MAX])
{
	snprintf(out, REMARK_SECTION_MAX, "%s%s%s", kind, name ? " " : "", name ? name : "");
}

/* Lines of the text. */

/* "[namespace NAME" at the line's beginning: the name, which ends where none goes on. */
static const char *namespace_in(const char *line)
{
	static const char word[] = "namespace";

	line += strspn(line, " \t");
	if (*line != '[')
		return NULL;
	line += 1 + strspn(line + 1, " \t");
	if (strncmp(line, word, sizeof(word) - 1) != 0)
		return NULL;
	line += sizeof(word) - 1;
	return *line == ' ' || *line == '\t' ? line + strspn(line, " \t") : NULL;
}

/* Is a line a section's header?  And the namespace that it stands below, which tells two [server] of one name apart. */
static bool look_at(const struct plan *p, int line, char namespace[CONF_NAME_MAX + 1])
{
	size_t size;
	const char *at = conf_text_bytes(p->text, &size), *end = at + size, *newline, *name, *last = "";
	bool header = false;

	for (int n = 1; at < end && n <= line; n++) {
		name = namespace_in(at);
		last = name ? name : last;
		header = at[strspn(at, " \t")] == '[';
		newline = memchr(at, '\n', (size_t)(end - at));
		at = newline ? newline + 1 : end;
	}
	snprintf(namespace, CONF_NAME_MAX + 1, "%.*s", (int)strcspn(last, " \t]\r\n"), last);
	return header;
}

/* "FILE:LINE: warning: [SECTION] key: text" into its parts; what is not there stays empty. */
static void split(const char *line, size_t path, struct remark *m)
{
	const char *at = line + path + 1, *end;
	char *rest;
	long number = strtol(at, &rest, 10);
	size_t n;

	if (rest != at && *rest == ':') {
		m->line = (int)number;
		at = rest + 1;
	}
	at += *at == ' ';
	m->warning = strncmp(at, WARNING, strlen(WARNING)) == 0;
	if (m->warning)
		at += strlen(WARNING);
	end = *at == '[' ? strstr(at, "] ") : NULL;
	if (end) {
		snprintf(m->section, sizeof(m->section), "%.*s", (int)(end - at - 1), at + 1);
		at = end + 2;
		n = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
		if (n && n < sizeof(m->key) && at[n] == ':' && at[n + 1] == ' ') {
			snprintf(m->key, sizeof(m->key), "%.*s", (int)n, at);
			at += n + 2;
		}
	}
	snprintf(m->text, sizeof(m->text), "%s", at);
}

/* Answers. */

static bool is_about(const struct plan_answer *a, const struct remark *m, const char *namespace)
{
	char header[REMARK_SECTION_MAX];

	header_of(a->kind, a->name, header);
	return strcmp(header, m->section) == 0 && (!a->namespace || strcmp(a->namespace, namespace) == 0);
}

/* The answer that a remark is about: its key's, or that there is the section at all.  A key that the file has and
 * nobody spoke of is about none. */
static const struct plan_answer *find(const struct plan *p, const struct remark *m)
{
	char namespace[CONF_NAME_MAX + 1];
	const struct plan_answer *section = NULL;
	bool header = look_at(p, m->line, namespace);

	for (size_t i = 0; i < p->count; i++) {
		const struct plan_answer *a = p->answers[i];

		if (a->what == PLAN_REMOVE || !is_about(a, m, namespace))
			continue;
		if (a->key && strcmp(a->key, m->key) == 0)
			return a;
		if (a->what == PLAN_ADD && header)
			section = a;
	}
	return section;
}

static void say(struct plan *p, struct remarks *r, const struct remark *found)
{
	const struct plan_answer *a = *found->section ? find(p, found) : NULL;
	struct remark *m;

	/* That a key is missing whose value could not be taken has been said. */
	if (a && a->why && a->key && strcmp(a->key, found->key) == 0)
		return;
	m = remarks_add(r, found->warning, "%s", found->text);
	if (!m)
		return;
	memcpy(m->section, found->section, sizeof(m->section));
	memcpy(m->key, found->key, sizeof(m->key));
	m->of_answers = a && a->line;
	m->line = m->of_answers ? a->line : conf_text_changed(p->text) ? 0 : found->line;
}

static void say_report(struct plan *p, struct remarks *r, struct conf_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		struct remark m = { .line = 0 };

		split(report->lines[i], strlen(plan_path(p)), &m);
		say(p, r, &m);
	}
	conf_report_free(report);
}

/* Where a section's name is wrong, that is said once and not of each of its keys. */
static bool section_refused(const struct plan *p, const struct plan_answer *a)
{
	for (size_t i = 0; a->key && i < p->count; i++) {
		const struct plan_answer *b = p->answers[i];

		if (b->what == PLAN_ADD && b->why && strcmp(b->kind, a->kind) == 0 && b->name && a->name &&
		    strcmp(b->name, a->name) == 0 && strcmp(b->why, a->why) == 0)
			return true;
	}
	return false;
}

/* Answers that could not be laid. */
static void say_refused(struct plan *p, struct remarks *r)
{
	size_t path = strlen(plan_path(p));

	for (size_t i = 0; i < p->count; i++) {
		const struct plan_answer *a = p->answers[i];
		struct remark *m;
		bool named;

		if (!a->why || section_refused(p, a))
			continue;
		named = strncmp(a->why, plan_path(p), path) == 0 && a->why[path] == ':';
		m = remarks_add(r, false, "%s", named ? a->why + path + 2 : a->why);
		if (!m)
			return;
		header_of(a->kind, a->name, m->section);
		snprintf(m->key, sizeof(m->key), "%s", a->key ? a->key : "");
		m->line = a->line;
		m->of_answers = a->line != 0;
	}
}

static void say_lint(struct plan *p, const struct conf_client *c, const struct facts *facts, struct remarks *r)
{
	struct remarks own = { .list = NULL };

	lint(c, facts, &own);
	for (size_t i = 0; i < own.count; i++)
		say(p, r, &own.list[i]);
	r->no_memory |= own.no_memory;
	remarks_free(&own);
}

struct conf_client *plan_check(struct plan *p, const struct facts *facts, struct remarks *r)
{
	struct conf_report report;
	struct conf_client *c;

	plan_lay(p);
	if (!p->laid) {
		r->no_memory = true;
		return NULL;
	}
	say_refused(p, r);
	c = conf_text_read_client(p->text, &report);
	say_report(p, r, &report);
	if (!c && !r->mistakes)
		r->no_memory = true;
	if (c) {
		conf_client_check_keys(c, &report);
		say_report(p, r, &report);
		say_lint(p, c, facts, r);
	}
	if (!r->mistakes && !r->no_memory)
		return c;
	conf_client_free(c);
	return NULL;
}
