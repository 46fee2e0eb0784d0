/* facts.c - see facts.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "facts.h"

/* Reading. */

static int number_in(const char *format, const char *device, int fallback)
{
	char path[128];
	int number = fallback;
	FILE *f;

	snprintf(path, sizeof(path), format, device);
	f = fopen(path, "re");
	if (!f)
		return fallback;
	if (fscanf(f, "%d", &number) != 1)
		number = fallback;
	fclose(f);
	return number;
}

/* The kernel takes the greater one of the device's and that of all. */
static int ipv4_setting(const char *setting, const char *device)
{
	char format[96];
	int all, own;

	snprintf(format, sizeof(format), "/proc/sys/net/ipv4/conf/%%s/%s", setting);
	all = number_in(format, "all", 0);
	own = number_in(format, device, 0);
	return all > own ? all : own;
}

static struct facts_device *add_device(struct facts *f, const char *name, unsigned flags)
{
	struct facts_device *list = reallocarray(f->devices, f->count + 1, sizeof(*list)), *d;

	if (!list)
		return NULL;
	f->devices = list;
	d = &list[f->count++];
	*d = (struct facts_device){ .up = (flags & IFF_UP) && (flags & IFF_RUNNING) };
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->mtu = number_in("/sys/class/net/%s/mtu", name, 0);
	d->rp_filter = ipv4_setting("rp_filter", name);
	d->arp_ignore = ipv4_setting("arp_ignore", name);
	return d;
}

static unsigned bits(const uint8_t *mask, size_t size)
{
	unsigned n = 0;

	while (n < 8 * size && mask[n / 8] & (0x80 >> n % 8))
		n++;
	return n;
}

static void add_address(struct facts_device *d, const struct ifaddrs *i)
{
	struct facts_address *a = &d->addresses[d->address_count];
	bool six;

	if (!i->ifa_addr || !i->ifa_netmask || d->address_count == FACTS_ADDRESSES_MAX)
		return;
	six = i->ifa_addr->sa_family == AF_INET6;
	if (!six && i->ifa_addr->sa_family != AF_INET)
		return;
	*a = (struct facts_address){ .family = i->ifa_addr->sa_family };
	if (six) {
		memcpy(a->bytes, &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr, 16);
		a->prefix = bits(((const struct sockaddr_in6 *)(const void *)i->ifa_netmask)->sin6_addr.s6_addr, 16);
	} else {
		memcpy(a->bytes, &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr, 4);
		a->prefix = bits((const void *)&((const struct sockaddr_in *)(const void *)i->ifa_netmask)->sin_addr, 4);
	}
	d->address_count++;
}

int facts_read(struct facts *f, struct err *e)
{
	struct ifaddrs *all = NULL;

	*f = (struct facts){ .devices = NULL };
	if (getifaddrs(&all))
		return err_sys(e, errno, "cannot list the network interfaces");
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		const struct facts_device *has = facts_of_name(f, i->ifa_name);
		struct facts_device *d = has ? &f->devices[has - f->devices] : add_device(f, i->ifa_name, i->ifa_flags);

		if (!d) {
			freeifaddrs(all);
			facts_free(f);
			return err_set(e, ENOMEM, "no memory");
		}
		add_address(d, i);
	}
	freeifaddrs(all);
	return 0;
}

void facts_free(struct facts *f)
{
	free(f->devices);
	*f = (struct facts){ .devices = NULL };
}

/* Asking. */

bool facts_parse(const char *text, struct facts_address *out)
{
	char copy[INET6_ADDRSTRLEN + 1];
	size_t n = strcspn(text, "%");

	*out = (struct facts_address){ .family = AF_INET, .prefix = 32 };
	if (n >= sizeof(copy))
		return false;
	memcpy(copy, text, n);
	copy[n] = 0;
	if (inet_pton(AF_INET, copy, out->bytes) == 1)
		return true;
	out->family = AF_INET6;
	out->prefix = 128;
	return inet_pton(AF_INET6, copy, out->bytes) == 1;
}

bool facts_same_subnet(const struct facts_address *a, const struct facts_address *b, unsigned prefix)
{
	if (a->family != b->family)
		return false;
	for (unsigned i = 0; i < prefix; i++)
		if ((a->bytes[i / 8] ^ b->bytes[i / 8]) & (0x80 >> i % 8))
			return false;
	return true;
}

const struct facts_device *facts_of_address(const struct facts *f, const char *address, const struct facts_address **at)
{
	struct facts_address wanted;

	if (!facts_parse(address, &wanted))
		return NULL;
	for (size_t i = 0; i < f->count; i++)
		for (size_t k = 0; k < f->devices[i].address_count; k++) {
			*at = &f->devices[i].addresses[k];
			if (facts_same_subnet(*at, &wanted, wanted.prefix))
				return &f->devices[i];
		}
	return NULL;
}

const struct facts_device *facts_of_name(const struct facts *f, const char *device)
{
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->devices[i].name, device) == 0)
			return &f->devices[i];
	return NULL;
}
