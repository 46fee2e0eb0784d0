/* loopdev.c - see loopdev.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include "loopdev.h"

#define LOOP_MAJOR_NUMBER 7
/* Others take free devices too: we may lose so many races. */
#define TRIES 32

const char *loopdev_name(int number, char buf[24])
{
	snprintf(buf, 24, "/dev/loop%d", number);
	return buf;
}

int loopdev_number(const char *device)
{
	char rest;
	int number;

	if (sscanf(device, "/dev/loop%d%c", &number, &rest) != 1 || number < 0)
		return -1;
	return number;
}

/* One line of a file in /sys; false when it is not there. */
static bool attribute(int number, const char *name, char *buf, size_t size)
{
	char path[96];
	bool got;
	FILE *f;

	snprintf(path, sizeof path, "/sys/block/loop%d/%s", number, name);
	f = fopen(path, "re");
	if (!f)
		return false;
	got = fgets(buf, (int)size, f) != NULL;
	fclose(f);
	if (got)
		buf[strcspn(buf, "\n")] = 0;
	return got;
}

bool loopdev_get(int number, struct loopdev *d)
{
	char sectors[32];

	d->number = number;
	if (!attribute(number, "loop/backing_file", d->file, sizeof d->file))
		return false;
	d->size = attribute(number, "size", sectors, sizeof sectors) ? strtoull(sectors, NULL, 10) * 512 : 0;
	return true;
}

bool loopdev_each(bool (*fn)(const struct loopdev *d, void *arg), void *arg)
{
	DIR *dir = opendir("/sys/block");
	struct loopdev *d = malloc(sizeof *d);
	struct dirent *e;
	bool found = false;
	int number;

	while (dir && d && !found && (e = readdir(dir)))
		if (sscanf(e->d_name, "loop%d", &number) == 1 && loopdev_get(number, d))
			found = fn(d, arg);
	if (dir)
		closedir(dir);
	free(d);
	return found;
}

static int open_device(int number, int flags)
{
	char name[24];
	int fd = open(loopdev_name(number, name), flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

dev_t loopdev_backing(int number)
{
	int fd = open_device(number, O_RDONLY);
	struct loop_info64 info;
	dev_t device = 0;

	if (fd < 0)
		return 0;
	if (ioctl(fd, LOOP_GET_STATUS64, &info) == 0)
		device = (dev_t)info.lo_device;
	close(fd);
	return device;
}

int loopdev_claimed(int number)
{
	int fd = open_device(number, O_RDONLY | O_EXCL);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* Where /dev is not kept by the kernel the node may be missing. */
static int open_new(int number, int flags)
{
	char name[24];
	int fd = open_device(number, flags);

	if (fd != -ENOENT)
		return fd;
	if (mknod(loopdev_name(number, name), S_IFBLK | 0660, makedev(LOOP_MAJOR_NUMBER, number)) < 0 &&
	    errno != EEXIST)
		return -errno;
	return open_device(number, flags);
}

static int configure(int fd, int file, bool read_only, uint32_t block_size)
{
	struct loop_config config = {
		.fd = (uint32_t)file,
		.block_size = block_size,
		.info.lo_flags = LO_FLAGS_DIRECT_IO | (read_only ? LO_FLAGS_READ_ONLY : 0),
	};
	struct loop_info64 info;

	snprintf((char *)config.info.lo_file_name, LO_NAME_SIZE, "rsio");
	if (ioctl(fd, LOOP_CONFIGURE, &config) < 0)
		return -errno;
	if (ioctl(fd, LOOP_GET_STATUS64, &info) == 0 && info.lo_flags & LO_FLAGS_DIRECT_IO)
		return 0;
	ioctl(fd, LOOP_CLR_FD);
	return -EOPNOTSUPP;
}

int loopdev_make(int file, bool read_only, uint32_t block_size, struct err *e)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);
	int r = -EBUSY, number = -1;

	block_size = block_size < 512 ? 512 : block_size > page ? page : block_size;
	if (control < 0)
		return err_sys(e, errno, "/dev/loop-control");
	for (int i = 0; i < TRIES && r == -EBUSY; i++) {
		int fd;

		number = ioctl(control, LOOP_CTL_GET_FREE);
		if (number < 0) {
			r = -errno;
			break;
		}
		fd = open_new(number, read_only ? O_RDONLY : O_RDWR);
		if (fd < 0) {
			r = fd;
			break;
		}
		r = configure(fd, file, read_only, block_size);
		close(fd);
	}
	close(control);
	if (r == -EOPNOTSUPP)
		return err_set(e, -r, "the kernel gives a loop device over the mount no direct I/O");
	return r < 0 ? err_sys(e, -r, "no loop device") : number;
}

uint64_t loopdev_size(uint64_t bytes)
{
	return bytes & ~UINT64_C(511);
}

int loopdev_refresh(int number, uint64_t bytes, struct err *e)
{
	int fd = open_device(number, O_RDONLY);
	uint64_t now = 0;
	int r = 0;

	if (fd < 0)
		return err_sys(e, -fd, "/dev/loop%d", number);
	if (ioctl(fd, LOOP_SET_CAPACITY) < 0 || ioctl(fd, BLKGETSIZE64, &now) < 0)
		r = err_sys(e, errno, "the size of /dev/loop%d cannot be set", number);
	else if (now != loopdev_size(bytes))
		r = err_set(e, EIO, "/dev/loop%d has %llu bytes, its volume %llu", number,
			    (unsigned long long)now, (unsigned long long)bytes);
	close(fd);
	return r;
}

/* Somebody who looks at each device that comes (udev) may hold it for a moment. */
static bool cleared_soon(int number)
{
	struct timespec pause = { .tv_nsec = 20000000 };
	struct loopdev *d = malloc(sizeof *d);
	bool bound = true;

	for (int i = 0; d && i < 50 && (bound = loopdev_get(number, d)); i++)
		nanosleep(&pause, NULL);
	free(d);
	return !bound;
}

int loopdev_let_go(int number, struct err *e)
{
	int fd = open_device(number, O_RDONLY);
	int r;

	if (fd < 0)
		return err_sys(e, -fd, "/dev/loop%d", number);
	r = ioctl(fd, LOOP_CLR_FD) < 0 ? -errno : 0;
	close(fd);
	if (r < 0 && r != -ENXIO)	/* ENXIO: it is not bound */
		return err_sys(e, -r, "/dev/loop%d cannot be cleared", number);
	return 0;
}

int loopdev_clear(int number, bool *later, struct err *e)
{
	int r = loopdev_let_go(number, e);

	*later = r == 0 && !cleared_soon(number);
	return r;
}

/* Our devices are made without this flag: LOOP_CLR_FD on one in use sets it. */
bool loopdev_ending(int number)
{
	char flag[8];

	return attribute(number, "loop/autoclear", flag, sizeof flag) && flag[0] == '1';
}
