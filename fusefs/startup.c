/* startup.c - see startup.h. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include "daemon.h"
#include "log.h"
#include "notify.h"
#include "startup.h"
#include "usable.h"

/* Seconds beyond detect that the first path may take. */
#define START_GRACE 1.0

struct query {
	struct client *client;
	json_t *namespaces;
};

static void get_servers(void *arg)
{
	struct query *q = arg;

	q->namespaces = client_servers(q->client);
}

static double longest_detect(const struct conf_client *conf)
{
	double longest = 0;

	for (size_t i = 0; i < conf->namespace_count; i++)
		if (conf->namespaces[i].behaviour.detect > longest)
			longest = conf->namespaces[i].behaviour.detect;
	return longest;
}

/* How many namespaces are up, and how many have no verdict yet.  final: says why of those
 * that are not up; the first one's reason is *verdict. */
static void judge(struct daemon *d, int final, size_t *up, size_t *pending, enum usable *verdict)
{
	struct query q = { &d->client, NULL };
	json_t *ns;
	size_t i;

	loop_call(d->loop, get_servers, &q);
	*up = *pending = 0;
	*verdict = USABLE_UP;
	json_array_foreach(q.namespaces, i, ns) {
		struct err e = { 0 };
		enum usable u = usable_judge(ns, final, &e);

		*up += u == USABLE_UP;
		*pending += u == USABLE_PENDING;
		if (!final || u == USABLE_UP)
			continue;
		if (*verdict == USABLE_UP)
			*verdict = u;
		err_print("rsiod", &e);
		log_error("start", "%s", e.text);
	}
	json_decref(q.namespaces);
}

int startup_wait(struct daemon *d)
{
	double limit = longest_detect(d->config->conf) + START_GRACE;
	uint64_t end = loop_clock() + (uint64_t)(limit * 1e9);
	struct pollfd p = { .fd = d->client.changed, .events = POLLIN };
	size_t up, pending;
	enum usable verdict;
	uint64_t n;

	for (;;) {
		judge(d, 0, &up, &pending, &verdict);
		if (pending == 0 || loop_clock() >= end)
			break;
		if (poll(&p, 1, 100) > 0 && read(p.fd, &n, sizeof n) < 0)
			break;
	}
	judge(d, 1, &up, &pending, &verdict);
	return up > 0 ? 0 : (int)verdict;
}

void startup_notify(void)
{
	int r = notify("READY=1");

	if (r < 0)
		log_warning("start", "cannot tell the service manager that it is ready: %s", strerror(-r));
}
