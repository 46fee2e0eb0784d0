/*
 * manage_impl.h - what the manage*.c share, and nobody else.
 */
#ifndef RSIO_MANAGE_IMPL_H
#define RSIO_MANAGE_IMPL_H

#include "manage.h"
#include "namespace_impl.h"

enum manage_state {
	MANAGE_FINDING,		/* several servers are asked: parts */
	MANAGE_ASKING,		/* a question */
	MANAGE_STARTING,	/* until the server knows the work */
	MANAGE_RUNNING,
};

struct manage {
	struct list link;		/* the namespace's */
	struct namespace *ns;
	enum manage_state state;
	const struct manage_calls *calls;
	void *arg;

	struct session *server;		/* NULL: not known yet */
	unsigned hops;			/* servers that said that another one is the owner */
	uint64_t put_off;		/* loop_now() of the first EAGAIN to "start"; 0: none */
	unsigned starts;		/* how often the server did not know the work any more */
	bool sent, again;		/* a "start" was sent; more than one */
	char id[MANAGE_ID + 1];
	json_t *work, *question;	/* one of them */

	bool asking;			/* an answer is awaited */
	bool answered;			/* error and answer are to be looked at */
	int error;			/* 0 or -errno */
	json_t *answer;
	char text[WIRE_TEXT_MAX + 1];	/* with an error: the server's words */
	struct loop_timer step;		/* what came is looked at, or is asked again */
	uint64_t pause, pause_last;	/* ns until the next question about the work; the longest */
	uint64_t heard;			/* loop_now() when something last came */

	struct loop_timer deadline;
	uint64_t limit;			/* ns, as wished; 0: give-up since heard */
	bool cancel_at_limit;
	bool cancel, cancelling, cancelled;	/* to be said; is being said; was said */

	struct manage_part {
		struct manage *whole, *part;	/* part NULL: it has ended */
		char server[WIRE_NAME_MAX + 1];
	} *parts;			/* FINDING: one for each server; [part_count] */
	size_t part_count, parts_left;
	json_t *answers;		/* FINDING: of those that have ended */
};

struct manage *manage_new(struct namespace *ns, const struct manage_wish *w, const struct manage_calls *calls,
			  void *arg, struct err *e);
/* Begins to ask m->server. */
void manage_begin(struct manage *m, enum manage_state state);
/* Ends it: done. */
void manage_finish(struct manage *m, json_t *result, const struct err *e);
void manage_free(struct manage *m);

/* manage_find.c */
struct session *manage_server(const struct namespace *ns, const char *name);	/* or NULL */
/* The server that has a volume; NULL with e filled. */
struct session *manage_server_of(const struct namespace *ns, const char *volume, struct err *e);
/* Sets m->server by what the work names, or starts to ask all servers for their pools.  0 or -errno. */
int manage_find(struct manage *m, struct err *e);
/* Says in the work which volume is meant, unless that was said. */
void manage_identify(struct manage *m);
/* All servers are asked the question.  0 or -errno. */
int manage_ask_each(struct manage *m, const json_t *question, struct err *e);
/* All have answered: the server that is to make the volume, or NULL with e filled. */
struct session *manage_choose(struct manage *m, struct err *e);

#endif
