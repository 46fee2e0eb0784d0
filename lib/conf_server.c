/* conf_server.c - what the server's sections mean together. */
#include <arpa/inet.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "secure.h"
#include "conf_impl.h"

/* The file's [namespace] and [server], of which there is one each. */
struct heads {
	const struct conf_section *namespace, *server;
};

/* True when it is the first of its kind. */
static bool first_of_kind(struct conf_parse *p, const struct conf_section *s,
			  const struct conf_section **first)
{
	if (*first) {
		conf_section_mistake(p, s,
				     "a second [%s]; one rssrv serves one namespace: start "
				     "another with a file and a --run-dir of its own",
				     s->row->kind);
		return false;
	}
	*first = s;
	return true;
}

/* Values of a section that is one too many are checked and forgotten. */
static void check_only(struct conf_parse *p, const struct conf_section *s)
{
	struct conf_server *c = conf_zeroed(p, 1, sizeof(*c));

	if (c)
		conf_fill(p, s, c);
	conf_server_free(c);
}

/* Once read_heads knows the user.  The daemon reads its files as root, and again as that user. */
static void find_key_group(struct conf_parse *p, const char *user)
{
	struct passwd *pw;

	if (p->key_group != (gid_t)-1 || geteuid() != 0)
		return;
	pw = getpwnam(user ? user : CONF_SERVER_USER);
	if (pw)
		p->key_group = pw->pw_gid;
}

static void read_heads(struct conf_parse *p, struct conf_server *c, struct heads *h)
{
	/* Of [server] only its own: the other fallbacks are no values. */
	conf_fill_defaults(p, CONF_FILE_SERVER, "server", c);
	conf_fill_defaults(p, CONF_FILE_SERVER, "namespace", c);
	for (size_t i = 0; i < p->section_count; i++) {
		const struct conf_section *s = &p->sections[i];

		if (conf_is_kind(s, "namespace") && first_of_kind(p, s, &h->namespace)) {
			conf_copy_name(c->namespace, s);
			conf_fill(p, s, c);
		} else if (conf_is_kind(s, "namespace")) {
			check_only(p, s);
		}
	}
	/* What [server] sets beside [namespace] is nearer and wins. */
	for (size_t i = 0; i < p->section_count; i++) {
		const struct conf_section *s = &p->sections[i];

		if (conf_is_kind(s, "server") && first_of_kind(p, s, &h->server)) {
			conf_copy_name(c->server, s);
			conf_fill(p, s, c);
			if (h->namespace && h->namespace > s)
				conf_section_mistake(p, s, "belongs below its [namespace]");
		} else if (conf_is_kind(s, "server")) {
			check_only(p, s);
		}
	}
}

/* [interface NAME]: a portal. */

static bool is_wildcard(const char *address)
{
	return strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

/* Whether two portals cannot listen side by side: the same place, or a
 * wildcard of the same family over it. */
static bool collide(const struct conf_listen *a, const struct conf_listen *b)
{
	if (a->port != b->port)
		return false;
	if (a->device && b->device)
		return strcmp(a->device, b->device) == 0;
	if (!a->address || !b->address)
		return false;
	if (strcmp(a->address, b->address) == 0)
		return true;
	return !strchr(a->address, ':') == !strchr(b->address, ':') &&
	       (is_wildcard(a->address) || is_wildcard(b->address));
}

static void check_listen(struct conf_parse *p, const struct conf_section *s,
			 const struct conf_server *c, const struct conf_listen *l,
			 const struct heads *h)
{
	bool address = conf_has(s, "address"), device = conf_has(s, "device");
	const char *key = device ? "device" : "address";

	if (h->server && s < h->server)
		conf_section_mistake(p, s, "belongs below its [server]");
	if (!address && !device)
		conf_mistake(p, s->line, s, "address", "is missing (address or device)");
	if (address && device)
		conf_key_mistake(p, s, "device", "address and device exclude each other");
	for (const struct conf_listen *other = c->listens; other < l; other++) {
		if (collide(l, other)) {
			conf_key_mistake(p, s, key, "with port %d it collides with [interface %s]",
					 l->port, other->name);
			break;
		}
	}
}

static void add_listen(struct conf_parse *p, const struct conf_section *s, struct conf_server *c,
		       const struct heads *h)
{
	struct conf_listen *l;

	if (c->listen_count == CONF_IFACE_MAX) {
		conf_section_mistake(p, s, "more than %d interfaces", CONF_IFACE_MAX);
		return;
	}
	l = &c->listens[c->listen_count++];
	conf_copy_name(l->name, s);
	l->line = s->line;
	l->port = c->port;
	conf_fill(p, s, l);
	check_listen(p, s, c, l, h);
}

/* [clients] */

/* While a client's key is changed it has two, on a line each. */
static void add_second_key(struct conf_parse *p, const struct conf_section *s,
			   const struct conf_entry *e, struct conf_allowed *a)
{
	char why[CONF_WHY_MAX];

	if (a->second.line) {
		conf_mistake(p, e->line, s, NULL, "is the same client as in lines %d and %d, and two keys are the most",
			     a->line, a->second.line);
	} else if (!conf_node_key(p, e->value, &a->second, why)) {
		conf_mistake(p, e->line, s, NULL, "%s", why);
	} else if (conf_same_key(&a->key, &a->second)) {
		conf_mistake(p, e->line, s, NULL, "is the same client with the same key as in line %d", a->line);
	} else {
		a->second.line = e->line;
	}
}

static void add_client(struct conf_parse *p, const struct conf_section *s,
		       const struct conf_entry *e, struct conf_server *c)
{
	struct conf_allowed *a = &c->clients[c->client_count];
	char why[CONF_WHY_MAX];

	if (!e->name || !e->value)
		return;
	for (size_t i = 0; i < c->client_count; i++) {
		if (strcmp(c->clients[i].name, e->name) == 0) {
			add_second_key(p, s, e, &c->clients[i]);
			return;
		}
	}
	if (!conf_node_key(p, e->value, &a->key, why)) {
		conf_mistake(p, e->line, s, NULL, "%s", why);
		return;
	}
	snprintf(a->name, sizeof(a->name), "%s", e->name);
	a->line = a->key.line = e->line;
	c->client_count++;
}

static void read_clients(struct conf_parse *p, struct conf_server *c)
{
	size_t count = 0;

	for (size_t i = 0; i < p->section_count; i++)
		if (conf_is_kind(&p->sections[i], "clients"))
			count += p->sections[i].count;
	if (count > CONF_ALLOWED_MAX) {
		conf_end_mistake(p, "there are more than %d clients", CONF_ALLOWED_MAX);
		return;
	}
	/* Of the right size at once: a copy that grew would leave keys behind. */
	c->clients = conf_secret(p, count, sizeof(*c->clients));
	if (!c->clients)
		return;
	for (size_t i = 0; i < p->section_count; i++) {
		const struct conf_section *s = &p->sections[i];

		for (size_t k = 0; conf_is_kind(s, "clients") && k < s->count; k++)
			add_client(p, s, &s->entries[k], c);
	}
}

/* The names in a list of clients must be in [clients]. */
static void check_list(struct conf_parse *p, const struct conf_section *s, const char *key,
		       char **list, const struct conf_server *c)
{
	for (char **name = list; name && *name; name++) {
		int n = (int)strcspn(*name, ":");
		size_t i = 0;

		while (i < c->client_count && (strncmp(c->clients[i].name, *name, (size_t)n) != 0 || c->clients[i].name[n]))
			i++;
		if (i == c->client_count)
			conf_key_mistake(p, s, key, p->of_fleet ? "there is no [client %.*s] in its namespace" :
					 "'%.*s' is not in [clients]", n, *name);
	}
}

/* [pool NAME] and [volume NAME] */

static void add_pool(struct conf_parse *p, const struct conf_section *s, struct conf_server *c)
{
	struct conf_pool *pool = conf_more(p, &c->pools, &c->pool_count, sizeof(*pool));

	if (!pool)
		return;
	conf_copy_name(pool->name, s);
	pool->line = s->line;
	conf_fill(p, s, pool);
	check_list(p, s, "clients", pool->clients, c);
	check_list(p, s, "manage", pool->manage, c);
	for (const struct conf_pool *other = c->pools; other < pool && pool->path; other++) {
		if (other->path && strcmp(other->path, pool->path) == 0) {
			conf_key_mistake(p, s, "path", "is the path of [pool %s] too", other->name);
			break;
		}
	}
}

static void check_volume(struct conf_parse *p, const struct conf_section *s,
			 const struct conf_server *c, const struct conf_volume *v)
{
	check_list(p, s, "clients", v->clients, c);
	for (const struct conf_volume *other = c->volumes; other < v; other++) {
		if (v->path && other->path && strcmp(other->path, v->path) == 0)
			conf_key_mistake(p, s, "path", "is the path of [volume %s] too",
					 other->name);
		if (v->has_uuid && other->has_uuid &&
		    memcmp(other->uuid, v->uuid, sizeof(v->uuid)) == 0)
			conf_key_mistake(p, s, "uuid", "is the UUID of [volume %s] too",
					 other->name);
	}
}

static void add_volume(struct conf_parse *p, const struct conf_section *s, struct conf_server *c)
{
	static const uint8_t nil[16];
	struct conf_volume *v = conf_more(p, &c->volumes, &c->volume_count, sizeof(*v));

	if (!v)
		return;
	conf_copy_name(v->name, s);
	v->line = s->line;
	conf_fill_defaults(p, CONF_FILE_SERVER, "volume", v);
	conf_fill(p, s, v);
	v->has_uuid = memcmp(v->uuid, nil, sizeof(nil)) != 0;
	check_volume(p, s, c, v);
}

/* The whole. */

static void check_whole(struct conf_parse *p, const struct conf_server *c, const struct heads *h)
{
	if (!h->namespace)
		conf_end_mistake(p, "there is no [namespace NAME] section");
	if (!h->server)
		conf_end_mistake(p, "there is no [server NAME] section");
	if (!c->listen_count)
		conf_end_mistake(p, "there is no [interface NAME] section, so no portal");
	if (c->clients && !c->client_count)
		conf_warning(p, CONF_LINE_END, NULL, NULL,
			     "there is no client in [clients], so nobody can log in");
}

struct conf_server *conf_server_build(struct conf_parse *p)
{
	struct conf_server *c = conf_zeroed(p, 1, sizeof(*c));
	struct heads h = { NULL, NULL };

	if (!c)
		return NULL;
	c->path = conf_dup(p, p->path);
	read_heads(p, c, &h);
	find_key_group(p, c->user);
	read_clients(p, c);
	for (size_t i = 0; i < p->section_count; i++) {
		const struct conf_section *s = &p->sections[i];

		if (conf_is_kind(s, "interface"))
			add_listen(p, s, c, &h);
		else if (conf_is_kind(s, "pool"))
			add_pool(p, s, c);
		else if (conf_is_kind(s, "volume"))
			add_volume(p, s, c);
	}
	check_whole(p, c, &h);
	c->key_files = p->key_files;
	p->key_files = NULL;
	return c;
}

void conf_server_free(struct conf_server *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->listen_count; i++) {
		free(c->listens[i].address);
		free(c->listens[i].device);
	}
	for (size_t i = 0; i < c->pool_count; i++) {
		free(c->pools[i].path);
		conf_list_free(c->pools[i].clients);
		conf_list_free(c->pools[i].manage);
	}
	for (size_t i = 0; i < c->volume_count; i++) {
		free(c->volumes[i].path);
		conf_list_free(c->volumes[i].clients);
	}
	secure_free(c->clients);
	conf_list_free(c->key_files);
	free(c->pools);
	free(c->volumes);
	free(c->user);
	free(c->fence_command);
	free(c->on_event);
	free(c->metrics);
	free(c->path);
	free(c);
}
