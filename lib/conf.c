/*
 * conf.c - a configuration file's text, through inih, into sections and
 * entries.
 *
 * The packaged inih has habits that lose data without a word: it joins an
 * indented line to the value above it, cuts lines at 200 bytes and section
 * names at 49, ends a value at " ;", and does not tell of a section without
 * keys, nor of a line's number.  So inih never sees the file.  A reader stands
 * between them (next_line) that strips indentation, reads section headers
 * itself and hands inih a short stand-in, counts lines, refuses what is too
 * long, and turns the NAME KEY lines of [clients] into NAME=KEY.  What is left
 * for inih is to split a line at '=', to strip blanks and to take off a comment.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "secure.h"
#include "conf_impl.h"

#define KINDS_MAX 16
#define UTF8_BOM "\xef\xbb\xbf"

/* In the line that was just read. */
#define line_mistake(p, s, ...) conf_mistake(p, (p)->line, s, NULL, __VA_ARGS__)

static const char blanks[] = " \t\v\f\r";

/* Of what is in no table: a mistake to a daemon, which would do something else than the admin meant.  Who
 * only edits the file says so and leaves it there. */
static void unknown(struct conf_parse *p, const struct conf_section *s, const char *key, const char *hint)
{
	const char *what = key ? "key" : "section";

	if (p->keep_unknown)
		conf_warning(p, p->line, s, key, "unknown %s%s: it stays, and the daemon refuses the file for it", what, hint);
	else
		conf_mistake(p, p->line, s, key, "unknown %s%s", what, hint);
}

/* Sections. */

/* A [server] of the client belongs to the [namespace] above it, so two
 * namespaces may have one of the same name, as have two servers of a fleet; a second
 * [namespace] or [server] of the server is another kind of mistake, which conf_server.c explains. */
static void check_duplicate(struct conf_parse *p, const struct conf_section *s)
{
	bool of_namespace = conf_is_kind(s, "server") || conf_is_kind(s, "client");
	bool of_server = p->file == CONF_FILE_FLEET && !of_namespace && !conf_is_kind(s, "namespace");

	if (p->file == CONF_FILE_SERVER && (of_namespace || conf_is_kind(s, "namespace")))
		return;
	if (s->row->naming != CONF_UNNAMED && !*s->name)
		return;
	for (const struct conf_section *other = s; other-- > p->sections;) {
		if (!other->row)
			continue;
		if ((of_namespace && conf_is_kind(other, "namespace")) ||
		    (of_server && conf_is_kind(other, "server")))
			return;
		if (other->row == s->row && strcmp(other->name, s->name) == 0) {
			conf_section_mistake(p, s, "is the same section as in line %d",
					     other->line);
			return;
		}
	}
}

/* The header's second word, which must be what the kind of section wants. */
static void check_name(struct conf_parse *p, struct conf_section *s, char *name)
{
	char namespace[CONF_NAME_MAX + 1], volume[CONF_VOLUME_MAX + 1];
	bool good = false;

	switch (s->row->naming) {
	case CONF_UNNAMED:
		good = !*name;
		if (!good)
			conf_section_mistake(p, s, "this section takes no name");
		break;
	case CONF_NAMED:
		good = conf_name_valid(name);
		if (!good)
			conf_section_mistake(p, s,
					     "this section needs a name: [%s NAME], with 1..%d of "
					     "A-Z a-z 0-9 . _ -, no leading . or -", s->row->kind,
					     CONF_NAME_MAX);
		break;
	case CONF_NAMED_VOLUME:
		good = conf_split_volume(name, namespace, volume, NULL) == 0 && conf_name_valid(volume);
		if (good)
			name[strlen(namespace)] = ':';
		else
			conf_section_mistake(p, s,
					     "this section needs a volume: [%s NAMESPACE:VOLUME]",
					     s->row->kind);
		break;
	}
	if (!good || !*name)
		return;
	snprintf(s->name, sizeof(s->name), "%s", name);
	snprintf(s->header, sizeof(s->header), "%s %s", s->row->kind, name);
}

static void name_section(struct conf_parse *p, struct conf_section *s, char *inner)
{
	const char *kinds[KINDS_MAX];
	char hint[64], *name = inner + strcspn(inner, blanks);

	if (*name)
		*name++ = 0;
	name += strspn(name, blanks);
	snprintf(s->header, sizeof(s->header), "%s", conf_name_valid(inner) ? inner : "?");
	s->row = conf_section_find(p->file, inner);
	if (!s->row) {
		conf_section_kinds(p->file, kinds, KINDS_MAX);
		unknown(p, s, NULL, conf_hint(hint, sizeof(hint), inner, kinds));
		return;
	}
	check_name(p, s, name);
	check_duplicate(p, s);
}

/* "[KIND NAME]" and perhaps a comment.  Whatever is wrong with it, a section
 * begins here: the lines below it are not the one's above. */
static bool begin_section(struct conf_parse *p, char *line)
{
	struct conf_section *s;
	char *inner = line + 1 + strspn(line + 1, blanks), *end = strchr(inner, ']'), *after;

	if (p->section_count >= CONF_SECTIONS_MAX) {
		line_mistake(p, NULL, "more than %d sections", CONF_SECTIONS_MAX);
		return false;
	}
	s = conf_more(p, &p->sections, &p->section_count, sizeof(*s));
	if (!s)
		return false;
	s->line = p->line;
	if (!end) {
		line_mistake(p, NULL, "a section's header ends with ']'");
		return true;
	}
	after = end + 1 + strspn(end + 1, blanks);
	if (*after && *after != '#' && *after != ';')
		line_mistake(p, NULL, "nothing but a comment may follow a section's header");
	while (end > inner && strchr(blanks, end[-1]))
		end--;
	*end = 0;
	if (end - inner > CONF_HEADER_MAX)
		line_mistake(p, NULL, "the section's header is longer than %d bytes",
			     CONF_HEADER_MAX);
	else
		name_section(p, s, inner);
	return true;
}

/* Lines of a section. */

static struct conf_section *section_now(struct conf_parse *p)
{
	return p->section_count ? &p->sections[p->section_count - 1] : NULL;
}

/* "NAME KEY" becomes "NAME=KEY".  No message shows any of it: who swaps the two
 * would read his key in the log. */
static bool client_line(struct conf_parse *p, char *line)
{
	const struct conf_section *s = section_now(p);
	size_t name = strcspn(line, blanks);
	char *key = line + name + strspn(line + name, blanks);

	if (!*key) {
		line_mistake(p, s, "a line here is a client's name, a blank, and its key");
		return false;
	}
	line[name] = 0;
	if (!conf_name_valid(line)) {
		line_mistake(p, s,
			     "the first word is not a client's name (1..%d of A-Z a-z 0-9 . _ -)",
			     CONF_NAME_MAX);
		return false;
	}
	if (key[0] == '=' && (!key[1] || strchr(blanks, key[1]))) {
		line_mistake(p, s, "a client's name and its key stand here without '='");
		return false;
	}
	if (strcspn(key, blanks) != strlen(key)) {
		line_mistake(p, s,
			     "a node key has no blanks; a comment stands on a line of its own");
		return false;
	}
	line[name] = '=';
	memmove(line + name + 1, key, strlen(key) + 1);
	return true;
}

/* What inih would take for a line of another form is refused here. */
static bool key_line(struct conf_parse *p, const char *line)
{
	const struct conf_section *s = section_now(p);
	const char *equals = strchr(line, '=');
	size_t length;

	if (!equals) {
		line_mistake(p, s, "a line here is KEY = VALUE, and this one has no '='");
		return false;
	}
	length = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
	if (!length || line + length + strspn(line + length, blanks) != equals) {
		line_mistake(p, s, "what stands before '=' is not a key");
		return false;
	}
	p->cut = false;
	for (const char *c = equals + 1; (c = strchr(c, ';')); c++)
		if (strchr(blanks, c[-1]))
			p->cut = true;
	return true;
}

/* Takes the next line out of the text, without indentation and line end; NULL
 * at the end of the text. */
static char *take_line(struct conf_parse *p, size_t *length)
{
	char *line = p->text + p->at, *end;

	if (p->at >= p->size)
		return NULL;
	end = memchr(line, '\n', p->size - p->at);
	if (!end)
		end = p->text + p->size;
	p->at = (size_t)(end - p->text) + 1;
	p->line++;
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	while (end > line && strchr(blanks, end[-1]) && end[-1])
		end--;
	*end = 0;
	*length = (size_t)(end - line);
	return line;
}

/* True when inih shall see the line, which may have been rewritten in place. */
static bool line_for_inih(struct conf_parse *p, char *line, size_t length)
{
	const struct conf_section *s = section_now(p);
	bool is_client, taken;

	if (!*line && !length)
		return false;
	if (*line == '#' || *line == ';')
		return false;
	if (strlen(line) != length) {
		line_mistake(p, NULL, "a NUL byte; this is not a text file");
		return false;
	}
	if (length > p->line_max) {
		line_mistake(p, NULL, "the line is longer than %zu bytes", p->line_max);
		return false;
	}
	if (*line == '[') {
		if (!begin_section(p, line))
			p->skipping = true;
		return false;
	}
	if (!s) {
		line_mistake(p, NULL, "a line before the first section");
		return false;
	}
	if (!s->row)
		return false;	/* the header was reported */
	is_client = conf_is_kind(s, "clients");
	taken = is_client ? client_line(p, line) : key_line(p, line);
	/* What is not understood may be a key as well. */
	if (s->row->secret && !taken)
		p->has_keys = true;
	return taken;
}

/* inih's reader, in the place of fgets. */
static char *next_line(char *buf, int size, void *arg)
{
	struct conf_parse *p = arg;
	size_t sections, length;
	char *line;

	p->line_max = size <= CONF_LINE_MAX ? (size_t)size - 1 : CONF_LINE_MAX;
	while (!p->skipping && (line = take_line(p, &length))) {
		sections = p->section_count;
		if (line_for_inih(p, line, length)) {
			snprintf(buf, (size_t)size, "%s", line);
			return buf;
		}
		if (sections != p->section_count) {
			snprintf(buf, (size_t)size, "[%zu]", p->section_count);
			return buf;
		}
	}
	/* The buffer is inih's, on its stack, and may still hold a key. */
	secure_wipe(buf, (size_t)size);
	return NULL;
}

static bool is_free_text(const struct conf_key_row *row)
{
	return row->type == CONF_TYPE_TEXT || row->type == CONF_TYPE_PATH ||
	       row->type == CONF_TYPE_KEY;
}

static const char *check_entry(struct conf_parse *p, const struct conf_section *s,
			       const struct conf_key_row *row, const char *value)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->entries[i].row == row) {
			conf_mistake(p, p->line, s, row->name, "is already set in line %d",
				     s->entries[i].line);
			return NULL;
		}
	}
	if (p->cut && is_free_text(row)) {
		conf_mistake(p, p->line, s, row->name,
			     "the value would end at the blank and ';' in it; write ';' without "
			     "a blank before it, and comments on lines of their own");
		return NULL;
	}
	if (!*value) {
		conf_mistake(p, p->line, s, row->name, "has no value (%s)", row->kind);
		return NULL;
	}
	return value;
}

/* inih's handler: one line, split and stripped. */
static int take_entry(void *arg, const char *section, const char *name, const char *value)
{
	struct conf_parse *p = arg;
	struct conf_section *s = section_now(p);
	bool is_client = conf_is_kind(s, "clients");
	const struct conf_key_row *row = NULL;
	struct conf_entry *e;
	char hint[80];

	(void)section;
	if (is_client && !conf_key_is_elsewhere(value))
		p->has_keys = true;
	if (!is_client) {
		row = conf_key_find(s->row, name, hint, sizeof(hint));
		if (s->row->secret && (!row || (row->type == CONF_TYPE_KEY && !conf_key_is_elsewhere(value))))
			p->has_keys = true;
		if (!row) {
			unknown(p, s, name, hint);
			return 1;
		}
		value = check_entry(p, s, row, value);
	}
	e = conf_more(p, &s->entries, &s->count, sizeof(*e));
	if (!e)
		return 1;
	e->row = row;
	e->line = p->line;
	e->name = is_client ? conf_dup(p, name) : NULL;
	e->value = value ? conf_dup(p, value) : NULL;
	return 1;
}

/* The file. */

const char *conf_readable_by(const struct conf_parse *p, const struct stat *st)
{
	gid_t key_group = p->key_group == (gid_t)-1 ? getegid() : p->key_group;

	if (st->st_mode & S_IROTH)
		return "everybody";
	if ((st->st_mode & S_IRGRP) && st->st_gid != key_group)
		return "a group that is not the daemon's";
	return NULL;
}

/* After the file's meaning is known: it may name the user whose group that is. */
static void check_mode(struct conf_parse *p)
{
	const char *who = conf_readable_by(p, &p->st);

	if (who)
		conf_file_mistake(p,
				  "has node keys in it and can be read by %s (mode %04o); chmod "
				  "600 mends it", who, (unsigned int)(p->st.st_mode & 07777));
}

/* The file's bytes into p->text, with room for a NUL behind them.  size is what
 * fstat said: a file that has more was being written, and is not to be believed. */
static bool load(struct conf_parse *p, int fd, off_t size)
{
	size_t room = (size_t)(size < CONF_FILE_MAX ? size : CONF_FILE_MAX) + 1;

	p->text = conf_zeroed(p, room + 1, 1);
	if (!p->text)
		return false;
	while (p->size < room) {
		ssize_t n = read(fd, p->text + p->size, room - p->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			conf_file_mistake(p, "cannot be read: %s", strerror(errno));
			return false;
		}
		if (n == 0)
			break;
		p->size += (size_t)n;
	}
	if (p->size > CONF_FILE_MAX) {
		conf_file_mistake(p, "is larger than %d KiB", CONF_FILE_MAX / 1024);
		return false;
	}
	if (p->size == room) {
		conf_file_mistake(p, "grew while it was read; try again");
		return false;
	}
	return true;
}

static void parse_text(struct conf_parse *p)
{
	int ret;

	if (p->size >= 3 && memcmp(p->text, UTF8_BOM, 3) == 0)
		p->at = 3;
	ret = ini_parse_stream(next_line, p, take_entry, p);
	if (ret)	/* next_line gives inih only what it takes */
		conf_end_mistake(p, "inih failed (%d)", ret);
}

static bool parse(struct conf_parse *p, int fd)
{
	if (fstat(fd, &p->st)) {
		conf_file_mistake(p, "cannot be read: %s", strerror(errno));
		return false;
	}
	if (!S_ISREG(p->st.st_mode)) {
		conf_file_mistake(p, "is %s, not a file",
				  S_ISDIR(p->st.st_mode) ? "a directory" : "a device or a pipe");
		return false;
	}
	if (!load(p, fd, p->st.st_size))
		return false;
	parse_text(p);
	return true;
}

static void parse_free(struct conf_parse *p)
{
	for (size_t i = 0; i < p->section_count; i++) {
		struct conf_section *s = &p->sections[i];

		for (size_t k = 0; k < s->count; k++) {
			if (s->entries[k].value)
				secure_wipe(s->entries[k].value, strlen(s->entries[k].value));
			free(s->entries[k].value);
			free(s->entries[k].name);
		}
		free(s->entries);
	}
	free(p->sections);
	conf_list_free(p->key_files);
	if (p->text)
		secure_wipe(p->text, p->size);
	free(p->text);
}

static void *build(struct conf_parse *p)
{
	switch (p->file) {
	case CONF_FILE_CLIENT: return conf_client_build(p);
	case CONF_FILE_SERVER: return conf_server_build(p);
	case CONF_FILE_HOSTS: return conf_hosts_build(p);
	case CONF_FILE_FLEET: return conf_fleet_build(p);
	}
	return NULL;
}

static void unbuild(enum conf_file file, void *result)
{
	switch (file) {
	case CONF_FILE_CLIENT: conf_client_free(result); break;
	case CONF_FILE_SERVER: conf_server_free(result); break;
	case CONF_FILE_HOSTS: conf_hosts_free(result); break;
	case CONF_FILE_FLEET: conf_fleet_free(result); break;
	}
}

/* Gives out the result, or frees it when there are mistakes. */
static void *end(struct conf_parse *p, void *result, struct conf_report *report)
{
	parse_free(p);
	if (conf_report_take(p, report))
		return result;
	unbuild(p->file, result);
	return NULL;
}

static void *read_file(enum conf_file file, const char *path, gid_t key_group, bool keep_unknown,
		       struct conf_report *report)
{
	struct conf_parse p = { .file = file, .path = path, .key_group = key_group, .keep_unknown = keep_unknown };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	void *result = NULL;

	if (fd < 0) {
		conf_file_mistake(&p, "cannot be opened: %s", strerror(errno));
	} else {
		if (parse(&p, fd))
			result = build(&p);
		if (p.has_keys)
			check_mode(&p);
		close(fd);
	}
	return end(&p, result, report);
}

static void *read_text(enum conf_file file, const char *path, const char *text, size_t size, bool keep_unknown,
		       struct conf_report *report)
{
	struct conf_parse p = {
		.file = file, .path = path, .key_group = (gid_t)-1, .of_another_host = file == CONF_FILE_SERVER,
		.keep_unknown = keep_unknown,
	};
	void *result = NULL;

	if (size > CONF_FILE_MAX)
		conf_file_mistake(&p, "is larger than %d KiB", CONF_FILE_MAX / 1024);
	else
		p.text = conf_zeroed(&p, size + 2, 1);
	if (p.text) {
		memcpy(p.text, text, size);
		p.size = size;
		parse_text(&p);
		result = build(&p);
	}
	return end(&p, result, report);
}

struct conf_client *conf_client_read(const char *path, gid_t key_group, struct conf_report *report)
{
	return read_file(CONF_FILE_CLIENT, path, key_group, false, report);
}

struct conf_server *conf_server_read(const char *path, gid_t key_group, struct conf_report *report)
{
	return read_file(CONF_FILE_SERVER, path, key_group, false, report);
}

struct conf_client *conf_client_parse(const char *path, const char *text, size_t size, struct conf_report *report)
{
	return read_text(CONF_FILE_CLIENT, path, text, size, false, report);
}

struct conf_client *conf_client_read_kept(const char *path, gid_t key_group, struct conf_report *report)
{
	return read_file(CONF_FILE_CLIENT, path, key_group, true, report);
}

struct conf_client *conf_client_parse_kept(const char *path, const char *text, size_t size, struct conf_report *report)
{
	return read_text(CONF_FILE_CLIENT, path, text, size, true, report);
}

struct conf_server *conf_server_parse(const char *path, const char *text, size_t size, struct conf_report *report)
{
	return read_text(CONF_FILE_SERVER, path, text, size, false, report);
}

struct conf_hosts *conf_hosts_read(const char *path, struct conf_report *report)
{
	return read_file(CONF_FILE_HOSTS, path, (gid_t)-1, false, report);
}

struct conf_fleet *conf_fleet_read(const char *path, struct conf_report *report)
{
	return read_file(CONF_FILE_FLEET, path, (gid_t)-1, false, report);
}
