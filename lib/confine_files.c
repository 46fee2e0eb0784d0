/*
 * confine_files.c - see confine.h: Landlock.
 *
 * What is open stays open.  A rule is on the file or directory that a path leads to when
 * the fence is put up, and on all below it, so a file that is replaced by another one
 * needs a rule on its directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "confine_impl.h"
#include "log.h"

/* Younger than the headers of some: linux/landlock.h of 6.12. */
#define ACCESS_TRUNCATE (1ull << 14)	/* ABI 3 */
#define ACCESS_IOCTL_DEV (1ull << 15)	/* ABI 5 */
#define ACCESS_NET_CONNECT_TCP (1ull << 1)	/* ABI 4 */
#define SCOPE_SIGNAL (1ull << 1)	/* ABI 6 */

struct ruleset_attr {
	uint64_t handled_access_fs, handled_access_net, scoped;
};

struct allowed {
	struct allowed *next;
	unsigned rights;
	char *path;		/* without links */
};

struct confine_paths {
	struct allowed *list;
};

static const uint64_t read_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t write_access = LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE;
static const uint64_t make_access = LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
				    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
				    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REFER;
/* Nobody gets these. */
static const uint64_t no_access = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
				  LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
				  LANDLOCK_ACCESS_FS_MAKE_SYM;
/* What there can be on a file that is no directory. */
static const uint64_t file_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
				    ACCESS_TRUNCATE | ACCESS_IOCTL_DEV;

struct confine_paths *confine_paths_new(void)
{
	return calloc(1, sizeof(struct confine_paths));
}

void confine_paths_free(struct confine_paths *p)
{
	struct allowed *a;

	while (p && (a = p->list)) {
		p->list = a->next;
		free(a->path);
		free(a);
	}
	free(p);
}

int confine_path(struct confine_paths *p, const char *path, unsigned rights)
{
	char *real = realpath(path, NULL);
	struct allowed *a;

	if (!real)
		return errno == ENOMEM ? -ENOMEM : 0;
	a = calloc(1, sizeof(*a));
	if (!a) {
		free(real);
		return -ENOMEM;
	}
	a->path = real;
	a->rights = rights;
	a->next = p->list;
	p->list = a;
	return 0;
}

/* The path without links; its last part need not be there. */
static char *real_or_parent(const char *path)
{
	char *real = realpath(path, NULL), *copy, *slash;

	if (real || errno != ENOENT)
		return real;
	copy = strdup(path);
	slash = copy ? strrchr(copy, '/') : NULL;
	if (slash) {
		slash[slash == copy] = 0;
		real = realpath(copy, NULL);
	}
	free(copy);
	return real;
}

bool confine_covers(const struct confine_paths *p, const char *path, unsigned rights)
{
	char *real = real_or_parent(path);
	unsigned got = 0;

	for (const struct allowed *a = p->list; real && a; a = a->next) {
		size_t n = strlen(a->path);

		if (strncmp(real, a->path, n) == 0 && (!real[n] || real[n] == '/' || n == 1))
			got |= a->rights;
	}
	free(real);
	return (got & rights) == rights;
}

/* What a link of one level leads to, though that is not there yet. */
static char *target_of(const char *path)
{
	char *real = realpath(path, NULL), to[PATH_MAX], whole[2 * PATH_MAX], *copy = NULL;
	ssize_t n;

	if (real || errno != ENOENT)
		return real;
	n = readlink(path, to, sizeof(to) - 1);
	if (n <= 0)
		return NULL;
	to[n] = 0;
	if (*to != '/')
		copy = strdup(path);
	if (*to != '/' && !copy)
		return NULL;
	snprintf(whole, sizeof(whole), "%s%s%s", copy ? dirname(copy) : "", copy ? "/" : "", to);
	free(copy);
	return strdup(whole);
}

int confine_link(struct confine_paths *p, const char *path, unsigned rights)
{
	struct stat st;
	char *target, *dir;
	int r = confine_path(p, path, rights);

	if (r || lstat(path, &st) < 0 || !S_ISLNK(st.st_mode))
		return r;
	target = target_of(path);
	dir = target ? dirname(target) : NULL;
	/* Not all of /run or /etc for the sake of one file. */
	if (dir && strchr(dir + 1, '/'))
		r = confine_path(p, dir, rights);
	free(target);
	return r;
}

int confine_system(struct confine_paths *p)
{
	static const char *const readable[] = {
		"/usr", "/lib", "/lib64", "/proc", "/sys", "/run/systemd/resolve", "/run/nscd", "/etc/ssl/openssl.cnf",
		"/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/services",
		"/etc/gai.conf", "/etc/passwd", "/etc/group", "/etc/localtime", "/etc/ld.so.cache",
		"/etc/machine-id", "/dev/urandom",
	};
	int r = confine_path(p, "/dev/null", CONFINE_READ | CONFINE_WRITE);

	for (size_t i = 0; i < sizeof(readable) / sizeof(readable[0]) && !r; i++)
		r = confine_path(p, readable[i], CONFINE_READ);
	/* Who manages the network puts a new file in the place of the old one. */
	return r ? r : confine_link(p, "/etc/resolv.conf", CONFINE_READ);
}

static uint64_t access_of(unsigned rights)
{
	return (rights & CONFINE_READ ? read_access : 0) | (rights & CONFINE_WRITE ? write_access : 0) |
	       (rights & CONFINE_MAKE ? make_access : 0) | (rights & CONFINE_CONTROL ? ACCESS_IOCTL_DEV : 0);
}

static int add_rule(int ruleset, const struct allowed *a, uint64_t handled)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access_of(a->rights) & handled };
	struct stat st;
	int r = 0;

	rule.parent_fd = open(a->path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT || errno == EACCES ? 0 : -errno;
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= file_access;
	if (rule.allowed_access &&
	    syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		r = -errno;
	close(rule.parent_fd);
	return r;
}

static void set_handled(struct ruleset_attr *attr, size_t *size, int abi, bool connects)
{
	attr->handled_access_fs = read_access | write_access | make_access | no_access | ACCESS_IOCTL_DEV;
	if (abi < 2)
		attr->handled_access_fs &= ~LANDLOCK_ACCESS_FS_REFER;
	if (abi < 3)
		attr->handled_access_fs &= ~ACCESS_TRUNCATE;
	if (abi < 5)
		attr->handled_access_fs &= ~ACCESS_IOCTL_DEV;
	/* No rule says to where, so to nowhere. */
	attr->handled_access_net = abi >= 4 && !connects ? ACCESS_NET_CONNECT_TCP : 0;
	attr->scoped = abi >= 6 ? SCOPE_SIGNAL : 0;
	*size = abi < 4 ? 8 : abi < 6 ? 16 : sizeof(*attr);
}

int confine_files(const struct confine_paths *p, bool connects)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset_attr attr;
	size_t size;
	int fd, r = 0;

	if (abi < 1)		/* not built in, or switched off */
		return 0;
	set_handled(&attr, &size, abi, connects);
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (fd < 0)
		return -errno;
	for (const struct allowed *a = p->list; a && !r; a = a->next)
		r = add_rule(fd, a, attr.handled_access_fs);
	if (!r && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		r = -errno;
	close(fd);
	return r ? r : abi;
}
