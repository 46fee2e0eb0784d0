/*
 * rsagent_file.c - one key in a configuration, put there without touching the rest.
 *
 * The new text goes to FILE.new beside it, with the file's mode and owner, is read as the
 * daemons would read it, and takes the file's name when it is good and on stable storage.
 * So there is at any time one whole file, and a daemon that reads meanwhile gets the old
 * one or the new one.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "rsagent.h"
#include "secure.h"

#define FILE_SIZE_MAX (1 << 20)

struct text {
	char *bytes;
	size_t size;
};

static const char blanks[] = " \t\v\f\r";

static void text_free(struct text *t)
{
	if (t->bytes)
		secure_wipe(t->bytes, t->size);
	free(t->bytes);
}

static int load(int fd, const struct stat *st, const char *path, struct text *t, struct err *e)
{
	if (!S_ISREG(st->st_mode) || st->st_size > FILE_SIZE_MAX)
		return err_set(e, EINVAL, "%s is not a configuration file", path);
	t->bytes = calloc(1, (size_t)st->st_size + 1);
	if (!t->bytes)
		return err_set(e, ENOMEM, "no memory");
	while (t->size < (size_t)st->st_size) {
		ssize_t n = read(fd, t->bytes + t->size, (size_t)st->st_size - t->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(e, n ? errno : EAGAIN, "cannot read %s", path);
		t->size += (size_t)n;
	}
	return 0;
}

/* Where what is looked for stands: offsets of whole lines, their newlines included. */
struct place {
	size_t from[2], to[2];		/* of the lines that have keys */
	unsigned count;			/* of them; more than two are counted on */
	bool section;			/* it is there */
	size_t below;			/* behind its last line that is not blank */
};

/* Is the header's inside "KIND" or "KIND NAME"? */
static bool is_section(const char *line, const char *end, const char *kind, const char *name)
{
	char inner[128], first[64] = "", second[64] = "", more[8] = "";
	const char *close = memchr(line, ']', (size_t)(end - line));
	size_t n = close ? (size_t)(close - line - 1) : sizeof(inner);

	if (n >= sizeof(inner))
		return false;
	memcpy(inner, line + 1, n);
	inner[n] = 0;
	sscanf(inner, "%63s %63s %7s", first, second, more);
	return strcmp(first, kind) == 0 && strcmp(second, name ? name : "") == 0 && !*more;
}

/* A line "NAME KEY", or "nodekey = KEY". */
static bool has_key(const char *line, const char *end, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(end - line) > n && memcmp(line, word, n) == 0 && (strchr(blanks, line[n]) || line[n] == '=');
}

static void find(const struct text *t, const struct rsagent_edit *edit, struct place *p)
{
	bool server = edit->file == CONF_FILE_SERVER, inside = false;
	const char *word = server ? edit->name : "nodekey", *next;

	memset(p, 0, sizeof(*p));
	for (const char *line = t->bytes, *last = t->bytes + t->size; line < last; line = next) {
		const char *end = memchr(line, '\n', (size_t)(last - line)), *from = line;

		next = end ? end + 1 : last;
		end = end ? end : last;
		while (from < end && strchr(blanks, *from))
			from++;
		if (from == end)
			continue;
		if (*from == '[') {
			inside = is_section(from, end, server ? "clients" : "namespace", server ? NULL : edit->name);
			p->section |= inside;
		} else if (inside && has_key(from, end, word)) {
			if (p->count < 2) {
				p->from[p->count] = (size_t)(line - t->bytes);
				p->to[p->count] = (size_t)(next - t->bytes);
			}
			p->count++;
		}
		if (inside)
			p->below = (size_t)(next - t->bytes);
	}
}

/* Into *to: t with the lines of p from number `first` on replaced by line (or by nothing),
 * which goes behind the others when there is none. */
static int compose(const struct text *t, const struct place *p, unsigned first, unsigned count, const char *line,
		  struct text *to)
{
	size_t room = t->size + strlen(line) + 2, at = 0, keep = 0;
	bool put = false;
	char *out = calloc(1, room);

	if (!out)
		return -ENOMEM;
	for (unsigned i = first; i < first + count; i++) {
		memcpy(out + at, t->bytes + keep, p->from[i] - keep);
		at += p->from[i] - keep;
		keep = p->to[i];
		if (!put)
			at += (size_t)sprintf(out + at, "%s", line);
		put = true;
	}
	if (!put) {
		memcpy(out + at, t->bytes + keep, p->below - keep);
		at += p->below - keep;
		keep = p->below;
		if (at && out[at - 1] != '\n')
			out[at++] = '\n';
		at += (size_t)sprintf(out + at, "%s", line);
	}
	memcpy(out + at, t->bytes + keep, t->size - keep);
	*to = (struct text){ out, at + t->size - keep };
	return 0;
}

static int refuse(const struct rsagent_edit *edit, const char *what, const char *next, struct err *e)
{
	err_set(e, EINVAL, "%s: %s", edit->path, what);
	if (next)
		err_next(e, "%s", next);
	return -EINVAL;
}

/* The client's keeps what stands in front of its key. */
static void make_line(const struct rsagent_edit *edit, const struct text *t, const struct place *p, char *line, size_t size)
{
	const char *from = t->bytes + p->from[0], *equals = NULL;
	size_t n;

	if (edit->file == CONF_FILE_SERVER) {
		snprintf(line, size, "%s %s\n", edit->name, edit->key);
		return;
	}
	if (p->count)
		equals = memchr(from, '=', p->to[0] - p->from[0]);
	n = equals ? (size_t)(equals - from) + 1 : 0;
	if (n && n < CONF_NAME_MAX - 1)
		snprintf(line, size, "%.*s %s\n", (int)n, from, edit->key);
	else
		snprintf(line, size, "nodekey = %s\n", edit->key);
}

static int change_text(const struct rsagent_edit *edit, const struct text *t, struct text *to, struct err *e)
{
	bool server = edit->file == CONF_FILE_SERVER;
	char line[CONF_NAME_MAX + RSAGENT_KEY_MAX + 8] = "";
	struct place p;
	int r;

	find(t, edit, &p);
	if (!p.section)
		return refuse(edit, server ? "there is no [clients] section" : "there is no [namespace] of that name", NULL, e);
	if (p.count > 2 || (!server && p.count > 1))
		return refuse(edit, "there are more keys than there may be", "mend it by hand", e);
	if (edit->key && server && p.count && !edit->replace && !edit->second)
		return refuse(edit, "that client has a key already", "--second puts the new one beside it, --replace in its place", e);
	if (edit->second && p.count != 1)
		return refuse(edit, p.count ? "that client has two keys already" : "that client has no key yet",
			      p.count ? "--drop-first takes one away" : NULL, e);
	if (!edit->key && p.count != 2)
		return refuse(edit, p.count ? "that client has one key only" : "that client has no key", NULL, e);
	if (edit->key)
		make_line(edit, t, &p, line, sizeof(line));
	if (edit->second)
		p.below = p.to[0];
	r = edit->second ? compose(t, &p, 0, 0, line, to) : compose(t, &p, 0, edit->key ? p.count : 1, line, to);
	secure_wipe(line, sizeof(line));
	return r ? err_set(e, ENOMEM, "no memory") : 0;
}

/* As the daemon would; it has nothing against others in the file's group. */
static int check(const struct rsagent_edit *edit, const char *path, gid_t group, struct err *e)
{
	struct conf_report report;
	bool good;

	if (edit->file == CONF_FILE_SERVER) {
		struct conf_server *c = conf_server_read(path, group, &report);

		good = c != NULL;
		conf_server_free(c);
	} else {
		struct conf_client *c = conf_client_read(path, group, &report);

		good = c != NULL;
		conf_client_free(c);
	}
	if (!good)
		conf_report_print("rsagent", &report);
	conf_report_free(&report);
	return good ? 0 : err_set(e, EINVAL, "with that, %s would have mistakes: it was left as it was", edit->path);
}

static int write_all(int fd, const struct text *t)
{
	for (size_t at = 0; at < t->size;) {
		ssize_t n = write(fd, t->bytes + at, t->size - at);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* The directory remembers the name too. */
static void sync_directory(const char *path)
{
	char dir[PATH_MAX];
	int fd;

	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = 0;
	fd = open(*dir ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

static int replace(const struct rsagent_edit *edit, const char *path, const struct stat *st, const struct text *t,
		   struct err *e)
{
	char new[PATH_MAX + 8];
	int fd, r;

	snprintf(new, sizeof(new), "%s.new", path);
	fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "cannot make %s", new);
	r = write_all(fd, t);
	if (!r && (fchown(fd, st->st_uid, st->st_gid) || fchmod(fd, st->st_mode & 07777) || fsync(fd)))
		r = -errno;
	close(fd);
	if (r)
		err_sys(e, -r, "cannot write %s", new);
	else
		r = check(edit, new, st->st_gid, e);
	if (!r && rename(new, path))
		r = err_sys(e, errno, "cannot replace %s", path);
	if (r)
		unlink(new);
	else
		sync_directory(path);
	return r;
}

int rsagent_edit_file(const struct rsagent_edit *edit, struct err *e)
{
	struct text before = { NULL, 0 }, after = { NULL, 0 };
	char path[PATH_MAX];
	struct stat st;
	int fd, r;

	if (edit->key && strlen(edit->key) > RSAGENT_KEY_MAX)
		return err_set(e, EINVAL, "a key has at most %d bytes", RSAGENT_KEY_MAX);
	/* A link stays one. */
	fd = realpath(edit->path, path) ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
	if (fd < 0 || fstat(fd, &st)) {
		r = err_sys(e, errno, "cannot open %s", edit->path);
	} else {
		r = load(fd, &st, edit->path, &before, e);
		if (!r)
			r = change_text(edit, &before, &after, e);
		if (!r)
			r = replace(edit, path, &st, &after, e);
	}
	if (fd >= 0)
		close(fd);
	text_free(&before);
	text_free(&after);
	return r;
}
