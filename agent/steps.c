/*
 * steps.c - rssrv --steps: what the lines ask for, in order, and the way back.
 *
 * THE PROMISE.  Until the line "commit" was read whole, everything that was done is undone: because
 * it is asked for, because the input ended, fell silent or a signal came, or because this process was
 * killed, or the power failed, and another one came after it.  The tree is then what it was, to the
 * byte, the mode and the owner, but for what others have changed meanwhile, which is theirs and stays,
 * and is named.
 *
 * THE ARGUMENT.  (1) Before a change is begun, an entry that says how to undo it is on stable storage
 * (trail_note syncs it, and the directory it is in).  So whenever this ends, each change that was begun
 * has its entry, and at most the last entry's change was not, or half, begun.  An entry that is cut off
 * was not acknowledged, so nothing of its change was begun.
 *   (2) Each undo looks at what is there and does only what is left to do: nothing where the change was
 * never begun, and nothing a second time.  What a change has in more than one part (a new file beside, a
 * second name for the old one, the rename) each part's state can be told from the names alone, since what
 * is put aside has names that nobody else uses (steps_file.c).
 *   (3) Entries are undone last first, so each finds the tree as its own change left it.  An entry is
 * marked when its undo is durable, each undo having synced its directory first.  One that is marked is
 * not looked at again: of a name that was removed and then made, both undone, the making must not be
 * undone once more.  One killed between the undo and the mark is done twice, which (2) allows: no later
 * entry is left that could have changed the same name.
 *   (4) Of a server that was stopped the start comes last, when all files are what they were: it is
 * the old program and the old configuration that it starts.  It is the same pass as the others otherwise,
 * so one that is killed in it starts the server in the next.
 *   (5) What was put aside is kept until the commit, which is one rename of the journal, synced, when all
 * changes are durable.  Before that name is there all is undone; after it, nothing: what is left is to
 * remove what was put aside, now or, when this is killed, by the next run.  There is no moment in which
 * some of the changes stay and others do not.
 *   (6) One process at a time: DIR is locked (flock) before anything is looked at, and the lock ends
 * with the process.  Nobody but root can write in DIR.
 *
 * No undo needs space: old files come back by a rename, marks are written in place.  A step that fails is
 * itself undone at once; what was done before it stays until the end is known.
 *
 * SECRETS.  The lines may have keys.  They are in secure_alloc's pages, and what JSON makes of them is wiped when it
 * is freed; the process leaves no core and cannot be traced by others.  The journal has a file's hash, never
 * its text.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "secure.h"
#include "steps.h"
#include "steps_impl.h"

#define MADE "made"		/* in DIR: the directories that were made for it, a line each, outer ones first */

/* Seconds that another process in DIR is given to end: one that is dying; the commands of one that was killed. */
#define WAIT 2
#define WAIT_UNDO 60

/*
 * Answers.
 */
static void say(struct steps *s, json_t *j)
{
	size_t length = j ? json_dumpb(j, NULL, 0, JSON_COMPACT | JSON_PRESERVE_ORDER) : 0, done = 0;
	char *text = malloc(length + 1);

	if (text) {
		json_dumpb(j, text, length, JSON_COMPACT | JSON_PRESERVE_ORDER);
		text[length++] = '\n';
	}
	json_decref(j);
	while (text && !s->quiet && done < length) {
		ssize_t n = write(1, text + done, length - done);

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno != EINTR)
			s->quiet = true;
	}
	free(text);
}

static json_t *with_error(json_t *j, const struct err *e)
{
	json_object_set_new(j, "errno", json_integer(e->code));
	json_object_set_new(j, "error", json_string(e->text));
	if (*e->next)
		json_object_set_new(j, "next", json_string(e->next));
	return j;
}

static void say_error(struct steps *s, const struct err *e)
{
	say(s, with_error(json_pack("{s:b}", "ok", 0), e));
}

/*
 * The way back.
 */
static const struct {
	const char *what;
	int (*undo)(struct steps *s, const json_t *entry, struct err *e);
	int (*tidy)(struct steps *s, const json_t *entry, struct err *e);
} kinds[] = {
	{ "file", undo_replaced, tidy_replaced },
	{ "link", undo_replaced, tidy_replaced },
	{ "remove", undo_removed, tidy_replaced },
	{ "made", undo_made, NULL },
	{ "mode", undo_mode, NULL },
	{ "own", undo_own, NULL },
	{ "run", undo_run, NULL },
	{ "user", undo_user, NULL },
	{ "remove-user", undo_user, NULL },
	{ "start", undo_start, NULL },
	{ "stop", undo_stop, NULL },
};

static int kind_of(const json_t *entry)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(entry_text(entry, "do"), kinds[i].what) == 0)
			return (int)i;
	return -1;
}

static void say_trouble(struct steps *s, const char *how, const json_t *entry, const struct err *e)
{
	const char *path = entry_text(entry, "path");

	say(s, with_error(json_pack("{s:s}", how, *path ? path : entry_text(entry, "do")), e));
}

struct undone {
	bool quiet;			/* of trouble nothing is said yet: it is all tried again at the end */
	size_t done, trouble, left;	/* entries: undone; said not to be as it was; still to be undone */
	struct err first;		/* of the trouble */
};

static void undo_entry(struct steps *s, size_t i, struct undone *u)
{
	const json_t *entry = s->trail.entries[i].what;
	struct err e = { .code = 0 };
	int kind = kind_of(entry), r;

	r = kind < 0 ? err_set(&e, EUCLEAN, "the journal has an entry that is not known here") :
		       kinds[kind].undo(s, entry, &e);
	if (r && u->quiet)
		return;
	if (r) {
		say_trouble(s, "undo", entry, &e);
		if (!u->trouble++)
			u->first = e;
	}
	if (r && r != -ECANCELED) {
		u->left++;
		return;
	}
	if (trail_mark_undone(&s->trail, i, &e) < 0) {
		say_trouble(s, "undo", entry, &e);
		if (!u->trouble++)
			u->first = e;
		u->left++;
		return;
	}
	u->done += !r;
}

static bool is_stop(const json_t *entry)
{
	return strcmp(entry_text(entry, "do"), "stop") == 0;
}

/* From entry number `from` on. */
static void undo_from(struct steps *s, size_t from, struct undone *u)
{
	struct steps_input *in = s->in;

	s->in = NULL;			/* whoever goes now does not stop it */
	for (int stops = 0; stops < 2; stops++)
		for (size_t i = s->trail.count; i-- > from;)
			if (!s->trail.entries[i].undone && is_stop(s->trail.entries[i].what) == stops)
				undo_entry(s, i, u);
	s->in = in;
}

static void undo_all(struct steps *s, struct undone *u)
{
	struct err e;

	undo_from(s, 0, u);
	if (!u->left && trail_end(&s->trail, &e) < 0) {
		u->left++;
		if (!u->trouble++)
			u->first = e;
	}
}

static void tidy_all(struct steps *s)
{
	struct err e;

	for (size_t i = 0; i < s->trail.count; i++) {
		const json_t *entry = s->trail.entries[i].what;
		int kind = kind_of(entry);

		if (kind >= 0 && kinds[kind].tidy && !s->trail.entries[i].undone && kinds[kind].tidy(s, entry, &e) < 0)
			say_trouble(s, "left", entry, &e);
	}
	if (trail_end(&s->trail, &e) < 0)
		say_trouble(s, "left", NULL, &e);
}

/*
 * Steps.
 */
static int do_step(struct steps *s, const struct step *step, json_t *answer, struct err *e)
{
	bool changed = false;
	int r = -EINVAL;

	switch (step->what) {
	case STEP_DIRECTORY:
		r = steps_directory(s, step, &changed, e);
		break;
	case STEP_FILE:
		r = steps_file(s, step, &changed, e);
		break;
	case STEP_LINK:
		r = steps_link(s, step, &changed, e);
		break;
	case STEP_REMOVE:
	case STEP_REMOVE_TREE:
		r = steps_remove(s, step, &changed, e);
		break;
	case STEP_OWN:
		r = steps_own(s, step, &changed, e);
		break;
	case STEP_RUN:
		return steps_run(s, step, answer, e);
	case STEP_USER:
		r = steps_user(s, step, &changed, e);
		break;
	case STEP_REMOVE_USER:
		r = steps_remove_user(s, step, &changed, e);
		break;
	case STEP_START:
		r = steps_start(s, step, &changed, e);
		break;
	case STEP_STOP:
		r = steps_stop(s, step, &changed, e);
		break;
	default:
		return err_set(e, ENOSYS, "step %s is not known here", step_name(step->what));
	}
	json_object_set_new(answer, "changed", json_boolean(changed));
	return r;
}

static void take_step(struct steps *s, const struct step *step)
{
	size_t before = s->trail.count;
	json_t *answer = json_pack("{s:b}", "ok", 1);
	struct undone u = { .quiet = true };
	struct err e = { .code = 0 };

	if (do_step(s, step, answer, &e) < 0) {
		s->failed = true;
		undo_from(s, before, &u);
		json_object_set_new(answer, "ok", json_false());
		json_object_del(answer, "changed");
		with_error(answer, &e);
	}
	say(s, answer);
}

/* The directories that were made for this run; itself: DIR too. */
static json_t *made_list(const struct steps *s, bool itself)
{
	int fd = openat(s->trail.dir, MADE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	json_t *list = json_array();
	char line[PATH_MAX];

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (*line == '/' && (itself || strcmp(line, s->trail.path) != 0))
			json_array_append_new(list, json_string(line));
	}
	if (f)
		fclose(f);
	return list;
}

static json_t *own_sha(void)
{
	uint8_t sha[SECURE_SHA256_SIZE];
	char text[2 * SECURE_SHA256_SIZE + 1];
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), r = fd < 0 ? -errno : secure_sha256_fd(fd, sha);

	if (fd >= 0)
		close(fd);
	for (size_t i = 0; i < SECURE_SHA256_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", sha[i]);
	return r < 0 ? json_null() : json_string(text);
}

enum outcome { GOES_ON, UNDO, COMMITTED };

static void say_hello(struct steps *s, size_t undone)
{
	say(s, json_pack("{s:b, s:s, s:I, s:o, s:o}", "ok", 1, "version", RSIO_VERSION, "undone", (json_int_t)undone,
			 "sha256", own_sha(), "made", made_list(s, false)));
}

static enum outcome commit(struct steps *s)
{
	struct err e;

	if (s->failed) {
		err_set(&e, ECANCELED, "a step has failed: nothing is committed");
		say_error(s, &e);
		return GOES_ON;
	}
	if (trail_commit(&s->trail, &e) < 0) {
		say_error(s, &e);
		return GOES_ON;
	}
	tidy_all(s);
	say(s, json_pack("{s:b}", "ok", 1));
	return COMMITTED;
}

static enum outcome take_line(struct steps *s, char *line, size_t length, size_t undone)
{
	enum outcome outcome = GOES_ON;
	struct step step;
	struct err e;
	int r = step_parse(line, length, &step, &e);

	secure_wipe(line, length);	/* now: while a command runs more lines come in its place */
	if (r < 0) {
		s->failed = true;
		say_error(s, &e);
		return GOES_ON;
	}
	switch (step.what) {
	case STEP_HELLO:
		say_hello(s, undone);
		break;
	case STEP_ALIVE:
		break;
	case STEP_UNDO:
		outcome = UNDO;
		break;
	case STEP_COMMIT:
		outcome = commit(s);
		break;
	default:
		take_step(s, &step);
	}
	step_free(&step);
	return outcome;
}

static enum outcome take_lines(struct steps *s, size_t undone)
{
	enum outcome outcome = GOES_ON;
	size_t length;
	char *line;

	while (outcome == GOES_ON && (line = steps_input_line(s->in, &length)))
		outcome = take_line(s, line, length, undone);
	return outcome;
}

/* why: NULL when it was asked for. */
static int go_back(struct steps *s, const char *why)
{
	struct undone u = { .done = 0 };
	json_t *answer;

	undo_all(s, &u);
	answer = json_pack("{s:b, s:I}", "ok", !u.trouble, "undone", (json_int_t)u.done);
	if (why)
		json_object_set_new(answer, "why", json_string(why));
	if (u.trouble)
		with_error(answer, &u.first);
	say(s, answer);
	return why || u.trouble ? 1 : 0;
}

/*
 * Begin and end.
 */
static void *take_memory(size_t size)
{
	size_t *p = malloc(size + 16);

	if (!p)
		return NULL;
	*p = size;
	return (char *)p + 16;
}

static void wipe_memory(void *p)
{
	if (!p)
		return;
	secure_wipe(p, *(size_t *)((char *)p - 16));
	free((char *)p - 16);
}

/* What JSON makes of a line has keys in it; what it makes of anything is freed by it. */
static void keep_secrets(void)
{
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	json_set_alloc_funcs(take_memory, wipe_memory);
}

/* What an earlier run left.  *undone: how much of it was undone. */
static int recover(struct steps *s, const char *dir, int wait, size_t *undone, struct err *e)
{
	struct undone u = { .done = 0 };
	bool committed;
	int r = trail_open(&s->trail, dir, wait, &committed, e);

	if (r < 0)
		return r;
	if (committed)
		tidy_all(s);
	else
		undo_all(s, &u);
	*undone = u.done;
	if (!u.left)
		return 0;
	*e = u.first;
	err_next(e, "an earlier run was cut off, and could not be undone: mend that, then deploy again");
	return -e->code;
}

/* This program, if it lies in DIR; then DIR, and what was made for it, as far as nothing else is in there.
 * Nobody else cleans up when whoever started this was killed. */
static void leave(struct steps *s)
{
	char exe[PATH_MAX], *last;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	json_t *made = made_list(s, true);
	int names = 0;
	DIR *d;

	exe[n > 0 ? n : 0] = 0;
	last = strrchr(exe, '/');
	if (last && (size_t)(last - exe) == strlen(s->trail.path) && strncmp(exe, s->trail.path, strlen(s->trail.path)) == 0)
		unlinkat(s->trail.dir, last + 1, 0);
	d = opendir(s->trail.path);
	for (struct dirent *f; d && (f = readdir(d));)
		names += strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0 && strcmp(f->d_name, MADE) != 0;
	if (d)
		closedir(d);
	if (d && !names && json_array_size(made)) {
		unlinkat(s->trail.dir, MADE, 0);
		for (size_t i = json_array_size(made); i-- > 0;)
			if (rmdir(json_string_value(json_array_get(made, i))) < 0)
				break;
	}
	json_decref(made);
}

int steps_main(const char *dir)
{
	struct steps_input in;
	struct steps s = { .in = &in };
	struct err e = { .code = 0 };
	enum outcome outcome = GOES_ON;
	size_t undone = 0;
	int r;

	keep_secrets();
	r = steps_input_open(&in, 0, &e);
	if (!r)
		r = recover(&s, dir, WAIT, &undone, &e);
	if (!r)
		outcome = take_lines(&s, undone);
	if (r)
		say_error(&s, &e);
	else if (outcome != COMMITTED)
		r = go_back(&s, outcome == UNDO ? NULL : in.why);
	if (s.trail.dir >= 0 && s.trail.fd < 0)
		leave(&s);
	trail_close(&s.trail);
	steps_input_close(&in);
	return r ? 1 : 0;
}

int steps_undo_main(const char *dir)
{
	struct steps_input in;		/* for the signals alone, which must not stop it */
	struct steps s = { .in = NULL };
	struct err e = { .code = 0 };
	size_t undone = 0;
	int r;

	keep_secrets();
	r = steps_input_open(&in, -1, &e);
	if (!r)
		r = recover(&s, dir, WAIT_UNDO, &undone, &e);
	if (r)
		say_error(&s, &e);
	else
		say(&s, json_pack("{s:b, s:I}", "ok", 1, "undone", (json_int_t)undone));
	if (!r && s.trail.dir >= 0)
		leave(&s);
	trail_close(&s.trail);
	steps_input_close(&in);
	return r ? 1 : 0;
}
