/* volume.c - see volume.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <linux/fs.h>
#include <unistd.h>
#include "cow.h"
#include "log.h"
#include "server.h"
#include "text.h"
#include "throttle.h"
#include "volume_impl.h"

#define DIRECT_ALIGN 4096u

/* Relative to the directory that is returned. */
static int mark_path(const struct volume *v, char *out, size_t size)
{
	char uuid[UUID_TEXT];

	if (v->mark) {
		snprintf(out, size, "%s", v->mark);
		return v->place.fd;
	}
	uuid_format(v->uuid, uuid);
	snprintf(out, size, "%s/flush-failed.%s", v->server->state_dir, uuid);
	return AT_FDCWD;
}

static void flush_has_failed(struct volume *v, int error)
{
	char path[512];
	int dir, fd;

	if (atomic_exchange(&v->flush_failed, true))
		return;
	dir = mark_path(v, path, sizeof(path));
	fd = openat(dir, path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, v->mark ? 0664 : 0644);
	log_error("volume", "%s: writing %s to its disk failed: %s; every flush is refused until "
		  "'clear-flush-error' says that this was dealt with", v->name, v->path, strerror(-error));
	if (fd < 0) {
		log_error("volume", "%s: cannot note that in %s: %s; a restart would forget it",
			  v->name, path, strerror(errno));
		return;
	}
	atomic_store(&v->flush_marked, true);
	close(fd);
}

static bool marked_failed(const struct volume *v)
{
	char path[512];
	int dir = mark_path(v, path, sizeof(path));

	return faccessat(dir, path, F_OK, 0) == 0 || (v->mark && errno != ENOENT);
}

void volume_load_flush_error(struct volume *v)
{
	if (!marked_failed(v))
		return;
	atomic_store(&v->flush_marked, true);
	atomic_store(&v->flush_failed, true);
	log_warning("volume", "%s: a flush failed before this start; flushes are refused until "
		    "'clear-flush-error'", v->name);
}

/* On a worker: has a flush failed, here or by way of another server?  Who could not make
 * a mark does not take its absence for an administrator's decision. */
static bool flush_failed(struct volume *v)
{
	bool failed = atomic_load(&v->flush_failed), marked;

	if (!v->mark)
		return failed;
	marked = marked_failed(v);
	if (marked == failed || (failed && !atomic_load(&v->flush_marked)))
		return failed;
	atomic_store(&v->flush_marked, marked);
	atomic_store(&v->flush_failed, marked);
	log_warning("volume", marked ? "%s: a flush failed by way of another server; flushes are refused until "
		    "'clear-flush-error'" : "%s: the flush error was cleared by way of another server", v->name);
	return marked;
}

void volume_clear_flush_error(struct volume *v)
{
	char path[512];
	int dir = mark_path(v, path, sizeof(path));

	if (unlinkat(dir, path, 0) < 0 && errno != ENOENT)
		log_error("volume", "%s: cannot remove %s: %s", v->name, path, strerror(errno));
	if (atomic_exchange(&v->flush_failed, false))
		log_warning("volume", "%s: the flush error was cleared by the administrator", v->name);
}

int volume_origin_at(int dirfd, const char *path, int flags, struct volume_origin *out)
{
	struct statx sx;

	if (statx(dirfd, path, flags, STATX_BASIC_STATS | STATX_BTIME, &sx) < 0)
		return -errno;
	out->device = makedev(sx.stx_dev_major, sx.stx_dev_minor);
	out->inode = sx.stx_ino;
	out->birth = 0;
	out->bytes = sx.stx_size;
	out->blocks = sx.stx_blocks * 512;
	if (sx.stx_mask & STATX_BTIME)
		out->birth = (uint64_t)sx.stx_btime.tv_sec * SECOND + sx.stx_btime.tv_nsec;
	return 0;
}

struct volume_dir *volume_dir_new(int fd)
{
	struct volume_dir *d = malloc(sizeof(*d));

	if (!d)
		return NULL;
	atomic_init(&d->refs, 1);
	d->fd = fd;
	return d;
}

struct volume_dir *volume_dir_get(struct volume_dir *d)
{
	atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
	return d;
}

void volume_dir_put(struct volume_dir *d)
{
	if (!d || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1)
		return;
	close(d->fd);
	free(d);
}

static int open_file(struct volume *v, const struct volume_setup *setup)
{
	int flags = O_CLOEXEC | O_NONBLOCK | O_LARGEFILE | (setup->shared ? O_DIRECT : 0);
	int nofollow = setup->pool ? O_NOFOLLOW : 0;

	if (!setup->read_only)
		v->fd = openat(setup->dirfd, setup->path, O_RDWR | flags | nofollow);
	if (v->fd < 0 && (setup->read_only || errno == EROFS)) {
		v->fd = openat(setup->dirfd, setup->path, O_RDONLY | flags | nofollow);
		v->cannot_write = true;
	}
	if (v->fd < 0)
		return -errno;
	return v->cannot_write ? 0 : sync_open(v);
}

static bool is_align(uint64_t n)
{
	return n >= 512 && n <= 65536 && !(n & (n - 1));
}

/* Of what direct I/O takes. */
static uint32_t direct_align(const struct volume *v)
{
	struct statx sx;
	int block;

	if (v->device && ioctl(v->fd, BLKSSZGET, &block) == 0 && is_align((uint64_t)block))
		return (uint32_t)block;
#ifdef STATX_DIOALIGN
	if (!v->device && statx(v->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) == 0 &&
	    (sx.stx_mask & STATX_DIOALIGN) && is_align(sx.stx_dio_offset_align))
		return sx.stx_dio_offset_align;
#else
	(void)sx;
#endif
	return DIRECT_ALIGN;
}

static int find_out(struct volume *v, const struct volume_setup *setup, struct err *e)
{
	struct statfs fs;
	struct stat st;

	if (fstat(v->fd, &st) < 0)
		return err_sys(e, errno, "cannot look at %s", v->path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, EINVAL, "%s is neither a file nor a block device", v->path);
	if (setup->pool && !S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s is not a regular file", v->path);
	v->device = S_ISBLK(st.st_mode);
	v->memory = !v->device && !setup->shared && fstatfs(v->fd, &fs) == 0 &&
		    (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
	v->align = direct_align(v);
	v->ops = setup->shared ? &volume_direct_ops : &volume_file_ops;
	if (volume_origin_at(v->fd, "", AT_EMPTY_PATH, &v->origin) < 0)
		return err_sys(e, errno, "cannot look at %s", v->path);
	/* Volumes of one disk share its bound on workers. */
	work_init(v->server->workers, &v->work, v->device ? st.st_rdev : st.st_dev,
		  setup->shared ? 1 : WORKERS_BATCH);
	if (!setup->shared)
		v->work.prepare = volume_file_prepare;
	return 0;
}

/* Of a file system on which the write of a process that was killed may still be on its way
 * to the storage when the kernel has given up the process's locks: a claim there proves nothing. */
static const char *remote_name(const struct volume *v)
{
	static const struct { uint32_t type; const char *name; } types[] = {
		{ NFS_SUPER_MAGIC, "NFS" }, { SMB_SUPER_MAGIC, "SMB" }, { CIFS_SUPER_MAGIC, "SMB" },
		{ SMB2_SUPER_MAGIC, "SMB" }, { CEPH_SUPER_MAGIC, "CephFS" }, { V9FS_MAGIC, "9p" },
		{ AFS_FS_MAGIC, "AFS" }, { AFS_SUPER_MAGIC, "AFS" },
	};
	struct statfs fs;

	if (fstatfs(v->fd, &fs) < 0)
		return "a file system that does not say which one it is";
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if ((uint32_t)fs.f_type == types[i].type)
			return types[i].name;
	return NULL;
}

static int check_remote(const struct volume *v, struct err *e)
{
	const char *name = v->shared && !v->device ? remote_name(v) : NULL;

	if (!name)
		return 0;
	err_set(e, EOPNOTSUPP, "%s cannot be shared on %s: a write of a server that was killed may outlive its locks there",
		v->path, name);
	err_next(e, "a cluster file system on disks that all servers have would do");
	return -EOPNOTSUPP;
}

/* The claims and marks that other servers see.  NAME.flush-failed for a pool's NAME.raw,
 * FILE.flush-failed for others. */
static int open_place(struct volume *v, const struct volume_setup *setup)
{
	int r = claim_place_open(&v->place, setup->dirfd, v->fd);
	char path[PATH_MAX], *name;

	if (r < 0)
		return r;
	r = fd_path(v->fd, path);
	if (r < 0)
		return r;
	name = setup->pool ? v->name : strrchr(path, '/') + 1;
	if (asprintf(&v->mark, "%s" VOLUME_MARK, name) < 0)
		v->mark = NULL;
	return v->mark ? 0 : -ENOMEM;
}

/* What it has open goes; volume_need opens it again. */
static void close_files(struct volume *v)
{
	if (v->fd >= 0)
		close(v->fd);
	v->fd = -1;
	if (v->fd_sync[0] >= 0)
		close(v->fd_sync[0]);
	v->fd_sync[0] = -1;
}

static int open_later(struct volume *v, const struct volume_setup *setup)
{
	v->file = strdup(setup->path);
	if (!v->file)
		return -ENOMEM;
	v->dir = volume_dir_get(setup->dir);
	close_files(v);
	return 0;
}

static bool is_same(const struct volume *v)
{
	struct volume_origin now;

	return volume_origin_at(v->fd, "", AT_EMPTY_PATH, &now) == 0 && now.device == v->origin.device &&
	       now.inode == v->origin.inode && now.birth == v->origin.birth;
}

/* Under need_lock. */
static int open_now(struct volume *v)
{
	int flags = O_CLOEXEC | O_NONBLOCK | O_LARGEFILE | O_NOFOLLOW | (v->cannot_write ? O_RDONLY : O_RDWR);
	int r = 0;

	v->fd = openat(v->dir->fd, v->file, flags);
	/* The file system became read-only meanwhile: this volume, too. */
	if (v->fd < 0 && errno == EROFS && !v->cannot_write) {
		v->fd = openat(v->dir->fd, v->file, (flags & ~O_RDWR) | O_RDONLY);
		v->cannot_write = v->fd >= 0;
		atomic_store(&v->read_only, atomic_load(&v->read_only) || v->cannot_write);
	}
	if (v->fd < 0)
		return -errno;
	if (!is_same(v))
		r = -ESTALE;
	else if (!v->cannot_write)
		r = sync_open(v);
	if (r)
		close_files(v);
	else
		atomic_store_explicit(&v->ready, true, memory_order_release);
	return r;
}

int volume_need(struct volume *v)
{
	int r;

	if (volume_is_ready(v))
		return 0;
	pthread_mutex_lock(&v->need_lock);
	r = volume_is_ready(v) ? 0 : open_now(v);
	pthread_mutex_unlock(&v->need_lock);
	if (r)
		log_error("volume", "%s: cannot open %s: %s", v->name, v->path, strerror(-r));
	return r;
}

struct volume *volume_open(struct server *s, const struct volume_setup *setup, struct err *e)
{
	struct volume *v = calloc(1, sizeof(*v));
	bool lossy = setup->pool && getenv("RSIO_TEST_LOSSY");
	uint64_t size;
	int r;

	if (!v)
		goto no_memory;
	v->server = s;
	atomic_init(&v->refs, 1);
	v->fd = v->place.fd = -1;
	sync_init(v);
	numbers_init(&v->numbers);
	pthread_mutex_init(&v->flush_lock, NULL);
	pthread_mutex_init(&v->need_lock, NULL);
	pthread_mutex_init(&v->range_lock, NULL);
	pthread_cond_init(&v->range_free, NULL);
	pthread_mutex_init(&v->reserve_lock, NULL);
	cow_init(v);
	if (asprintf(&v->path, "%s%s%s", setup->directory ? setup->directory : "",
		     setup->directory ? "/" : "", setup->path) < 0)
		v->path = NULL;
	v->pool = setup->pool ? strdup(setup->pool) : NULL;
	if (!v->path || (setup->pool && !v->pool))
		goto no_memory;
	snprintf(v->name, sizeof(v->name), "%s", setup->name);
	v->shared = setup->shared;
	v->snapshot = setup->snapshot;
	v->taken = setup->taken;
	r = open_file(v, setup);
	if (r < 0) {
		err_sys(e, -r, "cannot open %s for volume %s", v->path, setup->name);
		goto fail;
	}
	if (find_out(v, setup, e) < 0)
		goto fail;
	if (check_remote(v, e) < 0)
		goto fail;
	r = v->shared && !v->device ? open_place(v, setup) : 0;
	if (r < 0) {
		err_sys(e, -r, "cannot open the directory of %s", v->path);
		goto fail;
	}
	r = volume_size_now(v, &size);
	if (r < 0) {
		err_sys(e, -r, "cannot learn the size of %s", v->path);
		goto fail;
	}
	if (lossy && lossy_attach(v) < 0) {
		err_set(e, ENOMEM, "no memory to map %s", v->path);
		goto fail;
	}
	if (setup->dir && !setup->shared && !lossy && open_later(v, setup) < 0)
		goto no_memory;
	atomic_store(&v->ready, v->dir == NULL);
	atomic_store(&v->size, size);
	atomic_store(&v->read_only, setup->read_only || v->cannot_write);
	return v;
no_memory:
	err_set(e, ENOMEM, "cannot open volume %s: no memory", setup->name);
fail:
	if (v)
		volume_put(v);
	return NULL;
}

struct volume *volume_get(struct volume *v)
{
	atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
	return v;
}

void volume_put(struct volume *v)
{
	if (atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
		return;
	lossy_detach(v);
	if (v->fd >= 0)
		close(v->fd);
	sync_fini(v);
	claim_place_close(&v->place);
	volume_dir_put(v->dir);
	pthread_mutex_destroy(&v->need_lock);
	numbers_fini(&v->numbers);
	pthread_mutex_destroy(&v->flush_lock);
	pthread_mutex_destroy(&v->range_lock);
	pthread_cond_destroy(&v->range_free);
	pthread_mutex_destroy(&v->cow_lock);
	pthread_mutex_destroy(&v->reserve_lock);
	pthread_cond_destroy(&v->cow_left);
	throttle_free(atomic_load(&v->throttle));
	strings_free(v->clients);
	free(v->label);
	free(v->path);
	free(v->file);
	free(v->pool);
	free(v->mark);
	free(v);
}

/* A disk that fails or is full fails often: it is said at most every 10 s. */
static int counted(struct volume *v, int r)
{
	uint64_t now, said = atomic_load_explicit(&v->error_said, memory_order_relaxed);

	if (r >= 0 || r == -EUCLEAN || r == -EAGAIN)
		return r;
	atomic_fetch_add_explicit(&v->errors, 1, memory_order_relaxed);
	now = clock_now();
	if ((!said || now - said > 10 * SECOND) && atomic_compare_exchange_strong(&v->error_said, &said, now))
		log_error("volume", "%s: %s (%s); %llu errors so far", v->name, strerror(-r), v->path,
			  (unsigned long long)atomic_load(&v->errors));
	return r;
}

static int after_flush(struct volume *v, int r)
{
	if (r < 0)
		flush_has_failed(v, r);
	return counted(v, r);
}

int volume_write_now(struct volume *v, const void *buf, uint32_t count, uint64_t offset, bool fua)
{
	/* Relaxed: hold.c says why that will do. */
	if (v->mark || atomic_load_explicit(&v->guard, memory_order_relaxed))
		return -EAGAIN;
	if (fua && atomic_load(&v->flush_failed))
		return -EUCLEAN;
	return counted(v, v->ops->write_now(v, buf, count, offset, fua));
}

/* Only memory is flushed on a loop: it does not fail.  A mark is looked for on a worker. */
int volume_flush_now(struct volume *v)
{
	int r;

	if (v->mark)
		return -EAGAIN;
	if (atomic_load(&v->flush_failed))
		return -EUCLEAN;
	r = v->ops->flush_now(v);
	return r == -EAGAIN ? r : after_flush(v, r);
}

int volume_flush(struct volume *v)
{
	int r = -EUCLEAN;

	pthread_mutex_lock(&v->flush_lock);
	if (!flush_failed(v))
		r = after_flush(v, v->ops->flush(v));
	if (!r && flush_failed(v))
		r = -EUCLEAN;
	pthread_mutex_unlock(&v->flush_lock);
	return r;
}

int volume_read(struct volume *v, void *buf, uint32_t count, uint64_t offset)
{
	return counted(v, v->ops->read(v, buf, count, offset));
}

static inline void keep_old(struct volume *v, uint64_t offset, uint32_t count)
{
	if (atomic_load_explicit(&v->guard, memory_order_relaxed) & GUARD_COW)
		cow_before(v, offset, count);
}

/* A failed FUA write may have failed in writing (nothing is lost: an ordinary
 * error) or in syncing (final).  A flush knows: it asks the other description. */
int volume_write(struct volume *v, const void *buf, uint32_t count, uint64_t offset, bool fua)
{
	int r;

	if (fua && flush_failed(v))
		return -EUCLEAN;
	keep_old(v, offset, count);
	r = counted(v, v->ops->write(v, buf, count, offset, fua));
	if (r < 0 && fua)
		volume_flush(v);
	return r;
}

int volume_zero(struct volume *v, uint32_t count, uint64_t offset, bool discard, bool fua)
{
	int r;

	if (fua && flush_failed(v))
		return -EUCLEAN;
	keep_old(v, offset, count);
	r = counted(v, v->ops->zero(v, count, offset, discard));
	return r || !fua ? r : volume_flush(v);
}

int volume_extents(struct volume *v, uint32_t count, uint64_t offset, uint8_t *out, unsigned max)
{
	uint64_t end = offset + count, length, last = 0;
	uint32_t kind, last_kind = 0;
	unsigned n = 0;
	int r;

	while (offset < end) {
		r = v->ops->extent(v, offset, end, &length, &kind);
		if (r < 0)
			return counted(v, r);
		offset += length;
		if (n && kind == last_kind) {
			last += length;		/* only the first of a pair may be cut by the store */
		} else if (n == max) {
			break;
		} else {
			n++;
			last = length;
			last_kind = kind;
		}
		wire_put_extent(out + (size_t)(n - 1) * WIRE_EXTENT_SIZE, last, kind);
	}
	return (int)n;
}

uint64_t volume_whole(const struct volume *v, uint64_t bytes)
{
	return bytes - bytes % (v->shared ? v->align : 512u);
}

int volume_size_now(struct volume *v, uint64_t *size)
{
	return v->ops->size(v, size);
}

void volume_describe(const struct volume *v, struct wire_volume *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->name, v->name, sizeof(out->name));
	memcpy(out->uuid, v->uuid, sizeof(out->uuid));
	out->generation = v->generation;
	out->size = atomic_load(&v->size);
	/* Who keeps to it never makes two servers complete the same block by reading. */
	out->block_size = v->shared ? v->align : 512;
	out->id = v->id;
	out->flags = atomic_load(&v->read_only) ? WIRE_FLAG_READ_ONLY : 0;
	if (v->snapshot)
		out->flags = WIRE_FLAG_READ_ONLY | WIRE_FLAG_SNAPSHOT;
	out->taken = v->taken;
	out->av = (uint8_t)v->av;
	out->shared = v->shared;
	memcpy(out->reserved_by, v->reserved_by, sizeof(out->reserved_by));
}

enum wire_status volume_status(int error)
{
	if (error == -EUCLEAN)
		return WIRE_E_FLUSH_FAILED;
	return error == -EBADR ? WIRE_E_HANDLE : wire_status_from_errno(-error);
}
