/*
 * memsock.h - connected sockets, eventfds and epolls in memory, for a target whose
 * time would otherwise go into the kernel.  fuzz.mk lists the calls that memsock.c
 * answers; what does not concern one of these descriptors goes on to the C library.
 *
 * A socket is a stream socket that does not block, as of a socket pair: what its
 * other end did not read when it closed is a reset, and a closed end is EPOLLHUP.
 */
#ifndef RSIO_FUZZ_MEMSOCK_H
#define RSIO_FUZZ_MEMSOCK_H

#include <sys/epoll.h>

#define MEMSOCK_ROOM (256u << 10)	/* what one end says and the other has not read */

void memsock_pair(int fds[2]);
/* epoll_wait() that does not wait; world.c makes the rest of it. */
int memsock_events(int epoll, struct epoll_event *events, int most);

#endif
