/*
 * effects.h - what a running daemon does with a changed configuration, said before it is written.
 */
#ifndef RSIO_EFFECTS_H
#define RSIO_EFFECTS_H

#include "conf.h"

/* A line for each, with a newline; "": it goes on as before.  before NULL: there was no good one, which no daemon
 * runs with.  The caller frees; NULL: no memory. */
char *effects(const struct conf_client *before, const struct conf_client *after);

#endif
