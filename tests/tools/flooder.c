/*
 * flooder.c - somebody without a key who opens connections to a server without end.
 *
 *	flooder KIND ADDRESS PORT SLOTS FROM... [<BYTES]
 *
 * It keeps SLOTS connections open, each from the next of the addresses FROM, and opens
 * another for each that ends.  KIND is what it says on one:
 *   half-open  nothing; it waits for the end
 *   garbage    4 KiB that are no protocol; ends it when something comes back
 *   slow       what comes from standard input, a byte at a time, a byte every 50 ms
 *   hello      what comes from standard input at once; ends it when something comes back
 * SIGTERM ends it; then it prints how many connections it opened.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SLOTS_MAX 1024
#define SLOW_NS 50000000u

struct slot {
	bool connected;
	size_t said;
	uint64_t next;			/* slow: when the next byte is due */
};

static volatile sig_atomic_t over;
static struct slot slots[SLOTS_MAX];
static struct pollfd fds[SLOTS_MAX];
static struct sockaddr_in to, from[64];
static int slot_count, from_count;
static char bytes[4096];
static size_t byte_count;
static bool slow, waits;
static unsigned long opened;

static void on_term(int signal_number)
{
	(void)signal_number;
	over = 1;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Ends with a reset: nothing of it lingers here. */
static void end_slot(int i)
{
	if (fds[i].fd >= 0)
		close(fds[i].fd);
	fds[i].fd = -1;
}

static void open_slot(int i)
{
	struct linger at_once = { 1, 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	slots[i] = (struct slot){ 0 };
	fds[i] = (struct pollfd){ .fd = fd, .events = POLLOUT };
	if (bind(fd, (struct sockaddr *)&from[i % from_count], sizeof(from[0])) < 0 ||
	    (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS))
		end_slot(i);
	else
		opened++;
}

static void speak(int i)
{
	struct slot *s = &slots[i];
	size_t n = slow ? 1 : byte_count;

	fds[i].events = POLLIN;
	if (waits || s->said >= byte_count || (slow && now() < s->next))
		return;
	s->next = now() + SLOW_NS;
	s->said += n;
	if (send(fds[i].fd, bytes + s->said - n, n, MSG_NOSIGNAL) < 0)
		end_slot(i);
}

static void look_at(int i)
{
	char answer[4096];
	short events = fds[i].revents;
	ssize_t n;

	if (fds[i].fd < 0) {
		open_slot(i);
	} else if (events & (POLLERR | POLLHUP)) {
		end_slot(i);
	} else if (events & POLLIN) {
		n = recv(fds[i].fd, answer, sizeof(answer), 0);
		if (n <= 0 || (!waits && !slow))
			end_slot(i);
	} else if (events & POLLOUT || (slow && fds[i].events == POLLIN)) {
		speak(i);
	}
}

static void set_address(struct sockaddr_in *a, const char *text, const char *port)
{
	*a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	if (inet_pton(AF_INET, text, &a->sin_addr) != 1) {
		fprintf(stderr, "flooder: what is %s?\n", text);
		exit(2);
	}
}

static void set_kind(const char *kind)
{
	slow = strcmp(kind, "slow") == 0;
	waits = strcmp(kind, "half-open") == 0;
	if (strcmp(kind, "garbage") == 0) {
		for (; byte_count < sizeof(bytes); byte_count++)
			bytes[byte_count] = (char)(byte_count * 7 + 1);
	} else if (!waits) {
		byte_count = fread(bytes, 1, sizeof(bytes), stdin);
	}
}

int main(int argc, char **argv)
{
	if (argc < 6)
		return 2;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGTERM, on_term);
	set_kind(argv[1]);
	set_address(&to, argv[2], argv[3]);
	slot_count = atoi(argv[4]) < SLOTS_MAX ? atoi(argv[4]) : SLOTS_MAX;
	for (int i = 5; i < argc && from_count < 64; i++)
		set_address(&from[from_count++], argv[i], "0");
	for (int i = 0; i < slot_count; i++)
		fds[i].fd = -1;
	while (!over) {
		for (int i = 0; i < slot_count; i++)
			look_at(i);
		poll(fds, (nfds_t)slot_count, 10);
	}
	printf("%lu\n", opened);
	return 0;
}
