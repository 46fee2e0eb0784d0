/*
 * opening.c - see opening.h.
 *
 * One text is made at a time, whoever asks: so one state of all volumes is in memory, and one
 * thread at most takes time from the loop's.  Those who want the same file and wait when
 * its making begins share the text.  Who comes later gets one that was begun after he came:
 * what he did before he opened the file, he finds in it.
 *
 * The thread lasts for one making, and is joined by the loop when it has posted its last
 * word.  It sees the loop's things only through status_collect.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "interrupt.h"
#include "log.h"
#include "opening.h"
#include "status.h"
#include "text.h"

#define STACK_BYTES (512u << 10)	/* as ctl_server.c says: it may be locked */
#define ASK_EVERY (UINT64_C(100000000))
/* What is held of texts already, when a further one is refused: whoever opens them without end
 * has only himself to blame. */
#define HELD_MAX ((size_t)128 << 20)

struct opening {
	struct list link;		/* the client's, in the order they came; */
	struct making *making;		/* still there while it is made, then not NULL */
	struct client *client;
	fuse_req_t req;
	struct handle *h;
	void (*answer)(struct client *c, fuse_req_t req, struct handle *h, int error);
	struct loop_timer timer;
};

struct making {
	/* const while the thread runs */
	struct client *client;
	pthread_t thread;
	int which;			/* text.h */
	char namespace[CONF_NAME_MAX + 1];	/* "": the whole client */
	/* the thread's, until it has posted */
	struct text *text;
};

/* Those who wait. */

static void opening_free(struct opening *o)
{
	loop_disarm(o->client->loop, &o->timer);
	list_remove(&o->link);
	free(o);
}

static void answer(struct opening *o, int error)
{
	struct opening was = *o;

	opening_free(o);
	was.answer(was.client, was.req, was.h, error);
}

static void fire(struct loop_timer *t)
{
	struct opening *o = container_of(t, struct opening, timer);

	if (interrupt_fatal(fuse_req_ctx(o->req)->pid))
		answer(o, EINTR);
	else
		loop_arm(o->client->loop, t, loop_now(o->client->loop) + ASK_EVERY);
}

static void interrupted(fuse_req_t req, void *data)
{
	struct opening *o = data;

	(void)req;
	if (!o->timer.place)
		loop_arm(o->client->loop, &o->timer, loop_now(o->client->loop));
}

/* The making. */

static void start_next(struct client *c);

/* The thread's last word. */
static void made(void *arg)
{
	struct making *m = arg;
	struct client *c = m->client;
	struct list *pos, *keep;

	pthread_join(m->thread, NULL);
	c->making = NULL;
	c->texts_held += m->text ? m->text->length : 0;
	list_each_safe(pos, keep, &c->openings) {
		struct opening *o = container_of(pos, struct opening, link);

		if (o->making != m)
			continue;
		o->h->text = m->text;
		if (m->text)
			m->text->users++;
		answer(o, m->text ? 0 : EIO);
	}
	text_put(c, m->text);
	free(m);
	start_next(c);
}

static void *make(void *arg)
{
	struct making *m = arg;
	json_t *status;

	pthread_setname_np(pthread_self(), "rsiod-text");
	status = status_collect(m->client, NULL, m->namespace[0] ? m->namespace : NULL);
	m->text = status ? text_print(m->which, status) : NULL;
	json_decref(status);
	/* Without memory for a word: it is asked for until there is some, else they waited for ever. */
	while (loop_post(m->client->loop, made, m) == -ENOMEM)
		sched_yield();
	return NULL;
}

static int start_thread(struct making *m)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	/* Signals are the daemon's main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&m->thread, &attr, make, m);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return r;
}

/* For the first who waits, and who wants the same. */
static int begin(struct client *c, const struct opening *first)
{
	const struct node *node = first->h->node;
	struct making *m;
	struct list *pos;
	int r;

	if (!node->parent)
		return EIO;	/* its namespace is gone */
	if (c->texts_held >= HELD_MAX)
		return ENFILE;
	m = calloc(1, sizeof *m);
	if (!m)
		return ENOMEM;
	m->client = c;
	m->which = node->text;
	if (node->ns)
		snprintf(m->namespace, sizeof m->namespace, "%s", namespace_name(node->ns));
	r = start_thread(m);
	if (r) {
		free(m);
		return r;
	}
	c->making = m;
	list_each(pos, &c->openings) {
		struct opening *o = container_of(pos, struct opening, link);

		if (o->h->node == node)
			o->making = m;
	}
	return 0;
}

static void start_next(struct client *c)
{
	while (!c->making && !list_empty(&c->openings)) {
		struct opening *first = container_of(c->openings.next, struct opening, link);
		int r = begin(c, first);

		if (!r)
			return;
		log_debug("tree", "%s is not made: %s", first->h->node->name, strerror(r));
		answer(first, r);
	}
}

void opening_wait(struct client *c, fuse_req_t req, struct handle *h,
		  void (*call)(struct client *c, fuse_req_t req, struct handle *h, int error))
{
	struct opening *o = calloc(1, sizeof *o);

	if (!o) {
		call(c, req, h, ENOMEM);
		return;
	}
	*o = (struct opening){ .client = c, .req = req, .h = h, .answer = call, .timer.fire = fire };
	list_append(&c->openings, &o->link);
	fuse_req_interrupt_func(req, interrupted, o);
	start_next(c);
}

void opening_end(struct client *c)
{
	struct list *pos, *keep;

	list_each_safe(pos, keep, &c->openings)
		answer(container_of(pos, struct opening, link), ESHUTDOWN);
}

bool opening_busy(const struct client *c)
{
	return c->making;
}
