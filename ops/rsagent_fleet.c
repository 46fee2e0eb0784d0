/*
 * rsagent_fleet.c - rsagent apply: a fleet's file, made so.
 *
 * All hosts are looked at first; one that cannot be, or where something stands in the way, is left out, and the others
 * are not kept waiting for it.  Then servers are made, each as a whole or not at all; when all that were to be made are,
 * clients are told of them; servers that left the file go last, when nobody uses them any more.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include "rsagent_fleet.h"

#define DIFFERS 3		/* exit status of --diff */

static const struct opt table[] = {
	{ 0, "check", OPT_FLAG, NULL, offsetof(struct fleet_options, check),
	  "read the file, report every mistake in it, and exit", 0, 0 },
	{ 0, "diff", OPT_FLAG, NULL, offsetof(struct fleet_options, diff),
	  "show what differs, change nothing; exit status 3 if something does", 0, 0 },
	{ 'n', "dry-run", OPT_FLAG, NULL, offsetof(struct fleet_options, dry_run),
	  "show what would be done, and stop there", 0, 0 },
	{ 'y', "yes", OPT_FLAG, NULL, offsetof(struct fleet_options, yes),
	  "do not ask before changing anything", 0, 0 },
	{ 0, "force", OPT_FLAG, NULL, offsetof(struct fleet_options, force),
	  "take servers away also while clients use volumes of them", 0, 0 },
	{ 0, "binary", OPT_STRING, "FILE", offsetof(struct fleet_options, binary),
	  "the static rssrv for the hosts (beside this program)", 0, 0 },
	{ 0, "run-dir", OPT_STRING, "DIR", offsetof(struct fleet_options, run_dir),
	  "where this host's rsiod has its control socket", 0, 0 },
	RSAGENT_REMOTE_OPTIONS(struct fleet_options),
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

static int read_fleet(struct fleet *f, const char *path, struct err *e)
{
	struct conf_report report;

	f->conf = conf_fleet_read(path, &report);
	conf_report_print("rsagent", &report);
	conf_report_free(&report);
	if (!f->conf)
		return err_set(e, EBADMSG, "%s has mistakes; nothing was changed", path);
	f->path = realpath(path, NULL);
	if (!f->path)
		return err_sys(e, errno, "cannot find %s", path);
	return asprintf(&f->by, FLEET_BY "%s", f->path) < 0 ? err_set(e, ENOMEM, "no memory") : 0;
}

/* 0: yes. */
static int confirm(const struct fleet *f, struct err *e)
{
	char answer[16] = "";
	FILE *tty;

	if (f->o->yes)
		return 0;
	tty = fopen("/dev/tty", "r+e");
	if (!tty) {
		err_set(e, ENOTTY, "there is no terminal to ask at; nothing was changed");
		err_next(e, "--yes does it without asking; --dry-run only shows it");
		return -ENOTTY;
	}
	fprintf(tty, "Shall that be done [yes/no]? ");
	fflush(tty);
	if (!fgets(answer, sizeof(answer), tty))
		answer[0] = 0;
	fclose(tty);
	return strcmp(answer, "yes\n") == 0 ? 0 : err_set(e, ECANCELED, "it was not confirmed; nothing was changed");
}

static size_t failures(const struct fleet *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->count; i++)
		n += f->members[i].e.code != 0;
	return n;
}

/* Whether of those that were to be changed one was not. */
static int part(struct fleet *f, enum fleet_part p, struct err *e)
{
	size_t before = failures(f);
	int r = fleet_do(f, p, e);

	return r ? r : failures(f) > before ? -EIO : 0;
}

/* The record is written before anything is done, so that what a cut off run made is known to the next. */
static int apply(struct fleet *f, struct err *e)
{
	struct err later = { 0 };
	int r = fleet_record_save(f, e);

	if (!r)
		r = part(f, FLEET_DO_SERVERS, e);
	if (!r)
		r = part(f, FLEET_DO_CLIENTS, e);
	if (!r)
		r = part(f, FLEET_DO_GONE, e);
	if (fleet_record_save(f, &later) && !r) {
		*e = later;
		r = -later.code;
	}
	if (r && !e->code)
		err_set(e, EIO, "not all was done; what was is kept, and the same command goes on from there");
	return r;
}

static int show(struct fleet *f)
{
	int r = 0;

	if (f->o->remote.json)
		r = fleet_show_json(f);
	fleet_show_failures(f);
	return r;
}

/* A server that left the file and is still used: its clients would be told to forget it, so then nothing at all is done. */
static int still_used(const struct fleet *f, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < f->count && !r; i++)
		if (f->members[i].gone && f->members[i].change == FLEET_REMOVED)
			r = deploy_refused(&f->members[i].findings, e);
	return r;
}

static int work(struct fleet *f, struct err *e)
{
	bool only_show = f->o->diff || f->o->dry_run;
	int r;

	r = fleet_look(f, e);
	if (!r)
		fleet_plan(f);
	if (!r && !f->o->remote.json) {
		fleet_show(f);
		fleet_show_failures(f);		/* it is known before it is confirmed */
	}
	if (!r && !only_show)
		r = still_used(f, e);
	if (!r && !only_show) {
		if (fleet_count(f, FLEET_SAME) < f->count)
			r = confirm(f, e);
		if (!r)
			r = apply(f, e);
	}
	if (show(f) && !r)
		r = err_set(e, EIO, "cannot write what came of it");
	if (r || failures(f))
		return 1;
	return f->o->diff && fleet_count(f, FLEET_SAME) < f->count ? DIFFERS : 0;
}

static int run(void *options, int count, char **words, struct err *e)
{
	const struct fleet_options *o = options;
	struct fleet f = { .o = o, .record_fd = -1 };
	int status = 1;

	if (count != 1) {
		err_set(e, EINVAL, count ? "one file at a time" : "which file?");
		return RSAGENT_USAGE;
	}
	/* Keys are in this process: no core file, and nobody looks in. */
	prctl(PR_SET_DUMPABLE, 0);
	if (!read_fleet(&f, words[0], e)) {
		if (o->check)
			status = 0;
		else if (!fleet_record_open(&f, e) && !fleet_find_members(&f, e))
			status = work(&f, e);
	}
	if (f.conf)
		fleet_free(&f);
	return status;
}

const struct rsagent_command rsagent_apply = {
	.program = {
		.name = "rsagent apply",
		.synopsis = "[options] FILE",
		.about = "Makes the servers and clients of a fleet what its file says.",
		.table = table,
		.operands = "FILE",
		.page = "rsagent(8)",
		.complete = NULL,
	},
	.summary = "makes servers and clients what a fleet's file says",
	.size = sizeof(struct fleet_options),
	.run = run,
};
