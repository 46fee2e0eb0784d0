/* discover.c - see discover.h. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "discover.h"
#include "listen.h"
#include "log.h"
#include "nic.h"
#include "server.h"
#include "sock.h"
#include "wire_discover.h"

#define PLACES_MAX WIRE_PORTALS_MAX
#define QUESTIONS_IN_A_ROW 64
#define QUESTIONS 200u		/* a second, of one source */
#define BYTES (4u << 20)	/* too */
#define SOURCE_BURST SECOND
#define SHARE 50		/* of its time the control loop spends on them at most this part */
#define SHARE_BURST (20000000ull * SHARE)
#define ANSWER_AGE SECOND	/* interfaces are looked at again after that */
#define NICS_MAX 64

struct place;

struct door {
	struct source source;		/* first; fd -1: closed */
	struct place *place;
};

struct place {				/* of a portal */
	struct listen_place at;
	bool used;
	struct discover *all;
	struct door own, group;
	unsigned group_index;		/* the interface that the group is heard on; 0: all */
};

struct discover {
	struct server *server;
	struct place places[PLACES_MAX];
	struct pace total, sources[STRANGERS_HOSTS];
	bool resting;			/* nothing is read until that time is paid for */
	enum conf_discovery mode;
	struct wire_discover_answer answer;
	uint64_t answer_made;		/* 0: not yet */
	char said[ERR_TEXT_MAX];
	uint8_t in[WIRE_DISCOVER_MAX + 1], out[WIRE_DISCOVER_MAX];
};

struct discover *discover_new(struct server *s, struct err *e)
{
	struct discover *d = calloc(1, sizeof(*d));

	if (!d) {
		err_set(e, ENOMEM, "cannot answer who looks for servers: no memory");
		return NULL;
	}
	d->server = s;
	d->mode = CONF_DISCOVERY_NONE;
	for (int i = 0; i < PLACES_MAX; i++) {
		struct place *p = &d->places[i];

		p->all = d;
		p->own.place = p->group.place = p;
		p->own.source.fd = p->group.source.fd = -1;
	}
	return d;
}

/*
 * What is told.
 */
static void fill_details(struct wire_discover_portal *p, const struct nic_address *a)
{
	struct nic n;

	if (nic_get(a->name, &n) < 0)
		return;
	p->detailed = true;
	p->prefix = (uint8_t)a->prefix;
	p->speed = n.speed;
	p->mtu = n.mtu;
	p->duplex = (uint8_t)n.duplex;
	p->up = n.up;
	snprintf(p->device, sizeof(p->device), "%s", n.name);
	snprintf(p->driver, sizeof(p->driver), "%s", n.driver);
}

static void fill_portal(struct wire_discover_portal *p, const struct listen_place *at, bool detailed)
{
	static struct nic_address all[NICS_MAX * 4];	/* the control loop's */
	size_t count = detailed ? nic_addresses(all, sizeof(all) / sizeof(all[0])) : 0;

	memset(p, 0, sizeof(*p));
	p->port = (uint16_t)at->port;
	p->family = at->at.ss.ss_family == AF_INET ? 4 : 6;
	if (p->family == 4)
		memcpy(p->address, &((const struct sockaddr_in *)&at->at.ss)->sin_addr, 4);
	else
		memcpy(p->address, &((const struct sockaddr_in6 *)&at->at.ss)->sin6_addr, 16);
	for (size_t i = 0; i < count; i++)
		if (sock_equal_host(&all[i].at, &at->at)) {
			fill_details(p, &all[i]);
			break;
		}
}

static bool is_wildcard(const struct listen_place *at)
{
	return at->at.ss.ss_family == AF_INET ?
		       ((const struct sockaddr_in *)&at->at.ss)->sin_addr.s_addr == INADDR_ANY :
		       IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&at->at.ss)->sin6_addr);
}

/* The control loop replaces the configuration, and is who reads it here. */
static void make_answer(struct discover *d, uint64_t now)
{
	const struct conf_server *c = d->server->conf;
	struct wire_discover_answer *a = &d->answer;

	if (d->answer_made && now - d->answer_made < ANSWER_AGE)
		return;
	d->answer_made = now;
	memset(a, 0, sizeof(*a));
	memcpy(a->namespace, c->namespace, sizeof(a->namespace));
	memcpy(a->server, d->server->name, sizeof(a->server));
	a->namespace_id = (uint16_t)c->namespace_id;
	a->server_id = d->server->id;
	a->security = c->security == CONF_SECURITY_AUTH;
	if (d->mode == CONF_DISCOVERY_ALL)
		snprintf(a->software, sizeof(a->software), "%s", RSIO_VERSION);
	for (int i = 0; i < PLACES_MAX; i++) {
		const struct place *p = &d->places[i];

		/* Loopback is this host's own affair: who asks there knows the address. */
		if (p->used && p->at.told && sock_is_global(&p->at.at) && !sock_is_loopback(&p->at.at))
			fill_portal(&a->portals[a->portal_count++], &p->at, d->mode == CONF_DISCOVERY_ALL);
	}
}

/*
 * Questions.
 */

/* A source is a host, with IPv6 the network that it may have any address of. */
static struct pace *pace_of(struct discover *d, const struct sock_addr *from)
{
	struct sock_addr host = *from;
	char text[SOCK_TEXT_MAX];

	if (host.ss.ss_family == AF_INET6)
		memset(&((struct sockaddr_in6 *)&host.ss)->sin6_addr.s6_addr[8], 0, 8);
	sock_format(&host, text);
	return &d->sources[strangers_place(text)];
}

static bool too_many(struct discover *d, const struct sock_addr *from, size_t length, uint64_t now)
{
	struct pace *pace = pace_of(d, from);

	if (pace_wait(pace, now, SOURCE_BURST))
		return true;
	pace_use(pace, now, SECOND / QUESTIONS + length * SECOND / BYTES);
	return false;
}

static bool is_for_us(const struct discover *d, const struct wire_discover_question *q)
{
	return !*q->namespace || strcmp(q->namespace, d->server->conf->namespace) == 0;
}

static void answer(struct place *p, const struct sock_addr *from, size_t length, uint64_t now)
{
	struct discover *d = p->all;
	struct wire_discover_question q;
	const char *why;
	size_t n;

	if (wire_get_discover_question(d->in, length, &q, &why) || !is_for_us(d, &q) || too_many(d, from, length, now))
		return;
	make_answer(d, now);
	n = wire_put_discover_answer(d->out, sizeof(d->out), &q, &d->answer);
	/* What does not get through is as good as lost on the way. */
	if (n && n <= length && sendto(p->own.source.fd, d->out, n, MSG_DONTWAIT | MSG_NOSIGNAL,
				       (const struct sockaddr *)&from->ss, from->length) < 0)
		log_debug("discover", "an answer was not sent: %s", strerror(errno));
}

static void set_resting(struct discover *d, bool resting)
{
	d->resting = resting;
	for (int i = 0; i < PLACES_MAX; i++) {
		struct door *doors[] = { &d->places[i].own, &d->places[i].group };

		for (int k = 0; k < 2; k++)
			if (doors[k]->source.fd >= 0)
				engine_modify(d->server->control, &doors[k]->source, resting ? 0 : EPOLLIN);
	}
}

void discover_settle(struct engine *l)
{
	struct discover *d = l->server->discover;
	uint64_t wait;

	if (!d || !d->resting)
		return;
	wait = pace_wait(&d->total, l->now, SHARE_BURST);
	if (wait)
		engine_look_at(l, l->now + wait);
	else
		set_resting(d, false);
}

static void on_question(struct engine *l, struct source *source, uint32_t events)
{
	struct place *p = ((struct door *)source)->place;
	struct discover *d = p->all;
	uint64_t began = thread_time();

	(void)events;
	for (int i = 0; i < QUESTIONS_IN_A_ROW; i++) {
		struct sock_addr from = { .length = sizeof(from.ss) };
		ssize_t n = recvfrom(source->fd, d->in, sizeof(d->in), MSG_DONTWAIT, (struct sockaddr *)&from.ss,
				     &from.length);

		if (n < 0)
			break;
		answer(p, &from, (size_t)n, l->now);
	}
	pace_use(&d->total, l->now, (thread_time() - began) * SHARE);
	if (pace_wait(&d->total, l->now, SHARE_BURST))
		set_resting(d, true);
}

/*
 * Sockets.
 */
static void say(struct discover *d, const char *text)
{
	if (strcmp(d->said, text))	/* each look finds the same again */
		log_warning("discover", "%s", text);
	snprintf(d->said, sizeof(d->said), "%s", text);
}

static int watch(struct discover *d, struct door *door, int fd)
{
	int r;

	door->source.fd = fd;
	door->source.ready = on_question;
	r = engine_add(d->server->control, &door->source, d->resting ? 0 : EPOLLIN);
	if (r < 0) {
		close(fd);
		door->source.fd = -1;
	}
	return r;
}

static void open_own(struct place *p)
{
	struct discover *d = p->all;
	char address[SOCK_TEXT_MAX];
	struct err e = { 0 };
	int fd = sock_datagram(&p->at.at, *p->at.device ? p->at.device : NULL, false), r;

	if (fd == -EPERM && *p->at.device)	/* not root any more, on an old kernel */
		fd = sock_datagram(&p->at.at, NULL, false);
	if (fd >= 0)
		sock_never_split(fd, p->at.at.ss.ss_family);
	r = fd < 0 ? fd : watch(d, &p->own, fd);
	if (!r)
		return;
	sock_format(&p->at.at, address);
	err_sys(&e, -r, "%s UDP port %d: this portal is not found by discovery", address, p->at.port);
	say(d, e.text);
}

static void join_everywhere(int fd, const struct sock_addr *group)
{
	static struct nic all[NICS_MAX];	/* the control loop's */
	size_t count = nic_list(all, NICS_MAX);

	for (size_t i = 0; i < count; i++)
		if (all[i].multicast && !all[i].loopback)
			sock_join(fd, group, all[i].index);
}

static unsigned index_of(const struct place *p)
{
	char device[IF_NAMESIZE];

	if (is_wildcard(&p->at) || sock_device_of(&p->at.at, device, sizeof(device)) < 0)
		return 0;
	return if_nametoindex(device);
}

/* A question to the group is answered once, not by each portal on that network. */
static bool is_heard(const struct discover *d, const struct place *p, unsigned index)
{
	for (int i = 0; i < PLACES_MAX; i++) {
		const struct place *other = &d->places[i];

		if (other != p && other->group.source.fd >= 0 && other->at.port == p->at.port &&
		    other->at.at.ss.ss_family == p->at.at.ss.ss_family &&
		    (other->group_index == index || !other->group_index))
			return true;
	}
	return false;
}

static void open_group(struct place *p)
{
	struct discover *d = p->all;
	unsigned index = index_of(p);
	struct sock_addr group;
	int fd;

	if ((!index && !is_wildcard(&p->at)) || sock_is_loopback(&p->at.at) || is_heard(d, p, index))
		return;
	sock_parse(p->at.at.ss.ss_family == AF_INET ? WIRE_DISCOVER_GROUP4 : WIRE_DISCOVER_GROUP6, p->at.port, &group);
	fd = sock_datagram(&group, NULL, true);	/* other servers of this host hear it too */
	if (fd < 0)
		return;
	p->group_index = index;
	if (index)
		sock_join(fd, &group, index);
	else
		join_everywhere(fd, &group);
	watch(d, &p->group, fd);
}

static void close_door(struct discover *d, struct door *door)
{
	if (door->source.fd < 0)
		return;
	engine_remove(d->server->control, &door->source);
	close(door->source.fd);
	door->source.fd = -1;
}

static void close_place(struct place *p)
{
	close_door(p->all, &p->own);
	close_door(p->all, &p->group);
	p->used = false;
}

void discover_close(struct discover *d)
{
	for (int i = 0; d && i < PLACES_MAX; i++)
		if (d->places[i].used)
			close_place(&d->places[i]);
}

static bool same_place(const struct listen_place *a, const struct listen_place *b)
{
	return a->port == b->port && sock_equal_host(&a->at, &b->at) && strcmp(a->device, b->device) == 0;
}

static void close_unwanted(struct discover *d, const struct listen_place *wanted, size_t count)
{
	for (int i = 0; i < PLACES_MAX; i++) {
		struct place *p = &d->places[i];
		bool found = false;

		for (size_t n = 0; n < count; n++)
			if (p->used && same_place(&p->at, &wanted[n])) {
				p->at.told = wanted[n].told;
				found = true;
			}
		if (p->used && !found)
			close_place(p);
		/* Its address may have moved, or the interface be another one of the same name. */
		else if (p->group.source.fd >= 0 && p->group_index != index_of(p))
			close_door(d, &p->group);
	}
}

static bool is_open(const struct discover *d, const struct listen_place *at)
{
	for (int i = 0; i < PLACES_MAX; i++)
		if (d->places[i].used && same_place(&d->places[i].at, at))
			return true;
	return false;
}

static void open_wanted(struct discover *d, const struct listen_place *wanted, size_t count)
{
	for (size_t n = 0; n < count; n++) {
		struct place *p = d->places;

		if (is_open(d, &wanted[n]))
			continue;
		while (p->used)		/* there are as many as portals */
			p++;
		p->at = wanted[n];
		p->used = true;
	}
	for (int i = 0; i < PLACES_MAX; i++) {
		struct place *p = &d->places[i];

		if (p->used && p->own.source.fd < 0)
			open_own(p);
		if (p->used && p->own.source.fd >= 0 && p->group.source.fd < 0)
			open_group(p);
	}
}

void discover_apply(struct discover *d, const struct conf_server *conf)
{
	struct listen_place wanted[PLACES_MAX];
	size_t count;

	if (!d)
		return;
	count = conf->discovery == CONF_DISCOVERY_NONE ? 0 : listeners_places(d->server->listeners, wanted);
	d->mode = conf->discovery;
	d->answer_made = 0;
	close_unwanted(d, wanted, count);
	open_wanted(d, wanted, count);
}
