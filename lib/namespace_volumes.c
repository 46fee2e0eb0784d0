/* namespace_volumes.c - the volumes of a namespace: who offers which, from their sessions' lists
 * and events to the tree. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "namespace_impl.h"

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
	v->offered = true;
	ns->ops->added(ns->arg, ns, v);
}

void namespace_withdraw(struct namespace *ns, struct mpio *v, bool stale)
{
	struct mpio **b = &ns->buckets[bucket_of(v->info.name)];

	while (*b != v)
		b = &(*b)->hash_next;
	*b = v->hash_next;
	list_remove(&v->link);
	list_append(&ns->attic, &v->link);
	mpio_withdrawn(v, stale);
	ns->ops->removed(ns->arg, ns, v);
	if (v->refused)		/* the name is free for what another server has */
		session_list(v->refused);
	v->refused = NULL;
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

		bool room = v->info.shared && info->shared && v->leg_count < MPIO_LEGS_MAX;

		if ((mpio_leg_of(v, s) || room) && !v->stale &&
		    !strcmp(v->info.name, info->name) && same_content(&v->info, info))
			return v;
	}
	return NULL;
}

const struct conf_volume_rule *namespace_rule(const struct namespace *ns, const char *name)
{
	size_t length = strcspn(name, "@");

	for (size_t i = 0; i < ns->client->volume_count; i++) {
		const struct conf_volume_rule *r = &ns->client->volumes[i];

		if (!strcmp(r->namespace, ns->conf->name) && !strncmp(r->name, name, length) && !r->name[length])
			return r;
	}
	return NULL;
}

static void add_leg(struct namespace *ns, struct mpio *v, struct session *s, const struct wire_volume *info)
{
	uint64_t size = v->info.size;
	uint8_t flags = v->info.flags;
	int r = mpio_leg_offered(v, s, info);

	if (r)
		log_error(s->name, "volume %s is not used over %s: %s", info->name, s->name,
			  r == -ENOSPC ? "too many servers offer it" : "no memory");
	if (v->refused == s)
		v->refused = NULL;
	if (v->offered && (v->info.size != size || v->info.flags != flags))
		ns->ops->resized(ns->arg, ns, v);
}

static void add_volume(struct namespace *ns, struct session *s, const struct wire_volume *info)
{
	const struct conf_volume_rule *rule = namespace_rule(ns, info->name);
	struct mpio *v = from_attic(ns, s, info);
	bool new = !v;

	if (v) {
		list_remove(&v->link);
		add_leg(ns, v, s, info);
	} else {
		v = mpio_new(ns->loop, &ns->finished, ns->name, s, info,
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

/* Another server offers a name that is taken, and not the same volume.  Never merged by its name. */
static void refuse(struct namespace *ns, struct mpio *v, struct session *s, const struct wire_volume *info)
{
	struct mpio_leg *g = mpio_leg_of(v, s);
	const char *first;

	if (g && g->offered)	/* until now it was one of several; it is shared no longer */
		mpio_leg_withdrawn(v, g);
	if (v->refused == s)
		return;
	v->refused = s;
	first = mpio_session(v)->name;
	if (same_content(&v->info, info))
		log_bounded(&s->told, loop_now(ns->loop), LOG_LEVEL_ERROR, ns->conf->name,
			    "volume %s is offered by %s and %s, and not by both as 'shared': it is used over %s only",
			    info->name, first, s->name, first);
	else
		log_bounded(&s->told, loop_now(ns->loop), LOG_LEVEL_ERROR, ns->conf->name,
			    "volume %s of %s is not the %s of %s (another UUID or generation) and is not used; "
			    "rename one of them", info->name, s->name, info->name, first);
}

/* This server replaced the content.  If others have not, they go on with what they have until
 * they say so too. */
static void replaced(struct namespace *ns, struct mpio *v, struct mpio_leg *g)
{
	/* A rollback, or a volume that is cut, is refused while anybody has it open. */
	log_bounded(&g->session->told, loop_now(ns->loop), v->users ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, ns->conf->name,
		    "volume %s has other content on %s than before%s", v->info.name, g->session->name,
		    v->users ? ": who has it open gets errors" : "");
	if (mpio_servers(v) > 1) {
		v->refused = g->session;
		mpio_leg_withdrawn(v, g);
	} else {
		namespace_withdraw(ns, v, true);
	}
}

static void offered(void *owner, struct session *s, const struct wire_volume *info)
{
	struct namespace *ns = owner;
	struct mpio *v = namespace_volume(ns, info->name);
	struct mpio_leg *g = v ? mpio_leg_of(v, s) : NULL;
	bool alone = v && mpio_servers(v) == (g && g->offered), shared = v && v->info.shared && info->shared;

	if (g && g->offered && !same_content(&v->info, info)) {
		replaced(ns, v, g);
		v = namespace_volume(ns, info->name);
		if (v)
			return;
	}
	if (!v)
		add_volume(ns, s, info);
	else if (same_content(&v->info, info) && (alone || shared))
		add_leg(ns, v, s, info);
	else
		refuse(ns, v, s, info);
}

/* A server has it no longer. */
static void leg_gone(struct namespace *ns, struct mpio *v, struct mpio_leg *g)
{
	if (v->refused == g->session)
		v->refused = NULL;
	if (!g->offered)
		return;
	if (mpio_servers(v) > 1)
		mpio_leg_withdrawn(v, g);
	else
		namespace_withdraw(ns, v, false);
}

static void withdrawn(void *owner, struct session *s, const char *name)
{
	struct namespace *ns = owner;
	struct mpio *v = namespace_volume(ns, name);
	struct mpio_leg *g = v ? mpio_leg_of(v, s) : NULL;

	if (g)
		leg_gone(ns, v, g);
}

static void list_began(void *owner, struct session *s)
{
	struct namespace *ns = owner;
	struct list *l;

	list_each(l, &ns->volumes) {
		struct mpio_leg *g = mpio_leg_of(container_of(l, struct mpio, link), s);

		if (g)
			g->listed = false;
	}
}

static void list_ended(void *owner, struct session *s)
{
	struct namespace *ns = owner;
	struct list *l, *keep;

	list_each_safe(l, keep, &ns->volumes) {
		struct mpio *v = container_of(l, struct mpio, link);
		struct mpio_leg *g = mpio_leg_of(v, s);

		if (g && !g->listed)
			leg_gone(ns, v, g);
	}
	ns->ops->changed(ns->arg, ns);
}

/* Over a session's volumes, whether they are still offered or not. */
static void each_of_session(struct namespace *ns, struct session *s, void (*fn)(struct mpio *v, struct mpio_leg *g))
{
	struct list *heads[] = { &ns->volumes, &ns->attic };

	for (size_t i = 0; i < 2; i++) {
		struct list *l, *keep;

		list_each_safe(l, keep, heads[i]) {
			struct mpio *v = container_of(l, struct mpio, link);
			struct mpio_leg *g = mpio_leg_of(v, s);

			if (g)
				fn(v, g);
		}
	}
}

static void opened(void *owner, struct session *s, struct mpio *v, int error)
{
	struct mpio_leg *g = mpio_leg_of(v, s);

	if (error == -ESTALE && v->offered && g->offered)
		replaced(owner, v, g);
	mpio_opened(v, g, error);
}

static void lose(struct mpio *v, struct mpio_leg *g)
{
	(void)g;
	mpio_lose(v);
}

static void found(struct mpio *v, struct mpio_leg *g)
{
	(void)g;
	mpio_found(v);
}

void namespace_give_up_passed(struct loop_timer *t)
{
	struct session *s = container_of(t, struct session, loss);
	struct namespace *ns = s->owner;

	each_of_session(ns, s, lose);
	ns->ops->changed(ns->arg, ns);
}

static void reachable(void *owner, struct session *s, bool yes)
{
	struct namespace *ns = owner;

	if (yes) {
		loop_disarm(ns->loop, &s->loss);
		each_of_session(ns, s, found);
		each_of_session(ns, s, mpio_reopen);
	} else if (!ns->stopped) {
		log_error(s->name, "no path to server %s is left", s->name);
		loop_arm(ns->loop, &s->loss, loop_now(ns->loop) + (uint64_t)(ns->conf->behaviour.give_up * 1e9));
		each_of_session(ns, s, mpio_unreachable);
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

static void took_over(void *owner, struct session *s, struct mpio *v, const struct session *from, int error,
		      const char *text)
{
	(void)owner;
	mpio_took_over(v, mpio_leg_of(v, s), from, error, text);
}

static void session_changed(void *owner, struct session *s)
{
	struct namespace *ns = owner;

	(void)s;
	ns->ops->changed(ns->arg, ns);
}

const struct session_ops namespace_session_ops = {
	.offered = offered, .withdrawn = withdrawn, .list_began = list_began, .list_ended = list_ended,
	.opened = opened, .reachable = reachable, .forgotten = forgotten, .fenced = fenced,
	.completed = completed, .took_over = took_over, .changed = session_changed,
	.portals = namespace_portals, .portal = namespace_portal,
};

void namespace_free_unused(struct namespace *ns)
{
	struct list *l, *keep;

	list_each_safe(l, keep, &ns->attic) {
		struct mpio *v = container_of(l, struct mpio, link);

		if (mpio_unused(v))
			mpio_free(v);
	}
}

static int by_id(const void *a, const void *b)
{
	const struct mpio *v = *(struct mpio *const *)a, *w = *(struct mpio *const *)b;

	unsigned a_server = mpio_session(v)->server_id, b_server = mpio_session(w)->server_id;

	if (a_server != b_server)
		return a_server < b_server ? -1 : 1;
	return v->info.id < w->info.id ? -1 : v->info.id > w->info.id;
}

static void each(struct namespace *ns, bool snapshots, void (*fn)(void *arg, struct mpio *v), void *arg)
{
	struct mpio **all;
	struct list *l;
	size_t n = 0, i = 0;

	list_each(l, &ns->volumes)
		n++;
	all = malloc((n + 1) * sizeof *all);
	if (!all)
		return;
	list_each(l, &ns->volumes) {
		struct mpio *v = container_of(l, struct mpio, link);

		if (mpio_is_snapshot(v) == snapshots)
			all[i++] = v;
	}
	n = i;
	qsort(all, n, sizeof *all, by_id);
	for (i = 0; i < n; i++)
		fn(arg, all[i]);
	free(all);
}

void namespace_each_volume(struct namespace *ns, void (*fn)(void *arg, struct mpio *v), void *arg)
{
	each(ns, false, fn, arg);
}

void namespace_each_snapshot(struct namespace *ns, void (*fn)(void *arg, struct mpio *v), void *arg)
{
	each(ns, true, fn, arg);
}
