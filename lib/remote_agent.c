/*
 * remote_agent.c - the user's agent, with an end to the waiting.
 *
 * libssh waits for an agent as long as that likes.  So a process stands between the two: when the
 * agent leaves a request without an answer for too long, it goes, and libssh sees the agent's end.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "remote_impl.h"

#define NAMES_SECONDS 3		/* for the names of its keys */
#define SIGN_SECONDS 60		/* for a signature: somebody may have to touch a token */

/* A connection to it that has answered once; or -1. */
static int connect_agent(const char *path)
{
	static const unsigned char request[] = { 0, 0, 0, 1, 11 };	/* its keys' names */
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct pollfd p = { .events = POLLIN };
	char answer[4096];
	size_t want = 4, got = 0;
	ssize_t n;

	if (strlen(path) >= sizeof(to.sun_path))
		return -1;
	strcpy(to.sun_path, path);
	p.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p.fd < 0)
		return -1;
	if (connect(p.fd, (struct sockaddr *)&to, sizeof(to)) ||
	    send(p.fd, request, sizeof(request), MSG_NOSIGNAL) != (ssize_t)sizeof(request))
		goto failed;
	while (got < want) {
		size_t room = sizeof(answer) - (got < 4 ? got : 4), rest = want - got;

		if (poll(&p, 1, NAMES_SECONDS * 1000) != 1)
			goto failed;
		n = recv(p.fd, answer + (got < 4 ? got : 4), rest < room ? rest : room, 0);
		if (n <= 0)
			goto failed;
		got += (size_t)n;
		if (got == 4 && want == 4)
			want += (size_t)(unsigned char)answer[2] << 8 | (unsigned char)answer[3];
	}
	return p.fd;
failed:
	close(p.fd);
	return -1;
}

/* Passes on what one says to the other.  No more than one request is ever under way. */
static void stand_between(int libssh, int agent)
{
	struct pollfd p[2] = { { .fd = libssh, .events = POLLIN }, { .fd = agent, .events = POLLIN } };
	bool asked = false;
	char data[8192];
	ssize_t n;

	while (poll(p, 2, asked ? SIGN_SECONDS * 1000 : -1) > 0) {
		int from = p[1].revents ? 1 : 0;

		n = recv(p[from].fd, data, sizeof(data), 0);
		if (n <= 0 || send(p[!from].fd, data, (size_t)n, MSG_NOSIGNAL) != n)
			break;
		asked = from == 0;
	}
	_exit(0);
}

pid_t remote_agent(struct remote *r)
{
	int agent = connect_agent(r->config.agent), pair[2];
	pid_t pid;

	if (agent < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		close(agent);
		return -1;
	}
	pid = fork();
	if (!pid) {
		close(pair[0]);
		close(r->fd);
		stand_between(pair[1], agent);
	}
	close(agent);
	close(pair[1]);
	if (pid < 0 || ssh_set_agent_socket(r->session, pair[0]) != SSH_OK) {
		close(pair[0]);
		remote_agent_end(pid);
		return -1;
	}
	return pid;
}

void remote_agent_end(pid_t between)
{
	if (between <= 0)
		return;
	kill(between, SIGKILL);
	while (waitpid(between, NULL, 0) < 0 && errno == EINTR)
		;
}
