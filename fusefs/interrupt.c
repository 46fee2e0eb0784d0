/* interrupt.c - see interrupt.h.
 *
 * What ends a process by default ends it, unless it is blocked, ignored or caught.
 * Often the kernel turns such a signal into SIGKILL in every thread's own pending set
 * as soon as it is sent; but not one that dumps core, and not one that finds another
 * signal pending already.  So all that could be pending are looked at.
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

/* By default these are ignored, or stop. */
static const uint64_t survivable =
	BIT(SIGCHLD) | BIT(SIGCONT) | BIT(SIGURG) | BIT(SIGWINCH) |
	BIT(SIGSTOP) | BIT(SIGTSTP) | BIT(SIGTTIN) | BIT(SIGTTOU);

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

	return pending & ~harmless & ~survivable;
}

/* What is the case for a thread that nothing can be known about: unknown. */
static bool look(pid_t tid, bool unknown)
{
	char path[32], text[4096];
	ssize_t n;
	int fd;

	if (tid <= 0)
		return unknown;
	snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return unknown;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return unknown;
	text[n] = 0;
	return interrupt_fatal_text(text);
}

bool interrupt_fatal(pid_t tid)
{
	return look(tid, true);
}

bool interrupt_dying(pid_t tid)
{
	return look(tid, false);
}
