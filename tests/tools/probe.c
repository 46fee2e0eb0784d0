/* probe.c - probe CONFIG NAMESPACE SECONDS [patient]: what lib/probe.h says of each pair, one a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "probe.h"

static void known(void *arg, const struct probe_pair *p)
{
	(void)arg;
	printf("%s %s %s/%d %s%s%s server=%s volumes=%zu volume=%s rtt=%s: %s\n", *p->interface ? p->interface : "-", p->portal,
	       p->address, p->port, probe_state_name(p->state), p->good ? " good" : "", p->in_use ? " in-use" : "", p->server,
	       p->volumes, p->volume, p->round_trip >= 0 ? "known" : "none", p->why);
}

int main(int argc, char **argv)
{
	struct conf_report report;
	struct conf_client *c = argc < 4 ? NULL : conf_client_read(argv[1], (gid_t)-1, &report);
	struct probe_wish w = { .conf = c, .read = true, .known = known };
	struct probe_result result;
	struct err e = { 0 };
	int r;

	if (!c)
		return 2;
	conf_report_free(&report);
	log_set_stderr(0);
	w.limit = atof(argv[3]);
	w.patient = argc > 4;
	while (w.namespace < c->namespace_count && strcmp(c->namespaces[w.namespace].name, argv[2]) != 0)
		w.namespace++;
	r = w.namespace == c->namespace_count ? -1 : probe_run(&w, &result, &e);
	if (r == 0)
		printf("%zu of %zu, %zu without a way\n", result.good, result.count, result.no_way);
	else
		printf("error %s: %s\n", strerrorname_np(-r), e.text);
	if (w.namespace < c->namespace_count)
		probe_result_free(&result);
	conf_client_free(c);
	return r ? 1 : 0;
}
