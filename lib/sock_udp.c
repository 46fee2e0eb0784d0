/* sock_udp.c - see sock.h: datagrams and groups. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>
#include "sock.h"

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int prepare(int fd, const struct sock_addr *at, const char *device, bool shared)
{
	bool six = at->ss.ss_family == AF_INET6;

	if (shared)
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (six)
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	set(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_MULTICAST_ALL : IP_MULTICAST_ALL, 0);
	if (device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) < 0)
		return -errno;
	return bind(fd, (const struct sockaddr *)&at->ss, at->length) < 0 ? -errno : 0;
}

int sock_datagram(const struct sock_addr *at, const char *device, bool shared)
{
	int fd = socket(at->ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = prepare(fd, at, device, shared);
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

void sock_never_split(int fd, int family)
{
	if (family == AF_INET) {
		set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
		return;
	}
	set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
	set(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
}

int sock_join(int fd, const struct sock_addr *group, unsigned index)
{
	struct group_req r = { .gr_interface = index };

	memcpy(&r.gr_group, &group->ss, group->length);
	return setsockopt(fd, group->ss.ss_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP, MCAST_JOIN_GROUP, &r,
			  sizeof(r)) < 0 ? -errno : 0;
}

int sock_group_from(int fd, int family, unsigned index)
{
	struct ip_mreqn r = { .imr_ifindex = (int)index };

	if (family == AF_INET6) {
		set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1);
		return set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)index);
	}
	set(fd, IPPROTO_IP, IP_MULTICAST_TTL, 1);
	return setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &r, sizeof(r)) < 0 ? -errno : 0;
}
