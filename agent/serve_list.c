/* serve_list.c - LIST: the volumes that a client may see, and the portals.  See serve.h. */
#include "conn.h"
#include "listen.h"
#include "registry.h"
#include "serve.h"
#include "server.h"

#define LIST_BYTES (64u << 10)

static void put_portals(struct wire_writer *w, struct server *s)
{
	char portals[WIRE_PORTALS_MAX][WIRE_PORTAL_MAX];
	size_t count = listeners_portals(s->listeners, portals);

	for (size_t i = 0; i < count; i++)
		wire_put_text(w, WIRE_TAG_PORTAL, portals[i]);
}

int serve_list(struct conn *c)
{
	const struct wire_request *r = &c->request;
	struct registry *g = c->client->server->registry;
	struct out *o = out_new(&c->loop->arena, LIST_BYTES);
	struct wire_reply reply = { .type = r->type, .cookie = r->cookie };
	struct wire_volume d;
	struct wire_writer w;
	struct volume *v;
	uint32_t seen = 0, put = 0;

	if (!o)
		return conn_fail(c, "no memory for a reply");
	wire_writer_init(&w, o->payload, LIST_BYTES);
	if (!r->offset)
		put_portals(&w, c->client->server);
	registry_lock(g);
	registry_seen(g);
	for (size_t i = 0; (v = registry_at(g, i)); i++) {
		if (!registry_visible(v, c->client->node) || (v->snapshot && !c->snapshots))
			continue;
		if (seen++ < r->offset || (r->count && put >= r->count) ||
		    wire_writer_used(&w, o->payload) > LIST_BYTES - 2 * WIRE_VOLUME_MAX)
			continue;
		registry_describe(v, c->client->node, &d);
		wire_put_volume(&w, &d);
		put++;
	}
	registry_unlock(g);
	wire_put_u32(&w, WIRE_TAG_TOTAL, seen);
	conn_reply_out(c, o, &reply, (uint32_t)wire_writer_used(&w, o->payload), 0);
	return 0;
}
