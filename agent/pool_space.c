/*
 * pool_space.c - what a pool's file system can do, and how much is left in it.
 *
 * A pool promises each volume its size.  What a volume has not been written yet is
 * still to come; and so is all of one that shares its blocks with a snapshot or a
 * clone, since writing over a shared block takes a new one.  As long as that fits
 * into what is free nobody meets a full disk, and unless [pool] overcommit says
 * so nothing is made that would not.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "catalog_impl.h"
#include "copy.h"
#include "log.h"
#include "server.h"

#define ASK_AT_MOST 1000	/* volumes, for each change of the pool */
#define SPACE_EVERY (5 * SECOND)
/* Percent that are free: below the first it is said; back at the second it is over. */
#define LOW 10
#define LOW_OVER 11
#define FULL 1
#define FULL_OVER 2

static void name_filesystem(struct pool *p)
{
	static const struct { uint32_t type; const char *name; } types[] = {
		{ EXT4_SUPER_MAGIC, "ext4" }, { XFS_SUPER_MAGIC, "xfs" }, { BTRFS_SUPER_MAGIC, "btrfs" },
		{ TMPFS_MAGIC, "tmpfs" }, { RAMFS_MAGIC, "ramfs" }, { F2FS_SUPER_MAGIC, "f2fs" },
		{ 0xca451a4e, "bcachefs" }, { 0x2fc12fc1, "zfs" }, { OCFS2_SUPER_MAGIC, "ocfs2" },
		{ 0x01161970, "gfs2" }, { NFS_SUPER_MAGIC, "nfs" }, { OVERLAYFS_SUPER_MAGIC, "overlay" },
		{ V9FS_MAGIC, "9p" }, { FUSE_SUPER_MAGIC, "fuse" },
	};
	struct statfs fs;

	if (fstatfs(p->dirfd, &fs) < 0)
		fs.f_type = 0;
	snprintf(p->filesystem, sizeof(p->filesystem), "0x%x", (unsigned)fs.f_type);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if ((uint32_t)fs.f_type == types[i].type)
			snprintf(p->filesystem, sizeof(p->filesystem), "%s", types[i].name);
}

void pool_find_abilities(struct pool *p)
{
	name_filesystem(p);
	p->reflink = copy_can_reflink(p->dirfd);
	pool_look_at_space(p, clock_now());
	atomic_store(&p->looked, 0);	/* its volumes are not known yet: the first look at them counts anew */
	log_info("pool", "%s: %s is on %s, %s", p->name, p->path, p->filesystem,
		 p->reflink ? "where snapshots and clones are instant and share blocks" :
			      "where snapshots and clones are copies that keep holes");
}

const char *pool_state_name(enum pool_state s)
{
	static const char *const names[] = { "ok", "low", "full", "read-only", "gone", "lost", "waiting" };

	return names[s];
}

static enum pool_state state_of(const struct pool *p, enum pool_state before, const struct statvfs *v)
{
	double left = v->f_blocks ? 100.0 * (double)v->f_bavail / (double)v->f_blocks : 100;
	struct stat st;

	if (fstat(p->dirfd, &st) < 0 || !st.st_nlink)
		return POOL_GONE;
	if (p->trouble != POOL_OK)	/* only written where this is called: under p->catalog */
		return p->trouble;
	if (v->f_flag & ST_RDONLY)
		return POOL_READ_ONLY;
	if (left < (before == POOL_FULL ? FULL_OVER : FULL))
		return POOL_FULL;
	return left < (before == POOL_LOW || before == POOL_FULL ? LOW_OVER : LOW) ? POOL_LOW : POOL_OK;
}

static void set_state(struct pool *p, enum pool_state now)
{
	enum pool_state before = atomic_exchange(&p->state, now);
	double gib = (double)atomic_load(&p->bytes_free) / (1 << 30);

	if (now == before || now == POOL_LOST || now == POOL_WAITING)
		return;			/* of these two more was said */
	if (now == POOL_LOW && before != POOL_FULL)
		log_warning("pool", "%s: little space is left in %s: %.1f GiB", p->name, p->path, gib);
	else if (now == POOL_FULL)
		log_error("pool", "%s: %s is full: %.1f GiB are left; writes to new blocks will fail with ENOSPC",
			  p->name, p->path, gib);
	else if (now == POOL_READ_ONLY)
		log_error("pool", "%s: the file system of %s is read-only", p->name, p->path);
	else if (now == POOL_GONE)
		log_error("pool", "%s: the directory %s is gone", p->name, p->path);
	else
		log_info("pool", "%s: %s has %.1f GiB of free space", p->name, p->path, gib);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of its snapshots, in order, for has_snapshots.  NULL: no memory. */
static const char **snapshot_names(const struct pool *p, size_t *n)
{
	const char **names;
	size_t room = 1;

	*n = 0;
	for (struct offer *o = p->offers; o; o = o->next)
		room += o->snapshot;
	names = calloc(room, sizeof(*names));
	for (struct offer *o = p->offers; names && o; o = o->next)
		if (o->snapshot)
			names[(*n)++] = o->name;
	if (names)
		qsort(names, *n, sizeof(*names), by_text);
	return names;
}

static int by_volume(const void *volume, const void *snapshot)
{
	const char *s = *(const char *const *)snapshot;
	size_t n = strlen(volume);
	int r = strncmp(volume, s, n);

	return r ? r : '@' - (unsigned char)s[n];
}

struct space {
	uint64_t allocated, promised, need;
};

/* As it is, or as it was not long ago. */
static void add_up(struct pool *p, struct offer *o, bool shares, bool ask, struct space *s)
{
	uint64_t size, blocks;
	struct stat st;

	if (ask && fstatat(p->dirfd, o->file, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (ask)
		offer_saw(o, (uint64_t)st.st_size, (uint64_t)st.st_blocks * 512);
	size = o->bytes;
	blocks = o->blocks;
	s->allocated += blocks;
	if (o->snapshot)
		return;
	s->promised += size;
	s->need += shares ? size : size - (blocks < size ? blocks : size);
}

static int look_at_volumes(struct pool *p, bool ask, struct space *s)
{
	const char **names;
	size_t n;

	memset(s, 0, sizeof(*s));
	names = snapshot_names(p, &n);
	if (!names)
		return -ENOMEM;
	for (struct offer *o = p->offers; o; o = o->next)
		add_up(p, o, p->reflink && (o->shares || bsearch(o->name, names, n, sizeof(*names), by_volume)), ask, s);
	free(names);
	return 0;
}

int pool_need(struct pool *p, uint64_t *need, uint64_t *left)
{
	struct statvfs v;
	struct space s;
	/* Of very many what the last look saw has to do, some seconds ago: less on the disk than there
	 * is by now means that more is kept for them. */
	int r = look_at_volumes(p, p->offer_count <= ASK_AT_MOST, &s);

	if (!r && fstatvfs(p->dirfd, &v) < 0)
		r = -errno;
	if (r)
		return r;
	*need = s.need;
	*left = (uint64_t)v.f_bavail * v.f_frsize;
	return 0;
}

static void look(struct pool *p, bool ask, uint64_t now)
{
	struct statvfs v;
	struct space s;

	if (fstatvfs(p->dirfd, &v) < 0) {
		set_state(p, POOL_GONE);
		return;
	}
	atomic_store(&p->bytes, (uint64_t)v.f_blocks * v.f_frsize);
	atomic_store(&p->bytes_free, (uint64_t)v.f_bavail * v.f_frsize);
	if (look_at_volumes(p, ask, &s) == 0) {
		atomic_store(&p->allocated, s.allocated);
		atomic_store(&p->promised, s.promised);
	}
	set_state(p, state_of(p, atomic_load(&p->state), &v));
	if (ask)
		atomic_store(&p->looked, now);
}

void pool_look_at_space(struct pool *p, uint64_t now)
{
	if (!atomic_load(&p->looked) || now >= atomic_load(&p->looked) + SPACE_EVERY)
		look(p, true, now);
}

void pool_space_changed(struct pool *p)
{
	unsigned n = 0;

	pthread_mutex_lock(&p->catalog);
	for (struct offer *o = p->offers; o; o = o->next)
		n += o->volume && !o->snapshot;
	atomic_store(&p->volumes, n);
	look(p, p->offer_count <= ASK_AT_MOST, clock_now());
	pthread_mutex_unlock(&p->catalog);
}
