/*
 * nic.h - the network interfaces of this host, and what may be known of them without rights.
 */
#ifndef RSIO_NIC_H
#define RSIO_NIC_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sock.h"

#define NIC_DRIVER_MAX 32

enum nic_duplex { NIC_DUPLEX_UNKNOWN, NIC_DUPLEX_HALF, NIC_DUPLEX_FULL };
const char *nic_duplex_name(enum nic_duplex d);	/* "unknown", "half", "full" */

struct nic {
	char name[IF_NAMESIZE];
	unsigned index;			/* the kernel's */
	char driver[NIC_DRIVER_MAX];	/* "": it does not say */
	uint32_t speed;			/* Mbit/s; 0: not known */
	enum nic_duplex duplex;
	uint32_t mtu;			/* 0: not known */
	bool up;			/* with a carrier */
	bool loopback, multicast;
};

struct nic_address {
	char name[IF_NAMESIZE];		/* of its interface */
	struct sock_addr at;
	int prefix;			/* bits of the subnet */
};

/* 0 or -ENODEV. */
int nic_get(const char *name, struct nic *out);
/* In the kernel's order; how many, at most max. */
size_t nic_list(struct nic *out, size_t max);
/* All addresses of all interfaces, the link-local ones too. */
size_t nic_addresses(struct nic_address *out, size_t max);

#endif
