/* world.c - see world.h.  Takes the place of these calls (fuzz.mk, WRAP). */
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include "world.h"

int __wrap_clock_gettime(clockid_t which, struct timespec *t);
int __real_clock_gettime(clockid_t which, struct timespec *t);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int most, int ms);
int __real_epoll_wait(int fd, struct epoll_event *events, int most, int ms);
int __wrap_secure_random(void *out, size_t size);

uint64_t world_now = 1000 * MS, world_sleep;
uint8_t world_random;

/* The fuzzer's own clock is left alone. */
int __wrap_clock_gettime(clockid_t which, struct timespec *t)
{
	if (which != CLOCK_BOOTTIME)
		return __real_clock_gettime(which, t);
	t->tv_sec = (time_t)(world_now / (1000 * MS));
	t->tv_nsec = (long)(world_now % (1000 * MS));
	return 0;
}

int __wrap_epoll_wait(int fd, struct epoll_event *events, int most, int ms)
{
	int n = __real_epoll_wait(fd, events, most, 0);
	uint64_t ns = ms < 0 ? world_sleep : (uint64_t)ms * MS;

	if (n)
		return n;
	if (ns > world_sleep)
		ns = world_sleep;
	world_sleep -= ns;
	world_now += ns;
	return 0;
}

int __wrap_secure_random(void *out, size_t size)
{
	memset(out, ++world_random, size);
	return 0;
}
