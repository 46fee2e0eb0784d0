/* bounds.c - see bounds.h. */
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bounds.h"
#include "guard.h"
#include "log.h"

static bool is_roots(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_uid == 0;
}

static int add_paths(struct confine_paths *p, const char *run_dir, const char *config_dir)
{
	int r = confine_system(p);

	if (!r)
		r = confine_path(p, run_dir, CONFINE_ALL);
	return r ? r : confine_path(p, config_dir, CONFINE_READ);
}

/* A key's file is read again with the configuration, perhaps another one of that name. */
static int add_key_files(struct confine_paths *p, char *const *files, uint64_t *keep)
{
	int r = 0;

	for (; files && *files && !r; files++) {
		char *copy = strdup(*files);

		r = copy ? confine_path(p, dirname(copy), CONFINE_READ) : -ENOMEM;
		free(copy);
		if (!is_roots(*files))
			*keep |= CONFINE_CAP(CAP_DAC_OVERRIDE);
	}
	return r;
}

int bounds_set(struct confinement *c, const char *run_dir, const struct conf_client *conf, struct err *e)
{
	struct confine_paths *p;
	uint64_t keep = guard_needs_limit() ? CONFINE_CAP(CAP_IPC_LOCK) : 0;
	char *copy, *config_dir, text[200];
	int r;

	if (geteuid() != 0) {
		log_info("start", "not confined: a plain user's mount needs fusermount3, which is setuid");
		return 0;
	}
	copy = strdup(conf->path);
	p = confine_paths_new();
	config_dir = copy ? dirname(copy) : NULL;
	if (!config_dir || !p || add_paths(p, run_dir, config_dir) < 0 ||
	    add_key_files(p, conf->key_files, &keep) < 0) {
		r = err_set(e, ENOMEM, "no memory to start with");
	} else {
		if (!is_roots(run_dir) || !is_roots(config_dir) || !is_roots(conf->path))
			keep |= CONFINE_CAP(CAP_DAC_OVERRIDE);
		r = confine(c, keep, true, p, e);
	}
	confine_paths_free(p);
	free(copy);
	if (!r)
		log_info("start", "%s", confine_text(c, text));
	return r;
}
