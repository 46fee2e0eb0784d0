/* rsagent_deploy_show.c - a host and a plan, for who has to decide on it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rsagent_deploy.h"

static const char *const levels[] = {
	[DEPLOY_NOTE] = "note", [DEPLOY_WARNING] = "warning", [DEPLOY_REFUSAL] = "error",
};

static void show_host(FILE *out, const struct deploy_host *h)
{
	const struct deploy_facts *f = h->f;

	fprintf(out, "%s, Linux %s, %s, %d processors%s\n", *f->system ? f->system : "an unknown system", f->kernel, f->machine,
		f->processors, f->systemd ? ", systemd" : ", no systemd");
	for (size_t i = 0; i < f->address_count; i++) {
		const struct deploy_address *a = &f->addresses[i];

		fprintf(out, "  %s  %s/%d", a->device, a->text, a->prefix);
		for (size_t j = 0; j < f->interface_count; j++) {
			const struct deploy_interface *n = &f->interfaces[j];

			if (strcmp(n->name, a->device) != 0)
				continue;
			fprintf(out, ", MTU %d", n->mtu);
			if (n->speed)
				fprintf(out, ", %d Mbit/s", n->speed);
			fprintf(out, "%s", n->up ? "" : ", no link");
		}
		for (size_t j = 0; j < h->w.portal_count; j++)
			if (strcmp(h->w.portals[j].address, a->text) == 0)
				fprintf(out, "  <- portal, port %d", h->w.port);
		fputc('\n', out);
	}
}

static void show_findings(FILE *out, const struct deploy_findings *all)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct deploy_finding *one = &all->all[i];

		fprintf(out, "  %s: %s%s%s\n", levels[one->level], one->text, *one->next ? "; " : "", one->next);
	}
}

static void show_plan(FILE *out, const struct deploy_host *h)
{
	const struct deploy_plan *p = h->plan;

	if (!p->count) {
		fprintf(out, "All is as wanted, nothing is to be done.\n");
		return;
	}
	if (h->job->what != DEPLOY_UNDEPLOY)
		fprintf(out, "Server %s, number %d, of namespace %s (%d), volumes in %s. What deploying does:\n", h->w.server,
			h->w.server_id, h->w.namespace, h->w.namespace_id, h->w.pool);
	else
		fprintf(out, "What undeploying does:\n");
	for (size_t i = 0; i < p->count; i++)
		if (p->steps[i].say)
			fprintf(out, "  %s\n", p->steps[i].say);
	for (size_t i = 0; i < p->left_count; i++)
		fprintf(out, "  leaves %s\n", p->left[i]);
}

static json_t *findings_json(const struct deploy_findings *all)
{
	json_t *list = json_array();

	for (size_t i = 0; i < all->count; i++)
		json_array_append_new(list, json_pack("{ss ss ss ss}", "level", levels[all->all[i].level], "what", all->all[i].what,
						      "text", all->all[i].text, "next", all->all[i].next));
	return list;
}

static json_t *plan_json(const struct deploy_plan *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->count; i++)
		if (p->steps[i].say)
			json_array_append_new(list, json_string(p->steps[i].say));
	return list;
}

static json_t *left_json(const struct deploy_plan *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->left_count; i++)
		json_array_append_new(list, json_string(p->left[i]));
	return list;
}

static json_t *portals_json(const struct deploy_wish *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->portal_count; i++)
		json_array_append_new(list, json_string(w->portals[i].address));
	return list;
}

static void keep(struct deploy_host *h)
{
	const struct deploy_place *pool = deploy_facts_place(h->f, h->pool);
	json_t *result = h->t->result;

	json_object_set_new(result, "system", json_string(h->f->system));
	json_object_set_new(result, "kernel", json_string(h->f->kernel));
	json_object_set_new(result, "machine", json_string(h->f->machine));
	json_object_set_new(result, "findings", findings_json(&h->findings));
	json_object_set_new(result, "plan", plan_json(h->plan));
	json_object_set_new(result, "changed", json_false());
	if (h->job->what == DEPLOY_UNDEPLOY) {
		json_object_set_new(result, "left", left_json(h->plan));
		return;
	}
	json_object_set_new(result, "namespace", json_string(h->w.namespace));
	json_object_set_new(result, "namespace_id", json_integer(h->w.namespace_id));
	json_object_set_new(result, "server", json_string(h->w.server));
	json_object_set_new(result, "server_id", json_integer(h->w.server_id));
	json_object_set_new(result, "portals", portals_json(&h->w));
	json_object_set_new(result, "port", json_integer(h->w.port));
	json_object_set_new(result, "pool", json_string(h->w.pool));
	if (pool && pool->free < INT64_MAX)
		json_object_set_new(result, "pool_free", json_integer((json_int_t)pool->free));
	json_object_set_new(result, "sha256", json_string(h->w.binary.sha));
}

void deploy_show(struct deploy_host *h)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	keep(h);
	if (!out)
		return;
	show_host(out, h);
	show_findings(out, &h->findings);
	show_plan(out, h);
	if (!fclose(out))
		rsagent_output(h->t, text);
	free(text);
}
