/* play_tls.c - what a play's server says and hears within TLS: it has the key, and uses tls.h. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "play_impl.h"

static uint8_t out[256u << 10];	/* what is said while it goes, since answers come meanwhile */

static enum tls_who look_up(void *arg, const char *namespace, const char *node, uint8_t keys[TLS_KEYS][TLS_KEY_SIZE])
{
	(void)arg;
	fuzz_check(strcmp(namespace, "osl") == 0 && strcmp(node, "sles1") == 0);
	memcpy(keys[0], play_key, TLS_KEY_SIZE);
	return TLS_KNOWN;
}

struct tls *peer_tls(void)
{
	struct tls *t = tls_server_new(look_up, NULL);

	fuzz_check(t);
	return t;
}

static void flush(struct peer *p)
{
	struct iovec o = tls_out(p->tls);
	size_t n = o.iov_len;

	if (!n)
		return;
	fuzz_check(n <= sizeof(out));
	memcpy(out, o.iov_base, n);
	tls_sent(p->tls, n);
	peer_say_raw(p, out, n);
}

void peer_say_within(struct peer *p, const void *data, size_t size)
{
	struct iovec iov = { (void *)(uintptr_t)data, size };
	size_t taken = 0;

	while (p->tls && taken < size) {
		ssize_t n = tls_put(p->tls, &iov, 1, taken);

		if (n <= 0)
			return;
		taken += (size_t)n;
		flush(p);
	}
}

bool peer_read_within(struct peer *p)
{
	static uint8_t plain[TLS_RECEIVE + TLS_SLACK];
	struct iovec iov = { plain, TLS_RECEIVE };

	for (;;) {
		struct iovec into = tls_want(p->tls, TLS_RECEIVE), o;
		ssize_t n = recv(p->fd, into.iov_base, into.iov_len, MSG_DONTWAIT);
		size_t got;

		if (n < 0 && errno == EAGAIN)
			return true;
		/* What the client says within TLS is never wrong, but it may give up. */
		if (n <= 0 || tls_got(p->tls, (size_t)n, &iov, 1, &got))
			return false;
		peer_heard(p, plain, got);
		/* Its part of a handshake is short, and needs no turn between its pieces. */
		o = tls_out(p->tls);
		n = o.iov_len ? send(p->fd, o.iov_base, o.iov_len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
		if (n > 0)
			tls_sent(p->tls, (size_t)n);
	}
}
