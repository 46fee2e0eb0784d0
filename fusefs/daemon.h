/*
 * daemon.h - rsiod from its start to its end: the main thread.
 */
#ifndef FUSEFS_DAEMON_H
#define FUSEFS_DAEMON_H

#include <pthread.h>
#include <stdbool.h>
#include "client.h"
#include "ctl.h"
#include "devices.h"
#include "drill.h"
#include "doorbell.h"
#include "helper.h"
#include "mount.h"
#include "works.h"

struct daemon_options {
	const char *config, *run_dir, *mount;	/* as given; NULL: the defaults */
	const char *mount_options;
	bool foreground, check, no_wait;
	bool manage;				/* one of the mount options */
	int verbose;
};

struct daemon {
	/* const after the start */
	const struct daemon_options *options;
	char *config_path;
	char *run_dir;
	int ready;			/* the pipe to whoever started us, -1: none */
	int pid_fd;			/* RUN_DIR/rsiod.pid, locked */
	bool private;			/* who may change nothing does not see the tree either */
	int end;			/* eventfd: unmounted, time to end */
	struct loop *loop;
	struct helper *helper;
	struct ctl_server *ctl;

	struct client client;		/* see client.h for who owns what of it */
	struct mount mount;
	struct doorbell doorbell;	/* owner: loop */
	struct devices devices;
	struct drill drill;		/* owner: loop */
	struct works works;
	pthread_t thread;		/* the loop's */
	bool running;

	pthread_mutex_t lock;		/* guards what follows, and reload and unmount as a whole */
	struct config *config;		/* the newest; its count is the loop's */
	bool unmounted;
};

/* Runs until the end; the exit status.  config is taken.  ready: see struct daemon. */
int daemon_run(const struct daemon_options *o, const char *config_path, struct conf_client *conf,
	       const char *run_dir, const char *mount_dir, int ready);

/* For control requests; any thread but the loop's. */
/* Reads the configuration again.  -EINVAL: it has mistakes, they were logged, nothing changed. */
int daemon_reload(struct daemon *d, struct err *e);
/* Detaches, unmounts, and has the main thread end.  -EBUSY with the holders; lazy: all the same. */
int daemon_unmount(struct daemon *d, bool lazy, struct err *e);

#endif
