/*
 * text.h - the status files of the mounted tree.  Each is made when it is opened.
 * Owner of everything here: the loop's thread.
 */
#ifndef FUSEFS_TEXT_H
#define FUSEFS_TEXT_H

#include <stddef.h>
#include "names.h"

struct client;

/* Puts /.rsio, or NAME and NAME/.rsio with what is in them, into the tree.
 * 0 or -ENOMEM; the namespace's directory or NULL. */
int text_add_client(struct names *n);
struct node *text_add_namespace(struct names *n, const char *name, struct namespace *ns);

/* What is in the file now: memory that the caller frees, or NULL. */
char *text_make(struct client *c, const struct node *node, size_t *length);

#endif
