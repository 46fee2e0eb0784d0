/*
 * deploy_reload.c - what of a configuration a server takes while it runs: clients, their keys and rights, portals.
 * Not who it is and runs as, and no place that it could not reach any more (rssrv(8), Confinement).
 */
#include <string.h>
#include "conf.h"
#include "deploy_impl.h"

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_server(const struct conf_server *a, const struct conf_server *b)
{
	return same(a->namespace, b->namespace) && a->namespace_id == b->namespace_id && same(a->server, b->server) &&
		a->server_id == b->server_id && same(a->user, b->user) && same(a->fence_command, b->fence_command) &&
		same(a->metrics, b->metrics) && a->security == b->security && a->poll == b->poll;
}

static bool has_pool(const struct conf_server *c, const struct conf_pool *pool)
{
	for (size_t i = 0; i < c->pool_count; i++)
		if (same(c->pools[i].path, pool->path) && c->pools[i].shared == pool->shared)
			return true;
	return false;
}

static bool has_volume(const struct conf_server *c, const struct conf_volume *volume)
{
	for (size_t i = 0; i < c->volume_count; i++)
		if (same(c->volumes[i].path, volume->path))
			return true;
	return false;
}

static bool same_places(const struct conf_server *now, const struct conf_server *then)
{
	for (size_t i = 0; i < then->pool_count; i++)
		if (!has_pool(now, &then->pools[i]))
			return false;
	for (size_t i = 0; i < then->volume_count; i++)
		if (!has_volume(now, &then->volumes[i]))
			return false;
	return true;
}

static struct conf_server *parsed(const struct deploy_secret *text)
{
	struct conf_report report;
	struct conf_server *c = conf_server_parse(DEPLOY_CONFIG, text->text, text->size, &report);

	conf_report_free(&report);
	return c;
}

bool deploy_reloads(const struct deploy_secret *now, const struct deploy_secret *then)
{
	struct conf_server *a = parsed(now), *b = parsed(then);
	bool good = a && b && same_server(a, b) && same_places(a, b);

	conf_server_free(a);
	conf_server_free(b);
	return good;
}
