/*
 * bounds.h - what rssrv confines itself to once it has opened everything, and what a
 * configuration that is read again can therefore not bring any more.
 *
 * Left are: the run and the state directory, the configuration's directory to read it
 * again, each pool, the directory of each [volume] that is a file (its identity and its
 * claims are beside it), each device.  A right is on a whole directory, so in that of
 * the configuration all can be read that this user may read.  No program is run:
 * fence-command has a process of its own (fence_command.h), forked before.  No
 * connection is opened.  No capability is kept but, for portals below 1024, the one to
 * open them again when an address comes back; and where there is no user to become, the
 * one that makes root use what others own, within the paths above.
 */
#ifndef RSSRV_BOUNDS_H
#define RSSRV_BOUNDS_H

#include <jansson.h>
#include <stdint.h>
#include "conf.h"
#include "err.h"

struct server;
struct bounds;

/* Capabilities that this configuration needs kept, as bits, by a user or by root. */
uint64_t bounds_keep(const struct conf_server *conf);
/* For good; before the first thread, after root was dropped. */
int bounds_set(struct server *s, struct err *e);
/* Says by name what of this configuration is beyond them and was not in the old one: but
 * of [volume]s and new pools it is asked by who may wait for a file system that hangs. */
void bounds_check(const struct bounds *b, const struct conf_server *old, const struct conf_server *conf);
void bounds_check_pool(const struct bounds *b, const char *name, const char *path);
void bounds_check_volume(const struct bounds *b, const char *name, const char *path);
json_t *bounds_json(const struct bounds *b);

#endif
