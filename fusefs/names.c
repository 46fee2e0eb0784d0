/* names.c - see names.h. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "names.h"
#include "wire.h"

#define ROOT_ID 1	/* FUSE's number of the root */
#define BUCKETS_LEAST 256

/* Numbers come from the path, so that they stay over a restart; FNV-1a. */
static uint64_t number(const struct node *parent, const char *name)
{
	uint64_t h = parent ? parent->ino : UINT64_C(0xcbf29ce484222325);

	h = (h ^ '/') * UINT64_C(0x100000001b3);
	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	/* Positive also for who reads it as a signed number; 0 and 1 are taken. */
	h &= UINT64_C(0x7fffffffffffffff);
	return h > ROOT_ID ? h : h + 2;
}

static void init_node(struct names *n, struct node *node, enum node_kind kind, mode_t mode)
{
	node->kind = kind;
	node->mode = mode;
	node->uid = n->uid;
	node->gid = n->gid;
	list_init(&node->sibling);
	list_init(&node->children);
	list_init(&node->all);
	clock_gettime(CLOCK_REALTIME, &node->mtime);
	node->atime = node->ctime = node->mtime;
}

void names_init(struct names *n, uid_t uid, gid_t gid, gid_t volume_gid, mode_t volume_mode)
{
	memset(n, 0, sizeof *n);
	n->uid = uid;
	n->gid = gid;
	n->volume_gid = volume_gid;
	n->volume_mode = volume_mode;
	list_init(&n->all);
	init_node(n, &n->root, NODE_DIR, S_IFDIR | 0755);
	n->root.ino = ROOT_ID;
	n->root.lookups = 1;
}

/* By their numbers. */

static struct node **bucket(const struct names *n, uint64_t ino)
{
	return &n->buckets[ino & (n->bucket_count - 1)];
}

/* Without memory it stays as it is, and is slower. */
static void make_buckets(struct names *n)
{
	size_t count = n->bucket_count ? 2 * n->bucket_count : BUCKETS_LEAST;
	struct node **buckets = n->count < n->bucket_count ? NULL : calloc(count, sizeof *buckets);
	struct list *pos;

	if (!buckets)
		return;
	free(n->buckets);
	n->buckets = buckets;
	n->bucket_count = count;
	list_each(pos, &n->all) {
		struct node *node = container_of(pos, struct node, all), **b = bucket(n, node->ino);

		if (!node->parent)
			continue;
		node->hash_next = *b;
		*b = node;
	}
}

static void hash(struct names *n, struct node *node)
{
	struct node **b = bucket(n, node->ino);

	node->hash_next = *b;
	*b = node;
	n->count++;
}

static void unhash(struct names *n, struct node *node)
{
	struct node **b = bucket(n, node->ino);

	while (*b != node)
		b = &(*b)->hash_next;
	*b = node->hash_next;
	n->count--;
}

static void free_unused(const struct names *n, struct node *node)
{
	if (node == &n->root || node->parent || node->lookups || node->opens)
		return;
	list_remove(&node->all);
	free(node);
}

void names_fini(struct names *n)
{
	struct list *pos, *keep;

	list_each_safe(pos, keep, &n->all)
		free(container_of(pos, struct node, all));
	free(n->buckets);
	n->buckets = NULL;
	n->bucket_count = n->count = 0;
	list_init(&n->all);
	list_init(&n->root.children);
}

static void count(struct names *n, const struct node *node, int sign)
{
	if (node->kind != NODE_VOLUME || !node->volume || node->snapshot)
		return;
	n->volumes += (uint64_t)sign;
	n->bytes += (uint64_t)sign * node->size;
}

void names_remove(struct names *n, struct node *node)
{
	while (!list_empty(&node->children))
		names_remove(n, container_of(node->children.next, struct node, sibling));
	count(n, node, -1);
	n->planned -= node->planned;
	if (node->parent) {
		clock_gettime(CLOCK_REALTIME, &node->parent->mtime);
		node->parent->dirs -= node->kind == NODE_DIR;
		unhash(n, node);
	}
	node->parent = NULL;
	node->volume = NULL;
	node->ns = NULL;
	list_remove(&node->sibling);
	free_unused(n, node);
}

static struct node *add(struct names *n, struct node *parent, const char *name,
			enum node_kind kind, mode_t mode, struct namespace *ns)
{
	struct node *node;

	make_buckets(n);
	node = n->buckets ? calloc(1, sizeof *node) : NULL;
	if (!node)
		return NULL;
	init_node(n, node, kind, mode);
	strncpy(node->name, name, sizeof node->name - 1);
	node->ino = number(parent, name);
	node->parent = parent;
	node->ns = ns;
	list_append(&parent->children, &node->sibling);
	list_append(&n->all, &node->all);
	hash(n, node);
	parent->dirs += kind == NODE_DIR;
	parent->mtime = node->mtime;
	return node;
}

struct node *names_add_dir(struct names *n, struct node *parent, const char *name,
			   struct namespace *ns)
{
	return add(n, parent, name, NODE_DIR, S_IFDIR | 0755, ns);
}

struct node *names_add_text(struct names *n, struct node *parent, const char *name,
			    struct namespace *ns, int text)
{
	struct node *node = add(n, parent, name, NODE_TEXT, S_IFREG | 0444, ns);

	if (node)
		node->text = text;
	return node;
}

struct node *names_add_volume(struct names *n, struct node *parent, const char *name,
			      struct namespace *ns, struct mpio *v, uint64_t size, bool read_only)
{
	struct node *node = names_find(n, parent, name);

	if (!node) {
		node = add(n, parent, name, NODE_VOLUME, S_IFREG | n->volume_mode, ns);
		if (!node)
			return NULL;
		node->gid = n->volume_gid;
	} else if (node->kind != NODE_VOLUME) {
		return NULL;
	}
	count(n, node, -1);
	n->planned -= node->planned;
	node->planned = false;
	node->volume = v;
	node->size = size;
	node->read_only = read_only;
	count(n, node, 1);
	return node;
}

struct node *names_add_planned(struct names *n, struct node *parent, const char *name, struct namespace *ns)
{
	struct node *node = names_find(n, parent, name);

	if (node)
		return node->planned ? node : NULL;
	node = names_add_volume(n, parent, name, ns, NULL, 0, false);
	if (!node)
		return NULL;
	node->planned = true;
	n->planned++;
	return node;
}

struct node *names_add_snapshot(struct names *n, struct node *dir, const char *name,
				struct namespace *ns, struct mpio *v, uint64_t size, uint64_t taken)
{
	struct node *node = names_find(n, dir, name);

	if (!node)
		node = add(n, dir, name, NODE_VOLUME, S_IFREG | n->volume_mode, ns);
	if (!node)
		return NULL;
	node->gid = n->volume_gid;
	node->volume = v;
	node->size = size;
	node->read_only = node->snapshot = true;
	if (taken)
		node->mtime = node->atime = node->ctime = (struct timespec){ .tv_sec = (time_t)taken };
	dir->mtime = dir->atime = dir->ctime = node->mtime;
	return node;
}

void names_set_size(struct names *n, struct node *volume, uint64_t size)
{
	count(n, volume, -1);
	volume->size = size;
	count(n, volume, 1);
}

struct node *names_find(const struct names *n, const struct node *dir, const char *name)
{
	uint64_t ino;

	if (dir->kind != NODE_DIR || !n->buckets)
		return NULL;
	ino = number(dir, name);
	for (struct node *node = *bucket(n, ino); node; node = node->hash_next)
		if (node->parent == dir && strcmp(node->name, name) == 0)
			return node;
	return NULL;
}

/* The kernel hands back only numbers that it got from us and did not forget. */
struct node *names_node(struct names *n, uint64_t nodeid)
{
	return nodeid == ROOT_ID ? &n->root : (struct node *)(uintptr_t)nodeid;
}

uint64_t names_nodeid(const struct names *n, const struct node *node)
{
	return node == &n->root ? ROOT_ID : (uint64_t)(uintptr_t)node;
}

void names_get(struct node *node)
{
	node->lookups++;
}

void names_forget(struct names *n, struct node *node, uint64_t times)
{
	if (node == &n->root)
		return;
	node->lookups -= times < node->lookups ? times : node->lookups;
	free_unused(n, node);
}

void names_opened(struct node *node)
{
	node->opens++;
}

void names_closed(struct names *n, struct node *node)
{
	node->opens--;
	free_unused(n, node);
}

void names_stat(const struct node *node, struct stat *st)
{
	memset(st, 0, sizeof *st);
	st->st_ino = node->ino;
	st->st_mode = node->mode;
	st->st_uid = node->uid;
	st->st_gid = node->gid;
	st->st_atim = node->atime;
	st->st_mtim = node->mtime;
	st->st_ctim = node->ctime;
	st->st_blksize = 4096;
	st->st_nlink = 1;
	if (node->kind == NODE_DIR)
		st->st_nlink = 2 + node->dirs;
	if (node->kind == NODE_VOLUME) {
		st->st_size = (off_t)node->size;
		/* What cat and cmp read at once: each read is a request over the network. */
		st->st_blksize = WIRE_DATA_MAX;
		st->st_blocks = (blkcnt_t)(node->size / 512);
		st->st_nlink = node->volume || node->planned ? 1 : 0;
		if (node->read_only)
			st->st_mode &= ~(mode_t)0222;
	}
}
