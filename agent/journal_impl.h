/*
 * journal_impl.h - what journal.c and journal_pending.c share.
 */
#ifndef RSSRV_JOURNAL_IMPL_H
#define RSSRV_JOURNAL_IMPL_H

#include "journal.h"

/* 1: it has steps; 0: none, or is not there; -errno. */
int journal_read(struct journal *j, int dir, const char *file, struct err *e);
/* Its text is in JOURNAL_SPARE, on the disk.  0 or -errno. */
int journal_note(const struct journal *j, int dir, struct err *e);

#endif
