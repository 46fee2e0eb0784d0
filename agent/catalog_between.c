/*
 * catalog_between.c - one change of several pools, all of it or nothing.
 *
 * THE ARGUMENT.  Each pool has a journal, whose one rename commits what is done in that
 * pool (journal.c).  Two of them cannot be renamed at once, so one pool decides: the
 * first by name of those that take part.  Under the catalogs of all of them
 *
 *   (1) each other pool gets a pending journal, .rsio.pending, on the disk: its steps, a
 *       random id, and which pool decides.  Nothing is done yet, there or anywhere;
 *   (2) the first pool's journal is committed.  Besides its own steps it has one for each of
 *       the others, that makes an empty file .rsio.decided.ID: that one rename is the decision
 *       for all;
 *   (3) each other pool does its steps, syncs them, removes its mark .rsio.decided.ID, syncs
 *       that, and drops its pending journal.
 *
 * So a pending journal is asked about at one place, and the answer is the same whenever
 * it is asked, until (3) has come to its end in that pool:
 *
 *   - the deciding pool's journal has the step that makes the mark, or cannot be read: wait, it is
 *     being done;
 *   - else the mark is there: it was decided, and the steps are done (again: journal.c says why
 *     that does no harm);
 *   - else it was not, and nobody will: it is dropped.  Or the steps were done and the mark was
 *     removed already: dropping what is left of it is right again.  Whatever the steps would have
 *     moved is removed with the rest of .rsio.work.
 *
 * The journal is looked at before the mark.  Its step makes the mark before the journal
 * is forgotten, so a decision is seen in one or the other.  What was seen is synced before anything is done
 * that depends on it, or the power could take it back.  A mark is removed by the one
 * pool that it is for, after that pool's steps are on the disk and before its pending journal goes: so no
 * mark is left when the change is over, a pending journal that came back would do nothing,
 * and none of this needs the deciding pool's catalog, of which nothing is changed but that name.
 *
 * The deciding pool is known by a random identity of its own, .rsio.id, and not by its
 * name or its path, which may be another's by now.  Where it is not open in this server, because it is no longer
 * in the configuration or because the disk did not come back, nobody can know.  To guess "yes" or "no" would be
 * half a change in one case of two, so the pool waits.  It is offered meanwhile: the steps concern
 * no volume that clients have.  But it refuses changes (EUCLEAN, with the name of the pool that
 * it waits for), since they could be of the names in the steps; and nothing in its .rsio.work is removed.  It asks
 * again with each look, so the other pool's opening is the end of it.  Or the administrator
 * who knows that the other one will not come back removes .rsio.pending: that says no.
 *
 * In this process: while a pool's catalog is held and a pending journal is found in it, whoever wrote
 * that has come to its end, for it held the same catalog throughout.  No one commits that id any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog_impl.h"
#include "log.h"
#include "text.h"

#define IDENTITY ".rsio.id"
#define IDENTITY_NEW CATALOG_WORK "/id"
#define MARK ".rsio.decided."

/* The pools that are open. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct pool *list;

void between_join(struct pool *p)
{
	pthread_mutex_lock(&list_lock);
	p->next_open = list;
	list = p;
	pthread_mutex_unlock(&list_lock);
}

void between_leave(struct pool *p)
{
	struct pool **at;

	pthread_mutex_lock(&list_lock);
	for (at = &list; *at && *at != p; at = &(*at)->next_open)
		;
	if (*at)
		*at = p->next_open;
	pthread_mutex_unlock(&list_lock);
}

/*
 * A pool's identity, which it has from the first time on that it is to decide.
 */
static bool read_identity(const struct pool *p, char out[UUID_TEXT])
{
	int fd = openat(p->dirfd, IDENTITY, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? 0 : read(fd, out, UUID_TEXT - 1);
	uint8_t uuid[16];

	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = 0;
	return uuid_parse(out, uuid) == 0;
}

static int random_name(char out[UUID_TEXT], struct err *e)
{
	uint8_t uuid[16];

	if (uuid_make(uuid) < 0)
		return err_set(e, EIO, "no random numbers for a change of several pools");
	uuid_format(uuid, out);
	return 0;
}

static int write_identity(const struct pool *p, const char *text)
{
	int fd = openat(p->dirfd, IDENTITY_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644), r = 0;
	size_t n = strlen(text);

	if (fd < 0)
		return -errno;
	if (dprintf(fd, "%s\n", text) != (int)n + 1)
		r = -ENOSPC;
	else if (fsync(fd) < 0)
		r = -errno;
	close(fd);
	if (!r && (renameat(p->dirfd, IDENTITY_NEW, p->dirfd, IDENTITY) < 0 || fsync(p->dirfd) < 0))
		r = -errno;
	return r;
}

static int identity(const struct pool *p, char out[UUID_TEXT], struct err *e)
{
	int r;

	/* Is it on the disk?  Whoever wrote it may have been killed before. */
	if (read_identity(p, out))
		return fsync(p->dirfd) < 0 ? err_sys(e, errno, "cannot sync %s", p->path) : 0;
	r = random_name(out, e);
	if (r)
		return r;
	r = write_identity(p, out);
	return r ? err_sys(e, -r, "cannot write %s/" IDENTITY, p->path) : 0;
}

/*
 * The question.
 */
enum verdict { NOBODY, WAIT, YES, NO };

static void mark_of(const struct journal_on *on, char out[CATALOG_PATH_MAX])
{
	snprintf(out, CATALOG_PATH_MAX, MARK "%s", on->id);
}

static enum verdict ask(const struct pool *d, const char *mark)
{
	struct err unread = { 0 };
	enum verdict v = NO;
	struct stat st;

	if (!pool_owner(d) || journal_makes(d->dirfd, mark, &unread) != 0)
		return WAIT;
	if (fstatat(d->dirfd, mark, &st, AT_SYMLINK_NOFOLLOW) == 0)
		v = YES;
	else if (errno != ENOENT)
		return WAIT;
	return fsync(d->dirfd) < 0 ? WAIT : v;
}

/* References of those that are open and have that identity, one most of the time; ends with NULL. */
static struct pool **deciders(const struct journal_on *on)
{
	struct pool **found, *p;
	char id[UUID_TEXT];
	size_t n = 0, kept = 0;

	pthread_mutex_lock(&list_lock);
	for (p = list; p; p = p->next_open)
		n++;
	found = calloc(n + 1, sizeof(struct pool *));
	n = 0;
	for (p = list; found && p; p = p->next_open)
		found[n++] = pool_get(p);
	pthread_mutex_unlock(&list_lock);
	for (size_t i = 0; found && i < n; i++) {
		if (read_identity(found[i], id) && strcmp(id, on->pool) == 0)
			found[kept++] = found[i];
		else
			pool_put(found[i]);
	}
	if (found)
		found[kept] = NULL;
	return found;
}

/* Of a pool and its copy, which has the same identity, the one that knows of it. */
static enum verdict verdict(struct pool *const *d, const char *mark)
{
	enum verdict v = NOBODY;

	for (; *d && v != YES && v != WAIT; d++)
		v = ask(*d, mark);
	return v;
}

static int forget_mark(struct pool *const *d, const char *mark, struct err *e)
{
	for (; *d; d++)
		if ((unlinkat((*d)->dirfd, mark, 0) < 0 && errno != ENOENT) || fsync((*d)->dirfd) < 0)
			return err_sys(e, errno, "cannot remove %s/%s", (*d)->path, mark);
	return 0;
}

static int undecided(const struct pool *p, const struct journal_on *on, enum verdict v, struct err *e)
{
	if (v == WAIT) {
		err_set(e, EUCLEAN, "pool %s waits for pool %s, in which a change of both is half done", p->name, on->name);
		err_next(e, "the log says of pool %s what it cannot do; both go on by themselves then", on->name);
		return -EUCLEAN;
	}
	err_set(e, EUCLEAN, "pool %s waits for pool %s, which is not open here: a change of both was being made, and only "
		"that one knows whether it was", p->name, on->name);
	err_next(e, "have this server open pool %s again; if it is lost, remove %s/" JOURNAL_PENDING
		 ", and pool %s has nothing of that change", on->name, p->path, p->name);
	return -EUCLEAN;
}

/* Does or drops what is pending in p, if that can be known.  *made: it was decided, the steps are done. */
static int settle(struct pool *p, const struct journal *j, bool *made, struct err *e)
{
	struct pool **d = deciders(&j->on);
	char mark[CATALOG_PATH_MAX];
	enum verdict v;
	int r = 0;

	if (!d)
		return err_set(e, ENOMEM, "no memory to look for pool %s", j->on.name);
	mark_of(&j->on, mark);
	v = verdict(d, mark);
	*made = v == YES;
	if (v != YES && v != NO)
		r = undecided(p, &j->on, v, e);
	else if (v == YES)
		r = journal_do(j, p->dirfd, e);
	if (!r && v == YES)
		r = forget_mark(d, mark, e);
	if (!r)
		r = journal_drop(p->dirfd, e);
	for (size_t i = 0; d[i]; i++)
		pool_put(d[i]);
	free(d);
	return r;
}

static int settle_pending(struct pool *p, bool *made, struct err *e)
{
	struct journal j = { 0 };
	int r = journal_pending(&j, p->dirfd, e);

	if (r == -EBADMSG)
		err_next(e, "look at %s/" JOURNAL_PENDING " and the names in it, make them what they are to be and remove it",
			 p->path);
	if (r == 1)
		r = settle(p, &j, made, e);
	journal_free(&j);
	return r;
}

int between_finish(struct pool *p, struct err *e)
{
	bool made = false;
	int r = settle_pending(p, &made, e);

	if (r) {
		if (!p->waits_said)
			log_error("pool", "%s: nothing is changed in it: %s%s%s", p->name, e->text, *e->next ? "; " : "", e->next);
		p->waits_said = true;
		return r;
	}
	log_info("pool", "%s: of a change of several pools %s", p->name,
		 made ? "that was left half done the rest is made" : "that was not decided nothing is left");
	p->waits = p->waits_said = false;
	p->changed.tv_sec = 0;
	p->snapshots_seen = false;
	return 0;
}

/*
 * The change.
 */

/* The i-th of the last drafts of the one that decides becomes the mark. */
static int pend(struct catalog_change *first, struct catalog_change *c, struct catalog_draft *d, const char *identity,
		struct err *e)
{
	struct journal_on *on = &c->journal.on;
	char mark[CATALOG_PATH_MAX];
	int r = random_name(on->id, e);

	if (r)
		return r;
	snprintf(on->pool, sizeof(on->pool), "%s", identity);
	snprintf(on->name, sizeof(on->name), "%s", first->pool->name);
	mark_of(on, mark);
	/* Its directory was synced with what was made there after it (change_identify). */
	if (fsync(d->fd) < 0)
		return err_sys(e, errno, "cannot sync a new file in pool %s", first->pool->name);
	journal_move(&first->journal, d->raw, mark);
	change_name_request(c);
	return journal_pend(&c->journal, c->pool->dirfd, e);
}

/* What became of the decision is asked at the one place where it is, as after a crash. */
static int follow(struct catalog_change *c, int r, struct err *e)
{
	struct err why = { 0 };
	bool made = false;
	int failed = settle_pending(c->pool, &made, &why);

	if (!failed && !r && !made)
		return err_set(e, EIO, "pool %s does not know of its change any more: pool %s has none of it",
			       c->journal.on.name, c->pool->name);
	if (!failed)
		return r;
	c->kept = c->pool->waits = true;
	c->pool->waits_said = false;
	log_error("pool", "%s: a change of several pools is left half done: %s; it is tried again", c->pool->name, why.text);
	if (r)
		return r;
	*e = why;
	e->code = EUCLEAN;
	err_next(e, "the change is committed, and is made as soon as that can be done");
	return -EUCLEAN;
}

int between_commit(struct catalog_change *c, size_t n, struct err *e)
{
	struct catalog_draft *marks = c->drafts + c->count - (n - 1);
	char id[UUID_TEXT];
	int r = n > 1 ? identity(c->pool, id, e) : 0;

	for (size_t i = 1; i < n && !r; i++)
		r = pend(c, &c[i], &marks[i - 1], id, e);
	if (!r)
		r = change_commit(c, e);
	for (size_t i = 1; i < n; i++)
		r = follow(&c[i], r, e);
	/* Some of it may be there: the next looks show it. */
	for (size_t i = 0; i < n && r; i++) {
		c[i].pool->changed.tv_sec = 0;
		c[i].pool->snapshots_seen = false;
	}
	return r;
}
