/* fuzz_tls.h - the steps of which an input of fuzz_tls.c is made: behind its first byte, who the client is. */
#ifndef RSIO_FUZZ_TLS_H
#define RSIO_FUZZ_TLS_H

#include "fuzz.h"

/* The first byte of each, modulo their number; the rest of it says which way or which end. */
enum step {
	STEP_DELIVER,	/* way, bytes: 0 is one record */
	STEP_ALTER,		/* way, at, bits: of the first record under way */
	STEP_LEAVE_OUT,	/* way */
	STEP_REPEAT,		/* way */
	STEP_SWAP,		/* way */
	STEP_PUT_IN,		/* way, how, n, bytes: a record, or bytes that are none */
	STEP_KEEP,		/* way: the first record is remembered */
	STEP_PUT_BACK,	/* way: that one is put in here */
	STEP_SAY,		/* end, bytes */
	STEP_NEW_KEY,	/* end */
	STEP_END,		/* end */
	STEP_MEND,		/* a hello that was altered has the proof of the key anew */
	STEP_MISUSE,		/* end, type, zeroes, n, bytes: a record within TLS */
	STEP_ALL,		/* what is under way arrives, and what follows from it */
	STEP_STEPS
};

#endif
