/*
 * discover.h - finds servers: asks by multicast on the interfaces' networks and by unicast at
 * named addresses, and gathers who answers for a bounded time.
 *
 * Nobody who answers has shown anything: names, addresses and figures are what somebody says,
 * checked for their form and bounded in number.  Nothing is changed, no address that an answer
 * names is sent anything (discover_test.h does, when it is asked to), nothing is printed, and
 * no rights are needed.
 */
#ifndef RSIO_DISCOVER_H
#define RSIO_DISCOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"
#include "nic.h"
#include "sock.h"
#include "wire_discover.h"

#define DISCOVER_INTERFACES_MAX 8
#define DISCOVER_OWN_MAX 8		/* addresses of an interface */
#define DISCOVER_ADDRESSES_MAX 64	/* that are asked by name */
#define DISCOVER_SERVERS_MAX 256
#define DISCOVER_SERVERS_PER_HOST 8	/* that one address may speak for */
#define DISCOVER_ANY "any"		/* an interface's name: the kernel chose */

struct discover_interface {		/* of this host */
	struct nic nic;
	struct nic_address addresses[DISCOVER_OWN_MAX];
	size_t address_count;
	bool any;			/* DISCOVER_ANY: for addresses that no chosen one leads to */
	bool asked;			/* a question went out there */
	size_t answers;			/* that came in there */
	char why[ERR_TEXT_MAX];		/* it could not be asked there; "" */
};

struct discover_portal {
	struct wire_discover_portal told;
	char address[SOCK_TEXT_MAX];
	double round_trip[DISCOVER_INTERFACES_MAX + 1];	/* seconds, by interface; < 0: it did not answer there, which
							 * by multicast only one portal of a network does */
};

struct discover_server {
	char namespace[WIRE_NAME_MAX + 1], server[WIRE_NAME_MAX + 1];
	int namespace_id, server_id;
	bool auth;			/* it takes security = auth too */
	char software[WIRE_DISCOVER_TEXT_MAX + 1];	/* "": it does not tell */
	bool more;			/* it has more portals than it told */
	struct discover_portal portals[WIRE_PORTALS_MAX];
	size_t portal_count;
	struct sock_addr from;		/* the first that answered */
};

struct discover_result {
	struct discover_interface interfaces[DISCOVER_INTERFACES_MAX + 1];
	size_t interface_count;
	size_t interfaces_left_out;	/* there are more than that */
	struct discover_server *servers;
	size_t count;
	bool answered[DISCOVER_ADDRESSES_MAX];	/* of the wish's addresses */
	bool led_to[DISCOVER_ADDRESSES_MAX];	/* a question was sent to it */
	size_t malformed;		/* answers that were none */
	size_t unasked;			/* with a nonce that is not ours */
	size_t surplus;			/* of servers beyond the bounds */
	double took;
};

struct discover_wish {
	const char *const *devices;	/* up to DISCOVER_INTERFACES_MAX; none: those that are up, but loopback */
	size_t device_count;
	const struct sock_addr *addresses;	/* with ports; none: only the groups are asked */
	size_t address_count;
	bool groups;			/* by multicast */
	int port;			/* of the groups */
	const char *namespace;		/* only its servers; NULL: any */
	double time;			/* seconds; it ends earlier when only addresses are asked and all answered */
	/* When a server was not known before.  May be NULL. */
	void (*found)(void *arg, const struct discover_server *s);
	bool (*go_on)(void *arg);	/* asked about ten times a second; false ends it.  May be NULL. */
	void *arg;
};

/* 0: the result says what there is, which may be nothing; else -errno with e filled: ECANCELED (go_on), or
 * what kept it from asking at all.  Free the result in any case. */
int discover_run(const struct discover_wish *w, struct discover_result *r, struct err *e);
void discover_result_free(struct discover_result *r);

#endif
