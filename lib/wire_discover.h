/*
 * wire_discover.h - the bytes of discovery: a question and its answer, a UDP datagram each.
 *
 * A stranger asks and a server answers what a stranger may know; rsio-protocol(7) has it in
 * the same words.  Numbers are little-endian.
 *    0   8 bytes  "rsiofind"
 *    8   u16      version, 1
 *   10   u8       1 a question, 2 an answer
 *   11   u8       flags
 *   12   u16      length of the datagram
 *   14   u16      length of the records, which come next; the rest is padding and means nothing
 *   16  16 bytes  the asker's, random; the answer has the same
 *   32            records: u16 tag, u16 length, bytes, as in the rest of the protocol
 *
 * An answer is never longer than its question, so nobody is flooded with more than a liar
 * would have to send there himself: a question is padded to the length that its answer may
 * have.  What does not fit is left out, and the answer says so (MORE).
 */
#ifndef RSIO_WIRE_DISCOVER_H
#define RSIO_WIRE_DISCOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire.h"

#define WIRE_DISCOVER_VERSION 1
#define WIRE_DISCOVER_HEADER 32
#define WIRE_DISCOVER_NONCE 16
#define WIRE_DISCOVER_LENGTH 1200	/* of a question: every IPv6 network carries it whole */
#define WIRE_DISCOVER_MAX 16384		/* no datagram is longer; the long ones are for finding the MTU */
#define WIRE_DISCOVER_TEXT_MAX 31	/* of a driver, device and version */

#define WIRE_DISCOVER_GROUP4 "239.255.114.115"
#define WIRE_DISCOVER_GROUP6 "ff02::7273:696f"

enum {
	WIRE_DISCOVER_BRIEF = 1,	/* question: an answer without records will do */
	WIRE_DISCOVER_EQUAL = 2,	/* question: padded to the question's length, please */
	WIRE_DISCOVER_MORE = 4,		/* answer: not all that there is to tell */
};

enum wire_discover_tag {
	WIRE_DISCOVER_NAMESPACE = 1,	/* name; in a question: only its servers answer */
	WIRE_DISCOVER_NAMESPACE_ID,	/* u16 */
	WIRE_DISCOVER_SERVER,		/* name */
	WIRE_DISCOVER_SERVER_ID,	/* u16, 0..255 */
	WIRE_DISCOVER_SECURITY,		/* u8, the least it accepts: 0 tls, 1 auth */
	WIRE_DISCOVER_PORTAL,		/* see struct wire_discover_portal: repeated */
	WIRE_DISCOVER_SOFTWARE,		/* text: its version */
};

/* The record's bytes:
 *    0  u16  port
 *    2  u8   bytes of the address: 4 or 16
 *    3  u8   bits of its subnet; 255: not told, and the record ends behind the address
 *    4       the address; then
 *       u32  Mbit/s, 0 not known      u32  MTU, 0 not known
 *       u8   duplex: 0 not known, 1 half, 2 full
 *       u8   1: up with a carrier
 *       u8   length, the device's name       u8  length, the driver's name
 *  What follows is for later versions. */
struct wire_discover_portal {
	uint16_t port;
	uint8_t family;			/* 4 or 6 */
	uint8_t address[16];		/* the first 4, or all */
	bool detailed;			/* the rest is told */
	uint8_t prefix;
	uint32_t speed, mtu;
	uint8_t duplex;
	bool up;
	char device[WIRE_DISCOVER_TEXT_MAX + 1], driver[WIRE_DISCOVER_TEXT_MAX + 1];
};

struct wire_discover_question {
	uint8_t flags;
	uint16_t length;		/* of the datagram, padding and all */
	uint8_t nonce[WIRE_DISCOVER_NONCE];
	char namespace[WIRE_NAME_MAX + 1];	/* "": any */
};

struct wire_discover_answer {
	uint8_t flags;
	uint16_t length;
	uint8_t nonce[WIRE_DISCOVER_NONCE];
	bool brief;			/* there was no record, and nothing of what follows */
	char namespace[WIRE_NAME_MAX + 1], server[WIRE_NAME_MAX + 1];
	uint16_t namespace_id, server_id;
	uint8_t security;
	char software[WIRE_DISCOVER_TEXT_MAX + 1];	/* "": not told */
	struct wire_discover_portal portals[WIRE_PORTALS_MAX];
	size_t portal_count;
};

/* q->length bytes, or 0: they do not hold it, or are more than size or too many. */
size_t wire_put_discover_question(uint8_t *buf, size_t size, const struct wire_discover_question *q);
/* 0, or -EPROTO with *why. */
int wire_get_discover_question(const uint8_t *buf, size_t length, struct wire_discover_question *q, const char **why);
/* The answer to q, with a's content: at most q->length bytes.  0: not even the names fit. */
size_t wire_put_discover_answer(uint8_t *buf, size_t size, const struct wire_discover_question *q,
				const struct wire_discover_answer *a);
int wire_get_discover_answer(const uint8_t *buf, size_t length, struct wire_discover_answer *a, const char **why);

#endif
