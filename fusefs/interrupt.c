/* interrupt.c - see interrupt.h.
 *
 * A signal whose default action ends a process is turned into SIGKILL in every
 * thread's own pending set as soon as it is sent, if no handler, mask, or tracer
 * stands in the way.  Those that dump core are the exception: they stay what they
 * are until the thread takes them.  So a thread is about to die when SIGKILL is
 * pending, or one of the core-dumping ones that is neither blocked, ignored nor
 * caught.  All other pending signals leave it alive.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "interrupt.h"

#define BIT(signal) (UINT64_C(1) << ((signal) - 1))

static const uint64_t dumps_core =
	BIT(SIGQUIT) | BIT(SIGILL) | BIT(SIGTRAP) | BIT(SIGABRT) | BIT(SIGBUS) | BIT(SIGFPE) |
	BIT(SIGSEGV) | BIT(SIGXCPU) | BIT(SIGXFSZ) | BIT(SIGSYS);

/* The mask behind "\nName:\t"; 0 when the line is not there. */
static uint64_t mask(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at ? strtoull(at + strlen(name), NULL, 16) : 0;
}

bool interrupt_fatal_text(const char *status)
{
	uint64_t pending = mask(status, "\nSigPnd:") | mask(status, "\nShdPnd:");
	uint64_t harmless = mask(status, "\nSigBlk:") | mask(status, "\nSigIgn:") |
			    mask(status, "\nSigCgt:");

	return pending & BIT(SIGKILL) || pending & dumps_core & ~harmless;
}

bool interrupt_fatal(pid_t tid)
{
	char path[32], text[4096];
	ssize_t n;
	int fd;

	if (tid <= 0)
		return true;
	snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return true;
	text[n] = 0;
	return interrupt_fatal_text(text);
}
