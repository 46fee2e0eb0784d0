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
	struct session *s = session_of(ns, p, w);
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

void namespace_kick(struct namespace *ns)
{
	for (size_t i = 0; i < ns->path_count; i++)
		path_kick(ns->paths[i]);
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

static int make_path(struct namespace *ns, const struct conf_interface *f, const struct conf_portal *portal)
{
	unsigned number = f ? (unsigned)(f - ns->client->interfaces) : 0;
	struct path *p = calloc(1, sizeof *p);
	struct path_setup s = {
		.interface = f, .interface_number = number,
		.order = (uint32_t)(portal - ns->conf->portals) * CONF_IFACE_MAX + number,
		.portal = portal, .port = conf_client_port(ns->client, ns->conf, f, portal),
		.client = ns->client, .namespace = ns->conf,
		.machine = ns->id.machine, .boot = ns->id.boot, .run = ns->id.run, .life = ns->id.life,
	};

	if (!p)
		return -ENOMEM;
	snprintf(s.name, sizeof s.name, "%s/%s", f ? f->name : "any", portal->name);
	path_init(p, ns->loop, &s, &path_ops, ns);
	if (insert(ns, p) < 0) {
		free(p);
		return -ENOMEM;
	}
	return 0;
}

int namespace_make_paths(struct namespace *ns)
{
	size_t interfaces = ns->client->interface_count;
	int r = 0;

	for (size_t i = 0; i < ns->conf->portal_count; i++) {
		const struct conf_portal *portal = &ns->conf->portals[i];

		for (size_t k = 0; k < interfaces && !r; k++)
			r = make_path(ns, &ns->client->interfaces[k], portal);
		if (!interfaces && !r)
			r = make_path(ns, NULL, portal);
	}
	return r;
}

void namespace_free_paths(struct namespace *ns)
{
	for (size_t i = 0; i < ns->path_count; i++)
		free(ns->paths[i]);
	free(ns->paths);
}
