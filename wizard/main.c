/*
 * main.c - crsio: options, and the set-up without a screen.
 *
 * A plan is made of the file and the answers, looked at, shown and saved: what the pages of a terminal do with
 * the same plan, with the same checks and the same words.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "answers.h"
#include "effects.h"
#include "opt.h"

struct crsio {
	const char *config, *answers, *record;
	bool dry_run, print, check;
};

static const struct opt options[] = {
	{ 'c', "config", OPT_STRING, "FILE", offsetof(struct crsio, config),
	  "the configuration, instead of /etc/rscltcfg", 0, 0 },
	{ 'a', "answers", OPT_STRING, "FILE", offsetof(struct crsio, answers),
	  "set up what this file says, without a screen; - is standard input", 0, 0 },
	{ 0, "record", OPT_STRING, "FILE", offsetof(struct crsio, record),
	  "write the answers to a new file, without node keys", 0, 0 },
	{ 'n', "dry-run", OPT_FLAG, NULL, offsetof(struct crsio, dry_run),
	  "change nothing outside this program", 0, 0 },
	{ 'p', "print", OPT_FLAG, NULL, offsetof(struct crsio, print),
	  "print the configuration that it would be, without keys; write nothing", 0, 0 },
	{ 0, "check", OPT_FLAG, NULL, offsetof(struct crsio, check),
	  "say what is wrong with it or might be; write nothing", 0, 0 },
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

static const struct opt_program program = {
	.name = "crsio",
	.synopsis = "--answers FILE [-c FILE] [--dry-run] [--record FILE]\n"
		    "--print | --check [-c FILE] [--answers FILE]",
	.about = "Sets up this host as a client: its configuration, step by step.",
	.table = options,
	.page = "crsio(8)",
};

static void usage(const char *text, const char *next)
{
	fprintf(stderr, "crsio: %s\n%s%s%s", text, next ? "crsio: " : "", next ? next : "Try 'crsio --help'.", "\n");
	exit(2);
}

static void check_options(const struct crsio *o)
{
	if (o->print && o->check)
		usage("--print and --check are for one at a time", NULL);
	if (o->record && (o->print || o->check || o->dry_run))
		usage("--record writes a file, which --dry-run, --print and --check do not", NULL);
	if (o->answers || o->print || o->check)
		return;
	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		usage("this version has no screens yet",
		      "--answers FILE says what to set up, --print and --check look at what there is");
	usage("standard input or output is no terminal, which the screens need",
	      "--answers FILE says what to set up, --print and --check look at what there is");
}

static int complain(const struct err *e)
{
	err_print("crsio", e);
	return 1;
}

/* Showing. */

static int print(char *text)
{
	if (!text) {
		fprintf(stderr, "crsio: not enough memory\n");
		return 1;
	}
	fputs(text, stdout);
	free(text);
	return 0;
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* What --check ends with when nothing is wrong. */
static int print_verdict(const struct plan *p, const struct conf_client *c, const struct remarks *r)
{
	size_t portals = 0;

	for (size_t i = 0; i < c->namespace_count; i++)
		portals += c->namespaces[i].portal_count;
	printf("%s: good, %zu warning%s: %zu interface%s, %zu namespace%s, %zu portal%s\n", plan_path(p), r->count,
	       plural(r->count), c->interface_count, plural(c->interface_count), c->namespace_count,
	       plural(c->namespace_count), portals, plural(portals));
	return 0;
}

/* Saving. */

static int show_change(struct plan *p, const struct conf_client *after)
{
	char *text = effects(plan_before(p), after);
	int status = print(plan_diff(p));

	if (status || !text || !*text) {
		free(text);
		return status;
	}
	printf("When rsiod reads it:\n");
	for (char *at = text, *end; *at; at = end + 1) {
		end = strchr(at, '\n');
		printf("  %.*s\n", (int)(end - at), at);
	}
	free(text);
	return 0;
}

static int save(const struct crsio *o, struct plan *p, const struct conf_client *after)
{
	bool is_new = plan_is_new(p);
	struct err e = { 0 };

	if (o->record && answers_record(p, o->record, &e))
		return complain(&e);
	if (!plan_changed(p)) {
		printf("%s: nothing to change\n", plan_path(p));
		return 0;
	}
	if (show_change(p, after))
		return 1;
	if (o->dry_run) {
		printf("%s: left as it is (--dry-run)\n", plan_path(p));
		return 0;
	}
	fflush(stdout);
	if (plan_save(p, &e))
		return complain(&e);
	if (is_new)
		printf("%s: made\n", plan_path(p));
	else
		printf("%s: changed; what it was is %s.bak-1\n", plan_path(p), plan_path(p));
	printf("'rsiod' begins with it, a running one takes it with 'rsconfig -m reload'\n");
	return 0;
}

/* The whole. */

static int read_answers(const struct crsio *o, struct plan *p, struct remarks *r)
{
	struct err e = { 0 };

	if (!o->answers) {
		if (!plan_is_new(p))
			return 0;
		err_sys(&e, ENOENT, "cannot open %s", plan_path(p));
		return complain(&e);
	}
	if (answers_read(p, o->answers, r, &e))
		return complain(&e);
	if (plan_complete(p))
		r->no_memory = true;
	return 0;
}

/* Without its network's facts a host can be set up all the same. */
static struct conf_client *check(struct plan *p, struct remarks *r)
{
	struct facts facts;
	struct conf_client *c;
	struct err e = { 0 };
	bool known = facts_read(&facts, &e) == 0;

	if (!known)
		remarks_add(r, true, "%s: what depends on it was not looked at", e.text);
	c = plan_check(p, known ? &facts : NULL, r);
	if (known)
		facts_free(&facts);
	return c;
}

static int run(const struct crsio *o, struct plan *p)
{
	struct remarks r = { .list = NULL };
	struct conf_client *c = NULL;
	int status = read_answers(o, p, &r);

	if (!status) {
		c = check(p, &r);
		remarks_print(&r, plan_path(p), o->answers && strcmp(o->answers, ANSWERS_STDIN) == 0 ? "standard input" : o->answers);
		/* A text with mistakes can be looked at as well. */
		if (o->print)
			status = print(plan_text(p));
		if (!c)
			status = 1;
		else if (o->check)
			status = print_verdict(p, c, &r);
		else if (!o->print)
			status = save(o, p, c);
	}
	conf_client_free(c);
	remarks_free(&r);
	return status;
}

int main(int argc, char **argv)
{
	struct crsio o = { 0 };
	struct err e = { 0 };
	struct plan *p;
	char *path;
	int first, status;

	opt_parse(&program, &o, argc, argv, &first);
	check_options(&o);
	path = o.config ? strdup(o.config) : conf_client_default_path();
	if (!path) {
		fprintf(stderr, "crsio: not enough memory\n");
		return 1;
	}
	p = plan_open(path, &e);
	status = p ? run(&o, p) : complain(&e);
	plan_free(p);
	free(path);
	if (fflush(stdout) || ferror(stdout)) {
		fputs("crsio: cannot write to standard output\n", stderr);
		status = 1;
	}
	return status;
}
