/* seeds.h - an input being made, byte by byte, and then written as a file. */
#ifndef RSIO_SEEDS_H
#define RSIO_SEEDS_H

#include <stddef.h>
#include <stdint.h>

#define SEED_MAX (64u << 10)

void seed_begin(const char *target);	/* for this one are the next */
void seed_add(const void *data, size_t size);
void seed_byte(unsigned v);
void seed_write(const char *name);	/* and begins another */
void seeds_conf(void);
void seeds_tls(void);

#endif
