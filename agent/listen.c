/* listen.c - see listen.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "client.h"
#include "conn.h"
#include "discover.h"
#include "listen.h"
#include "log.h"
#include "server.h"
#include "sock.h"
#include "strangers.h"

#define ACCEPTS_MAX 64		/* in a row */
#define HOST_TEXT SOCK_TEXT_MAX
#define ACCEPT_SHARE 33			/* of its time the control loop accepts at most this part */
#define ACCEPT_BURST (50000000ull * ACCEPT_SHARE)

#define PORTALS_MAX WIRE_PORTALS_MAX
_Static_assert(PORTALS_MAX >= CONF_IFACE_MAX, "a portal for each [interface]");

struct portal {
	struct source source;	/* first; fd -1: not in use */
	struct listeners *all;
	char name[CONF_NAME_MAX + 1];
	struct sock_addr at;
	char address[SOCK_TEXT_MAX], device[32];	/* of at; "" where an address is configured */
	int port;
	bool told;		/* its address is there: clients are told of it */
};

struct login_count {
	char host[HOST_TEXT];
	unsigned count;
};

struct listeners {
	struct server *server;
	struct portal portals[PORTALS_MAX];
	struct source links;
	unsigned next_loop;
	bool out_of_files;
	struct pace pace;
	bool resting;		/* nothing is accepted until that time is paid for */
	char said[ERR_TEXT_MAX];		/* why a portal could not be opened */

	pthread_mutex_t lock;	/* of the rest; and of portals for the status thread */
	struct login_count counts[LOGINS_MAX];
	unsigned total;
	uint64_t refused;
	uint64_t refused_logged;	/* when, on the loop's clock */
};

/* As it travels; false: it means nothing to others. */
static bool portal_text(const struct portal *p, char out[WIRE_PORTAL_MAX])
{
	int n = sock_is_global(&p->at) ? snprintf(out, WIRE_PORTAL_MAX, "%s/%d", p->address, p->port) : 0;

	return n > 0 && n < WIRE_PORTAL_MAX;
}

struct listeners *listeners_new(struct server *s, struct err *e)
{
	struct listeners *ls = calloc(1, sizeof(*ls));

	if (!ls) {
		err_set(e, ENOMEM, "cannot open portals: no memory");
		return NULL;
	}
	ls->server = s;
	pthread_mutex_init(&ls->lock, NULL);
	for (int i = 0; i < PORTALS_MAX; i++) {
		ls->portals[i].source.fd = -1;
		ls->portals[i].all = ls;
	}
	return ls;
}

/* False: too many that have not logged in. */
static bool count_login(struct listeners *ls, const char *host)
{
	struct login_count *free_one = NULL, *mine = NULL;
	bool ok;

	pthread_mutex_lock(&ls->lock);
	for (int i = 0; i < LOGINS_MAX && !mine; i++) {
		struct login_count *k = &ls->counts[i];

		if (k->count && strcmp(k->host, host) == 0)
			mine = k;
		else if (!k->count && !free_one)
			free_one = k;
	}
	ok = ls->total < LOGINS_MAX && (!mine || mine->count < LOGINS_PER_HOST);
	if (ok) {
		if (!mine) {
			mine = free_one;
			snprintf(mine->host, sizeof(mine->host), "%s", host);
		}
		mine->count++;
		ls->total++;
	} else {
		ls->refused++;
	}
	pthread_mutex_unlock(&ls->lock);
	return ok;
}

void listen_login_over(struct listeners *ls, const char *host)
{
	pthread_mutex_lock(&ls->lock);
	for (int i = 0; i < LOGINS_MAX; i++) {
		if (!ls->counts[i].count || strcmp(ls->counts[i].host, host) != 0)
			continue;
		ls->counts[i].count--;
		ls->total--;
		break;
	}
	pthread_mutex_unlock(&ls->lock);
}

static void keep_alive(int fd)
{
	int on = 1, idle = 10, interval = 2, count = 3;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static int port_of(const struct sockaddr_storage *ss)
{
	return ntohs(ss->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)ss)->sin6_port :
						  ((const struct sockaddr_in *)ss)->sin_port);
}

static void take(struct portal *p, struct engine *control, int fd, struct sock_addr *from)
{
	struct listeners *ls = p->all;
	struct server *s = ls->server;
	char host[SOCK_TEXT_MAX];

	sock_format(from, host);
	if (!count_login(ls, host)) {
		/* Whoever floods us must not flood the log. */
		if (control->now - ls->refused_logged > 10 * SECOND) {
			log_warning("listen", "connection from %s refused: too many that have not logged in "
				    "(%d an address, %d in all)", host, LOGINS_PER_HOST, LOGINS_MAX);
			ls->refused_logged = control->now;
		}
		close(fd);
		return;
	}
	keep_alive(fd);
	if (conn_adopt(s->loops[ls->next_loop++ % s->loop_count], fd, host, port_of(&from->ss), p->name) < 0) {
		listen_login_over(ls, host);
		close(fd);
	}
}

/* Who connects and does not log in costs this thread time with each try: beyond its share
 * they wait in the kernel's queue, and what does not fit there is not even answered. */
static void set_resting(struct listeners *ls, bool resting)
{
	ls->resting = resting;
	for (int i = 0; i < PORTALS_MAX; i++)
		if (ls->portals[i].source.fd >= 0)
			engine_modify(ls->server->control, &ls->portals[i].source, resting ? 0 : EPOLLIN);
}

void listeners_settle(struct engine *l)
{
	struct listeners *ls = l->server->listeners;
	uint64_t wait;

	if (!ls || !ls->resting)
		return;
	wait = pace_wait(&ls->pace, l->now, ACCEPT_BURST);
	if (wait)
		engine_look_at(l, l->now + wait);
	else
		set_resting(ls, false);
}

static void accept_some(struct portal *p, struct engine *l)
{
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct sock_addr from = { .length = sizeof(from.ss) };
		int fd = accept4(p->source.fd, (struct sockaddr *)&from.ss, &from.length,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			take(p, l, fd, &from);
			p->all->out_of_files = false;
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			/* It stays ready: sleep a little, rather than spin. */
			if (!p->all->out_of_files)
				log_error("listen", "cannot accept: %s", strerror(errno));
			p->all->out_of_files = true;
			usleep(10000);
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return;
		}
	}
}

static void on_accept(struct engine *l, struct source *source, uint32_t events)
{
	struct portal *p = (struct portal *)source;
	uint64_t began = thread_time();

	(void)events;
	accept_some(p, l);
	pace_use(&p->all->pace, l->now, (thread_time() - began) * ACCEPT_SHARE);
	if (pace_wait(&p->all->pace, l->now, ACCEPT_BURST))
		set_resting(p->all, true);
}

/* What is to be listened on: an [interface] with its address, or with one of its device's. */
struct wanted {
	const struct conf_listen *conf;
	struct sock_addr at;
	bool open;
};

struct wanted_list {
	struct wanted of[PORTALS_MAX];
	size_t count;
	bool full;
};

static bool same_place(const struct sock_addr *a, int port, const struct sock_addr *b, int other)
{
	return port == other && sock_equal_host(a, b);
}

static void want(struct wanted_list *l, const struct conf_listen *k, const struct sock_addr *at)
{
	for (size_t i = 0; i < l->count; i++)
		if (same_place(at, k->port, &l->of[i].at, l->of[i].conf->port))
			return;
	l->full |= l->count == PORTALS_MAX;
	if (l->count == PORTALS_MAX)
		return;
	l->of[l->count++] = (struct wanted){ k, *at, false };
}

/* Each interface's first address before the second one of any: there may be too many. */
static void list_wanted(struct wanted_list *l, const struct conf_server *conf)
{
	struct sock_addr at[PORTALS_MAX];

	*l = (struct wanted_list){ .count = 0 };
	for (size_t turn = 0; turn < PORTALS_MAX; turn++) {
		for (size_t n = 0; n < conf->listen_count; n++) {
			const struct conf_listen *k = &conf->listens[n];

			if (k->address && turn == 0 && sock_parse(k->address, k->port, &at[0]) == 0)
				want(l, k, &at[0]);
			else if (k->device && sock_addresses_of(k->device, at, PORTALS_MAX) > turn)
				want(l, k, &at[turn]);
		}
	}
}

static bool same_portal(const struct portal *p, const struct wanted *w)
{
	return p->source.fd >= 0 && strcmp(p->name, w->conf->name) == 0 &&
	       same_place(&p->at, p->port, &w->at, w->conf->port) &&
	       strcmp(p->device, w->conf->device ? w->conf->device : "") == 0;
}

static int open_socket(const struct wanted *w, struct err *e)
{
	const struct conf_listen *k = w->conf;
	struct sock_addr at = w->at;
	char address[SOCK_TEXT_MAX];
	int fd;

	sock_set_port(&at, k->port);
	sock_format(&at, address);
	fd = sock_listen(&at, k->device);
	if (fd == -EPERM && k->device)		/* not root any more, on an old kernel */
		fd = sock_listen(&at, NULL);
	if (fd >= 0)
		return fd;
	err_sys(e, -fd, "cannot listen on %s port %d for [interface %s]", address, k->port, k->name);
	if (fd == -EADDRINUSE)
		err_next(e, "another program, perhaps another rssrv, has that port: 'ss -ltnp' names it");
	else if (fd == -EADDRNOTAVAIL)
		err_next(e, "no interface of this host has that address: see 'ip address'");
	return fd;
}

static int open_portal(struct listeners *ls, const struct wanted *w, struct err *e)
{
	const struct conf_listen *k = w->conf;
	struct portal *p = ls->portals;
	int fd = open_socket(w, e), r;

	if (fd < 0)
		return fd;
	while (p->source.fd >= 0)
		p++;
	pthread_mutex_lock(&ls->lock);
	snprintf(p->name, sizeof(p->name), "%s", k->name);
	snprintf(p->device, sizeof(p->device), "%s", k->device ? k->device : "");
	p->at = w->at;
	sock_format(&p->at, p->address);
	p->port = k->port;
	p->source.ready = on_accept;
	p->source.fd = fd;
	pthread_mutex_unlock(&ls->lock);
	r = engine_add(ls->server->control, &p->source, EPOLLIN);
	if (r < 0)
		return err_sys(e, -r, "cannot watch [interface %s]", k->name);
	log_info("listen", "[interface %s] listens on %s/%d", k->name, p->address, p->port);
	return 0;
}

/* Clients hear of it, both now and when they ask for the list.  That a server ends is
 * another matter: its portals will be back. */
static void tell(struct portal *p, bool told)
{
	char text[WIRE_PORTAL_MAX];

	if (p->told == told || atomic_load(&p->all->server->leaving))
		return;
	pthread_mutex_lock(&p->all->lock);
	p->told = told;
	pthread_mutex_unlock(&p->all->lock);
	if (portal_text(p, text))
		clients_announce_portal(p->all->server->clients, text, told);
}

static void close_portal(struct portal *p)
{
	tell(p, false);
	engine_remove(p->all->server->control, &p->source);
	pthread_mutex_lock(&p->all->lock);
	close(p->source.fd);
	p->source.fd = -1;
	pthread_mutex_unlock(&p->all->lock);
	log_info("listen", "[interface %s] is closed", p->name);
}

static void close_unwanted(struct listeners *ls, struct wanted_list *l)
{
	for (int i = 0; i < PORTALS_MAX; i++) {
		struct portal *p = &ls->portals[i];
		bool wanted = false;

		for (size_t n = 0; n < l->count; n++) {
			bool same = same_portal(p, &l->of[n]);

			l->of[n].open |= same;
			wanted |= same;
		}
		if (!wanted && p->source.fd >= 0)
			close_portal(p);
	}
}

/* A device that has no address yet gets one some time; one that is not there is a mistake. */
static int check_devices(const struct conf_server *conf, const struct wanted_list *l, struct err *e)
{
	for (size_t n = 0; n < conf->listen_count; n++) {
		const struct conf_listen *k = &conf->listens[n];
		bool found = !k->device;

		for (size_t i = 0; i < l->count; i++)
			found |= l->of[i].conf == k;
		if (found)
			continue;
		if (!if_nametoindex(k->device))
			return err_sys(e, errno, "[interface %s]: device %s", k->name, k->device);
		log_warning("listen", "[interface %s]: device %s has no address yet", k->name, k->device);
	}
	return 0;
}

/* An IPv6 address is of no use until the kernel has asked around whether it is taken. */
static bool may_come(const struct wanted *w, const struct err *e)
{
	return w->conf->device && e->code == EADDRNOTAVAIL;
}

/* Each look finds the same again. */
static void say(struct listeners *ls, const char *text)
{
	if (strcmp(ls->said, text))
		log_warning("listen", "%s", text);
	snprintf(ls->said, sizeof(ls->said), "%s", text);
}

int listeners_apply(struct listeners *ls, const struct conf_server *conf, bool starting, struct err *e)
{
	struct wanted_list l;
	int r = 0;

	list_wanted(&l, conf);
	if (starting)
		r = check_devices(conf, &l, e);
	if (l.full)
		log_warning("listen", "more addresses than the %d portals that a server may have", PORTALS_MAX);
	close_unwanted(ls, &l);
	for (size_t n = 0; n < l.count && !r; n++) {
		if (l.of[n].open || open_portal(ls, &l.of[n], e) == 0)
			continue;
		if (starting && !may_come(&l.of[n], e))
			r = -e->code;
		else
			say(ls, e->text);
	}
	for (int i = 0; i < PORTALS_MAX; i++)
		if (ls->portals[i].source.fd >= 0)
			tell(&ls->portals[i], sock_is_local(&ls->portals[i].at));
	discover_apply(ls->server->discover, conf);
	return r;
}

/* The control loop is the one that replaces the configuration: nobody does meanwhile. */
static void on_links(struct engine *l, struct source *source, uint32_t events)
{
	struct server *s = l->server;
	struct err e = { 0 };

	(void)events;
	sock_drain_links(source->fd);
	listeners_apply(s->listeners, s->conf, false, &e);
}

int listeners_watch(struct listeners *ls, struct err *e)
{
	int r;

	ls->links.fd = sock_watch_links();
	ls->links.ready = on_links;
	if (ls->links.fd < 0)
		return err_sys(e, -ls->links.fd, "cannot watch this host's addresses");
	r = engine_add(ls->server->control, &ls->links, EPOLLIN);
	return r < 0 ? err_sys(e, -r, "cannot watch this host's addresses") : 0;
}

size_t listeners_portals(struct listeners *ls, char out[WIRE_PORTALS_MAX][WIRE_PORTAL_MAX])
{
	size_t count = 0;

	pthread_mutex_lock(&ls->lock);
	for (int i = 0; i < PORTALS_MAX; i++)
		if (ls->portals[i].told && portal_text(&ls->portals[i], out[count]))
			count++;
	pthread_mutex_unlock(&ls->lock);
	return count;
}

size_t listeners_places(const struct listeners *ls, struct listen_place out[WIRE_PORTALS_MAX])
{
	size_t count = 0;

	for (int i = 0; i < PORTALS_MAX; i++) {
		const struct portal *p = &ls->portals[i];
		struct listen_place *o = &out[count];

		if (p->source.fd < 0)
			continue;
		*o = (struct listen_place){ .at = p->at, .port = p->port, .told = p->told };
		snprintf(o->device, sizeof(o->device), "%s", p->device);
		sock_set_port(&o->at, p->port);
		count++;
	}
	return count;
}

void listeners_close(struct listeners *ls)
{
	if (ls)
		discover_close(ls->server->discover);
	for (int i = 0; ls && i < PORTALS_MAX; i++)
		if (ls->portals[i].source.fd >= 0)
			close_portal(&ls->portals[i]);
}

json_t *listeners_json(struct listeners *ls)
{
	json_t *list = json_array();

	pthread_mutex_lock(&ls->lock);
	for (int i = 0; i < PORTALS_MAX; i++) {
		const struct portal *p = &ls->portals[i];

		if (p->source.fd < 0)
			continue;
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i, s:b}", "name", p->name,
			"address", p->address, "device", p->device, "port", p->port,
			"told", p->told));
	}
	pthread_mutex_unlock(&ls->lock);
	return list;
}
