/* attach.c - see attach.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "attach.h"
#include "conf.h"
#include "holders.h"
#include "loopdev.h"
#include "mounts.h"
#include "tree.h"

#define AVS 4
#define LINK_MAX_BYTES 4096

/* What a request is about. */
struct target {
	const char *mount, *namespace, *volume;
	int av;
	uint64_t size;
	int read_only, force;
	int block_size;
	char file[LOOPDEV_FILE_MAX];		/* where that is in the tree */
};

#define BELOW_MAX (4 * CONF_NAME_MAX + 16)

/* NAMESPACE/VOLUME; of a snapshot, VOLUME@SNAP, NAMESPACE/.snap/VOLUME/SNAP/VOLUME. */
static void below(char out[BELOW_MAX], const char *namespace, const char *volume)
{
	int length = (int)strcspn(volume, "@");

	if (volume[length])
		snprintf(out, BELOW_MAX, "%s/" TREE_SNAPS "/%.*s/%s/%.*s", namespace, length, volume, volume + length + 1,
			 length, volume);
	else
		snprintf(out, BELOW_MAX, "%s/%s", namespace, volume);
}

static int target_parse(struct target *t, json_t *request, struct err *e)
{
	char place[BELOW_MAX];
	json_int_t size = 0;

	memset(t, 0, sizeof *t);
	if (json_unpack(request, "{s:s, s:s, s:s, s?:i, s?:I, s?:b, s?:b, s?:i}", "mount", &t->mount,
			"namespace", &t->namespace, "volume", &t->volume, "av", &t->av, "size", &size,
			"read_only", &t->read_only, "force", &t->force, "block_size", &t->block_size) < 0 ||
	    !conf_name_valid(t->namespace) || !conf_volume_valid(t->volume) || t->av < 0 || t->av >= AVS)
		return err_set(e, EINVAL, "a request for a device that makes no sense");
	t->size = (uint64_t)size;
	below(place, t->namespace, t->volume);
	snprintf(t->file, sizeof t->file, "%s/%s", t->mount, place);
	return 0;
}

static void block_name(char *buf, size_t size, int av, const char *volume)
{
	snprintf(buf, size, "/dev/av%d/%s", av, volume);
}

static void raw_name(char *buf, size_t size, int av, const char *volume)
{
	snprintf(buf, size, "/dev/av%d/r%s", av, volume);
}

/* Finding. */

struct find {
	const char *file;
	dev_t device;			/* of the mount */
	int number;
};

static bool is_device_of(const struct loopdev *d, void *arg)
{
	struct find *f = arg;

	/* A daemon that died at the same place left the same name on another device. */
	if (strcmp(d->file, f->file) != 0 || loopdev_backing(d->number) != f->device)
		return false;
	f->number = d->number;
	return true;
}

/* The loop device over the volume's file in the mount as it is now, or -1. */
static int find_loop(const struct target *t)
{
	struct mounts_entry *m = malloc(sizeof *m);
	struct find f = { .file = t->file, .number = -1 };

	if (m && mounts_at(t->mount, m)) {
		f.device = m->device;
		loopdev_each(is_device_of, &f);
	}
	free(m);
	return f.number;
}

/* Links. */

/* What path leads to: false when it is no link. */
static bool link_target(const char *path, char target[LINK_MAX_BYTES])
{
	ssize_t n = readlink(path, target, LINK_MAX_BYTES - 1);

	if (n < 0)
		return false;
	target[n] = 0;
	return true;
}

/* A link's target is somebody's while a daemon of ours serves what is behind it. */
static bool is_live(const char *target, char *owner, size_t size)
{
	struct mounts_entry *m = malloc(sizeof *m);
	struct loopdev *d = malloc(sizeof *d);
	int number = loopdev_number(target);
	bool live = false;

	if (m && d && number >= 0) {
		if (loopdev_get(number, d) && mounts_of_device(loopdev_backing(number), m) &&
		    strcmp(m->type, MOUNTS_OURS) == 0) {
			snprintf(owner, size, "%s (%s)", d->file, target);
			live = true;
		}
	} else if (m && mounts_around(target, m) && strcmp(m->type, MOUNTS_OURS) == 0) {
		snprintf(owner, size, "%s", target);
		live = true;
	}
	free(m);
	free(d);
	return live;
}

/* May path become a link to target?  target NULL: to a loop device that is to be made. */
static int link_check(const char *path, const char *target, struct err *e)
{
	char now[LINK_MAX_BYTES], owner[LINK_MAX_BYTES + 64];
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(e, errno, "%s", path);
	if (!S_ISLNK(st.st_mode)) {
		err_set(e, EEXIST, "%s exists and is not a link", path);
		err_next(e, "move it away");
		return -EEXIST;
	}
	if (!link_target(path, now) || (target && strcmp(now, target) == 0) ||
	    !is_live(now, owner, sizeof owner))
		return 0;
	err_set(e, EEXIST, "%s is taken: it belongs to %.300s", path, owner);
	err_next(e, "detach that one first, or give one of the two another av on its server");
	return -EEXIST;
}

/* Replaces what is there in one step. */
static int link_make(const char *path, const char *target, struct err *e)
{
	char dir[64], fresh[LINK_MAX_BYTES];

	snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return err_sys(e, errno, "%s cannot be made", dir);
	snprintf(fresh, sizeof fresh, "%s/.new-%d", dir, (int)getpid());
	unlink(fresh);
	if (symlink(target, fresh) < 0)
		return err_sys(e, errno, "no link in %s", dir);
	if (rename(fresh, path) < 0) {
		int error = errno;

		unlink(fresh);
		return err_sys(e, error, "%s cannot be made", path);
	}
	return 0;
}

static void link_remove(const char *path, const char *target)
{
	char now[LINK_MAX_BYTES], dir[64];

	if (!link_target(path, now) || strcmp(now, target) != 0)
		return;
	unlink(path);
	snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
	rmdir(dir);	/* when it was the last */
}

static void remove_links(const struct target *t, const char *loop)
{
	char path[128];

	for (int av = 0; av < AVS; av++) {
		block_name(path, sizeof path, av, t->volume);
		link_remove(path, loop);
		raw_name(path, sizeof path, av, t->volume);
		link_remove(path, t->file);
	}
}

/* Attach. */

/* A new device over the file: its number or -errno. */
static int make_loop(const struct target *t, struct err *e)
{
	struct loopdev *d;
	int file = open(t->file, (t->read_only ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC);
	int number, r = 0;
	bool later;

	if (file < 0)
		return err_sys(e, errno, "%s cannot be opened", t->file);
	number = loopdev_make(file, t->read_only, (uint32_t)t->block_size, e);
	close(file);
	d = malloc(sizeof *d);
	if (number < 0 || !d) {
		free(d);
		return number < 0 ? number : err_set(e, ENOMEM, "no memory");
	}
	if (!loopdev_get(number, d) || d->size != loopdev_size(t->size)) {
		r = err_set(e, EIO, "/dev/loop%d has %llu bytes, the volume %llu", number,
			    (unsigned long long)d->size, (unsigned long long)t->size);
		loopdev_clear(number, &later, NULL);
	}
	free(d);
	return r < 0 ? r : number;
}

static json_t *attached(const char *block, const char *raw, const char *loop, bool made)
{
	return json_pack("{s:s, s:s, s:s, s:i}", "block", block, "raw", raw, "loop", loop,
			 "opener", made ? (int)getpid() : 0);
}

/*
 * A device that was taken away while in use answers with errors only, and goes when its last
 * user closes it: it is not the volume's any more, and the file has no second one meanwhile.
 */
static int refuse_ending(const struct target *t, int number, struct err *e)
{
	char loop[24], text[ERR_TEXT_MAX];
	json_t *holders;

	if (number < 0 || !loopdev_ending(number))
		return 0;
	holders = holders_of_device(loopdev_name(number, loop));
	holders_text(holders, text, sizeof text);
	json_decref(holders);
	err_set(e, EBUSY, "%s:%s still has the device that was detached: %s", t->namespace,
		t->volume, text[0] ? text : "the kernel has it claimed");
	err_next(e, "end that first, then attach again");
	return -EBUSY;
}

json_t *attach_run(json_t *request, struct err *e)
{
	char block[128], raw[128], loop[24];
	struct target t;
	bool later, made = false;
	int number;

	if (target_parse(&t, request, e) < 0)
		return NULL;
	block_name(block, sizeof block, t.av, t.volume);
	raw_name(raw, sizeof raw, t.av, t.volume);
	number = find_loop(&t);
	if (refuse_ending(&t, number, e) < 0)
		return NULL;
	if (number >= 0)
		loopdev_name(number, loop);
	if (link_check(block, number >= 0 ? loop : NULL, e) < 0 || link_check(raw, t.file, e) < 0)
		return NULL;
	if (number < 0) {
		number = make_loop(&t, e);
		if (number < 0)
			return NULL;
		loopdev_name(number, loop);
		made = true;
	}
	if (link_make(block, loop, e) == 0 && link_make(raw, t.file, e) == 0)
		return attached(block, raw, loop, made);
	if (made) {
		remove_links(&t, loop);
		loopdev_clear(number, &later, NULL);
	}
	return NULL;
}

/* Detach. */

/* A device whose daemon died has no file in the mount any more; its link still leads to it. */
static int find_dead(const struct target *t)
{
	char path[128], target[LINK_MAX_BYTES], owner[LINK_MAX_BYTES + 64];
	struct loopdev *d = malloc(sizeof *d);
	int found = -1;

	for (int av = 0; d && av < AVS && found < 0; av++) {
		int number;

		block_name(path, sizeof path, av, t->volume);
		if (!link_target(path, target) || is_live(target, owner, sizeof owner))
			continue;
		number = loopdev_number(target);
		/* Its name ends as ours does, wherever its mount was. */
		if (number >= 0 && loopdev_get(number, d)) {
			size_t have = strlen(d->file), want;
			char ours[BELOW_MAX];

			below(ours, t->namespace, t->volume);
			want = strlen(ours);
			if (have > want && d->file[have - want - 1] == '/' && strcmp(d->file + have - want, ours) == 0)
				found = number;
		}
	}
	free(d);
	return found;
}

static int refuse_if_held(const struct target *t, const char *loop, struct err *e)
{
	int claimed = loopdev_claimed(loopdev_number(loop));
	json_t *holders = holders_of_device(loop);
	char text[ERR_TEXT_MAX];
	int r = 0;

	if (claimed == -EBUSY || json_array_size(holders) > 0) {
		holders_text(holders, text, sizeof text);
		r = err_set(e, EBUSY, "%s:%s is in use: %s", t->namespace, t->volume,
			    text[0] ? text : "the kernel has it claimed");
		err_next(e, "end that first, or take it away all the same with --force");
	}
	json_decref(holders);
	return r;
}

json_t *attach_detach(json_t *request, struct err *e)
{
	struct target t;
	char loop[24];
	bool later;
	int number;

	if (target_parse(&t, request, e) < 0)
		return NULL;
	number = find_loop(&t);
	if (number < 0)
		number = find_dead(&t);
	if (number < 0) {
		err_set(e, ENOENT, "%s:%s is not attached", t.namespace, t.volume);
		return NULL;
	}
	loopdev_name(number, loop);
	if (!t.force && refuse_if_held(&t, loop, e) < 0)
		return NULL;
	if (loopdev_clear(number, &later, e) < 0)
		return NULL;
	remove_links(&t, loop);
	return later ? json_pack("{s:s, s:s}", "loop", loop,
				 "note", "the device ends when its last user closes it") :
		       json_pack("{s:s}", "loop", loop);
}

int attach_find(json_t *request, struct err *e)
{
	struct target t;
	int number;

	if (target_parse(&t, request, e) < 0)
		return -EINVAL;
	number = find_loop(&t);
	if (number < 0) {
		err_set(e, ENOENT, "%s:%s is not attached to this machine", t.namespace, t.volume);
		err_next(e, "rsconfig -l shows what is");
		return -ENOENT;
	}
	return number;
}

json_t *attach_resize(json_t *request, struct err *e)
{
	struct target t;
	struct stat st;
	char loop[24];
	int number;

	if (target_parse(&t, request, e) < 0)
		return NULL;
	number = find_loop(&t);
	if (number < 0) {
		err_set(e, ENOENT, "%s:%s is not attached", t.namespace, t.volume);
		return NULL;
	}
	/* Older kernels take the size that was last heard: have them hear it. */
	if (stat(t.file, &st) < 0) {
		err_sys(e, errno, "%s", t.file);
		return NULL;
	}
	if (loopdev_refresh(number, t.size, e) < 0)
		return NULL;
	return json_pack("{s:s}", "loop", loopdev_name(number, loop));
}

/* What there is. */

struct listing {
	const char *mount;
	json_t *list;
	bool clean;
};

/* What is below the mount into its two names. */
static bool split(const char *mount, const char *file, char *namespace, char *volume)
{
	static const char snaps[] = "/" TREE_SNAPS "/";
	const char *at = file + strlen(mount), *rest;
	char again[BELOW_MAX];

	if (!mounts_below(file, mount) || *at != '/')
		return false;
	rest = strchrnul(++at, '/');
	if (!*rest || rest - at > CONF_NAME_MAX || strlen(at) >= sizeof again)
		return false;
	snprintf(namespace, CONF_NAME_MAX + 1, "%.*s", (int)(rest - at), at);
	if (strncmp(rest, snaps, strlen(snaps)) == 0) {
		const char *of = rest + strlen(snaps), *snap = of + strcspn(of, "/");

		snap += *snap == '/';
		snprintf(volume, CONF_VOLUME_MAX + 1, "%.*s@%.*s", (int)strcspn(of, "/"), of,
			 (int)strcspn(snap, "/"), snap);
	} else {
		snprintf(volume, CONF_VOLUME_MAX + 1, "%s", rest + 1);
	}
	if (!conf_name_valid(namespace) || !conf_volume_valid(volume))
		return false;
	below(again, namespace, volume);
	return strcmp(again, at) == 0;
}

static json_t *describe(const struct loopdev *d, const char *namespace, const char *volume)
{
	char path[128], target[LINK_MAX_BYTES], loop[24];
	json_t *j = json_pack("{s:s, s:s, s:s, s:I}", "namespace", namespace, "volume", volume,
			      "loop", loopdev_name(d->number, loop), "size", (json_int_t)d->size);

	if (loopdev_ending(d->number))
		json_object_set_new(j, "state", json_string("ending"));
	for (int av = 0; av < AVS; av++) {
		block_name(path, sizeof path, av, volume);
		if (!link_target(path, target) || strcmp(target, loop) != 0)
			continue;
		json_object_set_new(j, "av", json_integer(av));
		json_object_set_new(j, "block", json_string(path));
		raw_name(path, sizeof path, av, volume);
		if (link_target(path, target) && strcmp(target, d->file) == 0)
			json_object_set_new(j, "raw", json_string(path));
	}
	return j;
}

static bool list_one(const struct loopdev *d, void *arg)
{
	struct listing *l = arg;
	char namespace[CONF_NAME_MAX + 1], volume[CONF_VOLUME_MAX + 1];

	if (split(l->mount, d->file, namespace, volume))
		json_array_append_new(l->list, describe(d, namespace, volume));
	return false;
}

json_t *attach_list(const char *mount_dir)
{
	struct listing l = { .mount = mount_dir, .list = json_array() };

	loopdev_each(list_one, &l);
	return l.list;
}

/* A device of the mount as a detach would name it; false: it is none. */
static bool device_target(struct target *t, const char *mount, const struct loopdev *d,
			  char *namespace, char *volume)
{
	memset(t, 0, sizeof *t);
	t->mount = mount;
	if (!split(mount, d->file, namespace, volume))
		return false;
	t->namespace = namespace;
	t->volume = volume;
	snprintf(t->file, sizeof t->file, "%s", d->file);
	return true;
}

struct sweep {
	const char *mount;
	struct err *err;
};

static bool busy_one(const struct loopdev *d, void *arg)
{
	struct sweep *s = arg;
	char namespace[CONF_NAME_MAX + 1], volume[CONF_VOLUME_MAX + 1], loop[24];
	struct target t;

	return device_target(&t, s->mount, d, namespace, volume) &&
	       refuse_if_held(&t, loopdev_name(d->number, loop), s->err) < 0;
}

int attach_busy(const char *mount_dir, struct err *e)
{
	struct sweep s = { mount_dir, e };

	return loopdev_each(busy_one, &s) ? -EBUSY : 0;
}

static bool clean_one(const struct loopdev *d, void *arg)
{
	struct sweep *s = arg;
	char namespace[CONF_NAME_MAX + 1], volume[CONF_VOLUME_MAX + 1], loop[24];
	struct target t;
	bool later;

	if (!device_target(&t, s->mount, d, namespace, volume) ||
	    refuse_if_held(&t, loopdev_name(d->number, loop), NULL) < 0)
		return false;
	if (loopdev_clear(d->number, &later, NULL) == 0)
		remove_links(&t, loop);
	return false;
}

void attach_clean(const char *mount_dir)
{
	struct sweep s = { mount_dir, NULL };

	loopdev_each(clean_one, &s);
}

static bool end_one(const struct loopdev *d, void *arg)
{
	char namespace[CONF_NAME_MAX + 1], volume[CONF_VOLUME_MAX + 1], loop[24];
	const struct sweep *s = arg;
	struct target t;

	if (device_target(&t, s->mount, d, namespace, volume) && loopdev_let_go(d->number, NULL) == 0)
		remove_links(&t, loopdev_name(d->number, loop));
	return false;
}

void attach_end(const char *mount_dir)
{
	struct sweep s = { mount_dir, NULL };

	loopdev_each(end_one, &s);
}
