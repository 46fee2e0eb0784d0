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

#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>

#define MEMSOCK_ROOM_MAX (256u << 10)
extern size_t memsock_room;	/* what one end says and the other has not read: at most so much */

void memsock_pair(int fds[2]);
unsigned memsock_count(void);	/* of descriptors that are open */
/* epoll_wait() and poll() that do not wait; the targets make the rest of them. */
int memsock_events(int epoll, struct epoll_event *events, int most);
int memsock_poll(struct pollfd *p);

#endif
