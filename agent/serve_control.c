/*
 * serve_control.c - what a client may ask of the server itself: a JSON object
 * whose "do" names it, answered by a JSON object.  rsio-protocol(7) lists them.
 *
 * It is parsed on the loop, where others wait, so a request is small.  What the answer
 * needs is in memory, but for "volume": a thread of manage.h's reads its files.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "audit.h"
#include "conn.h"
#include "ctl.h"
#include "manage.h"
#include "manage_impl.h"
#include "registry.h"
#include "serve.h"
#include "server.h"

#define REQUEST_MAX 65536u

/* "volume", while its files are read. */
struct question {
	struct look look;		/* first */
	struct conn *conn;		/* held */
	uint64_t cookie;
};

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static json_t *counters(struct conn *c)
{
	const struct server *s = c->loop->server;

	return json_pack("{s:f, s:f}", "cpu", cpu_seconds(),
			 "uptime", (double)(clock_now() - s->started) / SECOND);
}

/* Takes the answer over; NULL: there was no memory for it. */
static void reply(struct conn *c, uint64_t cookie, json_t *answer)
{
	struct wire_reply r = { .type = WIRE_CONTROL, .cookie = cookie };
	char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
	size_t length = text ? strlen(text) : 0;

	json_decref(answer);
	if (!text)
		conn_refuse(c, WIRE_CONTROL, cookie, WIRE_E_NO_MEMORY, "no memory for the answer");
	else if (length > WIRE_CONTROL_MAX)
		conn_refuse(c, WIRE_CONTROL, cookie, WIRE_E_LIMIT, "the answer is longer than 1 MiB");
	else
		conn_reply(c, &r, text, (uint32_t)length);
	free(text);
}

/* Back on the loop. */
static void on_look(struct engine *l, struct message *m)
{
	struct question *q = (struct question *)m;
	struct conn *c = q->conn;

	(void)l;
	c->asking--;
	c->holds--;
	if (c->state == CONN_DEAD) {
		json_decref(q->look.answer);
		conn_release(c);
	} else {
		reply(c, q->cookie, q->look.answer);
		conn_touch(c);
	}
	volume_put(q->look.volume);
	free(q);
}

/*
 * What a job says of itself.  The events of what it did are in the loop's inbox before the job has ended, but this
 * connection's requests may be looked at first.  So the answer goes through the inbox too: whoever
 * reads in it that something is done has been told, over the same connection, what there is now.
 */
struct told {
	struct message message;		/* first */
	struct conn *conn;		/* held */
	uint64_t cookie;
	json_t *answer;
};

static void on_told(struct engine *l, struct message *m)
{
	struct told *t = (struct told *)m;
	struct conn *c = t->conn;

	(void)l;
	c->asking--;
	c->holds--;
	if (c->state == CONN_DEAD) {
		json_decref(t->answer);
		conn_release(c);
	} else {
		reply(c, t->cookie, t->answer);
		conn_touch(c);
	}
	free(t);
}

static void reply_behind_events(struct conn *c, uint64_t cookie, json_t *answer)
{
	struct told *t = calloc(1, sizeof(*t));

	if (!t) {
		reply(c, cookie, answer);
		return;
	}
	t->message.run = on_told;
	t->conn = c;
	t->cookie = cookie;
	t->answer = answer;
	c->asking++;
	c->holds++;
	engine_post(c->loop, &t->message);
}

static struct volume *find_volume(struct conn *c, const char *name)
{
	struct registry *g = c->loop->server->registry;
	struct volume *v;

	registry_lock(g);
	v = name ? registry_find(g, name) : NULL;
	if (v && registry_visible(v, c->client->node))
		volume_get(v);
	else
		v = NULL;
	registry_unlock(g);
	return v;
}

static void reserve(struct conn *c, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "volume"));
	struct volume *v = find_volume(c, name);
	struct err e = { 0 };
	bool may;

	if (!v) {
		err_set(&e, name ? ENOENT : EINVAL, name ? "there is no volume %.100s here, or %s is not among its clients" :
			"reserve needs \"volume\"", name, c->client->node);
		err_clean(e.text);
		audit_change(c->client->node, c->loop->now, LOG_LEVEL_WARNING, "reserve by %s from %s refused: %s", c->client->node,
			     c->peer, e.text);
		reply(c, c->request.cookie, json_pack("{s:o}", "error", manage_error(&e, NULL)));
		return;
	}
	registry_lock(c->loop->server->registry);
	may = registry_may_write(v, c->client->node) && !atomic_load(&v->read_only);
	registry_unlock(c->loop->server->registry);
	serve_reserve(c, v, may, request);
}

static int ask(struct conn *c, struct volume *v, struct err *e)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q)
		return err_set(e, ENOMEM, "no memory to look at %s", v->name);
	q->look.message.run = on_look;
	q->look.loop = c->loop;
	q->look.volume = v;
	memcpy(q->look.node, c->client->node, sizeof(q->look.node));
	q->conn = c;
	q->cookie = c->request.cookie;
	c->asking++;
	c->holds++;
	if (manage_look(c->loop->server->manage, &q->look) == 0)
		return 0;
	c->asking--;
	c->holds--;
	free(q);
	return err_set(e, EAGAIN, "%s asks for too much at once", c->client->node);
}

/* NULL: it is answered later. */
static json_t *volume(struct conn *c, const char *name)
{
	struct volume *v = find_volume(c, name);
	struct err e = { 0 };

	if (v && ask(c, v, &e) == 0)
		return NULL;
	if (!name)
		err_set(&e, EINVAL, "volume needs \"name\"");
	else if (!v)
		err_set(&e, ENOENT, "there is no volume %.100s here, or %s is not among its clients", name, c->client->node);
	if (v)
		volume_put(v);
	err_clean(e.text);
	return json_pack("{s:o}", "error", manage_error(&e, NULL));
}

static void answer(struct conn *c, const char *what, json_t *request)
{
	struct manage *m = c->loop->server->manage;
	uint64_t cookie = c->request.cookie;
	bool known = true;
	json_t *j;

	if (strcmp(what, "counters") == 0) {
		reply(c, cookie, counters(c));
	} else if (strcmp(what, "reserve") == 0) {
		reserve(c, request);
	} else if (strcmp(what, "volume") == 0) {
		j = volume(c, json_string_value(json_object_get(request, "name")));
		if (j)
			reply(c, cookie, j);
	} else {
		j = manage_answer(m, c->client->node, c->host, what, request, &known);
		if (known && json_object_get(j, "job"))
			reply_behind_events(c, cookie, j);
		else if (known)
			reply(c, cookie, j);
		else
			conn_refuse(c, WIRE_CONTROL, cookie, WIRE_E_UNSUPPORTED, "this version has no such control request");
	}
}

int serve_control(struct conn *c, const uint8_t *payload, uint32_t length)
{
	uint64_t cookie = c->request.cookie;
	struct err e = { 0 };
	const char *what;
	json_t *j;

	if (length > REQUEST_MAX) {
		conn_refuse(c, WIRE_CONTROL, cookie, WIRE_E_INVALID, "a control request longer than 65536 bytes");
		return 0;
	}
	j = ctl_parse((const char *)payload, length, &e);
	what = json_string_value(json_object_get(j, "do"));
	if (what)
		answer(c, what, j);
	else
		conn_refuse(c, WIRE_CONTROL, cookie, WIRE_E_INVALID, j ? "a JSON object without a \"do\"" : e.text);
	json_decref(j);
	return 0;
}
