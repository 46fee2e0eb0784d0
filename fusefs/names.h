/*
 * names.h - the mounted tree: namespaces, volumes and status files as nodes.
 *
 * A node lives while it is in the tree, the kernel knows it, or somebody has it
 * open.  Inode numbers are made from the names: a volume that goes and comes
 * back is another node with the number it had, also over a restart.  By these
 * numbers names are found, however many there are.
 * Owner of everything here: the loop's thread.
 */
#ifndef FUSEFS_NAMES_H
#define FUSEFS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "conf.h"
#include "list.h"

struct mpio;
struct namespace;

enum node_kind { NODE_DIR, NODE_TEXT, NODE_VOLUME };

/* What a directory is for. */
enum node_part {
	PART_OTHER,
	PART_NAMESPACE,			/* NAMESPACE: its volumes */
	PART_SNAPS,			/* NAMESPACE/.snap: a directory for each volume */
	PART_SNAPS_OF,			/* NAMESPACE/.snap/VOLUME: its snapshots */
	PART_SNAPSHOT,			/* NAMESPACE/.snap/VOLUME/SNAP: with the file VOLUME */
};

struct node {
	enum node_kind kind;
	char name[CONF_NAME_MAX + 1];
	struct node *parent;		/* NULL: the root, or not in the tree any more */
	struct list sibling, children;
	struct list all;		/* every node that is not freed, but for the root */
	struct node *hash_next;		/* while it is in the tree */
	uint64_t ino;
	uint64_t lookups;		/* that the kernel has not forgotten yet */
	unsigned opens;

	/* What an administrator may change while the mount lives, as with a node in /dev. */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct timespec atime, mtime, ctime;

	enum node_part part;		/* DIR */
	bool hidden;			/* found by who knows it, in no listing */
	size_t dirs;			/* DIR: of the children */

	struct namespace *ns;		/* of what is below a namespace's directory; NULL elsewhere */
	int text;			/* TEXT: which one, text.h */
	struct mpio *volume;		/* VOLUME: NULL when it is not offered */
	uint64_t size;			/* VOLUME: bytes, as last heard */
	bool read_only;
	bool snapshot;			/* VOLUME: of another one; not counted */
	bool planned;			/* VOLUME: there is none yet, it is made when it gets a size */
};

struct names {
	struct node root;
	struct list all;
	struct node **buckets;		/* those in the tree, by ino; NULL: not yet */
	size_t bucket_count, count;	/* a power of two; how many are in the tree */
	uid_t uid;			/* of all nodes */
	gid_t gid, volume_gid;
	mode_t volume_mode;		/* 0660 or 0600 */
	uint64_t volumes, bytes;	/* in the tree: for statfs */
	size_t planned;			/* nodes that are */
};

/* volume_gid: the group of volumes' nodes. */
void names_init(struct names *n, uid_t uid, gid_t gid, gid_t volume_gid, mode_t volume_mode);
void names_fini(struct names *n);	/* frees all, whatever the kernel still knows */

/* A directory or a text; NULL: no memory. */
struct node *names_add_dir(struct names *n, struct node *parent, const char *name,
			   struct namespace *ns);
struct node *names_add_text(struct names *n, struct node *parent, const char *name,
			    struct namespace *ns, int text);
/* A volume; one of that name that is in the tree already now stands for v. */
struct node *names_add_volume(struct names *n, struct node *parent, const char *name,
			      struct namespace *ns, struct mpio *v, uint64_t size, bool read_only);
/* Likewise a snapshot's, in the snapshot's directory; taken: seconds since 1970, 0: not known. */
struct node *names_add_snapshot(struct names *n, struct node *dir, const char *name,
				struct namespace *ns, struct mpio *v, uint64_t size, uint64_t taken);
/* A file that stands for a volume to be; NULL: no memory, or the name is taken. */
struct node *names_add_planned(struct names *n, struct node *parent, const char *name, struct namespace *ns);
void names_set_size(struct names *n, struct node *volume, uint64_t size);
/* Takes a node and what is below it out of the tree. */
void names_remove(struct names *n, struct node *node);

struct node *names_find(const struct names *n, const struct node *dir, const char *name);	/* or NULL */
/* The node behind the kernel's number. */
struct node *names_node(struct names *n, uint64_t nodeid);
uint64_t names_nodeid(const struct names *n, const struct node *node);

void names_get(struct node *node);				/* the kernel looked it up */
void names_forget(struct names *n, struct node *node, uint64_t count);
void names_opened(struct node *node);
void names_closed(struct names *n, struct node *node);

void names_stat(const struct node *node, struct stat *st);

#endif
