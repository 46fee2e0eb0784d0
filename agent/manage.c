/*
 * manage.c - what clients ask for, and the threads that do it: see manage.h.
 *
 * A thread is started with each job that is asked for, up to MANAGE_THREADS, and ends when
 * nothing is left that may run.  What may not run now, for there are enough of its node or
 * pool, is taken by the thread that ends one of these.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "audit.h"
#include "engine.h"
#include "log.h"
#include "manage.h"
#include "manage_impl.h"
#include "pool.h"
#include "schedule.h"
#include "secure.h"
#include "server.h"
#include "watch.h"

struct manage *manage_new(struct server *s, struct err *e)
{
	struct manage *m = calloc(1, sizeof(*m));
	pthread_condattr_t attr;

	if (!m || !(m->looks = looks_new())) {
		free(m);
		err_set(e, ENOMEM, "cannot start: no memory");
		return NULL;
	}
	m->server = s;
	pthread_mutex_init(&m->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&m->ended, &attr);
	pthread_condattr_destroy(&attr);
	return m;
}

void manage_free(struct manage *m)
{
	struct manage_node *n;
	struct task *t;

	if (!m)
		return;
	while ((n = m->nodes)) {
		m->nodes = n->next;
		while ((t = n->tasks)) {
			n->tasks = t->next;
			task_free(t);
		}
		free(n);
	}
	pthread_mutex_destroy(&m->lock);
	pthread_cond_destroy(&m->ended);
	looks_free(m->looks);
	free(m);
}

/*
 * Threads.
 */
static void audit_task(const struct task *t, bool good, const char *what, const char *why)
{
	char text[MANAGE_TEXT_MAX];

	audit_change(t->node, clock_now(), good ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "%s by %s from %s %s%s%s",
	      manage_text(&t->work, text), t->node, t->source, what, why ? ": " : "", why ? why : "");
}

static int run_in(struct server *s, struct task *t, json_t **result, struct err *e)
{
	struct pool *p = watch_pool(s->watch, t->place.pool);
	int r;

	if (!p)
		return err_set(e, ENOENT, "pool %s is open no more", t->place.pool);
	r = t->work.op->run(p, t, result, e);
	if (!r)
		pool_space_changed(p);
	pool_put(p);
	return r;
}

/* On a thread of its own, without the lock: nobody frees a job that runs. */
static int run(struct manage *m, struct task *t, json_t **result, struct err *e)
{
	char text[MANAGE_TEXT_MAX];
	struct place place;
	int r;

	if (progress_cancelled(&t->progress))
		return err_set(e, ECANCELED, "it was cancelled");
	if (t->own) {
		r = run_in(m->server, t, result, e);
		if (r)
			log_warning("manage", "%s: %s", manage_text(&t->work, text), e->text);
		return r;
	}
	/* It may have waited, and the configuration may be another one by now. */
	r = manage_admit(m->server, t->node, &t->work, t->id, &place, e);
	if (!r && !place_same(&place, &t->place, &t->work))
		r = err_set(e, ESTALE, "%s is in another pool than when this was asked for", t->work.volume);
	place_fini(&place);
	if (!r)
		r = run_in(m->server, t, result, e);
	if (r && !e->code)
		err_sys(e, -r, "%s", t->work.op->name);
	audit_task(t, !r, !r ? "done" : r == -ECANCELED ? "cancelled" : "failed", r ? e->text : NULL);
	return r;
}

static void *thread_main(void *arg)
{
	struct manage *m = arg;
	struct task *t;

	pthread_setname_np(pthread_self(), "rssrv-manage");
	pthread_mutex_lock(&m->lock);
	while ((t = task_next(m))) {
		struct err e = { 0 };
		json_t *result = NULL;
		int r;

		task_begin(m, t);
		pthread_mutex_unlock(&m->lock);
		r = run(m, t, &result, &e);
		pthread_mutex_lock(&m->lock);
		task_end(m, t, r, result, &e);
	}
	m->threads--;
	pthread_cond_broadcast(&m->ended);
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

/* 0, also where there are enough; -errno. */
static int start_thread(struct manage *m)
{
	pthread_attr_t attr;
	pthread_t t;
	int r;

	if (m->threads == MANAGE_THREADS)
		return 0;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, MANAGE_STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&t, &attr, thread_main, m);
	pthread_attr_destroy(&attr);
	if (!r)
		m->threads++;
	return m->threads ? 0 : -r;
}

/*
 * Answers.
 */
json_t *manage_error(const struct err *e, const char *owner)
{
	const char *name = strerrorname_np(e->code);
	json_t *j = json_pack("{s:s, s:s}", "code", name ? name : "EIO", "text", e->text);

	if (e->next[0])
		json_object_set_new(j, "next", json_string(e->next));
	if (owner && *owner)
		json_object_set_new(j, "owner", json_string(owner));
	return j;
}

static json_t *refusal(const struct err *e, const char *owner)
{
	return json_pack("{s:o}", "error", manage_error(e, owner));
}

static const char *state_name(const struct task *t)
{
	switch (t->state) {
	case TASK_DONE:
		return "done";
	case TASK_FAILED:
		return "failed";
	case TASK_CANCELLED:
		return "cancelled";
	default:
		return "running";
	}
}

/* Under manage.lock. */
static json_t *task_json(struct task *t)
{
	const char *stage = atomic_load(&t->progress.stage);
	json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "id", t->id, "op", t->work.op->name,
			      "state", state_name(t), "stage", t->state == TASK_WAITS ? "waiting" : stage ? stage : "",
			      "done", (json_int_t)atomic_load(&t->progress.done),
			      "of", (json_int_t)atomic_load(&t->progress.of));

	t->asked = clock_now();
	if (atomic_load(&t->progress.taken))
		json_object_set_new(j, "taken", json_true());
	if (t->result)
		json_object_set_new(j, "result", json_deep_copy(t->result));
	if (t->error.code)
		json_object_set_new(j, "error", manage_error(&t->error, NULL));
	return json_pack("{s:o}", "job", j);
}

/*
 * Requests.
 */
static bool is_id(const char *text)
{
	return text && strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32;
}

static void digest(const json_t *work, uint8_t out[16])
{
	char *text = json_dumps(work, JSON_COMPACT | JSON_SORT_KEYS);

	memset(out, 0, 16);
	if (text)
		secure_id("rsio work", text, strlen(text), out);
	free(text);
}

/* NULL with e: it cannot be one. */
static struct task *make(const char *node, const char *source, const char *id, json_t *request, struct err *e)
{
	const json_t *work = json_object_get(request, "work"), *attended = json_object_get(request, "attended");
	struct task *t = calloc(1, sizeof(*t));

	if (!t) {
		err_set(e, ENOMEM, "no memory for a job");
		return NULL;
	}
	snprintf(t->node, sizeof(t->node), "%s", node);
	snprintf(t->source, sizeof(t->source), "%s", source);
	snprintf(t->id, sizeof(t->id), "%s", id);
	t->attended = json_is_true(attended);
	t->asked = clock_now();
	digest(work, t->digest);
	if (attended && !json_is_boolean(attended))
		err_set(e, EINVAL, "start: \"attended\" has to be true or false");
	else if (manage_parse(&t->work, work, e) == 0)
		return t;
	task_free(t);
	return NULL;
}

/* Takes t over. */
static json_t *submit(struct manage *m, struct task *t, struct err *e)
{
	struct manage_node *n;
	struct task *same;
	json_t *j = NULL;
	int r = 0;

	pthread_mutex_lock(&m->lock);
	same = task_find(m, t->node, t->id);
	n = same ? NULL : manage_node_get(m, t->node);
	if (same)
		j = task_json(same);	/* it was asked for on two connections at the same time */
	else if (!n)
		err_set(e, ENOMEM, "no memory for a job");
	else if (m->stop)
		err_set(e, ESHUTDOWN, "this server is shutting down");
	else if (n->waits >= MANAGE_NODE_WAITS)
		err_set(e, EAGAIN, "%s has %d jobs here that have not ended: no more at once", t->node, MANAGE_NODE_WAITS);
	else if ((r = start_thread(m)) < 0)
		err_sys(e, -r, "cannot start a thread for a job");
	if (!e->code && !same) {
		task_add(n, t);
		j = task_json(t);
		t = NULL;
	}
	pthread_mutex_unlock(&m->lock);
	if (t)
		task_free(t);
	return j;
}

int manage_own(struct manage *m, const struct manage_work *w, const char *pool)
{
	static const struct member none = { .name = NULL };
	static const struct manage_op op = { "scheduled snapshot", &none, schedule_run };
	static atomic_uint count;
	struct task *t = calloc(1, sizeof(*t));
	struct err e = { 0 };

	if (!t)
		return -ENOMEM;
	t->own = true;
	t->work = *w;
	t->work.op = &op;
	/* Neither can be a node's: they are no names. */
	snprintf(t->node, sizeof(t->node), "the schedule");
	snprintf(t->source, sizeof(t->source), "this server");
	snprintf(t->id, sizeof(t->id), "%u", atomic_fetch_add(&count, 1));
	snprintf(t->place.pool, sizeof(t->place.pool), "%s", pool);
	json_decref(submit(m, t, &e));
	return -e.code;
}

/* The same request once more, or NULL: none of that id. */
static json_t *known_task(struct manage *m, const char *node, const char *id, const json_t *work, struct err *e)
{
	struct task *t;
	uint8_t d[16];
	json_t *j = NULL;

	digest(work, d);
	pthread_mutex_lock(&m->lock);
	t = task_find(m, node, id);
	if (t && memcmp(t->digest, d, sizeof(d)) != 0)
		err_set(e, EEXIST, "job %s is to do something else: a request of its own has an id of its own", id);
	else if (t)
		j = task_json(t);
	pthread_mutex_unlock(&m->lock);
	return j;
}

static json_t *start(struct manage *m, const char *node, const char *source, json_t *request)
{
	const char *id = json_string_value(json_object_get(request, "id"));
	struct err e = { 0 };
	struct task *t;
	json_t *j;

	if (!is_id(id)) {
		err_set(&e, EINVAL, "start: \"id\" has to be 32 hexadecimal digits, a to f small");
		return refusal(&e, NULL);
	}
	j = known_task(m, node, id, json_object_get(request, "work"), &e);
	if (j || e.code)
		return j ? j : refusal(&e, NULL);
	t = make(node, source, id, request, &e);
	if (!t) {
		audit_change(node, clock_now(), LOG_LEVEL_WARNING, "work by %s from %s refused: %s", node, source, e.text);
		return refusal(&e, NULL);
	}
	if (manage_admit(m->server, node, &t->work, id, &t->place, &e) < 0) {
		audit_task(t, false, "refused", e.text);
		j = refusal(&e, t->place.owner);
		task_free(t);
		return j;
	}
	audit_task(t, true, "granted", NULL);
	j = submit(m, t, &e);
	return j ? j : refusal(&e, NULL);
}

static json_t *ask(struct manage *m, const char *node, json_t *request, bool cancel)
{
	const char *id = json_string_value(json_object_get(request, "id"));
	struct err e = { 0 };
	struct task *t;
	json_t *j = NULL;

	pthread_mutex_lock(&m->lock);
	t = is_id(id) ? task_find(m, node, id) : NULL;
	if (t && cancel && !task_over(t)) {
		atomic_store(&t->progress.cancel, true);
		if (t->state == TASK_WAITS) {
			err_set(&t->error, ECANCELED, "it was cancelled");
			audit_task(t, false, "cancelled", NULL);
			task_ended(m, t, TASK_CANCELLED);
		}
	}
	if (t)
		j = task_json(t);
	pthread_mutex_unlock(&m->lock);
	if (j)
		return j;
	if (!is_id(id))
		err_set(&e, EINVAL, "%s: \"id\" has to be 32 hexadecimal digits, a to f small", cancel ? "cancel" : "job");
	else
		err_set(&e, ENOENT, "%s has no job %s here, or it ended more than %d seconds ago", node, id, MANAGE_KEEP);
	return refusal(&e, NULL);
}

json_t *manage_answer(struct manage *m, const char *node, const char *source, const char *what,
		      json_t *request, bool *known)
{
	json_t *from = json_object_get(request, "from");

	*known = true;
	if (strcmp(what, "start") == 0)
		return start(m, node, source, request);
	if (strcmp(what, "job") == 0)
		return ask(m, node, request, false);
	if (strcmp(what, "cancel") == 0)
		return ask(m, node, request, true);
	if (strcmp(what, "pools") == 0)
		return show_pools(m->server, node);
	if (strcmp(what, "volumes") == 0)
		return show_volumes(m->server, node, json_integer_value(from) > 0 ? (uint64_t)json_integer_value(from) : 0);
	*known = false;
	return NULL;
}

int manage_look(struct manage *m, struct look *k)
{
	return looks_add(m->looks, k);
}

/*
 * Time and the end.
 */
static void tick_task(struct manage *m, struct task *t, uint64_t now)
{
	if (task_over(t)) {
		if (now > t->ended + MANAGE_KEEP * SECOND)
			task_drop(m, t->of, t);
		return;
	}
	if (t->attended && now > t->asked + MANAGE_ATTENTION * SECOND && !progress_cancelled(&t->progress)) {
		log_info("manage", "%s of %s: nobody asks for it any more, it is cancelled", t->work.op->name, t->node);
		atomic_store(&t->progress.cancel, true);
	}
}

void manage_tick(struct manage *m, uint64_t now)
{
	struct manage_node **at = &m->nodes, *n;
	struct task *t, *next;

	pthread_mutex_lock(&m->lock);
	while ((n = *at)) {
		for (t = n->tasks; t; t = next) {
			next = t->next;
			tick_task(m, t, now);
		}
		if (n->tasks) {
			at = &n->next;
			continue;
		}
		*at = n->next;
		free(n);
	}
	pthread_mutex_unlock(&m->lock);
}

bool manage_stop(struct manage *m, double seconds)
{
	struct timespec until;
	bool done;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)seconds;
	pthread_mutex_lock(&m->lock);
	m->stop = true;
	for (struct manage_node *n = m->nodes; n; n = n->next)
		for (struct task *t = n->tasks; t; t = t->next)
			atomic_store(&t->progress.cancel, true);
	while (m->threads && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&m->ended, &m->lock, &until);
	done = !m->threads;
	pthread_mutex_unlock(&m->lock);
	return done;
}
