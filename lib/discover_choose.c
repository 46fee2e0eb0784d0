/* discover_choose.c - see discover.h: which interfaces of this host ask. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "discover_impl.h"

#define NICS_MAX 256

uint64_t discover_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void add(struct discover_result *r, const struct nic *n)
{
	if (r->interface_count == DISCOVER_INTERFACES_MAX)
		r->interfaces_left_out++;
	else
		r->interfaces[r->interface_count++].nic = *n;
}

static int choose_named(const struct discover_wish *w, struct discover_result *r, struct err *e)
{
	struct nic n;

	for (size_t i = 0; i < w->device_count; i++) {
		if (nic_get(w->devices[i], &n) < 0) {
			err_set(e, ENODEV, "there is no interface %s on this host", w->devices[i]);
			err_next(e, "'ip link' lists those that there are");
			return -ENODEV;
		}
		add(r, &n);
		if (!n.up && r->interface_count)
			snprintf(r->interfaces[r->interface_count - 1].why, ERR_TEXT_MAX, "it is down, or has no carrier");
	}
	return 0;
}

static int choose_all(struct discover_result *r, struct err *e)
{
	struct nic *all = calloc(NICS_MAX, sizeof(*all));
	size_t count = all ? nic_list(all, NICS_MAX) : 0;

	if (!all)
		return err_set(e, ENOMEM, "no memory");
	for (size_t i = 0; i < count; i++)
		if (all[i].up && !all[i].loopback)
			add(r, &all[i]);
	free(all);
	return 0;
}

static int give_addresses(struct discover_result *r, struct err *e)
{
	struct nic_address *all = calloc(NICS_MAX, sizeof(*all));
	size_t count = all ? nic_addresses(all, NICS_MAX) : 0;

	if (!all)
		return err_set(e, ENOMEM, "no memory");
	for (size_t i = 0; i < r->interface_count; i++) {
		struct discover_interface *k = &r->interfaces[i];

		for (size_t n = 0; n < count && k->address_count < DISCOVER_OWN_MAX; n++)
			if (strcmp(all[n].name, k->nic.name) == 0)
				k->addresses[k->address_count++] = all[n];
		if (!k->address_count && !*k->why)
			snprintf(k->why, sizeof(k->why), "it has no address");
	}
	free(all);
	return 0;
}

int discover_choose(const struct discover_wish *w, struct discover_result *r, struct err *e)
{
	int result = w->device_count ? choose_named(w, r, e) : choose_all(r, e);

	return result ? result : give_addresses(r, e);
}

size_t discover_any(struct discover_result *r)
{
	struct discover_interface *i = &r->interfaces[r->interface_count];

	if (r->interface_count && i[-1].any)
		return r->interface_count - 1;
	memset(i, 0, sizeof(*i));
	snprintf(i->nic.name, sizeof(i->nic.name), DISCOVER_ANY);
	i->any = true;
	return r->interface_count++;
}

static const struct nic_address *address_of(const struct discover_interface *i, int family)
{
	for (size_t n = 0; n < i->address_count; n++)
		if (i->addresses[n].at.ss.ss_family == family && (family == AF_INET || sock_is_global(&i->addresses[n].at)))
			return &i->addresses[n];
	return NULL;
}

bool discover_leads(const struct discover_interface *i, const struct sock_addr *to)
{
	const struct nic_address *own = address_of(i, to->ss.ss_family);

	if (i->any)
		return true;
	/* A host finds itself over loopback, whatever the interface. */
	if (sock_is_local(to) || !own)
		return false;
	return sock_on_link(&own->at, to) || sock_routed_over(i->nic.name, to);
}

/* Bound to the device, so that two in one network are two; an old kernel lets only root, and then the
 * device's address has to do. */
int discover_socket(const struct discover_interface *i, int family)
{
	struct sock_addr at = { .length = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6) };
	const struct nic_address *own = address_of(i, family);
	int fd;

	at.ss.ss_family = (sa_family_t)family;
	if (i->any)
		return sock_datagram(&at, NULL, false);
	fd = sock_datagram(&at, i->nic.name, false);
	if (fd != -EPERM || !own)
		return fd;
	at = own->at;
	sock_set_port(&at, 0);
	return sock_datagram(&at, NULL, false);
}
