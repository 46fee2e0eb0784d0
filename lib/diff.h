/*
 * diff.h - two small texts, and what differs, as diff -u shows it.
 */
#ifndef RSIO_DIFF_H
#define RSIO_DIFF_H

#include <stddef.h>

struct diff_side {
	const char *name;	/* behind --- or +++ */
	const char *text;
	size_t size;
	/* What is printed in place of the text's lines: as many lines; NULL: they themselves. */
	const char *shown;
	size_t shown_size;
};

/* With three lines around each change, fit for a terminal (err_clean); "" when the two are equal.  Texts that
 * have very little in common are shown as all of one and all of the other.  The caller frees; NULL: no memory. */
char *diff_unified(const struct diff_side *before, const struct diff_side *after);

#endif
