/* rsagent_fleet_members.c - the file's servers and clients, and those that were applied once and left it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "rsagent_fleet.h"

static struct fleet_member *add(struct fleet *f, enum fleet_kind kind, const char *namespace, const char *name,
				const char *where)
{
	struct fleet_member *more = reallocarray(f->members, f->count + 1, sizeof(*more)), *m;

	if (!more)
		return NULL;
	f->members = more;
	m = &more[f->count];
	memset(m, 0, sizeof(*m));
	m->where = strdup(where);
	if (!m->where)
		return NULL;
	f->count++;
	m->kind = kind;
	m->local = strcmp(where, CONF_FLEET_LOCAL) == 0;
	snprintf(m->namespace, sizeof(m->namespace), "%s", namespace);
	snprintf(m->name, sizeof(m->name), "%s", name);
	return m;
}

static struct fleet_member *find_client(struct fleet *f, const char *where, const char *config)
{
	for (size_t i = 0; i < f->count; i++) {
		struct fleet_member *m = &f->members[i];

		if (m->kind == FLEET_CLIENT && strcmp(m->where, where) == 0 &&
		    (config && m->config_path ? strcmp(config, m->config_path) == 0 : config == m->config_path))
			return m;
	}
	return NULL;
}

/* config NULL: where it usually is. */
static struct fleet_join *add_join(struct fleet *f, const char *namespace, const char *node, const char *where,
				   const char *config)
{
	struct fleet_member *m = find_client(f, where, config);
	struct fleet_join *more;

	if (!m) {
		m = add(f, FLEET_CLIENT, namespace, node, where);
		if (m && config && !(m->config_path = strdup(config)))
			return NULL;
	}
	more = m ? reallocarray(m->joins, m->join_count + 1, sizeof(*more)) : NULL;
	if (!more)
		return NULL;
	m->joins = more;
	more += m->join_count++;
	memset(more, 0, sizeof(*more));
	snprintf(more->namespace, sizeof(more->namespace), "%s", namespace);
	snprintf(more->node, sizeof(more->node), "%s", node);
	return more;
}

static bool add_servers(struct fleet *f)
{
	for (size_t n = 0; n < f->conf->count; n++) {
		const struct conf_fleet_namespace *ns = &f->conf->namespaces[n];

		for (size_t i = 0; i < ns->server_count; i++) {
			const struct conf_fleet_server *s = &ns->servers[i];
			struct fleet_member *m = add(f, FLEET_SERVER, ns->name, s->conf->server, s->host ? s->host : s->conf->server);

			if (!m)
				return false;
			m->ns = ns;
			m->server = s;
			m->keys = f->keys[n];
		}
	}
	return true;
}

static bool add_clients(struct fleet *f)
{
	for (size_t n = 0; n < f->conf->count; n++) {
		const struct conf_fleet_namespace *ns = &f->conf->namespaces[n];

		for (size_t i = 0; i < ns->client_count; i++) {
			const struct conf_fleet_client *c = &ns->clients[i];
			struct fleet_join *j = add_join(f, ns->name, c->name, c->host ? c->host : c->name, c->config);

			if (!j)
				return false;
			j->ns = ns;
			j->key = &f->keys[n][i];
		}
	}
	return true;
}

/* Who left. */

static const char *word(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text ? text : "";
}

/* The host has another server now: that one's plan is all there is to do. */
static bool server_is_there(const struct fleet *f, const json_t *s)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->members[i].kind == FLEET_SERVER && !f->members[i].gone && strcmp(f->members[i].where, word(s, "host")) == 0)
			return true;
	return false;
}

static bool client_is_there(struct fleet *f, const json_t *c)
{
	struct fleet_member *m = find_client(f, word(c, "host"), json_string_value(json_object_get(c, "config")));

	for (size_t i = 0; m && i < m->join_count; i++)
		if (m->joins[i].ns && strcmp(m->joins[i].namespace, word(c, "namespace")) == 0)
			return true;
	return false;
}

/* Whose volumes are to be looked for. */
static bool set_pool(struct fleet_member *m, const json_t *pools)
{
	const char *path = json_string_value(json_array_get(pools, 0));

	if (!path || path[0] != '/')
		return true;
	m->pool = strdup(path);
	m->wish.pool = m->pool;
	return m->pool;
}

static bool add_gone(struct fleet *f)
{
	struct fleet_member *m;
	json_t *o;
	size_t i;

	json_array_foreach(json_object_get(f->record, "servers"), i, o) {
		if (!conf_name_valid(word(o, "namespace")) || !conf_name_valid(word(o, "server")) || server_is_there(f, o))
			continue;
		m = add(f, FLEET_SERVER, word(o, "namespace"), word(o, "server"), word(o, "host"));
		if (!m)
			return false;
		m->gone = true;
		if (!set_pool(m, json_object_get(o, "pools")))
			return false;
	}
	json_array_foreach(json_object_get(f->record, "clients"), i, o) {
		if (!conf_name_valid(word(o, "namespace")) || !conf_name_valid(word(o, "client")) || client_is_there(f, o))
			continue;
		if (!add_join(f, word(o, "namespace"), word(o, "client"), word(o, "host"),
			      json_string_value(json_object_get(o, "config"))))
			return false;
	}
	return true;
}

/* Hosts and memory. */

static int find_host(struct fleet *f, struct fleet_member *m, struct err *e)
{
	struct rsagent_hosts found;
	char *words[] = { m->where };
	int r;

	if (m->local && m->kind == FLEET_CLIENT)
		return 0;
	if (*m->where == '@' || m->local)
		return err_set(e, EINVAL, "server %s: '%s' is no host to log in to", m->name, m->where);
	r = rsagent_hosts_find(&f->o->remote, 1, words, &found, e);
	if (r)
		return r;
	m->host = found.list[0];
	free(found.list);
	m->said = mmap(NULL, sizeof(*m->said) + FLEET_SAID_MAX, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->said == MAP_FAILED) {
		m->said = NULL;
		return err_set(e, ENOMEM, "no memory");
	}
	madvise(m->said, sizeof(*m->said) + FLEET_SAID_MAX, MADV_DONTDUMP);
	return 0;
}

static int make_keys(struct fleet *f, struct err *e)
{
	f->keys = calloc(f->conf->count + 1, sizeof(*f->keys));
	for (size_t n = 0; f->keys && n < f->conf->count; n++) {
		f->keys[n] = secure_alloc((f->conf->namespaces[n].client_count + 1) * sizeof(**f->keys));
		if (!f->keys[n])
			return err_set(e, ENOMEM, "no memory");
	}
	return f->keys ? 0 : err_set(e, ENOMEM, "no memory");
}

int fleet_find_members(struct fleet *f, struct err *e)
{
	int r = make_keys(f, e);
	size_t hosts = 0;

	if (r)
		return r;
	if (!add_servers(f) || !add_clients(f) || !add_gone(f))
		return err_set(e, ENOMEM, "no memory");
	for (size_t i = 0; !r && i < f->count; i++) {
		r = find_host(f, &f->members[i], e);
		hosts += f->members[i].said != NULL;
	}
	if (!r && hosts > 1 && f->o->remote.fingerprint)
		r = err_set(e, EINVAL, "--fingerprint is one host's; the file of hosts has room for all");
	return r;
}

static void free_member(struct fleet_member *m)
{
	if (m->said) {
		secure_wipe(m->said->bytes, m->said->size);
		secure_wipe(m->said->secrets, sizeof(m->said->secrets));
		munmap(m->said, sizeof(*m->said) + FLEET_SAID_MAX);
	}
	deploy_plan_free(m->plan);
	deploy_secret_free(&m->config);
	conf_server_free(m->has);
	deploy_facts_free(m->facts);
	conf_text_free(m->text);
	free(m->host.identity);
	free(m->host.fingerprint);
	free(m->config_path);
	free(m->pools);
	free(m->pool);
	free(m->joins);
	free(m->where);
	free(m->diff);
}

void fleet_free(struct fleet *f)
{
	for (size_t i = 0; i < f->count; i++)
		free_member(&f->members[i]);
	free(f->members);
	for (size_t n = 0; f->keys && n < f->conf->count; n++)
		secure_free(f->keys[n]);
	free(f->keys);
	fleet_record_close(f);
	conf_fleet_free(f->conf);
	free(f->by);
	free(f->path);
}
