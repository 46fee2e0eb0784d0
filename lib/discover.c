/* discover.c - see discover.h: asking and listening. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "discover_impl.h"
#include "secure.h"

#define ROUNDS 3			/* a datagram may be lost */
#define LOOK_EVERY 100000000ull		/* ns */
#define ANSWERS_IN_A_ROW 256		/* then the clock is looked at */
#define ASKERS_MAX (2 * (DISCOVER_INTERFACES_MAX + 1))

struct asker {
	int fd;
	int family;
	size_t interface;		/* in the result */
	uint8_t nonce[WIRE_DISCOVER_NONCE];	/* its last byte is the round */
	uint64_t sent[ROUNDS];
};

struct run {
	const struct discover_wish *wish;
	struct discover_result *result;
	struct asker askers[ASKERS_MAX];
	size_t count;
	struct sock_addr group4, group6;
	uint64_t began;
	int rounds;			/* begun */
};

static struct asker *asker_of(struct run *d, size_t interface, int family)
{
	struct discover_interface *i = &d->result->interfaces[interface];
	struct asker *a;
	int fd;

	for (size_t n = 0; n < d->count; n++)
		if (d->askers[n].interface == interface && d->askers[n].family == family)
			return &d->askers[n];
	if (d->count == ASKERS_MAX)
		return NULL;
	fd = discover_socket(i, family);
	if (fd < 0) {
		snprintf(i->why, sizeof(i->why), "nothing can be sent from it: %s", strerrordesc_np(-fd));
		return NULL;
	}
	a = &d->askers[d->count++];
	*a = (struct asker){ .fd = fd, .family = family, .interface = interface };
	if (secure_random(a->nonce, sizeof(a->nonce)))
		memset(a->nonce, 0, sizeof(a->nonce));
	if (!i->any)
		sock_group_from(fd, family, i->nic.index);
	return a;
}

/*
 * Questions.
 */
static bool ask(struct run *d, size_t interface, const struct sock_addr *to)
{
	struct discover_interface *i = &d->result->interfaces[interface];
	struct asker *a = asker_of(d, interface, to->ss.ss_family);
	struct wire_discover_question q = { .length = WIRE_DISCOVER_LENGTH };
	uint8_t buf[WIRE_DISCOVER_LENGTH];
	int round = d->rounds - 1;

	if (!a)
		return false;
	a->nonce[WIRE_DISCOVER_NONCE - 1] = (uint8_t)round;
	memcpy(q.nonce, a->nonce, sizeof(q.nonce));
	if (d->wish->namespace)
		snprintf(q.namespace, sizeof(q.namespace), "%s", d->wish->namespace);
	if (!wire_put_discover_question(buf, sizeof(buf), &q))
		return false;
	a->sent[round] = discover_clock();
	if (sendto(a->fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&to->ss, to->length) < 0) {
		if (!i->asked && !*i->why)
			snprintf(i->why, sizeof(i->why), "nothing can be sent from it: %s", strerrordesc_np(errno));
		return false;
	}
	i->asked = true;
	*i->why = 0;
	return true;
}

static void ask_group(struct run *d, size_t interface)
{
	const struct discover_interface *i = &d->result->interfaces[interface];
	struct sock_addr six = d->group6;
	bool has_six = false, has_four = false;

	for (size_t n = 0; n < i->address_count; n++) {
		has_four |= i->addresses[n].at.ss.ss_family == AF_INET;
		has_six |= i->addresses[n].at.ss.ss_family == AF_INET6;
	}
	((struct sockaddr_in6 *)&six.ss)->sin6_scope_id = i->nic.index;
	if (has_four)
		ask(d, interface, &d->group4);
	if (has_six)
		ask(d, interface, &six);
}

/* From each interface that leads there; from any when none was chosen and none does. */
static void ask_address(struct run *d, size_t n)
{
	const struct sock_addr *to = &d->wish->addresses[n];
	struct discover_result *r = d->result;
	bool led = false;

	for (size_t i = 0; i < r->interface_count; i++)
		if (!r->interfaces[i].any && discover_leads(&r->interfaces[i], to))
			led |= ask(d, i, to);
	if (!led && !d->wish->device_count)
		led = ask(d, discover_any(r), to);
	r->led_to[n] |= led;
}

static void ask_all(struct run *d)
{
	d->rounds++;
	for (size_t i = 0; d->wish->groups && i < d->result->interface_count; i++)
		if (!d->result->interfaces[i].any)
			ask_group(d, i);
	for (size_t i = 0; i < d->wish->address_count; i++)
		if (!d->result->answered[i])
			ask_address(d, i);
}

/*
 * Answers.
 */
static void mark_address(struct run *d, const struct sock_addr *from)
{
	for (size_t i = 0; i < d->wish->address_count; i++)
		d->result->answered[i] |= sock_equal_host(from, &d->wish->addresses[i]);
}

static void take(struct run *d, struct asker *a, const uint8_t *buf, size_t n, const struct sock_addr *from)
{
	struct discover_result *r = d->result;
	struct wire_discover_answer answer;
	struct discover_server *s;
	const char *why;
	unsigned round;
	bool is_new;

	if (n > WIRE_DISCOVER_LENGTH || wire_get_discover_answer(buf, n, &answer, &why) || answer.brief) {
		r->malformed++;
		return;
	}
	round = answer.nonce[WIRE_DISCOVER_NONCE - 1];
	if (memcmp(answer.nonce, a->nonce, WIRE_DISCOVER_NONCE - 1) != 0 || round >= (unsigned)d->rounds) {
		r->unasked++;
		return;
	}
	if (d->wish->namespace && strcmp(answer.namespace, d->wish->namespace) != 0)
		return;
	if (!discover_merge(r, &answer, from, a->interface, (double)(discover_clock() - a->sent[round]) / 1e9, &s, &is_new)) {
		r->surplus++;
		return;
	}
	r->interfaces[a->interface].answers++;
	mark_address(d, from);
	if (is_new && d->wish->found)
		d->wish->found(d->wish->arg, s);
}

static void hear(struct run *d, struct asker *a)
{
	uint8_t buf[WIRE_DISCOVER_LENGTH + 1];

	for (int i = 0; i < ANSWERS_IN_A_ROW; i++) {
		struct sock_addr from = { .length = sizeof(from.ss) };
		ssize_t n = recvfrom(a->fd, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from.ss, &from.length);

		if (n >= 0)
			take(d, a, buf, (size_t)n, &from);
		else if (errno != ECONNREFUSED && errno != EINTR)
			return;
	}
}

static bool all_answered(const struct run *d)
{
	if (d->wish->groups)
		return false;
	for (size_t i = 0; i < d->wish->address_count; i++)
		if (!d->result->answered[i])
			return false;
	return true;
}

static void wait_until(struct run *d, uint64_t when)
{
	struct pollfd fds[ASKERS_MAX];
	uint64_t now = discover_clock();
	uint64_t left = when > now ? when - now : 0;

	for (size_t i = 0; i < d->count; i++)
		fds[i] = (struct pollfd){ .fd = d->askers[i].fd, .events = POLLIN };
	if (left > LOOK_EVERY)
		left = LOOK_EVERY;
	if (poll(fds, d->count, (int)(left / 1000000) + 1) <= 0)
		return;
	for (size_t i = 0; i < d->count; i++)
		if (fds[i].revents)
			hear(d, &d->askers[i]);
}

/* The rounds are at the beginning, after a quarter of the time and at half of it. */
static int ask_and_hear(struct run *d, struct err *e)
{
	uint64_t length = (uint64_t)(d->wish->time * 1e9), end = d->began + length, now, looked = 0;

	while ((now = discover_clock()) < end && !(d->rounds && all_answered(d))) {
		if (d->rounds < ROUNDS && now >= d->began + length * (uint64_t)d->rounds / 4)
			ask_all(d);
		if (d->wish->go_on && now - looked >= LOOK_EVERY) {
			looked = now;
			if (!d->wish->go_on(d->wish->arg))
				return err_set(e, ECANCELED, "it was not waited for");
		}
		now = d->rounds < ROUNDS ? d->began + length * (uint64_t)d->rounds / 4 : end;
		wait_until(d, now);
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct discover_server *x = a, *y = b;
	int r = strcmp(x->namespace, y->namespace);

	if (!r)
		r = x->namespace_id - y->namespace_id;
	if (!r)
		r = strcmp(x->server, y->server);
	return r ? r : x->server_id - y->server_id;
}

int discover_run(const struct discover_wish *w, struct discover_result *r, struct err *e)
{
	struct run d = { .wish = w, .result = r, .began = discover_clock() };
	int result;

	memset(r, 0, sizeof(*r));
	if (w->address_count > DISCOVER_ADDRESSES_MAX)
		return err_set(e, E2BIG, "more than %d addresses to ask", DISCOVER_ADDRESSES_MAX);
	r->servers = calloc(DISCOVER_SERVERS_MAX, sizeof(*r->servers));
	if (!r->servers)
		return err_set(e, ENOMEM, "no memory");
	sock_parse(WIRE_DISCOVER_GROUP4, w->port, &d.group4);
	sock_parse(WIRE_DISCOVER_GROUP6, w->port, &d.group6);
	result = discover_choose(w, r, e);
	if (!result)
		result = ask_and_hear(&d, e);
	for (size_t i = 0; i < d.count; i++)
		close(d.askers[i].fd);
	qsort(r->servers, r->count, sizeof(*r->servers), by_name);
	r->took = (double)(discover_clock() - d.began) / 1e9;
	return result;
}

void discover_result_free(struct discover_result *r)
{
	free(r->servers);
	memset(r, 0, sizeof(*r));
}
