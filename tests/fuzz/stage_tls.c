/* stage_tls.c - what a stage's clients say and hear within TLS: they have the key, and use tls.h. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "stage_impl.h"

#define TURNS 4			/* that a handshake takes, at most */

bool stage_tls;
static uint8_t out[256u << 10];	/* what is said while it goes, since answers come meanwhile */

static void flush(struct guest *g)
{
	struct iovec o = tls_out(g->tls);
	size_t n = o.iov_len;

	if (!n)
		return;
	fuzz_check(n <= sizeof(out));
	memcpy(out, o.iov_base, n);
	tls_sent(g->tls, n);
	guest_say_raw(g, out, n);
}

void guest_handshake(struct guest *g, const char *node)
{
	g->tls = tls_client_new("osl", node, stage_key(g->node));
	fuzz_check(g->tls);
	for (int i = 0; i < TURNS && g->tls && tls_out(g->tls).iov_len; i++) {
		flush(g);
		stage_turn();
	}
}

void guest_say_within(struct guest *g, const void *data, size_t size)
{
	struct iovec iov = { (void *)(uintptr_t)data, size };
	size_t taken = 0;

	while (g->tls && taken < size) {
		ssize_t n = tls_put(g->tls, &iov, 1, taken);

		if (n <= 0)
			return;
		taken += (size_t)n;
		flush(g);
	}
}

bool guest_read_within(struct guest *g)
{
	static uint8_t plain[TLS_RECEIVE + TLS_SLACK];
	struct iovec iov = { plain, TLS_RECEIVE };

	for (;;) {
		struct iovec into = tls_want(g->tls, TLS_RECEIVE);
		ssize_t n = recv(g->fd, into.iov_base, into.iov_len, MSG_DONTWAIT);
		size_t got;

		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		/* Damaged only by what the input said beside it. */
		if (tls_got(g->tls, (size_t)n, &iov, 1, &got))
			return false;
		guest_heard(g, plain, got);
	}
}
