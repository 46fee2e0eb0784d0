/*
 * text.h - the status files of the mounted tree.  Each is made when it is opened.
 * Owner of everything here, but for text_print: the loop's thread.
 */
#ifndef FUSEFS_TEXT_H
#define FUSEFS_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "names.h"

struct client;

/* Puts /.rsio, or NAME and NAME/.rsio with what is in them, into the tree.
 * 0 or -ENOMEM; the namespace's directory or NULL. */
int text_add_client(struct names *n);
struct node *text_add_namespace(struct names *n, const char *name, struct namespace *ns);

/* What a file said when it was opened; whoever opened it at that moment shares it. */
struct text {
	unsigned users;
	size_t length;
	char *data;
};

/* Shows volumes: opening.h makes it, since that takes long.  What it is about is the
 * namespace's name, NULL for the whole client. */
bool text_is_long(const struct node *node);
/* The others, at once; or NULL. */
struct text *text_make(struct client *c, const struct node *node);
/* Any thread: a long one (which: node->text) from what status_collect gave, or NULL. */
struct text *text_print(int which, const json_t *status);
void text_put(struct client *c, struct text *t);	/* NULL: nothing */

#endif
