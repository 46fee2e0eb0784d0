/* devices.c - see devices.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "attach.h"
#include "devices.h"
#include "log.h"
#include "loopdev.h"
#include "reserve.h"

int devices_init(struct devices *d, struct client *c, struct helper *h)
{
	d->client = c;
	d->helper = h;
	pthread_mutex_init(&d->lock, NULL);
	d->tried = json_object();
	d->refused = json_object();
	return d->tried && d->refused ? 0 : -ENOMEM;
}

void devices_fini(struct devices *d)
{
	json_decref(d->tried);
	json_decref(d->refused);
	d->tried = d->refused = NULL;
}

static void join(char *buf, size_t size, const char *namespace, const char *volume)
{
	snprintf(buf, size, "%s:%s", namespace, volume);
}

/* What the loop knows. */

struct volume_query {
	struct client *client;
	const char *namespace, *volume;
	bool found, fail, cut;
	struct wire_volume info;
};

static void query_volume(void *arg)
{
	struct volume_query *q = arg;
	struct mpio *v = client_volume(q->client, q->namespace, q->volume);

	if (!v)
		return;
	q->found = true;
	q->info = *mpio_info(v);
	q->cut = client_device_is_cut(q->client, q->namespace, q->volume);
	if (!q->fail)
		return;
	/* What waits ends, and the device's file gets nothing more done: whoever has the
	 * device still, a file system that is being unmounted say, waits for nobody. */
	mpio_fail(v);
	client_cut_device(q->client, q->namespace, q->volume);
}

struct mark_query {
	struct client *client;
	pid_t opener;
};

static void mark(void *arg)
{
	struct mark_query *q = arg;

	client_mark_device(q->client, q->opener);
}

struct list_query {
	struct client *client;
	json_t *list;
};

/* What the newest configuration says of it; or NULL. */
static const struct conf_volume_rule *rule_of(const struct client *c, const char *namespace, const char *volume)
{
	const struct conf_client *conf = c->newest ? c->newest->conf : NULL;

	for (size_t i = 0; conf && i < conf->volume_count; i++) {
		const struct conf_volume_rule *r = &conf->volumes[i];

		if (strcmp(r->namespace, namespace) == 0 && strcmp(r->name, volume) == 0)
			return r;
	}
	return NULL;
}

static void add_volume(void *arg, struct mpio *v)
{
	struct list_query *q = arg;
	const struct wire_volume *info = mpio_info(v);
	const struct conf_volume_rule *r = rule_of(q->client, mpio_namespace(v), info->name);

	json_array_append_new(q->list, json_pack("{s:s, s:s, s:I, s:b, s:b}", "namespace", mpio_namespace(v),
						 "volume", info->name, "size", (json_int_t)info->size,
						 "wanted", r && r->attach, "alone", r && r->exclusive));
}

static void query_list(void *arg)
{
	struct list_query *q = arg;

	client_each_volume(q->client, add_volume, q);
}

/* [{"namespace", "volume", "size", "wanted", "alone"}] */
static json_t *list_volumes(struct devices *d)
{
	struct list_query q = { d->client, json_array() };

	loop_call(d->client->loop, query_list, &q);
	return q.list;
}

/* Requests. */

static const char *member(const json_t *j, const char *name)
{
	return json_string_value(json_object_get(j, name));
}

static json_t *ask(struct devices *d, const char *what, const struct volume_query *q, bool force,
		   struct err *e)
{
	if (geteuid() != 0) {
		err_set(e, EPERM, "block devices need an rsiod that root started");
		return NULL;
	}
	return helper_call(d->helper, json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:b, s:b, s:i}", "do", what,
						"mount", d->client->mount_dir, "namespace", q->namespace,
						"volume", q->volume, "av", (int)q->info.av,
						"size", (json_int_t)q->info.size, "read_only",
						(int)(q->info.flags & WIRE_FLAG_READ_ONLY), "force",
						(int)force, "block_size", (int)q->info.block_size), e);
}

/* A device that was cut off gives errors for good: another one is made, when nobody has it. */
static int replace_cut(struct devices *d, const struct volume_query *q, struct err *e)
{
	struct err why = { 0 };
	json_t *j = ask(d, "detach", q, false, &why);

	if (!j) {
		err_set(e, why.code, "its namespace was started anew, and the old device gives errors only: %s", why.text);
		err_next(e, "end that, then attach again");
		return -why.code;
	}
	log_info("attach", "%s:%s is detached from %s, which was cut off", q->namespace, q->volume, member(j, "loop"));
	json_decref(j);
	return 0;
}

json_t *devices_attach(struct devices *d, const char *namespace, const char *volume, bool alone, struct err *e)
{
	struct volume_query q = { .client = d->client, .namespace = namespace, .volume = volume };
	struct mark_query m = { d->client, 0 };
	struct err why;
	json_t *j;

	loop_call(d->client->loop, query_volume, &q);
	if (!q.found) {
		err_set(e, ENOENT, "no server offers %s:%s", namespace, volume);
		err_next(e, "rsconfig -q shows what there is");
		return NULL;
	}
	if (q.cut && replace_cut(d, &q, e) < 0)
		return NULL;
	if (alone && reserve_alone(d->client, namespace, volume, true, e) < 0)
		return NULL;
	j = ask(d, "attach", &q, false, e);
	m.opener = (pid_t)json_integer_value(json_object_get(j, "opener"));
	if (m.opener > 0)
		loop_call(d->client->loop, mark, &m);
	if (j)
		log_info("attach", "%s:%s is %s (%s)", namespace, volume, member(j, "block"), member(j, "loop"));
	if (!j && alone)
		reserve_alone(d->client, namespace, volume, false, &why);
	json_object_del(j, "opener");
	client_wake(d->client);
	return j;
}

json_t *devices_detach(struct devices *d, const char *namespace, const char *volume, bool force,
		       struct err *e)
{
	struct volume_query q = { .client = d->client, .namespace = namespace, .volume = volume,
				  .fail = force };
	struct err why;
	json_t *j;

	/* Nothing that waits for the volume may stand in the way of taking its device away. */
	if (force)
		loop_call(d->client->loop, query_volume, &q);
	j = ask(d, "detach", &q, force, e);
	if (j)
		log_info("attach", "%s:%s is detached from %s%s", namespace, volume, member(j, "loop"),
			 force ? " by force" : "");
	if (j && reserve_alone(d->client, namespace, volume, false, &why) < 0)
		log_warning("attach", "%s:%s stays reserved: %s", namespace, volume, why.text);
	client_wake(d->client);
	return j;
}

static json_t *names_of(json_t *list)
{
	json_t *names = json_array(), *v;
	char text[CONF_NAME_MAX + CONF_VOLUME_MAX + 2];
	size_t i;

	json_array_foreach(list, i, v) {
		join(text, sizeof text, member(v, "namespace"), member(v, "volume"));
		json_array_append_new(names, json_string(text));
	}
	json_decref(list);
	return names;
}

json_t *devices_offered(struct devices *d)
{
	return names_of(list_volumes(d));
}

json_t *devices_attached(struct devices *d)
{
	return names_of(attach_list(d->client->mount_dir));
}

/* Keeping up. */

struct keep_query {
	struct client *client;
	json_t *devices;
};

static void keep_devices(void *arg)
{
	struct keep_query *q = arg;

	json_decref(q->client->devices);
	q->client->devices = q->devices;
}

static json_t *device_of(const json_t *attached, const json_t *volume)
{
	json_t *dev;
	size_t i;

	json_array_foreach(attached, i, dev)
		if (strcmp(member(dev, "namespace"), member(volume, "namespace")) == 0 &&
		    strcmp(member(dev, "volume"), member(volume, "volume")) == 0)
			return dev;
	return NULL;
}

static void follow_size(struct devices *d, const json_t *volume, const json_t *device)
{
	struct volume_query q = { .namespace = member(volume, "namespace"), .volume = member(volume, "volume") };
	struct err e = { 0 };
	json_t *j;

	q.info.size = (uint64_t)json_integer_value(json_object_get(volume, "size"));
	if ((uint64_t)json_integer_value(json_object_get(device, "size")) == loopdev_size(q.info.size))
		return;
	j = ask(d, "resize", &q, false, &e);
	if (j)
		log_info("attach", "%s has %llu bytes now", member(j, "loop"), (unsigned long long)q.info.size);
	else
		log_error("attach", "%s", e.text);
	json_decref(j);
}

/* It is another client's, or its server does not answer: it may be had later.  Said once.  A client
 * that gives a reservation up is noticed, one that merely has the volume open is not: that is
 * asked again. */
static bool wait_for_it(struct devices *d, const char *name, const struct err *e)
{
	if (e->code != EBADE && e->code != ETIMEDOUT)
		return false;
	if (!json_object_get(d->refused, name))
		log_warning("attach", "%s is not attached yet: %s", name, e->text);
	json_object_set_new(d->refused, name, json_true());
	d->ask_again |= e->code == EBADE;
	return true;
}

/* Once each time it comes: what an administrator detached stays so. */
static void attach_wanted(struct devices *d, const json_t *volume, bool attached)
{
	bool alone = json_is_true(json_object_get(volume, "alone"));
	char name[CONF_NAME_MAX + CONF_VOLUME_MAX + 2];
	struct err e = { 0 };
	json_t *j;

	join(name, sizeof name, member(volume, "namespace"), member(volume, "volume"));
	if (!json_is_true(json_object_get(volume, "wanted")) || json_object_get(d->tried, name))
		return;
	j = attached ? NULL : devices_attach(d, member(volume, "namespace"), member(volume, "volume"), alone, &e);
	if (!attached && !j && alone && wait_for_it(d, name, &e))
		return;
	json_object_set_new(d->tried, name, json_true());
	json_object_del(d->refused, name);
	if (!attached && !j)
		log_error("attach", "%s: %s", name, e.text);
	json_decref(j);
}

/* Forgets what is not offered any more. */
static void forget_gone(struct devices *d, const json_t *volumes)
{
	char name[CONF_NAME_MAX + CONF_VOLUME_MAX + 2];
	json_t *kept = json_object(), *v;
	size_t i;

	json_array_foreach(volumes, i, v) {
		join(name, sizeof name, member(v, "namespace"), member(v, "volume"));
		if (json_object_get(d->tried, name))
			json_object_set_new(kept, name, json_true());
	}
	json_decref(d->tried);
	d->tried = kept;
}

bool devices_look(struct devices *d)
{
	json_t *volumes = list_volumes(d), *attached = attach_list(d->client->mount_dir), *v;
	struct keep_query keep = { d->client, NULL };
	bool again;
	size_t i;

	pthread_mutex_lock(&d->lock);
	d->ask_again = false;
	forget_gone(d, volumes);
	json_array_foreach(volumes, i, v) {
		json_t *device = device_of(attached, v);

		attach_wanted(d, v, device != NULL);
		if (device)
			follow_size(d, v, device);
	}
	again = d->ask_again;
	pthread_mutex_unlock(&d->lock);
	json_decref(volumes);
	json_decref(attached);
	keep.devices = attach_list(d->client->mount_dir);
	loop_call(d->client->loop, keep_devices, &keep);
	return again;
}
