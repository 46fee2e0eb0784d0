/*
 * stage.h - a server made of agent/'s parts that talks to clients whose every
 * word is the fuzzer's.
 *
 * The server is whole from the connections on: sessions, handles, fences,
 * volumes on a file system in memory, two loops.  Both loops run on one thread, in
 * turn; connections are in memory (memsock.h); time goes on when an input says
 * so; and what workers would do is done, later or never, when the input says so.
 * Inputs are lists of what happens next.
 */
#ifndef RSIO_FUZZ_STAGE_H
#define RSIO_FUZZ_STAGE_H

#include "fuzz.h"

void stage_init(void);		/* once */

void stage_begin(uint8_t how);	/* how: where reads and writes are carried out */
/* Before stage_begin: hellos come within TLS, but for those that do not; bytes of an odd number
 * come beside it.  least: what the server asks for. */
void stage_within_tls(bool least);
/* Two connections of one session, one on each loop, with two volumes open. */
void stage_login(void);
void stage_steps(struct fuzz_in *in);
void stage_end(void);		/* every connection is gone, nothing of them is left */

enum stage_step {		/* the first byte of each, modulo their number */
	STAGE_COMMAND,		/* client, type, handle, offset, count: within the protocol */
	STAGE_FRAME,		/* client, type, flags, whose cookie, ..., bytes */
	STAGE_BYTES,		/* client, length, bytes */
	STAGE_CONNECT,		/* client, loop */
	STAGE_HELLO,		/* client, what of it is unusual */
	STAGE_AUTH,		/* client, session to join, what is wrong with it */
	STAGE_OPEN,		/* client, handle, volume, identity */
	STAGE_FENCE,		/* client, connection, which cookies; or TAKEOVER: handle, server */
	STAGE_CLOSE,		/* client, how */
	STAGE_DEAF,		/* client: reads no more, or again */
	STAGE_WORK,		/* jobs: held back, one done, all done */
	STAGE_TIME,		/* how long */
	STAGE_VOLUME,		/* volume, what happens to its file, or to another server's claim */
	STAGE_OTHER,		/* status, control request, keys, leaving, pieces, memory */
	STAGE_STEPS
};

#endif
