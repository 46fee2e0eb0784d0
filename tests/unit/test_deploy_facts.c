/* What a host says of itself: the script in a shell that is here, and texts that no script said. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "deploy.h"

#define MARK "00112233445566778899"

static struct deploy_facts *parse(const char *lines, struct err *e)
{
	char text[8192];

	snprintf(text, sizeof(text), "Welcome!\nNo newline at my end" MARK " begin\nuid 0\nmachine x86_64\nkernel 6.1.0\n%s"
		 MARK " end\nBye\n", lines);
	return deploy_facts_parse(text, strlen(text), MARK, e);
}

static struct deploy_facts *facts(const char *lines)
{
	struct err e = { 0 };
	struct deploy_facts *f = parse(lines, &e);

	if (!f)
		fail_msg("%s", e.text);
	return f;
}

static char *run(const char *shell, const struct deploy_ask *ask)
{
	char path[] = "/tmp/rsio-facts-XXXXXX", command[200], *out = calloc(1, 65536), *script = deploy_script(ask, MARK);
	int fd = mkstemp(path);
	FILE *p;

	assert_non_null(script);
	assert_true(fd >= 0 && write(fd, script, strlen(script)) == (ssize_t)strlen(script));
	close(fd);
	snprintf(command, sizeof(command), "%s <%s", shell, path);
	p = popen(command, "r");
	assert_true(fread(out, 1, 65535, p) > 0);
	pclose(p);
	unlink(path);
	free(script);
	return out;
}

/* The same in every shell, also where the pool's name means something to a shell. */
static void says_what_is_here(void **state)
{
	static const char *const shells[] = { "sh", "bash", "bash --posix", "dash", "busybox sh" };
	char dir[] = "/tmp/rsio-pool-'$(id)XXXXXX", pool[100], volume[120], which[100];
	const struct deploy_ask ask = { .pool = pool, .port = 5000 };
	struct err e = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(pool, sizeof(pool), "%s/a b", dir);
	snprintf(volume, sizeof(volume), "%s/one.raw", pool);
	assert_int_equal(mkdir(pool, 0750), 0);
	fclose(fopen(volume, "w"));
	for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
		struct deploy_facts *f;
		char *said;

		snprintf(which, sizeof(which), "command -v %s >/dev/null", shells[i]);
		if (system(which))
			continue;
		said = run(shells[i], &ask);
		f = deploy_facts_parse(said, strlen(said), MARK, &e);
		if (!f)
			fail_msg("%s: %s", shells[i], e.text);
		assert_int_equal(f->uid, getuid());
		assert_int_equal(deploy_facts_path(f, pool)->kind, DEPLOY_DIRECTORY);
		assert_int_equal(deploy_facts_path(f, pool)->mode, 0750);
		assert_true(deploy_facts_place(f, pool)->writable);
		assert_in_range(deploy_facts_place(f, pool)->free, 1, UINT64_MAX - 1);
		assert_int_equal(f->volume_count, 1);
		assert_string_equal(f->volumes[0], "one.raw");
		assert_int_equal(f->pool_uid, getuid());
		assert_true(f->time > 1700000000);
		deploy_facts_free(f);
		free(said);
	}
	unlink(volume);
	rmdir(pool);
	rmdir(dir);
}

static void wait_for_name(pid_t pid, const char *name)
{
	char path[64], now[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	while (strcmp(now, name) != 0) {
		f = fopen(path, "r");
		assert_non_null(f);
		if (!fgets(now, sizeof(now), f))
			now[0] = 0;
		fclose(f);
		usleep(1000);
	}
}

/* Whoever may run a program there, or make a file in the pool, chooses names, and not what is read of them. */
static void forged(void **state)
{
	static const char name[] = "x\nhas rsiod\ntext config\n|[clients]\n|mallory 0123456789\ntext end\n";
	char dir[] = "/tmp/rsio-pool-XXXXXX", within[300], program[320], volume[400], command[900];
	const struct deploy_ask ask = { .pool = dir, .port = 5000 };
	struct err e = { 0 };
	struct deploy_facts *f;
	char *said;
	int status;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(within, sizeof(within), "%s/%s", dir, name);
	snprintf(program, sizeof(program), "%s/nbdkit", within);
	snprintf(volume, sizeof(volume), "%s.raw", within);
	snprintf(command, sizeof(command), "cp /bin/sleep '%s'", program);
	assert_int_equal(mkdir(within, 0755), 0);
	fclose(fopen(volume, "w"));
	assert_int_equal(system(command), 0);
	pid = fork();
	if (!pid) {
		execl(program, "nbdkit", "1000", (char *)NULL);
		_exit(127);
	}
	wait_for_name(pid, "nbdkit\n");
	said = run("sh", &ask);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	f = deploy_facts_parse(said, strlen(said), MARK, &e);
	assert_non_null(f);
	assert_non_null(deploy_facts_place(f, dir));
	if (f->config.text)
		assert_null(strstr(f->config.text, "mallory"));
	assert_false(f->rsiod);
	deploy_facts_free(f);
	free(said);
	unlink(program);
	unlink(volume);
	rmdir(within);
	rmdir(dir);
}

static void reads(void **state)
{
	struct deploy_facts *f = facts("file 755 root:root 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef /a b\n"
				       "link /usr/local/lib/x /l\nplace w 10 /p\nplace -rx ? /q\nmissing /m\nmissing /m\nmissing m\n"
				       "interface up 9000 10000 eth0\ninterface - 1500 -1 eth1\naddress 10.0.0.1/24 eth0\n"
				       "address fe80::1/64 eth0\naddress 127.0.0.1/8 lo\nlistener 0100007F 12 rssrv\n"
				       "listener 00000000000000000000000000000000 0 ?\nlistener zz 1 x\nprocess 12 rssrv /x\n"
				       "has systemd\nhas more\nvolume 0 a.raw\nvolume 7 b.raw\nstate x\nstate ..\nstate ../\nstate a/b\n"
				       "text config\n|[clients]\n|\n|x\n\ntext end\ntext manifest\n|{}\ntext end\naccount 998 997\n");

	(void)state;
	assert_int_equal(deploy_facts_path(f, "/a b")->mode, 0755);
	assert_int_equal(strlen(deploy_facts_path(f, "/a b")->sha), DEPLOY_SHA);
	assert_string_equal(deploy_facts_path(f, "/l")->to, "/usr/local/lib/x");
	assert_int_equal(deploy_facts_path(f, "/none")->kind, DEPLOY_ABSENT);
	assert_int_equal(deploy_facts_place(f, "/p")->free, 10240);
	assert_true(deploy_facts_place(f, "/q")->read_only && deploy_facts_place(f, "/q")->no_exec);
	assert_true(deploy_facts_place(f, "/q")->free == UINT64_MAX);
	assert_int_equal(f->missing_count, 1);
	assert_int_equal(f->interface_count, 2);
	assert_int_equal(f->interfaces[1].speed, 0);
	assert_int_equal(f->address_count, 1);
	assert_int_equal(f->listener_count, 2);
	assert_string_equal(f->listeners[0].text, "127.0.0.1");
	assert_true(f->listeners[1].any && f->listeners[1].six);
	assert_true(f->systemd);
	assert_int_equal(f->pool_uid, -2);
	assert_int_equal(f->state_count, 1);
	assert_string_equal(f->config.text, "[clients]\n\nx\n");
	assert_string_equal(f->manifest, "{}\n");
	assert_int_equal(f->server_gid, 997);
	deploy_facts_free(f);
}

static void refuses(void **state)
{
	static const char *const texts[] = {
		"", "This account is not available.\n", MARK " begin\nuid 0\nmachine m\nkernel k\n",
		MARK " begin\n" MARK " end\n", MARK " begin\nuid x\nmachine m\nkernel k\n" MARK " end\n", MARK " end\n" MARK " begin\n",
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		e = (struct err){ 0 };
		assert_null(deploy_facts_parse(texts[i], strlen(texts[i]), MARK, &e));
		assert_true(*e.text);
	}
	e = (struct err){ 0 };
	assert_null(deploy_facts_parse(texts[1], strlen(texts[1]), MARK, &e));
	assert_non_null(strstr(e.text, "not available"));
}

static void finds_datagrams(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), found = 0;
	struct deploy_ask ask = { .pool = "/nowhere" };
	socklen_t length = sizeof(at);
	struct err e = { 0 };
	struct deploy_facts *f;
	char *out;

	(void)state;
	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, length) == 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	ask.port = ntohs(at.sin_port);
	out = run("sh", &ask);
	f = deploy_facts_parse(out, strlen(out), MARK, &e);
	assert_non_null(f);
	for (size_t i = 0; i < f->listener_count; i++)
		found += f->listeners[i].udp && f->listeners[i].pid == getpid() && strcmp(f->listeners[i].text, "127.0.0.1") == 0;
	assert_int_equal(found, 1);
	deploy_facts_free(f);
	free(out);
	close(fd);
}

/* The first one's word of that level, or "". */
static const char *finding(enum deploy_level level, const char *lines, struct deploy_wish w)
{
	static struct deploy_findings all;
	struct deploy_facts *f = facts(lines);

	w.pool = w.pool ? w.pool : DEPLOY_POOL;
	w.port = DEPLOY_PORT;
	if (!w.portal_count)
		strcpy(w.portals[w.portal_count++].address, "10.0.0.1");
	deploy_check(f, &w, f->time, &all);
	deploy_facts_free(f);
	for (size_t i = 0; i < all.count; i++)
		if (all.all[i].level == level)
			return all.all[i].what;
	return "";
}

static const char *refusal(const char *lines, struct deploy_wish w)
{
	return finding(DEPLOY_REFUSAL, lines, w);
}

static void checks(void **state)
{
	static const struct {
		const char *lines, *what;
	} cases[] = {
		{ "has useradd\n", "" }, { "", "user" }, { "account 9 9\n", "" },
		{ "has useradd\nkernel 4.17.9\n", "kernel" }, { "has useradd\nkernel 4.18.0-rc1\n", "" }, { "has useradd\nkernel 3.19\n", "kernel" },
		{ "has useradd\nmachine aarch64\n", "architecture" }, { "has useradd\nuid 1000\n", "rights" },
		{ "has useradd\nplace w 100 /usr/local/lib/rsio\n", "space" }, { "has useradd\nplace wr 99999999 /etc\n", "read-only" },
		{ "has useradd\nplace wx 99999999 /usr/local/lib/rsio\n", "noexec" },
		{ "has useradd\nlistener 0100000A 7 nginx\n", "port" }, { "has useradd\nlistener 0200000A 7 nginx\n", "" },
		{ "has useradd\nlistener 00000000 7 nginx\n", "port" },
		{ "has useradd\ndatagrams 00000000 7 nginx\n", "" },	/* discovery's: a warning */
		{ "has useradd\nlistener 0100000A 7 rssrv\nprocess 7 rssrv /usr/local/lib/rsio/rssrv-0\n", "" },
		{ "has useradd\nprocess 7 rssrv /usr/sbin/rssrv\n", "rssrv" }, { "has useradd\nprocess 7 tgtd /usr/sbin/tgtd\n", "" },
		{ "has useradd\nfile 640 root:root ? /etc/rssrvcfg\n", "files" },
		{ "has useradd\nfile 640 root:root ? /etc/rssrvcfg\ntext manifest\n|{}\ntext end\n", "" },
	};
	struct deploy_wish w = { .binary = { .path = "rssrv-static", .size = 1 << 20, .machine = "x86_64" } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (strcmp(refusal(cases[i].lines, w), cases[i].what) != 0)
			fail_msg("%s: %s, not %s", cases[i].lines, refusal(cases[i].lines, w), cases[i].what);
	assert_string_equal(finding(DEPLOY_WARNING, "has useradd\ndatagrams 00000000 7 nginx\n", w), "port");
	w.pool = "/home/x/pool";
	assert_string_equal(refusal("has useradd\nhas systemd\n", w), "pool");
	assert_string_equal(refusal("has useradd\n", w), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_is_here), cmocka_unit_test(reads), cmocka_unit_test(refuses), cmocka_unit_test(checks),
		cmocka_unit_test(finds_datagrams), cmocka_unit_test(forged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
