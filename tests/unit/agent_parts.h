/* agent_parts.h - enough of a server for the unit tests of its parts. */
#ifndef AGENT_PARTS_H
#define AGENT_PARTS_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../../agent/client.h"
#include "../../agent/registry.h"
#include "../../agent/serve.h"
#include "../../agent/server.h"

static struct server server;
static char dir[128];

/* In the test's own directory; a path that lasts until the next call. */
static inline const char *in_dir(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static inline void make_file(const char *name, off_t size)
{
	int fd = open(in_dir(name), O_RDWR | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static void parts_start(unsigned loops)
{
	const char *base = getenv("TMPDIR");
	struct err e;

	snprintf(dir, sizeof(dir), "%s/rsio-parts-XXXXXX", base ? base : "/tmp");
	assert_non_null(mkdtemp(dir));
	memset(&server, 0, sizeof(server));
	memory_init(&server.memory);
	server.run_dir = server.state_dir = dir;
	server.loop_count = loops;
	for (unsigned i = 0; i < loops; i++) {
		server.loops[i] = engine_new(&server, i, "test", &e);
		assert_non_null(server.loops[i]);
		assert_int_equal(engine_start(server.loops[i], &e), 0);
	}
	server.workers = workers_new(&e);
	server.registry = registry_new(&server, &e);
	server.clients = clients_new(&server, &e);
	assert_true(server.workers && server.registry && server.clients);
}

static inline void parts_stop(void)
{
	char command[256];

	assert_true(workers_stop(server.workers, 10));
	for (unsigned i = 0; i < server.loop_count; i++) {
		engine_stop(server.loops[i]);
		pthread_join(server.loops[i]->thread, NULL);
		engine_free(server.loops[i]);
	}
	registry_free(server.registry);
	clients_free(server.clients);
	workers_free(server.workers);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	assert_int_equal(system(command), 0);
}

static inline struct volume *open_volume(const char *name, const char *file, bool shared)
{
	struct volume_setup setup = { .name = name, .path = in_dir(file), .dirfd = AT_FDCWD, .shared = shared };
	struct err e = { 0 };
	struct volume *v = volume_open(&server, &setup, &e);

	if (!v)
		fail_msg("%s", e.text);
	return v;
}

#endif
