/*
 * wire.h - the rsio protocol, version 1, as it travels over one TCP connection.
 *
 * rsio-protocol(7) says the same in the same words for whoever writes a second
 * implementation.  All integers are little-endian.  wire.c is the only code
 * that knows bytes; it is pure: no file descriptors, no clock, no allocation.
 *
 * FRAMES.  The client sends requests (a header of WIRE_REQUEST_SIZE bytes, then
 * `length` bytes of payload), the server sends replies and events (a header of
 * WIRE_REPLY_SIZE bytes, then payload).  Each side parses one layout only.  The
 * first byte is 'R'; a TLS hello begins with 0x16, so a server can tell the two
 * (tls.h).
 *
 *   request                               reply, event
 *    0  u8   magic 'R'                     0  u8   magic 'R'
 *    1  u8   version, 1                    1  u8   version, 1
 *    2  u8   type                          2  u8   type of the request answered, or EVENT
 *    3  u8   flags                         3  u8   flags
 *    4  u32  length of the payload         4  u32  length of the payload
 *    8  u64  cookie                        8  u64  cookie of the request; 0 in events
 *   16  u64  offset                       16  u16  status
 *   24  u32  count                        18  u16  0
 *   28  u32  handle                       20  u32  CRC32C of the payload, or 0
 *   32  u32  CRC32C of the payload, or 0  24  u32  0
 *   36  u32  CRC32C of bytes 0..35        28  u32  CRC32C of bytes 0..27
 *
 * A header whose magic, version or checksum is wrong, whose type is unknown or
 * comes at the wrong time, or whose length passes the limits below ends the
 * connection: there is nothing behind it that could be trusted.  Lengths are
 * checked before a byte is allocated.
 *
 * LOGIN.  Four frames, then the connection may carry everything else:
 *   HELLO  client: versions, features, limits, namespace, node, machine, nonce
 *   reply  server: version, features, limits, its identity and instance, nonce
 *   AUTH   client: the session to join (none: a new one), proof that it has the node key
 *   reply  server: session, connection number, proof that it has the node key too
 * secure.h defines the proofs: HMAC-SHA-256 over role and everything said before.
 * A connection that joins a session starts with nothing in flight; if older
 * connections of that session ended with writes unanswered, FENCE comes first.
 *
 * COMMANDS.  A cookie names a command on its connection; its low WIRE_SLOT_BITS
 * bits are a slot, and no two commands in flight use the same slot.  HELLO, AUTH,
 * PING and BYE take no slot: their cookie only comes back.  Commands in
 * flight are unordered, as on a disk.  A write is answered when the server's
 * kernel has it, FUA and FLUSH when it is on stable storage; FLUSH covers all
 * writes of that volume answered before it was sent, over whatever connection of
 * whatever client.  Handles are chosen by the client, belong to the session, and
 * are valid on all its connections from the reply to OPEN to the CLOSE.
 *
 * BODIES of HELLO, AUTH, OPEN, LIST, FENCE and events are records: u16 tag, u16
 * length, bytes.  A tag with the top bit set is mandatory: who does not know it
 * refuses the frame and names it; others are skipped.  So are features: a list of
 * names, each marked optional or mandatory.
 *
 * SNAPSHOTS are volumes that are only read, named VOLUME@SNAP, with the flag SNAPSHOT
 * and the time at which they were taken.  They exist on connections whose HELLO and
 * reply both name the feature "snapshots"; on others they are neither listed nor told of,
 * and cannot be opened.
 */
#ifndef RSIO_WIRE_H
#define RSIO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"

#define WIRE_MAGIC 'R'
#define WIRE_VERSION 1
#define WIRE_PORT 5000
#define WIRE_REQUEST_SIZE 40
#define WIRE_REPLY_SIZE 32

#define WIRE_NAME_MAX 40
#define WIRE_VOLUME_NAME_MAX 81		/* of a volume, or VOLUME@SNAP of a snapshot */
#define WIRE_UUID_SIZE 16
#define WIRE_NONCE_SIZE 32
#define WIRE_PROOF_SIZE 32
#define WIRE_SESSION_SIZE 16
#define WIRE_TEXT_MAX 400		/* a reply's sentence for the user */

/* Limits.  The hello may lower the first three, never raise them. */
#define WIRE_DATA_MAX (1u << 20)	/* bytes a READ or WRITE covers */
#define WIRE_IN_FLIGHT_MAX 1024u	/* commands a connection */
#define WIRE_SESSION_BYTES_MAX (64u << 20)	/* bytes in flight a session */
#define WIRE_LOGIN_MAX 4096u		/* payload before a login succeeded */
#define WIRE_CONTROL_MAX (1u << 20)	/* payload of any other frame than READ's reply and WRITE */
#define WIRE_COPY_MAX (64u << 20)	/* bytes a COPY covers */
#define WIRE_RANGE_MAX (1u << 30)	/* bytes a DISCARD, WRITE_ZEROES or STATUS covers */
#define WIRE_HANDLE_MAX 65535u
#define WIRE_LEASE 15			/* seconds: a connection so long silent is closed; a client pings every second */
/* Milliseconds for which a server may write to shared volumes of a session, counted from the
 * newest of its stamps that came back in a PING; what the hello asks for, within these. */
#define WIRE_LEASE_MIN 500u
#define WIRE_LEASE_MAX (WIRE_LEASE * 1000u)
#define WIRE_SLOT_BITS 10
#define WIRE_SLOT(cookie) ((uint32_t)((cookie) & (WIRE_IN_FLIGHT_MAX - 1)))

enum wire_type {
	WIRE_HELLO = 1,
	WIRE_AUTH = 2,
	WIRE_LIST = 3,		/* offset: first entry; count: how many at most.  Reply: volumes, TOTAL,
				 * with the offset 0 also the PORTALs, all of them */
	WIRE_OPEN = 4,		/* handle; NAME, UUID, GENERATION, flags READ_ONLY.  Reply: one volume */
	WIRE_CLOSE = 5,		/* handle */
	WIRE_READ = 6,		/* handle, offset, count.  Reply: exactly count bytes */
	WIRE_WRITE = 7,		/* handle, offset, count = length; flag FUA */
	WIRE_FLUSH = 8,		/* handle */
	WIRE_DISCARD = 9,	/* handle, offset, count: reads as zeroes afterwards, space is given back */
	WIRE_WRITE_ZEROES = 10,	/* handle, offset, count; flag FUA */
	WIRE_STATUS = 11,	/* handle, offset, count.  Reply: extents, see wire_put_extent */
	WIRE_FENCE = 12,	/* CONNECTION, COOKIES.  Reply: COOKIES and their STATUSES that were done;
				 * INVALID: it is over too, but what it had done is not known any more */
	WIRE_PING = 13,		/* offset: the newest stamp the client has, 0 for none.  Reply: a stamp (8 bytes),
				 * the server's clock when it answered, which means nothing to the client */
	WIRE_BYE = 14,		/* an orderly end: no more commands follow; the reply is the last frame */
	WIRE_EVENT = 15,	/* server only: EVENT_KIND, and a volume or portal */
	WIRE_CONTROL = 16,	/* a JSON object whose "do" says what.  Reply: a JSON object */
	WIRE_TAKEOVER = 17,	/* handle of a shared volume; SERVER and SERVER_ID of another server that offers it.
				 * OK: that one writes nothing any more that this client sent it before; BUSY:
				 * it still might, ask again, TEXT says why */
	WIRE_COPY = 18,		/* handle, offset, count: what another volume, or this one elsewhere, has, see
				 * wire_put_copy.  Only with the feature "copy" */
};

enum wire_flag {
	WIRE_FLAG_FUA = 1,	/* WRITE, WRITE_ZEROES, DISCARD: stable before it is answered */
	WIRE_FLAG_CRC = 2,	/* the payload checksum field counts */
	WIRE_FLAG_READ_ONLY = 4,	/* OPEN; in its reply and in LIST: only reads are allowed */
	WIRE_FLAG_FIRST = 8,	/* AUTH: a new session is meant; SESSION, which decides, is zero then */
	WIRE_FLAG_SNAPSHOT = 16,	/* VOLUME: it is a snapshot, and READ_ONLY; in no header */
	WIRE_FLAG_ALONE = 32,	/* OPEN: what this client had reserved to be alone with it */
};

/* One code per cause.  wire_status_errno maps each to the errno an application
 * sees; wire_status_from_errno is for the server's own system calls. */
enum wire_status {
	WIRE_OK = 0,
	WIRE_E_IO = 1,			/* the disk failed */
	WIRE_E_NO_SPACE = 2,		/* the pool is full */
	WIRE_E_QUOTA = 3,
	WIRE_E_READ_ONLY = 4,		/* volume or right is read-only */
	WIRE_E_RANGE = 5,		/* beyond the volume's end, or not allowed here */
	WIRE_E_INVALID = 6,		/* a request that makes no sense */
	WIRE_E_UNSUPPORTED = 7,		/* the backing store cannot do this */
	WIRE_E_HANDLE = 8,		/* handle not open */
	WIRE_E_NO_VOLUME = 9,		/* no such volume, or this client may not see it */
	WIRE_E_IDENTITY = 10,		/* name found, but another UUID */
	WIRE_E_GENERATION = 11,		/* UUID found, but its content was replaced */
	WIRE_E_BUSY = 12,		/* exclusively in use */
	WIRE_E_NO_MEMORY = 13,		/* a limit of the server; try again later */
	WIRE_E_CHECKSUM = 14,		/* the payload arrived damaged */
	WIRE_E_VERSION = 15,		/* no common version */
	WIRE_E_FEATURE = 16,		/* a mandatory feature or record that is not known */
	WIRE_E_NAMESPACE = 17,		/* no such namespace (name or id) here */
	WIRE_E_KEY = 18,		/* unknown node name or wrong key */
	WIRE_E_IN_USE = 19,		/* this node name is logged in from another machine */
	WIRE_E_SECURITY = 20,		/* the server asks for more security */
	WIRE_E_LEAVING = 21,		/* the server is shutting down */
	WIRE_E_FLUSH_FAILED = 22,	/* an earlier flush of this volume failed: final until an administrator clears it */
	WIRE_E_LIMIT = 23,		/* too many sessions, connections or handles */
	WIRE_E_RESERVED = 24,		/* another client has reserved the volume */
	WIRE_STATUS_COUNT
};

const char *wire_type_name(enum wire_type t);		/* "read"; "unknown" */
const char *wire_status_name(enum wire_status s);	/* "no-space"; "unknown" */
const char *wire_status_text(enum wire_status s);	/* a half sentence for people */
int wire_status_errno(enum wire_status s);		/* positive errno; EIO for unknown codes; 0 for OK */
enum wire_status wire_status_from_errno(int errnum);	/* of a positive errno */

struct wire_request {
	uint8_t type, flags;
	uint32_t length;
	uint64_t cookie, offset;
	uint32_t count, handle, payload_crc;
};

struct wire_reply {
	uint8_t type, flags;
	uint16_t status;
	uint32_t length;
	uint64_t cookie;
	uint32_t payload_crc;
};

/* Headers to bytes and back.  get returns 0, or -EPROTO with why (a static
 * half sentence for the log). */
void wire_put_request(uint8_t out[WIRE_REQUEST_SIZE], const struct wire_request *r);
int wire_get_request(const uint8_t in[WIRE_REQUEST_SIZE], struct wire_request *r, const char **why);
void wire_put_reply(uint8_t out[WIRE_REPLY_SIZE], const struct wire_reply *r);
int wire_get_reply(const uint8_t in[WIRE_REPLY_SIZE], struct wire_reply *r, const char **why);
/* What each type allows: flags, length, count, range, handle, status.  0, or
 * -EPROTO with why.  The limits are the protocol's own; what a hello lowered,
 * whether a type may come now, and whether a READ's reply has the bytes that
 * were asked for is known to the caller alone. */
int wire_check_request(const struct wire_request *r, const char **why);
int wire_check_reply(const struct wire_reply *r, const char **why);

/* 1..40 of [A-Za-z0-9._-], no dot or dash in front: all names that travel. */
bool wire_name_ok(const char *name, size_t length);
bool wire_snapshot_name_ok(const char *name, size_t length);	/* such a name, and no bare number */
bool wire_volume_name_ok(const char *name, size_t length);	/* NAME, or NAME@SNAP of a snapshot */

/* Records.  A writer never passes its end: it remembers that it would have. */
struct wire_writer {
	uint8_t *at, *end;
	bool overflow;
};
void wire_writer_init(struct wire_writer *w, void *buf, size_t size);
size_t wire_writer_used(const struct wire_writer *w, const void *buf);
void wire_put(struct wire_writer *w, uint16_t tag, const void *data, size_t length);
void wire_put_u16(struct wire_writer *w, uint16_t tag, uint16_t v);
void wire_put_u32(struct wire_writer *w, uint16_t tag, uint32_t v);
void wire_put_u64(struct wire_writer *w, uint16_t tag, uint64_t v);
void wire_put_text(struct wire_writer *w, uint16_t tag, const char *text);

struct wire_reader {
	const uint8_t *at, *end;
};
struct wire_record {
	uint16_t tag;		/* without WIRE_MANDATORY */
	bool mandatory;
	uint16_t length;
	const uint8_t *data;	/* points into what was read */
};
void wire_reader_init(struct wire_reader *r, const void *buf, size_t size);
/* 1: *out is a record; 0: the end; -EPROTO: torn. */
int wire_next(struct wire_reader *r, struct wire_record *out);

#define WIRE_MANDATORY 0x8000u

enum wire_tag {
	WIRE_TAG_FEATURE = 1,	/* u8 mandatory, name: repeated */
	WIRE_TAG_LIMITS,	/* u32 data, u32 in flight, u32 session bytes */
	WIRE_TAG_NAMESPACE,	/* name */
	WIRE_TAG_NAMESPACE_ID,	/* u16 */
	WIRE_TAG_NODE,		/* name */
	WIRE_TAG_MACHINE,	/* 16 bytes: machine id hashed; with BOOT and RUN: the same client? */
	WIRE_TAG_BOOT,		/* 16 bytes: the host's boot id */
	WIRE_TAG_RUN,		/* 16 bytes: an id kept in the run directory */
	WIRE_TAG_LIFE,		/* 16 bytes: random, made at each start of the daemon */
	WIRE_TAG_NONCE,		/* 32 bytes */
	WIRE_TAG_SERVER,	/* name */
	WIRE_TAG_SERVER_ID,	/* u16 */
	WIRE_TAG_SESSION,	/* 16 bytes */
	WIRE_TAG_CONNECTION,	/* u32: number of a connection in its session */
	WIRE_TAG_PROOF,		/* 32 bytes */
	WIRE_TAG_TEXT,		/* a sentence for the user, beside a refusal */
	WIRE_TAG_NAME,		/* of a volume or snapshot */
	WIRE_TAG_UUID,		/* 16 bytes */
	WIRE_TAG_GENERATION,	/* u64 */
	WIRE_TAG_VOLUME,	/* see struct wire_volume: repeated */
	WIRE_TAG_TOTAL,		/* u32: entries of the whole list */
	WIRE_TAG_COOKIES,	/* u64 each: repeated record, at most 1,024 in all */
	WIRE_TAG_STATUSES,	/* u16 each, for the cookies of the record before */
	WIRE_TAG_EVENT_KIND,	/* u16 */
	WIRE_TAG_PORTAL,	/* text ADDRESS/PORT: repeated in LIST's reply */
	WIRE_TAG_VERSION,	/* software, for status: text */
	WIRE_TAG_VERSIONS,	/* u16 least, u16 most: of this protocol; absent: 1, 1 */
	WIRE_TAG_LEASE,		/* u32 milliseconds: see WIRE_LEASE_MIN */
};

enum wire_event {
	WIRE_EVENT_VOLUME_ADDED = 1,
	WIRE_EVENT_VOLUME_REMOVED,
	WIRE_EVENT_VOLUME_RESIZED,
	WIRE_EVENT_VOLUME_REPLACED,	/* generation changed */
	WIRE_EVENT_PORTAL_ADDED,
	WIRE_EVENT_LEAVING,
	WIRE_EVENT_PORTAL_REMOVED,
};

/* A volume as LIST, OPEN's reply and events carry it.  The record's bytes:
 *    0  16 bytes  uuid             40  u8  flags
 *   16  u64       generation       41  u8  av
 *   24  u64       size             42  u8  shared: 0, 1
 *   32  u32       block size       43  u8  length of the name
 *   36  u32       id               44  the name; of a snapshot, then u64 when it was taken;
 *                                      of another one that is reserved, u8 length and name
 *                                      of the client; what follows is for later versions
 * A size passes neither 2^63 - 1 nor a whole number of blocks; a block is a
 * power of two of 512..65,536 bytes. */
#define WIRE_VOLUME_MAX 137		/* the largest record that put makes, its header included */
struct wire_volume {
	char name[WIRE_VOLUME_NAME_MAX + 1];
	uint8_t uuid[WIRE_UUID_SIZE];
	uint64_t generation;
	uint64_t size;		/* bytes */
	uint32_t block_size;	/* logical, bytes; 512 */
	uint32_t id;		/* the number in `rsconfig -q`: order of the server's configuration */
	uint8_t flags;		/* WIRE_FLAG_READ_ONLY, WIRE_FLAG_SNAPSHOT: with it the name has an @ */
	uint8_t av;		/* 0..3: /dev/avN */
	bool shared;
	uint64_t taken;		/* SNAPSHOT: seconds since 1970, UTC; 0: not known.  Else 0 */
	char reserved_by[WIRE_NAME_MAX + 1];	/* a client; "": nobody */
};
void wire_put_volume(struct wire_writer *w, const struct wire_volume *v);
int wire_get_volume(const struct wire_record *r, struct wire_volume *v);	/* 0 or -EPROTO */

/* HELLO and its reply in one struct each; absent records are zero. */
struct wire_features {
	bool payload_crc, snapshots, copy;
	/* The name of the first mandatory feature that is not known; else "". */
	char unknown[WIRE_NAME_MAX + 1];
};
struct wire_limits {
	uint32_t data, in_flight, session_bytes;
};
struct wire_hello {		/* from the client */
	/* Of the protocol; put makes 0, 0 into WIRE_VERSION.  A server that finds
	 * WIRE_VERSION outside of them refuses with WIRE_E_VERSION. */
	uint16_t version_least, version_most;
	struct wire_features features;
	struct wire_limits limits;
	char namespace[WIRE_NAME_MAX + 1];
	uint16_t namespace_id;
	char node[WIRE_NAME_MAX + 1];
	uint8_t machine[16], boot[16], run[16], life[16];
	uint8_t nonce[WIRE_NONCE_SIZE];
	uint16_t unknown_tag;	/* a mandatory record that is not known; else 0 */
	uint32_t lease;		/* ms; 0: not said, which is WIRE_LEASE_MAX */
};
struct wire_welcome {		/* the server's answer to it */
	struct wire_features features;
	struct wire_limits limits;
	char server[WIRE_NAME_MAX + 1];
	uint16_t server_id;
	uint8_t machine[16], boot[16], life[16];	/* the server's host and process */
	uint8_t nonce[WIRE_NONCE_SIZE];
	char version[WIRE_NAME_MAX + 1];
};
struct wire_auth {
	uint8_t session[WIRE_SESSION_SIZE];	/* all zero: none to join */
	uint8_t proof[WIRE_PROOF_SIZE];
};
struct wire_granted {
	uint8_t session[WIRE_SESSION_SIZE];
	bool joined;		/* set by comparing, not on the wire: reply flag 0 */
	uint32_t connection;
	uint8_t proof[WIRE_PROOF_SIZE];
};
/* put returns the payload's length (buf of WIRE_LOGIN_MAX); get 0 or -EPROTO
 * with why.  A hello needs a nonce, an auth a proof, a granted all three; but
 * for FEATURE, VOLUME, COOKIES and STATUSES no record may come twice.  Absent
 * limits are the defaults; a limit that is not 0 is at least 512 bytes. */
size_t wire_put_hello(uint8_t *buf, const struct wire_hello *h);
int wire_get_hello(const uint8_t *buf, size_t length, struct wire_hello *h, const char **why);
size_t wire_put_welcome(uint8_t *buf, const struct wire_welcome *h);
int wire_get_welcome(const uint8_t *buf, size_t length, struct wire_welcome *h, const char **why);
size_t wire_put_auth(uint8_t *buf, const struct wire_auth *a);
int wire_get_auth(const uint8_t *buf, size_t length, struct wire_auth *a, const char **why);
size_t wire_put_granted(uint8_t *buf, const struct wire_granted *g);
int wire_get_granted(const uint8_t *buf, size_t length, struct wire_granted *g, const char **why);

/* A refusal's payload: one TEXT record.  get leaves text "" when there is none. */
size_t wire_put_text_body(uint8_t *buf, size_t size, const char *text);
void wire_get_text_body(const uint8_t *buf, size_t length, char text[WIRE_TEXT_MAX + 1]);

/* The payload of PING's reply. */
#define WIRE_STAMP_SIZE 8
void wire_put_stamp(uint8_t out[WIRE_STAMP_SIZE], uint64_t stamp);
uint64_t wire_get_stamp(const uint8_t in[WIRE_STAMP_SIZE]);

/* OPEN's payload; buf of WIRE_OPEN_MAX. */
#define WIRE_OPEN_MAX 128
struct wire_open {
	char name[WIRE_VOLUME_NAME_MAX + 1];
	bool has_identity;	/* uuid and generation must match */
	uint8_t uuid[WIRE_UUID_SIZE];
	uint64_t generation;
};
size_t wire_put_open(uint8_t *buf, const struct wire_open *o);
int wire_get_open(const uint8_t *buf, size_t length, struct wire_open *o, const char **why);

/* FENCE and its reply: at most WIRE_IN_FLIGHT_MAX cookies; buf of WIRE_FENCE_MAX.
 * The request asks about cookies, statuses do not count; the reply repeats the
 * connection and has only the cookies that were done, with their statuses. */
#define WIRE_FENCE_MAX (64 + WIRE_IN_FLIGHT_MAX * 10)
struct wire_fence {
	uint32_t connection;
	size_t count;
	uint64_t cookies[WIRE_IN_FLIGHT_MAX];
	uint16_t statuses[WIRE_IN_FLIGHT_MAX];
};
size_t wire_put_fence(uint8_t *buf, const struct wire_fence *f, bool reply);
int wire_get_fence(const uint8_t *buf, size_t length, struct wire_fence *f, bool reply, const char **why);

/* TAKEOVER's payload, both needed; buf of WIRE_TAKEOVER_MAX. */
#define WIRE_TAKEOVER_MAX 64
struct wire_takeover {
	char server[WIRE_NAME_MAX + 1];
	uint16_t server_id;
};
size_t wire_put_takeover(uint8_t *buf, const struct wire_takeover *t);
int wire_get_takeover(const uint8_t *buf, size_t length, struct wire_takeover *t, const char **why);

/* COPY's payload: u32 handle of the source, u64 offset in it. */
#define WIRE_COPY_SIZE 12
void wire_put_copy(uint8_t out[WIRE_COPY_SIZE], uint32_t handle, uint64_t offset);
void wire_get_copy(const uint8_t in[WIRE_COPY_SIZE], uint32_t *handle, uint64_t *offset);

/* STATUS: extents of 12 bytes, u64 length, u32 kind, from the offset asked on. */
enum wire_extent { WIRE_EXTENT_DATA = 0, WIRE_EXTENT_HOLE = 1 };
#define WIRE_EXTENT_SIZE 12
void wire_put_extent(uint8_t out[WIRE_EXTENT_SIZE], uint64_t length, uint32_t kind);
void wire_get_extent(const uint8_t in[WIRE_EXTENT_SIZE], uint64_t *length, uint32_t *kind);

/* A portal in words: a numeric address without brackets or scope, a slash, a port. */
#define WIRE_PORTAL_MAX 64		/* with the terminating zero */
#define WIRE_PORTALS_MAX 8		/* of a server */
int wire_get_portal(const struct wire_record *r, char out[WIRE_PORTAL_MAX]);	/* 0 or -EPROTO */

/* EVENT's payload.  Those of a volume carry the volume, those of a portal the portal;
 * unknown kinds are for the caller to skip. */
struct wire_event_body {
	uint16_t kind;
	bool has_volume;
	struct wire_volume volume;
	char portal[WIRE_PORTAL_MAX];
};
size_t wire_put_event(uint8_t *buf, size_t size, const struct wire_event_body *e);
int wire_get_event(const uint8_t *buf, size_t length, struct wire_event_body *e, const char **why);

/* The least of both sides' limits; nonsense (0) becomes the default. */
struct wire_limits wire_merge_limits(struct wire_limits mine, struct wire_limits theirs);

#endif
