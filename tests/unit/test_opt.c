/*
 * test_opt.c - options from a table, and the values' parsers.
 *
 * opt_parse ends the process for --help and for mistakes, so each call runs in
 * a child whose output and exit status are what is looked at.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "opt.h"

struct values {
	bool json, follow;
	int verbose, lines;
	const char *config;
	double detect;
	uint64_t size;
};

static const struct opt table[] = {
	{ 'c', "config", OPT_STRING, "FILE", offsetof(struct values, config), "the configuration", 0, 0 },
	{ 0, "run-dir", OPT_STRING, "DIR", offsetof(struct values, config), "the directory", 0, 0 },
	{ 0, "mode", OPT_STRING, "rw|ro", offsetof(struct values, config), "one of two", 0, 0 },
	{ 'v', "verbose", OPT_COUNT, NULL, offsetof(struct values, verbose), "more", 0, 0 },
	{ 'j', "json", OPT_FLAG, NULL, offsetof(struct values, json), "JSON", 0, 0 },
	{ 0, "jitter", OPT_FLAG, NULL, offsetof(struct values, follow), "a second with j", 0, 0 },
	{ 'h', "follow", OPT_FLAG, NULL, offsetof(struct values, follow), "takes the letter of help", 0, 0 },
	{ 'n', "lines", OPT_INT, "N", offsetof(struct values, lines), "so many", -3, 100 },
	{ 'd', "detect", OPT_DURATION, "TIME", offsetof(struct values, detect), "so long", 0, 0 },
	{ 's', "size", OPT_SIZE, "SIZE", offsetof(struct values, size), "so much", 0, 0 },
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

static const struct opt_program with_operands = {
	.name = "prog", .synopsis = "[-v] [NAME...]\n--json", .about = "Does it.", .table = table,
	.operands = "[NAME...]", .page = "prog(8)",
};

static const struct opt_program without_operands = {
	.name = "prog", .synopsis = "[-v]", .about = "Does it.", .table = table, .page = "prog(8)",
};

static char output[16384];

/* Runs opt_parse on a line of words in a child, which prints what it got.
 * output: standard output and standard error.  Returns the exit status. */
static int parse_with(const struct opt_program *p, const char *line)
{
	char words[512], *argv[32] = { (char *)"prog" };
	int ends[2], status, argc = 1;
	size_t have = 0;
	ssize_t n;
	pid_t pid;

	snprintf(words, sizeof(words), "%s", line);
	for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
		argv[argc++] = w;
	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		struct values v = { .lines = -1 };
		int first;

		dup2(ends[1], 1);
		dup2(ends[1], 2);
		close(ends[0]);
		close(ends[1]);
		opt_parse(p, &v, argc, argv, &first);
		printf("json=%d follow=%d verbose=%d lines=%d config=%s detect=%g size=%llu:", v.json,
		       v.follow, v.verbose, v.lines, v.config ? v.config : "-", v.detect,
		       (unsigned long long)v.size);
		for (int i = first; i < argc; i++)
			printf(" %s", argv[i]);
		fflush(stdout);
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], output + have, sizeof(output) - 1 - have)) > 0)
		have += (size_t)n;
	output[have] = 0;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int parse(const char *line)
{
	return parse_with(&with_operands, line);
}

#define NOTHING "json=0 follow=0 verbose=0 lines=-1 config=- detect=0 size=0:"

static void takes_every_spelling(void **state)
{
	static const struct {
		const char *line, *result;
	} cases[] = {
		{ "", NOTHING },
		{ "-vvj", "json=1 follow=0 verbose=2 lines=-1 config=- detect=0 size=0:" },
		{ "-v --verbose -v", "json=0 follow=0 verbose=3 lines=-1 config=- detect=0 size=0:" },
		{ "-n10", "json=0 follow=0 verbose=0 lines=10 config=- detect=0 size=0:" },
		{ "-vn 10", "json=0 follow=0 verbose=1 lines=10 config=- detect=0 size=0:" },
		{ "--lines=-3", "json=0 follow=0 verbose=0 lines=-3 config=- detect=0 size=0:" },
		{ "--lines 7", "json=0 follow=0 verbose=0 lines=7 config=- detect=0 size=0:" },
		{ "--conf=a=b", "json=0 follow=0 verbose=0 lines=-1 config=a=b detect=0 size=0:" },
		{ "--c -x", "json=0 follow=0 verbose=0 lines=-1 config=-x detect=0 size=0:" },
		{ "--config=", "json=0 follow=0 verbose=0 lines=-1 config= detect=0 size=0:" },
		{ "-d 20ms -s 4K", "json=0 follow=0 verbose=0 lines=-1 config=- detect=0.02 size=4096:" },
		{ "-h", "json=0 follow=1 verbose=0 lines=-1 config=- detect=0 size=0:" },
		{ "a -j b", "json=1 follow=0 verbose=0 lines=-1 config=- detect=0 size=0: a b" },
		{ "a -- -j --b", NOTHING " a -j --b" },
		{ "- a", NOTHING " - a" },
		{ "--", NOTHING },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(cases[i].line), 0);
		assert_string_equal(output, cases[i].result);
	}
}

static void refuses_with_one_line(void **state)
{
	static const struct {
		const char *line, *text;
	} cases[] = {
		{ "--jsno", "unknown option --jsno (did you mean --json?)" },
		{ "--entirely-else", "unknown option --entirely-else\n" },
		{ "-x", "unknown option -x" },
		{ "-vx", "unknown option -x" },
		{ "--j", "--j could be --json or --jitter" },
		{ "--=3", "unknown option --" },
		{ "--json=yes", "--json takes no argument" },
		{ "--config", "--config needs an argument: FILE" },
		{ "-n", "--lines needs an argument: N" },
		{ "-n x", "--lines wants a number from -3 to 100, not 'x'" },
		{ "-n 5x", "not '5x'" },
		{ "-n 101", "not '101'" },
		{ "-n -4", "not '-4'" },
		{ "-n 99999999999999999999", "not '99999999999999999999'" },
		{ "-d 5parsecs", "--detect wants a time such as" },
		{ "-s 5parsecs", "--size wants a size such as" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(cases[i].line), 2);
		assert_memory_equal(output, "prog: ", 6);
		if (!strstr(output, cases[i].text))
			fail_msg("%s: not '%s' but: %s", cases[i].line, cases[i].text, output);
		assert_non_null(strstr(output, "\nTry 'prog --help'.\n"));
	}
	assert_int_equal(parse_with(&without_operands, "-v a"), 2);
	assert_non_null(strstr(output, "unexpected argument 'a'"));
}

static void help_says_all(void **state)
{
	(void)state;
	assert_int_equal(parse("--help nonsense"), 0);
	assert_non_null(strstr(output, "Usage: prog [-v] [NAME...]\n       prog --json\n"));
	assert_non_null(strstr(output, "\nDoes it.\n"));
	for (const struct opt *o = table; o->name; o++) {
		assert_non_null(strstr(output, o->name));
		assert_non_null(strstr(output, o->help));
	}
	assert_non_null(strstr(output, "-c, --config FILE"));
	/* The program's own -h hides that of help. */
	assert_non_null(strstr(output, "-h, --follow"));
	assert_non_null(strstr(output, "      --help"));
	assert_non_null(strstr(output, "See prog(8).\n"));
	assert_int_equal(parse("--version"), 0);
	assert_string_equal(output, "prog (rsio) " RSIO_VERSION "\n");
}

static void lists_long_options(void **state)
{
	(void)state;
	assert_int_equal(parse("--long-options"), 0);
	assert_string_equal(output, "--config\n--run-dir\n--mode\n--verbose\n--json\n--jitter\n--follow\n"
			    "--lines\n--detect\n--size\n--help\n--version\n");
	/* What is for scripts is not guessed from its beginning. */
	assert_int_equal(parse("--long"), 2);
}

/* The text is a bash function; it is asked as bash would ask it. */
static void complete_words(const char *words, char *to, size_t size)
{
	char name[] = "/tmp/rsio-test-completion-XXXXXX", command[256];
	int fd = mkstemp(name);
	FILE *p;
	size_t n;

	assert_int_equal(parse("--completion"), 0);
	assert_int_equal(write(fd, output, strlen(output)), (ssize_t)strlen(output));
	close(fd);
	snprintf(command, sizeof(command), "bash -c '. %s; COMP_WORDS=(%s); "
		 "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _prog; echo ${COMPREPLY[*]}'", name, words);
	p = popen(command, "r");
	assert_non_null(p);
	n = fread(to, 1, size - 1, p);
	to[n] = 0;
	assert_int_equal(pclose(p), 0);
	unlink(name);
}

static void completion_works(void **state)
{
	char got[512];

	(void)state;
	complete_words("prog --j", got, sizeof(got));
	assert_string_equal(got, "--json --jitter\n");
	complete_words("prog --config /etc/passw", got, sizeof(got));
	assert_non_null(strstr(got, "/etc/passwd"));
	complete_words("prog --run-dir /et", got, sizeof(got));
	assert_string_equal(got, "/etc\n");
	complete_words("prog --mode r", got, sizeof(got));
	assert_string_equal(got, "rw ro\n");
	complete_words("prog --lines -", got, sizeof(got));
	assert_string_equal(got, "\n");
}

static void durations(void **state)
{
	static const struct {
		const char *text;
		double seconds;
	} good[] = {
		{ "0", 0 }, { "2", 2 }, { "2s", 2 }, { "500us", 0.0005 }, { "20ms", 0.02 }, { "20 ms", 0.02 },
		{ "0.5", 0.5 }, { "1.25s", 1.25 }, { "5min", 300 }, { "1h", 3600 }, { "1.5h", 5400 },
		{ "0.000000001", 1e-9 },
	};
	static const char *const bad[] = {
		"", " 1", "-1", "+1", ".5", "1.", "1e3", "0x10", "inf", "nan", "2m", "2S", "s",
		"1,5", "2ss", "2s 3",
	};
	double got;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(opt_parse_duration(good[i].text, &got), 0);
		assert_true(got == good[i].seconds);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (opt_parse_duration(bad[i], &got) != -EINVAL)
			fail_msg("'%s' is taken as a duration", bad[i]);
	assert_int_equal(opt_parse_duration("99999999999999999999s", &got), -ERANGE);
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		unsigned long long bytes;
	} good[] = {
		{ "0", 0 }, { "4096", 4096 }, { "4096B", 4096 }, { "1K", 1024 }, { "1k", 1024 },
		{ "1KiB", 1024 }, { "1KB", 1024 }, { "20G", 20ull << 30 }, { "20 G", 20ull << 30 },
		{ "1.5TiB", 3ull << 39 }, { "0.5M", 512 << 10 }, { "15E", 15ull << 60 },
		{ "18446744073709551615", UINT64_MAX },
	};
	static const char *const bad[] = {
		"", "-1", "1.5", "1.5B", "K", "1Kb", "1Ki", "1KiBB", "1X", "1K ", "0x10", "1e6", "1K1",
	};
	unsigned long long got;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(opt_parse_size(good[i].text, &got), 0);
		assert_true(got == good[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (opt_parse_size(bad[i], &got) != -EINVAL)
			fail_msg("'%s' is taken as a size", bad[i]);
	assert_int_equal(opt_parse_size("16E", &got), -ERANGE);
	assert_int_equal(opt_parse_size("18446744073709551616", &got), -ERANGE);
}

static void nearest_words(void **state)
{
	static const char *const words[] = { "address", "port", "protocol", "namespaceid", "on-loss", "key", NULL };
	static const struct {
		const char *word, *nearest;
	} cases[] = {
		{ "adress", "address" }, { "Port", "port" }, { "prot", "port" }, { "kye", "key" }, { "protcol", "protocol" },
		{ "namespace-id", "namespaceid" }, { "onloss", "on-loss" }, { "color", NULL }, { "", NULL },
		{ "x", NULL }, { "give-up", NULL },
	};
	char longest[200];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *got = opt_nearest(cases[i].word, words);

		if (cases[i].nearest ? !got || strcmp(got, cases[i].nearest) != 0 : got != NULL)
			fail_msg("nearest to '%s' is %s", cases[i].word, got ? got : "nothing");
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	assert_null(opt_nearest(longest, words));
}

static void check_run_dir(const char *given, const char *expected)
{
	char *dir = opt_run_dir(given);

	assert_string_equal(dir, expected);
	free(dir);
}

static void run_dirs(void **state)
{
	char here[4096], expected[4200];

	(void)state;
	setenv("RSIO_RUN_DIR", "/from/env", 1);
	check_run_dir("/given", "/given");
	check_run_dir(NULL, "/from/env");
	assert_non_null(getcwd(here, sizeof(here)));
	snprintf(expected, sizeof(expected), "%s/below", strcmp(here, "/") ? here : "");
	check_run_dir("below", expected);
	setenv("RSIO_RUN_DIR", "", 1);
	setenv("XDG_RUNTIME_DIR", "/xdg", 1);
	check_run_dir(NULL, geteuid() ? "/xdg/rsio" : "/run/rsio");
	if (geteuid() == 0) {
		assert_int_equal(seteuid(65534), 0);
		check_run_dir(NULL, "/xdg/rsio");
		unsetenv("XDG_RUNTIME_DIR");
		check_run_dir(NULL, "/run/user/65534/rsio");
		assert_int_equal(seteuid(0), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_every_spelling),
		cmocka_unit_test(refuses_with_one_line),
		cmocka_unit_test(help_says_all),
		cmocka_unit_test(lists_long_options),
		cmocka_unit_test(completion_works),
		cmocka_unit_test(durations),
		cmocka_unit_test(sizes),
		cmocka_unit_test(nearest_words),
		cmocka_unit_test(run_dirs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
