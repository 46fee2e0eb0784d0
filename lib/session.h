/*
 * session.h - all paths between this client and one server, used as one.
 * Owner: the loop's thread.  The ordering argument stands on top of session.c.
 */
#ifndef RSIO_SESSION_H
#define RSIO_SESSION_H

#include <stdbool.h>
#include "log.h"
#include "loop.h"
#include "mpio.h"
#include "path.h"
#include "policy.h"
#include "wire.h"

struct session;

/* What the session tells its namespace; never from within a call into the session
 * but for session_flush. */
struct session_ops {
	/* The server offers this volume (again); called for each entry of a list and for events. */
	void (*offered)(void *owner, struct session *s, const struct wire_volume *v);
	void (*withdrawn)(void *owner, struct session *s, const char *name);
	/* The list is complete: what was not offered since list_began is no longer there. */
	void (*list_began)(void *owner, struct session *s);
	void (*list_ended)(void *owner, struct session *s);
	/* The server answered the open of a volume: error 0 or -errno. */
	void (*opened)(void *owner, struct session *s, struct mpio *v, int error);
	/* From none to some usable path, or the other way. */
	void (*reachable)(void *owner, struct session *s, bool yes);
	/* The server knows none of the handles any more: volumes have to be opened anew
	 * before commands of theirs may be submitted again.  With host_restarted its host
	 * was booted anew: what was written and not flushed is gone. */
	void (*forgotten)(void *owner, struct session *s, bool host_restarted);
	/* A write was out on a connection that ended: later ones that overlap it must wait. */
	void (*fenced)(void *owner, struct session *s, struct command *c);
	/* A command ends; of the session's own ones nobody is told. */
	void (*completed)(void *owner, struct session *s, struct command *c, int error,
			  const uint8_t *payload, uint32_t length);
	/* What this server said of taking over from another one (session_takeover); the text
	 * says why not, or is "". */
	void (*took_over)(void *owner, struct session *s, struct mpio *v, const struct session *from,
			  int error, const char *text);
	/* The portals that the server has, as they travel: all of them; one more, or one less. */
	void (*portals)(void *owner, struct session *s, const char (*texts)[WIRE_PORTAL_MAX], size_t count);
	void (*portal)(void *owner, struct session *s, const char *text, bool there);
	void (*changed)(void *owner, struct session *s);
};

struct session {
	struct list link;			/* the namespace's list */
	struct loop *loop;
	const struct session_ops *ops;
	void *owner;

	char name[WIRE_NAME_MAX + 1];		/* the server's */
	uint16_t server_id;
	char version[WIRE_NAME_MAX + 1];
	uint8_t machine[16], boot[16], life[16];	/* of the server; life: of its process */
	bool established;
	bool copies;				/* the server takes COPY; of one process, so on all paths */
	uint8_t id[WIRE_SESSION_SIZE];		/* valid when established */
	struct path *founder;			/* the path that is making it anew; others wait */

	struct path *paths[POLICY_PATHS_MAX];	/* that ever reached this server */
	size_t path_count;
	unsigned up;				/* how many are usable now */
	uint64_t down_since;			/* loop_now() when up became 0 */
	struct policy_choice choice;

	struct list waiting;			/* commands for a path; FIFO */
	struct list fences;			/* struct session_fence: connections that ended with commands out */
	uint64_t bytes, bytes_max;		/* in flight, on such connections too; the limit */
	struct loop_timer loss;			/* the owner's: fires when give-up has passed */
	uint32_t next_handle;
	uint64_t handles[(WIRE_HANDLE_MAX + 1) / 64];	/* a bit for each that is taken */
	bool dirty;
	struct log_bound told;			/* what the server tells of may be said */

	struct list asked;			/* session_control's that are not answered yet */
	struct command *listing;		/* a LIST under way */
	bool list_again;			/* another is wanted after it */
	bool list_old;			/* an event came meanwhile: what it says may be older than that */
	uint32_t list_total;		/* what there is, as its last page said */
	uint32_t listed;			/* entries so far */
};

struct session *session_new(struct loop *l, const struct wire_welcome *w, const struct session_ops *ops, void *owner);
void session_free(struct session *s);	/* no path of it is up; its commands were taken back */

/* The paths' calls, handed on by the namespace. */
int session_welcome(struct session *s, struct path *p, const struct wire_welcome *w, uint8_t join[WIRE_SESSION_SIZE]);
void session_path_up(struct session *s, struct path *p, const struct wire_granted *g);
void session_path_down(struct session *s, struct path *p);
void session_path_gone(struct session *s, struct path *p);	/* it is freed: forget it */
void session_answered(struct session *s, struct path *p, struct command *c, const struct wire_reply *r,
		      const uint8_t *payload);
void session_event(struct session *s, struct path *p, const uint8_t *payload, uint32_t length);

/* Is a path up and not suspect, other than p (NULL: any), and was heard after that time?  Those that
 * were not are asked to say something. */
bool session_has_other(struct session *s, const struct path *p, uint64_t since);
/* The order of the paths changed. */
void session_sort(struct session *s);
/* Which paths take commands has changed. */
void session_look_again(struct session *s);

/* Takes the command; its volume is open on this session. */
void session_submit(struct session *s, struct command *c);
/* Takes back a command that waits; false when it is in flight or fenced. */
bool session_withdraw(struct session *s, struct command *c);
int session_open(struct session *s, struct mpio *v, uint32_t handle, const struct wire_open *o, uint8_t flags);
void session_close(struct session *s, uint32_t handle);
/* Asks the server itself: json is an object with a "do".  answered comes once, with 0 and
 * the answer's text (not terminated, valid during the call), or -errno: -EIO when the
 * session ended before.  After a path failed it is asked again.  0 or -ENOMEM. */
typedef void (*session_control_fn)(void *arg, int error, const char *text, size_t length);
int session_control(struct session *s, const char *json, session_control_fn answered, void *arg);
/* Whoever asked with this arg waits no more: what was not sent yet never is, and answered does
 * not come.  Not from within answered. */
void session_control_forget(struct session *s, void *arg);
void session_list(struct session *s);	/* what it offers and which portals it has, once more */
/* One that no volume has; it is free again after session_close, or with the session, or
 * when the server did not open it. */
/* Asks this server whether `from`'s, as the session with it is now, can write nothing more to
 * v, which is open here under the handle.  took_over comes, unless forgotten comes before;
 * with -EAGAIN if the other session is another one by then.  0 or -ENOMEM. */
int session_takeover(struct session *s, struct mpio *v, uint32_t handle, const struct session *from);
/* Takes all of v's commands out of the records of connections that ended. */
void session_settle(struct session *s, struct mpio *v, void (*release)(struct command *c));
/* For a choice between servers.  What all its paths that take commands have together. */
void session_load(const struct session *s, unsigned rank, const struct policy_choice *choice, struct policy_path *out);
unsigned session_rank(const struct session *s);	/* path_rank of the best one that is up; UINT_MAX: none is */
bool session_before(const struct session *a, const struct session *b);	/* in the configuration */
uint32_t session_new_handle(struct session *s);
void session_free_handle(struct session *s, uint32_t handle);
/* At the very end: settles the oldest fence by ending its commands with -EIO. */
void session_end_fence(struct session *s);
/* Sends what waits: once a round. */
void session_flush(struct session *s);

#endif
