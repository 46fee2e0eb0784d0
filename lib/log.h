/*
 * log.h - the daemons' log: a ring in a file of the run directory, and
 * standard error or the journal.
 *
 * A line reads
 *   big-2@rsio 2010_09_14-15:02:32 (GMT) INFO (6-if0-tx0): started transmit for rep 192.168.45.10/5000
 * node name, time in GMT, level, the part that speaks, text.
 *
 * The ring (RUN_DIR/rsiod.log, RUN_DIR/rssrv.log) has a fixed size and is
 * mapped by the writer, so a line is a copy into memory: logging never waits
 * for a disk and needs no memory of its own.  Any number of readers follow it
 * without a lock: a position is a byte count since the ring was made, and what
 * was overwritten while it was read is noticed and said.  A daemon that is
 * restarted goes on in the ring that it finds; a damaged one is made anew.
 *
 * When standard error is the journal a line there is a priority, the part and
 * the text: node and time are the journal's to add.
 */
#ifndef RSIO_LOG_H
#define RSIO_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"

#define LOG_RING_BYTES (1u << 20)	/* the file of a new ring, its header included */
#define LOG_LINE_MAX 1024		/* a line with its newline; longer ones are cut */

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

const char *log_level_name(enum log_level level);	/* "ERROR" … */

/* Opens (or makes) the ring at path; node is copied, stands in front of every
 * line.  Also to standard error when to_stderr.  Before this, lines go to
 * standard error only.  0 or -errno with e filled. */
int log_open(const char *path, const char *node, int to_stderr, struct err *e);
void log_close(void);
void log_set_level(enum log_level least);	/* default LOG_LEVEL_INFO */
void log_set_stderr(int on);
bool log_is_open(void);

/* Thread-safe.  part names the speaker: "session osl/big-9", "6-if0-tx0".
 * Control characters that came from outside, and what is not UTF-8, are
 * written as '?'. */
void log_line(enum log_level level, const char *part, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* Lines that somebody else may cause without end, a server of its clients': of what a bound is shared
 * by, so many a minute are said, and that more were left out; those are said at level debug.
 * now: ns of any clock. */
#define LOG_BOUND 256
struct log_bound {
	uint64_t since;
	unsigned count;
};
void log_bounded(struct log_bound *b, uint64_t now, enum log_level level, const char *part, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Reading, for rsclogcat, rsslogcat and /rsio/.rsio/log. */
struct log_reader;
/* NULL on failure.  Reads from the oldest whole line on. */
struct log_reader *log_reader_open(const char *path, struct err *e);
/* The next bytes, whole lines only; 0 when there are none now; -errno.  size is
 * at least LOG_LINE_MAX.  *lost is set to the bytes that were overwritten before
 * this call could read them; what is returned comes after them.  A ring that was
 * made anew is followed. */
ptrdiff_t log_reader_next(struct log_reader *r, char *buf, size_t size, uint64_t *lost);
/* All that there is now, or a little less of a busy daemon's, with room for a 0 behind it; the caller
 * frees.  0 or -errno. */
#define LOG_READER_CHUNK (256u << 10)
int log_reader_all(struct log_reader *r, char **text, size_t *size);
/* Where the last so many of whole lines begin; -1: all of them. */
char *log_last_lines(char *text, size_t size, int lines);
void log_reader_close(struct log_reader *r);

#endif
