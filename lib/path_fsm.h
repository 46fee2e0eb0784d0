/*
 * path_fsm.h - the states of a path as a table: pure, tested row by row.
 */
#ifndef RSIO_PATH_FSM_H
#define RSIO_PATH_FSM_H

enum path_state {
	PATH_DOWN,		/* waits for its next try */
	PATH_UNUSED,		/* this interface does not lead there, or is down */
	PATH_CONNECTING,	/* TCP */
	PATH_HELLO,		/* said who we are, awaits who they are */
	PATH_WAITING,		/* another path of the same server is making the session */
	PATH_LOGIN,		/* proof sent, awaits the server's */
	PATH_UP,
	PATH_DRAINING,		/* goodbye said */
	PATH_STOPPED,
	PATH_STATE_COUNT
};

enum path_event {
	PATH_EV_TRY,		/* start, retry timer, or a link came up */
	PATH_EV_NO_WAY,		/* no address here that could reach the portal */
	PATH_EV_CONNECTED,
	PATH_EV_WELCOME,	/* hello answered: log in */
	PATH_EV_WAIT,		/* hello answered: wait for the session */
	PATH_EV_TURN,		/* the session is there: log in */
	PATH_EV_GRANTED,
	PATH_EV_LOST,		/* any failure */
	PATH_EV_STOP,
	PATH_EV_BYE,		/* the server answered the goodbye, or took too long */
	PATH_EVENT_COUNT
};

enum path_action {
	PATH_ACT_NONE,
	PATH_ACT_CONNECT,
	PATH_ACT_HELLO,
	PATH_ACT_AUTH,
	PATH_ACT_UP,
	PATH_ACT_CLOSE,		/* and try again later */
	PATH_ACT_BYE,
	PATH_ACT_END,		/* close for good */
	PATH_ACT_IMPOSSIBLE	/* this event cannot come in this state: our own mistake */
};

struct path_step {
	enum path_state next;
	enum path_action action;
};

struct path_step path_fsm_step(enum path_state state, enum path_event event);
const char *path_state_name(enum path_state s);
const char *path_event_name(enum path_event e);

#endif
