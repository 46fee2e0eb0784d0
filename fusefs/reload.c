/* reload.c - see reload.h. */
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "reload.h"

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_interfaces(const struct conf_client *a, const struct conf_client *b)
{
	if (a->interface_count != b->interface_count)
		return false;
	for (size_t i = 0; i < a->interface_count; i++) {
		const struct conf_interface *x = &a->interfaces[i], *y = &b->interfaces[i];

		if (strcmp(x->name, y->name) || !same_text(x->address, y->address) ||
		    !same_text(x->device, y->device) || x->port != y->port)
			return false;
	}
	return true;
}

static bool same_portals(const struct conf_namespace *a, const struct conf_namespace *b)
{
	if (a->portal_count != b->portal_count)
		return false;
	for (size_t i = 0; i < a->portal_count; i++) {
		const struct conf_portal *x = &a->portals[i], *y = &b->portals[i];

		if (strcmp(x->name, y->name) || !same_text(x->address, y->address) || x->port != y->port)
			return false;
	}
	return true;
}

static bool same_behaviour(const struct conf_behaviour *a, const struct conf_behaviour *b)
{
	return a->security == b->security && a->policy == b->policy && a->detect == b->detect &&
	       a->retry == b->retry && a->probation == b->probation && a->give_up == b->give_up && a->on_loss == b->on_loss &&
	       a->learn_portals == b->learn_portals && a->payload_crc == b->payload_crc &&
	       a->poll == b->poll && shares_equal(&a->shares, &b->shares);
}

/* attach is ours to see to, and no reason to end a session. */
static bool matters(const struct conf_volume_rule *r, const char *namespace)
{
	return strcmp(r->namespace, namespace) == 0 && (r->has_policy || r->has_on_loss || r->shares.count);
}

/* The next rule of a namespace from i on; count when there is none. */
static size_t next_rule(const struct conf_client *c, const char *namespace, size_t i)
{
	while (i < c->volume_count && !matters(&c->volumes[i], namespace))
		i++;
	return i;
}

static bool same_rules(const struct conf_client *a, const struct conf_client *b, const char *namespace)
{
	size_t i = next_rule(a, namespace, 0), j = next_rule(b, namespace, 0);

	for (; i < a->volume_count && j < b->volume_count;
	     i = next_rule(a, namespace, i + 1), j = next_rule(b, namespace, j + 1)) {
		const struct conf_volume_rule *x = &a->volumes[i], *y = &b->volumes[j];

		if (strcmp(x->name, y->name) || x->has_policy != y->has_policy ||
		    (x->has_policy && x->policy != y->policy) || x->has_on_loss != y->has_on_loss ||
		    (x->has_on_loss && x->on_loss != y->on_loss) || !shares_equal(&x->shares, &y->shares))
			return false;
	}
	return i >= a->volume_count && j >= b->volume_count;
}

enum reload_change reload_change(const struct conf_client *one, size_t a, const struct conf_client *other, size_t b)
{
	const struct conf_namespace *x = &one->namespaces[a], *y = &other->namespaces[b];

	if (strcmp(x->name, y->name) != 0 || x->id != y->id || strcmp(x->nodename, y->nodename) != 0 ||
	    !same_behaviour(&x->behaviour, &y->behaviour) || !same_rules(one, other, x->name))
		return RELOAD_SESSIONS;
	return x->port == y->port && one->port == other->port && same_interfaces(one, other) && same_portals(x, y) ?
		RELOAD_NOTHING : RELOAD_PATHS;
}

/* A namespace of the new configuration that waits for its old self to end. */
struct restart {
	struct client *client;
	struct config *config;
	size_t n;
};

static void start(struct client *c, struct config *config, size_t n)
{
	struct err e = { 0 };

	if (client_start(c, config, n, &e) < 0)
		log_error("reload", "%s", e.text);
	else
		log_info("reload", "namespace %s is started", config->conf->namespaces[n].name);
}

static void restart(void *arg)
{
	struct restart *r = arg;

	start(r->client, r->config, r->n);
	config_put(r->config);
	free(r);
}

static size_t find(const struct conf_client *conf, const char *name)
{
	size_t i = 0;

	while (i < conf->namespace_count && strcmp(conf->namespaces[i].name, name) != 0)
		i++;
	return i;
}

/* m ends, and starts anew as namespace n of config. */
static void change(struct client *c, struct member *m, struct config *config, size_t n)
{
	struct restart *r = calloc(1, sizeof *r);

	if (!r) {
		log_error("reload", "no memory: namespace %s stays as it is", namespace_name(m->ns));
		return;
	}
	*r = (struct restart){ c, config, n };
	config->users++;
	if (!m->stopping) {
		log_info("reload", "namespace %s changed: its sessions end", namespace_name(m->ns));
		client_stop(c, m, restart, r);
		return;
	}
	if (m->stopped == restart) {	/* what was to follow is overtaken */
		config_put(((struct restart *)m->stopped_arg)->config);
		free(m->stopped_arg);
	}
	m->stopped = restart;
	m->stopped_arg = r;
}

/* The namespace takes it over as it runs; false: it cannot. */
static bool change_paths(struct member *m, struct config *config, size_t n)
{
	if (!namespace_reload(m->ns, config->conf, n))
		return false;
	log_info("reload", "namespace %s has other interfaces or portals: its sessions stay", namespace_name(m->ns));
	config_put(m->config);
	config->users++;
	m->config = config;
	m->n = n;
	return true;
}

static void start_missing(struct client *c, struct config *config, size_t n)
{
	const char *name = config->conf->namespaces[n].name;
	struct list *pos;

	list_each(pos, &c->members) {
		struct member *m = container_of(pos, struct member, link);

		if (strcmp(namespace_name(m->ns), name) != 0)
			continue;
		if (m->stopping)
			change(c, m, config, n);
		return;
	}
	start(c, config, n);
}

/* A key alone ends nothing: the paths log in with the new one, one after another. */
static void take_key(struct member *m, const struct conf_key *key)
{
	m->config->conf->namespaces[m->n].key = *key;
	log_info("reload", "namespace %s: its key changed, its paths log in anew", namespace_name(m->ns));
	namespace_key_changed(m->ns);
}

void reload_apply(struct client *c, struct config *config)
{
	const struct conf_client *conf = config->conf;
	struct list *pos, *keep;

	for (size_t i = 0; i < conf->namespace_count; i++)
		start_missing(c, config, i);
	list_each_safe(pos, keep, &c->members) {
		struct member *m = container_of(pos, struct member, link);
		size_t n = find(conf, namespace_name(m->ns));
		enum reload_change what;
		bool new_key;

		if (m->stopping || m->config == config)
			continue;
		if (n == conf->namespace_count) {
			log_info("reload", "namespace %s is not configured any more", namespace_name(m->ns));
			client_stop(c, m, NULL, NULL);
			continue;
		}
		new_key = !conf_same_key(&m->config->conf->namespaces[m->n].key, &conf->namespaces[n].key);
		what = reload_change(m->config->conf, m->n, conf, n);
		if (what == RELOAD_SESSIONS || (what == RELOAD_PATHS && !change_paths(m, config, n)))
			change(c, m, config, n);
		else if (new_key)
			take_key(m, &conf->namespaces[n].key);
	}
}
