/* rsagent_binary.c - see rsagent_binary.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "rsagent_binary.h"
#include "secure.h"

int rsagent_find_binary(const char *given, const char *machine, char path[PATH_MAX], struct deploy_binary *b, struct err *e)
{
	char self[PATH_MAX], *slash;
	struct utsname own;
	ssize_t n;

	if (given)
		return deploy_binary_read(given, b, e);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = 0;
	slash = strrchr(self, '/');
	if (!slash)
		return err_set(e, ENOENT, "this program does not know where it is; --binary FILE says where rssrv-static is");
	*slash = 0;
	snprintf(path, PATH_MAX, "%.3900s/../lib/rsio/rssrv-%.31s", self, machine);
	if (access(path, R_OK) && !uname(&own) && strcmp(own.machine, machine) == 0)
		snprintf(path, PATH_MAX, "%.3900s/rssrv-static", self);
	if (!access(path, R_OK))
		return deploy_binary_read(path, b, e);
	err_set(e, ENOENT, "there is no rssrv for %s here", machine);
	err_next(e, "build it on a machine of %s (make; build/rssrv-static) and name it with --binary FILE", machine);
	return -ENOENT;
}

int rsagent_marker(char marker[33], struct err *e)
{
	uint8_t bytes[16];

	if (secure_random(bytes, sizeof(bytes)))
		return err_set(e, EIO, "no random numbers");
	for (size_t i = 0; i < sizeof(bytes); i++)
		sprintf(marker + 2 * i, "%02x", bytes[i]);
	return 0;
}
