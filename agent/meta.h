/*
 * meta.h - a volume's identity, kept in a small readable file beside it.
 *
 * The UUID is made once, at random, never from a name.  The generation is a
 * number that only grows; it changes when the content was replaced behind the
 * clients' backs, which shows in that the file is another one (inode or time
 * of birth) than the one that the identity was written for.
 */
#ifndef RSSRV_META_H
#define RSSRV_META_H

#include <stdbool.h>
#include <stdint.h>
#include "err.h"
#include "volume.h"

struct meta {
	uint8_t uuid[WIRE_UUID_SIZE];
	uint64_t generation;
	char created[32];
	uint32_t block_size;
	uint64_t inode, birth;		/* of the file that it is about; 0: not known */
};

int meta_read(int dirfd, const char *name, struct meta *m, struct err *e);	/* -ENOENT: none */
int meta_write(int dirfd, const char *name, const struct meta *m, struct err *e);

/* Gives v its UUID and generation, making or renewing the file as needed.
 * uuid: what the configuration says, or NULL. */
int meta_identify(int dirfd, const char *name, struct volume *v, const uint8_t *uuid, struct err *e);
/* The same for who must not write: -EAGAIN where the file is not there yet, or about another
 * file than v. */
int meta_recognize(int dirfd, const char *name, struct volume *v, struct err *e);

#endif
