/* The state of a namespace as JSON: the one source of what people and programs see. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "latency.h"
#include "namespace_impl.h"

static const char *refusal_name(const struct path *p)
{
	return p->refused ? wire_status_name(p->refused) : NULL;
}

static json_t *optional_text(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

/* What it carries, and when and why it last stopped working. */
static void add_history(json_t *j, const struct path *p)
{
	bool up = p->state == PATH_UP, lost = *p->lost_reason;
	double probation = path_probation(p), ago = (double)(loop_now(p->loop) - p->lost_at) / 1e9;

	json_object_set_new(j, "read_rate", json_real(up ? p->rate.read : 0));
	json_object_set_new(j, "write_rate", json_real(up ? p->rate.write : 0));
	json_object_set_new(j, "iops", json_real(up ? p->rate.iops : 0));
	json_object_set_new(j, "latency", latency_json(p->latency));
	json_object_set_new(j, "carries", p->policy.rate > 0 ? json_real(p->policy.rate) : json_null());
	json_object_set_new(j, "security", up ? json_string(p->tls ? "tls" : "auth") : json_null());
	json_object_set_new(j, "cipher", up && p->tls ? json_string(tls_cipher(p->tls)) : json_null());
	json_object_set_new(j, "suspect", json_boolean(up && p->suspect));
	json_object_set_new(j, "learned", json_boolean(p->setup.learned));
	json_object_set_new(j, "leaving", json_boolean(p->leaving));
	json_object_set_new(j, "probation", probation < 0 ? json_null() : json_real(probation));
	json_object_set_new(j, "lost_reason", optional_text(p->lost_reason));
	json_object_set_new(j, "lost_ago", lost ? json_real(ago) : json_null());
}

/* null: for ever. */
static json_t *bound(double seconds)
{
	return isfinite(seconds) ? json_real(seconds) : json_null();
}

static void add_failover(json_t *j, const struct namespace_failover *f)
{
	json_object_set_new(j, "failover_silent", f ? bound(f->silent) : json_null());
	json_object_set_new(j, "failover_reset", f ? bound(f->reset) : json_null());
}

static json_t *path_status(const struct namespace *ns, const struct path *p)
{
	struct namespace_failover failover = namespace_failover_path(ns, p);
	json_t *j;
	char local[SOCK_TEXT_MAX], portal[SOCK_TEXT_MAX];
	const struct conf_interface *f = p->setup.interface;

	sock_format(&p->from, local);
	sock_format(&p->to, portal);
	j = json_pack("{s:s, s:s, s:o, s:s, s:s, s:i, s:s, s:s, s:s, s:f, s:o, s:o, s:i, s:o, s:i, s:I, s:I, s:I, s:I, s:I}",
		"name", p->setup.name,
		"interface", f ? f->name : "any",
		"local", p->from.length ? json_string(local) : optional_text(f ? f->address : NULL),
		"server", p->setup.portal->name,
		"portal", p->to.length ? portal : p->setup.portal->address,
		"port", p->setup.port,
		"protocol", "tcp",
		"family", p->to.ss.ss_family == AF_INET6 ? "IPv6" : "IP",
		"state", path_state_name(p->state),
		"since", path_seconds_in_state(p),
		"reason", optional_text(p->reason),
		"refused", optional_text(refusal_name(p)),
		"connection", (int)p->connection,
		"rtt_us", p->policy.latency > 0 ? json_real(p->policy.latency * 1e6) : json_null(),
		"in_flight", (int)p->policy.in_flight,
		"bytes_in_flight", (json_int_t)p->policy.bytes,
		"read_bytes", (json_int_t)p->read_bytes,
		"write_bytes", (json_int_t)p->write_bytes,
		"commands", (json_int_t)p->commands,
		"errors", (json_int_t)p->errors);
	add_history(j, p);
	add_failover(j, p->state == PATH_UP ? &failover : NULL);
	return j;
}

/* Each path's part of what all paths of the session carried. */
static void add_shares(json_t *paths)
{
	double total = 0;
	json_t *p;
	size_t i;

	json_array_foreach(paths, i, p)
		total += (double)json_integer_value(json_object_get(p, "commands"));
	json_array_foreach(paths, i, p)
		json_object_set_new(p, "share", json_real(total > 0 ?
			(double)json_integer_value(json_object_get(p, "commands")) / total : 0));
}

/* A path of a session, with what the session's policy makes of its interface. */
static json_t *session_path_status(const struct namespace *ns, const struct session *s, const struct path *p)
{
	unsigned i = p->setup.interface_number;
	int weight = s->choice.interface[i].weight;
	json_t *j = path_status(ns, p);

	json_object_set_new(j, "weight", json_integer(weight ? weight : 1));
	json_object_set_new(j, "standby", json_boolean(s->choice.interface[i].standby));
	return j;
}

static json_t *server_status(const struct namespace *ns, const struct session *s)
{
	struct namespace_failover failover = namespace_failover_server(ns, s);
	json_t *paths = json_array(), *j;
	const char *state = s->up ? "up" : s->established ? "lost" : "connecting";

	for (size_t i = 0; i < s->path_count; i++)
		json_array_append_new(paths, session_path_status(ns, s, s->paths[i]));
	add_shares(paths);
	j = json_pack("{s:i, s:s, s:s, s:s, s:b, s:s, s:i, s:I, s:o}",
		"id", (int)s->server_id, "name", s->name, "version", s->version, "state", state,
		"listed", s->up && !s->listing,
		"policy", policy_name(s->choice.policy), "paths_up", (int)s->up, "bytes_in_flight", (json_int_t)s->bytes,
		"paths", paths);
	add_failover(j, &failover);
	json_object_set_new(j, "takeover", bound(namespace_takeover(ns)));
	return j;
}

static void format_uuid(const uint8_t u[16], char out[40])
{
	char *at = out;

	for (int i = 0; i < 16; i++)
		at += sprintf(at, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", u[i]);
}

/* The servers that offer it, in the order in which they were met. */
static json_t *legs_status(const struct mpio *v)
{
	static const char *const names[] = { "closed", "opening", "open" };
	json_t *legs = json_array();
	uint64_t all = 0;

	for (unsigned i = 0; i < v->leg_count; i++)
		all += v->legs[i].commands;
	for (unsigned i = 0; i < v->leg_count; i++) {
		const struct mpio_leg *g = &v->legs[i];

		if (g->offered)
			json_array_append_new(legs, json_pack("{s:s, s:s, s:I, s:f}", "server", g->session->name, "state",
				!g->session->up ? "away" : g->busy ? "busy" : names[g->open],
				"commands", (json_int_t)g->commands,
				"share", all ? (double)g->commands / (double)all : 0.0));
	}
	return legs;
}

static void add_numbers(json_t *j, const struct mpio *v)
{
	const struct mpio_rates *r = mpio_rates(v);

	json_object_set_new(j, "read_iops", json_real(r->reads));
	json_object_set_new(j, "write_iops", json_real(r->writes));
	json_object_set_new(j, "read_rate", json_real(r->read_bytes));
	json_object_set_new(j, "write_rate", json_real(r->write_bytes));
	json_object_set_new(j, "read_latency", latency_json(mpio_latency(v, false)));
	json_object_set_new(j, "write_latency", latency_json(mpio_latency(v, true)));
}

static json_t *volume_status(struct mpio *v)
{
	const struct mpio_counts *n = mpio_counts(v);
	const struct wire_volume *i = mpio_info(v);
	double left = mpio_give_up_in(v);
	char uuid[40], generation[24];
	json_t *j;

	format_uuid(i->uuid, uuid);
	/* As text: many readers of JSON keep 53 bits of a number. */
	snprintf(generation, sizeof generation, "%llu", (unsigned long long)i->generation);
	j = json_pack(
		"{s:i, s:s, s:s, s:s, s:I, s:I, s:i, s:b, s:i, s:s, s:i, s:s, s:o, s:s, s:o, s:i, s:i, s:I,"
		" s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"id", (int)i->id, "name", i->name, "uuid", uuid, "generation", generation,
		"size", (json_int_t)i->size, "blocks", (json_int_t)(i->size / i->block_size), "block_size", (int)i->block_size,
		"read_only", !mpio_writable(v), "av", (int)i->av, "server", mpio_session(v)->name, "servers", (int)mpio_servers(v),
		"state", mpio_state_name(mpio_state(v)), "policy", optional_text(v->choice ? policy_name(v->choice->policy) : NULL),
		"on_loss", conf_on_loss_name(v->on_loss),
		"give_up_in", left < 0 ? json_null() : json_real(left),
		"opens", (int)v->users, "in_flight", (int)n->in_flight, "bytes_in_flight", (json_int_t)n->bytes_in_flight,
		"legs", legs_status(v), "waits_for", optional_text(mpio_idle(v) ? "" : v->waits_for),
		"refused", optional_text(v->refused ? v->refused->name : NULL),
		"reads", (json_int_t)n->reads, "read_bytes", (json_int_t)n->read_bytes,
		"writes", (json_int_t)n->writes, "write_bytes", (json_int_t)n->write_bytes,
		"flushes", (json_int_t)n->flushes, "others", (json_int_t)n->others,
		"errors", (json_int_t)n->errors, "resent", (json_int_t)n->resent);
	json_object_set_new(j, "reserved_by", optional_text(i->reserved_by));
	add_numbers(j, v);
	return j;
}

/* As servers say it: as text, and as seconds since 1970. */
static void set_time(json_t *j, const char *key, uint64_t seconds)
{
	time_t t = (time_t)seconds;
	char text[32] = "", number[40];
	struct tm tm;

	if (seconds && gmtime_r(&t, &tm))
		strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	snprintf(number, sizeof number, "%s_seconds", key);
	json_object_set_new(j, key, optional_text(text));
	json_object_set_new(j, number, *text ? json_integer((json_int_t)seconds) : json_null());
}

json_t *namespace_volume_status(struct mpio *v)
{
	const struct wire_volume *i = mpio_info(v);
	size_t length = strcspn(i->name, "@");
	json_t *j = volume_status(v);

	if (!mpio_is_snapshot(v))
		return j;
	json_object_set_new(j, "of", json_stringn(i->name, length));
	json_object_set_new(j, "snapshot", json_string(i->name + length + 1));
	set_time(j, "taken", i->taken);
	return j;
}

static void add_volume(void *arg, struct mpio *v)
{
	json_array_append_new(arg, namespace_volume_status(v));
}

json_t *namespace_servers(struct namespace *ns)
{
	json_t *servers = json_array(), *unassigned = json_array();
	struct list *l;

	list_each(l, &ns->sessions)
		json_array_append_new(servers, server_status(ns, container_of(l, struct session, link)));
	for (size_t i = 0; i < ns->path_count; i++)
		if (!ns->paths[i]->session)
			json_array_append_new(unassigned, path_status(ns, ns->paths[i]));
	add_shares(unassigned);
	return json_pack("{s:s, s:i, s:s, s:f, s:f, s:f, s:s, s:o, s:o}", "name", ns->conf->name, "id", ns->conf->id,
			 "node", ns->conf->nodename,
			 "noticed_within", namespace_noticed_within(ns, true), "noticed_last", namespace_noticed_within(ns, false),
			 "give_up", ns->conf->behaviour.give_up,
			 "on_loss", conf_on_loss_name(ns->conf->behaviour.on_loss),
			 "servers", servers, "unassigned", unassigned);
}

json_t *namespace_status(struct namespace *ns)
{
	json_t *j = namespace_servers(ns), *volumes = json_array(), *snapshots = json_array();

	namespace_each_volume(ns, add_volume, volumes);
	namespace_each_snapshot(ns, add_volume, snapshots);
	json_object_set_new(j, "volumes", volumes);
	json_object_set_new(j, "snapshots", snapshots);
	return j;
}
