/* listen.c - see listen.h. */
#include <arpa/inet.h>
#include <errno.h>
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
#include "listen.h"
#include "log.h"
#include "server.h"
#include "sock.h"

#define ACCEPTS_MAX 64		/* in a row */
#define HOST_TEXT SOCK_TEXT_MAX

struct portal {
	struct source source;	/* first; fd -1: not in use */
	struct listeners *all;
	char name[CONF_NAME_MAX + 1];
	char address[64], device[32];
	int port;
};

struct login_count {
	char host[HOST_TEXT];
	unsigned count;
};

struct listeners {
	struct server *server;
	struct portal portals[CONF_IFACE_MAX];
	unsigned next_loop;
	bool out_of_files;

	pthread_mutex_t lock;	/* of the rest; and of portals for the status thread */
	struct login_count counts[LOGINS_MAX];
	unsigned total;
	uint64_t refused;
	uint64_t refused_logged;	/* when, on the loop's clock */
};

struct listeners *listeners_new(struct server *s, struct err *e)
{
	struct listeners *ls = calloc(1, sizeof(*ls));

	if (!ls) {
		err_set(e, ENOMEM, "cannot open portals: no memory");
		return NULL;
	}
	ls->server = s;
	pthread_mutex_init(&ls->lock, NULL);
	for (int i = 0; i < CONF_IFACE_MAX; i++) {
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

static void tune(int fd)
{
	int on = 1, idle = 10, interval = 2, count = 3;

	sock_tune(fd);
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
	tune(fd);
	if (conn_adopt(s->loops[ls->next_loop++ % s->loop_count], fd, host, port_of(&from->ss), p->name) < 0) {
		listen_login_over(ls, host);
		close(fd);
	}
}

static void on_accept(struct engine *l, struct source *source, uint32_t events)
{
	struct portal *p = (struct portal *)source;

	(void)events;
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct sock_addr from = { .length = sizeof(from.ss) };
		int fd = accept4(source->fd, (struct sockaddr *)&from.ss, &from.length,
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

static bool same_portal(const struct portal *p, const struct conf_listen *k)
{
	return p->source.fd >= 0 && p->port == k->port && strcmp(p->name, k->name) == 0 &&
	       strcmp(p->address, k->address ? k->address : "") == 0 &&
	       strcmp(p->device, k->device ? k->device : "") == 0;
}

static int open_socket(const struct conf_listen *k, struct err *e)
{
	struct sock_addr at;
	int fd;

	if (sock_parse(k->address ? k->address : "::", k->port, &at) < 0)
		return err_set(e, EINVAL, "[interface %s]: %s is not a numeric address", k->name, k->address);
	fd = sock_listen(&at, k->device);
	if (fd >= 0)
		return fd;
	err_sys(e, -fd, "cannot listen on %s port %d for [interface %s]",
		k->address ? k->address : k->device, k->port, k->name);
	if (fd == -EADDRINUSE)
		err_next(e, "another program, perhaps another rssrv, has that port: 'ss -ltnp' names it");
	else if (fd == -EADDRNOTAVAIL)
		err_next(e, "no interface of this host has that address: see 'ip address'");
	return fd;
}

static int open_portal(struct listeners *ls, const struct conf_listen *k, struct err *e)
{
	struct portal *p = ls->portals;
	int fd = open_socket(k, e), r;

	if (fd < 0)
		return fd;
	while (p->source.fd >= 0)
		p++;
	pthread_mutex_lock(&ls->lock);
	snprintf(p->name, sizeof(p->name), "%s", k->name);
	snprintf(p->address, sizeof(p->address), "%s", k->address ? k->address : "");
	snprintf(p->device, sizeof(p->device), "%s", k->device ? k->device : "");
	p->port = k->port;
	p->source.ready = on_accept;
	p->source.fd = fd;
	pthread_mutex_unlock(&ls->lock);
	r = engine_add(ls->server->control, &p->source, EPOLLIN);
	if (r < 0)
		return err_sys(e, -r, "cannot watch [interface %s]", k->name);
	log_info("listen", "[interface %s] listens on %s/%d", k->name,
		 k->address ? k->address : k->device, k->port);
	return 0;
}

static void close_portal(struct portal *p)
{
	engine_remove(p->all->server->control, &p->source);
	pthread_mutex_lock(&p->all->lock);
	close(p->source.fd);
	p->source.fd = -1;
	pthread_mutex_unlock(&p->all->lock);
	log_info("listen", "[interface %s] is closed", p->name);
}

static void close_unwanted(struct listeners *ls, const struct conf_server *conf)
{
	for (int i = 0; i < CONF_IFACE_MAX; i++) {
		bool wanted = false;

		for (size_t n = 0; n < conf->listen_count; n++)
			wanted |= same_portal(&ls->portals[i], &conf->listens[n]);
		if (!wanted && ls->portals[i].source.fd >= 0)
			close_portal(&ls->portals[i]);
	}
}

int listeners_apply(struct listeners *ls, const struct conf_server *conf, bool starting, struct err *e)
{
	close_unwanted(ls, conf);
	for (size_t n = 0; n < conf->listen_count; n++) {
		const struct conf_listen *k = &conf->listens[n];
		bool open = false;
		char text[100];
		int r;

		for (int i = 0; i < CONF_IFACE_MAX; i++)
			open |= same_portal(&ls->portals[i], k);
		if (open)
			continue;
		r = open_portal(ls, k, e);
		if (r < 0 && starting)
			return r;
		if (r < 0) {
			log_error("listen", "%s", e->text);
		} else if (!starting && k->address) {
			snprintf(text, sizeof(text), "%s/%d", k->address, k->port);
			clients_announce_portal(ls->server->clients, text);
		}
	}
	return 0;
}

void listeners_close(struct listeners *ls)
{
	for (int i = 0; ls && i < CONF_IFACE_MAX; i++)
		if (ls->portals[i].source.fd >= 0)
			close_portal(&ls->portals[i]);
}

json_t *listeners_json(struct listeners *ls)
{
	json_t *list = json_array();

	pthread_mutex_lock(&ls->lock);
	for (int i = 0; i < CONF_IFACE_MAX; i++) {
		const struct portal *p = &ls->portals[i];

		if (p->source.fd < 0)
			continue;
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i}", "name", p->name,
			"address", p->address, "device", p->device, "port", p->port));
	}
	pthread_mutex_unlock(&ls->lock);
	return list;
}
