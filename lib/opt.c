/*
 * opt.c - see opt.h.
 *
 * The options that every program has are a table of their own, so that the
 * parser, --help and the completion treat them as any other.  --long-options
 * and --completion are for scripts; they are described in rsio(7) and not
 * listed in each program's help.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "opt.h"

#define OPTIONS_MAX 64
#define SCREEN 79

static const struct opt common[] = {
	{ 'h', "help", OPT_FLAG, NULL, 0, "show this text", 0, 0 },
	{ 'V', "version", OPT_FLAG, NULL, 0, "show the version", 0, 0 },
	{ 0, "long-options", OPT_FLAG, NULL, 0, NULL, 0, 0 },
	{ 0, "completion", OPT_FLAG, NULL, 0, NULL, 0, 0 },
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

struct parse {
	const struct opt_program *program;
	char *values;
	int argc;
	char **argv;
	int at;			/* the argument that is being read */
};

static void __attribute__((noreturn, format(printf, 2, 3)))
usage_error(const struct opt_program *p, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", p->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry '%s --help'.\n", p->name);
	exit(2);
}

static bool is_common(const struct opt *o)
{
	return o >= common && o < common + sizeof(common) / sizeof(common[0]);
}

static const struct opt *find_short_in(const struct opt *table, char name)
{
	for (; table->name; table++)
		if (table->short_name && table->short_name == name)
			return table;
	return NULL;
}

/* A program's own letter hides the common one. */
static const struct opt *find_short(const struct opt_program *p, char name)
{
	const struct opt *o = find_short_in(p->table, name);

	return o ? o : find_short_in(common, name);
}

/* The i-th option of the program's table and then of the common one. */
static const struct opt *nth(const struct opt_program *p, size_t i)
{
	const struct opt *o = p->table;

	for (; o->name && i; i--)
		o++;
	if (o->name)
		return o;
	for (o = common; o->name && i; i--)
		o++;
	return o->name ? o : NULL;
}

static void __attribute__((noreturn)) unknown_long(const struct opt_program *p, const char *name)
{
	const char *names[OPTIONS_MAX + 1], *nearest;
	const struct opt *o;
	size_t n = 0;

	for (size_t i = 0; n < OPTIONS_MAX && (o = nth(p, i)); i++)
		if (o->help)
			names[n++] = o->name;
	names[n] = NULL;
	nearest = opt_nearest(name, names);
	if (nearest)
		usage_error(p, "unknown option --%s (did you mean --%s?)", name, nearest);
	usage_error(p, "unknown option --%s", name);
}

static const struct opt *find_long(const struct opt_program *p, const char *name, size_t length)
{
	const struct opt *o, *found = NULL;

	for (size_t i = 0; length && (o = nth(p, i)); i++) {
		if (strncmp(o->name, name, length) != 0)
			continue;
		if (!o->name[length])
			return o;
		if (!o->help)
			continue;	/* what help does not show is not guessed */
		if (found)
			usage_error(p, "--%.*s could be --%s or --%s", (int)length, name,
				    found->name, o->name);
		found = o;
	}
	if (!found) {
		char word[80];

		snprintf(word, sizeof(word), "%.*s", (int)length, name);
		unknown_long(p, word);
	}
	return found;
}

static void set_int(const struct opt_program *p, const struct opt *o, int *to, const char *text)
{
	long value;
	char *end;

	errno = 0;
	value = strtol(text, &end, 10);
	if (end == text || *end || errno || value < o->min || value > o->max)
		usage_error(p, "--%s wants a number from %d to %d, not '%s'", o->name,
			    o->min, o->max, text);
	*to = (int)value;
}

static void set_value(struct parse *s, const struct opt *o, const char *text)
{
	void *to = s->values + o->offset;
	unsigned long long size;

	switch (o->type) {
	case OPT_FLAG:
		*(bool *)to = true;
		break;
	case OPT_COUNT:
		if (*(int *)to < INT_MAX)
			*(int *)to += 1;
		break;
	case OPT_STRING:
		*(const char **)to = text;
		break;
	case OPT_INT:
		set_int(s->program, o, to, text);
		break;
	case OPT_DURATION:
		if (opt_parse_duration(text, to))
			usage_error(s->program, "--%s wants a time such as 20ms, 2s or 5min, not '%s'",
				    o->name, text);
		break;
	case OPT_SIZE:
		if (opt_parse_size(text, &size))
			usage_error(s->program, "--%s wants a size such as 4096, 512M or 20G, not '%s'",
				    o->name, text);
		*(uint64_t *)to = size;
		break;
	}
}

static bool wants_argument(const struct opt *o)
{
	return o->type != OPT_FLAG && o->type != OPT_COUNT;
}

/* What the common options print. */

static void __attribute__((noreturn)) finish_output(const struct opt_program *p)
{
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "%s: cannot write to standard output\n", p->name);
		exit(1);
	}
	exit(0);
}

/* Is the common option's letter taken by the program? */
static char shown_short(const struct opt_program *p, const struct opt *o)
{
	return o->short_name && find_short(p, o->short_name) == o ? o->short_name : 0;
}

static int option_head(const struct opt_program *p, const struct opt *o, char *buf, size_t size)
{
	char letter[8] = "   ";

	if (shown_short(p, o))
		snprintf(letter, sizeof(letter), "-%c,", o->short_name);
	return snprintf(buf, size, "  %s --%s%s%s", letter, o->name, o->arg ? " " : "",
			o->arg ? o->arg : "");
}

/* A line of the synopsis that begins with a blank goes on with the one before it. */
static void print_synopsis(const struct opt_program *p)
{
	const char *line = p->synopsis, *end;

	for (bool first = true; line; first = false) {
		end = strchrnul(line, '\n');
		printf("%s %*s %.*s\n", first ? "Usage:" : "      ", (int)strlen(p->name),
		       *line == ' ' ? "" : p->name, (int)(end - line), line);
		line = *end ? end + 1 : NULL;
	}
}

/* At that column, in lines that fit a screen. */
static void print_wrapped(const char *text, int column)
{
	int at = column;

	while (*text) {
		int n = (int)strcspn(text, " ");

		if (at > column && at + 1 + n > SCREEN) {
			printf("\n%*s", column, "");
			at = column;
		}
		at += printf("%s%.*s", at > column ? " " : "", n, text);
		text += n + strspn(text + n, " ");
	}
	putchar('\n');
}

static void print_help(const struct opt_program *p)
{
	const struct opt *o;
	char head[128];
	int width = 0;

	print_synopsis(p);
	printf("\n%s\n\nOptions:\n", p->about);
	for (size_t i = 0; (o = nth(p, i)); i++) {
		int n = o->help ? option_head(p, o, head, sizeof(head)) : 0;

		if (n > width && n <= 34)
			width = n;
	}
	for (size_t i = 0; (o = nth(p, i)); i++) {
		if (!o->help)
			continue;
		if (option_head(p, o, head, sizeof(head)) > width)
			printf("%s\n%*s  ", head, width, "");
		else
			printf("%-*s  ", width, head);
		print_wrapped(o->help, width + 2);
	}
	if (p->page)
		printf("\nSee %s.\n", p->page);
}

static void print_long_options(const struct opt_program *p)
{
	const struct opt *o;

	for (size_t i = 0; (o = nth(p, i)); i++)
		if (o->help)
			printf("--%s\n", o->name);
}

/* What the argument is, by the end of its name in the help. */
static const char *argument_kind(const struct opt *o)
{
	size_t n = o->arg ? strlen(o->arg) : 0;

	if (n && strchr(o->arg, '|'))
		return "W";
	if (n >= 4 && !strcmp(o->arg + n - 4, "FILE"))
		return "f";
	if (n >= 3 && !strcmp(o->arg + n - 3, "DIR"))
		return "d";
	return "";
}

/* A case pattern with all spellings of the options with that kind of argument;
 * nothing where there are none. */
static void print_completion_case(const struct opt_program *p, const char *kind)
{
	bool any = false;

	for (const struct opt *o = p->table; o->name; o++) {
		if (!wants_argument(o) || strcmp(argument_kind(o), kind) != 0)
			continue;
		printf("%s--%s", any ? "|" : "\t", o->name);
		if (o->short_name)
			printf("|-%c", o->short_name);
		any = true;
	}
	if (any && *kind)
		printf(")\n\t\tmapfile -t COMPREPLY < <(compgen -%s -- \"$cur\")\n\t\treturn ;;\n", kind);
	else if (any && p->complete_option)
		printf(")\n\t\tmapfile -t COMPREPLY < <(compgen -W \"$({ %s; } 2>/dev/null)\" -- \"$cur\")\n\t\treturn ;;\n",
		       p->complete_option);
	else if (any)
		printf(")\n\t\treturn ;;\n");
}

/* The words of an argument that is one of several, with blanks for the bars. */
static void print_completion_words(const struct opt_program *p)
{
	for (const struct opt *o = p->table; o->name; o++) {
		if (!wants_argument(o) || strcmp(argument_kind(o), "W") != 0)
			continue;
		printf("\t--%s", o->name);
		if (o->short_name)
			printf("|-%c", o->short_name);
		printf(")\n\t\tmapfile -t COMPREPLY < <(compgen -W '");
		for (const char *c = o->arg; *c; c++)
			putchar(*c == '|' ? ' ' : *c);
		printf("' -- \"$cur\")\n\t\treturn ;;\n");
	}
}

static void print_completion(const struct opt_program *p)
{
	const struct opt *o;
	bool cases = false;

	for (o = p->table; o->name; o++)
		cases = cases || wants_argument(o);
	printf("# bash completion for %s, made by %s --completion\n", p->name, p->name);
	printf("_%s()\n{\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	       "\tCOMPREPLY=()\n", p->name);
	if (cases) {
		printf("\tcase $prev in\n");
		print_completion_case(p, "f");
		print_completion_case(p, "d");
		print_completion_words(p);
		print_completion_case(p, "");
		printf("\tesac\n");
	}
	printf("\tif [[ $cur == -* ]]; then\n\t\tmapfile -t COMPREPLY < <(compgen -W '");
	for (size_t i = 0; (o = nth(p, i)); i++) {
		if (!o->help)
			continue;
		printf("%s--%s", i ? " " : "", o->name);
		if (shown_short(p, o))
			printf(" -%c", o->short_name);
	}
	printf("' -- \"$cur\")\n");
	if (p->complete)
		printf("\telse\n\t\tmapfile -t COMPREPLY < <(compgen -W \"$({ %s; } 2>/dev/null)\" -- \"$cur\")\n",
		       p->complete);
	printf("\tfi\n}\ncomplete%s -F _%s %s\n", p->operands && !p->complete ? " -o default" : "",
	       p->name, p->name);
}

static void do_common(const struct opt_program *p, const struct opt *o)
{
	if (!strcmp(o->name, "help"))
		print_help(p);
	else if (!strcmp(o->name, "version"))
		printf("%s (rsio) %s\n", p->name, RSIO_VERSION);
	else if (!strcmp(o->name, "long-options"))
		print_long_options(p);
	else
		print_completion(p);
	finish_output(p);
}

/* Reading the arguments. */

static void take_option(struct parse *s, const struct opt *o, const char *text)
{
	if (is_common(o))
		do_common(s->program, o);
	if (wants_argument(o) && !text) {
		if (s->at + 1 >= s->argc)
			usage_error(s->program, "--%s needs an argument: %s", o->name, o->arg);
		text = s->argv[++s->at];
	}
	set_value(s, o, text);
}

static void take_long(struct parse *s, const char *arg)
{
	size_t length = strcspn(arg, "=");
	const struct opt *o = find_long(s->program, arg, length);
	const char *text = arg[length] ? arg + length + 1 : NULL;

	if (text && !wants_argument(o))
		usage_error(s->program, "--%s takes no argument", o->name);
	take_option(s, o, text);
}

/* -q, -qvv, -n10, -n 10 */
static void take_short(struct parse *s, const char *arg)
{
	for (; *arg; arg++) {
		const struct opt *o = find_short(s->program, *arg);

		if (!o)
			usage_error(s->program, "unknown option -%c", *arg);
		if (wants_argument(o)) {
			take_option(s, o, arg[1] ? arg + 1 : NULL);
			return;
		}
		take_option(s, o, NULL);
	}
}

void opt_parse(const struct opt_program *p, void *values, int argc, char **argv, int *first)
{
	struct parse s = { p, values, argc, argv, 1 };
	char **operands = calloc((size_t)argc + 1, sizeof(*operands));
	int count = 0;

	if (!operands)
		abort();
	for (; s.at < argc; s.at++) {
		char *arg = argv[s.at];

		if (arg[0] != '-' || !arg[1]) {
			operands[count++] = arg;
		} else if (!strcmp(arg, "--")) {
			for (s.at++; s.at < argc; s.at++)
				operands[count++] = argv[s.at];
		} else if (arg[1] == '-') {
			take_long(&s, arg + 2);
		} else {
			take_short(&s, arg + 1);
		}
	}
	if (count && !p->operands)
		usage_error(p, "unexpected argument '%s'", operands[0]);
	/* What the options pointed to stays where it is; only the pointers move. */
	*first = argc - count;
	memcpy(argv + *first, operands, (size_t)count * sizeof(*operands));
	free(operands);
}
