/* rsagent_table.c - how many hosts went: a table, the failures, JSON. */
#include <errno.h>
#include <string.h>
#include "rsagent_many_impl.h"

#define COLUMNS 80

/* What is wrong is said in full behind the table, so here it may be cut: no row is longer than a line. */
static void print_cut(const char *text, int room)
{
	int n = (int)strlen(text);

	if (n <= room) {
		printf("%s\n", text);
		return;
	}
	for (n = room > 3 ? room - 3 : 0; n && (text[n] & 0xc0) == 0x80; n--)
		;
	printf("%.*s...\n", n, text);
}

void rsagent_failed_row(const struct rsagent_outcome *o, int width)
{
	print_cut(o->e.text, COLUMNS - printf("%-*s  failed  ", width, o->host->name));
}

void table_print(const struct rsagent_outcome *all, size_t count)
{
	int width = 4, begun;

	for (size_t i = 0; i < count; i++)
		if ((int)strlen(all[i].host->name) > width)
			width = (int)strlen(all[i].host->name);
	printf("%-*s  RESULT  %7s  %s\n", width, "HOST", "TIME", "WHAT");
	for (size_t i = 0; i < count; i++) {
		const char *text = json_string_value(json_object_get(all[i].result, "text"));

		begun = printf("%-*s  %-6s  %6.1fs", width, all[i].host->name, all[i].done ? "done" : "failed", all[i].seconds);
		if (!all[i].done) {
			printf("  ");
			print_cut(all[i].e.text, COLUMNS - begun - 2);
		} else {
			printf("%s%s\n", text ? "  " : "", text ? text : "");
		}
	}
}

void table_print_failures(const struct rsagent_outcome *all, size_t count)
{
	fflush(stdout);
	for (size_t i = 0; i < count; i++) {
		if (all[i].done)
			continue;
		fprintf(stderr, "rsagent: %s: %s\n", all[i].host->name, all[i].e.text);
		if (*all[i].e.next)
			fprintf(stderr, "rsagent: %s: %s\n", all[i].host->name, all[i].e.next);
	}
}

static json_t *outcome(const struct rsagent_outcome *o)
{
	json_t *j = json_pack("{s:s, s:b, s:f}", "host", o->host->name, "done", o->done, "seconds",
			      (double)(long long)(o->seconds * 1000) / 1000);

	if (j && o->result)
		json_object_update_missing(j, o->result);
	if (j && !o->done) {
		json_object_set_new(j, "errno", json_integer(o->e.code));
		json_object_set_new(j, "error", json_string(o->e.text));
		if (*o->e.next)
			json_object_set_new(j, "next", json_string(o->e.next));
	}
	return j;
}

int table_print_json(const struct rsagent_outcome *all, size_t count)
{
	json_t *list = json_array(), *object = json_pack("{s:o}", "hosts", list);
	int r = 0;

	for (size_t i = 0; object && i < count; i++)
		if (json_array_append_new(list, outcome(&all[i])))
			r = -ENOMEM;
	if (!object)
		return -ENOMEM;
	if (json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) || printf("\n") < 0 || fflush(stdout))
		r = -EIO;
	json_decref(object);
	return r;
}
