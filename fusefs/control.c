/* control.c - see control.h.  rsiod(8) lists the requests; rsconfig makes them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "attach.h"
#include "control.h"
#include "daemon.h"
#include "log.h"
#include "status.h"

/* status */

static json_t *do_status(struct daemon *d, json_t *request, struct err *e)
{
	json_t *status = status_collect(&d->client, attach_list(d->client.mount_dir), NULL);

	(void)request;
	if (!status)
		err_set(e, ENOMEM, "no memory for the status");
	return status;
}

/* attach, detach */

static json_t *result(const char *name, json_t *j, const struct err *e)
{
	json_t *r = json_pack("{s:s, s:b}", "volume", name, "ok", j != NULL);

	if (j) {
		json_object_del(j, "id");
		json_object_update(r, j);
		json_decref(j);
	} else {
		const char *code = strerrorname_np(e->code);

		json_object_set_new(r, "error", json_pack("{s:s, s:s, s:s}", "code", code ? code : "EIO",
							  "text", e->text, "next", e->next));
	}
	return r;
}

static json_t *change_one(struct daemon *d, const char *name, bool attach, bool force, bool alone)
{
	char namespace[CONF_NAME_MAX + 1], volume[CONF_VOLUME_MAX + 1];
	struct err e = { 0 };
	json_t *j = NULL;

	if (conf_split_volume(name, namespace, volume, &e) == 0)
		j = attach ? devices_attach(&d->devices, namespace, volume, alone, &e) :
			     devices_detach(&d->devices, namespace, volume, force, &e);
	return result(name, j, &e);
}

static json_t *change_devices(struct daemon *d, json_t *request, bool attach)
{
	json_t *names = json_incref(json_object_get(request, "volumes")), *results = json_array(), *name;
	bool force = json_is_true(json_object_get(request, "force"));
	bool alone = json_is_true(json_object_get(request, "exclusive"));
	size_t i;

	if (json_array_size(names) == 0) {
		json_decref(names);
		names = attach ? devices_offered(&d->devices) : devices_attached(&d->devices);
	}
	json_array_foreach(names, i, name)
		json_array_append_new(results, change_one(d, json_is_string(name) ? json_string_value(name) : "",
							  attach, force, alone));
	json_decref(names);
	return json_pack("{s:o}", "results", results);
}

static json_t *do_attach(struct daemon *d, json_t *request, struct err *e)
{
	(void)e;
	return change_devices(d, request, true);
}

static json_t *do_detach(struct daemon *d, json_t *request, struct err *e)
{
	(void)e;
	return change_devices(d, request, false);
}

/* fail */

struct fail_query {
	struct client *client;
	char namespace[CONF_NAME_MAX + 1], volume[CONF_VOLUME_MAX + 1];
	bool found;
};

static void fail_volume(void *arg)
{
	struct fail_query *q = arg;
	struct mpio *v = client_volume(q->client, q->namespace, q->volume);

	q->found = v != NULL;
	if (v) {
		mpio_fail(v);
		io_fail(&q->client->io, v);
	}
}

static json_t *do_fail(struct daemon *d, json_t *request, struct err *e)
{
	struct fail_query q = { .client = &d->client };
	const char *name = json_string_value(json_object_get(request, "volume"));

	if (conf_split_volume(name ? name : "", q.namespace, q.volume, e) < 0)
		return NULL;
	loop_call(d->loop, fail_volume, &q);
	if (!q.found) {
		err_set(e, ENOENT, "there is no volume %s", name);
		err_next(e, "rsconfig -q shows what there is");
		return NULL;
	}
	return json_object();
}

/* policy */

struct policy_query {
	struct client *client;
	const char *namespace;
	struct policy_wish wish;
	struct err *err;
	bool done;
};

static void set_policy(void *arg)
{
	struct policy_query *q = arg;
	struct member *m = client_member(q->client, q->namespace);

	if (m) {
		q->done = namespace_set_policy(m->ns, &q->wish, q->err) == 0;
		return;
	}
	err_set(q->err, ENOENT, "there is no namespace %s", q->namespace);
	err_next(q->err, "rsconfig -q shows those that there are");
}

static const char *text_member(const json_t *request, const char *name)
{
	return json_string_value(json_object_get(request, name));
}

static json_t *do_policy(struct daemon *d, json_t *request, struct err *e)
{
	struct policy_query q = { .client = &d->client, .err = e };
	const char *name = text_member(request, "policy");
	int policy = name ? policy_parse(name) : -EINVAL;

	q.namespace = text_member(request, "namespace");
	q.wish.as_before = name && strcmp(name, "default") == 0;
	if (!q.namespace || (policy < 0 && !q.wish.as_before)) {
		err_set(e, EINVAL, "there is no policy '%s'", name ? name : "");
		err_next(e, "rsconfig(8) names them");
		return NULL;
	}
	q.wish.policy = policy < 0 ? POLICY_ADAPTIVE : (enum policy)policy;
	q.wish.target = text_member(request, "target");
	q.wish.weight = text_member(request, "weight");
	q.wish.standby = text_member(request, "standby");
	loop_call(d->loop, set_policy, &q);
	return q.done ? json_object() : NULL;
}

/* drill: with a target one is started; without, how it stands */

struct drill_query {
	struct drill *drill;
	const char *target;
	double seconds;
	struct err *err;
	json_t *state;
};

static void drill(void *arg)
{
	struct drill_query *q = arg;

	if (!q->target || drill_start(q->drill, q->target, q->seconds, q->err) == 0)
		q->state = drill_state(q->drill);
}

static json_t *do_drill(struct daemon *d, json_t *request, struct err *e)
{
	struct drill_query q = {
		.drill = &d->drill, .target = text_member(request, "target"),
		.seconds = json_number_value(json_object_get(request, "seconds")), .err = e,
	};

	loop_call(d->loop, drill, &q);
	return q.state;
}

/* management of volumes: works.h */

static json_t *do_cancel(struct daemon *d, json_t *request, struct err *e)
{
	return works_cancel(&d->works, request, e);
}

static json_t *do_manage(struct daemon *d, const struct ctl_peer *peer, json_t *request, struct err *e)
{
	return works_manage(&d->works, peer, request, e);
}

static json_t *do_grow(struct daemon *d, const struct ctl_peer *peer, json_t *request, struct err *e)
{
	return works_grow(&d->works, peer, request, e);
}

static json_t *do_ask(struct daemon *d, const struct ctl_peer *peer, json_t *request, struct err *e)
{
	return works_ask(&d->works, peer, request, e);
}

static json_t *do_namespaces(struct daemon *d, json_t *request, struct err *e)
{
	(void)request;
	(void)e;
	return works_namespaces(&d->works);
}

/* reload, stop */

static json_t *do_reload(struct daemon *d, json_t *request, struct err *e)
{
	(void)request;
	return daemon_reload(d, e) < 0 ? NULL : json_object();
}

static json_t *do_stop(struct daemon *d, json_t *request, struct err *e)
{
	bool lazy = json_is_true(json_object_get(request, "force"));

	return daemon_unmount(d, lazy, e) < 0 ? NULL : json_object();
}

static const struct verb {
	const char *name;
	json_t *(*run)(struct daemon *d, json_t *request, struct err *e);
	bool changes;
	const char *members;		/* beside "do"; each with a blank before and behind */
	/* In place of run: it takes long, and tells the peer how far it is. */
	json_t *(*follow)(struct daemon *d, const struct ctl_peer *peer, json_t *request, struct err *e);
} verbs[] = {
	{ "status", do_status, false, " ", NULL },
	{ "attach", do_attach, true, " volumes force exclusive ", NULL },
	{ "detach", do_detach, true, " volumes force ", NULL },
	{ "fail", do_fail, true, " volume ", NULL },
	{ "policy", do_policy, true, " namespace target policy weight standby ", NULL },
	{ "drill", do_drill, true, " target seconds ", NULL },
	{ "reload", do_reload, true, " ", NULL },
	{ "stop", do_stop, true, " force ", NULL },
	{ "namespaces", do_namespaces, false, " ", NULL },
	{ "manage", NULL, true, " namespace server id work freeze ", do_manage },
	{ "grow", NULL, true, " namespace volume size ", do_grow },
	{ "cancel", do_cancel, true, " id ", NULL },
	{ "ask", NULL, false, " namespace server question ", do_ask },
};

static bool right_kind(const char *name, const json_t *value)
{
	if (strcmp(name, "volumes") == 0)
		return json_is_array(value);
	if (strcmp(name, "force") == 0 || strcmp(name, "freeze") == 0 || strcmp(name, "exclusive") == 0)
		return json_is_boolean(value);
	if (strcmp(name, "work") == 0 || strcmp(name, "question") == 0)
		return json_is_object(value);
	if (strcmp(name, "size") == 0)
		return json_is_integer(value);
	return strcmp(name, "seconds") == 0 ? json_is_number(value) : json_is_string(value);
}

static bool known(const struct verb *v, const char *name)
{
	char word[CONF_NAME_MAX];

	return !strchr(name, ' ') && (size_t)snprintf(word, sizeof word, " %s ", name) < sizeof word &&
	       strstr(v->members, word);
}

/* A member that is not known may have narrowed down what the request is about: done without
 * it, it would do more than was asked for. */
static bool all_known(const struct verb *v, json_t *request, struct err *e)
{
	const char *name;
	json_t *value;

	json_object_foreach(request, name, value) {
		if (strcmp(name, "do") == 0 || (known(v, name) && right_kind(name, value)))
			continue;
		err_set(e, EINVAL, known(v, name) ? "the member '%2$.40s' of the request '%1$s' is of the wrong kind" :
			"the request '%1$s' has no member '%2$.40s'", v->name, name);
		err_next(e, "rsiod(8) lists its members; this rsiod has version %s", RSIO_VERSION);
		return false;
	}
	return true;
}

/* How a drill stands is asked several times a second: the log has room for better. */
static bool only_looks(const struct verb *v, const json_t *request)
{
	return v->run == do_drill && !json_object_get(request, "target");
}

json_t *control_handle(void *arg, const struct ctl_peer *peer, const char *what, json_t *request,
		       struct err *e)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		const struct verb *v = &verbs[i];

		if (strcmp(v->name, what) != 0)
			continue;
		if ((v->changes || ((struct daemon *)arg)->private) && !peer->may_change) {
			err_set(e, EPERM, v->changes ? "uid %d may look at this rsiod, but not change it" :
				"uid %d may not look at this rsiod: its tree is not for others", (int)peer->uid);
			err_next(e, "root, its owner and the members of admin-group may");
			return NULL;
		}
		if (v->changes && !only_looks(v, request))
			log_info("control", "%s asked for by pid %d, uid %d", what, (int)peer->pid, (int)peer->uid);
		if (!all_known(v, request, e))
			return NULL;
		return v->follow ? v->follow(arg, peer, request, e) : v->run(arg, request, e);
	}
	err_set(e, EOPNOTSUPP, "this rsiod does not know the request '%s'", what);
	err_next(e, "it has version %s: are daemon and tool of the same?", RSIO_VERSION);
	return NULL;
}
