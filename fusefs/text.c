/* text.c - see text.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "client.h"
#include "log.h"
#include "text.h"
#include "view.h"

/* A file: either from a namespace's state or from the whole client's. */
struct kind {
	const char *name;
	char *(*of_namespace)(const json_t *ns);
	char *(*of_client)(const json_t *status);
	bool no_volumes;		/* it shows none: they need not be described, which takes long */
};

/* Prints a new reference and drops it. */
static char *print_new(json_t *j)
{
	char *text = j ? view_json(j) : NULL;

	json_decref(j);
	return text;
}

static char *json_servers(const json_t *ns)
{
	return print_new(view_json_servers(ns));
}

static char *json_paths(const json_t *ns)
{
	return print_new(view_json_paths(ns));
}

static char *json_volumes(const json_t *ns)
{
	return print_new(view_json_volumes(ns));
}

static const struct kind kinds[] = {
	{ "status", view_tree_status, NULL, false },
	{ "status.json", view_json, NULL, false },
	{ "servers", view_tree_servers, NULL, true },
	{ "servers.json", json_servers, NULL, true },
	{ "paths", view_tree_paths, NULL, true },
	{ "paths.json", json_paths, NULL, true },
	{ "volumes", view_tree_volumes, NULL, false },
	{ "volumes.json", json_volumes, NULL, false },
	{ "status", NULL, view_tree_client, false },
	{ "status.json", NULL, view_json, false },
	{ "metrics", NULL, view_metrics, false },
	{ "log", NULL, NULL, false },
};

#define KINDS ((int)(sizeof kinds / sizeof *kinds))

static int add_texts(struct names *n, struct node *parent, struct namespace *ns)
{
	struct node *dir = names_add_dir(n, parent, ".rsio", ns);

	if (!dir)
		return -ENOMEM;
	for (int i = 0; i < KINDS; i++)
		if (!kinds[i].of_namespace == !ns &&
		    !names_add_text(n, dir, kinds[i].name, ns, i))
			return -ENOMEM;
	return 0;
}

int text_add_client(struct names *n)
{
	return add_texts(n, &n->root, NULL);
}

struct node *text_add_namespace(struct names *n, const char *name, struct namespace *ns)
{
	struct node *dir = names_add_dir(n, &n->root, name, ns);

	if (dir && add_texts(n, dir, ns) < 0) {
		names_remove(n, dir);
		return NULL;
	}
	return dir;
}

/* The ring as it is now; what is added meanwhile is left for the next reader. */
static char *log_text(const struct client *c)
{
	struct log_reader *r = log_reader_open(c->log_path, NULL);
	size_t room = LOG_RING_BYTES + LOG_LINE_MAX, used = 0;
	char *text = r ? malloc(room + 1) : NULL;
	uint64_t lost;
	ptrdiff_t n;

	while (text && room - used >= LOG_LINE_MAX &&
	       (n = log_reader_next(r, text + used, room - used, &lost)) > 0)
		used += (size_t)n;
	if (text)
		text[used] = 0;
	if (r)
		log_reader_close(r);
	return text;
}

static struct text *text_new(char *data)
{
	struct text *t = data ? malloc(sizeof *t) : NULL;

	if (t)
		*t = (struct text){ .users = 1, .length = strlen(data), .data = data };
	else
		free(data);
	return t;
}

void text_put(struct client *c, struct text *t)
{
	if (!t || --t->users)
		return;
	c->texts_held -= t->length;
	free(t->data);
	free(t);
}

bool text_is_long(const struct node *node)
{
	const struct kind *k = &kinds[node->text];

	return (k->of_namespace || k->of_client) && !k->no_volumes;
}

struct text *text_make(struct client *c, const struct node *node)
{
	const struct kind *k = &kinds[node->text];
	struct text *t;
	json_t *state;

	if (!k->of_namespace) {
		t = text_new(log_text(c));
	} else {
		/* Its namespace may be on its way out while the file's node lives. */
		state = node->ns ? namespace_servers(node->ns) : NULL;
		t = state ? text_new(k->of_namespace(state)) : NULL;
		json_decref(state);
	}
	c->texts_held += t ? t->length : 0;
	return t;
}

struct text *text_print(int which, const json_t *status)
{
	const struct kind *k = &kinds[which];
	const json_t *ns = json_array_get(json_object_get(status, "namespaces"), 0);

	if (k->of_client)
		return text_new(k->of_client(status));
	return ns ? text_new(k->of_namespace(ns)) : NULL;
}
