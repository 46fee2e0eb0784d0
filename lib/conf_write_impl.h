/*
 * conf_write_impl.h - what the conf_write_*.c share; nobody else includes it.
 *
 * TWO READERS.  conf.c reads a text for its meaning, these for its places, and both must see the same
 * sections, keys and values: a line begins behind blanks and tabs, a header's name is what stands
 * between its brackets, a value ends at a blank and ';'.  tests/fuzz/fuzz_conf_write.c compares them.
 */
#ifndef RSIO_CONF_WRITE_IMPL_H
#define RSIO_CONF_WRITE_IMPL_H

#include <sys/stat.h>
#include "conf_impl.h"
#include "conf_write.h"

struct conf_text {
	enum conf_file file;
	char *path;		/* as it was given */
	char *real;		/* the file that is replaced; NULL: the text is no file's */
	bool is_new;		/* there was none */
	bool keep_unknown;	/* the client's */
	struct stat st;		/* of what was read, unless it is new */
	char *before, *text;	/* secure_alloc; a NUL behind each */
	size_t before_size, size;
};

enum conf_line_kind { CONF_LINE_BLANK, CONF_LINE_COMMENT, CONF_LINE_HEADER, CONF_LINE_ENTRY };

/* A walk through the lines of a text, and the section that each is in. */
struct conf_walk {
	const char *text;
	size_t size;
	enum conf_file file;
	size_t from, to;			/* the line, its newline included */
	size_t start, end;			/* without what is blank at both ends */
	enum conf_line_kind line;
	unsigned section;			/* counted from 1; 0: before the first */
	char kind[CONF_NAME_MAX + 1];		/* "": its header is none */
	char name[CONF_HEADER_MAX + 1];
	char namespace[CONF_HEADER_MAX + 1];	/* the client's: that the section is, or is below; "" none */
};
void conf_walk_begin(struct conf_walk *w, const struct conf_text *t);
void conf_walk_bytes(struct conf_walk *w, enum conf_file file, const char *text, size_t size);
bool conf_walk_next(struct conf_walk *w);		/* false: at the end */
bool conf_walk_is_at(const struct conf_walk *w, const struct conf_place *at);

/* An entry's parts, as offsets. */
struct conf_parts {
	size_t word_end;			/* of the key, or the client's name, which begins at start */
	size_t equals;				/* 0: there is none */
	size_t value, value_end;		/* without blanks, and a comment behind it */
};
void conf_walk_parts(const struct conf_walk *w, struct conf_parts *p);
bool conf_walk_is(const struct conf_walk *w, const struct conf_parts *p, const char *word);

/* Where a section stands. */
struct conf_span {
	size_t from;		/* its header's line */
	size_t last;		/* behind its header and its last entry */
	size_t to;		/* and behind the comments that follow without a blank line, and are not the next one's */
};
void conf_span_of(const struct conf_text *t, unsigned section, struct conf_span *s);	/* conf_walk's count */
bool conf_find_section(const struct conf_text *t, const struct conf_place *at, struct conf_span *s);

/* In place of from..to; -ENOMEM with e filled. */
int conf_splice(struct conf_text *t, size_t from, size_t to, const char *bytes, size_t size, struct err *e);
/* What ends the lines around there. */
const char *conf_newline(const struct conf_text *t, size_t at);
/* Puts whole lines there, a newline in front where the line before has none; lines end with '\n', which
 * becomes what the text has. */
int conf_put_lines(struct conf_text *t, size_t at, const char *lines, struct err *e);
/* For an edit in several steps: the text as it is; and its end, which with r < 0 brings that back.  Gives out r. */
struct conf_kept {
	char *text;
	size_t size;
};
int conf_keep(const struct conf_text *t, struct conf_kept *k, struct err *e);
int conf_keep_end(struct conf_text *t, struct conf_kept *k, int r);
/* Can a line end with it and be read back as it is? */
int conf_value_fits(const char *value, struct err *e);

#endif
