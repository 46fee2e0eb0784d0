/*
 * conf_fleet.c - a fleet in one file: namespaces, and in each its clients and servers.
 *
 * What stands in a server's sections is what its own configuration will have, and is read
 * as that would be: its sections, those of its namespace and a line for each client are put
 * together, and conf_server_build judges them.  So every mistake has its line in the fleet's
 * file, and what is taken here is taken by rssrv.
 *
 * No key is in this file, nor made here: for the judging each client has a number in a key's place.
 */
#include <stdlib.h>
#include <string.h>
#include "secure.h"
#include "conf_impl.h"

#define FLEET_SERVERS_MAX 256
#define FLEET_CLIENTS_MAX 1024

/* The section that another belongs to: the nearest above of that kind; NULL when one of the others
 * comes first. */
static const struct conf_section *owner(const struct conf_parse *p, const struct conf_section *s, const char *kind)
{
	while (s-- > p->sections) {
		if (conf_is_kind(s, kind))
			return s;
		if (conf_is_kind(s, "namespace") || (conf_is_kind(s, "client") && strcmp(kind, "server") == 0))
			return NULL;
	}
	return NULL;
}

static bool is_part(const struct conf_section *s)
{
	return conf_is_kind(s, "interface") || conf_is_kind(s, "pool") || conf_is_kind(s, "volume");
}

/* The text of a server's own configuration. */

static void append_section(FILE *out, const struct conf_section *s)
{
	fprintf(out, "%s[%s %s]\n", ftell(out) > 0 ? "\n" : "", s->row->kind, s->name);
	for (size_t i = 0; i < s->count; i++)
		if (s->entries[i].row && s->entries[i].row->file == CONF_FILE_SERVER && s->entries[i].value)
			fprintf(out, "%s = %s\n", s->entries[i].row->name, s->entries[i].value);
}

static char *server_text(struct conf_parse *p, const struct conf_section *namespace, const struct conf_section *server)
{
	const struct conf_section *end = p->sections + p->section_count;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out) {
		p->no_memory = true;
		return NULL;
	}
	append_section(out, namespace);
	append_section(out, server);
	for (const struct conf_section *s = server + 1; s < end; s++)
		if (is_part(s) && owner(p, s, "server") == server)
			append_section(out, s);
	if (fclose(out)) {
		p->no_memory = true;
		free(text);
		return NULL;
	}
	return text;
}

/* Judging a server. */

/* A copy that shares the values: only what a server's configuration has. */
static void copy_section(struct conf_parse *q, const struct conf_section *from)
{
	struct conf_section *to = conf_more(q, &q->sections, &q->section_count, sizeof(*to));

	if (!to)
		return;
	*to = *from;
	to->row = conf_section_find(CONF_FILE_SERVER, from->row->kind);
	to->entries = NULL;
	to->count = 0;
	for (size_t i = 0; i < from->count; i++) {
		const struct conf_entry *e = &from->entries[i];
		struct conf_entry *copy;

		if (!e->row || e->row->file != CONF_FILE_SERVER)
			continue;
		copy = conf_more(q, &to->entries, &to->count, sizeof(*copy));
		if (copy)
			*copy = *e;
	}
}

static void copy_clients(struct conf_parse *q, const struct conf_fleet_namespace *ns)
{
	struct conf_section *to = conf_more(q, &q->sections, &q->section_count, sizeof(*to));
	char number[2 * SECURE_KEY_SIZE + 1];

	if (!to)
		return;
	to->row = conf_section_find(CONF_FILE_SERVER, "clients");
	strcpy(to->header, "clients");
	for (size_t i = 0; i < ns->client_count; i++) {
		struct conf_entry *e = conf_more(q, &to->entries, &to->count, sizeof(*e));

		if (!e)
			return;
		snprintf(number, sizeof(number), "%064zx", i + 1);
		e->name = ns->clients[i].name;
		e->value = conf_dup(q, number);
		e->line = ns->clients[i].line;
	}
}

static void free_copies(struct conf_parse *q)
{
	for (size_t i = 0; i < q->section_count; i++) {
		struct conf_section *s = &q->sections[i];

		for (size_t k = 0; k < s->count && conf_is_kind(s, "clients"); k++)
			free(s->entries[k].value);
		free(s->entries);
	}
	free(q->sections);
	conf_list_free(q->key_files);
}

static bool known(const struct conf_parse *p, const struct conf_mistake *m)
{
	for (size_t i = 0; i < p->mistake_count; i++)
		if (p->mistakes[i].line == m->line && p->mistakes[i].text && strcmp(p->mistakes[i].text, m->text) == 0)
			return true;
	return false;
}

/* q's become p's; those of a namespace come once, though each of its servers has them; what is
 * said of the whole file would be of a file that nobody sees. */
static void take_mistakes(struct conf_parse *p, struct conf_parse *q)
{
	size_t warnings = q->warning_count;

	for (size_t i = 0; i < q->mistake_count; i++) {
		struct conf_mistake *m = &q->mistakes[i], *more;
		bool warning = m->text && strstr(m->text, ": warning: ") && warnings;

		warnings -= warning;
		if (m->line == CONF_LINE_END || !m->text || known(p, m) ||
		    !(more = conf_more(p, &p->mistakes, &p->mistake_count, sizeof(*more)))) {
			free(m->text);
			continue;
		}
		*more = *m;
		more->found = p->mistake_count;
		p->warning_count += warning;
	}
	free(q->mistakes);
	p->no_memory |= q->no_memory;
}

static struct conf_server *judge(struct conf_parse *p, const struct conf_fleet_namespace *ns,
				 const struct conf_section *namespace, const struct conf_section *server)
{
	/* Its keys are nobody's, and its user is another host's. */
	struct conf_parse q = { .file = CONF_FILE_SERVER, .path = p->path, .key_group = 0, .of_fleet = true };
	const struct conf_section *end = p->sections + p->section_count;
	struct conf_server *c;

	copy_section(&q, namespace);
	copy_section(&q, server);
	copy_clients(&q, ns);
	for (const struct conf_section *s = server + 1; s < end; s++)
		if (is_part(s) && owner(p, s, "server") == server)
			copy_section(&q, s);
	c = conf_server_build(&q);
	take_mistakes(p, &q);
	free_copies(&q);
	return c;
}

/* Namespaces, clients, servers. */

static void add_client(struct conf_parse *p, const struct conf_section *s, struct conf_fleet_namespace *ns)
{
	struct conf_fleet_client *c;

	if (ns->client_count >= FLEET_CLIENTS_MAX) {
		conf_section_mistake(p, s, "more than %d clients", FLEET_CLIENTS_MAX);
		return;
	}
	c = conf_more(p, &ns->clients, &ns->client_count, sizeof(*c));
	if (!c)
		return;
	conf_copy_name(c->name, s);
	c->line = s->line;
	conf_fill(p, s, c);
}

static void check_server(struct conf_parse *p, const struct conf_section *s, const struct conf_fleet *f,
			 const struct conf_fleet_namespace *ns, const struct conf_fleet_server *server)
{
	const char *host = server->host ? server->host : server->conf->server;

	if (!server->conf->listen_count)
		conf_section_mistake(p, s, "there is no [interface NAME] section below it, so no portal");
	for (const struct conf_fleet_server *other = ns->servers; other < server; other++) {
		if (other->conf && other->conf->server_id == server->conf->server_id && conf_has(s, "serverid"))
			conf_key_mistake(p, s, "serverid", "is that of [server %s] too", other->conf->server);
	}
	for (size_t i = 0; i < f->count; i++) {
		for (size_t k = 0; k < f->namespaces[i].server_count; k++) {
			const struct conf_fleet_server *other = &f->namespaces[i].servers[k];

			if (other != server && other->conf &&
			    strcmp(other->host ? other->host : other->conf->server, host) == 0)
				conf_key_mistake(p, s, "host", "is that of [server %s] in line %d too: a host has one server",
						 other->conf->server, other->line);
		}
	}
}

static void add_server(struct conf_parse *p, const struct conf_section *namespace, const struct conf_section *s,
		       struct conf_fleet *f, struct conf_fleet_namespace *ns)
{
	struct conf_fleet_server *server;

	if (ns->server_count >= FLEET_SERVERS_MAX) {
		conf_section_mistake(p, s, "more than %d servers", FLEET_SERVERS_MAX);
		return;
	}
	server = conf_more(p, &ns->servers, &ns->server_count, sizeof(*server));
	if (!server)
		return;
	server->line = s->line;
	for (size_t i = 0; i < s->count; i++)
		if (s->entries[i].row && s->entries[i].value && s->entries[i].row->file == CONF_FILE_FLEET)
			server->host = conf_dup(p, s->entries[i].value);
	server->text = server_text(p, namespace, s);
	server->conf = judge(p, ns, namespace, s);
	if (server->conf)
		check_server(p, s, f, ns, server);
}

/* The clients come first: the lists of pools are of them, wherever they stand in the file. */
static void fill_namespace(struct conf_parse *p, const struct conf_section *namespace, struct conf_fleet *f,
			   struct conf_fleet_namespace *ns)
{
	const struct conf_section *end = p->sections + p->section_count;

	for (const struct conf_section *s = namespace + 1; s < end && !conf_is_kind(s, "namespace"); s++)
		if (conf_is_kind(s, "client"))
			add_client(p, s, ns);
	for (const struct conf_section *s = namespace + 1; s < end && !conf_is_kind(s, "namespace"); s++)
		if (conf_is_kind(s, "server"))
			add_server(p, namespace, s, f, ns);
	if (!ns->server_count)
		conf_section_mistake(p, namespace, "there is no [server NAME] section below it");
	else if (!ns->client_count)
		conf_warning(p, namespace->line, namespace, NULL,
			     "there is no [client NAME] section below it, so nobody can log in");
	if (ns->server_count && ns->servers[0].conf)
		ns->id = ns->servers[0].conf->namespace_id;
	for (struct conf_fleet_namespace *other = f->namespaces; other < ns; other++)
		if (ns->server_count && other->server_count && other->id == ns->id && conf_has(namespace, "namespaceid"))
			conf_key_mistake(p, namespace, "namespaceid", "is that of [namespace %s] too", other->name);
}

struct conf_fleet *conf_fleet_build(struct conf_parse *p)
{
	struct conf_fleet *f = conf_zeroed(p, 1, sizeof(*f));

	for (size_t i = 0; f && i < p->section_count; i++) {
		const struct conf_section *s = &p->sections[i];
		struct conf_fleet_namespace *ns;

		if (conf_is_kind(s, "namespace")) {
			ns = conf_more(p, &f->namespaces, &f->count, sizeof(*ns));
			if (!ns)
				break;
			conf_copy_name(ns->name, s);
			ns->line = s->line;
			fill_namespace(p, s, f, ns);
		} else if ((conf_is_kind(s, "server") || conf_is_kind(s, "client")) && !owner(p, s, "namespace")) {
			conf_section_mistake(p, s, "belongs below its [namespace]");
		} else if (is_part(s) && !owner(p, s, "server")) {
			conf_section_mistake(p, s, "belongs below its [server]");
		}
	}
	if (f && !f->count)
		conf_end_mistake(p, "there is no [namespace NAME] section");
	return f;
}

void conf_fleet_free(struct conf_fleet *f)
{
	for (size_t i = 0; f && i < f->count; i++) {
		struct conf_fleet_namespace *ns = &f->namespaces[i];

		for (size_t k = 0; k < ns->client_count; k++) {
			free(ns->clients[k].host);
			free(ns->clients[k].config);
		}
		for (size_t k = 0; k < ns->server_count; k++) {
			free(ns->servers[k].host);
			free(ns->servers[k].text);
			conf_server_free(ns->servers[k].conf);
		}
		free(ns->clients);
		free(ns->servers);
	}
	if (f)
		free(f->namespaces);
	free(f);
}
