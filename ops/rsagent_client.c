/* rsagent_client.c - see rsagent_client.h. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "ctl.h"
#include "opt.h"
#include "rsagent_client.h"
#include "secure.h"

#define WAIT 15.0		/* seconds */
#define LOOK_EVERY 50		/* ms */
#define CALL_TIME 30.0
#define SAVES_MAX 100		/* times that somebody else may come first, LOOK_EVERY apart */

struct rsagent_client {
	const struct rsagent_client_options *o;
	const struct conf_join *join;		/* or what leaves: */
	const char *namespace;
	const struct conf_join_portal *gone;
	size_t gone_count;

	char *path;
	struct conf_text *text;
	char *diff;
	struct conf_client *conf;
	size_t n;				/* the namespace's number in conf */
};

static char *path_of(const struct rsagent_client_options *o)
{
	return o->config ? strdup(o->config) : conf_client_default_path();
}

static struct conf_client *parse(const struct conf_text *t, struct err *e)
{
	struct conf_report report;
	struct conf_client *c;
	const char *bytes;
	size_t size;

	bytes = conf_text_bytes(t, &size);
	if (conf_text_check(t, NULL, e))
		return NULL;
	c = conf_client_parse(conf_text_path(t), bytes, size, &report);
	if (!c)
		err_set(e, ENOMEM, "no memory");
	conf_report_free(&report);
	return c;
}

static size_t number_of(const struct conf_client *c, const char *namespace)
{
	size_t n = 0;

	while (n < c->namespace_count && strcmp(c->namespaces[n].name, namespace) != 0)
		n++;
	return n;
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = LOOK_EVERY * 1000000L }, NULL);
}

/* What there is. */

static int take_known(const struct conf_text *t, struct rsagent_client_defaults *d, struct err *e)
{
	struct conf_client *c = parse(t, e);
	size_t n;

	if (!c)
		return -e->code;
	n = number_of(c, d->namespace);
	if (n < c->namespace_count) {
		d->known = true;
		d->id = c->namespaces[n].id;
		memcpy(d->node, c->namespaces[n].nodename, sizeof(d->node));
		conf_key_text(&c->namespaces[n].key, d->key);
	}
	conf_client_free(c);
	return 0;
}

int rsagent_client_defaults(const struct rsagent_client_options *o, const char *wanted,
			    struct rsagent_client_defaults *d, struct err *e)
{
	char *path = path_of(o), any[2 * CONF_NAME_MAX + 2];
	struct conf_text *t = path ? conf_text_open(CONF_FILE_CLIENT, path, true, e) : NULL;
	int r = 0;

	memset(d, 0, sizeof(*d));
	if (!t) {
		r = path ? -e->code : err_set(e, ENOMEM, "no memory");
		free(path);
		return r;
	}
	if (wanted)
		snprintf(d->namespace, sizeof(d->namespace), "%s", wanted);
	else if (!conf_text_only_namespace(t, d->namespace))
		d->namespace[0] = 0;
	conf_host_name(d->node);
	d->id = conf_text_free_id(t, d->namespace);
	if (conf_text_section(t, "namespace", 0, any, NULL))
		r = take_known(t, d, e);
	conf_text_free(t);
	free(path);
	return r;
}

/* The plan. */

static const char *namespace_of(const struct rsagent_client *c)
{
	return c->join ? c->join->namespace : c->namespace;
}

static int make(struct rsagent_client *c, struct err *e)
{
	int r;

	c->text = conf_text_open(CONF_FILE_CLIENT, c->path, c->join != NULL, e);
	if (!c->text)
		return -e->code;
	if (c->join)
		r = conf_text_join(c->text, c->join, e);
	else
		r = conf_text_leave(c->text, c->namespace, c->gone, c->gone_count, e);
	if (r == -ENOTEMPTY)
		err_next(e, "'rsconfig -m stop' ends rsiod; then %s can be removed", c->path);
	if (r)
		return r;
	c->conf = parse(c->text, e);
	if (!c->conf)
		return -e->code;
	c->n = number_of(c->conf, namespace_of(c));
	c->diff = conf_text_diff(c->text);
	return c->diff ? 0 : err_set(e, ENOMEM, "no memory");
}

static void unmake(struct rsagent_client *c)
{
	conf_text_free(c->text);
	conf_client_free(c->conf);
	free(c->diff);
	c->text = NULL;
	c->conf = NULL;
	c->diff = NULL;
}

static struct rsagent_client *plan(const struct rsagent_client *as, struct err *e)
{
	struct rsagent_client *c = malloc(sizeof(*c));

	if (c) {
		*c = *as;
		c->path = path_of(c->o);
	}
	if (!c || !c->path)
		err_set(e, ENOMEM, "no memory");
	else if (make(c, e) == 0)
		return c;
	rsagent_client_free(c);
	return NULL;
}

struct rsagent_client *rsagent_client_plan(const struct rsagent_client_options *o, const struct conf_join *j, struct err *e)
{
	return plan(&(struct rsagent_client){ .o = o, .join = j }, e);
}

struct rsagent_client *rsagent_client_plan_leave(const struct rsagent_client_options *o, const char *namespace,
						 const struct conf_join_portal *portals, size_t count, struct err *e)
{
	return plan(&(struct rsagent_client){ .o = o, .namespace = namespace, .gone = portals, .gone_count = count }, e);
}

void rsagent_client_free(struct rsagent_client *c)
{
	if (!c)
		return;
	unmake(c);
	free(c->path);
	free(c);
}

const char *rsagent_client_path(const struct rsagent_client *c)
{
	return c->path;
}

const char *rsagent_client_diff(const struct rsagent_client *c)
{
	return c->diff;
}

const struct conf_client *rsagent_client_conf(const struct rsagent_client *c, size_t *n)
{
	*n = c->n;
	return c->conf;
}

/* Doing it. */

int rsagent_client_save(struct rsagent_client *c, struct err *e)
{
	int r = conf_text_save(c->text, true, NULL, e);

	for (int i = 0; (r == -ESTALE || r == -EBUSY) && i < SAVES_MAX; i++) {
		nap();
		unmake(c);
		r = make(c, e);
		if (!r)
			r = conf_text_save(c->text, true, NULL, e);
	}
	return r;
}

/* What rsiod says. */

static void say_start(const struct rsagent_client *c, struct err *e)
{
	char words[2 * PATH_MAX + 32];

	rsagent_client_start_words(c->o, words, sizeof(words));
	err_next(e, "'%s' starts it", words);
}

static json_t *ask(const struct rsagent_client *c, const char *what, struct err *e)
{
	char *dir = opt_run_dir_of(c->o->run_dir, "rsiod.sock"), *socket = NULL;
	json_t *request = json_pack("{s:s}", "do", what), *reply = NULL;

	if (!dir || !request || asprintf(&socket, "%s/rsiod.sock", dir) < 0)
		err_set(e, ENOMEM, "no memory");
	else
		reply = ctl_call(socket, "rsiod", request, CALL_TIME, e);
	if (!reply && (e->code == ENOENT || e->code == ECONNREFUSED))
		say_start(c, e);
	json_decref(request);
	free(socket);
	free(dir);
	return reply;
}

static const char *text_of(const json_t *j, const char *name)
{
	const char *text = json_string_value(json_object_get(j, name));

	return text ? text : "";
}

/* Does the path lead to one of the plan's portals?  It has the name of the portal's section. */
static bool is_ours(const struct rsagent_client *c, const json_t *path)
{
	const struct conf_namespace *ns = &c->conf->namespaces[c->n];

	for (size_t i = 0; i < ns->portal_count; i++) {
		if (strcmp(ns->portals[i].name, text_of(path, "server")) != 0)
			continue;
		for (size_t k = 0; k < c->join->portal_count; k++)
			if (conf_same_address(ns->portals[i].address, c->join->portals[k].address))
				return true;
	}
	return false;
}

static bool offers(const json_t *volume, const char *server)
{
	json_t *leg;
	size_t i;

	json_array_foreach(json_object_get(volume, "legs"), i, leg)
		if (strcmp(text_of(leg, "server"), server) == 0)
			return true;
	return strcmp(text_of(volume, "server"), server) == 0;
}

/* Counts the server's volumes; false: one is not in the tree yet. */
static bool count_volumes(const struct rsagent_client *c, const json_t *ns, const char *server, struct rsagent_client_seen *seen)
{
	char path[PATH_MAX + 3 * CONF_NAME_MAX];
	json_t *volume;
	size_t i;

	json_array_foreach(json_object_get(ns, "volumes"), i, volume) {
		if (!offers(volume, server))
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", seen->mount, namespace_of(c), text_of(volume, "name"));
		if (*seen->mount && access(path, F_OK))
			return false;
		seen->volumes++;
	}
	return true;
}

/* The reason of the first of our paths that is not up. */
static void note_reason(const struct rsagent_client *c, const json_t *paths, char *why, size_t size)
{
	json_t *path;
	size_t i;

	json_array_foreach(paths, i, path)
		if (!*why && is_ours(c, path))
			snprintf(why, size, "%s", text_of(path, "reason"));
}

/* One of the namespace's servers: is it ours, and all there? */
static bool server_is_there(const struct rsagent_client *c, const json_t *ns, const json_t *server,
			    struct rsagent_client_seen *seen)
{
	json_t *path;
	size_t i, up = 0;

	json_array_foreach(json_object_get(server, "paths"), i, path)
		up += is_ours(c, path) && strcmp(text_of(path, "state"), "up") == 0;
	if (!up || !json_is_true(json_object_get(server, "listed")))
		return false;
	seen->paths += up;
	return count_volumes(c, ns, text_of(server, "name"), seen);
}

static bool all_there(const struct rsagent_client *c, const json_t *status, struct rsagent_client_seen *seen, char *why,
		      size_t size)
{
	json_t *ns, *server;
	size_t i, k;
	bool there = false;

	memset(seen, 0, sizeof(*seen));
	snprintf(seen->mount, sizeof(seen->mount), "%s", text_of(status, "mount"));
	*why = 0;
	json_array_foreach(json_object_get(status, "namespaces"), i, ns) {
		if (strcmp(text_of(ns, "name"), namespace_of(c)) != 0)
			continue;
		note_reason(c, json_object_get(ns, "unassigned"), why, size);
		json_array_foreach(json_object_get(ns, "servers"), k, server) {
			note_reason(c, json_object_get(server, "paths"), why, size);
			there |= server_is_there(c, ns, server, seen);
		}
		if (!*why)
			snprintf(why, size, "its servers have not said yet what they offer");
		return there;
	}
	snprintf(why, size, "it does not have that namespace; does it read %s?", c->path);
	return false;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int wait_for(const struct rsagent_client *c, struct rsagent_client_seen *seen, struct err *e)
{
	double limit = c->o->wait > 0 ? c->o->wait : WAIT, end = now() + limit;
	char why[300];

	for (;;) {
		json_t *status = ask(c, "status", e);
		bool there = status && all_there(c, status, seen, why, sizeof(why));

		if (!status)
			return -e->code;
		json_decref(status);
		if (there)
			return 0;
		if (now() >= end)
			break;
		nap();
	}
	err_set(e, ETIMEDOUT, "rsiod has no volumes of namespace %s after %g s: %s", namespace_of(c), limit, why);
	err_next(e, "'rsconfig -m status' shows its paths");
	return -ETIMEDOUT;
}

int rsagent_client_load(const struct rsagent_client *c, struct rsagent_client_seen *seen, struct err *e)
{
	json_t *reply = ask(c, "reload", e);

	memset(seen, 0, sizeof(*seen));
	if (!reply)
		return -e->code;
	json_decref(reply);
	return c->join ? wait_for(c, seen, e) : 0;
}
