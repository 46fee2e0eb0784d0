/*
 * path.h - one TCP connection from a client interface to a portal, made again
 * whenever it is lost.  Owner: the loop's thread.  It knows frames and the login;
 * what commands mean and where they go when it fails is its session's business,
 * which it asks and tells through struct path_ops.
 */
#ifndef RSIO_PATH_H
#define RSIO_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <net/if.h>
#include "conf.h"
#include "frame.h"
#include "histogram.h"
#include "inflight.h"
#include "list.h"
#include "loop.h"
#include "mpio.h"
#include "path_fsm.h"
#include "policy.h"
#include "sock.h"
#include "tls.h"
#include "wire.h"

struct path;

/* Lost so often within so many seconds, a path flaps: once is a cable that was moved, twice
 * a switch that was restarted and took its ports up and down. */
#define PATH_FLAPS 3
#define PATH_FLAPS_WITHIN 60

#define PATH_NAME_MAX (CONF_NAME_MAX + 1 + CONF_PORTAL_NAME_MAX)

enum path_others {
	PATH_ALONE,
	PATH_OTHER_SERVER,	/* nothing of this server, but another one */
	PATH_OTHER_PATH,	/* another path to this server */
};

struct path_ops {
	/* The server said who it is.  1: log in, joining the session written to join (all zero:
	 * a new one).  0: wait for path_proceed.  -errno: refused, the reason was given to path_refuse. */
	int (*welcome)(void *owner, struct path *p, const struct wire_welcome *w, uint8_t join[WIRE_SESSION_SIZE]);
	/* Logged in: commands may be sent. */
	void (*up)(void *owner, struct path *p, const struct wire_granted *g);
	/* An answer: the command is no longer in flight. */
	void (*answered)(void *owner, struct path *p, struct command *c, const struct wire_reply *r,
			 const uint8_t *payload);
	/* It is gone: every command in p->inflight must be taken out now. */
	void (*down)(void *owner, struct path *p);
	void (*event)(void *owner, struct path *p, const uint8_t *payload, uint32_t length);
	/* There is something to send: link p->to_send, and call path_flush before the loop sleeps. */
	void (*dirty)(void *owner, struct path *p);
	void (*changed)(void *owner, struct path *p);	/* state or reason, for status and log */
	/* What else, up and not suspect, was heard after this ping of p's? */
	enum path_others (*others)(void *owner, const struct path *p);
};

/* After path_init it changes only while the configuration is replaced; what it points to lives as
 * long as the path does. */
struct path_setup {
	char name[PATH_NAME_MAX + 1];		/* INTERFACE/SERVER-SECTION, or INTERFACE/SERVER@ADDRESS */
	const struct conf_interface *interface;	/* NULL: whatever the kernel chooses */
	unsigned interface_number;		/* in the configuration; 0 for none */
	uint64_t order;				/* among the namespace's paths: its place in the configuration */
	const struct conf_portal *portal;
	int port;
	bool learned;				/* the portal: from a server, not from the configuration */
	const struct conf_client *client;
	const struct conf_namespace *namespace;
	const uint8_t *machine, *boot, *run, *life;	/* 16 bytes each */
};

struct path {
	struct path_setup setup;
	struct loop *loop;
	const struct path_ops *ops;
	void *owner;

	enum path_state state;
	uint64_t since;			/* loop_now() of the last change of state */
	char reason[240];		/* why it is not up; "" when it is */
	enum wire_status refused;	/* the server's refusal of the login; else WIRE_OK */
	unsigned failures;		/* since it was last up */

	int fd;				/* -1: none */
	struct loop_fd watch;
	struct loop_timer timer;	/* retry, login deadline or keepalive, by state */
	struct sock_addr from, to;
	char device[IF_NAMESIZE];	/* that the connection is bound to; "" none */
	struct path_resolve *resolve;	/* a host name being looked up, or NULL */
	struct frame in;
	struct tls *tls;		/* of this connection; NULL: frames travel as they are */
	struct path_login *login;	/* while logging in, else NULL */
	bool payload_crc;
	struct wire_limits limits;
	uint32_t connection;		/* its number in the session; valid when up */
	struct wire_welcome welcome;	/* who answered; valid from the call of welcome on */
	bool counted;			/* the session's: it was told that this path is up */
	uint64_t heard;			/* loop_now() when something last came in */
	uint64_t alive, alive_absent;	/* loop_now() and loop_absent() at the last sign of life */
	uint64_t pinged;		/* when the ping under way was sent; 0: none */
	uint64_t last_ping;		/* when the last one was */
	uint64_t stamp;			/* of the server's, that came with the last answer to one */
	bool away;			/* a drill: nothing is sent, received or tried */
	bool slow;			/* was seen to take longer than a keepalive for what its kernel had */
	bool suspect;			/* owes an answer; commands go over others meanwhile */
	uint64_t losses[PATH_FLAPS];	/* when it was lost while it was up; a ring */
	unsigned loss_count;
	bool flapped;			/* on probation when it is up again */
	uint64_t probation;		/* until then it is used when nothing better is left; 0: not on probation */
	struct list to_send;		/* in the owner's list of those with something to send; else empty */
	bool receives;			/* inside frame_got: closing waits until it returns */
	bool doomed;			/* lost meanwhile */

	struct path_out *out;		/* frames to send, in order */
	struct inflight inflight;
	struct wire_reply reply;	/* the one whose payload is being received */
	struct command *receiving;

	struct policy_path policy;	/* what the policy sees */
	void *session;			/* the owner's */
	bool leaving;			/* the owner's: it is to end when nothing of it is in flight */
	bool old_key;			/* the owner's: it is to log in anew, with another key */
	bool worked;			/* was up once */
	/* For status. */
	uint64_t commands, read_bytes, write_bytes, errors;
	struct histogram *latency;	/* of reads and writes, from the send to the answer; NULL: there were none */
	struct path_rate {
		uint64_t since, commands, read_bytes, write_bytes;	/* when it was last looked, and what then was */
		double iops, read, write;	/* commands and bytes a second between the last two looks */
	} rate;
	char lost_reason[240];		/* why it last stopped working; "" never */
	uint64_t lost_at;		/* loop_now() */
};

int path_init(struct path *p, struct loop *l, const struct path_setup *setup,
	      const struct path_ops *ops, void *owner);	/* 0 or -ENOMEM */
void path_fini(struct path *p);
void path_start(struct path *p);
void path_stop(struct path *p);		/* says goodbye if it is up; state STOPPED follows */
void path_kick(struct path *p);		/* links or addresses changed: look at once */
int path_by_order(const void *one, const void *other);	/* for qsort, of pointers to paths */
/* The connection is of no use: close it, call down, try again later. */
void path_lost(struct path *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, but on purpose and with nothing in flight: no failure. */
void path_leave(struct path *p, const char *why);
/* From welcome: why not; shown in status. */
void path_refuse(struct path *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Goes on with a login that welcome made wait. */
void path_proceed(struct path *p, const uint8_t join[WIRE_SESSION_SIZE]);

bool path_room(const struct path *p);	/* up, and one more command may be sent */
/* Puts the command in flight.  c->data must live until answered or taken out and the
 * path was lost.  0, or -ENOMEM with the command untouched. */
int path_send(struct path *p, struct command *c);
void path_flush(struct path *p);
/* Makes the path silent, as a network that drops everything would, until it is told otherwise. */
void path_set_away(struct path *p, bool away);
void path_ask(struct path *p);		/* to say something, unless it was asked already */
double path_seconds_in_state(const struct path *p);
/* Commands take the best that there is: 0 is in full use, and the more the worse. */
unsigned path_rank(const struct path *p);
double path_probation(const struct path *p);	/* seconds left of it; < 0: none */
/* Seconds, at most, until a path that fell silent is given up: while others lead to the
 * same server, and when it is the last.  Of a server that stands still behind a slow
 * network it is known later (path_health.c). */
double path_noticed_within(const struct path_setup *s, bool others);
/* What a server that hears nothing of us lets go within (ms), so that another one may go on. */
uint32_t path_lease(const struct path *p);

#endif
