/* steps_impl.h - what the parts of --steps share (steps.c). */
#ifndef RSSRV_STEPS_IMPL_H
#define RSSRV_STEPS_IMPL_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "err.h"

#define STEPS_LINE_MAX (16u << 20)	/* bytes of a line, without its end */
#define STEPS_SILENCE 20		/* seconds without a byte: whoever asked has gone */
#define STEPS_OUTPUT_MAX 4096		/* of a command's output */
#define STEPS_SECONDS 30		/* that a command may take, unless it says how long */
#define STEPS_SECONDS_MAX 600

/*
 * A line, understood (steps_parse.c).
 */
enum step_do {
	STEP_HELLO, STEP_ALIVE, STEP_UNDO, STEP_COMMIT, STEP_DIRECTORY, STEP_FILE, STEP_LINK, STEP_REMOVE,
	STEP_REMOVE_TREE, STEP_OWN, STEP_USER, STEP_REMOVE_USER, STEP_RUN, STEP_START, STEP_STOP, STEP_COUNT,
};

struct step {
	enum step_do what;
	json_t *json;			/* owned; the texts below are in it */
	const char *path, *to, *text;
	size_t text_length;
	bool from_self;			/* file: the content is this program */
	mode_t mode;
	const char *owner;		/* "user:group", names or numbers; NULL: root's */
	const char *was;		/* own: whose it is before */
	const char *name, *home;	/* of a user */
	json_t *argv, *undo;		/* arrays of texts; undo may be NULL */
	int seconds;
	bool systemd;			/* else started plainly */
	const char *program, *config, *run_dir;
	json_t *dirs;			/* in which the server makes files of its own; may be NULL */
};

/* 0, or -EINVAL with e filled, in which nothing of the line's content is: it may have keys. */
int step_parse(const char *line, size_t length, struct step *s, struct err *e);
void step_free(struct step *s);
const char *step_name(enum step_do what);

/*
 * Lines as they come (steps_input.c).
 */
struct steps_input {
	int fd, signals;		/* signals: HUP, TERM, INT, and a child's end */
	char *bytes;			/* secure_alloc's: there may be keys in it */
	size_t start, used, room;
	uint64_t heard;			/* ms of CLOCK_BOOTTIME when something last came */
	int silence;			/* seconds */
	bool ended;			/* why says why; what came before is still given out */
	char why[80];
};
int steps_input_open(struct steps_input *in, int fd, struct err *e);
void steps_input_close(struct steps_input *in);
/* The next line, its end replaced by 0; it is valid until the next call.  NULL: there will be none. */
char *steps_input_line(struct steps_input *in, size_t *length);
/* Waits until something can be read from fd (or -1), a child ended, or ms have passed, and meanwhile takes
 * what comes.  True: fd has something.  False also when the input has ended. */
bool steps_input_wait(struct steps_input *in, int fd, int ms);
uint64_t steps_now(void);		/* ms */

/*
 * The trail: what is about to be done, on stable storage before it is (steps_trail.c).
 */
#define TRAIL_KEPT "kept"		/* names of copies in DIR begin so; they go with the trail */
struct trail_entry {
	json_t *what;
	off_t at;			/* in the file */
	bool undone;
};
struct trail {
	char *path;			/* of DIR */
	int dir;			/* DIR, locked */
	int fd;				/* the file, or -1: there is none */
	off_t end;
	char id[9];			/* of this run, in the names of what it puts aside */
	bool broken;			/* a line is half there and cannot be taken back: nothing is added */
	struct trail_entry *entries;
	size_t count, room;
};
/* What an earlier run left is read.  *committed: it was to stay, and only has to be tidied up.
 * 0, or -errno: -EBUSY when another process is at it, and still is after that many seconds. */
int trail_open(struct trail *t, const char *dir, int wait, bool *committed, struct err *e);
void trail_close(struct trail *t);
int trail_note(struct trail *t, json_t *what, struct err *e);	/* takes what, also when it fails */
int trail_mark_undone(struct trail *t, size_t i, struct err *e);
/* The one moment from which on all stays. */
int trail_commit(struct trail *t, struct err *e);
/* Nothing is to be undone, nothing to be tidied up: the file goes. */
int trail_end(struct trail *t, struct err *e);

/*
 * A run.
 */
struct steps {
	struct trail trail;
	struct steps_input *in;		/* NULL: nobody is listening */
	bool quiet;			/* answers are not to be written: nobody reads them */
	bool failed;			/* a step has: nothing is committed any more */
	size_t serial;			/* of names of what is put aside */
};

/* One step: what it would change is noted in the trail, then changed.  *changed, false at first.
 * more: an object for what else the answer is to have.  0 or -errno with e filled; then what
 * it noted is undone by the caller. */
int steps_directory(struct steps *s, const struct step *step, bool *changed, struct err *e);
int steps_file(struct steps *s, const struct step *step, bool *changed, struct err *e);
int steps_link(struct steps *s, const struct step *step, bool *changed, struct err *e);
int steps_remove(struct steps *s, const struct step *step, bool *changed, struct err *e);
int steps_own(struct steps *s, const struct step *step, bool *changed, struct err *e);
int steps_run(struct steps *s, const struct step *step, json_t *more, struct err *e);
int steps_user(struct steps *s, const struct step *step, bool *changed, struct err *e);
int steps_remove_user(struct steps *s, const struct step *step, bool *changed, struct err *e);
int steps_start(struct steps *s, const struct step *step, bool *changed, struct err *e);
int steps_stop(struct steps *s, const struct step *step, bool *changed, struct err *e);

/* Undoing an entry.  0, also when there was nothing left to do; -ECANCELED: somebody else has changed it since,
 * and it stays as it is; another -errno: it could not be undone now.  e is filled with the last two. */
int undo_replaced(struct steps *s, const json_t *entry, struct err *e);	/* file, link */
int undo_removed(struct steps *s, const json_t *entry, struct err *e);
int undo_made(struct steps *s, const json_t *entry, struct err *e);
int undo_mode(struct steps *s, const json_t *entry, struct err *e);
int undo_own(struct steps *s, const json_t *entry, struct err *e);
int undo_run(struct steps *s, const json_t *entry, struct err *e);
int undo_user(struct steps *s, const json_t *entry, struct err *e);
int undo_start(struct steps *s, const json_t *entry, struct err *e);
int undo_stop(struct steps *s, const json_t *entry, struct err *e);
/* After the commit: what was put aside for undoing goes.  0 or -errno with e filled. */
int tidy_replaced(struct steps *s, const json_t *entry, struct err *e);

/*
 * Paths (steps_path.c).
 */
/* The directory that the path's last name is in, opened; name is that name.  Symbolic links on the way are
 * followed when they are root's or this process's own user's, so that nobody else leads it astray.
 * -errno with e filled. */
int steps_parent(const char *path, char name[NAME_MAX + 1], struct err *e);
/* That directory itself, opened in the same way. */
int steps_open(const char *path, struct err *e);
/* A name for something put aside beside it: hidden, and nobody knows it beforehand. */
void steps_aside(struct steps *s, const char *end, char name[NAME_MAX + 1]);
int steps_owner(const char *text, uid_t *uid, gid_t *gid, struct err *e);	/* NULL: root's; -ENOENT */
bool steps_same_owner(const struct stat *st, mode_t mode, uid_t uid, gid_t gid);
/* All that is in and below it, and it; no symbolic link is followed, nothing mounted is entered. */
int steps_remove_all(int parent, const char *name, struct err *e);
long steps_mount_of(int fd);	/* its number; -1: not known */
int steps_no_mounts(int parent, const char *name, const char *path, struct err *e);	/* in it; else -EBUSY */
int steps_rename_new(int dir, const char *from, const char *to);	/* not over what is there; 0 or -errno */
bool steps_is_there(int dir, const char *name, struct stat *st);

/*
 * Commands (steps_run.c).
 */
struct steps_command {
	char *const *argv;
	int seconds;
	int status;			/* as waitpid says it */
	char output[STEPS_OUTPUT_MAX + 1];	/* the first of it, cleaned; lines end with \n */
	size_t length;
};
/* 0 when it ended, however; -ETIMEDOUT, -ECANCELED (the input ended meanwhile), -errno, with e filled. */
int steps_command(struct steps *s, struct steps_command *c, struct err *e);
/* The same, and a status other than 0 is an error, with the output's last line in it. */
int steps_command_ok(struct steps *s, struct steps_command *c, struct err *e);
const char *steps_which(const char *name, char path[PATH_MAX]);	/* NULL: there is no such command */

/* An entry's values; "" and 0 where it has none. */
const char *entry_text(const json_t *entry, const char *key);
long entry_number(const json_t *entry, const char *key);

#endif
