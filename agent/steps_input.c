/*
 * steps_input.c - the lines of --steps as they come, and how it is known that nobody is there any more: the
 * input ends, a signal says so, or nothing comes for 20 s.  Whoever asks says "alive" while it waits.
 *
 * Only time that is spent waiting here counts as silence: what came while a step was being done is taken
 * first.  A line without an end, at the end of the input, was cut off and is none.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include "secure.h"
#include "steps_impl.h"

#define FIRST_ROOM (64u << 10)

uint64_t steps_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int steps_input_open(struct steps_input *in, int fd, struct err *e)
{
	sigset_t set;

	*in = (struct steps_input){ .fd = fd, .signals = -1, .silence = STEPS_SILENCE, .heard = steps_now() };
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	in->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	in->bytes = secure_alloc(FIRST_ROOM);
	in->room = FIRST_ROOM;
	if (in->signals < 0 || !in->bytes)
		return err_set(e, in->bytes ? errno : ENOMEM, "cannot start: no memory, or no descriptor");
	return 0;
}

void steps_input_close(struct steps_input *in)
{
	secure_free(in->bytes);
	in->bytes = NULL;
	if (in->signals >= 0)
		close(in->signals);
}

static void end(struct steps_input *in, const char *why)
{
	if (!in->ended)
		snprintf(in->why, sizeof(in->why), "%s", why);
	in->ended = true;
}

/* Room for more bytes behind those that are there. */
static bool make_room(struct steps_input *in)
{
	char *bigger;

	if (in->start) {
		memmove(in->bytes, in->bytes + in->start, in->used - in->start);
		in->used -= in->start;
		secure_wipe(in->bytes + in->used, in->start);
		in->start = 0;
	}
	if (in->used < in->room)
		return true;
	if (in->room > STEPS_LINE_MAX)
		return false;
	bigger = secure_alloc(2 * in->room);
	if (!bigger) {
		end(in, "no memory for what came");
		return false;
	}
	memcpy(bigger, in->bytes, in->used);
	secure_free(in->bytes);
	in->bytes = bigger;
	in->room *= 2;
	return true;
}

static void take_bytes(struct steps_input *in)
{
	ssize_t n = read(in->fd, in->bytes + in->used, in->room - in->used);

	if (n > 0) {
		in->used += (size_t)n;
		in->heard = steps_now();
	} else if (n == 0) {
		end(in, "the input ended");
	} else if (errno != EINTR && errno != EAGAIN) {
		end(in, "the input cannot be read");
	}
}

static void take_signal(struct steps_input *in)
{
	struct signalfd_siginfo info;

	while (read(in->signals, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			end(in, info.ssi_signo == SIGHUP ? "the connection was hung up (SIGHUP)" :
					info.ssi_signo == SIGTERM ? "it was told to end (SIGTERM)" :
								    "it was interrupted (SIGINT)");
}

bool steps_input_wait(struct steps_input *in, int fd, int ms)
{
	uint64_t now = steps_now(), quiet = now > in->heard ? now - in->heard : 0;
	uint64_t left = quiet < 1000u * (unsigned)in->silence ? 1000u * (unsigned)in->silence - quiet : 0;
	/* With a line's worth unread it is not the other side that is silent. */
	bool full = !make_room(in);
	struct pollfd p[3] = {
		{ .fd = full ? -1 : in->fd, .events = POLLIN }, { .fd = in->signals, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};
	int n;

	if (in->ended)
		return false;
	if (ms >= 0 && (uint64_t)ms < left)
		left = (uint64_t)ms;
	n = poll(p, 3, (int)left);
	if (n < 0)
		return false;
	if (p[1].revents)
		take_signal(in);
	if (p[0].revents)
		take_bytes(in);
	else if (full)
		in->heard = steps_now();
	else if (steps_now() - in->heard >= 1000u * (unsigned)in->silence)
		end(in, "nothing came for 20 s");
	return p[2].revents != 0;
}

char *steps_input_line(struct steps_input *in, size_t *length)
{
	size_t looked = 0;		/* so far there is no line's end */

	for (;;) {
		char *at = in->bytes + in->start, *nl = memchr(at + looked, '\n', in->used - in->start - looked);

		if (nl) {
			*nl = 0;
			*length = (size_t)(nl - at);
			in->start += *length + 1;
			return at;
		}
		looked = in->used - in->start;
		if (looked > STEPS_LINE_MAX)
			end(in, "a line is longer than 16 MiB");
		if (in->ended)
			return NULL;
		steps_input_wait(in, -1, -1);
	}
}
