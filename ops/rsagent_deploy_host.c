/* rsagent_deploy_host.c - one host: what it is, what it is to be, and the way there. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "rsagent_binary.h"
#include "rsagent_deploy.h"
#include "rsagent_deploy_users.h"
#include "secure.h"

/* What it is. */

/* The pool is asked about by its path, which a manifest may know better: then it is asked again. */
static int ask_facts(struct deploy_host *h, const char *pool, struct err *e)
{
	const struct deploy_ask ask = { .pool = pool, .port = h->w.port };
	struct remote_result result = { 0 };
	const double limit = h->job->o->remote.timeout > 0 ? h->job->o->remote.timeout : RSAGENT_TIMEOUT;
	/* A host with much to do takes its time; but this says what was not done, before all of it is given up. */
	const int seconds = (int)(limit * 3 / 4) + 1;
	char marker[33], *script;
	int r = rsagent_marker(marker, e);

	script = r ? NULL : deploy_script(&ask, marker);
	if (!script)
		return r ? r : err_set(e, ENOMEM, "no memory");
	rsagent_progress(h->t, "looking at the host");
	r = remote_run(h->r, "looking at the host", script, NULL, 0, DEPLOY_FACTS_MAX, seconds, &result, e);
	free(script);
	if (!r) {
		deploy_facts_free(h->f);
		h->f = deploy_facts_parse(result.out, result.out_size, marker, e);
		r = h->f ? 0 : -e->code;
		secure_wipe(result.out, result.out_size);	/* its configuration, with keys, was in it */
	}
	remote_result_free(&result);
	return r;
}

static int look(struct deploy_host *h, struct err *e)
{
	const char *pool = h->job->o->pool, *had;
	int r;

	h->w.port = h->job->o->port ? h->job->o->port : DEPLOY_PORT;
	r = ask_facts(h, pool, e);
	if (!r)
		r = deploy_has(h->f, &h->is, e);
	if (r)
		return r;
	h->manifest = deploy_manifest_read(h->f);
	had = json_string_value(json_object_get(h->manifest, "pool"));
	if (!pool && had)
		pool = had;
	else if (!pool && *h->is.pool)
		pool = h->is.pool;
	snprintf(h->pool, sizeof(h->pool), "%s", pool ? pool : DEPLOY_POOL);
	if (*h->is.namespace && !h->job->o->port)
		h->w.port = h->is.port;
	if (strcmp(h->pool, h->job->o->pool ? h->job->o->pool : DEPLOY_POOL) != 0 || h->w.port != (h->job->o->port ? h->job->o->port : DEPLOY_PORT))
		r = ask_facts(h, h->pool, e);
	return r;
}

/* What it is to be. */

static int find_binary(struct deploy_host *h, struct err *e)
{
	return rsagent_find_binary(h->job->o->binary, h->f->machine, h->binary, &h->w.binary, e);
}

/* A host's name as a server's. */
static void server_name(const char *host, char name[CONF_NAME_MAX + 1])
{
	size_t n = strcspn(host, ".");

	snprintf(name, CONF_NAME_MAX + 1, "%.*s", (int)(n < CONF_NAME_MAX ? n : CONF_NAME_MAX), host);
	for (char *c = name; *c; c++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", *c))
			*c = '-';
	if (!conf_name_valid(name))
		snprintf(name, CONF_NAME_MAX + 1, "server");
}

static int take_portals(struct deploy_host *h, struct err *e)
{
	char list[1024], *save = NULL;
	struct sock_addr a;

	for (size_t i = 0; i < h->is.portal_count; i++)
		h->w.portals[h->w.portal_count++] = h->is.portals[i];
	if (!h->job->o->portals) {
		if (!h->w.portal_count)
			deploy_choose_portals(h->f, &h->w);
		return 0;
	}
	snprintf(list, sizeof(list), "%s", h->job->o->portals);
	for (char *word = strtok_r(list, ", ", &save); word; word = strtok_r(NULL, ", ", &save)) {
		if (sock_parse(word, 0, &a) || h->w.portal_count >= CONF_IFACE_MAX)
			return err_set(e, EINVAL, "--portal: %s is no address, or one too many", word);
		sock_format(&a, h->w.portals[h->w.portal_count++].address);
	}
	return 0;
}

static int wish(struct deploy_host *h, struct err *e)
{
	const struct deploy_job *job = h->job;
	int r;

	server_name(h->f->host, h->server);
	h->w.pool = h->pool;
	h->w.namespace = job->namespace;
	h->w.namespace_id = job->namespace_id;
	h->w.server = job->o->server ? job->o->server : h->server;
	h->w.server_id = job->o->server_id ? atoi(job->o->server_id) : job->ids ? job->ids[h->t->host - job->first] : 0;
	h->w.client = h->w.by = job->node;
	h->w.key = job->key;
	h->w.when = time(NULL);
	h->w.binary_only = job->what == DEPLOY_UPGRADE;
	r = find_binary(h, e);
	if (!r)
		r = take_portals(h, e);
	if (r || !*h->is.namespace)
		return r;
	if (job->what == DEPLOY_INSTALL && strcmp(h->is.namespace, job->namespace) != 0) {
		err_set(e, EEXIST, "it serves the namespace %s already, not %s", h->is.namespace, job->namespace);
		err_next(e, "--namespace %s, or rsagent undeploy first: its volumes stay", h->is.namespace);
		return -EEXIST;
	}
	h->w.namespace = h->is.namespace;
	h->w.namespace_id = h->is.namespace_id;
	h->w.server = h->is.server;
	h->w.server_id = h->is.server_id;
	return 0;
}

/* The way there. */

static void show_progress(void *arg, const char *text)
{
	struct deploy_host *h = arg;

	rsagent_progress(h->t, "%s", text);
}

static int verify(void *arg, struct deploy_run *run, struct err *e)
{
	struct deploy_host *h = arg;

	return deploy_verify(h, run, e);
}

static int confirm(struct deploy_host *h, struct err *e)
{
	bool cuts = h->job->what == DEPLOY_UNDEPLOY && h->findings.count;
	char question[300];
	int r;

	if (h->job->o->yes)
		return 0;
	snprintf(question, sizeof(question), "%sShall that be done on %.200s%s",
		 cuts ? "Clients are cut off that use its volumes. " : "", h->t->host->name,
		 cuts ? " all the same" : "");
	r = rsagent_confirm(h->t, question, e);
	if (r == -ENOTTY)
		err_next(e, "--yes does it without asking; --dry-run only shows it");
	return r;
}

/* Volumes are gone for good: the host's name is to be said again. */
static int confirm_volumes(struct deploy_host *h, struct err *e)
{
	char question[400], answer[300] = "";
	int r;

	if (!h->job->o->with_volumes || !h->f->volume_count)
		return 0;
	if (h->job->o->confirm)
		snprintf(answer, sizeof(answer), "%s", h->job->o->confirm);
	else {
		snprintf(question, sizeof(question), "%zu volume%s (snapshots counted) will be gone for good. The host's name, to do that: ",
			 h->f->volume_count, h->f->volume_count == 1 ? "" : "s");
		r = rsagent_ask(h->t, question, false, answer, sizeof(answer), e);
		if (r == -ENOTTY)
			err_next(e, "--confirm HOST says it without a terminal");
		if (r)
			return r;
	}
	if (strcmp(answer, h->t->host->name) == 0)
		return 0;
	return err_set(e, ECANCELED, "that is not this host's name; nothing was changed");
}

/* A server that is there says itself which namespace this is about; this client may have several. */
static int settle_namespace(struct deploy_host *h, struct err *e)
{
	const char *name = json_string_value(json_object_get(h->manifest, "namespace"));

	if (h->job->what == DEPLOY_INSTALL || !name || !conf_name_valid(name) || strcmp(name, h->job->namespace) == 0)
		return 0;
	return deploy_settle(h->t->arg, name, e);
}

static int make_plan(struct deploy_host *h, struct err *e)
{
	int r;

	if (h->job->what == DEPLOY_UPGRADE && !h->manifest) {
		err_set(e, ENOENT, "rsagent deployed nothing there that could be upgraded");
		err_next(e, "rsagent deploy does");
		return -ENOENT;
	}
	r = settle_namespace(h, e);
	if (r)
		return r;
	if (h->job->what == DEPLOY_UNDEPLOY) {
		r = find_binary(h, e);
		if (!r && h->manifest)
			deploy_find_users(h->r, h->job->o->yes, h->job->o->force, &h->findings);
		h->plan = r ? NULL : deploy_plan_remove(h->f, h->job->o->with_volumes, e);
		return h->plan ? 0 : -e->code;
	}
	r = wish(h, e);
	if (r)
		return r;
	deploy_check(h->f, &h->w, time(NULL), &h->findings);
	h->plan = deploy_plan_make(h->f, &h->w, e);
	return h->plan ? 0 : -e->code;
}

static int carry_out(struct deploy_host *h, struct err *e)
{
	const struct deploy_calls calls = { .progress = show_progress, .verify = h->plan->serves ? verify : NULL, .arg = h };
	int r;

	if (!h->plan->count) {
		json_object_set_new(h->t->result, "text", json_string("nothing was to be done"));
		return 0;
	}
	r = confirm_volumes(h, e);
	if (!r)
		r = confirm(h, e);
	if (!r)
		r = deploy_do(h->r, &h->w.binary, h->plan, &calls, e);
	json_object_set_new(h->t->result, "changed", json_boolean(!r));
	if (!r && h->job->what != DEPLOY_UNDEPLOY)
		json_object_set_new(h->t->result, "text", json_sprintf("runs rssrv %s", h->w.binary.version));
	else if (!r)
		json_object_set_new(h->t->result, "text", json_string("is no server any more"));
	return r;
}

static int run(struct deploy_host *h, struct err *e)
{
	int r = look(h, e);

	if (!r)
		r = make_plan(h, e);
	if (r)
		return r;
	deploy_show(h);
	r = deploy_refused(&h->findings, e);
	if (!r && h->job->key && h->job->what != DEPLOY_UNDEPLOY)
		r = deploy_can_join(h, e);
	if (!r && !h->job->o->dry_run)
		r = carry_out(h, e);
	else if (!r)
		json_object_set_new(h->t->result, "text", json_string("nothing was changed"));
	if (!r && h->job->own && !h->job->o->no_client)
		r = h->job->what == DEPLOY_INSTALL ? deploy_join(h, e) : h->job->what == DEPLOY_UNDEPLOY ? deploy_leave(h, e) : 0;
	return r;
}

static void forget(struct deploy_host *h)
{
	deploy_plan_free(h->plan);
	deploy_facts_free(h->f);
	json_decref(h->manifest);
}

int deploy_host_run(struct rsagent_task *t, struct err *e)
{
	struct deploy_host *h = calloc(1, sizeof(*h));
	struct remote *remote;
	int r;

	if (!h)
		return err_set(e, ENOMEM, "no memory");
	remote = rsagent_login(t, RSAGENT_ROOT, e);
	*h = (struct deploy_host){ .t = t, .job = t->arg, .r = remote };
	r = remote ? run(h, e) : -e->code;
	/* What a run that was cut off had left is undone now: the host is another than the plan was made for. */
	if (r == -ESTALE) {
		forget(h);
		*h = (struct deploy_host){ .t = t, .job = t->arg, .r = remote };
		r = run(h, e);
	}
	remote_close(remote);
	forget(h);
	free(h);
	return r;
}
