/* lint.c - see lint.h. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "lint.h"

/* An interface of the configuration, and what it is on this host. */
struct used {
	const struct conf_interface *conf;
	const struct facts_device *device;	/* NULL: not here */
	const struct facts_address *address;	/* the one that it is bound to; NULL: any of the device's */
};

struct look {
	const struct conf_client *conf;
	const struct facts *facts;
	struct remarks *remarks;
	struct used used[CONF_IFACE_MAX];
};

static void about(struct remark *m, const char *kind, const char *name, const char *key, int line)
{
	if (!m)
		return;
	snprintf(m->section, sizeof(m->section), "%s %s", kind, name);
	snprintf(m->key, sizeof(m->key), "%s", key);
	m->line = line;
}

#define warn_interface(l, i, key, ...) \
	about(remarks_add((l)->remarks, true, __VA_ARGS__), "interface", (i)->name, key, (i)->line)

/* Subnets. */

/* Every host has a link-local network on each device: that says nothing. */
static bool is_link_local(const struct facts_address *a)
{
	return a->family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

/* An address that paths may start from; NULL: there are no more. */
static const struct facts_address *own_address(const struct used *u, size_t i)
{
	if (!u->device)
		return NULL;
	if (u->address)
		return i ? NULL : u->address;
	return i < u->device->address_count ? &u->device->addresses[i] : NULL;
}

static bool is_near(const struct used *u, const struct facts_address *a)
{
	const struct facts_address *own;

	for (size_t i = 0; (own = own_address(u, i)); i++)
		if (!is_link_local(own) && facts_same_subnet(own, a, own->prefix))
			return true;
	return false;
}

static bool in_one_subnet(const struct used *a, const struct used *b)
{
	const struct facts_address *own;

	for (size_t i = 0; (own = own_address(a, i)); i++)
		if (!is_link_local(own) && is_near(b, own))
			return true;
	return false;
}

/* Interfaces. */

static void look_at_interface(struct look *l, size_t n)
{
	const struct conf_interface *i = &l->conf->interfaces[n];
	struct used *u = &l->used[n];

	u->conf = i;
	u->device = i->device ? facts_of_name(l->facts, i->device) : facts_of_address(l->facts, i->address, &u->address);
	if (!u->device && i->device)
		warn_interface(l, i, "device", "there is no network device %s on this host now", i->device);
	else if (!u->device)
		warn_interface(l, i, "address", "no network device of this host has %s now", i->address);
	else if (!u->device->up)
		warn_interface(l, i, i->device ? "device" : "address", "%s is down, or has no carrier", u->device->name);
}

/* The kernel answers for an address on whichever device it likes, and drops what comes in on another one than it
 * would have sent on. */
static void look_at_settings(struct look *l, const struct used *u)
{
	if (u->device->rp_filter == 1)
		warn_interface(l, u->conf, "", "%s has rp_filter = 1 and drops answers that the kernel expects on another "
			       "device of this subnet: sysctl net/ipv4/conf/%s/rp_filter=2", u->device->name, u->device->name);
	if (u->device->arp_ignore == 0)
		warn_interface(l, u->conf, "", "%s has arp_ignore = 0 and answers ARP for the addresses of the others in this "
			       "subnet: sysctl net/ipv4/conf/%s/arp_ignore=1", u->device->name, u->device->name);
}

static void look_at_pair(struct look *l, const struct used *a, const struct used *b, bool *shared)
{
	if (a->device == b->device) {
		warn_interface(l, b->conf, "", "uses the device of [interface %s] too, %s: both fail as one", a->conf->name,
			       b->device->name);
		return;
	}
	/* The wider one's may have the narrower one's in it. */
	if (in_one_subnet(a, b) || in_one_subnet(b, a)) {
		*shared = true;
		warn_interface(l, b->conf, "", "is in one subnet with [interface %s]: both fail with that network, and only a "
			       "network of its own makes it a second way", a->conf->name);
	}
	if (a->device->mtu && b->device->mtu && a->device->mtu != b->device->mtu)
		warn_interface(l, b->conf, "", "%s has MTU %d, and %s of [interface %s] has %d", b->device->name, b->device->mtu,
			       a->device->name, a->conf->name, a->device->mtu);
}

static void look_at_pairs(struct look *l)
{
	bool shared[CONF_IFACE_MAX] = { false };

	for (size_t b = 0; b < l->conf->interface_count; b++)
		for (size_t a = 0; a < b; a++)
			if (l->used[a].device && l->used[b].device) {
				bool one = false;

				look_at_pair(l, &l->used[a], &l->used[b], &one);
				shared[a] |= one;
				shared[b] |= one;
			}
	for (size_t i = 0; i < l->conf->interface_count; i++)
		if (shared[i])
			look_at_settings(l, &l->used[i]);
}

/* Portals. */

static bool near_any_device(const struct facts *f, const struct facts_address *a)
{
	for (size_t i = 0; i < f->count; i++)
		if (is_near(&(struct used){ .device = &f->devices[i] }, a))
			return true;
	return false;
}

/* Marks the interfaces that it is near to. */
static void look_at_portal(struct look *l, const struct conf_portal *p, bool near[CONF_IFACE_MAX])
{
	struct facts_address a;
	bool any = false;

	/* A link-local one is on every link. */
	if (!facts_parse(p->address, &a) || is_link_local(&a))
		return;
	for (size_t i = 0; i < l->conf->interface_count; i++)
		if (is_near(&l->used[i], &a))
			any = near[i] = true;
	if (!l->conf->interface_count)
		any = near_any_device(l->facts, &a);
	if (!any)
		about(remarks_add(l->remarks, true, "%s is in the subnet of no %s: only a router leads there", p->address,
				  l->conf->interface_count ? "[interface]" : "network device of this host"),
		      "server", p->name, "address", p->line);
}

static bool some_is_near(const bool near[CONF_IFACE_MAX], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (near[i])
			return true;
	return false;
}

static void look_at_portals(struct look *l)
{
	bool near[CONF_IFACE_MAX] = { false };

	/* Of an interface that is not here, the subnet is not known either. */
	for (size_t i = 0; i < l->conf->interface_count; i++)
		if (!l->used[i].device)
			return;
	for (size_t n = 0; n < l->conf->namespace_count; n++)
		for (size_t i = 0; i < l->conf->namespaces[n].portal_count; i++)
			look_at_portal(l, &l->conf->namespaces[n].portals[i], near);
	/* Where all is routed, that was said of each portal. */
	if (!some_is_near(near, l->conf->interface_count))
		return;
	for (size_t i = 0; i < l->conf->interface_count; i++)
		if (!near[i])
			warn_interface(l, l->used[i].conf, "", "no portal is in its subnet, as some are in others'");
}

/* The whole. */

static void look_at_security(const struct conf_client *c, struct remarks *r)
{
	for (size_t n = 0; n < c->namespace_count; n++)
		if (c->namespaces[n].behaviour.security == CONF_SECURITY_AUTH)
			about(remarks_add(r, true, "auth leaves the data in the clear on the network; tls, the default, does not"),
			      "namespace", c->namespaces[n].name, "security", c->namespaces[n].line);
}

void lint(const struct conf_client *c, const struct facts *facts, struct remarks *r)
{
	struct look l = { .conf = c, .facts = facts, .remarks = r };

	look_at_security(c, r);
	if (!facts)
		return;
	for (size_t i = 0; i < c->interface_count; i++)
		look_at_interface(&l, i);
	look_at_pairs(&l);
	look_at_portals(&l);
}
