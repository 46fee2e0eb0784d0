/* watch.c - see watch.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "bounds.h"
#include "log.h"
#include "offer.h"
#include "lock.h"
#include "pool.h"
#include "registry.h"
#include "text.h"
#include "watch.h"

#define LOOK_EVERY_MS 250
#define WATCH_STACK (256u << 10)

/* What one thread looks after: a pool, or the [volume] sections. */
struct watcher {
	struct watcher *next;
	struct watch *watch;
	struct pool *pool;		/* NULL: the sections */
	struct offer *offers;		/* sections: the thread's own */
	struct offer *pending;		/* sections: what they are to become; under watch->lock */
	unsigned pending_of;		/* of which configuration that is */
	bool has_pending;
	bool stop;			/* under watch->lock */
};

struct watch {
	struct server *server;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct watcher *watchers;	/* the sections first */
	pthread_mutex_t newest_lock;	/* of newest, and while what belongs to it is given to volumes */
	unsigned newest;		/* configuration; counts */
};

static bool same_section(const struct offer *a, const struct offer *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->file, b->file) == 0 &&
	       a->conf.shared == b->conf.shared && a->conf.has_uuid == b->conf.has_uuid &&
	       memcmp(a->conf.uuid, b->conf.uuid, sizeof(a->conf.uuid)) == 0;
}

/*
 * WHO MAY.  A thread that looks at files may hang in one of them.  What a client loses with
 * a new configuration it loses at once, also of other volumes, so the control loop gives
 * [volume]s their new attributes itself (apply_sections), from what it has in memory.  A
 * watcher that comes back with an older configuration must not give anything back: it
 * asks whether its own is the newest, and holds newest_lock until it has acted on that.
 */
static void give_attributes(struct server *s, struct volume *v, const struct conf_volume *conf, int order)
{
	struct volume_attributes a = { strings_copy(conf->clients), conf->read_only, conf->av, order };

	if (conf->clients && !a.clients)
		log_error("volume", "%s: no memory for its new attributes", v->name);
	else
		registry_update(s->registry, v, &a);
}

/* Keeps what is offered already; only its attributes change. */
static void adopt(struct watch *w, struct offer *now, struct offer **old, unsigned of)
{
	for (; *old; old = &(*old)->next) {
		struct offer *o = *old;

		if (!same_section(now, o))
			continue;
		*old = o->next;
		now->volume = o->volume;
		if (now->volume) {
			char *meta = now->meta;

			now->placed = o->placed;
			now->meta = o->meta;
			o->meta = meta;
		}
		o->volume = NULL;
		offer_free(o);
		if (!now->volume)
			return;
		pthread_mutex_lock(&w->newest_lock);
		if (of == w->newest)
			give_attributes(now->server, now->volume, &now->conf, now->order);
		pthread_mutex_unlock(&w->newest_lock);
		return;
	}
}

static void take_pending(struct watcher *k)
{
	struct offer *now = NULL, *old = k->offers, *next;
	unsigned of = 0;
	bool any;

	pthread_mutex_lock(&k->watch->lock);
	any = k->has_pending;
	if (any) {
		now = k->pending;
		of = k->pending_of;
	}
	k->has_pending = false;
	k->pending = NULL;
	pthread_mutex_unlock(&k->watch->lock);
	if (!any)
		return;
	for (struct offer *o = now; o; o = o->next)
		adopt(k->watch, o, &old, of);
	for (; old; old = next) {
		next = old->next;
		offer_free(old);
	}
	k->offers = now;
}

/* A device has no place beside it that lasts.  Several servers may share a state directory. */
static void place_meta(struct offer *o)
{
	struct server *s = o->server;
	struct stat st;
	char *path;
	int n;

	o->placed = true;
	bounds_check_volume(s->bounds, o->name, o->file);
	if (stat(o->file, &st) < 0 || !S_ISBLK(st.st_mode))
		return;
	pthread_rwlock_rdlock(&s->conf_lock);
	n = asprintf(&path, "%s/%s:%s:%s.rsio", s->state_dir, s->conf->namespace, s->conf->server, o->name);
	pthread_rwlock_unlock(&s->conf_lock);
	if (n < 0) {
		o->placed = false;
		return;
	}
	free(o->meta);
	o->meta = path;
}

static bool has_pending(struct watcher *k)
{
	bool has;

	pthread_mutex_lock(&k->watch->lock);
	has = k->has_pending;
	pthread_mutex_unlock(&k->watch->lock);
	return has;
}

static void look(struct watcher *k)
{
	if (k->pool) {
		pool_look(k->pool);
		return;
	}
	take_pending(k);
	for (struct offer *o = k->offers; o && !has_pending(k); o = o->next) {
		if (!o->placed)
			place_meta(o);
		if (o->placed)
			offer_check(o);
	}
}

/* Without a look at the file: this is the control loop. */
static struct offer *section_offer(struct server *s, const struct conf_server *conf, int order)
{
	const struct conf_volume *v = &conf->volumes[order];
	struct offer *o;
	char *meta;

	if (asprintf(&meta, "%s.rsio", v->path) < 0)
		return NULL;
	o = offer_new(s, v->name, AT_FDCWD, v->path, meta);
	free(meta);
	if (!o)
		return NULL;
	o->conf = *v;
	o->conf.path = NULL;		/* o->file is the offer's own */
	o->conf.clients = strings_copy(v->clients);
	o->order = order;
	if (v->clients && !o->conf.clients) {
		offer_free(o);
		return NULL;
	}
	return o;
}

static struct offer *section_offers(struct server *s, const struct conf_server *conf)
{
	struct offer *first = NULL, **end = &first;

	for (size_t i = 0; i < conf->volume_count; i++) {
		*end = section_offer(s, conf, (int)i);
		if (*end)
			end = &(*end)->next;
		else
			log_error("volume", "%s: no memory to offer it", conf->volumes[i].name);
	}
	return first;
}

static struct watcher *add_watcher(struct watch *w, struct pool *p)
{
	struct watcher *k = calloc(1, sizeof(*k)), **end = &w->watchers;

	if (!k)
		return NULL;
	k->watch = w;
	k->pool = p;
	pthread_mutex_lock(&w->lock);
	while (*end)
		end = &(*end)->next;
	*end = k;
	pthread_mutex_unlock(&w->lock);
	return k;
}

static int open_pools(struct watch *w, const struct conf_server *conf, struct err *e)
{
	for (size_t i = 0; i < conf->pool_count; i++) {
		struct pool *p = pool_open(w->server, &conf->pools[i], LOCK_WAIT, e);

		if (!p)
			return -e->code;
		if (!add_watcher(w, p)) {
			err_set(e, ENOMEM, "no memory for pool %s", p->name);
			pool_close(p);
			return -e->code;
		}
	}
	return 0;
}

/* Before there are threads. */
static void watch_free(struct watch *w)
{
	struct watcher *k, *next;
	struct offer *o;

	for (k = w->watchers; k; k = next) {
		next = k->next;
		while ((o = k->offers)) {
			k->offers = o->next;
			offer_free(o);
		}
		if (k->pool)
			pool_close(k->pool);
		free(k);
	}
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	pthread_mutex_destroy(&w->newest_lock);
	free(w);
}

struct watch *watch_new(struct server *s, const struct conf_server *conf, struct err *e)
{
	struct watch *w = calloc(1, sizeof(*w));
	pthread_condattr_t attr;
	struct watcher *k;

	if (!w) {
		err_set(e, ENOMEM, "cannot start: no memory");
		return NULL;
	}
	w->server = s;
	pthread_mutex_init(&w->lock, NULL);
	pthread_mutex_init(&w->newest_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &attr);
	pthread_condattr_destroy(&attr);
	k = add_watcher(w, NULL);
	if (!k) {
		err_set(e, ENOMEM, "cannot start: no memory");
		watch_free(w);
		return NULL;
	}
	k->offers = section_offers(s, conf);
	if (open_pools(w, conf, e) < 0) {
		watch_free(w);
		return NULL;
	}
	offer_starting(true);
	for (k = w->watchers; k; k = k->next)
		look(k);
	offer_starting(false);
	return w;
}

/* True: time to stop. */
static bool wait_for_next(struct watcher *k)
{
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_EVERY_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&k->watch->lock);
	if (!k->stop && !k->has_pending)
		pthread_cond_timedwait(&k->watch->wake, &k->watch->lock, &until);
	stop = k->stop;
	pthread_mutex_unlock(&k->watch->lock);
	return stop;
}

static void unlink_watcher(struct watcher *k)
{
	struct watcher **at;

	pthread_mutex_lock(&k->watch->lock);
	for (at = &k->watch->watchers; *at != k; at = &(*at)->next)
		;
	*at = k->next;
	pthread_mutex_unlock(&k->watch->lock);
}

static void *watch_thread(void *arg)
{
	struct watcher *k = arg;

	pthread_setname_np(pthread_self(), "rssrv-watch");
	while (!wait_for_next(k))
		look(k);
	if (!k->pool || atomic_load(&k->watch->server->leaving))
		return NULL;		/* the process ends: what is offered stays so */
	log_info("pool", "%s: no longer in the configuration", k->pool->name);
	unlink_watcher(k);
	pool_close(k->pool);
	free(k);
	return NULL;
}

static int start(struct watcher *k, struct err *e)
{
	pthread_attr_t attr;
	pthread_t t;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WATCH_STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&t, &attr, watch_thread, k);
	pthread_attr_destroy(&attr);
	return r ? err_sys(e, r, "cannot start a thread to watch %s", k->pool ? k->pool->name : "volumes") : 0;
}

int watch_start(struct watch *w, struct err *e)
{
	int r = 0;

	for (struct watcher *k = w->watchers; k && !r; k = k->next)
		r = start(k, e);
	return r;
}

static bool wanted(const struct pool *p, const struct conf_server *conf)
{
	for (size_t i = 0; i < conf->pool_count; i++)
		if (strcmp(p->name, conf->pools[i].name) == 0 && strcmp(p->path, conf->pools[i].path) == 0)
			return true;
	return false;
}

/* Its lock is of the other kind when it is shared or not any more, and must not be given
 * back for a moment. */
static void change_pool(struct pool *p, const struct conf_server *conf)
{
	for (size_t i = 0; i < conf->pool_count; i++) {
		if (strcmp(p->name, conf->pools[i].name) != 0)
			continue;
		if (p->shared != conf->pools[i].shared)
			log_warning("pool", "%s: 'shared' changes only with a restart", p->name);
		pool_set_clients(p, conf->pools[i].clients);
		atomic_store(&p->overcommit, conf->pools[i].overcommit);
	}
}

static void add_new_pools(struct watch *w, const struct conf_server *conf)
{
	for (size_t i = 0; i < conf->pool_count; i++) {
		struct err e = { 0 };
		struct watcher *k;
		struct pool *p;
		bool have = false;

		pthread_mutex_lock(&w->lock);
		for (k = w->watchers; k; k = k->next)
			have |= k->pool && !k->stop && strcmp(k->pool->name, conf->pools[i].name) == 0;
		pthread_mutex_unlock(&w->lock);
		if (have)
			continue;
		p = pool_open(w->server, &conf->pools[i], 0, &e);
		k = p ? add_watcher(w, p) : NULL;
		if (!k || start(k, &e) < 0)
			log_error("pool", "%s: not opened: %s", conf->pools[i].name, e.text);
	}
}

static bool is_section(const struct volume *v)
{
	return !v->pool;
}

/* One that is not in the configuration any more, or is another file there, is nobody's until
 * its watcher has taken it away. */
static void apply_sections(struct server *s, const struct conf_server *conf)
{
	static char *nobody[] = { NULL };
	size_t n;
	struct volume **list = registry_all(s->registry, is_section, &n);

	for (size_t i = 0; i < n; i++) {
		struct conf_volume none = { .clients = nobody, .read_only = true };
		const struct conf_volume *now = &none;
		size_t k;

		for (k = 0; k < conf->volume_count && now == &none; k++)
			if (strcmp(conf->volumes[k].name, list[i]->name) == 0 &&
			    strcmp(conf->volumes[k].path, list[i]->path) == 0)
				now = &conf->volumes[k];
		give_attributes(s, list[i], now, now == &none ? list[i]->order : (int)k - 1);
		volume_put(list[i]);
	}
	free(list);
}

void watch_apply(struct watch *w, const struct conf_server *conf)
{
	struct offer *now = section_offers(w->server, conf), *unused = NULL, *next;
	unsigned newest;

	pthread_mutex_lock(&w->newest_lock);
	newest = ++w->newest;
	pthread_mutex_unlock(&w->newest_lock);
	apply_sections(w->server, conf);
	pthread_mutex_lock(&w->lock);
	for (struct watcher *k = w->watchers; k; k = k->next) {
		if (k->pool) {
			k->stop |= !wanted(k->pool, conf);
			change_pool(k->pool, conf);
			continue;
		}
		unused = k->pending;
		k->pending = now;
		k->pending_of = newest;
		k->has_pending = true;
	}
	pthread_cond_broadcast(&w->wake);
	pthread_mutex_unlock(&w->lock);
	for (; unused; unused = next) {
		next = unused->next;
		offer_free(unused);
	}
	add_new_pools(w, conf);
}

void watch_stop(struct watch *w)
{
	pthread_mutex_lock(&w->lock);
	for (struct watcher *k = w->watchers; k; k = k->next)
		k->stop = true;
	pthread_cond_broadcast(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

bool watch_pool_owned(struct watch *w, const char *name, bool *owned, char owner[CONF_NAME_MAX + 1])
{
	bool found = false;

	pthread_mutex_lock(&w->lock);
	for (struct watcher *k = w->watchers; k && !found; k = k->next) {
		if (!k->pool || k->stop || strcmp(k->pool->name, name) != 0)
			continue;
		found = true;
		*owned = pool_owner(k->pool);
		pool_owner_name(k->pool, owner);
	}
	pthread_mutex_unlock(&w->lock);
	return found;
}

struct pool *watch_pool(struct watch *w, const char *name)
{
	struct pool *found = NULL;

	pthread_mutex_lock(&w->lock);
	for (struct watcher *k = w->watchers; k && !found; k = k->next)
		if (k->pool && !k->stop && strcmp(k->pool->name, name) == 0)
			found = pool_get(k->pool);
	pthread_mutex_unlock(&w->lock);
	return found;
}

struct pool **watch_pools(struct watch *w, size_t *n)
{
	struct pool **list;
	size_t room = 0;

	*n = 0;
	pthread_mutex_lock(&w->lock);
	for (struct watcher *k = w->watchers; k; k = k->next)
		room += k->pool && !k->stop;
	list = room ? calloc(room, sizeof(struct pool *)) : NULL;
	for (struct watcher *k = w->watchers; list && k; k = k->next)
		if (k->pool && !k->stop)
			list[(*n)++] = pool_get(k->pool);
	pthread_mutex_unlock(&w->lock);
	return list;
}

json_t *watch_pools_json(struct watch *w)
{
	json_t *list = json_array();
	char owner[CONF_NAME_MAX + 1];

	pthread_mutex_lock(&w->lock);
	for (struct watcher *k = w->watchers; k; k = k->next) {
		if (!k->pool)
			continue;
		pool_owner_name(k->pool, owner);
		json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:s, s:i, s:I, s:I, s:I, s:I, s:s, s:b, s:b, s:s}",
			"name", k->pool->name, "path", k->pool->path, "shared", (int)k->pool->shared,
			"owner", k->pool->shared ? owner : w->server->name,
			"volumes", (int)atomic_load(&k->pool->volumes),
			"bytes", (json_int_t)atomic_load(&k->pool->bytes),
			"free", (json_int_t)atomic_load(&k->pool->bytes_free),
			"allocated", (json_int_t)atomic_load(&k->pool->allocated),
			"promised", (json_int_t)atomic_load(&k->pool->promised),
			"filesystem", k->pool->filesystem, "reflink", (int)k->pool->reflink,
			"overcommit", (int)atomic_load(&k->pool->overcommit),
			"state", pool_state_name(atomic_load(&k->pool->state))));
	}
	pthread_mutex_unlock(&w->lock);
	return list;
}
