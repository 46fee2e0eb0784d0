/*
 * rsvol.c - volumes from the client that uses them: made, changed, copied and looked at.
 *
 * A thin client of rsiod's control socket, which asks the server that owns the pool: what is
 * done and what may not be is decided there.  Which options a command takes is in its row.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "opt.h"
#include "rsvol.h"

static const struct opt options[] = {
	{ 0, "pool", OPT_STRING, "POOL", offsetof(struct rsvol, pool),
	  "create, clone, copy: in which pool", 0, 0 },
	{ 0, "preallocate", OPT_FLAG, NULL, offsetof(struct rsvol, preallocate),
	  "create: take all of the space now", 0, 0 },
	{ 0, "if-missing", OPT_FLAG, NULL, offsetof(struct rsvol, if_missing),
	  "create: one of that name is fine, whatever its size", 0, 0 },
	{ 0, "grow-fs", OPT_FLAG, NULL, offsetof(struct rsvol, grow_fs),
	  "resize: and the file system on the attached device", 0, 0 },
	{ 0, "confirm", OPT_STRING, "NAME", offsetof(struct rsvol, confirm),
	  "rm, rollback, resize to less: the volume's name again, instead of asking for it", 0, 0 },
	{ 0, "snapshots", OPT_FLAG, NULL, offsetof(struct rsvol, snapshots),
	  "rm: with all its snapshots", 0, 0 },
	{ 0, "name", OPT_STRING, "NAME", offsetof(struct rsvol, name),
	  "snapshot: its name; clone: what the names begin with", 0, 0 },
	{ 0, "hold", OPT_DURATION, "TIME", offsetof(struct rsvol, hold),
	  "snapshot: for how long writes may be held (1s)", 0, 0 },
	{ 0, "freeze", OPT_FLAG, NULL, offsetof(struct rsvol, freeze),
	  "snapshot: of the file system on the attached device, at rest", 0, 0 },
	{ 0, "count", OPT_INT, "N", offsetof(struct rsvol, count),
	  "clone: so many", 1, 1000 },
	{ 0, "client", OPT_STRING, "CLIENT", offsetof(struct rsvol, client),
	  "limit: for this client, not for all together", 0, 0 },
	{ 0, "iops", OPT_STRING, "N", offsetof(struct rsvol, iops),
	  "limit: requests a second, or none", 0, 0 },
	{ 0, "mbps", OPT_STRING, "N", offsetof(struct rsvol, mbps),
	  "limit: megabytes a second, or none", 0, 0 },
	{ 0, "burst", OPT_DURATION, "TIME", offsetof(struct rsvol, burst),
	  "limit: what was not used in that time may be made up for", 0, 0 },
	{ 0, "everyone", OPT_FLAG, NULL, offsetof(struct rsvol, everyone),
	  "access: every client", 0, 0 },
	{ 0, "every", OPT_DURATION, "TIME", offsetof(struct rsvol, every),
	  "schedule: the time between two snapshots", 0, 0 },
	{ 0, "keep", OPT_INT, "N", offsetof(struct rsvol, keep),
	  "schedule: how many are kept", 1, 1000 },
	{ 0, "none", OPT_FLAG, NULL, offsetof(struct rsvol, none),
	  "limit, schedule: no more", 0, 0 },
	{ 0, "paths", OPT_FLAG, NULL, offsetof(struct rsvol, paths),
	  "top: paths, not volumes", 0, 0 },
	{ 0, "interval", OPT_DURATION, "TIME", offsetof(struct rsvol, interval),
	  "top: the time between two looks (1s)", 0, 0 },
	{ 0, "once", OPT_FLAG, NULL, offsetof(struct rsvol, once),
	  "top: what was done in one such time", 0, 0 },
	{ 0, "server", OPT_STRING, "SERVER", offsetof(struct rsvol, server),
	  "ask this server, where several could be meant", 0, 0 },
	{ 'j', "json", OPT_FLAG, NULL, offsetof(struct rsvol, json), "print JSON", 0, 0 },
	{ 0, "run-dir", OPT_STRING, "DIR", offsetof(struct rsvol, run_dir_option),
	  "where rsiod keeps its control socket", 0, 0 },
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

static const struct opt_program program = {
	.name = "rsvol",
	.synopsis = "create [NS:]VOLUME SIZE [--pool POOL] [--preallocate]\n"
		    "       [--if-missing]\n"
		    "resize [NS:]VOLUME [+]SIZE [--grow-fs] [--confirm NAME]\n"
		    "rename [NS:]VOLUME NEWNAME\n"
		    "rm [NS:]VOLUME[@SNAP] [--snapshots] [--confirm NAME]\n"
		    "ls [NS]\n"
		    "info [NS:]VOLUME[@SNAP]\n"
		    "pool ls [NS]\n"
		    "top [NS[:VOLUME]] [--paths] [--interval TIME] [--once]\n"
		    "snapshot [NS:]VOLUME... --name SNAP [--hold TIME] [--freeze]\n"
		    "snapshots [NS:]VOLUME\n"
		    "rollback [NS:]VOLUME@SNAP [--confirm NAME]\n"
		    "clone [NS:]VOLUME[@SNAP] NEWNAME [--pool POOL]\n"
		    "clone [NS:]VOLUME[@SNAP] --count N --name PREFIX [--pool POOL]\n"
		    "copy [NS:]VOLUME[@SNAP] NEWNAME [--pool POOL]\n"
		    "limit [NS:]VOLUME [--client CLIENT] [--iops N] [--mbps N]\n"
		    "      [--burst TIME]\n"
		    "limit [NS:]VOLUME [--client CLIENT] --none\n"
		    "access [NS:]VOLUME [--everyone] [CLIENT...]\n"
		    "label [NS:]VOLUME [TEXT]\n"
		    "schedule [NS:]VOLUME [--every TIME --keep N] [--none]",
	.about = "Makes, changes, copies and shows volumes, while they are in use.",
	.table = options,
	.operands = "COMMAND [NS:VOLUME...]",
	.page = "rsvol(8)",
	/* With a slash: bash breaks words at a colon. */
	.complete = "case $COMP_CWORD in"
		    " (1) echo create resize rename rm ls info pool top snapshot snapshots rollback clone copy limit"
		    " access label schedule ;;"
		    " (*) case ${COMP_WORDS[1]} in"
		    " (pool) [ $COMP_CWORD = 2 ] && echo ls ;;"
		    " (ls|top) timeout 2 rsconfig -q | awk '/^[0-9]/ { print $2 }' ;;"
		    " (create) timeout 2 rsconfig -q | awk '/^[0-9]/ { print $2 \"/\" }' ;;"
		    " (*) [ $COMP_CWORD = 2 ] || [ ${COMP_WORDS[1]} = snapshot ] && timeout 2 rsconfig -q |"
		    " awk '/^[0-9]/ { ns = $2 } /^    [0-9]/ { print ns \"/\" $2 }' ;;"
		    " esac ;; esac",
	.complete_option = "case $prev in"
			   " (--pool) timeout 2 rsvol pool ls --json |"
			   " awk -F '\"' '$2 == \"name\" { print $4 }' ;;"
			   " (--server) timeout 2 rsconfig -q | awk '$1 == \"srv:\" { print $3 }' ;;"
			   " (--iops|--mbps) echo none ;;"
			   " (*) false ;; esac",
};

void rsvol_usage(const char *fmt, ...)
{
	va_list ap;

	fputs("rsvol: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\nTry 'rsvol --help'.\n", stderr);
	exit(RSVOL_USAGE);
}

static const struct action {
	const char *word;
	const char *operands;		/* what it takes, for the message */
	int min, max;			/* how many */
	const char *options;		/* beside json, run-dir and server; each with a blank before and behind */
	int (*run)(const struct rsvol *rv, char **operands);
} actions[] = {
	{ "create", "[NS:]VOLUME SIZE", 2, 2, " pool preallocate if-missing ", rsvol_create },
	{ "resize", "[NS:]VOLUME SIZE", 2, 2, " grow-fs confirm ", rsvol_resize },
	{ "rename", "[NS:]VOLUME NEWNAME", 2, 2, " ", rsvol_rename },
	{ "rm", "[NS:]VOLUME[@SNAP]", 1, 1, " snapshots confirm ", rsvol_rm },
	{ "ls", "[NS]", 0, 1, " ", rsvol_ls },
	{ "info", "[NS:]VOLUME[@SNAP]", 1, 1, " ", rsvol_info },
	{ "pool", "the word ls, and [NS]", 1, 2, " ", rsvol_pool },
	{ "top", "[NS[:VOLUME]]", 0, 1, " paths interval once ", rsvol_top },
	{ "snapshot", "[NS:]VOLUME...", 1, 1024, " name hold freeze ", rsvol_snapshot },
	{ "snapshots", "[NS:]VOLUME", 1, 1, " ", rsvol_snapshots },
	{ "rollback", "[NS:]VOLUME@SNAP", 1, 1, " confirm ", rsvol_rollback },
	{ "clone", "[NS:]VOLUME[@SNAP] and NEWNAME, or --count and --name", 1, 2, " pool count name ", rsvol_clone },
	{ "copy", "[NS:]VOLUME[@SNAP] NEWNAME", 2, 2, " pool ", rsvol_copy },
	{ "limit", "[NS:]VOLUME", 1, 1, " client iops mbps burst none ", rsvol_limit },
	{ "access", "[NS:]VOLUME [CLIENT...]", 1, 1024, " everyone ", rsvol_access },
	{ "label", "[NS:]VOLUME [TEXT]", 1, 2, " ", rsvol_label },
	{ "schedule", "[NS:]VOLUME", 1, 1, " every keep none ", rsvol_schedule },
};
#define ACTION_COUNT (sizeof(actions) / sizeof(actions[0]))

static const struct action *find_action(const char *word)
{
	const char *words[ACTION_COUNT + 1] = { NULL }, *near;

	for (size_t i = 0; i < ACTION_COUNT; i++) {
		if (strcmp(actions[i].word, word) == 0)
			return &actions[i];
		words[i] = actions[i].word;
	}
	near = opt_nearest(word, words);
	if (near)
		rsvol_usage("unknown command '%s' (did you mean %s?)", word, near);
	rsvol_usage("unknown command '%s'", word);
}

static bool given(const struct rsvol *rv, const struct opt *o)
{
	const char *at = (const char *)rv + o->offset;

	switch (o->type) {
	case OPT_FLAG:
		return *(const bool *)at;
	case OPT_STRING:
		return *(const char *const *)at != NULL;
	case OPT_DURATION:
		return *(const double *)at != 0;
	default:
		return *(const int *)at != 0;
	}
}

static void check_options(const struct rsvol *rv, const struct action *a)
{
	char word[32];

	for (const struct opt *o = options; strcmp(o->name, "server") != 0; o++) {
		snprintf(word, sizeof word, " %s ", o->name);
		if (given(rv, o) && !strstr(a->options, word))
			rsvol_usage("--%s is not for %s", o->name, a->word);
	}
}

int main(int argc, char **argv)
{
	struct rsvol rv = { 0 };
	const struct action *a;
	int first, status;
	char *dir;

	opt_parse(&program, &rv, argc, argv, &first);
	if (first == argc)
		rsvol_usage("say what to do: create, resize, rm, ls, snapshot, ...");
	a = find_action(argv[first++]);
	if (argc - first < a->min || argc - first > a->max)
		rsvol_usage("%s takes %s", a->word, a->operands);
	check_options(&rv, a);
	dir = opt_run_dir_of(rv.run_dir_option, "rsiod.sock");
	if (asprintf(&rv.socket, "%s/rsiod.sock", dir) < 0)
		abort();
	free(dir);
	status = a->run(&rv, argv + first);
	free(rv.socket);
	if (fflush(stdout) || ferror(stdout)) {
		fputs("rsvol: cannot write to standard output\n", stderr);
		status = RSVOL_FAILED;
	}
	return status;
}
