/*
 * memfile.c - see memfile.h.
 *
 * A file is a slot with a block of the largest size; behind the file's end it is
 * poisoned, so that the sanitizer sees an access behind the mapping.  Few are there
 * at once: a name, one that replaces it, one that is still open without a name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fuzz.h"
#include "memfile.h"

#define FILES 4
#define FDS 8
#define GUARD 4096
#define FD_FIRST (1 << 24)		/* no descriptor of the kernel's is as large */

int __wrap_open(const char *path, int flags, ...);
int __real_open(const char *path, int flags, ...);
int __wrap_close(int fd);
int __real_close(int fd);
int __wrap_fstat(int fd, struct stat *st);
int __real_fstat(int fd, struct stat *st);
int __wrap_stat(const char *path, struct stat *st);
int __real_stat(const char *path, struct stat *st);
ssize_t __wrap_read(int fd, void *to, size_t size);
ssize_t __real_read(int fd, void *to, size_t size);
ssize_t __wrap_pread(int fd, void *to, size_t size, off_t at);
ssize_t __real_pread(int fd, void *to, size_t size, off_t at);
int __wrap_posix_fallocate(int fd, off_t at, off_t size);
int __real_posix_fallocate(int fd, off_t at, off_t size);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
void *__real_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t size);
int __real_munmap(void *at, size_t size);
int __wrap_rename(const char *from, const char *to);
int __real_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);
int __real_unlink(const char *path);

void __asan_poison_memory_region(const volatile void *at, size_t size);
void __asan_unpoison_memory_region(const volatile void *at, size_t size);
#pragma weak __asan_poison_memory_region
#pragma weak __asan_unpoison_memory_region

static struct memfile {
	char name[32];			/* "": it has none any more */
	ino_t inode;
	size_t size;
	unsigned users;			/* descriptors and mappings */
	uint8_t *bytes;			/* MEMFILE_MAX + GUARD; from used on they are 0 */
	size_t used;
} files[FILES];
static struct memfile *fds[FDS];
static size_t offsets[FDS];		/* of read() */
static ino_t last_inode;

static bool is_ours(const char *path)
{
	return strncmp(path, MEMFILE_DIR, sizeof(MEMFILE_DIR) - 1) == 0;
}

static struct memfile *find(const char *path)
{
	for (int i = 0; i < FILES; i++)
		if (strcmp(files[i].name, path) == 0)
			return &files[i];
	return NULL;
}

static struct memfile *of_fd(int fd)
{
	if (fd < FD_FIRST)
		return NULL;
	fuzz_check(fd < FD_FIRST + FDS && fds[fd - FD_FIRST]);
	return fds[fd - FD_FIRST];
}

static struct memfile *of_address(const void *at)
{
	for (int i = 0; i < FILES; i++)
		if (at && files[i].bytes == at)
			return &files[i];
	return NULL;
}

static void set_size(struct memfile *f, size_t size)
{
	fuzz_check(size <= MEMFILE_MAX);
	if (__asan_unpoison_memory_region)
		__asan_unpoison_memory_region(f->bytes + f->size, GUARD);
	if (size < f->used) {
		memset(f->bytes + size, 0, f->used - size);
		f->used = size;
	}
	f->size = size;
	if (__asan_poison_memory_region)
		__asan_poison_memory_region(f->bytes + size, GUARD);
}

static struct memfile *create(const char *path)
{
	struct memfile *f = files;

	while (f < files + FILES && (f->name[0] || f->users))
		f++;
	fuzz_check(f < files + FILES && strlen(path) < sizeof(f->name));
	if (!f->bytes)
		f->bytes = calloc(1, MEMFILE_MAX + GUARD);
	fuzz_check(f->bytes);
	set_size(f, 0);
	strcpy(f->name, path);
	f->inode = ++last_inode;
	return f;
}

static void put(struct memfile *f, const void *bytes, size_t size)
{
	if (f->size < size)
		set_size(f, size);
	memcpy(f->bytes, bytes, size);
	if (f->used < size)
		f->used = size;
}

void memfile_make(const char *path, const void *bytes, size_t have, size_t size)
{
	struct memfile *f = find(path);

	if (!f)
		f = create(path);
	put(f, bytes, have < size ? have : size);
	set_size(f, size);
}

void memfile_change(const char *path, const void *bytes, size_t size)
{
	struct memfile *f = find(path);

	fuzz_check(f);
	put(f, bytes, size);
}

void memfile_cut(const char *path, size_t size)
{
	struct memfile *f = find(path);

	fuzz_check(f);
	set_size(f, size);
}

void memfile_end(void)
{
	for (int i = 0; i < FILES; i++) {
		fuzz_check(!files[i].users);
		files[i].name[0] = 0;
	}
}

/* The calls. */

int __wrap_open(const char *path, int flags, ...)
{
	struct memfile *f;
	va_list ap;
	mode_t mode;
	int i;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (!is_ours(path))
		return __real_open(path, flags, mode);
	f = find(path);
	if ((f && flags & O_EXCL) || (!f && !(flags & O_CREAT))) {
		errno = f ? EEXIST : ENOENT;
		return -1;
	}
	if (!f)
		f = create(path);
	for (i = 0; i < FDS && fds[i]; i++)
		;
	fuzz_check(i < FDS);
	fds[i] = f;
	offsets[i] = 0;
	f->users++;
	return FD_FIRST + i;
}

int __wrap_close(int fd)
{
	struct memfile *f = of_fd(fd);

	if (!f)
		return __real_close(fd);
	f->users--;
	fds[fd - FD_FIRST] = NULL;
	return 0;
}

static int describe(const struct memfile *f, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFREG | 0600;
	st->st_dev = FD_FIRST;
	st->st_ino = f->inode;
	st->st_size = (off_t)f->size;
	return 0;
}

int __wrap_fstat(int fd, struct stat *st)
{
	const struct memfile *f = of_fd(fd);

	return f ? describe(f, st) : __real_fstat(fd, st);
}

int __wrap_stat(const char *path, struct stat *st)
{
	const struct memfile *f;

	if (!is_ours(path))
		return __real_stat(path, st);
	f = find(path);
	if (f)
		return describe(f, st);
	errno = ENOENT;
	return -1;
}

ssize_t __wrap_pread(int fd, void *to, size_t size, off_t at)
{
	const struct memfile *f = of_fd(fd);

	if (!f)
		return __real_pread(fd, to, size, at);
	if (at < 0) {
		errno = EINVAL;
		return -1;
	}
	if ((size_t)at >= f->size)
		return 0;
	if (size > f->size - (size_t)at)
		size = f->size - (size_t)at;
	memcpy(to, f->bytes + at, size);
	return (ssize_t)size;
}

ssize_t __wrap_read(int fd, void *to, size_t size)
{
	ssize_t n;

	if (!of_fd(fd))
		return __real_read(fd, to, size);
	n = __wrap_pread(fd, to, size, (off_t)offsets[fd - FD_FIRST]);
	offsets[fd - FD_FIRST] += (size_t)n;
	return n;
}

int __wrap_posix_fallocate(int fd, off_t at, off_t size)
{
	struct memfile *f = of_fd(fd);

	if (!f)
		return __real_posix_fallocate(fd, at, size);
	if (f->size < (size_t)(at + size))
		set_size(f, (size_t)(at + size));
	return 0;
}

/* The whole file.  Whoever has it mapped may write all of it. */
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	struct memfile *f = of_fd(fd);

	if (!f)
		return __real_mmap(at, size, prot, flags, fd, offset);
	fuzz_check(!at && !offset && size == f->size && flags & MAP_SHARED);
	f->used = size;
	f->users++;
	return f->bytes;
}

int __wrap_munmap(void *at, size_t size)
{
	struct memfile *f = of_address(at);

	if (!f)
		return __real_munmap(at, size);
	fuzz_check(f->users && size == f->size);
	f->users--;
	return 0;
}

int __wrap_rename(const char *from, const char *to)
{
	struct memfile *f, *old;

	if (!is_ours(from))
		return __real_rename(from, to);
	f = find(from);
	old = find(to);
	fuzz_check(f && strlen(to) < sizeof(f->name));
	if (old)
		old->name[0] = 0;
	strcpy(f->name, to);
	return 0;
}

int __wrap_unlink(const char *path)
{
	struct memfile *f;

	if (!is_ours(path))
		return __real_unlink(path);
	f = find(path);
	if (f)
		f->name[0] = 0;
	else
		errno = ENOENT;
	return f ? 0 : -1;
}
