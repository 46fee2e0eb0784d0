/*
 * rsagent_mask.h - a configuration to be edited by somebody who does not need to see its keys, with an
 * editor that may keep copies: each key is "(key-N)" in it, and comes back to where that stands.
 */
#ifndef OPS_RSAGENT_MASK_H
#define OPS_RSAGENT_MASK_H

#include <stddef.h>
#include "conf_write.h"

struct rsagent_mask;

/* t is borrowed until the mask is freed, and not edited.  NULL: no memory. */
struct rsagent_mask *rsagent_mask(const struct conf_text *t);
const char *rsagent_masked(const struct rsagent_mask *m);
/* The edited text with the keys in it, secure_alloc's, with a 0 behind it; NULL with e filled: it has a
 * number that there is not. */
char *rsagent_unmask(const struct rsagent_mask *m, const char *edited, size_t *size, struct err *e);
void rsagent_mask_free(struct rsagent_mask *m);	/* NULL is fine */

#endif
