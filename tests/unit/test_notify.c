/* What a service manager is told, over sockets of both kinds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "notify.h"

/* Bound to name, where @ stands for the NUL in front. */
static int manager(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t n = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	memcpy(at.sun_path, name, n);
	if (name[0] == '@')
		at.sun_path[0] = 0;
	assert_int_equal(bind(fd, (struct sockaddr *)&at,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (name[0] == '/'))), 0);
	return fd;
}

static void tells(const char *name)
{
	char got[100] = "";
	int fd = manager(name);

	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(notify("READY=1"), 1);
	assert_int_equal(read(fd, got, sizeof(got) - 1), 7);
	assert_string_equal(got, "READY=1");
	close(fd);
}

static void told(void **state)
{
	char name[100];

	(void)state;
	snprintf(name, sizeof(name), "/tmp/rsio-test-notify-%d", (int)getpid());
	tells(name);
	assert_int_equal(notify("READY=1"), -ECONNREFUSED);	/* it has gone */
	unlink(name);
	assert_int_equal(notify("READY=1"), -ENOENT);
	snprintf(name, sizeof(name), "@rsio-test-notify-%d", (int)getpid());
	tells(name);
}

static void not_told(void **state)
{
	char name[300];

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(notify("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(notify("READY=1"), -EINVAL);
	setenv("NOTIFY_SOCKET", "/", 1);
	assert_int_equal(notify("READY=1"), -EINVAL);
	memset(name, 'x', sizeof(name) - 1);
	name[0] = '/';
	name[sizeof(name) - 1] = 0;
	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(notify("READY=1"), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(told), cmocka_unit_test(not_told) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
