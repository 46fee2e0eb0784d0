/*
 * discover_test.c - see discover_test.h.
 *
 * Each way is a small machine of its own: one question under way, its answer or its time
 * decides on the next.  First ROUND_TRIPS short ones, one after the other; then the MTU, by
 * halving what is between a size that came through and one that did not.  A size has
 * TRIES times, for a datagram may be lost by itself; a way that loses many is said to have a
 * smaller MTU than it has, never a larger one.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "discover_impl.h"
#include "discover_test.h"
#include "secure.h"

#define ROUND_TRIPS 5
#define TRIES 3
#define WAIT_FIRST 500000000ull		/* ns, for an answer when nothing is known of the way */
#define WAIT_LEAST 150000000ull		/* the server, or this host, may be busy */
#define LOOK_EVERY 100000000ull
#define MTU_LEAST4 576
#define MTU_LEAST6 1280

enum phase { SHORT, LONG, DONE };

struct way {
	struct discover_path *path;
	int fd;				/* connected; -1: none */
	uint32_t overhead;		/* of IP and UDP */
	enum phase phase;
	int tries;			/* of this question */
	uint32_t size;			/* that is being tried, as an MTU */
	uint32_t most;			/* that may be tried */
	uint32_t good, bad;		/* came through; did not, or is more than most */
	double sum;
	uint8_t nonce[WIRE_DISCOVER_NONCE];
	uint32_t number;		/* of the question: the nonce's first bytes */
	uint64_t sent, wait;
};

struct test {
	const struct discover_result *found;
	struct discover_paths *paths;
	struct way *ways;
	size_t open;			/* ways that are not done */
	uint8_t buf[WIRE_DISCOVER_MAX + 1];
};

const char *discover_path_state_name(enum discover_path_state s)
{
	static const char *const names[] = { "no-way", "silent", "good" };

	return names[s];
}

/*
 * One question at a time.
 */
static void done(struct test *t, struct way *w)
{
	w->phase = DONE;
	t->open--;
	close(w->fd);
	w->fd = -1;
	if (w->path->answered) {
		w->path->state = DISCOVER_PATH_GOOD;
		w->path->mean = w->sum / w->path->answered;
		t->paths->good++;
	}
}

static uint32_t least_mtu(const struct way *w)
{
	return w->overhead == 28 ? MTU_LEAST4 : MTU_LEAST6;
}

/* What is left to try, the most first: mostly that is the answer. */
static bool choose_size(struct way *w)
{
	if (w->good + 1 >= w->bad)
		return false;
	w->size = w->size ? w->good + (w->bad - w->good) / 2 : w->most;
	return true;
}

static void begin_sizes(struct test *t, struct way *w)
{
	const struct discover_path *p = w->path;
	const struct wire_discover_portal *portal = &t->found->servers[p->server].portals[p->portal].told;
	uint32_t most = DISCOVER_MTU_MAX, ours = t->found->interfaces[p->interface].nic.mtu;

	if (ours && ours < most)
		most = ours;
	if (portal->detailed && portal->mtu && portal->mtu < most)
		most = portal->mtu;
	w->phase = LONG;
	w->wait = (uint64_t)(p->least * 4e9) > WAIT_LEAST ? (uint64_t)(p->least * 4e9) : WAIT_LEAST;
	w->good = least_mtu(w) - 1;
	w->most = most;
	w->bad = most + 1;
	w->size = 0;
	w->tries = 0;
	if (w->wait > WAIT_FIRST)
		w->wait = WAIT_FIRST;
}

static size_t length_of(const struct way *w)
{
	return w->phase == SHORT ? WIRE_DISCOVER_HEADER : w->size - w->overhead;
}

/* False: it does not even leave. */
static bool ask(struct test *t, struct way *w)
{
	struct wire_discover_question q = { .length = (uint16_t)length_of(w), .flags = WIRE_DISCOVER_BRIEF };

	w->number++;
	memcpy(w->nonce, &w->number, sizeof(w->number));
	memcpy(q.nonce, w->nonce, sizeof(q.nonce));
	if (w->phase == LONG)
		q.flags |= WIRE_DISCOVER_EQUAL;
	wire_put_discover_question(t->buf, sizeof(t->buf), &q);
	w->sent = discover_clock();
	w->path->asked += w->phase == SHORT;
	/* Whoever refused an earlier one is heard of now: it was that one. */
	if (send(w->fd, t->buf, q.length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return true;
	return errno == ECONNREFUSED && send(w->fd, t->buf, q.length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static void size_known(struct way *w, bool through)
{
	if (through)
		w->good = w->size;
	else
		w->bad = w->size;
	w->path->mtu = w->good >= least_mtu(w) ? w->good : 0;
	w->tries = 0;
}

static void next_size(struct test *t, struct way *w)
{
	while (choose_size(w)) {
		w->tries = 1;
		if (ask(t, w))
			return;
		size_known(w, false);
	}
	w->path->mtu_most = w->path->mtu == w->most;
	done(t, w);
}

static void next(struct test *t, struct way *w)
{
	if (w->phase == SHORT && w->path->asked < ROUND_TRIPS) {
		if (!ask(t, w))
			w->sent = discover_clock();	/* its time passes: the way may come back meanwhile */
		return;
	}
	if (w->phase == SHORT && !w->path->answered) {
		done(t, w);
		return;
	}
	if (w->phase == SHORT)
		begin_sizes(t, w);
	next_size(t, w);
}

static void answered(struct test *t, struct way *w, uint64_t now)
{
	struct discover_path *p = w->path;
	double took = (double)(now - w->sent) / 1e9;

	if (w->phase == LONG) {
		size_known(w, true);
	} else {
		p->least = !p->answered || took < p->least ? took : p->least;
		p->answered++;
		w->sum += took;
		if (w->wait > WAIT_LEAST * 2)
			w->wait = WAIT_LEAST * 2;
	}
	next(t, w);
}

static void too_late(struct test *t, struct way *w)
{
	if (w->phase == LONG && w->tries++ < TRIES) {
		if (ask(t, w))
			return;
	}
	if (w->phase == LONG)
		size_known(w, false);
	next(t, w);
}

static void hear(struct test *t, struct way *w)
{
	struct wire_discover_answer a;
	const char *why;
	ssize_t n;

	while (w->phase != DONE) {
		n = recv(w->fd, t->buf, sizeof(t->buf), MSG_DONTWAIT);
		if (n < 0)
			return;
		if (!wire_get_discover_answer(t->buf, (size_t)n, &a, &why) && (size_t)n == length_of(w) &&
		    memcmp(a.nonce, w->nonce, sizeof(a.nonce)) == 0)
			answered(t, w, discover_clock());
	}
}

/*
 * All ways.
 */
static void open_way(struct test *t, struct discover_path *p)
{
	const struct discover_interface *i = &t->found->interfaces[p->interface];
	struct way *w = &t->ways[t->paths->count - 1];
	struct sock_addr to;

	*w = (struct way){ .path = p, .fd = -1, .phase = DONE, .wait = WAIT_FIRST };
	discover_portal_address(&t->found->servers[p->server].portals[p->portal].told, &to);
	if (!discover_leads(i, &to))
		return;
	w->overhead = to.ss.ss_family == AF_INET ? 28 : 48;
	w->fd = discover_socket(i, to.ss.ss_family);
	if (w->fd < 0)
		return;
	sock_never_split(w->fd, to.ss.ss_family);
	if (secure_random(w->nonce, sizeof(w->nonce)) ||
	    connect(w->fd, (const struct sockaddr *)&to.ss, to.length) < 0) {
		close(w->fd);
		w->fd = -1;
		return;
	}
	p->state = DISCOVER_PATH_SILENT;
	w->phase = SHORT;
	t->open++;
}

/* Any is for what no interface leads to. */
static bool leads_otherwise(const struct discover_result *r, const struct discover_portal *portal)
{
	struct sock_addr to;

	discover_portal_address(&portal->told, &to);
	for (size_t i = 0; i < r->interface_count; i++)
		if (!r->interfaces[i].any && discover_leads(&r->interfaces[i], &to))
			return true;
	return false;
}

static bool has_family(const struct discover_interface *i, int family)
{
	for (size_t n = 0; n < i->address_count; n++)
		if (i->addresses[n].at.ss.ss_family == (family == 4 ? AF_INET : AF_INET6))
			return true;
	return i->any;
}

static void add_path(struct test *t, size_t interface, size_t server, size_t portal)
{
	struct discover_path *p = &t->paths->list[t->paths->count];

	if (t->paths->count == DISCOVER_PATHS_MAX) {
		t->paths->left_out++;
		return;
	}
	t->paths->count++;
	p->interface = interface;
	p->server = server;
	p->portal = portal;
	open_way(t, p);
}

static void open_ways(struct test *t)
{
	const struct discover_result *r = t->found;

	for (size_t s = 0; s < r->count; s++)
		for (size_t i = 0; i < r->interface_count; i++)
			for (size_t p = 0; p < r->servers[s].portal_count; p++)
				if (has_family(&r->interfaces[i], r->servers[s].portals[p].told.family) &&
				    !(r->interfaces[i].any && leads_otherwise(r, &r->servers[s].portals[p])))
					add_path(t, i, s, p);
}

static void wait_and_hear(struct test *t, uint64_t end)
{
	struct pollfd fds[DISCOVER_PATHS_MAX];
	uint64_t now = discover_clock(), when = now + LOOK_EVERY < end ? now + LOOK_EVERY : end;

	for (size_t i = 0; i < t->paths->count; i++) {
		const struct way *w = &t->ways[i];

		fds[i] = (struct pollfd){ .fd = w->fd, .events = POLLIN };
		if (w->phase != DONE && w->sent + w->wait < when)
			when = w->sent + w->wait;
	}
	if (poll(fds, t->paths->count, when > now ? (int)((when - now) / 1000000) + 1 : 0) < 0)
		return;
	for (size_t i = 0; i < t->paths->count; i++)
		if (fds[i].revents)
			hear(t, &t->ways[i]);
	now = discover_clock();
	for (size_t i = 0; i < t->paths->count; i++)
		if (t->ways[i].phase != DONE && now >= t->ways[i].sent + t->ways[i].wait)
			too_late(t, &t->ways[i]);
}

static int test_all(struct test *t, double time, bool (*go_on)(void *arg), void *arg, struct err *e)
{
	uint64_t end = discover_clock() + (uint64_t)(time * 1e9), looked = 0, now;

	for (size_t i = 0; i < t->paths->count; i++)
		if (t->ways[i].phase != DONE)
			next(t, &t->ways[i]);
	while (t->open && (now = discover_clock()) < end) {
		if (go_on && now - looked >= LOOK_EVERY) {
			looked = now;
			if (!go_on(arg))
				return err_set(e, ECANCELED, "it was not waited for");
		}
		wait_and_hear(t, end);
	}
	return 0;
}

int discover_test(const struct discover_result *found, double time, bool (*go_on)(void *arg), void *arg,
		  struct discover_paths *p, struct err *e)
{
	struct test *t = calloc(1, sizeof(*t));
	int r = 0;

	memset(p, 0, sizeof(*p));
	p->list = calloc(DISCOVER_PATHS_MAX, sizeof(*p->list));
	if (t)
		t->ways = calloc(DISCOVER_PATHS_MAX, sizeof(*t->ways));
	if (!t || !t->ways || !p->list) {
		r = err_set(e, ENOMEM, "no memory");
	} else {
		t->found = found;
		t->paths = p;
		open_ways(t);
		r = test_all(t, time, go_on, arg, e);
		for (size_t i = 0; i < p->count; i++)
			if (t->ways[i].phase != DONE)
				done(t, &t->ways[i]);
	}
	if (t)
		free(t->ways);
	free(t);
	return r;
}

void discover_paths_free(struct discover_paths *p)
{
	free(p->list);
	memset(p, 0, sizeof(*p));
}
