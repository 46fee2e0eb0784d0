/* conf_join.c - the client's text gets a namespace and servers, or loses them. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "secure.h"
#include "conf_write_impl.h"

/* Addresses and ports. */

/* An address as bytes, its family first; without brackets, its scope as text.  0: it is none. */
static size_t address_bytes(const char *text, unsigned char bytes[64])
{
	char copy[64], *scope;
	size_t n = strlen(text);

	if (n > 1 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n >= sizeof(copy) - 20)
		return 0;
	memcpy(copy, text, n);
	copy[n] = 0;
	bytes[0] = 4;
	if (inet_pton(AF_INET, copy, bytes + 1) == 1)
		return 5;
	scope = strchr(copy, '%');
	if (scope)
		*scope++ = 0;
	bytes[0] = 6;
	if (inet_pton(AF_INET6, copy, bytes + 1) != 1)
		return 0;
	return 17 + (size_t)snprintf((char *)bytes + 17, 46, "%s", scope ? scope : "");
}

bool conf_same_address(const char *a, const char *b)
{
	unsigned char one[64], other[64];
	size_t n = address_bytes(a, one);

	if (!n)
		return strcasecmp(a, b) == 0;
	return address_bytes(b, other) == n && memcmp(one, other, n) == 0;
}

static int number(const struct conf_text *t, const struct conf_place *at, const char *key, int fallback)
{
	char value[16];

	if (conf_text_get(t, at, key, value, sizeof(value)) <= 0 || strspn(value, "0123456789") != strlen(value))
		return fallback;
	return atoi(value);
}

/* What a portal of the namespace has that says nothing of it. */
static int usual_port(const struct conf_text *t, const char *namespace)
{
	static const struct conf_place defaults = { .kind = "defaults" };
	const struct conf_place ns = { .kind = "namespace", .name = namespace };

	return number(t, &ns, "port", number(t, &defaults, "port", CONF_PORT));
}

static bool an_interface_has_port(const struct conf_text *t)
{
	char name[2 * CONF_NAME_MAX + 2];

	for (size_t i = 0; conf_text_section(t, "interface", i, name, NULL); i++) {
		const struct conf_place at = { .kind = "interface", .name = name };

		if (number(t, &at, "port", 0))
			return true;
	}
	return false;
}

/* A [server] of the namespace, as far as it was read. */
struct seen {
	bool inside;
	char name[CONF_HEADER_MAX + 1], address[CONF_LINE_MAX + 1];
	int port;
};

static void see(struct seen *s, const struct conf_walk *w)
{
	struct conf_parts p;
	size_t n;

	conf_walk_parts(w, &p);
	n = p.value_end - p.value;
	if (!p.equals || n >= sizeof(s->address))
		return;
	if (conf_walk_is(w, &p, "address") && !*s->address)
		memcpy(s->address, w->text + p.value, n);
	else if (conf_walk_is(w, &p, "port") && n && strspn(w->text + p.value, "0123456789") == n)
		s->port = atoi(w->text + p.value);
}

/* Its section's name into name; false: the namespace has none.  In one walk: there may be thousands. */
static bool find_portal(const struct conf_text *t, const char *namespace, const struct conf_join_portal *p,
			char name[2 * CONF_NAME_MAX + 2])
{
	int usual = usual_port(t, namespace), port = p->port ? p->port : usual;
	struct seen s = { .inside = false };
	struct conf_walk w;
	bool more;

	conf_walk_begin(&w, t);
	do {
		more = conf_walk_next(&w);
		if (more && w.line == CONF_LINE_ENTRY && s.inside)
			see(&s, &w);
		if (more && w.line != CONF_LINE_HEADER)
			continue;
		if (s.inside && *s.address && s.port == port && conf_same_address(s.address, p->address)) {
			snprintf(name, 2 * CONF_NAME_MAX + 2, "%.*s", 2 * CONF_NAME_MAX + 1, s.name);
			return true;
		}
		s = (struct seen){ .inside = strcmp(w.kind, "server") == 0 && strcmp(w.namespace, namespace) == 0, .port = usual };
		memcpy(s.name, w.name, sizeof(s.name));
	} while (more);
	return false;
}

/* Servers. */

/* The name that is wanted, or that with a number behind it. */
static int free_name(const struct conf_text *t, const char *namespace, const char *wanted, char name[CONF_NAME_MAX + 1],
		     struct err *e)
{
	const struct conf_place at = { "server", name, namespace };

	snprintf(name, CONF_NAME_MAX + 1, "%s", wanted);
	for (int i = 2; i < 1000 && conf_text_has(t, &at); i++)
		snprintf(name, CONF_NAME_MAX + 1, "%.*s-%d", CONF_NAME_MAX - 4, wanted, i);
	return conf_text_has(t, &at) ? err_set(e, EEXIST, "%s: all names like %s are taken", t->path, wanted) : 0;
}

static int add_portal(struct conf_text *t, const char *namespace, const struct conf_join_portal *p, struct err *e)
{
	char name[2 * CONF_NAME_MAX + 2], port[16];
	const struct conf_place at = { "server", name, namespace };
	int r;

	if (find_portal(t, namespace, p, name))
		return 0;
	r = free_name(t, namespace, p->name, name, e);
	if (!r)
		r = conf_text_set(t, &at, "address", p->address, e);
	if (r || !p->port || (p->port == usual_port(t, namespace) && !an_interface_has_port(t)))
		return r;
	snprintf(port, sizeof(port), "%d", p->port);
	return conf_text_set(t, &at, "port", port, e);
}

static int remove_portal(struct conf_text *t, const char *namespace, const struct conf_join_portal *p, struct err *e)
{
	char name[2 * CONF_NAME_MAX + 2];
	const struct conf_place at = { "server", name, namespace };

	return find_portal(t, namespace, p, name) ? conf_text_remove(t, &at, e) : 0;
}

static bool stays(const struct conf_text *t, const struct conf_join *j, const struct conf_join_portal *gone)
{
	int usual = usual_port(t, j->namespace);

	for (size_t i = 0; i < j->portal_count; i++)
		if (conf_same_address(j->portals[i].address, gone->address) &&
		    (j->portals[i].port ? j->portals[i].port : usual) == (gone->port ? gone->port : usual))
			return true;
	return false;
}

/* The namespace. */

/* Another namespace that has this number; false: none. */
static bool id_taken(const struct conf_text *t, const char *namespace, int id, char name[2 * CONF_NAME_MAX + 2])
{
	for (size_t i = 0; conf_text_section(t, "namespace", i, name, NULL); i++) {
		const struct conf_place at = { .kind = "namespace", .name = name };

		if (strcmp(name, namespace) != 0 && number(t, &at, "namespaceid", -1) == id)
			return true;
	}
	return false;
}

int conf_text_free_id(const struct conf_text *t, const char *namespace)
{
	char name[2 * CONF_NAME_MAX + 2];
	uint8_t bits[16];
	int id;

	secure_id("rsio namespace", namespace, strlen(namespace), bits);
	id = bits[0] << 8 | bits[1];
	/* A file has fewer namespaces than there are numbers. */
	while (!id || id_taken(t, namespace, id, name))
		id = (id + 1) % 65536;
	return id;
}

static int set_id(struct conf_text *t, const struct conf_join *j, const struct conf_place *ns, struct err *e)
{
	int has = number(t, ns, "namespaceid", -1), id = j->id;
	char name[2 * CONF_NAME_MAX + 2], text[16];

	if (id < 0)
		id = has >= 0 ? has : conf_text_free_id(t, j->namespace);
	if (has >= 0 && has != id)
		return err_set(e, EEXIST, "%s: namespace %s has the number %d there, and %d on the server", t->path, j->namespace,
			       has, id);
	if (id_taken(t, j->namespace, id, name))
		return err_set(e, EEXIST, "%s: the number %d is that of namespace %s there, and of %s on the server", t->path, id,
			       name, j->namespace);
	snprintf(text, sizeof(text), "%d", id);
	return has >= 0 ? 0 : conf_text_set(t, ns, "namespaceid", text, e);
}

static int set_node(struct conf_text *t, const struct conf_join *j, const struct conf_place *ns, struct err *e)
{
	char name[CONF_LINE_MAX + 1];

	if (j->node)
		return conf_text_set(t, ns, "nodename", j->node, e);
	if (conf_text_get(t, ns, "nodename", name, sizeof(name)) > 0)
		return 0;
	conf_host_name(name);
	return conf_text_set(t, ns, "nodename", name, e);
}

/* Another way to write the key that it has is no change. */
static bool same_key(const char *has, const char *wanted)
{
	uint8_t one[CONF_KEY_BYTES], other[CONF_KEY_BYTES];
	bool same = *has != '@' && !secure_key_from_text(has, one) && !secure_key_from_text(wanted, other) &&
		    secure_equal(one, other, sizeof(one));

	secure_wipe(one, sizeof(one));
	secure_wipe(other, sizeof(other));
	return same;
}

static int set_key(struct conf_text *t, const struct conf_join *j, const struct conf_place *ns, struct err *e)
{
	char key[CONF_LINE_MAX + 1];
	int r = conf_text_get(t, ns, "nodekey", key, sizeof(key));

	if (j->key)
		r = r > 0 && same_key(key, j->key) ? 0 : conf_text_set(t, ns, "nodekey", j->key, e);
	else
		r = r > 0 ? 0 : err_set(e, EINVAL, "%s: namespace %s has no node key yet", t->path, j->namespace);
	secure_wipe(key, sizeof(key));
	return r;
}

static int set_interfaces(struct conf_text *t, const struct conf_join *j, struct err *e)
{
	char name[2 * CONF_NAME_MAX + 2];
	int r = 0;

	if (conf_text_section(t, "interface", 0, name, NULL) || conf_text_section(t, "namespace", 0, name, NULL))
		return 0;
	for (size_t i = 0; !r && i < j->interface_count; i++) {
		const struct conf_place at = { .kind = "interface", .name = j->interfaces[i].name };

		r = conf_text_set(t, &at, "address", j->interfaces[i].address, e);
	}
	return r;
}

static int join(struct conf_text *t, const struct conf_join *j, struct err *e)
{
	const struct conf_place ns = { .kind = "namespace", .name = j->namespace };
	int r = set_interfaces(t, j, e);

	if (!r)
		r = set_id(t, j, &ns, e);
	if (!r)
		r = set_node(t, j, &ns, e);
	if (!r)
		r = set_key(t, j, &ns, e);
	for (size_t i = 0; !r && i < j->gone_count; i++)
		if (!stays(t, j, &j->gone[i]))
			r = remove_portal(t, j->namespace, &j->gone[i], e);
	for (size_t i = 0; !r && i < j->portal_count; i++)
		r = add_portal(t, j->namespace, &j->portals[i], e);
	return r;
}

int conf_text_join(struct conf_text *t, const struct conf_join *j, struct err *e)
{
	struct conf_kept k = { NULL, 0 };
	int r;

	if (t->file != CONF_FILE_CLIENT || !conf_name_valid(j->namespace))
		return err_set(e, EINVAL, "%s: '%.60s' cannot be a namespace of it", t->path, j->namespace);
	r = conf_keep(t, &k, e);
	return r ? r : conf_keep_end(t, &k, join(t, j, e));
}

static bool has_servers(const struct conf_text *t, const char *namespace)
{
	char name[2 * CONF_NAME_MAX + 2], below[CONF_NAME_MAX + 1];

	for (size_t i = 0; conf_text_section(t, "server", i, name, below); i++)
		if (strcmp(below, namespace) == 0)
			return true;
	return false;
}

static int leave(struct conf_text *t, const char *namespace, const struct conf_join_portal *portals, size_t count,
		 struct err *e)
{
	const struct conf_place ns = { .kind = "namespace", .name = namespace };
	char name[2 * CONF_NAME_MAX + 2];
	int r = 0;

	if (!conf_text_has(t, &ns))
		return 0;
	for (size_t i = 0; !r && i < count; i++)
		r = remove_portal(t, namespace, &portals[i], e);
	if (!r && !has_servers(t, namespace))
		r = conf_text_remove(t, &ns, e);
	if (r || conf_text_section(t, "namespace", 0, name, NULL))
		return r;
	return err_set(e, ENOTEMPTY, "%s: %s is the only namespace in it, and a client has one at least", t->path, namespace);
}

int conf_text_leave(struct conf_text *t, const char *namespace, const struct conf_join_portal *portals, size_t count,
		    struct err *e)
{
	struct conf_kept k = { NULL, 0 };
	int r = conf_keep(t, &k, e);

	return r ? r : conf_keep_end(t, &k, leave(t, namespace, portals, count, e));
}

/* Names. */

bool conf_text_only_namespace(const struct conf_text *t, char name[CONF_NAME_MAX + 1])
{
	char first[2 * CONF_NAME_MAX + 2], second[2 * CONF_NAME_MAX + 2];

	if (!conf_text_section(t, "namespace", 0, first, NULL) || !conf_name_valid(first) ||
	    conf_text_section(t, "namespace", 1, second, NULL))
		return false;
	memcpy(name, first, CONF_NAME_MAX + 1);
	return true;
}

void conf_key_text(const struct conf_key *key, char text[CONF_KEY_TEXT])
{
	for (size_t i = 0; i < CONF_KEY_BYTES; i++)
		sprintf(text + 2 * i, "%02x", key->bytes[i]);
}

void conf_host_name(char name[CONF_NAME_MAX + 1])
{
	char host[256] = "", *from = host;

	if (gethostname(host, sizeof(host) - 1))
		*host = 0;
	host[strcspn(host, ".")] = 0;
	for (char *c = host; *c; c++)
		if (!isascii(*c) || (!isalnum((unsigned char)*c) && !strchr("_-", *c)))
			*c = '-';
	from += strspn(from, "-");
	snprintf(name, CONF_NAME_MAX + 1, "%.*s", CONF_NAME_MAX, *from ? from : "node");
}
