#include <stddef.h>
#include "path_fsm.h"

#define S(state) (1u << PATH_##state)
#define TALKING (S(CONNECTING) | S(HELLO) | S(WAITING) | S(LOGIN))

/* The first row that fits. */
static const struct {
	unsigned states;
	enum path_event event;
	enum path_state next;
	enum path_action action;
} table[] = {
	{ S(DOWN) | S(UNUSED),	PATH_EV_TRY,		PATH_CONNECTING,	PATH_ACT_CONNECT },
	{ S(DOWN) | S(UNUSED) | S(CONNECTING), PATH_EV_NO_WAY, PATH_UNUSED,	PATH_ACT_CLOSE },
	{ S(CONNECTING),	PATH_EV_CONNECTED,	PATH_HELLO,		PATH_ACT_HELLO },
	{ S(HELLO),		PATH_EV_WELCOME,	PATH_LOGIN,		PATH_ACT_AUTH },
	{ S(HELLO),		PATH_EV_WAIT,		PATH_WAITING,		PATH_ACT_NONE },
	{ S(WAITING),		PATH_EV_TURN,		PATH_LOGIN,		PATH_ACT_AUTH },
	{ S(LOGIN),		PATH_EV_GRANTED,	PATH_UP,		PATH_ACT_UP },
	{ TALKING | S(UP),	PATH_EV_LOST,		PATH_DOWN,		PATH_ACT_CLOSE },
	{ S(UP),		PATH_EV_STOP,		PATH_DRAINING,		PATH_ACT_BYE },
	{ TALKING | S(DOWN) | S(UNUSED), PATH_EV_STOP,	PATH_STOPPED,		PATH_ACT_END },
	{ S(DRAINING),		PATH_EV_LOST,		PATH_STOPPED,		PATH_ACT_END },
	{ S(DRAINING),		PATH_EV_BYE,		PATH_STOPPED,		PATH_ACT_END },
	/* What may come late and changes nothing. */
	{ S(DRAINING) | S(STOPPED), PATH_EV_STOP,	PATH_STATE_COUNT,	PATH_ACT_NONE },
	{ TALKING | S(UP) | S(DRAINING) | S(STOPPED), PATH_EV_TRY, PATH_STATE_COUNT, PATH_ACT_NONE },
};

struct path_step path_fsm_step(enum path_state state, enum path_event event)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if ((table[i].states & (1u << state)) && table[i].event == event)
			return (struct path_step){
				table[i].next == PATH_STATE_COUNT ? state : table[i].next,
				table[i].action
			};
	return (struct path_step){ state, PATH_ACT_IMPOSSIBLE };
}

const char *path_state_name(enum path_state s)
{
	static const char *const names[] = {
		"down", "unused", "connecting", "hello", "waiting", "login", "up", "draining", "stopped",
	};

	return s < PATH_STATE_COUNT ? names[s] : "unknown";
}

const char *path_event_name(enum path_event e)
{
	static const char *const names[] = {
		"try", "no-way", "connected", "welcome", "wait", "turn", "granted", "lost", "stop", "bye",
	};

	return e < PATH_EVENT_COUNT ? names[e] : "unknown";
}
