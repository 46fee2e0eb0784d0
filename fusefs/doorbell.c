/* doorbell.c - see doorbell.h. */
#include <sys/epoll.h>
#include <unistd.h>
#include "client.h"
#include "doorbell.h"
#include "sock.h"

#define SETTLE (50 * UINT64_C(1000000))

static void kick(struct loop_timer *t)
{
	client_kick(container_of(t, struct doorbell, soon)->client);
}

static void ring(struct loop_fd *w, uint32_t events)
{
	struct doorbell *b = container_of(w, struct doorbell, fd);
	struct loop *l = b->client->loop;

	(void)events;
	sock_drain_links(w->fd);
	if (!b->soon.place)
		loop_arm(l, &b->soon, loop_now(l) + SETTLE);
}

int doorbell_start(struct doorbell *b, struct client *c)
{
	int r;

	b->client = c;
	b->soon.fire = kick;
	b->fd = (struct loop_fd){ .fd = sock_watch_links(), .events = EPOLLIN, .ready = ring };
	if (b->fd.fd < 0)
		return b->fd.fd;
	r = loop_add(c->loop, &b->fd);
	if (r < 0) {
		close(b->fd.fd);
		b->fd.fd = -1;
	}
	return r;
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
