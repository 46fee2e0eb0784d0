/* offer.c - see offer.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client.h"
#include "lock.h"
#include "log.h"
#include "meta.h"
#include "offer.h"
#include "registry.h"
#include "server.h"
#include "text.h"

static atomic_bool starting;

void offer_starting(bool yes)
{
	atomic_store(&starting, yes);
}

struct offer *offer_new(struct server *s, const char *name, int dirfd, const char *file, const char *meta)
{
	struct offer *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->server = s;
	o->dirfd = dirfd;
	o->file = strdup(file);
	o->meta = strdup(meta);
	snprintf(o->name, sizeof(o->name), "%s", name);
	if (!o->file || !o->meta) {
		offer_free(o);
		return NULL;
	}
	return o;
}

void offer_withdraw(struct offer *o)
{
	if (!o->volume)
		return;
	registry_remove(o->server->registry, o->volume, WIRE_E_NO_VOLUME);
	volume_put(o->volume);
	o->volume = NULL;
}

void offer_free(struct offer *o)
{
	if (!o)
		return;
	offer_withdraw(o);
	strings_free(o->conf.clients);
	free(o->file);
	free(o->meta);
	free(o);
}

static void complain(struct offer *o, const struct err *e)
{
	o->retry = clock_now() + SECOND;
	if (strcmp(o->complaint, e->text) == 0)
		return;
	snprintf(o->complaint, sizeof(o->complaint), "%s", e->text);
	log_error("volume", "%s: %s%s%s", o->name, e->text, e->next[0] ? "; " : "", e->next);
	if (atomic_load(&starting))
		err_print("rssrv", e);
}

/* A file that belongs to this server alone is locked; a pool has one lock for all. */
static int lock_volume(const struct offer *o, const struct volume *v, struct err *e)
{
	if (o->pool || v->shared)
		return 0;
	return lock_take(v->fd, !v->cannot_write, atomic_load(&starting) ? LOCK_WAIT : 0, v->path, e);
}

/* A device that others offer too cannot keep its identity here alone. */
static int identify_shared_device(const struct offer *o, struct volume *v, struct err *e)
{
	if (!o->conf.has_uuid) {
		err_set(e, EINVAL, "[volume %s]: a shared device needs a uuid, the same on every server", o->name);
		err_next(e, "add 'uuid = …' with the output of uuidgen");
		return -EINVAL;
	}
	memcpy(v->uuid, o->conf.uuid, sizeof(v->uuid));
	v->generation = 1;
	return 0;
}

static int identify(const struct offer *o, struct volume *v, struct err *e)
{
	if (v->device && v->shared)
		return identify_shared_device(o, v, e);
	return meta_identify(o->dirfd, o->meta, v, o->conf.has_uuid ? o->conf.uuid : NULL, e);
}

static struct volume *make(const struct offer *o, struct err *e)
{
	struct volume_setup setup = {
		.name = o->name,
		.path = o->file,
		.dirfd = o->dirfd,
		.pool = o->pool,
		.directory = o->directory,
		.read_only = o->conf.read_only,
		.shared = o->conf.shared,
	};
	struct volume *v = volume_open(o->server, &setup, e);

	if (!v)
		return NULL;
	v->order = o->order;
	v->av = o->conf.av;
	if (o->conf.clients) {
		v->clients = strings_copy(o->conf.clients);
		if (!v->clients) {
			err_set(e, ENOMEM, "no memory for volume %s", o->name);
			goto fail;
		}
	}
	if (lock_volume(o, v, e) < 0 || identify(o, v, e) < 0)
		goto fail;
	volume_load_flush_error(v);
	return v;
fail:
	volume_put(v);
	return NULL;
}

static bool is_same_file(const struct offer *o, const struct volume_origin *now)
{
	const struct volume *v = o->volume;

	return v && v->origin.device == now->device && v->origin.inode == now->inode &&
	       v->origin.birth == now->birth;
}

static void check_size(struct offer *o)
{
	struct volume *v = o->volume;
	uint64_t size;

	if (volume_size_now(v, &size) < 0 || size == atomic_load(&v->size))
		return;
	atomic_store(&v->size, size);
	registry_resized(o->server->registry, v);
}

/* The file is new to us: offered in place of what the name stood for. */
static void renew(struct offer *o)
{
	struct registry *g = o->server->registry;
	struct volume *old = o->volume, *v;
	struct err e = { 0 };

	if (old)
		registry_remove(g, old, WIRE_E_GENERATION);
	v = make(o, &e);
	if (v && registry_add(g, v, old ? WIRE_EVENT_VOLUME_REPLACED : WIRE_EVENT_VOLUME_ADDED, &e) < 0) {
		volume_put(v);
		v = NULL;
	}
	o->volume = v;
	o->complaint[0] = v ? 0 : o->complaint[0];
	if (!v)
		complain(o, &e);
	if (!v && old)
		clients_announce(o->server->clients, WIRE_EVENT_VOLUME_REMOVED, old);
	if (old)
		volume_put(old);
}

void offer_check(struct offer *o)
{
	struct volume_origin now;
	struct err e = { 0 };
	int r;

	if (!o->volume && clock_now() < o->retry)
		return;
	r = volume_origin_at(o->dirfd, o->file, o->pool ? AT_SYMLINK_NOFOLLOW : 0, &now);
	if (r < 0) {
		err_sys(&e, -r, "cannot look at %s%s%s", o->directory ? o->directory : "",
			o->directory ? "/" : "", o->file);
		if (r == -ENOENT)
			offer_withdraw(o);
		complain(o, &e);
	} else if (is_same_file(o, &now)) {
		check_size(o);
	} else {
		renew(o);
	}
}
