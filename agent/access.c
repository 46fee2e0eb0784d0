/* access.c - see access.h. */
#include <stdio.h>
#include <string.h>
#include "access.h"
#include "secure.h"

void access_key_id(const uint8_t key[CONF_KEY_BYTES], uint8_t id[ACCESS_KEY_ID])
{
	secure_id("rsio key id", key, CONF_KEY_BYTES, id);
}

const struct conf_allowed *access_node(const struct conf_server *conf, const char *node)
{
	for (size_t i = 0; i < conf->client_count; i++)
		if (strcmp(conf->clients[i].name, node) == 0)
			return &conf->clients[i];
	return NULL;
}

unsigned access_key_place(const struct conf_server *conf, const char *node, const uint8_t id[ACCESS_KEY_ID])
{
	const struct conf_allowed *a = access_node(conf, node);
	uint8_t of[ACCESS_KEY_ID];

	for (unsigned place = 1; a && place <= 2; place++) {
		if (place == 2 && !a->second.line)
			break;
		access_key_id(place == 1 ? a->key.bytes : a->second.bytes, of);
		if (secure_equal(of, id, sizeof(of)))
			return place;
	}
	return 0;
}

bool access_may_manage(const struct conf_server *conf, const char *node, const char *pool, char why[ACCESS_WHY_MAX])
{
	const struct conf_pool *p = NULL;

	for (size_t i = 0; pool && i < conf->pool_count && !p; i++)
		if (strcmp(conf->pools[i].name, pool) == 0)
			p = &conf->pools[i];
	if (p && access_node(conf, node) && conf_right(p->manage, node) == CONF_RIGHT_WRITE)
		return true;
	if (!pool)
		snprintf(why, ACCESS_WHY_MAX, "it is a [volume] of the server's configuration, which is changed there alone");
	else if (!p)
		snprintf(why, ACCESS_WHY_MAX, "there is no pool %s here", pool);
	else
		snprintf(why, ACCESS_WHY_MAX, "%s lacks the right to manage pool %s: it is not in its 'manage ='", node, pool);
	return false;
}

const char *access_key_name(unsigned place)
{
	return place == 1 ? "first" : place == 2 ? "second" : "none";
}
