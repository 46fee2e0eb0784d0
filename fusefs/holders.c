/* holders.c - see holders.h. */
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "holders.h"
#include "mounts.h"

struct search {
	json_t *list;
	const char *path;		/* of the mount, or of the device */
	bool below;			/* what is below path counts too */
	dev_t device;			/* the block device itself, or 0 */
	ino_t namespaces[64];		/* mount namespaces that were looked at */
	size_t namespace_count;
};

static void add(struct search *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct search *s, const char *fmt, ...)
{
	char text[MOUNTS_PATH_MAX + 200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_array_append_new(s->list, json_string(text));
}

static bool matches(const struct search *s, const char *target)
{
	return s->below ? mounts_below(target, s->path) : strcmp(target, s->path) == 0;
}

static const char *command(const char *pid, char *buf, size_t size)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof path, "/proc/%s/comm", pid);
	f = fopen(path, "re");
	if (!f || !fgets(buf, (int)size, f))
		snprintf(buf, size, "a process");
	buf[strcspn(buf, "\n")] = 0;
	if (f)
		fclose(f);
	return buf;
}

/* True when /proc/PID/NAME is a link into what is searched. */
static bool linked(const struct search *s, const char *pid, const char *name, char *target)
{
	char path[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
	n = readlink(path, target, PATH_MAX - 1);
	if (n < 0)
		return false;
	target[n] = 0;
	return matches(s, target);
}

static bool open_file(const struct search *s, const char *pid, char *target)
{
	char path[64], name[NAME_MAX + 4];
	struct dirent *d;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%s/fd", pid);
	dir = opendir(path);
	while (dir && !found && (d = readdir(dir))) {
		snprintf(name, sizeof name, "fd/%s", d->d_name);
		found = d->d_name[0] != '.' && linked(s, pid, name, target);
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool mapped_file(const struct search *s, const char *pid, char *target)
{
	char path[64], *line = NULL, *at;
	size_t room = 0;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%s/maps", pid);
	f = fopen(path, "re");
	while (f && !found && getline(&line, &room, f) > 0) {
		at = strchr(line, '/');
		if (!at)
			continue;
		at[strcspn(at, "\n")] = 0;
		found = matches(s, at);
		if (found)
			snprintf(target, PATH_MAX, "%s", at);
	}
	if (f)
		fclose(f);
	free(line);
	return found;
}

static void look_at_process(struct search *s, const char *pid)
{
	char target[PATH_MAX], name[64];

	if (linked(s, pid, "cwd", target))
		add(s, "%s (pid %s) works in %s", command(pid, name, sizeof name), pid, target);
	else if (linked(s, pid, "root", target))
		add(s, "%s (pid %s) has its root in %s", command(pid, name, sizeof name), pid, target);
	else if (linked(s, pid, "exe", target))
		add(s, "%s (pid %s) is the program %s", command(pid, name, sizeof name), pid, target);
	else if (open_file(s, pid, target))
		add(s, "%s (pid %s) has %s open", command(pid, name, sizeof name), pid, target);
	else if (mapped_file(s, pid, target))
		add(s, "%s (pid %s) has %s mapped", command(pid, name, sizeof name), pid, target);
}

/* Mounts on the device, or below the directory; of another mount namespace it says so. */

struct mount_search {
	struct search *search;
	const char *pid;		/* NULL: our own namespace */
};

static bool look_at_mount(const struct mounts_entry *m, void *arg)
{
	struct mount_search *ms = arg;
	struct search *s = ms->search;
	bool hit = s->device ? m->device == s->device || strcmp(m->source, s->path) == 0 :
		   !ms->pid && mounts_below(m->dir, s->path) && strcmp(m->dir, s->path) != 0;

	if (hit && ms->pid)
		add(s, "it is mounted at %s for pid %s", m->dir, ms->pid);
	else if (hit)
		add(s, "%s is mounted at %s", s->device ? "it" : m->source, m->dir);
	return false;
}

static bool seen(struct search *s, ino_t ns)
{
	for (size_t i = 0; i < s->namespace_count; i++)
		if (s->namespaces[i] == ns)
			return true;
	if (s->namespace_count < sizeof s->namespaces / sizeof *s->namespaces)
		s->namespaces[s->namespace_count++] = ns;
	return false;
}

static void look_at_mounts(struct search *s, const char *pid)
{
	struct mount_search ms = { s, pid };
	char path[64];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%s/ns/mnt", pid ? pid : "self");
	if (stat(path, &st) < 0 || seen(s, st.st_ino))
		return;
	snprintf(path, sizeof path, "/proc/%s/mountinfo", pid ? pid : "self");
	mounts_each(path, look_at_mount, &ms);
}

static void look_at_processes(struct search *s)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		if (!isdigit((unsigned char)d->d_name[0]) || atoi(d->d_name) == getpid())
			continue;
		look_at_process(s, d->d_name);
		if (s->device)
			look_at_mounts(s, d->d_name);
	}
	if (dir)
		closedir(dir);
}

/* The kernel's own: loop devices over files, and whatever sits on a block device. */

static void look_at_loop(struct search *s, const char *name)
{
	char path[PATH_MAX], file[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof path, "/sys/block/%s/loop/backing_file", name);
	f = fopen(path, "re");
	if (f && fgets(file, sizeof file, f)) {
		file[strcspn(file, "\n")] = 0;
		if (matches(s, file))
			add(s, "%s is attached as /dev/%s", file, name);
	}
	if (f)
		fclose(f);
}

static void each_in(struct search *s, const char *dir, void (*fn)(struct search *s, const char *name))
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			fn(s, e->d_name);
	if (d)
		closedir(d);
}

static void add_stacked(struct search *s, const char *name)
{
	add(s, "/dev/%s is made of it", name);
}

static void look_at_swaps(struct search *s)
{
	FILE *f = fopen("/proc/swaps", "re");
	char line[PATH_MAX];
	size_t n = strlen(s->path);

	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, s->path, n) == 0 && line[n] == ' ')
			add(s, "it is swapped to");
	if (f)
		fclose(f);
}

json_t *holders_of_mount(const char *dir, int devices)
{
	struct search s = { .list = json_array(), .path = dir, .below = true };

	if (devices)
		each_in(&s, "/sys/block", look_at_loop);
	look_at_mounts(&s, NULL);
	look_at_processes(&s);
	return s.list;
}

json_t *holders_of_device(const char *device)
{
	struct search s = { .list = json_array(), .path = device };
	const char *name = strrchr(device, '/');
	char path[PATH_MAX];
	struct stat st;

	if (stat(device, &st) == 0)
		s.device = st.st_rdev;
	look_at_mounts(&s, NULL);
	snprintf(path, sizeof path, "/sys/block/%s/holders", name ? name + 1 : device);
	each_in(&s, path, add_stacked);
	look_at_swaps(&s);
	look_at_processes(&s);
	return s.list;
}

const char *holders_text(const json_t *holders, char *buf, size_t size)
{
	size_t count = json_array_size(holders), used = 0;

	buf[0] = 0;
	for (size_t i = 0; i < count && i < HOLDERS_MAX && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? "; " : "",
					 json_string_value(json_array_get(holders, i)));
	if (count > HOLDERS_MAX && used < size)
		snprintf(buf + used, size - used, "; and %zu more", count - HOLDERS_MAX);
	return buf;
}
