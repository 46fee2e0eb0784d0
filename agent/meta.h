/*
 * meta.h - a volume's identity, kept in a small readable file beside it, with whatever
 * else is known of it: one key a line.
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

#define META_MORE_MAX 14336
#define META_TIME 32
#define META_LABEL 201		/* of the key label */

struct meta {
	uint8_t uuid[WIRE_UUID_SIZE];
	uint64_t generation;
	char created[META_TIME];
	uint32_t block_size;
	uint64_t inode, birth;		/* of the file that it is about; 0: not known */
	/* Every other key, known to this version or not, as lines "KEY = VALUE\n": kept when the
	 * file is written anew. */
	char more[META_MORE_MAX];
};

/* One of the other keys.  The value is copied, cut at size - 1; false, and "" in out: it is not there. */
bool meta_get(const struct meta *m, const char *key, char *out, size_t size);
/* value: one line; NULL or "" takes the key away.  0; -EINVAL a key or value that would not be
 * read as it was given; -ENOSPC no room. */
int meta_set(struct meta *m, const char *key, const char *value);
void meta_now(char out[META_TIME]);		/* UTC, as 2026-11-26T07:35:55Z */
uint64_t meta_time(const char *text);		/* the same as seconds since 1970; 0: it is none */
uint64_t meta_later(uint64_t generation);	/* than this one: a new generation */

int meta_read(int dirfd, const char *name, struct meta *m, struct err *e);	/* -ENOENT: none */
int meta_write(int dirfd, const char *name, const struct meta *m, struct err *e);

/* Gives v its UUID and generation, making or renewing the file as needed.
 * uuid: what the configuration says, or NULL. */
int meta_identify(int dirfd, const char *name, struct volume *v, const uint8_t *uuid, struct err *e);
/* Files in one directory that have no identity yet get one, which is on the disk for all of them
 * at once; those that have one, or cannot get one here, are left to meta_identify.  0 or -errno. */
struct meta_of {
	const char *file, *name;	/* the volume's, the identity's */
};
int meta_identify_many(int dirfd, const struct meta_of *list, size_t n);
/* The same for who must not write: -EAGAIN where the file is not there yet, or about another
 * file than v. */
int meta_recognize(int dirfd, const char *name, struct volume *v, struct err *e);

#endif
