/*
 * reserve.h - keeping others from a volume: what rsconfig -a --exclusive asks for, and the
 * kernel's persistent-reservation ioctls on a volume's file.  The server decides
 * (RESERVATIONS in rsio-protocol(7)).
 */
#ifndef RSIOD_RESERVE_H
#define RSIOD_RESERVE_H

#include <stdbool.h>
#include "client.h"
#include "err.h"
#include "io.h"

/* Any thread but the loop's: the volume is to be this client's alone, or no more.  Waits for the
 * server's answer.  0 or -errno with e filled. */
int reserve_alone(struct client *c, const char *namespace, const char *volume, bool alone, struct err *e);

/* On the loop.  True: it is one of those ioctls, and is answered, now or later. */
bool reserve_ioctl(struct client *c, fuse_req_t req, struct mpio *v, unsigned cmd, const void *in, size_t in_size);

#endif
