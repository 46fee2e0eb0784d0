/*
 * driver.c - main() for targets that are not linked with libFuzzer: runs each
 * of the files that are named, or that lie in the directories that are named,
 * through the target once.
 *
 * Each input ends where a page without access begins, so that reading behind
 * its end is seen without a sanitizer too.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fuzz.h"

#define INPUT_MAX (4u << 20)

#pragma weak LLVMFuzzerInitialize

static uint8_t *input;		/* INPUT_MAX bytes, then the page */
static unsigned count;

static void make_room(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	input = mmap(NULL, INPUT_MAX + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);
	fuzz_check(input != MAP_FAILED);
	fuzz_check(mprotect(input + INPUT_MAX, page, PROT_NONE) == 0);
}

static int run_file(const char *path, off_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *at = input + INPUT_MAX - size;

	if (fd < 0 || read(fd, at, (size_t)size) != size) {
		perror(path);
		return 1;
	}
	close(fd);
	/* Who crashes here is to be found by this. */
	setenv("FUZZ_INPUT", path, 1);
	LLVMFuzzerTestOneInput(at, (size_t)size);
	count++;
	return 0;
}

static int run(const char *path);

static int run_dir(const char *path)
{
	struct dirent **names;
	char name[PATH_MAX];
	int n = scandir(path, &names, NULL, alphasort), bad = 0;

	if (n < 0) {
		perror(path);
		return 1;
	}
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			bad |= run(name);
		free(names[i]);
	}
	free(names);
	return bad;
}

static int run(const char *path)
{
	struct stat st;

	if (stat(path, &st)) {
		perror(path);
		return 1;
	}
	if (S_ISDIR(st.st_mode))
		return run_dir(path);
	if (st.st_size > (off_t)INPUT_MAX) {
		fprintf(stderr, "%s: larger than %u bytes\n", path, INPUT_MAX);
		return 1;
	}
	return run_file(path, st.st_size);
}

int main(int argc, char **argv)
{
	int bad = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE-OR-DIRECTORY...\n", argv[0]);
		return 2;
	}
	make_room();
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	LLVMFuzzerTestOneInput(input + INPUT_MAX, 0);
	for (int i = 1; i < argc; i++)
		bad |= run(argv[i]);
	printf("%u inputs\n", count);
	return bad;
}
