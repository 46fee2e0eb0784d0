/*
 * conf_impl.h - what the files of the configuration share; nobody else
 * includes it.
 *
 * A file is read in two steps.  conf.c turns its text into a list of sections
 * with their entries, in file order, and knows lines and keys but no meaning.
 * conf_client.c and conf_server.c turn that list into the structs of conf.h and
 * check what concerns more than one key.  Both go on after a mistake, so that
 * one run finds them all.
 */
#ifndef RSIO_CONF_IMPL_H
#define RSIO_CONF_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include "conf.h"

/* inih's line buffer has 200 bytes, one of them for the NUL. */
#define CONF_LINE_MAX 199
/* "volume " and two names with a colon. */
#define CONF_HEADER_MAX 88
#define CONF_FILE_MAX (1 << 20)
/* Looking for duplicates takes time with the square of these. */
#define CONF_SECTIONS_MAX 8192
#define CONF_ALLOWED_MAX 4096
#define CONF_MISTAKES_MAX 1000
#define CONF_PORT 5000

enum conf_type {
	CONF_TYPE_TEXT,		/* char * */
	CONF_TYPE_PATH,		/* char *: absolute */
	CONF_TYPE_DEVICE,	/* char *: a network device */
	CONF_TYPE_ADDRESS,	/* char *: numeric, in its shortest form without brackets */
	CONF_TYPE_PORTAL,	/* char *: the same, or a host name */
	CONF_TYPE_LIST,		/* char **: names, NULL at the end */
	CONF_TYPE_ACCESS,	/* the same, each perhaps with :ro behind it */
	CONF_TYPE_UUID,		/* uint8_t[16] */
	CONF_TYPE_WEIGHTS,	/* struct shares */
	CONF_TYPE_STANDBYS,	/* struct shares */
	/* The defaults of what stands above are for the reader of the page: unset
	 * is NULL.  Those of what follows are values. */
	CONF_TYPE_NAME,		/* char[CONF_NAME_MAX + 1] */
	CONF_TYPE_KEY,		/* struct conf_key */
	CONF_TYPE_INT,		/* int */
	CONF_TYPE_DURATION,	/* double */
	CONF_TYPE_MICROSECONDS,	/* double, seconds */
	CONF_TYPE_MICROSECONDS_OR_AUTO,	/* the same, or CONF_POLL_AUTO */
	CONF_TYPE_BOOL,		/* bool: yes or no */
	CONF_TYPE_MODE,		/* bool: ro or rw */
	CONF_TYPE_OWNER,	/* of struct conf_own the uid, the gid, the mode */
	CONF_TYPE_GROUP,
	CONF_TYPE_PERMISSIONS,
	CONF_TYPE_SECURITY,	/* enum conf_security */
	CONF_TYPE_POLICY,	/* enum policy */
	CONF_TYPE_ON_LOSS,	/* enum conf_on_loss */
	CONF_TYPE_DISCOVERY,	/* enum conf_discovery */
	CONF_TYPE_PROTOCOL,	/* nothing: tcp is all there is */
};

/* The client's [defaults], until they go to the client and its namespaces. */
struct conf_defaults {
	struct conf_behaviour behaviour;
	int port;
	char *mount, *admin_group, *on_event;
	bool allow_other, manage;
};

/* What a section's header may be. */
enum conf_naming { CONF_UNNAMED, CONF_NAMED, CONF_NAMED_VOLUME /* NS:NAME */ };
struct conf_section_row {
	enum conf_file file;
	const char *kind;	/* the header's first word */
	enum conf_naming naming;
	bool secret;		/* has node keys in it: the file's mode matters */
};

struct conf_entry {
	const struct conf_key_row *row;	/* NULL in [clients] */
	char *name;			/* in [clients] the client's; else NULL */
	char *value;			/* wiped when freed */
	int line;
};

struct conf_section {
	const struct conf_section_row *row;	/* NULL: not known, its lines are skipped */
	char header[CONF_HEADER_MAX + 1];	/* what messages show of it: good names only */
	char name[CONF_HEADER_MAX + 1];		/* "" when there is none or it is bad */
	int line;
	struct conf_entry *entries;
	size_t count;
};

struct conf_mistake {
	int line;
	size_t found;		/* how many were found before it, to keep that order */
	char *text;
};

struct conf_parse {
	enum conf_file file;
	const char *path;
	gid_t key_group;	/* that may read keys beside the owner; (gid_t)-1: not decided yet */
	struct stat st;		/* of the file */
	bool of_fleet;		/* a server's, put together from a fleet's file */
	struct conf_section *sections;
	size_t section_count;
	struct conf_mistake *mistakes;
	size_t mistake_count, warning_count;
	bool has_keys;
	bool of_another_host;	/* files that it names are not here */
	bool keep_unknown;	/* sections and keys that nobody knows are warned of */
	char **key_files;	/* NULL at the end; goes to the result */
	size_t key_file_count;
	bool no_memory;

	/* The reader's state. */
	char *text;		/* the file, wiped when freed */
	size_t size, at;
	int line;		/* of the text that inih works on */
	size_t line_max;	/* the longest that fits into inih's buffer */
	bool cut;		/* inih will cut that line's value at a comment */
	bool skipping;		/* too many sections: the rest is not looked at */
};

/* Lines for mistakes that belong to none: before, or after, all others. */
#define CONF_LINE_FILE 0
#define CONF_LINE_END __INT_MAX__

/* A mistake, or a warning, in line, of section (NULL: none) and key (NULL: none). */
void conf_mistake(struct conf_parse *p, int line, const struct conf_section *s, const char *key,
		  const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void conf_warning(struct conf_parse *p, int line, const struct conf_section *s, const char *key,
		  const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Of a key, in its line; of a section, in its header's; of the file. */
#define conf_key_mistake(p, s, key, ...) conf_mistake(p, conf_key_line(s, key), s, key, __VA_ARGS__)
#define conf_section_mistake(p, s, ...) conf_mistake(p, (s)->line, s, NULL, __VA_ARGS__)
#define conf_file_mistake(p, ...) conf_mistake(p, CONF_LINE_FILE, NULL, NULL, __VA_ARGS__)
#define conf_end_mistake(p, ...) conf_mistake(p, CONF_LINE_END, NULL, NULL, __VA_ARGS__)

/* The mistakes, in file order, into the report; true when they are warnings at most. */
bool conf_report_take(struct conf_parse *p, struct conf_report *report);

/* One more element, zeroed, at the end of an array; NULL: no memory (noted in p). */
void *conf_more(struct conf_parse *p, void *array, size_t *count, size_t size);
void *conf_zeroed(struct conf_parse *p, size_t count, size_t size);
char *conf_dup(struct conf_parse *p, const char *text);
void *conf_secret(struct conf_parse *p, size_t count, size_t size);	/* zeroed, for keys: secure_free */
void conf_list_free(char **list);

/* " (did you mean …?)" or nothing, into buf. */
const char *conf_hint(char *buf, size_t size, const char *word, const char *const *candidates);

const struct conf_section_row *conf_section_find(enum conf_file file, const char *kind);
/* The kinds of a file's sections, NULL at the end, for conf_hint; at most max of them. */
void conf_section_kinds(enum conf_file file, const char **kinds, size_t max);
/* The key's row; NULL with hint said: the nearest key, or the section that has it. */
const struct conf_key_row *conf_key_find(const struct conf_section_row *section, const char *name,
					 char *hint, size_t size);

/* Puts the defaults of the section's keys that are values into base. */
void conf_fill_defaults(struct conf_parse *p, enum conf_file file, const char *section, void *base);
/* Puts a section's values into base, and reports what is wrong or missing;
 * false when something is. */
bool conf_fill(struct conf_parse *p, const struct conf_section *s, void *base);
/* A key's value, checked and stored; a mistake's reason into why (of CONF_WHY_MAX). */
#define CONF_WHY_MAX 300
bool conf_value_set(struct conf_parse *p, const struct conf_key_row *row, void *base,
		    const char *value, char *why);
/* A key as the file has it: the key itself, or where it is (conf_secret.c). */
bool conf_node_key(struct conf_parse *p, const char *text, struct conf_key *key, char *why);
/* Is this no key, but where one is? */
bool conf_key_is_elsewhere(const char *text);
/* conf_own.c: false with why. */
bool conf_set_owner(struct conf_own *own, const char *text, char *why);
bool conf_set_group(struct conf_own *own, const char *text, char *why);
bool conf_set_permissions(struct conf_own *own, const char *text, char *why);
/* Who can read a file that nobody else should; NULL: nobody else. */
const char *conf_readable_by(const struct conf_parse *p, const struct stat *st);
/* The line of a key in a section; the section's own when it is not there. */
int conf_key_line(const struct conf_section *s, const char *key);
bool conf_has(const struct conf_section *s, const char *key);
bool conf_is_kind(const struct conf_section *s, const char *kind);
void conf_copy_name(char to[CONF_NAME_MAX + 1], const struct conf_section *s);

/* A client's, whose unknown sections and keys are warned of: a file that is to be kept as it is. */
struct conf_client *conf_client_read_kept(const char *path, gid_t key_group, struct conf_report *report);
struct conf_client *conf_client_parse_kept(const char *path, const char *text, size_t size, struct conf_report *report);

/* The files' meaning; p's sections in, mistakes into p. */
struct conf_client *conf_client_build(struct conf_parse *p);
struct conf_server *conf_server_build(struct conf_parse *p);
struct conf_hosts *conf_hosts_build(struct conf_parse *p);
struct conf_fleet *conf_fleet_build(struct conf_parse *p);

#endif
