/*
 * fuzz.h - what the fuzz targets share.
 *
 * A target is a file fuzz_NAME.c with LLVMFuzzerTestOneInput in it.  It runs
 * under libFuzzer, or under driver.c, which only replays files.  Each input
 * stands alone: nothing that one of them did may change what the next one does.
 */
#ifndef RSIO_FUZZ_H
#define RSIO_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Before the first input; a target that needs none leaves it out. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* What has to hold for every input; else the program is aborted. */
#define fuzz_check(what) \
	do { \
		if (!(what)) \
			fuzz_broken(#what, __FILE__, __LINE__); \
	} while (0)
_Noreturn void fuzz_broken(const char *what, const char *file, int line);

/* An input, taken apart from its front; behind its end there are zeroes. */
struct fuzz_in {
	const uint8_t *at, *end;
};
size_t fuzz_left(const struct fuzz_in *in);
uint8_t fuzz_u8(struct fuzz_in *in);
uint16_t fuzz_u16(struct fuzz_in *in);
uint32_t fuzz_u32(struct fuzz_in *in);
uint64_t fuzz_u64(struct fuzz_in *in);
/* At most n bytes, fewer at the end; *got says how many. */
const uint8_t *fuzz_bytes(struct fuzz_in *in, size_t n, size_t *got);

/* A directory of this process, in memory where there is one; removed at the end. */
const char *fuzz_dir(void);
/* Lines of the code under test are formatted and go to a ring there. */
void fuzz_log(void);
/* OpenSSL's random numbers are from here on the same for the same seed. */
void fuzz_random(uint64_t seed);
/* Text that a terminal may be given: no control character, and ends. */
bool fuzz_clean(const char *text);

#endif
