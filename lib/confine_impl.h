/* confine_impl.h - private to lib/confine*.c. */
#ifndef RSIO_CONFINE_IMPL_H
#define RSIO_CONFINE_IMPL_H

#include "confine.h"

/* The ABI in force, 0 when the kernel has none of it, or -errno. */
int confine_files(const struct confine_paths *p, bool connects);
/* 1 when it is in force, 0 when the kernel has none of it, or -errno. */
int confine_calls(void);

#endif
