/*
 * confine_calls.c - see confine.h: the one door to libseccomp.
 *
 * What a daemon calls is listed.  What is not listed gets ENOSYS, and the kernel's log
 * says which it was: a C library that is newer than this list tries a new call, is told
 * that the kernel does not have it, and takes the old one, which is listed; the server
 * is not lost by an update.  What no library tries by itself, and only somebody who has
 * taken the process over would, ends it at once: to run a program, to look into or change
 * another process, to mount, to load code into the kernel.
 *
 * io_uring is not listed: what is asked for in a ring passes by this filter.
 */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "confine_impl.h"

static const char *const allowed[] = {
	/* Files. */
	"read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2",
	"open", "openat", "close", "close_range", "dup", "dup2", "dup3", "fcntl", "flock", "lseek", "ioctl",
	"stat", "lstat", "fstat", "newfstatat", "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2",
	"readlink", "readlinkat", "getcwd", "chdir", "fchdir", "umask", "getdents64",
	"truncate", "ftruncate", "fallocate", "fsync", "fdatasync", "sync_file_range", "syncfs", "fadvise64",
	"readahead", "copy_file_range", "sendfile", "splice", "tee", "vmsplice",
	"rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "link", "linkat",
	"chmod", "fchmod", "fchmodat", "fchown", "fchownat", "utimensat",
	"getxattr", "lgetxattr", "fgetxattr", "fsetxattr", "flistxattr", "fremovexattr",
	"inotify_init1", "inotify_add_watch", "inotify_rm_watch", "memfd_create",
	/* Events. */
	"pipe", "pipe2", "eventfd2", "signalfd4", "timerfd_create", "timerfd_settime", "timerfd_gettime",
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select",
	"pselect6",
	/* Network; which sockets is a rule of its own. */
	"socketpair", "bind", "listen", "accept", "accept4", "connect", "getsockname", "getpeername",
	"getsockopt", "setsockopt", "sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg", "shutdown",
	/* Memory. */
	"brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "mincore", "msync", "mlock", "mlock2", "mlockall",
	"munlock", "munlockall", "membarrier",
	/* Threads, signals, time; which clone and prctl are rules of their own. */
	"futex", "futex_waitv", "set_robust_list", "get_robust_list", "rseq", "set_tid_address", "sched_yield",
	"sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_getscheduler", "getcpu", "arch_prctl",
	"exit", "exit_group", "wait4", "waitid", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending",
	"rt_sigtimedwait", "rt_sigsuspend", "sigaltstack", "restart_syscall", "nanosleep", "clock_nanosleep",
	"clock_gettime", "clock_getres", "gettimeofday", "time", "times",
	/* Who and how much. */
	"getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid",
	"getgroups", "getpgrp", "getpgid", "getsid", "capget", "getrandom", "getrusage", "getrlimit", "setrlimit",
	"prlimit64", "getpriority", "sysinfo", "uname",
};

static const char *const deadly[] = {
	"execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp",
	"mount", "umount2", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr",
	"pivot_root", "chroot", "setns", "unshare", "init_module", "finit_module", "delete_module", "kexec_load",
	"kexec_file_load", "bpf", "perf_event_open", "userfaultfd", "reboot", "swapon", "swapoff", "acct",
	"open_by_handle_at", "add_key", "request_key", "keyctl", "iopl", "ioperm",
};

/* One that the headers of today do not know, or this processor does not have, is no rule. */
static int add_names(scmp_filter_ctx f, uint32_t action, const char *const *names, size_t count)
{
	int r = 0;

	for (size_t i = 0; i < count && !r; i++) {
		int number = seccomp_syscall_resolve_name(names[i]);

		if (number != __NR_SCMP_ERROR && number >= 0)
			r = seccomp_rule_add(f, action, number, 0);
	}
	return r;
}

/* Threads, no processes and no namespaces.  clone3 has its flags in memory, where a
 * filter does not see them: libc takes clone then. */
static int add_clone(scmp_filter_ctx f)
{
	const uint64_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
				CLONE_NEWPID | CLONE_NEWNET;

	return seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | spaces, CLONE_THREAD));
}

static int add_sockets(scmp_filter_ctx f)
{
	static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
	int r = 0;

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]) && !r; i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i], 0));
	return r;
}

static int add_prctl(scmp_filter_ctx f)
{
	static const int options[] = { PR_SET_NAME, PR_GET_NAME, PR_CAPBSET_READ, PR_GET_DUMPABLE, 0x53564d41 /* PR_SET_VMA */ };
	int r = 0;

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]) && !r; i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)options[i], 0));
	return r;
}

/* A signal to itself: abort() and thread cancellation. */
static int add_signals(scmp_filter_ctx f)
{
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
}

static int fill(scmp_filter_ctx f)
{
	int r = add_names(f, SCMP_ACT_ALLOW, allowed, sizeof(allowed) / sizeof(allowed[0]));

	if (!r)
		r = add_names(f, SCMP_ACT_KILL_PROCESS, deadly, sizeof(deadly) / sizeof(deadly[0]));
	if (!r)
		r = add_clone(f);
	if (!r)
		r = add_sockets(f);
	if (!r)
		r = add_prctl(f);
	return r ? r : add_signals(f);
}

int confine_calls(void)
{
	scmp_filter_ctx f;
	int r;

	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
		return 0;		/* not built in */
	f = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	if (!f)
		return -ENOMEM;
	/* The most called come first in a list: a tree does not care. */
	seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	seccomp_attr_set(f, SCMP_FLTATR_CTL_LOG, 1);
	seccomp_attr_set(f, SCMP_FLTATR_CTL_NNP, 0);	/* confine() did */
	seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	r = fill(f);
	if (!r)
		r = seccomp_load(f);
	seccomp_release(f);
	return r == -EINVAL || r == -ENOSYS ? 0 : r ? r : 1;
}
