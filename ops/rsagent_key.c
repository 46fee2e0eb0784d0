/*
 * rsagent_key.c - rsagent key: a key that was made, read or typed, to standard output or
 * into configurations.
 *
 * A key is never an argument, which every user of the host can see, and is shown only
 * where that is what was asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "rsagent.h"
#include "secure.h"

struct options {
	const char *server, *node;	/* --server FILE --node NODE */
	const char *client, *namespace;	/* --client FILE --namespace NAME */
	const char *from;
	bool ask, replace, second, drop_first;
};

static const struct opt table[] = {
	{ 0, "server", OPT_STRING, "FILE", offsetof(struct options, server),
	  "put it into [clients] of this server's file", 0, 0 },
	{ 0, "node", OPT_STRING, "NODE", offsetof(struct options, node),
	  "for this client there", 0, 0 },
	{ 0, "client", OPT_STRING, "FILE", offsetof(struct options, client),
	  "make it the nodekey in this client's file", 0, 0 },
	{ 0, "namespace", OPT_STRING, "NAME", offsetof(struct options, namespace),
	  "of this namespace there", 0, 0 },
	{ 0, "replace", OPT_FLAG, NULL, offsetof(struct options, replace),
	  "in place of what --server's file has", 0, 0 },
	{ 0, "second", OPT_FLAG, NULL, offsetof(struct options, second),
	  "beside what --server's file has", 0, 0 },
	{ 0, "drop-first", OPT_FLAG, NULL, offsetof(struct options, drop_first),
	  "take away the first of the two there", 0, 0 },
	{ 0, "from", OPT_STRING, "FILE", offsetof(struct options, from),
	  "that one; - is standard input", 0, 0 },
	{ 0, "ask", OPT_FLAG, NULL, offsetof(struct options, ask),
	  "the one that is typed, unseen", 0, 0 },
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

int rsagent_key_make(struct rsagent_key_text *k, struct err *e)
{
	uint8_t bits[SECURE_KEY_SIZE];

	if (secure_random(bits, sizeof(bits)))
		return err_set(e, EIO, "no random numbers");
	for (size_t i = 0; i < sizeof(bits); i++)
		sprintf(k->text + 2 * i, "%02x", bits[i]);
	secure_wipe(bits, sizeof(bits));
	return 0;
}

/* A line, or what there is up to the end; its end is cut off. */
static int read_line(int fd, struct rsagent_key_text *k, struct err *e)
{
	size_t n = 0;

	for (;;) {
		ssize_t r = n < sizeof(k->text) - 1 ? read(fd, k->text + n, 1) : -1;

		if (r < 0 && n < sizeof(k->text) - 1 && errno == EINTR)
			continue;
		if (r < 0)
			return n < sizeof(k->text) - 1 ? err_sys(e, errno, "cannot read the key") :
							 err_set(e, EINVAL, "what was read is too long for a key");
		if (r == 0 || k->text[n] == '\n')
			break;
		n++;
	}
	if (n && k->text[n - 1] == '\r')
		n--;
	k->text[n] = 0;
	return 0;
}

int rsagent_key_read(const char *path, struct rsagent_key_text *k, struct err *e)
{
	int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;

	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	r = read_line(fd, k, e);
	if (fd != STDIN_FILENO)
		close(fd);
	return r;
}

/* Without echo, and without signals that would leave the terminal so: ^C is a byte that no
 * key has. */
static int prompt(int tty, const char *text, struct rsagent_key_text *k, struct err *e)
{
	struct termios before, quiet;
	int r;

	if (tcgetattr(tty, &before))
		return err_sys(e, errno, "cannot ask");
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
	quiet.c_lflag |= ICANON;
	if (tcsetattr(tty, TCSAFLUSH, &quiet))
		return err_sys(e, errno, "cannot ask");
	dprintf(tty, "%s: ", text);
	r = read_line(tty, k, e);
	tcsetattr(tty, TCSAFLUSH, &before);
	dprintf(tty, "\n");
	if (!r && strchr(k->text, 3))
		return err_set(e, ECANCELED, "nothing was changed");
	return r;
}

static int ask(struct rsagent_key_text *k, struct err *e)
{
	struct rsagent_key_text again = { "" };
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY), r;

	if (tty < 0)
		return err_set(e, ENOTTY, "there is no terminal to ask at; --from - reads the key from standard input");
	r = prompt(tty, "Node key", k, e);
	if (!r)
		r = prompt(tty, "Once more", &again, e);
	if (!r && strcmp(k->text, again.text) != 0)
		r = err_set(e, EINVAL, "the two are not the same; nothing was changed");
	secure_wipe(&again, sizeof(again));
	close(tty);
	return r;
}

static int get(const struct options *o, struct rsagent_key_text *k, struct err *e)
{
	if (o->from)
		return rsagent_key_read(o->from, k, e);
	return o->ask ? ask(k, e) : rsagent_key_make(k, e);
}

static int put(const struct options *o, const char *key, struct err *e)
{
	struct rsagent_edit server = {
		.file = CONF_FILE_SERVER, .path = o->server, .name = o->node, .key = key,
		.replace = o->replace, .second = o->second,
	};
	struct rsagent_edit client = {
		.file = CONF_FILE_CLIENT, .path = o->client, .name = o->namespace, .key = key, .replace = true,
	};
	int r = o->server ? rsagent_edit_file(&server, e) : 0;

	if (!r && o->server)
		printf("%s: %s %s; SIGHUP lets rssrv read it\n", o->server, o->node,
		       !key ? "has its second key only" : o->second ? "has a second key" : "has that key");
	if (!r && o->client)
		r = rsagent_edit_file(&client, e);
	if (!r && o->client)
		printf("%s: namespace %s has that nodekey; SIGHUP lets rsiod read it\n", o->client, o->namespace);
	return r;
}

/* NULL: they go together. */
static const char *wrong(const struct options *o)
{
	if (!o->server != !o->node)
		return "--server FILE and --node NODE go together";
	if (!o->client != !o->namespace)
		return "--client FILE and --namespace NAME go together";
	if ((o->replace || o->second || o->drop_first) && !o->server)
		return "--replace, --second and --drop-first are for --server FILE";
	if (o->replace + o->second + o->drop_first > 1)
		return "--replace, --second and --drop-first exclude each other";
	if (o->drop_first && (o->client || o->from || o->ask))
		return "--drop-first takes no key";
	if (o->from && o->ask)
		return "--from and --ask exclude each other";
	if ((o->from || o->ask) && !o->server && !o->client)
		return "where shall that key go? --server FILE --node NODE, or --client FILE --namespace NAME";
	if ((o->node && !conf_name_valid(o->node)) || (o->namespace && !conf_name_valid(o->namespace)))
		return "a name has 1..40 of A-Z a-z 0-9 . _ -, no leading . or -";
	return NULL;
}

static int run(void *options, int count, char **words, struct err *e)
{
	const struct options *o = options;
	const char *why = wrong(o);
	struct rsagent_key_text k = { "" };
	int r;

	(void)words;	/* no part of it is shown: it may be a key */
	if (count)
		why = "too many words; a key is never typed on a command line: see --from and --ask";
	if (why) {
		err_set(e, EINVAL, "%s", why);
		return RSAGENT_USAGE;
	}
	r = o->drop_first ? 0 : get(o, &k, e);
	if (!r && !o->server && !o->client)
		r = printf("%s\n", k.text) < 0 || fflush(stdout) ? err_sys(e, errno, "cannot write the key") : 0;
	else if (!r)
		r = put(o, o->drop_first ? NULL : k.text, e);
	secure_wipe(&k, sizeof(k));
	return r ? 1 : 0;
}

const struct rsagent_command rsagent_key = {
	.program = {
		.name = "rsagent key",
		.synopsis = "[--from FILE | --ask] [--server FILE --node NODE\n"
			    "    [--replace | --second]] [--client FILE --namespace NAME]\n"
			    "--drop-first --server FILE --node NODE",
		.about = "Makes a node key, or takes one that is there, and puts it where it belongs\n"
			 "without showing it.",
		.table = table,
		.operands = "",
		.page = "rsagent(8)",
	},
	.summary = "make a node key, put it into configurations",
	.size = sizeof(struct options),
	.run = run,
};
