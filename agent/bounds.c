/* bounds.c - see bounds.h. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bounds.h"
#include "confine.h"
#include "log.h"
#include "server.h"

#define PORT_FREE 1024		/* from here on anybody may listen */

struct bounds {
	struct confinement confinement;
	struct confine_paths *paths;
};

uint64_t bounds_keep(const struct conf_server *conf)
{
	for (size_t i = 0; i < conf->listen_count; i++)
		if (conf->listens[i].port < PORT_FREE)
			return CONFINE_CAP(CAP_NET_BIND_SERVICE);
	return 0;
}

static int add_directory_of(struct confine_paths *p, const char *path, unsigned rights)
{
	char *copy = strdup(path);
	int r = copy ? confine_path(p, dirname(copy), rights) : -ENOMEM;

	free(copy);
	return r;
}

static bool is_device(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

/* A file that is no device: it is replaced by a rename, and has things beside it, where
 * its name is and where a link of that name leads to. */
static int add_volume(struct confine_paths *p, const char *path)
{
	char *real;
	int r;

	if (is_device(path))
		return confine_path(p, path, CONFINE_READ | CONFINE_WRITE | CONFINE_CONTROL);
	if (strncmp(path, "/dev/", 5) == 0)
		return 0;	/* a device that is not there: not all of /dev for it */
	r = add_directory_of(p, path, CONFINE_ALL);
	real = r ? NULL : realpath(path, NULL);
	if (real)
		r = add_directory_of(p, real, CONFINE_ALL);
	free(real);
	return r;
}

static int add_paths(struct confine_paths *p, const struct server *s)
{
	const struct conf_server *conf = s->conf;
	int r = confine_system(p);

	if (!r)
		r = confine_path(p, s->run_dir, CONFINE_ALL);
	if (!r)
		r = confine_path(p, s->state_dir, CONFINE_ALL);
	if (!r)
		r = add_directory_of(p, s->conf_path, CONFINE_READ);
	for (size_t i = 0; i < conf->pool_count && !r; i++)
		r = confine_path(p, conf->pools[i].path, CONFINE_ALL);
	for (size_t i = 0; i < conf->volume_count && !r; i++)
		r = add_volume(p, conf->volumes[i].path);
	if (conf->metrics && !r)
		r = add_directory_of(p, conf->metrics, CONFINE_ALL);
	for (char **file = conf->key_files; file && *file && !r; file++)
		r = add_directory_of(p, *file, CONFINE_READ);
	return r;
}

void bounds_check_volume(const struct bounds *b, const char *name, const char *path)
{
	unsigned rights;

	if (!b || !b->confinement.files)
		return;
	rights = is_device(path) ? CONFINE_READ | CONFINE_WRITE | CONFINE_CONTROL : CONFINE_ALL;
	if (!confine_covers(b->paths, path, rights))
		log_warning("volume", "%s: %s is not within what rssrv confined itself to when it started: "
			    "offered after a restart", name, path);
}

void bounds_check_pool(const struct bounds *b, const char *name, const char *path)
{
	if (b && b->confinement.files && !confine_covers(b->paths, path, CONFINE_ALL))
		log_warning("pool", "%s: %s is not within what rssrv confined itself to when it started: "
			    "opened after a restart", name, path);
}

/* old: what it has was looked at, and may hang by now; NULL: nothing.  A new pool is looked at by
 * its own thread. */
static void check_paths(const struct bounds *b, const struct conf_server *old, const struct conf_server *conf)
{
	bool same;

	if (!b->confinement.files)
		return;
	for (size_t i = 0; i < conf->pool_count && !old; i++)
		bounds_check_pool(b, conf->pools[i].name, conf->pools[i].path);
	same = old && old->metrics && conf->metrics && strcmp(old->metrics, conf->metrics) == 0;
	if (conf->metrics && !same && !confine_covers(b->paths, conf->metrics, CONFINE_ALL))
		log_warning("metrics", "%s is not within what rssrv confined itself to when it started: written after a "
			    "restart", conf->metrics);
}

int bounds_set(struct server *s, struct err *e)
{
	struct bounds *b = calloc(1, sizeof(*b));
	uint64_t keep = bounds_keep(s->conf);
	char text[200];

	if (b)
		b->paths = confine_paths_new();
	s->bounds = b;
	if (!b || !b->paths || add_paths(b->paths, s) < 0)
		return err_set(e, ENOMEM, "cannot start: no memory");
	/* Root without this cannot use what belongs to others. */
	if (geteuid() == 0)
		keep |= CONFINE_CAP(CAP_DAC_OVERRIDE);
	if (confine(&b->confinement, keep, false, b->paths, e) < 0)
		return -e->code;
	log_info("main", "%s", confine_text(&b->confinement, text));
	check_paths(b, NULL, s->conf);
	for (size_t i = 0; i < s->conf->volume_count; i++)
		bounds_check_volume(b, s->conf->volumes[i].name, s->conf->volumes[i].path);
	return 0;
}

void bounds_check(const struct bounds *b, const struct conf_server *old, const struct conf_server *conf)
{
	if (!b || !b->confinement.dropped)
		return;
	check_paths(b, old, conf);
	if (b->confinement.capabilities & CONFINE_CAP(CAP_NET_BIND_SERVICE))
		return;
	for (size_t i = 0; i < conf->listen_count; i++)
		if (conf->listens[i].port < PORT_FREE)
			log_warning("listen", "[interface %s]: port %d is below %d, for which rssrv kept no right when it "
				    "started: opened after a restart", conf->listens[i].name, conf->listens[i].port,
				    PORT_FREE);
}

json_t *bounds_json(const struct bounds *b)
{
	return b ? confine_json(&b->confinement) : json_null();
}
