/*
 * crc.h - CRC32C (Castagnoli, RFC 3720 appendix B.4), by the processor's
 * instruction where it has one (SSE4.2, ARMv8 CRC), else by a table.
 */
#ifndef RSIO_CRC_H
#define RSIO_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Start with crc = 0; feed the result back in to go on. */
uint32_t crc32c(uint32_t crc, const void *data, size_t length);
/* The table's way, for the test that compares the two. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t length);
const char *crc32c_name(void);	/* "sse4.2", "armv8", "table" */

#endif
