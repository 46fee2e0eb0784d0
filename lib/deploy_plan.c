/*
 * deploy_plan.c - the steps between what a host is and what it is to be.
 *
 * The order is what makes undoing work, which goes backwards: the new program and configuration
 * are there and checked before the old server is stopped; a reload that undoing needs is noted
 * before the file that it is to read, as the undo of a step that does nothing.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "deploy.h"
#include "deploy_impl.h"
#include "secure.h"

/* What a plan is made of. */

struct deploy_step *deploy_add_text(struct deploy_plan *p, enum deploy_change change, json_t *request,
				    struct deploy_secret *text, const char *say, ...)
{
	static const struct deploy_secret none;
	struct deploy_step *grown, *s;
	va_list args;

	if (p->count == p->room) {
		grown = realloc(p->steps, (p->room + 16) * sizeof(*p->steps));
		if (grown) {
			p->steps = grown;
			p->room += 16;
		}
	}
	if (p->count == p->room || !request) {
		p->no_memory = true;
		json_decref(request);
		deploy_secret_free(text);
		return NULL;
	}
	s = &p->steps[p->count++];
	*s = (struct deploy_step){ .request = request, .text = *text, .change = change };
	*text = none;
	va_start(args, say);
	if (say && vasprintf(&s->say, say, args) < 0) {
		s->say = NULL;
		p->no_memory = true;
	}
	va_end(args);
	return s;
}

/* Steps of a kind. */

static struct deploy_secret none;		/* a step without one */

static void directory(struct deploy_plan *p, const struct deploy_facts *f, const char *path, int mode, const char *owner)
{
	const struct deploy_path *is = deploy_facts_path(f, path);
	char octal[8];

	if (is->kind == DEPLOY_DIRECTORY && is->mode == mode && strcmp(is->owner, owner) == 0)
		return;
	snprintf(octal, sizeof(octal), "%04o", (unsigned)mode);
	deploy_add_text(p, is->kind == DEPLOY_ABSENT ? DEPLOY_MAKES : DEPLOY_CHANGES,
			json_pack("{ss ss ss ss}", "do", "directory", "path", path, "mode", octal, "owner", owner), &none,
			is->kind == DEPLOY_ABSENT ? "makes the directory %s, mode %s, %s" : "makes %s mode %s, %s", path, octal, owner);
}

static void run(struct deploy_plan *p, json_t *argv, json_t *undo, int seconds, const char *say)
{
	json_t *request = json_pack("{ss so si}", "do", "run", "argv", argv, "seconds", seconds);

	if (undo && request)
		json_object_set_new(request, "undo", undo);
	else
		json_decref(undo);
	deploy_add_text(p, say ? DEPLOY_DOES : DEPLOY_SILENT, request, &none, say ? "%s" : NULL, say);
}

/* Undone last of what follows. */
static void undo_with(struct deploy_plan *p, json_t *undo)
{
	run(p, json_pack("[s]", "true"), undo, 30, NULL);
}

static json_t *daemon_reload(void)
{
	return json_pack("[ss]", "systemctl", "daemon-reload");
}

static json_t *hangup(const struct deploy_facts *f)
{
	return f->systemd ? json_pack("[sss]", "systemctl", "reload", "rssrv") :
		json_pack("[sss]", "sh", "-c", "kill -HUP $(cat " DEPLOY_RUN "/rssrv.pid)");
}

static json_t *server_step(const struct deploy_facts *f, const char *what, const char *pool)
{
	return json_pack("{ss ss ss ss ss s[ss]}", "do", what, "how", f->systemd ? "systemd" : "plain", "program",
			 DEPLOY_PROGRAM, "config", DEPLOY_CONFIG, "run_dir", DEPLOY_RUN, "dirs", DEPLOY_STATE, pool);
}

static void link_to(struct deploy_plan *p, const struct deploy_facts *f, const char *path, const char *to, const char *say)
{
	const struct deploy_path *is = deploy_facts_path(f, path);

	if (is->kind == DEPLOY_LINK && strcmp(is->to, to) == 0)
		return;
	deploy_add_text(p, is->kind == DEPLOY_ABSENT ? DEPLOY_MAKES : DEPLOY_CHANGES,
			json_pack("{ss ss ss}", "do", "link", "path", path, "to", to), &none, say ? "%s" : NULL, say);
}

/* Making. */

struct making {
	struct deploy_plan *p;
	const struct deploy_facts *f;
	const struct deploy_wish *w;
	char program[DEPLOY_BINARY_MAX];
	bool running, restart, reload;
	struct deploy_secret config;
	struct err *e;
};

static const struct deploy_process *own_server(const struct deploy_facts *f)
{
	for (size_t i = 0; i < f->process_count; i++)
		if (strcmp(f->processes[i].name, "rssrv") == 0 && f->processes[i].program &&
		    strncmp(f->processes[i].program, DEPLOY_LIB "/", strlen(DEPLOY_LIB "/")) == 0)
			return &f->processes[i];
	return NULL;
}

static bool same_file(const struct deploy_facts *f, const char *path, const char *sha, int mode, const char *owner)
{
	const struct deploy_path *is = deploy_facts_path(f, path);

	return is->kind == DEPLOY_FILE && *sha && strcmp(is->sha, sha) == 0 && is->mode == mode &&
		strcmp(is->owner, owner) == 0;
}

/* The volumes of an earlier server there, which undeploy gave to root. */
static void own_volumes(struct making *m)
{
	if (!m->f->volume_count || m->f->pool_uid != 0)
		return;
	deploy_add_text(m->p, DEPLOY_DOES, json_pack("{ss ss ss ss}", "do", "own", "path", m->w->pool, "was", "root:root", "owner",
						    DEPLOY_USER ":" DEPLOY_USER), &none,
			"gives the volumes that are in the pool to the user " DEPLOY_USER);
}

static void make_places(struct making *m)
{
	if (m->f->server_uid < 0)
		deploy_add_text(m->p, DEPLOY_MAKES, json_pack("{ss ss ss}", "do", "user", "name", DEPLOY_USER, "home", DEPLOY_STATE),
				&none, "makes the user " DEPLOY_USER ", who cannot log in");
	directory(m->p, m->f, DEPLOY_LIB, 0755, "root:root");
	directory(m->p, m->f, DEPLOY_STATE, 0750, DEPLOY_USER ":" DEPLOY_USER);
	if (m->w->binary_only)
		return;
	own_volumes(m);			/* while the directory is still root's */
	directory(m->p, m->f, m->w->pool, 0750, DEPLOY_USER ":" DEPLOY_USER);
	for (char *const *more = m->w->more_pools; more && *more; more++)
		directory(m->p, m->f, *more, 0750, DEPLOY_USER ":" DEPLOY_USER);
}

static void install_program(struct making *m)
{
	const struct deploy_process *now = own_server(m->f);

	if (!same_file(m->f, m->program, m->w->binary.sha, 0755, "root:root"))
		deploy_add_text(m->p, DEPLOY_MAKES, json_pack("{ss ss ss ss ss}", "do", "file", "path", m->program, "mode", "0755",
							     "owner", "root:root", "from", "rssrv"),
				&none, "installs rssrv %s as %s", m->w->binary.version, m->program);
	m->running = now != NULL;
	if (now && strcmp(now->program, m->program) != 0)
		m->restart = true;
}

static int configure(struct making *m)
{
	char sha[DEPLOY_SHA + 1];
	struct deploy_secret text;
	int r;

	if (m->w->binary_only)
		return 0;
	r = deploy_config_from(&m->f->config, m->w, &m->config, m->e);
	if (r)
		return r;
	deploy_sha(m->config.text, m->config.size, sha);
	if (same_file(m->f, DEPLOY_CONFIG, sha, 0640, "root:" DEPLOY_USER))
		return 0;
	if (m->running && m->f->config.text && (m->w->config ? deploy_reloads(&m->f->config, &m->config) :
						deploy_has_pool(m->f, m->w->pool))) {
		m->reload = true;
		undo_with(m->p, hangup(m->f));
	} else {
		m->restart = m->running;
	}
	text.size = m->config.size;
	text.text = secure_alloc(text.size + 1);
	if (!text.text)
		return err_set(m->e, ENOMEM, "no memory");
	memcpy(text.text, m->config.text, text.size);
	deploy_add_text(m->p, m->f->config.text ? DEPLOY_CHANGES : DEPLOY_MAKES,
			json_pack("{ss ss ss ss}", "do", "file", "path", DEPLOY_CONFIG, "mode", "0640", "owner", "root:" DEPLOY_USER),
			&text, m->f->config.text ? "changes " DEPLOY_CONFIG " for %s" : "writes " DEPLOY_CONFIG " with a key for %s",
			m->w->client);
	run(m->p, json_pack("[ssss]", m->program, "--check", "-c", DEPLOY_CONFIG), NULL, 30, NULL);
	return 0;
}

static void make_unit(struct making *m)
{
	struct deploy_secret text = { NULL, strlen(deploy_unit_text) };
	char sha[DEPLOY_SHA + 1];

	if (!m->f->systemd)
		return;
	deploy_sha(deploy_unit_text, text.size, sha);
	if (!same_file(m->f, DEPLOY_UNIT, sha, 0644, "root:root")) {
		m->restart |= m->running;
		undo_with(m->p, daemon_reload());
		deploy_add_text(m->p, deploy_facts_path(m->f, DEPLOY_UNIT)->kind == DEPLOY_ABSENT ? DEPLOY_MAKES : DEPLOY_CHANGES,
				json_pack("{ss ss ss ss ss}", "do", "file", "path", DEPLOY_UNIT, "mode", "0644", "owner", "root:root",
					  "text", deploy_unit_text), &none, "writes the unit " DEPLOY_UNIT);
		run(m->p, daemon_reload(), NULL, 60, NULL);
	}
	if (deploy_facts_path(m->f, DEPLOY_WANTED)->kind == DEPLOY_ABSENT) {
		deploy_add_text(m->p, DEPLOY_SILENT, json_pack("{ss ss ss ss}", "do", "directory", "path", DEPLOY_WANTS, "mode", "0755",
							      "owner", "root:root"), &none, NULL);
		link_to(m->p, m->f, DEPLOY_WANTED, DEPLOY_UNIT, "has it started when the host starts");
	}
}

static void start(struct making *m)
{
	if (m->restart)
		deploy_add_text(m->p, DEPLOY_DOES, server_step(m->f, "stop-server", m->w->pool), &none,
				"stops the server that runs, for a moment");
	link_to(m->p, m->f, DEPLOY_PROGRAM, m->program, NULL);
	if (m->restart || !m->running)
		deploy_add_text(m->p, DEPLOY_DOES, server_step(m->f, "start-server", m->w->pool), &none,
				m->f->systemd ? "starts the server by systemd" : "starts the server; there is no systemd, so the host's "
				"own start has to run '" DEPLOY_PROGRAM "' from now on");
	else if (m->reload)
		run(m->p, hangup(m->f), NULL, 30, "has the server read it");
}

static void remove_old_programs(struct making *m)
{
	static const char begin[] = DEPLOY_LIB "/rssrv-";

	for (size_t i = 0; i < m->f->path_count; i++) {
		const struct deploy_path *is = &m->f->paths[i];

		if (is->kind == DEPLOY_FILE && strncmp(is->path, begin, strlen(begin)) == 0 && strcmp(is->path, m->program) != 0)
			deploy_add_text(m->p, DEPLOY_REMOVES, json_pack("{ss ss}", "do", "remove", "path", is->path), &none,
					"removes the earlier %s", is->path);
	}
}

static void write_manifest(struct making *m)
{
	json_t *old = deploy_manifest_read(m->f), *manifest;
	char *text;

	if (old && !m->p->count) {
		json_decref(old);
		return;
	}
	manifest = deploy_manifest(m->f, m->w, &m->config, old);
	/* It has the hash of a file with keys, by which one that is easy to guess could be tried: root's alone. */
	text = manifest ? json_dumps(manifest, JSON_INDENT(1)) : NULL;
	deploy_add_text(m->p, DEPLOY_SILENT, text ? json_pack("{ss ss ss ss ss+}", "do", "file", "path", DEPLOY_MANIFEST, "mode", "0600",
							      "owner", "root:root", "text", text, "\n") : NULL, &none, NULL);
	free(text);
	json_decref(manifest);
	json_decref(old);
}

static struct deploy_plan *finished(struct deploy_plan *p, int r, struct err *e)
{
	if (!r && !p->no_memory)
		return p;
	if (!r)
		err_set(e, ENOMEM, "no memory");
	deploy_plan_free(p);
	return NULL;
}

struct deploy_plan *deploy_plan_make(const struct deploy_facts *f, const struct deploy_wish *w, struct err *e)
{
	struct making m = { .p = calloc(1, sizeof(*m.p)), .f = f, .w = w, .e = e };
	int r;

	if (!m.p) {
		err_set(e, ENOMEM, "no memory");
		return NULL;
	}
	deploy_binary_path(w->binary.sha, m.program);
	make_places(&m);
	install_program(&m);
	r = configure(&m);
	make_unit(&m);
	start(&m);
	remove_old_programs(&m);
	write_manifest(&m);
	deploy_secret_free(&m.config);
	m.p->restarts = m.restart;
	m.p->serves = true;
	return finished(m.p, r, e);
}

void deploy_plan_free(struct deploy_plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->count; i++) {
		json_decref(p->steps[i].request);
		deploy_secret_free(&p->steps[i].text);
		free(p->steps[i].say);
	}
	for (size_t i = 0; i < p->left_count; i++)
		free(p->left[i]);
	free(p->steps);
	free(p->left);
	free(p->sweep);
	free(p);
}
