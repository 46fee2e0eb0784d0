/*
 * facts.h - what this host's network is like, as far as a plan depends on it.
 */
#ifndef RSIO_FACTS_H
#define RSIO_FACTS_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"

struct facts_address {
	int family;			/* AF_INET or AF_INET6 */
	uint8_t bytes[16];		/* network order; 4 of them, or 16 */
	unsigned prefix;		/* bits of its subnet */
};

#define FACTS_ADDRESSES_MAX 32
struct facts_device {
	char name[IF_NAMESIZE];
	bool up;			/* with a carrier */
	int mtu;			/* 0: not known */
	int rp_filter;			/* what counts there: 0 none, 1 strict, 2 loose */
	int arp_ignore;
	struct facts_address addresses[FACTS_ADDRESSES_MAX];
	size_t address_count;
};

struct facts {
	struct facts_device *devices;
	size_t count;
};

/* Of this host, or of its network namespace: 0, or -errno with e filled. */
int facts_read(struct facts *f, struct err *e);
void facts_free(struct facts *f);

/* A numeric address, perhaps with %SCOPE: false when it is none. */
bool facts_parse(const char *text, struct facts_address *out);
bool facts_same_subnet(const struct facts_address *a, const struct facts_address *b, unsigned prefix);
/* The device that has the address; NULL: none; and the address as it has it, with its prefix. */
const struct facts_device *facts_of_address(const struct facts *f, const char *address, const struct facts_address **at);
const struct facts_device *facts_of_name(const struct facts *f, const char *device);

#endif
