/*
 * sock.h - addresses and TCP sockets: never blocks, but for sock_resolve.
 */
#ifndef RSIO_SOCK_H
#define RSIO_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct sock_addr {
	struct sockaddr_storage ss;
	socklen_t length;		/* 0: none */
};

#define SOCK_TEXT_MAX 80

/* Numeric IPv4 or IPv6; [brackets] and %scope are taken.  0 or -EINVAL. */
int sock_parse(const char *text, int port, struct sock_addr *out);
/* A host name; asks the resolver and may take seconds.  0 or -ENOENT. */
int sock_resolve(const char *text, int port, struct sock_addr *out);
/* Without the port. */
void sock_format(const struct sock_addr *a, char out[SOCK_TEXT_MAX]);
void sock_set_port(struct sock_addr *a, int port);
bool sock_equal_host(const struct sock_addr *a, const struct sock_addr *b);

/* Starts a non-blocking connect to `to`.  from and device may be NULL.  With device
 * the socket is bound to it as well, so that two interfaces in one subnet are two
 * paths; not when `to` is this very host, which is reached over loopback whatever
 * the routes say.  Returns the descriptor (writable when the outcome is known), or -errno. */
int sock_connect(const struct sock_addr *from, const char *device, const struct sock_addr *to);
int sock_connect_result(int fd);	/* 0 or -errno */
/* The kernel takes little more to send than what is on its way, so that what is urgent does
 * not wait behind megabytes.  For slow networks: it costs calls. */
void sock_keep_little(int fd);
/* Of what was sent on a connection: how many bytes the peer's kernel has not acknowledged yet,
 * and how long ago (ns) it last acknowledged any.  0 or -errno. */
int sock_unacknowledged(int fd, uint64_t *bytes, uint64_t *ago);

/* A listening, non-blocking socket, or -errno.  What is accepted from it is tuned as what
 * sock_connect gives: see tune() in sock.c. */
int sock_listen(const struct sock_addr *at, const char *device);

/* Datagrams (sock_udp.c).  A non-blocking socket bound to `at`, or -errno.  shared: others of this host may
 * have the same one, and each hears a group's datagrams; only of groups that it joined itself. */
int sock_datagram(const struct sock_addr *at, const char *device, bool shared);
/* What does not fit the device is not sent, and what does not fit on the way is lost: nothing that anybody
 * says about the path's MTU is believed. */
void sock_never_split(int fd, int family);
int sock_join(int fd, const struct sock_addr *group, unsigned index);	/* on that interface; 0 or -errno */
/* What is sent to groups leaves by that interface, and goes no further than its network. */
int sock_group_from(int fd, int family, unsigned index);

/* The device that carries the address, and whether it is up with a carrier. */
int sock_device_of(const struct sock_addr *a, char *device, size_t size);	/* 0 or -ENODEV */
/* The device's first address of that family (AF_UNSPEC: any). */
int sock_address_of(const char *device, int family, struct sock_addr *out);	/* 0 or -EADDRNOTAVAIL */
bool sock_device_running(const char *device);
/* Its addresses, but for link-local ones, IPv4 first; how many, at most max. */
size_t sock_addresses_of(const char *device, struct sock_addr *out, size_t max);
/* Is `to` in the subnet that `from` is configured in? */
bool sock_on_link(const struct sock_addr *from, const struct sock_addr *to);
/* Do this host's routes lead over the device to that address?  A socket bound to a device would
 * find one there without any, if somebody answers. */
bool sock_routed_over(const char *device, const struct sock_addr *to);
/* Is it one of this host's own addresses? */
bool sock_is_local(const struct sock_addr *a);
bool sock_is_gone(const struct sock_addr *a);	/* it is not; false when that cannot be found out */
bool sock_is_loopback(const struct sock_addr *a);
/* One that means the same to other hosts: not a wildcard, and not link-local. */
bool sock_is_global(const struct sock_addr *a);

/* A socket that is readable when a link or an address changed; or -errno.  What it says is
 * not looked at: drain it and look. */
int sock_watch_links(void);
void sock_drain_links(int fd);

#endif
