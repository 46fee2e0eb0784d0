/*
 * rsconfig.c - the central command: what there is, and changes to it.
 *
 * A thin client of rsiod's control socket: it prints what the daemon says and
 * knows nothing by itself.  So it never waits for a network, and every wait for
 * the daemon has an end.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "ctl.h"
#include "opt.h"
#include "rsconfig.h"
#include "view.h"

static const struct opt options[] = {
	{ 'q', "query", OPT_FLAG, NULL, offsetof(struct rsconfig, query),
	  "namespaces, servers and volumes", 0, 0 },
	{ 'l', "local", OPT_FLAG, NULL, offsetof(struct rsconfig, local),
	  "this machine's attached block devices", 0, 0 },
	{ 'a', "attach", OPT_FLAG, NULL, offsetof(struct rsconfig, attach),
	  "make block devices of the volumes named, or of all", 0, 0 },
	{ 'd', "detach", OPT_FLAG, NULL, offsetof(struct rsconfig, detach),
	  "take block devices away, those named or all", 0, 0 },
	{ 'm', "manage", OPT_STRING, "status|explain|fail|policy|drill|reload|stop", offsetof(struct rsconfig, manage),
	  "show paths or why they have their share, end waiting I/O, choose a policy, rehearse a failure, reload, stop", 0, 0 },
	{ 0, "discover", OPT_FLAG, NULL, offsetof(struct rsconfig, discover),
	  "look for servers on this host's networks, and at the addresses named; test the ways there", 0, 0 },
	{ 0, "interface", OPT_STRING, "IF,...", offsetof(struct rsconfig, interface),
	  "with --discover: only from these", 0, 0 },
	{ 0, "port", OPT_INT, "N", offsetof(struct rsconfig, port),
	  "with --discover: the portals' port (5000)", 1, 65535 },
	{ 'v', "verbose", OPT_COUNT, NULL, offsetof(struct rsconfig, verbose),
	  "more about each; up to -vvv", 0, 0 },
	{ 'f', "force", OPT_FLAG, NULL, offsetof(struct rsconfig, force),
	  "with -d and -m stop: in any case, what waits ends with an error", 0, 0 },
	{ 0, "exclusive", OPT_FLAG, NULL, offsetof(struct rsconfig, exclusive),
	  "with -a: nobody else may open it, until -d", 0, 0 },
	{ 0, "weight", OPT_STRING, "IF=N,...", offsetof(struct rsconfig, weight),
	  "with -m policy: what each interface gets with weighted", 0, 0 },
	{ 0, "standby", OPT_STRING, "IF,...", offsetof(struct rsconfig, standby),
	  "with -m policy: which ones round-robin-subset keeps back", 0, 0 },
	{ 0, "for", OPT_DURATION, "TIME", offsetof(struct rsconfig, drill_time),
	  "with -m drill: how long the path or server is away (5s); with --discover: how long to listen (1s)", 0, 0 },
	{ 'j', "json", OPT_FLAG, NULL, offsetof(struct rsconfig, json), "print JSON", 0, 0 },
	{ 0, "run-dir", OPT_STRING, "DIR", offsetof(struct rsconfig, run_dir_option),
	  "where rsiod keeps its control socket", 0, 0 },
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

static const struct opt_program program = {
	.name = "rsconfig",
	.synopsis = "-q [-v...] [--json]\n"
		    "-l [-v...] [--json]\n"
		    "-a [--exclusive] [--json] [NS:VOLUME...]\n"
		    "-d [--force] [--json] [NS:VOLUME...]\n"
		    "-m status [-v...] [--json]\n"
		    "-m explain\n"
		    "-m fail NS:VOLUME...\n"
		    "-m policy NS[:SERVER|:VOLUME] POLICY\n"
		    "          [--weight IF=N,...] [--standby IF,...]\n"
		    "-m drill PATH|SERVER [--for TIME] [--json]\n"
		    "-m reload\n"
		    "-m stop [--force]\n"
		    "--discover [ADDRESS...] [--interface IF,...] [--port N]\n"
		    "          [--for TIME] [--json]",
	.about = "Shows and changes what the client daemon rsiod does, and finds servers.",
	.table = options,
	.operands = "[NS:VOLUME...|ADDRESS...]",
	.page = "rsconfig(8)",
	/* With a slash: bash breaks words at a colon. */
	.complete = "case \" ${COMP_WORDS[*]:0:COMP_CWORD} \" in"
		    " (*' policy '?*) echo adaptive round-robin round-robin-subset fail-over least-queue"
		    " weighted least-blocks default; what=none ;;"
		    " (*' policy ') what=all ;;"
		    " (*' drill '?*) what=none ;;"
		    " (*' drill ') timeout 2 rsconfig -m status -v |"
		    " awk '/^      [^ ]+\\/[^ ]+ to / { sub(/^[^:]*:/, \"\", $3); sub(/,$/, \"\", $3); print $1;"
		    " if ($3 != \"-\") print $3 }'; what=none ;;"
		    " (*) what=volumes ;; esac;"
		    " [ $what = none ] || timeout 2 rsconfig -q | awk -v what=$what"
		    " '/^[0-9]/ { ns = $2; if (what == \"all\") print ns }"
		    " what == \"all\" && $1 == \"srv:\" { print ns \"/\" $3 }"
		    " /^    [0-9]/ { print ns \"/\" $2 }'",
	.complete_option = "case $prev in (--weight) after== ;; (--standby) after= ;; (*) false ;; esac &&"
			   " timeout 2 rsconfig -m status |"
			   " awk -v before=\"${cur%\"${cur##*,}\"}\" -v after=$after '/^[0-9]/ { print before $2 after }'",
};

void rsconfig_usage(const char *fmt, ...)
{
	va_list ap;

	fputs("rsconfig: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\nTry 'rsconfig --help'.\n", stderr);
	exit(2);
}

json_t *rsconfig_ask(const struct rsconfig *rc, json_t *request, struct err *e)
{
	json_t *reply = ctl_call(rc->socket, "rsiod", request, RSCONFIG_TIMEOUT, e);

	json_decref(request);
	if (!reply && e->code == ETIMEDOUT)
		err_next(e, "rsclogcat shows what rsiod is doing; if it does nothing, end it with "
			 "SIGKILL and start it again");
	return reply;
}

json_t *rsconfig_call(const struct rsconfig *rc, json_t *request)
{
	struct err e;
	json_t *reply = rsconfig_ask(rc, request, &e);

	if (!reply)
		err_print("rsconfig", &e);
	return reply;
}

int rsconfig_print(char *text)
{
	if (!text) {
		fputs("rsconfig: not enough memory\n", stderr);
		return 1;
	}
	fputs(text, stdout);
	free(text);
	return 0;
}

int rsconfig_print_json(json_t *json)
{
	int status = rsconfig_print(json ? view_json(json) : NULL);

	json_decref(json);
	return status;
}

/* What prints state. */

static json_t *status_of(const struct rsconfig *rc)
{
	return rsconfig_call(rc, json_pack("{s:s}", "do", "status"));
}

static json_t *member(const json_t *status, const char *key)
{
	return json_pack("{s:O?}", key, json_object_get(status, key));
}

static int print_query(const struct rsconfig *rc, const json_t *status)
{
	return rc->json ? rsconfig_print_json(member(status, "namespaces")) :
			  rsconfig_print(view_query(status, rc->verbose));
}

static int print_devices(const struct rsconfig *rc, const json_t *status)
{
	return rc->json ? rsconfig_print_json(member(status, "devices")) :
			  rsconfig_print(view_devices(status, rc->verbose));
}

/* The paths of all namespaces, each with the namespace that it belongs to. */
static json_t *all_paths(const json_t *status)
{
	json_t *all = json_array(), *ns, *path, *paths;
	size_t i, j;

	json_array_foreach(json_object_get(status, "namespaces"), i, ns) {
		paths = view_json_paths(ns);
		json_array_foreach(paths, j, path) {
			json_object_set(path, "namespace", json_object_get(ns, "name"));
			json_array_append(all, path);
		}
		json_decref(paths);
	}
	return json_pack("{s:o}", "paths", all);
}

static int print_paths(const struct rsconfig *rc, const json_t *status)
{
	return rc->json ? rsconfig_print_json(all_paths(status)) :
			  rsconfig_print(view_paths(status, rc->verbose));
}

static int show(const struct rsconfig *rc,
		int (*print)(const struct rsconfig *rc, const json_t *status))
{
	json_t *status = status_of(rc);
	int exit_status;

	if (!status)
		return 1;
	exit_status = print(rc, status);
	json_decref(status);
	return exit_status;
}

static int manage_status(const struct rsconfig *rc, char **operands)
{
	(void)operands;
	return show(rc, print_paths);
}

static int print_explanation(const struct rsconfig *rc, const json_t *status)
{
	(void)rc;
	return rsconfig_print(view_explain(status));
}

static int manage_explain(const struct rsconfig *rc, char **operands)
{
	(void)operands;
	return show(rc, print_explanation);
}

/* The words after -m. */

static const struct action {
	const char *word;
	const char *operands;		/* what it takes, for the message */
	int min, max;			/* how many */
	int (*run)(const struct rsconfig *rc, char **operands);
} actions[] = {
	{ "status", "nothing", 0, 0, manage_status },
	{ "explain", "nothing", 0, 0, manage_explain },
	{ "fail", "NS:VOLUME...", 1, 1024, rsconfig_fail },
	{ "policy", "NS[:SERVER|:VOLUME] POLICY", 2, 2, rsconfig_policy },
	{ "drill", "PATH or SERVER", 1, 1, rsconfig_drill },
	{ "reload", "nothing", 0, 0, rsconfig_reload },
	{ "stop", "nothing", 0, 0, rsconfig_stop },
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
		rsconfig_usage("unknown action '%s' (did you mean %s?)", word, near);
	rsconfig_usage("unknown action '%s': status, explain, fail, policy, drill, reload or stop", word);
}

static int run_manage(const struct rsconfig *rc, char **operands, int count)
{
	const struct action *a = find_action(rc->manage);

	if (count < a->min || count > a->max)
		rsconfig_usage("-m %s takes %s", a->word, a->operands);
	if ((rc->weight || rc->standby) && a->run != rsconfig_policy)
		rsconfig_usage("--weight and --standby are for -m policy");
	if (rc->json && a->run == manage_explain)
		rsconfig_usage("-m explain prints sentences; -m status --json has what they are made of");
	if (rc->drill_time != 0 && a->run != rsconfig_drill)
		rsconfig_usage("--for is for -m drill");
	if (rc->json && a->run != manage_status && a->run != rsconfig_drill)
		rsconfig_usage("-m %s prints no state: --json is not for it", a->word);
	return a->run(rc, operands);
}

static void check_options(const struct rsconfig *rc, char **operands)
{
	int asked = rc->query + rc->local + rc->attach + rc->detach + (rc->manage != NULL) + rc->discover;

	if (asked == 0)
		rsconfig_usage("say what to do: -q, -l, -a, -d, -m ACTION or --discover");
	if (asked > 1)
		rsconfig_usage("-q, -l, -a, -d, -m and --discover are for one at a time");
	if (rc->force && !rc->detach && !(rc->manage && strcmp(rc->manage, "stop") == 0))
		rsconfig_usage("--force is for -d and -m stop only");
	if ((rc->interface || rc->port) && !rc->discover)
		rsconfig_usage("--interface and --port are for --discover");
	if (rc->exclusive && (!rc->attach || !operands[0]))
		rsconfig_usage("--exclusive is for -a with volumes named");
	if ((rc->query || rc->local) && operands[0])
		rsconfig_usage("%s shows all and takes no '%s'", rc->query ? "-q" : "-l", operands[0]);
}

static int run(const struct rsconfig *rc, char **operands, int count)
{
	if (rc->query)
		return show(rc, print_query);
	if (rc->local)
		return show(rc, print_devices);
	if (rc->attach)
		return rsconfig_attach(rc, operands);
	if (rc->detach)
		return rsconfig_detach(rc, operands);
	if (rc->discover)
		return rsconfig_discover(rc, operands, count);
	return run_manage(rc, operands, count);
}

int main(int argc, char **argv)
{
	struct rsconfig rc = { 0 };
	int first, status;
	char *dir;

	opt_parse(&program, &rc, argc, argv, &first);
	check_options(&rc, argv + first);
	dir = opt_run_dir_of(rc.run_dir_option, "rsiod.sock");
	if (asprintf(&rc.socket, "%s/rsiod.sock", dir) < 0)
		abort();
	free(dir);
	status = run(&rc, argv + first, argc - first);
	free(rc.socket);
	if (fflush(stdout) || ferror(stdout)) {
		fputs("rsconfig: cannot write to standard output\n", stderr);
		status = 1;
	}
	return status;
}
