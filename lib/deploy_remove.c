/*
 * deploy_remove.c - the steps that take away what a deploy made, by its manifest, and leave the
 * volumes where they are.
 *
 * Directories go last, behind the commit, and only when they are empty: one that was made for
 * the server may have something of somebody else in it by now.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "deploy.h"
#include "deploy_impl.h"

static struct deploy_secret none;

static bool under(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	return strncmp(path, directory, n) == 0 && (!path[n] || path[n] == '/');
}

static void drop(struct deploy_plan *p, const struct deploy_facts *f, const char *path, const char *say)
{
	if (deploy_facts_path(f, path)->kind != DEPLOY_ABSENT)
		deploy_add_text(p, say ? DEPLOY_REMOVES : DEPLOY_SILENT, json_pack("{ss ss}", "do", "remove", "path", path), &none,
				say ? "%s" : NULL, say);
}

/* One of the names that the facts have of a directory. */
static void drop_named(struct deploy_plan *p, const char *directory, const char *name)
{
	size_t n = strcspn(name, "/");
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/%.*s", directory, (int)n, name) < (int)sizeof(path))
		deploy_add_text(p, DEPLOY_SILENT, json_pack("{ss ss}", "do", name[n] ? "remove-tree" : "remove", "path", path), &none, NULL);
}

static void stop(struct deploy_plan *p, const struct deploy_facts *f, const char *pool)
{
	bool runs = f->unit_active;

	for (size_t i = 0; i < f->process_count; i++)
		runs |= strcmp(f->processes[i].name, "rssrv") == 0 && f->processes[i].program &&
			under(f->processes[i].program, DEPLOY_LIB);
	/* One that has failed runs no more, and systemd still has to forget that. */
	if (!runs && (!f->systemd || deploy_facts_path(f, DEPLOY_UNIT)->kind == DEPLOY_ABSENT))
		return;
	deploy_add_text(p, runs ? DEPLOY_DOES : DEPLOY_SILENT,
			json_pack("{ss ss ss ss ss s[ss]}", "do", "stop-server", "how", f->systemd ? "systemd" : "plain", "program",
				  DEPLOY_PROGRAM, "config", DEPLOY_CONFIG, "run_dir", DEPLOY_RUN, "dirs", DEPLOY_STATE, pool),
			&none, runs ? "stops the server" : NULL);
}

static void drop_unit(struct deploy_plan *p, const struct deploy_facts *f)
{
	if (deploy_facts_path(f, DEPLOY_UNIT)->kind == DEPLOY_ABSENT)
		return;
	deploy_add_text(p, DEPLOY_SILENT, json_pack("{ss s[s] s[ss]}", "do", "run", "argv", "true", "undo", "systemctl", "daemon-reload"),
			&none, NULL);
	drop(p, f, DEPLOY_WANTED, NULL);
	drop(p, f, DEPLOY_UNIT, "removes the unit " DEPLOY_UNIT);
	deploy_add_text(p, DEPLOY_SILENT, json_pack("{ss s[ss] si}", "do", "run", "argv", "systemctl", "daemon-reload", "seconds", 60),
			&none, NULL);
}

static void drop_programs(struct deploy_plan *p, const struct deploy_facts *f)
{
	static const char begin[] = DEPLOY_LIB "/rssrv-";

	drop(p, f, DEPLOY_PROGRAM, "removes " DEPLOY_PROGRAM);
	for (size_t i = 0; i < f->path_count; i++)
		if (f->paths[i].kind == DEPLOY_FILE && strncmp(f->paths[i].path, begin, strlen(begin)) == 0)
			drop(p, f, f->paths[i].path, NULL);
	drop(p, f, DEPLOY_CONFIG, "removes " DEPLOY_CONFIG " and the keys in it");
	drop(p, f, DEPLOY_CONFIG_OLD, NULL);
	drop(p, f, DEPLOY_MANIFEST, NULL);
}

/* What is a server's in the pool.  The directory may have files of others: it goes only if it was made, and is empty. */
static void drop_pooled(struct deploy_plan *p, const struct deploy_facts *f, const char *pool)
{
	for (size_t i = 0; i < f->volume_count; i++)
		deploy_add_text(p, DEPLOY_REMOVES, json_pack("{ss s[s]}", "do", "run", "argv", "true"), &none,
				"REMOVES FOR GOOD %s/%s", pool, f->volumes[i]);
	for (size_t i = 0; i < f->pooled_count; i++)
		drop_named(p, pool, f->pooled[i]);
}

/* The state directory and the pool, where they stay: as they were, or root's, since the user goes. */
static void give_back(struct deploy_plan *p, const struct deploy_facts *f, const json_t *manifest, const char *path, bool stays)
{
	const json_t *were = json_object_get(manifest, "were");
	const char *mode = "0750", *owner = stays ? "root:root" : NULL;

	for (size_t i = 0; i < json_array_size(were); i++) {
		const json_t *one = json_array_get(were, i);
		const char *is = json_string_value(json_object_get(one, "path"));

		if (!is || strcmp(is, path) != 0 || !json_is_string(json_object_get(one, "mode")))
			continue;
		mode = json_string_value(json_object_get(one, "mode"));
		owner = json_string_value(json_object_get(one, "owner"));
	}
	if (owner && deploy_facts_path(f, path)->kind == DEPLOY_DIRECTORY)
		deploy_add_text(p, DEPLOY_SILENT, json_pack("{ss ss ss ss}", "do", "directory", "path", path, "mode", mode, "owner", owner),
				&none, NULL);
}

/* It stays, and is named. */
static void leave(struct deploy_plan *p, const char *directory, const char *name)
{
	char **grown = realloc(p->left, (p->left_count + 1) * sizeof(*grown));

	if (grown)
		p->left = grown;
	if (grown && asprintf(&grown[p->left_count], "%s/%s", directory, name) >= 0)
		p->left_count++;
	else
		p->no_memory = true;
}

/* What is in there and the user's, who goes. */
static void give_to_root(struct deploy_plan *p, const struct deploy_facts *f, const char *path, bool say)
{
	char was[16];

	snprintf(was, sizeof(was), "%d", f->server_uid > 0 ? f->server_uid : f->pool_uid);
	if (*was != '-' && strcmp(was, "0") != 0)
		deploy_add_text(p, say ? DEPLOY_DOES : DEPLOY_SILENT,
				json_pack("{ss ss ss ss}", "do", "own", "path", path, "was", was, "owner", "root:root"), &none,
				say ? "gives the %zu volume%s in %s, which stay%s, to root" : NULL, f->volume_count,
				f->volume_count == 1 ? "" : "s", path, f->volume_count == 1 ? "s" : "");
}

/* The pool with its volumes: gone, or left for root to use. */
static void leave_volumes(struct deploy_plan *p, const struct deploy_facts *f, const json_t *manifest, const char *pool,
			  bool with_volumes)
{
	if (deploy_facts_path(f, pool)->kind != DEPLOY_DIRECTORY)
		return;
	if (!f->volume_count || with_volumes) {
		drop_pooled(p, f, pool);
		return;
	}
	give_back(p, f, manifest, pool, true);		/* nobody changes it while its names are given away */
	give_to_root(p, f, pool, true);
	for (size_t i = 0; i < f->volume_count; i++)
		leave(p, pool, f->volumes[i]);
}

/* What a server notes there: where a pool was mounted, a device's identity, a volume whose flush failed. */
static bool is_servers(const char *name)
{
	size_t n = strlen(name);

	if (strncmp(name, "flush-failed.", 13) == 0)
		return !strchr(name, '/');
	return n > 6 && strchr(name, ':') != strrchr(name, ':') &&
		(strcmp(name + n - 6, ".mount") == 0 || strcmp(name + n - 5, ".rsio") == 0);
}

/* What else is there may be another pool, or one that was taken out of the configuration, with its volumes: it stays. */
static bool drop_state(struct deploy_plan *p, const struct deploy_facts *f, const char *pool)
{
	bool stays = false;
	char path[4096];

	for (size_t i = 0; i < f->state_count; i++) {
		snprintf(path, sizeof(path), DEPLOY_STATE "/%.*s", (int)strcspn(f->state[i], "/"), f->state[i]);
		if (under(pool, path))
			continue;
		if (is_servers(f->state[i])) {
			drop_named(p, DEPLOY_STATE, f->state[i]);
			continue;
		}
		leave(p, DEPLOY_STATE, f->state[i]);
		stays = true;
	}
	if (!f->systemd && !f->rsiod && deploy_facts_path(f, DEPLOY_RUN)->kind == DEPLOY_DIRECTORY)
		drop_named(p, "/run", "rsio/");
	return stays;
}

/* The directories that were made, inner ones first; and the state directory, which is nobody else's. */
static char *sweep(const json_t *manifest)
{
	const json_t *made = json_object_get(manifest, "directories");
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (size_t i = json_array_size(made); out && i-- > 0;) {
		const char *path = json_string_value(json_array_get(made, i));

		if (!path)
			continue;
		fputs("rmdir ", out);
		deploy_quote(out, path);
		fputs(" 2>/dev/null\n", out);
	}
	if (out)
		fprintf(out, "rmdir " DEPLOY_STATE " 2>/dev/null\nexit 0\n");
	if (!out || fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

struct deploy_plan *deploy_plan_remove(const struct deploy_facts *f, bool with_volumes, struct err *e)
{
	json_t *manifest = deploy_manifest_read(f);
	struct deploy_plan *p = manifest ? calloc(1, sizeof(*p)) : NULL;
	const char *pool = json_string_value(json_object_get(manifest, "pool"));
	const char *user = json_string_value(json_object_get(manifest, "user"));
	bool volumes_stay, state_stays;

	if (!p) {
		err_set(e, manifest ? ENOMEM : ENOENT, manifest ? "no memory" : "rsagent deployed nothing there: there is no " DEPLOY_MANIFEST);
		json_decref(manifest);
		return NULL;
	}
	pool = pool && pool[0] == '/' ? pool : DEPLOY_POOL;
	stop(p, f, pool);
	drop_unit(p, f);
	drop_programs(p, f);
	leave_volumes(p, f, manifest, pool, with_volumes);
	volumes_stay = p->left_count;
	state_stays = drop_state(p, f, pool);
	give_back(p, f, manifest, DEPLOY_STATE, state_stays || (volumes_stay && under(pool, DEPLOY_STATE)));
	if (!volumes_stay)
		give_back(p, f, manifest, pool, false);
	if (state_stays && !deploy_has_pool_beside(f, pool))
		give_to_root(p, f, DEPLOY_STATE, false);
	if (user && strcmp(user, DEPLOY_USER) == 0 && f->server_uid >= 0 && !deploy_has_pool_beside(f, pool))
		deploy_add_text(p, DEPLOY_REMOVES, json_pack("{ss ss}", "do", "remove-user", "name", user), &none,
				"removes the user %s", user);
	p->sweep = sweep(manifest);
	p->no_memory |= !p->sweep;
	json_decref(manifest);
	if (!p->no_memory)
		return p;
	err_set(e, ENOMEM, "no memory");
	deploy_plan_free(p);
	return NULL;
}
