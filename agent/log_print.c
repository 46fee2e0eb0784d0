/* log_print.c - see log_print.h.  The reader needs no daemon: the log of one that crashed is read as well. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "err.h"
#include "log.h"
#include "log_print.h"
#include "opt.h"

#define TICK_MS 100	/* a mapped file's changes are told by nobody */

/* Does anybody still read what we print?  Waits a tick for the answer. */
static bool reader_left(void)
{
	struct pollfd fd = { STDOUT_FILENO, 0, 0 };

	return poll(&fd, 1, TICK_MS) > 0 && (fd.revents & POLLERR);
}

static int put(const char *text, size_t size)
{
	return fwrite(text, 1, size, stdout) != size || fflush(stdout) ? -errno : 0;
}

static int go_on(struct log_reader *r, char *buf)
{
	uint64_t lost;
	ptrdiff_t n;
	int ret;

	for (;;) {
		n = log_reader_next(r, buf, LOG_READER_CHUNK, &lost);
		if (n < 0)
			return (int)n;
		if (lost)
			fprintf(stderr, "rssrv: %llu bytes were overwritten before they could be read\n", (unsigned long long)lost);
		ret = put(buf, (size_t)n);
		if (ret)
			return ret;
		if (n == 0 && reader_left())
			return 0;
	}
}

static int print(struct log_reader *r, int lines, bool follow)
{
	char *text, *from;
	size_t size;
	int ret = log_reader_all(r, &text, &size);

	if (!ret) {
		from = log_last_lines(text, size, lines);
		ret = put(from, (size_t)(text + size - from));
	}
	if (!ret && follow)
		ret = go_on(r, text);
	free(text);
	return ret;
}

int log_print(const char *run_dir, int lines, bool follow)
{
	char *dir = opt_run_dir(run_dir), *path = NULL;
	struct log_reader *r = NULL;
	struct err e = { 0 };
	int ret = -1;

	if (!dir || asprintf(&path, "%s/rssrv.log", dir) < 0)
		err_set(&e, ENOMEM, "no memory");
	else
		r = log_reader_open(path, &e);
	if (r) {
		ret = print(r, lines, follow);
		if (ret)
			err_sys(&e, -ret, "cannot print the log %s", path);
	}
	if (ret)
		err_print("rssrv", &e);
	log_reader_close(r);
	free(path);
	free(dir);
	return ret ? 1 : 0;
}
