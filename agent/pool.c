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

/* A directory's time of change has the resolution of the kernel's tick at best;
 * for that long after a change it is read again. */
#define RECENT (2 * SECOND)
#define SPACE_EVERY (5 * SECOND)

static int take_lock(struct pool *p, double wait, struct err *e)
{
	p->lock = openat(p->dirfd, ".rsio.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (p->lock < 0)
		return err_sys(e, errno, "cannot open %s/.rsio.lock", p->path);
	return lock_take(p->lock, true, wait, p->path, e);
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
	snprintf(p->name, sizeof(p->name), "%s", conf->name);
	p->path = strdup(conf->path);
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
		o->pool = p->name;
		o->directory = p->path;
		o->order = REGISTRY_POOL_ORDER;
		o->next = p->offers;
		p->offers = o;
	}
	o->seen = true;
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
