/*
 * reserve.c - see reserve.h.
 *
 * WHAT A RESERVATION IS WORTH.  Who takes one, or throws another client out, goes on to
 * write and must not be written over.  So the answer says more than that new commands are
 * refused: no command of before, of anyone who is refused now, can touch the volume any
 * more.  Each handle has a byte that says what it may not do.  It is set, for all sessions,
 * under clients.lock; then writes are held for a moment (hold.c).  When the hold is complete,
 * every loop has seen the bytes, what a worker had begun is done, and what was parked or
 * queued looks at its handle's byte once more when it is begun (serve.c).
 *
 * WHOM IT BELONGS TO: a session, which all paths of a client share.  A path that goes
 * takes nothing with it.  When the session ends (goodbye, another life of the client,
 * its lease) its registrations go, and not before: clients.lock is held when the last of its
 * connections is finished, and from then on nothing of it can write.  So that this comes
 * about for a client that died, a registration starts the session's lease (lease.h),
 * as a claim does: a few seconds, as the client's hello said.
 *
 * ALONE (`rsconfig -a --exclusive`) is a reservation of all access that is given only
 * when nobody else has the volume open, and while it lasts nobody else can open it.  The client
 * asks for it with CONTROL, whose answer says who is in the way, and says so again
 * in every OPEN that follows: in a new session, because the server was started anew or the lease
 * ran out, the same OPEN gets it back or is refused.  It must not be got back when
 * another client had the volume in the meantime, for what this client still has in flight or in
 * memory is older than what the other one wrote.  So a volume remembers which node opened it
 * last; a server that was started anew does not know, and who comes first has it.
 *
 * ORDER.  volume.reserve_lock is held from the look at an id to the note of its result, so
 * a request that is sent again over another path while the first is still at it waits, and gets
 * the same answer.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client.h"
#include "handle.h"
#include "hold.h"
#include "registry.h"
#include "reserve.h"
#include "server.h"

#define DRAIN_LIMIT 5.0		/* seconds for what is under way */

struct registrant {
	struct registrant *next;
	struct client *client;
	uint64_t key;
};

struct reservation {			/* all under clients.lock */
	struct reservation *next;	/* server.reservations */
	struct volume *volume;		/* a reference */
	struct registrant *registered;
	struct registrant *holder;	/* NULL: none, or each that has registered */
	uint32_t generation;		/* how often registrations changed */
	uint8_t type;
	bool alone;
};

struct reserve_news {
	struct reserve_news *next;
	struct volume *volume;		/* a reference */
};

static const char *const type_names[RESERVE_TYPES] = {
	"none", "write-exclusive", "exclusive-access", "write-exclusive-registrants", "exclusive-access-registrants",
	"write-exclusive-all", "exclusive-access-all",
};

/*
 * What there is.
 */
static struct reservation *find(const struct volume *v)
{
	struct reservation *r = v->server->reservations;

	while (r && r->volume != v)
		r = r->next;
	return r;
}

static struct registrant *registration(const struct reservation *r, const struct client *c)
{
	struct registrant *g = r ? r->registered : NULL;

	while (g && g->client != c)
		g = g->next;
	return g;
}

static bool each_holds(const struct reservation *r)
{
	return r->type == RESERVE_WRITES_EACH || r->type == RESERVE_ALL_EACH;
}

static bool holds(const struct reservation *r, const struct registrant *g)
{
	return g && r->type && (each_holds(r) || r->holder == g);
}

/* The holder's name, or one of theirs; "": nobody. */
static const char *holder_name(const struct reservation *r)
{
	if (!r || !r->type)
		return "";
	return r->holder ? r->holder->client->node : r->registered ? r->registered->client->node : "";
}

static uint8_t bars(const struct reservation *r, const struct client *c)
{
	const struct registrant *g = registration(r, c);
	bool registered_may = r && r->type >= RESERVE_WRITES_REGISTERED;

	if (!r || !r->type || holds(r, g) || (g && registered_may))
		return 0;
	return r->type % 2 ? RESERVE_NO_WRITES : RESERVE_NO_WRITES | RESERVE_NO_READS;
}

static int conflict(const struct reservation *r, const struct volume *v, struct err *e)
{
	if (!r || !r->type)
		return err_set(e, EBADE, "volume %s: that key is not registered for this client", v->name);
	err_set(e, EBADE, "volume %s is reserved by client %s (%s)", v->name, holder_name(r),
		r->alone ? "which has it alone" : type_names[r->type]);
	err_next(e, "it ends when that client gives it up, or when its session ends");
	return -EBADE;
}

/*
 * What changes.  clients.lock is held.
 */
static struct reservation *get(struct volume *v)
{
	struct reservation *r = find(v);

	if (r)
		return r;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->volume = volume_get(v);
	r->next = v->server->reservations;
	v->server->reservations = r;
	return r;
}

/* Clients are told when the lock is given back; without memory they learn it from the next list.
 * registry.lock is held. */
static void changed_locked(struct reservation *r)
{
	struct server *s = r->volume->server;
	struct reserve_news *n = malloc(sizeof(*n));

	for (struct client *c = clients_first(s->clients); c; c = c->next)
		handle_bar(&c->handles, r->volume, bars(r, c));
	snprintf(r->volume->reserved_by, sizeof(r->volume->reserved_by), "%s", holder_name(r));
	if (!n)
		return;
	n->volume = volume_get(r->volume);
	n->next = s->reserve_news;
	s->reserve_news = n;
}

static void changed(struct reservation *r)
{
	registry_lock(r->volume->server->registry);
	changed_locked(r);
	registry_unlock(r->volume->server->registry);
}

static void drop_if_empty(struct reservation *r)
{
	struct reservation **at = &r->volume->server->reservations;

	if (r->registered)
		return;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	volume_put(r->volume);		/* whoever calls has one, or the news do */
	free(r);
}

static void no_holder(struct reservation *r)
{
	r->holder = NULL;
	r->type = RESERVE_NONE;
	r->alone = false;
}

static void unregister(struct reservation *r, struct registrant *g)
{
	struct registrant **at = &r->registered;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	if (r->holder == g || (each_holds(r) && !r->registered))
		no_holder(r);
	r->generation++;
	free(g);
}

static struct registrant *add(struct reservation *r, struct client *c, uint64_t key)
{
	struct registrant *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->client = c;
	g->key = key;
	g->next = r->registered;
	r->registered = g;
	r->generation++;
	lease_start(&c->lease, clock_now());
	lease_watch_wake(c->server->lease_watch);
	return g;
}

static int do_register(struct reservation *r, struct client *c, const struct reserve_request *q, struct err *e)
{
	struct registrant *g = registration(r, c);

	if (r->alone || (!q->ignore && (g ? g->key : 0) != q->key))
		return conflict(r->alone ? r : NULL, r->volume, e);
	if (!q->other) {
		if (g)
			unregister(r, g);
	} else if (g) {
		g->key = q->other;
		r->generation++;
	} else if (!add(r, c, q->other)) {
		return err_set(e, ENOMEM, "no memory for a registration");
	}
	return 0;
}

static int do_take(struct reservation *r, struct registrant *g, const struct reserve_request *q, struct err *e)
{
	if (r->type && (!holds(r, g) || r->type != q->type))
		return conflict(r, r->volume, e);
	r->type = q->type;
	r->holder = each_holds(r) ? NULL : g;
	return 0;
}

static int do_release(struct reservation *r, struct registrant *g, const struct reserve_request *q, struct err *e)
{
	if (!holds(r, g))
		return 0;
	if (r->type != q->type)
		return err_set(e, EINVAL, "volume %s is reserved as %s", r->volume->name, type_names[r->type]);
	no_holder(r);
	return 0;
}

/* Throws out who has the other key.  The kernel's documentation and its drivers disagree which of
 * the two keys of IOC_PR_PREEMPT is the caller's own: either may be. */
static int do_preempt(struct reservation *r, struct registrant *me, const struct reserve_request *q, struct err *e)
{
	uint64_t key = me->key == q->key ? q->other : q->key;
	bool take = each_holds(r) ? !key : r->holder && r->holder->key == key;
	struct registrant *g, *next;
	bool found = false;

	for (g = r->registered; g; g = next) {
		next = g->next;
		if (key && g->key != key)
			continue;
		found = true;
		if (g != me)
			unregister(r, g);
	}
	if (!found)
		return conflict(NULL, r->volume, e);
	if (take) {
		r->type = q->type;
		r->holder = each_holds(r) ? NULL : me;
	}
	return 0;
}

static void clear(struct reservation *r)
{
	no_holder(r);
	while (r->registered)
		unregister(r, r->registered);
}

/* Somebody else who has it open; NULL: nobody. */
static const struct client *another(const struct client *c, const struct volume *v)
{
	struct client *o;

	for (o = clients_first(c->server->clients); o; o = o->next)
		if (o != c && handle_opened(&o->handles, v))
			return o;
	return NULL;
}

static int take_alone(struct reservation *r, struct client *c, struct err *e)
{
	const struct client *other = another(c, r->volume);
	struct registrant *g = registration(r, c);

	if (r->alone && g)
		return 0;
	if (r->registered && !(g && !g->next && !r->type))
		return r->type ? conflict(r, r->volume, e) :
		       err_set(e, EBADE, "volume %s: other clients have registered for it", r->volume->name);
	if (other) {
		err_set(e, EBADE, "volume %s is open by client %s", r->volume->name, other->node);
		err_next(e, "end what uses it there");
		return -EBADE;
	}
	if (!g && !(g = add(r, c, 1)))
		return err_set(e, ENOMEM, "no memory for a reservation");
	r->alone = true;
	r->type = RESERVE_ALL;
	r->holder = g;
	snprintf(r->volume->opened_by, sizeof(r->volume->opened_by), "%s", c->node);
	return 0;
}

static int act(struct reservation *r, struct client *c, const struct reserve_request *q, struct err *e)
{
	struct registrant *g = registration(r, c);

	if (q->action == RESERVE_REGISTER)
		return do_register(r, c, q, e);
	if (q->action == RESERVE_ALONE)
		return take_alone(r, c, e);
	if (q->action == RESERVE_RELEASE && r->alone && g) {
		clear(r);
		return 0;
	}
	if (r->alone || !g || (g->key != q->key && (q->action != RESERVE_PREEMPT || g->key != q->other)))
		return conflict(r->alone ? r : NULL, r->volume, e);
	switch (q->action) {
	case RESERVE_TAKE:
		return do_take(r, g, q, e);
	case RESERVE_RELEASE:
		return do_release(r, g, q, e);
	case RESERVE_PREEMPT:
		return do_preempt(r, g, q, e);
	case RESERVE_CLEAR:
		clear(r);
		return 0;
	default:
		return err_set(e, EINVAL, "there is no such reservation");
	}
}

/*
 * From outside.
 */
static struct reserve_done *done_before(struct client *c, const char *id)
{
	for (unsigned i = 0; *id && i < RESERVE_DONE; i++)
		if (strcmp(c->reserve_done[i].id, id) == 0)
			return &c->reserve_done[i];
	return NULL;
}

static void note(struct client *c, const char *id, int result)
{
	struct reserve_done *d = &c->reserve_done[c->reserve_count++ % RESERVE_DONE];

	snprintf(d->id, sizeof(d->id), "%s", id);
	d->result = result;
}

/* Its right may have gone since it asked (reserve_lose). */
static bool may_write(struct client *c, struct volume *v)
{
	struct registry *r = c->server->registry;
	bool may;

	registry_lock(r);
	may = registry_may_write(v, c->node);
	registry_unlock(r);
	return may;
}

/* Under the lock.  *now: what is under way has to be waited for. */
static int carry_out(struct client *c, struct volume *v, const struct reserve_request *q, bool *now, struct err *e)
{
	struct reserve_done *d = done_before(c, q->id);
	struct reservation *r;
	int result;

	if (d) {
		*now = !d->result;
		return d->result ? err_sys(e, -d->result, "volume %s", v->name) : 0;
	}
	if (!may_write(c, v))
		return err_set(e, EACCES, "%s may not write to volume %s", c->node, v->name);
	r = c->ending ? NULL : get(v);
	if (!r)
		return err_set(e, c->ending ? ESHUTDOWN : ENOMEM, "cannot reserve volume %s", v->name);
	result = act(r, c, q, e);
	if (!result)
		changed(r);
	*now = !result && r->type;
	drop_if_empty(r);
	note(c, q->id, result);
	return result;
}

int reserve_do(struct client *c, struct volume *v, const struct reserve_request *q, struct err *e)
{
	struct clients *t = c->server->clients;
	bool now = false;
	int r;

	if (q->action == RESERVE_READ)
		return 0;
	if (v->shared) {
		err_set(e, EOPNOTSUPP, "volume %s is offered by several servers, and they know nothing of each other's "
			"reservations", v->name);
		return -EOPNOTSUPP;
	}
	pthread_mutex_lock(&v->reserve_lock);
	clients_lock(t);
	r = carry_out(c, v, q, &now, e);
	clients_unlock(t);
	if (!r && now)
		r = hold_pass(v, DRAIN_LIMIT, e);
	pthread_mutex_unlock(&v->reserve_lock);
	return r;
}

enum wire_status reserve_open(struct client *c, struct volume *v, bool alone, bool read_only, uint8_t *out)
{
	struct reservation *r = find(v);
	struct err e;

	*out = 0;
	if (alone && v->shared)
		return WIRE_E_UNSUPPORTED;
	if (alone && !(r && r->alone && registration(r, c))) {
		if (*v->opened_by && strcmp(v->opened_by, c->node) != 0)
			return WIRE_E_RESERVED;
		r = get(v);
		if (!r)
			return WIRE_E_NO_MEMORY;
		if (take_alone(r, c, &e)) {
			drop_if_empty(r);
			return WIRE_E_RESERVED;
		}
		changed_locked(r);
	}
	if (r && r->alone && !registration(r, c))
		return WIRE_E_RESERVED;
	if (!read_only)
		snprintf(v->opened_by, sizeof(v->opened_by), "%s", c->node);
	*out = bars(r, c);
	return WIRE_OK;
}

void reserve_end(struct client *c)
{
	struct reservation *r, *next;

	for (r = c->server->reservations; r; r = next) {
		struct registrant *g = registration(r, c);

		next = r->next;
		if (!g)
			continue;
		unregister(r, g);
		changed(r);
		drop_if_empty(r);
	}
}

void reserve_lose(struct client *c, const struct volume *v)
{
	struct reservation *r = find(v);
	struct registrant *g = registration(r, c);

	if (!g)
		return;
	unregister(r, g);
	changed_locked(r);
	drop_if_empty(r);
}

struct reserve_news *reserve_news(struct server *s)
{
	struct reserve_news *n = s->reserve_news;

	s->reserve_news = NULL;
	return n;
}

void reserve_tell(struct server *s, struct reserve_news *n)
{
	while (n) {
		struct reserve_news *next = n->next;

		registry_resized(s->registry, n->volume);
		volume_put(n->volume);
		free(n);
		n = next;
	}
}

/*
 * As JSON.
 */
json_t *reserve_show(struct volume *v)
{
	json_t *list = json_array(), *j;
	struct reservation *r;

	clients_lock(v->server->clients);
	r = find(v);
	for (struct registrant *g = r ? r->registered : NULL; g; g = g->next) {
		char key[20];

		snprintf(key, sizeof(key), "%" PRIx64, g->key);
		json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "client", g->client->node, "key", key,
						      "holds", (int)holds(r, g)));
	}
	j = json_pack("{s:i, s:s, s:b, s:o}", "generation", r ? (int)r->generation : 0, "type",
		      type_names[r ? r->type : RESERVE_NONE], "alone", (int)(r && r->alone), "registered", list);
	clients_unlock(v->server->clients);
	return j ? json_pack("{s:o}", "reservation", j) : NULL;
}

static const char *const actions[RESERVE_ACTIONS] = {
	"read", "register", "reserve", "release", "preempt", "clear", "alone",
};

const char *reserve_action_name(enum reserve_action a)
{
	return actions[a];
}

static int get_key(const json_t *j, const char *name, uint64_t *key, struct err *e)
{
	const json_t *k = json_object_get(j, name);
	const char *text = k ? json_string_value(k) : "0";
	char *end;

	if (!text || !*text || strlen(text) > 16 || strspn(text, "0123456789abcdef") != strlen(text))
		return err_set(e, EINVAL, "reserve: \"%s\" is not a text of 1 to 16 digits of 0-9 a-f", name);
	*key = strtoull(text, &end, 16);
	return 0;
}

int reserve_parse(const json_t *j, struct reserve_request *q, struct err *e)
{
	const char *action = json_string_value(json_object_get(j, "action"));
	const char *id = json_string_value(json_object_get(j, "id"));
	json_int_t type = json_integer_value(json_object_get(j, "type"));
	unsigned a = 0;

	memset(q, 0, sizeof(*q));
	while (action && a < RESERVE_ACTIONS && strcmp(actions[a], action) != 0)
		a++;
	if (!action || a == RESERVE_ACTIONS)
		return err_set(e, EINVAL, "reserve: \"action\" is none of read, register, reserve, release, preempt, clear, alone");
	q->action = (enum reserve_action)a;
	if (a && (!id || strlen(id) != RESERVE_ID))
		return err_set(e, EINVAL, "reserve: \"id\" has to be 32 digits, made anew for each request");
	snprintf(q->id, sizeof(q->id), "%s", id ? id : "");
	if (type < 0 || type >= RESERVE_TYPES || (!type && (a == RESERVE_TAKE || a == RESERVE_PREEMPT)))
		return err_set(e, EINVAL, "reserve: \"type\" is not 1 to 6");
	q->type = (uint8_t)type;
	q->ignore = json_is_true(json_object_get(j, "ignore"));
	return get_key(j, "key", &q->key, e) || get_key(j, "other", &q->other, e) ? -EINVAL : 0;
}
