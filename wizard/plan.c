/* plan.c - the list of answers, and the text below them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "plan_impl.h"
#include "secure.h"

/* Removals first: what is put where something was finds its place free. */
static const char *const order[] = { "defaults", "interface", "namespace", "server", "volume" };
#define RANKS (2 + sizeof(order) / sizeof(order[0]))

static unsigned rank(const struct plan_answer *a)
{
	unsigned i = 0;

	if (a->what == PLAN_REMOVE)
		return 0;
	while (i < RANKS - 2 && strcmp(order[i], a->kind) != 0)
		i++;
	return 1 + i;
}

/* Answers. */

static void answer_free(struct plan_answer *a)
{
	if (!a)
		return;
	if (a->value)
		secure_wipe(a->value, strlen(a->value));
	free(a->value);
	free(a->kind);
	free(a->name);
	free(a->namespace);
	free(a->key);
	free(a->why);
	free(a);
}

static bool copy(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return *to || !from;
}

static struct plan_answer *answer_new(enum plan_what what, const struct conf_place *at, const char *key,
				      const char *value, int line)
{
	struct plan_answer *a = calloc(1, sizeof(*a));
	bool good = a != NULL;

	if (good) {
		a->what = what;
		a->line = line;
		good = copy(&a->kind, at->kind) && copy(&a->name, at->name) && copy(&a->namespace, at->namespace) &&
		       copy(&a->key, key) && copy(&a->value, value);
	}
	if (good)
		return a;
	answer_free(a);
	return NULL;
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_section(const struct plan_answer *a, const struct plan_answer *b)
{
	return same(a->kind, b->kind) && same(a->name, b->name) && same(a->namespace, b->namespace);
}

/* Of a namespace that goes: its servers, and the rules for its volumes. */
static bool goes_with(const struct plan_answer *a, const struct plan_answer *gone)
{
	size_t n = gone->name ? strlen(gone->name) : 0;

	if (strcmp(gone->kind, "namespace") != 0 || !gone->name)
		return false;
	if (strcmp(a->kind, "server") == 0)
		return same(a->namespace, gone->name);
	return strcmp(a->kind, "volume") == 0 && a->name && strncmp(a->name, gone->name, n) == 0 && a->name[n] == ':';
}

static bool of_key(const struct plan_answer *a)
{
	return a->what == PLAN_SET || a->what == PLAN_UNSET;
}

/* Does the newer one make the older one void? */
static bool supersedes(const struct plan_answer *newer, const struct plan_answer *older)
{
	if (newer->what == PLAN_REMOVE && goes_with(older, newer))
		return true;
	if (!same_section(newer, older))
		return false;
	if (newer->what == PLAN_REMOVE || older->what == PLAN_REMOVE)
		return true;
	if (of_key(newer))
		return of_key(older) && same(newer->key, older->key);
	return older->what == PLAN_ADD;
}

/* In the place of the first one that it makes void, so that a value that is changed again and again does not wander;
 * else behind the last of its rank. */
static int add(struct plan *p, struct plan_answer *a)
{
	struct plan_answer **list = a ? calloc(p->count + 1, sizeof(*list)) : NULL;
	size_t n = 0, end;
	bool placed = false;

	if (!list) {
		answer_free(a);
		return -ENOMEM;
	}
	for (size_t i = 0; i < p->count; i++) {
		struct plan_answer *old = p->answers[i];

		if (!placed && rank(old) > rank(a)) {
			list[n++] = a;
			placed = true;
		}
		if (!supersedes(a, old)) {
			list[n++] = old;
			continue;
		}
		if (!placed && rank(old) == rank(a)) {
			list[n++] = a;
			placed = true;
		}
		answer_free(old);
	}
	end = n;
	if (!placed)
		list[end++] = a;
	free(p->answers);
	p->answers = list;
	p->count = end;
	p->laid = false;
	return 0;
}

int plan_set(struct plan *p, const struct conf_place *at, const char *key, const char *value, int line)
{
	return add(p, answer_new(PLAN_SET, at, key, value, line));
}

int plan_unset(struct plan *p, const struct conf_place *at, const char *key, int line)
{
	return add(p, answer_new(PLAN_UNSET, at, key, NULL, line));
}

int plan_add(struct plan *p, const struct conf_place *at, int line)
{
	return add(p, answer_new(PLAN_ADD, at, NULL, NULL, line));
}

int plan_remove(struct plan *p, const struct conf_place *at, int line)
{
	return add(p, answer_new(PLAN_REMOVE, at, NULL, NULL, line));
}

const struct plan_answer *plan_answer(struct plan *p, size_t i)
{
	plan_lay(p);
	return i < p->count ? p->answers[i] : NULL;
}

struct conf_place plan_place(const struct plan_answer *a)
{
	return (struct conf_place){ a->kind, a->name, a->namespace };
}

/* The plan. */

/* From the text as it is now. */
static void read_before(struct plan *p)
{
	struct conf_report report;

	conf_client_free(p->before);
	p->before = conf_text_read_client(p->text, &report);
	conf_report_free(&report);
}

struct plan *plan_open(const char *path, struct err *e)
{
	struct plan *p = calloc(1, sizeof(*p));

	if (!p) {
		err_set(e, ENOMEM, "no memory");
		return NULL;
	}
	p->text = conf_text_open(CONF_FILE_CLIENT, path, true, e);
	if (!p->text) {
		free(p);
		return NULL;
	}
	conf_text_keep_unknown(p->text);
	read_before(p);
	return p;
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->count; i++)
		answer_free(p->answers[i]);
	free(p->answers);
	conf_text_free(p->text);
	conf_client_free(p->before);
	free(p);
}

const char *plan_path(const struct plan *p)
{
	return conf_text_path(p->text);
}

const struct conf_client *plan_before(const struct plan *p)
{
	return p->before;
}

bool plan_is_new(const struct plan *p)
{
	return conf_text_is_new(p->text);
}

/* Laying. */

static int lay_one(struct plan *p, const struct plan_answer *a, struct err *e)
{
	struct conf_place at = plan_place(a);

	switch (a->what) {
	case PLAN_SET: return conf_text_set(p->text, &at, a->key, a->value, e);
	case PLAN_UNSET: return conf_text_unset(p->text, &at, a->key, e);
	case PLAN_ADD: return conf_text_add(p->text, &at, e);
	case PLAN_REMOVE: return conf_text_remove(p->text, &at, e);
	}
	return -EINVAL;
}

/* A value that cannot be laid leaves the one that the file has. */
void plan_lay(struct plan *p)
{
	struct err e;

	if (p->laid || conf_text_begin_anew(p->text, &e))
		return;
	p->laid = true;
	for (size_t i = 0; i < p->count; i++) {
		struct plan_answer *a = p->answers[i];

		free(a->why);
		a->why = NULL;
		if (lay_one(p, a, &e) == 0)
			continue;
		a->why = strdup(e.text);
		p->laid &= a->why != NULL && e.code != ENOMEM;
	}
}

int plan_complete(struct plan *p)
{
	char name[2 * CONF_NAME_MAX + 2], host[CONF_NAME_MAX + 1], has[2];
	struct conf_place at = { "namespace", name, NULL };
	int r = 0;

	conf_host_name(host);
	for (size_t i = 0; !r && plan_section(p, "namespace", i, name, NULL); i++)
		if (*name && plan_get(p, &at, "nodename", has, sizeof(has)) == -ENOENT)
			r = plan_set(p, &at, "nodename", host, 0);
	return r;
}

/* The result. */

bool plan_section(struct plan *p, const char *kind, size_t i, char name[2 * CONF_NAME_MAX + 2],
		  char namespace[CONF_NAME_MAX + 1])
{
	plan_lay(p);
	return conf_text_section(p->text, kind, i, name, namespace);
}

int plan_get(struct plan *p, const struct conf_place *at, const char *key, char *buf, size_t size)
{
	plan_lay(p);
	return conf_text_get(p->text, at, key, buf, size);
}

bool plan_changed(struct plan *p)
{
	plan_lay(p);
	return conf_text_changed(p->text);
}

char *plan_text(struct plan *p)
{
	const char *bytes;
	size_t size, shown;

	plan_lay(p);
	bytes = conf_text_bytes(p->text, &size);
	return conf_text_hidden(CONF_FILE_CLIENT, bytes, size, &shown);
}

char *plan_diff(struct plan *p)
{
	plan_lay(p);
	return conf_text_diff(p->text);
}

int plan_save(struct plan *p, struct err *e)
{
	struct conf_report report = { .count = 0 };
	int r;

	plan_lay(p);
	if (!p->laid)
		return err_set(e, ENOMEM, "no memory");
	r = conf_text_save(p->text, true, &report, e);
	/* What the check of the text did not find: who may read the file. */
	for (size_t i = 0; r == -EINVAL && i < report.count; i++)
		if (!strstr(report.lines[i], " warning: ")) {
			err_set(e, EINVAL, "%s", report.lines[i]);
			break;
		}
	conf_report_free(&report);
	if (!r)
		read_before(p);
	return r;
}
