/*
 * remote.c - a login's life: made, waited on, asked whether it is there, ended.
 *
 * The session is never in libssh's blocking mode.  Its calls say "again", and remote_wait polls the
 * socket until there is something, the deadline has come, or the host has been silent for too long
 * though it was asked for a sign of life.  So each wait has an end, whatever the network does.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "remote_impl.h"
#include "secure.h"

#define STEP_MS 100

int64_t remote_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* On a slow network our question waits behind what was sent before it: while that is acknowledged, piece
 * by piece, nobody is gone.  (A host that acknowledges and takes nothing ends the write that stalls.) */
static bool is_taking(const struct remote *r)
{
	uint64_t bytes, ago;

	return r->address.length && !sock_unacknowledged(r->fd, &bytes, &ago) && bytes &&
	       ago < r->options.silent_seconds * 1000000000ULL / 2;
}

/* Who is silent is asked; who does not answer is gone.  The time that nobody waited in does not
 * count: the question goes out first, and what lies in the socket (readable) is looked at first. */
static int check_life(struct remote *r, bool readable)
{
	int64_t now = remote_now(), silent = r->options.silent_seconds * 1000LL;

	if (r->heard.in_packets != r->packets) {
		r->packets = r->heard.in_packets;
		r->heard_at = now;
		r->asked_at = 0;
		return 0;
	}
	if (!r->logged_in)
		return 0;
	if (!r->asked_at && now - r->heard_at > silent / 3) {
		/* Of two calls one sends: the first may only take in the answer to the last question. */
		ssh_send_keepalive(r->session);
		ssh_send_keepalive(r->session);
		r->asked_at = now;
	} else if (!readable && r->asked_at && now - r->asked_at > silent - silent / 3 && !is_taking(r)) {
		return -ECONNRESET;
	}
	return 0;
}

int remote_wait(struct remote *r, int64_t deadline)
{
	struct pollfd p = { .fd = r->fd, .events = POLLIN };
	int64_t left = deadline - remote_now();

	/* libssh has closed the socket, and may say "again" for ever. */
	if (!ssh_is_connected(r->session))
		return -ECONNRESET;
	if (left <= 0)
		return -ETIMEDOUT;
	if (ssh_get_poll_flags(r->session) & SSH_WRITE_PENDING)
		p.events |= POLLOUT;
	poll(&p, 1, (int)(left < STEP_MS ? left : STEP_MS));
	r->looked_at = remote_now();	/* by the call that waits */
	return check_life(r, p.revents & POLLIN);
}

/* What a conversation reads all the time is left to it: who polls the socket for its next line must not
 * have it taken away. */
int remote_alive(struct remote *r, struct err *e)
{
	ssh_event event = remote_now() - r->looked_at < 1000 ? NULL : ssh_event_new();

	if (event && ssh_event_add_session(event, r->session) == SSH_OK) {
		ssh_event_dopoll(event, 0);
		ssh_event_remove_session(event, r->session);
	}
	if (event) {
		ssh_event_free(event);
		r->looked_at = remote_now();
	}
	if (check_life(r, false) || !ssh_is_connected(r->session))
		return remote_lost(r, "waiting", e);
	return 0;
}

const char *remote_label(const struct remote *r)
{
	static char text[2 * REMOTE_NAME_MAX + 16];	/* a process has one host */

	if (r->port == 22)
		snprintf(text, sizeof(text), "%s@%s", r->user, r->target.host);
	else
		snprintf(text, sizeof(text), "%s@%s, port %d", r->user, r->target.host, r->port);
	return text;
}

int remote_lost(struct remote *r, const char *what, struct err *e)
{
	const char *why = ssh_get_error(r->session);
	int64_t silent = remote_now() - r->heard_at;

	if (r->asked_at && silent > r->options.silent_seconds * 500LL)
		err_set(e, ECONNRESET, "%s: the connection to %s is lost: nothing came for %lld s", what, r->target.host,
			(long long)(silent / 1000));
	else
		err_set(e, ECONNRESET, "%s: the connection to %s is lost%s%s", what, r->target.host, *why ? ": " : "", why);
	err_next(e, "see whether %s is up and its network too, and try again", r->target.host);
	return -ECONNRESET;
}

/* libssh's words for what is no SSH server, and for one that is too old or too new. */
static int no_ssh(struct remote *r, int waited, struct err *e)
{
	const char *why = ssh_get_error(r->session), *proxy = remote_proxy_words(r);

	if (proxy) {
		err_set(e, ECONNREFUSED, "the way to %s that the ssh configuration has does not work: %s", r->target.host, proxy);
		err_next(e, "log in once by ssh %s: the hosts in between must be known, and take a key without asking",
			 r->target.host);
		return -ECONNREFUSED;
	}
	if (waited == -ETIMEDOUT) {
		err_set(e, ETIMEDOUT, "%s takes connections at port %d, but says nothing within %u s", r->name, r->port,
			r->options.connect_seconds);
		err_next(e, "is it an SSH server, and not overloaded? try: ssh -v -p %d %s", r->port, r->name);
		return -ETIMEDOUT;
	}
	if (strcasestr(why, "kex error") || strcasestr(why, "no match")) {
		err_set(e, EPROTO, "%s and this program have no algorithm in common: %s", r->name, why);
		err_next(e, "update its sshd, or look at the algorithms in its sshd_config and your ssh configuration");
		return -EPROTO;
	}
	if (!ssh_get_serverbanner(r->session)) {
		err_set(e, EPROTO, "what answers at port %d of %s is no SSH server, or takes no more connections: %s", r->port,
			r->name, why);
		err_next(e, "another port: %s:PORT; on %s: MaxStartups in sshd_config, /etc/hosts.deny", r->target.host, r->name);
		return -EPROTO;
	}
	err_set(e, EPROTO, "%s ends the connection before the login: %s", r->name, why);
	err_next(e, "its own log says why: journalctl -u ssh; from here: ssh -v -p %d %s", r->port, r->name);
	return -EPROTO;
}

/* Up to where the host has shown its key. */
static int shake_hands(struct remote *r, struct err *e)
{
	int64_t deadline = remote_now() + r->options.connect_seconds * 1000LL;
	int rc, waited = 0;

	r->handed_over = true;
	while ((rc = ssh_connect(r->session)) == SSH_AGAIN) {
		waited = remote_wait(r, deadline);
		if (waited)
			break;
	}
	return rc == SSH_OK ? 0 : no_ssh(r, waited, e);
}

/* Passwords pass through libssh's memory too, and what scripts print may have keys in it.  A
 * limit of 1 is the one that a core file piped to a program obeys as well. */
static void dump_no_core(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CORE, &limit) || limit.rlim_cur <= 1)
		return;
	limit.rlim_cur = 1;
	setrlimit(RLIMIT_CORE, &limit);
}

static struct remote *make(const struct remote_target *target, const struct remote_options *options)
{
	struct remote *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->fd = r->agent_fd = r->proxy_said = -1;
	r->target = *target;
	r->options = *options;
	if (!r->options.connect_seconds)
		r->options.connect_seconds = 15;
	if (!r->options.silent_seconds)
		r->options.silent_seconds = 20;
	r->session = ssh_new();
	if (!r->session) {
		free(r);
		return NULL;
	}
	ssh_set_blocking(r->session, 0);
	ssh_set_counters(r->session, NULL, &r->heard);
	return r;
}

struct remote *remote_open(const struct remote_target *target, const struct remote_options *options, struct err *e)
{
	struct err unused;
	struct remote *r;
	int rc;

	e = e ? e : &unused;
	signal(SIGPIPE, SIG_IGN);
	dump_no_core();
	r = make(target, options);
	if (!r) {
		err_sys(e, ENOMEM, "cannot log in to %s", target->host);
		return NULL;
	}
	rc = remote_check_identity(options->identity, e);
	if (!rc)
		rc = remote_configure(r, e);
	if (!rc)
		rc = remote_connect(r, e);
	if (!rc)
		rc = shake_hands(r, e);
	if (!rc)
		rc = remote_check_key(r, e);
	if (!rc)
		rc = remote_login(r, e);
	if (rc) {
		remote_close(r);
		return NULL;
	}
	r->logged_in = true;
	r->heard_at = remote_now();
	r->options.identity = r->options.fingerprint = NULL;
	return r;
}

/* Channels that are still there go with the session. */
void remote_close(struct remote *r)
{
	if (!r)
		return;
	if (ssh_is_connected(r->session))
		ssh_disconnect(r->session);
	if (r->fd >= 0 && !r->handed_over)
		close(r->fd);
	remote_proxy_end(r);
	ssh_free(r->session);
	remote_config_fini(&r->config);
	free(r->proxy);
	secure_free(r->password);
	free(r);
}

const char *remote_user(const struct remote *r)
{
	return r->user;
}

const char *remote_host(const struct remote *r)
{
	return r->target.host;
}

const char *remote_fingerprint(const struct remote *r)
{
	return r->fingerprint;
}

const struct sock_addr *remote_address(const struct remote *r)
{
	return &r->address;
}

const struct sock_addr *remote_own_address(const struct remote *r)
{
	return &r->own;
}

int remote_fd(const struct remote *r)
{
	return r->fd;
}

bool remote_is_root(const struct remote *r)
{
	return r->root;
}

char *remote_quote(const char *text)
{
	size_t size = 3;
	char *out, *p;

	for (const char *s = text; *s; s++)
		size += *s == '\'' ? 4 : 1;
	p = out = malloc(size);
	if (!out)
		return NULL;
	*p++ = '\'';
	for (; *text; text++) {
		if (*text == '\'')
			p = stpcpy(p, "'\\''");
		else
			*p++ = *text;
	}
	strcpy(p, "'");
	return out;
}
