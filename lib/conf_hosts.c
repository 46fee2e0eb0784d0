/* conf_hosts.c - the file of hosts: a [host NAME] section for each. */
#include <stdlib.h>
#include <string.h>
#include "conf_impl.h"

static void add_host(struct conf_parse *p, const struct conf_section *s, struct conf_hosts *h)
{
	struct conf_host *host = conf_more(p, &h->list, &h->count, sizeof(*host));

	if (!host)
		return;
	conf_copy_name(host->name, s);
	host->line = s->line;
	conf_fill(p, s, host);
	for (char **role = host->roles; role && *role; role++)
		if (strcmp(*role, CONF_ROLE_ALL) == 0)
			conf_key_mistake(p, s, "role", "every host has the role %s without being told", CONF_ROLE_ALL);
}

struct conf_hosts *conf_hosts_build(struct conf_parse *p)
{
	struct conf_hosts *h = conf_zeroed(p, 1, sizeof(*h));

	for (size_t i = 0; h && i < p->section_count; i++)
		if (conf_is_kind(&p->sections[i], "host"))
			add_host(p, &p->sections[i], h);
	return h;
}

void conf_hosts_free(struct conf_hosts *h)
{
	for (size_t i = 0; h && i < h->count; i++) {
		free(h->list[i].address);
		free(h->list[i].user);
		free(h->list[i].identity);
		free(h->list[i].fingerprint);
		conf_list_free(h->list[i].roles);
	}
	if (h)
		free(h->list);
	free(h);
}

bool conf_host_has_role(const struct conf_host *h, const char *role)
{
	if (strcmp(role, CONF_ROLE_ALL) == 0)
		return true;
	for (char **r = h->roles; r && *r; r++)
		if (strcmp(*r, role) == 0)
			return true;
	return false;
}
