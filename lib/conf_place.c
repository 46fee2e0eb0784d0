/* conf_place.c - names of volumes as they are written, and where the files are. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "conf.h"

int conf_split_volume(const char *text, char *namespace, char *volume, struct err *e)
{
	size_t length = strcspn(text, ":/");

	if (text[length] && length <= CONF_NAME_MAX) {
		memcpy(namespace, text, length);
		namespace[length] = 0;
		if (conf_name_valid(namespace) && conf_volume_valid(text + length + 1)) {
			strcpy(volume, text + length + 1);
			return 0;
		}
	}
	return err_set(e, EINVAL, "'%.200s' is not a volume: NAMESPACE:VOLUME%s", text, strchr(text, '@') ?
		       "@SNAP, where SNAP is a name and no number" : "");
}

/* A file of the user's own. */
static char *own_path(const char *name)
{
	const char *home = getenv("HOME");
	struct passwd *user;
	char *path;

	if (!home || home[0] != '/') {
		user = getpwuid(geteuid());
		home = user ? user->pw_dir : "";
	}
	return asprintf(&path, "%s/.config/rsio/%s", home, name) < 0 ? NULL : path;
}

char *conf_client_default_path(void)
{
	return geteuid() == 0 ? strdup("/etc/rscltcfg") : own_path("rscltcfg");
}

char *conf_hosts_default_path(void)
{
	return own_path("hosts");
}

char *conf_server_default_path(void)
{
	static const char usual[] = "/etc/rssrvcfg", origins[] = "/etc/dvsc/rssrvcfg";

	if (access(usual, F_OK) != 0 && access(origins, F_OK) == 0)
		return strdup(origins);
	return strdup(usual);
}
