/*
 * rsvol.h - what rsvol's files share: the options, names of volumes, questions to a server and
 * work there, and how sizes and tables are printed.
 */
#ifndef RSIO_RSVOL_H
#define RSIO_RSVOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "conf.h"
#include "err.h"

enum {				/* exit statuses; rsvol(8) has them */
	RSVOL_DONE = 0,
	RSVOL_FAILED = 1,
	RSVOL_USAGE = 2,
	RSVOL_CANCELLED = 3,
	RSVOL_UNKNOWN = 4,	/* no answer came: it may have been done */
};

struct rsvol {
	bool preallocate, if_missing, grow_fs, snapshots, freeze, everyone, none, once, paths, json;
	const char *pool, *server, *confirm, *name, *client, *iops, *mbps;
	int count, keep;
	double hold, burst, every, interval;	/* seconds; 0: not given */
	const char *run_dir_option;
	char *socket;			/* RUN_DIR/rsiod.sock; owned */
};

/* A volume as it was written; the namespace is "" where it was left out. */
struct rsvol_name {
	char namespace[CONF_NAME_MAX + 1];
	char volume[CONF_NAME_MAX + 1];
	char snapshot[CONF_NAME_MAX + 1];	/* "": the volume itself */
	char text[2 * CONF_NAME_MAX + 2];	/* VOLUME or VOLUME@SNAP, as it travels */
};

/* Mistakes on the command line: says so and exits 2. */
void rsvol_usage(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Names, sizes and confirmations (rsvol_names.c); what is wrong exits 2. */

struct rsvol_name rsvol_name(const char *text);
struct rsvol_name rsvol_volume(const char *text);	/* no snapshot may be named */
void rsvol_check_name(const char *what, const char *name);
/* NAMESPACE:VOLUME[@SNAP], with the namespace that the reply says. */
const char *rsvol_full(const struct rsvol_name *n, const char *namespace, char buf[128]);
/* 20G, 1.5TiB, 4096: whole blocks. */
uint64_t rsvol_size(const char *text);
/* "20 GiB", "1.5 TiB", "512 B". */
const char *rsvol_size_text(uint64_t bytes, char buf[32]);
/* As it would be typed: "1h", "90min", "0.5s". */
const char *rsvol_time_text(double seconds, char buf[32]);
/* The volume's name is to be said again: with --confirm, or at the terminal after `what` was
 * printed.  Exits 2 when it is another, or nobody can be asked. */
void rsvol_confirm(const struct rsvol *rv, const struct rsvol_name *n, const char *what);
bool rsvol_confirmed(const struct rsvol *rv, const struct rsvol_name *n);

/* To rsiod (rsvol_work.c). */

/* A short request; takes it.  NULL with the error in *e. */
json_t *rsvol_ask_daemon(const struct rsvol *rv, json_t *request, struct err *e);
/* A question to the server of that volume; its answer, or NULL with e filled.  namespace (may be
 * NULL): where it was asked. */
json_t *rsvol_volume_of(const struct rsvol *rv, const struct rsvol_name *n, char namespace[CONF_NAME_MAX + 1],
			struct err *e);
/* Work at a server; takes it.  0 and *reply {"namespace", "server", "id", "result"}, or an exit
 * status when it failed, which was said.  doing: "creating"; rest: more members of the request. */
int rsvol_work(const struct rsvol *rv, const struct rsvol_name *n, const char *doing, json_t *work, json_t **reply);
int rsvol_follow(const struct rsvol *rv, const struct rsvol_name *n, const char *doing, json_t *request, json_t **reply);
/* Says what went wrong, with what may have been meant by an unknown name; an exit status. */
int rsvol_failed(const struct rsvol *rv, const struct rsvol_name *n, struct err *e);

/* Printing (rsvol_show.c). */

const char *rsvol_text(const json_t *object, const char *key, const char *fallback);
int rsvol_print_json(json_t *json);	/* takes it; an exit status */
/* The reply as --json prints it, or a line "NAME: text"; takes the reply. */
int rsvol_done(const struct rsvol *rv, const struct rsvol_name *n, json_t *reply, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* "a,b", or "-" for none. */
const char *rsvol_list_text(const json_t *list, char *buf, size_t size);

/* The commands: operands end with NULL; exit statuses. */
int rsvol_create(const struct rsvol *rv, char **operands);
int rsvol_resize(const struct rsvol *rv, char **operands);
int rsvol_rename(const struct rsvol *rv, char **operands);
int rsvol_rm(const struct rsvol *rv, char **operands);
int rsvol_label(const struct rsvol *rv, char **operands);
int rsvol_access(const struct rsvol *rv, char **operands);
int rsvol_limit(const struct rsvol *rv, char **operands);
int rsvol_schedule(const struct rsvol *rv, char **operands);
int rsvol_snapshot(const struct rsvol *rv, char **operands);
int rsvol_rollback(const struct rsvol *rv, char **operands);
int rsvol_clone(const struct rsvol *rv, char **operands);
int rsvol_copy(const struct rsvol *rv, char **operands);
int rsvol_ls(const struct rsvol *rv, char **operands);
int rsvol_info(const struct rsvol *rv, char **operands);
int rsvol_snapshots(const struct rsvol *rv, char **operands);
int rsvol_top(const struct rsvol *rv, char **operands);
int rsvol_pool(const struct rsvol *rv, char **operands);

#endif
