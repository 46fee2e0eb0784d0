/*
 * tree.h - which volumes and snapshots are where in the mounted tree.
 *
 *   NAMESPACE/VOLUME                      a volume
 *   NAMESPACE/.snap/VOLUME/SNAP/VOLUME    what it was when the snapshot was taken, to be read
 *
 * .snap is there for who names it and in no listing, so that nobody who copies a
 * namespace's volumes copies all of their past too.  It has a directory for each
 * volume, with snapshots or without: a snapshot is made in there by mkdir and removed by
 * rmdir.  So it has to be a directory: the kernel makes nothing else by mkdir, and
 * refuses to rmdir what is none.
 *
 * Owner of everything here: the loop's thread.
 */
#ifndef FUSEFS_TREE_H
#define FUSEFS_TREE_H

#include "client.h"

#define TREE_SNAPS ".snap"

/* Puts the namespace's directory with what is always in it into the tree: m->dir, m->snaps.
 * 0 or -ENOMEM. */
int tree_add_namespace(struct member *m, const char *name);
/* A volume or snapshot comes, goes, has another size. */
void tree_add(struct member *m, struct mpio *v);
void tree_remove(struct member *m, struct mpio *v);
void tree_resize(struct member *m, struct mpio *v);
/* A file that stands for a volume to be; NULL: no memory, or the name is taken. */
struct node *tree_plan(struct member *m, const char *name);
/* The node of VOLUME or VOLUME@SNAP, or NULL. */
struct node *tree_find(const struct member *m, const char *name);
/* As client_reown, in this namespace. */
void tree_reown(struct member *m, const struct conf_client *old, const struct conf_client *now);

#endif
