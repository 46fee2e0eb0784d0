/*
 * play.h - a client built from lib/ that talks to a server whose every word is
 * the fuzzer's.
 *
 * The client is whole: namespace, paths, sessions, volumes, on a loop.  What is
 * below is not: connections are in memory (memsock.h), time goes on when an input
 * says so, and random numbers are always the same.  Inputs are lists of what happens
 * next (play.c), so that the fuzzer's edits move, repeat and drop such steps.
 */
#ifndef RSIO_FUZZ_PLAY_H
#define RSIO_FUZZ_PLAY_H

#include "fuzz.h"

void play_init(void);		/* once */

/* Before play_begin: all is said within TLS, but for bytes of an odd number. */
void play_within_tls(void);
void play_begin(void);		/* the client starts; its paths are connected */
/* The servers of these paths do what they should until they are up; the first, or
 * both, offer two volumes, which are opened. */
void play_login(bool shared);
void play_steps(struct fuzz_in *in);
void play_end(bool goodbye);	/* everything that was submitted has ended, once */

enum play_step {		/* the first byte of each, modulo their number */
	PLAY_REPLY,		/* connection, which command, status, how, bytes: what it wants */
	PLAY_FRAME,		/* connection, type, flags, whose cookie, status, length, bytes */
	PLAY_BYTES,		/* connection, length, bytes */
	PLAY_WELCOME,		/* connection, what of it is unusual */
	PLAY_GRANT,		/* connection, session, number, what is wrong with it */
	PLAY_EVENT,		/* connection, kind, volume */
	PLAY_CLOSE,		/* connection */
	PLAY_SUBMIT,		/* volume, type, offset, count */
	PLAY_INTERRUPT,		/* which command */
	PLAY_TIME,		/* how long */
	PLAY_HOLD,		/* volume: held, or let go */
	PLAY_FAIL,		/* volume */
	PLAY_OTHER,		/* kick, policy, status, question, pieces, memory, refusals, reload */
	PLAY_STEPS
};

#endif
