/*
 * remote.h - another host by SSH: log in as OpenSSH would, run things, talk.  The one
 * door to libssh.
 *
 * No threads, one login a process at a time where many hosts are meant: fork first, then
 * remote_open.  Everything has a time limit; nothing is left waiting for a host that says
 * nothing.  Nothing secret is ever part of a command: passwords and scripts travel through
 * the channel's input, after the host's first word.  From remote_open on the process ignores
 * SIGPIPE and leaves no core file: what libssh holds is not in memory of ours.
 *
 * WHAT IS RUN is a script for a POSIX sh, whatever the account's login shell is: the login shell
 * is given one line that it understands the same in sh, csh and fish, which starts an sh that
 * prints a random line; what came before that line (banners of the shell's own files) is dropped, and
 * only after it the script is sent, on the standard input.  What follows in the input is the script's to read.
 * remote_become_root makes all that is run later root's: by sudo where the login is not root.
 */
#ifndef RSIO_REMOTE_H
#define RSIO_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include "err.h"
#include "sock.h"

#define REMOTE_NAME_MAX 256
#define REMOTE_FINGERPRINT_MAX 64	/* "SHA256:" and 43 characters */
#define REMOTE_SECRET_MAX 1024

/* [user@]host[:port]; an IPv6 address with a port in brackets.  Empty or 0: as the
 * configuration says, else the caller's name and 22. */
struct remote_target {
	char user[REMOTE_NAME_MAX], host[REMOTE_NAME_MAX];
	int port;
};
int remote_parse(const char *text, struct remote_target *out, struct err *e);

/* A key that nobody knows yet. */
struct remote_key {
	const char *host;		/* as in known_hosts: host, or [host]:port */
	const char *address;		/* numeric; empty behind a proxy */
	const char *type;		/* "ED25519", as OpenSSH says it */
	const char *fingerprint;	/* SHA256:… */
	const char *known_hosts;	/* the file that it is written to when it is confirmed */
};

/* Who asks the user.  A member that is NULL: there is nobody to ask, and what would need it
 * fails with the option that would help as the next step. */
struct remote_ask {
	bool (*confirm)(void *arg, const struct remote_key *key);
	/* A line without echo (or with), at most size - 1 characters; 0, or -ECANCELED.  `size` is
	 * REMOTE_SECRET_MAX, the memory in no core file and wiped by the caller. */
	int (*secret)(void *arg, const char *prompt, bool echo, char *answer, size_t size);
	/* A server's banner before the login, a line at a time, cleaned; may be NULL. */
	void (*banner)(void *arg, const char *line);
	void *arg;
};

struct remote_options {
	const char *identity;		/* a private key's file, tried first; NULL: none.  Missing: an error */
	const char *fingerprint;	/* SHA256:…: the only key that is taken; NULL: known_hosts and ask */
	unsigned connect_seconds;	/* for connecting, and for each answer during the login; 0: 15 */
	unsigned silent_seconds;	/* an established connection that says nothing is lost; 0: 20 */
	struct remote_ask ask;
};

struct remote;

/* Connects, checks the host's key, logs in.  NULL with e filled: ETIMEDOUT, ECONNREFUSED, EHOSTUNREACH,
 * ENOENT (no such name or file), EPROTO (no SSH server), ENOKEY (unknown host key), EKEYREJECTED (not the known
 * or given key), EACCES (login refused), ECANCELED (the user said no). */
struct remote *remote_open(const struct remote_target *target, const struct remote_options *options, struct err *e);
void remote_close(struct remote *r);			/* NULL is fine; does not wait */
const char *remote_user(const struct remote *r);
const char *remote_host(const struct remote *r);	/* as the target named it */
const char *remote_fingerprint(const struct remote *r);	/* of the key that the host showed */
/* The host's and this host's end of the connection; length 0 behind a proxy. */
const struct sock_addr *remote_address(const struct remote *r);
const struct sock_addr *remote_own_address(const struct remote *r);

/* Who runs what from now on.  0 when the login is root or sudo lets it be; the password is asked
 * through ask.secret, up to three times, kept in memory of its own until remote_close.  EPERM when
 * sudo refuses the user, ENOENT when there is none, EACCES for the password, ENOKEY when nobody can be asked. */
int remote_become_root(struct remote *r, struct err *e);
bool remote_is_root(const struct remote *r);		/* after remote_become_root: of what is run */

/* What a script left. */
struct remote_result {
	char *out;			/* what it printed; always ends with a 0 that is not counted */
	size_t out_size;
	char *err;			/* the end of what it said on the standard error, cleaned, at most 4 KiB */
	int status;			/* of exit; 128 + signal when one ended it */
};
void remote_result_free(struct remote_result *result);

/* Runs a script with `input` behind it, and waits for its end: at most `seconds` in all.  More than
 * max_out bytes printed: EFBIG.  A status other than 0 is no failure here.  Fails with ETIMEDOUT or
 * ECONNRESET (lost, silent) and empty results; `what` says in errors what was tried ("reading facts"). */
int remote_run(struct remote *r, const char *what, const char *script, const void *input, size_t input_size,
	       size_t max_out, unsigned seconds, struct remote_result *result, struct err *e);

/* A conversation: a script that goes on, read and written in turn.  Any number at a time, but
 * they share the connection.  `r` must outlive it. */
struct remote_talk;
struct remote_talk *remote_talk(struct remote *r, const char *what, const char *script, unsigned seconds,
				struct err *e);
/* All of it.  Fails with ETIMEDOUT when the host takes nothing for `stall` seconds. */
int remote_talk_write(struct remote_talk *t, const void *data, size_t size, unsigned stall, struct err *e);
/* The next line, without its newline, 0 at its end; valid until the next call.  Longer than max: EFBIG.
 * EPIPE when the script ended (status and the last of its standard error in the text). */
int remote_talk_line(struct remote_talk *t, char **line, size_t max, unsigned seconds, struct err *e);
/* The same, without waiting: 0 and *line NULL when there is none yet. */
int remote_talk_poll(struct remote_talk *t, char **line, size_t max, struct err *e);
/* For poll(2) between these calls: readable when remote_talk_poll may have something. */
int remote_fd(const struct remote *r);
int remote_talk_end_input(struct remote_talk *t, struct err *e);	/* the script reads an end of file */
/* What it has said on the standard error so far: the end of it, cleaned, at most 4 KiB. */
const char *remote_talk_stderr(struct remote_talk *t);
/* After EPIPE: its status, 128 + signal, or -1 when that is not known. */
int remote_talk_status(const struct remote_talk *t);
void remote_talk_free(struct remote_talk *t);		/* NULL is fine; the script's input ends, and who reads what it prints is gone */

/* Must be called at least every few seconds while nothing else of this header is: answers the
 * host and notices that it is gone.  0, or ECONNRESET. */
int remote_alive(struct remote *r, struct err *e);

/* Text as one word for sh: in single quotes. NULL: no memory. */
char *remote_quote(const char *text);

#endif
