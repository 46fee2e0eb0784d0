/* facts.c - see facts.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "facts.h"
#include "nic.h"

#define NICS_MAX 1024
#define NIC_ADDRESSES_MAX 4096

/* Reading. */

static int ipv4_setting_of(const char *device, const char *setting)
{
	char path[128];
	int number = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/%s", device, setting);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%d", &number) != 1)
		number = 0;
	fclose(f);
	return number;
}

/* The kernel takes the greater one of the device's and that of all. */
static int ipv4_setting(const char *device, const char *setting)
{
	int all = ipv4_setting_of("all", setting), own = ipv4_setting_of(device, setting);

	return all > own ? all : own;
}

static void add_address(struct facts_device *d, const struct nic_address *from)
{
	struct facts_address *a = &d->addresses[d->address_count];
	const void *at = &from->at.ss;

	if (d->address_count == FACTS_ADDRESSES_MAX)
		return;
	*a = (struct facts_address){ .family = from->at.ss.ss_family, .prefix = (unsigned)from->prefix };
	if (a->family == AF_INET6)
		memcpy(a->bytes, &((const struct sockaddr_in6 *)at)->sin6_addr, 16);
	else
		memcpy(a->bytes, &((const struct sockaddr_in *)at)->sin_addr, 4);
	d->address_count++;
}

int facts_read(struct facts *f, struct err *e)
{
	struct nic *nics = calloc(NICS_MAX, sizeof(*nics));
	struct nic_address *addresses = calloc(NIC_ADDRESSES_MAX, sizeof(*addresses));
	size_t count = nics && addresses ? nic_list(nics, NICS_MAX) : 0, address_count;

	*f = (struct facts){ .devices = calloc(count + 1, sizeof(*f->devices)) };
	if (!nics || !addresses || !f->devices) {
		free(nics);
		free(addresses);
		facts_free(f);
		return err_set(e, ENOMEM, "no memory for the network interfaces");
	}
	address_count = nic_addresses(addresses, NIC_ADDRESSES_MAX);
	for (; f->count < count; f->count++) {
		struct facts_device *d = &f->devices[f->count];
		const struct nic *n = &nics[f->count];

		*d = (struct facts_device){ .up = n->up, .mtu = (int)n->mtu };
		memcpy(d->name, n->name, sizeof(d->name));
		d->rp_filter = ipv4_setting(n->name, "rp_filter");
		d->arp_ignore = ipv4_setting(n->name, "arp_ignore");
		for (size_t i = 0; i < address_count; i++)
			if (strcmp(addresses[i].name, n->name) == 0)
				add_address(d, &addresses[i]);
	}
	free(nics);
	free(addresses);
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
