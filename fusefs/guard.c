/* guard.c - see guard.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <linux/prctl.h>
#include "guard.h"
#include "log.h"

static bool reclaims, locks_all;

bool guard_reclaims(void)
{
	return reclaims;
}

void guard_reclaim(void)
{
	reclaims = prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == 0;
	if (reclaims)
		return;
	if (geteuid() == 0)
		log_warning("memory", "PR_SET_IO_FLUSHER: %s (CAP_SYS_RESOURCE is needed); do not swap to a volume",
			    strerror(errno));
	else
		log_debug("memory", "PR_SET_IO_FLUSHER: %s", strerror(errno));
}

static void spare_us(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "-1000", 5) < 0)
		log_debug("memory", "oom_score_adj: %s", strerror(errno));
	close(fd);
}

/* Maps what may be locked one by one until the limit says no; how many bytes. */
static size_t lock_some(size_t *all)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[4200], rights[8];
	unsigned long from, to;
	size_t locked = 0;

	*all = 0;
	while (f && fgets(line, sizeof line, f)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 || rights[0] != 'r')
			continue;
		*all += to - from;
		if (mlock((void *)from, to - from) == 0)
			locked += to - from;
	}
	if (f)
		fclose(f);
	return locked;
}

/* A sanitizer maps more than any machine has. */
static bool can_lock(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return false;
#else
	return true;
#endif
}

void guard_memory(void)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	size_t locked, all;

	if (!can_lock()) {
		log_warning("memory", "0 KiB are locked in memory: this rsiod is built with a sanitizer");
		return;
	}
	if (geteuid() == 0) {
		spare_us();
		/* With the limit gone no right is needed later. */
		setrlimit(RLIMIT_MEMLOCK, &limit);
	} else {
		getrlimit(RLIMIT_MEMLOCK, &limit);
	}
	/* With a limit MCL_FUTURE would make later allocations fail: only without one. */
	if (limit.rlim_cur == RLIM_INFINITY && mlockall(MCL_CURRENT) == 0) {
		/* A thread's stack, say, is locked as it is touched, not all of it at once. */
		locks_all = mlockall(MCL_FUTURE | MCL_ONFAULT) == 0;
		return;
	}
	locked = lock_some(&all);
	log_warning("memory", "%zu of %zu KiB are locked in memory; raise RLIMIT_MEMLOCK, and do not swap to a volume",
		    locked >> 10, all >> 10);
}

bool guard_needs_limit(void)
{
	struct rlimit now;

	return locks_all && (getrlimit(RLIMIT_MEMLOCK, &now) < 0 || now.rlim_cur != RLIM_INFINITY);
}
