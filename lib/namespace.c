#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "namespace_impl.h"

/* Paths: what belongs to a session goes there. */

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

	ns->dirty[ns->dirty_count++] = p;
}

static void tell_stopped(void *arg)
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
		if (ns->paths[i].state != PATH_STOPPED)
			return;
	loop_post(ns->loop, tell_stopped, ns);
}

static bool path_others(void *owner, const struct path *p)
{
	(void)owner;
	return p->session && session_has_other(p->session, p, p->pinged);
}

static const struct path_ops path_ops = {
	.welcome = path_welcome, .up = path_up, .answered = path_answered, .down = path_down,
	.event = path_event_in, .dirty = path_dirty, .changed = path_changed, .others = path_others,
};

/* A send that fails moves commands to other paths, so this goes round until there is
 * nothing left to do; four times is enough for anything but a storm of failures, whose
 * rest the next round of the loop takes. */
void namespace_flush(struct namespace *ns)
{
	for (int turn = 0; turn < 4; turn++) {
		struct list *l;

		mpio_give_back(&ns->finished);
		list_each(l, &ns->sessions)
			session_flush(container_of(l, struct session, link));
		if (!ns->dirty_count)
			break;
		while (ns->dirty_count) {
			struct path *p = ns->dirty[--ns->dirty_count];

			p->dirty = false;
			if (p->fd >= 0)
				path_flush(p);
		}
	}
	namespace_free_unused(ns);
}

void namespace_kick(struct namespace *ns)
{
	for (size_t i = 0; i < ns->path_count; i++)
		path_kick(&ns->paths[i]);
}

const char *namespace_name(const struct namespace *ns)
{
	return ns->conf->name;
}

int namespace_id(const struct namespace *ns)
{
	return ns->conf->id;
}

/* Begin and end. */

static void setup_path(struct namespace *ns, struct path *p, const struct conf_interface *f, const struct conf_portal *portal)
{
	struct path_setup s = {
		.interface = f, .interface_number = f ? (unsigned)(f - ns->client->interfaces) : 0,
		.portal = portal, .port = conf_client_port(ns->client, ns->conf, f, portal),
		.client = ns->client, .namespace = ns->conf,
		.machine = ns->id.machine, .boot = ns->id.boot, .run = ns->id.run, .life = ns->id.life,
	};

	snprintf(s.name, sizeof s.name, "%s/%s", f ? f->name : "any", portal->name);
	path_init(p, ns->loop, &s, &path_ops, ns);
}

struct namespace *namespace_new(struct loop *l, const struct conf_client *conf, size_t n,
				const struct namespace_identity *id,
				const struct namespace_ops *ops, void *arg, struct err *e)
{
	const struct conf_namespace *c = &conf->namespaces[n];
	size_t interfaces = conf->interface_count ? conf->interface_count : 1;
	struct namespace *ns = calloc(1, sizeof *ns);

	if (ns) {
		ns->path_count = interfaces * c->portal_count;
		ns->paths = calloc(ns->path_count + 1, sizeof *ns->paths);
		ns->dirty = calloc(ns->path_count + 1, sizeof(struct path *));
	}
	if (!ns || !ns->paths || !ns->dirty) {
		if (ns) {
			free(ns->paths);
			free(ns->dirty);
		}
		free(ns);
		err_set(e, ENOMEM, "no memory for namespace %s", c->name);
		return NULL;
	}
	ns->loop = l;
	ns->client = conf;
	ns->conf = c;
	ns->id = *id;
	ns->ops = ops;
	ns->arg = arg;
	namespace_choice(ns, c->behaviour.policy, &c->behaviour.shares, &ns->choice);
	list_init(&ns->sessions);
	list_init(&ns->volumes);
	list_init(&ns->attic);
	list_init(&ns->finished);
	for (size_t i = 0; i < ns->path_count; i++)
		setup_path(ns, &ns->paths[i], conf->interface_count ? &conf->interfaces[i % interfaces] : NULL,
			   &c->portals[i / interfaces]);
	for (size_t i = 0; i < ns->path_count; i++)
		path_start(&ns->paths[i]);
	return ns;
}

void namespace_stop(struct namespace *ns, void (*stopped)(void *arg), void *arg)
{
	ns->stopped = stopped;
	ns->stopped_arg = arg;
	if (!ns->path_count)
		loop_post(ns->loop, tell_stopped, ns);
	for (size_t i = 0; i < ns->path_count; i++)
		path_stop(&ns->paths[i]);
}

static void nothing(void *arg)
{
	(void)arg;
}

void namespace_free(struct namespace *ns)
{
	struct list *l, *keep;

	if (!ns->stopped)
		ns->stopped = nothing;
	ns->freed = true;	/* nothing is posted that would come when it is gone */
	for (size_t i = 0; i < ns->path_count; i++)
		path_fini(&ns->paths[i]);
	list_each_safe(l, keep, &ns->volumes)
		namespace_withdraw(ns, container_of(l, struct mpio, link), false);
	mpio_give_back(&ns->finished);
	list_each_safe(l, keep, &ns->sessions) {
		struct session *s = container_of(l, struct session, link);

		while (!list_empty(&s->fences))
			session_end_fence(s);
		loop_disarm(ns->loop, &s->loss);
	}
	mpio_give_back(&ns->finished);
	list_each_safe(l, keep, &ns->attic)
		mpio_free(container_of(l, struct mpio, link));
	list_each_safe(l, keep, &ns->sessions)
		session_free(container_of(l, struct session, link));
	free(ns->paths);
	free(ns->dirty);
	free(ns);
}
