/* world.c - see world.h.  Takes the place of these calls (fuzz.mk, WRAP). */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "memsock.h"
#include "world.h"

int __wrap_clock_gettime(clockid_t which, struct timespec *t);
int __real_clock_gettime(clockid_t which, struct timespec *t);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int most, int ms);
int __wrap_secure_random(void *out, size_t size);
void *__wrap_malloc(size_t size);
void *__real_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_calloc(size_t count, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_nanosleep(const struct timespec *how_long, struct timespec *left);
char *__real_strdup(const char *text);

uint64_t world_now = 1000 * MS, world_sleep;
uint8_t world_random;
unsigned world_fails;
bool world_armed;
bool world_spares_calloc;

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
	int n = memsock_events(fd, events, most);
	uint64_t ns = ms < 0 ? world_sleep : (uint64_t)ms * MS;

	if (n)
		return n;
	if (ns > world_sleep)
		ns = world_sleep;
	world_sleep -= ns;
	world_now += ns;
	return 0;
}

int __wrap_nanosleep(const struct timespec *how_long, struct timespec *left)
{
	(void)left;
	world_now += (uint64_t)how_long->tv_sec * 1000 * MS + (uint64_t)how_long->tv_nsec;
	return 0;
}

int __wrap_secure_random(void *out, size_t size)
{
	memset(out, ++world_random, size);
	return 0;
}

static bool fails(void)
{
	return world_armed && world_fails && !--world_fails;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return !world_spares_calloc && fails() ? NULL : __real_calloc(count, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}
