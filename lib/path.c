#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "list.h"
#include "log.h"
#include "path_impl.h"

#define SECOND UINT64_C(1000000000)
#define LOGIN_TIME (5 * SECOND)		/* for TCP and login together */
#define BYE_TIME (1 * SECOND)
#define RETRY_MAX 1.0			/* seconds */
#define RETRY_REFUSED 5.0		/* a refused login does not mend itself in a second */
#define RETRY_UNUSED 5.0

const char *path_log_name(const struct path *p)
{
	return p->setup.name;
}

double path_seconds_in_state(const struct path *p)
{
	return (double)(loop_now(p->loop) - p->since) / 1e9;
}

static uint64_t after(const struct path *p, double seconds)
{
	return loop_now(p->loop) + (uint64_t)(seconds * 1e9);
}

/* Reasons: the first one said for a failure stands; it is logged once. */

static void set_reason(struct path *p, const char *fmt, va_list ap)
{
	char text[sizeof p->reason];

	vsnprintf(text, sizeof text, fmt, ap);
	if (strcmp(text, p->reason)) {
		memcpy(p->reason, text, sizeof text);
		log_warning(path_log_name(p), "%s", text);
	}
}

void path_refuse(struct path *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_reason(p, fmt, ap);
	va_end(ap);
}

void path_lost(struct path *p, const char *fmt, ...)
{
	va_list ap;

	if (p->doomed || p->state == PATH_DOWN || p->state == PATH_UNUSED || p->state == PATH_STOPPED)
		return;
	va_start(ap, fmt);
	set_reason(p, fmt, ap);
	va_end(ap);
	p->errors++;
	if (p->state == PATH_UP) {
		memcpy(p->lost_reason, p->reason, sizeof p->lost_reason);
		p->lost_at = loop_now(p->loop);
		path_health_loss(p);
	}
	if (p->receives)
		p->doomed = true;	/* path_receive closes when it comes back */
	else
		path_event(p, PATH_EV_LOST);
}

void path_leave(struct path *p, const char *why)
{
	if (p->state != PATH_UP || p->receives)
		return;
	path_refuse(p, "%s", why);
	path_event(p, PATH_EV_LOST);
}

/* Host names are looked up on a thread of their own: the loop never waits. */

struct path_resolve {
	struct path *path;		/* NULL: the path has gone; loop only */
	struct loop *loop;
	char host[256];
	int port, result;
	struct sock_addr found;
};

static void resolved(void *arg)
{
	struct path_resolve *r = arg;
	struct path *p = r->path;

	if (p) {
		p->resolve = NULL;
		if (r->result == 0) {
			p->to = r->found;
			path_kick(p);
		}
	}
	free(r);
}

static void *resolve_thread(void *arg)
{
	struct path_resolve *r = arg;

	r->result = sock_resolve(r->host, r->port, &r->found);
	if (loop_post(r->loop, resolved, r) < 0)
		log_error("resolver", "no memory to hand over the address of %s", r->host);
	return NULL;
}

static void start_resolve(struct path *p)
{
	struct path_resolve *r = p->resolve ? NULL : calloc(1, sizeof *r);
	pthread_t thread;

	if (!r)
		return;
	r->path = p;
	r->loop = p->loop;
	r->port = p->setup.port;
	snprintf(r->host, sizeof r->host, "%s", p->setup.portal->address);
	if (pthread_create(&thread, NULL, resolve_thread, r)) {
		free(r);
		return;
	}
	pthread_detach(thread);
	p->resolve = r;
}

/* Does another of our interfaces own the portal's subnet, and this one does not? */
static const char *better_interface(const struct path *p)
{
	const struct conf_client *c = p->setup.client;

	if (sock_on_link(&p->from, &p->to))
		return NULL;
	for (size_t i = 0; i < c->interface_count; i++) {
		const struct conf_interface *f = &c->interfaces[i];
		struct sock_addr a;

		if (i == p->setup.interface_number)
			continue;
		if (f->address ? sock_parse(f->address, 0, &a) : sock_address_of(f->device, p->to.ss.ss_family, &a))
			continue;
		if (sock_on_link(&a, &p->to))
			return f->name;
	}
	return NULL;
}

/* Finds local address and device.  false: this pair is of no use now, reason set. */
static bool find_way(struct path *p)
{
	const struct conf_interface *f = p->setup.interface;
	struct sock_addr to;
	const char *better;

	p->from.length = 0;
	p->device[0] = 0;
	/* What a name stands for was found before, and stays. */
	if (sock_parse(p->setup.portal->address, p->setup.port, &to) == 0)
		p->to = to;
	if (!p->to.length) {
		path_refuse(p, "the host name %s has no address yet", p->setup.portal->address);
		start_resolve(p);
		return false;
	}
	if (!f)
		return true;
	if (f->address) {
		if (sock_parse(f->address, 0, &p->from)) {
			path_refuse(p, "interface %s: %s is not an address", f->name, f->address);
			return false;
		}
		if (sock_device_of(&p->from, p->device, sizeof p->device) < 0 && !sock_is_local(&p->from)) {
			path_refuse(p, "interface %s: no device has the address %s", f->name, f->address);
			return false;
		}
	} else {
		snprintf(p->device, sizeof p->device, "%s", f->device);
		if (sock_address_of(f->device, p->to.ss.ss_family, &p->from) < 0) {
			path_refuse(p, "interface %s: device %s has no address of the portal's kind", f->name, f->device);
			return false;
		}
	}
	if (p->from.ss.ss_family != p->to.ss.ss_family) {
		path_refuse(p, "interface %s and portal %s: one is IPv4, the other IPv6", f->name, p->setup.portal->name);
		return false;
	}
	if (p->device[0] && !sock_device_running(p->device)) {
		path_refuse(p, "interface %s: device %s has no link", f->name, p->device);
		return false;
	}
	if (p->setup.learned && !sock_on_link(&p->from, &p->to) &&
	    (!p->device[0] || !sock_routed_over(p->device, &p->to))) {
		path_refuse(p, "no route leads from interface %s to portal %s", f->name, p->setup.portal->name);
		return false;
	}
	better = better_interface(p);
	if (better) {
		path_refuse(p, "portal %s is in the network of interface %s", p->setup.portal->name, better);
		return false;
	}
	return true;
}

static void connect_failed(struct path *p, int error)
{
	char to[SOCK_TEXT_MAX];

	sock_format(&p->to, to);
	p->refused = WIRE_OK;
	path_lost(p, "%s/%d: %s%s", to, p->setup.port, strerror(-error),
		  error == -ECONNREFUSED ? "; is rssrv running there?" : "");
}

static void ready(struct loop_fd *w, uint32_t events)
{
	struct path *p = container_of(w, struct path, watch);

	if (p->away) {		/* nothing is asked for, but this is told in any case */
		if (events & (EPOLLHUP | EPOLLERR))
			path_lost(p, "closed by the server, during a drill");
		return;
	}
	if (p->state == PATH_CONNECTING) {
		int error = sock_connect_result(p->fd);

		if (error < 0)
			connect_failed(p, error);
		else if (events & EPOLLOUT)
			path_event(p, PATH_EV_CONNECTED);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		path_receive(p);
	if (p->fd >= 0 && (events & EPOLLOUT))
		path_flush(p);
}

static void act_connect(struct path *p)
{
	int fd;

	if (!find_way(p)) {
		path_event(p, PATH_EV_NO_WAY);
		return;
	}
	fd = sock_connect(&p->from, p->device[0] ? p->device : NULL, &p->to);
	if (fd == -EPERM && p->device[0])	/* a plain user on an old kernel */
		fd = sock_connect(&p->from, NULL, &p->to);
	if (fd < 0) {
		connect_failed(p, fd);
		return;
	}
	if (p->slow)
		sock_keep_little(fd);
	p->fd = fd;
	p->watch = (struct loop_fd){ .fd = fd, .events = EPOLLOUT, .ready = ready };
	frame_init(&p->in);
	p->out = path_out_new();
	if (!p->out || loop_add(p->loop, &p->watch) < 0)
		path_lost(p, "no memory for a connection");
}

static void act_up(struct path *p)
{
	p->reason[0] = 0;
	p->refused = WIRE_OK;
	p->failures = 0;
	p->worked = true;
	path_health_begin(p);
	p->inflight.limit = p->limits.in_flight;
	p->policy.usable = true;
}

/* Commands are taken out by down(); only then may what they point to be let go. */
static void act_close(struct path *p)
{
	path_out_free(p->out);
	p->out = NULL;
	tls_free(p->tls);
	p->tls = NULL;
	list_remove(&p->to_send);
	if (p->fd >= 0) {
		loop_remove(p->loop, &p->watch);
		close(p->fd);
		p->fd = -1;
	}
	frame_fini(&p->in);
	frame_init(&p->in);
	if (p->receiving) {
		free(p->receiving->placed);
		p->receiving->placed = NULL;
		p->receiving = NULL;
	}
	p->doomed = false;
	p->policy = (struct policy_path){ .latency = p->policy.latency, .rate = p->policy.rate };
	path_login_free(p);
	p->ops->down(p->owner, p);
	inflight_fini(&p->inflight);
}

static void act_bye(struct path *p)
{
	struct wire_request r = { .type = WIRE_BYE };

	path_put(p, &r, NULL, false);
	path_flush(p);
}

static double retry_delay(struct path *p)
{
	double delay = p->setup.namespace->behaviour.retry;

	if (p->state == PATH_UNUSED || (p->setup.learned && !p->worked))
		return RETRY_UNUSED;
	if (p->refused && p->refused != WIRE_E_LEAVING)
		return RETRY_REFUSED;
	for (unsigned i = 1; i < p->failures && delay < RETRY_MAX; i++)
		delay *= 2;
	return p->failures == 0 ? 0.01 : delay < RETRY_MAX ? delay : RETRY_MAX;
}

static void arm(struct path *p)
{
	switch (p->state) {
	case PATH_DOWN:
	case PATH_UNUSED:
		loop_arm(p->loop, &p->timer, after(p, retry_delay(p)));
		p->failures++;
		break;
	case PATH_CONNECTING:
	case PATH_LOGIN:
		loop_arm(p->loop, &p->timer, loop_now(p->loop) + LOGIN_TIME);
		break;
	case PATH_UP:
		loop_arm(p->loop, &p->timer, after(p, path_keepalive_time(p->setup.namespace->behaviour.detect)));
		break;
	case PATH_DRAINING:
		loop_arm(p->loop, &p->timer, loop_now(p->loop) + BYE_TIME);
		break;
	case PATH_STOPPED:
		loop_disarm(p->loop, &p->timer);
		break;
	default:	/* HELLO goes on under CONNECTING's deadline, WAITING under the server's */
		break;
	}
}

void path_event(struct path *p, enum path_event event)
{
	struct path_step step = path_fsm_step(p->state, event);
	enum path_state old = p->state;

	if (step.action == PATH_ACT_IMPOSSIBLE) {
		log_error(path_log_name(p), "internal: %s in state %s", path_event_name(event), path_state_name(old));
		return;
	}
	log_debug(path_log_name(p), "%s: %s -> %s", path_event_name(event), path_state_name(old), path_state_name(step.next));
	p->state = step.next;
	if (p->state != old) {
		p->since = loop_now(p->loop);
		arm(p);
	}
	switch (step.action) {
	case PATH_ACT_CONNECT:
		act_connect(p);
		break;
	case PATH_ACT_HELLO:
		loop_change(p->loop, &p->watch, EPOLLIN);
		path_login_start(p);
		break;
	case PATH_ACT_AUTH:
		path_login_auth(p);
		break;
	case PATH_ACT_UP:
		act_up(p);
		break;
	case PATH_ACT_BYE:
		act_bye(p);
		break;
	case PATH_ACT_CLOSE:
	case PATH_ACT_END:
		act_close(p);
		break;
	default:
		break;
	}
	if (p->state != old)
		p->ops->changed(p->owner, p);
}

static void fire(struct loop_timer *t)
{
	struct path *p = container_of(t, struct path, timer);

	switch (p->state) {
	case PATH_DOWN:
	case PATH_UNUSED:
		if (p->away)
			arm(p);
		else
			path_event(p, PATH_EV_TRY);
		break;
	case PATH_UP:
		path_keepalive(p);
		break;
	case PATH_DRAINING:
		path_event(p, PATH_EV_BYE);
		break;
	case PATH_CONNECTING:
		path_lost(p, "no answer to a connection attempt within %d s; is the host up, and does the network lead there?",
			  (int)(LOGIN_TIME / SECOND));
		break;
	default:
		path_lost(p, "no answer to the login within %d s; is rssrv stopped there, or does it hang?",
			  (int)(LOGIN_TIME / SECOND));
		break;
	}
}

void path_kick(struct path *p)
{
	if (p->state == PATH_DOWN || p->state == PATH_UNUSED) {
		if (!p->refused && !p->away)
			path_event(p, PATH_EV_TRY);
	} else if (p->state != PATH_STOPPED && p->device[0] && !sock_device_running(p->device)) {
		path_lost(p, "device %s lost its link", p->device);
	}
}

void path_set_away(struct path *p, bool away)
{
	if (p->away == away)
		return;
	p->away = away;
	if (p->fd >= 0)
		loop_change(p->loop, &p->watch, away ? 0 : p->state == PATH_CONNECTING ? EPOLLOUT : EPOLLIN | EPOLLOUT);
	if (!away)
		path_kick(p);
}

int path_init(struct path *p, struct loop *l, const struct path_setup *setup,
	      const struct path_ops *ops, void *owner)
{
	*p = (struct path){
		.setup = *setup, .loop = l, .ops = ops, .owner = owner,
		.fd = -1, .since = loop_now(l), .timer.fire = fire,
	};
	list_init(&p->to_send);
	inflight_init(&p->inflight, WIRE_IN_FLIGHT_MAX);
	frame_init(&p->in);
	return 0;
}

int path_by_order(const void *one, const void *other)
{
	const struct path *a = *(struct path *const *)one, *b = *(struct path *const *)other;

	return (a->setup.order > b->setup.order) - (a->setup.order < b->setup.order);
}

void path_start(struct path *p)
{
	path_event(p, PATH_EV_TRY);
}

void path_stop(struct path *p)
{
	path_event(p, PATH_EV_STOP);
}

void path_fini(struct path *p)
{
	if (p->state == PATH_UP)	/* a forced end: no goodbye */
		path_event(p, PATH_EV_STOP);
	if (p->state == PATH_DRAINING)
		path_event(p, PATH_EV_BYE);
	else if (p->state != PATH_STOPPED)
		path_event(p, PATH_EV_STOP);
	loop_disarm(p->loop, &p->timer);
	if (p->resolve)
		p->resolve->path = NULL;
	inflight_fini(&p->inflight);
	free(p->latency);
}
