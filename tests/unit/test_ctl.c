/*
 * test_ctl.c - the control socket: both sides against each other, and each
 * against a peer that says exactly the bytes that the test wants.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "ctl.h"
#include "ctl_impl.h"
#include "log.h"

#define NOBODY 65534
#define ADMINS 54321

static char dir[64], path[96];
static struct ctl_server *server;
static atomic_int in_handler;
static atomic_bool let_go;

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static json_t *handler(void *arg, const struct ctl_peer *peer, const char *what, json_t *request,
		       struct err *e)
{
	json_t *reply = json_object();

	(void)arg;
	if (!strcmp(what, "echo")) {
		json_object_set(reply, "text", json_object_get(request, "text"));
	} else if (!strcmp(what, "who")) {
		json_object_set_new(reply, "uid", json_integer(peer->uid));
		json_object_set_new(reply, "pid", json_integer(peer->pid));
		json_object_set_new(reply, "may_change", json_boolean(peer->may_change));
	} else if (!strcmp(what, "big")) {
		size_t size = (size_t)json_integer_value(json_object_get(request, "size"));
		char *text = malloc(size);

		memset(text, 'b', size);
		json_object_set_new(reply, "text", json_stringn(text, size));
		free(text);
	} else if (!strcmp(what, "wait")) {
		atomic_fetch_add(&in_handler, 1);
		for (int i = 0; i < 5000 && !atomic_load(&let_go); i++)
			sleep_ms(2);
	} else {
		json_decref(reply);
		err_set(e, ENOENT, "no volume %s", what);
		err_next(e, "rsconfig -q lists them");
		return NULL;
	}
	return reply;
}

static int setup(void **state)
{
	struct err e;

	(void)state;
	strcpy(dir, "/tmp/rsio-test-ctl-XXXXXX");
	if (!mkdtemp(dir) || chmod(dir, 0755))
		return -1;
	snprintf(path, sizeof(path), "%s/rsiod.sock", dir);
	atomic_store(&in_handler, 0);
	atomic_store(&let_go, false);
	server = ctl_server_start(path, ADMINS, handler, NULL, &e);
	return server ? 0 : -1;
}

static int teardown(void **state)
{
	struct stat st;

	(void)state;
	atomic_store(&let_go, true);
	ctl_server_stop(server);
	server = NULL;
	if (lstat(path, &st) == 0)
		return -1;
	return rmdir(dir);
}

static json_t *call(const char *json, struct err *e)
{
	json_t *request = json_loads(json, 0, NULL), *reply;

	assert_non_null(request);
	memset(e, 0, sizeof(*e));
	reply = ctl_call(path, "rsiod", request, 60, e);
	json_decref(request);
	return reply;
}

static int raw_connect(void)
{
	struct sockaddr_un sa;
	int unused, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ctl_address(path, &sa, &unused), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void raw_send(int fd, uint32_t length, const char *bytes, size_t size)
{
	uint32_t header = htonl(length);

	assert_int_equal(send(fd, &header, 4, MSG_NOSIGNAL), 4);
	assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* The next message, NULL at the end. */
static json_t *raw_receive(int fd)
{
	json_t *message;
	size_t size;
	char *text;

	if (ctl_receive(fd, CTL_MESSAGE_MAX, ctl_deadline(10), 0, &text, &size))
		return NULL;
	message = json_loadb(text, size, 0, NULL);
	free(text);
	assert_non_null(message);
	return message;
}

static void expect_error(int fd, const char *code)
{
	json_t *m = raw_receive(fd);

	assert_non_null(m);
	assert_true(json_is_false(json_object_get(m, "ok")));
	assert_string_equal(json_string_value(json_object_get(json_object_get(m, "error"), "code")), code);
	json_decref(m);
}

static void asks_and_answers(void **state)
{
	struct err e;
	json_t *reply;

	(void)state;
	reply = call("{\"do\": \"echo\", \"text\": \"gr\\u00fc\\u00df\"}", &e);
	assert_non_null(reply);
	assert_string_equal(json_string_value(json_object_get(reply, "text")), "gr\xc3\xbc\xc3\x9f");
	json_decref(reply);
	reply = call("{\"do\": \"who\"}", &e);
	assert_int_equal(json_integer_value(json_object_get(reply, "pid")), getpid());
	assert_true(json_is_true(json_object_get(reply, "may_change")));
	json_decref(reply);
}

static void carries_errors(void **state)
{
	struct err e;

	(void)state;
	assert_null(call("{\"do\": \"osl:x\"}", &e));
	assert_int_equal(e.code, ENOENT);
	assert_string_equal(e.text, "no volume osl:x");
	assert_string_equal(e.next, "rsconfig -q lists them");
}

static void carries_much(void **state)
{
	struct err e;
	json_t *reply;

	(void)state;
	reply = call("{\"do\": \"big\", \"size\": 5000000}", &e);
	assert_non_null(reply);
	assert_int_equal(json_string_length(json_object_get(reply, "text")), 5000000);
	json_decref(reply);
	assert_null(call("{\"do\": \"big\", \"size\": 34000000}", &e));
	assert_int_equal(e.code, EMSGSIZE);
}

static void serves_one_after_another(void **state)
{
	int fd = raw_connect();

	(void)state;
	for (int i = 0; i < 3; i++) {
		json_t *m;

		raw_send(fd, 13, "{\"do\": \"who\"}", 13);
		m = raw_receive(fd);
		assert_non_null(m);
		assert_true(json_is_true(json_object_get(m, "ok")));
		json_decref(m);
	}
	close(fd);
}

static void refuses_what_is_no_request(void **state)
{
	static const char *const texts[] = {
		"", "{", "[]", "17", "{}", "{\"do\": 3}", "{\"do\": \"a\", \"do\": \"b\"}", "\xff", "{\"do\": \"\xff\"}",
	};
	char deep[4096];
	int fd = raw_connect();

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		raw_send(fd, (uint32_t)strlen(texts[i]), texts[i], strlen(texts[i]));
		expect_error(fd, "EPROTO");
	}
	memset(deep, '[', sizeof(deep));
	raw_send(fd, sizeof(deep), deep, sizeof(deep));
	json_t *m = raw_receive(fd);
	assert_non_null(strstr(json_string_value(json_object_get(json_object_get(m, "error"), "text")),
			       "nested more than"));
	json_decref(m);
	/* Brackets in a string nest nothing. */
	memcpy(deep, "{\"do\": \"who\", \"x\": \"\\\"", 22);
	memcpy(deep + sizeof(deep) - 2, "\"}", 2);
	raw_send(fd, sizeof(deep), deep, sizeof(deep));
	m = raw_receive(fd);
	assert_true(json_is_true(json_object_get(m, "ok")));
	json_decref(m);
	close(fd);
}

static void refuses_too_long_a_request(void **state)
{
	int fd = raw_connect();

	(void)state;
	raw_send(fd, CTL_REQUEST_MAX + 1, "{", 1);
	expect_error(fd, "EMSGSIZE");
	assert_null(raw_receive(fd));
	close(fd);
}

static void outlives_peers_that_leave(void **state)
{
	struct err e;
	json_t *reply;
	int fd;

	(void)state;
	for (int i = 0; i < 100; i++) {
		fd = raw_connect();
		if (i % 3 == 1)
			assert_int_equal(send(fd, "\0\0", 2, 0), 2);
		if (i % 3 == 2)
			raw_send(fd, 100, "{\"do\"", 5);
		close(fd);
	}
	/* Asks and does not wait for the answer. */
	fd = raw_connect();
	raw_send(fd, 31, "{\"do\": \"big\", \"size\": 10000000}", 31);
	close(fd);
	reply = call("{\"do\": \"who\"}", &e);
	assert_non_null(reply);
	json_decref(reply);
}

static void is_full_and_empties(void **state)
{
	int fds[CTL_CONNECTIONS];
	json_t *reply = NULL;
	struct err e;

	(void)state;
	for (int i = 0; i < CTL_CONNECTIONS; i++) {
		fds[i] = raw_connect();
		raw_send(fds[i], 13, "{\"do\": \"who\"}", 13);
		json_decref(raw_receive(fds[i]));
	}
	assert_null(call("{\"do\": \"who\"}", &e));
	assert_int_equal(e.code, EBUSY);
	for (int i = 0; i < CTL_CONNECTIONS; i++)
		close(fds[i]);
	for (int i = 0; i < 1000 && !reply; i++) {
		reply = call("{\"do\": \"who\"}", &e);
		if (!reply)
			sleep_ms(2);
	}
	assert_non_null(reply);
	json_decref(reply);
}

static void times_out(void **state)
{
	json_t *request = json_pack("{s:s}", "do", "wait");
	struct err e;

	(void)state;
	assert_null(ctl_call(path, "rsiod", request, 0.1, &e));
	assert_int_equal(e.code, ETIMEDOUT);
	assert_non_null(strstr(e.text, "did not answer within 0.1 s"));
	json_decref(request);
}

static void *stop(void *arg)
{
	ctl_server_stop(server);
	return arg;
}

static void stop_waits_for_handlers(void **state)
{
	struct stat st;
	pthread_t thread;
	json_t *m;
	int fd = raw_connect(), idle = raw_connect();

	(void)state;
	raw_send(fd, 14, "{\"do\": \"wait\"}", 14);
	while (!atomic_load(&in_handler))
		sleep_ms(1);
	assert_int_equal(pthread_create(&thread, NULL, stop, NULL), 0);
	for (int i = 0; i < 2000 && lstat(path, &st) == 0; i++)
		sleep_ms(1);
	assert_int_equal(lstat(path, &st), -1);
	assert_null(raw_receive(idle));
	atomic_store(&let_go, true);
	m = raw_receive(fd);
	assert_non_null(m);
	assert_true(json_is_true(json_object_get(m, "ok")));
	json_decref(m);
	pthread_join(thread, NULL);
	server = NULL;
	close(fd);
	close(idle);
}

static void nobody_listens(void **state)
{
	struct ctl_server *again;
	struct sockaddr_un sa;
	struct err e;
	int fd, unused;

	(void)state;
	assert_null(ctl_server_start(path, (gid_t)-1, handler, NULL, &e));
	assert_int_equal(e.code, EADDRINUSE);
	ctl_server_stop(server);
	server = NULL;
	assert_null(call("{\"do\": \"who\"}", &e));
	assert_int_equal(e.code, ENOENT);
	assert_non_null(strstr(e.text, "rsiod does not run here"));
	assert_non_null(strstr(e.next, "--run-dir"));

	/* What a daemon leaves that was killed. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(ctl_address(path, &sa, &unused), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	assert_null(call("{\"do\": \"who\"}", &e));
	assert_int_equal(e.code, ECONNREFUSED);
	again = ctl_server_start(path, (gid_t)-1, handler, NULL, &e);
	assert_non_null(again);
	json_decref(call("{\"do\": \"who\"}", &e));
	assert_int_equal(e.code, 0);
	ctl_server_stop(again);

	FILE *f = fopen(path, "w");
	fclose(f);
	assert_null(ctl_server_start(path, (gid_t)-1, handler, NULL, &e));
	assert_int_equal(e.code, EEXIST);
	unlink(path);
}

static void long_paths_work(void **state)
{
	char deep[512], name[101];
	struct ctl_server *s;
	json_t *request = json_pack("{s:s}", "do", "who"), *reply;
	struct err e;

	(void)state;
	memset(name, 'd', 100);
	name[100] = 0;
	snprintf(deep, sizeof(deep), "%s/%s", dir, name);
	assert_int_equal(mkdir(deep, 0755), 0);
	strcat(deep, "/rsiod.sock");
	s = ctl_server_start(deep, (gid_t)-1, handler, NULL, &e);
	assert_non_null(s);
	reply = ctl_call(deep, "rsiod", request, 10, &e);
	assert_non_null(reply);
	json_decref(reply);
	json_decref(request);
	ctl_server_stop(s);
	*strrchr(deep, '/') = 0;
	assert_int_equal(rmdir(deep), 0);
}

/* The client against bytes. */
struct script {
	int listener;
	const char *bytes;
	size_t size;
};

static void *say(void *arg)
{
	struct script *s = arg;
	int fd = accept(s->listener, NULL, NULL);
	size_t size;
	char *text;

	if (ctl_receive(fd, CTL_REQUEST_MAX, ctl_deadline(10), 0, &text, &size) == 0)
		free(text);
	if (send(fd, s->bytes, s->size, MSG_NOSIGNAL) < 0)
		perror("send");
	close(fd);
	return NULL;
}

static json_t *call_script(const char *bytes, size_t size, struct err *e)
{
	struct script s = { socket(AF_UNIX, SOCK_STREAM, 0), bytes, size };
	json_t *request = json_pack("{s:s}", "do", "x"), *reply;
	struct sockaddr_un sa;
	char other[128];
	pthread_t thread;
	int unused;

	snprintf(other, sizeof(other), "%s/script", dir);
	assert_int_equal(ctl_address(other, &sa, &unused), 0);
	assert_int_equal(bind(s.listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(s.listener, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, say, &s), 0);
	memset(e, 0, sizeof(*e));
	reply = ctl_call(other, "rsiod", request, 10, e);
	pthread_join(thread, NULL);
	close(s.listener);
	unlink(other);
	json_decref(request);
	return reply;
}

#define SCRIPT(bytes, e) call_script(bytes, sizeof(bytes) - 1, e)

static void client_takes_any_bytes(void **state)
{
	struct err e;
	json_t *reply;

	(void)state;
	assert_null(SCRIPT("\0\0\0\x10{\"ok\":true,\"a\":1}", &e));	/* the length is one short */
	assert_int_equal(e.code, EPROTO);
	reply = SCRIPT("\0\0\0\x0e{\"progress\":1}\0\0\0\x0e{\"progress\":2}\0\0\0\x11{\"ok\":true,\"a\":1}", &e);
	assert_non_null(reply);
	assert_int_equal(json_integer_value(json_object_get(reply, "a")), 1);
	json_decref(reply);

	assert_null(SCRIPT("", &e));
	assert_int_equal(e.code, ECONNRESET);
	assert_null(SCRIPT("\0\0", &e));
	assert_int_equal(e.code, ECONNRESET);
	assert_null(SCRIPT("\0\0\0\x10{\"ok\":", &e));
	assert_int_equal(e.code, ECONNRESET);
	assert_null(SCRIPT("\x7f\xff\xff\xff{", &e));
	assert_int_equal(e.code, EMSGSIZE);
	assert_null(SCRIPT("\0\0\0\x04null", &e));
	assert_int_equal(e.code, EPROTO);
	assert_null(SCRIPT("\0\0\0\x02{}", &e));
	assert_int_equal(e.code, EREMOTEIO);
	assert_null(SCRIPT("\0\0\0\x30{\"ok\":false,\"error\":{\"code\":\"EWHAT\",\"text\":\"t\"}}", &e));
	assert_int_equal(e.code, EREMOTEIO);
	assert_string_equal(e.text, "t");
}

/* Runs as another user; returns the child's verdict.  By way of a pipe: what a
 * checker makes of the child's exit status is another matter. */
static int as_user(int (*run)(void), gid_t extra)
{
	int verdict = -1, ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		if (setgroups(extra ? 1 : 0, &extra) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
		    setresuid(NOBODY, NOBODY, NOBODY) == 0)
			verdict = run();
		if (write(ends[1], &verdict, sizeof(verdict)) < 0)
			_exit(1);
		_exit(0);
	}
	assert_true(pid > 0);
	close(ends[1]);
	assert_int_equal(read(ends[0], &verdict, sizeof(verdict)), sizeof(verdict));
	close(ends[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return verdict;
}

static int ask_may_change(void)
{
	json_t *request = json_pack("{s:s}", "do", "who"), *reply;
	struct err e;
	int may;

	reply = ctl_call(path, "rsiod", request, 10, &e);
	may = reply ? json_is_true(json_object_get(reply, "may_change")) : 2;
	json_decref(reply);
	json_decref(request);
	return may;
}

static int hold_many(void)
{
	int got = 0;

	for (int i = 0; i < 2 * CTL_PER_USER; i++) {
		int fd = raw_connect();
		json_t *m;

		/* Fails where the server has already said no. */
		if (send(fd, "\0\0\0\x0d{\"do\": \"who\"}", 17, MSG_NOSIGNAL) < 0 && errno != EPIPE)
			return -1;
		m = raw_receive(fd);
		got += json_is_true(json_object_get(m, "ok"));
		json_decref(m);
	}
	return got;
}

/* As so many users as there are places for, and whatever they get. */
static int hold_as_many(void)
{
	int got = 0;

	for (uid_t uid = NOBODY; uid > NOBODY - CTL_CONNECTIONS / CTL_PER_USER; uid--) {
		if (seteuid(uid))
			return -1;
		got += hold_many();
		if (seteuid(0))
			return -1;
	}
	return got;
}

static int call_often(void)
{
	int got = 0;

	for (int i = 0; i < 200; i++)
		got += ask_may_change() == 0;
	return got;
}

static void knows_who_may_change(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("only root can be somebody else: skipped\n");
		skip();
	}
	assert_int_equal(as_user(ask_may_change, 0), 0);
	assert_int_equal(as_user(ask_may_change, ADMINS), 1);
	assert_int_equal(as_user(hold_many, 0), CTL_PER_USER);
	/* Who calls often, each time on a new connection, is not refused. */
	assert_int_equal(as_user(call_often, 0), 200);
	/* Somebody who can be many users at once leaves root a place.  (They are held to the end.) */
	assert_int_equal(hold_as_many(), CTL_READERS);
	assert_int_equal(ask_may_change(), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(asks_and_answers),
		TEST(carries_errors),
		TEST(carries_much),
		TEST(serves_one_after_another),
		TEST(refuses_what_is_no_request),
		TEST(refuses_too_long_a_request),
		TEST(outlives_peers_that_leave),
		TEST(is_full_and_empties),
		TEST(times_out),
		TEST(stop_waits_for_handlers),
		TEST(nobody_listens),
		TEST(long_paths_work),
		TEST(client_takes_any_bytes),
		TEST(knows_who_may_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
