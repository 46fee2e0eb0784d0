/*
 * rsagent_screen.c - what rsagent's parent shows and asks.
 *
 * Progress goes to standard error.  A question goes to /dev/tty, whatever the
 * three standard files are, as with ssh.  A terminal gives whole lines, so the parent waits
 * for one among everything else that it waits for, and other hosts go on meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "rsagent_many_impl.h"

#define CTRL_C 3

/* Lines that change in place. */

static int column_count(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

void screen_start(struct screen *s, const struct rsagent_hosts *hosts)
{
	const char *term = getenv("TERM");
	struct winsize w;

	if (s->quiet || hosts->count < 2 || !isatty(STDERR_FILENO) || !term || !*term || strcmp(term, "dumb") == 0 ||
	    ioctl(STDERR_FILENO, TIOCGWINSZ, &w) || hosts->count + 2 > w.ws_row)
		return;
	s->lines = calloc(hosts->count, sizeof(*s->lines));
	s->line_count = s->lines ? hosts->count : 0;
	for (size_t i = 0; i < s->line_count; i++)
		s->lines[i].host = hosts->list[i].name;
}

void screen_hide(struct screen *s)
{
	if (s->drawn)
		fprintf(stderr, "\033[%dA\033[J", s->drawn);
	s->drawn = 0;
	fflush(stderr);
}

/* No line may be longer than the terminal's: it would be two. */
static void draw(struct screen *s)
{
	char line[512];

	screen_hide(s);
	s->columns = column_count();
	for (size_t i = 0; i < s->line_count; i++) {
		size_t n;

		if (!*s->lines[i].text)
			continue;
		n = (size_t)snprintf(line, sizeof(line), "%s: %s", s->lines[i].host, s->lines[i].text);
		if (n >= (size_t)s->columns)
			for (n = (size_t)s->columns - 1; n && (line[n] & 0xc0) == 0x80; n--)
				;
		line[n] = 0;
		fprintf(stderr, "%s\n", line);
		s->drawn++;
	}
	fflush(stderr);
}

void screen_end(struct screen *s)
{
	screen_end_question(s);
	screen_hide(s);
	free(s->lines);
	s->lines = NULL;
	s->line_count = 0;
}

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

void screen_progress(struct screen *s, size_t i, const char *host, const char *text)
{
	if (s->quiet)
		return;
	if (!s->lines) {
		say(s, host, text);
		return;
	}
	snprintf(s->lines[i].text, sizeof(s->lines[i].text), "%s", text);
	if (s->tty < 0)
		draw(s);
}

/* Each line has its host in front where there are several. */
void screen_output(struct screen *s, const char *host, const char *text)
{
	FILE *to = s->json ? stderr : stdout;

	screen_hide(s);
	for (const char *line = text; *line;) {
		int n = (int)strcspn(line, "\n");

		fprintf(to, "%s%s%.*s\n", s->bare ? "" : host, s->bare ? "" : ": ", n, line);
		line += n + (line[n] != 0);
	}
	fflush(to);
	if (s->lines && s->tty < 0)
		draw(s);
}

int screen_ask(struct screen *s, const char *host, const char *question, bool secret)
{
	struct termios quiet;
	int r = 0;

	screen_hide(s);
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
	if (s->lines)
		draw(s);
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
