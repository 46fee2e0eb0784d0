#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "namespace_impl.h"

/* Volumes by name. */

static unsigned bucket_of(const char *name)
{
	uint32_t h = 2166136261u;	/* FNV-1a */

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h % NAMESPACE_BUCKETS;
}

struct mpio *namespace_volume(struct namespace *ns, const char *name)
{
	struct mpio *v = ns->buckets[bucket_of(name)];

	while (v && strcmp(v->info.name, name))
		v = v->hash_next;
	return v;
}

static void insert(struct namespace *ns, struct mpio *v)
{
	struct mpio **b = &ns->buckets[bucket_of(v->info.name)];

	v->hash_next = *b;
	*b = v;
	list_append(&ns->volumes, &v->link);
	v->offered = v->listed = true;
	ns->ops->added(ns->arg, ns, v);
}

/* Out of the tree; who has it open keeps it, in the attic. */
static void withdraw(struct namespace *ns, struct mpio *v, bool stale)
{
	struct mpio **b = &ns->buckets[bucket_of(v->info.name)];

	while (*b != v)
		b = &(*b)->hash_next;
	*b = v->hash_next;
	list_remove(&v->link);
	list_append(&ns->attic, &v->link);
	mpio_withdrawn(v, stale);
	ns->ops->removed(ns->arg, ns, v);
}

static bool same_content(const struct wire_volume *a, const struct wire_volume *b)
{
	return !memcmp(a->uuid, b->uuid, sizeof a->uuid) && a->generation == b->generation;
}

static struct mpio *from_attic(struct namespace *ns, struct session *s, const struct wire_volume *info)
{
	struct list *l;

	list_each(l, &ns->attic) {
		struct mpio *v = container_of(l, struct mpio, link);

		if (v->session == s && !v->stale && !strcmp(v->info.name, info->name) && same_content(&v->info, info))
			return v;
	}
	return NULL;
}

const struct conf_volume_rule *namespace_rule(const struct namespace *ns, const char *name)
{
	for (size_t i = 0; i < ns->client->volume_count; i++) {
		const struct conf_volume_rule *r = &ns->client->volumes[i];

		if (!strcmp(r->namespace, ns->conf->name) && !strcmp(r->name, name))
			return r;
	}
	return NULL;
}

static void add_volume(struct namespace *ns, struct session *s, const struct wire_volume *info)
{
	const struct conf_volume_rule *rule = namespace_rule(ns, info->name);
	struct mpio *v = from_attic(ns, s, info);
	bool new = !v;

	if (v) {
		list_remove(&v->link);
		v->info = *info;
	} else {
		v = mpio_new(ns->loop, &ns->finished, ns->conf->name, s, info,
			     rule && rule->has_on_loss ? rule->on_loss : ns->conf->behaviour.on_loss,
			     ns->conf->behaviour.give_up);
	}
	if (!v) {
		log_error(ns->conf->name, "no memory for volume %s", info->name);
		return;
	}
	if (new)
		namespace_first_choice(ns, v, rule);
	insert(ns, v);
}

/* Another server offers a name that is taken.  Never merged by its name. */
static void offered_twice(struct namespace *ns, struct mpio *v, struct session *s, const struct wire_volume *info)
{
	if (v->offered_twice == s->server_id + 1)
		return;
	v->offered_twice = s->server_id + 1;
	if (same_content(&v->info, info))
		log_warning(ns->conf->name, "volume %s is offered by %s and %s: this version uses it over %s only",
			    info->name, v->session->name, s->name, v->session->name);
	else
		log_error(ns->conf->name, "volume %s of %s is not the %s of %s (another UUID or generation) and is not used; "
			  "rename one of them", info->name, s->name, info->name, v->session->name);
}

static void offered(void *owner, struct session *s, const struct wire_volume *info)
{
	struct namespace *ns = owner;
	struct mpio *v = namespace_volume(ns, info->name);
	bool resized;

	if (v && v->session != s) {
		offered_twice(ns, v, s, info);
		return;
	}
	if (v && !same_content(&v->info, info)) {
		log_error(ns->conf->name, "volume %s has other content than before: who has it open gets errors", info->name);
		withdraw(ns, v, true);
		v = NULL;
	}
	if (!v) {
		add_volume(ns, s, info);
		return;
	}
	v->listed = true;
	resized = v->info.size != info->size;
	v->info = *info;
	if (resized)
		ns->ops->resized(ns->arg, ns, v);
}

static void withdrawn(void *owner, struct session *s, const char *name)
{
	struct namespace *ns = owner;
	struct mpio *v = namespace_volume(ns, name);

	if (v && v->session == s)
		withdraw(ns, v, false);
}

static void list_began(void *owner, struct session *s)
{
	struct namespace *ns = owner;
	struct list *l;

	list_each(l, &ns->volumes) {
		struct mpio *v = container_of(l, struct mpio, link);

		if (v->session == s)
			v->listed = false;
	}
}

static void list_ended(void *owner, struct session *s)
{
	struct namespace *ns = owner;
	struct list *l, *keep;

	list_each_safe(l, keep, &ns->volumes) {
		struct mpio *v = container_of(l, struct mpio, link);

		if (v->session == s && !v->listed)
			withdraw(ns, v, false);
	}
	ns->ops->changed(ns->arg, ns);
}

/* Over a session's volumes, whether they are still offered or not. */
static void each_of_session(struct namespace *ns, struct session *s, void (*fn)(struct mpio *v))
{
	struct list *heads[] = { &ns->volumes, &ns->attic };

	for (size_t i = 0; i < 2; i++) {
		struct list *l, *keep;

		list_each_safe(l, keep, heads[i]) {
			struct mpio *v = container_of(l, struct mpio, link);

			if (v->session == s)
				fn(v);
		}
	}
}

static void opened(void *owner, struct session *s, struct mpio *v, int error)
{
	struct namespace *ns = owner;

	(void)s;
	if (error == -ESTALE && v->offered)
		withdraw(ns, v, true);
	mpio_opened(v, error);
}

static void give_up_passed(struct loop_timer *t)
{
	struct session *s = container_of(t, struct session, loss);
	struct namespace *ns = s->owner;

	each_of_session(ns, s, mpio_lose);
	ns->ops->changed(ns->arg, ns);
}

static void reachable(void *owner, struct session *s, bool yes)
{
	struct namespace *ns = owner;

	if (yes) {
		loop_disarm(ns->loop, &s->loss);
		each_of_session(ns, s, mpio_found);
		each_of_session(ns, s, mpio_reopen);
	} else if (!ns->stopped) {
		log_error(s->name, "no path to server %s is left", s->name);
		loop_arm(ns->loop, &s->loss, loop_now(ns->loop) + (uint64_t)(ns->conf->behaviour.give_up * 1e9));
	}
}

static void forgotten(void *owner, struct session *s, bool host_restarted)
{
	if (host_restarted)
		each_of_session(owner, s, mpio_cache_lost);
	each_of_session(owner, s, mpio_forgotten);
}

static void fenced(void *owner, struct session *s, struct command *c)
{
	(void)owner;
	(void)s;
	mpio_fenced(c->volume, c);
}

static void completed(void *owner, struct session *s, struct command *c, int error, const uint8_t *payload, uint32_t length)
{
	(void)owner;
	(void)s;
	mpio_completed(c->volume, c, error, payload, length);
}

static void session_changed(void *owner, struct session *s)
{
	struct namespace *ns = owner;

	(void)s;
	ns->ops->changed(ns->arg, ns);
}

static const struct session_ops session_ops = {
	.offered = offered, .withdrawn = withdrawn, .list_began = list_began, .list_ended = list_ended,
	.opened = opened, .reachable = reachable, .forgotten = forgotten, .fenced = fenced,
	.completed = completed, .changed = session_changed,
};

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
	s = session_new(ns->loop, w, &session_ops, ns);
	if (!s) {
		path_refuse(p, "no memory for a session");
		return NULL;
	}
	s->choice = ns->choice;
	s->loss.fire = give_up_passed;
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

static void free_unused(struct namespace *ns)
{
	struct list *l, *keep;

	list_each_safe(l, keep, &ns->attic) {
		struct mpio *v = container_of(l, struct mpio, link);

		if (mpio_idle(v) && v->open != MPIO_OPENING)
			mpio_free(v);
	}
}

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
	free_unused(ns);
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

static int by_id(const void *a, const void *b)
{
	const struct mpio *v = *(struct mpio *const *)a, *w = *(struct mpio *const *)b;

	if (v->session->server_id != w->session->server_id)
		return v->session->server_id < w->session->server_id ? -1 : 1;
	return v->info.id < w->info.id ? -1 : v->info.id > w->info.id;
}

void namespace_each_volume(struct namespace *ns, void (*fn)(void *arg, struct mpio *v), void *arg)
{
	struct mpio **all;
	struct list *l;
	size_t n = 0, i = 0;

	list_each(l, &ns->volumes)
		n++;
	all = malloc((n + 1) * sizeof *all);
	if (!all)
		return;
	list_each(l, &ns->volumes)
		all[i++] = container_of(l, struct mpio, link);
	qsort(all, n, sizeof *all, by_id);
	for (i = 0; i < n; i++)
		fn(arg, all[i]);
	free(all);
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
		withdraw(ns, container_of(l, struct mpio, link), false);
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
