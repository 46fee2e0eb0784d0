/* effects.c - see effects.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf_change.h"
#include "effects.h"

static size_t find(const struct conf_client *c, const char *name)
{
	size_t i = 0;

	while (i < c->namespace_count && strcmp(c->namespaces[i].name, name) != 0)
		i++;
	return i;
}

static void say_namespace(FILE *out, const struct conf_client *before, size_t b, const struct conf_client *after, size_t a)
{
	const char *name = after->namespaces[a].name;

	switch (conf_change(before, b, after, a)) {
	case CONF_CHANGE_SESSIONS:
		fprintf(out, "namespace %s: its sessions end and begin anew; what is open in it gets errors\n", name);
		return;
	case CONF_CHANGE_PATHS:
		fprintf(out, "namespace %s: paths come and go, and its volumes stay\n", name);
		break;
	case CONF_CHANGE_NOTHING:
		break;
	}
	if (!conf_same_key(&before->namespaces[b].key, &after->namespaces[a].key))
		fprintf(out, "namespace %s: its paths log in anew with the new key, and its volumes stay\n", name);
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void say_all(FILE *out, const struct conf_client *before, const struct conf_client *after)
{
	for (size_t a = 0; a < after->namespace_count; a++) {
		size_t b = find(before, after->namespaces[a].name);

		if (b < before->namespace_count)
			say_namespace(out, before, b, after, a);
		else
			fprintf(out, "namespace %s: is begun\n", after->namespaces[a].name);
	}
	for (size_t b = 0; b < before->namespace_count; b++)
		if (find(after, before->namespaces[b].name) == after->namespace_count)
			fprintf(out, "namespace %s: ends; what is open in it gets errors\n", before->namespaces[b].name);
	if (!same(before->mount, after->mount))
		fputs("mount: takes effect when rsiod is started again\n", out);
	if (before->allow_other != after->allow_other)
		fputs("allow-other: takes effect when rsiod is started again\n", out);
}

char *effects(const struct conf_client *before, const struct conf_client *after)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	if (before)
		say_all(out, before, after);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}
