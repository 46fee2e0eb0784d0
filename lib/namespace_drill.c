/* namespace_drill.c - paths that are taken away for a while, to see what happens. */
#include <string.h>
#include "namespace_impl.h"

#define RETURN_TIME 2.0		/* to try again, at most, and to log in */

static bool takes_part(const struct path *p, const char *target)
{
	const struct session *s = p->session;

	return !strcmp(p->setup.name, target) || (s && !strcmp(s->name, target));
}

struct drill_paths namespace_drill_paths(const struct namespace *ns, const char *target)
{
	struct drill_paths d = { 0 };
	const struct session *s = NULL;

	for (size_t i = 0; i < ns->path_count; i++) {
		const struct path *p = ns->paths[i];

		if (!takes_part(p, target) || p->state != PATH_UP)
			continue;
		d.count++;
		s = p->session;
	}
	for (size_t i = 0; s && i < s->path_count; i++)
		d.others |= s->paths[i]->state == PATH_UP && !takes_part(s->paths[i], target);
	d.session = s;
	d.servers = s && !d.others && namespace_has_heirs(ns, s);
	return d;
}

void namespace_set_away(struct namespace *ns, const char *target, bool away)
{
	for (size_t i = 0; i < ns->path_count; i++)
		if (takes_part(ns->paths[i], target))
			path_set_away(ns->paths[i], away);
}

double namespace_drill_limit(const struct namespace *ns, const struct drill_paths *p, double seconds)
{
	const struct conf_behaviour *b = &ns->conf->behaviour;

	if (p->others)
		return namespace_failover(ns, true).silent;
	if (p->servers)
		return namespace_failover_server(ns, p->session).silent;
	/* give-up counts from when the loss was noticed, which takes a keepalive at least. */
	if (b->on_loss != CONF_ON_LOSS_QUEUE && seconds + RETURN_TIME >= b->give_up)
		return -1;
	return seconds + RETURN_TIME;
}
