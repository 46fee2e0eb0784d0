/*
 * steps_parse.c - a line of --steps, understood.
 *
 * A line may have keys and passwords in it, and what is said of it travels back and may be logged.  So no
 * error has a word of the line but the names that are known here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "steps_impl.h"

enum { KEY_PATH = 1, KEY_TO = 2, KEY_TEXT = 4, KEY_FROM = 8, KEY_MODE = 16, KEY_OWNER = 32, KEY_NAME = 64,
       KEY_HOME = 128, KEY_ARGV = 256, KEY_UNDO = 512, KEY_SECONDS = 1024, KEY_HOW = 2048, KEY_PROGRAM = 4096,
       KEY_CONFIG = 8192, KEY_RUN_DIR = 16384, KEY_DIRS = 32768, KEY_WAS = 65536 };
#define KEYS_SERVER (KEY_HOW | KEY_PROGRAM | KEY_CONFIG | KEY_RUN_DIR | KEY_DIRS | KEY_SECONDS)

static const struct {
	const char *name;
	unsigned needs, may;
} table[STEP_COUNT] = {
	[STEP_HELLO] = { "hello", 0, 0 },
	[STEP_ALIVE] = { "alive", 0, 0 },
	[STEP_UNDO] = { "undo", 0, 0 },
	[STEP_COMMIT] = { "commit", 0, 0 },
	[STEP_DIRECTORY] = { "directory", KEY_PATH, KEY_MODE | KEY_OWNER },
	[STEP_FILE] = { "file", KEY_PATH, KEY_MODE | KEY_OWNER | KEY_TEXT | KEY_FROM },
	[STEP_LINK] = { "link", KEY_PATH | KEY_TO, 0 },
	[STEP_REMOVE] = { "remove", KEY_PATH, 0 },
	[STEP_REMOVE_TREE] = { "remove-tree", KEY_PATH, 0 },
	[STEP_OWN] = { "own", KEY_PATH | KEY_WAS | KEY_OWNER, 0 },
	[STEP_USER] = { "user", KEY_NAME, KEY_HOME },
	[STEP_REMOVE_USER] = { "remove-user", KEY_NAME, 0 },
	[STEP_RUN] = { "run", KEY_ARGV, KEY_UNDO | KEY_SECONDS },
	[STEP_START] = { "start-server", KEY_HOW, KEYS_SERVER },
	[STEP_STOP] = { "stop-server", KEY_HOW, KEYS_SERVER },
};

const char *step_name(enum step_do what)
{
	return table[what].name;
}

/* Absolute, without empty, "." and ".." parts. */
static bool is_path(const char *path)
{
	const char *p = path;

	if (*p != '/' || !p[1] || strlen(p) >= PATH_MAX)
		return false;
	while (*p) {
		size_t n = strcspn(p + 1, "/");

		if (!n || n > NAME_MAX || (n == 1 && p[1] == '.') || (n == 2 && p[1] == '.' && p[2] == '.'))
			return false;
		p += n + 1;
	}
	return true;
}

/* What every useradd takes, and nothing that means something in /etc/passwd. */
static bool is_user(const char *name)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

	return *name && strlen(name) <= 31 && *name != '-' && strspn(name, ok) == strlen(name) &&
	       strspn(name, "0123456789") != strlen(name);
}

static bool is_home(const char *home)
{
	return is_path(home) && !strpbrk(home, ":\n");
}

static bool is_mode(const char *text, mode_t *mode)
{
	char *end;
	unsigned long n = strtoul(text, &end, 8);

	if (*end || strspn(text, "01234567") != strlen(text) || !*text || n > 07777)
		return false;
	*mode = (mode_t)n;
	return true;
}

static bool is_link_target(const char *to)
{
	return *to && strlen(to) < PATH_MAX;
}

static bool is_texts(const json_t *list, bool paths)
{
	if (!json_is_array(list) || !json_array_size(list) || json_array_size(list) > 256)
		return false;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text || (paths && !is_path(text)))
			return false;
	}
	return true;
}

static bool is_seconds(const json_t *j, int *seconds)
{
	json_int_t n = json_integer_value(j);

	if (!json_is_integer(j) || n < 1 || n > STEPS_SECONDS_MAX)
		return false;
	*seconds = (int)n;
	return true;
}

static bool is_how(const char *how, bool *systemd)
{
	*systemd = strcmp(how, "systemd") == 0;
	return *systemd || strcmp(how, "plain") == 0;
}

static bool take_text(struct step *s, unsigned key, const char *text)
{
	switch (key) {
	case KEY_PATH:
		return is_path(s->path = text);
	case KEY_TO:
		return is_link_target(s->to = text);
	case KEY_TEXT:
		s->text = text;
		return true;
	case KEY_FROM:
		return s->from_self = strcmp(text, "rssrv") == 0;
	case KEY_MODE:
		return is_mode(text, &s->mode);
	case KEY_OWNER:
		return *(s->owner = text);
	case KEY_WAS:
		return *(s->was = text);
	case KEY_NAME:
		return is_user(s->name = text);
	case KEY_HOME:
		return is_home(s->home = text);
	case KEY_HOW:
		return is_how(text, &s->systemd);
	case KEY_PROGRAM:
		return is_path(s->program = text);
	case KEY_CONFIG:
		return is_path(s->config = text);
	case KEY_RUN_DIR:
		return is_path(s->run_dir = text);
	}
	return false;
}

static bool take(struct step *s, unsigned key, json_t *value)
{
	switch (key) {
	case KEY_ARGV:
		return is_texts(s->argv = value, false);
	case KEY_UNDO:
		return is_texts(s->undo = value, false);
	case KEY_DIRS:
		return is_texts(s->dirs = value, true);
	case KEY_SECONDS:
		return is_seconds(value, &s->seconds);
	case KEY_TEXT:
		s->text_length = json_string_length(value);
		break;
	}
	return json_is_string(value) && take_text(s, key, json_string_value(value));
}

static const struct { const char *name; unsigned key; } keys[] = {
	{ "path", KEY_PATH }, { "to", KEY_TO }, { "text", KEY_TEXT }, { "from", KEY_FROM }, { "mode", KEY_MODE },
	{ "owner", KEY_OWNER }, { "name", KEY_NAME }, { "home", KEY_HOME }, { "argv", KEY_ARGV },
	{ "undo", KEY_UNDO }, { "seconds", KEY_SECONDS }, { "how", KEY_HOW }, { "program", KEY_PROGRAM },
	{ "config", KEY_CONFIG }, { "run_dir", KEY_RUN_DIR }, { "dirs", KEY_DIRS }, { "was", KEY_WAS },
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static int take_all(struct step *s, struct err *e)
{
	const char *name = table[s->what].name;
	unsigned may = table[s->what].needs | table[s->what].may, had = 0;
	size_t known = 1;		/* "do" */

	for (size_t i = 0; i < KEYS; i++) {
		json_t *value = json_object_get(s->json, keys[i].name);

		if (!value)
			continue;
		if (!(may & keys[i].key))
			return err_set(e, EINVAL, "step %s: it has no '%s'", name, keys[i].name);
		if (!take(s, keys[i].key, value))
			return err_set(e, EINVAL, "step %s: '%s' is not what it may be", name, keys[i].name);
		had |= keys[i].key;
		known++;
	}
	if (known != json_object_size(s->json))
		return err_set(e, EINVAL, "step %s: it has something that is not known here", name);
	for (size_t i = 0; i < KEYS; i++)
		if (table[s->what].needs & ~had & keys[i].key)
			return err_set(e, EINVAL, "step %s: it needs '%s'", name, keys[i].name);
	if (s->what == STEP_FILE && !s->text == !s->from_self)
		return err_set(e, EINVAL, "step file: it needs 'text' or 'from'");
	if ((s->what == STEP_START || s->what == STEP_STOP) && !s->systemd && (!s->program || !s->run_dir))
		return err_set(e, EINVAL, "step %s: plainly it needs 'program' and 'run_dir'", name);
	return 0;
}

static int find_what(struct step *s, struct err *e)
{
	const char *what = json_string_value(json_object_get(s->json, "do"));

	for (int i = 0; what && i < STEP_COUNT; i++) {
		if (strcmp(what, table[i].name) != 0)
			continue;
		s->what = (enum step_do)i;
		return 0;
	}
	return err_set(e, EINVAL, what ? "such a step is not known here" : "the line does not say what to do");
}

int step_parse(const char *line, size_t length, struct step *s, struct err *e)
{
	json_error_t why;		/* its text quotes the line */
	int r;

	memset(s, 0, sizeof(*s));
	s->seconds = STEPS_SECONDS;
	s->mode = 0755;
	s->json = json_loadb(line, length, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(s->json))
		r = err_set(e, EINVAL, "the line is not a JSON object (byte %d)", why.position);
	else
		r = find_what(s, e);
	if (!r && s->what == STEP_FILE)
		s->mode = 0644;
	if (!r)
		r = take_all(s, e);
	if (r)
		step_free(s);
	return r;
}

void step_free(struct step *s)
{
	json_decref(s->json);
	memset(s, 0, sizeof(*s));
}
