/*
 * server.h - what one rssrv process is made of.
 *
 * Threads: the control loop (main thread: signals, portals, timers), one loop
 * per core (each owns the connections that it was given, and nothing of them is
 * touched by another thread unless the field says so), a bounded pool of workers
 * for whatever may block, one watcher per pool and one for the [volume]
 * sections, one that ends sessions whose lease is over, one that gives claims back,
 * one that writes metrics, one for each fence-command that runs, a few for what clients have done to pools
 * (manage.h), and the control socket's threads.
 *
 * Locks, in the order in which they may be taken:
 *   pool.catalog > server.conf_lock > volume.reserve_lock > clients.lock > registry.lock > workers.lock > the rest
 * Where the catalogs of several pools are held, they are taken in the order of the pools' names (strcmp).
 * None of them but the first is held during a system call on a volume or a pool, and none
 * is taken on the data path but workers.lock, once for a batch.
 */
#ifndef RSSRV_SERVER_H
#define RSSRV_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "arena.h"
#include "conf.h"
#include "workers.h"

struct engine;
struct workers;
struct registry;
struct clients;
struct listeners;
struct discover;
struct watch;
struct lease_watch;
struct bounds;
struct others;
struct reservation;
struct reserve_news;
struct manage;
struct metrics;

#define LOOPS_MAX 64

struct server {
	char *run_dir, *state_dir;
	char *conf_path;

	pthread_rwlock_t conf_lock;
	struct conf_server *conf;	/* replaced on SIGHUP; under conf_lock */

	uint8_t machine[16], boot[16];	/* of this host, hashed */
	uint8_t life[16];		/* of this process, random */
	char name[CONF_NAME_MAX + 1];	/* [server NAME] and its id: they change with a restart only */
	uint16_t id;
	uint64_t started;		/* CLOCK_BOOTTIME, ns */

	struct engine *control;
	struct engine *loops[LOOPS_MAX];
	unsigned loop_count;
	struct workers *workers;
	struct registry *registry;
	struct clients *clients;
	struct listeners *listeners;
	struct discover *discover;
	struct watch *watch;
	struct lease_watch *lease_watch;
	struct others *others;
	struct manage *manage;
	struct metrics *metrics;
	struct bounds *bounds;		/* const after start; NULL: none were set (yet) */
	struct memory memory;
	struct work reserve_work;	/* jobs of serve_reserve.c: a volume's own may be stuck */
	struct reservation *reservations;	/* under clients.lock */
	struct reserve_news *reserve_news;	/* too */
	atomic_uint client_count;	/* sessions; written under clients.lock */
	atomic_uint handshakes;		/* of TLS, under way (conn_tls.c) */

	atomic_bool leaving;		/* SIGTERM came: no new login, no new command */
};

#endif
