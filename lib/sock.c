#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "sock.h"

#define READ_AT_ONCE 64

/* An interface's name, or its number. */
static bool parse_scope(const char *text, uint32_t *scope)
{
	unsigned long n;
	char *end;

	*scope = if_nametoindex(text);
	if (*scope)
		return true;
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoul(text, &end, 10);
	*scope = (uint32_t)n;
	return !*end && !errno && n <= UINT32_MAX;
}

/* Not by getaddrinfo, which would bring the resolver and what it loads into a static program. */
int sock_parse(const char *text, int port, struct sock_addr *out)
{
	struct sockaddr_in *four = (struct sockaddr_in *)&out->ss;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&out->ss;
	char bare[SOCK_TEXT_MAX], *percent;
	size_t n = strlen(text);

	memset(out, 0, sizeof *out);
	if (text[0] == '[' && n > 2 && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n == 0 || n >= sizeof bare)
		return -EINVAL;
	memcpy(bare, text, n);
	bare[n] = 0;
	percent = strchr(bare, '%');
	if (percent)
		*percent++ = 0;
	if (!percent && inet_pton(AF_INET, bare, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		out->length = sizeof *four;
	} else if (inet_pton(AF_INET6, bare, &six->sin6_addr) == 1 &&
		   (!percent || parse_scope(percent, &six->sin6_scope_id))) {
		six->sin6_family = AF_INET6;
		out->length = sizeof *six;
	} else {
		memset(out, 0, sizeof *out);
		return -EINVAL;
	}
	sock_set_port(out, port);
	return 0;
}

void sock_format(const struct sock_addr *a, char out[SOCK_TEXT_MAX])
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)&a->ss;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&a->ss;
	char name[IF_NAMESIZE];
	size_t n;

	strcpy(out, "?");
	if (!a->length)
		return;
	if (a->ss.ss_family == AF_INET)
		inet_ntop(AF_INET, &four->sin_addr, out, SOCK_TEXT_MAX);
	if (a->ss.ss_family != AF_INET6)
		return;
	inet_ntop(AF_INET6, &six->sin6_addr, out, SOCK_TEXT_MAX);
	n = strlen(out);
	if (six->sin6_scope_id && if_indextoname(six->sin6_scope_id, name))
		snprintf(out + n, SOCK_TEXT_MAX - n, "%%%s", name);
	else if (six->sin6_scope_id)
		snprintf(out + n, SOCK_TEXT_MAX - n, "%%%u", six->sin6_scope_id);
}

void sock_set_port(struct sock_addr *a, int port)
{
	if (a->ss.ss_family == AF_INET)
		((struct sockaddr_in *)&a->ss)->sin_port = htons((uint16_t)port);
	else
		((struct sockaddr_in6 *)&a->ss)->sin6_port = htons((uint16_t)port);
}

/* The address's bytes and how many. */
static const uint8_t *host_bytes(const struct sockaddr *sa, size_t *n)
{
	if (sa->sa_family == AF_INET) {
		*n = 4;
		return (const uint8_t *)&((const struct sockaddr_in *)sa)->sin_addr;
	}
	if (sa->sa_family == AF_INET6) {
		*n = 16;
		return (const uint8_t *)&((const struct sockaddr_in6 *)sa)->sin6_addr;
	}
	*n = 0;
	return NULL;
}

static bool same_host(const struct sockaddr *a, const struct sockaddr *b)
{
	size_t n, m;
	const uint8_t *x = host_bytes(a, &n), *y = host_bytes(b, &m);

	return n && n == m && !memcmp(x, y, n);
}

bool sock_equal_host(const struct sock_addr *a, const struct sock_addr *b)
{
	return same_host((const struct sockaddr *)&a->ss, (const struct sockaddr *)&b->ss);
}

static void copy_address(struct sock_addr *to, const struct sockaddr *from)
{
	memset(to, 0, sizeof *to);
	to->length = from->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	memcpy(&to->ss, from, to->length);
}

/* Runs over this host's addresses until test says yes; copies that entry's name. */
static bool any_interface(bool (*test)(const struct ifaddrs *i, const void *arg), const void *arg,
			  char *device, size_t size, struct sock_addr *address)
{
	struct ifaddrs *all, *i;
	bool found = false;

	if (getifaddrs(&all) < 0)
		return false;
	for (i = all; i && !found; i = i->ifa_next) {
		size_t n;

		if (!i->ifa_addr || !host_bytes(i->ifa_addr, &n) || !test(i, arg))
			continue;
		found = true;
		if (device)
			snprintf(device, size, "%s", i->ifa_name);
		if (address)
			copy_address(address, i->ifa_addr);
	}
	freeifaddrs(all);
	return found;
}

static bool has_address(const struct ifaddrs *i, const void *arg)
{
	return same_host(i->ifa_addr, arg);
}

bool sock_is_loopback(const struct sock_addr *a)
{
	size_t n;
	const uint8_t *b = host_bytes((const struct sockaddr *)&a->ss, &n);

	return (n == 4 && b[0] == 127) ||
	       (n == 16 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&a->ss)->sin6_addr));
}

bool sock_is_global(const struct sock_addr *a)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&a->ss;

	if (a->ss.ss_family == AF_INET)
		return ((const struct sockaddr_in *)&a->ss)->sin_addr.s_addr != INADDR_ANY;
	return a->ss.ss_family == AF_INET6 && !IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr) &&
	       !IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr);
}

bool sock_is_local(const struct sock_addr *a)
{
	return sock_is_loopback(a) || any_interface(has_address, &a->ss, NULL, 0, NULL);
}

int sock_device_of(const struct sock_addr *a, char *device, size_t size)
{
	return any_interface(has_address, &a->ss, device, size, NULL) ? 0 : -ENODEV;
}

bool sock_is_gone(const struct sock_addr *a)
{
	struct ifaddrs *all;

	if (getifaddrs(&all) < 0)
		return false;
	freeifaddrs(all);
	return !sock_is_local(a);
}

struct wanted {
	const char *device;
	int family;
};

static bool is_wanted(const struct ifaddrs *i, const void *arg)
{
	const struct wanted *w = arg;

	return !strcmp(i->ifa_name, w->device) &&
	       (w->family == AF_UNSPEC || i->ifa_addr->sa_family == w->family);
}

int sock_address_of(const char *device, int family, struct sock_addr *out)
{
	struct wanted w = { device, family };

	memset(out, 0, sizeof *out);
	return any_interface(is_wanted, &w, NULL, 0, out) ? 0 : -EADDRNOTAVAIL;
}

size_t sock_addresses_of(const char *device, struct sock_addr *out, size_t max)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct ifaddrs *all, *i;
	size_t count = 0;

	if (getifaddrs(&all) < 0)
		return 0;
	for (int f = 0; f < 2; f++) {
		struct wanted w = { device, families[f] };

		for (i = all; i && count < max; i = i->ifa_next) {
			if (!i->ifa_addr || !is_wanted(i, &w))
				continue;
			copy_address(&out[count], i->ifa_addr);
			count += sock_is_global(&out[count]);
		}
	}
	freeifaddrs(all);
	return count;
}

struct pair {
	const struct sockaddr *from, *to;
};

static bool covers(const struct ifaddrs *i, const void *arg)
{
	const struct pair *p = arg;
	size_t n, m, k;
	const uint8_t *a = host_bytes(i->ifa_addr, &n), *to = host_bytes(p->to, &m), *mask;

	if (n != m || !i->ifa_netmask || !same_host(i->ifa_addr, p->from))
		return false;
	mask = host_bytes(i->ifa_netmask, &k);
	if (k != n)
		return false;
	for (k = 0; k < n; k++)
		if ((a[k] ^ to[k]) & mask[k])
			return false;
	return true;
}

bool sock_on_link(const struct sock_addr *from, const struct sock_addr *to)
{
	struct pair p = { (const struct sockaddr *)&from->ss, (const struct sockaddr *)&to->ss };

	if (sock_is_loopback(from) || sock_is_loopback(to))
		return sock_is_loopback(from) == sock_is_loopback(to);
	return any_interface(covers, &p, NULL, 0, NULL);
}

bool sock_routed_over(const char *device, const struct sock_addr *to)
{
	int fd = socket(to->ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sock_addr from = { .length = sizeof from.ss };
	char chosen[IF_NAMESIZE] = "";
	bool found;

	if (fd < 0)
		return true;	/* cannot tell: let the connection find out */
	/* Sends nothing, but chooses. */
	found = connect(fd, (const struct sockaddr *)&to->ss, to->length) == 0 &&
		getsockname(fd, (struct sockaddr *)&from.ss, &from.length) == 0 &&
		sock_device_of(&from, chosen, sizeof chosen) == 0;
	close(fd);
	return (found && !strcmp(chosen, device)) || sock_is_local(to);
}

bool sock_device_running(const char *device)
{
	struct ifreq r = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool running = false;

	if (fd < 0)
		return true;	/* cannot tell: let the connection find out */
	snprintf(r.ifr_name, sizeof r.ifr_name, "%s", device);
	if (ioctl(fd, SIOCGIFFLAGS, &r) == 0)
		running = (r.ifr_flags & IFF_UP) && (r.ifr_flags & IFF_RUNNING);
	close(fd);
	return running;
}

/*
 * What both sides want of a storage connection: no delay for small frames, and a
 * congestion control that does not pace.  A connection that began with one that does
 * is paced by a timer for all its life, so this is for before connect and listen;
 * what is accepted inherits it.
 */
static void tune(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
}

static int bind_from(int fd, const struct sock_addr *from, const char *device)
{
	struct sock_addr any;
	int one = 1;

	if (device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) < 0)
		return -errno;
	if (!from || !from->length)
		return 0;
	any = *from;
	sock_set_port(&any, 0);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
	return bind(fd, (struct sockaddr *)&any.ss, any.length) < 0 ? -errno : 0;
}

int sock_connect(const struct sock_addr *from, const char *device, const struct sock_addr *to)
{
	int fd = socket(to->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	tune(fd);
	r = bind_from(fd, from, device && !sock_is_local(to) ? device : NULL);
	if (!r && connect(fd, (const struct sockaddr *)&to->ss, to->length) < 0 && errno != EINPROGRESS)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

int sock_connect_result(int fd)
{
	int error = 0;
	socklen_t n = sizeof error;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		return -errno;
	return -error;
}

void sock_keep_little(int fd)
{
	int little = 64 << 10;

	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &little, sizeof little);
}

int sock_unacknowledged(int fd, uint64_t *bytes, uint64_t *ago)
{
	struct tcp_info i = { 0 };
	socklen_t n = sizeof i;
	int queued;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &n) < 0 || ioctl(fd, SIOCOUTQ, &queued) < 0)
		return -errno;
	*bytes = (uint64_t)queued;
	*ago = UINT64_C(1000000) * i.tcpi_last_ack_recv;
	return 0;
}

int sock_listen(const struct sock_addr *at, const char *device)
{
	int fd = socket(at->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, r = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	tune(fd);
	if (at->ss.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	if (device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) < 0)
		r = -errno;
	if (!r && bind(fd, (const struct sockaddr *)&at->ss, at->length) < 0)
		r = -errno;
	if (!r && listen(fd, 256) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

int sock_watch_links(void)
{
	struct sockaddr_nl who = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&who, sizeof who) < 0) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd < 0 ? -errno : fd;
}

void sock_drain_links(int fd)
{
	char head[16];

	for (int i = 0; i < READ_AT_ONCE; i++) {
		/* Cut short on purpose.  ENOBUFS means that there were too many: a change too. */
		ssize_t n = recv(fd, head, sizeof head, MSG_TRUNC | MSG_DONTWAIT);

		if (n < 0 && errno != ENOBUFS && errno != EINTR)
			break;
	}
}
