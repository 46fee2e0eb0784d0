/* remote_impl.h - what the files of remote share. */
#ifndef RSIO_REMOTE_IMPL_H
#define RSIO_REMOTE_IMPL_H

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>	/* ssh_send_keepalive */
#include <stdint.h>
#include <sys/types.h>
#include "remote.h"

#define REMOTE_STDERR_MAX 4096
#define REMOTE_IDENTITIES 16
#define REMOTE_PATH_MAX 1024

/* What $HOME/.ssh/config and /etc/ssh/ssh_config say that libssh is not left to read:
 * it does not know HOME, and forgets lists. */
struct remote_config {
	char home[REMOTE_PATH_MAX];
	char known_hosts[REMOTE_PATH_MAX];	/* where a new key goes, and is looked for first */
	char alias[REMOTE_NAME_MAX];		/* HostKeyAlias; empty: none */
	char agent[REMOTE_PATH_MAX];		/* its socket; empty: there is none */
	char *identities[REMOTE_IDENTITIES];	/* private keys' files, in the order to try */
	size_t identity_count;
	bool identities_only;			/* of the agent's keys those of the files */
	bool no_agent;
	bool identities_given;			/* by the configuration: the usual ones do not count */
};

enum remote_power { REMOTE_AS_IS, REMOTE_SUDO, REMOTE_SUDO_PASSWORD };

struct remote {
	ssh_session session;
	int fd;					/* the session's socket; -1: not connected */
	bool handed_over;			/* libssh closes it */
	struct remote_target target;		/* as it was asked for */
	struct remote_options options;		/* identity and fingerprint are the caller's until remote_open returns */
	struct remote_config config;
	char name[REMOTE_NAME_MAX];		/* of the host, as the configuration has it */
	char user[REMOTE_NAME_MAX];
	int port;
	int agent_fd;				/* libssh's end of the way to the agent; -1: none yet */
	char *proxy;				/* the command to connect by; NULL: none */
	pid_t proxy_pid;			/* 0: none */
	int proxy_said;				/* its standard error, -1: none */
	struct sock_addr address, own;
	char fingerprint[REMOTE_FINGERPRINT_MAX];
	bool logged_in;
	struct ssh_counter_struct heard;	/* packets that came */
	uint64_t packets;			/* of them when last looked at */
	int64_t looked_at;			/* ms: when the socket was last read */
	int64_t heard_at, asked_at;		/* ms, monotonic; asked_at: when a sign of life was asked for, 0: none is due */
	char *password;				/* secure_alloc's: of the login, where one was typed, then sudo's; NULL: none */
	bool root;
	enum remote_power power;
};

int64_t remote_now(void);			/* ms, monotonic */

/* remote.c: waits for something to happen on the connection, 100 ms at the most, since libssh may
 * have read already what is waited for.  0; -ETIMEDOUT: the deadline has come; -ECONNRESET: nothing comes any more. */
int remote_wait(struct remote *r, int64_t deadline);
/* Repeats a call of libssh for as long as it says `again`. */
#define REMOTE_UNTIL(r, rc, again, deadline, call) \
	do \
		(rc) = (call); \
	while ((rc) == (again) && remote_wait((r), (deadline)) == 0)
/* The connection is no more: says why. */
int remote_lost(struct remote *r, const char *what, struct err *e);
/* "user@host", as messages say it, with ":port" where it is not 22. */
const char *remote_label(const struct remote *r);

/* remote_config.c */
int remote_configure(struct remote *r, struct err *e);
void remote_config_fini(struct remote_config *c);
/* remote_connect.c */
int remote_connect(struct remote *r, struct err *e);
void remote_proxy_end(struct remote *r);
/* The last line that the proxy's command said, or NULL. */
const char *remote_proxy_words(struct remote *r);
/* remote_key.c */
int remote_check_key(struct remote *r, struct err *e);
/* remote_agent.c: gives libssh the agent, by way of a process that is to be ended after the attempt; of its
 * keys those of these files, or with none all.  0: none of the files says what its key is; -1: it does not answer. */
pid_t remote_agent(struct remote *r, char *const *files, size_t count);
void remote_agent_end(pid_t between);
ssh_key remote_public(const char *file);	/* NULL: not to be had without a passphrase */
/* remote_login.c */
int remote_check_identity(const char *file, struct err *e);	/* that was named: it must be there */
int remote_login(struct remote *r, struct err *e);

#endif
