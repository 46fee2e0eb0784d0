/*
 * access.h - what the configuration lets a client do: log in, see a volume, write to it,
 * manage a pool.
 */
#ifndef RSSRV_ACCESS_H
#define RSSRV_ACCESS_H

#include <stdbool.h>
#include <stdint.h>
#include "conf.h"

/* A key without showing it: what is kept of the one that a connection logged in with. */
#define ACCESS_KEY_ID 16
void access_key_id(const uint8_t key[CONF_KEY_BYTES], uint8_t id[ACCESS_KEY_ID]);

const struct conf_allowed *access_node(const struct conf_server *conf, const char *node);	/* NULL: not there */
/* Which of the node's keys that is: 1, 2 or, when it has it no more, 0. */
unsigned access_key_place(const struct conf_server *conf, const char *node, const uint8_t id[ACCESS_KEY_ID]);
const char *access_key_name(unsigned place);	/* "first", "second" */

/* May it create, change and delete volumes of that pool?  Seeing a volume, or writing to it, is
 * another right.  NULL for pool: volumes of a [volume] are changed in the file alone.
 * False with why said, for the client as well. */
#define ACCESS_WHY_MAX 200
bool access_may_manage(const struct conf_server *conf, const char *node, const char *pool, char why[ACCESS_WHY_MAX]);

#endif
