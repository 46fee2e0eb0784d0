/* tls_io.c - TLS with a socket: see tls.h. */
#include <errno.h>
#include <sys/socket.h>
#include "tls.h"

int tls_receive(struct tls *t, int fd, const struct iovec *iov, int pieces, size_t *plain, bool *more)
{
	struct iovec into;
	size_t room = 0;
	ssize_t n;

	*plain = 0;
	*more = false;
	if (tls_ended(t))
		return 0;
	for (int i = 0; i < pieces; i++)
		room += iov[i].iov_len;
	into = tls_want(t, room);
	do
		n = readv(fd, &into, 1);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n ? -errno : 0;
	*more = (size_t)n == into.iov_len;
	return tls_got(t, (size_t)n, iov, pieces, plain) ? -EPROTO : 1;
}

/* 1: all is sent; 0: the socket is full. */
static int flush(struct tls *t, int fd)
{
	for (;;) {
		struct iovec iov = tls_out(t);
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;

		if (!iov.iov_len)
			return 1;
		n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		tls_sent(t, (size_t)n);
	}
}

ssize_t tls_send(struct tls *t, int fd, const struct iovec *iov, int pieces)
{
	size_t taken = 0;

	for (;;) {
		int r = flush(t, fd);
		ssize_t n;

		if (r <= 0)
			return r < 0 ? r : (ssize_t)taken;
		n = tls_put(t, iov, pieces, taken);
		if (n <= 0)
			return n < 0 ? n : (ssize_t)taken;
		taken += (size_t)n;
	}
}
