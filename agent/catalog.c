/*
 * catalog.c - volumes are made, resized, renamed and thrown away.  See catalog.h.
 *
 * THE ARGUMENT.  Whatever a change needs is prepared under names in .rsio.work that no
 * look knows: the files with their content, their meta, all synced.  This may take
 * long, and is done without pool.catalog.  Then, under it, what was true at the beginning
 * is asked again (the name is free, the space is there, nobody has it open), and the
 * change is committed by the journal, whose steps are renames only (journal.c).  So
 *
 *   - a crash before the commit leaves rubbish in .rsio.work, which the next opening of the pool
 *     removes: it takes the pool's lock first, so nobody prepares anything there then;
 *   - a crash after it leaves a journal, which the next opening does to its end before
 *     anybody looks, and the rubbish that the change made of old files, as above;
 *   - who asked is answered after the last step is on the disk, so what was
 *     acknowledged is there.
 *
 * A name's meta is moved into place before its raw, whose appearance makes the volume; and
 * raw goes first.  In between nobody looks: a look is under pool.catalog, and after a
 * crash the journal is done first.
 *
 * Nothing that is large is removed under the lock: it is renamed into .rsio.work, and
 * unlinked when the lock is given back.
 *
 * A change of several pools has a journal in each, and one of them decides: catalog_between.c.
 *
 * A size is changed in place, by one call, which the file system makes whole.  It needs no
 * journal.  Keys of a meta are changed by one rename.
 *
 * THE END OF A VOLUME that is cut off is content that is gone, as with a rollback, so the volume
 * gets a new generation.  Nobody has it open here; but after a restart of this server a client
 * may not have come back yet that has, and has had writes behind the new end acknowledged.  It
 * comes back when the volume has perhaps grown again, and would read zeroes there.  So it has to find
 * another generation, and is refused.  The meta with it is on the disk before the file is cut: a
 * crash in between leaves a generation that is new for nothing, and who had the volume open is refused where
 * he need not have been; the other way round it would leave a volume that has lost content and does not
 * show it.  Growth that follows is another change, made later than both.  The struct volume is
 * another one from then on (offer_renew), also where the file could not be cut: what is
 * offered is what a restart would offer.
 *
 * A pool that is full refuses what it cannot do before the commit.  A step after it can
 * fail all the same: a rename may need a block.  If it was the first step, the journal is
 * withdrawn and nothing happened.  Else the pool is marked unfinished: nothing is changed or
 * looked at until the rest could be done, which each look tries.  What nobody was to have open
 * stays so until then, and so to the end of the struct volume: whoever opened it meanwhile would write
 * to a file that is about to be replaced or thrown away.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog_impl.h"
#include "hold.h"
#include "log.h"
#include "registry.h"
#include "server.h"
#include "text.h"

#define ALLOCATE_PART (UINT64_C(1) << 30)
#define SIZE_MOST (INT64_MAX - 511)
#define BLOCK 512
#define SHARED_BLOCK 4096

int catalog_check_name(const char *name, bool snapshot, struct err *e)
{
	const char *what = snapshot ? "a snapshot" : "a volume";

	if (!conf_name_valid(name))
		return err_set(e, EINVAL, "\"%.60s\" is not a name for %s: 1 to 40 of A-Z a-z 0-9 . _ -, the first no dot or dash",
			       name, what);
	if (snapshot && !name[strspn(name, "0123456789")])
		return err_set(e, EINVAL, "\"%s\" is not a name for a snapshot: a bare number", name);
	return 0;
}

int catalog_name(const char *text, struct catalog_name *out, struct err *e)
{
	const char *at = strchr(text, '@');
	char volume[CATALOG_NAME_MAX];
	int r;

	memset(out, 0, sizeof(*out));
	snprintf(volume, sizeof(volume), "%.*s", (int)(at ? at - text : (long)strlen(text)), text);
	r = catalog_check_name(volume, false, e);
	if (!r && at)
		r = catalog_check_name(at + 1, true, e);
	if (r)
		return r;
	snprintf(out->volume, sizeof(out->volume), "%.*s", CONF_NAME_MAX, volume);
	snprintf(out->snapshot, sizeof(out->snapshot), "%.*s", CONF_NAME_MAX, at ? at + 1 : "");
	return 0;
}

int catalog_size(int64_t size, struct err *e)
{
	if (size < BLOCK)
		return err_set(e, EINVAL, "%" PRId64 " bytes are no size for a volume: it has at least one block of 512", size);
	if (size > SIZE_MOST)
		return err_set(e, EINVAL, "%" PRId64 " bytes are too many for a volume: 2^63-512 are the most", size);
	if (size % BLOCK)
		return err_set(e, EINVAL, "%" PRId64 " bytes are no size for a volume: not whole blocks of 512", size);
	return 0;
}

void catalog_path(const char *name, enum catalog_file file, char out[CATALOG_PATH_MAX])
{
	const char *at = strchr(name, '@'), *ending = file == CATALOG_RAW ? ".raw" : ".meta";

	if (at)
		snprintf(out, CATALOG_PATH_MAX, CATALOG_SNAPSHOTS "/%.*s/%s%s", (int)(at - name), name, at + 1, ending);
	else
		snprintf(out, CATALOG_PATH_MAX, "%s%s", name, ending);
}

const char *catalog_bytes(uint64_t bytes, char out[32])
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double n = (double)bytes;
	size_t u = 0;

	for (; n >= 1024 && u + 1 < sizeof(units) / sizeof(units[0]); u++)
		n /= 1024;
	snprintf(out, 32, u && n != (double)(uint64_t)n ? "%.1f %s" : "%.0f %s", n, units[u]);
	return out;
}

int catalog_new_meta(const struct catalog_job *j, struct meta *m, struct err *e)
{
	memset(m, 0, sizeof(*m));
	m->block_size = BLOCK;
	m->generation = meta_later(0);
	meta_now(m->created);
	if (uuid_make(m->uuid) < 0)
		return err_set(e, EIO, "no random numbers for a UUID");
	if (j->id && meta_set(m, "made-by", j->id) < 0)
		return err_set(e, EINVAL, "\"%.40s\" is no id of a request", j->id);
	return 0;
}

bool catalog_made_by(const struct meta *m, const struct catalog_job *j)
{
	char id[64];

	return j->id && meta_get(m, "made-by", id, sizeof(id)) && strcmp(id, j->id) == 0;
}

/*
 * What is there.
 */
static bool is_file(const struct pool *p, const char *path, struct stat *st)
{
	return fstatat(p->dirfd, path, st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st->st_mode);
}

struct offer *catalog_find(struct pool *p, const char *name, struct err *e)
{
	char path[CATALOG_PATH_MAX];
	struct offer *o;
	struct stat st;

	catalog_path(name, CATALOG_RAW, path);
	if (!is_file(p, path, &st)) {
		err_set(e, ENOENT, "there is no %s %s in pool %s", strchr(name, '@') ? "snapshot" : "volume", name, p->name);
		if (strchr(name, '@'))
			err_next(e, "rsvol snapshots %.*s shows those that there are", (int)strcspn(name, "@"), name);
		return NULL;
	}
	o = pool_offer(p, name);
	if (!o || !o->volume) {
		pool_appeared(p, name);
		o = pool_offer(p, name);
	}
	if (o && o->volume)
		return o;
	err_set(e, EIO, "%s is not offered: %s", name, o && *o->complaint ? o->complaint : "no memory");
	err_next(e, "mend %s/%s", p->path, path);
	return NULL;
}

/* The volume that is meant has another name by now, or is gone. */
static int not_meant(const struct pool *p, const uint8_t *uuid, const char *name, struct err *e)
{
	for (const struct offer *o = p->offers; o; o = o->next)
		if (o->volume && memcmp(o->volume->uuid, uuid, WIRE_UUID_SIZE) == 0)
			return err_set(e, ESTALE, "the %s that was meant is %s by now", name, o->name);
	return err_set(e, ENOENT, "the %s that was meant is not there any more: what has the name now is another one", name);
}

struct offer *catalog_find_meant(struct pool *p, const struct catalog_job *j, const char *name, struct err *e)
{
	struct offer *o = catalog_find(p, name, e);

	if (!o || !j->uuid || memcmp(o->volume->uuid, j->uuid, WIRE_UUID_SIZE) == 0)
		return o;
	not_meant(p, j->uuid, name, e);
	err_next(e, "rsvol ls shows what there is");
	return NULL;
}

int catalog_check_generation(const struct volume *v, const struct catalog_job *j, struct err *e)
{
	if (!j->generation || j->generation == v->generation)
		return 0;
	err_set(e, ESTALE, "%s has other content by now than when this was asked for: it was rolled back, cut or replaced", v->name);
	err_next(e, "look at it, and ask once more if it still is to be done");
	return -ESTALE;
}

bool catalog_is_snapshot_of(const struct offer *o, const char *volume)
{
	size_t n = strlen(volume);

	return o->snapshot && strncmp(o->name, volume, n) == 0 && o->name[n] == '@';
}

int catalog_check_free(struct pool *p, const char *name, struct err *e)
{
	struct registry *g = p->server->registry;
	char path[CATALOG_PATH_MAX];
	struct stat st;
	bool taken;

	catalog_path(name, CATALOG_RAW, path);
	if (fstatat(p->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
		return err_set(e, EEXIST, "there is a volume %s in pool %s already", name, p->name);
	registry_lock(g);
	taken = registry_find(g, name);
	registry_unlock(g);
	if (taken)
		return err_set(e, EEXIST, "there is a volume %s on this server already", name);
	snprintf(path, sizeof(path), CATALOG_SNAPSHOTS "/%s", name);
	if (unlinkat(p->dirfd, path, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	err_set(e, EEXIST, "in pool %s are snapshots of an earlier volume %s", p->name, name);
	err_next(e, "move %s/%s away, or choose another name", p->path, path);
	return -EEXIST;
}

int catalog_check_space(struct pool *p, uint64_t bytes, struct err *e)
{
	char asked[32], has[32];
	uint64_t need, left;
	int r = pool_need(p, &need, &left);

	if (r)
		return err_sys(e, -r, "cannot learn how much space pool %s has", p->name);
	left = left > need ? left - need : 0;
	if (atomic_load(&p->overcommit) || bytes <= left)
		return 0;
	err_set(e, ENOSPC, "pool %s has %s left that are not promised, %s are needed", p->name, catalog_bytes(left, has),
		catalog_bytes(bytes, asked));
	err_next(e, "make room, or say 'overcommit = yes' in the server's [pool %s]", p->name);
	return -ENOSPC;
}

/*
 * Create.
 */
static int allocate(int fd, uint64_t from, uint64_t to, struct progress *g, struct err *e)
{
	progress_expect(g, to - from);
	while (from < to) {
		uint64_t n = to - from < ALLOCATE_PART ? to - from : ALLOCATE_PART;

		if (progress_cancelled(g))
			return err_set(e, ECANCELED, "cancelled");
		if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)n) < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(e, errno, "cannot allocate %" PRIu64 " bytes", to - from);
		}
		from += n;
		progress_add(g, n);
	}
	return 0;
}

int catalog_check_blocks(const struct pool *p, uint64_t size, struct err *e)
{
	int r = catalog_size(size > INT64_MAX ? INT64_MAX : (int64_t)size, e);

	if (!r && p->shared && size % SHARED_BLOCK)
		return err_set(e, EINVAL, "%" PRIu64 " bytes are no size for a volume of a shared pool: not whole blocks of %d",
			       size, SHARED_BLOCK);
	return r;
}

int catalog_made_before(struct pool *p, const struct catalog_job *j, const char *name, struct err *e)
{
	char path[CATALOG_PATH_MAX];
	struct err unread = { 0 };
	struct meta m;
	int r = catalog_check_free(p, name, e);

	if (r != -EEXIST)
		return r;
	catalog_path(name, CATALOG_META, path);
	return meta_read(p->dirfd, path, &m, &unread) == 0 && catalog_made_by(&m, j) ? 1 : r;
}

static int check_create(struct pool *p, const struct catalog_job *j, const char *name, uint64_t bytes, struct err *e)
{
	int r = catalog_enter(p, e);

	if (r)
		return r;
	r = catalog_made_before(p, j, name, e);
	if (!r)
		r = catalog_check_space(p, bytes, e);
	catalog_leave(p);
	return r;
}

static int prepare_create(struct catalog_change *c, const char *name, uint64_t size, bool preallocate, struct err *e)
{
	struct meta m;
	int fd, r = change_drafts(c, 1, e);

	if (r)
		return r;
	fd = c->drafts[0].fd;
	progress_stage(c->job->progress, preallocate ? "allocating" : "creating");
	if (ftruncate(fd, (off_t)size) < 0)
		return errno == EFBIG ? err_set(e, EFBIG, "%" PRIu64 " bytes are more than a file can have on %s, the file system "
						"of pool %s", size, c->pool->filesystem, c->pool->name) :
			err_sys(e, errno, "cannot make %s with %" PRIu64 " bytes", name, size);
	if (preallocate && allocate(fd, 0, size, c->job->progress, e) < 0)
		return -e->code;
	r = catalog_new_meta(c->job, &m, e);
	if (!r && preallocate)
		meta_set(&m, "preallocated", "yes");
	return r ? r : change_identify(c, 0, &m, e);
}

int catalog_show(struct pool *p, const char *name, struct err *e)
{
	struct offer *o;

	pool_appeared(p, name);
	o = pool_offer(p, name);
	if (o && o->volume)
		return 0;
	return err_set(e, EIO, "%s is made, but not offered: %s", name, o && *o->complaint ? o->complaint : "no memory");
}

static int commit_create(struct catalog_change *c, const char *name, uint64_t bytes, struct err *e)
{
	struct pool *p = c->pool;
	int r = catalog_enter(p, e);

	if (r)
		return r;
	r = catalog_check_free(p, name, e);
	if (!r)
		r = catalog_check_space(p, bytes, e);
	if (!r) {
		change_place(c, 0, name);
		r = change_commit(c, e);
	}
	if (!r)
		r = catalog_show(p, name, e);
	catalog_leave(p);
	return r;
}

int catalog_create(struct pool *p, struct catalog_job *j, const char *name, uint64_t size, bool preallocate,
		   struct err *e)
{
	struct catalog_change c = { .pool = p, .job = j };
	int r = catalog_check_name(name, false, e);

	if (!r)
		r = catalog_check_blocks(p, size, e);
	if (!r)
		r = check_create(p, j, name, size, e);
	if (r)
		return r < 0 ? r : 0;
	r = prepare_create(&c, name, size, preallocate, e);
	if (!r && progress_cancelled(j->progress))
		r = err_set(e, ECANCELED, "cancelled");
	/* What was allocated is not free any more. */
	if (!r)
		r = commit_create(&c, name, preallocate ? 0 : size, e);
	change_end(&c);
	return r;
}

/*
 * Resize.
 */
static int note_made_by(struct pool *p, const struct catalog_job *j, const char *name, struct err *e)
{
	struct catalog_key key = { "made-by", j->id };

	return j->id ? catalog_set(p, j, name, &key, 1, e) : 0;
}

static bool is_preallocated(const struct pool *p, const struct offer *o)
{
	struct err unread = { 0 };
	char text[8];
	struct meta m;

	return meta_read(p->dirfd, o->meta, &m, &unread) == 0 && meta_get(&m, "preallocated", text, sizeof(text));
}

static int grow(struct pool *p, const struct offer *o, struct catalog_job *j, int fd, uint64_t now, uint64_t size,
		struct err *e)
{
	bool whole = is_preallocated(p, o);
	int r = catalog_check_space(p, size - now, e);

	if (!r && whole && allocate(fd, now, size, j->progress, e) < 0)
		r = -e->code;
	if (!r && ftruncate(fd, (off_t)size) < 0)
		r = err_sys(e, errno, "cannot make %s %" PRIu64 " bytes long", o->name, size);
	/* What was allocated in vain lies behind the end. */
	if (r && whole && ftruncate(fd, (off_t)now) < 0)
		log_warning("pool", "%s: cannot give back what %s was to grow by: %s", p->name, o->name, strerror(errno));
	return r;
}

/* The content that was there under the generation before is not there any more (THE END OF A VOLUME, above). */
static int new_generation(struct pool *p, const struct offer *o, struct err *e)
{
	struct meta m;
	int r = meta_read(p->dirfd, o->meta, &m, e);

	if (r)
		return r == -ENOENT ? err_set(e, ENOENT, "%s is not there", o->meta) : r;
	m.generation = meta_later(m.generation);
	return meta_write(p->dirfd, o->meta, &m, e);
}

static int copied_now(const struct offer *o, struct err *e)
{
	err_set(e, EBUSY, "a copy of %s is being made", o->name);
	err_next(e, "try again when that is done");
	return -EBUSY;
}

static int cut_file(struct pool *p, const struct offer *o, int fd, uint64_t size, struct err *e)
{
	int r;

	if (atomic_load(&o->volume->guard) & GUARD_COW)
		return copied_now(o, e);
	r = new_generation(p, o, e);
	if (!r && ftruncate(fd, (off_t)size) < 0)
		r = err_sys(e, errno, "cannot cut %s to %" PRIu64 " bytes", o->name, size);
	return r;
}

static int cut(struct pool *p, struct offer *o, int fd, uint64_t size, bool confirmed, struct err *e)
{
	char now[32], then[32];
	struct volume *old;
	int r;

	if (!confirmed) {
		err_set(e, EPERM, "%s has %s: %s would be less, and what is behind is lost", o->name,
			catalog_bytes(atomic_load(&o->volume->size), now), catalog_bytes(size, then));
		err_next(e, "confirm that with --confirm=%s", o->name);
		return -EPERM;
	}
	r = catalog_bar(o, e);
	if (r)
		return r;
	old = volume_get(o->volume);
	/* A snapshot is of one moment: not in the middle of it, and not while what is there is copied. */
	hold_enter(old);
	r = cut_file(p, o, fd, size, e);
	hold_leave(old);
	/* Before anybody can open it with the size that it had. */
	if (r != -EBUSY)
		offer_renew(o);
	catalog_unbar_volume(old);
	volume_put(old);
	if (!r && !o->volume)
		r = err_set(e, EIO, "%s has its new size, but is not offered: %s", o->name, o->complaint);
	return r;
}

/* Under pool.catalog; *fd: to be synced and closed. */
static int resize(struct pool *p, struct catalog_job *j, const char *name, uint64_t size, bool shrink, int *fd,
		  struct err *e)
{
	struct offer *o = catalog_find_meant(p, j, name, e);
	struct stat st;
	int r;

	if (!o)
		return -e->code;
	*fd = openat(p->dirfd, o->file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (*fd < 0 || fstat(*fd, &st) < 0)
		return err_sys(e, errno, "cannot open %s/%s", p->path, o->file);
	progress_stage(j->progress, "resizing");
	r = (uint64_t)st.st_size == size ? 0 : catalog_check_generation(o->volume, j, e);
	if (r)
		return r;
	if ((uint64_t)st.st_size > size)
		r = cut(p, o, *fd, size, shrink, e);
	else
		r = (uint64_t)st.st_size < size ? grow(p, o, j, *fd, (uint64_t)st.st_size, size, e) : 0;
	if (!r)
		offer_check(o);
	return r;
}

int catalog_resize(struct pool *p, struct catalog_job *j, const char *name, uint64_t size, bool shrink, struct err *e)
{
	int fd = -1, r = catalog_check_name(name, false, e);

	if (!r)
		r = catalog_check_blocks(p, size, e);
	if (!r)
		r = catalog_enter(p, e);
	if (r)
		return r;
	r = resize(p, j, name, size, shrink, &fd, e);
	catalog_leave(p);
	/* Takes as long as what is dirty takes to the disk: not under the lock. */
	if (!r && fsync(fd) < 0)
		r = err_sys(e, errno, "cannot sync %s", name);
	if (fd >= 0)
		close(fd);
	return r ? r : note_made_by(p, j, name, e);
}
