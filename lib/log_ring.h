/*
 * log_ring.h - the ring's file, shared by the writer (log.c) and the readers
 * (log_reader.c).
 *
 * One page of header, then the data.  Positions count bytes since the ring was
 * made; a byte's place is its position modulo data_size.  The writer
 *   1. stores claimed = end of the new line,
 *   2. copies the line,
 *   3. stores written = claimed.
 * So whole lines end at written, and what lies before claimed - data_size may
 * be overwritten at this moment.  A reader copies first and looks at claimed
 * afterwards: what was claimed meanwhile it throws away.  A writer that is
 * killed between 1 and 3 leaves claimed ahead of written; the next one starts
 * at written and never takes claimed back, so the damage stays outside of what
 * a reader believes.
 */
#ifndef RSIO_LOG_RING_H
#define RSIO_LOG_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "log.h"

#define LOG_RING_MAGIC "rsiolog1"
#define LOG_RING_HEADER 4096
#define LOG_RING_MIN (64u << 10)	/* of the file */
#define LOG_RING_MAX (1u << 30)

struct log_ring_header {
	char magic[8];
	uint64_t data_size;		/* const */
	_Atomic uint64_t claimed;
	_Atomic uint64_t written;
};

/* Can this header, in a file of that size, be believed?  ahead: how far claimed
 * may be in front of written. */
static inline bool log_ring_sound(const char *magic, uint64_t file_size, uint64_t data_size,
				  uint64_t claimed, uint64_t written, uint64_t ahead)
{
	return memcmp(magic, LOG_RING_MAGIC, 8) == 0 && file_size >= LOG_RING_MIN &&
	       file_size <= LOG_RING_MAX && data_size == file_size - LOG_RING_HEADER &&
	       written <= claimed && claimed - written <= ahead && claimed < UINT64_MAX / 2;
}

#endif
