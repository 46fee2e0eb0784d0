/*
 * remote.c - logs in to a host and does one thing there, for tests/deploy.
 *
 * remote [--identity FILE] [--fingerprint F] [--confirm yes|no] [--answers FILE] [--connect S] [--silent S]
 *        [--root] TARGET ACTION...
 *	run SCRIPT [MAX [SECONDS]]	with the standard input behind it; prints what it prints
 *	say COUNT			a conversation: COUNT lines there and back
 *	copy FILE TO [STALL]		FILE's bytes to the file TO, as head takes them
 *	wait				prints "in", and whatever a script says until it ends
 *	who				the login, the fingerprint, both addresses
 * --answers: a line of the file for each question, in turn; the questions are printed.
 * On failure: "error: …", "next: …" and the errno's name on the standard error, status 1; 3 when the
 * script's status is not 0.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "remote.h"

struct user {
	FILE *answers;
	int confirm;			/* 1, 0, -1: nobody */
};

static int failed(const struct err *e)
{
	fprintf(stderr, "error: %s\nnext: %s\n%s\n", e->text, e->next, strerrorname_np(e->code));
	return 1;
}

static bool confirm(void *arg, const struct remote_key *key)
{
	const struct user *u = arg;

	printf("unknown: %s (%s) %s %s\n", key->host, key->address, key->type, key->fingerprint);
	return u->confirm;
}

static int secret(void *arg, const char *prompt, bool echo, char *answer, size_t size)
{
	struct user *u = arg;

	printf("asked%s: %s\n", echo ? " aloud" : "", prompt);
	fflush(stdout);
	if (!fgets(answer, (int)size, u->answers))
		return -ECANCELED;
	answer[strcspn(answer, "\n")] = 0;
	return 0;
}

static void banner(void *arg, const char *line)
{
	(void)arg;
	printf("banner: %s\n", line);
}

static char *slurp(FILE *f, size_t *size)
{
	char *data = NULL, part[65536];
	size_t n;
	FILE *out = open_memstream(&data, size);

	while (f && out && (n = fread(part, 1, sizeof(part), f)) > 0)
		fwrite(part, 1, n, out);
	if (out)
		fclose(out);
	return data;
}

static int run(struct remote *r, char **argv, struct err *e)
{
	struct remote_result result;
	size_t size = 0, max = argv[1] ? (size_t)atol(argv[1]) : 1 << 20;
	unsigned seconds = argv[1] && argv[2] ? (unsigned)atoi(argv[2]) : 30;
	char *input = isatty(0) ? NULL : slurp(stdin, &size);
	int rc = remote_run(r, "the test", argv[0], input, size, max, seconds, &result, e);

	free(input);
	if (rc)
		return failed(e);
	fwrite(result.out, 1, result.out_size, stdout);
	if (result.err[0])
		fprintf(stderr, "%s\n", result.err);
	if (result.status)
		printf("status %d\n", result.status);
	rc = result.status ? 3 : 0;
	remote_result_free(&result);
	return rc;
}

static int say(struct remote *r, char **argv, struct err *e)
{
	struct remote_talk *t = remote_talk(r, "the talk", "while read -r l; do echo \"heard $l\"; done; echo said >&2; exit 7", 10, e);
	int count = atoi(argv[0]), good = 0;
	char text[64], *line;

	if (!t)
		return failed(e);
	for (int i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "number %d\n", i);
		if (remote_talk_write(t, text, strlen(text), 10, e) || remote_talk_line(t, &line, 1000, 10, e))
			return failed(e);
		text[strcspn(text, "\n")] = 0;
		good += !strncmp(line, "heard ", 6) && !strcmp(line + 6, text);
	}
	printf("%d of %d\n", good, count);
	if (remote_talk_end_input(t, e) || remote_talk_line(t, &line, 1000, 10, e) != -EPIPE)
		return failed(e);
	printf("%s\nstatus %d\nstderr %s\n", e->text, remote_talk_status(t), remote_talk_stderr(t));
	remote_talk_free(t);
	return 0;
}

static int copy(struct remote *r, char **argv, struct err *e)
{
	FILE *f = fopen(argv[0], "r");
	size_t size = 0;
	char *data = slurp(f, &size), *to = remote_quote(argv[1]), *script = NULL, *line;
	unsigned stall = argv[2] ? (unsigned)atoi(argv[2]) : 10;
	struct remote_talk *t = NULL;
	int rc = 1;

	if (f)
		fclose(f);
	if (data && to && asprintf(&script, "head -c %zu >%s && echo done; read -r more; echo \"$more\"", size, to) > 0)
		t = remote_talk(r, "the copy", script, 10, e);
	if (!t || remote_talk_write(t, data, size, stall, e) || remote_talk_line(t, &line, 100, stall, e))
		goto out;
	printf("%s\n", line);
	if (remote_talk_write(t, "and more\n", 9, stall, e) || remote_talk_line(t, &line, 100, stall, e))
		goto out;
	printf("%s\n", line);
	rc = 0;
out:
	if (rc)
		failed(e);
	remote_talk_free(t);
	free(script);
	free(to);
	free(data);
	return rc;
}

static int wait_long(struct remote *r, struct err *e)
{
	struct remote_talk *t = remote_talk(r, "the wait", "echo in; cat; exit 5", 10, e);
	char *line;

	while (t && !remote_talk_line(t, &line, 1000, 600, e)) {
		printf("%s\n", line);
		fflush(stdout);
	}
	remote_talk_free(t);
	return failed(e);
}

static int who(struct remote *r)
{
	char a[SOCK_TEXT_MAX] = "", b[SOCK_TEXT_MAX] = "";

	if (remote_address(r)->length) {
		sock_format(remote_address(r), a);
		sock_format(remote_own_address(r), b);
	}
	printf("%s@%s %s %s %s%s\n", remote_user(r), remote_host(r), remote_fingerprint(r), a, b, remote_is_root(r) ? " root" : "");
	return 0;
}

static int act(struct remote *r, char **argv, struct err *e)
{
	if (!strcmp(argv[0], "run"))
		return run(r, argv + 1, e);
	if (!strcmp(argv[0], "say"))
		return say(r, argv + 1, e);
	if (!strcmp(argv[0], "copy"))
		return copy(r, argv + 1, e);
	if (!strcmp(argv[0], "wait"))
		return wait_long(r, e);
	return who(r);
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "identity", 1, NULL, 'i' }, { "fingerprint", 1, NULL, 'f' }, { "confirm", 1, NULL, 'y' }, { "answers", 1, NULL, 'a' },
		{ "connect", 1, NULL, 'c' }, { "silent", 1, NULL, 's' }, { "root", 0, NULL, 'r' }, { 0 }
	};
	struct user user = { .confirm = -1 };
	struct remote_options o = { .ask = { .banner = banner, .arg = &user } };
	struct remote_target target;
	struct remote *r;
	struct err e = { 0 };
	bool root = false;
	int c, rc;

	while ((c = getopt_long(argc, argv, "+", long_options, NULL)) != -1) {
		switch (c) {
		case 'i': o.identity = optarg; break;
		case 'f': o.fingerprint = optarg; break;
		case 'y': user.confirm = *optarg == 'y'; o.ask.confirm = confirm; break;
		case 'a': user.answers = fopen(optarg, "r"); o.ask.secret = secret; break;
		case 'c': o.connect_seconds = (unsigned)atoi(optarg); break;
		case 's': o.silent_seconds = (unsigned)atoi(optarg); break;
		case 'r': root = true; break;
		default: return 2;
		}
	}
	if (argc - optind < 2 || remote_parse(argv[optind], &target, &e))
		return failed(&e);
	r = remote_open(&target, &o, &e);
	if (!r)
		return failed(&e);
	if (root && remote_become_root(r, &e))
		rc = failed(&e);
	else
		rc = act(r, argv + optind + 1, &e);
	fflush(stdout);
	remote_close(r);
	if (user.answers)
		fclose(user.answers);
	return rc;
}
