/* rsagent_fleet_show.c - what rsagent apply will do, and what came of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rsagent_fleet.h"

static const char *const kinds[] = { [FLEET_SERVER] = "server", [FLEET_CLIENT] = "client" };
static const char *const levels[] = {
	[DEPLOY_NOTE] = "note", [DEPLOY_WARNING] = "warning", [DEPLOY_REFUSAL] = "error",
};

/* "osl: server storage1 on root@storage1" */
static const char *title(const struct fleet_member *m, char out[700])
{
	if (m->local)
		snprintf(out, 700, "%s: %s %s here", m->namespace, kinds[m->kind], m->name);
	else
		snprintf(out, 700, "%s: %s %s on %.500s", m->namespace, kinds[m->kind], m->name, m->where);
	return out;
}

static void indent(const char *text, bool with_diff)
{
	for (const char *line = text; with_diff && line && *line;) {
		size_t n = strcspn(line, "\n");

		printf("    %.*s\n", (int)n, line);
		line += n + (line[n] == '\n');
	}
}

/* A note is for who sees the host for the first time. */
static bool warns(const struct fleet_member *m)
{
	for (size_t i = 0; i < m->findings.count; i++)
		if (m->findings.all[i].level != DEPLOY_NOTE)
			return true;
	return false;
}

static void show_member(const struct fleet_member *m, bool with_diff)
{
	char text[700];

	if (m->change == FLEET_SAME && !warns(m))
		return;
	printf("%s: %s\n", title(m, text), fleet_change_name(m->change));
	for (size_t i = 0; i < m->findings.count; i++)
		printf("  %s: %s%s%s\n", levels[m->findings.all[i].level], m->findings.all[i].text,
		       *m->findings.all[i].next ? "; " : "", m->findings.all[i].next);
	for (size_t i = 0; m->plan && i < m->plan->count; i++)
		if (m->plan->steps[i].say)
			printf("  %s\n", m->plan->steps[i].say);
	for (size_t i = 0; m->plan && i < m->plan->left_count; i++)
		printf("  leaves %s\n", m->plan->left[i]);
	for (size_t i = 0; m->gone && m->plan && m->has && i < m->has->pool_count; i++)
		if (!m->pool || strcmp(m->has->pools[i].path, m->pool) != 0)
			printf("  leaves %s and what is in it\n", m->has->pools[i].path);
	for (size_t k = 0; k < m->join_count; k++)
		if (m->joins[k].key && m->joins[k].key->made)
			printf("  gets a new key for namespace %s\n", m->joins[k].namespace);
	indent(m->diff, with_diff);
}

static void show_counts(const struct fleet *f)
{
	size_t same = fleet_count(f, FLEET_SAME), out = 0;

	for (size_t i = 0; i < f->count; i++)
		out += f->members[i].change == FLEET_SAME && f->members[i].e.code;
	if (same == f->count && !out) {
		printf("All is as %s says.\n", f->path);
		return;
	}
	printf("%zu created, %zu changed, %zu removed, %zu as they are to be", fleet_count(f, FLEET_CREATED),
	       fleet_count(f, FLEET_CHANGED), fleet_count(f, FLEET_REMOVED), same - out);
	if (out)
		printf(", %zu left out", out);
	printf(".\n");
}

void fleet_show(const struct fleet *f)
{
	for (size_t i = 0; i < f->count; i++)
		show_member(&f->members[i], f->o->diff || f->members[i].kind == FLEET_CLIENT || f->members[i].change == FLEET_CHANGED);
	show_counts(f);
	fflush(stdout);
}

void fleet_show_failures(struct fleet *f)
{
	char text[700];

	for (size_t i = 0; i < f->count; i++) {
		struct fleet_member *m = &f->members[i];

		if (!m->e.code || m->told)
			continue;
		m->told = true;
		fprintf(stderr, "rsagent: %s: %s\n", title(m, text), m->e.text);
		if (*m->e.next)
			fprintf(stderr, "rsagent: %s\n", m->e.next);
	}
}

static json_t *plan_json(const struct fleet_member *m)
{
	json_t *list = json_array();

	for (size_t i = 0; m->plan && i < m->plan->count; i++)
		if (m->plan->steps[i].say)
			json_array_append_new(list, json_string(m->plan->steps[i].say));
	return list;
}

/* What stays of a server that left: volumes, and whole pools. */
static json_t *left_json(const struct fleet_member *m)
{
	json_t *list = json_array();

	for (size_t i = 0; m->plan && i < m->plan->left_count; i++)
		json_array_append_new(list, json_string(m->plan->left[i]));
	for (size_t i = 0; m->gone && m->plan && m->has && i < m->has->pool_count; i++)
		if (!m->pool || strcmp(m->has->pools[i].path, m->pool) != 0)
			json_array_append_new(list, json_string(m->has->pools[i].path));
	return list;
}

static json_t *findings_json(const struct fleet_member *m)
{
	json_t *list = json_array();

	for (size_t i = 0; i < m->findings.count; i++)
		json_array_append_new(list, json_pack("{ss ss ss ss}", "level", levels[m->findings.all[i].level], "what",
						      m->findings.all[i].what, "text", m->findings.all[i].text, "next",
						      m->findings.all[i].next));
	return list;
}

static json_t *member_json(const struct fleet_member *m)
{
	static const char *const words[] = {
		[FLEET_SAME] = "none", [FLEET_CREATED] = "created", [FLEET_CHANGED] = "changed", [FLEET_REMOVED] = "removed",
	};
	json_t *o = json_pack("{ss ss ss ss ss so so so ss sb}", "kind", kinds[m->kind], "namespace", m->namespace, "name", m->name,
			      "host", m->where, "change", words[m->change], "plan", plan_json(m), "left", left_json(m), "findings", findings_json(m),
			      "diff", m->diff ? m->diff : "", "done", m->change == FLEET_SAME ? !m->e.code : m->done);

	if (o && m->e.code)
		json_object_set_new(o, "error", json_pack("{si ss ss}", "errno", m->e.code, "text", m->e.text, "next", m->e.next));
	return o;
}

int fleet_show_json(const struct fleet *f)
{
	json_t *list = json_array(), *o;
	int r;

	for (size_t i = 0; i < f->count; i++)
		json_array_append_new(list, member_json(&f->members[i]));
	o = json_pack("{ss sb so}", "fleet", f->path, "differs", fleet_count(f, FLEET_SAME) != f->count, "members", list);
	r = o ? json_dumpf(o, stdout, JSON_INDENT(2)) : -1;
	json_decref(o);
	printf("\n");
	return r || fflush(stdout) ? -1 : 0;
}
