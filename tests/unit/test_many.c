/* links: ops.  Many hosts at once: one that fails, crashes, says nothing or asks is none of the others' concern. */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../ops/rsagent_many.h"

#define LIMIT 100	/* seconds; whatever waits for longer has failed */

/* Shared with the children. */
static struct shared {
	_Atomic int now, most, all, ready;
} *shared;

/* How many times slower everything is than with the ordinary build. */
static int slow(void)
{
	const char *text = getenv("RSIO_SLOW");

	return text ? atoi(text) : 1;
}

static struct rsagent_hosts hosts_named(int count, const char *const *names)
{
	struct rsagent_hosts h = { calloc((size_t)count, sizeof(*h.list)), (size_t)count };

	for (int i = 0; i < count; i++)
		snprintf(h.list[i].name, sizeof(h.list[i].name), "%s", names[i]);
	return h;
}

/* Runs it with --json, and gives what it printed. */
static json_t *run_json(struct rsagent_many *m, struct rsagent_remote *remote, struct rsagent_hosts *hosts, int *status)
{
	FILE *file = tmpfile();
	int before = dup(STDOUT_FILENO);
	struct err e = { 0 };
	json_t *json;

	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	remote->json = true;
	remote->quiet = true;
	*status = rsagent_many(m, remote, hosts, &e);
	fflush(stdout);
	dup2(before, STDOUT_FILENO);
	close(before);
	rewind(file);
	json = json_loadf(file, 0, NULL);
	fclose(file);
	return json;
}

static const json_t *host_at(const json_t *json, size_t i)
{
	return json_array_get(json_object_get(json, "hosts"), i);
}

static const char *text_at(const json_t *json, size_t i, const char *key)
{
	const char *text = json_string_value(json_object_get(host_at(json, i), key));

	return text ? text : "";
}

static int each_its_own(struct rsagent_task *t, struct err *e)
{
	const char *name = t->host->name;

	rsagent_progress(t, "working on %s", name);
	if (strcmp(name, "good") == 0) {
		json_object_set_new(t->result, "text", json_string("did it"));
		return 0;
	}
	if (strcmp(name, "refuses") == 0) {
		err_set(e, ECONNREFUSED, "nobody\x1b[2J listens");
		err_next(e, "start it");
		return -ECONNREFUSED;
	}
	if (strcmp(name, "crashes") == 0)
		raise(SIGKILL);
	if (strcmp(name, "silent") == 0)
		pause();
	if (strcmp(name, "stubborn") == 0) {
		signal(SIGTERM, SIG_IGN);
		for (;;)
			pause();
	}
	if (strcmp(name, "large") == 0) {
		char *text = malloc(5 << 20);

		memset(text, 'x', (5 << 20) - 1);
		text[(5 << 20) - 1] = 0;
		json_object_set_new(t->result, "large", json_string(text));
		free(text);
		return 0;
	}
	_exit(3);
}

static void test_outcomes(void **state)
{
	static const char *const names[] = { "silent", "good", "refuses", "crashes", "stubborn", "large", "leaves" };
	struct rsagent_hosts hosts = hosts_named(7, names);
	struct rsagent_many m = { .run = each_its_own, .grace = 0.2 };
	struct rsagent_remote remote = { .timeout = 3 * slow() };
	char silent[64], stubborn[64];
	int status;
	json_t *json = run_json(&m, &remote, &hosts, &status);

	(void)state;
	assert_int_equal(status, 1);
	assert_int_equal(json_array_size(json_object_get(json, "hosts")), 7);
	for (size_t i = 0; i < 7; i++) {
		assert_string_equal(text_at(json, i, "host"), names[i]);
		assert_int_equal(json_is_true(json_object_get(host_at(json, i), "done")), i == 1 || i == 5);
	}
	snprintf(silent, sizeof(silent), "nothing was heard of it for %g s: working on silent", remote.timeout);
	snprintf(stubborn, sizeof(stubborn), "nothing was heard of it for %g s: working on stubborn", remote.timeout);
	assert_string_equal(text_at(json, 0, "error"), silent);
	assert_string_equal(text_at(json, 1, "text"), "did it");
	assert_string_equal(text_at(json, 2, "error"), "nobody?[2J listens");
	assert_string_equal(text_at(json, 2, "next"), "start it");
	assert_int_equal(json_integer_value(json_object_get(host_at(json, 2), "errno")), ECONNREFUSED);
	assert_string_equal(text_at(json, 3, "error"), "its process was ended by signal 9: working on crashes");
	assert_string_equal(text_at(json, 4, "error"), stubborn);
	assert_int_equal(json_string_length(json_object_get(host_at(json, 5), "large")), (5 << 20) - 1);
	assert_string_equal(text_at(json, 6, "error"), "its process ended without a word: working on leaves");
	json_decref(json);
	free(hosts.list);
}

/* Each waits until as many are there as may be, so that more than that would be seen. */
static int count_them(struct rsagent_task *t, struct err *e)
{
	int now = atomic_fetch_add(&shared->now, 1) + 1, most;

	(void)e;
	for (most = atomic_load(&shared->most); now > most;)
		if (atomic_compare_exchange_weak(&shared->most, &most, now))
			break;
	atomic_fetch_add(&shared->all, 1);
	while (atomic_load(&shared->all) < 2) {
		rsagent_progress(t, "waiting");
		usleep(1000);
	}
	atomic_fetch_sub(&shared->now, 1);
	return 0;
}

static void test_parallel(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
	struct rsagent_hosts hosts = hosts_named(6, names);
	struct rsagent_many m = { .run = count_them };
	struct rsagent_remote remote = { .parallel = 2 };
	int status;

	(void)state;
	json_decref(run_json(&m, &remote, &hosts, &status));
	assert_int_equal(status, 0);
	assert_int_equal(atomic_load(&shared->all), 6);
	assert_int_equal(atomic_load(&shared->most), 2);
	free(hosts.list);
}

/* Questions, at a terminal. */

static int ask_both(struct rsagent_task *t, struct err *e)
{
	char answer[64];
	int r = rsagent_ask(t, "Password: ", true, answer, sizeof(answer), e);

	/* The second questions come behind the first ones. */
	atomic_fetch_add(&shared->ready, 1);
	while (atomic_load(&shared->ready) < 2)
		usleep(1000);
	if (!r)
		r = rsagent_confirm(t, "Go on", e);
	if (!r) {
		rsagent_progress(t, "it said %s", answer);
		json_object_set_new(t->result, "text", json_sprintf("[%s], [%s]", answer, answer));
		json_object_set_new(t->result, "last", json_string(answer + strlen(answer) - 1));
		json_object_set_new(t->result, answer, json_pack("[s]", answer));
	}
	return r;
}

/* Reads until the text has come up once more. */
static void expect(int fd, char *seen, size_t size, const char *text)
{
	size_t n = strlen(seen), from = n;

	while (!strstr(seen + from, text)) {
		ssize_t r = n < size - 1 ? read(fd, seen + n, size - 1 - n) : -1;

		if (r <= 0)
			fail_msg("'%s' did not come; there is: %s", text, seen);
		n += (size_t)r;
		seen[n] = 0;
	}
}

static pid_t at_terminal(int *fd, int out[2])
{
	static const char *const names[] = { "a", "b" };
	struct rsagent_hosts hosts = hosts_named(2, names);
	struct rsagent_many m = { .run = ask_both };
	struct rsagent_remote remote = { .json = true, .quiet = true };
	struct err e = { 0 };
	pid_t pid;
	int status;

	atomic_store(&shared->ready, 0);
	assert_int_equal(pipe(out), 0);
	pid = forkpty(fd, NULL, NULL, NULL);
	if (pid == 0) {
		alarm(LIMIT);
		dup2(out[1], STDOUT_FILENO);
		status = rsagent_many(&m, &remote, &hosts, &e) + (fflush(stdout) != 0);
		free(hosts.list);
		_exit(status);
	}
	close(out[1]);
	free(hosts.list);
	return pid;
}

static void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static json_t *ending(int out, int fd, pid_t pid, int *status)
{
	FILE *file = fdopen(out, "r");
	json_t *json = json_loadf(file, 0, NULL);

	fclose(file);
	waitpid(pid, status, 0);
	close(fd);
	return json;
}

static void test_questions(void **state)
{
	char seen[4096] = "", *first, *second;
	int fd, out[2], status, a_first;
	size_t yes;
	json_t *json, *list;
	pid_t pid = at_terminal(&fd, out);

	(void)state;
	expect(fd, seen, sizeof(seen), "Password: ");
	a_first = strstr(seen, "a: Password: ") != NULL;
	assert_null(strstr(strstr(seen, "Password: ") + 1, "Password: "));
	say(fd, "secret-1\n");
	expect(fd, seen, sizeof(seen), "Password: ");
	say(fd, "secret-2\n");
	expect(fd, seen, sizeof(seen), "Go on [yes/no]? ");
	say(fd, "yes\n");
	expect(fd, seen, sizeof(seen), "Go on [yes/no]? ");
	say(fd, "no\n");
	json = ending(out[0], fd, pid, &status);
	assert_null(strstr(seen, "secret"));
	first = strstr(seen, a_first ? "a: Password" : "b: Password");
	second = strstr(seen, a_first ? "b: Password" : "a: Password");
	assert_non_null(first);
	assert_true(second > first);
	assert_int_equal(WEXITSTATUS(status), 1);
	yes = strstr(seen, "a: Go on") < strstr(seen, "b: Go on") ? 0 : 1;
	assert_string_equal(text_at(json, yes, "last"), (yes == 0) == a_first ? "1" : "2");
	/* What was typed unseen is in no value that comes out, whoever put it there. */
	assert_string_equal(text_at(json, yes, "text"), "[(hidden)], [(hidden)]");
	list = json_object_get(host_at(json, yes), (yes == 0) == a_first ? "secret-1" : "secret-2");
	assert_string_equal(json_string_value(json_array_get(list, 0)), "(hidden)");
	assert_string_equal(text_at(json, 1 - yes, "error"), "it was not confirmed");
	json_decref(json);
}

static void test_control_c(void **state)
{
	char seen[4096] = "";
	int fd, out[2], status;
	pid_t pid = at_terminal(&fd, out);
	json_t *json;

	(void)state;
	expect(fd, seen, sizeof(seen), "Password: ");
	say(fd, "\3");
	json = ending(out[0], fd, pid, &status);
	assert_int_equal(WEXITSTATUS(status), 1);
	for (size_t i = 0; i < 2; i++)
		assert_false(json_is_true(json_object_get(host_at(json, i), "done")));
	json_decref(json);
}

/* ^D is no answer to one of them. */
static void test_control_d(void **state)
{
	char seen[4096] = "";
	int fd, out[2], status, a_first;
	pid_t pid = at_terminal(&fd, out);
	json_t *json;

	(void)state;
	expect(fd, seen, sizeof(seen), "Password: ");
	a_first = strstr(seen, "a: Password: ") != NULL;
	say(fd, "\4");
	expect(fd, seen, sizeof(seen), "Password: ");
	say(fd, "x\n");
	expect(fd, seen, sizeof(seen), "Go on");
	say(fd, "yes\n");
	json = ending(out[0], fd, pid, &status);
	assert_string_equal(text_at(json, a_first ? 0 : 1, "error"), "it was not answered");
	assert_string_equal(text_at(json, a_first ? 1 : 0, "text"), "[x], [x]");
	json_decref(json);
}

/* Each of two hosts has a line, which changes in place and is gone at the end. */
static int say_much(struct rsagent_task *t, struct err *e)
{
	(void)e;
	for (int i = 0; i < 3; i++)
		rsagent_progress(t, "step %d of a long line: 0123456789 0123456789", i);
	rsagent_output(t, "a line that stays");
	return 0;
}

static void no_table(const struct rsagent_outcome *all, size_t count)
{
	printf("%zu hosts, %d done\n", count, all[0].done + all[1].done);
}

static void test_in_place(void **state)
{
	static const char *const names[] = { "a", "b" };
	struct rsagent_hosts hosts = hosts_named(2, names);
	struct rsagent_many m = { .run = say_much, .show = no_table };
	struct winsize size = { .ws_row = 24, .ws_col = 40 };
	struct rsagent_remote remote = { 0 };
	char seen[16384] = "", *line;
	struct err e = { 0 };
	int fd, status, width = 0;
	pid_t pid = forkpty(&fd, NULL, NULL, &size);
	ssize_t n;
	size_t at = 0;

	(void)state;
	if (pid == 0) {
		alarm(LIMIT);
		setenv("TERM", "xterm", 1);
		status = rsagent_many(&m, &remote, &hosts, &e) + (fflush(stdout) != 0);
		free(hosts.list);
		_exit(status);
	}
	while ((n = read(fd, seen + at, sizeof(seen) - 1 - at)) > 0)
		at += (size_t)n;
	seen[at] = 0;
	waitpid(pid, &status, 0);
	close(fd);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_non_null(strstr(seen, "\033[2A\033[J"));
	assert_non_null(strstr(seen, "a: a line that stays\r\n"));
	assert_non_null(strstr(seen, "\033[J2 hosts, 2 done\r\n"));
	for (line = seen; *line; line++) {
		width = *line == '\r' || *line == '\033' ? 0 : width + 1;
		assert_true(width <= 42);	/* "[2A" and "[J" are no columns */
	}
	free(hosts.list);
}

static int ask_nobody(struct rsagent_task *t, struct err *e)
{
	char answer[8];

	return rsagent_ask(t, "Password: ", true, answer, sizeof(answer), e);
}

/* In a session of its own there is no terminal. */
static void test_no_terminal(void **state)
{
	static const char *const names[] = { "a" };
	struct rsagent_hosts hosts = hosts_named(1, names);
	struct rsagent_many m = { .run = ask_nobody };
	struct rsagent_remote remote = { 0 };
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		json_t *json;

		alarm(LIMIT);
		setsid();
		json = run_json(&m, &remote, &hosts, &status);
		status = status == 1 && strcmp(text_at(json, 0, "error"), "there is no terminal to ask at") == 0 ? 0 : 9;
		json_decref(json);
		free(hosts.list);
		_exit(status);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 0);
	free(hosts.list);
}

static volatile sig_atomic_t told;

static void on_term(int number)
{
	told = number;
}

/* One has something to undo, and says that it did. */
static int undo_it(struct rsagent_task *t, struct err *e)
{
	signal(SIGTERM, t->host->name[0] == 'a' ? on_term : SIG_DFL);
	atomic_fetch_add(&shared->ready, 1);
	while (!told)
		usleep(1000);
	return err_set(e, EINTR, "interrupted; all was undone");
}

static void test_interrupted(void **state)
{
	static const char *const names[] = { "a", "b", "c" };
	struct rsagent_hosts hosts = hosts_named(3, names);
	struct rsagent_many m = { .run = undo_it };
	struct rsagent_remote remote = { .parallel = 2 };
	int status;
	pid_t pid;

	(void)state;
	atomic_store(&shared->ready, 0);
	pid = fork();
	if (pid == 0) {
		json_t *json;

		alarm(LIMIT);
		json = run_json(&m, &remote, &hosts, &status);
		status = status == 1 && strcmp(text_at(json, 0, "error"), "interrupted; all was undone") == 0 &&
			 strcmp(text_at(json, 1, "error"), "interrupted") == 0 &&
			 strcmp(text_at(json, 2, "error"), "interrupted") == 0 ? 0 : 9;
		json_decref(json);
		free(hosts.list);
		_exit(status);
	}
	while (atomic_load(&shared->ready) < 2)
		usleep(1000);
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	free(hosts.list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outcomes), cmocka_unit_test(test_parallel), cmocka_unit_test(test_questions),
		cmocka_unit_test(test_control_c), cmocka_unit_test(test_control_d), cmocka_unit_test(test_no_terminal),
		cmocka_unit_test(test_interrupted), cmocka_unit_test(test_in_place),
	};

	alarm(LIMIT);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
