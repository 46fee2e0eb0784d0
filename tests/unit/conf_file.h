/*
 * conf_file.h - what the tests of the configuration share: a file to write to
 * and read back, the samples, and a report that is compared line by line.
 */
#ifndef TEST_CONF_FILE_H
#define TEST_CONF_FILE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conf.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LINES_MAX 12

static char dir[PATH_MAX - 8];
static char path[PATH_MAX];

static inline void write_bytes(const char *text, size_t size, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), (ssize_t)size);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static inline struct conf_client *client_of(const char *text, struct conf_report *r)
{
	write_bytes(text, strlen(text), 0600);
	return conf_client_read(path, (gid_t)-1, r);
}

static inline struct conf_server *server_of(const char *text, struct conf_report *r)
{
	write_bytes(text, strlen(text), 0600);
	return conf_server_read(path, (gid_t)-1, r);
}

/* The sample: below the current directory, or beside the build directory that
 * this program is in. */
static inline char *sample(const char *name)
{
	char program[PATH_MAX] = "", from[PATH_MAX + 128], *text = calloc(1, 4096);
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	FILE *f;

	snprintf(from, sizeof(from), "tests/samples/%s", name);
	f = fopen(from, "re");
	for (int up = 0; n > 0 && up < 3 && strchr(program, '/'); up++)
		*strrchr(program, '/') = 0;
	if (!f) {
		snprintf(from, sizeof(from), "%s/tests/samples/%s", program, name);
		f = fopen(from, "re");
	}
	if (!f)
		fail_msg("%s is not there: start the test from the top of the tree", from);
	assert_true(fread(text, 1, 4095, f) > 0);
	fclose(f);
	return text;
}

/* Sections without a mistake. */
#define NS "[namespace osl]\nnamespaceid=200\nnodename=big-2\nnodekey=k\n"
#define SRV "[server s1]\naddress=10.0.0.1\n"
#define HEAD "[namespace osl]\nnamespaceid=200\n[server big-9]\nserverid=1\n"
#define PORTAL "[interface if1]\naddress=10.0.0.1\n"
#define CLIENTS "[clients]\nbig-2 0xbig2\n"
#define TEN "0123456789"
#define FORTY TEN TEN TEN TEN

struct mistake_case {
	const char *text;
	const char *lines[LINES_MAX];
};

static inline void check_report(const struct mistake_case *m, const struct conf_report *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++) {
		const char *line = r->lines[i] + strlen(path) + 1;

		assert_memory_equal(r->lines[i], path, strlen(path));
		if (!m->lines[n] || strcmp(line, m->lines[n]) != 0)
			fail_msg("of\n%s\nreport line %zu is\n  %s\nand not\n  %s", m->text, i,
				 line, m->lines[n] ? m->lines[n] : "(nothing)");
		n++;
	}
	if (m->lines[n])
		fail_msg("of\n%s\nthe report lacks\n  %s", m->text, m->lines[n]);
}

static inline int make_dir(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(dir, sizeof(dir), "%s/test_conf.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/cfg", dir);
	return 0;
}

static inline int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

#endif
