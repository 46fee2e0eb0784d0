/* names.h - what may have been meant by a volume's name that nobody knows. */
#ifndef RSIO_OPS_NAMES_H
#define RSIO_OPS_NAMES_H

#include "err.h"

#define NAMES_TIMEOUT 12.0	/* seconds for any answer: rsiod ends its own work within 10 */

/* Asks rsiod at that socket for the volumes that there are, and puts those nearest to the name
 * (with or without its namespace) into e->next; tool is who lists them all.  Leaves it when nothing
 * is known, or the name is there. */
void names_suggest(const char *socket, const char *volume, const char *tool, struct err *e);

#endif
