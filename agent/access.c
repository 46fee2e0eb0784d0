/* access.c - see access.h. */
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

const char *access_key_name(unsigned place)
{
	return place == 1 ? "first" : place == 2 ? "second" : "none";
}
