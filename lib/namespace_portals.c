/*
 * namespace_portals.c - portals that the configuration does not name: a server told of
 * them.  Each gets a path from every interface, and is believed no further than that: the
 * server that answers there has to be the one that named it, on the same machine, and to
 * prove that it has the key.  One that is gone loses its paths, when nothing of them is in
 * flight and another one is there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "namespace_impl.h"

/* Beside those that there are, as many may be on their way out. */
#define LEARNED_MAX (2 * WIRE_PORTALS_MAX)

static int parse(const char *text, struct sock_addr *at, int *port)
{
	const char *slash = strrchr(text, '/');
	char address[WIRE_PORTAL_MAX], *end;
	long n;

	if (!slash || slash == text || !slash[1])
		return -EINVAL;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = 0;
	n = strtol(slash + 1, &end, 10);
	if (*end || n < 1 || n > 65535 || sock_parse(address, (int)n, at) || !sock_is_global(at))
		return -EINVAL;
	*port = (int)n;
	return 0;
}

static bool same_place(const struct learned *l, const struct sock_addr *at, int port)
{
	return l->portal.port == port && sock_equal_host(&l->at, at);
}

static bool leads_to(const struct path *p, const struct sock_addr *at, int port)
{
	struct sock_addr to = p->to;

	/* A host name is known when it was looked up. */
	if (!to.length && sock_parse(p->setup.portal->address, p->setup.port, &to))
		return false;
	return p->setup.port == port && sock_equal_host(&to, at);
}

static bool is_from(const struct path *p, const struct conf_interface *f)
{
	const struct conf_interface *own = p->setup.interface;

	return f && own ? !strcmp(f->name, own->name) : f == own;
}

/* The configuration's path or, without one, another, from this interface to that place; or NULL. */
static struct path *find_path(struct namespace *ns, const struct conf_interface *f, const struct sock_addr *at, int port)
{
	struct path *found = NULL;

	for (size_t i = 0; i < ns->path_count; i++) {
		struct path *p = ns->paths[i];

		if (way_of(p)->obsolete || !is_from(p, f) || !leads_to(p, at, port))
			continue;
		if (!found || !p->setup.learned)
			found = p;
	}
	return found;
}

/* Paths of this session, with those that are to become it. */
static size_t count_paths(const struct namespace *ns, const struct session *s)
{
	size_t count = 0;

	for (size_t i = 0; i < ns->path_count; i++) {
		const struct learned *l = way_of(ns->paths[i])->learned;

		count += l ? l->from == s : ns->paths[i]->session == s;
	}
	return count;
}

void namespace_retire(struct namespace *ns, struct path *p)
{
	p->leaving = true;
	ns->leaving = true;
	if (p->session)
		session_look_again(p->session);
}

/* A path from this interface, unless there is one. */
static void make_path(struct namespace *ns, struct learned *l, const struct conf_interface *f)
{
	struct path *p = find_path(ns, f, &l->at, l->portal.port);

	if (p) {
		if (way_of(p)->learned == l && p->state != PATH_DRAINING)
			p->leaving = false;
		return;
	}
	if (count_paths(ns, l->from) >= POLICY_PATHS_MAX) {
		log_bounded(&l->from->told, loop_now(ns->loop), LOG_LEVEL_WARNING, l->from->name,
			    "no path to %s: there are %d already, as many as a session may have",
			    l->portal.name, POLICY_PATHS_MAX);
		return;
	}
	if (namespace_make_path(ns, f, &l->portal, l))
		namespace_start_paths(ns);
	else
		log_error(l->from->name, "no memory for a path to %s", l->portal.name);
}

static void make_paths(struct namespace *ns, struct learned *l)
{
	for (size_t i = 0; i < ns->client->interface_count; i++)
		make_path(ns, l, &ns->client->interfaces[i]);
	if (!ns->client->interface_count)
		make_path(ns, l, NULL);
}

static void name_it(const struct namespace *ns, struct learned *l, const char *address)
{
	int usual = ns->conf->port ? ns->conf->port : ns->client->port;
	int n = snprintf(l->portal.name, sizeof l->portal.name, "%s@%s", l->from->name, address);

	if (l->portal.port != usual && n > 0 && (size_t)n < sizeof l->portal.name)
		snprintf(l->portal.name + n, sizeof l->portal.name - (size_t)n, "/%d", l->portal.port);
}

static struct learned *learned_new(struct namespace *ns, struct session *s, const struct sock_addr *at, int port)
{
	struct learned *l = calloc(1, sizeof *l);
	char address[SOCK_TEXT_MAX];

	sock_format(at, address);
	if (l)
		l->portal.address = strdup(address);
	if (!l || !l->portal.address) {
		free(l);
		return NULL;
	}
	l->from = s;
	l->at = *at;
	l->portal.port = port;
	l->number = ns->learned++;
	name_it(ns, l, address);
	list_append(&ns->portals, &l->link);
	return l;
}

static void learned_free(struct learned *l)
{
	list_remove(&l->link);
	free(l->portal.address);
	free(l);
}

/* Does the portal mean anything here?  One on the loopback network does when the server was
 * reached over that: else it would be a program of our own. */
static bool means_something(const struct session *s, const struct sock_addr *at)
{
	if (!sock_is_loopback(at))
		return true;
	for (size_t i = 0; i < s->path_count; i++)
		if (s->paths[i]->counted && sock_is_loopback(&s->paths[i]->to))
			return true;
	return false;
}

/* Does the configuration name it for all interfaces?  Then there is nothing to remember. */
static bool named(struct namespace *ns, const struct sock_addr *at, int port)
{
	const struct path *p;

	for (size_t i = 0; i < ns->client->interface_count; i++) {
		p = find_path(ns, &ns->client->interfaces[i], at, port);
		if (!p || p->setup.learned)
			return false;
	}
	p = ns->client->interface_count ? NULL : find_path(ns, NULL, at, port);
	return ns->client->interface_count || (p && !p->setup.learned);
}

static void learn(struct namespace *ns, struct session *s, const struct sock_addr *at, int port)
{
	size_t there = 0, all = 0;
	struct learned *l = NULL;
	struct list *pos;

	list_each(pos, &ns->portals) {
		struct learned *k = container_of(pos, struct learned, link);

		if (k->from != s)
			continue;
		if (same_place(k, at, port))
			l = k;
		all++;
		there += !k->gone;
	}
	if (!l && (!ns->conf->behaviour.learn_portals || named(ns, at, port) || !means_something(s, at)))
		return;
	if (!l && (all >= LEARNED_MAX || there >= WIRE_PORTALS_MAX)) {
		log_bounded(&s->told, loop_now(ns->loop), LOG_LEVEL_WARNING, s->name,
			    "it tells of more than %d portals", WIRE_PORTALS_MAX);
		return;
	}
	if (!l) {
		l = learned_new(ns, s, at, port);
		if (!l)
			return;
		log_bounded(&s->told, loop_now(ns->loop), LOG_LEVEL_INFO, s->name, "it can be reached at %s too", l->portal.name);
	}
	l->gone = false;
	l->listed = true;
	make_paths(ns, l);
}

static void forget(struct namespace *ns, struct learned *l)
{
	if (!l->gone)
		log_bounded(&l->from->told, loop_now(ns->loop), LOG_LEVEL_INFO, l->from->name,
			    "it can be reached at %s no more", l->portal.name);
	l->gone = true;
	ns->leaving = true;
	for (size_t i = 0; i < ns->path_count; i++)
		if (way_of(ns->paths[i])->learned == l)
			namespace_retire(ns, ns->paths[i]);
}

/* The configuration names a place by a host name that was looked up meanwhile. */
static void retire_doubles(struct namespace *ns)
{
	for (size_t i = 0; i < ns->path_count; i++) {
		struct path *p = ns->paths[i];
		const struct learned *l = way_of(p)->learned;

		if (l && find_path(ns, p->setup.interface, &l->at, l->portal.port) != p)
			namespace_retire(ns, p);
	}
}

void namespace_portals(void *owner, struct session *s, const char (*texts)[WIRE_PORTAL_MAX], size_t count)
{
	struct namespace *ns = owner;
	struct list *pos;

	if (ns->stopped)
		return;
	list_each(pos, &ns->portals)
		container_of(pos, struct learned, link)->listed = false;
	for (size_t i = 0; i < count; i++) {
		struct sock_addr at;
		int port;

		if (parse(texts[i], &at, &port) == 0)
			learn(ns, s, &at, port);
	}
	list_each(pos, &ns->portals) {
		struct learned *l = container_of(pos, struct learned, link);

		if (l->from == s && !l->listed && !l->gone)
			forget(ns, l);
	}
	retire_doubles(ns);
}

void namespace_portal(void *owner, struct session *s, const char *text, bool there)
{
	struct namespace *ns = owner;
	struct sock_addr at;
	struct list *pos;
	int port;

	if (ns->stopped || parse(text, &at, &port) < 0)
		return;
	if (there) {
		learn(ns, s, &at, port);
		return;
	}
	list_each(pos, &ns->portals) {
		struct learned *l = container_of(pos, struct learned, link);

		if (l->from == s && same_place(l, &at, port))
			forget(ns, l);
	}
	for (size_t i = 0; i < s->path_count; i++)
		if (!s->paths[i]->setup.learned && leads_to(s->paths[i], &at, port))
			namespace_retire(ns, s->paths[i]);
}

int namespace_check_learned(struct path *p, const struct wire_welcome *w)
{
	const struct learned *l = way_of(p)->learned;

	if (!l || (w->server_id == l->from->server_id && !strcmp(w->server, l->from->name) &&
		   !memcmp(w->machine, l->from->machine, sizeof w->machine)))
		return 0;
	path_refuse(p, "server %s told of this portal, but server %s (id %d) answers there%s", l->from->name, w->server,
		    w->server_id, strcmp(w->server, l->from->name) ? "" : ", on another machine or with another id");
	return -EADDRINUSE;
}

/* Does another path take commands, which is not about to end? */
static bool others_work(const struct path *p)
{
	const struct session *s = p->session;

	for (size_t i = 0; s && i < s->path_count; i++) {
		const struct path *other = s->paths[i];

		if (other != p && other->counted && other->state == PATH_UP && !other->leaving && !other->suspect)
			return true;
	}
	return false;
}

/* The configuration's are tried on; others end for good. */
static void let_go(struct path *p)
{
	bool for_good = (p->setup.learned && !p->old_key) || way_of(p)->obsolete;

	if (p->state == PATH_UP && (p->policy.in_flight || !others_work(p)))
		return;
	if (for_good) {
		path_stop(p);
		return;
	}
	path_leave(p, p->old_key ? "logs in with its new key" : "the server has no portal there any more");
	p->leaving = p->old_key = false;
}

/* Another key.  A path that is not up logs in with it anyway, and does not wait for that when
 * its key was what was refused. */

void namespace_key_changed(struct namespace *ns)
{
	for (size_t i = 0; i < ns->path_count; i++) {
		struct path *p = ns->paths[i];

		p->old_key = true;
		if (p->state == PATH_DOWN && p->refused == WIRE_E_KEY) {
			p->refused = WIRE_OK;
			path_kick(p);
		}
	}
	ns->leaving = true;
}

/* The next path that is to log in anew; false when there is none. */
static bool renew(struct namespace *ns)
{
	bool wait = false;

	for (size_t i = 0; i < ns->path_count; i++) {
		struct path *p = ns->paths[i];
		const struct session *s = p->session;

		if (p->state != PATH_UP)
			p->old_key = false;
		if (!p->old_key || p->leaving)
			continue;
		wait = true;
		if (others_work(p)) {
			namespace_retire(ns, p);
			return true;
		}
		if (s && s->path_count == 1 && !p->policy.in_flight) {
			p->old_key = false;
			path_leave(p, "logs in with its new key");
		}
	}
	return wait;
}

static bool used(const struct namespace *ns, const struct learned *l)
{
	for (size_t i = 0; i < ns->path_count; i++)
		if (way_of(ns->paths[i])->learned == l)
			return true;
	return false;
}

void namespace_make_learned(struct namespace *ns)
{
	struct list *pos;

	list_each(pos, &ns->portals) {
		struct learned *l = container_of(pos, struct learned, link);

		if (!l->gone)
			make_paths(ns, l);
	}
}

/* After a path ended: a portal that came back meanwhile gets it again, one that is gone is
 * forgotten with its last one. */
static void look_at_learned(struct namespace *ns)
{
	struct list *pos, *keep;

	list_each_safe(pos, keep, &ns->portals) {
		struct learned *l = container_of(pos, struct learned, link);

		if (!l->gone)
			make_paths(ns, l);
		else if (!used(ns, l))
			learned_free(l);
	}
}

void namespace_reap(struct namespace *ns)
{
	bool look;

	if (!ns->leaving || ns->stopped)
		return;
	ns->leaving = false;
	for (size_t i = 0; i < ns->path_count; i++) {
		if (ns->paths[i]->leaving && ns->paths[i]->state != PATH_DRAINING)
			let_go(ns->paths[i]);
		ns->leaving |= ns->paths[i]->leaving;
	}
	look = !ns->leaving;
	if (look)
		ns->leaving = renew(ns);
	for (size_t i = ns->path_count; i-- > 0;) {
		if (!ns->paths[i]->leaving || ns->paths[i]->state != PATH_STOPPED)
			continue;
		namespace_free_path(ns, i);
		look = true;
	}
	if (look)
		look_at_learned(ns);
}

void namespace_free_portals(struct namespace *ns)
{
	while (!list_empty(&ns->portals))
		learned_free(container_of(ns->portals.next, struct learned, link));
}
