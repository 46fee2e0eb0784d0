/* rsagent_fleet_plan.c - what each member is, what it is to be, and what is to be done for that. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "diff.h"
#include "rsagent_binary.h"
#include "rsagent_fleet.h"

static const char *const change_names[] = {
	[FLEET_SAME] = "as it is to be", [FLEET_CREATED] = "created", [FLEET_CHANGED] = "changed", [FLEET_REMOVED] = "removed",
};

const char *fleet_change_name(enum fleet_change c)
{
	return change_names[c];
}

static void no_memory(struct fleet_member *m)
{
	err_set(&m->e, ENOMEM, "no memory");
}

/* What was read. */

static void read_server(struct fleet_member *m)
{
	struct conf_report report;

	m->facts = deploy_facts_parse(m->said->bytes, m->said->size, m->said->marker, &m->e);
	if (!m->facts || !m->facts->config.text)
		return;
	m->has = conf_server_parse(DEPLOY_CONFIG, m->facts->config.text, m->facts->config.size, &report);
	conf_report_free(&report);
}

/* "file HOST MACHINE-ID" or "none HOST MACHINE-ID", and the file. */
static void read_client(struct fleet_member *m)
{
	const char *path = m->config_path ? m->config_path : "/etc/rscltcfg", *said = m->said->bytes;
	const char *end = memchr(said, '\n', m->said->size);
	size_t n = end ? (size_t)(end + 1 - said) : 0, left = m->said->size - n;
	uint8_t sum[SECURE_SHA256_SIZE];

	if (n < 7 || n > sizeof(m->machine) || (memcmp(said, "file ", 5) && memcmp(said, "none ", 5))) {
		err_set(&m->e, EPROTO, "what it said of %s is not to be understood", path);
		return;
	}
	memcpy(m->machine, said + 5, n - 6);
	m->text = conf_text_of(CONF_FILE_CLIENT, path, end + 1, left, &m->e);
	if (secure_sha256(end + 1, left, sum))
		return;
	for (size_t i = 0; i < sizeof(sum); i++)
		sprintf(m->sha + 2 * i, "%02x", sum[i]);
}

static void read_local(struct fleet_member *m)
{
	char *path = m->config_path ? strdup(m->config_path) : conf_client_default_path();

	m->text = path ? conf_text_open(CONF_FILE_CLIENT, path, true, &m->e) : NULL;
	if (!path)
		no_memory(m);
	free(path);
}

/* Keys. */

/* A client's own goes before what servers have of it. */
static void key_of_client(struct fleet_member *m, struct fleet_join *j)
{
	const struct conf_place at = { "namespace", j->namespace, NULL };
	char text[400];
	int n = conf_text_get(m->text, &at, "nodekey", text, sizeof(text));

	if (n == -ENOENT || !j->key)
		return;
	if (n <= 0 || text[0] == '@') {
		err_set(&m->e, ENOTSUP, "the nodekey of namespace %s is not in %s itself, but in another file", j->namespace,
			conf_text_path(m->text));
		err_next(&m->e, "'rsagent key' puts it there");
	} else if (j->key->known) {
		/* Two names in the fleet, or one on two hosts: the names are checked by the file. */
	} else if (!secure_key_from_text(text, j->key->bits)) {
		j->key->known = j->own = true;
	}
	secure_wipe(text, sizeof(text));
}

static const struct conf_allowed *allowed(const struct fleet_member *m, const char *name)
{
	for (size_t i = 0; m->has && i < m->has->client_count; i++)
		if (strcmp(m->has->clients[i].name, name) == 0)
			return &m->has->clients[i];
	return NULL;
}

static void keys_of_server(struct fleet_member *m)
{
	if (strcmp(m->has->namespace, m->namespace) != 0)
		return;
	for (size_t i = 0; i < m->ns->client_count; i++) {
		const struct conf_allowed *a = allowed(m, m->ns->clients[i].name);

		if (!a || m->keys[i].known)
			continue;
		memcpy(m->keys[i].bits, a->key.bytes, sizeof(m->keys[i].bits));
		m->keys[i].known = true;
	}
}

/* A host that could not be asked may have another one: the client's own goes before what is made here, the next time. */
static void find_keys(struct fleet *f)
{
	for (size_t i = 0; i < f->count; i++)
		for (size_t k = 0; f->members[i].text && k < f->members[i].join_count; k++)
			key_of_client(&f->members[i], &f->members[i].joins[k]);
	for (size_t i = 0; i < f->count; i++)
		if (f->members[i].has && f->members[i].ns)
			keys_of_server(&f->members[i]);
	for (size_t n = 0; n < f->conf->count; n++) {
		for (size_t i = 0; i < f->conf->namespaces[n].client_count; i++) {
			struct fleet_key *k = &f->keys[n][i];

			if (!k->known)
				k->known = k->made = !secure_random(k->bits, sizeof(k->bits));
		}
	}
}

static void key_text(const uint8_t bits[SECURE_KEY_SIZE], char text[CONF_KEY_TEXT])
{
	for (size_t i = 0; i < SECURE_KEY_SIZE; i++)
		sprintf(text + 2 * i, "%02x", bits[i]);
}

/* Servers. */

static size_t config_room(const struct fleet_member *m)
{
	return strlen(m->server->text) + 200 + m->ns->client_count * 2 * (CONF_NAME_MAX + CONF_KEY_TEXT + 2);
}

/* While a client's key is changed a server has both, in an order that says which goes. */
static int put_keys(const struct fleet_member *m, size_t i, char *to)
{
	const struct conf_allowed *a = allowed(m, m->ns->clients[i].name);
	const uint8_t *first = m->keys[i].bits, *second = NULL;
	char text[CONF_KEY_TEXT];
	int n;

	if (a && a->second.line && (secure_equal(a->key.bytes, first, SECURE_KEY_SIZE) ||
				    secure_equal(a->second.bytes, first, SECURE_KEY_SIZE))) {
		first = a->key.bytes;
		second = a->second.bytes;
	}
	key_text(first, text);
	n = sprintf(to, "%s %s\n", m->ns->clients[i].name, text);
	if (second) {
		key_text(second, text);
		n += sprintf(to + n, "%s %s\n", m->ns->clients[i].name, text);
	}
	secure_wipe(text, sizeof(text));
	return n;
}

static bool make_config(struct fleet_member *m)
{
	char *to = secure_alloc(config_room(m));
	size_t n;

	if (!to)
		return false;
	n = (size_t)sprintf(to, "# rssrvcfg - made by rsagent apply, which undoes what is changed here; rssrvcfg(5) says what it means.\n"
			    "%s\n[clients]\n", m->server->text);
	for (size_t i = 0; i < m->ns->client_count; i++)
		n += (size_t)put_keys(m, i, to + n);
	m->config = (struct deploy_secret){ to, n };
	return true;
}

static int find_binary(const struct fleet *f, struct fleet_member *m)
{
	return rsagent_find_binary(f->o->binary, m->facts->machine, m->binary, &m->wish.binary, &m->e);
}

/* A [server] section of the client for each; where only the device is said, its address there. */
static const char *portal_address(const struct fleet_member *m, const struct conf_listen *l)
{
	if (l->address)
		return l->address;
	for (size_t i = 0; i < m->facts->address_count; i++)
		if (strcmp(m->facts->addresses[i].device, l->device) == 0)
			return m->facts->addresses[i].text;
	return NULL;
}

static size_t name_portals(struct fleet_member *m, size_t count)
{
	for (size_t i = 0; i < count; i++)
		snprintf(m->portals[i].name, sizeof(m->portals[i].name), count > 1 ? "%.36s-%u" : "%.36s", m->name,
			 (unsigned)(i + 1) & 127);
	return count;
}

static void find_portals(struct fleet_member *m)
{
	const struct conf_server *c = m->server->conf;

	for (size_t i = 0; i < c->listen_count; i++) {
		const char *address = portal_address(m, &c->listens[i]);
		struct conf_join_portal *p = &m->portals[m->portal_count];

		if (!address) {
			err_set(&m->e, ENODEV, "[interface %s]: %s has no address there", c->listens[i].name, c->listens[i].device);
			return;
		}
		snprintf(p->address, sizeof(p->address), "%.63s", address);
		p->port = c->listens[i].port;
		snprintf(m->wish.portals[m->wish.portal_count].address, SOCK_TEXT_MAX, "%s", address);
		m->wish.portal_count++;
		m->portal_count++;
	}
	name_portals(m, m->portal_count);
}

static char *config_diff(const struct fleet_member *m)
{
	const struct deploy_secret *old = &m->facts->config;
	struct diff_side a = { DEPLOY_CONFIG, old->text ? old->text : "", old->size, NULL, 0 };
	struct diff_side b = { DEPLOY_CONFIG, m->config.text, m->config.size, NULL, 0 };
	char *shown_a = conf_text_hidden(CONF_FILE_SERVER, a.text, a.size, &a.shown_size);
	char *shown_b = conf_text_hidden(CONF_FILE_SERVER, b.text, b.size, &b.shown_size), *diff = NULL;

	a.shown = shown_a;
	b.shown = shown_b;
	if (shown_a && shown_b)
		diff = diff_unified(&a, &b);
	free(shown_a);
	free(shown_b);
	return diff;
}

static void set_wish(const struct fleet *f, struct fleet_member *m)
{
	const struct conf_server *c = m->server->conf;

	m->wish.namespace = m->ns->name;
	m->wish.namespace_id = m->ns->id;
	m->wish.server = c->server;
	m->wish.server_id = c->server_id;
	m->wish.client = "its clients";
	m->wish.by = f->by;
	m->wish.when = time(NULL);
	m->wish.config = &m->config;
}

/* By another login, or another name of it. */
static bool same_host(const struct deploy_facts *a, const struct deploy_facts *b)
{
	if (strcmp(a->host, b->host) != 0 || a->address_count != b->address_count)
		return false;
	for (size_t i = 0; i < a->address_count; i++)
		if (strcmp(a->addresses[i].text, b->addresses[i].text) != 0)
			return false;
	return true;
}

/* A server of the file on the host of m; *unknown: one could not be asked, so it may be there. */
static const struct fleet_member *server_there(const struct fleet *f, const struct fleet_member *m, bool *unknown)
{
	*unknown = false;
	for (size_t i = 0; i < f->count; i++) {
		const struct fleet_member *other = &f->members[i];

		if (!other->server || other == m)
			continue;
		*unknown |= !other->facts;
		if (other->facts && same_host(other->facts, m->facts))
			return other;
	}
	return NULL;
}

static void plan_server(const struct fleet *f, struct fleet_member *m)
{
	bool unknown;
	const struct fleet_member *other = server_there(f, m, &unknown);

	if (other) {
		err_set(&m->e, EEXIST, "%s is the host of server %s too, and a host has one server", m->where, other->name);
		return;
	}
	set_wish(f, m);
	find_portals(m);
	if (m->e.code || find_binary(f, m))
		return;
	if (!make_config(m)) {
		no_memory(m);
		return;
	}
	deploy_check(m->facts, &m->wish, m->said->time, &m->findings);
	if (deploy_refused(&m->findings, &m->e))
		return;
	m->plan = deploy_plan_make(m->facts, &m->wish, &m->e);
	if (!m->plan)
		return;
	m->diff = config_diff(m);
	if (m->plan->count)
		m->change = m->facts->manifest ? FLEET_CHANGED : FLEET_CREATED;
}

/* Another fleet's file has it now, and it is not ours to take away. */
static bool is_anothers(const struct fleet *f, const json_t *manifest)
{
	const char *by = json_string_value(json_object_get(manifest, "by"));

	return by && strncmp(by, FLEET_BY, sizeof(FLEET_BY) - 1) == 0 && strcmp(by, f->by) != 0;
}

static void plan_gone(const struct fleet *f, struct fleet_member *m)
{
	json_t *manifest = deploy_manifest_read(m->facts);
	bool unknown;

	if (server_there(f, m, &unknown) || is_anothers(f, manifest)) {
		json_decref(manifest);
		m->done = true;
		return;
	}
	if (unknown && manifest) {
		json_decref(manifest);
		err_set(&m->e, EAGAIN, "it left the file, and stays until all servers of the file can be asked whether they are this one");
		return;
	}
	json_decref(manifest);
	if (!manifest) {		/* somebody took it away before */
		m->done = true;
		return;
	}
	if (find_binary(f, m))
		return;
	m->plan = deploy_plan_remove(m->facts, false, &m->e);
	if (m->plan && m->plan->count) {
		m->change = FLEET_REMOVED;
		m->findings = m->said->users;
	}
}

/* Clients. */

/* The record's that no server has any more. */
static size_t find_gone_portals(const struct fleet *f, const char *namespace, struct conf_join_portal *out, size_t max)
{
	size_t n = fleet_record_portals(f, namespace, NULL, out, max), left = 0;

	for (size_t k = 0; k < n; k++) {
		bool there = false;

		for (size_t i = 0; i < f->count; i++) {
			const struct fleet_member *m = &f->members[i];

			for (size_t p = 0; !m->gone && strcmp(m->namespace, namespace) == 0 && p < m->portal_count; p++)
				there |= m->portals[p].port == out[k].port && strcmp(m->portals[p].address, out[k].address) == 0;
		}
		if (!there)
			out[left++] = out[k];
	}
	return left;
}

static size_t all_portals(const struct fleet *f, const char *namespace, struct conf_join_portal *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < f->count; i++) {
		const struct fleet_member *m = &f->members[i];

		for (size_t p = 0; m->ns && strcmp(m->namespace, namespace) == 0 && p < m->portal_count && n < max; p++) {
			out[n] = m->portals[p];
			if (out[n].port == DEPLOY_PORT)
				out[n].port = 0;
			n++;
		}
	}
	return n;
}

static int join(const struct fleet *f, struct fleet_member *m, const struct fleet_join *j, struct conf_join_portal *portals,
		struct conf_join_portal *gone, size_t max)
{
	char text[CONF_KEY_TEXT];
	struct conf_join c = { .namespace = j->namespace, .portals = portals, .gone = gone };
	int r;

	if (!j->ns) {
		c.gone_count = fleet_record_portals(f, j->namespace, NULL, gone, max);
		return conf_text_leave(m->text, j->namespace, gone, c.gone_count, &m->e);
	}
	c.id = j->ns->id;
	c.node = j->node;
	c.portal_count = all_portals(f, j->namespace, portals, max);
	c.gone_count = find_gone_portals(f, j->namespace, gone, max);
	if (!c.portal_count && !c.gone_count)
		return 0;		/* none of its servers is there yet */
	key_text(j->key->bits, text);
	c.key = j->own ? NULL : text;
	r = conf_text_join(m->text, &c, &m->e);
	secure_wipe(text, sizeof(text));
	return r;
}

static bool left_file(const struct fleet_member *m)
{
	for (size_t i = 0; i < m->join_count; i++)
		if (m->joins[i].ns)
			return false;
	return true;
}

/* The same configuration by another login, which is another member; or it may be, as that one could not be asked. */
static bool is_another(const struct fleet *f, struct fleet_member *m)
{
	for (size_t i = 0; i < f->count; i++) {
		const struct fleet_member *other = &f->members[i];

		if (other->kind != FLEET_CLIENT || other == m || left_file(other) || other->local != m->local)
			continue;
		if (!other->text && !m->local) {
			err_set(&m->e, EAGAIN, "it left the file, and stays until all clients of the file can be asked whether they are "
				"this one");
			return true;
		}
		if (strcmp(other->machine, m->machine) == 0 && strcmp(conf_text_path(other->text), conf_text_path(m->text)) == 0) {
			m->done = true;
			return true;
		}
	}
	return false;
}

static void plan_client(const struct fleet *f, struct fleet_member *m)
{
	const size_t max = CONF_SERVER_MAX * CONF_IFACE_MAX;
	struct conf_join_portal *portals = calloc(2 * max, sizeof(*portals));
	bool first, all_gone = true;
	size_t size;
	int r = portals ? 0 : err_set(&m->e, ENOMEM, "no memory");

	if (left_file(m) && is_another(f, m)) {
		free(portals);
		return;
	}
	conf_text_bytes(m->text, &size);
	first = size == 0;
	for (size_t i = 0; !r && i < m->join_count; i++) {
		all_gone &= !m->joins[i].ns;
		r = join(f, m, &m->joins[i], portals, portals + max, max);
	}
	free(portals);
	if (r == -ENOTEMPTY && all_gone) {	/* nothing would be left of it: rsiod's end is not ours to decide */
		memset(&m->e, 0, sizeof(m->e));
		fprintf(stderr, "%s: namespace %s left the fleet, and is the only one of %s: that stays as it is\n", m->name,
			m->namespace, conf_text_path(m->text));
		m->done = true;
		return;
	}
	if (r)
		return;
	m->diff = conf_text_diff(m->text);
	if (conf_text_changed(m->text))
		m->change = all_gone ? FLEET_REMOVED : first ? FLEET_CREATED : FLEET_CHANGED;
	else
		m->done = true;
}

/* All. */

void fleet_plan(struct fleet *f)
{
	for (size_t i = 0; i < f->count; i++) {
		struct fleet_member *m = &f->members[i];

		if (m->kind == FLEET_SERVER && m->said->there)
			read_server(m);
		else if (m->kind == FLEET_CLIENT && m->local)
			read_local(m);
		else if (m->kind == FLEET_CLIENT && m->said->there)
			read_client(m);
	}
	find_keys(f);
	for (size_t i = 0; i < f->count; i++) {
		struct fleet_member *m = &f->members[i];

		if (m->facts && !m->e.code && m->gone)
			plan_gone(f, m);
		else if (m->facts && !m->e.code)
			plan_server(f, m);
		/* A server that is left out now: clients know of it what they knew. */
		if (m->server && m->e.code)
			m->portal_count = name_portals(m, fleet_record_portals(f, m->namespace, m, m->portals, FLEET_PORTALS_MAX));
	}
	for (size_t i = 0; i < f->count; i++)
		if (f->members[i].text && !f->members[i].e.code)
			plan_client(f, &f->members[i]);
}

size_t fleet_count(const struct fleet *f, enum fleet_change c)
{
	size_t n = 0;

	for (size_t i = 0; i < f->count; i++)
		n += f->members[i].change == c;
	return n;
}
