/*
 * registry.h - the volumes that this server offers now, by name.
 *
 * Two volumes never share a name or a UUID: the second is refused with an error
 * that names both, and nothing is merged.
 */
#ifndef RSSRV_REGISTRY_H
#define RSSRV_REGISTRY_H

#include "volume.h"

struct registry;

#define REGISTRY_POOL_ORDER (1 << 20)	/* order of pool volumes: behind the [volume] sections */

struct registry *registry_new(struct server *s, struct err *e);
void registry_free(struct registry *r);

/* Takes a reference of its own and tells the clients (kind: ADDED, or REPLACED after
 * registry_remove with WIRE_E_GENERATION).  -EEXIST with e filled for a duplicate. */
int registry_add(struct registry *r, struct volume *v, enum wire_event kind, struct err *e);
/* Commands get this status from now on.  With WIRE_E_NO_VOLUME clients are told. */
void registry_remove(struct registry *r, struct volume *v, enum wire_status status);
/* The size or an attribute changed: clients are told. */
void registry_resized(struct registry *r, struct volume *v);
/* What may change on SIGHUP. */
struct volume_attributes {
	char **clients;			/* taken over */
	bool read_only;
	int av, order;
};
void registry_update(struct registry *r, struct volume *v, struct volume_attributes *a);

void registry_set_label(struct registry *r, struct volume *v, const char *label);	/* "": none */

void registry_lock(struct registry *r);
void registry_unlock(struct registry *r);
/* Under the lock: */
bool registry_visible(const struct volume *v, const char *node);
bool registry_may_write(const struct volume *v, const char *node);	/* as far as the volume itself can be written to */
void registry_describe(const struct volume *v, const char *node, struct wire_volume *out);	/* as this client has it */
struct volume *registry_find(struct registry *r, const char *name);	/* no reference; NULL */
/* Not under it: a reference of each, or of those that are wanted, in their order, in an array to
 * be freed; NULL with *n 0: none, or no memory, which was logged. */
struct volume **registry_all(struct registry *r, bool (*wanted)(const struct volume *v), size_t *n);
void registry_seen(struct registry *r);		/* a client gets to know the numbers */
struct volume *registry_at(struct registry *r, size_t i);		/* in their order; NULL behind the last */

#endif
