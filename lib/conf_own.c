/* conf_own.c - whose a volume's file is: users, groups and modes as ls and chmod have them. */
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include "conf_impl.h"

#define ID_MAX 0xfffffffeul	/* the next one means nobody at all */

/* A number names who has no name. */
static bool number(const char *text, unsigned long *id)
{
	char *end;

	if (strspn(text, "0123456789") != strlen(text) || strlen(text) > 10)
		return false;
	*id = strtoul(text, &end, 10);
	return *end == 0 && end != text && *id <= ID_MAX;
}

bool conf_set_owner(struct conf_own *own, const char *text, char *why)
{
	struct passwd *user = getpwnam(text);
	unsigned long id = user ? user->pw_uid : 0;

	if (!user && !number(text, &id)) {
		snprintf(why, CONF_WHY_MAX, "there is no such user");
		return false;
	}
	own->uid = (uid_t)id;
	own->has_uid = true;
	return true;
}

bool conf_set_group(struct conf_own *own, const char *text, char *why)
{
	struct group *group = getgrnam(text);
	unsigned long id = group ? group->gr_gid : 0;

	if (!group && !number(text, &id)) {
		snprintf(why, CONF_WHY_MAX, "there is no such group");
		return false;
	}
	own->gid = (gid_t)id;
	own->has_gid = true;
	return true;
}

bool conf_set_permissions(struct conf_own *own, const char *text, char *why)
{
	size_t n = strlen(text);

	if (n < 3 || n > 4 || strspn(text, "01234567") != n || (n == 4 && text[0] != '0')) {
		snprintf(why, CONF_WHY_MAX, "is not a mode from 0000 to 0777, in octal digits");
		return false;
	}
	own->mode = (mode_t)strtoul(text, NULL, 8);
	own->has_mode = true;
	return true;
}
