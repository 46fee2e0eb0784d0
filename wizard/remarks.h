/*
 * remarks.h - what there is to say of a plan: mistakes, which keep it from being saved, and warnings.
 */
#ifndef RSIO_REMARKS_H
#define RSIO_REMARKS_H

#include <stdbool.h>
#include <stddef.h>

#define REMARK_SECTION_MAX 128
#define REMARK_KEY_MAX 48
#define REMARK_TEXT_MAX 400

struct remark {
	bool warning;
	bool of_answers;	/* line is the answers file's, not the configuration's */
	int line;		/* 0: of no line */
	char section[REMARK_SECTION_MAX];	/* "server big-9-1"; "": of none */
	char key[REMARK_KEY_MAX];		/* "": of none */
	char text[REMARK_TEXT_MAX];
};

struct remarks {
	struct remark *list;
	size_t count, mistakes;
	bool no_memory;
};

/* One more, with its text; zeroed but for that.  NULL: no memory, which is noted. */
struct remark *remarks_add(struct remarks *r, bool warning, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void remarks_free(struct remarks *r);
/* A line each to standard error, the answers file's first and each file's in the order of its lines: "crsio:
 * FILE:LINE: warning: [SECTION] key: text".  Sorts them.  answers: that file's name, or NULL. */
void remarks_print(struct remarks *r, const char *config, const char *answers);

#endif
