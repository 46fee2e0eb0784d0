/* pool.c - see pool.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "lock.h"
#include "log.h"
#include "pool.h"
#include "registry.h"
#include "server.h"
#include "text.h"

/* A directory's time of change has the resolution of the kernel's tick at best;
 * for that long after a change it is read again. */
#define RECENT (2 * SECOND)
#define SPACE_EVERY (5 * SECOND)

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

	if (r) {
		look_who(p);
		return;
	}
	n = snprintf(text, sizeof(text), "%s\n", p->server->name);
	if (ftruncate(p->lock, 0) < 0 || pwrite(p->lock, text, (size_t)n, 0) != n)
		log_warning("pool", "%s: cannot write into .rsio.lock who its owner is: %s", p->name, strerror(errno));
	set_owner_name(p, p->server->name);
	log_info("pool", "%s: this server is its owner now", p->name);
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
	atomic_init(&p->owner, !conf->shared);
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
	} else if (p->path && take_lock(p, wait, e) == 0) {
		return p;
	}
	pool_close(p);
	return NULL;
}

void pool_close(struct pool *p)
{
	while (p->offers) {
		struct offer *o = p->offers;

		p->offers = o->next;
		offer_free(o);
	}
	if (p->lock >= 0)
		close(p->lock);
	if (p->dirfd >= 0)
		close(p->dirfd);
	pthread_mutex_destroy(&p->owner_lock);
	strings_free(p->clients);
	strings_free(p->next_clients);
	free(p->path);
	free(p);
}

static struct offer *find(struct pool *p, const char *name)
{
	struct offer *o;

	for (o = p->offers; o; o = o->next)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

static void see(struct pool *p, const char *file)
{
	char name[NAME_MAX + 1], meta[NAME_MAX + 8];
	size_t length = strlen(file);
	struct offer *o;

	if (length <= 4 || strcmp(file + length - 4, ".raw") != 0)
		return;
	snprintf(name, sizeof(name), "%.*s", (int)length - 4, file);
	if (!conf_name_valid(name)) {
		log_debug("pool", "%s: %s is not a name for a volume", p->name, file);
		return;
	}
	o = find(p, name);
	if (!o) {
		snprintf(meta, sizeof(meta), "%s.meta", name);
		o = offer_new(p->server, name, p->dirfd, file, meta);
		if (!o)
			return;		/* the next look tries again */
		o->conf.clients = strings_copy(p->clients);
		if (p->clients && !o->conf.clients) {
			offer_free(o);
			return;
		}
		o->pool = p->name;
		o->owned = &p->owner;
		o->conf.shared = p->shared;
		o->directory = p->path;
		o->order = REGISTRY_POOL_ORDER;
		o->next = p->offers;
		p->offers = o;
	}
	o->seen = true;
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
	char **mine = strings_copy(p->clients), **volumes = strings_copy(p->clients);

	if (p->clients && (!mine || !volumes)) {
		log_error("pool", "%s: no memory for the clients of %s", p->name, o->name);
		strings_free(mine);
		strings_free(volumes);
		return;
	}
	strings_free(o->conf.clients);
	o->conf.clients = mine;
	if (o->volume)
		registry_update(p->server->registry, o->volume, &(struct volume_attributes){
			volumes, o->conf.read_only, o->conf.av, o->order });
	else
		strings_free(volumes);
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

static void scan(struct pool *p)
{
	int fd = openat(p->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!d) {
		log_error("pool", "%s: cannot read %s: %s", p->name, p->path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct offer *o = p->offers; o; o = o->next)
		o->seen = false;
	errno = 0;
	while ((entry = readdir(d)))
		see(p, entry->d_name);
	/* Half a list must not withdraw the other half. */
	if (errno)
		log_error("pool", "%s: cannot read %s: %s", p->name, p->path, strerror(errno));
	else
		drop_unseen(p);
	closedir(d);
}

static void look_at_space(struct pool *p, uint64_t now)
{
	struct statvfs v;

	if (now < atomic_load(&p->looked) + SPACE_EVERY || fstatvfs(p->dirfd, &v) < 0)
		return;
	atomic_store(&p->bytes, (uint64_t)v.f_blocks * v.f_frsize);
	atomic_store(&p->bytes_free, (uint64_t)v.f_bavail * v.f_frsize);
	atomic_store(&p->looked, now);
}

void pool_look(struct pool *p)
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
		n += o->volume != NULL;
	}
	atomic_store(&p->volumes, n);
	look_at_space(p, now);
}
