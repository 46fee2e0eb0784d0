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
#include "watch_impl.h"

#define LOOK_EVERY_MS 250
#define WATCH_STACK (256u << 10)

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

/* What opening needs of it; to be freed with free_conf.  NULL: no memory. */
static void free_conf(struct conf_pool *c)
{
	if (!c)
		return;
	free(c->path);
	strings_free(c->clients);
	free(c);
}

static struct conf_pool *copy_conf(const struct conf_pool *from)
{
	struct conf_pool *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	*c = *from;
	c->manage = NULL;
	c->path = strdup(from->path);
	c->clients = strings_copy(from->clients);
	if (c->path && (c->clients || !from->clients))
		return c;
	free_conf(c);
	return NULL;
}

static const char *watched_pool(const struct watcher *k)
{
	return k->pool ? k->pool->name : k->to_open ? k->to_open->name : NULL;
}

/* A pool that is open, or one to be opened, or neither: the sections. */
static struct watcher *add_watcher(struct watch *w, struct pool *p, const struct conf_pool *to_open)
{
	struct watcher *k = calloc(1, sizeof(*k)), **end = &w->watchers;

	if (!k)
		return NULL;
	k->watch = w;
	k->pool = p;
	if (to_open && !(k->to_open = copy_conf(to_open))) {
		free(k);
		return NULL;
	}
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
		if (!add_watcher(w, p, NULL)) {
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
	k = add_watcher(w, NULL, NULL);
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

static bool wanted(const char *name, const char *path, const struct conf_server *conf)
{
	for (size_t i = 0; i < conf->pool_count; i++)
		if (strcmp(name, conf->pools[i].name) == 0 && strcmp(path, conf->pools[i].path) == 0)
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

/*
 * Shown to others only with what the newest configuration says of it.  That is in place before
 * watch_apply goes through the watchers: a pool that is there by then is changed by that, and
 * one that comes later has read it here.
 */
static bool publish(struct watcher *k, struct pool *p)
{
	struct server *s = k->watch->server;
	bool keep;

	pthread_mutex_lock(&k->watch->lock);
	pthread_rwlock_rdlock(&s->conf_lock);
	keep = !k->stop && wanted(p->name, p->path, s->conf);
	if (keep) {
		change_pool(p, s->conf);
		k->pool = p;
	}
	pthread_rwlock_unlock(&s->conf_lock);
	pthread_mutex_unlock(&k->watch->lock);
	return keep;
}

/* False: it is not there, or not wanted any more. */
static bool open_late(struct watcher *k)
{
	struct server *s = k->watch->server;
	struct err e = { 0 };
	struct pool *p;

	/* Where its file system hangs, that is the last that is heard of it. */
	log_info("pool", "%s: %s is being opened", k->to_open->name, k->to_open->path);
	bounds_check_pool(s->bounds, k->to_open->name, k->to_open->path);
	p = pool_open(s, k->to_open, 0, &e);
	if (!p)
		log_error("pool", "%s: not opened: %s", k->to_open->name, e.text);
	if (!p || publish(k, p))
		return p;
	if (!atomic_load(&s->leaving))
		log_info("pool", "%s: no longer in the configuration", p->name);
	pool_close(p);
	return false;
}

static void end_watcher(struct watcher *k)
{
	unlink_watcher(k);
	if (k->pool)
		pool_close(k->pool);
	free_conf(k->to_open);
	free(k);
}

static void *watch_thread(void *arg)
{
	struct watcher *k = arg;

	pthread_setname_np(pthread_self(), "rssrv-watch");
	if (k->to_open && !open_late(k)) {
		end_watcher(k);
		return NULL;
	}
	while (!wait_for_next(k))
		look(k);
	if (!k->pool || atomic_load(&k->watch->server->leaving))
		return NULL;		/* the process ends: what is offered stays so */
	log_info("pool", "%s: no longer in the configuration", k->pool->name);
	end_watcher(k);
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
	return r ? err_sys(e, r, "cannot start a thread to watch %s", watched_pool(k) ? watched_pool(k) : "volumes") : 0;
}

int watch_start(struct watch *w, struct err *e)
{
	int r = 0;

	for (struct watcher *k = w->watchers; k && !r; k = k->next)
		r = start(k, e);
	return r;
}

/* Not opened here: this is the control loop. */
static void add_new_pools(struct watch *w, const struct conf_server *conf)
{
	for (size_t i = 0; i < conf->pool_count; i++) {
		const struct conf_pool *c = &conf->pools[i];
		struct err e = { 0 };
		struct watcher *k;
		bool have = false;

		pthread_mutex_lock(&w->lock);
		for (k = w->watchers; k; k = k->next)
			have |= watched_pool(k) && !k->stop && strcmp(watched_pool(k), c->name) == 0;
		pthread_mutex_unlock(&w->lock);
		if (have)
			continue;
		k = add_watcher(w, NULL, c);
		if (!k)
			err_set(&e, ENOMEM, "no memory");
		if (k && start(k, &e) == 0)
			continue;
		log_error("pool", "%s: not opened: %s", c->name, e.text);
		if (k)
			end_watcher(k);
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
			k->stop |= !wanted(k->pool->name, k->pool->path, conf);
			change_pool(k->pool, conf);
			continue;
		}
		if (k->to_open) {
			k->stop |= !wanted(k->to_open->name, k->to_open->path, conf);
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
