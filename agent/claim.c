/* claim.c - see claim.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "claim.h"
#include "engine.h"
#include "log.h"
#include "others.h"
#include "secure.h"
#include "server.h"
#include "text.h"

/* An earlier session of this process that is over lets go within moments. */
#define OWN_TRIES 100
static const struct timespec own_pause = { 0, 10000000 };
/* Whoever runs another server of these volumes must be able to lock. */
#define DIR_MODE 0770
#define FILE_MODE 0660
#define SERVER_TEXT_MAX 128

#define LIFE_BITS 47
#define LIFE_MASK ((1ull << LIFE_BITS) - 1)

/*
 * Bytes.
 */
uint64_t claim_life(const uint8_t life[16])
{
	uint8_t hash[16];
	uint64_t n = 0;

	secure_id("rsio claim", life, 16, hash);
	for (int i = 0; i < 8; i++)
		n = n << 8 | hash[i];
	return n & LIFE_MASK;
}

int64_t claim_byte(uint64_t life, uint16_t server_id)
{
	return (int64_t)((life & LIFE_MASK) << CLAIM_ID_BITS | server_id);
}

unsigned claim_others(uint64_t life, struct claim_range out[2])
{
	unsigned n = 0;

	/* A length of 0 would mean all that follows. */
	if (life)
		out[n++] = (struct claim_range){ 0, claim_byte(life, 0) };
	if (life < LIFE_MASK)
		out[n++] = (struct claim_range){ claim_byte(life + 1, 0), 0 };
	return n;
}

static struct flock lock_of(struct claim_range r)
{
	return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = r.from, .l_len = r.length };
}

/* Is any byte of the range locked by another description?  1 with its number, 0 or -errno. */
static int find_lock(int fd, struct claim_range r, int64_t *byte)
{
	struct flock f = lock_of(r);

	if (fcntl(fd, F_OFD_GETLK, &f) < 0)
		return -errno;
	if (f.l_type == F_UNLCK)
		return 0;
	*byte = f.l_start > r.from ? f.l_start : r.from;
	return 1;
}

/*
 * Places.
 */
int claim_place_open(struct claim_place *p, int dirfd, int fd)
{
	char path[PATH_MAX];
	struct stat st;
	int r;

	if (dirfd != AT_FDCWD) {
		p->fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	} else {
		r = fd_path(fd, path);
		if (r < 0)
			return r;
		*strrchr(path, '/') = 0;
		p->fd = open(*path ? path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (p->fd < 0 || fstat(p->fd, &st) < 0)
		return -errno;
	r = fd_path(p->fd, path);
	if (r < 0)
		return r;
	p->path = strdup(path);
	if (!p->path)
		return -ENOMEM;
	p->device = st.st_dev;
	p->inode = st.st_ino;
	return 0;
}

void claim_place_close(struct claim_place *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	free(p->path);
	p->path = NULL;
}

/* The mode does not depend on the umask of whoever started us. */
static void set_mode(int fd, mode_t mode)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 0777) != mode)
		fchmod(fd, (st.st_mode & 07000) | mode);
}

static int open_directory(const struct claim_place *p, bool make)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(p->fd, CLAIM_DIR, flags);

	if (fd >= 0 || errno != ENOENT || !make)
		return fd < 0 ? -errno : fd;
	if (mkdirat(p->fd, CLAIM_DIR, DIR_MODE) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(p->fd, CLAIM_DIR, flags);
	if (fd < 0)
		return -errno;
	set_mode(fd, DIR_MODE);
	return fd;
}

/*
 * Servers.
 */
static int read_text(int dir, const char *name, char *text, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	text[n < 0 ? 0 : n] = 0;
	close(fd);
	return n < 0 ? -errno : 0;
}

static int server_read(int dir, uint16_t id, struct claim_server *out)
{
	char name[32], text[SERVER_TEXT_MAX], life[UUID_TEXT];
	int r;

	snprintf(name, sizeof(name), ".server.%u", id);
	r = read_text(dir, name, text, sizeof(text));
	if (r)
		return r;
	if (sscanf(text, "%40s %36s", out->name, life) != 2 || uuid_parse(life, out->life))
		return -EINVAL;
	return 0;
}

int claim_server_read(const struct claim_place *p, uint16_t id, struct claim_server *out)
{
	int dir = open_directory(p, false), r;

	if (dir < 0)
		return dir;
	r = server_read(dir, id, out);
	close(dir);
	return r;
}

static int write_server(int dir, const char *name, const char *text, size_t length)
{
	char temporary[64];
	int fd, r;

	snprintf(temporary, sizeof(temporary), "%s.new.%ld", name, (long)gettid());
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (fd < 0)
		return -errno;
	set_mode(fd, FILE_MODE);
	r = write(fd, text, length) == (ssize_t)length ? 0 : -EIO;
	close(fd);
	if (!r && renameat(dir, temporary, dir, name) < 0)
		r = -errno;
	if (r)
		unlinkat(dir, temporary, 0);
	return r;
}

/* Before the first claim of this process here: whoever sees the claim finds whose it is. */
static int register_server(int dir, const struct server *s)
{
	char name[32], text[SERVER_TEXT_MAX], life[UUID_TEXT];
	struct claim_server old;
	int n;

	if (server_read(dir, s->id, &old) == 0 && strcmp(old.name, s->name) == 0 &&
	    memcmp(old.life, s->life, sizeof(old.life)) == 0)
		return 0;
	uuid_format(s->life, life);
	snprintf(name, sizeof(name), ".server.%u", s->id);
	n = snprintf(text, sizeof(text), "%s %s\n", s->name, life);
	return write_server(dir, name, text, (size_t)n);
}

/*
 * A session's.
 */
void claim_owner_set(struct claim_owner *o, const char *node, const uint8_t life[16])
{
	snprintf(o->node, sizeof(o->node), "%s", node);
	o->life = claim_life(life);
}

struct claim *claim_new(const struct claim_place *p)
{
	struct claim *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->path = strdup(p->path);
	if (!k->path) {
		free(k);
		return NULL;
	}
	k->device = p->device;
	k->inode = p->inode;
	atomic_init(&k->fd, -1);
	pthread_mutex_init(&k->lock, NULL);
	return k;
}

bool claim_is_for(const struct claim *k, const struct claim_place *p)
{
	return k->device == p->device && k->inode == p->inode;
}

bool claim_held(const struct claim *k)
{
	return atomic_load_explicit(&k->fd, memory_order_acquire) >= 0;
}

/* Somebody may have taken the file away since it was opened: a lock on that one is seen by nobody. */
static bool still_named(int dir, const char *node, int fd)
{
	struct stat named, open;

	return fstatat(dir, node, &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &open) == 0 &&
	       named.st_dev == open.st_dev && named.st_ino == open.st_ino && S_ISREG(open.st_mode);
}

static int lock_own(int fd, const struct claim_owner *o, const struct server *s, struct err *e)
{
	struct flock f = lock_of((struct claim_range){ claim_byte(o->life, s->id), 1 });

	for (int i = 0; fcntl(fd, F_OFD_SETLK, &f) < 0; i++) {
		if (errno != EAGAIN && errno != EACCES)
			return err_sys(e, errno, "cannot lock a byte of its file");
		if (i == OWN_TRIES) {
			err_set(e, EBUSY, "an earlier session of this client has not ended here, or two servers have the id %u",
				s->id);
			return -EBUSY;
		}
		nanosleep(&own_pause, NULL);
	}
	return 0;
}

/* May that claim of another life be passed over, since the process that has it is off? */
static bool passed_over(int dir, int64_t byte, const struct claim_owner *o, const struct server *s,
			struct claim_server *who)
{
	struct other_claim k = {
		.life = (uint64_t)byte >> CLAIM_ID_BITS, .id = (uint16_t)byte, .lease = WIRE_LEASE * SECOND,
	};

	/* After the lock was seen: whoever took it had written this before. */
	if (server_read(dir, k.id, who) < 0) {
		snprintf(who->name, sizeof(who->name), "(no name)");
		return false;
	}
	if (k.id == s->id)
		return false;
	memcpy(k.node, o->node, sizeof(k.node));
	memcpy(k.server, who->name, sizeof(k.server));
	memcpy(k.server_life, who->life, sizeof(k.server_life));
	return others_wait(s->others, &k);
}

/* The claim of another life, by whomever, that has to be reckoned with: 1 with its byte and
 * whose it is, 0 or -errno. */
static int find_other_life(int dir, int fd, const struct claim_owner *o, const struct server *s, int64_t *byte,
			   struct claim_server *who)
{
	struct claim_range ranges[2];
	unsigned n = claim_others(o->life, ranges);

	for (unsigned i = 0; i < n; i++) {
		struct claim_range r = ranges[i];
		int64_t end = r.from + r.length, found;

		while (!r.length || r.from < end) {
			int error = find_lock(fd, r, &found);

			if (error < 0)
				return error;
			if (!error)
				break;
			*byte = found;
			if (!passed_over(dir, found, o, s, who))
				return 1;
			r.from = found + 1;
			r.length = r.length ? end - r.from : 0;
			if (r.from == end)
				break;
		}
	}
	return 0;
}

/* Ours is there before we look for others': of two lives that do this at the same
 * time at least one sees the other. */
static int refuse_other_lives(int dir, int fd, const struct claim_owner *o, const struct server *s, struct err *e)
{
	struct claim_server who;
	int64_t byte = 0;
	int r;

	for (int i = 0; (r = find_other_life(dir, fd, o, s, &byte, &who)) == 1; i++) {
		if ((uint16_t)byte != s->id || i == OWN_TRIES)
			break;
		nanosleep(&own_pause, NULL);
	}
	if (r <= 0)
		return r ? err_sys(e, -r, "cannot look for other claims") : 0;
	err_set(e, EBUSY, "server %s (id %u) may still write for an earlier run of client %s", who.name,
		(uint16_t)byte, o->node);
	return -EBUSY;
}

/* Made only where it has to be: a file system that is frozen makes none, but locks. */
static int open_node(int dir, const char *node)
{
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int fd = openat(dir, node, flags);

	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	fd = openat(dir, node, flags | O_CREAT, FILE_MODE);
	if (fd < 0)
		return -errno;
	set_mode(fd, FILE_MODE);
	return fd;
}

static int take(int dir, struct claim *k, const struct claim_owner *o, const struct server *s, struct err *e)
{
	int fd, r = register_server(dir, s);

	if (r)
		return err_sys(e, -r, "cannot write .server.%u", s->id);
	fd = open_node(dir, o->node);
	if (fd < 0)
		return err_sys(e, -fd, "cannot open %s", o->node);
	r = lock_own(fd, o, s, e);
	if (!r && !still_named(dir, o->node, fd))
		r = err_set(e, EBUSY, "%s was taken away or is not a file", o->node);
	if (!r)
		r = refuse_other_lives(dir, fd, o, s, e);
	if (r)
		close(fd);
	else
		atomic_store_explicit(&k->fd, fd, memory_order_release);
	return r;
}

int claim_take(struct claim *k, const struct claim_place *p, const struct claim_owner *o,
	       const struct server *s, struct err *e)
{
	int dir, r = 0;

	pthread_mutex_lock(&k->lock);
	if (!claim_held(k)) {
		dir = open_directory(p, true);
		if (dir < 0) {
			r = err_sys(e, -dir, "cannot make or open " CLAIM_DIR " beside the volume, where claims are kept");
		} else {
			r = take(dir, k, o, s, e);
			close(dir);
		}
	}
	pthread_mutex_unlock(&k->lock);
	return r;
}

int claim_elsewhere(const struct claim *k, const struct claim_place *p, const struct claim_owner *o,
		    uint16_t server_id)
{
	struct claim_range range = { claim_byte(o->life, server_id), 1 };
	int fd = atomic_load(&k->fd), dir = open_directory(p, false), r;
	int64_t byte;

	if (dir < 0)
		return dir;
	r = still_named(dir, o->node, fd) ? find_lock(fd, range, &byte) : -ESTALE;
	close(dir);
	return r;
}

/*
 * The end.
 */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct claim *list;
	bool runs;
} closer = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, false };

static void close_all(struct claim *list)
{
	struct claim *next;

	for (; list; list = next) {
		int fd = atomic_load(&list->fd);

		next = list->next;
		if (fd >= 0)
			close(fd);
		pthread_mutex_destroy(&list->lock);
		free(list->path);
		free(list);
	}
}

static void *closer_thread(void *arg)
{
	struct claim *list;

	pthread_setname_np(pthread_self(), "rssrv-claims");
	for (;;) {
		pthread_mutex_lock(&closer.lock);
		while (!closer.list)
			pthread_cond_wait(&closer.wake, &closer.lock);
		list = closer.list;
		closer.list = NULL;
		pthread_mutex_unlock(&closer.lock);
		close_all(list);
	}
	return arg;
}

int claims_start(struct err *e)
{
	pthread_attr_t attr;
	pthread_t t;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&t, &attr, closer_thread, NULL);
	pthread_attr_destroy(&attr);
	closer.runs = !r;
	return r ? err_sys(e, r, "cannot start the thread that gives claims back") : 0;
}

void claims_release(struct claim *list)
{
	struct claim *last = list;

	if (!list)
		return;
	while (last->next)
		last = last->next;
	pthread_mutex_lock(&closer.lock);
	if (closer.runs) {
		last->next = closer.list;
		closer.list = list;
		list = NULL;
		pthread_cond_signal(&closer.wake);
	}
	pthread_mutex_unlock(&closer.lock);
	close_all(list);
}
