/*
 * discover_merge.c - see discover.h: what several answers say together.
 *
 * A server answers once for each network and each address that was asked.  The answers of
 * one namespace and server, by names and ids, are one server: what the first said stands, and
 * the others may add portals.  Who lies can add to a server what is not there, and make up
 * servers until the bounds are reached, but take nothing away from what others said.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "discover_impl.h"

void discover_portal_address(const struct wire_discover_portal *p, struct sock_addr *out)
{
	struct sockaddr_in *four = (struct sockaddr_in *)&out->ss;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&out->ss;

	memset(out, 0, sizeof(*out));
	if (p->family == 4) {
		four->sin_family = AF_INET;
		memcpy(&four->sin_addr, p->address, 4);
		out->length = sizeof(*four);
	} else {
		six->sin6_family = AF_INET6;
		memcpy(&six->sin6_addr, p->address, 16);
		out->length = sizeof(*six);
	}
	sock_set_port(out, p->port);
}

static bool is_same(const struct discover_server *s, const struct wire_discover_answer *a)
{
	return s->namespace_id == a->namespace_id && s->server_id == a->server_id &&
	       strcmp(s->namespace, a->namespace) == 0 && strcmp(s->server, a->server) == 0;
}

static struct discover_server *find(struct discover_result *r, const struct wire_discover_answer *a,
				    const struct sock_addr *from, bool *is_new)
{
	size_t of_host = 0;
	struct discover_server *s;

	*is_new = false;
	for (size_t i = 0; i < r->count; i++) {
		if (is_same(&r->servers[i], a))
			return &r->servers[i];
		of_host += sock_equal_host(&r->servers[i].from, from);
	}
	if (r->count == DISCOVER_SERVERS_MAX || of_host == DISCOVER_SERVERS_PER_HOST)
		return NULL;
	s = &r->servers[r->count++];
	memset(s, 0, sizeof(*s));
	memcpy(s->namespace, a->namespace, sizeof(s->namespace));
	memcpy(s->server, a->server, sizeof(s->server));
	memcpy(s->software, a->software, sizeof(s->software));
	s->namespace_id = a->namespace_id;
	s->server_id = a->server_id;
	s->auth = a->security == 1;
	s->from = *from;
	*is_new = true;
	return s;
}

static bool same_portal(const struct wire_discover_portal *a, const struct wire_discover_portal *b)
{
	return a->port == b->port && a->family == b->family && memcmp(a->address, b->address, a->family == 4 ? 4 : 16) == 0;
}

static struct discover_portal *add_portal(struct discover_server *s, const struct wire_discover_portal *told)
{
	struct discover_portal *p;
	struct sock_addr at;

	for (size_t i = 0; i < s->portal_count; i++) {
		p = &s->portals[i];
		if (!same_portal(&p->told, told))
			continue;
		if (!p->told.detailed && told->detailed)
			p->told = *told;
		return p;
	}
	if (s->portal_count == WIRE_PORTALS_MAX) {
		s->more = true;
		return NULL;
	}
	p = &s->portals[s->portal_count++];
	p->told = *told;
	discover_portal_address(told, &at);
	sock_format(&at, p->address);
	for (size_t i = 0; i <= DISCOVER_INTERFACES_MAX; i++)
		p->round_trip[i] = -1;
	return p;
}

/* Where an answer came from is a portal, told or not: one that listens at every address tells none. */
static void told_by(const struct sock_addr *from, struct wire_discover_portal *out)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)&from->ss;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&from->ss;

	memset(out, 0, sizeof(*out));
	out->family = from->ss.ss_family == AF_INET ? 4 : 6;
	out->port = ntohs(out->family == 4 ? four->sin_port : six->sin6_port);
	if (out->family == 4)
		memcpy(out->address, &four->sin_addr, 4);
	else
		memcpy(out->address, &six->sin6_addr, 16);
}

bool discover_merge(struct discover_result *r, const struct wire_discover_answer *a, const struct sock_addr *from,
		    size_t interface, double round_trip, struct discover_server **server, bool *is_new)
{
	struct wire_discover_portal there;
	struct discover_portal *p;

	*server = find(r, a, from, is_new);
	if (!*server)
		return false;
	(*server)->more |= (a->flags & WIRE_DISCOVER_MORE) != 0;
	for (size_t i = 0; i < a->portal_count; i++)
		add_portal(*server, &a->portals[i]);
	told_by(from, &there);
	p = there.port ? add_portal(*server, &there) : NULL;
	if (p && (p->round_trip[interface] < 0 || p->round_trip[interface] > round_trip))
		p->round_trip[interface] = round_trip;
	return true;
}
