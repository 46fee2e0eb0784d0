/* Addresses, and connections on loopback. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "sock.h"

static void parses(void **state)
{
	static const struct {
		const char *text, *shown;	/* shown NULL: refused */
	} cases[] = {
		{ "192.168.45.10", "192.168.45.10" }, { "::1", "::1" }, { "[fd00::1]", "fd00::1" },
		{ "", NULL }, { "[]", NULL }, { "big-9", NULL }, { "1.2.3.4.5", NULL }, { "[::1", NULL },
		{ "::1::2", NULL }, { "fe80::1%lo", "fe80::1%lo" }, { "fe80::1%1", "fe80::1%lo" },
		{ "[fe80::1%lo]", "fe80::1%lo" }, { "fe80::1%nosuch", NULL }, { "fe80::1%", NULL }, { "127.0.0.1%lo", NULL },
		{ "127.1", NULL }, { "010.0.0.1", NULL },
	};
	char text[SOCK_TEXT_MAX], longer[200];
	struct sock_addr a;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int r = sock_parse(cases[i].text, 5000, &a);

		assert_int_equal(r, cases[i].shown ? 0 : -EINVAL);
		if (r)
			continue;
		sock_format(&a, text);
		assert_string_equal(text, cases[i].shown);
	}
	memset(longer, '1', sizeof longer - 1);
	longer[sizeof longer - 1] = 0;
	assert_int_equal(sock_parse(longer, 1, &a), -EINVAL);
	a.length = 0;
	sock_format(&a, text);
	assert_string_equal(text, "?");
}

static struct sock_addr addr(const char *text, int port)
{
	struct sock_addr a;

	assert_int_equal(sock_parse(text, port, &a), 0);
	return a;
}

static void compares(void **state)
{
	struct sock_addr a = addr("127.0.0.1", 1), b = addr("127.0.0.1", 2), c = addr("127.0.0.2", 1), d = addr("::1", 1),
			 far = addr("192.0.2.1", 1);
	char device[32];

	(void)state;
	assert_true(sock_equal_host(&a, &b));
	assert_false(sock_equal_host(&a, &c));
	assert_false(sock_equal_host(&a, &d));
	assert_true(sock_is_local(&c));		/* all of 127/8, though no interface lists it */
	assert_false(sock_is_local(&far));
	assert_true(sock_on_link(&a, &c));
	assert_false(sock_on_link(&a, &far));
	assert_int_equal(sock_device_of(&a, device, sizeof device), 0);
	assert_string_equal(device, "lo");
	assert_int_equal(sock_device_of(&far, device, sizeof device), -ENODEV);
	assert_true(sock_device_running("lo"));
	assert_false(sock_device_running("no-such-dev"));
	assert_int_equal(sock_address_of("lo", AF_INET, &b), 0);
	assert_true(sock_equal_host(&a, &b));
	assert_int_equal(sock_address_of("no-such-dev", AF_UNSPEC, &b), -EADDRNOTAVAIL);
}

static int outcome(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	assert_int_equal(poll(&p, 1, 5000), 1);
	return sock_connect_result(fd);
}

/* No delay, and no congestion control that paces, from the first packet on. */
static void is_tuned(int connected, int accepted)
{
	char a[16] = "", b[16] = "";
	socklen_t n = sizeof a, m = sizeof b, size = sizeof(int);
	int no_delay = 0;

	assert_int_equal(getsockopt(connected, IPPROTO_TCP, TCP_CONGESTION, a, &n), 0);
	assert_int_equal(getsockopt(accepted, IPPROTO_TCP, TCP_CONGESTION, b, &m), 0);
	assert_string_equal(a, b);
	assert_int_equal(getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
	assert_true(no_delay);
}

static void connects(void **state)
{
	struct sock_addr at = addr("127.0.0.1", 0), from = addr("127.0.0.7", 0), seen = { .length = sizeof seen.ss };
	int listener = sock_listen(&at, NULL), fd, accepted;

	(void)state;
	assert_true(listener >= 0);
	at.length = sizeof at.ss;
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at.ss, &at.length), 0);
	/* A device that does not lead there is no hindrance on this very host. */
	fd = sock_connect(&from, "lo", &at);
	assert_true(fd >= 0);
	assert_int_equal(outcome(fd), 0);
	accepted = accept(listener, (struct sockaddr *)&seen.ss, &seen.length);
	assert_true(accepted >= 0);
	assert_true(sock_equal_host(&seen, &from));	/* it came from where it was told to */
	is_tuned(fd, accepted);
	close(accepted);
	close(fd);
	/* Taken, and nobody there. */
	assert_int_equal(sock_listen(&at, NULL), -EADDRINUSE);
	close(listener);
	fd = sock_connect(NULL, NULL, &at);
	assert_int_equal(fd >= 0 ? outcome(fd) : fd, -ECONNREFUSED);
	if (fd >= 0)
		close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses), cmocka_unit_test(compares), cmocka_unit_test(connects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
