/* fuzz_ctl_server.h - what an input of fuzz_ctl_server.c consists of. */
#ifndef RSIO_FUZZ_CTL_SERVER_H
#define RSIO_FUZZ_CTL_SERVER_H

/* The first byte, modulo their number: what is at the path already, or is wrong with
 * it.  With 128 there is no group of admins. */
enum ctl_start {
	CTL_NEW,
	CTL_LEFT_OVER,		/* a socket that nobody listens at */
	CTL_IN_USE,
	CTL_NO_SOCKET,
	CTL_NO_THREAD,		/* nothing is wrong with it */
	CTL_LONG_NAME,		/* longer than a socket's address */
	CTL_LONG_DIR,
	CTL_STARTS
};

enum ctl_step {			/* the first byte of each, modulo their number */
	CTL_SAY,		/* guest, which request */
	CTL_BYTES,		/* guest, length, bytes; with 128 as a message */
	CTL_LEAVE,		/* guest, how */
	CTL_HEAR,		/* guest */
	CTL_QUIET,		/* those before this one have no part of the server in them */
	CTL_JOIN = CTL_QUIET,	/* who it is: user, group, other groups */
	CTL_CROWD,		/* who they are; how many is the step's upper bits */
	CTL_RUN,		/* which connection's thread */
	CTL_TROUBLE,		/* no thread or no descriptor for the next one */
	CTL_STEPS
};

#endif
