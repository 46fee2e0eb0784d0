/*
 * rsconfig.h - what rsconfig's files share: the options, one call to rsiod, and
 * volumes by name.
 */
#ifndef RSIO_RSCONFIG_H
#define RSIO_RSCONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include "err.h"

#define RSCONFIG_TIMEOUT 12.0	/* seconds for any answer: rsiod ends its own work within 10 */

struct rsconfig {
	bool query, local, attach, detach, discover;
	const char *manage;		/* the word after -m */
	int verbose;
	bool force, json, exclusive;
	double drill_time;		/* seconds; with -m drill and --discover */
	const char *interface;		/* with --discover; else NULL */
	int port;			/* too; 0: not given */
	const char *weight, *standby;	/* with -m policy; else NULL */
	const char *run_dir_option;
	char *socket;			/* RUN_DIR/rsiod.sock; owned */
};

/* Asks rsiod; takes request.  The reply (a new reference), or NULL when it failed
 * with the error printed. */
json_t *rsconfig_call(const struct rsconfig *rc, json_t *request);
/* The same, with the error in *e. */
json_t *rsconfig_ask(const struct rsconfig *rc, json_t *request, struct err *e);

/* A member that is text; fallback: it is not there. */
const char *rsconfig_text(const json_t *object, const char *key, const char *fallback);

/* Prints text and frees it; NULL (memory was short) is said.  An exit status. */
int rsconfig_print(char *text);
int rsconfig_print_json(json_t *json);	/* takes json */

/* Mistakes on the command line: says so and exits 2. */
void rsconfig_usage(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Names of volumes (rsconfig_names.c). */

/* NS/VOLUME and NS:VOLUME as NS:VOLUME, a new string.  Another text: says so, with
 * the volumes that may have been meant, and exits 2. */
char *rsconfig_volume(const struct rsconfig *rc, const char *text);
/* Puts what may have been meant into e->next; leaves it when nothing is known. */
void rsconfig_suggest(const struct rsconfig *rc, const char *volume, struct err *e);

/* -a, -d and -m (rsconfig_change.c).  Operands end with NULL; exit statuses. */
int rsconfig_attach(const struct rsconfig *rc, char **operands);
int rsconfig_detach(const struct rsconfig *rc, char **operands);
int rsconfig_fail(const struct rsconfig *rc, char **operands);
int rsconfig_policy(const struct rsconfig *rc, char **operands);
int rsconfig_drill(const struct rsconfig *rc, char **operands);
int rsconfig_reload(const struct rsconfig *rc, char **operands);
int rsconfig_stop(const struct rsconfig *rc, char **operands);

/* --discover (rsconfig_discover.c): asks the network, not rsiod. */
int rsconfig_discover(const struct rsconfig *rc, char **operands, int count);

#endif
