/* test_confine.c - what a confined process can and cannot do: each in a child. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "confine.h"

#define NOT_CONFINED 99

static char inside[64], outside[64];
static struct confinement now;

static char *join(const char *dir, const char *name)
{
	static char path[2][128];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static void put(const char *path)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs("text", f);
	fclose(f);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(inside, "/tmp/rsio-inside-XXXXXX");
	strcpy(outside, "/tmp/rsio-outside-XXXXXX");
	assert_non_null(mkdtemp(inside));
	assert_non_null(mkdtemp(outside));
	put(join(inside, "file"));
	put(join(inside, "old"));
	put(join(outside, "file"));
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "file", "old", "new", "link" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		unlink(join(inside, names[i]));
		unlink(join(outside, names[i]));
	}
	return rmdir(inside) | rmdir(outside);
}

static bool confine_here(uint64_t keep)
{
	struct confine_paths *p = confine_paths_new();
	struct err e;

	if (!p || confine_path(p, inside, CONFINE_ALL) || confine_system(p) ||
	    confine(&now, keep, false, p, &e) < 0)
		exit(1);
	return !now.without;
}

/* The child's wait status. */
static int in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 2);
		_exit(confine_here(0) ? fn() : NOT_CONFINED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_CONFINED)
		skip();
	return status;
}

static void well(int (*fn)(void))
{
	int status = in_child(fn);

	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("wait status %x", status);
}

static void deadly(int (*fn)(void))
{
	int status = in_child(fn);

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
		fail_msg("wait status %x", status);
}

/* The line of the first expectation that was not met. */
#define EXPECT(what) do { if (!(what)) return __LINE__ & 63 ? __LINE__ & 63 : 1; } while (0)

static int use_files(void)
{
	int fd = open(join(inside, "file"), O_RDWR);

	EXPECT(fd >= 0 && write(fd, "x", 1) == 1 && fsync(fd) == 0 && ftruncate(fd, 0) == 0);
	EXPECT(rename(join(inside, "old"), join(inside, "new")) == 0);
	EXPECT(unlink(join(inside, "new")) == 0);
	EXPECT(open(join(inside, "old"), O_RDWR | O_CREAT, 0600) >= 0);
	EXPECT(open("/proc/self/statm", O_RDONLY) >= 0);
	EXPECT(open("/dev/null", O_RDWR) >= 0);
	if (!now.files)
		return 0;
	EXPECT(open(join(outside, "file"), O_RDONLY) < 0 && errno == EACCES);
	EXPECT(open(join(outside, "new"), O_WRONLY | O_CREAT, 0600) < 0 && errno == EACCES);
	EXPECT(open("/etc/shadow", O_RDONLY) < 0 && errno == EACCES);
	EXPECT(open("/", O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES);
	EXPECT(link(join(inside, "file"), join(outside, "link")) < 0);
	EXPECT(unlink(join(outside, "file")) < 0 && errno == EACCES);
	/* What is there can be read, but it cannot be written. */
	EXPECT(open("/proc/self/oom_score_adj", O_WRONLY) < 0 && errno == EACCES);
	return 0;
}

static void files(void **state)
{
	(void)state;
	well(use_files);
}

static int use_sockets(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	EXPECT(fd >= 0);
	/* Refused by the port is another answer. */
	EXPECT(connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && (now.files < 4 || errno == EACCES));
	EXPECT(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == ENOSYS);
	EXPECT(socket(AF_ALG, SOCK_SEQPACKET, 0) < 0 && errno == ENOSYS);
	return 0;
}

static void sockets(void **state)
{
	(void)state;
	well(use_sockets);
}

static void *set_flag(void *arg)
{
	*(int *)arg = open("/proc/self/statm", O_RDONLY) >= 0 && open(join(outside, "file"), O_RDONLY) < 0;
	return NULL;
}

static int use_threads(void)
{
	pthread_t t;
	int flag = 0;

	EXPECT(pthread_create(&t, NULL, set_flag, &flag) == 0 && pthread_join(t, NULL) == 0);
	EXPECT(flag || !now.files);
	EXPECT(fork() < 0 && errno == ENOSYS);
	EXPECT(syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER, 0, 0, 0, 0) < 0 && errno == ENOSYS);
	return 0;
}

static void threads_but_no_processes(void **state)
{
	(void)state;
	well(use_threads);
}

static bool line_is(const char *name, const char *value)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256], want[64];
	bool is = false;

	snprintf(want, sizeof(want), "%s:\t%s\n", name, value);
	while (f && fgets(line, sizeof(line), f))
		is |= strcmp(line, want) == 0;
	if (f)
		fclose(f);
	return is;
}

static int use_privileges(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct all[2] = { { ~0U, ~0U, 0 }, { ~0U, ~0U, 0 } };

	EXPECT(line_is("CapEff", "0000000000000000") && line_is("CapPrm", "0000000000000000"));
	EXPECT(geteuid() != 0 || line_is("CapBnd", "0000000000000000"));
	EXPECT(line_is("NoNewPrivs", "1") && line_is("Seccomp", now.calls ? "2" : "0"));
	EXPECT(syscall(SYS_capset, &header, all) < 0);
	EXPECT(setuid(0) < 0 && errno == ENOSYS);
	EXPECT(syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == ENOSYS);
	EXPECT(kill(getppid(), 0) < 0 && errno == ENOSYS);
	return 0;
}

static void privileges(void **state)
{
	(void)state;
	well(use_privileges);
}

static int run_program(void)
{
	char *argv[] = { (char *)"true", NULL };

	execv("/bin/true", argv);
	return 0;
}

static int look_into_another(void)
{
	ptrace(PTRACE_ATTACH, getppid(), 0, 0);
	return 0;
}

static int mount_something(void)
{
	mount("none", inside, "tmpfs", 0, NULL);
	return 0;
}

static int own_namespace(void)
{
	unshare(CLONE_NEWUSER);
	return 0;
}

static void what_ends_it(void **state)
{
	(void)state;
	deadly(run_program);
	deadly(look_into_another);
	deadly(mount_something);
	deadly(own_namespace);
}

static void what_is_kept(void **state)
{
	uint64_t bind = CONFINE_CAP(CAP_NET_BIND_SERVICE);
	pid_t pid;
	int status;

	(void)state;
	if (geteuid())
		skip();
	pid = fork();
	if (pid == 0) {
		if (!confine_here(bind))
			_exit(NOT_CONFINED);
		_exit(!(now.capabilities == bind && line_is("CapEff", "0000000000000400") &&
			line_is("CapBnd", "0000000000000400")));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_CONFINED)
		skip();
	assert_int_equal(status, 0);
}

static void coverage(void **state)
{
	struct confine_paths *p = confine_paths_new();
	char sibling[80];

	(void)state;
	assert_int_equal(confine_path(p, inside, CONFINE_ALL), 0);
	assert_int_equal(confine_path(p, join(outside, "file"), CONFINE_READ), 0);
	assert_int_equal(confine_path(p, "/nosuch/at/all", CONFINE_ALL), 0);
	assert_true(confine_covers(p, inside, CONFINE_ALL));
	assert_true(confine_covers(p, join(inside, "file"), CONFINE_READ | CONFINE_WRITE));
	assert_true(confine_covers(p, join(inside, "to come"), CONFINE_ALL));
	assert_true(confine_covers(p, join(outside, "file"), CONFINE_READ));
	assert_false(confine_covers(p, join(outside, "file"), CONFINE_READ | CONFINE_WRITE));
	assert_false(confine_covers(p, outside, CONFINE_READ));
	assert_false(confine_covers(p, "/nosuch/at/all", CONFINE_READ));
	/* A name that only begins alike, and a link that leads away. */
	snprintf(sibling, sizeof(sibling), "%sx", inside);
	assert_false(confine_covers(p, sibling, CONFINE_READ));
	assert_int_equal(symlink(outside, join(inside, "link")), 0);
	assert_false(confine_covers(p, join(inside, "link"), CONFINE_READ));
	confine_paths_free(p);
}

/* A link's file is replaced by another one, or comes later. */
static void links(void **state)
{
	struct confine_paths *p = confine_paths_new();

	(void)state;
	assert_int_equal(mkdir(join(outside, "dir"), 0700), 0);
	assert_int_equal(symlink(join(outside, "dir/conf"), join(inside, "link")), 0);
	assert_int_equal(confine_link(p, join(inside, "link"), CONFINE_READ), 0);
	assert_true(confine_covers(p, join(outside, "dir/conf"), CONFINE_READ));
	assert_true(confine_covers(p, join(outside, "dir/conf.new"), CONFINE_READ));
	assert_false(confine_covers(p, join(outside, "dir/conf"), CONFINE_WRITE));
	assert_false(confine_covers(p, join(outside, "file"), CONFINE_READ));
	/* By a relative one; and one right below the root gives nothing but itself. */
	unlink(join(inside, "link"));
	assert_int_equal(symlink("sub/conf", join(inside, "link")), 0);
	assert_int_equal(mkdir(join(inside, "sub"), 0700), 0);
	assert_int_equal(confine_link(p, join(inside, "link"), CONFINE_READ), 0);
	assert_true(confine_covers(p, join(inside, "sub/conf"), CONFINE_READ));
	assert_false(confine_covers(p, join(inside, "file"), CONFINE_READ));
	unlink(join(inside, "link"));
	assert_int_equal(symlink("/tmp/nosuch", join(inside, "link")), 0);
	assert_int_equal(confine_link(p, join(inside, "link"), CONFINE_READ), 0);
	assert_false(confine_covers(p, "/tmp", CONFINE_READ));
	rmdir(join(inside, "sub"));
	rmdir(join(outside, "dir"));
	confine_paths_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sockets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(threads_but_no_processes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(privileges, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_ends_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(coverage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(links, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
