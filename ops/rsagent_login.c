/* rsagent_login.c - see rsagent_login.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "rsagent_login.h"

#define OUTPUT_MAX (24u << 20)

/* As ssh asks it: yes, or the fingerprint itself. */
static bool confirm(void *arg, const struct remote_key *key)
{
	struct rsagent_task *t = arg;
	char text[1024], answer[REMOTE_FINGERPRINT_MAX + 1] = "";
	bool address = *key->address && strcmp(key->address, key->host) != 0;

	snprintf(text, sizeof(text), "The host '%s%s%s%s' is not known yet.\n%s key fingerprint is %s.\n"
		 "Log in, and remember it in %s [yes/no/FINGERPRINT]? ", key->host, address ? " (" : "",
		 address ? key->address : "", address ? ")" : "", key->type, key->fingerprint, key->known_hosts);
	if (rsagent_ask(t, text, false, answer, sizeof(answer), NULL))
		return false;
	return strcmp(answer, "yes") == 0 || strcmp(answer, key->fingerprint) == 0;
}

static int secret(void *arg, const char *prompt, bool echo, char *answer, size_t size)
{
	return rsagent_ask(arg, prompt, !echo, answer, size, NULL) ? -ECANCELED : 0;
}

static void banner(void *arg, const char *line)
{
	rsagent_progress(arg, "| %s", line);
}

struct remote_ask rsagent_asks(struct rsagent_task *t)
{
	struct remote_ask ask = { .banner = banner, .arg = t };
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (tty < 0)
		return ask;
	close(tty);
	ask.confirm = confirm;
	ask.secret = secret;
	return ask;
}

struct remote_target rsagent_target(const struct rsagent_task *t)
{
	struct remote_target target = { .port = t->host->port };

	snprintf(target.user, sizeof(target.user), "%s", t->host->user);
	snprintf(target.host, sizeof(target.host), "%s", t->host->address);
	return target;
}

/* Sooner than the host is given up: so it is said what it was that did not answer. */
static unsigned connect_limit(const struct rsagent_task *t)
{
	double limit = t->remote->timeout;

	if (limit <= 0 || limit > 20)
		return 0;
	return limit < 2 ? 1 : (unsigned)(limit * 3 / 4);
}

struct remote *rsagent_login(struct rsagent_task *t, enum rsagent_who who, struct err *e)
{
	struct remote_target target = rsagent_target(t);
	struct remote_options options = {
		.identity = t->host->identity, .fingerprint = t->host->fingerprint, .connect_seconds = connect_limit(t),
		.ask = rsagent_asks(t),
	};
	struct remote *r;

	rsagent_progress(t, "logging in");
	r = remote_open(&target, &options, e);
	if (!r || who == RSAGENT_USER || !remote_become_root(r, e))
		return r;
	remote_close(r);
	return NULL;
}

/* "rssrv: text" without the name, as it will stand behind another; the line after it is the next step. */
static void take_words(const char *said, int code, struct err *e)
{
	char text[ERR_TEXT_MAX], *line = text, *next;
	static const char name[] = "rssrv: ";

	snprintf(text, sizeof(text), "%s", said);
	for (size_t n = strlen(text); n && text[n - 1] == '\n'; n--)
		text[n - 1] = 0;
	if (strncmp(line, name, sizeof(name) - 1) == 0)
		line += sizeof(name) - 1;
	next = strchr(line, '\n');
	if (next)
		*next++ = 0;
	err_set(e, code, "%s", line);
	if (next && strncmp(next, name, sizeof(name) - 1) == 0)
		next += sizeof(name) - 1;
	if (next)
		err_next(e, "%.*s", (int)strcspn(next, "\n"), next);
}

int rsagent_script_error(const char *said, int status, struct err *e)
{
	int code = status == 127 ? ENOENT : status == RSAGENT_CHANGED ? ESTALE : EREMOTEIO;

	if (said && *said)
		take_words(said, code, e);
	else
		err_set(e, code, "what ran on the host ended with status %d", status);
	return -code;
}

char *rsagent_run(struct remote *r, const char *what, const char *script, const void *input, size_t input_size,
		  unsigned seconds, size_t *size, struct err *e)
{
	struct remote_result result;
	char *out = NULL;

	if (!remote_run(r, what, script, input, input_size, OUTPUT_MAX, seconds, &result, e) &&
	    (!result.status || !rsagent_script_error(result.err, result.status, e))) {
		out = result.out;
		if (size)
			*size = result.out_size;
		result.out = NULL;
	}
	remote_result_free(&result);
	return out;
}
