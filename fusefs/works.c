/* works.c - see works.h. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "growth.h"
#include "log.h"
#include "works.h"

#define TELL_EVERY 200		/* ms: also when there is nothing new, so that whoever waits can cancel */
#define ASK_WITHIN 10.0
#define SILENT 3.0		/* seconds: then it is said who is waited for */

struct work {
	struct list link;		/* owner: loop */
	struct works *works;
	json_t *request;		/* const */
	const char *namespace;		/* owner: loop until done; where it is asked */
	struct manage *manage;		/* owner: loop; NULL: it has ended */
	bool question, all;
	bool started;			/* const after start */
	struct growth_rest *rest;	/* owner: the handler; at rest until the moment is taken; or NULL */
	int event;			/* the loop has put down something here: */

	pthread_mutex_t lock;
	json_t *job;			/* the newest */
	double heard;			/* when it came; seconds of the monotonic clock */
	bool done;
	json_t *result;			/* NULL: err */
	char asks[WIRE_NAME_MAX + 1];	/* const after start: whom first; "": several */
	char server[WIRE_NAME_MAX + 1], id[MANAGE_ID + 1], ns[WIRE_NAME_MAX + 1];
	struct err err;
};

void works_init(struct works *w, struct client *c, struct helper *h)
{
	w->client = c;
	w->helper = h;
	list_init(&w->running);
}

static const char *member(const json_t *j, const char *name)
{
	return json_string_value(json_object_get(j, name));
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void ring(struct work *w)
{
	uint64_t one = 1;
	ssize_t n = write(w->event, &one, sizeof one);

	(void)n;	/* a full counter wakes as well */
}

/* On the loop. */

static void progressed(void *arg, const char *server, const json_t *job)
{
	struct work *w = arg;

	pthread_mutex_lock(&w->lock);
	json_decref(w->job);
	w->job = json_deep_copy(job);
	w->heard = seconds();
	snprintf(w->server, sizeof w->server, "%s", server);
	pthread_mutex_unlock(&w->lock);
	ring(w);
}

static void ended(struct work *w)
{
	list_remove(&w->link);
	w->works->count -= !w->question;
	w->manage = NULL;
}

static void done(void *arg, const char *server, json_t *result, const struct err *e)
{
	struct work *w = arg;

	ended(w);
	pthread_mutex_lock(&w->lock);
	w->done = true;
	w->result = json_deep_copy(result);
	snprintf(w->server, sizeof w->server, "%s", server);
	if (e)
		w->err = *e;
	else if (!w->result)
		err_set(&w->err, ENOMEM, "no memory for the answer");
	pthread_mutex_unlock(&w->lock);
	ring(w);
}

static const struct manage_calls calls = { .progress = progressed, .done = done };

/* Named, or the only one there is. */
static struct member *find_member(const struct client *c, const char *name, struct err *e)
{
	struct member *found = NULL;
	struct list *l;
	size_t n = 0;

	list_each(l, &c->members) {
		struct member *m = container_of(l, struct member, link);

		if (m->stopping || (name && strcmp(namespace_name(m->ns), name) != 0))
			continue;
		found = m;
		n++;
	}
	if (n == 1)
		return found;
	if (name)
		err_set(e, ENOENT, "there is no namespace %s", name);
	else if (n)
		err_set(e, EINVAL, "there are %zu namespaces: which one is meant?", n);
	else
		err_set(e, ENOENT, "this client has no namespace");
	err_next(e, n ? "name it in front of the volume, as NAMESPACE:VOLUME; rsconfig -q shows them" :
		 "rsconfig -q shows those that there are");
	return NULL;
}

static struct manage *ask(struct work *w, struct namespace *ns)
{
	struct manage_wish wish = { .server = member(w->request, "server"), .limit = ASK_WITHIN };
	json_t *question = json_deep_copy(json_object_get(w->request, "question"));

	if (!wish.server && !member(question, "name")) {
		w->all = true;
		return manage_ask_all(ns, &wish, question, &calls, w, &w->err);
	}
	return manage_ask(ns, &wish, question, &calls, w, &w->err);
}

static struct manage *manage(struct work *w, struct namespace *ns)
{
	struct manage_wish wish = { .server = member(w->request, "server"), .id = member(w->request, "id"),
				    .eager = w->rest != NULL };

	if (w->works->count >= WORKS_AT_ONCE) {
		err_set(&w->err, EBUSY, "%d such requests are under way already", WORKS_AT_ONCE);
		err_next(&w->err, "try again when one of them is done");
		return NULL;
	}
	return manage_work(ns, &wish, json_deep_copy(json_object_get(w->request, "work")), &calls, w, &w->err);
}

static void start(void *arg)
{
	struct work *w = arg;
	struct member *m = find_member(w->works->client, member(w->request, "namespace"), &w->err);

	if (!m)
		return;
	snprintf(w->ns, sizeof w->ns, "%s", namespace_name(m->ns));
	w->manage = w->question ? ask(w, m->ns) : manage(w, m->ns);
	if (!w->manage)
		return;
	w->started = true;
	w->heard = seconds();
	snprintf(w->asks, sizeof w->asks, "%s", manage_asks(w->manage));
	snprintf(w->id, sizeof w->id, "%s", manage_id(w->manage));
	list_append(&w->works->running, &w->link);
	w->works->count += !w->question;
}

/* Also when it has ended: from here on the loop does not know it, and all of its words are said. */
static void forget(void *arg)
{
	struct work *w = arg;

	if (!w->manage)
		return;
	manage_forget(w->manage);
	ended(w);
}

/* On the handler's thread. */

static json_t *progress_of(struct work *w)
{
	const char *who;
	json_t *p;

	pthread_mutex_lock(&w->lock);
	p = json_pack("{s:s, s:s}", "id", w->id, "server", w->server);
	if (w->job) {
		/* Copies: the rest of it is the loop's. */
		json_object_set_new(p, "stage", json_deep_copy(json_object_get(w->job, "stage")));
		json_object_set_new(p, "done", json_deep_copy(json_object_get(w->job, "done")));
		json_object_set_new(p, "of", json_deep_copy(json_object_get(w->job, "of")));
	}
	who = *w->server ? w->server : w->asks;
	if (seconds() >= w->heard + SILENT)
		json_object_set_new(p, "stage", json_sprintf("waiting for %s%s", *who ? "server " : "the servers", who));
	pthread_mutex_unlock(&w->lock);
	return p;
}

static bool is_done(struct work *w)
{
	bool yes;

	pthread_mutex_lock(&w->lock);
	yes = w->done;
	pthread_mutex_unlock(&w->lock);
	return yes;
}

/* The snapshot's moment is behind us: what is written from now on is not in it. */
static bool is_taken(struct work *w)
{
	bool yes;

	pthread_mutex_lock(&w->lock);
	yes = w->done || json_is_true(json_object_get(w->job, "taken"));
	pthread_mutex_unlock(&w->lock);
	return yes;
}

/* Until it has ended, or nobody is there any more who waits for it. */
static void wait_for(struct work *w, const struct ctl_peer *peer)
{
	struct pollfd p = { w->event, POLLIN, 0 };
	uint64_t n;

	while (!is_done(w)) {
		if (poll(&p, 1, TELL_EVERY) > 0 && read(w->event, &n, sizeof n) < 0)
			continue;
		if (w->rest && is_taken(w))
			growth_thaw(w->rest);
		if (ctl_gone(peer))
			return;
		if (!w->question && !is_done(w) && ctl_progress(peer, progress_of(w)) < 0)
			return;
	}
}

/* The result, or NULL with e filled; the request stays the caller's. */
static json_t *run(struct work *w, const struct ctl_peer *peer, struct err *e)
{
	struct loop *l = w->works->client->loop;
	json_t *result = NULL;

	list_init(&w->link);
	pthread_mutex_init(&w->lock, NULL);
	w->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event < 0) {
		err_sys(&w->err, errno, "nothing to wait with");
	} else {
		loop_call(l, start, w);
		if (w->started) {
			wait_for(w, peer);
			loop_call(l, forget, w);
			if (!w->done)
				err_set(&w->err, ECANCELED, "nobody waits for it any more");
		}
		close(w->event);
	}
	result = w->result;
	if (!result)
		*e = w->err;
	json_decref(w->job);
	pthread_mutex_destroy(&w->lock);
	return result;
}

static bool id_is_good(const char *id)
{
	return !id || (strlen(id) == MANAGE_ID && strspn(id, "0123456789abcdef") == MANAGE_ID);
}

/* The namespace's name, where it is left out too. */

struct name_query {
	const struct client *client;
	const char *named;
	char name[WIRE_NAME_MAX + 1];
	struct err *err;
};

static void query_name(void *arg)
{
	struct name_query *q = arg;
	struct member *m = find_member(q->client, q->named, q->err);

	if (m)
		snprintf(q->name, sizeof q->name, "%s", namespace_name(m->ns));
}

static bool namespace_of(struct works *works, const json_t *request, char name[WIRE_NAME_MAX + 1], struct err *e)
{
	struct name_query q = { .client = works->client, .named = member(request, "namespace"), .err = e };

	loop_call(works->client->loop, query_name, &q);
	strcpy(name, q.name);
	return *name;
}

json_t *works_grow(struct works *works, const struct ctl_peer *peer, json_t *request, struct err *e)
{
	const char *volume = member(request, "volume");
	json_int_t size = json_integer_value(json_object_get(request, "size"));
	char name[WIRE_NAME_MAX + 1];

	if (!volume || !conf_name_valid(volume) || size <= 0) {
		err_set(e, EINVAL, "grow needs a volume and its size");
		return NULL;
	}
	if (!namespace_of(works, request, name, e))
		return NULL;
	return growth_run(works->client, works->helper, peer, name, volume, (uint64_t)size, e);
}

/* For the test of what ends the rest. */
static void test_pause(const struct ctl_peer *peer)
{
	const char *test = getenv("RSIO_TEST_REST");
	int seconds = test ? atoi(test) : 0;

	if (seconds)
		log_warning("attach", "this is a test: RSIO_TEST_REST is set");
	for (int i = 0; i < seconds * 10 && !ctl_gone(peer); i++)
		poll(NULL, 0, 100);
}

/* With the file systems at rest meanwhile. */
static json_t *run_at_rest(struct work *w, const struct ctl_peer *peer, json_t **frozen, struct err *e)
{
	json_t *work = json_object_get(w->request, "work"), *volumes = json_object_get(work, "volumes");
	char name[WIRE_NAME_MAX + 1];
	struct growth_rest rest;
	json_t *result;
	size_t count;

	if (!json_is_array(volumes) || strcmp(member(work, "op"), "snapshot") != 0) {
		err_set(e, EINVAL, "freeze is for a snapshot");
		return NULL;
	}
	if (!namespace_of(w->works, w->request, name, e) ||
	    growth_freeze(&rest, w->works->client, w->works->helper, name, volumes, e) < 0)
		return NULL;
	count = rest.count;
	log_info("attach", "%zu file systems of %s are at rest for a snapshot", count, name);
	test_pause(peer);
	/* Nobody is at rest for as long as another copy of the volume may take. */
	json_object_set_new(work, "at_once", json_true());
	w->rest = &rest;
	result = run(w, peer, e);
	growth_thaw(&rest);		/* nothing is left to do but when it failed */
	*frozen = json_pack("{s:I, s:f}", "count", (json_int_t)count, "seconds", rest.seconds);
	if (!result || !rest.expired)
		return result;
	err_set(e, ETIMEDOUT, "the snapshot was made, but the file system had to go on before: it is as after a crash");
	err_next(e, "remove it and try again when the server has less to do");
	json_decref(result);
	return NULL;
}

json_t *works_manage(struct works *works, const struct ctl_peer *peer, json_t *request, struct err *e)
{
	struct work w = { .works = works, .request = request };
	const char *op = member(json_object_get(request, "work"), "op");
	json_t *result, *frozen = NULL;

	if (!op || !id_is_good(member(request, "id"))) {
		err_set(e, EINVAL, "no work to do, or an id that is none");
		return NULL;
	}
	log_info("control", "%.40s of %.80s is asked for", op,
		 member(json_object_get(request, "work"), "volume") ? member(json_object_get(request, "work"), "volume") : "volumes");
	if (json_is_true(json_object_get(request, "freeze")))
		result = run_at_rest(&w, peer, &frozen, e);
	else
		result = run(&w, peer, e);
	if (!result) {
		json_decref(frozen);
		return NULL;
	}
	return json_pack("{s:s, s:s, s:s, s:o, s:o*}", "namespace", w.ns, "server", w.server, "id", w.id, "result", result,
			 "frozen", frozen);
}

/* What changes nothing, whoever asks. */
static bool is_question(const char *what)
{
	static const char *const known[] = { "pools", "volumes", "volume", "numbers", "job" };

	for (size_t i = 0; what && i < sizeof known / sizeof *known; i++)
		if (!strcmp(what, known[i]))
			return true;
	return false;
}

json_t *works_ask(struct works *works, const struct ctl_peer *peer, json_t *request, struct err *e)
{
	struct work w = { .works = works, .request = request, .question = true };
	const char *what = member(json_object_get(request, "question"), "do");
	json_t *result;

	if (!is_question(what)) {
		err_set(e, EINVAL, "'%.40s' is no question to a server", what ? what : "");
		return NULL;
	}
	result = run(&w, peer, e);
	if (!result)
		return NULL;
	if (!w.all)
		result = json_pack("[{s:s, s:o}]", "server", w.server, "answer", result);
	return json_pack("{s:s, s:o}", "namespace", w.ns, "answers", result);
}

struct names_query {
	struct client *client;
	json_t *names;
};

static void query_names(void *arg)
{
	struct names_query *q = arg;
	struct list *l;

	list_each(l, &q->client->members)
		json_array_append_new(q->names, json_string(namespace_name(container_of(l, struct member, link)->ns)));
}

json_t *works_namespaces(struct works *works)
{
	struct names_query q = { works->client, json_array() };

	loop_call(works->client->loop, query_names, &q);
	return json_pack("{s:o}", "namespaces", q.names);
}

struct cancel_query {
	struct works *works;
	const char *id;
	bool found;
};

static void cancel(void *arg)
{
	struct cancel_query *q = arg;
	struct list *l;

	list_each(l, &q->works->running) {
		struct work *w = container_of(l, struct work, link);

		if (strcmp(w->id, q->id) != 0)
			continue;
		manage_cancel(w->manage);
		q->found = true;
		return;
	}
}

json_t *works_cancel(struct works *works, json_t *request, struct err *e)
{
	struct cancel_query q = { .works = works, .id = member(request, "id") };

	if (q.id)
		loop_call(works->client->loop, cancel, &q);
	if (q.found)
		return json_object();
	err_set(e, ENOENT, "nothing with the id %.40s is under way", q.id ? q.id : "");
	return NULL;
}
