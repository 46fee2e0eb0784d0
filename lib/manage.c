/*
 * manage.c - see manage.h.
 *
 * Everything is done from the timer `step`: an answer is put down where it arrives, inside the
 * session, and looked at when the loop comes to the timer.  So nothing here is called from
 * within the session's work on its own lists, and no user of this from within its own calls.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ctl.h"
#include "manage_impl.h"
#include "secure.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define PAUSE_FIRST (2 * MS)
#define PAUSE_LAST (250 * MS)
#define PAUSE_EAGER (8 * MS)
#define AGAIN_AFTER (100 * MS)		/* a session that ended is made anew meanwhile */
#define CANCEL_WITHIN (5 * SECOND)
#define PUT_OFF_WITHIN (10 * SECOND)	/* a pool finds its owner in that time, or not soon */
#define PUT_OFF_PAUSE (250 * MS)
#define HOPS_MAX 4
#define STARTS_MAX 4

static uint64_t now(const struct manage *m)
{
	return loop_now(m->ns->loop);
}

static void step_in(struct manage *m, uint64_t ns)
{
	loop_arm(m->ns->loop, &m->step, now(m) + ns);
}

static const char *server_name(const struct manage *m)
{
	return m->server ? m->server->name : "";
}

/* The end. */

void manage_free(struct manage *m)
{
	if (m->asking)
		session_control_forget(m->server, m);
	for (size_t i = 0; i < m->part_count; i++)
		if (m->parts[i].part)
			manage_free(m->parts[i].part);
	loop_disarm(m->ns->loop, &m->step);
	loop_disarm(m->ns->loop, &m->deadline);
	list_remove(&m->link);
	json_decref(m->work);
	json_decref(m->question);
	json_decref(m->answer);
	json_decref(m->answers);
	free(m->parts);
	free(m);
}

void manage_finish(struct manage *m, json_t *result, const struct err *e)
{
	const struct manage_calls *calls = m->calls;
	char name[WIRE_NAME_MAX + 1];
	void *arg = m->arg;

	snprintf(name, sizeof name, "%s", server_name(m));
	json_incref(result);
	manage_free(m);
	calls->done(arg, name, result, e);
	json_decref(result);
}

static void fail(struct manage *m, const struct err *e)
{
	manage_finish(m, NULL, e);
}

/* Asking. */

static void answered(void *arg, int error, const char *text, size_t length)
{
	struct manage *m = arg;
	struct err e = { 0 };

	m->asking = false;
	m->answered = true;
	m->error = error;
	m->text[0] = 0;
	json_decref(m->answer);
	m->answer = NULL;
	if (error && length)
		wire_get_text_body((const uint8_t *)text, length, m->text);
	if (!error) {
		m->answer = ctl_parse(text, length, &e);
		if (!m->answer) {
			m->error = -EPROTO;
			snprintf(m->text, sizeof m->text, "%.200s", e.text);
		}
	}
	step_in(m, 0);
}

static json_t *next_request(struct manage *m)
{
	m->cancelling = m->state == MANAGE_RUNNING && m->cancel && !m->cancelled;
	if (m->cancelling)
		return json_pack("{s:s, s:s}", "do", "cancel", "id", m->id);
	if (m->state == MANAGE_ASKING)
		return json_incref(m->question);
	if (m->state == MANAGE_STARTING)
		return json_pack("{s:s, s:s, s:O}", "do", "start", "id", m->id, "work", m->work);
	return json_pack("{s:s, s:s}", "do", "job", "id", m->id);
}

static void say(struct manage *m)
{
	json_t *j = next_request(m);
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	if (text && session_control(m->server, text, answered, m) == 0) {
		m->asking = true;
		m->again |= m->state == MANAGE_STARTING && m->sent;
		m->sent |= m->state == MANAGE_STARTING;
	} else {
		step_in(m, AGAIN_AFTER);
	}
	free(text);
}

/* Answers. */

/* The server does not own that pool: 0 when another one is asked now. */
static int ask_owner(struct manage *m, const json_t *error, struct err *e)
{
	const char *owner = json_string_value(json_object_get(error, "owner"));
	struct session *s = owner ? manage_server(m->ns, owner) : NULL;

	if (!owner || m->hops++ >= HOPS_MAX)
		return err_set(e, EREMOTE, "the servers of %s do not agree who owns this pool", m->ns->name);
	if (!s) {
		err_set(e, EREMOTE, "its pool is managed by server %s, which this client does not reach", owner);
		err_next(e, "rsconfig -m status shows why; or ask from a client that reaches it");
		return -EREMOTE;
	}
	m->server = s;
	m->sent = m->again = false;
	manage_begin(m, m->state == MANAGE_ASKING ? MANAGE_ASKING : MANAGE_STARTING);
	return 0;
}

/* A server that was restarted knows work by what it left; what was removed left nothing. */
static bool is_gone(const struct manage *m, const json_t *error)
{
	const char *op = json_string_value(json_object_get(m->work, "op"));
	const char *code = json_string_value(json_object_get(error, "code"));

	return m->again && op && code && !strcmp(code, "ENOENT") &&
	       (!strcmp(op, "remove") || !strcmp(op, "snapshot_remove"));
}

static void succeed(struct manage *m, json_t *result)
{
	json_t *j = result ? json_incref(result) : json_object();

	manage_finish(m, j, NULL);
	json_decref(j);
}

/* It is about to end, or the session has: there will be another, and the time since it was
 * heard goes on. */
static void ask_later(struct manage *m)
{
	m->cancelling = false;
	step_in(m, AGAIN_AFTER);
}

/* There is no room now, or a shared pool has no owner yet: it is asked again, for a while.  Not
 * where a file system is at rest meanwhile, nor beyond a limit: the refusal says more than the limit. */
static bool ask_again(struct manage *m)
{
	if (m->state != MANAGE_STARTING || m->cancel || m->pause_last == PAUSE_EAGER)
		return false;
	if (!m->put_off)
		m->put_off = now(m);
	if (now(m) >= m->put_off + PUT_OFF_WITHIN || (m->limit && now(m) + PUT_OFF_PAUSE >= m->limit))
		return false;
	m->heard = now(m);
	/* It was not taken: the next one is the first. */
	m->sent = m->again;
	step_in(m, PUT_OFF_PAUSE);
	return true;
}

static void take_refusal(struct manage *m, const json_t *error)
{
	const char *code = json_string_value(json_object_get(error, "code"));
	struct err e = { 0 };

	if (code && !strcmp(code, "ESHUTDOWN")) {
		ask_later(m);
		return;
	}
	if (code && !strcmp(code, "EAGAIN") && ask_again(m))
		return;
	if (m->state != MANAGE_RUNNING && code && !strcmp(code, "EREMOTE")) {
		if (ask_owner(m, error, &e) == 0)
			return;
	} else if (m->state == MANAGE_RUNNING && code && !strcmp(code, "ENOENT") && ++m->starts < STARTS_MAX) {
		/* It was restarted: with the same id it says that this is done, or does it. */
		manage_begin(m, MANAGE_STARTING);
		return;
	} else if (is_gone(m, error)) {
		succeed(m, NULL);
		return;
	} else {
		ctl_take_error(error, m->server->name, &e);
	}
	fail(m, &e);
}

static void take_job(struct manage *m)
{
	json_t *job = json_object_get(m->answer, "job");
	const char *state = json_string_value(json_object_get(job, "state"));
	struct err e = { 0 };

	m->state = MANAGE_RUNNING;
	if (state && !strcmp(state, "done")) {
		succeed(m, json_object_get(job, "result"));
		return;
	}
	if (state && !strcmp(state, "running")) {
		if (m->calls->progress)
			m->calls->progress(m->arg, m->server->name, job);
		step_in(m, m->cancel && !m->cancelled ? 0 : m->pause);
		m->pause = m->pause * 2 < m->pause_last ? m->pause * 2 : m->pause_last;
		return;
	}
	/* Not by us: the server is about to end.  The next one does it. */
	if (state && !strcmp(state, "cancelled") && !m->cancel && ++m->starts < STARTS_MAX) {
		m->state = MANAGE_STARTING;
		step_in(m, SECOND);
		return;
	}
	if (state && !strcmp(state, "failed") && is_gone(m, json_object_get(job, "error"))) {
		succeed(m, NULL);
		return;
	}
	if (state && !strcmp(state, "failed"))
		ctl_take_error(json_object_get(job, "error"), m->server->name, &e);
	else if (state && !strcmp(state, "cancelled"))
		err_set(&e, ECANCELED, "cancelled%s; nothing of it is left", m->cancel ? "" : " at the server");
	else
		err_set(&e, EPROTO, "server %s does not say how the work stands", m->server->name);
	fail(m, &e);
}

/* True: it is asked again, or has ended. */
static bool take_error(struct manage *m)
{
	struct err e = { 0 };

	if (!m->error)
		return false;
	if ((m->error == -EIO && !m->text[0]) || m->error == -ESHUTDOWN) {
		ask_later(m);
		return true;
	}
	if (m->error == -EOPNOTSUPP) {
		err_set(&e, EOPNOTSUPP, "server %s does not manage volumes", m->server->name);
		err_next(&e, "it has version %.40s, this client %s: update it", m->server->version, RSIO_VERSION);
	} else {
		err_set(&e, -m->error, "server %s: %s", m->server->name, m->text[0] ? m->text : strerror(-m->error));
	}
	fail(m, &e);
	return true;
}

static void take_answer(struct manage *m)
{
	const json_t *error;

	m->answered = false;
	if (take_error(m))
		return;
	error = json_object_get(m->answer, "error");
	if (!error)
		m->heard = now(m);
	if (m->cancelling) {		/* whatever it says, the work itself tells */
		m->cancelling = false;
		m->cancelled = true;
		say(m);
		return;
	}
	if (error)
		take_refusal(m, error);
	else if (m->state == MANAGE_ASKING)
		manage_finish(m, m->answer, NULL);
	else
		take_job(m);
}

static void all_answered(struct manage *m)
{
	struct err e = { 0 };

	if (!m->work) {
		manage_finish(m, m->answers, NULL);
		return;
	}
	m->server = manage_choose(m, &e);
	if (m->server)
		manage_begin(m, MANAGE_STARTING);
	else
		fail(m, &e);
}

static void step(struct loop_timer *t)
{
	struct manage *m = container_of(t, struct manage, step);

	if (m->state == MANAGE_FINDING)
		all_answered(m);
	else if (m->answered)
		take_answer(m);
	else if (!m->asking)
		say(m);
}

/* Time. */

static const char *silent_for(const struct manage *m, char *buf, size_t size)
{
	snprintf(buf, size, "%.0f s", (double)(now(m) - m->heard) / SECOND);
	return buf;
}

/* The work goes on there, or may have begun: who asked has to know. */
static void too_long(struct manage *m)
{
	bool waits = m->state == MANAGE_RUNNING && !m->asking;
	bool question = m->state == MANAGE_FINDING || m->state == MANAGE_ASKING;
	char buf[24], *text = NULL;
	struct err e;

	if (question)
		err_set(&e, ETIMEDOUT, "no answer from %s%s of %s", m->server ? "server " : "the servers",
			server_name(m), m->ns->name);
	else if (waits)
		err_set(&e, ETIMEDOUT, "server %s is not done with it yet%s", server_name(m),
			m->cancel_at_limit ? " and was told to stop" : "");
	else
		err_set(&e, m->cancel ? ECANCELED : ETIMEDOUT, "server %s has not answered for %s: it may have done this",
			server_name(m), silent_for(m, buf, sizeof buf));
	err_next(&e, waits ? "rsvol ls shows what there is" : question ? "rsconfig -m status shows its paths" :
		 "rsconfig -m status shows its paths; when it is back rsvol ls shows whether it was done");
	if (m->cancel_at_limit && m->state >= MANAGE_STARTING &&
	    asprintf(&text, "{\"do\":\"cancel\",\"id\":\"%s\"}", m->id) > 0)
		session_control(m->server, text, NULL, NULL);
	free(text);
	fail(m, &e);
}

/* When it is to end by itself; 0: never. */
static uint64_t ends_at(const struct manage *m)
{
	const struct conf_behaviour *b = &m->ns->conf->behaviour;

	if (m->cancel)
		return m->heard + CANCEL_WITHIN;
	if (m->limit)
		return m->limit;
	return b->on_loss == CONF_ON_LOSS_QUEUE ? 0 : m->heard + (uint64_t)(b->give_up * 1e9);
}

static void set_deadline(struct manage *m)
{
	uint64_t at = ends_at(m);

	if (at)
		loop_arm(m->ns->loop, &m->deadline, at);
}

static void deadline(struct loop_timer *t)
{
	struct manage *m = container_of(t, struct manage, deadline);

	/* While it answers between two questions the time begins anew. */
	if ((m->cancel || !m->limit) && !m->asking && m->state == MANAGE_RUNNING)
		m->heard = now(m);
	if (ends_at(m) > now(m))
		set_deadline(m);
	else
		too_long(m);
}

/* The beginning. */

struct manage *manage_new(struct namespace *ns, const struct manage_wish *w, const struct manage_calls *calls,
			  void *arg, struct err *e)
{
	struct manage *m = calloc(1, sizeof *m);
	uint8_t random[MANAGE_ID / 2];

	if (!m || secure_random(random, sizeof random) < 0) {
		free(m);
		err_set(e, ENOMEM, "no memory to ask a server with");
		return NULL;
	}
	m->ns = ns;
	m->calls = calls;
	m->arg = arg;
	m->step.fire = step;
	m->deadline.fire = deadline;
	m->heard = now(m);
	m->limit = w && w->limit > 0 ? m->heard + (uint64_t)(w->limit * 1e9) : 0;
	m->cancel_at_limit = w && w->cancel;
	m->pause_last = w && w->eager ? PAUSE_EAGER : PAUSE_LAST;
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(m->id + 2 * i, 3, "%02x", random[i]);
	if (w && w->id)
		snprintf(m->id, sizeof m->id, "%s", w->id);
	list_append(&ns->manages, &m->link);
	set_deadline(m);
	return m;
}

void manage_begin(struct manage *m, enum manage_state state)
{
	m->state = state;
	m->pause = PAUSE_FIRST;
	step_in(m, 0);
}

/* server: as wished, NULL: e says that there is none. */
static struct session *wished(const struct namespace *ns, const char *name, struct err *e)
{
	struct session *s = manage_server(ns, name);

	if (!s) {
		err_set(e, ENOENT, "no server %s of %s is known", name, ns->name);
		err_next(e, "rsconfig -q shows those that there are");
	}
	return s;
}

struct manage *manage_work(struct namespace *ns, const struct manage_wish *w, json_t *work,
			   const struct manage_calls *calls, void *arg, struct err *e)
{
	struct manage *m = manage_new(ns, w, calls, arg, e);
	int r;

	if (!m) {
		json_decref(work);
		return NULL;
	}
	m->work = work;
	if (w && w->server)
		r = (m->server = wished(ns, w->server, e)) ? 0 : -ENOENT;
	else
		r = manage_find(m, e);
	if (r < 0) {
		manage_free(m);
		return NULL;
	}
	manage_identify(m);
	if (m->server)
		manage_begin(m, MANAGE_STARTING);
	return m;
}

struct manage *manage_ask(struct namespace *ns, const struct manage_wish *w, json_t *question,
			  const struct manage_calls *calls, void *arg, struct err *e)
{
	const char *volume = json_string_value(json_object_get(question, "name"));
	struct manage *m = manage_new(ns, w, calls, arg, e);

	if (!m) {
		json_decref(question);
		return NULL;
	}
	m->question = question;
	m->server = w && w->server ? wished(ns, w->server, e) : manage_server_of(ns, volume, e);
	if (!m->server) {
		manage_free(m);
		return NULL;
	}
	manage_begin(m, MANAGE_ASKING);
	return m;
}

struct manage *manage_ask_all(struct namespace *ns, const struct manage_wish *w, json_t *question,
			      const struct manage_calls *calls, void *arg, struct err *e)
{
	struct manage *m = manage_new(ns, w, calls, arg, e);
	int r = m ? manage_ask_each(m, question, e) : -ENOMEM;

	json_decref(question);
	if (r < 0 && m)
		manage_free(m);
	return r < 0 ? NULL : m;
}

/* The end, by others. */

void manage_cancel(struct manage *m)
{
	if (m->cancel)
		return;
	m->cancel = true;
	if (!m->asking)
		m->heard = now(m);
	set_deadline(m);
	if (m->state == MANAGE_RUNNING && !m->asking)
		step_in(m, 0);
	else if (m->state == MANAGE_FINDING || m->state == MANAGE_ASKING)
		loop_arm(m->ns->loop, &m->deadline, now(m));
}

void manage_forget(struct manage *m)
{
	manage_free(m);
}

const char *manage_id(const struct manage *m)
{
	return m->id;
}

const char *manage_asks(const struct manage *m)
{
	return server_name(m);
}

void manage_end_all(struct namespace *ns)
{
	struct err e;

	err_set(&e, ESHUTDOWN, "namespace %s ends here; what was started goes on at its server", ns->name);
	while (!list_empty(&ns->manages)) {
		struct manage *m = container_of(ns->manages.next, struct manage, link);

		manage_finish(m, NULL, &e);
	}
}
