/*
 * err.h - what went wrong on a cold path, in words for the user.
 *
 * Data paths return 0 or a negative errno and nothing else.  Cold paths
 * (configuration, command line, control requests) fill a struct err too: one
 * line that says what was attempted, on what and why it failed, and where
 * there is one, the next step.  Whoever first knows the user's words writes
 * the message; callers above add nothing and log nothing twice.
 */
#ifndef RSIO_ERR_H
#define RSIO_ERR_H

#define ERR_TEXT_MAX 480
#define ERR_NEXT_MAX 240

struct err {
	int code;			/* positive errno; 0: no error */
	char text[ERR_TEXT_MAX];	/* what, on what, why: one line, no newline, no full stop */
	char next[ERR_NEXT_MAX];	/* what to do now; may be empty */
};

/* Sets code and text, clears next; returns -code, so that a caller can
 * `return err_set(e, ENOENT, "…")`.  e may be NULL. */
int err_set(struct err *e, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set, with ": " and strerror(code) appended. */
int err_sys(struct err *e, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Sets the next step. */
void err_next(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Prints "PROGRAM: text" and, where there is one, "PROGRAM: next" on a line
 * of its own, to standard error. */
void err_print(const char *program, const struct err *e);

/* Makes text that came from anywhere fit for a terminal, a log and JSON: what
 * is not UTF-8 becomes '?', and so does every control character, also those of
 * two bytes that terminals obey.  The length stays. */
void err_clean(char *text);

#endif
