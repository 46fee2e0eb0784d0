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
	v->offered = v->listed = true;
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
		namespace_withdraw(ns, v, true);
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
		namespace_withdraw(ns, v, false);
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
			namespace_withdraw(ns, v, false);
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
		namespace_withdraw(ns, v, true);
	mpio_opened(v, error);
}

void namespace_give_up_passed(struct loop_timer *t)
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

const struct session_ops namespace_session_ops = {
	.offered = offered, .withdrawn = withdrawn, .list_began = list_began, .list_ended = list_ended,
	.opened = opened, .reachable = reachable, .forgotten = forgotten, .fenced = fenced,
	.completed = completed, .changed = session_changed,
};

void namespace_free_unused(struct namespace *ns)
{
	struct list *l, *keep;

	list_each_safe(l, keep, &ns->attic) {
		struct mpio *v = container_of(l, struct mpio, link);

		if (mpio_idle(v) && v->open != MPIO_OPENING)
			mpio_free(v);
	}
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
