/*
 * plan.h - what the admin wants: answers, laid over the configuration that is there.
 *
 * OVER THE FILE, NOT IN ITS PLACE.  A plan is the file's text as it was read and a list of answers: this key of
 * that section has this value, this section is there, that one is gone.  Whoever asks for the result gets the
 * text with all answers laid over it anew.  So what was not asked stays as it was, byte for byte; an answer that
 * is taken back leaves no trace; a section that was dropped and is wanted again has its comments; and the same
 * answers do the same for another file, which is what an answers file is.
 *
 * No answer is refused when it is given: plan_check() says of each what is wrong with it, with all others at
 * hand.  A form can hold what was typed, and an answers file has all its mistakes told in one run.
 *
 * No screen and no network in here, and nothing is printed.  The pages and the answers file only edit this.
 */
#ifndef RSIO_PLAN_H
#define RSIO_PLAN_H

#include "conf_write.h"
#include "facts.h"
#include "remarks.h"

enum plan_what {
	PLAN_SET,
	PLAN_UNSET,		/* the key is gone: its default counts */
	PLAN_ADD,		/* the section is there, with whatever is in it */
	PLAN_REMOVE,		/* the section is gone, and what belongs to it */
};

struct plan_answer {
	enum plan_what what;
	char *kind, *name, *namespace;	/* as of struct conf_place; NULL as there */
	char *key, *value;		/* value: of PLAN_SET; may be a node key */
	int line;			/* of the answers file; 0: of none */
	char *why;			/* why it cannot be laid over the text; NULL: it can */
};

struct plan;

/* Of the file, which need not be there yet.  NULL with e filled. */
struct plan *plan_open(const char *path, struct err *e);
void plan_free(struct plan *p);		/* NULL is fine */
const char *plan_path(const struct plan *p);
bool plan_is_new(const struct plan *p);	/* there is no such file */
/* What the file says, without any answer; NULL: it is new, or has mistakes. */
const struct conf_client *plan_before(const struct plan *p);

/* Answers.  The last one counts; what is said of a section that was gone brings it back.  0 or -ENOMEM. */
int plan_set(struct plan *p, const struct conf_place *at, const char *key, const char *value, int line);
int plan_unset(struct plan *p, const struct conf_place *at, const char *key, int line);
int plan_add(struct plan *p, const struct conf_place *at, int line);
int plan_remove(struct plan *p, const struct conf_place *at, int line);
/* The i-th, in the order in which they are laid: defaults, interfaces, namespaces, servers, volumes, and before all
 * of them what goes.  NULL: there are no more. */
const struct plan_answer *plan_answer(struct plan *p, size_t i);
struct conf_place plan_place(const struct plan_answer *a);

/* What is missing and can be known: the node name of a namespace that has none is this host's name. */
int plan_complete(struct plan *p);

/* The result: as conf_write.h has it of the text, answers included. */
bool plan_section(struct plan *p, const char *kind, size_t i, char name[2 * CONF_NAME_MAX + 2],
		  char namespace[CONF_NAME_MAX + 1]);
int plan_get(struct plan *p, const struct conf_place *at, const char *key, char *buf, size_t size);
bool plan_changed(struct plan *p);
char *plan_text(struct plan *p);	/* the keys hidden; the caller frees; NULL: no memory */
char *plan_diff(struct plan *p);	/* the same of what changes; "": nothing */

/* All mistakes and warnings: of single values, of what they mean together, and, unless facts is NULL, of what they
 * mean on this host.  What the daemon would read, or NULL when there are mistakes; the caller frees it. */
struct conf_client *plan_check(struct plan *p, const struct facts *facts, struct remarks *r);

/* As conf_text_save() with a backup. */
int plan_save(struct plan *p, struct err *e);

#endif
