/*
 * serve_open.c - OPEN, the file that the first one of a volume opens, and the claim that the
 * first one of a shared volume takes.
 *
 * To open a file is file I/O, and so is to take a claim (claim.h): a worker does it; then the OPEN is
 * looked at once more, from the beginning, since the volume may have changed.
 * Several OPENs of one session may be at it at the same time, over several
 * connections: one takes the claim, the others find it taken.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "audit.h"
#include "claim.h"
#include "conn.h"
#include "log.h"
#include "registry.h"
#include "serve.h"
#include "server.h"

struct open_request {
	uint64_t cookie;
	uint32_t handle;
	uint8_t flags;
	struct wire_open body;
};

/* A claim that is being taken for an OPEN. */
struct open_job {
	struct job job;			/* first */
	struct open_request request;
	struct volume *volume;		/* a reference */
	struct claim *claim;		/* the session's; NULL: the volume is not shared */
	struct err error;
};

static void audit_open(struct conn *c, const struct open_request *q, enum wire_status status, bool reads_only,
		       const char *why)
{
	audit(c->host, c->loop->now, status ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "open of %s (%s) by %s from %s %s%s%s%s%s",
	      q->body.name, reads_only || (q->flags & WIRE_FLAG_READ_ONLY) ? "ro" : "rw", c->client->node, c->peer,
	      status ? "refused (" : "granted", status ? wire_status_name(status) : "", status ? ")" : "",
	      why ? ": " : "", why ? why : "");
}

/* Who has it, as far as that is still true. */
static void refuse_reserved(struct conn *c, const struct open_request *q)
{
	struct registry *g = c->loop->server->registry;
	char text[WIRE_TEXT_MAX + 1], by[WIRE_NAME_MAX + 1] = "";
	struct volume *v;

	registry_lock(g);
	v = registry_find(g, q->body.name);
	if (v)
		snprintf(by, sizeof(by), "%s", v->reserved_by);
	registry_unlock(g);
	if (*by)
		snprintf(text, sizeof(text), "volume %s is reserved by client %s", q->body.name, by);
	else
		snprintf(text, sizeof(text), "volume %s was not kept for %s: another client has had it", q->body.name,
			 c->client->node);
	conn_refuse(c, WIRE_OPEN, q->cookie, WIRE_E_RESERVED, text);
}

static void reply(struct conn *c, const struct open_request *q, enum wire_status status, const struct wire_volume *v)
{
	struct wire_reply r = { .type = WIRE_OPEN, .cookie = q->cookie, .status = (uint16_t)status };
	uint8_t body[WIRE_VOLUME_MAX + 16];
	struct wire_writer w;

	audit_open(c, q, status, !status && (v->flags & WIRE_FLAG_READ_ONLY), NULL);
	if (status == WIRE_E_NO_VOLUME) {
		char text[WIRE_TEXT_MAX + 1];

		/* What a client may not see is not there: nobody learns its name by asking. */
		snprintf(text, sizeof(text), "there is no volume %s here, or %s is not among its clients", q->body.name,
			 c->client->node);
		conn_refuse(c, WIRE_OPEN, q->cookie, status, text);
		return;
	}
	if (status == WIRE_E_RESERVED) {
		refuse_reserved(c, q);
		return;
	}
	wire_writer_init(&w, body, sizeof(body));
	if (!status) {
		if ((q->flags | v->flags) & WIRE_FLAG_READ_ONLY)
			r.flags |= WIRE_FLAG_READ_ONLY;
		wire_put_volume(&w, v);
	}
	conn_reply(c, &r, body, (uint32_t)wire_writer_used(&w, body));
}

/* On a worker. */
static void run_claim(struct job *j)
{
	struct open_job *o = (struct open_job *)j;
	struct client *c = j->conn->client;
	struct claim_owner owner;

	j->result = volume_need(o->volume);
	if (j->result)
		err_sys(&o->error, -j->result, "cannot open %s", o->volume->path);
	if (j->result || !o->claim)
		return;
	claim_owner_set(&owner, c->node, c->life);
	j->result = claim_take(o->claim, &o->volume->place, &owner, c->server, &o->error);
	if (j->result)
		return;
	lease_start(&c->lease, clock_now());
	lease_watch_wake(c->server->lease_watch);
}

static void refused(struct conn *c, const struct open_job *o)
{
	char part[CONN_PART_MAX], text[WIRE_TEXT_MAX + 1];
	bool busy = o->job.result == -EBUSY;
	enum wire_status status = busy ? WIRE_E_BUSY : wire_status_from_errno(-o->job.result);

	snprintf(text, sizeof(text), "%.*s", WIRE_TEXT_MAX, o->error.text);
	log_line(busy ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, conn_part(c, false, part), "%s does not get %s: %s",
		 c->client->node, o->volume->name, text);
	audit_open(c, &o->request, status, false, text);
	conn_refuse(c, WIRE_OPEN, o->request.cookie, status, text);
}

/* Back on the loop. */
static void on_claim(struct engine *l, struct message *m)
{
	struct open_job *o = (struct open_job *)m;
	struct conn *c = o->job.conn;
	struct volume *claim_on = NULL;
	enum wire_status status;
	struct wire_volume v;

	(void)l;
	c->executing--;
	if (c->state != CONN_DEAD && o->job.result) {
		refused(c, o);
	} else if (c->state != CONN_DEAD) {
		status = client_open(c->client, o->request.handle, &o->request.body, o->request.flags, &v,
				     &claim_on);
		if (claim_on)
			conn_refuse(c, WIRE_OPEN, o->request.cookie, status, "the volume was replaced meanwhile");
		else
			reply(c, &o->request, status, &v);
	}
	if (claim_on)
		volume_put(claim_on);
	volume_put(o->volume);
	free(o);
	conn_touch(c);
}

static enum wire_status start_claim(struct conn *c, const struct open_request *q, struct volume *v)
{
	struct open_job *o = calloc(1, sizeof(*o));

	if (o && v->place.fd >= 0)
		o->claim = client_claim(c->client, v);
	if (!o || (v->place.fd >= 0 && !o->claim)) {
		free(o);
		volume_put(v);
		return WIRE_E_NO_MEMORY;
	}
	o->request = *q;
	o->volume = v;
	o->job = (struct job){
		.message.run = on_claim,
		.loop = c->loop,
		.conn = c,
		.dropped = &c->closed,
		.work = &v->work,
		.kind = JOB_SLOW,
		.run = run_claim,
		.type = WIRE_OPEN,
	};
	serve_queue(&o->job);
	return WIRE_OK;
}

int serve_open(struct conn *c, const uint8_t *payload, uint32_t length)
{
	const struct wire_request *r = &c->request;
	struct open_request q = {
		.cookie = r->cookie,
		.handle = r->handle,
		.flags = r->flags,
	};
	struct volume *claim_on;
	enum wire_status status;
	struct wire_volume v;
	const char *why;

	if (wire_get_open(payload, length, &q.body, &why))
		return conn_fail(c, "%s", why);
	if (!c->snapshots && strchr(q.body.name, '@')) {
		reply(c, &q, WIRE_E_NO_VOLUME, NULL);
		return 0;
	}
	status = client_open(c->client, q.handle, &q.body, q.flags, &v, &claim_on);
	if (claim_on)
		status = start_claim(c, &q, claim_on);
	if (status || !claim_on)
		reply(c, &q, status, &v);
	return 0;
}
