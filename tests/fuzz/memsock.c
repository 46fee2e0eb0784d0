/* memsock.c - see memsock.h.  Level-triggered; events come in the order of the descriptors' adding. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "fuzz.h"
#include "memsock.h"

#define FDS 128
#define WATCHED_MAX 32
#define FD_FIRST (1 << 25)		/* no descriptor of the kernel's is as large, none of memfile.c's */

int __wrap_close(int fd);
int __real_close(int fd);
int __wrap_shutdown(int fd, int how);
int __real_shutdown(int fd, int how);
ssize_t __wrap_read(int fd, void *to, size_t size);
ssize_t __real_read(int fd, void *to, size_t size);
ssize_t __wrap_write(int fd, const void *from, size_t size);
ssize_t __real_write(int fd, const void *from, size_t size);
ssize_t __wrap_recv(int fd, void *to, size_t size, int flags);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int count);
ssize_t __wrap_send(int fd, const void *from, size_t size, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
int __wrap_eventfd(unsigned int first, int flags);
int __wrap_epoll_create1(int flags);
int __wrap_epoll_ctl(int epoll, int what, int fd, struct epoll_event *event);

struct watched {
	int fd;
	struct epoll_event event;
};

static struct thing {
	enum { NONE, SOCKET, EVENTFD, EPOLL } type;
	uint64_t counter;		/* of an eventfd */
	struct watched *watched;	/* WATCHED_MAX, of an epoll */
	int count;
	/* Of a socket: what came and was not read, in a ring. */
	struct thing *other;		/* NULL: closed */
	bool reset;
	bool deaf, mute;		/* nothing more comes; nothing more may be said */
	size_t at, size;
} things[FDS];
/* Beside the things, which are cleared. */
static uint8_t rings[FDS][MEMSOCK_ROOM_MAX];
static struct watched watched[FDS][WATCHED_MAX];
size_t memsock_room = MEMSOCK_ROOM_MAX;

static struct thing *of_fd(int fd)
{
	if (fd < FD_FIRST)
		return NULL;
	fuzz_check(fd < FD_FIRST + FDS && things[fd - FD_FIRST].type);
	return &things[fd - FD_FIRST];
}

static struct thing *of_socket(int fd)
{
	struct thing *t = of_fd(fd);

	fuzz_check(t && t->type == SOCKET);
	return t;
}

static int create(int type)
{
	int i;

	for (i = 0; i < FDS && things[i].type; i++)
		;
	fuzz_check(i < FDS);
	things[i] = (struct thing){ .type = type, .watched = watched[i] };
	return FD_FIRST + i;
}

void memsock_pair(int fds[2])
{
	fds[0] = create(SOCKET);
	fds[1] = create(SOCKET);
	of_fd(fds[0])->other = of_fd(fds[1]);
	of_fd(fds[1])->other = of_fd(fds[0]);
}

unsigned memsock_count(void)
{
	unsigned n = 0;

	for (int i = 0; i < FDS; i++)
		n += things[i].type != NONE;
	return n;
}

int __wrap_eventfd(unsigned int first, int flags)
{
	int fd = create(EVENTFD);

	(void)flags;
	of_fd(fd)->counter = first;
	return fd;
}

int __wrap_epoll_create1(int flags)
{
	(void)flags;
	return create(EPOLL);
}

/* Sockets. */

static size_t copy_in(struct thing *to, const uint8_t *from, size_t size)
{
	uint8_t *ring = rings[to - things];
	size_t end = (to->at + to->size) % MEMSOCK_ROOM_MAX, first;

	if (size > memsock_room - to->size)
		size = memsock_room - to->size;
	first = size < MEMSOCK_ROOM_MAX - end ? size : MEMSOCK_ROOM_MAX - end;
	memcpy(ring + end, from, first);
	memcpy(ring, from + first, size - first);
	to->size += size;
	return size;
}

static size_t copy_out(struct thing *t, uint8_t *to, size_t size)
{
	const uint8_t *ring = rings[t - things];
	size_t first;

	if (size > t->size)
		size = t->size;
	first = size < MEMSOCK_ROOM_MAX - t->at ? size : MEMSOCK_ROOM_MAX - t->at;
	memcpy(to, ring + t->at, first);
	memcpy(to + first, ring, size - first);
	t->size -= size;
	t->at = t->size ? (t->at + size) % MEMSOCK_ROOM_MAX : 0;
	return size;
}

static ssize_t fail(int error)
{
	errno = error;
	return -1;
}

ssize_t __wrap_readv(int fd, const struct iovec *iov, int count)
{
	struct thing *t = of_socket(fd);
	size_t n = 0;

	if (!t->size && t->reset) {
		t->reset = false;
		return fail(ECONNRESET);
	}
	if (!t->size)
		return t->deaf ? 0 : fail(EAGAIN);
	for (int i = 0; i < count; i++)
		n += copy_out(t, iov[i].iov_base, iov[i].iov_len);
	return (ssize_t)n;
}

ssize_t __wrap_recv(int fd, void *to, size_t size, int flags)
{
	struct iovec iov = { .iov_base = to, .iov_len = size };

	(void)flags;
	return __wrap_readv(fd, &iov, 1);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct thing *t = of_socket(fd);
	size_t n = 0;

	(void)flags;
	if (t->mute)
		return fail(EPIPE);
	if (t->other->size == memsock_room)
		return fail(EAGAIN);
	for (size_t i = 0; i < m->msg_iovlen; i++)
		n += copy_in(t->other, m->msg_iov[i].iov_base, m->msg_iov[i].iov_len);
	return (ssize_t)n;
}

ssize_t __wrap_send(int fd, const void *from, size_t size, int flags)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)from, .iov_len = size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	return __wrap_sendmsg(fd, &m, flags);
}

int __wrap_shutdown(int fd, int how)
{
	struct thing *t = of_socket(fd);

	if (how != SHUT_WR) {
		t->deaf = true;
		if (t->other)
			t->other->mute = true;
	}
	if (how != SHUT_RD) {
		t->mute = true;
		if (t->other)
			t->other->deaf = true;
	}
	return 0;
}

/* Eventfds. */

ssize_t __wrap_read(int fd, void *to, size_t size)
{
	struct thing *t = of_fd(fd);

	if (!t)
		return __real_read(fd, to, size);
	fuzz_check(t->type == EVENTFD && size == sizeof(t->counter));
	if (!t->counter)
		return fail(EAGAIN);
	memcpy(to, &t->counter, sizeof(t->counter));
	t->counter = 0;
	return sizeof(t->counter);
}

ssize_t __wrap_write(int fd, const void *from, size_t size)
{
	struct thing *t = of_fd(fd);
	uint64_t n;

	if (!t)
		return __real_write(fd, from, size);
	fuzz_check(t->type == EVENTFD && size == sizeof(n));
	memcpy(&n, from, sizeof(n));
	t->counter += n;
	return sizeof(n);
}

/* Epolls. */

static struct watched *find(struct thing *epoll, int fd)
{
	for (int i = 0; i < epoll->count; i++)
		if (epoll->watched[i].fd == fd)
			return &epoll->watched[i];
	return NULL;
}

static void forget(struct thing *epoll, struct watched *w)
{
	epoll->count--;
	memmove(w, w + 1, (size_t)(epoll->watched + epoll->count - w) * sizeof(*w));
}

int __wrap_epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
	struct thing *e = of_fd(epoll);
	struct watched *w;

	fuzz_check(e && e->type == EPOLL && of_fd(fd));
	w = find(e, fd);
	if (!w == (what != EPOLL_CTL_ADD))
		return (int)fail(w ? EEXIST : ENOENT);
	if (what == EPOLL_CTL_DEL) {
		forget(e, w);
		return 0;
	}
	if (!w) {
		fuzz_check(e->count < WATCHED_MAX);
		w = &e->watched[e->count++];
	}
	*w = (struct watched){ .fd = fd, .event = *event };
	return 0;
}

/* To be written to it is when a third of the room is free, so that one byte read
 * does not wake the one who waits. */
static uint32_t state(const struct thing *t)
{
	if (t->type == EVENTFD)
		return EPOLLOUT | (t->counter ? EPOLLIN : 0);
	return (t->size || t->deaf ? EPOLLIN : 0) | (t->deaf ? EPOLLRDHUP : 0) |
	       (t->deaf && t->mute ? EPOLLHUP : 0) | (t->reset ? EPOLLERR : 0) |
	       (t->mute || memsock_room - t->other->size >= memsock_room / 3 ? EPOLLOUT : 0);
}

int memsock_events(int epoll, struct epoll_event *events, int most)
{
	const struct thing *e = of_fd(epoll);
	int n = 0;

	fuzz_check(e && e->type == EPOLL && most > 0);
	for (int i = 0; i < e->count && n < most; i++) {
		const struct watched *w = &e->watched[i];
		uint32_t now = state(&things[w->fd - FD_FIRST]) &
			       (w->event.events | EPOLLERR | EPOLLHUP);

		if (now)
			events[n++] = (struct epoll_event){ .events = now, .data = w->event.data };
	}
	return n;
}

int memsock_poll(struct pollfd *p)
{
	const struct thing *t = of_fd(p->fd);

	/* The bits are the same ones. */
	p->revents = (short)(state(t) & ((uint32_t)p->events | POLLERR | POLLHUP));
	return p->revents != 0;
}

int __wrap_close(int fd)
{
	struct thing *t = of_fd(fd);
	struct watched *w;

	if (!t)
		return __real_close(fd);
	if (t->other) {
		t->other->other = NULL;
		t->other->deaf = t->other->mute = true;
		t->other->reset = t->size != 0;
	}
	t->type = NONE;
	for (int i = 0; i < FDS; i++)
		if (things[i].type == EPOLL && (w = find(&things[i], fd)))
			forget(&things[i], w);
	return 0;
}
