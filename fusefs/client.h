/*
 * client.h - what rsiod is made of: the loop, the namespaces, the tree, the mount.
 *
 * Threads.  The loop's thread owns /dev/fuse, all namespaces, the tree and every
 * request; it takes no lock and never waits, and it never touches the own mount.
 * The main thread handles signals and what changes slowly (attach, reload, the
 * end); control requests come on threads of their own (ctl.h).  Both get at the
 * loop's state by loop_call.  A helper process (helper.h) does what touches the
 * mount or a loop device.
 */
#ifndef FUSEFS_CLIENT_H
#define FUSEFS_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "conf.h"
#include "confine.h"
#include "io.h"
#include "list.h"
#include "log.h"
#include "loop.h"
#include "names.h"
#include "namespace.h"

/* A configuration that was read; lives while a namespace uses it. */
struct config {
	struct conf_client *conf;
	unsigned users;			/* owner: loop */
};

/* A namespace that runs.  owner: loop */
struct member {
	struct list link;
	struct client *client;
	struct config *config;
	size_t n;			/* in config->conf->namespaces */
	struct namespace *ns;
	struct log_bound told;		/* what its servers do to volumes may be said */
	struct node *dir, *snaps;	/* NAMESPACE, NAMESPACE/.snap */
	bool stopping;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

struct client {
	/* const after the start */
	struct loop *loop;
	char *run_dir;
	char *mount_dir;		/* absolute */
	char *log_path;
	uint64_t started;		/* loop_clock() */
	struct namespace_identity identity;
	int changed;			/* eventfd: for the main thread, something changed */
	gid_t admin_gid;		/* whose members may change things; (gid_t)-1: none */
	bool manage;			/* the tree makes and removes volumes, whatever the configuration says */
	struct confinement confinement;	/* what is in force */

	/* owner: loop */
	struct names names;
	struct io io;
	struct list members;
	struct list opens;		/* struct handle of volumes */
	struct list openings;		/* opening.c's: who waits for a text */
	struct making *making;		/* opening.c's: the one that is made; or NULL */
	size_t texts_held;		/* bytes of texts that somebody has open */
	struct list changes;		/* change.c's: work at servers that somebody waits for */
	uint64_t explained;		/* loop_now() since which the log was told why things are refused, */
	unsigned explanations;		/* so often */
	struct list questions;		/* attribute.c's, and what a server answered last */
	json_t *attributes;		/* or NULL */
	char attributes_of[CONF_NAME_MAX + CONF_VOLUME_MAX + 2];
	uint64_t attributes_at;
	json_t *devices;		/* attach_list() as it was last; or NULL */
	struct config *newest;		/* the daemon's; what [volume] says of attach */
	bool ending;			/* nothing is started any more */
	bool lingers;			/* when few answers are awaited (loop_expect) */
	struct mount *mount;		/* NULL: not mounted */
};

/* Before the loop runs, and after it ended. */
int client_init(struct client *c, struct loop *l, const char *run_dir, struct err *e);
void client_fini(struct client *c);

/* On the loop's thread. */
int client_start(struct client *c, struct config *config, size_t n, struct err *e);
/* Says goodbye; stopped (may be NULL) is called when the namespace is gone.  Files that
 * are open in it give EIO from then on. */
void client_stop(struct client *c, struct member *m, void (*stopped)(void *arg), void *arg);
struct member *client_member(const struct client *c, const char *name);
/* On the loop: what the configuration says of owners now and did not say before takes effect;
 * what an administrator changed otherwise stays. */
void client_reown(struct client *c, const struct conf_client *old, const struct conf_client *now);
json_t *client_servers(struct client *c);	/* a list of namespaces, without their volumes */
/* The volume that is offered under these names, or is not any more but open still; or NULL. */
struct mpio *client_volume(const struct client *c, const char *namespace, const char *volume);
/* The volumes that this process has open were opened for a loop device. */
void client_mark_device(struct client *c, pid_t opener);
/* The devices over a volume get EIO from now on, for good. */
void client_cut_device(struct client *c, const char *namespace, const char *volume);
/* The volume is offered, and a device of it was cut off before: its namespace was started anew. */
bool client_device_is_cut(const struct client *c, const char *namespace, const char *volume);
/* Every volume that is offered, of all namespaces. */
void client_each_volume(struct client *c, void (*fn)(void *arg, struct mpio *v), void *arg);
/* Tells the main thread that something changed; any thread. */
void client_wake(struct client *c);
void client_flush(struct client *c);	/* sends what waits; at least once a round */
void client_kick(struct client *c);

struct config *config_new(struct conf_client *conf);	/* takes conf */
void config_put(struct config *config);			/* frees it when nobody uses it */

#endif
