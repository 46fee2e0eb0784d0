/*
 * client_open.c - which volumes a client has open: OPEN, CLOSE, and who is kept from opening
 * one that is about to be changed.  See client.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "claim.h"
#include "conn.h"
#include "registry.h"
#include "server.h"

enum wire_status client_close(struct client *c, uint32_t handle)
{
	int r;

	clients_lock(c->server->clients);
	r = handle_close(c->server, &c->handles, handle);
	clients_unlock(c->server->clients);
	return r ? WIRE_E_HANDLE : WIRE_OK;
}

static struct claim *find_claim(const struct client *c, const struct volume *v)
{
	struct claim *k;

	for (k = c->claims; k; k = k->next)
		if (claim_is_for(k, &v->place))
			return k;
	return NULL;
}

struct claim *client_claim(struct client *c, const struct volume *v)
{
	struct claim *k;

	clients_lock(c->server->clients);
	k = find_claim(c, v);
	if (!k && (k = claim_new(&v->place))) {
		k->next = c->claims;
		c->claims = k;
	}
	clients_unlock(c->server->clients);
	return k;
}

static bool needs_claim(const struct client *c, const struct volume *v)
{
	const struct claim *k;

	if (v->place.fd < 0)
		return false;
	k = find_claim(c, v);
	return !k || !claim_held(k);
}

static enum wire_status open_locked(struct client *c, uint32_t handle, const struct wire_open *o,
				    uint8_t flags, struct wire_volume *out, struct volume **claim_on)
{
	bool read_only = flags & WIRE_FLAG_READ_ONLY, writes;
	enum wire_status status;
	uint8_t bars;
	struct volume *v = registry_find(c->server->registry, o->name);
	int r;

	if (!v || !registry_visible(v, c->node))
		return WIRE_E_NO_VOLUME;
	if (o->has_identity && memcmp(o->uuid, v->uuid, sizeof(o->uuid)) != 0)
		return WIRE_E_IDENTITY;
	if (o->has_identity && o->generation != v->generation)
		return WIRE_E_GENERATION;
	if (v->barred)
		return WIRE_E_BUSY;
	if (!volume_is_ready(v) || needs_claim(c, v)) {
		*claim_on = volume_get(v);
		return WIRE_E_BUSY;
	}
	/* Nobody is kept from a volume by who may not write to it. */
	writes = registry_may_write(v, c->node);
	if (flags & WIRE_FLAG_ALONE && !writes)
		return WIRE_E_READ_ONLY;
	status = reserve_open(c, v, flags & WIRE_FLAG_ALONE, read_only || !writes, &bars);
	if (status)
		return status;
	r = handle_open(c->server, &c->handles, handle, v, c->node, read_only);
	if (r)
		return wire_status_from_errno(-r);
	atomic_store(&handle_find(&c->handles, handle)->reserved, bars);
	atomic_store(&handle_find(&c->handles, handle)->reads_only, !writes);
	registry_describe(v, c->node, out);
	return WIRE_OK;
}

enum wire_status client_open(struct client *c, uint32_t handle, const struct wire_open *o, uint8_t flags,
			     struct wire_volume *out, struct volume **claim_on)
{
	enum wire_status status;

	*claim_on = NULL;
	clients_lock(c->server->clients);
	registry_lock(c->server->registry);
	status = open_locked(c, handle, o, flags, out, claim_on);
	registry_unlock(c->server->registry);
	clients_unlock(c->server->clients);
	return status;
}

int clients_bar(struct clients *t, struct volume *v, char *who, size_t size)
{
	size_t used = 0;

	*who = 0;
	clients_lock(t);
	for (struct client *c = clients_first(t); c; c = c->next) {
		if (!handle_opened(&c->handles, v))
			continue;
		used += (size_t)snprintf(who + used, size - used, "%s%s", used ? ", " : "", c->node);
		used = used < size ? used : size - 1;
	}
	v->barred += !used;
	clients_unlock(t);
	return used ? -EBUSY : 0;
}

void clients_unbar(struct clients *t, struct volume *v)
{
	clients_lock(t);
	v->barred--;
	clients_unlock(t);
}
