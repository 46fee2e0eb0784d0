/* status.c - see status.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "audit.h"
#include "bounds.h"
#include "claim.h"
#include "conn.h"
#include "listen.h"
#include "log.h"
#include "others.h"
#include "registry.h"
#include "status.h"
#include "status_numbers.h"
#include "text.h"
#include "throttle.h"
#include "watch.h"

static json_int_t get(_Atomic uint64_t *n)
{
	return (json_int_t)atomic_load_explicit(n, memory_order_relaxed);
}

static json_t *traffic_json(struct traffic *t)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "commands", get(&t->commands), "errors", get(&t->errors),
			 "reads", get(&t->reads), "writes", get(&t->writes),
			 "flushes", get(&t->flushes), "others", get(&t->others),
			 "read_bytes", get(&t->read_bytes), "write_bytes", get(&t->written_bytes));
}

static json_t *conn_json(struct conn *c)
{
	json_t *j = traffic_json(&c->traffic);

	json_object_set_new(j, "number", json_integer(c->number));
	json_object_set_new(j, "address", json_string(c->peer));
	json_object_set_new(j, "portal", json_string(c->portal));
	json_object_set_new(j, "security", json_string(c->secure ? "tls" : "auth"));
	json_object_set_new(j, "key", json_string(access_key_name(c->key_place)));
	json_object_set_new(j, "in_flight", json_integer(atomic_load(&c->in_flight_seen)));
	return j;
}

/* What it may still do for how long: null, but for a session that has volumes of several servers. */
static json_t *lease_json(const struct client *c, uint64_t now)
{
	uint64_t end = lease_end(&c->lease);
	json_t *claims;

	if (!atomic_load(&c->lease.runs))
		return json_null();
	claims = json_array();
	for (const struct claim *k = c->claims; k; k = k->next)
		if (claim_held(k))
			json_array_append_new(claims, json_string(k->path));
	return json_pack("{s:f, s:f, s:o}", "length", (double)c->lease.length / SECOND,
			 "left", end > now ? (double)(end - now) / SECOND : 0.0, "claims", claims);
}

static json_t *client_json(struct client *c, uint64_t now)
{
	json_t *conns = json_array();
	json_t *j = json_pack("{s:i, s:s, s:s, s:I, s:I, s:i, s:b}", "number", (int)c->index,
			      "node", c->node, "address", c->address,
			      "seconds", (json_int_t)((now - c->since) / SECOND),
			      "bytes_in_flight", (json_int_t)atomic_load(&c->bytes),
			      "open_volumes", (int)c->handles.count, "ending", c->ending);

	for (unsigned i = 0; i < c->conn_count; i++)
		json_array_append_new(conns, conn_json(c->conns[i]));
	json_object_set_new(j, "lease", lease_json(c, now));
	json_object_set_new(j, "connections", conns);
	json_object_set_new(j, "past", traffic_json(&c->past));
	status_add_client(j, c);
	return j;
}

static json_t *clients_json(struct server *s)
{
	json_t *list = json_array();
	uint64_t now = clock_now();

	clients_lock(s->clients);
	for (struct client *c = clients_first(s->clients); c; c = c->next)
		json_array_append_new(list, client_json(c, now));
	clients_unlock(s->clients);
	return list;
}

/*
 * VOLUMES.  There may be very many, and who opens one waits for the registry's lock: it is held
 * to take references of all, and for each again to copy what it guards, but never while
 * anything is described.  What is shown is the list of one moment; each volume in it is
 * as it was when its turn came, and one that went meanwhile is shown as it was last.
 */
struct guarded {
	uint32_t id;
	int av;
	char reserved_by[WIRE_NAME_MAX + 1];
	char **clients;			/* a copy; NULL: all */
};

/* False: no memory. */
static bool copy_guarded(struct volume *v, struct guarded *g)
{
	bool ok;

	registry_lock(v->server->registry);
	g->id = v->id;
	g->av = v->av;
	memcpy(g->reserved_by, v->reserved_by, sizeof(g->reserved_by));
	g->clients = strings_copy(v->clients);
	ok = g->clients || !v->clients;
	registry_unlock(v->server->registry);
	return ok;
}

static json_t *volume_json(struct volume *v)
{
	char uuid[UUID_TEXT], generation[24];
	struct guarded g;
	json_t *clients, *j;

	if (!copy_guarded(v, &g))
		return NULL;
	clients = g.clients ? json_array() : json_null();
	uuid_format(v->uuid, uuid);
	/* As text: many readers of JSON keep 53 bits of a number. */
	snprintf(generation, sizeof(generation), "%llu", (unsigned long long)v->generation);
	j = json_pack("{s:i, s:s, s:I, s:s, s:s, s:s, s:s, s:i, s:b, s:b, s:b, s:i, s:I}",
		      "id", (int)g.id, "name", v->name, "size", (json_int_t)atomic_load(&v->size),
		      "uuid", uuid, "generation", generation, "path", v->path, "store", v->ops->name,
		      "av", g.av, "read_only", (int)atomic_load(&v->read_only), "shared", v->shared,
		      "flush_failed", (int)atomic_load(&v->flush_failed),
		      "opens", (int)atomic_load(&v->opens), "errors", get(&v->errors));
	json_object_set_new(j, "pool", v->pool ? json_string(v->pool) : json_null());
	for (char **p = g.clients; p && *p; p++)
		json_array_append_new(clients, json_string(*p));
	json_object_set_new(j, "clients", clients);
	json_object_set_new(j, "reserved_by", *g.reserved_by ? json_string(g.reserved_by) : json_null());
	json_object_set_new(j, "limits", throttle_json(v, NULL));
	status_add_numbers(j, v);
	strings_free(g.clients);
	return j;
}

json_t *status_volumes_json(struct server *s)
{
	json_t *list = json_array();
	size_t n;
	struct volume **all = registry_all(s->registry, NULL, &n);

	for (size_t i = 0; i < n; i++) {
		json_array_append_new(list, volume_json(all[i]));
		volume_put(all[i]);
	}
	free(all);
	return list;
}

static json_int_t resident(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return (json_int_t)pages * sysconf(_SC_PAGESIZE);
}

static double seconds(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static json_t *process_json(struct server *s)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return json_pack("{s:i, s:I, s:f, s:f, s:I, s:I, s:I, s:i, s:i}", "pid", (int)getpid(),
			 "uptime", (json_int_t)((clock_now() - s->started) / SECOND),
			 "cpu_user", seconds(&r.ru_utime), "cpu_system", seconds(&r.ru_stime),
			 "memory", resident(), "buffers", (json_int_t)atomic_load(&s->memory.used),
			 "buffers_peak", (json_int_t)atomic_load(&s->memory.peak),
			 "loops", (int)s->loop_count, "workers", (int)workers_count(s->workers));
}

json_t *status_json(struct server *s)
{
	json_t *j;

	pthread_rwlock_rdlock(&s->conf_lock);
	j = json_pack("{s:s, s:s, s:i, s:s, s:i}", "version", RSIO_VERSION,
		      "namespace", s->conf->namespace, "namespace_id", s->conf->namespace_id,
		      "server", s->conf->server, "server_id", s->conf->server_id);
	pthread_rwlock_unlock(&s->conf_lock);
	json_object_set_new(j, "process", process_json(s));
	json_object_set_new(j, "confinement", bounds_json(s->bounds));
	json_object_set_new(j, "portals", listeners_json(s->listeners));
	json_object_set_new(j, "pools", watch_pools_json(s->watch));
	json_object_set_new(j, "volumes", status_volumes_json(s));
	json_object_set_new(j, "sessions", clients_json(s));
	json_object_set_new(j, "others", others_json(s->others));
	return j;
}

static json_t *clear_flush_error(struct server *s, json_t *request, struct err *e)
{
	const char *name = json_string_value(json_object_get(request, "volume"));
	struct volume *v;

	if (!name) {
		err_set(e, EINVAL, "clear-flush-error needs a volume");
		return NULL;
	}
	registry_lock(s->registry);
	v = registry_find(s->registry, name);
	if (v)
		volume_get(v);
	registry_unlock(s->registry);
	if (!v) {
		err_set(e, ENOENT, "no volume %s here", name);
		return NULL;
	}
	volume_clear_flush_error(v);
	volume_put(v);
	return json_object();
}

/* What changes something. */
static json_t *change(struct server *s, const struct ctl_peer *peer, const char *what, json_t *request,
		      struct err *e)
{
	if (strcmp(what, "clear-flush-error") != 0) {
		err_set(e, EINVAL, "rssrv does not know how to %s; it knows status and clear-flush-error", what);
		return NULL;
	}
	if (!peer->may_change) {
		err_set(e, EPERM, "only root and the owner of rssrv may clear a flush error");
		return NULL;
	}
	return clear_flush_error(s, request, e);
}

json_t *status_handle(void *arg, const struct ctl_peer *peer, const char *what, json_t *request,
		      struct err *e)
{
	const char *volume = json_string_value(json_object_get(request, "volume"));
	char source[32];
	json_t *j;

	if (strcmp(what, "status") == 0)
		return status_json(arg);
	j = change(arg, peer, what, request, e);
	snprintf(source, sizeof(source), "uid %u", peer->uid);
	audit_change(source, clock_now(), j ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
	      "%.60s%s%.60s by uid %u (pid %d) at the control socket %s%s", what, volume ? " of " : "",
	      volume ? volume : "", peer->uid, (int)peer->pid, j ? "done" : "refused: ", j ? "" : e->text);
	return j;
}
