/*
 * remote_agent.c - the user's agent, with an end to the waiting.
 *
 * libssh waits for an agent as long as that likes, and tries all of its keys.  So a process stands between the
 * two.  When the agent leaves a request without an answer for too long, it goes, and libssh sees the agent's end; and
 * of the agent's keys libssh sees those only that are wanted.  In the agent's words (draft-miller-ssh-agent) a
 * message is its length in four bytes, a byte that says what it is, and the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "remote_impl.h"

#define NAMES_SECONDS 3		/* for the names of its keys */
#define SIGN_SECONDS 60		/* for a signature: somebody may have to touch a token */

#define MESSAGE_MAX 262144	/* as in OpenSSH */
#define NAMES 12		/* an answer: a number, and that many times key and comment */

/* Keys in base64, as files of public keys have them; count 0: all are wanted. */
struct wanted {
	char *keys[REMOTE_IDENTITIES];
	size_t count;
};

static uint32_t number(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_number(unsigned char *p, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(n >> (24 - 8 * i));
}

/* One message into `out`, with its length in front: bytes, 0: no more come in time. */
static size_t read_message(int fd, int seconds, unsigned char *out)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t got = 0, want = 4;
	ssize_t n;

	while (got < want) {
		if (poll(&p, 1, seconds < 0 ? -1 : seconds * 1000) != 1)
			return 0;
		n = recv(fd, out + got, want - got, 0);
		if (n <= 0)
			return 0;
		got += (size_t)n;
		if (got == 4 && want == 4)
			want += number(out);
		if (want > MESSAGE_MAX)
			return 0;
	}
	return got;
}

/* Does text, base64, say these bytes? */
static bool is_base64(const char *text, const unsigned char *p, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < size; i += 3) {
		uint32_t three = (uint32_t)p[i] << 16 | (i + 1 < size ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < size ? p[i + 2] : 0);

		for (size_t k = 0; k < 4; k++, text++)
			if (*text != (k > size - i ? '=' : digits[three >> (18 - 6 * k) & 63]))
				return false;
	}
	return !*text;
}

static bool is_wanted(const struct wanted *w, const unsigned char *key, size_t size)
{
	for (size_t i = 0; i < w->count; i++)
		if (is_base64(w->keys[i], key, size))
			return true;
	return !w->count;
}

/* Leaves in a list of keys those that are wanted; its new size. */
static size_t choose(const struct wanted *w, unsigned char *m, size_t size)
{
	size_t from = 9, to = 9;
	uint32_t left, kept = 0;

	if (size < 9 || m[4] != NAMES || !w->count)
		return size;
	for (left = number(m + 5); left; left--) {
		size_t key, both;

		if (size - from < 4 || size - from - 4 < (key = number(m + from)))
			return 0;
		both = 4 + key;
		if (size - from - both < 4 || size - from - both - 4 < number(m + from + both))
			return 0;
		both += 4 + number(m + from + both);
		if (is_wanted(w, m + from + 4, key)) {
			memmove(m + to, m + from, both);
			to += both;
			kept++;
		}
		from += both;
	}
	put_number(m, (uint32_t)to - 4);
	put_number(m + 5, kept);
	return to;
}

/* Passes on what one says to the other: a request, its answer, and so on. */
static void stand_between(int libssh, int agent, const struct wanted *w)
{
	static unsigned char message[MESSAGE_MAX];
	size_t size;

	for (;;) {
		size = read_message(libssh, -1, message);
		if (!size || send(agent, message, size, MSG_NOSIGNAL) != (ssize_t)size)
			break;
		size = choose(w, message, read_message(agent, SIGN_SECONDS, message));
		if (!size || send(libssh, message, size, MSG_NOSIGNAL) != (ssize_t)size)
			break;
	}
	_exit(0);
}

/* A connection to it that has answered once; or -1. */
static int connect_agent(const char *path)
{
	static const unsigned char request[] = { 0, 0, 0, 1, 11 };	/* its keys' names */
	static unsigned char answer[MESSAGE_MAX];
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd, flags;

	if (strlen(path) >= sizeof(to.sun_path))
		return -1;
	strcpy(to.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	flags = fcntl(fd, F_GETFL);
	if (!connect(fd, (struct sockaddr *)&to, sizeof(to)) &&
	    send(fd, request, sizeof(request), MSG_NOSIGNAL) == (ssize_t)sizeof(request) &&
	    read_message(fd, NAMES_SECONDS, answer) && !fcntl(fd, F_SETFL, flags & ~O_NONBLOCK))
		return fd;
	close(fd);
	return -1;
}

/* The public part of a key's file: beside it, or in it where it is in OpenSSH's format. */
ssh_key remote_public(const char *file)
{
	char path[REMOTE_PATH_MAX + 8];
	ssh_key key = NULL;

	snprintf(path, sizeof(path), "%s.pub", file);
	if (ssh_pki_import_pubkey_file(path, &key) == SSH_OK || ssh_pki_import_pubkey_file(file, &key) == SSH_OK)
		return key;
	return NULL;
}

static void want(struct wanted *w, const char *file)
{
	ssh_key key = remote_public(file);

	if (key && w->count < REMOTE_IDENTITIES && ssh_pki_export_pubkey_base64(key, &w->keys[w->count]) == SSH_OK)
		w->count++;
	ssh_key_free(key);
}

static pid_t start(struct remote *r, const struct wanted *w)
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
		stand_between(pair[1], agent, w);
	}
	close(agent);
	close(pair[1]);
	if (pid < 0 || ssh_set_agent_socket(r->session, pair[0]) != SSH_OK) {
		close(pair[0]);
		remote_agent_end(pid);
		return -1;
	}
	/* libssh closes the one that it has; it forgets the one before. */
	if (r->agent_fd >= 0)
		close(r->agent_fd);
	r->agent_fd = pair[0];
	return pid;
}

pid_t remote_agent(struct remote *r, char *const *files, size_t count)
{
	struct wanted w = { .count = 0 };
	pid_t pid = 0;

	for (size_t i = 0; i < count; i++)
		want(&w, files[i]);
	if (!count || w.count)
		pid = start(r, &w);
	for (size_t i = 0; i < w.count; i++)
		ssh_string_free_char(w.keys[i]);
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
