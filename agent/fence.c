/*
 * fence.c - why a command that is sent again cannot land twice.
 *
 * THE DANGER.  A client wrote on connection A and got no answer.  It sends the
 * write again over B, gets the answer, and its application writes newer data to
 * the same block.  If A's copy, delayed in the network, in our receive buffer or
 * in a worker's queue, is carried out now, the newer data is gone.
 *
 * WHAT A FENCE PROVES.  FENCE(A) is answered when no command that ever arrived, or
 * may still arrive, over A can touch a volume any more:
 *
 * 1. A connection lives on one loop, and all that is done for it, but for the
 *    system calls of workers, is done there.  The fence travels there as a
 *    message.  conn_close runs to its end within that message: the socket is
 *    closed, so nothing that is in the network or in its receive buffer will ever be
 *    read; what frame.c kept of a receive is freed, so no frame will be handed out.
 *    A command carried out on the loop itself was carried out before.
 * 2. A command that a loop handed to the workers is counted in `executing` from
 *    before the hand-over until its job has come back to this loop.  conn_close sets
 *    `closed` and takes back what is queued.  A worker looks at `closed` before
 *    it begins a job.  Whether it looked before or after, the job is still counted,
 *    so the connection is finished only when it came back.
 * 3. The answer is made when the connection is finished, that is with executing
 *    at zero and nothing left that could raise it.
 *
 * Fences must not wait for each other: two connections that fence one another
 * both end.  So a FENCE under way holds its connection's memory (`fencing`), but
 * is not counted in `executing`.
 *
 * WHAT WAS DONE.  The answer also says which of the asked commands were carried
 * out, because these must not be sent again: a write done twice is harmless
 * only while nothing newer overlaps it, and a discard or a failed write has its
 * status.  A client asks only about commands that it has no answer to.  It uses a
 * slot again only after the answer to the slot's command has arrived, so of each
 * slot it can ask about the newest command alone, and one entry for each slot
 * is enough: done_note overwrites what nobody can ask for any more.  The note
 * is made on the connection's loop when the result is known, before the reply is
 * queued, for connections that died meanwhile too; a job taken back was not done
 * and is not noted.  Room for the note is made before the command starts, so
 * noting cannot fail.  Commands that change nothing are not noted; doing them
 * again is harmless.  OPEN of what is open, CLOSE of what is closed and LIST are
 * of that kind.
 *
 * A FENCE'S ANSWER MAY GET LOST TOO, and the client then asks again over another
 * connection; so the answer must stay the same.  The table of a finished
 * connection goes to the session and stays there until the session ends.  More than
 * DEAD_MAX of them are not kept: first go those whose answer has arrived, which the
 * client shows by using the FENCE's own slot again on the connection that asked
 * (a later PING would show nothing: it may have been sent before the answer came);
 * then the oldest.  Of a number whose table was dropped we say that we
 * do not know (WIRE_E_INVALID), never that nothing was done.  A connection that
 * changed nothing leaves no table; the answer for it is that nothing was done,
 * which is right for every number that was given out and not dropped.
 *
 * RULE 2, no path left and the same server comes back: the session is still here, the
 * new connection joins it, and its first command is the FENCE.
 *
 * RULE 4, a client daemon that was restarted: client.c ends the session of its
 * earlier life in the same way.  It closes each connection and answers AUTH only when
 * all are finished.
 *
 * THIS PROCESS ITSELF may be killed and started again.  The client then finds
 * another `life` in the welcome and takes it as proof that nothing of the old
 * process can write any more.  It is one: every pool and every volume file that
 * belongs to this server alone is opened under an open-file-description lock
 * (lock.c) that a process holds until its last thread has left the kernel.  A thread
 * in the middle of a write keeps the descriptors, and so the lock, until the
 * write is over; a new process gets the lock, and accepts logins, only afterwards.
 * What goes from one server to another, on volumes that both offer, is takeover.c's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "conn.h"
#include "log.h"
#include "server.h"

int done_reserve(struct done_table *t, uint64_t cookie)
{
	struct done_page **p = &t->pages[WIRE_SLOT(cookie) / DONE_PAGE];

	if (*p)
		return 0;
	*p = malloc(sizeof(**p));
	if (!*p)
		return -ENOMEM;
	memset((*p)->statuses, 0xff, sizeof((*p)->statuses));
	return 0;
}

void done_note(struct done_table *t, uint64_t cookie, enum wire_status status)
{
	struct done_page *p = t->pages[WIRE_SLOT(cookie) / DONE_PAGE];

	p->cookies[WIRE_SLOT(cookie) % DONE_PAGE] = cookie;
	p->statuses[WIRE_SLOT(cookie) % DONE_PAGE] = (uint16_t)status;
}

bool done_find(const struct done_table *t, uint64_t cookie, uint16_t *status)
{
	const struct done_page *p = t->pages[WIRE_SLOT(cookie) / DONE_PAGE];
	unsigned i = WIRE_SLOT(cookie) % DONE_PAGE;

	if (!p || p->statuses[i] == DONE_NONE || p->cookies[i] != cookie)
		return false;
	*status = p->statuses[i];
	return true;
}

bool done_empty(const struct done_table *t)
{
	for (unsigned i = 0; i < WIRE_IN_FLIGHT_MAX / DONE_PAGE; i++)
		if (t->pages[i])
			return false;
	return true;
}

void done_fini(struct done_table *t)
{
	for (unsigned i = 0; i < WIRE_IN_FLIGHT_MAX / DONE_PAGE; i++) {
		free(t->pages[i]);
		t->pages[i] = NULL;
	}
}

static void dead_drop(struct dead_list *l, struct dead **at)
{
	struct dead *d = *at;

	*at = d->next;
	l->count--;
	if (d->number > l->forgotten)
		l->forgotten = d->number;
	done_fini(&d->done);
	free(d);
}

static void dead_drop_one(struct dead_list *l)
{
	struct dead **at;

	for (at = &l->first; *at; at = &(*at)->next) {
		if ((*at)->answered) {
			dead_drop(l, at);
			return;
		}
	}
	dead_drop(l, &l->first);
}

void dead_add(struct dead_list *l, uint32_t number, struct done_table *done)
{
	struct dead **at = &l->first, *d;

	if (done_empty(done))
		return;
	d = calloc(1, sizeof(*d));
	if (!d) {
		done_fini(done);
		if (number > l->forgotten)
			l->forgotten = number;
		return;
	}
	d->number = number;
	d->done = *done;
	memset(done, 0, sizeof(*done));
	while (*at && (*at)->number < number)
		at = &(*at)->next;
	d->next = *at;
	*at = d;
	if (++l->count > DEAD_MAX)
		dead_drop_one(l);
}

static struct dead *dead_find(const struct dead_list *l, uint32_t number)
{
	struct dead *d;

	for (d = l->first; d; d = d->next)
		if (d->number == number)
			return d;
	return NULL;
}

void dead_answered(struct dead_list *l, uint32_t number)
{
	struct dead *d = dead_find(l, number);

	if (d)
		d->answered = true;
}

enum wire_status dead_answer(const struct dead_list *l, struct wire_fence *f)
{
	const struct dead *d = dead_find(l, f->connection);
	size_t asked = f->count;

	if (!d && f->connection <= l->forgotten)
		return WIRE_E_INVALID;
	f->count = 0;
	for (size_t i = 0; d && i < asked; i++) {
		uint16_t status;

		if (!done_find(&d->done, f->cookies[i], &status))
			continue;
		f->cookies[f->count] = f->cookies[i];
		f->statuses[f->count++] = status;
	}
	return WIRE_OK;
}

void dead_fini(struct dead_list *l)
{
	while (l->first)
		dead_drop(l, &l->first);
}

/* Back on the loop of the connection that asked. */
static void on_answer(struct engine *l, struct message *m)
{
	struct fence *f = (struct fence *)m;
	struct conn *c = f->asker;
	struct wire_reply r = { .type = WIRE_FENCE, .cookie = f->cookie, .status = (uint16_t)f->status };
	uint8_t body[WIRE_FENCE_MAX];

	(void)l;
	c->fencing--;
	c->holds--;
	if (c->state == CONN_DEAD) {
		conn_release(c);
	} else if (f->status != WIRE_OK) {
		conn_refuse(c, WIRE_FENCE, f->cookie, f->status, "that connection's commands are not known any more");
		conn_touch(c);
	} else {
		conn_reply(c, &r, body, (uint32_t)wire_put_fence(body, &f->body, true));
		if (c->fenced_count < CONN_FENCES_MAX) {
			c->fenced[c->fenced_count].slot = (int32_t)WIRE_SLOT(f->cookie);
			c->fenced[c->fenced_count++].number = f->body.connection;
		}
		conn_touch(c);
	}
	client_put(f->client);
	free(f);
}

/* The connection is finished: its table is with the session. */
static void answer(struct fence *f)
{
	struct clients *t = f->client->server->clients;

	clients_lock(t);
	f->status = dead_answer(&f->client->dead, &f->body);
	clients_unlock(t);
	f->message.run = on_answer;
	engine_post(f->asker_loop, &f->message);
}

/* On the loop where the connection to be fenced lives, or lived. */
static void on_target(struct engine *l, struct message *m)
{
	struct fence *f = (struct fence *)m;
	struct conn *c = conn_find(l, f->client, f->body.connection);

	if (c) {
		f->next = c->fences;
		c->fences = f;
		conn_close(c, LOG_LEVEL_INFO, "fenced by connection %u", f->asker->number);
	} else {
		answer(f);
	}
}

void fence_finished(struct conn *c)
{
	while (c->fences) {
		struct fence *f = c->fences;

		c->fences = f->next;
		answer(f);
	}
}

void fence_answer_arrived(struct conn *c, uint32_t slot)
{
	struct clients *t = c->client->server->clients;
	unsigned kept = 0;

	for (unsigned i = 0; i < c->fenced_count; i++) {
		if (c->fenced[i].slot != (int32_t)slot) {
			c->fenced[kept++] = c->fenced[i];
			continue;
		}
		clients_lock(t);
		dead_answered(&c->client->dead, c->fenced[i].number);
		clients_unlock(t);
	}
	c->fenced_count = kept;
}

enum wire_status fence_start(struct conn *c, uint64_t cookie, const struct wire_fence *body)
{
	struct clients *t = c->client->server->clients;
	struct engine *target = NULL;
	struct fence *f;
	bool given_out;

	if (body->connection == c->number)
		return WIRE_E_INVALID;
	if (c->fencing >= CONN_FENCES_MAX)
		return WIRE_E_LIMIT;
	f = malloc(sizeof(*f));
	if (!f)
		return WIRE_E_NO_MEMORY;
	f->body = *body;
	f->cookie = cookie;
	f->asker = c;
	f->asker_loop = c->loop;
	clients_lock(t);
	given_out = body->connection && body->connection < c->client->next_connection;
	for (unsigned i = 0; i < c->client->conn_count; i++)
		if (c->client->conns[i]->number == body->connection)
			target = c->client->conns[i]->loop;
	clients_unlock(t);
	if (!given_out) {
		free(f);
		return WIRE_E_INVALID;
	}
	f->client = client_get(c->client);
	c->fencing++;
	c->holds++;
	if (target) {
		f->message.run = on_target;
		engine_post(target, &f->message);
	} else {
		answer(f);
	}
	return WIRE_OK;
}
