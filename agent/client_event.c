/* client_event.c - what sessions are told without having asked: see client.h. */
#include <stdlib.h>
#include <string.h>
#include "conn.h"
#include "log.h"
#include "registry.h"
#include "server.h"

#define EVENT_MAX 256

struct event {
	struct message message;
	struct client *client;		/* a reference */
	uint32_t number;		/* of the connection */
	uint32_t length;
	uint8_t body[EVENT_MAX];
};

static void on_event(struct engine *l, struct message *m)
{
	struct event *ev = (struct event *)m;
	struct conn *c = conn_find(l, ev->client, ev->number);
	struct wire_reply r = { .type = WIRE_EVENT };

	if (c && c->state == CONN_UP) {
		conn_reply(c, &r, ev->body, ev->length);
		conn_touch(c);
	}
	client_put(ev->client);
	free(ev);
}

struct leave_message {
	struct message message;
	struct client *client;		/* a reference */
	uint32_t number;
};

static void on_leave(struct engine *l, struct message *m)
{
	struct leave_message *k = (struct leave_message *)m;
	struct conn *c = conn_find(l, k->client, k->number);

	if (c && c->state != CONN_DEAD) {
		conn_leave(c);
		conn_touch(c);
	}
	client_put(k->client);
	free(k);
}

void clients_leave_all(struct clients *t)
{
	clients_lock(t);
	for (struct client *c = clients_first(t); c; c = c->next) {
		for (unsigned i = 0; i < c->conn_count; i++) {
			struct leave_message *k = malloc(sizeof(*k));

			if (!k)
				continue;	/* it is closed with the rest */
			k->message.run = on_leave;
			k->client = client_get(c);
			k->number = c->conns[i]->number;
			engine_post(c->conns[i]->loop, &k->message);
		}
	}
	clients_unlock(t);
}

/* Under clients.lock; snapshot: of one, which not every connection may be told of. */
static void post(struct client *c, const uint8_t *body, size_t length, bool snapshot)
{
	for (unsigned i = 0; i < c->conn_count; i++) {
		struct event *ev;

		if (snapshot && !c->conns[i]->snapshots)
			continue;
		ev = malloc(sizeof(*ev));
		if (!ev) {
			log_error("client", "%s: no memory to tell it of a change", c->node);
			return;
		}
		ev->message.run = on_event;
		ev->client = client_get(c);
		ev->number = c->conns[i]->number;
		ev->length = (uint32_t)length;
		memcpy(ev->body, body, length);
		engine_post(c->conns[i]->loop, &ev->message);
	}
}

static void announce(struct clients *t, const struct wire_event_body *b, const struct volume *v)
{
	struct wire_event_body for_readers = *b;
	uint8_t body[EVENT_MAX], readers[EVENT_MAX];
	size_t length = wire_put_event(body, sizeof(body), b);

	for_readers.volume.flags |= WIRE_FLAG_READ_ONLY;
	wire_put_event(readers, sizeof(readers), &for_readers);	/* of the same length */
	for (struct client *c = clients_first(t); c; c = c->next)
		if (!v || registry_visible(v, c->node))
			post(c, !v || registry_may_write(v, c->node) ? body : readers, length, v && v->snapshot);
}

void clients_announce(struct clients *t, enum wire_event kind, struct volume *v)
{
	struct wire_event_body b = { .kind = (uint16_t)kind, .has_volume = true };

	clients_lock(t);
	if (clients_first(t)) {
		registry_lock(v->server->registry);
		registry_seen(v->server->registry);
		volume_describe(v, &b.volume);
		announce(t, &b, v);
		registry_unlock(v->server->registry);
	}
	clients_unlock(t);
}

void clients_announce_lost(struct clients *t, struct volume *v, char *const *before)
{
	struct wire_event_body b = { .kind = WIRE_EVENT_VOLUME_REMOVED, .has_volume = true };
	uint8_t body[EVENT_MAX];
	size_t length;

	clients_lock(t);
	registry_lock(v->server->registry);
	volume_describe(v, &b.volume);
	length = wire_put_event(body, sizeof(body), &b);
	for (struct client *c = clients_first(t); c; c = c->next)
		if (conf_right(before, c->node) != CONF_RIGHT_NONE && !registry_visible(v, c->node))
			post(c, body, length, v->snapshot);
	registry_unlock(v->server->registry);
	clients_unlock(t);
}

void clients_announce_portal(struct clients *t, const char *portal, bool there)
{
	struct wire_event_body b = { .kind = there ? WIRE_EVENT_PORTAL_ADDED : WIRE_EVENT_PORTAL_REMOVED };

	strncpy(b.portal, portal, sizeof(b.portal) - 1);
	clients_lock(t);
	announce(t, &b, NULL);
	clients_unlock(t);
}

void clients_announce_leaving(struct clients *t)
{
	struct wire_event_body b = { .kind = WIRE_EVENT_LEAVING };

	clients_lock(t);
	announce(t, &b, NULL);
	clients_unlock(t);
}
