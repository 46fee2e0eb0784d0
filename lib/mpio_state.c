/* mpio_state.c - a volume's beginning and end, and what others see of it. */
#include <errno.h>
#include <stdlib.h>
#include "mpio_impl.h"

struct mpio *mpio_new(struct loop *l, struct list *finished, const char *namespace, struct session *s,
		      const struct wire_volume *info, enum conf_on_loss on_loss, double give_up)
{
	struct mpio *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->loop = l;
	v->finished = finished;
	v->namespace = namespace;
	v->on_loss = on_loss;
	v->give_up = give_up;
	v->offered = true;
	v->timer.fire = mpio_timer;
	v->look.fire = mpio_look;
	list_init(&v->link);
	list_init(&v->all);
	list_init(&v->pending);
	list_init(&v->held);
	list_init(&v->ordered);
	if (mpio_leg_offered(v, s, info) == 0)
		return v;
	free(v);
	return NULL;
}

bool mpio_idle(const struct mpio *v)
{
	return !v->users && list_empty(&v->all);
}

bool mpio_unused(const struct mpio *v)
{
	if (!mpio_idle(v))
		return false;
	for (unsigned i = 0; i < v->leg_count; i++)
		if (v->legs[i].open == MPIO_OPENING || v->legs[i].asking)
			return false;
	return true;
}

void mpio_free(struct mpio *v)
{
	loop_disarm(v->loop, &v->timer);
	loop_disarm(v->loop, &v->look);
	free(v->latency[0]);
	free(v->latency[1]);
	list_remove(&v->link);
	free(v->legs);
	free(v->choice);
	free(v);
}

/* What others see. */

int mpio_ask_server(struct mpio *v, const char *json,
		    void (*answered)(void *arg, int error, const char *text, size_t length), void *arg)
{
	struct session *s = mpio_session(v);

	for (unsigned i = 0; i < v->leg_count && !s->up; i++)
		if (v->legs[i].offered && v->legs[i].session->up)
			s = v->legs[i].session;
	return session_control(s, json, answered, arg);
}

void mpio_set_alone(struct mpio *v, bool alone)
{
	v->reserved_alone = alone;
}

bool mpio_alone(const struct mpio *v)
{
	return v->reserved_alone;
}

const struct wire_volume *mpio_info(const struct mpio *v)
{
	return &v->info;
}

const char *mpio_server(const struct mpio *v)
{
	return mpio_session(v)->name;
}

bool mpio_is_snapshot(const struct mpio *v)
{
	return v->info.flags & WIRE_FLAG_SNAPSHOT;
}

const char *mpio_namespace(const struct mpio *v)
{
	return v->namespace;
}

enum mpio_state mpio_state(const struct mpio *v)
{
	if (v->stale)
		return MPIO_STALE;
	if (!v->offered)
		return MPIO_GONE;
	if (v->cache_lost)
		return MPIO_CACHE_LOST;
	if (v->lost)
		return MPIO_LOST;
	if (v->waits_for[0] && !mpio_idle(v))
		return MPIO_WAITING;
	return mpio_reachable(v) && !mpio_waits_since(v) ? MPIO_READY : MPIO_WAITING;
}

const char *mpio_state_name(enum mpio_state s)
{
	static const char *const names[] = { "ready", "waiting", "lost", "stale", "gone", "cache-lost" };

	return names[s];
}

double mpio_give_up_in(const struct mpio *v)
{
	uint64_t since = mpio_waits_since(v);
	double left;

	/* Waiting for an open, of which a server that answers says that it is not ready, does not count. */
	if (!since || mpio_state(v) != MPIO_WAITING || v->on_loss == CONF_ON_LOSS_QUEUE)
		return -1;
	left = v->give_up - (double)(loop_now(v->loop) - since) / 1e9;
	return left > 0 ? left : 0;
}

bool mpio_writable(const struct mpio *v)
{
	return !v->no_writes && !(v->info.flags & WIRE_FLAG_READ_ONLY);
}

struct policy_choice *mpio_policy(struct mpio *v)
{
	return v->choice;
}

int mpio_set_policy(struct mpio *v, const struct policy_choice *choice)
{
	struct policy_choice *copy = NULL;

	if (choice) {
		copy = malloc(sizeof *copy);
		if (!copy)
			return -ENOMEM;
		*copy = *choice;
	}
	free(v->choice);
	v->choice = copy;
	return 0;
}

void mpio_set_tag(struct mpio *v, void *tag)
{
	v->tag = tag;
}

void *mpio_tag(const struct mpio *v)
{
	return v->tag;
}
