/* reload.c - see reload.h. */
#include <stdlib.h>
#include <string.h>
#include "conf_change.h"
#include "log.h"
#include "reload.h"

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
		enum conf_change what;
		bool new_key;

		if (m->stopping || m->config == config)
			continue;
		if (n == conf->namespace_count) {
			log_info("reload", "namespace %s is not configured any more", namespace_name(m->ns));
			client_stop(c, m, NULL, NULL);
			continue;
		}
		new_key = !conf_same_key(&m->config->conf->namespaces[m->n].key, &conf->namespaces[n].key);
		what = conf_change(m->config->conf, m->n, conf, n);
		if (what == CONF_CHANGE_SESSIONS || (what == CONF_CHANGE_PATHS && !change_paths(m, config, n)))
			change(c, m, config, n);
		else if (new_key)
			take_key(m, &conf->namespaces[n].key);
	}
}
