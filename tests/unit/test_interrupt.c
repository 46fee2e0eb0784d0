/* links: fusefs
 * Which pending signals end a thread that waits for a volume. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../fusefs/interrupt.h"

#define BIT(s) (UINT64_C(1) << ((s) - 1))

static bool fatal(uint64_t own, uint64_t shared, uint64_t blocked, uint64_t ignored, uint64_t caught)
{
	char text[512];

	snprintf(text, sizeof text, "Name:\tx\nSigQ:\t1/2\nSigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\n"
		 "SigIgn:\t%016lx\nSigCgt:\t%016lx\nCapInh:\tffffffffffffffff\n",
		 own, shared, blocked, ignored, caught);
	return interrupt_fatal_text(text);
}

static void what_kills(void **state)
{
	(void)state;
	assert_true(fatal(BIT(SIGKILL), 0, 0, 0, 0));
	assert_true(fatal(0, BIT(SIGKILL), 0, 0, 0));
	assert_true(fatal(0, BIT(SIGQUIT), 0, 0, 0));
	assert_true(fatal(BIT(SIGSEGV), 0, 0, 0, 0));
	/* Behind another pending signal the kernel leaves these as they are. */
	assert_true(fatal(0, BIT(SIGTERM) | BIT(SIGALRM), 0, 0, BIT(SIGALRM)));
	assert_true(fatal(0, BIT(SIGRTMIN), 0, 0, 0));
}

static void what_does_not(void **state)
{
	static const int harmless[] = { SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU };

	(void)state;
	assert_false(fatal(0, 0, 0, 0, 0));
	for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
		assert_false(fatal(BIT(harmless[i]), BIT(harmless[i]), 0, 0, 0));
	assert_false(fatal(0, BIT(SIGALRM), 0, 0, BIT(SIGALRM)));
	assert_false(fatal(0, BIT(SIGTERM), BIT(SIGTERM), 0, 0));
	assert_false(fatal(0, BIT(SIGQUIT), 0, BIT(SIGQUIT), 0));
	assert_false(interrupt_fatal_text("Name:\tx\n"));
}

static void threads(void **state)
{
	(void)state;
	assert_false(interrupt_fatal(getpid()));
	assert_true(interrupt_fatal(0));
	assert_true(interrupt_fatal(999999999));
	assert_false(interrupt_dying(getpid()));
	assert_false(interrupt_dying(0));
	assert_false(interrupt_dying(999999999));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_kills),
		cmocka_unit_test(what_does_not),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
