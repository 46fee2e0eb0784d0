/* namespace_policy.c - which policy whose commands follow: the configuration's, and what
 * is chosen at run time, for all servers, one server or one volume. */
#include <errno.h>
#include <string.h>
#include "log.h"
#include "namespace_impl.h"

_Static_assert(CONF_IFACE_MAX <= POLICY_INTERFACES_MAX, "a weight for each interface");

void namespace_choice(const struct namespace *ns, enum policy policy, const struct shares *shares,
		      struct policy_choice *out)
{
	*out = (struct policy_choice){ .policy = policy };
	for (size_t i = 0; i < ns->client->interface_count; i++) {
		struct share s = shares_of(shares, ns->client->interfaces[i].name);

		out->interface[i].weight = s.weight;
		out->interface[i].standby = s.standby;
	}
}

void namespace_first_choice(const struct namespace *ns, struct mpio *v, const struct conf_volume_rule *rule)
{
	struct policy_choice c;

	if (!rule || (!rule->has_policy && !rule->shares.count))
		return;
	namespace_choice(ns, rule->has_policy ? rule->policy : ns->conf->behaviour.policy, &rule->shares, &c);
	if (mpio_set_policy(v, &c))
		log_error(ns->conf->name, "no memory for the policy of volume %s", mpio_info(v)->name);
}

/* What was asked for, put together and checked; -EINVAL with e filled. */
static int understand(const struct namespace *ns, const struct mpio *v, const struct policy_wish *w,
		      struct shares *shares, struct err *e)
{
	const struct conf_volume_rule *rule = v ? namespace_rule(ns, w->target) : NULL;
	char why[SHARES_WHY_MAX], names[CONF_IFACE_MAX * (CONF_NAME_MAX + 2) + 1];
	const char *unknown;

	*shares = rule && rule->shares.count ? rule->shares : ns->conf->behaviour.shares;
	if (w->weight && !shares_set_weights(shares, w->weight, why))
		return err_set(e, EINVAL, "weight '%s' %s", w->weight, why);
	if (w->standby && !shares_set_standbys(shares, w->standby, why))
		return err_set(e, EINVAL, "standby '%s' %s", w->standby, why);
	unknown = conf_unknown_interface(ns->client, shares);
	if (!unknown)
		return 0;
	conf_interface_names(ns->client, names, sizeof names);
	err_set(e, EINVAL, "there is no interface %s in namespace %s; there is %s", unknown, ns->conf->name,
		*names ? names : "none that has a name");
	if (!*names)
		err_next(e, "an [interface] section in the configuration gives one a name");
	return -EINVAL;
}

static int choose_for_volume(struct mpio *v, const struct policy_wish *w, const struct policy_choice *c, struct err *e)
{
	if (mpio_set_policy(v, w->as_before ? NULL : c))
		return err_set(e, ENOMEM, "no memory for a policy");
	log_info(mpio_namespace(v), "volume %s: policy is now %s", mpio_info(v)->name,
		 w->as_before ? "its namespace's" : policy_name(c->policy));
	return 0;
}

static int choose_for_sessions(struct namespace *ns, const struct policy_wish *w, const struct policy_choice *c,
			       struct err *e)
{
	bool single = w->as_before || c->policy == POLICY_LEAST_BLOCKS, found = !w->target;
	struct list *l;

	list_each(l, &ns->sessions) {
		struct session *s = container_of(l, struct session, link);

		if (w->target && strcmp(s->name, w->target))
			continue;
		found = true;
		if (single)
			break;
		s->choice = *c;
		log_info(s->name, "policy is now %s", policy_name(c->policy));
	}
	if (!found) {
		err_set(e, ENOENT, "namespace %s has no volume and no server %s", ns->conf->name, w->target);
		err_next(e, "rsconfig -q shows those that there are");
		return -ENOENT;
	}
	if (single)
		return err_set(e, EINVAL, "%s is for single volumes: name one, as %s:VOLUME",
			       w->as_before ? "default" : "least-blocks", ns->conf->name);
	if (!w->target)		/* also of servers that are met later */
		ns->choice = *c;
	return 0;
}

int namespace_set_policy(struct namespace *ns, const struct policy_wish *w, struct err *e)
{
	struct mpio *v = w->target ? namespace_volume(ns, w->target) : NULL;
	struct policy_choice c;
	struct shares shares;
	int r = understand(ns, v, w, &shares, e);

	if (r)
		return r;
	namespace_choice(ns, w->policy, &shares, &c);
	return v ? choose_for_volume(v, w, &c, e) : choose_for_sessions(ns, w, &c, e);
}

static void renumber(struct policy_choice *c, const int was[CONF_IFACE_MAX])
{
	struct policy_choice old = *c;

	memset(c->interface, 0, sizeof c->interface);
	memset(&c->state, 0, sizeof c->state);
	for (size_t i = 0; i < CONF_IFACE_MAX; i++)
		if (was[i] >= 0)
			c->interface[i] = old.interface[was[i]];
}

void namespace_renumber(struct namespace *ns, const int was[CONF_IFACE_MAX])
{
	struct list *volumes[] = { &ns->volumes, &ns->attic }, *l;

	renumber(&ns->choice, was);
	list_each(l, &ns->sessions)
		renumber(&container_of(l, struct session, link)->choice, was);
	for (size_t i = 0; i < 2; i++) {
		list_each(l, volumes[i]) {
			struct policy_choice *own = mpio_policy(container_of(l, struct mpio, link));

			if (own)
				renumber(own, was);
		}
	}
}
