/* change.c - see change.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "attribute.h"
#include "change.h"
#include "interrupt.h"
#include "log.h"
#include "manage.h"
#include "mpio.h"
#include "ops.h"
#include "tree.h"

#define MS UINT64_C(1000000)
#define SETTLE_EVERY (5 * MS)		/* how often the tree is looked at once the server is done */
#define SETTLE_WITHIN (700 * MS)	/* an event is overtaken by an answer over another path */
#define ASK_EVERY (100 * MS)
#define EXPLAIN_IN (1000 * MS)
#define EXPLAIN_MOST 20			/* lines in that time */
#define GROUPS_MAX 256
#define PLANS_MAX 256			/* files that stand for volumes to be */

struct change;

struct kind {
	bool (*settled)(const struct change *g);	/* does the tree show it?  NULL: it never would */
	void (*answer)(struct change *g);
};

struct change {
	struct list link;		/* the client's */
	struct client *client;
	struct member *member;
	const struct kind *kind;
	fuse_req_t req;			/* NULL: nobody waits any more */
	struct manage *manage;		/* NULL: not under way any more */
	struct loop_timer timer;
	uint64_t until;			/* DONE: the tree is looked at until then */
	bool asked;			/* a signal came: see whether the waiter dies */
	struct node *node;		/* the directory, or the file; kept */
	char name[CONF_NAME_MAX + 1];	/* in the directory */
	char from[CONF_NAME_MAX + 1];	/* rename: the name before */
	uint64_t size;
	char what[160];			/* for the log */
};

/* Who may, and why not. */

void change_refuse(struct client *c, fuse_req_t req, int error, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	fuse_reply_err(req, error);
	if (loop_now(c->loop) >= c->explained + EXPLAIN_IN) {
		c->explained = loop_now(c->loop);
		c->explanations = 0;
	}
	if (c->explanations++ >= EXPLAIN_MOST)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	log_warning("tree", "%s", text);
}

static bool in_group(fuse_req_t req, gid_t group)
{
	gid_t groups[GROUPS_MAX];
	int n;

	if (group == (gid_t)-1)
		return false;
	if (fuse_req_ctx(req)->gid == group)
		return true;
	n = fuse_req_getgroups(req, GROUPS_MAX, groups);
	for (int i = 0; i < n && i < GROUPS_MAX; i++)
		if (groups[i] == group)
			return true;
	return false;
}

bool change_allowed(struct client *c, fuse_req_t req, const char *what)
{
	uid_t uid = fuse_req_ctx(req)->uid;

	if (uid == 0 || uid == geteuid() || in_group(req, c->admin_gid))
		return true;
	change_refuse(c, req, EPERM, "%s by uid %d is refused: root, who runs rsiod, and the members of admin-group may", what,
		      (int)uid);
	return false;
}

/* The end of one. */

static void change_free(struct change *g)
{
	if (g->manage)
		manage_forget(g->manage);
	loop_disarm(g->client->loop, &g->timer);
	list_remove(&g->link);
	names_closed(&g->client->names, g->node);
	free(g);
}

static void fail(struct change *g, const struct err *e)
{
	if (g->req)
		fuse_reply_err(g->req, e->code > 0 ? e->code : EIO);
	log_error("tree", "%s: %s%s%s", g->what, e->text, e->next[0] ? "; " : "", e->next);
	change_free(g);
}

/* Once the server is done. */

static void look(struct change *g)
{
	struct client *c = g->client;
	struct err e;

	if (!g->req) {
		log_info("tree", "%s: it was done, and nobody waited for it any more", g->what);
		change_free(g);
	} else if (!g->kind->settled || g->kind->settled(g)) {
		log_info("tree", "%s: done", g->what);
		g->kind->answer(g);
		change_free(g);
	} else if (loop_now(c->loop) < g->until) {
		loop_arm(c->loop, &g->timer, loop_now(c->loop) + SETTLE_EVERY);
	} else {
		err_set(&e, ETIMEDOUT, "the server has done it, and does not show it yet");
		e.next[0] = 0;
		fail(g, &e);
	}
}

static void done(void *arg, const char *server, json_t *result, const struct err *e)
{
	struct change *g = arg;
	struct err late;

	g->manage = NULL;
	if (result) {
		g->until = loop_now(g->client->loop) + SETTLE_WITHIN;
		look(g);
	} else if (e->code == ETIMEDOUT) {
		err_set(&late, ETIMEDOUT, "not done within %.0f s: it goes on at server %s", CHANGE_LIMIT,
			*server ? server : "?");
		err_next(&late, "rsvol shows when it is done");
		fail(g, *server ? &late : e);
	} else {
		fail(g, e);
	}
}

static const struct manage_calls calls = { .done = done };

/* The waiter dies: it is let go, and the server is told to stop. */
static void let_go(struct change *g)
{
	fuse_req_t req = g->req;

	g->req = NULL;
	g->asked = false;
	log_info("tree", "%s: its process was killed", g->what);
	if (g->manage)
		manage_cancel(g->manage);
	fuse_reply_err(req, EINTR);
}

static void fire(struct loop_timer *t)
{
	struct change *g = container_of(t, struct change, timer);

	if (g->asked && g->req && interrupt_fatal(fuse_req_ctx(g->req)->pid))
		let_go(g);
	if (!g->manage)
		look(g);
	else if (g->asked)
		loop_arm(g->client->loop, &g->timer, loop_now(g->client->loop) + ASK_EVERY);
}

/* FUSE may hold the request still: it is looked at from the timer. */
static void interrupted(fuse_req_t req, void *data)
{
	struct change *g = data;

	(void)req;
	if (g->asked)
		return;
	g->asked = true;
	loop_arm(g->client->loop, &g->timer, loop_now(g->client->loop));
}

/* The beginning of one. */

static struct member *member_of(const struct client *c, const struct node *node)
{
	struct list *pos;

	list_each(pos, &c->members) {
		struct member *m = container_of(pos, struct member, link);

		if (node->ns && m->ns == node->ns && !m->stopping)
			return m;
	}
	return NULL;
}

/* NULL: the request is answered. */
static struct change *begin(struct client *c, fuse_req_t req, const struct kind *kind, struct node *node, const char *name)
{
	struct member *m = member_of(c, node);
	struct change *g = m ? calloc(1, sizeof *g) : NULL;

	if (!g) {
		fuse_reply_err(req, m ? ENOMEM : ENOENT);
		return NULL;
	}
	g->client = c;
	g->member = m;
	g->kind = kind;
	g->req = req;
	g->timer.fire = fire;
	g->node = node;
	names_opened(node);
	snprintf(g->name, sizeof g->name, "%s", name);
	list_append(&c->changes, &g->link);
	return g;
}

static void name_it(struct change *g, const char *verb, const char *what)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(g->req);

	snprintf(g->what, sizeof g->what, "%s %s:%s by pid %d, uid %d", verb, namespace_name(g->member->ns), what,
		 (int)ctx->pid, (int)ctx->uid);
}

static void start(struct change *g, json_t *work)
{
	struct manage_wish wish = { .limit = CHANGE_LIMIT };
	struct err e = { 0 };

	g->manage = manage_work(g->member->ns, &wish, work, &calls, g, &e);
	if (!g->manage) {
		fail(g, &e);
		return;
	}
	log_debug("tree", "%s begins", g->what);
	fuse_req_interrupt_func(g->req, interrupted, g);
}

void change_end(struct client *c, const struct member *m)
{
	struct list *pos, *keep;
	struct err e;

	err_set(&e, ESHUTDOWN, "namespace %s ends here; what was begun goes on at its server", namespace_name(m->ns));
	e.next[0] = 0;
	list_each_safe(pos, keep, &c->changes)
		if (container_of(pos, struct change, link)->member == m)
			fail(container_of(pos, struct change, link), &e);
}

/* Snapshots. */

static struct node *child(const struct change *g)
{
	return names_find(&g->client->names, g->node, g->name);
}

static bool is_there(const struct change *g)
{
	return child(g);
}

static bool is_gone(const struct change *g)
{
	return !child(g);
}

static void answer_entry(struct change *g)
{
	ops_reply_entry(g->req, child(g));
}

static void answer_ok(struct change *g)
{
	fuse_reply_err(g->req, 0);
}

static const struct kind snapshot = { is_there, answer_entry };
static const struct kind removal = { is_gone, answer_ok };

static void name_snapshot(struct change *g, const char *verb)
{
	char name[CONF_VOLUME_MAX + 1];

	snprintf(name, sizeof name, "%s@%s", g->node->name, g->name);
	name_it(g, verb, name);
}

void change_mkdir(struct client *c, fuse_req_t req, struct node *parent, const char *name)
{
	struct change *g;

	if (parent->part != PART_SNAPS_OF) {
		change_refuse(c, req, EPERM, "no directory can be made there: a snapshot of a volume is, in NAMESPACE/"
			      TREE_SNAPS "/VOLUME");
	} else if (!wire_snapshot_name_ok(name, strlen(name))) {
		change_refuse(c, req, EINVAL, "'%.100s' is no name for a snapshot: 1 to %d of A-Z a-z 0-9 . _ -, no leading . or -,"
			      " and not a number alone", name, CONF_NAME_MAX);
	} else if (change_allowed(c, req, "mkdir") && (g = begin(c, req, &snapshot, parent, name))) {
		name_snapshot(g, "mkdir");
		start(g, json_pack("{s:s, s:[s], s:s}", "op", "snapshot", "volumes", parent->name, "name", name));
	}
}

void change_rmdir(struct client *c, fuse_req_t req, struct node *parent, const char *name)
{
	struct change *g;

	if (parent->part != PART_SNAPS_OF)
		change_refuse(c, req, EPERM, "that directory is not to be removed");
	else if (change_allowed(c, req, "rmdir") && (g = begin(c, req, &removal, parent, name))) {
		name_snapshot(g, "rmdir");
		start(g, json_pack("{s:s, s:s, s:s}", "op", "snapshot_remove", "volume", parent->name, "snapshot", name));
	}
}

/* Sizes. */

static bool has_size(const struct change *g)
{
	return g->node->volume && g->node->size >= g->size;
}

static void answer_attr(struct change *g)
{
	ops_reply_attr(g->req, g->node);
}

static const struct kind growth = { has_size, answer_attr };

void change_size(struct client *c, fuse_req_t req, struct node *file, uint64_t size)
{
	bool create = file->planned;
	struct change *g;

	if (size % 512 || size > INT64_MAX - 511) {
		change_refuse(c, req, EINVAL, "%s cannot have %llu bytes: a size is whole blocks of 512", file->name,
			      (unsigned long long)size);
	} else if (!create && size < file->size) {
		change_refuse(c, req, EPERM, "%s is not made smaller here: rsvol resize does that, when nobody has it open",
			      file->name);
	} else if (change_allowed(c, req, "truncate") && (g = begin(c, req, &growth, file, ""))) {
		g->size = size;
		name_it(g, "truncate", file->name);
		start(g, json_pack("{s:s, s:s, s:I}", "op", create ? "create" : "resize", "volume", file->name, "size",
				   (json_int_t)size));
	}
}

/* Volumes that are made and go. */

static bool may_manage(struct client *c, fuse_req_t req, const struct node *parent, const char *what)
{
	const struct member *m = member_of(c, parent);

	if (parent->part != PART_NAMESPACE || !m) {
		change_refuse(c, req, EPERM, "%s is not possible there", what);
		return false;
	}
	if (!c->manage && !conf_client_manages(c->newest->conf, namespace_name(m->ns))) {
		change_refuse(c, req, EPERM, "%s in %s is refused: rsvol makes and removes volumes; so does this with manage = yes in "
			      "the configuration, or rsiod -o manage", what, namespace_name(m->ns));
		return false;
	}
	return change_allowed(c, req, what);
}

struct node *change_plan(struct client *c, fuse_req_t req, struct node *parent, const char *name)
{
	struct node *node;

	if (!may_manage(c, req, parent, "making a volume"))
		return NULL;
	if (!conf_name_valid(name)) {
		change_refuse(c, req, EINVAL, "'%.100s' is no name for a volume: 1 to %d of A-Z a-z 0-9 . _ -, no leading . or -",
			      name, CONF_NAME_MAX);
		return NULL;
	}
	node = c->names.planned < PLANS_MAX ? tree_plan(member_of(c, parent), name) : NULL;
	/* Since the kernel looked for it another client may have made it. */
	if (!node)
		fuse_reply_err(req, names_find(&c->names, parent, name) ? EEXIST : ENOSPC);
	return node;
}

void change_planned(struct client *c, struct node *file)
{
	struct list *pos;

	list_each(pos, &c->opens) {
		struct handle *h = container_of(pos, struct handle, link);

		if (h->node != file || !h->planned)
			continue;
		h->planned = false;
		h->volume = mpio_get(file->volume);
		h->ns = file->ns;
	}
}

void change_unlink(struct client *c, fuse_req_t req, struct node *parent, const char *name)
{
	struct node *file = names_find(&c->names, parent, name);
	struct change *g;

	if (!may_manage(c, req, parent, "removing a volume"))
		return;
	if (file && file->planned) {
		names_remove(&c->names, file);
		fuse_reply_err(req, 0);
	} else if (!file || file->kind != NODE_VOLUME) {
		fuse_reply_err(req, file ? EPERM : ENOENT);
	} else if ((g = begin(c, req, &removal, parent, name))) {
		name_it(g, "rm", name);
		start(g, json_pack("{s:s, s:s, s:s}", "op", "remove", "volume", name, "confirm", name));
	}
}

static bool is_renamed(const struct change *g)
{
	return child(g) && !names_find(&g->client->names, g->node, g->from);
}

static const struct kind renaming = { is_renamed, answer_ok };

void change_rename(struct client *c, fuse_req_t req, struct node *parent, const char *name, struct node *to,
		   const char *to_name, unsigned flags)
{
	struct node *file = names_find(&c->names, parent, name);
	struct change *g;

	if (!may_manage(c, req, parent, "renaming a volume"))
		return;
	if (to != parent || flags & ~(unsigned)RENAME_NOREPLACE || !file || file->kind != NODE_VOLUME || file->planned) {
		fuse_reply_err(req, to != parent ? EXDEV : !file ? ENOENT : EPERM);
	} else if (names_find(&c->names, to, to_name)) {
		change_refuse(c, req, EEXIST, "%s is there already: mv removes no volume", to_name);
	} else if (!conf_name_valid(to_name)) {
		change_refuse(c, req, EINVAL, "'%.100s' is no name for a volume", to_name);
	} else if ((g = begin(c, req, &renaming, parent, to_name))) {
		snprintf(g->from, sizeof g->from, "%s", name);
		name_it(g, "mv", name);
		start(g, json_pack("{s:s, s:s, s:s}", "op", "rename", "volume", name, "to", to_name));
	}
}

static void answer_other(struct change *g)
{
	attribute_forget(g->client);
	answer_ok(g);
}

static const struct kind other = { NULL, answer_other };

void change_other(struct client *c, fuse_req_t req, struct node *file, const char *what, json_t *work)
{
	struct change *g = NULL;

	if (change_allowed(c, req, what))
		g = begin(c, req, &other, file, "");
	if (!g) {
		json_decref(work);
		return;
	}
	name_it(g, what, file->name);
	start(g, work);
}
