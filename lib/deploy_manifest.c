/*
 * deploy_manifest.c - what a deploy made, written down there for the next one and for the last.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "deploy.h"
#include "deploy_impl.h"
#include "secure.h"

#define MANIFEST_DEPTH 8

void deploy_sha(const void *bytes, size_t size, char out[DEPLOY_SHA + 1])
{
	uint8_t sum[SECURE_SHA256_SIZE];

	*out = 0;
	if (secure_sha256(bytes, size, sum))
		return;
	for (size_t i = 0; i < sizeof(sum); i++)
		sprintf(out + 2 * i, "%02x", sum[i]);
}

void deploy_binary_path(const char *sha, char out[DEPLOY_BINARY_MAX])
{
	snprintf(out, DEPLOY_BINARY_MAX, DEPLOY_LIB "/rssrv-%.12s", sha);
}

/* What is nested deep has not been written by this; the parser recurses. */
static bool shallow(const char *text)
{
	int depth = 0;

	for (; *text; text++) {
		if (strchr("[{", *text) && ++depth > MANIFEST_DEPTH)
			return false;
		if (strchr("]}", *text))
			depth--;
	}
	return true;
}

json_t *deploy_manifest_read(const struct deploy_facts *f)
{
	json_t *m = f->manifest && shallow(f->manifest) ? json_loads(f->manifest, JSON_REJECT_DUPLICATES, NULL) : NULL;

	if (json_is_object(m))
		return m;
	json_decref(m);
	return NULL;
}

static void add_file(json_t *files, const char *path, const char *sha, const char *mode, const char *owner)
{
	json_array_append_new(files, json_pack("{ss ss ss ss}", "path", path, "sha256", sha, "mode", mode, "owner", owner));
}

static json_t *files_of(const struct deploy_facts *f, const struct deploy_wish *w, const char *config_sha)
{
	char program[DEPLOY_BINARY_MAX], sha[DEPLOY_SHA + 1];
	json_t *files = json_array();

	deploy_binary_path(w->binary.sha, program);
	add_file(files, program, w->binary.sha, "0755", "root:root");
	json_array_append_new(files, json_pack("{ss ss}", "path", DEPLOY_PROGRAM, "to", program));
	add_file(files, DEPLOY_CONFIG, config_sha, "0640", "root:" DEPLOY_USER);
	if (!f->systemd)
		return files;
	deploy_sha(deploy_unit_text, strlen(deploy_unit_text), sha);
	add_file(files, DEPLOY_UNIT, sha, "0644", "root:root");
	json_array_append_new(files, json_pack("{ss ss}", "path", DEPLOY_WANTED, "to", DEPLOY_UNIT));
	return files;
}

/* Those of the first deploy, and what lacked for this one. */
static json_t *directories_of(const struct deploy_facts *f, const json_t *old)
{
	json_t *made = json_deep_copy(json_object_get(old, "directories"));

	if (!json_is_array(made)) {
		json_decref(made);
		made = json_array();
	}
	for (size_t i = 0; i < f->missing_count; i++)
		json_array_append_new(made, json_string(f->missing[i]));
	return made;
}

/* Directories that were there and had another mode or owner: undeploy gives these back. */
static json_t *were(const struct deploy_facts *f, const struct deploy_wish *w, const json_t *old)
{
	const char *const dirs[] = { DEPLOY_STATE, w->pool };
	json_t *list = json_deep_copy(json_object_get(old, "were"));
	char mode[8];

	if (json_is_array(list))
		return list;
	json_decref(list);
	list = json_array();
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		const struct deploy_path *is = deploy_facts_path(f, dirs[i]);

		snprintf(mode, sizeof(mode), "%04o", (unsigned)is->mode & 07777);
		if (is->kind == DEPLOY_DIRECTORY && is->mode >= 0 && *is->owner && !strchr(is->owner, '?'))
			json_array_append_new(list, json_pack("{ss ss ss}", "path", dirs[i], "mode", mode, "owner", is->owner));
	}
	return list;
}

static void set_places(json_t *m, const struct deploy_wish *w)
{
	json_t *portals = json_array();

	for (size_t i = 0; i < w->portal_count; i++)
		json_array_append_new(portals, json_string(w->portals[i].address));
	json_object_set_new(m, "pool", json_string(w->pool));
	json_object_set_new(m, "namespace", json_string(w->namespace));
	json_object_set_new(m, "namespace_id", json_integer(w->namespace_id));
	json_object_set_new(m, "server", json_string(w->server));
	json_object_set_new(m, "server_id", json_integer(w->server_id));
	json_object_set_new(m, "port", json_integer(w->port));
	json_object_set_new(m, "portals", portals);
}

json_t *deploy_manifest(const struct deploy_facts *f, const struct deploy_wish *w, const struct deploy_secret *config,
			const json_t *old)
{
	char program[DEPLOY_BINARY_MAX], sha[DEPLOY_SHA + 1] = "";
	json_t *m = old ? json_deep_copy(old) : json_object();

	deploy_binary_path(w->binary.sha, program);
	if (config->text)
		deploy_sha(config->text, config->size, sha);
	else
		snprintf(sha, sizeof(sha), "%s", deploy_facts_path(f, DEPLOY_CONFIG)->sha);
	if (!w->binary_only)
		set_places(m, w);
	if (!old)
		json_object_set_new(m, "user", f->server_uid < 0 ? json_string(DEPLOY_USER) : json_null());
	json_object_set_new(m, "version", json_string(w->binary.version));
	json_object_set_new(m, "sha256", json_string(w->binary.sha));
	json_object_set_new(m, "program", json_string(program));
	json_object_set_new(m, "files", files_of(f, w, sha));
	json_object_set_new(m, "directories", directories_of(f, old));
	if (!w->binary_only)
		json_object_set_new(m, "were", were(f, w, old));
	json_object_set_new(m, "service", json_string(f->systemd ? "systemd" : "plain"));
	json_object_set_new(m, "by", json_string(w->by ? w->by : ""));
	json_object_set_new(m, "when", json_integer(w->when));
	return m;
}
