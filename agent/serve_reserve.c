/*
 * serve_reserve.c - the control request "reserve": a worker carries it out, since it waits for
 * writes that are under way (reserve.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "audit.h"
#include "conn.h"
#include "manage_impl.h"
#include "reserve.h"
#include "serve.h"
#include "server.h"

struct reserve_job {
	struct job job;			/* first */
	struct volume *volume;		/* a reference */
	struct reserve_request request;
	struct err error;
};

static void reply(struct conn *c, uint64_t cookie, json_t *answer)
{
	struct wire_reply r = { .type = WIRE_CONTROL, .cookie = cookie };
	char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

	json_decref(answer);
	if (text)
		conn_reply(c, &r, text, (uint32_t)strlen(text));
	else
		conn_refuse(c, WIRE_CONTROL, cookie, WIRE_E_NO_MEMORY, "no memory for the answer");
	free(text);
}

static json_t *refusal(struct err *e)
{
	err_clean(e->text);
	return json_pack("{s:o}", "error", manage_error(e, NULL));
}

/* On a worker. */
static void run(struct job *j)
{
	struct reserve_job *k = (struct reserve_job *)j;

	j->result = reserve_do(j->conn->client, k->volume, &k->request, &k->error);
}

/* e: why not; NULL: done. */
static void say(const struct conn *c, const char *volume, enum reserve_action action, const struct err *e)
{
	audit_change(c->client->node, c->loop->now, e ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "reserve of %s (%s) by %s from %s %s%s",
		     volume, reserve_action_name(action), c->client->node, c->peer, e ? "refused: " : "done", e ? e->text : "");
}

/* Back on the loop. */
static void on_back(struct engine *l, struct message *m)
{
	struct reserve_job *k = (struct reserve_job *)m;
	struct conn *c = k->job.conn;

	(void)l;
	c->executing--;
	say(c, k->volume->name, k->request.action, k->job.result ? &k->error : NULL);
	if (c->state != CONN_DEAD)
		reply(c, k->job.cookie, k->job.result ? refusal(&k->error) : reserve_show(k->volume));
	volume_put(k->volume);
	free(k);
	conn_touch(c);
}

static int start(struct conn *c, struct volume *v, const struct reserve_request *q, struct err *e)
{
	struct reserve_job *k = calloc(1, sizeof(*k));

	if (!k)
		return err_set(e, ENOMEM, "no memory to reserve %s", v->name);
	k->volume = v;
	k->request = *q;
	k->job = (struct job){
		.message.run = on_back,
		.loop = c->loop,
		.conn = c,
		.client = c->client,
		.dropped = &c->closed,
		.work = &c->loop->server->reserve_work,
		.kind = JOB_SLOW,
		.run = run,
		.cookie = c->request.cookie,
		.type = WIRE_CONTROL,
	};
	serve_queue(&k->job);
	return 0;
}

void serve_reserve(struct conn *c, struct volume *v, bool may_write, const json_t *request)
{
	struct reserve_request q;
	struct err e = { 0 };
	int r = reserve_parse(request, &q, &e);

	if (!r && q.action != RESERVE_READ && !may_write)
		r = err_set(&e, EACCES, "%s may not write to volume %s", c->client->node, v->name);
	if (!r && q.action == RESERVE_READ)
		reply(c, c->request.cookie, reserve_show(v));
	else if (!r && start(c, v, &q, &e) == 0)
		return;
	else {
		say(c, v->name, q.action, &e);
		reply(c, c->request.cookie, refusal(&e));
	}
	volume_put(v);
}
