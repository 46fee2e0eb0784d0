/*
 * answers.h - the answers of a session in a file: read into a plan, written from one.
 *
 * The sections and keys are those of rscltcfg(5): what is in the file is to be in the configuration, what is not
 * stays as it is.  Two things more can be said: "key =" without a value takes the key out, "remove = yes" the
 * whole section.  crsio(8) has it for the admin.
 */
#ifndef RSIO_ANSWERS_H
#define RSIO_ANSWERS_H

#include "plan.h"

#define ANSWERS_STDIN "-"

/* Every mistake of the file's own into the remarks; 0, or -errno with e filled when it cannot be read at all. */
int answers_read(struct plan *p, const char *path, struct remarks *r, struct err *e);

/* As a text that answers_read() would make these answers of, but for node keys: for each a comment says where it
 * belongs.  The caller frees it; NULL: no memory. */
char *answers_text(struct plan *p);
/* The same as a new file, for its owner alone.  -EEXIST with e filled: there is one. */
int answers_record(struct plan *p, const char *path, struct err *e);

#endif
