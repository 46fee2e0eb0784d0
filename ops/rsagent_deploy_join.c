/*
 * rsagent_deploy_join.c - the server as this workstation's client sees it: whether it serves, and the
 * client's configuration that gets it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "log.h"
#include "probe.h"
#include "rsagent_deploy.h"

#define VERIFY_SECONDS 12
#define OTHERS_SECONDS 2		/* for the other pairs, when each portal serves over one */

/* The server's portals, as sections of the client's configuration are named: NAME, or NAME-1 and so on. */
static size_t portals_of(const struct deploy_wish *w, struct conf_join_portal out[CONF_IFACE_MAX])
{
	for (size_t i = 0; i < w->portal_count; i++) {
		struct conf_join_portal *p = &out[i];

		memset(p, 0, sizeof(*p));
		if (w->portal_count == 1)
			snprintf(p->name, sizeof(p->name), "%s", w->server);
		else
			snprintf(p->name, sizeof(p->name), "%.*s-%u", CONF_NAME_MAX - 3, w->server, (unsigned)(i + 1) & 15);
		snprintf(p->address, sizeof(p->address), "%s", w->portals[i].address);
		p->port = w->port;
	}
	return w->portal_count;
}

static struct conf_join join_of(const struct deploy_host *h, struct conf_join_portal portals[CONF_IFACE_MAX])
{
	return (struct conf_join){
		.namespace = h->w.namespace, .id = h->w.namespace_id, .node = h->job->node, .key = h->job->key,
		.portals = portals, .portal_count = portals_of(&h->w, portals),
	};
}

/* Verifying. */

struct looking {
	struct deploy_host *h;
	struct deploy_run *run;
	bool served[CONF_IFACE_MAX];	/* this portal */
	unsigned good, bad;		/* pairs */
	time_t all_served;		/* 0: not all portals do yet */
	bool lost;
	char why[400];			/* of the first portal that does not */
};

static int portal_number(const struct deploy_wish *w, const struct probe_pair *pair)
{
	for (size_t i = 0; i < w->portal_count; i++)
		if (strcmp(w->portals[i].address, pair->address) == 0)
			return (int)i;
	return -1;
}

static void known(void *arg, const struct probe_pair *pair)
{
	struct looking *l = arg;
	int n = portal_number(&l->h->w, pair);

	if (n < 0 || pair->state == PROBE_NO_WAY)
		return;
	if (pair->good || pair->in_use) {
		l->served[n] = true;
		l->good++;
		return;
	}
	l->bad++;
	if (!*l->why)
		snprintf(l->why, sizeof(l->why), "%s%s%s: %s", pair->interface, *pair->interface ? " to " : "", pair->address, pair->why);
}

static time_t seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + 1;
}

static bool go_on(void *arg)
{
	struct looking *l = arg;
	size_t served = 0;

	for (size_t i = 0; i < l->h->w.portal_count; i++)
		served += l->served[i];
	if (!l->all_served && served == l->h->w.portal_count)
		l->all_served = seconds_now();
	l->lost = deploy_alive(l->run) < 0;
	return !l->lost && (!l->all_served || seconds_now() - l->all_served < OTHERS_SECONDS);
}

/* This client's configuration with this server alone, so that others that are away take no time. */
static struct conf_client *conf_for(const struct deploy_host *h, struct err *e)
{
	struct conf_join_portal portals[CONF_IFACE_MAX];
	struct conf_join join = join_of(h, portals);
	char *path = h->job->o->client.config ? strdup(h->job->o->client.config) : conf_client_default_path();
	struct conf_text *t = path ? conf_text_open(CONF_FILE_CLIENT, path, true, e) : NULL;
	char name[2 * CONF_NAME_MAX + 2], namespace[CONF_NAME_MAX + 1];
	struct conf_client *conf = NULL;
	struct conf_report report = { NULL, 0, 0 };
	int r = t ? 0 : -1;

	for (size_t i = 0; !r && conf_text_section(t, "server", i, name, namespace);) {
		const struct conf_place at = { "server", name, namespace };

		if (strcmp(namespace, h->w.namespace) == 0)
			r = conf_text_remove(t, &at, e);
		else
			i++;
	}
	if (!r && !conf_text_join(t, &join, e) && !conf_text_check(t, &report, e)) {
		size_t size;
		const char *bytes = conf_text_bytes(t, &size);
		struct conf_report again;

		conf = conf_client_parse(path, bytes, size, &again);
		conf_report_free(&again);
	}
	conf_report_free(&report);
	conf_text_free(t);
	free(path);
	return conf;
}

static size_t namespace_number(const struct conf_client *c, const char *name)
{
	size_t n = 0;

	while (n < c->namespace_count && strcmp(c->namespaces[n].name, name) != 0)
		n++;
	return n;
}

/* Each portal has to serve over one interface at least; over which others it does not is said. */
static int judge(struct looking *l, struct err *e)
{
	const struct deploy_wish *w = &l->h->w;

	for (size_t i = 0; i < w->portal_count; i++) {
		if (l->served[i])
			continue;
		err_set(e, EHOSTUNREACH, "the server started and does not serve this host at %s port %d: %s", w->portals[i].address,
			w->port, *l->why ? l->why : "no interface of this host leads there");
		err_next(e, "see that nothing between the two filters port %d, or name the addresses that can be reached with --portal",
			 w->port);
		return -EHOSTUNREACH;
	}
	rsagent_progress(l->h->t, l->bad ? "serves over %u paths; not over %u, the first: %s" : "serves over %u paths", l->good, l->bad,
			 l->why);
	json_object_set_new(l->h->t->result, "paths", json_integer(l->good));
	json_object_set_new(l->h->t->result, "paths_that_fail", json_integer(l->bad));
	return 0;
}

int deploy_verify(struct deploy_host *h, struct deploy_run *run, struct err *e)
{
	struct looking l = { .h = h, .run = run };
	struct conf_client *conf;
	struct probe_result result = { 0 };
	struct probe_wish w = {
		.limit = VERIFY_SECONDS, .patient = true, .read = true, .known = known, .go_on = go_on, .arg = &l,
	};
	int r;

	if (!h->job->key)		/* not this host's client, and its key is not known here: that it started has to do */
		return 0;
	rsagent_progress(h->t, "looking whether it serves");
	conf = conf_for(h, e);
	if (!conf)
		return -e->code;
	log_set_level(LOG_LEVEL_ERROR);
	w.conf = conf;
	w.namespace = namespace_number(conf, h->w.namespace);
	r = probe_run(&w, &result, e);
	probe_result_free(&result);
	conf_client_free(conf);
	if (l.lost)
		return err_set(e, ECONNRESET, "the link to the host was lost");
	return r && r != -ECANCELED ? r : judge(&l, e);
}

/* The client's configuration. */

static int confirm_file(struct deploy_host *h, const struct rsagent_client *c, struct err *e)
{
	char question[600];
	int r;

	if (h->job->o->yes)
		return 0;
	snprintf(question, sizeof(question), "Shall %.400s be changed so", rsagent_client_path(c));
	r = rsagent_confirm(h->t, question, e);
	if (r == -ENOTTY)
		err_next(e, "--yes does it without asking");
	return r;
}

static void say_client(struct deploy_host *h, const char *what, const char *next)
{
	char text[PATH_MAX + 100];

	snprintf(text, sizeof(text), "%s%s%s", what, *next ? "; " : "", next);
	err_clean(text);
	json_object_set_new(h->t->result, "client", json_string(text));
	json_object_set_new(h->t->result, "text", json_string(text));
}

/* A client that does not run is no failure of the deploy: it is started at the end, once for all hosts, or it is said
 * how. */
static void load(struct deploy_host *h, const struct rsagent_client *c)
{
	struct rsagent_client_seen seen;
	struct err e = { 0 };
	char text[PATH_MAX + 100];
	size_t n;
	const struct conf_client *conf = rsagent_client_conf(c, &n);
	int r;

	rsagent_progress(h->t, "waiting until the volumes are here");
	r = rsagent_client_load(c, &seen, &e);
	json_object_set_new(h->t->result, "only_server", json_boolean(n < conf->namespace_count && conf->namespaces[n].portal_count <= h->w.portal_count));
	json_object_set_new(h->t->result, "client_runs", json_boolean(r != -ENOENT && r != -ECONNREFUSED));
	if (!r) {
		json_object_set_new(h->t->result, "volumes", json_integer((json_int_t)seen.volumes));
		json_object_set_new(h->t->result, "mount", json_string(seen.mount));
		snprintf(text, sizeof(text), "%zu volume%s in %.4000s/%.40s", seen.volumes, seen.volumes == 1 ? "" : "s", seen.mount,
			 h->w.namespace ? h->w.namespace : "");
		say_client(h, text, "");
	} else {
		say_client(h, e.text, e.next);
	}
}

int deploy_look_again(struct deploy_job *job, const struct rsagent_outcome *o, struct err *e)
{
	struct rsagent_task t = { .host = o->host, .arg = job, .result = o->result, .fd = -1 };
	struct deploy_host h = { .t = &t, .job = job };
	const char *server = json_string_value(json_object_get(o->result, "server")), *address;
	struct conf_join_portal portals[CONF_IFACE_MAX];
	struct rsagent_client *c;
	struct conf_join join;
	json_t *one;
	size_t i;

	h.w = (struct deploy_wish){ .namespace = job->namespace, .server = server ? server : "",
				    .port = (int)json_integer_value(json_object_get(o->result, "port")) };
	h.w.namespace_id = (int)json_integer_value(json_object_get(o->result, "namespace_id"));
	json_array_foreach(json_object_get(o->result, "portals"), i, one) {
		address = json_string_value(one);
		if (address && h.w.portal_count < CONF_IFACE_MAX)
			snprintf(h.w.portals[h.w.portal_count++].address, sizeof(h.w.portals[0].address), "%s", address);
	}
	join = join_of(&h, portals);
	c = rsagent_client_plan(&job->o->client, &join, e);
	if (c)
		load(&h, c);
	rsagent_client_free(c);
	return c ? 0 : -e->code;
}

static int change_file(struct deploy_host *h, struct rsagent_client *c, struct err *e)
{
	int r = 0;

	if (*rsagent_client_diff(c)) {
		rsagent_output(h->t, rsagent_client_diff(c));
		if (h->job->o->dry_run)
			return 0;
		r = confirm_file(h, c, e);
		if (!r)
			r = rsagent_client_save(c, e);
	}
	return r;
}

/* What it had before, as the manifest says. */
static size_t portals_before(const struct deploy_host *h, struct conf_join_portal out[CONF_IFACE_MAX])
{
	const json_t *list = json_object_get(h->manifest, "portals");
	json_int_t port = json_integer_value(json_object_get(h->manifest, "port"));
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(list) && count < CONF_IFACE_MAX; i++) {
		const char *address = json_string_value(json_array_get(list, i));

		if (!address)
			continue;
		memset(&out[count], 0, sizeof(out[count]));
		snprintf(out[count].address, sizeof(out[count].address), "%s", address);
		out[count++].port = port > 0 && port < 65536 ? (int)port : DEPLOY_PORT;
	}
	return count;
}

int deploy_join(struct deploy_host *h, struct err *e)
{
	struct conf_join_portal portals[CONF_IFACE_MAX], before[CONF_IFACE_MAX];
	struct conf_join join = join_of(h, portals);
	struct rsagent_client *c;
	int r;

	join.gone = before;
	join.gone_count = portals_before(h, before);
	c = rsagent_client_plan(&h->job->o->client, &join, e);
	r = c ? change_file(h, c, e) : -e->code;
	if (!r && !h->job->o->dry_run)
		load(h, c);
	rsagent_client_free(c);
	return r;
}

int deploy_can_join(struct deploy_host *h, struct err *e)
{
	struct conf_client *conf = conf_for(h, e);

	if (!conf && !*e->next)
		err_next(e, "this client's configuration wants mending first: 'rsiod --check' lists its mistakes");
	conf_client_free(conf);
	return conf ? 0 : -e->code;
}

/* rsiod reads it, where one runs; that none does is fine. */
static void load_without(struct deploy_host *h, const struct rsagent_client *c)
{
	struct rsagent_client_seen seen;
	struct err e = { 0 };
	char text[PATH_MAX + 100];
	int r = rsagent_client_load(c, &seen, &e);

	snprintf(text, sizeof(text), "not in %s any more", rsagent_client_path(c));
	if (r && r != -ENOENT && r != -ECONNREFUSED)
		say_client(h, e.text, e.next);
	else
		say_client(h, text, "");
}

int deploy_leave(struct deploy_host *h, struct err *e)
{
	const char *namespace = json_string_value(json_object_get(h->manifest, "namespace"));
	struct conf_join_portal portals[CONF_IFACE_MAX];
	size_t count = portals_before(h, portals);
	struct rsagent_client *c;
	int r;

	if (!namespace || !conf_name_valid(namespace) || !count || strcmp(namespace, h->job->namespace) != 0)
		return 0;
	c = rsagent_client_plan_leave(&h->job->o->client, namespace, portals, count, e);
	r = c ? change_file(h, c, e) : -e->code;
	if (!c && r == -ENOTEMPTY) {	/* the last one: what is there stays, and what to do with it is said */
		say_client(h, e->text, e->next);
		return 0;
	}
	if (!r && !h->job->o->dry_run)
		load_without(h, c);
	rsagent_client_free(c);
	return r;
}
