/*
 * rsagent.h - what the rsagent_*.c share: a file for a command, and one that edits
 * configurations.
 */
#ifndef OPS_RSAGENT_H
#define OPS_RSAGENT_H

#include <stdbool.h>
#include "conf.h"
#include "err.h"

struct rsagent_options {
	const char *server, *node;	/* --server FILE --node NODE */
	const char *client, *namespace;	/* --client FILE --namespace NAME */
	const char *from;
	bool ask, replace, second, drop_first;
};

/* A command: its exit status.  E_USAGE: e says what is wrong with the command line. */
#define RSAGENT_USAGE 2
int rsagent_key(const struct rsagent_options *o, struct err *e);

/* The longest key that fits into a line beside a name. */
#define RSAGENT_KEY_MAX 150

/* What to do with one key in a file. */
struct rsagent_edit {
	enum conf_file file;
	const char *path;
	const char *name;		/* the client in [clients], or the namespace */
	const char *key;		/* NULL: the first of two is taken away */
	bool replace;			/* the key that is there, or both */
	bool second;			/* beside the one that is there */
};
/* Writes the file anew with its mode and owner, or leaves it as it was: -errno with e filled. */
int rsagent_edit_file(const struct rsagent_edit *edit, struct err *e);

#endif
