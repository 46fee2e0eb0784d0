/* conf_change.c - see conf_change.h. */
#include <string.h>
#include "conf_change.h"

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_interfaces(const struct conf_client *a, const struct conf_client *b)
{
	if (a->interface_count != b->interface_count)
		return false;
	for (size_t i = 0; i < a->interface_count; i++) {
		const struct conf_interface *x = &a->interfaces[i], *y = &b->interfaces[i];

		if (strcmp(x->name, y->name) || !same_text(x->address, y->address) ||
		    !same_text(x->device, y->device) || x->port != y->port)
			return false;
	}
	return true;
}

static bool same_portals(const struct conf_namespace *a, const struct conf_namespace *b)
{
	if (a->portal_count != b->portal_count)
		return false;
	for (size_t i = 0; i < a->portal_count; i++) {
		const struct conf_portal *x = &a->portals[i], *y = &b->portals[i];

		if (strcmp(x->name, y->name) || !same_text(x->address, y->address) || x->port != y->port)
			return false;
	}
	return true;
}

static bool same_behaviour(const struct conf_behaviour *a, const struct conf_behaviour *b)
{
	return a->security == b->security && a->policy == b->policy && a->detect == b->detect &&
	       a->retry == b->retry && a->probation == b->probation && a->give_up == b->give_up && a->on_loss == b->on_loss &&
	       a->learn_portals == b->learn_portals && a->payload_crc == b->payload_crc &&
	       a->poll == b->poll && shares_equal(&a->shares, &b->shares);
}

/* attach is seen to beside them, and no reason to end a session. */
static bool matters(const struct conf_volume_rule *r, const char *namespace)
{
	return strcmp(r->namespace, namespace) == 0 && (r->has_policy || r->has_on_loss || r->shares.count);
}

/* The next rule of a namespace from i on; count when there is none. */
static size_t next_rule(const struct conf_client *c, const char *namespace, size_t i)
{
	while (i < c->volume_count && !matters(&c->volumes[i], namespace))
		i++;
	return i;
}

static bool same_rules(const struct conf_client *a, const struct conf_client *b, const char *namespace)
{
	size_t i = next_rule(a, namespace, 0), j = next_rule(b, namespace, 0);

	for (; i < a->volume_count && j < b->volume_count;
	     i = next_rule(a, namespace, i + 1), j = next_rule(b, namespace, j + 1)) {
		const struct conf_volume_rule *x = &a->volumes[i], *y = &b->volumes[j];

		if (strcmp(x->name, y->name) || x->has_policy != y->has_policy ||
		    (x->has_policy && x->policy != y->policy) || x->has_on_loss != y->has_on_loss ||
		    (x->has_on_loss && x->on_loss != y->on_loss) || !shares_equal(&x->shares, &y->shares))
			return false;
	}
	return i >= a->volume_count && j >= b->volume_count;
}

enum conf_change conf_change(const struct conf_client *one, size_t a, const struct conf_client *other, size_t b)
{
	const struct conf_namespace *x = &one->namespaces[a], *y = &other->namespaces[b];

	if (strcmp(x->name, y->name) != 0 || x->id != y->id || strcmp(x->nodename, y->nodename) != 0 ||
	    !same_behaviour(&x->behaviour, &y->behaviour) || !same_rules(one, other, x->name))
		return CONF_CHANGE_SESSIONS;
	return x->port == y->port && one->port == other->port && same_interfaces(one, other) && same_portals(x, y) ?
		CONF_CHANGE_NOTHING : CONF_CHANGE_PATHS;
}
