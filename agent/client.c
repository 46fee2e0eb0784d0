/*
 * client.c - see client.h.
 *
 * One lock, clients.lock, guards all sessions' cold state: logins, the ends of
 * connections, OPEN and CLOSE (client_open.c), events (client_event.c).  The data path
 * never takes it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "claim.h"
#include "conn.h"
#include "log.h"
#include "registry.h"
#include "secure.h"
#include "server.h"
#include "workers.h"

struct clients {
	struct server *server;
	pthread_mutex_t lock;
	struct client *first;
	unsigned count;
	struct client *indexes[CLIENTS_MAX];
	struct client *ended;		/* unlinked; put when the lock is released */
	bool close_again;		/* there was no memory to have a connection closed */
};

struct clients *clients_new(struct server *s, struct err *e)
{
	struct clients *t = calloc(1, sizeof(*t));

	if (!t) {
		err_set(e, ENOMEM, "cannot start: no memory");
		return NULL;
	}
	t->server = s;
	pthread_mutex_init(&t->lock, NULL);
	work_init(s->workers, &s->reserve_work, 0, 1);
	return t;
}

void client_put(struct client *c)
{
	if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	handle_table_fini(&c->handles);
	dead_fini(&c->dead);
	claims_release(c->claims);
	free(c->turns);
	free(c);
}

void clients_lock(struct clients *t)
{
	pthread_mutex_lock(&t->lock);
}

/* The last reference to a session closes descriptors: not under the lock. */
void clients_unlock(struct clients *t)
{
	struct reserve_news *news = reserve_news(t->server);
	struct client *ended = t->ended, *next;

	t->ended = NULL;
	pthread_mutex_unlock(&t->lock);
	reserve_tell(t->server, news);
	for (; ended; ended = next) {
		next = ended->next;
		client_put(ended);
	}
}

struct client *clients_first(struct clients *t)
{
	return t->first;
}

unsigned clients_count(struct clients *t)
{
	unsigned n;

	clients_lock(t);
	n = t->count;
	clients_unlock(t);
	return n;
}

struct client *client_get(struct client *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

/* Out of the table: its last connection is finished. */
static void unlink_client(struct clients *t, struct client *c)
{
	struct client **at;

	for (at = &t->first; *at != c; at = &(*at)->next)
		;
	*at = c->next;
	t->indexes[c->index] = NULL;
	atomic_store(&t->server->client_count, --t->count);
	reserve_end(c);
	while (c->waiting) {
		struct conn *w = c->waiting;

		c->waiting = w->next_waiting;
		w->waits_for = NULL;
		engine_post(w->loop, &w->again);
	}
	c->next = t->ended;
	t->ended = c;
}

void clients_free(struct clients *t)
{
	if (!t)
		return;
	clients_lock(t);
	while (t->first)
		unlink_client(t, t->first);
	clients_unlock(t);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static struct client *find_session(struct clients *t, const uint8_t id[WIRE_SESSION_SIZE])
{
	static const uint8_t none[WIRE_SESSION_SIZE];
	struct client *c;

	if (memcmp(id, none, sizeof(none)) == 0)
		return NULL;
	for (c = t->first; c; c = c->next)
		if (secure_equal(c->id, id, WIRE_SESSION_SIZE))
			return c;
	return NULL;
}

static enum login_result refuse(enum wire_status *status, char *text, enum wire_status s, const char *why)
{
	*status = s;
	snprintf(text, WIRE_TEXT_MAX + 1, "%s", why);
	return LOGIN_REFUSED;
}

static enum login_result join(struct client *c, struct conn *conn, enum wire_status *status, char *text)
{
	if (c->conn_count == CLIENT_CONNS_MAX)
		return refuse(status, text, WIRE_E_LIMIT, "this session has 64 connections already");
	c->conns[c->conn_count++] = conn;
	conn->client = client_get(c);
	conn->number = c->next_connection++;
	snprintf(c->address, sizeof(c->address), "%s", conn->host);
	return LOGIN_DONE;
}

static struct client *make(struct clients *t, const struct login_request *q)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->turns = turns_new(t->server->loop_count);
	if (!c->turns || secure_random(c->id, sizeof(c->id)) < 0) {
		free(c->turns);
		free(c);
		return NULL;
	}
	c->server = t->server;
	atomic_init(&c->refs, 1);
	memcpy(c->node, q->node, sizeof(c->node));
	memcpy(c->machine, q->machine, sizeof(c->machine));
	memcpy(c->boot, q->boot, sizeof(c->boot));
	memcpy(c->run, q->run, sizeof(c->run));
	memcpy(c->life, q->life, sizeof(c->life));
	lease_init(&c->lease, q->lease);
	c->since = clock_now();
	c->next_connection = 1;
	while (t->indexes[c->index])
		c->index++;
	t->indexes[c->index] = c;
	c->next = t->first;
	t->first = c;
	atomic_store(&t->server->client_count, ++t->count);
	return c;
}

/* Asks every connection of it to close, each on its own loop. */
struct close_message {
	struct message message;
	struct client *client;		/* a reference */
	uint32_t number;
	const char *why;
};

static void on_close(struct engine *l, struct message *m)
{
	struct close_message *k = (struct close_message *)m;
	struct conn *c = conn_find(l, k->client, k->number);

	if (c)
		conn_close(c, LOG_LEVEL_INFO, "%s", k->why);
	client_put(k->client);
	free(k);
}

static void close_conn(struct client *c, struct conn *conn, const char *why)
{
	struct close_message *k = malloc(sizeof(*k));

	/* Whose key is gone must not stay for want of memory: clients_tick tries again. */
	if (!k) {
		c->server->clients->close_again = true;
		return;
	}
	k->message.run = on_close;
	k->client = client_get(c);
	k->number = conn->number;
	k->why = why;
	engine_post(conn->loop, &k->message);
}

/* All of them, or those without TLS. */
static void close_some(struct client *c, bool secure_too, const char *why)
{
	for (unsigned i = 0; i < c->conn_count; i++)
		if (secure_too || !c->conns[i]->secure)
			close_conn(c, c->conns[i], why);
}

static void close_conns(struct client *c, const char *why)
{
	close_some(c, true, why);
}

static void end_client(struct clients *t, struct client *c, const char *why)
{
	if (!c->conn_count) {
		unlink_client(t, c);
		return;
	}
	if (!c->ending)
		close_conns(c, why);
	c->ending = true;
}

static bool same_client(const struct client *c, const struct login_request *q)
{
	return memcmp(c->machine, q->machine, sizeof(c->machine)) == 0 &&
	       memcmp(c->boot, q->boot, sizeof(c->boot)) == 0 &&
	       memcmp(c->run, q->run, sizeof(c->run)) == 0;
}

/* Another client with this node name: has it shown itself lately? */
static bool alive(const struct client *c)
{
	return c->conn_count || clock_now() - c->heard < WIRE_LEASE * SECOND;
}

/* The earlier session of this node, if there is one, has to go first.
 * LOGIN_DONE: there is none. */
static enum login_result replace(struct clients *t, struct conn *conn, const struct login_request *q,
				 enum wire_status *status, char *text)
{
	struct client *c, *next;
	bool gone;

	for (c = t->first; c; c = next) {
		next = c->next;
		if (strcmp(c->node, q->node) != 0)
			continue;
		if (!same_client(c, q) && !c->ending && alive(c)) {
			snprintf(text, WIRE_TEXT_MAX + 1, "node name %s is logged in from another machine or run directory, at %s; "
				 "give this one a name and key of its own, or wait %d s after that one ended",
				 q->node, c->address, WIRE_LEASE);
			*status = WIRE_E_IN_USE;
			return LOGIN_REFUSED;
		}
		gone = !c->conn_count;
		end_client(t, c, "replaced by a new session of its client");
		if (gone)
			continue;
		conn->next_waiting = c->waiting;
		c->waiting = conn;
		conn->waits_for = c;
		return LOGIN_WAIT;
	}
	return LOGIN_DONE;
}

/* With the table full the session that was longest without a connection goes. */
static bool make_room(struct clients *t)
{
	struct client *oldest = NULL;

	if (t->count < CLIENTS_MAX)
		return true;
	for (struct client *c = t->first; c; c = c->next)
		if (!c->conn_count && (!oldest || c->heard < oldest->heard) && !alive(c))
			oldest = c;
	if (oldest)
		unlink_client(t, oldest);
	return oldest != NULL;
}

static enum login_result login_locked(struct clients *t, struct conn *conn, const struct login_request *q,
				      enum wire_status *status, char *text)
{
	struct client *c = find_session(t, q->session);
	enum login_result r;

	if (atomic_load(&t->server->leaving))
		return refuse(status, text, WIRE_E_LEAVING, "this server is shutting down");
	if (c && !c->ending && strcmp(c->node, q->node) == 0 &&
	    memcmp(c->life, q->life, sizeof(c->life)) == 0)
		return join(c, conn, status, text);
	r = replace(t, conn, q, status, text);
	if (r != LOGIN_DONE)
		return r;
	if (!make_room(t))
		return refuse(status, text, WIRE_E_LIMIT, "this server has 256 sessions already");
	c = make(t, q);
	if (!c)
		return refuse(status, text, WIRE_E_NO_MEMORY, "this server is out of memory");
	return join(c, conn, status, text);
}

enum login_result client_login(struct clients *t, struct conn *c, const struct login_request *q,
			       enum wire_status *status, char text[WIRE_TEXT_MAX + 1])
{
	enum login_result r;

	clients_lock(t);
	r = login_locked(t, c, q, status, text);
	clients_unlock(t);
	return r;
}

bool client_login_cancel(struct clients *t, struct conn *c)
{
	struct conn **at;
	bool found;

	clients_lock(t);
	found = c->waits_for != NULL;
	if (found) {
		for (at = &c->waits_for->waiting; *at != c; at = &(*at)->next_waiting)
			;
		*at = c->next_waiting;
		c->waits_for = NULL;
	}
	clients_unlock(t);
	return found;
}

static void add_traffic(struct traffic *to, struct traffic *from)
{
	COUNT(to->commands, from->commands);
	COUNT(to->errors, from->errors);
	COUNT(to->read_bytes, from->read_bytes);
	COUNT(to->written_bytes, from->written_bytes);
	COUNT(to->reads, from->reads);
	COUNT(to->writes, from->writes);
	COUNT(to->flushes, from->flushes);
	COUNT(to->others, from->others);
}

void client_conn_finished(struct clients *t, struct conn *conn)
{
	struct client *c = conn->client;
	unsigned i = 0;

	clients_lock(t);
	while (c->conns[i] != conn)
		i++;
	c->conns[i] = c->conns[--c->conn_count];
	dead_add(&c->dead, conn->number, &conn->done);
	add_traffic(&c->past, &conn->traffic);
	c->heard = conn->heard;
	c->goodbye = conn->bye;
	if (!c->conn_count && (c->ending || c->goodbye))
		unlink_client(t, c);
	clients_unlock(t);
}

void clients_tick(struct clients *t, uint64_t now)
{
	struct client *c, *next;
	bool again;

	clients_lock(t);
	again = t->close_again;
	t->close_again = false;
	for (c = t->first; c; c = next) {
		next = c->next;
		if (again && c->ending)
			close_conns(c, "its session ends");
		if (c->conn_count || now < c->heard + CLIENT_FORGET)
			continue;
		log_info("client", "%s: forgotten, it had no connection for %llu s", c->node,
			 CLIENT_FORGET / SECOND);
		unlink_client(t, c);
	}
	clients_unlock(t);
	if (again)
		clients_check_keys(t, t->server->conf);
}

unsigned clients_end_leases(struct clients *t, uint64_t now)
{
	struct client *c, *next;
	unsigned n = 0;

	clients_lock(t);
	for (c = t->first; c; c = next) {
		next = c->next;
		if (!atomic_load(&c->lease.runs))
			continue;
		n++;
		if (!lease_over(&c->lease, now))
			continue;
		if (!c->ending)
			log_warning("client", "%s: no ping of it came back for too long, its lease is over and its session ends",
				    c->node);
		end_client(t, c, "its lease is over");
	}
	clients_unlock(t);
	return n;
}

/* How many of its connections have a key that their node still has; their places are
 * looked up anew. */
static unsigned count_with_key(struct client *c, const struct conf_server *now)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->conn_count; i++) {
		c->conns[i]->key_place = access_key_place(now, c->node, c->conns[i]->key_id);
		n += c->conns[i]->key_place != 0;
	}
	return n;
}

/* One that has no connection can be joined only by who has a key of now. */
void clients_check_keys(struct clients *t, const struct conf_server *now)
{
	static const char why[] = "the node's key was changed or removed";
	struct client *c, *next;
	unsigned good;

	clients_lock(t);
	for (c = t->first; c; c = next) {
		next = c->next;
		if (now->security == CONF_SECURITY_TLS)
			close_some(c, false, "tls is asked for from now on");
		good = count_with_key(c, now);
		if (!access_node(now, c->node) || (c->conn_count && !good)) {
			log_info("client", "%s: its key was changed or removed, its session ends", c->node);
			end_client(t, c, why);
		}
		for (unsigned i = 0; good && i < c->conn_count; i++)
			if (!c->conns[i]->key_place)
				close_conn(c, c->conns[i], why);
	}
	clients_unlock(t);
}

void clients_revoke(struct clients *t, const struct volume *v)
{
	clients_lock(t);
	registry_lock(t->server->registry);
	for (struct client *c = t->first; c; c = c->next) {
		bool writes = registry_may_write(v, c->node);

		if (registry_visible(v, c->node))
			handle_limit(&c->handles, v, !writes);
		else
			handle_revoke(&c->handles, v);
		if (!writes)
			reserve_lose(c, v);
	}
	registry_unlock(t->server->registry);
	clients_unlock(t);
}

void clients_close_all(struct clients *t, const char *why)
{
	clients_lock(t);
	for (struct client *c = t->first; c; c = c->next)
		close_conns(c, why);
	clients_unlock(t);
}

unsigned clients_connected(struct clients *t)
{
	unsigned n = 0;

	clients_lock(t);
	for (struct client *c = t->first; c; c = c->next)
		n += c->conn_count;
	clients_unlock(t);
	return n;
}
