/*
 * volume_sync.c - the descriptions over which FUA writes go.
 *
 * While it writes and syncs, each has one that nobody else uses: volume.h says
 * why.  The first is opened with the volume, the others when writes meet; where
 * that is not possible they take turns.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>
#include "volume_impl.h"

static int open_again(const struct volume *v)
{
	char self[64];
	int fd;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", v->fd);
	fd = open(self, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_LARGEFILE | (v->shared ? O_DIRECT : 0));
	return fd < 0 ? -errno : fd;
}

void sync_init(struct volume *v)
{
	pthread_mutex_init(&v->sync_lock, NULL);
	pthread_cond_init(&v->sync_free, NULL);
	for (unsigned i = 0; i < WORKERS_PER_VOLUME; i++)
		v->fd_sync[i] = -1;
}

int sync_open(struct volume *v)
{
	v->fd_sync[0] = open_again(v);
	return v->fd_sync[0] < 0 ? v->fd_sync[0] : 0;
}

void sync_fini(struct volume *v)
{
	for (unsigned i = 0; i < WORKERS_PER_VOLUME; i++)
		if (v->fd_sync[i] >= 0)
			close(v->fd_sync[i]);
	pthread_mutex_destroy(&v->sync_lock);
	pthread_cond_destroy(&v->sync_free);
}

/* Under the lock: one that is free, opened where it has to be; -1: none. */
static int find_free(struct volume *v)
{
	for (int i = 0; i < WORKERS_PER_VOLUME; i++) {
		if (v->sync_used[i])
			continue;
		if (v->fd_sync[i] < 0)
			v->fd_sync[i] = open_again(v);
		if (v->fd_sync[i] >= 0)
			return i;
	}
	return -1;
}

int store_write_sync(struct volume *v, const void *buf, uint32_t count, uint64_t offset)
{
	int i, r;

	if (v->fd_sync[0] < 0)
		return -EBADF;
	pthread_mutex_lock(&v->sync_lock);
	while ((i = find_free(v)) < 0)
		pthread_cond_wait(&v->sync_free, &v->sync_lock);
	v->sync_used[i] = true;
	pthread_mutex_unlock(&v->sync_lock);
	r = store_write(v->fd_sync[i], buf, count, offset, RWF_DSYNC);
	pthread_mutex_lock(&v->sync_lock);
	v->sync_used[i] = false;
	pthread_cond_signal(&v->sync_free);
	pthread_mutex_unlock(&v->sync_lock);
	return r;
}
