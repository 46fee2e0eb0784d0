/*
 * catalog_snap.h - what snapshots (catalog_snap.c) and clones (catalog_clone.c) share.
 */
#ifndef RSSRV_CATALOG_SNAP_H
#define RSSRV_CATALOG_SNAP_H

#include "catalog_impl.h"
#include "volume.h"

struct snap_source {
	char name[CATALOG_NAME_MAX];
	struct volume *volume;		/* a reference */
	struct meta meta;
	bool shares;			/* its blocks are shared already */
	uint64_t size, data;		/* data: what of it is no hole */
};

/* Under p->catalog.  s was zero. */
int snap_source(struct pool *p, const struct catalog_job *j, const char *name, struct snap_source *s, struct err *e);
int snap_still(struct pool *p, const struct snap_source *s, struct err *e);	/* is the name still that one? */
void snap_sources_free(struct snap_source *s, size_t n);
/* The content that n volumes have in one moment, each into a file: of the same file system where its
 * reflink says so, else of any. */
int snap_moment(struct catalog_job *j, struct volume **v, const int *to, const bool *reflink, size_t n, struct err *e);

#endif
