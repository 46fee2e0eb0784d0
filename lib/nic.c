/* nic.c - see nic.h. */
#include <errno.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "nic.h"

const char *nic_duplex_name(enum nic_duplex d)
{
	return d == NIC_DUPLEX_HALF ? "half" : d == NIC_DUPLEX_FULL ? "full" : "unknown";
}

static int ask(int fd, struct ifreq *r, const char *name, unsigned long what)
{
	snprintf(r->ifr_name, sizeof(r->ifr_name), "%s", name);
	return ioctl(fd, what, r);
}

static void ask_driver(int fd, struct nic *n)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq r = { .ifr_data = (void *)&info };

	if (ask(fd, &r, n->name, SIOCETHTOOL) == 0)
		snprintf(n->driver, sizeof(n->driver), "%.*s", (int)sizeof(n->driver) - 1, info.driver);
}

/* The older question: the newer one answers in two steps with tables that nobody needs here. */
static void ask_speed(int fd, struct nic *n)
{
	struct ethtool_cmd cmd = { .cmd = ETHTOOL_GSET };
	struct ifreq r = { .ifr_data = (void *)&cmd };
	uint32_t speed;

	if (ask(fd, &r, n->name, SIOCETHTOOL) < 0)
		return;
	/* ethtool_cmd_speed() would shift into the sign when it is not known. */
	speed = (uint32_t)cmd.speed_hi << 16 | cmd.speed;
	n->speed = speed == (uint32_t)SPEED_UNKNOWN || speed == UINT16_MAX ? 0 : speed;
	n->duplex = cmd.duplex == DUPLEX_FULL ? NIC_DUPLEX_FULL : cmd.duplex == DUPLEX_HALF ? NIC_DUPLEX_HALF :
		    NIC_DUPLEX_UNKNOWN;
}

int nic_get(const char *name, struct nic *out)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { 0 };

	memset(out, 0, sizeof(*out));
	snprintf(out->name, sizeof(out->name), "%s", name);
	out->index = if_nametoindex(name);
	if (fd < 0 || !out->index) {
		if (fd >= 0)
			close(fd);
		return -ENODEV;
	}
	if (ask(fd, &r, name, SIOCGIFFLAGS) == 0) {
		out->up = (r.ifr_flags & IFF_UP) && (r.ifr_flags & IFF_RUNNING);
		out->loopback = r.ifr_flags & IFF_LOOPBACK;
		out->multicast = r.ifr_flags & IFF_MULTICAST;
	}
	if (ask(fd, &r, name, SIOCGIFMTU) == 0 && r.ifr_mtu > 0)
		out->mtu = (uint32_t)r.ifr_mtu;
	ask_driver(fd, out);
	ask_speed(fd, out);
	close(fd);
	return 0;
}

size_t nic_list(struct nic *out, size_t max)
{
	struct if_nameindex *all = if_nameindex();
	size_t count = 0;

	for (struct if_nameindex *i = all; i && i->if_index && count < max; i++)
		count += nic_get(i->if_name, &out[count]) == 0;
	if (all)
		if_freenameindex(all);
	return count;
}

static int bits_of(const struct sockaddr *mask)
{
	const uint8_t *b = NULL;
	size_t n = 0;
	int bits = 0;

	if (mask && mask->sa_family == AF_INET) {
		b = (const uint8_t *)&((const struct sockaddr_in *)(const void *)mask)->sin_addr;
		n = 4;
	} else if (mask && mask->sa_family == AF_INET6) {
		b = (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)mask)->sin6_addr;
		n = 16;
	}
	for (size_t i = 0; i < n; i++)
		bits += __builtin_popcount(b[i]);
	return bits;
}

size_t nic_addresses(struct nic_address *out, size_t max)
{
	struct ifaddrs *all;
	size_t count = 0;

	if (getifaddrs(&all) < 0)
		return 0;
	for (struct ifaddrs *i = all; i && count < max; i = i->ifa_next) {
		struct nic_address *a = &out[count];
		int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;

		if (family != AF_INET && family != AF_INET6)
			continue;
		memset(a, 0, sizeof(*a));
		snprintf(a->name, sizeof(a->name), "%s", i->ifa_name);
		a->at.length = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
		memcpy(&a->at.ss, i->ifa_addr, a->at.length);
		a->prefix = bits_of(i->ifa_netmask);
		count++;
	}
	freeifaddrs(all);
	return count;
}
