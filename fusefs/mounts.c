/* mounts.c - see mounts.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "mounts.h"

/* A field of mountinfo: blanks and backslashes stand there as \ooo. */
static const char *field(const char *at, char *out, size_t size)
{
	size_t n = 0;

	while (*at == ' ')
		at++;
	for (; *at && *at != ' ' && *at != '\n'; at++) {
		char c = *at;

		if (c == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] && at[3]) {
			c = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
			at += 3;
		}
		if (n + 1 < size)
			out[n++] = c;
	}
	out[n] = 0;
	return at;
}

bool mounts_parse(const char *line, struct mounts_entry *m)
{
	unsigned major, minor;
	const char *dash = strstr(line, " - ");
	int at = 0;

	if (!dash || sscanf(line, "%*u %*u %u:%u %*s%n", &major, &minor, &at) < 2 || at == 0)
		return false;
	m->device = makedev(major, minor);
	field(line + at, m->dir, sizeof m->dir);
	dash = field(dash + 3, m->type, sizeof m->type);
	field(dash, m->source, sizeof m->source);
	return m->dir[0] == '/';
}

bool mounts_each(const char *file, bool (*fn)(const struct mounts_entry *m, void *arg), void *arg)
{
	struct mounts_entry *m = malloc(sizeof *m);
	FILE *f = m ? fopen(file, "re") : NULL;
	char *line = NULL;
	size_t room = 0;
	bool found = false;

	while (f && !found && getline(&line, &room, f) > 0)
		if (mounts_parse(line, m))
			found = fn(m, arg);
	if (f)
		fclose(f);
	free(line);
	free(m);
	return found;
}

bool mounts_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	while (n > 0 && dir[n - 1] == '/')
		n--;
	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == 0);
}

struct search {
	const char *path;
	dev_t device;
	struct mounts_entry *found;
	bool any;
};

/* The later entry is on top of the earlier. */
static bool take_at(const struct mounts_entry *m, void *arg)
{
	struct search *s = arg;

	if (strcmp(m->dir, s->path) == 0) {
		*s->found = *m;
		s->any = true;
	}
	return false;
}

static bool take_device(const struct mounts_entry *m, void *arg)
{
	struct search *s = arg;

	if (m->device != s->device)
		return false;
	*s->found = *m;
	return true;
}

static bool take_around(const struct mounts_entry *m, void *arg)
{
	struct search *s = arg;

	if (mounts_below(s->path, m->dir) && (!s->any || strlen(m->dir) >= strlen(s->found->dir))) {
		*s->found = *m;
		s->any = true;
	}
	return false;
}

bool mounts_at(const char *dir, struct mounts_entry *found)
{
	struct search s = { .path = dir, .found = found };

	mounts_each("/proc/self/mountinfo", take_at, &s);
	return s.any;
}

bool mounts_of_device(dev_t device, struct mounts_entry *found)
{
	struct search s = { .device = device, .found = found };

	return mounts_each("/proc/self/mountinfo", take_device, &s);
}

bool mounts_around(const char *path, struct mounts_entry *found)
{
	struct search s = { .path = path, .found = found };

	mounts_each("/proc/self/mountinfo", take_around, &s);
	return s.any;
}
