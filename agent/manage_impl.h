/*
 * manage_impl.h - what the manage_*.c files share: what a request asks for, and the job it is.
 */
#ifndef RSSRV_MANAGE_IMPL_H
#define RSSRV_MANAGE_IMPL_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "conf.h"
#include "err.h"
#include "manage.h"
#include "manage_ops.h"
#include "meta.h"
#include "progress.h"
#include "wire.h"

struct pool;
struct server;
struct volume;

#define MANAGE_STACK (512u << 10)
#define LABEL_MAX (META_LABEL - 1)
#define SNAPSHOT_VOLUMES_MAX 1024
#define ACCESS_CLIENTS_MAX 256
#define KEEP_MAX 1000
#define EVERY_MIN 60			/* seconds between snapshots of a schedule */
#define EVERY_MAX (366 * 86400)

/* Keys of a volume's file NAME.meta: seconds, and how many. */
#define SCHEDULE_EVERY "schedule-every"
#define SCHEDULE_KEEP "schedule-keep"

/* What one request asks for; what its op does not have is zero. */
struct manage_work {
	const struct manage_op *op;
	char volume[WIRE_VOLUME_NAME_MAX + 1];
	char to[CONF_NAME_MAX + 1], pool[CONF_NAME_MAX + 1], prefix[CONF_NAME_MAX + 1];
	char snapshot[CONF_NAME_MAX + 1], client[CONF_NAME_MAX + 1];
	char confirm[WIRE_VOLUME_NAME_MAX + 1];
	char text[LABEL_MAX + 1];
	char **volumes, **clients;	/* NULL-terminated; clients NULL: every client */
	uint8_t uuid[WIRE_UUID_SIZE];	/* of the volume that is meant */
	uint64_t size, count, iops, keep, generation;
	double mbps, burst, hold_limit, every;
	uint64_t due;			/* schedule.c: when it was; 0: perhaps it is not yet */
	bool preallocate, if_missing, snapshots, at_once;
	bool has_uuid, has_confirm, has_mbps, has_iops, has_burst;
};

/* Where it is to be done, once the asker's right was looked at. */
struct place {
	char pool[CONF_NAME_MAX + 1];	/* that is changed */
	char (*pools)[CONF_NAME_MAX + 1];	/* snapshot: of each volume, owned; pool is the first one's */
	char from[CONF_NAME_MAX + 1];	/* clone, copy: the source's */
	char owner[CONF_NAME_MAX + 1];	/* with EREMOTE: the server to ask */
};

struct task;
struct manage_op {
	const char *name;
	const struct member *members;
	/* Does it, on a thread of its own; blocks.  *result: what the asker gets; may stay NULL. */
	int (*run)(struct pool *p, struct task *t, json_t **result, struct err *e);
};

enum task_state { TASK_WAITS, TASK_RUNS, TASK_DONE, TASK_FAILED, TASK_CANCELLED };

struct task {
	struct task *next;		/* the node's, oldest first */
	struct manage_node *of;
	char node[CONF_NAME_MAX + 1];
	char source[64];		/* for audit lines: the address asked from */
	char id[33];
	uint8_t digest[16];		/* of the work, as it was sent */
	struct manage_work work;		/* const while it runs */
	struct place place;		/* likewise */
	struct progress progress;
	bool attended;
	bool own;			/* the server's, for nobody */

	/* Under manage.lock. */
	enum task_state state;
	uint64_t asked, ended;		/* clock_now() */
	json_t *result;
	struct err error;
};

/* A client that has jobs here. */
struct manage_node {
	struct manage_node *next;
	char name[CONF_NAME_MAX + 1];
	struct task *tasks;
	unsigned waits, runs, kept;	/* waits: those that run too */
};

struct manage {
	struct server *server;
	struct looks *looks;
	pthread_mutex_t lock;
	pthread_cond_t ended;		/* a thread went */
	struct manage_node *nodes;	/* who is first has its turn first */
	unsigned threads, kept;
	struct { char name[CONF_NAME_MAX + 1]; } running[MANAGE_THREADS];	/* pools of what runs */
	unsigned runs;
	bool stop;
};

/* manage_table.c, all under manage.lock */
bool task_over(const struct task *t);
struct task *task_find(struct manage *m, const char *node, const char *id);
struct manage_node *manage_node_get(struct manage *m, const char *name);	/* NULL: no memory */
void manage_node_last(struct manage *m, struct manage_node *n);	/* the others have their turn first */
void task_add(struct manage_node *n, struct task *t);
struct task *task_next(struct manage *m);	/* that may run now; NULL */
void task_begin(struct manage *m, struct task *t);
/* It stays for a while; others that did may go now.  r: 0 or -errno; takes result. */
void task_end(struct manage *m, struct task *t, int r, json_t *result, const struct err *e);
/* The same for one that never ran. */
void task_ended(struct manage *m, struct task *t, enum task_state state);
void task_drop(struct manage *m, struct manage_node *n, struct task *t);
void task_free(struct task *t);

/* manage_parse.c: a JSON object, strictly: what is not known, missing or of the wrong type or
 * range is an error that names it.  0 or -errno; manage_work_free in either case. */
int manage_parse(struct manage_work *w, const json_t *j, struct err *e);
void manage_work_free(struct manage_work *w);
/* For people: "create of oracle in pool fast". */
#define MANAGE_TEXT_MAX 240
const char *manage_text(const struct manage_work *w, char out[MANAGE_TEXT_MAX]);

/* manage_right.c: may this node have it done, and where is that?  0 or -errno with e filled;
 * -EREMOTE: another server has to be asked, place->owner.  place_fini in either case. */
int manage_admit(struct server *s, const char *node, const struct manage_work *w, const char *id, struct place *place,
		 struct err *e);
bool place_same(const struct place *a, const struct place *b, const struct manage_work *w);
void place_fini(struct place *p);

/* manage_show.c: what is there, as far as the node may see it. */
json_t *show_pools(struct server *s, const char *node);
json_t *show_volume(struct server *s, const char *node, struct volume *v);	/* reads files */
json_t *show_volumes(struct server *s, const char *node, uint64_t from);

/* manage_look.c */
struct look;
struct looks *looks_new(void);	/* NULL: no memory */
void looks_free(struct looks *l);
int looks_add(struct looks *l, struct look *k);

/* manage_do.c: the ops; manage_op(NULL) is NULL. */
const struct manage_op *manage_op(const char *name);

/* manage.c: what the server does by itself, in that pool: schedule_run.  0; -EAGAIN. */
int manage_own(struct manage *m, const struct manage_work *w, const char *pool);
json_t *manage_error(const struct err *e, const char *owner);	/* {"code", "text", …} */

#endif
