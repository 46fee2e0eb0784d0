/* links: fusefs
 * Lines of mountinfo. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <cmocka.h>
#include "../../fusefs/mounts.h"

static struct mounts_entry m;

static void parses(void **state)
{
	(void)state;
	assert_true(mounts_parse("36 35 0:45 / /mnt/my\\040disk rw,noatime master:1 shared:2 - fuse.rsio rsio rw,x\n", &m));
	assert_int_equal(m.device, makedev(0, 45));
	assert_string_equal(m.dir, "/mnt/my disk");
	assert_string_equal(m.type, "fuse.rsio");
	assert_string_equal(m.source, "rsio");
	assert_true(mounts_parse("1 1 259:3 /root / rw - ext4 /dev/nvme0n1p3 rw", &m));
	assert_int_equal(m.device, makedev(259, 3));
	assert_string_equal(m.dir, "/");
	assert_string_equal(m.source, "/dev/nvme0n1p3");
}

static void refuses_nonsense(void **state)
{
	static const char *const lines[] = { "", "\n", " - ", "a b c d e - f g", "1 1 0:1 / mnt rw - x y", "1 1 0:1" };

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		assert_false(mounts_parse(lines[i], &m));
}

static void below(void **state)
{
	(void)state;
	assert_true(mounts_below("/rsio", "/rsio"));
	assert_true(mounts_below("/rsio/osl/a", "/rsio"));
	assert_false(mounts_below("/rsio2/osl", "/rsio"));
	assert_false(mounts_below("/rs", "/rsio"));
	assert_true(mounts_below("/any", "/"));
}

static void finds_what_is_mounted(void **state)
{
	struct stat st;

	(void)state;
	assert_true(mounts_at("/proc", &m));
	assert_string_equal(m.type, "proc");
	assert_int_equal(stat("/proc", &st), 0);
	assert_int_equal(m.device, st.st_dev);
	assert_true(mounts_of_device(st.st_dev, &m));
	assert_string_equal(m.type, "proc");
	assert_true(mounts_around("/proc/self/status", &m));
	assert_string_equal(m.type, "proc");
	assert_false(mounts_at("/proc/nothing/here", &m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(refuses_nonsense),
		cmocka_unit_test(below),
		cmocka_unit_test(finds_what_is_mounted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
