/* confine.c - see confine.h: capabilities, and the order of it all. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#include "confine_impl.h"
#include "log.h"

#define CAPS_MAX 64

/* There in a program that gcov counts in. */
extern void __gcov_init(void *info) __attribute__((weak));

static const char *watched_by(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return "a sanitizer";
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
	return "a sanitizer";
#endif
#endif
#ifdef RUNNING_ON_VALGRIND
	if (RUNNING_ON_VALGRIND)
		return "valgrind";
#endif
	return __gcov_init ? "gcov" : NULL;
}

/*
 * Capabilities.
 */
static int get_capabilities(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

void confine_bound(uint64_t keep)
{
	if (watched_by())
		return;
	for (int i = 0; i < CAPS_MAX && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		if (!(keep & CONFINE_CAP(i)))
			prctl(PR_CAPBSET_DROP, i, 0, 0, 0);	/* a plain user has none to give up */
}

int confine_capabilities(uint64_t keep, uint64_t *left)
{
	uint64_t have = 0, given_up = 0;
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	int r = get_capabilities(data);

	if (r < 0)
		return r;
	for (int i = 0; i < 2; i++) {
		given_up |= (data[i].permitted & ~(uint32_t)(keep >> 32 * i)) | data[i].inheritable;
		given_up |= data[i].permitted ^ data[i].effective;
		data[i].permitted &= (uint32_t)(keep >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
		have |= (uint64_t)data[i].permitted << 32 * i;
	}
	if (left)
		*left = have;
	/* A service manager's filter may refuse the call to whom it gave nothing anyway. */
	return given_up && syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/*
 * All.
 */
int confine(struct confinement *c, uint64_t keep, bool connects, const struct confine_paths *p, struct err *e)
{
	int r;

	*c = (struct confinement){ .without = watched_by() };
	if (c->without)
		return 0;
	confine_bound(keep);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	r = confine_capabilities(keep, &c->capabilities);
	if (r < 0)
		return err_sys(e, -r, "cannot give up capabilities");
	c->dropped = true;
	/* The other two ask for it. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, errno, "cannot give up new privileges");
	c->no_new_privs = true;
	r = confine_files(p, connects);
	if (r < 0)
		return err_sys(e, -r, "cannot give up other files (Landlock)");
	c->files = r;
	r = confine_calls();
	if (r < 0)
		return err_sys(e, -r, "cannot give up other system calls (seccomp)");
	c->calls = r;
	return 0;
}

const char *confine_text(const struct confinement *c, char out[200])
{
	int n = 0;

	if (c->without)
		snprintf(out, 200, "not confined: it runs with %s", c->without);
	else if (!c->dropped)
		snprintf(out, 200, "not confined");
	else
		n = snprintf(out, 200, "confined: capabilities %llx, %s, %s", (unsigned long long)c->capabilities,
			     c->calls ? "seccomp" : "no seccomp (the kernel has none)",
			     c->files ? "Landlock ABI " : "no Landlock (the kernel has none)");
	if (n > 0 && c->files)
		snprintf(out + n, (size_t)(200 - n), "%d", c->files);
	return out;
}

json_t *confine_json(const struct confinement *c)
{
	char left[24];

	snprintf(left, sizeof(left), "%016llx", (unsigned long long)c->capabilities);
	return json_pack("{s:o, s:b, s:b, s:i, s:o}", "capabilities", c->dropped ? json_string(left) : json_null(),
			 "no_new_privs", (int)c->no_new_privs, "seccomp", (int)c->calls, "landlock", c->files,
			 "without", c->without ? json_string(c->without) : json_null());
}
