/* others.c - see others.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "engine.h"
#include "fence_command.h"
#include "log.h"
#include "others.h"
#include "server.h"

#define IDS 256			/* server ids are 0..255 */
#define WAITS_MAX 1024
#define ASKED_AGAIN (5 * SECOND)	/* who did not ask for so long does not wait any more */
#define GRACE SECOND			/* beyond the lease */
#define PAUSE (10 * SECOND)		/* between two runs for one server */
#define DEVICE_WORD (5 * SECOND)	/* how long a word about a device's server counts */

struct wait {
	struct wait *next;
	struct other_claim claim;
	uint64_t since, asked;
	bool warned;
};

/* What fence-command said of a server. */
struct word {
	bool running, said, off;
	uint64_t at;			/* when the last run ended */
	uint8_t life[16];		/* of the process that it was about */
	char server[WIRE_NAME_MAX + 1];	/* that it was about: a client's word, of a device */
	bool device;
};

struct others {
	struct server *server;
	pthread_mutex_t lock;
	struct wait *waits;
	unsigned count;
	struct word words[IDS];
};

struct others *others_new(struct server *s, struct err *e)
{
	struct others *o = calloc(1, sizeof(*o));

	if (!o) {
		err_set(e, ENOMEM, "cannot start: no memory");
		return NULL;
	}
	o->server = s;
	pthread_mutex_init(&o->lock, NULL);
	return o;
}

/* NULL: there is none. */
static char *command_of(struct server *s)
{
	char *command;

	pthread_rwlock_rdlock(&s->conf_lock);
	command = s->conf && s->conf->fence_command ? strdup(s->conf->fence_command) : NULL;
	pthread_rwlock_unlock(&s->conf_lock);
	return command;
}

bool others_can_fence(struct server *s)
{
	char *command = command_of(s);

	free(command);
	return command != NULL;
}

/*
 * Who waits.
 */
static struct wait **find(struct others *o, const char *node, uint64_t life, uint16_t id)
{
	struct wait **at;

	for (at = &o->waits; *at; at = &(*at)->next)
		if ((*at)->claim.id == id && (*at)->claim.life == life && !strcmp((*at)->claim.node, node))
			break;
	return at;
}

static void drop(struct others *o, struct wait **at)
{
	struct wait *w = *at;

	*at = w->next;
	o->count--;
	free(w);
}

static void drop_old(struct others *o, uint64_t now)
{
	struct wait **at = &o->waits;

	while (*at) {
		if (now - (*at)->asked > ASKED_AGAIN)
			drop(o, at);
		else
			at = &(*at)->next;
	}
}

static struct wait *note(struct others *o, const struct other_claim *k, uint64_t now)
{
	struct wait *w;

	drop_old(o, now);
	w = *find(o, k->node, k->life, k->id);
	if (!w) {
		w = o->count < WAITS_MAX ? calloc(1, sizeof(*w)) : NULL;
		if (!w)
			return NULL;
		log_info("takeover", "client %s waits for server %s (id %u), which still has its claim", k->node,
			 k->server, k->id);
		w->claim = *k;
		w->since = now;
		w->next = o->waits;
		o->waits = w;
		o->count++;
	}
	/* Another process of that server: it has all the time that a lease lasts. */
	if (memcmp(w->claim.server_life, k->server_life, sizeof(k->server_life)) != 0)
		w->since = now;
	w->claim = *k;
	w->asked = now;
	return w;
}

void others_free(struct others *o, const char *node, uint64_t life, uint16_t id)
{
	struct wait **at;

	if (!o)
		return;
	pthread_mutex_lock(&o->lock);
	at = find(o, node, life, id);
	if (*at) {
		log_info("takeover", "client %s goes on without server %s (id %u), after %.2f s", node,
			 (*at)->claim.server, id, (double)(clock_now() - (*at)->since) / SECOND);
		drop(o, at);
	}
	pthread_mutex_unlock(&o->lock);
}

/*
 * Fencing.
 */
struct run {
	struct others *others;
	char *command;
	struct fence_target target;
	uint8_t life[16];
	bool device;
};

static void *run_thread(void *arg)
{
	struct run *r = arg;
	struct others *o = r->others;
	bool off = fence_command_run(r->command, &r->target);
	struct word *w = &o->words[r->target.id];

	pthread_mutex_lock(&o->lock);
	w->running = false;
	w->said = true;
	w->off = off;
	w->at = clock_now();
	w->device = r->device;
	memcpy(w->life, r->life, sizeof(w->life));
	memcpy(w->server, r->target.server, sizeof(w->server));
	pthread_mutex_unlock(&o->lock);
	free(r->command);
	free(r);
	return NULL;
}

/* Under no lock; the word says that it runs already.  False: it does not. */
static bool start_run(struct others *o, const struct other_claim *k)
{
	struct run *r = calloc(1, sizeof(*r));
	pthread_attr_t attr;
	pthread_t t;
	int error;

	if (!r || !(r->command = command_of(o->server))) {
		free(r);
		return false;
	}
	r->others = o;
	r->device = k->device;
	r->target.id = k->id;
	memcpy(r->target.server, k->server, sizeof(r->target.server));
	memcpy(r->target.client, k->node, sizeof(r->target.client));
	memcpy(r->life, k->server_life, sizeof(r->life));
	pthread_rwlock_rdlock(&o->server->conf_lock);
	memcpy(r->target.namespace, o->server->conf->namespace, sizeof(r->target.namespace));
	pthread_rwlock_unlock(&o->server->conf_lock);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	error = pthread_create(&t, &attr, run_thread, r);
	pthread_attr_destroy(&attr);
	if (error) {
		free(r->command);
		free(r);
	}
	return !error;
}

/* Under the lock: it waited for longer than any lease lasts. */
static bool shall_fence(struct others *o, const struct wait *w, uint64_t now)
{
	struct word *word = &o->words[w->claim.id];

	if (now - w->since < w->claim.lease + GRACE || word->running || (word->said && now - word->at < PAUSE))
		return false;
	word->running = true;
	return true;
}

static void cannot_fence(struct others *o, const struct other_claim *k)
{
	struct wait *w;
	bool warn;

	pthread_mutex_lock(&o->lock);
	o->words[k->id].running = false;
	w = *find(o, k->node, k->life, k->id);
	warn = w && !w->warned;
	if (w)
		w->warned = true;
	pthread_mutex_unlock(&o->lock);
	if (warn)
		log_warning("takeover", "client %s still waits for server %s (id %u): it hangs, or its disk does; "
			    "end its process or its host, or set fence-command", k->node, k->server, k->id);
}

static bool is_off(const struct word *w, const struct other_claim *k, uint64_t now)
{
	if (!w->said || !w->off || w->device != k->device)
		return false;
	if (k->device)
		return now - w->at < DEVICE_WORD && strcmp(w->server, k->server) == 0;
	return memcmp(w->life, k->server_life, sizeof(w->life)) == 0;
}

bool others_wait(struct others *o, const struct other_claim *k)
{
	bool off, now_fence;
	struct wait *w;
	uint64_t now;

	if (!o || k->id >= IDS)
		return false;
	pthread_mutex_lock(&o->lock);
	now = clock_now();	/* not before: nothing that is noted here may be later than now */
	off = is_off(&o->words[k->id], k, now);
	w = off ? NULL : note(o, k, now);
	now_fence = w && shall_fence(o, w, now);
	pthread_mutex_unlock(&o->lock);
	if (now_fence && !start_run(o, k))
		cannot_fence(o, k);
	return off;
}

/*
 * For the status.
 */
static json_t *waits_json(struct others *o, uint64_t now)
{
	json_t *list = json_array();

	drop_old(o, now);
	for (struct wait *w = o->waits; w; w = w->next)
		json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:f}", "client", w->claim.node,
			"server", w->claim.server, "server_id", (int)w->claim.id,
			"seconds", (double)(now - w->since) / SECOND));
	return list;
}

static json_t *words_json(struct others *o, uint64_t now)
{
	json_t *list = json_array();

	for (int id = 0; id < IDS; id++) {
		const struct word *w = &o->words[id];

		if (!w->running && !w->said)
			continue;
		json_array_append_new(list, json_pack("{s:i, s:s, s:f}", "server_id", id,
			"state", w->running ? "running" : w->off ? "off" : "failed",
			"seconds", w->said ? (double)(now - w->at) / SECOND : 0.0));
	}
	return list;
}

json_t *others_json(struct others *o)
{
	uint64_t now;
	json_t *j;

	if (!o)
		return json_null();
	pthread_mutex_lock(&o->lock);
	now = clock_now();
	j = json_pack("{s:o, s:o}", "waits", waits_json(o, now), "fences", words_json(o, now));
	pthread_mutex_unlock(&o->lock);
	return j;
}
