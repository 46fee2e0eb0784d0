/* namespace_reload.c - another configuration for a namespace that runs. */
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "namespace_impl.h"

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The portal's place in the configuration, or -1. */
static int find_portal(const struct conf_namespace *c, const struct conf_portal *portal)
{
	for (size_t i = 0; i < c->portal_count; i++)
		if (!strcmp(c->portals[i].name, portal->name) && !strcmp(c->portals[i].address, portal->address))
			return (int)i;
	return -1;
}

static int find_interface(const struct conf_client *c, const struct conf_interface *f)
{
	for (size_t i = 0; i < c->interface_count; i++) {
		const struct conf_interface *g = &c->interfaces[i];

		if (!strcmp(f->name, g->name) && same_text(f->address, g->address) && same_text(f->device, g->device))
			return (int)i;
	}
	return -1;
}

/* Are all servers that are in use named still?  One that goes takes its volumes along. */
static bool all_named(const struct namespace *ns, const struct conf_namespace *c)
{
	struct list *l;

	list_each(l, &ns->sessions) {
		const struct session *s = container_of(l, struct session, link);
		bool named = false;

		for (size_t i = 0; i < ns->path_count; i++) {
			const struct path *p = ns->paths[i];

			named |= p->session == s && !p->setup.learned && !way_of(p)->obsolete &&
				 find_portal(c, p->setup.portal) >= 0;
		}
		if (!named)
			return false;
	}
	return true;
}

/* The path's place in the new configuration; false: it has none. */
static bool place(const struct namespace *ns, struct path *p)
{
	const struct way *w = way_of(p);
	struct path_setup *s = &p->setup;
	int interface = s->interface ? find_interface(ns->client, s->interface) : ns->client->interface_count ? -1 : 0;
	int portal = w->learned ? 0 : find_portal(ns->conf, s->portal);
	const struct conf_interface *f;

	if (interface < 0 || portal < 0 || w->obsolete)
		return false;
	f = s->interface ? &ns->client->interfaces[interface] : NULL;
	if (!w->learned && conf_client_port(ns->client, ns->conf, f, &ns->conf->portals[portal]) != s->port)
		return false;
	s->interface_number = (unsigned)interface;
	s->order = namespace_order(ns, p, (size_t)portal);
	return true;
}

/* What was chosen for interfaces goes by their names. */
static void renumber(struct namespace *ns, const struct conf_client *old)
{
	int was[CONF_IFACE_MAX];

	for (size_t i = 0; i < CONF_IFACE_MAX; i++) {
		was[i] = -1;
		for (size_t k = 0; i < ns->client->interface_count && k < old->interface_count; k++)
			if (!strcmp(ns->client->interfaces[i].name, old->interfaces[k].name))
				was[i] = (int)k;
	}
	namespace_renumber(ns, was);
}

static void place_all(struct namespace *ns)
{
	for (size_t i = 0; i < ns->path_count; i++) {
		struct path *p = ns->paths[i];

		p->setup.client = ns->client;
		p->setup.namespace = ns->conf;
		if (place(ns, p))
			continue;
		log_info(ns->name, "path %s is not in the configuration any more", p->setup.name);
		way_of(p)->obsolete = true;
		namespace_retire(ns, p);
	}
}

bool namespace_reload(struct namespace *ns, const struct conf_client *conf, size_t n)
{
	const struct conf_client *old = ns->client;
	struct list *l;

	if (ns->stopped || !all_named(ns, &conf->namespaces[n]))
		return false;
	ns->client = conf;
	ns->conf = &conf->namespaces[n];
	renumber(ns, old);
	place_all(ns);
	namespace_sort_paths(ns);
	if (namespace_make_paths(ns) < 0)
		log_error(ns->name, "no memory for the paths of the new configuration");
	namespace_start_paths(ns);
	namespace_make_learned(ns);
	/* What it does not name any more may be what a server tells of. */
	list_each(l, &ns->sessions) {
		struct session *s = container_of(l, struct session, link);

		session_sort(s);
		if (s->up)
			session_list(s);
	}
	return true;
}
