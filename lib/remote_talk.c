/*
 * remote_talk.c - scripts on the host: started, written to, read from, ended.
 *
 * What the login shell gets is one line that sh, csh and fish understand the same: no exclamation mark,
 * backslash only where all leave it, no newline, no single quote inside of the quotes.  It starts an
 * sh that prints a random line, gathers a script from its input up to that line, and runs it.  `read` takes a
 * byte at a time from what is not a file, so that whatever follows is left for the script.  A script that is cut off,
 * since the connection was, is not run: the line is missing.
 *
 * Of sudo's two stages the first prints its line before sudo is sent its password: startup files
 * that read from the standard input get nothing that matters.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "remote_impl.h"
#include "secure.h"

#define MARK_SIZE 33		/* 32 hex digits and 0 */
#define CHUNK 65536
#define AHEAD_MAX (1u << 20)	/* bytes of answers that are kept while we write */
#define NOISE_MAX 65536		/* bytes that a login shell's files may print */
#define END_SECONDS 5		/* for the status after the end of the output */

struct remote_talk {
	struct remote *r;
	ssh_channel channel;
	struct ssh_channel_callbacks_struct callbacks;
	char what[80];			/* for errors */
	char *in;			/* what came and was not taken yet; 0 behind it */
	size_t used, room, taken;	/* bytes; of them the first `taken` are the line that was given out last */
	bool ended;			/* no more output will come */
	int status;			/* of exit, 128 + signal; -1: not known (yet) */
	char said[REMOTE_STDERR_MAX];	/* the end of its standard error, 0-terminated */
	size_t said_used;
};

static int64_t in_seconds(unsigned seconds)
{
	return remote_now() + seconds * 1000LL;
}

/* The channel's own words. */

static void on_exit_status(ssh_session session, ssh_channel channel, int status, void *userdata)
{
	struct remote_talk *t = userdata;

	(void)session;
	(void)channel;
	t->status = status;
}

static void on_exit_signal(ssh_session session, ssh_channel channel, const char *signal, int core, const char *message,
			   const char *language, void *userdata)
{
	static const struct { const char *name; int number; } known[] = {
		{ "HUP", 1 }, { "INT", 2 }, { "QUIT", 3 }, { "ILL", 4 }, { "ABRT", 6 }, { "FPE", 8 }, { "KILL", 9 },
		{ "SEGV", 11 }, { "PIPE", 13 }, { "ALRM", 14 }, { "TERM", 15 },
	};
	struct remote_talk *t = userdata;

	(void)session;
	(void)channel;
	(void)core;
	(void)message;
	(void)language;
	t->status = 128;
	for (size_t i = 0; signal && i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(signal, known[i].name))
			t->status = 128 + known[i].number;
}

/* Only the end of it is kept. */
static void take_said(struct remote_talk *t, const char *data, size_t size)
{
	const size_t most = sizeof(t->said) - 1;

	if (size >= most) {
		data += size - most;
		size = most;
		t->said_used = 0;
	} else if (t->said_used + size > most) {
		size_t drop = t->said_used + size - most;

		memmove(t->said, t->said + drop, t->said_used - drop);
		t->said_used -= drop;
	}
	memcpy(t->said + t->said_used, data, size);
	t->said_used += size;
	t->said[t->said_used] = 0;
}

static int make_room(struct remote_talk *t, size_t more)
{
	size_t room = t->room ? t->room : 4096;
	char *in;

	while (room < t->used + more + 1)
		room *= 2;
	if (room == t->room)
		return 0;
	in = realloc(t->in, room);
	if (!in)
		return -ENOMEM;
	t->in = in;
	t->room = room;
	return 0;
}

/* Takes what has come, at most up to `max` bytes that wait.  Bytes of both streams, or -errno. */
static int pump(struct remote_talk *t, size_t max)
{
	char data[8192];
	int n, total = 0;

	t->r->looked_at = remote_now();
	while ((n = ssh_channel_read_nonblocking(t->channel, data, sizeof(data), 1)) > 0) {
		take_said(t, data, (size_t)n);
		total += n;
	}
	while (t->used < max) {
		if (make_room(t, CHUNK))
			return -ENOMEM;
		n = ssh_channel_read_nonblocking(t->channel, t->in + t->used, CHUNK, 0);
		if (n <= 0)
			break;
		t->used += (size_t)n;
		total += n;
	}
	if (t->in)
		t->in[t->used] = 0;
	if (n < 0 && n != SSH_EOF && n != SSH_AGAIN && !ssh_channel_is_eof(t->channel) && !ssh_channel_is_closed(t->channel))
		return -ECONNRESET;
	if (!total && (ssh_channel_is_eof(t->channel) || ssh_channel_is_closed(t->channel)))
		t->ended = true;
	return total;
}

/* The last line of what it said on its standard error; empty: nothing. */
static const char *last_words(struct remote_talk *t)
{
	size_t end = t->said_used;
	char *p;

	while (end && strchr("\r\n \t", t->said[end - 1]))
		end--;
	t->said[end] = 0;
	t->said_used = end;
	p = strrchr(t->said, '\n');
	return p ? p + 1 : t->said;
}

static int timed_out(struct remote_talk *t, unsigned seconds, const char *did, struct err *e)
{
	err_set(e, ETIMEDOUT, "%s: %s %s within %u s", t->what, t->r->target.host, did, seconds);
	err_next(e, "is its network lost, the host overloaded, or a disk of it stuck? its own log: journalctl -e");
	return -ETIMEDOUT;
}

static int too_much(struct remote_talk *t, const char *of, size_t max, struct err *e)
{
	err_set(e, EFBIG, "%s: %s sends %smore than %zu bytes", t->what, t->r->target.host, of, max);
	err_next(e, "are the programs there those of its distribution? see what it prints: ssh %s@%s", t->r->user,
		 t->r->target.host);
	return -EFBIG;
}

/* The output has ended: waits for the status, which may come after it. */
static int has_ended(struct remote_talk *t, struct err *e)
{
	int64_t deadline = in_seconds(END_SECONDS);
	const char *words;

	/* Of a channel whose output has ended only this call looks what else came. */
	while (ssh_channel_get_exit_status(t->channel), t->status < 0 && !ssh_channel_is_closed(t->channel))
		if (remote_wait(t->r, deadline))
			break;
	if (t->status < 0 && !ssh_is_connected(t->r->session))
		return remote_lost(t->r, t->what, e);
	words = last_words(t);
	if (t->status < 0)
		err_set(e, EPIPE, "%s: it ended on %s%s%s", t->what, t->r->target.host, *words ? ": " : "", words);
	else if (t->status >= 128)
		err_set(e, EPIPE, "%s: it was ended on %s by signal %d%s%s", t->what, t->r->target.host, t->status - 128,
			*words ? ": " : "", words);
	else
		err_set(e, EPIPE, "%s: it ended on %s with status %d%s%s", t->what, t->r->target.host, t->status,
			*words ? ": " : "", words);
	err_next(e, "what %s itself says of it: journalctl -e there; then try again", t->r->target.host);
	return -EPIPE;
}

/* Lines. */

static void drop_taken(struct remote_talk *t)
{
	if (!t->taken)
		return;
	memmove(t->in, t->in + t->taken, t->used - t->taken);
	t->used -= t->taken;
	t->in[t->used] = 0;
	t->taken = 0;
}

/* Gives out the next line if it is there: 1; 0: not yet. */
static int next_line(struct remote_talk *t, char **line)
{
	char *end;

	drop_taken(t);
	end = t->used ? memchr(t->in, '\n', t->used) : NULL;
	if (!end)
		return 0;
	*end = 0;
	t->taken = (size_t)(end - t->in) + 1;
	*line = t->in;
	return 1;
}

int remote_talk_poll(struct remote_talk *t, char **line, size_t max, struct err *e)
{
	int n;

	*line = NULL;
	if (next_line(t, line))
		return 0;
	n = pump(t, max + 1);
	if (n == -ENOMEM)
		return err_sys(e, ENOMEM, "%s", t->what);
	if (n < 0)
		return remote_lost(t->r, t->what, e);
	if (next_line(t, line))
		return 0;
	if (t->used > max)
		return too_much(t, "a line of ", max, e);
	return t->ended ? has_ended(t, e) : 0;
}

int remote_talk_line(struct remote_talk *t, char **line, size_t max, unsigned seconds, struct err *e)
{
	int64_t deadline = in_seconds(seconds);
	int rc;

	for (;;) {
		rc = remote_talk_poll(t, line, max, e);
		if (rc || *line)
			return rc;
		rc = remote_wait(t->r, deadline);
		if (rc == -ETIMEDOUT)
			return timed_out(t, seconds, "says nothing", e);
		if (rc)
			return remote_lost(t->r, t->what, e);
	}
}

/* Writing. */

/* Is what was written out of our hands?  Of a lot of it the most must have come to the host; to wait for
 * the last of it would be to wait for an acknowledgement that the host may keep back for a while. */
static bool is_out(struct remote *r, uint64_t *left)
{
	uint64_t ago;

	*left = UINT64_MAX;
	if (ssh_get_poll_flags(r->session) & SSH_WRITE_PENDING)
		return false;
	*left = 0;
	return !r->address.length || sock_unacknowledged(r->fd, left, &ago) || *left <= CHUNK;
}

int remote_talk_write(struct remote_talk *t, const void *data, size_t size, unsigned stall, struct err *e)
{
	const char *p = data;
	int64_t deadline = in_seconds(stall);
	uint64_t left = 0, before = UINT64_MAX;
	int n, rc;

	for (;;) {
		/* libssh keeps what the socket does not take: no more before that is gone. */
		n = 0;
		if (size && !(ssh_get_poll_flags(t->r->session) & SSH_WRITE_PENDING))
			n = ssh_channel_write(t->channel, p, size < CHUNK ? (uint32_t)size : CHUNK);
		if (n < 0 || (size && ssh_channel_is_closed(t->channel)))
			return ssh_is_connected(t->r->session) ? has_ended(t, e) : remote_lost(t->r, t->what, e);
		p += n;
		size -= (size_t)n;
		if (is_out(t->r, &left) && !size)
			return 0;
		if (n || left < before)
			deadline = in_seconds(stall);
		before = left;
		/* A host that answers while it is written to must not wait for us; one that chatters may. */
		if (pump(t, AHEAD_MAX) < 0)
			return remote_lost(t->r, t->what, e);
		rc = n && size ? 0 : remote_wait(t->r, deadline);
		if (rc == -ETIMEDOUT)
			return timed_out(t, stall, "takes nothing more", e);
		if (rc)
			return remote_lost(t->r, t->what, e);
	}
}

int remote_talk_end_input(struct remote_talk *t, struct err *e)
{
	return ssh_channel_send_eof(t->channel) == SSH_ERROR ? remote_lost(t->r, t->what, e) : 0;
}

const char *remote_talk_stderr(struct remote_talk *t)
{
	last_words(t);	/* what is at its end goes */
	for (char *p = t->said, *end; p; p = end ? end + 1 : NULL) {
		end = strchr(p, '\n');
		if (end)
			*end = 0;
		err_clean(p);
		if (end)
			*end = '\n';
	}
	return t->said;
}

int remote_talk_status(const struct remote_talk *t)
{
	return t->status;
}

void remote_talk_free(struct remote_talk *t)
{
	if (!t)
		return;
	if (t->channel) {
		ssh_remove_channel_callbacks(t->channel, &t->callbacks);
		ssh_channel_free(t->channel);	/* closes it */
	}
	if (t->in)
		secure_wipe(t->in, t->room);
	free(t->in);
	free(t);
}

/* Beginning. */

static int make_mark(char out[MARK_SIZE])
{
	unsigned char random[(MARK_SIZE - 1) / 2];

	if (secure_random(random, sizeof(random)))
		return -EIO;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(out + 2 * i, 3, "%02x", random[i]);
	return 0;
}

/* The sh that gathers its script; without single quotes. */
#define GATHER "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; LC_ALL=C; export PATH LC_ALL; echo %1$s; " \
	"nl=$(printf \"\\nx\"); nl=${nl%%x}; s=; g=; while IFS= read -r l; do case $l in %1$s) g=1; break;; esac; " \
	"s=$s$l$nl; done; test \"$g\" || exit 125; unset l g nl; eval \"$s\""

/* Reads up to the mark's line.  What a login shell's own files print before it is dropped. */
static int await_mark(struct remote_talk *t, const char *mark, unsigned seconds, struct err *e)
{
	int64_t deadline = in_seconds(seconds);
	size_t noise = 0;
	char first[160] = "", *line;
	int rc;

	for (;;) {
		int64_t left = deadline - remote_now();

		rc = remote_talk_line(t, &line, NOISE_MAX, left > 1000 ? (unsigned)(left / 1000) : 1, e);
		if (rc)
			break;
		/* What is printed without an end stands in front of it. */
		if (strlen(line) >= MARK_SIZE - 1 && !strcmp(line + strlen(line) - (MARK_SIZE - 1), mark))
			return 0;
		if (!first[0])
			snprintf(first, sizeof(first), "%s", line);
		noise += strlen(line) + 1;
		if (noise > NOISE_MAX || left <= 0) {
			rc = -EFBIG;
			break;
		}
	}
	if (!first[0] && t->used && t->ended)
		snprintf(first, sizeof(first), "%.*s", (int)(t->used < 150 ? t->used : 150), t->in);
	if (rc == -ECONNRESET)
		return rc;
	if (!first[0])
		snprintf(first, sizeof(first), "%.150s", last_words(t));
	err_clean(first);
	if (rc == -EPIPE)
		err_set(e, EACCES, "the login shell of %s runs no commands%s%s", remote_label(t->r), *first ? ": it says: " : "",
			first);
	else if (rc == -ETIMEDOUT)
		err_set(e, ETIMEDOUT, "the login shell of %s starts nothing within %u s%s%s", remote_label(t->r), seconds,
			*first ? "; it says: " : "", first);
	else
		err_set(e, EPROTO, "the login shell of %s prints without end: %s", remote_label(t->r), first);
	err_next(e, "this must print hello: ssh %s@%s echo hello; else give the account another shell, or mend its startup files "
		 "(.bashrc)", t->r->user, t->r->target.host);
	return -e->code;
}

static int open_channel(struct remote_talk *t, const char *command, unsigned seconds, struct err *e)
{
	int64_t deadline = in_seconds(seconds);
	struct remote *r = t->r;
	int rc;

	t->channel = ssh_channel_new(r->session);
	if (!t->channel)
		return err_sys(e, ENOMEM, "%s", t->what);
	ssh_callbacks_init(&t->callbacks);
	t->callbacks.userdata = t;
	t->callbacks.channel_exit_status_function = on_exit_status;
	t->callbacks.channel_exit_signal_function = on_exit_signal;
	ssh_add_channel_callbacks(t->channel, &t->callbacks);
	REMOTE_UNTIL(r, rc, SSH_AGAIN, deadline, ssh_channel_open_session(t->channel));
	if (rc == SSH_OK)
		REMOTE_UNTIL(r, rc, SSH_AGAIN, deadline, ssh_channel_request_exec(t->channel, command));
	if (rc == SSH_OK)
		return 0;
	if (!ssh_is_connected(r->session) || (rc == SSH_AGAIN && remote_now() < deadline))
		return remote_lost(r, t->what, e);
	if (rc == SSH_AGAIN)
		return timed_out(t, seconds, "starts nothing", e);
	err_set(e, EACCES, "%s lets %s run nothing: %s", r->target.host, r->user, ssh_get_error(r->session));
	err_next(e, "look at ForceCommand and MaxSessions in its sshd_config, and at the key's line in authorized_keys");
	return -EACCES;
}

/* A script, and the line that ends it. */
static int send_script(struct remote_talk *t, const char *script, const char *mark, unsigned seconds, struct err *e)
{
	size_t length = strlen(script);
	char *text;
	int rc;

	if (asprintf(&text, "%s%s%s\n", script, length && script[length - 1] == '\n' ? "" : "\n", mark) < 0)
		return err_sys(e, ENOMEM, "%s", t->what);
	rc = remote_talk_write(t, text, strlen(text), seconds, e);
	free(text);
	return rc;
}

/* What sudo said when it started nothing. */
static int sudo_refused(struct remote_talk *t, struct err *e)
{
	char words[200];

	snprintf(words, sizeof(words), "%.190s", last_words(t));
	err_set(e, EPERM, "sudo on %s starts nothing for %s%s%s", t->r->target.host, t->r->user, *words ? ": " : "", words);
	err_next(e, "this must print 0 there: sudo id -u; or log in as root@%s", t->r->target.host);
	return -EPERM;
}

/* From the login's own sh on to root's. */
static int become(struct remote_talk *t, const char *outer, const char *inner, unsigned seconds, struct err *e)
{
	const bool word = t->r->power == REMOTE_SUDO_PASSWORD;
	char script[1024], gather[640];
	int rc;

	snprintf(gather, sizeof(gather), GATHER, inner);
	snprintf(script, sizeof(script), "exec sudo -k %s -- sh -c '%s'\n", word ? "-S -p \"\"" : "-n", gather);
	rc = send_script(t, script, outer, seconds, e);
	if (!rc && word)
		rc = remote_talk_write(t, t->r->password, strlen(t->r->password), seconds, e);
	if (!rc && word)
		rc = remote_talk_write(t, "\n", 1, seconds, e);
	if (rc)
		return rc;
	rc = await_mark(t, inner, seconds, e);
	return rc == -EACCES ? sudo_refused(t, e) : rc;
}

struct remote_talk *remote_talk(struct remote *r, const char *what, const char *script, unsigned seconds, struct err *e)
{
	struct remote_talk *t = calloc(1, sizeof(*t));
	struct err unused;
	char outer[MARK_SIZE], inner[MARK_SIZE], command[704], gather[640];
	const bool sudo = r->power != REMOTE_AS_IS;
	int rc;

	e = e ? e : &unused;
	if (!t || make_mark(outer) || make_mark(inner)) {
		free(t);
		err_sys(e, ENOMEM, "%s", what);
		return NULL;
	}
	t->r = r;
	t->status = -1;
	snprintf(t->what, sizeof(t->what), "%s", what);
	snprintf(gather, sizeof(gather), GATHER, outer);
	snprintf(command, sizeof(command), "exec sh -c '%s'", gather);
	rc = open_channel(t, command, seconds, e);
	if (!rc)
		rc = await_mark(t, outer, seconds, e);
	if (!rc && sudo)
		rc = become(t, outer, inner, seconds, e);
	t->said_used = 0;	/* what startup files and sudo said is not the script's */
	if (!rc)
		rc = send_script(t, script, sudo ? inner : outer, seconds, e);
	if (rc) {
		remote_talk_free(t);
		return NULL;
	}
	return t;
}

/* A script from its beginning to its end. */

void remote_result_free(struct remote_result *result)
{
	free(result->out);
	free(result->err);
	memset(result, 0, sizeof(*result));
}

static int read_all(struct remote_talk *t, size_t max, unsigned seconds, int64_t deadline, struct err *e)
{
	int rc;

	while (!t->ended) {
		rc = pump(t, max + 1);
		if (rc < 0)
			return rc == -ENOMEM ? err_sys(e, ENOMEM, "%s", t->what) : remote_lost(t->r, t->what, e);
		if (t->used > max)
			return too_much(t, "", max, e);
		rc = t->ended || rc ? 0 : remote_wait(t->r, deadline);
		if (rc == -ETIMEDOUT)
			return timed_out(t, seconds, "is not done", e);
		if (rc)
			return remote_lost(t->r, t->what, e);
	}
	rc = has_ended(t, e);
	return rc == -EPIPE && t->status >= 0 ? 0 : rc;
}

int remote_run(struct remote *r, const char *what, const char *script, const void *input, size_t input_size,
	       size_t max_out, unsigned seconds, struct remote_result *result, struct err *e)
{
	int64_t deadline = in_seconds(seconds);
	struct remote_talk *t;
	struct err unused;
	int rc;

	e = e ? e : &unused;
	memset(result, 0, sizeof(*result));
	t = remote_talk(r, what, script, seconds, e);
	if (!t)
		return -e->code;
	rc = input_size ? remote_talk_write(t, input, input_size, seconds, e) : 0;
	if (rc == -EPIPE)	/* it did not want to read all: what it says counts */
		rc = 0;
	if (!rc)
		remote_talk_end_input(t, NULL);
	drop_taken(t);	/* the mark's line was given out last */
	if (!rc)
		rc = read_all(t, max_out, seconds, deadline, e);
	if (!rc) {
		result->err = strdup(remote_talk_stderr(t));
		result->out = t->in ? t->in : calloc(1, 1);
		result->out_size = t->used;
		result->status = t->status;
		t->in = NULL;
		if (!result->err || !result->out)
			rc = err_sys(e, ENOMEM, "%s", what);
	}
	remote_talk_free(t);
	if (rc)
		remote_result_free(result);
	return rc;
}
