/* rsconfig_names.c - volumes by name. */
#include <stdio.h>
#include <stdlib.h>
#include "conf.h"
#include "names.h"
#include "rsconfig.h"

void rsconfig_suggest(const struct rsconfig *rc, const char *volume, struct err *e)
{
	names_suggest(rc->socket, volume, "rsconfig -q", e);
}

char *rsconfig_volume(const struct rsconfig *rc, const char *text)
{
	char ns[CONF_NAME_MAX + 1], volume[CONF_VOLUME_MAX + 1], *whole;
	struct err e;

	if (conf_split_volume(text, ns, volume, &e)) {
		rsconfig_suggest(rc, text, &e);
		err_print("rsconfig", &e);
		exit(2);
	}
	if (asprintf(&whole, "%s:%s", ns, volume) < 0)
		abort();
	return whole;
}
