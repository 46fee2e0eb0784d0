/* tree.c - see tree.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "change.h"
#include "log.h"
#include "text.h"
#include "tree.h"

static struct names *names_of(const struct member *m)
{
	return &m->client->names;
}

/* Whose they are. */

static void set_own(struct node *node, const struct conf_own *own)
{
	if (own->has_uid)
		node->uid = own->uid;
	if (own->has_gid)
		node->gid = own->gid;
	if (own->has_mode)
		node->mode = S_IFREG | own->mode;
}

static void own_as_configured(struct member *m, struct node *node, const char *volume)
{
	struct conf_own own = conf_own_of(m->client->newest->conf, namespace_name(m->ns), volume);

	set_own(node, &own);
}

/* Where things are made and removed: who may change things may write there. */
static void open_to_admins(const struct member *m, struct node *dir)
{
	if (m->client->admin_gid == (gid_t)-1)
		return;
	dir->gid = m->client->admin_gid;
	dir->mode |= 0020;
}

static bool same_own(const struct conf_own *a, const struct conf_own *b)
{
	return a->has_uid == b->has_uid && a->has_gid == b->has_gid && a->has_mode == b->has_mode &&
	       a->uid == b->uid && a->gid == b->gid && a->mode == b->mode;
}

/* A snapshot is whose the volume is. */
static void reown_below(const struct member *m, const struct node *dir, const char *volume,
			const struct conf_client *old, const struct conf_client *now)
{
	struct list *pos;

	list_each(pos, &dir->children) {
		struct node *node = container_of(pos, struct node, sibling);
		const char *name = volume ? volume : node->name;
		struct conf_own was = conf_own_of(old, m->dir->name, name);
		struct conf_own is = conf_own_of(now, m->dir->name, name);

		if (node->kind == NODE_VOLUME && !same_own(&was, &is))
			set_own(node, &is);
	}
}

void tree_reown(struct member *m, const struct conf_client *old, const struct conf_client *now)
{
	struct list *pos, *snap;

	reown_below(m, m->dir, NULL, old, now);
	list_each(pos, &m->snaps->children) {
		struct node *dir = container_of(pos, struct node, sibling);

		list_each(snap, &dir->children)
			reown_below(m, container_of(snap, struct node, sibling), dir->name, old, now);
	}
}

int tree_add_namespace(struct member *m, const char *name)
{
	m->dir = text_add_namespace(names_of(m), name, m->ns);
	if (!m->dir)
		return -ENOMEM;
	m->dir->part = PART_NAMESPACE;
	open_to_admins(m, m->dir);
	m->snaps = names_add_dir(names_of(m), m->dir, TREE_SNAPS, m->ns);
	if (!m->snaps) {
		names_remove(names_of(m), m->dir);
		return -ENOMEM;
	}
	m->snaps->part = PART_SNAPS;
	m->snaps->hidden = true;
	return 0;
}

/* The directories of snapshots. */

static struct node *make_dir(struct member *m, struct node *parent, const char *name, enum node_part part)
{
	struct node *dir = names_find(names_of(m), parent, name);

	if (dir)
		return dir;
	dir = names_add_dir(names_of(m), parent, name, m->ns);
	if (!dir)
		return NULL;
	dir->part = part;
	if (part == PART_SNAPS_OF)
		open_to_admins(m, dir);
	return dir;
}

/* A volume's stays as long as there is the volume or a snapshot. */
static void tidy_dir(struct member *m, const char *volume)
{
	struct node *dir = names_find(names_of(m), m->snaps, volume);

	if (dir && list_empty(&dir->children) && !names_find(names_of(m), m->dir, volume))
		names_remove(names_of(m), dir);
}

struct place {
	char volume[WIRE_NAME_MAX + 1];
	const char *snapshot;		/* NULL: the volume itself */
};

static struct place place_of(const char *name)
{
	size_t length = strcspn(name, "@");
	struct place p = { .snapshot = name[length] ? name + length + 1 : NULL };

	snprintf(p.volume, sizeof p.volume, "%.*s", (int)length, name);
	return p;
}

struct node *tree_find(const struct member *m, const char *name)
{
	struct place p = place_of(name);
	struct node *dir = p.snapshot ? names_find(names_of(m), m->snaps, p.volume) : m->dir;

	if (dir && p.snapshot)
		dir = names_find(names_of(m), dir, p.snapshot);
	return dir ? names_find(names_of(m), dir, p.volume) : NULL;
}

/* What comes and goes. */

static struct node *add_node(struct member *m, const struct place *p, struct mpio *v)
{
	const struct wire_volume *info = mpio_info(v);
	struct node *dir = make_dir(m, m->snaps, p->volume, PART_SNAPS_OF);

	if (dir && p->snapshot)
		dir = make_dir(m, dir, p->snapshot, PART_SNAPSHOT);
	if (!dir)
		return NULL;
	if (p->snapshot)
		return names_add_snapshot(names_of(m), dir, p->volume, m->ns, v, info->size, info->taken);
	return names_add_volume(names_of(m), m->dir, p->volume, m->ns, v, info->size, info->flags & WIRE_FLAG_READ_ONLY);
}

void tree_add(struct member *m, struct mpio *v)
{
	const char *name = mpio_info(v)->name;
	struct place p = place_of(name);
	struct node *before = tree_find(m, name), *node;
	bool planned = before && before->planned;

	node = add_node(m, &p, v);

	if (!node) {
		log_error(namespace_name(m->ns), "no memory to show %s", name);
		return;
	}
	if (!before)
		own_as_configured(m, node, p.volume);
	mpio_set_tag(v, node);
	if (planned)
		change_planned(m->client, node);
}

struct node *tree_plan(struct member *m, const char *name)
{
	struct node *node = names_add_planned(names_of(m), m->dir, name, m->ns);

	if (node)
		own_as_configured(m, node, name);
	return node;
}

void tree_remove(struct member *m, struct mpio *v)
{
	struct place p = place_of(mpio_info(v)->name);
	struct node *node = mpio_tag(v);

	mpio_set_tag(v, NULL);
	if (node && node->volume == v)
		names_remove(names_of(m), p.snapshot ? node->parent : node);
	tidy_dir(m, p.volume);
}

void tree_resize(struct member *m, struct mpio *v)
{
	struct node *node = mpio_tag(v);

	if (!node)
		return;
	names_set_size(names_of(m), node, mpio_info(v)->size);
	node->read_only = mpio_info(v)->flags & WIRE_FLAG_READ_ONLY;
}
