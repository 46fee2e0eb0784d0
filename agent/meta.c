/* meta.c - see meta.h. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "log.h"
#include "meta.h"
#include "text.h"

#define META_MAX 16384

static char *trim(char *s)
{
	char *end;

	while (isspace((unsigned char)*s))
		s++;
	end = s + strlen(s);
	while (end > s && isspace((unsigned char)end[-1]))
		*--end = 0;
	return s;
}

static int parse_number(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno || end == text || *end ? -EINVAL : 0;
}

/* The line of a key in m->more, and its length; or NULL. */
static char *find_line(const struct meta *m, const char *key, size_t *length)
{
	size_t n = strlen(key);

	for (const char *line = m->more; *line; line += *length) {
		*length = strcspn(line, "\n") + 1;
		if (strncmp(line, key, n) == 0 && strncmp(line + n, " = ", 3) == 0)
			return (char *)line;
	}
	return NULL;
}

bool meta_get(const struct meta *m, const char *key, char *out, size_t size)
{
	size_t length = 0, skip = strlen(key) + 3;
	const char *line = find_line(m, key, &length);

	*out = 0;
	if (line)
		snprintf(out, size, "%.*s", (int)(length - skip - 1), line + skip);
	return line;
}

static int put_line(struct meta *m, const char *key, const char *value)
{
	size_t old = 0, length = 0, used = strlen(m->more);
	char *line = find_line(m, key, &old);

	if (!line)
		old = 0;
	if (value && *value)
		length = strlen(key) + strlen(value) + 4;
	if (used - old + length >= sizeof(m->more))
		return -ENOSPC;
	if (line)
		memmove(line, line + old, used - (size_t)(line - m->more) - old + 1);
	used -= old;
	if (length)
		snprintf(m->more + used, sizeof(m->more) - used, "%s = %s\n", key, value);
	return 0;
}

/* Would it be read as it is given? */
static bool is_clean(const char *text, bool is_key)
{
	size_t n = strlen(text);

	if (!n || text[0] == ' ' || text[n - 1] == ' ' || (is_key && strchr("#;[", text[0])))
		return false;
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f || (is_key && *text == '='))
			return false;
	return true;
}

int meta_set(struct meta *m, const char *key, const char *value)
{
	if (!is_clean(key, true) || (value && *value && !is_clean(value, false)))
		return -EINVAL;
	return put_line(m, key, value);
}

static int parse_key(struct meta *m, const char *key, const char *value)
{
	uint64_t n;

	if (strcmp(key, "uuid") == 0)
		return uuid_parse(value, m->uuid);
	if (strcmp(key, "generation") == 0)
		return parse_number(value, &m->generation);
	if (strcmp(key, "inode") == 0)
		return parse_number(value, &m->inode);
	if (strcmp(key, "birth") == 0)
		return parse_number(value, &m->birth);
	if (strcmp(key, "created") == 0)
		snprintf(m->created, sizeof(m->created), "%s", value);
	else if (strcmp(key, "block-size") != 0)
		return *value ? put_line(m, key, value) : 0;
	if (*key == 'c')
		return 0;
	if (parse_number(value, &n) || n != 512)
		return -EINVAL;
	m->block_size = (uint32_t)n;
	return 0;
}

static int parse(struct meta *m, char *text, const char *name, struct err *e)
{
	char *line, *save = NULL;
	int number = 0;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *value;

		number++;
		line = trim(line);
		if (!*line || *line == '#' || *line == ';' || *line == '[')
			continue;
		value = strchr(line, '=');
		if (!value)
			return err_set(e, EINVAL, "%s: line %d is not KEY = VALUE", name, number);
		*value++ = 0;
		if (parse_key(m, trim(line), trim(value)))
			return err_set(e, EINVAL, "%s: %s: %s is not a value for it", name, trim(line), trim(value));
	}
	return 0;
}

int meta_read(int dirfd, const char *name, struct meta *m, struct err *e)
{
	static const uint8_t none[WIRE_UUID_SIZE];
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[META_MAX];
	ssize_t n;
	int r;

	memset(m, 0, sizeof(*m));
	m->block_size = 512;
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_sys(e, errno, "cannot read %s", name);
	n = read(fd, text, sizeof(text) - 1);
	r = n < 0 ? err_sys(e, errno, "cannot read %s", name) : 0;
	close(fd);
	if (n < 0)
		return r;
	text[n] = 0;
	r = (size_t)n < sizeof(text) - 1 ? parse(m, text, name, e) : err_set(e, EFBIG, "%s is too long", name);
	if (!r && (memcmp(m->uuid, none, sizeof(none)) == 0 || !m->generation))
		r = err_set(e, EINVAL, "%s lacks a uuid or a generation", name);
	if (r)
		err_next(e, "mend it, or remove it to give the volume a new identity");
	return r;
}

static int write_all(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		text += n;
		length -= (size_t)n;
	}
	return 0;
}

/* As NAME.new. */
static int write_temporary(int dirfd, const char *name, const struct meta *m, bool sync)
{
	char text[META_MAX], temporary[512], uuid[UUID_TEXT];
	int fd, n, r;

	uuid_format(m->uuid, uuid);
	n = snprintf(text, sizeof(text),
		     "# Identity of an rsio volume; see rssrv(8).  Goes with the file beside it.\n"
		     "[volume]\nuuid = %s\ngeneration = %" PRIu64 "\ncreated = %s\nblock-size = %u\n"
		     "inode = %" PRIu64 "\nbirth = %" PRIu64 "\n%s",
		     uuid, m->generation, m->created, m->block_size, m->inode, m->birth, m->more);
	snprintf(temporary, sizeof(temporary), "%s.new", name);
	fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, (size_t)n);
	if (!r && sync && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && !r)
		r = -errno;
	return r;
}

/* The directory holds the new name only when it is synced too. */
static int sync_directory_of(int dirfd, const char *name)
{
	char path[512], *slash;
	int fd, r;

	snprintf(path, sizeof(path), "%s", name);
	slash = strrchr(path, '/');
	if (slash)
		slash[1] = 0;
	fd = openat(dirfd, slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

int meta_write(int dirfd, const char *name, const struct meta *m, struct err *e)
{
	char temporary[512];
	int r = write_temporary(dirfd, name, m, true);

	snprintf(temporary, sizeof(temporary), "%s.new", name);
	if (!r && renameat(dirfd, temporary, dirfd, name) < 0)
		r = -errno;
	if (r) {
		unlinkat(dirfd, temporary, 0);
		err_sys(e, -r, "cannot write %s, where the volume's identity is kept", name);
		if (r == -ENOSPC || r == -EDQUOT)
			err_next(e, "make room on its file system");
		else
			err_next(e, "let rssrv write into that directory; a symbolic link in another one to the file would do too");
		return r;
	}
	r = sync_directory_of(dirfd, name);
	return r ? err_sys(e, -r, "cannot sync the directory of %s", name) : 0;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

void meta_now(char out[META_TIME])
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(out, META_TIME, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

uint64_t meta_time(const char *text)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	time_t t = end && !*end ? timegm(&tm) : 0;

	return t > 0 ? (uint64_t)t : 0;
}

uint64_t meta_later(uint64_t generation)
{
	uint64_t now = now_ns();

	return now > generation ? now : generation + 1;
}

/* The node of a device says nothing of its content. */
static void origin_of(const struct volume *v, uint64_t *inode, uint64_t *birth)
{
	*inode = v->device ? 0 : v->origin.inode;
	*birth = v->device ? 0 : v->origin.birth;
}

/* 0 stands for not known, which differs from nothing. */
static bool differ(uint64_t a, uint64_t b)
{
	return a && b && a != b;
}

/* Whether the file has to be written, ought to be, or is right as it is. */
enum need { NO_NEED, WISH, MUST };

static enum need renew(struct meta *m, bool found, const struct volume *v, const uint8_t *uuid)
{
	enum need need = found ? NO_NEED : MUST;
	uint64_t inode, birth;

	origin_of(v, &inode, &birth);
	if (found && (differ(inode, m->inode) || differ(birth, m->birth))) {
		log_warning("volume", "%s: %s is another file than its identity was made for: new generation",
			    v->name, v->path);
		m->generation = meta_later(m->generation);
		need = MUST;
	}
	if (!found) {
		m->generation = meta_later(0);
		meta_now(m->created);
	}
	if (uuid && memcmp(uuid, m->uuid, WIRE_UUID_SIZE) != 0) {
		memcpy(m->uuid, uuid, WIRE_UUID_SIZE);
		need = MUST;
	}
	if (need == NO_NEED && (inode != m->inode || birth != m->birth))
		need = WISH;
	m->inode = inode;
	m->birth = birth;
	return need;
}

int meta_identify(int dirfd, const char *name, struct volume *v, const uint8_t *uuid, struct err *e)
{
	struct meta m;
	int r = meta_read(dirfd, name, &m, e);
	bool found = r == 0;
	enum need need;

	if (r && r != -ENOENT)
		return r;
	if (!found && !uuid && uuid_make(m.uuid) < 0)
		return err_set(e, EIO, "no random numbers for the UUID of volume %s", v->name);
	need = renew(&m, found, v, uuid);
	r = need == NO_NEED ? 0 : meta_write(dirfd, name, &m, e);
	if (r && need == MUST)
		return r;
	memcpy(v->uuid, m.uuid, sizeof(v->uuid));
	v->generation = m.generation;
	return 0;
}

/* A file that has none yet, and what it is to have. */
static bool is_new(int dirfd, const char *file, const char *name, struct meta *m)
{
	struct volume_origin origin;
	struct stat st;

	if (faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT ||
	    fstatat(dirfd, file, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
	    volume_origin_at(dirfd, file, AT_SYMLINK_NOFOLLOW, &origin) < 0 || uuid_make(m->uuid) < 0)
		return false;
	m->block_size = 512;
	m->generation = meta_later(0);
	meta_now(m->created);
	m->inode = origin.inode;
	m->birth = origin.birth;
	return true;
}

int meta_identify_many(int dirfd, const struct meta_of *list, size_t n)
{
	struct meta *m = calloc(1, sizeof(*m));
	bool *made = calloc(n, sizeof(*made));
	char temporary[512];
	int r = m && made ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && !r; i++) {
		made[i] = is_new(dirfd, list[i].file, list[i].name, m);
		if (made[i])
			r = write_temporary(dirfd, list[i].name, m, false);
	}
	if (!r && syncfs(dirfd) < 0)
		r = -errno;
	for (size_t i = 0; i < n && made; i++) {
		snprintf(temporary, sizeof(temporary), "%s.new", list[i].name);
		if (made[i] && (r || renameat(dirfd, temporary, dirfd, list[i].name) < 0))
			unlinkat(dirfd, temporary, 0);
	}
	if (!r && fsync(dirfd) < 0)
		r = -errno;
	free(m);
	free(made);
	return r;
}

int meta_recognize(int dirfd, const char *name, struct volume *v, struct err *e)
{
	uint64_t inode, birth;
	struct meta m;
	int r = meta_read(dirfd, name, &m, e);

	if (r && r != -ENOENT)
		return r;
	origin_of(v, &inode, &birth);
	if (r || differ(inode, m.inode) || differ(birth, m.birth)) {
		err_set(e, EAGAIN, "%s has no identity yet: its pool's owner, another server, gives it one", v->path);
		return -EAGAIN;
	}
	memcpy(v->uuid, m.uuid, sizeof(v->uuid));
	v->generation = m.generation;
	return 0;
}
