/* test_conf_save.c - a configuration's file is replaced as a whole, keeps what it was, and is nobody else's meanwhile. */
#include <errno.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include "conf_file.h"
#include "conf_write.h"

static const char good[] = NS SRV;
static const struct conf_place osl = { "namespace", "osl", NULL };

static char *beside(const char *what)
{
	static char names[16][PATH_MAX + 64];
	static unsigned n;

	n = (n + 1) % COUNT(names);
	stpcpy(stpcpy(names[n], path), what);
	return names[n];
}

static void remove_all(void)
{
	static const char *const what[] = { "", ".new", ".bak-1", ".bak-2", ".bak-3", ".bak-4" };

	for (size_t i = 0; i < COUNT(what); i++)
		unlink(beside(what[i]));
}

static void is_file(const char *name, const char *expected)
{
	char bytes[4096] = "";
	FILE *f = fopen(name, "re");

	if (!f)
		fail_msg("%s: %s", name, strerror(errno));
	assert_true(fread(bytes, 1, sizeof(bytes) - 1, f) < sizeof(bytes));
	fclose(f);
	if (strcmp(bytes, expected) != 0)
		fail_msg("%s is\n%s\nand not\n%s", name, bytes, expected);
}

static struct conf_text *opened(const char *name)
{
	struct err e = { 0 };
	struct conf_text *t = conf_text_open(CONF_FILE_CLIENT, name, false, &e);

	if (!t)
		fail_msg("%s", e.text);
	return t;
}

static void set(struct conf_text *t, const char *key, const char *value)
{
	struct err e = { 0 };

	if (conf_text_set(t, &osl, key, value, &e))
		fail_msg("%s", e.text);
}

static const char *with(const char *node)
{
	static char text[2][1000];
	static unsigned n;

	n = !n;
	snprintf(text[n], sizeof(text[n]), "[namespace osl]\nnamespaceid=200\nnodename=%s\nnodekey=k\n" SRV, node);
	return text[n];
}

static void begin(mode_t mode)
{
	remove_all();
	write_bytes(good, sizeof(good) - 1, mode);
}

static void test_saved(void **state)
{
	struct conf_text *t;
	struct stat st, backup;
	struct err e = { 0 };

	(void)state;
	begin(0640);
	if (geteuid() == 0)
		assert_int_equal(chown(path, 12, 34), 0);
	t = opened(path);
	assert_int_equal(conf_text_save(t, true, NULL, &e), 0);	/* nothing */
	assert_int_equal(access(beside(".bak-1"), F_OK), -1);
	set(t, "nodename", "a");
	if (conf_text_save(t, true, NULL, &e))
		fail_msg("%s", e.text);
	assert_false(conf_text_changed(t));
	is_file(path, with("a"));
	is_file(beside(".bak-1"), good);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(stat(beside(".bak-1"), &backup), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(backup.st_mode, st.st_mode);
	assert_int_equal(backup.st_uid, st.st_uid);
	assert_int_equal(backup.st_gid, st.st_gid);
	if (geteuid() == 0)
		assert_true(st.st_uid == 12 && st.st_gid == 34);
	assert_int_equal(access(beside(".new"), F_OK), -1);
	/* The same text goes on. */
	for (int i = 0; i < 4; i++) {
		set(t, "nodename", (const char *[]){ "b", "c", "d", "e" }[i]);
		assert_int_equal(conf_text_save(t, true, NULL, &e), 0);
	}
	is_file(path, with("e"));
	is_file(beside(".bak-1"), with("d"));
	is_file(beside(".bak-3"), with("b"));
	assert_int_equal(access(beside(".bak-4"), F_OK), -1);
	set(t, "nodename", "f");
	assert_int_equal(conf_text_save(t, false, NULL, &e), 0);
	is_file(beside(".bak-1"), with("d"));
	conf_text_free(t);
}

static void test_link(void **state)
{
	char *link = beside(".link");
	struct conf_text *t;
	struct stat st;
	struct err e = { 0 };

	(void)state;
	begin(0600);
	assert_int_equal(symlink("cfg", link), 0);
	t = opened(link);
	set(t, "nodename", "a");
	assert_int_equal(conf_text_save(t, true, NULL, &e), 0);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	is_file(path, with("a"));
	is_file(beside(".bak-1"), good);
	conf_text_free(t);
	/* One that leads nowhere. */
	remove_all();
	assert_null(conf_text_open(CONF_FILE_CLIENT, link, true, &e));
	assert_int_equal(e.code, ENOENT);
	unlink(link);
}

static void test_changed_meanwhile(void **state)
{
	struct conf_text *t;
	struct err e = { 0 };

	(void)state;
	begin(0600);
	t = opened(path);
	set(t, "nodename", "a");
	write_bytes(with("x"), strlen(with("x")), 0600);
	assert_int_equal(conf_text_save(t, true, NULL, &e), -ESTALE);
	is_file(path, with("x"));
	/* Of the same length. */
	begin(0600);
	write_bytes(with("big-3"), sizeof(good) - 1, 0600);
	assert_int_equal(conf_text_save(t, true, NULL, &e), -ESTALE);
	unlink(path);
	assert_int_equal(conf_text_save(t, true, NULL, &e), -ESTALE);
	assert_int_equal(access(path, F_OK), -1);
	/* Somebody wrote the same once more. */
	begin(0600);
	assert_int_equal(conf_text_save(t, true, NULL, &e), 0);
	is_file(path, with("a"));
	assert_int_equal(access(beside(".new"), F_OK), -1);
	conf_text_free(t);
}

static void test_mistakes(void **state)
{
	struct conf_report report;
	struct conf_text *t;
	struct err e = { 0 };

	(void)state;
	begin(0600);
	t = opened(path);
	set(t, "namespaceid", "70000");
	assert_int_equal(conf_text_save(t, true, &report, &e), -EINVAL);
	assert_int_equal(report.count, 1);
	assert_non_null(strstr(report.lines[0], "cfg:2: [namespace osl] namespaceid"));
	conf_report_free(&report);
	is_file(path, good);
	assert_int_equal(access(beside(".new"), F_OK), -1);
	assert_int_equal(access(beside(".bak-1"), F_OK), -1);
	conf_text_free(t);
	/* Who may read it. */
	begin(0644);
	t = opened(path);
	set(t, "nodename", "a");
	assert_int_equal(conf_text_save(t, true, &report, &e), -EINVAL);
	assert_true(report.count == 1 && strstr(report.lines[0], "can be read by everybody"));
	conf_report_free(&report);
	is_file(path, good);
	assert_int_equal(access(beside(".new"), F_OK), -1);
	conf_text_free(t);
}

static void test_new(void **state)
{
	char *name = beside("-dir/more/cfg");
	const struct conf_join_portal portal = { "a", "10.0.0.1", 0 };
	struct conf_join j = { .namespace = "osl", .id = 1, .node = "me", .key = "k", .portals = &portal, .portal_count = 1 };
	struct conf_text *t, *other;
	struct stat st;
	struct err e = { 0 };

	(void)state;
	assert_null(conf_text_open(CONF_FILE_CLIENT, name, false, &e));
	assert_int_equal(e.code, ENOENT);
	t = conf_text_open(CONF_FILE_CLIENT, name, true, &e);
	other = conf_text_open(CONF_FILE_CLIENT, name, true, &e);
	assert_true(t && other && conf_text_is_new(t));
	assert_int_equal(conf_text_join(t, &j, &e), 0);
	assert_int_equal(conf_text_join(other, &j, &e), 0);
	if (conf_text_save(t, true, NULL, &e))
		fail_msg("%s", e.text);
	assert_false(conf_text_is_new(t));
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(conf_text_save(other, true, NULL, &e), -ESTALE);
	set(t, "nodename", "you");
	assert_int_equal(conf_text_save(t, true, NULL, &e), 0);
	conf_text_free(t);
	conf_text_free(other);
	unlink(name);
	unlink(strcat(name, ".bak-1"));
	for (int i = 0; i < 2; i++) {
		*strrchr(name, '/') = 0;
		assert_int_equal(rmdir(name), 0);
	}
}

/* FILE.new of somebody who is at it, and of one who was killed. */
static void test_busy(void **state)
{
	struct conf_text *t;
	struct err e = { 0 };
	int fd;

	(void)state;
	begin(0600);
	t = opened(path);
	set(t, "nodename", "a");
	fd = open(beside(".new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(conf_text_save(t, true, NULL, &e), -EBUSY);
	is_file(path, good);
	assert_int_equal(access(beside(".new"), F_OK), 0);
	close(fd);
	if (conf_text_save(t, true, NULL, &e))
		fail_msg("%s", e.text);
	is_file(path, with("a"));
	/* A link there is nobody's we know. */
	set(t, "nodename", "b");
	assert_int_equal(symlink("elsewhere", beside(".new")), 0);
	assert_int_equal(conf_text_save(t, true, NULL, &e), -EBUSY);
	assert_int_equal(access(beside("/../elsewhere"), F_OK), -1);
	conf_text_free(t);
}

/* The list of who else may read it: kept where the file has one, not taken from the directory. */
static void test_access_list(void **state)
{
	/* user::rw- user:77:r-- group::--- mask::r-- other::---, as the kernel has it. */
	static const uint8_t list[] = {
		2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 77, 0, 0, 0, 4, 0, 0, 0, 255, 255, 255, 255,
		16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
	};
	static const char name[] = "system.posix_acl_access";
	struct conf_text *t;
	struct err e = { 0 };
	char now[200];

	(void)state;
	begin(0600);
	if (setxattr(path, name, list, sizeof(list), 0))
		skip();
	t = opened(path);
	set(t, "nodename", "a");
	if (conf_text_save(t, true, NULL, &e))
		fail_msg("%s", e.text);
	assert_int_equal(getxattr(path, name, now, sizeof(now)), sizeof(list));
	assert_memory_equal(now, list, sizeof(list));
	conf_text_free(t);
	begin(0600);
	assert_int_equal(setxattr(dir, "system.posix_acl_default", list, sizeof(list), 0), 0);
	t = opened(path);
	set(t, "nodename", "a");
	assert_int_equal(conf_text_save(t, true, NULL, &e), 0);
	assert_true(getxattr(path, name, now, sizeof(now)) < 0);
	assert_int_equal(removexattr(dir, "system.posix_acl_default"), 0);
	conf_text_free(t);
}

/* Four at once, each with numbers of its own: whoever was told that it was saved has his in the file's history, and
 * none is lost.  Here each adds a server, until it is in. */
static void add_servers(int who)
{
	for (int i = 0; i < 10; i++) {
		struct conf_join_portal portal = { .port = 0 };
		struct conf_join j = { .namespace = "osl", .id = -1, .portals = &portal, .portal_count = 1 };
		struct err e = { 0 };
		int r;

		sprintf(portal.name, "s-%d-%d", who, i);
		sprintf(portal.address, "10.1.%d.%d", who, i);
		do {
			struct conf_text *t = conf_text_open(CONF_FILE_CLIENT, path, false, &e);

			r = t ? conf_text_join(t, &j, &e) : -1;
			if (!r)
				r = conf_text_save(t, true, NULL, &e);
			conf_text_free(t);
		} while (r == -ESTALE || r == -EBUSY);
		if (r)
			_exit(1);
	}
	_exit(0);
}

static void test_many(void **state)
{
	char name[2 * CONF_NAME_MAX + 2];
	struct conf_text *t;
	size_t count = 0;
	int status;

	(void)state;
	begin(0600);
	for (int who = 0; who < 4; who++)
		if (fork() == 0)
			add_servers(who);
	for (int who = 0; who < 4; who++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	t = opened(path);
	while (conf_text_section(t, "server", count, name, NULL))
		count++;
	assert_int_equal(count, 41);
	assert_int_equal(conf_text_check(t, NULL, NULL), 0);
	conf_text_free(t);
}

static void test_not_a_file(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_null(conf_text_open(CONF_FILE_CLIENT, "/", true, &e));
	assert_null(conf_text_open(CONF_FILE_CLIENT, "/dev/null", true, &e));
	assert_int_equal(e.code, EINVAL);
	remove_all();
}

/* What nobody knows is saved by who keeps it alone. */
static void test_kept(void **state)
{
	static const char with_red[] = NS "colour=red\n" SRV;
	struct conf_report report;
	struct conf_text *t;
	struct err e = { 0 };

	(void)state;
	write_bytes(with_red, sizeof(with_red) - 1, 0600);
	t = opened(path);
	set(t, "port", "7");
	assert_int_equal(conf_text_save(t, false, &report, &e), -EINVAL);
	conf_report_free(&report);
	conf_text_keep_unknown(t);
	assert_int_equal(conf_text_save(t, false, &report, &e), 0);
	assert_int_equal(report.warnings, 1);
	conf_report_free(&report);
	is_file(path, NS "colour=red\nport=7\n" SRV);
	conf_text_free(t);
	remove_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_saved), cmocka_unit_test(test_link), cmocka_unit_test(test_changed_meanwhile),
		cmocka_unit_test(test_mistakes), cmocka_unit_test(test_new), cmocka_unit_test(test_busy),
		cmocka_unit_test(test_access_list), cmocka_unit_test(test_many), cmocka_unit_test(test_not_a_file),
		cmocka_unit_test(test_kept),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
