/*
 * namespace.h - one namespace as a client uses it: its paths, the sessions they
 * form, the volumes the servers offer.  Owner of everything here: the loop's
 * thread, but where a function says otherwise.
 */
#ifndef RSIO_NAMESPACE_H
#define RSIO_NAMESPACE_H

#include <jansson.h>
#include "conf.h"
#include "loop.h"
#include "mpio.h"

struct namespace;
struct session;

/* Who this client is; the same for all namespaces. */
struct namespace_identity {
	uint8_t machine[16], boot[16], run[16], life[16];
};
/* machine id, boot id, RUN_DIR/rsiod.id (made at the first start), a random life. */
int namespace_identity_init(struct namespace_identity *id, const char *run_dir, struct err *e);

/* What the owner wants to know; called on the loop's thread, never from within a
 * call of the owner's into namespace or mpio (but during namespace_free). */
struct namespace_ops {
	void (*added)(void *arg, struct namespace *ns, struct mpio *v);	/* appears in the tree */
	void (*removed)(void *arg, struct namespace *ns, struct mpio *v);	/* leaves the tree; users may hold it still */
	void (*resized)(void *arg, struct namespace *ns, struct mpio *v);	/* or is to be written to now, or no more */
	void (*changed)(void *arg, struct namespace *ns);	/* path, session or volume states: status is another */
};

/* conf and its namespace n must outlive it.  Starts connecting at once. */
struct namespace *namespace_new(struct loop *l, const struct conf_client *conf, size_t n,
				const struct namespace_identity *id,
				const struct namespace_ops *ops, void *arg, struct err *e);
/* Another configuration, which differs in interfaces, portals and ports alone: paths that it does not
 * have end when others work, new ones are made, sessions stay.  false, and nothing happened: a server
 * in use has no portal in it.  The earlier one is not needed any more. */
bool namespace_reload(struct namespace *ns, const struct conf_client *conf, size_t n);
/* Says goodbye on every path (bounded, 1 s) and calls stopped on the loop; then free. */
void namespace_stop(struct namespace *ns, void (*stopped)(void *arg), void *arg);
void namespace_free(struct namespace *ns);

const char *namespace_name(const struct namespace *ns);
int namespace_id(const struct namespace *ns);
/* The volume of that name, or the snapshot VOLUME@SNAP, that is offered now; or NULL. */
struct mpio *namespace_volume(struct namespace *ns, const char *name);
/* All that are offered now, in the order of their numbers; call fn for each. */
void namespace_each_volume(struct namespace *ns, void (*fn)(void *arg, struct mpio *v), void *arg);
void namespace_each_snapshot(struct namespace *ns, void (*fn)(void *arg, struct mpio *v), void *arg);
/* Send what the handlers of this round gathered: once a round, from loop_run's after. */
void namespace_flush(struct namespace *ns);
/* A link or an address changed: paths that wait to reconnect try at once, paths over an
 * interface that went down are given up at once. */
void namespace_kick(struct namespace *ns);
/* The namespace's key in conf is another one now: its paths log in anew, one at a time while
 * another takes the commands; the only one, when nothing of it is in flight. */
void namespace_key_changed(struct namespace *ns);
/* Policy at run time; it holds as long as the namespace runs. */
struct policy_wish {
	const char *target;		/* a volume or, if there is none, a server; NULL: all servers */
	bool as_before;			/* a volume: no policy of its own any more */
	enum policy policy;
	const char *weight, *standby;	/* as in shares.h; NULL: as in the configuration */
};
/* 0, or -errno with e filled and nothing changed. */
int namespace_set_policy(struct namespace *ns, const struct policy_wish *w, struct err *e);

/* Drills (fusefs/drill.c).  What takes part in one: the path of that name, or all paths of
 * the server of that name. */
struct drill_paths {
	size_t count;		/* that are up */
	bool others;		/* other paths lead to the same server */
	bool servers;		/* none does, but other servers offer all its volumes */
	const struct session *session;
};
struct drill_paths namespace_drill_paths(const struct namespace *ns, const char *target);
void namespace_set_away(struct namespace *ns, const char *target, bool away);
/* Seconds that I/O may stand still when these paths fall silent for so long, as configured;
 * < 0: on-loss would apply before they are back. */
double namespace_drill_limit(const struct namespace *ns, const struct drill_paths *p, double seconds);

/* The whole state as JSON (new reference), the one source of status files and rsconfig:
 * { "name": "osl", "id": 0, "node": "sles1", "noticed_within": 1.75, "noticed_last": 2.5, "give_up": 120, "on_loss": "fail",
 *   "servers": [ { "id": 0, "name": "big-9", "version": "0.1", "state": "up|connecting|lost", "policy": "adaptive",
 *      "listed": whether its volumes are known,
 *      "failover_silent": how long I/O may stand still at worst when all its paths fall silent, or null: for ever,
 *      "failover_reset": the same when they are reset or lose their links,
 *      "takeover": the same for a volume that another server offers too,
 *      "paths": [ { "name": "if0/big-9-1", "interface": "if0", "local": "192.168.10.1", "server": "big-9-1",
 *                   "portal": "192.168.10.9", "port": 5000, "protocol": "tcp", "family": "IP" or "IPv6",
 *                   "state": "down|connecting|hello|waiting|login|up|draining", "since": seconds in this state,
 *                   "reason": "why it is not up, with the next step" or null,
 *                   "connection": 3, "rtt_us": 80.5, "in_flight": 3, "bytes_in_flight": 24576,
 *                   "read_bytes": n, "write_bytes": n, "commands": n, "share": 0.5, "weight": 1, "standby": false,
 *                   "read_rate": bytes a second of late, "write_rate": …, "iops": commands a second of late,
 *                   "latency": of reads and writes, as latency.h has it, or null, "carries": learned bytes a second or null,
 *                   "failover_silent": …, "failover_reset": the same for this path, null also when it is not up,
 *                   "suspect": whether commands avoid it, as it owes an answer,
 *                   "probation": seconds for which it is used only when nothing better is left, or null,
 *                   "learned": whether its portal is from the server, not from the configuration,
 *                   "leaving": whether it is about to end, as its portal is gone,
 *                   "lost_reason": why it was last lost or null, "lost_ago": seconds or null, "errors": n } ],
 *      "counts": … } ],
 *   "unassigned": [ paths that have never learned which server they reach, as above ],
 *   "volumes": [ { "id": 0, "name": "oracle", "uuid": "…", "generation": 17, "size": bytes, "blocks": n, "block_size": 512,
 *      "read_only": false, "av": 0, "server": "big-9", "servers": 1, "state": "ready|waiting|lost|stale|gone",
 *      "policy": "weighted" or null, "on_loss": "fail", "give_up_in": 87.5 or null, "opens": 1, "in_flight": 0, "reads": n, "read_bytes": n,
 *      "legs": [ { "server": "big-9", "state": "closed|opening|open|busy|away", "commands": n, "share": 0.5 } ],
 *      "waits_for": what stands in the way of
 *      taking over from a server that is away, or null, "refused": a server whose volume of this name is another one, or null,
 *      "writes": n, "write_bytes": n, "flushes": n, "errors": n, "resent": n,
 *      "read_iops": reads a second of late, "read_rate": bytes a second, "read_latency": as latency.h has it, or null,
 *      "write_iops": …, "write_rate": …, "write_latency": … } ],
 *   "snapshots": [ the same, with "name": "oracle@monday", and
 *      "of": "oracle", "snapshot": "monday", "taken": "2026-11-26T07:35:55Z" or null,
 *      "taken_seconds": since 1970 or null } ]
 */
json_t *namespace_status(struct namespace *ns);
/* The same without its volumes, of which there may be very many. */
json_t *namespace_servers(struct namespace *ns);
/* One of its "volumes" or "snapshots". */
json_t *namespace_volume_status(struct mpio *v);

#endif
