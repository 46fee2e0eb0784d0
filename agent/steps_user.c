/*
 * steps_user.c - the user that the server is.
 *
 * The host's own program makes or removes it (useradd, or busybox's adduser): it knows the host's ranges of numbers
 * and tells whoever has to know.  Undoing is done here, since userdel does not give back what was there: all files
 * that these programs write are kept before, and come back to the byte, with owner, mode, time and attributes.
 *
 * Others may have made users of their own meanwhile.  Then a file does not come back as it was: only the lines
 * that are about this user are taken away, or put back, and all else stays.  Whether that is so is
 * seen from the files alone, so it does not matter how far the program had got when it was killed.  These
 * changes are made under the lock that useradd and passwd take.
 */
#include <errno.h>
#include <fcntl.h>
#include <shadow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "secure.h"
#include "steps_impl.h"

#define LARGEST (16 << 20)
#define LOCK ".pwd.lock"

/* Each of the first six has a copy that the programs keep, with a dash behind its name. */
static const char *const files[] = { "passwd", "group", "shadow", "gshadow", "subuid", "subgid",
				     "passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-", LOCK };
#define FILES (sizeof(files) / sizeof(files[0]))
#define MAIN_FILES 6

/* There are hashes of passwords in them: secure_alloc's. */
struct lines {
	char *text;			/* 0-terminated; NULL: no such file */
	size_t size;
	struct stat st;
};

static void free_lines(struct lines *l)
{
	secure_free(l->text);
	l->text = NULL;
}

/* 0 also when it is not there. */
static int read_lines(int dir, const char *name, struct lines *l)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), r = 0;
	ssize_t n = 0;

	memset(l, 0, sizeof(*l));
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &l->st) < 0 || !S_ISREG(l->st.st_mode) || l->st.st_size > LARGEST)
		r = -EFBIG;
	else if (!(l->text = secure_alloc((size_t)l->st.st_size + 1)))
		r = -ENOMEM;
	while (!r && l->size < (size_t)l->st.st_size && (n = read(fd, l->text + l->size, (size_t)l->st.st_size - l->size)) > 0)
		l->size += (size_t)n;
	if (n < 0)
		r = -errno;
	close(fd);
	if (r)
		free_lines(l);
	return r;
}

static bool same_lines(const struct lines *a, const struct lines *b)
{
	return a->text && b->text && a->size == b->size && memcmp(a->text, b->text, a->size) == 0;
}

/* Labels and lists of access: as the file there has them, which the new one takes the place of. */
static void copy_attributes(int from, int to)
{
	char names[1024], value[4096];
	ssize_t n = flistxattr(from, names, sizeof(names)), size;

	for (const char *name = names; n > 0 && name < names + n; name += strlen(name) + 1)
		if ((size = fgetxattr(from, name, value, sizeof(value))) >= 0)
			fsetxattr(to, name, value, (size_t)size, 0);
}

static int fill(int fd, const struct lines *l, const char *text, size_t size)
{
	struct timespec times[2] = { l->st.st_atim, l->st.st_mtim };

	while (size) {
		ssize_t n = write(fd, text, size);

		if (n < 0)
			return -errno;
		text += n;
		size -= (size_t)n;
	}
	if (fchown(fd, l->st.st_uid, l->st.st_gid) < 0 || fchmod(fd, l->st.st_mode & 07777) < 0 ||
	    (text == l->text + l->size && futimens(fd, times) < 0) || fsync(fd) < 0)
		return -errno;
	return 0;
}

/* The file becomes that text, by way of `new`; owner, mode and time are those of l. */
static int write_lines(int dir, const char *name, const char *new, const struct lines *l, const char *text, size_t size)
{
	int fd, old, r;

	fd = openat(dir, new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	old = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (old >= 0) {
		copy_attributes(old, fd);
		close(old);
	}
	r = fill(fd, l, text, size);
	close(fd);
	if (!r && renameat(dir, new, dir, name) < 0)
		r = -errno;
	if (r)
		unlinkat(dir, new, 0);
	return r;
}

/*
 * What is kept.
 */
static int keep_one(struct steps *s, int etc, const char *name, json_t *list)
{
	char copy[NAME_MAX + 1], kept[NAME_MAX + 1];
	struct lines l;
	int r = read_lines(etc, name, &l);

	if (r)
		return r;
	if (!l.text)
		return json_array_append_new(list, json_null()) < 0 ? -ENOMEM : 0;
	steps_aside(s, "", copy);
	snprintf(kept, sizeof(kept), TRAIL_KEPT "%.200s", copy);
	r = write_lines(s->trail.dir, kept, TRAIL_KEPT "new", &l, l.text, l.size);
	free_lines(&l);
	if (!r && json_array_append_new(list, json_string(kept)) < 0)
		r = -ENOMEM;
	return r;
}

static int open_etc(struct err *e)
{
	int fd = open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(e, errno, "cannot open /etc") : fd;
}

static int keep_all(struct steps *s, const char *what, const char *name, struct err *e)
{
	int etc = open_etc(e), r = 0;
	json_t *list = json_array();
	char new[NAME_MAX + 1];

	if (etc < 0)
		return etc;
	steps_aside(s, "new", new);
	for (size_t i = 0; !r && i < FILES; i++) {
		r = keep_one(s, etc, files[i], list);
		if (r)
			err_sys(e, -r, "cannot keep a copy of /etc/%s", files[i]);
	}
	if (!r && fsync(s->trail.dir) < 0)
		r = err_sys(e, errno, "cannot keep copies in %s", s->trail.path);
	close(etc);
	if (!r)
		return trail_note(&s->trail, json_pack("{s:s, s:s, s:s, s:o}", "do", what, "name", name, "new", new,
						     "kept", list), e);
	json_decref(list);
	return r;
}

/*
 * Making and removing.
 */
static int run_words(struct steps *s, struct err *e, const char *const *argv)
{
	struct steps_command c = { .argv = (char *const *)argv, .seconds = STEPS_SECONDS };
	struct steps_input *in = s->in;
	int r;

	/* Ended in the middle it would leave its locks behind. */
	s->in = NULL;
	r = steps_command_ok(s, &c, e);
	s->in = in;
	return r;
}
#define RUN(s, e, ...) run_words(s, e, (const char *const[]){ __VA_ARGS__, NULL })

static bool has(const char *program)
{
	char path[PATH_MAX];

	return steps_which(program, path) != NULL;
}

static bool is_group(const char *name)
{
	char both[80];
	uid_t uid;
	gid_t gid;

	snprintf(both, sizeof(both), "0:%s", name);
	return steps_owner(both, &uid, &gid, NULL) == 0;
}

static bool is_user(const char *name)
{
	uid_t uid;
	gid_t gid;

	return steps_owner(name, &uid, &gid, NULL) == 0;
}

static int make_user(struct steps *s, const char *name, const char *home, struct err *e)
{
	int r = 0;

	if (has("useradd") && is_group(name))
		return RUN(s, e, "useradd", "-r", "-M", "-g", name, "-d", home, "-s", "/usr/sbin/nologin", name);
	if (has("useradd"))
		return RUN(s, e, "useradd", "-r", "-M", "-U", "-d", home, "-s", "/usr/sbin/nologin", name);
	if (!has("adduser") || !has("addgroup")) {
		err_set(e, ENOENT, "there is neither useradd nor adduser: user %s cannot be made", name);
		err_next(e, "make a system user %s with a group of that name by the host's own means", name);
		return -ENOENT;
	}
	if (!is_group(name))
		r = RUN(s, e, "addgroup", "-S", name);
	return r ? r : RUN(s, e, "adduser", "-S", "-D", "-H", "-h", home, "-s", "/sbin/nologin", "-G", name, name);
}

int steps_user(struct steps *s, const struct step *step, bool *changed, struct err *e)
{
	int r;

	if (is_user(step->name))
		return 0;
	r = keep_all(s, "user", step->name, e);
	if (!r)
		r = make_user(s, step->name, step->home ? step->home : "/", e);
	*changed = !r;
	return r;
}

int steps_remove_user(struct steps *s, const struct step *step, bool *changed, struct err *e)
{
	int r;

	if (!is_user(step->name))
		return 0;
	r = keep_all(s, "remove-user", step->name, e);
	if (!r)
		r = RUN(s, e, has("userdel") ? "userdel" : "deluser", step->name);
	if (!r && is_group(step->name))
		r = RUN(s, e, has("groupdel") ? "groupdel" : "delgroup", step->name);
	*changed = !r;
	return r;
}

/*
 * The way back.
 */
static bool is_about(const char *line, const char *name)
{
	size_t n = strlen(name);

	return strncmp(line, name, n) == 0 && line[n] == ':';
}

static bool has_line(const struct lines *l, const char *line, size_t length)
{
	for (const char *p = l->text; p && *p; p = strchrnul(p, '\n'), p += *p == '\n')
		if ((size_t)(strchrnul(p, '\n') - p) == length && memcmp(p, line, length) == 0)
			return true;
	return false;
}

/* Puts into out, which has room for both, what is in `from` without the lines about the user that `unless`
 * does not have. */
static size_t without_user(const struct lines *from, const struct lines *unless, const char *name, char *out)
{
	size_t used = 0;

	for (const char *p = from->text; p && *p;) {
		const char *end = strchrnul(p, '\n');
		size_t length = (size_t)(end - p), whole = length + (*end == '\n');

		if (!is_about(p, name) || has_line(unless, p, length)) {
			memcpy(out + used, p, whole);
			used += whole;
		}
		p += whole;
	}
	return used;
}

/* And with those that `from` has of it behind. */
static size_t with_user(const struct lines *now, const struct lines *from, const char *name, char *out)
{
	size_t used = now->size;

	memcpy(out, now->text, used);
	for (const char *p = from->text; p && *p;) {
		const char *end = strchrnul(p, '\n');
		size_t length = (size_t)(end - p);

		if (is_about(p, name) && !has_line(now, p, length)) {
			memcpy(out + used, p, length);
			used += length;
			out[used++] = '\n';
		}
		p = end + (*end == '\n');
	}
	return used;
}

/* A line whose lists, from `first` on, do not have this member. */
static size_t without_member(const char *line, size_t length, size_t first, const char *name, char *out)
{
	size_t used = first, at = first;
	bool begins = true;		/* a list */

	memcpy(out, line, first);
	for (;;) {
		size_t word = 0;

		while (at + word < length && line[at + word] != ',' && line[at + word] != ':')
			word++;
		if (word != strlen(name) || memcmp(line + at, name, word) != 0) {
			if (!begins)
				out[used++] = ',';
			memcpy(out + used, line + at, word);
			used += word;
			begins = false;
		}
		at += word;
		if (at >= length)
			return used;
		if (line[at++] == ':') {
			out[used++] = ':';
			begins = true;
		}
	}
}

/* Where the third field begins; NULL: there is none. */
static const char *third_field(const char *line, const char *end)
{
	const char *at = memchr(line, ':', (size_t)(end - line));

	at = at ? memchr(at + 1, ':', (size_t)(end - at - 1)) : NULL;
	return at ? at + 1 : NULL;
}

/* What userdel makes of a file: no lines about the user, and it is in no list of members. */
static size_t as_deleted(const struct lines *kept, const char *name, bool members, char *out)
{
	size_t used = 0;

	for (const char *p = kept->text; p && *p;) {
		const char *end = strchrnul(p, '\n'), *lists = members ? third_field(p, end) : end;

		if (!is_about(p, name)) {
			used += without_member(p, (size_t)(end - p), (size_t)((lists ? lists : end) - p), name, out + used);
			if (*end)
				out[used++] = '\n';
		}
		p = end + (*end == '\n');
	}
	return used;
}

/* Whether nobody else has changed it, so that it is to be as it was; if not, the *size bytes in out are what it
 * is to be. */
static bool work_out(const struct lines *now, const struct lines *kept, const char *name, bool removed, bool members,
		     char *out, size_t *size)
{
	if (!removed) {
		*size = without_user(now, kept, name, out);
		return *size == kept->size && memcmp(out, kept->text ? kept->text : "", *size) == 0;
	}
	*size = as_deleted(kept, name, members, out);
	if (*size == now->size && memcmp(out, now->text, *size) == 0)
		return true;
	*size = with_user(now, kept, name, out);
	return *size == kept->size && memcmp(out, kept->text, *size) == 0;
}

struct back {
	int etc;
	const char *name, *new;		/* the user; what a file is made as */
	bool removed;			/* the user was, else made */
	bool theirs;			/* others have changed something meanwhile */
};

static int bring_back(struct back *b, const char *file, const struct lines *now, const struct lines *kept)
{
	bool members = strcmp(file, "group") == 0 || strcmp(file, "gshadow") == 0;
	size_t size;
	char *out = secure_alloc(now->size + kept->size + 2);
	int r = 0;

	if (!out)
		return -ENOMEM;
	if (now->text && !work_out(now, kept, b->name, b->removed, members, out, &size)) {
		b->theirs = true;
		r = write_lines(b->etc, file, b->new, now, out, size);
	} else if (kept->text) {
		r = write_lines(b->etc, file, b->new, kept, kept->text, kept->size);
	} else if (unlinkat(b->etc, file, 0) < 0) {
		r = -errno;
	}
	secure_free(out);
	return r;
}

/* A copy that the programs keep, and the file for their lock: as it was, or away. */
static int bring_back_side(const struct back *b, const char *file, const struct lines *kept)
{
	if (b->theirs)
		return 0;
	if (kept->text)
		return write_lines(b->etc, file, b->new, kept, kept->text, kept->size);
	return unlinkat(b->etc, file, 0) < 0 ? -errno : 0;
}

static int undo_file(const struct steps *s, struct back *b, size_t i, const char *copy)
{
	struct lines now, kept = { .text = NULL };
	int r = read_lines(b->etc, files[i], &now);

	if (!r && copy)
		r = read_lines(s->trail.dir, copy, &kept);
	if (!r && copy && !kept.text)
		r = -ENOENT;
	if (!r && !same_lines(&now, &kept) && (now.text || kept.text))
		r = i < MAIN_FILES ? bring_back(b, files[i], &now, &kept) : bring_back_side(b, files[i], &kept);
	free_lines(&now);
	free_lines(&kept);
	return r;
}

static int undo_files(const struct steps *s, const json_t *entry, struct err *e)
{
	struct back b = { .etc = open_etc(e), .name = entry_text(entry, "name"), .new = entry_text(entry, "new"),
			  .removed = strcmp(entry_text(entry, "do"), "remove-user") == 0 };
	const json_t *kept = json_object_get(entry, "kept");
	int r = 0;

	if (b.etc < 0)
		return b.etc;
	unlinkat(b.etc, b.new, 0);	/* of an undo that was killed */
	for (size_t i = 0; !r && i < FILES; i++) {
		r = undo_file(s, &b, i, json_string_value(json_array_get(kept, i)));
		if (r)
			err_sys(e, -r, "cannot bring back /etc/%s", files[i]);
	}
	if (!r && fsync(b.etc) < 0)
		r = err_sys(e, errno, "cannot bring back the files of users in /etc");
	close(b.etc);
	return r;
}

int undo_user(struct steps *s, const json_t *entry, struct err *e)
{
	bool was_there = access("/etc/" LOCK, F_OK) == 0;
	int r;

	if (lckpwdf() < 0)
		return err_set(e, EBUSY, "the files of users are locked by another program (/etc/" LOCK ")");
	r = undo_files(s, entry, e);
	ulckpwdf();
	/* It may be this lock that made the file, where no program takes one. */
	if (!was_there && !r && json_is_null(json_array_get(json_object_get(entry, "kept"), FILES - 1)))
		unlink("/etc/" LOCK);
	return r;
}
