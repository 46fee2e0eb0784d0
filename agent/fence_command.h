/*
 * fence_command.h - runs the administrator's fence-command: it makes sure that
 * another server is off, or finds out that it is.
 */
#ifndef RSSRV_FENCE_COMMAND_H
#define RSSRV_FENCE_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include "err.h"
#include "wire.h"

#define FENCE_COMMAND_SECONDS 30	/* then it is killed, and that server not off */

struct fence_target {
	char server[WIRE_NAME_MAX + 1];
	uint16_t id;
	char namespace[WIRE_NAME_MAX + 1];
	char client[WIRE_NAME_MAX + 1];
};

/* Forks the process that will run it: rssrv itself can run no program once it has confined
 * itself (bounds.h), and whoever takes rssrv over can have this command run and no other.
 * It ends with rssrv.  Before the first thread.  0 or -errno with e filled. */
int fence_command_start(const char *command, struct err *e);

/* "/bin/sh -c command" as the user that rssrv is, with RSIO_SERVER, RSIO_SERVER_ID,
 * RSIO_NAMESPACE and RSIO_CLIENT in its environment, no standard input, and what it
 * prints in the log.  command: for the log, it is the one that start was given.  Blocks.
 * True: it ended with status 0, so that server is off. */
bool fence_command_run(const char *command, const struct fence_target *t);

#endif
