/*
 * works.h - management that was asked for over the control socket: it runs at a server
 * (manage.h), and whoever asked hears how far it is.
 *
 * A handler's thread waits for it; the loop's thread asks the server.  Who goes away takes
 * nothing with him: what was started goes on.
 */
#ifndef FUSEFS_WORKS_H
#define FUSEFS_WORKS_H

#include <jansson.h>
#include "client.h"
#include "ctl.h"
#include "helper.h"
#include "list.h"
#include "manage.h"

#define WORKS_AT_ONCE 16	/* the control socket's places are for others too */

struct works {
	struct client *client;
	struct helper *helper;
	struct list running;		/* struct work; owner: loop */
	unsigned count;
};

void works_init(struct works *w, struct client *c, struct helper *h);

/* The handlers' parts, on their threads: the reply's members, or NULL with e filled.
 * manage: namespace (or none, where there is one only), server, id, work, for a snapshot freeze ->
 *   namespace, server, id, result, frozen; meanwhile progress {"id", "server", "stage", "done", "of"}.
 * grow: namespace, volume, size -> filesystem, device, mount, before, size; meanwhile progress {"stage"}.
 * cancel: id.
 * namespaces: their names.
 * ask: namespace, server, question -> namespace, answers: [{"server", "answer"} or {"server", "error"}]. */
json_t *works_manage(struct works *w, const struct ctl_peer *peer, json_t *request, struct err *e);
json_t *works_grow(struct works *w, const struct ctl_peer *peer, json_t *request, struct err *e);
json_t *works_namespaces(struct works *w);
json_t *works_cancel(struct works *w, json_t *request, struct err *e);
json_t *works_ask(struct works *w, const struct ctl_peer *peer, json_t *request, struct err *e);

#endif
