/*
 * manage.h - what clients ask of the pools and volumes: the requests of the section
 * MANAGEMENT of rsio-protocol(7), and the jobs that do the work.
 *
 * A request is answered on the asker's loop, at once, from memory.  Work is a job on one of
 * a few threads of its own: a file system that hangs holds up these, and neither a loop nor
 * those who read and write.  A job belongs to the client node, not to the connection it was
 * asked for over, and is known by the id that the client gave it: the same request may be
 * sent again over another path, and is still one job.
 *
 * One client cannot take what the others need: it has so many jobs and no more, of which so
 * many run, and the jobs of several clients take turns.
 */
#ifndef RSSRV_MANAGE_H
#define RSSRV_MANAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "engine.h"
#include "wire.h"

struct manage;
struct server;
struct volume;

#define MANAGE_THREADS 16	/* jobs that run at once */
#define MANAGE_NODE_RUNS 4	/* of one client */
#define MANAGE_POOL_RUNS 4	/* in one pool, */
#define MANAGE_POOL_FIRST 8	/* with those of clients that have no other under way */
#define MANAGE_NODE_WAITS 32	/* of one client that are not through */
#define MANAGE_NODE_KEPT 64	/* of one client that are, */
#define MANAGE_KEPT 4096	/* of all, */
#define MANAGE_KEEP 60		/* and for so many seconds */
#define MANAGE_ATTENTION 15	/* seconds without a question after which an attended job ends */

struct manage *manage_new(struct server *s, struct err *e);
void manage_free(struct manage *m);	/* nothing runs any more; NULL is fine */

/* The answer to the request `what` of a node: an object, perhaps with "error"; NULL: there is no
 * such request, or no memory (*known says which).  source: the address, for audit lines. */
json_t *manage_answer(struct manage *m, const char *node, const char *source, const char *what,
		      json_t *request, bool *known);

/* What a volume is, which its files say: answered later, by message.run on the loop.  Fields are
 * set by who asks; answer is then an object, or NULL: no memory. */
struct look {
	struct message message;		/* first */
	struct engine *loop;
	struct volume *volume;		/* a reference of the asker's */
	char node[WIRE_NAME_MAX + 1];
	json_t *answer;
	struct look *next;		/* manage_look.c's */
	bool runs;
};
/* 0; -EAGAIN: this node has asked for too much at once. */
int manage_look(struct manage *m, struct look *k);

void manage_tick(struct manage *m, uint64_t now);	/* about once a second */
/* Takes no job any more, has those that run end soon, and waits for that, at most so long.
 * True: all have.  What did not ends with the process: the journal of its pool knows. */
bool manage_stop(struct manage *m, double seconds);

#endif
