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
#include "meta.h"
#include "pool.h"
#include "registry.h"
#include "server.h"
#include "text.h"

/* A directory's time of change has the resolution of the kernel's tick at best;
 * for that long after a change it is read again. */
#define RECENT (2 * SECOND)
/* So many volumes are looked at each time.  Of more, only those that are used or are another
 * file than before; the others take turns. */
#define LOOK_AT 1000
#define IDENTIFY_AT 500
#define FIRST_ROOM 64

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
	/* What the owner before this one was in the middle of; another change would take its place in the
	 * journal. */
	if (catalog_recover(p, &e) < 0) {
		log_error("pool", "%s: %s%s%s", p->name, e.text, e.next[0] ? "; " : "", e.next);
		p->unfinished = true;
	}
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
	} else if (pool_place_open(p, e) == 0 && take_lock(p, wait, e) == 0 && (p->shared || catalog_recover(p, e) == 0)) {
		pool_place_note(p);
		pool_find_abilities(p);
		between_join(p);
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

/*
 * The offers, by name.
 */
static struct offer **name_chain(const struct pool *p, const char *name)
{
	return &p->names[hash_place(name, strlen(name), p->name_room)];
}

struct offer *pool_offer(struct pool *p, const char *name)
{
	struct offer *o = p->name_room ? *name_chain(p, name) : NULL;

	while (o && strcmp(o->name, name) != 0)
		o = o->next_name;
	return o;
}

static void link_name(struct pool *p, struct offer *o)
{
	struct offer **chain = name_chain(p, o->name);

	o->next_name = *chain;
	*chain = o;
}

/* Room for one more; -ENOMEM leaves all as it was. */
static int make_room(struct pool *p)
{
	size_t room = p->name_room ? 2 * p->name_room : FIRST_ROOM;
	struct offer **names;

	if (p->offer_count < p->name_room)
		return 0;
	names = calloc(room, sizeof(*names));
	if (!names)
		return -ENOMEM;
	free(p->names);
	p->names = names;
	p->name_room = room;
	for (struct offer *o = p->offers; o; o = o->next)
		link_name(p, o);
	return 0;
}

/* It is withdrawn and gone. */
static void drop_offer(struct pool *p, struct offer **at)
{
	struct offer *o = *at, **chain = name_chain(p, o->name);

	while (*chain != o)
		chain = &(*chain)->next_name;
	*chain = o->next_name;
	*at = o->next;
	p->offer_count--;
	offer_free(o);
}

void pool_close(struct pool *p)
{
	pthread_mutex_lock(&p->catalog);
	p->closed = true;
	between_leave(p);	/* not before: a change of several may be under way */
	while (p->offers)
		drop_offer(p, &p->offers);
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
	free(p->names);
	free(p->path);
	free(p);
}

/* NULL: no memory; the next look tries again. */
static struct offer *add_offer(struct pool *p, const char *name)
{
	char raw[CATALOG_PATH_MAX], meta[CATALOG_PATH_MAX];
	struct offer *o;

	catalog_path(name, CATALOG_RAW, raw);
	catalog_path(name, CATALOG_META, meta);
	o = make_room(p) < 0 ? NULL : offer_new(p->server, name, p->dirfd, raw, meta);
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
	p->offer_count++;
	link_name(p, o);
	return o;
}

/* A file that was replaced has another inode most of the time; else its turn shows it. */
static void see(struct pool *p, const char *name, ino_t inode)
{
	struct offer *o = pool_offer(p, name);

	if (!o)
		o = add_offer(p, name);
	if (!o)
		return;
	o->seen = true;
	o->changed |= o->volume && o->volume->origin.inode != inode;
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

static void see_file(struct pool *p, const struct dirent *file)
{
	char name[NAME_MAX + 1];

	if (!raw_name(file->d_name, name))
		return;
	if (conf_name_valid(name))
		see(p, name, file->d_ino);
	else
		log_debug("pool", "%s: %s is not a name for a volume", p->name, file->d_name);
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
	struct offer *o = pool_offer(p, name), **at = &p->offers;

	if (!o)
		return;
	while (*at != o)
		at = &(*at)->next;
	drop_offer(p, at);
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
		if ((*at)->seen)
			at = &(*at)->next;
		else
			drop_offer(p, at);
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
		see(p, name, entry->d_ino);
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
		see_file(p, entry);
	/* Half a list must not withdraw the other half. */
	if (errno)
		log_error("pool", "%s: cannot read %s: %s", p->name, p->path, strerror(errno));
	else
		drop_unseen(p);
	closedir(d);
	if (!p->snapshots_seen && !p->shared)
		see_snapshots(p);
}

/* Where very many files are new none of them waits for its own to be on the disk. */
static void identify_many(struct pool *p)
{
	struct meta_of *list;
	size_t n = 0;
	int r;

	for (struct offer *o = p->offers; o; o = o->next)
		n += !o->volume && !o->snapshot;
	list = n >= IDENTIFY_AT && pool_owner(p) ? calloc(n, sizeof(*list)) : NULL;
	if (!list)
		return;
	n = 0;
	for (struct offer *o = p->offers; o; o = o->next)
		if (!o->volume && !o->snapshot)
			list[n++] = (struct meta_of){ o->file, o->meta };
	r = meta_identify_many(p->dirfd, list, n);
	if (r < 0)
		log_warning("pool", "%s: cannot give %zu new volumes their identities at once: %s", p->name, n, strerror(-r));
	free(list);
}

/* How many are volumes. */
static unsigned look_at_offers(struct pool *p)
{
	size_t from = p->next_look < p->offer_count ? p->next_look : 0, i = 0;
	unsigned n = 0;

	for (struct offer *o = p->offers; o; o = o->next, i++) {
		if ((i >= from && i < from + LOOK_AT) || !o->volume || o->changed || atomic_load(&o->volume->opens))
			offer_check(o);
		n += o->volume && !o->snapshot;
	}
	p->next_look = from + LOOK_AT;
	return n;
}

static void look(struct pool *p)
{
	uint64_t now = clock_now();
	struct stat st;

	take_clients(p);
	if (!pool_owner(p))
		try_to_own(p);
	if (fstat(p->dirfd, &st) == 0 &&
	    (st.st_mtim.tv_sec != p->changed.tv_sec || st.st_mtim.tv_nsec != p->changed.tv_nsec)) {
		p->changed = st.st_mtim;
		p->scanned = now;
	}
	if (now <= p->scanned + RECENT) {
		scan(p);
		identify_many(p);
	}
	atomic_store(&p->volumes, look_at_offers(p));
	pool_look_at_space(p, now);
}

void pool_look(struct pool *p)
{
	struct err e = { 0 };
	int r = 0;

	pthread_mutex_lock(&p->catalog);
	/* Names between two states are nobody's to look at. */
	if (p->unfinished && catalog_finish(p, &e) < 0) {
		pool_trouble(p, POOL_WAITING, e.text);
		pool_look_at_space(p, clock_now());
		pthread_mutex_unlock(&p->catalog);
		return;
	}
	if (p->waits)
		r = catalog_settle(p, &e);
	if (r)
		pool_trouble(p, POOL_WAITING, e.text);
	else if (pool_place_check(p, &e) < 0)
		pool_trouble(p, POOL_LOST, e.text);
	else
		pool_trouble(p, POOL_OK, "");
	look(p);
	pthread_mutex_unlock(&p->catalog);
}
