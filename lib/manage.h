/*
 * manage.h - the management of volumes, the client's side: which server has to be asked, work
 * that is started there, how far it is, and its end.  rsio-protocol(7) has the requests.
 * Owner of everything here: the loop's thread.
 *
 * Work has an id, made here and random.  It is started, and from then on asked about: after
 * 2 ms first, and every 250 ms in the end.  A path that is lost, a session that is made anew,
 * a server that was restarted: whatever was asked is asked again with the same id, for which
 * the server does the work once.  It names the volume by its UUID too, as this client knows it when the work is
 * begun: what is asked again long afterwards does not hit another one that was given the name
 * meanwhile.
 */
#ifndef RSIO_MANAGE_H
#define RSIO_MANAGE_H

#include <jansson.h>
#include <stdbool.h>
#include "err.h"
#include "namespace.h"

#define MANAGE_ID 32		/* hex digits */

struct manage;			/* one piece of work, or one question, under way */

/* Never called from within a call into manage. */
struct manage_calls {
	/* Each time that the server said how far the work is; job as it travels, borrowed.  May be NULL. */
	void (*progress)(void *arg, const char *server, const json_t *job);
	/* Once, then it is gone: the work's result, the question's answer (borrowed), or NULL with
	 * e filled.  server: who said it, "" when nobody did. */
	void (*done)(void *arg, const char *server, json_t *result, const struct err *e);
};

struct manage_wish {
	const char *server;	/* ask this one; NULL: the one that has what the work names */
	const char *id;		/* MANAGE_ID digits; NULL: one is made */
	double limit;		/* seconds until it ends with ETIMEDOUT; 0: when the server was silent for give-up */
	bool eager;		/* to know: asks every 8 ms at least */
	bool cancel;		/* at the limit the work is cancelled; else it goes on there */
};

/* All take the JSON, also when they fail, and wish may be NULL.  NULL with e filled: nothing
 * was asked, done does not come. */
/* work: {"op": "create", "volume": …}.  done's result is what the server made, an object. */
struct manage *manage_work(struct namespace *ns, const struct manage_wish *wish, json_t *work,
			   const struct manage_calls *calls, void *arg, struct err *e);
/* question: {"do": "volume", "name": …}; without a name there must be one server only, or wish.server. */
struct manage *manage_ask(struct namespace *ns, const struct manage_wish *wish, json_t *question,
			  const struct manage_calls *calls, void *arg, struct err *e);
/* All servers: the result is [{"server": NAME, "answer": {…}} or {"server": NAME, "error": {…}}]. */
struct manage *manage_ask_all(struct namespace *ns, const struct manage_wish *wish, json_t *question,
			      const struct manage_calls *calls, void *arg, struct err *e);

/* The server is told to stop; done comes, with ECANCELED unless it was done already. */
void manage_cancel(struct manage *m);
/* Nobody waits any more, done does not come; what was started goes on. */
void manage_forget(struct manage *m);
const char *manage_id(const struct manage *m);
/* Whom it asks; "": several, or not known yet. */
const char *manage_asks(const struct manage *m);

/* The namespace's, at its end: each is done, with ESHUTDOWN. */
void manage_end_all(struct namespace *ns);

#endif
