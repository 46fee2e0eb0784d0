/* namespace_paths.c - every client interface with every portal: the paths are made here,
 * and what they tell goes to the sessions. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "namespace_impl.h"

static struct session *session_of(struct namespace *ns, struct path *p, const struct wire_welcome *w)
{
	struct session *s;
	struct list *l;

	list_each(l, &ns->sessions) {
		s = container_of(l, struct session, link);
		if (s->server_id != w->server_id)
			continue;
		if (!strcmp(s->name, w->server))
			return s;
		path_refuse(p, "server %s has id %d, which server %s has too; each needs one of its own", w->server,
			    w->server_id, s->name);
		return NULL;
	}
	s = session_new(ns->loop, w, &namespace_session_ops, ns);
	if (!s) {
		path_refuse(p, "no memory for a session");
		return NULL;
	}
	s->choice = ns->choice;
	s->loss.fire = namespace_give_up_passed;
	list_append(&ns->sessions, &s->link);
	return s;
}

static int path_welcome(void *owner, struct path *p, const struct wire_welcome *w, uint8_t join[WIRE_SESSION_SIZE])
{
	struct namespace *ns = owner;
	struct session *s = namespace_check_learned(p, w) < 0 ? NULL : session_of(ns, p, w);
	int go;

	if (!s)
		return -EADDRINUSE;
	if (p->session && p->session != s) {	/* the portal leads to another server now */
		session_path_gone(p->session, p);
		p->session = NULL;
	}
	go = session_welcome(s, p, w, join);
	if (go >= 0)	/* else it stays among those that belong to nobody */
		p->session = s;
	return go;
}

static void path_up(void *owner, struct path *p, const struct wire_granted *g)
{
	(void)owner;
	session_path_up(p->session, p, g);
}

static void path_answered(void *owner, struct path *p, struct command *c, const struct wire_reply *r, const uint8_t *payload)
{
	(void)owner;
	session_answered(p->session, p, c, r, payload);
}

static void path_down(void *owner, struct path *p)
{
	(void)owner;
	if (p->session)
		session_path_down(p->session, p);
}

static void path_event_in(void *owner, struct path *p, const uint8_t *payload, uint32_t length)
{
	(void)owner;
	session_event(p->session, p, payload, length);
}

static void path_dirty(void *owner, struct path *p)
{
	struct namespace *ns = owner;

	list_append(&ns->dirty, &p->to_send);
}

void namespace_tell_stopped(void *arg)
{
	struct namespace *ns = arg;

	ns->stopped(ns->stopped_arg);
}

static void path_changed(void *owner, struct path *p)
{
	struct namespace *ns = owner;

	if (p->session)		/* suspect or not any more: commands may wait for another way */
		session_look_again(p->session);
	ns->ops->changed(ns->arg, ns);
	if (!ns->stopped || ns->freed)
		return;
	for (size_t i = 0; i < ns->path_count; i++)
		if (ns->paths[i]->state != PATH_STOPPED)
			return;
	loop_post(ns->loop, namespace_tell_stopped, ns);
}

static enum path_others path_others(void *owner, const struct path *p)
{
	const struct namespace *ns = owner;
	struct list *l;

	if (p->session && session_has_other(p->session, p, p->pinged))
		return PATH_OTHER_PATH;
	list_each(l, &ns->sessions) {
		struct session *s = container_of(l, struct session, link);

		if (s != p->session && session_has_other(s, NULL, p->pinged))
			return PATH_OTHER_SERVER;
	}
	return PATH_ALONE;
}

static const struct path_ops path_ops = {
	.welcome = path_welcome, .up = path_up, .answered = path_answered, .down = path_down,
	.event = path_event_in, .dirty = path_dirty, .changed = path_changed, .others = path_others,
};

/* The addresses of the interfaces, each looked at once. */
struct looked_at {
	struct sock_addr at;
	bool gone;
};

static bool address_gone(const struct path *p, struct looked_at seen[CONF_IFACE_MAX])
{
	struct looked_at *k = &seen[p->setup.interface_number];

	if (!p->setup.interface || !p->from.length || p->fd < 0)
		return false;
	if (!k->at.length || !sock_equal_host(&k->at, &p->from))
		*k = (struct looked_at){ p->from, sock_is_gone(&p->from) };
	return k->gone;
}

void namespace_kick(struct namespace *ns)
{
	struct looked_at seen[CONF_IFACE_MAX] = { 0 };

	for (size_t i = 0; i < ns->path_count; i++) {
		struct path *p = ns->paths[i];

		if (address_gone(p, seen))
			path_lost(p, "interface %s: its address is gone", p->setup.interface->name);
		path_kick(p);
	}
}

/* Each order once; the array stays in this order. */
static int insert(struct namespace *ns, struct path *p)
{
	size_t at = ns->path_count;

	if (ns->path_count == ns->path_room) {
		size_t room = ns->path_room ? 2 * ns->path_room : 8;
		struct path **more = realloc(ns->paths, room * sizeof(struct path *));

		if (!more)
			return -ENOMEM;
		ns->paths = more;
		ns->path_room = room;
	}
	while (at && ns->paths[at - 1]->setup.order > p->setup.order)
		at--;
	memmove(&ns->paths[at + 1], &ns->paths[at], (ns->path_count - at) * sizeof(struct path *));
	ns->paths[at] = p;
	ns->path_count++;
	return 0;
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static void way_free(struct way *w)
{
	free(w->interface.address);
	free(w->interface.device);
	free(w->portal.address);
	free(w);
}

static struct way *way_new(const struct conf_interface *f, const struct conf_portal *portal, struct learned *learned)
{
	struct way *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	if (f) {
		w->interface = *f;
		w->interface.address = copy(f->address);
		w->interface.device = copy(f->device);
	}
	w->portal = *portal;
	w->portal.address = copy(portal->address);
	w->learned = learned;
	if (!w->portal.address || (f && f->address && !w->interface.address) || (f && f->device && !w->interface.device)) {
		way_free(w);
		return NULL;
	}
	return w;
}

/* Those of the configuration in its order, then those that servers told of. */
static uint64_t order_of(const struct namespace *ns, unsigned interface, size_t portal, const struct learned *learned)
{
	return (learned ? ns->conf->portal_count + learned->number : portal) * CONF_IFACE_MAX + interface;
}

uint64_t namespace_order(const struct namespace *ns, const struct path *p, size_t portal)
{
	return order_of(ns, p->setup.interface_number, portal, way_of(p)->learned);
}

struct path *namespace_make_path(struct namespace *ns, const struct conf_interface *f,
				 const struct conf_portal *portal, struct learned *learned)
{
	unsigned number = f ? (unsigned)(f - ns->client->interfaces) : 0;
	struct way *w = way_new(f, portal, learned);
	struct path_setup s = {
		.interface_number = number, .order = order_of(ns, number, learned ? 0 : (size_t)(portal - ns->conf->portals), learned),
		.port = conf_client_port(ns->client, ns->conf, f, portal), .learned = learned,
		.client = ns->client, .namespace = ns->conf,
		.machine = ns->id.machine, .boot = ns->id.boot, .run = ns->id.run, .life = ns->id.life,
	};

	if (!w)
		return NULL;
	s.interface = f ? &w->interface : NULL;
	s.portal = &w->portal;
	snprintf(s.name, sizeof s.name, "%s/%s", f ? f->name : "any", portal->name);
	path_init(&w->path, ns->loop, &s, &path_ops, ns);
	if (insert(ns, &w->path) < 0) {
		way_free(w);
		return NULL;
	}
	return &w->path;
}

/* The configuration's path for that pair, or NULL. */
static struct path *find(const struct namespace *ns, const struct conf_interface *f, const struct conf_portal *portal)
{
	for (size_t i = 0; i < ns->path_count; i++) {
		struct path *p = ns->paths[i];
		const struct conf_interface *g = p->setup.interface;

		if (way_of(p)->obsolete || p->setup.learned || strcmp(p->setup.portal->name, portal->name))
			continue;
		if (f && g ? !strcmp(f->name, g->name) : f == g)
			return p;
	}
	return NULL;
}

int namespace_make_paths(struct namespace *ns)
{
	size_t interfaces = ns->client->interface_count;

	for (size_t i = 0; i < ns->conf->portal_count; i++) {
		const struct conf_portal *portal = &ns->conf->portals[i];

		for (size_t k = 0; k < (interfaces ? interfaces : 1); k++) {
			const struct conf_interface *f = interfaces ? &ns->client->interfaces[k] : NULL;

			if (!find(ns, f, portal) && !namespace_make_path(ns, f, portal, NULL))
				return -ENOMEM;
		}
	}
	return 0;
}

void namespace_sort_paths(struct namespace *ns)
{
	qsort(ns->paths, ns->path_count, sizeof(struct path *), path_by_order);
}

void namespace_start_paths(struct namespace *ns)
{
	for (size_t i = 0; i < ns->path_count; i++) {
		struct way *w = way_of(ns->paths[i]);

		if (w->started)
			continue;
		w->started = true;
		path_start(&w->path);
	}
}

void namespace_free_path(struct namespace *ns, size_t i)
{
	struct path *p = ns->paths[i];

	if (p->session)
		session_path_gone(p->session, p);
	path_fini(p);
	ns->path_count--;
	memmove(&ns->paths[i], &ns->paths[i + 1], (ns->path_count - i) * sizeof(struct path *));
	way_free(way_of(p));
}

void namespace_free_paths(struct namespace *ns)
{
	for (size_t i = 0; i < ns->path_count; i++)
		way_free(way_of(ns->paths[i]));
	free(ns->paths);
}
