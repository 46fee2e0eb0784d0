/* rsagent.c - rsagent: keys, and later the server on other hosts.  Options and commands. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "opt.h"
#include "rsagent.h"

static const struct opt table[] = {
	{ 0, "server", OPT_STRING, "FILE", offsetof(struct rsagent_options, server),
	  "key: put it into [clients] of this server's file", 0, 0 },
	{ 0, "node", OPT_STRING, "NODE", offsetof(struct rsagent_options, node),
	  "key: for this client there", 0, 0 },
	{ 0, "client", OPT_STRING, "FILE", offsetof(struct rsagent_options, client),
	  "key: make it the nodekey in this client's file", 0, 0 },
	{ 0, "namespace", OPT_STRING, "NAME", offsetof(struct rsagent_options, namespace),
	  "key: of this namespace there", 0, 0 },
	{ 0, "replace", OPT_FLAG, NULL, offsetof(struct rsagent_options, replace),
	  "key: in place of what --server's file has", 0, 0 },
	{ 0, "second", OPT_FLAG, NULL, offsetof(struct rsagent_options, second),
	  "key: beside what --server's file has", 0, 0 },
	{ 0, "drop-first", OPT_FLAG, NULL, offsetof(struct rsagent_options, drop_first),
	  "key: take away the first of the two there", 0, 0 },
	{ 0, "from", OPT_STRING, "FILE", offsetof(struct rsagent_options, from),
	  "key: that one; - is standard input", 0, 0 },
	{ 0, "ask", OPT_FLAG, NULL, offsetof(struct rsagent_options, ask),
	  "key: the one that is typed, unseen", 0, 0 },
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

static const struct opt_program program = {
	.name = "rsagent",
	.synopsis = "key\n"
		    "key [--from FILE | --ask] [--server FILE --node NODE\n"
		    "    [--replace | --second]] [--client FILE --namespace NAME]\n"
		    "key --drop-first --server FILE --node NODE",
	.about = "Makes node keys, and puts them where they belong without showing them.",
	.table = table,
	.operands = "COMMAND",
	.page = "rsagent(8)",
	.complete = "echo key",
};

static const struct {
	const char *name;
	int (*run)(const struct rsagent_options *o, struct err *e);
} commands[] = {
	{ "key", rsagent_key },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int usage(const char *text)
{
	fprintf(stderr, "rsagent: %s\nTry 'rsagent --help'.\n", text);
	return RSAGENT_USAGE;
}

/* No part of it is shown: who forgot the command may have typed a key. */
static int run(int count, char **words, const struct rsagent_options *o, struct err *e)
{
	if (!count)
		return usage("which command? There is: key");
	if (count > 1)
		return usage("too many words; a key is never typed on a command line: see --from and --ask");
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, words[0]) == 0)
			return commands[i].run(o, e);
	return usage("no such command; there is: key");
}

int main(int argc, char **argv)
{
	struct rsagent_options o = { 0 };
	struct err e = { 0 };
	int first, status;

	opt_parse(&program, &o, argc, argv, &first);
	status = run(argc - first, argv + first, &o, &e);
	if (status == RSAGENT_USAGE && *e.text)
		return usage(e.text);
	if (status && *e.text)
		err_print("rsagent", &e);
	return status;
}
