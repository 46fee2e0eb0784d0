/* doorbell.c - see doorbell.h. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include "client.h"
#include "doorbell.h"

#define SETTLE (50 * UINT64_C(1000000))
#define READ_AT_ONCE 64

static void kick(struct loop_timer *t)
{
	client_kick(container_of(t, struct doorbell, soon)->client);
}

static void ring(struct loop_fd *w, uint32_t events)
{
	struct doorbell *b = container_of(w, struct doorbell, fd);
	struct loop *l = b->client->loop;
	char head[16];
	ssize_t n;

	(void)events;
	for (int i = 0; i < READ_AT_ONCE; i++) {
		/* Cut short on purpose.  ENOBUFS means that there were too many: a ring too. */
		n = recv(w->fd, head, sizeof head, MSG_TRUNC | MSG_DONTWAIT);
		if (n < 0 && errno != ENOBUFS && errno != EINTR)
			break;
	}
	if (!b->soon.place)
		loop_arm(l, &b->soon, loop_now(l) + SETTLE);
}

int doorbell_start(struct doorbell *b, struct client *c)
{
	struct sockaddr_nl who = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
	};
	int error;

	b->client = c;
	b->soon.fire = kick;
	b->fd = (struct loop_fd){ .events = EPOLLIN, .ready = ring };
	b->fd.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (b->fd.fd < 0)
		return -errno;
	if (bind(b->fd.fd, (struct sockaddr *)&who, sizeof who) < 0 || loop_add(c->loop, &b->fd) < 0) {
		error = errno;
		close(b->fd.fd);
		b->fd.fd = -1;
		return -error;
	}
	return 0;
}

void doorbell_stop(struct doorbell *b)
{
	if (!b->client || b->fd.fd < 0)
		return;
	loop_disarm(b->client->loop, &b->soon);
	loop_remove(b->client->loop, &b->fd);
	close(b->fd.fd);
	b->fd.fd = -1;
}
