/* conf_client.c - what the client's sections mean together. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "secure.h"
#include "conf_impl.h"

#define PORTALS_MAX (CONF_SERVER_MAX * CONF_IFACE_MAX)

/* Timeouts. */

static const char *where_from(const struct conf_section *s, const char *key)
{
	return conf_has(s, key) ? "" : " (not set here)";
}

/* The durations work together.  They are looked at where one of them, or
 * on-loss, is set: a mistake in [defaults] is not repeated for each namespace. */
static void check_timeouts(struct conf_parse *p, const struct conf_section *s,
			   const struct conf_behaviour *b)
{
	bool detect = conf_has(s, "detect");

	if ((detect || conf_has(s, "retry")) && b->retry > b->detect) {
		const char *key = conf_has(s, "retry") ? "retry" : "detect";

		conf_key_mistake(p, s, key, "retry %gs%s must not be longer than detect %gs%s",
				 b->retry, where_from(s, "retry"), b->detect,
				 where_from(s, "detect"));
	}
	if ((detect || conf_has(s, "give-up") || conf_has(s, "on-loss")) &&
	    b->on_loss != CONF_ON_LOSS_QUEUE && b->give_up <= b->detect) {
		const char *key = conf_has(s, "give-up") ? "give-up" :
				  detect ? "detect" : "on-loss";

		conf_key_mistake(p, s, key,
				 "give-up %gs%s must be longer than detect %gs%s, "
				 "unless on-loss = queue",
				 b->give_up, where_from(s, "give-up"),
				 b->detect, where_from(s, "detect"));
	}
	/* It would be over before the next loss could be noticed. */
	if ((detect || conf_has(s, "probation")) && b->probation > 0 && b->probation < b->detect)
		conf_key_mistake(p, s, conf_has(s, "probation") ? "probation" : "detect",
				 "probation %gs%s must be 0 or not shorter than detect %gs%s",
				 b->probation, where_from(s, "probation"), b->detect,
				 where_from(s, "detect"));
}

/* [defaults] */

static void read_defaults(struct conf_parse *p, struct conf_defaults *d)
{
	conf_fill_defaults(p, CONF_FILE_CLIENT, "defaults", d);
	for (size_t i = 0; i < p->section_count; i++) {
		const struct conf_section *s = &p->sections[i];

		if (!conf_is_kind(s, "defaults"))
			continue;
		if (conf_fill(p, s, d))
			check_timeouts(p, s, &d->behaviour);
	}
}

/* [interface NAME] */

static void check_interface(struct conf_parse *p, const struct conf_section *s,
			    const struct conf_client *c, const struct conf_interface *i)
{
	bool address = conf_has(s, "address"), device = conf_has(s, "device");

	if (!address && !device)
		conf_mistake(p, s->line, s, "address", "is missing (address or device)");
	if (address && device)
		conf_key_mistake(p, s, "device", "address and device exclude each other");
	if (i->address && (strcmp(i->address, "0.0.0.0") == 0 || strcmp(i->address, "::") == 0))
		conf_key_mistake(p, s, "address",
				 "an interface has an address of its own; without any "
				 "[interface] the kernel chooses");
	for (const struct conf_interface *other = c->interfaces; other < i; other++) {
		if (i->address && other->address && strcmp(i->address, other->address) == 0)
			conf_key_mistake(p, s, "address", "is the address of [interface %s] too",
					 other->name);
		if (i->device && other->device && strcmp(i->device, other->device) == 0)
			conf_key_mistake(p, s, "device", "is the device of [interface %s] too",
					 other->name);
	}
}

static void add_interface(struct conf_parse *p, const struct conf_section *s, struct conf_client *c)
{
	struct conf_interface *i;

	if (c->interface_count == CONF_IFACE_MAX) {
		conf_section_mistake(p, s, "more than %d interfaces", CONF_IFACE_MAX);
		return;
	}
	i = &c->interfaces[c->interface_count++];
	conf_copy_name(i->name, s);
	i->line = s->line;
	conf_fill(p, s, i);
	check_interface(p, s, c, i);
}

/* [namespace NAME] and the [server NAME] sections below it. */

static void add_namespace(struct conf_parse *p, const struct conf_section *s, struct conf_client *c,
			  const struct conf_defaults *d)
{
	struct conf_namespace *ns = &c->namespaces[c->namespace_count++];

	conf_copy_name(ns->name, s);
	ns->line = s->line;
	ns->id = -1;
	ns->behaviour = d->behaviour;
	ns->manage = d->manage;
	if (conf_fill(p, s, ns))
		check_timeouts(p, s, &ns->behaviour);
	ns->key.line = conf_key_line(s, "nodekey");
	for (const struct conf_namespace *other = c->namespaces; other < ns; other++) {
		if (ns->id >= 0 && other->id == ns->id) {
			conf_key_mistake(p, s, "namespaceid", "is the id of [namespace %s] too",
					 other->name);
			break;
		}
	}
}

/* Where nothing nearer is set, the interface's port counts for both alike. */
static void check_portal(struct conf_parse *p, const struct conf_section *s,
			 const struct conf_client *c, const struct conf_namespace *ns,
			 const struct conf_portal *portal)
{
	int port = conf_client_port(c, ns, NULL, portal);

	if (!portal->address)
		return;
	for (const struct conf_portal *other = ns->portals; other < portal; other++) {
		if (other->address && strcasecmp(other->address, portal->address) == 0 &&
		    conf_client_port(c, ns, NULL, other) == port) {
			conf_key_mistake(p, s, "address",
					 "is the address and port of [server %s] too", other->name);
			return;
		}
	}
}

/* The namespace's next portal; NULL when there is none to be had. */
static struct conf_portal *next_portal(struct conf_parse *p, const struct conf_section *s,
				       struct conf_namespace *ns)
{
	if (!ns) {
		conf_section_mistake(p, s,
				     "stands above the first [namespace]; a server belongs to "
				     "the namespace above it");
		return NULL;
	}
	if (ns->portal_count == PORTALS_MAX) {
		conf_section_mistake(p, s, "more than %d portals in [namespace %s]", PORTALS_MAX,
				     ns->name);
		return NULL;
	}
	return conf_more(p, &ns->portals, &ns->portal_count, sizeof(struct conf_portal));
}

static void add_portal(struct conf_parse *p, const struct conf_section *s, struct conf_client *c)
{
	struct conf_namespace *ns = NULL;
	struct conf_portal stray = { .line = 0 }, *portal;

	if (c->namespace_count)
		ns = &c->namespaces[c->namespace_count - 1];
	portal = next_portal(p, s, ns);
	if (!portal) {
		conf_fill(p, s, &stray);	/* for what else is wrong with it */
		free(stray.address);
		return;
	}
	conf_copy_name(portal->name, s);
	portal->line = s->line;
	conf_fill(p, s, portal);
	check_portal(p, s, c, ns, portal);
}

/* [volume NS:NAME] */

static void unknown_namespace(struct conf_parse *p, const struct conf_section *s,
			      const struct conf_client *c, const char *name)
{
	const char **names = conf_zeroed(p, c->namespace_count + 1, sizeof(*names));
	char hint[80];

	if (!names)
		return;
	for (size_t i = 0; i < c->namespace_count; i++)
		names[i] = c->namespaces[i].name;
	conf_section_mistake(p, s, "there is no [namespace %s]%s", name,
			     conf_hint(hint, sizeof(hint), name, names));
	free(names);
}

static void check_volume(struct conf_parse *p, const struct conf_section *s,
			 const struct conf_client *c, const struct conf_volume_rule *v)
{
	const struct conf_namespace *ns = c->namespaces, *end = ns + c->namespace_count;

	if (!*s->name)
		return;
	while (ns < end && strcmp(ns->name, v->namespace) != 0)
		ns++;
	if (ns == end) {
		unknown_namespace(p, s, c, v->namespace);
		return;
	}
	if (v->exclusive && !v->attach)
		conf_key_mistake(p, s, "exclusive", "needs attach = yes: it is about the block device that that makes");
	/* The namespace itself could do without: it queues. */
	if (v->has_on_loss && v->on_loss != CONF_ON_LOSS_QUEUE &&
	    ns->behaviour.on_loss == CONF_ON_LOSS_QUEUE &&
	    ns->behaviour.give_up <= ns->behaviour.detect)
		conf_key_mistake(p, s, "on-loss",
				 "needs a give-up in [namespace %s] (%gs) that is longer than "
				 "detect (%gs)", ns->name, ns->behaviour.give_up,
				 ns->behaviour.detect);
}

static void add_volume(struct conf_parse *p, const struct conf_section *s, struct conf_client *c)
{
	struct conf_volume_rule *v = conf_more(p, &c->volumes, &c->volume_count, sizeof(*v));

	if (!v)
		return;
	v->line = s->line;
	conf_split_volume(s->name, v->namespace, v->name, NULL);
	conf_fill(p, s, v);
	v->has_policy = conf_has(s, "policy");
	v->has_on_loss = conf_has(s, "on-loss");
	check_volume(p, s, c, v);
}

bool conf_client_manages(const struct conf_client *c, const char *namespace)
{
	for (size_t i = 0; i < c->namespace_count; i++)
		if (strcmp(c->namespaces[i].name, namespace) == 0)
			return c->namespaces[i].manage;
	return false;
}

static void own_add(struct conf_own *own, const struct conf_own *said)
{
	if (said->has_uid)
		own->uid = said->uid;
	if (said->has_gid)
		own->gid = said->gid;
	if (said->has_mode)
		own->mode = said->mode;
	own->has_uid |= said->has_uid;
	own->has_gid |= said->has_gid;
	own->has_mode |= said->has_mode;
}

struct conf_own conf_own_of(const struct conf_client *c, const char *namespace, const char *volume)
{
	struct conf_own own = { .has_uid = false };

	for (size_t i = 0; i < c->namespace_count; i++)
		if (strcmp(c->namespaces[i].name, namespace) == 0)
			own_add(&own, &c->namespaces[i].own);
	for (size_t i = 0; i < c->volume_count; i++)
		if (strcmp(c->volumes[i].namespace, namespace) == 0 && strcmp(c->volumes[i].name, volume) == 0)
			own_add(&own, &c->volumes[i].own);
	return own;
}

/* The whole. */

const char *conf_unknown_interface(const struct conf_client *c, const struct shares *s)
{
	for (size_t i = 0; i < s->count; i++) {
		size_t k = 0;

		while (k < c->interface_count && strcmp(c->interfaces[k].name, s->of[i].interface))
			k++;
		if (k == c->interface_count)
			return s->of[i].interface;
	}
	return NULL;
}

void conf_interface_names(const struct conf_client *c, char *out, size_t size)
{
	size_t used = 0;

	*out = 0;
	for (size_t i = 0; i < c->interface_count && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", c->interfaces[i].name);
}

/* What is said of interfaces must be said of those that there are. */
static void check_shares(struct conf_parse *p, const struct conf_section *s, const struct conf_client *c,
			 const struct shares *shares)
{
	const char *unknown = conf_unknown_interface(c, shares), *key;
	char names[CONF_IFACE_MAX * (CONF_NAME_MAX + 2) + 1];

	if (!unknown || (!conf_has(s, "weight") && !conf_has(s, "standby")))
		return;
	key = shares_of(shares, unknown).weight && conf_has(s, "weight") ? "weight" : "standby";
	conf_interface_names(c, names, sizeof names);
	conf_key_mistake(p, s, key, "there is no [interface %s]; there is %s", unknown, *names ? names : "none at all");
}

/* After all sections were read: interfaces may stand below what speaks of them. */
static void check_all_shares(struct conf_parse *p, const struct conf_client *c, const struct conf_defaults *d)
{
	size_t ns = 0, volume = 0;

	for (size_t i = 0; i < p->section_count; i++) {
		const struct conf_section *s = &p->sections[i];

		if (conf_is_kind(s, "defaults"))
			check_shares(p, s, c, &d->behaviour.shares);
		else if (conf_is_kind(s, "namespace") && ns < c->namespace_count)
			check_shares(p, s, c, &c->namespaces[ns++].behaviour.shares);
		else if (conf_is_kind(s, "volume") && volume < c->volume_count)
			check_shares(p, s, c, &c->volumes[volume++].shares);
	}
}

static void check_whole(struct conf_parse *p, const struct conf_client *c)
{
	if (!c->namespace_count)
		conf_end_mistake(p, "there is no [namespace NAME] section");
	for (size_t i = 0, n = 0; i < p->section_count; i++) {
		if (!conf_is_kind(&p->sections[i], "namespace"))
			continue;
		if (!c->namespaces[n++].portal_count)
			conf_mistake(p, p->sections[i].line, &p->sections[i], NULL,
				     "has no [server NAME] section below it");
	}
}

static size_t count_kind(const struct conf_parse *p, const char *kind)
{
	size_t count = 0;

	for (size_t i = 0; i < p->section_count; i++)
		count += conf_is_kind(&p->sections[i], kind);
	return count;
}

struct conf_client *conf_client_build(struct conf_parse *p)
{
	struct conf_client *c = conf_zeroed(p, 1, sizeof(*c));
	struct conf_defaults d = { .port = 0 };

	if (!c)
		return NULL;
	c->path = conf_dup(p, p->path);
	/* Of the right size at once: a copy that grew would leave keys behind. */
	c->namespaces = conf_secret(p, count_kind(p, "namespace"), sizeof(*c->namespaces));
	if (!c->namespaces)
		return c;
	read_defaults(p, &d);
	c->mount = d.mount;
	c->admin_group = d.admin_group;
	c->allow_other = d.allow_other;
	c->on_event = d.on_event;
	c->port = d.port;
	for (size_t i = 0; i < p->section_count; i++) {
		const struct conf_section *s = &p->sections[i];

		if (conf_is_kind(s, "interface"))
			add_interface(p, s, c);
		else if (conf_is_kind(s, "namespace"))
			add_namespace(p, s, c, &d);
		else if (conf_is_kind(s, "server"))
			add_portal(p, s, c);
	}
	/* Rules may stand above the namespace that they speak of. */
	for (size_t i = 0; i < p->section_count; i++)
		if (conf_is_kind(&p->sections[i], "volume"))
			add_volume(p, &p->sections[i], c);
	check_all_shares(p, c, &d);
	check_whole(p, c);
	c->key_files = p->key_files;
	p->key_files = NULL;
	return c;
}

int conf_client_port(const struct conf_client *c, const struct conf_namespace *ns,
		     const struct conf_interface *interface, const struct conf_portal *portal)
{
	if (portal->port)
		return portal->port;
	if (interface && interface->port)
		return interface->port;
	return ns->port ? ns->port : c->port;
}

void conf_client_free(struct conf_client *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->interface_count; i++) {
		free(c->interfaces[i].address);
		free(c->interfaces[i].device);
	}
	for (size_t i = 0; i < c->namespace_count; i++) {
		struct conf_namespace *ns = &c->namespaces[i];

		for (size_t k = 0; k < ns->portal_count; k++)
			free(ns->portals[k].address);
		free(ns->portals);
	}
	secure_free(c->namespaces);
	conf_list_free(c->key_files);
	free(c->volumes);
	free(c->mount);
	free(c->admin_group);
	free(c->on_event);
	free(c->path);
	free(c);
}
