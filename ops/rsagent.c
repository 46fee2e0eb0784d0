/* rsagent.c - rsagent: the table of commands, its own help, and the completion. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rsagent.h"

/* In the help's order: a server's life, looking, changing, what is on this host. */
static const struct rsagent_command *const commands[] = {
	&rsagent_deploy, &rsagent_upgrade, &rsagent_undeploy, &rsagent_apply,
	&rsagent_status, &rsagent_ls, &rsagent_log, &rsagent_restart,
	&rsagent_config, &rsagent_client_add, &rsagent_client_rm,
	&rsagent_key, &rsagent_key_rotate, &rsagent_hosts,
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))
#define PREFIX (sizeof("rsagent ") - 1)

const struct rsagent_command *rsagent_command(size_t i)
{
	return i < COMMANDS ? commands[i] : NULL;
}

static const char *command_name(const struct rsagent_command *c)
{
	return c->program.name + PREFIX;
}

struct own_options {
	bool commands;
};

/* For scripts: neither listed nor guessed. */
static const struct opt table[] = {
	{ 0, "commands", OPT_FLAG, NULL, offsetof(struct own_options, commands), NULL, 0, 0 },
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

/* What it does, and its commands with a line each. */
static const char *about(void)
{
	static char text[4096];
	int at = snprintf(text, sizeof(text), "Deploys servers over SSH and looks after them; makes node keys.\n\nCommands:");

	for (size_t i = 0; i < COMMANDS && at < (int)sizeof(text); i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "\n  %-12s  %s", command_name(commands[i]),
			       commands[i]->summary);
	if (at < (int)sizeof(text))
		snprintf(text + at, sizeof(text) - (size_t)at, "\n\n'rsagent COMMAND --help' has the options of each.");
	return text;
}

/* Of the command that begins with these words: how many they are; 0: it does not. */
static int words_of(const struct rsagent_command *c, int count, char **words)
{
	const char *name = command_name(c);
	size_t n = strcspn(name, " ");

	if (count < 1 || strncmp(words[0], name, n) != 0 || words[0][n])
		return 0;
	if (!name[n])
		return 1;
	return count > 1 && strcmp(words[1], name + n + 1) == 0 ? 2 : 0;
}

/* Two words go before one: "key rotate" is not "key". */
static const struct rsagent_command *find(int count, char **words, int *taken)
{
	const struct rsagent_command *found = NULL;

	*taken = 0;
	for (size_t i = 0; i < COMMANDS; i++) {
		int n = words_of(commands[i], count, words);

		if (n <= *taken)
			continue;
		found = commands[i];
		*taken = n;
	}
	return found;
}

static int usage(const char *name, const char *text)
{
	fprintf(stderr, "%s: %s\nTry '%s --help'.\n", name, text, name);
	return RSAGENT_USAGE;
}

static int run(const struct rsagent_command *c, int argc, char **argv)
{
	void *options = calloc(1, c->size);
	struct err e = { 0 };
	int first, status;

	if (!options)
		abort();
	opt_parse(&c->program, options, argc, argv, &first);
	status = c->run(options, argc - first, argv + first, &e);
	free(options);
	if (status == RSAGENT_USAGE && *e.text)
		return usage(c->program.name, e.text);
	if (status && *e.text)
		err_print("rsagent", &e);
	return status;
}

/* The word may be the first of two, or a slip; it is not repeated: who forgot the command may
 * have typed a key. */
static int no_command(const char *word)
{
	const char *names[COMMANDS + 1], *nearest;
	char text[160];

	for (size_t i = 0; i < COMMANDS; i++) {
		names[i] = command_name(commands[i]);
		if (strncmp(word, names[i], strlen(word)) == 0 && names[i][strlen(word)] == ' ') {
			snprintf(text, sizeof(text), "that is half a command: there is '%s'", names[i]);
			return usage("rsagent", text);
		}
	}
	names[COMMANDS] = NULL;
	nearest = opt_nearest(word, names);
	snprintf(text, sizeof(text), "no such command%s%s%s", nearest ? " (did you mean " : "", nearest ? nearest : "",
		 nearest ? "?)" : "");
	return usage("rsagent", text);
}

/* The command's own options, and for operands what its program says. */
static void print_completion(void)
{
	printf("# bash completion for rsagent, made by rsagent --completion\n"
	       "_rsagent()\n{\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=() command=()\n"
	       "\tCOMPREPLY=()\n"
	       "\tmapfile -t words < <(rsagent --commands 2>/dev/null)\n"
	       "\tcase \" ${words[*]} \" in\n"
	       "\t*\" ${COMP_WORDS[1]} ${COMP_WORDS[2]} \"*) ((COMP_CWORD > 2)) && command=(\"${COMP_WORDS[@]:1:2}\") ;;\n"
	       "\tesac\n"
	       "\tif ((COMP_CWORD == 1)); then\n"
	       "\t\tmapfile -t COMPREPLY < <(compgen -W \"${words[*]%%%% *} --help --version\" -- \"$cur\")\n"
	       "\t\treturn\n"
	       "\tfi\n"
	       "\t[ ${#command[@]} = 2 ] || command=(\"${COMP_WORDS[1]}\")\n"
	       "\tif [[ $cur == -* ]]; then\n"
	       "\t\tmapfile -t COMPREPLY < <(compgen -W \"$(rsagent \"${command[@]}\" --long-options 2>/dev/null)\" -- \"$cur\")\n"
	       "\t\treturn\n"
	       "\tfi\n");
	printf("\tcase $prev in\n"
	       "\t--identity|-i|--hosts|--server|--client|--from|--to)\n"
	       "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	       "\t\treturn ;;\n"
	       "\t--*)\n"
	       "\t\trsagent \"${command[@]}\" --help 2>/dev/null | grep -qE -- \"$prev [A-Z]\" && return ;;\n"
	       "\tesac\n"
	       "\tif ((COMP_CWORD == 2)); then\n"
	       "\t\tmapfile -t words < <(printf '%%s\\n' \"${words[@]}\" | sed -n \"s/^${COMP_WORDS[1]} //p\")\n"
	       "\telse\n\t\twords=()\n\tfi\n"
	       "\tmapfile -t COMPREPLY < <(compgen -W \"${words[*]} $(" RSAGENT_COMPLETE_HOSTS " 2>/dev/null)\" -- \"$cur\")\n"
	       "}\ncomplete -F _rsagent rsagent\n");
}

int main(int argc, char **argv)
{
	struct opt_program program = {
		.name = "rsagent",
		.synopsis = "COMMAND [options] [operands]",
		.about = about(),
		.table = table,
		.operands = "COMMAND",
		.page = "rsagent(8)",
	};
	const struct rsagent_command *c;
	struct own_options o = { false };
	int first, taken;

	/* A command comes first; with it there its options are its own. */
	c = find(argc - 1, argv + 1, &taken);
	if (c)
		return run(c, argc - taken, argv + taken);
	if (argc > 1 && argv[1][0] != '-')
		return no_command(argv[1]);
	if (argc == 2 && strcmp(argv[1], "--completion") == 0) {
		print_completion();
		return fflush(stdout) ? 1 : 0;
	}
	opt_parse(&program, &o, argc, argv, &first);
	for (size_t i = 0; o.commands && i < COMMANDS; i++)
		printf("%s\n", command_name(commands[i]));
	if (o.commands)
		return fflush(stdout) ? 1 : 0;
	return usage("rsagent", first < argc ? "the command comes first, its options behind it" : "which command?");
}
