/*
 * without.c - runs a program on a kernel that lacks something.
 *
 *	without [-e ERROR] WHAT... -- PROGRAM [ARGUMENT...]
 *
 * WHAT is the name of a system call, which then fails with ENOSYS, or with ERROR (EPERM,
 * EINVAL, EOPNOTSUPP) after -e; "bind-device" is setsockopt(SO_BINDTODEVICE), which before
 * Linux 5.7 was root's only.  A call that this machine does not have is lacking already.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static uint32_t error_of(const char *name)
{
	static const struct { const char *name; uint32_t value; } errors[] = {
		{ "ENOSYS", ENOSYS }, { "EPERM", EPERM }, { "EINVAL", EINVAL }, { "EOPNOTSUPP", EOPNOTSUPP },
	};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(errors[i].name, name) == 0)
			return errors[i].value;
	return 0;
}

static int take_away(scmp_filter_ctx f, const char *what, uint32_t error)
{
	int number;

	if (strcmp(what, "bind-device") == 0)
		return seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(setsockopt), 2,
					SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET, 0), SCMP_A2(SCMP_CMP_EQ, SO_BINDTODEVICE, 0));
	number = seccomp_syscall_resolve_name(what);
	if (number == __NR_SCMP_ERROR) {
		fprintf(stderr, "without: no system call is named %s\n", what);
		return -EINVAL;
	}
	return number < 0 ? 0 : seccomp_rule_add(f, SCMP_ACT_ERRNO(error), number, 0);
}

int main(int argc, char **argv)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	uint32_t error = ENOSYS;
	int i, r = f ? 0 : -ENOMEM;

	for (i = 1; i < argc && strcmp(argv[i], "--") != 0 && !r; i++) {
		if (strcmp(argv[i], "-e") == 0 && argv[i + 1])
			error = error_of(argv[++i]);
		else
			r = take_away(f, argv[i], error);
	}
	if (r || !error || i + 1 >= argc) {
		fprintf(stderr, "usage: without [-e ERROR] WHAT... -- PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	/* Root stays root: no_new_privs would be seen in what the program says of itself. */
	if (geteuid() == 0)
		seccomp_attr_set(f, SCMP_FLTATR_CTL_NNP, 0);
	r = seccomp_load(f);
	if (r) {
		fprintf(stderr, "without: seccomp: %s\n", strerror(-r));
		return 2;
	}
	execvp(argv[i + 1], argv + i + 1);
	perror(argv[i + 1]);
	return 2;
}
