/*
 * ctl_impl.h - what the two sides of the control socket share.
 */
#ifndef RSIO_CTL_IMPL_H
#define RSIO_CTL_IMPL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "ctl.h"

/* The address of path.  One that is too long for a socket address is reached
 * through its directory: *dir is then a descriptor that the caller closes when
 * the address was used, else -1.  0 or -errno. */
int ctl_address(const char *path, struct sockaddr_un *sa, int *dir);

/* When a wait ends, CLOCK_MONOTONIC seconds; 0 for never. */
double ctl_deadline(double seconds);

/* One whole message.  *text is 0-terminated memory that the caller frees; at
 * most limit bytes are taken.  first: when the first byte must be there; rest:
 * seconds from then to the end (0: first holds for all).  0, -ENODATA for an
 * orderly end before a message, -ETIMEDOUT, -EMSGSIZE, or another -errno. */
int ctl_receive(int fd, size_t limit, double first, double rest, char **text, size_t *size);
int ctl_send(int fd, const json_t *message, double until);

/* The reply to one request's text; NULL when memory ran out. */
json_t *ctl_answer(ctl_handler handler, void *arg, const struct ctl_peer *peer,
		   const char *text, size_t size);

#endif
