/*
 * rsagent_screen.c - what rsagent's parent shows and asks.
 *
 * Progress goes to standard error, a line each.  A question goes to /dev/tty, whatever the
 * three standard files are, as with ssh.  A terminal gives whole lines, so the parent waits
 * for one among everything else that it waits for, and other hosts go on meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "rsagent_many_impl.h"

#define CTRL_C 3

/* To standard error now, or after the question. */
static void say(struct screen *s, const char *host, const char *text)
{
	size_t size = strlen(host) + strlen(text) + 4;
	char *more;

	if (s->tty < 0) {
		fprintf(stderr, "%s: %s\n", host, text);
		return;
	}
	more = realloc(s->held, s->held_size + size);
	if (!more)
		return;
	s->held = more;
	s->held_size += (size_t)sprintf(more + s->held_size, "%s: %s\n", host, text);
}

void screen_progress(struct screen *s, const char *host, const char *text)
{
	if (!s->quiet)
		say(s, host, text);
}

/* Each line has its host in front where there are several. */
void screen_output(struct screen *s, const char *host, const char *text)
{
	FILE *to = s->json ? stderr : stdout;

	for (const char *line = text; *line;) {
		int n = (int)strcspn(line, "\n");

		fprintf(to, "%s%s%.*s\n", s->bare ? "" : host, s->bare ? "" : ": ", n, line);
		line += n + (line[n] != 0);
	}
	fflush(to);
}

int screen_ask(struct screen *s, const char *host, const char *question, bool secret)
{
	struct termios quiet;
	int r = 0;

	s->tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (s->tty < 0)
		return -ENOTTY;
	if (tcgetattr(s->tty, &s->before))
		r = -ENOTTY;
	quiet = s->before;
	/* ^C is a byte that ends a line: no signal leaves the terminal without echo. */
	quiet.c_lflag &= ~(tcflag_t)(ISIG | (secret ? ECHO : 0));
	quiet.c_cc[VEOL] = CTRL_C;
	quiet.c_lflag |= ICANON | (secret ? ECHONL : 0);
	if (!r && tcsetattr(s->tty, TCSAFLUSH, &quiet))
		r = -errno;
	if (!r && dprintf(s->tty, "%s%s%s", s->one ? "" : host, s->one ? "" : ": ", question) < 0)
		r = -EIO;
	if (r) {
		close(s->tty);
		s->tty = -1;
	}
	return r;
}

void screen_end_question(struct screen *s)
{
	if (s->tty < 0)
		return;
	tcsetattr(s->tty, TCSAFLUSH, &s->before);
	close(s->tty);
	s->tty = -1;
	if (s->held)
		fwrite(s->held, 1, s->held_size, stderr);
	free(s->held);
	s->held = NULL;
	s->held_size = 0;
}

/* ^D in the middle of a line gives what is there of it, which is no answer either. */
int screen_answer(struct screen *s, char *answer, size_t size)
{
	ssize_t n = read(s->tty, answer, size - 1);
	int r = n < 0 ? -errno : 0;

	if (r == -EAGAIN)
		return r;
	if (n > 0 && memchr(answer, CTRL_C, (size_t)n))
		r = -EINTR;
	else if (!r && (n == 0 || answer[n - 1] != '\n'))
		r = n == (ssize_t)size - 1 ? -EMSGSIZE : -ECANCELED;
	if (!r)
		answer[--n] = 0;
	screen_end_question(s);
	return r ? r : (int)n;
}
