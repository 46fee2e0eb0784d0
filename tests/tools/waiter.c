/*
 * waiter.c - one synchronous request that waits, and how it ends.
 *
 *	waiter [-t] [-d SIGNAL]... [-o OFFSET] read|write|fsync|punch FILE
 *
 * -t: a timer signal with a handler comes every 20 ms, and system calls are not
 * restarted.  -d: that signal (its number) has its default action again, whatever
 * the shell made of it.  Prints "waits", then the result: "4096" or the error's name.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>
#include <linux/falloc.h>

static void tick(int signal_number)
{
	(void)signal_number;
}

static void start_timer(void)
{
	struct sigaction action = { .sa_handler = tick };
	struct itimerval every = { { 0, 20000 }, { 0, 20000 } };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

static long request(const char *what, int fd, long offset)
{
	static _Alignas(4096) char buf[4096];

	if (strcmp(what, "read") == 0)
		return pread(fd, buf, sizeof buf, offset);
	if (strcmp(what, "write") == 0)
		return pwrite(fd, buf, sizeof buf, offset);
	if (strcmp(what, "fsync") == 0)
		return fsync(fd);
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, sizeof buf);
}

int main(int argc, char **argv)
{
	struct rlimit none = { 0, 0 };
	int c, fd, timer = 0;
	long n, offset = 0;

	while ((c = getopt(argc, argv, "td:o:")) != -1) {
		if (c == 't')
			timer = 1;
		else if (c == 'd')
			signal(atoi(optarg), SIG_DFL);
		else if (c == 'o')
			offset = atol(optarg);
		else
			return 2;
	}
	if (argc - optind != 2)
		return 2;
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = open(argv[optind + 1], O_RDWR);
	if (fd < 0) {
		perror(argv[optind + 1]);
		return 1;
	}
	if (timer)
		start_timer();
	printf("waits\n");
	fflush(stdout);
	n = request(argv[optind], fd, offset);
	if (n < 0)
		printf("%s\n", strerrorname_np(errno));
	else
		printf("%ld\n", n);
	fflush(stdout);
	return n < 0;
}
