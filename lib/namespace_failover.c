/* namespace_failover.c - how long I/O may stand still, at worst: what status shows and drills are held to. */
#include <math.h>
#include "namespace_impl.h"

#define FENCE_TIME 1.0		/* to fence and send again over another path */

double namespace_noticed_within(const struct namespace *ns, bool others)
{
	return ns->path_count ? path_noticed_within(&ns->paths[0]->setup, others) : 0;
}

struct namespace_failover namespace_failover(const struct namespace *ns, bool others)
{
	const struct conf_behaviour *b = &ns->conf->behaviour;
	/* give-up counts from when the loss was noticed. */
	double goes_on = others ? FENCE_TIME : b->on_loss == CONF_ON_LOSS_QUEUE ? INFINITY : b->give_up;

	return (struct namespace_failover){
		.silent = namespace_noticed_within(ns, others) + goes_on,
		.reset = goes_on,
	};
}

struct namespace_failover namespace_failover_path(const struct namespace *ns, const struct path *p)
{
	const struct session *s = p->session;
	bool others = false;

	for (size_t i = 0; s && i < s->path_count; i++)
		others |= s->paths[i] != p && s->paths[i]->state == PATH_UP;
	return !others && s ? namespace_failover_server(ns, s) : namespace_failover(ns, others);
}

bool namespace_has_heirs(const struct namespace *ns, const struct session *s)
{
	bool any = false;
	struct list *l;

	list_each(l, &ns->volumes) {
		const struct mpio *v = container_of(l, struct mpio, link);
		const struct mpio_leg *g = mpio_leg_of(v, s);

		if (!g || !g->offered)
			continue;
		if (!mpio_another_reachable(v, g))
			return false;
		any = true;
	}
	return any;
}

double namespace_takeover(const struct namespace *ns)
{
	double noticed = namespace_noticed_within(ns, false);

	for (size_t i = 0; i < ns->path_count; i++)
		if (path_lease(ns->paths[i]) / 1e3 > noticed)
			noticed = path_lease(ns->paths[i]) / 1e3;
	return noticed + FENCE_TIME;
}

/* A server that is only cut off from us goes on until its lease is over, however its
 * connections ended. */
struct namespace_failover namespace_failover_server(const struct namespace *ns, const struct session *s)
{
	double taken_over = namespace_takeover(ns);

	if (namespace_has_heirs(ns, s))
		return (struct namespace_failover){ taken_over, taken_over };
	return namespace_failover(ns, false);
}
