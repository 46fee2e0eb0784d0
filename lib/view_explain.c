/* view_explain.c - why each path has the share that it has, in words. */
#include <string.h>
#include "view.h"
#include "view_impl.h"

/* A server, and what the sentences about its paths need to know of all of them. */
struct group {
	const json_t *server;
	const char *policy;
	int best;		/* rank of the best path that is up */
	const json_t *first;	/* the first that works: fail-over's */
	const json_t *failed;	/* a path that is no standby and does not work, or NULL */
	int working, primaries;	/* that work; of them, no standbys */
	double weights;		/* of those that work */
};

static bool up(const json_t *path)
{
	return view_is(path, "state", "up");
}

/* As path_rank has it. */
static int rank(const json_t *path)
{
	return view_true(path, "suspect") ? 2 : view_num(path, "probation", -1) >= 0 ? 1 : 0;
}

/* Commands avoid a suspect, and one on probation, unless there is nothing better. */
static bool avoided(const struct group *g, const json_t *path)
{
	return up(path) && rank(path) > g->best;
}

static bool works(const struct group *g, const json_t *path)
{
	return up(path) && !avoided(g, path);
}

static void survey(struct group *g)
{
	size_t i;
	json_t *p;

	json_array_foreach(view_list(g->server, "paths"), i, p)
		g->best = up(p) && rank(p) < g->best ? rank(p) : g->best;
	json_array_foreach(view_list(g->server, "paths"), i, p) {
		bool standby = view_true(p, "standby");

		if (!works(g, p)) {
			if (!standby && !g->failed)
				g->failed = p;
			continue;
		}
		if (!g->first)
			g->first = p;
		g->working++;
		g->primaries += !standby;
		g->weights += view_num(p, "weight", 1);
	}
}

static void say_adaptive(FILE *f, const struct group *g, const json_t *p)
{
	char rtt[VIEW_SHORT], rate[VIEW_SHORT];
	double carries = view_num(p, "carries", 0);

	(void)g;
	fprintf(f, "an answer takes %s", view_time(rtt, view_num(p, "rtt_us", -1)));
	if (carries > 0)
		fprintf(f, ", under load it carries %s/s", view_bytes(rate, carries));
}

static void say_turn(FILE *f, const struct group *g, const json_t *p)
{
	(void)p;
	if (g->working == 1)
		fprintf(f, "the only one that works");
	else
		fprintf(f, "one command of %d", g->working);
}

static void say_subset(FILE *f, const struct group *g, const json_t *p)
{
	if (!view_true(p, "standby"))
		fprintf(f, "it takes turns");
	else if (g->failed)
		fprintf(f, "standby, in use because %s does not work", view_str(g->failed, "name"));
	else if (!g->primaries)
		fprintf(f, "standby, in use because there are only standbys");
	else
		fprintf(f, "standby: waits until another path fails");
}

static void say_fail_over(FILE *f, const struct group *g, const json_t *p)
{
	if (p == g->first)
		fprintf(f, "the first that works");
	else
		fprintf(f, "waits: %s comes first", view_str(g->first, "name"));
}

static void say_queue(FILE *f, const struct group *g, const json_t *p)
{
	char n[VIEW_SHORT];

	(void)g;
	fprintf(f, "%s commands under way now", view_count(n, p, "in_flight"));
}

static void say_weight(FILE *f, const struct group *g, const json_t *p)
{
	fprintf(f, "its weight is %.0f of %.0f", view_num(p, "weight", 1), g->weights);
}

static const struct {
	const char *policy, *rule;
	void (*say)(FILE *f, const struct group *g, const json_t *path);
} rules[] = {
	{ "adaptive", "a command goes where it is expected to be answered first", say_adaptive },
	{ "round-robin", "each path in turn", say_turn },
	{ "round-robin-subset", "paths in turn; standbys join while another has failed", say_subset },
	{ "fail-over", "the first path that works takes all", say_fail_over },
	{ "least-queue", "a command goes where the fewest are under way", say_queue },
	{ "weighted", "commands in proportion to the weights", say_weight },
	{ "least-blocks", "a command goes where the fewest bytes are under way", say_queue },
};
#define RULES (sizeof(rules) / sizeof(rules[0]))

static void explain_path(FILE *f, const struct group *g, const json_t *p)
{
	double probation = view_num(p, "probation", -1);
	char age[VIEW_SHORT];

	fprintf(f, "    %s, %.0f %% so far: ", view_str(p, "name"), 100 * view_num(p, "share", 0));
	if (avoided(g, p) && view_true(p, "suspect")) {
		fprintf(f, "owes an answer: commands avoid it");
	} else if (avoided(g, p)) {
		fprintf(f, "on probation for %.0f s more, as it was lost again and again: commands avoid it", probation);
	} else if (up(p)) {
		for (size_t i = 0; i < RULES; i++)
			if (strcmp(rules[i].policy, g->policy) == 0)
				rules[i].say(f, g, p);
		if (probation >= 0)
			fprintf(f, "; on probation for %.0f s more, but nothing better is left", probation);
	} else {
		/* Each try to connect begins a state anew: its age says nothing here. */
		fprintf(f, "%s", view_str(p, "state"));
		if (json_is_number(json_object_get(p, "lost_ago")))
			fprintf(f, ", lost %s ago", view_age(age, view_num(p, "lost_ago", -1)));
		if (json_is_string(json_object_get(p, "reason")))
			fprintf(f, "\n      why: %s", view_str(p, "reason"));
	}
	fputc('\n', f);
}

/* What it costs when one of its paths, or all of it, falls silent. */
static void explain_failover(FILE *f, const json_t *ns, const json_t *server)
{
	const json_t *first = NULL;
	char last[80];
	size_t i;
	json_t *p;

	if (!json_object_get(server, "failover_silent"))
		return;		/* an rsiod that does not say */
	json_array_foreach(view_list(server, "paths"), i, p)
		if (!first && up(p))
			first = p;
	if (first && view_num(server, "paths_up", 0) > 1)
		fprintf(f, "    when a path falls silent I/O goes on elsewhere within %g s, after a reset within %g s\n",
			view_num(first, "failover_silent", 0), view_num(first, "failover_reset", 0));
	fprintf(f, "    when all of it falls silent %s\n", view_last(last, sizeof(last), ns, server));
}

static void explain_server(FILE *f, const json_t *ns, const json_t *server)
{
	struct group g = { .server = server, .best = 2, .policy = view_str(server, "policy") };
	size_t i;
	json_t *p;

	survey(&g);
	fprintf(f, "  %s: policy %s", view_str(server, "name"), g.policy);
	for (i = 0; i < RULES; i++)
		if (strcmp(rules[i].policy, g.policy) == 0)
			fprintf(f, ", %s", rules[i].rule);
	fputc('\n', f);
	json_array_foreach(view_list(server, "paths"), i, p)
		explain_path(f, &g, p);
	explain_failover(f, ns, server);
}

/* Which of its servers a volume's commands go to. */
static void explain_legs(FILE *f, const json_t *ns)
{
	json_t *v, *leg;
	size_t i, k;

	json_array_foreach(view_list(ns, "volumes"), i, v) {
		if (json_array_size(view_list(v, "legs")) < 2)
			continue;
		fprintf(f, "  volume %s goes over several servers, by the same rules:\n", view_str(v, "name"));
		json_array_foreach(view_list(v, "legs"), k, leg)
			fprintf(f, "    %s, %.0f %% so far%s%s\n", view_str(leg, "server"),
				100 * view_num(leg, "share", 0), view_is(leg, "state", "open") ? "" : ": ",
				view_is(leg, "state", "open") ? "" : view_str(leg, "state"));
		if (json_is_string(json_object_get(v, "waits_for")))
			fprintf(f, "    writes wait: %s\n    " VIEW_CLAIM_NEXT "\n", view_str(v, "waits_for"));
	}
}

static void explain_own_policies(FILE *f, const json_t *ns)
{
	size_t i;
	json_t *v;

	json_array_foreach(view_list(ns, "volumes"), i, v)
		if (json_is_string(json_object_get(v, "policy")))
			fprintf(f, "  volume %s has a policy of its own: %s\n", view_str(v, "name"),
				view_str(v, "policy"));
}

static void explain_failures(FILE *f, const json_t *ns)
{
	double noticed = view_num(ns, "noticed_within", -1), give_up = view_num(ns, "give_up", -1);

	if (noticed < 0 || give_up < 0)
		return;		/* an rsiod that does not say */
	fprintf(f, "  a reset or a lost link is noticed at once, silence within %g s;\n"
		   "  what was under way then goes on over another path of the server\n"
		   "  silence of the last path is noticed within %g s\n", noticed, view_num(ns, "noticed_last", 0));
	if (view_is(ns, "on_loss", "queue"))
		fprintf(f, "  with no path left I/O waits for ever\n");
	else
		fprintf(f, "  with no path left I/O waits for %g s, then on-loss = %s applies\n", give_up,
			view_str(ns, "on_loss"));
}

char *view_explain(const json_t *status)
{
	struct view_out o;
	size_t i, k;
	json_t *ns, *server;

	view_start(&o);
	if (!o.f)
		return NULL;
	json_array_foreach(view_list(status, "namespaces"), i, ns) {
		fprintf(o.f, "%s\n", view_str(ns, "name"));
		if (json_array_size(view_list(ns, "servers")) == 0)
			fprintf(o.f, "  no server was reached yet: rsconfig -m status shows why\n");
		json_array_foreach(view_list(ns, "servers"), k, server)
			explain_server(o.f, ns, server);
		explain_own_policies(o.f, ns);
		explain_legs(o.f, ns);
		explain_failures(o.f, ns);
	}
	return view_finish(&o);
}
