/*
 * remote_connect.c - to the host's door: by TCP, or through the command that the configuration has.
 *
 * Not left to libssh, which waits for a proxy's end without limit and says "Connection refused",
 * "timeout" and "no such host" with one code.  ProxyJump is libssh's: it makes "ssh -W" of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "remote_impl.h"

static int name_unknown(struct remote *r, int code, struct err *e)
{
	if (code == EAI_AGAIN) {
		err_set(e, EAGAIN, "cannot find %s: no name server answers", r->name);
		err_next(e, "give its address, or mend /etc/resolv.conf");
		return -EAGAIN;
	}
	err_set(e, ENOENT, "no host is called %s: %s", r->name, gai_strerror(code));
	err_next(e, "give its address, or write it to /etc/hosts, or as \"Host %s\" with HostName to %.100s/.ssh/config",
		 r->name, r->config.home);
	return -ENOENT;
}

static int refused(struct remote *r, int code, struct err *e)
{
	switch (code) {
	case ECONNREFUSED:
		err_set(e, code, "%s refuses connections at port %d", r->name, r->port);
		err_next(e, "on %s: is sshd running (systemctl status ssh), and at that port? another one: %s:PORT", r->name,
			 r->target.host);
		break;
	case ETIMEDOUT:
		err_set(e, code, "%s does not answer at port %d within %u s", r->name, r->port, r->options.connect_seconds);
		err_next(e, "is it switched on? does a firewall drop port %d? try: ping %s", r->port, r->name);
		break;
	case EHOSTUNREACH:
	case ENETUNREACH:
		err_set(e, EHOSTUNREACH, "%s cannot be reached: %s", r->name, strerror(code));
		err_next(e, "the route or its last step is missing: ip route get %s", r->name);
		return -EHOSTUNREACH;
	default:
		return err_sys(e, code, "cannot connect to %s, port %d", r->name, r->port);
	}
	return -code;
}

/* A descriptor or -errno. */
static int connect_one(const struct addrinfo *a, int64_t deadline)
{
	struct pollfd p = { .fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .events = POLLOUT };
	int64_t left;
	int code = 0;
	socklen_t size = sizeof(code);

	if (p.fd < 0)
		return -errno;
	if (connect(p.fd, a->ai_addr, a->ai_addrlen) && errno != EINPROGRESS) {
		code = errno;
	} else {
		do
			left = deadline - remote_now();
		while (left > 0 && poll(&p, 1, (int)left) < 0 && errno == EINTR);
		if (!p.revents)
			code = ETIMEDOUT;
		else
			getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &code, &size);
	}
	if (!code)
		return p.fd;
	close(p.fd);
	return -code;
}

/* A link that is lost is noticed by the kernel too, whatever we wait for. */
static void tune(struct remote *r, int fd)
{
	int on = 1, idle = (int)(r->options.silent_seconds + 2) / 3;
	unsigned lost = r->options.silent_seconds * 1000;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &lost, sizeof(lost));
}

static void note_ends(struct remote *r)
{
	r->address.length = r->own.length = sizeof(struct sockaddr_storage);
	if (getpeername(r->fd, (struct sockaddr *)&r->address.ss, &r->address.length) ||
	    getsockname(r->fd, (struct sockaddr *)&r->own.ss, &r->own.length))
		r->address.length = r->own.length = 0;
}

/* Each address in turn, and each gets a fair part of the time. */
static int connect_tcp(struct remote *r, struct err *e)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	int64_t end = remote_now() + r->options.connect_seconds * 1000LL;
	struct addrinfo *all, *a;
	char port[8];
	int rc, left = 0, failed = EHOSTUNREACH;

	snprintf(port, sizeof(port), "%d", r->port);
	rc = getaddrinfo(r->name, port, &hints, &all);
	if (rc)
		return name_unknown(r, rc, e);
	for (a = all; a; a = a->ai_next)
		left++;
	for (a = all; a && r->fd < 0; a = a->ai_next, left--) {
		rc = connect_one(a, remote_now() + (end - remote_now()) / left);
		if (rc >= 0)
			r->fd = rc;
		else if (failed == EHOSTUNREACH || rc == -ECONNREFUSED)
			failed = -rc;		/* the most telling one */
	}
	freeaddrinfo(all);
	if (r->fd < 0)
		return refused(r, failed, e);
	tune(r, r->fd);
	note_ends(r);
	return 0;
}

/* %h, %p, %r and %% of the command. */
static char *expand_proxy(const struct remote *r)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	fputs("exec ", f);
	for (const char *p = r->proxy; *p; p++) {
		if (*p != '%' || !p[1]) {
			fputc(*p, f);
			continue;
		}
		switch (*++p) {
		case 'h': fputs(r->name, f); break;
		case 'n': fputs(r->target.host, f); break;
		case 'p': fprintf(f, "%d", r->port); break;
		case 'r': fputs(r->user, f); break;
		default: fputc(*p, f);
		}
	}
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

/* ssh itself looks for its files in the password file's home directory; when HOME is another
 * one, what libssh made of ProxyJump is told where they are. */
static char *jump_from_home(const struct remote *r, char *command)
{
	const struct passwd *p = getpwuid(getuid());
	char *text = NULL, *config, *known;
	char path[REMOTE_PATH_MAX + 16];

	if (strncmp(command, "exec ssh ", 9) || !strstr(command, " -W '[") || (p && !strcmp(p->pw_dir, r->config.home)))
		return command;
	snprintf(path, sizeof(path), "%s/.ssh/config", r->config.home);
	config = remote_quote(access(path, R_OK) ? "none" : path);
	known = remote_quote(r->config.known_hosts);
	if (config && known && asprintf(&text, "exec ssh -F %s -o UserKnownHostsFile=%s %s", config, known, command + 9) >= 0 &&
	    r->config.identity_count && !access(r->config.identities[0], R_OK)) {
		char *identity = remote_quote(r->config.identities[0]), *more = NULL;

		if (identity && asprintf(&more, "exec ssh -i %s %s", identity, text + 9) >= 0) {
			free(text);
			text = more;
		}
		free(identity);
	}
	free(config);
	free(known);
	if (!text)
		return command;
	free(command);
	return text;
}

/* The command without a terminal: it asks nobody, since what it asks could be anybody's. */
static void be_proxy(const char *command, int io, int said)
{
	sigset_t none;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setenv("SSH_ASKPASS_REQUIRE", "never", 1);
	if (dup2(io, 0) == 0 && dup2(io, 1) == 1 && dup2(said, 2) == 2)
		execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(127);
}

static int connect_proxy(struct remote *r, struct err *e)
{
	int io[2], said[2];
	char *command = expand_proxy(r);

	if (!command)
		return err_sys(e, ENOMEM, "cannot connect to %s", r->name);
	command = jump_from_home(r, command);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, io)) {
		free(command);
		return err_sys(e, errno, "cannot connect to %s", r->name);
	}
	/* Nobody reads it while all goes well; full, it must stop nobody. */
	if (pipe2(said, O_CLOEXEC | O_NONBLOCK)) {
		close(io[0]);
		close(io[1]);
		free(command);
		return err_sys(e, errno, "cannot connect to %s", r->name);
	}
	r->proxy_pid = fork();
	if (!r->proxy_pid)
		be_proxy(command, io[1], said[1]);
	free(command);
	close(io[1]);
	close(said[1]);
	r->proxy_said = said[0];
	r->fd = io[0];
	if (r->proxy_pid < 0) {
		r->proxy_pid = 0;
		return err_sys(e, errno, "cannot start the command that leads to %s", r->name);
	}
	return 0;
}

int remote_connect(struct remote *r, struct err *e)
{
	int rc = r->proxy ? connect_proxy(r, e) : connect_tcp(r, e);

	if (rc)
		return rc;
	if (ssh_options_set(r->session, SSH_OPTIONS_FD, &r->fd))
		return err_sys(e, ENOMEM, "cannot connect to %s", r->name);
	return 0;
}

const char *remote_proxy_words(struct remote *r)
{
	static char text[2048];		/* a process has one host */
	char *line;
	ssize_t n;

	if (r->proxy_said < 0)
		return NULL;
	n = read(r->proxy_said, text, sizeof(text) - 1);
	if (n <= 0)
		return NULL;
	text[n] = 0;
	while (n && strchr("\r\n ", text[n - 1]))
		text[--n] = 0;
	line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

/* It gets a second to end in. */
void remote_proxy_end(struct remote *r)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };

	if (r->proxy_pid) {
		kill(-r->proxy_pid, SIGTERM);
		for (int i = 0; i < 50 && waitpid(r->proxy_pid, NULL, WNOHANG) == 0; i++) {
			nanosleep(&pause, NULL);
			if (i == 48)
				kill(-r->proxy_pid, SIGKILL);
		}
		r->proxy_pid = 0;
	}
	if (r->proxy_said >= 0)
		close(r->proxy_said);
	r->proxy_said = -1;
}
