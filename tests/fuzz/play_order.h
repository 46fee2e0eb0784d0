/*
 * play_order.h - does the client keep the order of writes?  lib/session.c argues
 * why no old write can land on a newer one; this watches a play for what would
 * break the argument:
 *
 *  - a write that was out on a connection is sent over another before that
 *    connection was fenced, its session replaced, or another server took over;
 *  - a write is sent that overlaps an older one which is not complete and which
 *    was out on a connection that had ended before the newer one was submitted;
 *  - a write is sent that overlaps one whose waiter was told something else before
 *    it was submitted, and which is not complete.
 *
 * It judges only while the server keeps to the protocol.
 */
#ifndef RSIO_FUZZ_PLAY_ORDER_H
#define RSIO_FUZZ_PLAY_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void order_begin(void);
void order_unknown(void);	/* what the server said is no protocol: judges no more */

/* The client.  The number goes into the write's first eight bytes; 0: not watched. */
uint64_t order_submitted(const void *volume, uint64_t offset, uint32_t count);
void order_told(uint64_t write);
void order_done(uint64_t write);

/* The server: a connection is named by a number of its own, from 1. */
void order_granted(unsigned connection, unsigned server, const uint8_t session[16], uint32_t number);
void order_heard(unsigned connection, uint64_t write, uint64_t cookie);
void order_answered(unsigned connection, uint64_t cookie);
void order_fenced(unsigned by, uint32_t number);	/* FENCE was answered */
/* TAKEOVER was answered with OK: it asked when that connection was the newest. */
void order_took_over(unsigned server, unsigned newest);
void order_unnamed(void);	/* a server says that it is another one: of takeovers nothing is known */
void order_ended(unsigned connection);
/* All that the client had sent was heard. */
void order_all_heard(void);

#endif
