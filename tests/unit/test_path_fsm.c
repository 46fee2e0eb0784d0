/* Every state with every event, against what the protocol's client may do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "path_fsm.h"

/* One line a state; "state action" for each event, "-" where it cannot come. */
static const char *const expected[PATH_STATE_COUNT][PATH_EVENT_COUNT] = {
	[PATH_DOWN] = {
		[PATH_EV_TRY] = "connecting connect", [PATH_EV_NO_WAY] = "unused close",
		[PATH_EV_STOP] = "stopped end",
	},
	[PATH_UNUSED] = {
		[PATH_EV_TRY] = "connecting connect", [PATH_EV_NO_WAY] = "unused close",
		[PATH_EV_STOP] = "stopped end",
	},
	[PATH_CONNECTING] = {
		[PATH_EV_TRY] = "connecting none", [PATH_EV_NO_WAY] = "unused close",
		[PATH_EV_CONNECTED] = "hello hello", [PATH_EV_LOST] = "down close",
		[PATH_EV_STOP] = "stopped end",
	},
	[PATH_HELLO] = {
		[PATH_EV_TRY] = "hello none", [PATH_EV_WELCOME] = "login auth",
		[PATH_EV_WAIT] = "waiting none", [PATH_EV_LOST] = "down close",
		[PATH_EV_STOP] = "stopped end",
	},
	[PATH_WAITING] = {
		[PATH_EV_TRY] = "waiting none", [PATH_EV_TURN] = "login auth",
		[PATH_EV_LOST] = "down close", [PATH_EV_STOP] = "stopped end",
	},
	[PATH_LOGIN] = {
		[PATH_EV_TRY] = "login none", [PATH_EV_GRANTED] = "up up",
		[PATH_EV_LOST] = "down close", [PATH_EV_STOP] = "stopped end",
	},
	[PATH_UP] = {
		[PATH_EV_TRY] = "up none", [PATH_EV_LOST] = "down close",
		[PATH_EV_STOP] = "draining bye",
	},
	[PATH_DRAINING] = {
		[PATH_EV_TRY] = "draining none", [PATH_EV_LOST] = "stopped end",
		[PATH_EV_STOP] = "draining none", [PATH_EV_BYE] = "stopped end",
	},
	[PATH_STOPPED] = {
		[PATH_EV_TRY] = "stopped none", [PATH_EV_STOP] = "stopped none",
	},
};

static const char *action_name(enum path_action a)
{
	static const char *const names[] = {
		[PATH_ACT_NONE] = "none", [PATH_ACT_CONNECT] = "connect",
		[PATH_ACT_HELLO] = "hello", [PATH_ACT_AUTH] = "auth", [PATH_ACT_UP] = "up",
		[PATH_ACT_CLOSE] = "close", [PATH_ACT_BYE] = "bye", [PATH_ACT_END] = "end",
		[PATH_ACT_IMPOSSIBLE] = "impossible",
	};

	return names[a];
}

static void every_state_and_event(void **state)
{
	(void)state;
	for (int s = 0; s < PATH_STATE_COUNT; s++)
		for (int e = 0; e < PATH_EVENT_COUNT; e++) {
			struct path_step got = path_fsm_step(s, e);
			char text[64], want[64];

			snprintf(text, sizeof text, "%s on %s: %s %s", path_event_name(e),
				 path_state_name(s), path_state_name(got.next),
				 action_name(got.action));
			snprintf(want, sizeof want, "%s on %s: ", path_event_name(e),
				 path_state_name(s));
			if (expected[s][e])
				strcat(want, expected[s][e]);
			else
				sprintf(want + strlen(want), "%s impossible", path_state_name(s));
			assert_string_equal(text, want);
		}
}

/* Whatever state a path is in, it can be stopped, and nothing wakes it afterwards. */
static void stop_is_reached_from_everywhere(void **state)
{
	(void)state;
	for (int s = 0; s < PATH_STATE_COUNT; s++) {
		enum path_state at = path_fsm_step(s, PATH_EV_STOP).next;

		if (at == PATH_DRAINING)
			at = path_fsm_step(at, PATH_EV_BYE).next;
		assert_int_equal(at, PATH_STOPPED);
		assert_int_equal(path_fsm_step(at, PATH_EV_TRY).next, PATH_STOPPED);
	}
}

static void names_are_whole(void **state)
{
	(void)state;
	for (int s = 0; s < PATH_STATE_COUNT; s++)
		for (int t = 0; t < s; t++)
			assert_string_not_equal(path_state_name(s), path_state_name(t));
	for (int e = 0; e < PATH_EVENT_COUNT; e++)
		for (int f = 0; f < e; f++)
			assert_string_not_equal(path_event_name(e), path_event_name(f));
	assert_string_equal(path_state_name(PATH_STATE_COUNT), "unknown");
	assert_string_equal(path_event_name(PATH_EVENT_COUNT), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_state_and_event),
		cmocka_unit_test(stop_is_reached_from_everywhere),
		cmocka_unit_test(names_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
