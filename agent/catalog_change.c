/*
 * catalog_change.c - one change of a pool, from what is prepared to what is thrown away.
 *
 * See catalog.c for the argument.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog_impl.h"
#include "client.h"
#include "hold.h"
#include "lock.h"
#include "log.h"
#include "server.h"

#define TREE_DEPTH 4
#define DRAIN_LIMIT 5.0		/* seconds for what is under way */

/* In this process; what an earlier one left is gone when this one begins. */
static atomic_uint last_number;

static void work_path(const char *ending, char out[CATALOG_PATH_MAX])
{
	snprintf(out, CATALOG_PATH_MAX, CATALOG_WORK "/%u%s", atomic_fetch_add(&last_number, 1), ending);
}

static int remove_tree(int dir, const char *path, int depth);

/* -ENOENT: it is not there. */
static int empty(int dir, const char *path, int depth)
{
	int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!d) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while ((entry = readdir(d)) && !r)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = remove_tree(dirfd(d), entry->d_name, depth - 1);
	closedir(d);
	return r;
}

static int remove_tree(int dir, const char *path, int depth)
{
	int r;

	if (unlinkat(dir, path, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	r = depth ? empty(dir, path, depth) : -ELOOP;
	return !r && unlinkat(dir, path, AT_REMOVEDIR) < 0 ? -errno : r;
}

/* A volume whose snapshots are all gone leaves a directory. */
static void remove_empty_directories(const struct pool *p)
{
	int fd = openat(p->dirfd, CATALOG_SNAPSHOTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (*entry->d_name != '.')
			unlinkat(dirfd(d), entry->d_name, AT_REMOVEDIR);
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

/* What meta_write was in the middle of. */
static void remove_new_metas(const struct pool *p)
{
	static const char ending[] = ".meta.new";
	int fd = openat(p->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		size_t n = strlen(entry->d_name);

		if (n > sizeof(ending) - 1 && strcmp(entry->d_name + n - (sizeof(ending) - 1), ending) == 0)
			unlinkat(p->dirfd, entry->d_name, 0);
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

int catalog_finish(struct pool *p, struct err *e)
{
	bool had = journal_has_steps(p->dirfd);
	int r = journal_finish(p->dirfd, e);

	if (r) {
		err_next(e, r == -EBADMSG ? "look at %s/" JOURNAL_FILE " and the names in it, make them what they are to be "
			 "and remove it" : "mend that; it goes on by itself (%s/" JOURNAL_FILE ")", p->path);
		return r;
	}
	if (had)
		log_info("pool", "%s: a change that was left half done is made", p->name);
	p->unfinished = false;
	p->changed.tv_sec = 0;
	p->snapshots_seen = false;
	return 0;
}

/* What root has just made; not what somebody put in its place, who may own the directory. */
static void give_away(const struct pool *p, const char *name, const struct stat *to)
{
	int fd = openat(p->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && !st.st_uid && (S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && st.st_nlink == 1)) &&
	    fchown(fd, to->st_uid, to->st_gid) < 0)
		log_debug("pool", "%s: %s stays root's: %s", p->name, name, strerror(errno));
	close(fd);
}

/* So that there is a place to note a change when the pool is full.  What cannot be made now is made
 * when it is needed.  While the server is still root: for who it becomes, who owns the pool. */
static void prepare(const struct pool *p)
{
	struct stat st;

	if ((mkdirat(p->dirfd, CATALOG_WORK, 0700) < 0 && errno != EEXIST) || journal_prepare(p->dirfd) < 0)
		log_debug("pool", "%s: no place for the journal yet", p->name);
	if (geteuid() != 0 || fstat(p->dirfd, &st) < 0 || !st.st_uid)
		return;
	give_away(p, CATALOG_WORK, &st);
	give_away(p, JOURNAL_FILE, &st);
	give_away(p, JOURNAL_SPARE, &st);
}

/* What no change has claimed. */
static void tidy(const struct pool *p)
{
	int r = empty(p->dirfd, CATALOG_WORK, TREE_DEPTH);

	if (r && r != -EROFS && r != -ENOENT)
		log_warning("pool", "%s: cannot empty " CATALOG_WORK ": %s", p->name, strerror(-r));
	remove_empty_directories(p);
}

int catalog_recover(struct pool *p, struct err *e)
{
	int r = catalog_finish(p, e);

	if (r) {
		char text[ERR_TEXT_MAX];

		snprintf(text, sizeof(text), "%s", e->text);
		e->code = -r;
		snprintf(e->text, sizeof(e->text), "[pool %s]: %.*s", p->name, ERR_TEXT_MAX - 80, text);
		return r;
	}
	journal_last(p->dirfd, p->last);
	/* The pool to ask may not be open yet; a look comes before anything is offered. */
	p->waits = p->work_left = journal_is_pending(p->dirfd);
	if (!p->waits)
		tidy(p);
	remove_new_metas(p);
	prepare(p);
	return 0;
}

/* What was prepared by an earlier process was left with what is pending.  Nobody has prepared anything since:
 * a pool that waits is not changed. */
int catalog_settle(struct pool *p, struct err *e)
{
	int r = between_finish(p, e);

	if (r)
		return r;
	if (p->work_left)
		tidy(p);
	p->work_left = false;
	return 0;
}

/* What is made in it would be nobody's. */
static int lost(const struct pool *p, struct err *e)
{
	char text[ERR_TEXT_MAX];

	snprintf(text, sizeof(text), "%s", e->text);
	snprintf(e->text, sizeof(e->text), "pool %s is lost: %.*s", p->name, ERR_TEXT_MAX - 80, text);
	return -ENODEV;
}

int catalog_enter(struct pool *p, struct err *e)
{
	char owner[CONF_NAME_MAX + 1];
	int r = 0;

	pthread_mutex_lock(&p->catalog);
	if (p->closed)
		r = err_set(e, ENODEV, "pool %s is no longer in the server's configuration", p->name);
	else if (!pool_owner(p)) {
		pool_owner_name(p, owner);
		r = err_set(e, EREMOTE, "pool %s is changed by its owner, server %s", p->name, *owner ? owner : "?");
	} else if ((p->unfinished && catalog_finish(p, e) < 0) || (p->waits && catalog_settle(p, e) < 0)) {
		r = -EUCLEAN;
		e->code = EUCLEAN;
	} else if (pool_place_check(p, e) < 0) {
		r = lost(p, e);
	}
	if (r)
		pthread_mutex_unlock(&p->catalog);
	return r;
}

/* What the status says of the space is of now with the next look. */
void catalog_leave(struct pool *p)
{
	atomic_store(&p->looked, 0);
	pthread_mutex_unlock(&p->catalog);
}

/*
 * Who has it open.
 */
/* Another server tells of it when it looks next, so one that has just opened it may be missed: it
 * finds it gone then, or replaced.  What was acknowledged to it is lost no more than with the
 * volume, which somebody wanted gone. */
static int open_elsewhere(const struct offer *o, struct err *e)
{
	int id = o->conf.shared ? lock_marked(o->volume->fd) : -1;

	if (id < 0)
		return 0;
	err_set(e, EBUSY, "%s is open: by clients of the server with serverid %d", o->name, id);
	err_next(e, "'rssrv --status' tells there which ones have it");
	return -EBUSY;
}

/* Who closed it need not have waited for what he had under way.  Of that nothing more is begun (handle.h);
 * what had begun is waited for.  It would land in what the volume is by then, which somebody else may have
 * opened and written to. */
static int drain(const struct offer *o, struct err *e)
{
	struct volume *v = o->volume;

	if (v->snapshot || !volume_is_ready(v) || hold_pass(v, DRAIN_LIMIT, e) == 0)
		return 0;
	err_set(e, EBUSY, "%s is closed, but what a client had under way then has not ended within %g s", o->name, DRAIN_LIMIT);
	err_next(e, "try again; if it stays so, its disk hangs");
	return -EBUSY;
}

int catalog_bar(struct offer *o, struct err *e)
{
	char who[200];
	int r;

	if (!o->volume)
		return 0;
	if (open_elsewhere(o, e) < 0)
		return -EBUSY;
	if (!clients_bar(o->server->clients, o->volume, who, sizeof(who))) {
		r = drain(o, e);
		if (r)
			catalog_unbar(o);
		return r;
	}
	err_set(e, EBUSY, "%s is open: by %s", o->name, who);
	err_next(e, "detach it there (rsconfig -d), or end what uses it");
	return -EBUSY;
}

void catalog_unbar_volume(struct volume *v)
{
	clients_unbar(v->server->clients, v);
}

void catalog_unbar(struct offer *o)
{
	if (o->volume)
		catalog_unbar_volume(o->volume);
}

void catalog_unbar_snapshots(struct pool *p, const char *volume)
{
	for (struct offer *o = p->offers; o; o = o->next)
		if (catalog_is_snapshot_of(o, volume))
			catalog_unbar(o);
}

int catalog_bar_snapshots(struct pool *p, const char *volume, struct err *e)
{
	struct offer *o, *failed;
	int r = 0;

	for (o = p->offers; o && !r; o = r ? o : o->next)
		if (catalog_is_snapshot_of(o, volume))
			r = catalog_bar(o, e);
	failed = o;
	for (o = p->offers; r && o != failed; o = o->next)
		if (catalog_is_snapshot_of(o, volume))
			catalog_unbar(o);
	return r;
}

/*
 * Drafts, and the journal.
 */
static int refused(const struct catalog_change *c, int error, const char *what, struct err *e)
{
	err_sys(e, error, "cannot make %s in pool %s", what, c->pool->name);
	if (error == EACCES || error == EPERM)
		err_next(e, "let the user that rssrv runs as write into %s", c->pool->path);
	return -error;
}

int change_drafts(struct catalog_change *c, size_t n, struct err *e)
{
	int mode = c->pool->shared ? 0660 : 0600;

	if (mkdirat(c->pool->dirfd, CATALOG_WORK, 0700) < 0 && errno != EEXIST)
		return refused(c, errno, "the directory " CATALOG_WORK, e);
	c->drafts = calloc(n, sizeof(*c->drafts));
	if (!c->drafts)
		return err_set(e, ENOMEM, "no memory for %zu volumes", n);
	for (; c->count < n; c->count++) {
		struct catalog_draft *d = &c->drafts[c->count];

		work_path(".raw", d->raw);
		work_path(".meta", d->meta);
		d->fd = openat(c->pool->dirfd, d->raw, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
		if (d->fd < 0)
			return refused(c, errno, "a file", e);
		if (c->pool->shared)
			fchmod(d->fd, (mode_t)mode);
	}
	return 0;
}

int change_identify(struct catalog_change *c, size_t i, struct meta *m, struct err *e)
{
	struct catalog_draft *d = &c->drafts[i];
	struct volume_origin origin;
	int r = volume_origin_at(d->fd, "", AT_EMPTY_PATH, &origin);

	if (!r && fsync(d->fd) < 0)
		r = -errno;
	close(d->fd);
	d->fd = -1;
	if (r)
		return err_sys(e, -r, "cannot sync a new file in pool %s", c->pool->name);
	m->inode = origin.inode;
	m->birth = origin.birth;
	return meta_write(c->pool->dirfd, d->meta, m, e);
}

/* meta before raw, whose appearance makes the volume. */
void change_place(struct catalog_change *c, size_t i, const char *name)
{
	char path[CATALOG_PATH_MAX];

	catalog_path(name, CATALOG_META, path);
	journal_move(&c->journal, c->drafts[i].meta, path);
	catalog_path(name, CATALOG_RAW, path);
	journal_move(&c->journal, c->drafts[i].raw, path);
}

void change_discard(struct catalog_change *c, const char *path)
{
	struct journal_step *more = reallocarray(c->trash, c->trash_count + 1, sizeof(*more));

	if (!more) {
		c->journal.error = -ENOMEM;
		return;
	}
	c->trash = more;
	snprintf(more[c->trash_count].from, JOURNAL_PATH_MAX, "%s", path);
	work_path("", more[c->trash_count].to);
	journal_move(&c->journal, path, more[c->trash_count].to);
	c->trash_count++;
}

void change_name_request(struct catalog_change *c)
{
	const char *id = c->job->id;

	if (id && !id[strspn(id, "0123456789abcdef")])
		snprintf(c->journal.by, sizeof(c->journal.by), "%s", id);
}

int change_commit(struct catalog_change *c, struct err *e)
{
	struct pool *p = c->pool;
	int r;

	change_name_request(c);
	r = journal_commit(&c->journal, p->dirfd, e);

	if (r)
		return r;
	r = journal_finish(p->dirfd, e);
	if (!r || journal_withdraw(&c->journal, p->dirfd))
		return r;
	c->kept = p->unfinished = true;
	log_error("pool", "%s: a change is committed and half done: %s; it is tried again", p->name, e->text);
	e->code = EUCLEAN;
	err_next(e, "the change is committed, and is made as soon as that can be done");
	return -EUCLEAN;
}

void change_end(struct catalog_change *c)
{
	const struct pool *p = c->pool;

	for (size_t i = 0; i < c->count; i++) {
		if (c->drafts[i].fd >= 0)
			close(c->drafts[i].fd);
		if (c->kept)
			continue;
		unlinkat(p->dirfd, c->drafts[i].raw, 0);
		unlinkat(p->dirfd, c->drafts[i].meta, 0);
	}
	for (size_t i = 0; i < c->trash_count && !c->kept; i++) {
		int r = remove_tree(p->dirfd, c->trash[i].to, TREE_DEPTH);

		if (r)
			log_warning("pool", "%s: cannot remove %s: %s", p->name, c->trash[i].to, strerror(-r));
	}
	journal_free(&c->journal);
	free(c->drafts);
	free(c->trash);
	c->drafts = NULL;
	c->trash = NULL;
	c->count = c->trash_count = 0;
}
