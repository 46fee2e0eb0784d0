/* rsagent_many_impl.h - what rsagent_many.c, rsagent_task.c, rsagent_hide.c and rsagent_screen.c share. */
#ifndef OPS_RSAGENT_MANY_IMPL_H
#define OPS_RSAGENT_MANY_IMPL_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <termios.h>
#include "rsagent_many.h"

#define TASK_ANSWER_MAX 1024
#define TASK_QUESTION_MAX 4096
#define TASK_TEXT_MAX (1 << 20)	/* to be edited */

/* From the parent to the child, in front of the answer. */
struct task_answer {
	uint32_t code;			/* errno; 0: there is one */
	uint32_t size;
};

int task_send(int fd, const void *from, size_t size);	/* all of it: 0 or -errno */
void task_tell(struct rsagent_task *t, json_t *message);	/* takes message */

/* rsagent_hide.c, in a child: what was typed unseen stands in no message. */
void hide_add(const char *secret);	/* copied */
void hide_in(json_t *message);		/* in each string of it, however deep */

/*
 * rsagent_screen.c: the terminal.  On one each host has its line of progress, which changes in place;
 * elsewhere, and where there are more hosts than lines, what they say is a line each time.  What
 * comes while a question stands there waits for its answer.
 */
struct screen_line {
	const char *host;
	char text[160];			/* "" until it says something */
};

struct screen {
	bool quiet, json;
	struct screen_line *lines;	/* in place; NULL: a line each time */
	size_t line_count;
	int columns;
	int drawn;			/* lines that stand there now */
	bool one;			/* host only */
	bool bare;			/* outputs have no name in front */
	int tty;			/* -1: there is no question now */
	struct termios before;
	char *held;			/* lines for standard error */
	size_t held_size;
};

void screen_start(struct screen *s, const struct rsagent_hosts *hosts);
void screen_end(struct screen *s);		/* what follows begins in an empty line */
void screen_progress(struct screen *s, size_t i, const char *host, const char *text);	/* i: the host's number */
void screen_output(struct screen *s, const char *host, const char *text);
void screen_hide(struct screen *s);		/* until somebody says something more */
/* Puts the question; 0, or -errno when it cannot. */
int screen_ask(struct screen *s, const char *host, const char *question, bool secret);
/* s->tty is readable: the length of the line, or -ECANCELED (^D), -EINTR (^C), -errno; the question
 * is over, but with -EAGAIN. */
int screen_answer(struct screen *s, char *answer, size_t size);
void screen_end_question(struct screen *s);	/* without an answer; harmless when there is none */

/* rsagent_editor.c: the user's editor on a text; the caller frees edited.  0 or -errno; -ECANCELED: it failed. */
int editor_run(const char *name, const char *text, char **edited, size_t *size);

/* rsagent_table.c: the end. */
void table_print(const struct rsagent_outcome *all, size_t count);
void table_print_failures(const struct rsagent_outcome *all, size_t count);
int table_print_json(const struct rsagent_outcome *all, size_t count);	/* 0 or -errno */

#endif
