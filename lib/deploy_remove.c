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

static void drop_tree(struct deploy_plan *p, const char *path, const char *say)
{
	deploy_add_text(p, say ? DEPLOY_REMOVES : DEPLOY_SILENT, json_pack("{ss ss}", "do", "remove-tree", "path", path), &none,
			say ? "%s %s" : NULL, say, path);
}

static void stop(struct deploy_plan *p, const struct deploy_facts *f, const char *pool)
{
	bool runs = f->unit_active;

	for (size_t i = 0; i < f->process_count; i++)
		runs |= strcmp(f->processes[i].name, "rssrv") == 0 && f->processes[i].program &&
			under(f->processes[i].program, DEPLOY_LIB);
	if (runs)
		deploy_add_text(p, DEPLOY_DOES, json_pack("{ss ss ss ss ss s[ss]}", "do", "stop-server", "how", f->systemd ? "systemd" : "plain",
							 "program", DEPLOY_PROGRAM, "config", DEPLOY_CONFIG, "run_dir", DEPLOY_RUN, "dirs", DEPLOY_STATE, pool),
				&none, "stops the server");
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
	drop(p, f, DEPLOY_MANIFEST, NULL);
}

/* The pool with its volumes: gone, or left for root to use. */
static void leave_volumes(struct deploy_plan *p, const struct deploy_facts *f, const char *pool, bool with_volumes)
{
	if (deploy_facts_path(f, pool)->kind != DEPLOY_DIRECTORY)
		return;
	if (!f->volume_count || with_volumes) {
		drop_tree(p, pool, f->volume_count ? "REMOVES ALL VOLUMES in" : "removes");
		return;
	}
	deploy_add_text(p, DEPLOY_DOES, json_pack("{ss s[ssss] s[ssss] si}", "do", "run", "argv", "chown", "-R", "root:root", pool,
						 "undo", "chown", "-R", DEPLOY_USER ":" DEPLOY_USER, pool, "seconds", 120),
			&none, "gives the %zu volumes in %s, which stay, to root", f->volume_count, pool);
	p->left = calloc(f->volume_count, sizeof(*p->left));
	p->no_memory |= !p->left;
	for (size_t i = 0; p->left && i < f->volume_count; i++) {
		if (asprintf(&p->left[i], "%s/%s", pool, f->volumes[i]) < 0) {
			p->left[i] = NULL;
			p->no_memory = true;
			break;
		}
		p->left_count++;
	}
}

static void drop_state(struct deploy_plan *p, const struct deploy_facts *f, const char *pool)
{
	char path[4096];

	for (size_t i = 0; i < f->state_count; i++) {
		snprintf(path, sizeof(path), DEPLOY_STATE "/%s", f->state[i]);
		if (!under(pool, path))
			drop_tree(p, path, NULL);
	}
	if (!f->systemd && !f->rsiod && deploy_facts_path(f, DEPLOY_RUN)->kind == DEPLOY_DIRECTORY)
		drop_tree(p, DEPLOY_RUN, NULL);
}

/* The directories that were made, inner ones first. */
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
		fprintf(out, "exit 0\n");
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

	if (!p) {
		err_set(e, manifest ? ENOMEM : ENOENT, manifest ? "no memory" : "rsagent deployed nothing there: there is no " DEPLOY_MANIFEST);
		json_decref(manifest);
		return NULL;
	}
	pool = pool && pool[0] == '/' ? pool : DEPLOY_POOL;
	stop(p, f, pool);
	drop_unit(p, f);
	drop_programs(p, f);
	leave_volumes(p, f, pool, with_volumes);
	drop_state(p, f, pool);
	if (user && strcmp(user, DEPLOY_USER) == 0 && f->server_uid >= 0)
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
