/*
 * takeover.c - why a command that is sent again to another server cannot be
 * overtaken by the copy that the first one got.
 *
 * THE DANGER is that of fence.c, with two servers on the same storage.  A client
 * wrote by way of server A and got no answer.  It sends the write to us, gets the
 * answer, and its application writes newer data to the same block.  Nobody may
 * be able to ask A: it hangs, or no path leads there.  If A carries out its copy
 * now, the newer data is gone.
 *
 * WHAT DECIDES IS A LOCK, and not a clock.  Whoever may write to a volume of
 * several servers for a client's life has a claim (claim.h): a lock on the byte of
 * that life and that server, on the storage itself.  TAKEOVER(A) is answered
 * with OK when the kernel says that A's byte is free.  Two things have to be true
 * for that to be a proof.
 *
 * (1) NO WRITE WITHOUT A CLAIM.  A handle of such a volume is given out by OPEN
 * only, and OPEN gives it when the session's claim is taken.  The session gives the
 * claim back as its very last act, when the last reference to it goes (client_put).
 * Each connection holds one until it is freed, and it is freed when its socket is
 * closed and its last job has come back from the workers (conn.c, `executing`).  So
 * while any thread of A is in the middle of a write, or anything is left that could
 * begin one, the byte is locked.
 *
 * (2) NO WRITE OF BEFORE UNDER A CLAIM OF AFTER.  A session takes its claim once and
 * keeps it to its end; that it is free means that this session is over.  After that
 * the same client may log in to A again and take the byte again, with another
 * session.  What that session carries out came over its own connections, so the
 * client sent it after it was let in there, knowing what it had sent to us.
 *
 * From these two:
 *
 * A WRITE THAT IS IN A'S DISK when A's process is killed: open-file-description locks
 * go with the last thread, and a thread in the middle of a write is not gone.  A
 * disk that is stuck keeps the claim, also when `kill -9` was long ago.
 *
 * A THAT IS STOPPED (SIGSTOP, a virtual machine that is paused, swapping) between a
 * check and its write keeps its lock.  We answer BUSY for as long as it takes: until
 * it goes on, finds its lease over and ends the session; or until it is killed; or
 * until `fence-command` says that it is off.
 *
 * BYTES THAT ARE HELD UP on their way to A, and arrive after our OK, arrive at a
 * connection whose session is over: its socket is closed, so the kernel throws them
 * away.  A login that was held up ends in a new session without any handle.  An OPEN
 * that was held up was not answered, so no write follows it that counts on it.
 *
 * A PING THAT IS HELD UP extends A's lease by nothing (lease.h): it carries the stamp
 * that A made, and A counts from that stamp.  But the lease has no part in the proof.
 * It is there so that a claim ends at all when its client is gone or is cut off, and
 * what would be wrong with it, a clock that jumps, a check that came too late, delays
 * an answer and harms nothing.
 *
 * A CLIENT THAT WAS RESTARTED has another life, and its earlier one may have left
 * writes at A.  So OPEN looks for claims of the same node for any other life, by
 * whomever, and is refused while there is one.  It takes its own first and then looks:
 * of two lives that come at the same time one sees the other, or both do and try
 * again.  On the same server rule 4 of fence.c has ended the earlier session.
 *
 * A RESTARTED SERVER A takes claims with the same id.  A byte of its earlier process
 * that is still locked is not to be had for the new one either, which waits.
 *
 * A SERVER THAT IS OFF may leave locks behind that a file system of several hosts gives
 * up late, or a stopped one keeps them for good.  What fence-command says of it is
 * believed for one process of it, whose life .server.ID names; that is read after the
 * lock was seen, and written before a lock is taken, so the life is that of the process
 * that holds the lock or of a later one.  A server that was started anew is not
 * covered by what was said of its earlier process.
 *
 * WHAT HAS TO BE TRUE OUTSIDE.  Both servers must mean the same directory.  One that
 * reaches the volume by another directory (a hard link, a copy, a wrong mount) would
 * lock where we do not look.  Each server writes .server.ID into the directory before
 * its first claim there; if A never did, it is not this directory that A uses, and we
 * refuse to answer.  And the file system's locks must hold between the servers' hosts;
 * one that takes a host's locks away has to have stopped that host's writes before.  A
 * thread must not leave the kernel while its write is on the way: network file
 * systems let a killed one go while the request travels on, so they are refused
 * (volume.c, check_remote).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "claim.h"
#include "conn.h"
#include "log.h"
#include "others.h"
#include "serve.h"
#include "server.h"

struct takeover_job {
	struct job job;			/* first; its handle is a reference */
	struct claim *claim;		/* the session's own */
	struct wire_takeover body;
	enum wire_status status;
	char text[WIRE_TEXT_MAX + 1];
};

static void __attribute__((format(printf, 3, 4))) set(struct takeover_job *t, enum wire_status status,
						      const char *fmt, ...)
{
	va_list ap;

	t->status = status;
	va_start(ap, fmt);
	vsnprintf(t->text, sizeof(t->text), fmt, ap);
	va_end(ap);
}

/* Does that server keep its claims where we look for them? */
static bool same_directory(struct takeover_job *t, const struct volume *v)
{
	const struct wire_takeover *b = &t->body;
	struct claim_server who;
	int r = claim_server_read(&v->place, b->server_id, &who);

	if (!r && strcmp(who.name, b->server) == 0)
		return true;
	if (!r)
		set(t, WIRE_E_UNSUPPORTED, "the server with id %u that uses the directory of volume %s is %s and not %s: "
		    "give each server an id of its own", b->server_id, v->name, who.name, b->server);
	else if (r == -ENOENT)
		set(t, WIRE_E_UNSUPPORTED, "server %s (id %u) never had a claim in the directory of volume %s here: "
		    "its volume is somewhere else", b->server, b->server_id, v->name);
	else
		set(t, WIRE_E_BUSY, "cannot read who uses the directory of volume %s: %s", v->name, strerror(-r));
	return false;
}

/* A claim that is held, or on a device may be: is the process that has it known to be off? */
static bool known_off(struct takeover_job *t, const struct client *c, const struct volume *v, uint64_t life)
{
	struct other_claim k = { .life = life, .id = t->body.server_id, .lease = c->lease.length, .device = v->device };
	struct claim_server who;

	memcpy(k.node, c->node, sizeof(k.node));
	memcpy(k.server, t->body.server, sizeof(k.server));
	/* Read after the lock was seen: whoever took it had written this before. */
	if (!v->device) {
		if (claim_server_read(&v->place, k.id, &who) < 0)
			return false;
		memcpy(k.server_life, who.life, sizeof(k.server_life));
	}
	return others_wait(c->server->others, &k);
}

static void ask_device(struct takeover_job *t, const struct client *c, const struct volume *v)
{
	if (!known_off(t, c, v, claim_life(c->life)))
		set(t, WIRE_E_BUSY, "no lock tells whether server %s (id %u) still writes to the device of volume %s: "
		    "fence-command has not said yet that it is off", t->body.server, t->body.server_id, v->name);
}

static void ask_file(struct takeover_job *t, const struct client *c, const struct volume *v)
{
	const struct wire_takeover *b = &t->body;
	struct claim_owner owner;
	int r;

	if (!same_directory(t, v))
		return;
	claim_owner_set(&owner, c->node, c->life);
	r = claim_elsewhere(t->claim, &v->place, &owner, b->server_id);
	if (r == 0)
		others_free(c->server->others, c->node, owner.life, b->server_id);
	else if (r < 0)
		set(t, WIRE_E_BUSY, "cannot learn whether server %s has a claim on the directory of volume %s: %s",
		    b->server, v->name, strerror(-r));
	else if (!known_off(t, c, v, owner.life))
		set(t, WIRE_E_BUSY, "server %s (id %u) still has its claim on the directory of volume %s for client %s",
		    b->server, b->server_id, v->name, c->node);
}

/* On a worker. */
static void run(struct job *j)
{
	struct takeover_job *t = (struct takeover_job *)j;
	const struct volume *v = j->handle->volume;

	j->result = 0;
	if (v->device)
		ask_device(t, j->conn->client, v);
	else
		ask_file(t, j->conn->client, v);
}

static void answer(struct conn *c, uint64_t cookie, enum wire_status status, const char *text)
{
	struct wire_reply r = { .type = WIRE_TAKEOVER, .cookie = cookie };

	if (status)
		conn_refuse(c, WIRE_TAKEOVER, cookie, status, text);
	else
		conn_reply(c, &r, NULL, 0);
}

/* Back on the loop. */
static void on_back(struct engine *l, struct message *m)
{
	struct takeover_job *t = (struct takeover_job *)m;
	struct conn *c = t->job.conn;

	(void)l;
	c->executing--;
	if (c->state != CONN_DEAD)
		answer(c, t->job.cookie, t->status, t->text);
	handle_put(t->job.handle);
	free(t);
	conn_touch(c);
}

static enum wire_status start(struct conn *c, struct handle *h, const struct wire_takeover *body)
{
	struct takeover_job *t = calloc(1, sizeof(*t));

	if (t && !h->volume->device)
		t->claim = client_claim(c->client, h->volume);
	if (!t || (!h->volume->device && !t->claim)) {
		free(t);
		return WIRE_E_NO_MEMORY;
	}
	t->body = *body;
	t->job = (struct job){
		.message.run = on_back,
		.loop = c->loop,
		.conn = c,
		.dropped = &c->closed,
		.work = &h->volume->work,
		.kind = JOB_SLOW,
		.run = run,
		.handle = handle_get(h),
		.cookie = c->request.cookie,
		.type = WIRE_TAKEOVER,
	};
	serve_queue(&t->job);
	return WIRE_OK;
}

static enum wire_status validate(struct server *s, const struct handle *h, const struct wire_takeover *body,
				 const char **why)
{
	*why = "that handle is not open";
	if (!h)
		return WIRE_E_HANDLE;
	/* It may have a server ended: not for who has lost the volume, or has nothing to write there. */
	*why = "this client may not see that volume any more";
	if (atomic_load(&h->volume->gone) || atomic_load(&h->revoked))
		return WIRE_E_NO_VOLUME;
	*why = "this client may not write to that volume";
	if (atomic_load(&h->reads_only))
		return WIRE_E_READ_ONLY;
	*why = "that volume is not shared with other servers";
	if (!h->volume->shared)
		return WIRE_E_INVALID;
	*why = "that is this server's own id";
	if (body->server_id == s->id)
		return WIRE_E_INVALID;
	*why = "on a shared device no lock can tell whether another server still writes, and this server has no fence-command";
	if (h->volume->device && !others_can_fence(s))
		return WIRE_E_UNSUPPORTED;
	return WIRE_OK;
}

int serve_takeover(struct conn *c, const uint8_t *payload, uint32_t length)
{
	struct handle *h = handle_find(&c->client->handles, c->request.handle);
	struct wire_takeover body;
	enum wire_status status;
	const char *why;

	if (wire_get_takeover(payload, length, &body, &why))
		return conn_fail(c, "%s", why);
	status = validate(c->client->server, h, &body, &why);
	if (!status) {
		why = "no memory";
		status = start(c, h, &body);
	}
	if (status)
		answer(c, c->request.cookie, status, why);
	return 0;
}
