/* offer.c - see offer.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "client.h"
#include "lock.h"
#include "log.h"
#include "meta.h"
#include "offer.h"
#include "registry.h"
#include "schedule.h"
#include "server.h"
#include "text.h"
#include "throttle.h"

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
	bool waits = e->code == EAGAIN;		/* for another server, which is about to do its part */

	o->retry = waits ? 0 : clock_now() + SECOND;
	if (strcmp(o->complaint, e->text) == 0)
		return;
	snprintf(o->complaint, sizeof(o->complaint), "%s", e->text);
	log_line(waits ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "volume", "%s: %s%s%s", o->name, e->text,
		 e->next[0] ? "; " : "", e->next);
	if (atomic_load(&starting) && !waits)
		err_print("rssrv", e);
}

/* A pool has one lock for all. */
static int lock_volume(const struct offer *o, const struct volume *v, struct err *e)
{
	double wait = atomic_load(&starting) ? LOCK_WAIT : 0;

	if (o->pool)
		return 0;
	if (v->shared)
		return lock_take_shared(v->fd, !v->cannot_write, o->server->id, wait, v->path, e);
	return lock_take(v->fd, !v->cannot_write, wait, v->path, e);
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

/* Two servers that find no identity would make two. */
static int identify_shared_file(const struct offer *o, struct volume *v, const uint8_t *uuid, struct err *e)
{
	int r = v->cannot_write ? 0 : lock_byte(v->fd, LOCK_IDENTITY, true);

	if (r)
		return err_set(e, EAGAIN, "another server gives %s its identity", v->path);
	r = meta_identify(o->dirfd, o->meta, v, uuid, e);
	if (!v->cannot_write)
		lock_byte(v->fd, LOCK_IDENTITY, false);
	return r;
}

static int identify(const struct offer *o, struct volume *v, struct err *e)
{
	const uint8_t *uuid = o->conf.has_uuid ? o->conf.uuid : NULL;

	if (v->device && v->shared)
		return identify_shared_device(o, v, e);
	if (o->owned && !atomic_load(o->owned))
		return meta_recognize(o->dirfd, o->meta, v, e);
	if (!o->pool && v->shared)
		return identify_shared_file(o, v, uuid, e);
	return meta_identify(o->dirfd, o->meta, v, uuid, e);
}

/* Of a shared file: another server may write it.  0 for others. */
static struct timespec identity_time(const struct offer *o)
{
	struct timespec none = { 0, 0 };
	struct stat st;

	if (!o->conf.shared || fstatat(o->dirfd, o->meta, &st, 0) < 0)
		return none;
	return st.st_mtim;
}

/* "a, b:ro", as in the configuration.  NULL: no memory. */
static char **split_clients(const char *text)
{
	char *copy = strdup(text), *save = NULL, *part;
	char **list = copy ? calloc(strlen(text) / 2 + 2, sizeof(*list)) : NULL;
	size_t n = 0;

	for (part = list ? strtok_r(copy, ", ", &save) : NULL; part; part = strtok_r(NULL, ", ", &save)) {
		list[n] = strdup(part);
		if (!list[n++]) {
			strings_free(list);
			list = NULL;
			break;
		}
	}
	free(copy);
	return list;
}

/* A snapshot is for whom its volume is.  If that cannot be read it is for nobody, not for all. */
static int meta_of_owner(const struct offer *o, struct meta *of, struct err *e)
{
	char path[sizeof(o->name) + 8], *at;
	int r;

	snprintf(path, sizeof(path), "%s", o->name);
	at = strchr(path, '@');
	snprintf(at, sizeof(path) - (size_t)(at - path), ".meta");
	r = meta_read(o->dirfd, path, of, e);
	return r == -ENOENT ? err_set(e, ENOENT, "there is no %s, which says whose it is", path) : r;
}

static int read_clients(const struct offer *o, const struct meta *own, char ***clients, struct err *e)
{
	char text[META_MORE_MAX];
	const struct meta *m = own;
	struct meta of;

	*clients = NULL;
	if (strchr(o->name, '@')) {
		m = &of;
		if (meta_of_owner(o, &of, e))
			return -e->code;
	}
	meta_get(m, "clients", text, sizeof(text));
	*clients = *text ? split_clients(text) : strings_copy(o->conf.clients);
	if (!*clients && (*text || o->conf.clients))
		return err_set(e, ENOMEM, "no memory for volume %s", o->name);
	return 0;
}

/* What a volume of a pool has in its meta besides its identity. */
static int read_more(struct offer *o, struct volume *v, char ***clients, uint64_t *taken, struct err *e)
{
	char text[META_TIME], label[META_LABEL];
	struct meta m;
	int r = meta_read(o->dirfd, o->meta, &m, e);

	if (r && r != -ENOENT)
		return r;
	meta_get(&m, "label", label, sizeof(label));
	registry_set_label(o->server->registry, v, label);
	o->shares = meta_get(&m, "shares", text, sizeof(text));
	throttle_load(v, &m);
	*taken = meta_get(&m, "taken", text, sizeof(text)) ? meta_time(text) : 0;
	schedule_read(v, &m);
	return read_clients(o, &m, clients, e);
}

void offer_reread(struct offer *o)
{
	struct err e = { 0 };
	char **clients;
	uint64_t taken;

	if (!o->volume)
		return;
	if (read_more(o, o->volume, &clients, &taken, &e) < 0) {
		log_error("volume", "%s: %s: its clients stay as they were", o->name, e.text);
		return;
	}
	registry_update(o->server->registry, o->volume, &(struct volume_attributes){
		clients, o->conf.read_only, o->conf.av, o->order });
}

static struct volume *make(struct offer *o, struct err *e)
{
	struct volume_setup setup = {
		.name = o->name,
		.path = o->file,
		.dirfd = o->dirfd,
		.pool = o->pool,
		.directory = o->directory,
		.dir = o->dir,
		.read_only = o->conf.read_only,
		.shared = o->conf.shared,
		.snapshot = o->snapshot,
	};
	struct volume *v = volume_open(o->server, &setup, e);

	if (!v)
		return NULL;
	v->order = o->order;
	v->av = o->conf.av;
	o->identified = identity_time(o);
	if (lock_volume(o, v, e) < 0 || identify(o, v, e) < 0)
		goto fail;
	if (o->pool && read_more(o, v, &v->clients, &v->taken, e) < 0)
		goto fail;
	if (!o->pool && o->conf.clients && !(v->clients = strings_copy(o->conf.clients))) {
		err_set(e, ENOMEM, "no memory for volume %s", o->name);
		goto fail;
	}
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

/* Was the identity of a shared volume changed, by another server or by hand? */
static bool is_same_identity(struct offer *o)
{
	struct timespec now = identity_time(o);
	struct err e = { 0 };
	struct meta m;

	if (now.tv_sec == o->identified.tv_sec && now.tv_nsec == o->identified.tv_nsec)
		return true;
	if (o->volume->device || meta_read(o->dirfd, o->meta, &m, &e) < 0)
		return true;		/* it is being replaced, or gone: what we know stays so */
	o->identified = now;
	return m.generation == o->volume->generation &&
	       memcmp(m.uuid, o->volume->uuid, sizeof(m.uuid)) == 0;
}

static void check_size(struct offer *o, const struct volume_origin *now)
{
	struct volume *v = o->volume;
	uint64_t size = volume_whole(v, now->bytes);

	if ((v->device && volume_size_now(v, &size) < 0) || size == atomic_load(&v->size))
		return;
	atomic_store(&v->size, size);
	registry_resized(o->server->registry, v);
}

/* The owner of a shared pool changes no volume under another server's clients (catalog.c). */
static void mark_open(struct offer *o)
{
	bool open = atomic_load(&o->volume->opens) > 0;

	if (!o->pool || !o->conf.shared || open == o->marked)
		return;
	lock_mark(o->volume->fd, o->server->id, open);
	o->marked = open;
}

/* The file, or its identity, is new to us: offered in place of what the name stood for. */
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
	o->marked = false;
	o->complaint[0] = v ? 0 : o->complaint[0];
	if (!v)
		complain(o, &e);
	if (!v && old)
		clients_announce(o->server->clients, WIRE_EVENT_VOLUME_REMOVED, old);
	if (old)
		volume_put(old);
}

void offer_renew(struct offer *o)
{
	renew(o);
	if (o->volume)
		offer_saw(o, o->volume->origin.bytes, o->volume->origin.blocks);
}

void offer_saw(struct offer *o, uint64_t bytes, uint64_t blocks)
{
	o->bytes = bytes;
	o->blocks = blocks;
	if (o->volume)
		atomic_store_explicit(&o->volume->allocated, blocks, memory_order_relaxed);
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
		return;
	}
	o->changed = false;
	if (is_same_file(o, &now) && is_same_identity(o))
		check_size(o, &now);
	else
		renew(o);
	offer_saw(o, now.bytes, now.blocks);
	if (o->volume)
		mark_open(o);
}
