/* discover_impl.h - what the files of discover share. */
#ifndef RSIO_DISCOVER_IMPL_H
#define RSIO_DISCOVER_IMPL_H

#include "discover.h"

/* The result's interfaces, from the wish; 0 or -errno with e filled. */
int discover_choose(const struct discover_wish *w, struct discover_result *r, struct err *e);
/* The interface DISCOVER_ANY, made when it is not there yet. */
size_t discover_any(struct discover_result *r);
/* A socket that asks from there, or -errno; *bound: to the device, not to an address of it. */
int discover_socket(const struct discover_interface *i, int family);
/* Do the routes lead from that interface there? */
bool discover_leads(const struct discover_interface *i, const struct sock_addr *to);
/* What an answer says, from an interface after so long; false: it is beyond the bounds.  *is_new: nobody had told it. */
bool discover_merge(struct discover_result *r, const struct wire_discover_answer *a, const struct sock_addr *from,
		    size_t interface, double round_trip, struct discover_server **server, bool *is_new);
void discover_portal_address(const struct wire_discover_portal *p, struct sock_addr *out);
uint64_t discover_clock(void);		/* CLOCK_MONOTONIC, ns */

#endif
