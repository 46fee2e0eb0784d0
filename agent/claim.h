/*
 * claim.h - a session's claim on a directory of shared volumes: while it is held
 * this server may write to them for that client's life, and other servers see it.
 *
 * The claims on a volume are kept beside its file, so in the pool's directory:
 * DIR/.rsio.clients/NODE is an empty file, a claim is an open-file-description
 * lock on one byte of it.  The byte's number is made of the client's life and the
 * server's id, so one question to the kernel answers "has that server a claim for
 * this life" and another "has anybody one for another life of this client".
 * Nobody gives a claim back but by ending: takeover.c has the argument.
 *
 * DIR/.rsio.clients/.server.ID says who has that id here, and which life of its
 * process took claims last.  Each server writes its own before its first claim.
 *
 * All of it is file I/O: on workers only, and under no lock but the claim's own.
 */
#ifndef RSSRV_CLAIM_H
#define RSSRV_CLAIM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "err.h"
#include "wire.h"

#define CLAIM_DIR ".rsio.clients"
#define CLAIM_ID_BITS 16

struct server;

/* Where the claims on a volume are kept: the directory that its file is in. */
struct claim_place {
	int fd;			/* -1: a device, or not shared */
	char *path;		/* for people */
	dev_t device;
	ino_t inode;
};

/* dirfd: the pool's; or AT_FDCWD: that of the file which is open as fd, wherever
 * links led to it.  0 or -errno. */
int claim_place_open(struct claim_place *p, int dirfd, int fd);
void claim_place_close(struct claim_place *p);

/* Who claims. */
struct claim_owner {
	char node[WIRE_NAME_MAX + 1];
	uint64_t life;			/* claim_life() of the client's */
};

/* One session's on one directory. */
struct claim {
	struct claim *next;		/* the session's others; under clients.lock */
	dev_t device;			/* of the directory */
	ino_t inode;
	char *path;			/* its, for people */
	pthread_mutex_t lock;		/* while a worker takes it */
	_Atomic int fd;			/* of the node's file, locked; -1: not taken yet */
};

void claim_owner_set(struct claim_owner *o, const char *node, const uint8_t life[16]);

struct claim *claim_new(const struct claim_place *p);
bool claim_is_for(const struct claim *k, const struct claim_place *p);
bool claim_held(const struct claim *k);
/* Takes it, if this was not done already.  0; -EBUSY: another life of the client has
 * one, or this one has it here already; other -errno: the file system does not do its
 * part.  e says so in any case. */
int claim_take(struct claim *k, const struct claim_place *p, const struct claim_owner *o,
	       const struct server *s, struct err *e);
/* Has the server with that id a claim here for this life?  k is held.  1, 0 or -errno;
 * -ESTALE: k's file is not the node's any more, so it cannot tell. */
int claim_elsewhere(const struct claim *k, const struct claim_place *p, const struct claim_owner *o,
		    uint16_t server_id);
/* Closes them all, on a thread of its own where there is one: a file system of
 * several hosts may take its time. */
void claims_release(struct claim *list);
int claims_start(struct err *e);

/* What .server.ID says. */
struct claim_server {
	char name[WIRE_NAME_MAX + 1];
	uint8_t life[16];
};
int claim_server_read(const struct claim_place *p, uint16_t id, struct claim_server *out);	/* 0 or -errno */

/* Which byte it is. */
uint64_t claim_life(const uint8_t life[16]);		/* 47 bits */
int64_t claim_byte(uint64_t life, uint16_t server_id);
struct claim_range {
	int64_t from, length;	/* length 0: to the end of the world */
};
/* All bytes but those of this life: 1 or 2 ranges. */
unsigned claim_others(uint64_t life, struct claim_range out[2]);

#endif
