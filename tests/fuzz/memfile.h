/*
 * memfile.h - regular files in memory, for targets whose time would otherwise
 * go into the file system.  fuzz.mk lists the calls that memfile.c answers; what
 * does not concern one of these files goes on to the C library.
 */
#ifndef RSIO_FUZZ_MEMFILE_H
#define RSIO_FUZZ_MEMFILE_H

#include <stddef.h>
#include <stdint.h>

#define MEMFILE_DIR "/memfile/"		/* every path below it is one of these files */
#define MEMFILE_MAX (1u << 20)		/* of one file */

/* A new file of that size, its first bytes these, the rest zero; or the file that is there so. */
void memfile_make(const char *path, const void *bytes, size_t have, size_t size);
void memfile_change(const char *path, const void *bytes, size_t size);	/* from its start */
void memfile_cut(const char *path, size_t size);
/* Removes all of them; nothing may be open or mapped. */
void memfile_end(void);

#endif
