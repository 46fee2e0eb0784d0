/*
 * deploy_boot.h - the first seconds on another host: over one channel, by any login shell, a program of ours gets
 * there whole and is run as `PROGRAM --steps DIR`, and nothing of it is left when that does not come about.
 *
 * The order of things on the channel; MARKER stands for random digits, by which its lines are told from what else
 * a host prints:
 *
 *   command line    deploy_boot_command(); no secret is in it
 *   stderr          "MARKER password:" (without a line's end) when sudo wants one: send it and a line's end.  A
 *                   second one says that the first was wrong
 *   stdout          "MARKER shell"   send deploy_boot_script()
 *   stdout          "MARKER send"    send the program, exactly its size
 *   stdout          "MARKER steps"   from now on it is --steps: rssrv(8), STEPS
 *   stdout          "MARKER failed …" and the end: deploy_boot_line() has the words
 *
 * Nothing is to be sent before it is asked for: shells and head may read more than their share.
 */
#ifndef RSIO_DEPLOY_BOOT_H
#define RSIO_DEPLOY_BOOT_H

#include <stdint.h>
#include "err.h"

enum deploy_sudo {
	DEPLOY_AS_LOGIN,		/* the login is root's */
	DEPLOY_SUDO,			/* sudo asks for nothing: `sudo -n true` there said so */
	DEPLOY_SUDO_PASSWORD,		/* it wants a password, even if it would remember one */
};

struct deploy_boot {
	const char *marker;		/* random hex digits */
	const char *dir;		/* DEPLOY_STAGING */
	uint64_t size;			/* of the program */
	const char *sha;		/* its SHA-256, 64 hex digits */
	const char *machine;		/* it is for, as uname -m says it */
};

/* New strings; NULL: no memory. */
char *deploy_boot_command(enum deploy_sudo sudo, const char *marker);
char *deploy_boot_script(const struct deploy_boot *b);

enum deploy_boot_says {
	DEPLOY_BOOT_OTHER,		/* not one of ours */
	DEPLOY_BOOT_SHELL, DEPLOY_BOOT_SEND, DEPLOY_BOOT_STEPS,
	DEPLOY_BOOT_FAILED,		/* e is filled */
};
/* What a line of standard output says, without its end. */
enum deploy_boot_says deploy_boot_line(const struct deploy_boot *b, const char *line, struct err *e);

#endif
