/*
 * conf_write.h - the two configuration files, edited as texts: what an edit does not speak of
 * stays byte for byte as it was - comments, order, indentation, lines that nobody knows, CR LF,
 * a last line without its newline.
 *
 * A text is taken from a file (or from memory: another host's), edited by the calls below, shown
 * as a difference, and saved.  Nothing here prints, and nothing it gives out to be shown has a key in it.
 */
#ifndef RSIO_CONF_WRITE_H
#define RSIO_CONF_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "conf.h"
#include "err.h"

struct conf_text;

/* The file's text.  A link is followed, and stays one.  may_be_new: no such file is an empty text,
 * which saving makes a file of, and the directory it is in if that lacks too.  NULL with e filled. */
struct conf_text *conf_text_open(enum conf_file file, const char *path, bool may_be_new, struct err *e);
/* A copy of the bytes; path is for messages, and it cannot be saved.  NULL with e filled. */
struct conf_text *conf_text_of(enum conf_file file, const char *path, const char *bytes, size_t size, struct err *e);
void conf_text_free(struct conf_text *t);	/* NULL is fine; wiped */

/* Valid until the next edit; a NUL is behind them. */
const char *conf_text_bytes(const struct conf_text *t, size_t *size);
const char *conf_text_path(const struct conf_text *t);
bool conf_text_is_new(const struct conf_text *t);	/* there was no file */
bool conf_text_changed(const struct conf_text *t);	/* since it was taken */
/* As it was taken: no edit was made.  -ENOMEM with e filled. */
int conf_text_begin_anew(struct conf_text *t, struct err *e);
/* The client's: what checks and saves it from now on warns of sections and keys that nobody knows; without this, as
 * a daemon's would be, they are mistakes. */
void conf_text_keep_unknown(struct conf_text *t);

/* A section: "[kind name]"; name NULL: [defaults], [clients].  namespace is for the client's [server],
 * which belongs to the [namespace] above it; NULL: whichever it stands under. */
struct conf_place {
	const char *kind, *name, *namespace;
};
bool conf_text_has(const struct conf_text *t, const struct conf_place *at);
/* The value, without a comment behind it, into buf: its length, or -ENOENT, -ENOSPC.  A nodekey is given
 * out as well: the caller wipes buf. */
int conf_text_get(const struct conf_text *t, const struct conf_place *at, const char *key, char *buf, size_t size);
/* The name of the i-th section of the kind, in file order, into name, and into namespace, unless that is NULL, the one
 * that the client's [server] belongs to ("" of other kinds): false when there are no more. */
bool conf_text_section(const struct conf_text *t, const char *kind, size_t i, char name[2 * CONF_NAME_MAX + 2],
		       char namespace[CONF_NAME_MAX + 1]);

/* Edits: 0, or -errno with e filled and the text as it was.  What is wanted already changes nothing. */
/* The value in its line, whose indentation, name, '=' and comment stay; or a line more, behind the section's
 * others and in their style; or a section more, behind those of its kind. */
int conf_text_set(struct conf_text *t, const struct conf_place *at, const char *key, const char *value, struct err *e);
int conf_text_unset(struct conf_text *t, const struct conf_place *at, const char *key, struct err *e);
int conf_text_add(struct conf_text *t, const struct conf_place *at, struct err *e);	/* an empty section */
/* The section with its comments, but for those above it; a [namespace] of the client with its servers. */
int conf_text_remove(struct conf_text *t, const struct conf_place *at, struct err *e);

/* One line of the server's [clients]. */
enum conf_client_edit {
	CONF_CLIENT_ADD,	/* it has no key yet */
	CONF_CLIENT_SECOND,	/* it has one, and this is beside it */
	CONF_CLIENT_REPLACE,	/* in the place of all it has, if any */
	CONF_CLIENT_DROP_FIRST,	/* of its two; key NULL */
	CONF_CLIENT_REMOVE,	/* all of it, also from the lists of pools and volumes; key NULL.  -EBUSY: one of
				 * these is for it alone, and would be everybody's */
};
int conf_text_client(struct conf_text *t, enum conf_client_edit what, const char *name, const char *key, struct err *e);
unsigned conf_text_client_keys(const struct conf_text *t, const char *name);	/* how many keys it has */

/* As the daemons would read it: 0, or -EINVAL with e and the report filled.  The report, which may be NULL, is
 * filled in any case and the caller's to free. */
int conf_text_check(const struct conf_text *t, struct conf_report *report, struct err *e);
/* What the client's text says, or NULL; the report is filled in any case and the caller's to free, and so is this. */
struct conf_client *conf_text_read_client(const struct conf_text *t, struct conf_report *report);

/*
 * Saving: FILE.new beside it with the file's mode, owner and access list, fsync, checked as above and for who
 * may read it, renamed, the directory fsynced; there is always one whole file.  Refused with -ESTALE when the
 * file is another one than was read, with -EBUSY while somebody else saves it, with -EINVAL and the report filled
 * when it would have mistakes; it is then as it was.  A new file's mode is 0600.
 * backup: what was there stays as FILE.bak-1, the one before as FILE.bak-2, CONF_BACKUPS in all: each is
 * the old file itself, so as private as that was.  Without a change nothing is written.
 */
#define CONF_BACKUPS 3
int conf_text_save(struct conf_text *t, bool backup, struct conf_report *report, struct err *e);

/* What to show: text with the keys as "(hidden)", line for line; the caller frees; NULL: no memory. */
char *conf_text_hidden(enum conf_file file, const char *bytes, size_t size, size_t *shown_size);
/* What the edits changed, as diff.h has it, keys hidden; "": nothing.  The caller frees; NULL: no memory. */
char *conf_text_diff(const struct conf_text *t);

/*
 * What a client needs to use servers: its namespace, with its name and key in it, and the servers' portals below.
 */
struct conf_join_portal {
	char name[CONF_NAME_MAX + 1];		/* of the [server] section, if one has to be made */
	char address[64];
	int port;				/* 0: what the file says, else 5000 */
};
struct conf_join {
	const char *namespace;
	int id;					/* -1: what the file has, else one that is free */
	const char *node;			/* NULL: what the file has, else this host's name */
	const char *key;			/* NULL: what the file has */
	const struct conf_join_portal *portals;
	size_t portal_count;
	/* This host's own, by name and address: taken only by a text that has neither a namespace nor an interface yet.
	 * Without any the kernel chooses. */
	const struct conf_join_portal *interfaces;
	size_t interface_count;
	const struct conf_join_portal *gone;	/* that the server had and has no more: known by address and port */
	size_t gone_count;
};
/* Edits the client's text so; what it has already stays where it stands.  -EEXIST: the namespace has another id, or
 * the id another namespace.  A node name or a key that is given takes the place of the namespace's: all its servers
 * know this client by one. */
int conf_text_join(struct conf_text *t, const struct conf_join *j, struct err *e);
/* Takes these portals away, known by address and port, and the namespace with its last one.  -ENOTEMPTY: it is the
 * only namespace, and a client has one at least. */
int conf_text_leave(struct conf_text *t, const char *namespace, const struct conf_join_portal *portals, size_t count,
		    struct err *e);
/* A number that no namespace of the text has: made from the name, so that it is the same on every host, but for
 * those that are taken. */
int conf_text_free_id(const struct conf_text *t, const char *namespace);
/* The one namespace that the client's text has, into name: false when there is none, or several. */
bool conf_text_only_namespace(const struct conf_text *t, char name[CONF_NAME_MAX + 1]);
/* Two ways to write an address, or a host's name. */
bool conf_same_address(const char *a, const char *b);
/* 64 hex digits that are this key, whatever it was made from.  The caller wipes them. */
#define CONF_KEY_TEXT (2 * CONF_KEY_BYTES + 1)
void conf_key_text(const struct conf_key *key, char text[CONF_KEY_TEXT]);
/* This host's name as a node's: what is no name's character becomes '-'. */
void conf_host_name(char name[CONF_NAME_MAX + 1]);

#endif
