/*
 * ctl.c - see ctl.h: messages, and the asking side.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "ctl_impl.h"

#define DEPTH_MAX 64
#define PIECE (64u << 10)

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double ctl_deadline(double seconds)
{
	return seconds > 0 ? now() + seconds : 0;
}

int ctl_address(const char *path, struct sockaddr_un *sa, int *dir)
{
	const char *slash = strrchr(path, '/');
	char *parent;

	*dir = -1;
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	if (strlen(path) < sizeof(sa->sun_path)) {
		memcpy(sa->sun_path, path, strlen(path));
		return 0;
	}
	if (!slash || strlen(slash) > 64)
		return -ENAMETOOLONG;
	parent = strndup(path, (size_t)(slash - path));
	if (!parent)
		return -ENOMEM;
	*dir = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(parent);
	if (*dir < 0)
		return -errno;
	snprintf(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d%s", *dir, slash);
	return 0;
}

static int wait_ready(int fd, short events, double until)
{
	struct pollfd p = { fd, events, 0 };
	double left;
	int n;

	for (;;) {
		left = until > 0 ? until - now() : 0;
		if (until > 0 && left <= 0)
			return -ETIMEDOUT;
		n = poll(&p, 1, until > 0 ? (left < 1000 ? (int)(left * 1e3) + 1 : 1000000) : -1);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int receive_all(int fd, void *to, size_t size, double until)
{
	char *p = to;

	while (size) {
		ssize_t n = recv(fd, p, size, MSG_DONTWAIT);
		int ret;

		if (n == 0)
			return p == (char *)to ? -ENODATA : -ECONNRESET;
		if (n > 0) {
			p += n;
			size -= (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		ret = wait_ready(fd, POLLIN, until);
		if (ret)
			return ret;
	}
	return 0;
}

int ctl_receive(int fd, size_t limit, double first, double rest, char **text, size_t *size)
{
	size_t length, have = 0;
	double until = first;
	uint32_t header;
	char *buf = NULL, *bigger;
	int ret;

	ret = receive_all(fd, &header, 1, first);
	if (ret)
		return ret;
	if (rest > 0)
		until = ctl_deadline(rest);
	ret = receive_all(fd, (char *)&header + 1, sizeof(header) - 1, until);
	if (ret)
		return ret == -ENODATA ? -ECONNRESET : ret;
	length = ntohl(header);
	if (length > limit)
		return -EMSGSIZE;
	/* Memory follows what came, not what was announced. */
	do {
		size_t piece = length - have < PIECE + have ? length - have : PIECE + have;

		bigger = realloc(buf, have + piece + 1);
		if (!bigger) {
			ret = -ENOMEM;
			break;
		}
		buf = bigger;
		ret = receive_all(fd, buf + have, piece, until);
		have += piece;
	} while (!ret && have < length);
	if (ret) {
		free(buf);
		return ret == -ENODATA ? -ECONNRESET : ret;
	}
	buf[length] = 0;
	*text = buf;
	*size = length;
	return 0;
}

static int send_all(int fd, const void *from, size_t size, double until)
{
	const char *p = from;

	while (size) {
		ssize_t n = send(fd, p, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		int ret;

		if (n >= 0) {
			p += n;
			size -= (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		ret = wait_ready(fd, POLLOUT, until);
		if (ret)
			return ret;
	}
	return 0;
}

int ctl_send(int fd, const json_t *message, double until)
{
	char *text = json_dumps(message, JSON_COMPACT);
	uint32_t header;
	size_t size;
	int ret;

	if (!text)
		return -ENOMEM;
	size = strlen(text);
	header = htonl((uint32_t)size);
	ret = size > CTL_MESSAGE_MAX ? -EMSGSIZE : send_all(fd, &header, sizeof(header), until);
	if (!ret)
		ret = send_all(fd, text, size, until);
	free(text);
	return ret;
}

static bool too_deep(const char *text, size_t size)
{
	bool in_string = false;
	int depth = 0;

	for (size_t i = 0; i < size; i++) {
		if (in_string) {
			if (text[i] == '\\')
				i++;
			else if (text[i] == '"')
				in_string = false;
		} else if (text[i] == '"') {
			in_string = true;
		} else if (text[i] == '{' || text[i] == '[') {
			if (++depth > DEPTH_MAX)
				return true;
		} else if (text[i] == '}' || text[i] == ']') {
			depth--;
		}
	}
	return false;
}

json_t *ctl_parse(const char *text, size_t size, struct err *e)
{
	json_error_t why;
	json_t *message;

	if (too_deep(text, size)) {
		err_set(e, EPROTO, "a message nested more than %d deep", DEPTH_MAX);
		return NULL;
	}
	message = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
	if (!message)
		err_set(e, EPROTO, "a message that is no JSON: %s", why.text);
	else if (!json_is_object(message))
		err_set(e, EPROTO, "a message that is no JSON object");
	else
		return message;
	json_decref(message);
	return NULL;
}

/* The number of an errno name, EREMOTEIO for one that is not known here. */
static int errno_of(const char *name)
{
	for (int i = 1; name && i < 256; i++) {
		const char *known = strerrorname_np(i);

		if (known && strcmp(known, name) == 0)
			return i;
	}
	return EREMOTEIO;
}

void ctl_take_error(const json_t *error, const char *who, struct err *e)
{
	const char *text = json_string_value(json_object_get(error, "text"));
	const char *next = json_string_value(json_object_get(error, "next"));

	err_set(e, errno_of(json_string_value(json_object_get(error, "code"))), "%s",
		text ? text : "an error without a text");
	if (!text)
		err_next(e, "%s may be of another version", who);
	else if (next)
		err_next(e, "%s", next);
}

static void cannot_connect(int code, const char *path, const char *daemon, struct err *e)
{
	if (code == ENOENT || code == ECONNREFUSED || code == ENOTDIR) {
		err_set(e, code == ENOTDIR ? ENOENT : code, "%s does not run here: nobody listens at %s",
			daemon, path);
		err_next(e, "start %s, or name its directory with --run-dir", daemon);
	} else if (code == EACCES || code == EPERM) {
		err_set(e, code, "no permission to ask %s at %s", daemon, path);
		err_next(e, "ask as the user who runs %s, or as root", daemon);
	} else if (code == EAGAIN) {
		err_set(e, ETIMEDOUT, "%s does not take the connection at %s", daemon, path);
	} else {
		err_sys(e, code, "cannot ask %s at %s", daemon, path);
	}
}

static int connect_to(const char *path, const char *daemon, double timeout, struct err *e)
{
	struct timeval limit = { (time_t)timeout,
				 (suseconds_t)((timeout - (double)(time_t)timeout) * 1e6) };
	struct sockaddr_un sa;
	int dir, fd = -1, ret;

	ret = ctl_address(path, &sa, &dir);
	if (ret)
		goto fail;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		ret = -errno;
		goto fail;
	}
	/* For connect, which waits while the queue of a listener is full. */
	if (timeout > 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		ret = -errno;
		goto fail;
	}
	if (dir >= 0)
		close(dir);
	return fd;
fail:
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	cannot_connect(-ret, path, daemon, e);
	return -1;
}

static void no_answer(int ret, const char *path, const char *daemon, double timeout, struct err *e)
{
	if (ret == -ETIMEDOUT)
		err_set(e, ETIMEDOUT, "%s at %s did not answer within %g s", daemon, path, timeout);
	else if (ret == -ENODATA || ret == -ECONNRESET || ret == -EPIPE)
		err_set(e, ECONNRESET, "%s at %s ended before it answered", daemon, path);
	else
		err_sys(e, -ret, "no answer from %s at %s", daemon, path);
	err_next(e, "its log says more");
}

json_t *ctl_follow(const char *path, const char *daemon, json_t *request, double timeout,
		   void (*shown)(void *arg, const json_t *progress), void *arg, struct err *e)
{
	double until = ctl_deadline(timeout);
	json_t *reply = NULL, *progress;
	size_t size;
	char *text;
	int fd, ret;

	fd = connect_to(path, daemon, timeout, e);
	if (fd < 0)
		return NULL;
	/* A server that has no room answers at once and takes no request: what
	 * it said counts more than that it did not listen. */
	ret = ctl_send(fd, request, until);
	if (ret && ret != -EPIPE && ret != -ECONNRESET)
		goto fail;
	for (;;) {
		ret = ctl_receive(fd, CTL_MESSAGE_MAX, until, 0, &text, &size);
		if (ret)
			goto fail;
		reply = ctl_parse(text, size, e);
		free(text);
		progress = json_object_get(reply, "progress");
		if (!progress || json_object_get(reply, "ok"))
			break;
		if (shown) {
			shown(arg, progress);
			until = ctl_deadline(timeout);
		}
		json_decref(reply);
	}
	close(fd);
	if (!reply || json_is_true(json_object_get(reply, "ok")))
		return reply;
	ctl_take_error(json_object_get(reply, "error"), daemon, e);
	json_decref(reply);
	return NULL;
fail:
	close(fd);
	no_answer(ret, path, daemon, timeout, e);
	return NULL;
}

json_t *ctl_call(const char *path, const char *daemon, json_t *request, double timeout, struct err *e)
{
	return ctl_follow(path, daemon, request, timeout, NULL, NULL, e);
}
