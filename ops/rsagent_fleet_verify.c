/*
 * rsagent_fleet_verify.c - a server that was made or changed, as this host's client sees it, if this host is one of the
 * namespace's; else that it started has to do.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "log.h"
#include "probe.h"
#include "rsagent_fleet.h"
#include "rsagent_many.h"

#define VERIFY_SECONDS 12

struct looking {
	const struct fleet_member *m;
	struct deploy_run *run;
	bool served[FLEET_PORTALS_MAX];
	bool lost;
	char why[400];			/* of the first that does not */
};

static int portal_number(const struct fleet_member *m, const struct probe_pair *pair)
{
	for (size_t i = 0; i < m->portal_count; i++)
		if (m->portals[i].port == pair->port && strcmp(m->portals[i].address, pair->address) == 0)
			return (int)i;
	return -1;
}

static void known(void *arg, const struct probe_pair *pair)
{
	struct looking *l = arg;
	int n = portal_number(l->m, pair);

	if (n < 0 || pair->state == PROBE_NO_WAY)
		return;
	if (pair->good || pair->in_use)
		l->served[n] = true;
	else if (!*l->why)
		snprintf(l->why, sizeof(l->why), "%s%s%s: %s", pair->interface, *pair->interface ? " to " : "", pair->address, pair->why);
}

/* The first portal that does not serve; -1: all do. */
static int first_missing(const struct looking *l)
{
	for (size_t i = 0; i < l->m->portal_count; i++)
		if (!l->served[i])
			return (int)i;
	return -1;
}

static bool go_on(void *arg)
{
	struct looking *l = arg;

	l->lost = deploy_alive(l->run) < 0;
	return !l->lost && first_missing(l) >= 0;
}

/* This host's configuration as it is to be; NULL: it is no client of that namespace. */
static struct conf_client *own_conf(const struct fleet *f, const char *namespace, size_t *n)
{
	for (size_t i = 0; i < f->count; i++) {
		const struct fleet_member *m = &f->members[i];
		struct conf_report report;
		struct conf_client *c;
		const char *bytes;
		size_t size;

		if (!m->local || !m->text || m->e.code)
			continue;
		bytes = conf_text_bytes(m->text, &size);
		c = conf_client_parse(conf_text_path(m->text), bytes, size, &report);
		conf_report_free(&report);
		for (*n = 0; c && *n < c->namespace_count; ++*n)
			if (strcmp(c->namespaces[*n].name, namespace) == 0)
				return c;
		conf_client_free(c);
	}
	return NULL;
}

int fleet_verify(const struct fleet *f, const struct fleet_member *m, struct rsagent_task *t, struct deploy_run *run,
		 struct err *e)
{
	struct looking l = { .m = m, .run = run };
	struct probe_wish w = {
		.limit = VERIFY_SECONDS, .patient = true, .read = true, .known = known, .go_on = go_on, .arg = &l,
	};
	struct conf_client *conf = own_conf(f, m->namespace, &w.namespace);
	struct probe_result result = { 0 };
	int r, missing;

	if (!conf)
		return 0;
	rsagent_progress(t, "looking whether it serves");
	log_set_level(LOG_LEVEL_ERROR);
	w.conf = conf;
	r = probe_run(&w, &result, e);
	probe_result_free(&result);
	conf_client_free(conf);
	if (l.lost)
		return err_set(e, ECONNRESET, "the link to the host was lost");
	missing = first_missing(&l);
	if ((r && r != -ECANCELED) || missing < 0)
		return r == -ECANCELED ? 0 : r;
	err_set(e, EHOSTUNREACH, "the server started and does not serve this host at %s port %d: %s", m->portals[missing].address,
		m->portals[missing].port, *l.why ? l.why : "no interface of this host leads there");
	err_next(e, "see that nothing between the two filters port %d, and that the address is one this host can reach",
		 m->portals[missing].port);
	return -EHOSTUNREACH;
}
