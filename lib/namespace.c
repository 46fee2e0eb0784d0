#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "manage.h"
#include "namespace_impl.h"

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
		if (list_empty(&ns->dirty))
			break;
		while (!list_empty(&ns->dirty))
			path_flush(container_of(ns->dirty.next, struct path, to_send));
	}
	namespace_free_unused(ns);
	namespace_reap(ns);
}

const char *namespace_name(const struct namespace *ns)
{
	return ns->name;
}

int namespace_id(const struct namespace *ns)
{
	return ns->conf->id;
}

/* Begin and end. */

struct namespace *namespace_new(struct loop *l, const struct conf_client *conf, size_t n,
				const struct namespace_identity *id,
				const struct namespace_ops *ops, void *arg, struct err *e)
{
	const struct conf_namespace *c = &conf->namespaces[n];
	struct namespace *ns = calloc(1, sizeof *ns);

	if (!ns) {
		err_set(e, ENOMEM, "no memory for namespace %s", c->name);
		return NULL;
	}
	ns->loop = l;
	ns->client = conf;
	ns->conf = c;
	strcpy(ns->name, c->name);
	ns->id = *id;
	ns->ops = ops;
	ns->arg = arg;
	namespace_choice(ns, c->behaviour.policy, &c->behaviour.shares, &ns->choice);
	list_init(&ns->dirty);
	list_init(&ns->portals);
	list_init(&ns->sessions);
	list_init(&ns->volumes);
	list_init(&ns->attic);
	list_init(&ns->finished);
	list_init(&ns->manages);
	if (namespace_make_paths(ns) < 0) {
		namespace_free(ns);
		err_set(e, ENOMEM, "no memory for the paths of namespace %s", c->name);
		return NULL;
	}
	namespace_start_paths(ns);
	return ns;
}

void namespace_stop(struct namespace *ns, void (*stopped)(void *arg), void *arg)
{
	ns->stopped = stopped;
	ns->stopped_arg = arg;
	if (!ns->path_count)
		loop_post(ns->loop, namespace_tell_stopped, ns);
	for (size_t i = 0; i < ns->path_count; i++)
		path_stop(ns->paths[i]);
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
	manage_end_all(ns);
	for (size_t i = 0; i < ns->path_count; i++)
		path_fini(ns->paths[i]);
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
	namespace_free_paths(ns);
	namespace_free_portals(ns);
	free(ns);
}
