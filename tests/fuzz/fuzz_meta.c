/*
 * fuzz_meta.c - the file beside a volume that keeps its identity: what is
 * understood must be read as the same after it was written again.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "../../agent/meta.h"
#include "fuzz.h"

static int dir;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	dir = open(fuzz_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fuzz_check(dir >= 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = openat(dir, "v.meta", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct meta m, again;
	struct err e = { .code = 0 };

	fuzz_check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
	if (meta_read(dir, "v.meta", &m, &e)) {
		fuzz_check(e.code && e.text[0] && fuzz_clean(e.text) && fuzz_clean(e.next));
		return 0;
	}
	fuzz_check(m.generation && m.block_size == 512);
	fuzz_check(meta_write(dir, "v.meta", &m, &e) == 0);
	fuzz_check(meta_read(dir, "v.meta", &again, &e) == 0);
	fuzz_check(memcmp(m.uuid, again.uuid, sizeof(m.uuid)) == 0);
	fuzz_check(strcmp(m.more, again.more) == 0);
	fuzz_check(m.generation == again.generation && m.inode == again.inode && m.birth == again.birth);
	return 0;
}
