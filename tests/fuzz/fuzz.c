/* fuzz.c - see fuzz.h. */
#define OPENSSL_API_COMPAT 10100	/* RAND_METHOD, whose successor is a provider */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/rand.h>
#include "fuzz.h"
#include "log.h"

_Noreturn void fuzz_broken(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

size_t fuzz_left(const struct fuzz_in *in)
{
	return (size_t)(in->end - in->at);
}

static uint64_t number(struct fuzz_in *in, size_t size)
{
	uint64_t n = 0;

	for (size_t i = 0; i < size && in->at < in->end; i++)
		n |= (uint64_t)*in->at++ << (8 * i);
	return n;
}

uint8_t fuzz_u8(struct fuzz_in *in)
{
	return (uint8_t)number(in, 1);
}

uint16_t fuzz_u16(struct fuzz_in *in)
{
	return (uint16_t)number(in, 2);
}

uint32_t fuzz_u32(struct fuzz_in *in)
{
	return (uint32_t)number(in, 4);
}

uint64_t fuzz_u64(struct fuzz_in *in)
{
	return number(in, 8);
}

const uint8_t *fuzz_bytes(struct fuzz_in *in, size_t n, size_t *got)
{
	const uint8_t *p = in->at;

	*got = n < fuzz_left(in) ? n : fuzz_left(in);
	in->at += *got;
	return p;
}

static char dir[PATH_MAX];

/* One level is all that a target makes there. */
static void remove_in(const char *path)
{
	char name[PATH_MAX + 300];
	struct dirent *e;
	DIR *d = opendir(path);

	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		if (unlink(name) && errno == EISDIR) {
			if (strcmp(path, dir) == 0)
				remove_in(name);
			rmdir(name);
		}
	}
	if (d)
		closedir(d);
}

static void remove_dir(void)
{
	log_close();
	remove_in(dir);
	rmdir(dir);
}

const char *fuzz_dir(void)
{
	const char *in = getenv("TMPDIR");

	if (*dir)
		return dir;
	if (!in)
		in = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	snprintf(dir, sizeof(dir), "%s/rsio-fuzz-XXXXXX", in);
	fuzz_check(mkdtemp(dir));
	atexit(remove_dir);
	return dir;
}

void fuzz_log(void)
{
	char path[PATH_MAX + 16];
	struct err e;

	snprintf(path, sizeof(path), "%s/log", fuzz_dir());
	fuzz_check(log_open(path, "fuzz", 0, &e) == 0);
}

bool fuzz_clean(const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c == 0x7f)
			return false;
	return true;
}

static uint64_t random_state;

static int random_bytes(unsigned char *to, int size)
{
	while (size-- > 0) {
		random_state = random_state * 6364136223846793005u + 1442695040888963407u;
		*to++ = (unsigned char)(random_state >> 56);
	}
	return 1;
}

static int random_status(void)
{
	return 1;
}

void fuzz_random(uint64_t seed)
{
	static const RAND_METHOD method = { .bytes = random_bytes, .pseudorand = random_bytes, .status = random_status };

	random_state = seed;
	if (RAND_get_rand_method() != &method)
		fuzz_check(RAND_set_rand_method(&method) == 1);
}
