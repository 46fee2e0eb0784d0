/* pool.c - see pool.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog_impl.h"
#include "lock.h"
#include "log.h"
#include "pool.h"
#include "registry.h"
#include "server.h"
#include "text.h"

/* A directory's time of change has the resolution of the kernel's tick at best;
 * for that long after a change it is read again. */
#define RECENT (2 * SECOND)

/* The other servers of a shared pool must be able to lock. */
static void open_to_group(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 0660) != 0660)
		fchmod(fd, st.st_mode | 0660);
}

static int take_lock(struct pool *p, double wait, struct err *e)
{
	char what[CONF_NAME_MAX + 300];

	p->lock = openat(p->dirfd, ".rsio.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (p->lock < 0)
		return err_sys(e, errno, "cannot open %s/.rsio.lock", p->path);
	snprintf(what, sizeof(what), "[pool %s]: %s", p->name, p->path);
	if (!p->shared)
		return lock_take(p->lock, true, wait, what, e);
	open_to_group(p->lock);
	return lock_take_shared(p->lock, true, p->server->id, wait, what, e);
}

void pool_owner_name(struct pool *p, char out[CONF_NAME_MAX + 1])
{
	pthread_mutex_lock(&p->owner_lock);
	memcpy(out, p->owner_name, sizeof(p->owner_name));
	pthread_mutex_unlock(&p->owner_lock);
}

static void set_owner_name(struct pool *p, const char *name)
{
	pthread_mutex_lock(&p->owner_lock);
	snprintf(p->owner_name, sizeof(p->owner_name), "%.*s", CONF_NAME_MAX, name);
	pthread_mutex_unlock(&p->owner_lock);
}

/* The owner's name is in the lock's file, for people. */
static void look_who(struct pool *p)
{
	char text[CONF_NAME_MAX + 3];
	ssize_t n = pread(p->lock, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	if (!conf_name_valid(text) || strcmp(text, p->owner_name) == 0)
		return;
	set_owner_name(p, text);
	log_info("pool", "%s: server %s is its owner", p->name, text);
}

static void try_to_own(struct pool *p)
{
	char text[CONF_NAME_MAX + 3];
	int n, r = lock_byte(p->lock, LOCK_OWNER, true);
	struct err e = { 0 };

	if (r) {
		look_who(p);
		return;
	}
	n = snprintf(text, sizeof(text), "%s\n", p->server->name);
	if (ftruncate(p->lock, 0) < 0 || pwrite(p->lock, text, (size_t)n, 0) != n)
		log_warning("pool", "%s: cannot write into .rsio.lock who its owner is: %s", p->name, strerror(errno));
	set_owner_name(p, p->server->name);
	log_info("pool", "%s: this server is its owner now", p->name);
	/* What the owner before this one was in the middle of. */
	if (catalog_recover(p, &e) < 0)
		log_error("pool", "%s: %s%s%s", p->name, e.text, e.next[0] ? "; " : "", e.next);
	atomic_store(&p->owner, true);
}

struct pool *pool_open(struct server *s, const struct conf_pool *conf, double wait, struct err *e)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (!p) {
		err_set(e, ENOMEM, "no memory for pool %s", conf->name);
		return NULL;
	}
	p->server = s;
	p->lock = -1;
	p->shared = conf->shared;
	atomic_init(&p->refs, 1);
	atomic_init(&p->owner, !conf->shared);
	atomic_init(&p->overcommit, conf->overcommit);
	pthread_mutex_init(&p->catalog, NULL);
	pthread_mutex_init(&p->owner_lock, NULL);
	snprintf(p->name, sizeof(p->name), "%s", conf->name);
	p->path = strdup(conf->path);
	p->clients = strings_copy(conf->clients);
	if (!p->path || (conf->clients && !p->clients)) {
		err_set(e, ENOMEM, "no memory for pool %s", conf->name);
		p->dirfd = -1;
		pool_close(p);
		return NULL;
	}
	p->dirfd = open(conf->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dirfd < 0) {
		err_sys(e, errno, "[pool %s]: cannot open %s", conf->name, conf->path);
		if (errno == ENOENT)
			err_next(e, "make the directory, or mend 'path'");
	} else if (!(p->dir = volume_dir_new(p->dirfd))) {
		err_set(e, ENOMEM, "no memory for pool %s", conf->name);
		close(p->dirfd);
	} else if (take_lock(p, wait, e) == 0 && (p->shared || catalog_recover(p, e) == 0)) {
		pool_find_abilities(p);
		return p;
	}
	pool_close(p);
	return NULL;
}

struct pool *pool_get(struct pool *p)
{
	atomic_fetch_add(&p->refs, 1);
	return p;
}

void pool_close(struct pool *p)
{
	pthread_mutex_lock(&p->catalog);
	p->closed = true;
	while (p->offers) {
		struct offer *o = p->offers;

		p->offers = o->next;
		offer_free(o);
	}
	pthread_mutex_unlock(&p->catalog);
	pool_put(p);
}

void pool_put(struct pool *p)
{
	if (atomic_fetch_sub(&p->refs, 1) != 1)
		return;
	if (p->lock >= 0)
		close(p->lock);
	volume_dir_put(p->dir);
	pthread_mutex_destroy(&p->owner_lock);
	pthread_mutex_destroy(&p->catalog);
	strings_free(p->clients);
	strings_free(p->next_clients);
	free(p->path);
	free(p);
}

struct offer *pool_offer(struct pool *p, const char *name)
{
	struct offer *o;

	for (o = p->offers; o; o = o->next)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

/* NULL: no memory; the next look tries again. */
static struct offer *add_offer(struct pool *p, const char *name)
{
	char raw[CATALOG_PATH_MAX], meta[CATALOG_PATH_MAX];
	struct offer *o;

	catalog_path(name, CATALOG_RAW, raw);
	catalog_path(name, CATALOG_META, meta);
	o = offer_new(p->server, name, p->dirfd, raw, meta);
	if (!o)
		return NULL;
	o->conf.clients = strings_copy(p->clients);
	if (p->clients && !o->conf.clients) {
		offer_free(o);
		return NULL;
	}
	o->pool = p->name;
	o->dir = p->dir;
	o->owned = &p->owner;
	o->conf.shared = p->shared;
	o->snapshot = o->conf.read_only = strchr(name, '@');
	o->directory = p->path;
	o->order = REGISTRY_POOL_ORDER;
	o->next = p->offers;
	p->offers = o;
	return o;
}

static void see(struct pool *p, const char *name)
{
	struct offer *o = pool_offer(p, name);

	if (!o)
		o = add_offer(p, name);
	if (o)
		o->seen = true;
}

/* A directory's entry: the name before ".raw", or false. */
static bool raw_name(const char *file, char out[NAME_MAX + 1])
{
	size_t length = strlen(file);

	if (length <= 4 || strcmp(file + length - 4, ".raw") != 0)
		return false;
	snprintf(out, NAME_MAX + 1, "%.*s", (int)length - 4, file);
	return true;
}

static void see_file(struct pool *p, const char *file)
{
	char name[NAME_MAX + 1];

	if (!raw_name(file, name))
		return;
	if (conf_name_valid(name))
		see(p, name);
	else
		log_debug("pool", "%s: %s is not a name for a volume", p->name, file);
}

void pool_appeared(struct pool *p, const char *name)
{
	struct offer *o = pool_offer(p, name);

	if (!o)
		o = add_offer(p, name);
	if (o)
		offer_check(o);
}

void pool_vanished(struct pool *p, const char *name)
{
	for (struct offer **at = &p->offers; *at; at = &(*at)->next) {
		struct offer *o = *at;

		if (strcmp(o->name, name) != 0)
			continue;
		*at = o->next;
		offer_free(o);
		return;
	}
}

void pool_set_clients(struct pool *p, char *const *clients)
{
	char **copy = strings_copy(clients);

	if (clients && !copy) {
		log_error("pool", "%s: no memory for its list of clients: it stays as it was", p->name);
		return;
	}
	pthread_mutex_lock(&p->owner_lock);
	strings_free(p->next_clients);
	p->next_clients = copy;
	p->has_next = true;
	pthread_mutex_unlock(&p->owner_lock);
}

static void give_clients(struct pool *p, struct offer *o)
{
	char **mine = strings_copy(p->clients);

	if (p->clients && !mine) {
		log_error("pool", "%s: no memory for the clients of %s", p->name, o->name);
		return;
	}
	strings_free(o->conf.clients);
	o->conf.clients = mine;
	offer_reread(o);
}

static void take_clients(struct pool *p)
{
	char **next;
	bool any;

	pthread_mutex_lock(&p->owner_lock);
	any = p->has_next;
	next = p->next_clients;
	p->has_next = false;
	p->next_clients = NULL;
	pthread_mutex_unlock(&p->owner_lock);
	if (!any || strings_equal(next, p->clients)) {
		strings_free(next);
		return;
	}
	strings_free(p->clients);
	p->clients = next;
	for (struct offer *o = p->offers; o; o = o->next)
		give_clients(p, o);
}

static void drop_unseen(struct pool *p)
{
	struct offer **at = &p->offers;

	while (*at) {
		struct offer *o = *at;

		if (o->seen) {
			at = &o->next;
			continue;
		}
		*at = o->next;
		offer_free(o);
	}
}

static DIR *open_dir(const struct pool *p, const char *path)
{
	int fd = openat(p->dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

static void see_snapshots_of(struct pool *p, const char *volume)
{
	char path[CATALOG_PATH_MAX], snapshot[NAME_MAX + 1], name[CATALOG_NAME_MAX];
	struct dirent *entry;
	DIR *d;

	snprintf(path, sizeof(path), CATALOG_SNAPSHOTS "/%.*s", CONF_NAME_MAX, volume);
	d = open_dir(p, path);
	while (d && (entry = readdir(d))) {
		if (!raw_name(entry->d_name, snapshot) || !conf_name_valid(snapshot))
			continue;
		snprintf(name, sizeof(name), "%.*s@%.*s", CONF_NAME_MAX, volume, CONF_NAME_MAX, snapshot);
		see(p, name);
	}
	if (d)
		closedir(d);
}

/* Once: from then on whoever makes one tells of it. */
static void see_snapshots(struct pool *p)
{
	DIR *d = open_dir(p, CATALOG_SNAPSHOTS);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (conf_name_valid(entry->d_name))
			see_snapshots_of(p, entry->d_name);
	if (d)
		closedir(d);
	p->snapshots_seen = true;
}

static void scan(struct pool *p)
{
	DIR *d = open_dir(p, ".");
	struct dirent *entry;

	if (!d) {
		log_error("pool", "%s: cannot read %s: %s", p->name, p->path, strerror(errno));
		return;
	}
	for (struct offer *o = p->offers; o; o = o->next)
		o->seen = o->snapshot;
	errno = 0;
	while ((entry = readdir(d)))
		see_file(p, entry->d_name);
	/* Half a list must not withdraw the other half. */
	if (errno)
		log_error("pool", "%s: cannot read %s: %s", p->name, p->path, strerror(errno));
	else
		drop_unseen(p);
	closedir(d);
	if (!p->snapshots_seen && !p->shared)
		see_snapshots(p);
}

static void look(struct pool *p)
{
	uint64_t now = clock_now();
	struct stat st;
	unsigned n = 0;

	take_clients(p);
	if (!pool_owner(p))
		try_to_own(p);
	if (fstat(p->dirfd, &st) == 0 &&
	    (st.st_mtim.tv_sec != p->changed.tv_sec || st.st_mtim.tv_nsec != p->changed.tv_nsec)) {
		p->changed = st.st_mtim;
		p->scanned = now;
	}
	if (now <= p->scanned + RECENT)
		scan(p);
	for (struct offer *o = p->offers; o; o = o->next) {
		offer_check(o);
		n += o->volume && !o->snapshot;
	}
	atomic_store(&p->volumes, n);
	pool_look_at_space(p, now);
}

void pool_look(struct pool *p)
{
	struct err e = { 0 };

	pthread_mutex_lock(&p->catalog);
	/* Names between two states are nobody's to look at. */
	if (!p->unfinished || catalog_finish(p, &e) == 0)
		look(p);
	pthread_mutex_unlock(&p->catalog);
}
