/*
 * Work that is started at a server: whatever happens to paths, sessions and servers meanwhile,
 * it is asked about with the same id, and its end is told once.
 */
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include "manage.h"
#include "session_parts.h"

#define WAIT_NS 10000000	/* between two looks */

/* What was told; owner: the loop, read under lock. */
static struct told {
	pthread_mutex_t lock;
	struct manage *manage;
	unsigned progress, done;
	json_t *result;
	struct err err;
	char server[64], id[MANAGE_ID + 1];
	json_int_t bytes;		/* of the last progress */
} told = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void progressed(void *arg, const char *name, const json_t *job)
{
	(void)arg;
	assert_string_equal(name, "srv");
	pthread_mutex_lock(&told.lock);
	told.progress++;
	told.bytes = json_integer_value(json_object_get(job, "done"));
	pthread_mutex_unlock(&told.lock);
}

static void done(void *arg, const char *name, json_t *result, const struct err *e)
{
	(void)arg;
	pthread_mutex_lock(&told.lock);
	told.done++;
	told.manage = NULL;
	told.result = json_deep_copy(result);
	if (e)
		told.err = *e;
	snprintf(told.server, sizeof told.server, "%s", name);
	pthread_mutex_unlock(&told.lock);
}

static const struct manage_calls calls = { .progress = progressed, .done = done };

static bool is_done(void)
{
	bool yes;

	pthread_mutex_lock(&told.lock);
	yes = told.done;
	pthread_mutex_unlock(&told.lock);
	return yes;
}

static void wait_done(void)
{
	for (int i = 0; i < WAIT_S * 100 && !is_done(); i++)
		nanosleep(&(struct timespec){ 0, WAIT_NS }, NULL);
	assert_true(is_done());
	assert_int_equal(told.done, 1);
}

static void ended_with(int code, const char *part)
{
	wait_done();
	assert_null(told.result);
	assert_int_equal(told.err.code, code);
	if (!strstr(told.err.text, part))
		fail_msg("\"%s\" does not say \"%s\"", told.err.text, part);
}

/* Starting. */

struct wish {
	const char *text;
	const struct manage_wish *wish;
	bool question, all;
};

static void start_it(void *arg)
{
	struct wish *w = arg;
	json_t *j = json_loads(w->text, 0, NULL);
	struct err e = { 0 };

	assert_non_null(j);
	if (w->all)
		told.manage = manage_ask_all(client_namespace(), w->wish, j, &calls, NULL, &e);
	else
		told.manage = (w->question ? manage_ask : manage_work)(client_namespace(), w->wish, j, &calls, NULL, &e);
	told.err = e;
	if (told.manage)
		strcpy(told.id, manage_id(told.manage));
}

static bool begin_wish(struct wish w)
{
	json_decref(told.result);
	told.result = NULL;
	told.progress = told.done = 0;
	client_call(start_it, &w);
	return told.manage != NULL;
}

#define START(...) assert_true(begin_wish((struct wish){ __VA_ARGS__ }))
#define RESIZE "{\"op\":\"resize\",\"volume\":\"vol\",\"size\":1048576}"

static void cancel_it(void *arg)
{
	(void)arg;
	if (told.manage)
		manage_cancel(told.manage);
}

static void forget_it(void *arg)
{
	(void)arg;
	manage_forget(told.manage);
	told.manage = NULL;
}

/* The server's side. */

/* The next control request at c: its "do" is what. */
static struct request *asked(struct conn *c, const char *what)
{
	struct request *r = script_expect(c, WIRE_CONTROL);
	json_t *j = json_loadb((char *)r->payload, r->h.length, 0, NULL);

	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "do")), what);
	if (json_object_get(j, "id"))
		assert_string_equal(json_string_value(json_object_get(j, "id")), told.id);
	json_decref(j);
	return r;
}

static bool says(const struct request *r, const char *part)
{
	return memmem(r->payload, r->h.length, part, strlen(part));
}

static void say(struct conn *c, const struct request *r, const char *text)
{
	script_reply(c, r, WIRE_OK, text, (uint32_t)strlen(text));
}

#define RUNNING "{\"job\":{\"state\":\"running\",\"stage\":\"copying\",\"done\":7,\"of\":10}}"
#define DONE "{\"job\":{\"state\":\"done\",\"result\":{\"volumes\":[\"vol\"]}}}"
#define UNKNOWN "{\"error\":{\"code\":\"ENOENT\",\"text\":\"no job\"}}"

static int begin_work(void **state)
{
	return begin(state);
}

static int end_work(void **state)
{
	int r = end(state);

	json_decref(told.result);
	told.result = NULL;
	return r;
}

/* Tests. */

static void started_asked_about_done(void **state)
{
	(void)state;
	START(.text = RESIZE);
	say(a, asked(a, "start"), RUNNING);
	say(a, asked(a, "job"), RUNNING);
	say(a, asked(a, "job"), DONE);
	wait_done();
	assert_string_equal(told.server, "srv");
	assert_int_equal(told.progress, 2);
	assert_int_equal(told.bytes, 7);
	assert_int_equal(json_array_size(json_object_get(told.result, "volumes")), 1);
	io_barrier(a);		/* nothing is asked any more */
}

static void refused(void **state)
{
	(void)state;
	START(.text = RESIZE);
	say(a, asked(a, "start"), "{\"error\":{\"code\":\"EACCES\",\"text\":\"not yours\",\"next\":\"ask\"}}");
	ended_with(EACCES, "not yours");
	assert_string_equal(told.err.next, "ask");
}

/* A shared pool finds its owner: until then it is asked again, and what was refused was not done. */
static void not_yet(void **state)
{
	static const char later[] = "{\"error\":{\"code\":\"EAGAIN\",\"text\":\"no owner yet\"}}";

	(void)state;
	START(.text = RESIZE);
	say(a, asked(a, "start"), later);
	say(a, asked(a, "start"), later);
	say(a, asked(a, "start"), DONE);
	wait_done();
	assert_non_null(told.result);
	START(.text = "{\"op\":\"remove\",\"volume\":\"vol\",\"confirm\":\"vol\"}");
	say(a, asked(a, "start"), later);
	say(a, asked(a, "start"), UNKNOWN);
	ended_with(ENOENT, "no job");
}

/* Whoever set a limit hears what the server says, not that the time is over. */
static void not_yet_within(void **state)
{
	const struct manage_wish w = { .limit = 0.2 };

	(void)state;
	START(.text = RESIZE, .wish = &w);
	say(a, asked(a, "start"), "{\"error\":{\"code\":\"EAGAIN\",\"text\":\"no owner yet\"}}");
	ended_with(EAGAIN, "no owner yet");
}

static void failed(void **state)
{
	(void)state;
	START(.text = RESIZE);
	say(a, asked(a, "start"), RUNNING);
	say(a, asked(a, "job"), "{\"job\":{\"state\":\"failed\",\"error\":{\"code\":\"ENOSPC\",\"text\":\"full\"}}}");
	ended_with(ENOSPC, "full");
}

static void an_old_server(void **state)
{
	(void)state;
	START(.text = RESIZE);
	script_reply(a, asked(a, "start"), WIRE_E_UNSUPPORTED, NULL, 0);
	ended_with(EOPNOTSUPP, "srv does not manage volumes");
}

static void nonsense(void **state)
{
	static const char *const answers[] = { "{", "[]", "", "{}", "{\"job\":7}", "{\"job\":{\"state\":\"asleep\"}}" };

	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		START(.text = RESIZE);
		say(a, asked(a, "start"), answers[i]);
		ended_with(EPROTO, "");
	}
}

/* The answer to the start is lost with the path: it is the same start. */
static void path_lost_at_the_start(void **state)
{
	(void)state;
	START(.text = RESIZE);
	asked(a, "start");
	script_close(a);
	say(b, asked(b, "start"), RUNNING);
	say(b, asked(b, "job"), DONE);
	wait_done();
	assert_non_null(told.result);
}

static void path_lost_later(void **state)
{
	(void)state;
	START(.text = RESIZE);
	say(a, asked(a, "start"), RUNNING);
	asked(a, "job");
	script_close(a);
	say(b, asked(b, "job"), DONE);
	wait_done();
	assert_non_null(told.result);
}

static void restart(void)
{
	script_close(b);
	script_close(a);
	script_restarted(&server);
	a = script_login(&server, 0, S2, 1);
	script_open(a);
}

/* It knows no job: the same work is sent, with the same id. */
static void server_restarted(void **state)
{
	(void)state;
	START(.text = RESIZE);
	say(a, asked(a, "start"), RUNNING);
	asked(a, "job");
	restart();
	say(a, asked(a, "job"), UNKNOWN);
	say(a, asked(a, "start"), DONE);
	wait_done();
	assert_non_null(told.result);
}

/* It says so before it ends: as a status, and in its words. */
static void server_is_leaving(void **state)
{
	(void)state;
	START(.text = RESIZE);
	script_reply(a, asked(a, "start"), WIRE_E_LEAVING, NULL, 0);
	say(a, asked(a, "start"), "{\"error\":{\"code\":\"ESHUTDOWN\",\"text\":\"shutting down\"}}");
	say(a, asked(a, "start"), RUNNING);
	say(a, asked(a, "job"), "{\"job\":{\"state\":\"cancelled\"}}");
	asked(a, "start");
	restart();
	say(a, asked(a, "start"), DONE);
	wait_done();
	assert_non_null(told.result);
}

/* What was removed left nothing that could be known. */
static void server_restarted_after_a_remove(void **state)
{
	(void)state;
	START(.text = "{\"op\":\"remove\",\"volume\":\"vol\",\"confirm\":\"vol\"}");
	say(a, asked(a, "start"), RUNNING);
	asked(a, "job");
	restart();
	say(a, asked(a, "job"), UNKNOWN);
	say(a, asked(a, "start"), UNKNOWN);
	wait_done();
	assert_non_null(told.result);
}

/* What it was when the work began, also for a server that was started anew and perhaps has another of that name. */
static void the_volume_is_meant_not_its_name(void **state)
{
	struct request *first, *again;

	(void)state;
	START(.text = "{\"op\":\"rollback\",\"volume\":\"vol\",\"snapshot\":\"s\",\"confirm\":\"vol\"}");
	first = asked(a, "start");
	assert_true(says(first, "\"uuid\":\"") && says(first, "\"generation\":\""));
	restart();
	again = asked(a, "start");
	assert_int_equal(again->h.length, first->h.length);
	assert_memory_equal(again->payload, first->payload, first->h.length);
	say(a, again, DONE);
	wait_done();
	START(.text = "{\"op\":\"remove\",\"volume\":\"vol\",\"confirm\":\"vol\",\"uuid\":\"as said\"}");
	first = asked(a, "start");
	assert_true(says(first, "\"uuid\":\"as said\""));
	say(a, first, DONE);
	wait_done();
	START(.text = RESIZE);
	first = asked(a, "start");
	assert_true(says(first, "\"uuid\":\"") && !says(first, "\"generation\""));
	say(a, first, DONE);
	wait_done();
}

/* But who was never asked before has not removed it. */
static void nothing_to_remove(void **state)
{
	(void)state;
	START(.text = "{\"op\":\"remove\",\"volume\":\"vol\",\"confirm\":\"vol\"}");
	say(a, asked(a, "start"), UNKNOWN);
	ended_with(ENOENT, "no job");
}

static void cancelled(void **state)
{
	(void)state;
	START(.text = RESIZE);
	say(a, asked(a, "start"), RUNNING);
	asked(a, "job");
	client_call(cancel_it, NULL);
	script_close(a);
	say(b, asked(b, "job"), RUNNING);
	say(b, asked(b, "cancel"), RUNNING);
	say(b, asked(b, "job"), "{\"job\":{\"state\":\"cancelled\"}}");
	ended_with(ECANCELED, "cancelled");
}

static void cancelled_too_late(void **state)
{
	(void)state;
	START(.text = RESIZE);
	say(a, asked(a, "start"), RUNNING);
	client_call(cancel_it, NULL);
	for (;;) {
		struct request *r = script_expect(a, WIRE_CONTROL);

		/* One question more or less about the job may have been on its way. */
		if (says(r, "\"cancel\""))
			break;
		say(a, r, RUNNING);
	}
	script_close(a);
	say(b, asked(b, "cancel"), DONE);
	say(b, asked(b, "job"), DONE);
	wait_done();
	assert_non_null(told.result);
}

/* No path, and nobody waits any more: it must not be done an hour later. */
static void forgotten_is_not_sent(void **state)
{
	(void)state;
	script_close(a);
	script_close(b);
	client_path_becomes(0, "down");
	client_path_becomes(1, "down");
	START(.text = RESIZE);
	client_call(forget_it, NULL);
	client_kick();
	a = script_login(&server, 0, S1, 3);
	script_open(a);
	io_barrier(a);
	assert_int_equal(told.done, 0);
}

static void forgotten_is_not_sent_again(void **state)
{
	(void)state;
	START(.text = RESIZE);
	asked(a, "start");
	client_call(forget_it, NULL);
	script_close(a);
	io_barrier(b);
	assert_int_equal(told.done, 0);
}

/* Whoever gave it a limit is told then, and the server too. */
static void limited(void **state)
{
	const struct manage_wish w = { .limit = 0.2, .cancel = true };

	(void)state;
	START(.text = RESIZE, .wish = &w);
	say(a, asked(a, "start"), RUNNING);
	for (;;) {
		struct request *r = script_expect(a, WIRE_CONTROL);

		if (says(r, "\"cancel\""))
			break;
		say(a, r, RUNNING);
	}
	ended_with(ETIMEDOUT, "srv");
	io_barrier(a);
}

/* The server is silent for give-up. */
static void silent(void **state)
{
	(void)state;
	script_close(a);
	script_close(b);
	START(.text = RESIZE);
	ended_with(ETIMEDOUT, "has not answered");
}

static void the_end_of_the_namespace(void **state)
{
	(void)state;
	START(.text = RESIZE);
	say(a, asked(a, "start"), RUNNING);
	client_stop();
	ended_with(ESHUTDOWN, "goes on at its server");
	script_stop(&server);
	begin_work(state);
}

/* Names. */

static void names(void **state)
{
	(void)state;
	assert_false(begin_wish((struct wish){ .text = "{\"op\":\"label\",\"volume\":\"none\",\"text\":\"\"}" }));
	assert_int_equal(told.err.code, ENOENT);
	assert_false(begin_wish((struct wish){ .text = "{\"op\":\"create\",\"volume\":\"vol\",\"size\":512}" }));
	assert_int_equal(told.err.code, EEXIST);
	assert_false(begin_wish((struct wish){ .text = "{\"op\":\"rename\",\"volume\":\"vol\",\"to\":\"vol\"}" }));
	assert_int_equal(told.err.code, EEXIST);
	START(.text = "{\"op\":\"create\",\"volume\":\"vol\",\"size\":512,\"if_missing\":true}");
	say(a, asked(a, "start"), DONE);
	wait_done();
	START(.text = "{\"op\":\"clone\",\"volume\":\"vol@monday\",\"to\":\"other\"}");
	say(a, asked(a, "start"), DONE);
	wait_done();
	START(.text = "{\"do\":\"pools\"}", .question = true);
	say(a, asked(a, "pools"), "{\"pools\":[]}");
	wait_done();
	assert_non_null(json_object_get(told.result, "pools"));
}

/* Two servers. */

static int begin_two(void **state)
{
	const struct client_setup plain = { 0 };

	(void)state;
	script_start(&server);
	server.two_servers = true;
	server.volume.shared = true;
	server.volume.block_size = BLOCK;
	a = script_begin(&server, &plain, S1);
	b = script_login(&server, 1, S2, 1);
	script_list(b);
	script_open(b);
	io_barrier(a);
	return 0;
}

#define CREATE "{\"op\":\"create\",\"volume\":\"new\",\"size\":512}"
#define CREATE_FAST "{\"op\":\"create\",\"volume\":\"new\",\"size\":512,\"pool\":\"fast\"}"

static void pools(const char *of_a, const char *of_b)
{
	say(a, asked(a, "pools"), of_a);
	say(b, asked(b, "pools"), of_b);
}

static void the_only_pool(void **state)
{
	struct request *r;

	(void)state;
	START(.text = CREATE);
	pools("{\"pools\":[{\"name\":\"main\",\"manage\":false}]}", "{\"pools\":[{\"name\":\"fast\",\"manage\":true}]}");
	r = script_expect(b, WIRE_CONTROL);
	assert_true(says(r, "\"pool\":\"fast\""));
	say(b, r, DONE);
	wait_done();
	assert_string_equal(told.server, "srv2");
}

static void several_pools(void **state)
{
	(void)state;
	START(.text = CREATE);
	pools("{\"pools\":[{\"name\":\"main\"}]}", "{\"pools\":[{\"name\":\"fast\"}]}");
	ended_with(EINVAL, "main on srv, fast on srv2");
	START(.text = CREATE_FAST);
	pools("{\"pools\":[{\"name\":\"main\"}]}", "{\"pools\":[]}");
	ended_with(ENOENT, "no server of");
	START(.text = CREATE_FAST);
	pools("{\"pools\":[{\"name\":\"fast\",\"manage\":false}]}", "{\"pools\":[]}");
	ended_with(EACCES, "pool fast");
}

/* A pool that both reach is one, its owner's. */
static void a_shared_pool(void **state)
{
	static const char text[] = "{\"pools\":[{\"name\":\"fast\",\"owner\":\"srv2\",\"shared\":true}]}";

	(void)state;
	START(.text = CREATE_FAST);
	pools(text, text);
	say(b, script_expect(b, WIRE_CONTROL), DONE);
	wait_done();
	assert_string_equal(told.server, "srv2");
}

static void another_is_the_owner(void **state)
{
	(void)state;
	START(.text = RESIZE);
	say(a, asked(a, "start"), "{\"error\":{\"code\":\"EREMOTE\",\"text\":\"not here\",\"owner\":\"srv2\"}}");
	say(b, asked(b, "start"), DONE);
	wait_done();
	assert_string_equal(told.server, "srv2");
	START(.text = RESIZE);
	say(a, asked(a, "start"), "{\"error\":{\"code\":\"EREMOTE\",\"text\":\"not here\",\"owner\":\"big-9\"}}");
	ended_with(EREMOTE, "big-9, which this client does not reach");
}

static void no_end_of_owners(void **state)
{
	static const char *const owners[] = { "srv2", "srv" };

	(void)state;
	START(.text = RESIZE);
	for (int i = 0; i < 5; i++) {
		struct conn *c = i % 2 ? b : a;
		char text[128];

		snprintf(text, sizeof text, "{\"error\":{\"code\":\"EREMOTE\",\"text\":\"\",\"owner\":\"%s\"}}", owners[i % 2]);
		say(c, asked(c, "start"), text);
	}
	ended_with(EREMOTE, "do not agree");
}

static void all_are_asked(void **state)
{
	(void)state;
	START(.text = "{\"do\":\"volumes\",\"from\":0}", .all = true);
	say(a, asked(a, "volumes"), "{\"volumes\":[],\"total\":0}");
	say(b, asked(b, "volumes"), "{\"error\":{\"code\":\"EIO\",\"text\":\"broken\"}}");
	wait_done();
	assert_int_equal(json_array_size(told.result), 2);
	assert_non_null(json_object_get(json_array_get(told.result, 0), "answer"));
	assert_non_null(json_object_get(json_array_get(told.result, 1), "error"));
	assert_false(begin_wish((struct wish){ .text = "{\"do\":\"pools\"}", .question = true }));
	assert_int_equal(told.err.code, EINVAL);
}

#define WORK(f) cmocka_unit_test_setup_teardown(f, begin_work, end_work)
#define TWO(f) cmocka_unit_test_setup_teardown(f, begin_two, end_work)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORK(started_asked_about_done), WORK(refused), WORK(not_yet), WORK(not_yet_within), WORK(failed), WORK(an_old_server), WORK(nonsense),
		WORK(path_lost_at_the_start), WORK(path_lost_later), WORK(server_restarted),
		WORK(server_is_leaving),
		WORK(server_restarted_after_a_remove), WORK(nothing_to_remove), WORK(cancelled), WORK(cancelled_too_late),
		WORK(forgotten_is_not_sent), WORK(forgotten_is_not_sent_again), WORK(limited),
		cmocka_unit_test_setup_teardown(silent, begin_impatient, end_work), WORK(the_end_of_the_namespace),
		WORK(the_volume_is_meant_not_its_name),
		WORK(names), TWO(the_only_pool), TWO(several_pools), TWO(a_shared_pool), TWO(another_is_the_owner),
		TWO(no_end_of_owners), TWO(all_are_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
