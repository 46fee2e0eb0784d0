/* Who this client is: what namespace.h says of struct namespace_identity. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "namespace.h"
#include "secure.h"

static int read_id(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size);

	if (fd >= 0)
		close(fd);
	return n > 0 ? (int)n : -1;
}

/* RUN_DIR/rsiod.id: 16 random bytes, made once.  A run directory is one client. */
static int run_id(const char *run_dir, uint8_t out[16], struct err *e)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof path, "%s/rsiod.id", run_dir);
	if (read_id(path, (char *)out, 16) == 16)
		return 0;
	if (secure_random(out, 16) < 0)
		return err_set(e, EIO, "no random numbers");
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, out, 16) != 16) {
		int error = errno;

		if (fd >= 0)
			close(fd);
		return err_sys(e, error, "writing %s", path);
	}
	close(fd);
	return 0;
}

int namespace_identity_init(struct namespace_identity *id, const char *run_dir, struct err *e)
{
	char text[256];
	int n = read_id("/etc/machine-id", text, sizeof text);

	if (n < 0)
		n = read_id("/var/lib/dbus/machine-id", text, sizeof text);
	secure_id("rsio machine", text, n > 0 ? (size_t)n : 0, id->machine);
	n = read_id("/proc/sys/kernel/random/boot_id", text, sizeof text);
	secure_id("rsio boot", text, n > 0 ? (size_t)n : 0, id->boot);
	if (secure_random(id->life, sizeof id->life) < 0)
		return err_set(e, EIO, "no random numbers");
	return run_id(run_dir, id->run, e);
}
