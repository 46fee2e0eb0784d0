/*
 * namespace_impl.h - what the namespace_*.c share, and nobody else.
 */
#ifndef RSIO_NAMESPACE_IMPL_H
#define RSIO_NAMESPACE_IMPL_H

#include "mpio_impl.h"
#include "namespace.h"
#include "path.h"
#include "session.h"

#define NAMESPACE_BUCKETS 1024u

struct namespace {
	struct loop *loop;
	char name[CONF_NAME_MAX + 1];	/* volumes point to it: the configuration may be replaced */
	const struct conf_client *client;
	const struct conf_namespace *conf;
	struct namespace_identity id;
	const struct namespace_ops *ops;
	void *arg;

	struct path **paths;		/* every client interface with every portal; by setup.order */
	size_t path_count, path_room;
	struct list dirty;		/* paths with something to send */
	struct list portals;		/* struct learned: that servers told of */
	uint64_t learned;		/* so many so far: the next one's place among them */
	bool leaving;			/* a path is to end: look for it */

	struct policy_choice choice;	/* of servers that are met from now on */
	struct list sessions;
	struct list volumes;		/* offered */
	struct list attic;		/* no longer offered, somebody still has them */
	struct mpio *buckets[NAMESPACE_BUCKETS];	/* offered, by name */
	struct list finished;		/* commands to give back before the loop sleeps */
	struct list manages;		/* struct manage: under way */

	void (*stopped)(void *arg);
	void *stopped_arg;
	bool freed;			/* namespace_free has begun */
};

/* What [volume] says of it, of a snapshot what it says of the volume; or NULL. */
const struct conf_volume_rule *namespace_rule(const struct namespace *ns, const char *name);

/* A portal that a server told of. */
struct learned {
	struct list link;
	struct session *from;		/* of the server that told of it; lives as long as the namespace */
	struct conf_portal portal;	/* its name is SERVER@ADDRESS, its port is set */
	struct sock_addr at;
	uint64_t number;		/* its place among all that were learned */
	bool gone;			/* no longer there: freed with its last path */
	bool listed;			/* in the list that is being looked at */
};

/* A path with what its setup points to, since that may outlive the configuration. */
struct way {
	struct path path;
	struct conf_interface interface;
	struct conf_portal portal;
	struct learned *learned;	/* the portal, when a server told of it; else NULL */
	bool obsolete;			/* not in the configuration any more: not made anew */
	bool started;
};

static inline struct way *way_of(const struct path *p)
{
	return container_of(p, struct way, path);
}

/* namespace_paths.c */
/* Of the configuration, those that there are not yet; 0 or -ENOMEM; none is started. */
int namespace_make_paths(struct namespace *ns);
void namespace_sort_paths(struct namespace *ns);	/* after their orders changed */
void namespace_start_paths(struct namespace *ns);	/* that are new */
uint64_t namespace_order(const struct namespace *ns, const struct path *p, size_t portal);
/* f NULL: without an interface; learned NULL: it is the configuration's.  Not started.  NULL: no memory. */
struct path *namespace_make_path(struct namespace *ns, const struct conf_interface *f,
				 const struct conf_portal *portal, struct learned *learned);
void namespace_free_path(struct namespace *ns, size_t i);	/* it is STOPPED */
void namespace_free_paths(struct namespace *ns);	/* path_fini came before */

/* namespace_portals.c */
void namespace_retire(struct namespace *ns, struct path *p);	/* it ends when nothing of it is in flight */
void namespace_make_learned(struct namespace *ns);	/* paths to all portals that were learned, where there are none */
void namespace_portals(void *ns, struct session *s, const char (*texts)[WIRE_PORTAL_MAX], size_t count);
void namespace_portal(void *ns, struct session *s, const char *text, bool there);
/* Is that who named the portal?  -EADDRINUSE with the reason given to path_refuse. */
int namespace_check_learned(struct path *p, const struct wire_welcome *w);
void namespace_reap(struct namespace *ns);		/* ends paths that are leaving, and frees those that ended */
void namespace_free_portals(struct namespace *ns);
/* namespace_paths.c */
void namespace_tell_stopped(void *ns);

/* namespace_volumes.c */
extern const struct session_ops namespace_session_ops;
void namespace_give_up_passed(struct loop_timer *t);	/* of a session */
/* Out of the tree; who has it open keeps it, in the attic. */
void namespace_withdraw(struct namespace *ns, struct mpio *v, bool stale);
void namespace_free_unused(struct namespace *ns);	/* of the attic */

/* namespace_failover.c: seconds that I/O may stand still when something falls silent, and
 * when its connections are reset or its links are lost; then it goes on, or on-loss applies.
 * INFINITY: for ever. */
struct namespace_failover {
	double silent, reset;
};
struct namespace_failover namespace_failover(const struct namespace *ns, bool others);	/* other paths are left */
struct namespace_failover namespace_failover_path(const struct namespace *ns, const struct path *p);
struct namespace_failover namespace_failover_server(const struct namespace *ns, const struct session *s);
double namespace_takeover(const struct namespace *ns);	/* until another server of a volume has taken over */
double namespace_noticed_within(const struct namespace *ns, bool others);
/* Is all that this server offers, if anything, offered by another one that is reached? */
bool namespace_has_heirs(const struct namespace *ns, const struct session *s);

/* namespace_policy.c */
/* The interface with the new number i had the number was[i]; < 0: it is new. */
void namespace_renumber(struct namespace *ns, const int was[CONF_IFACE_MAX]);
void namespace_choice(const struct namespace *ns, enum policy policy, const struct shares *shares,
		      struct policy_choice *out);
/* What the configuration says of a volume that was not there before; rule may be NULL. */
void namespace_first_choice(const struct namespace *ns, struct mpio *v, const struct conf_volume_rule *rule);

#endif
