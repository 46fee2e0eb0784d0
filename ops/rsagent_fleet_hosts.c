/* rsagent_fleet_hosts.c - the members' hosts: what children ask of them, and do there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "ctl.h"
#include "opt.h"
#include "rsagent_binary.h"
#include "rsagent_deploy_users.h"
#include "rsagent_fleet.h"
#include "rsagent_login.h"
#include "rsagent_many.h"

#define LOOK_SECONDS 30
#define CLIENT_SECONDS 60
#define CALL_TIME 30.0

/* Which members are at work: the i-th host is the i-th of these. */
struct work {
	struct fleet *f;
	struct fleet_member **members;
	struct rsagent_hosts hosts;
};
static struct work *working;		/* for rsagent_many's show, which has no argument */

static struct fleet_member *member_of(const struct rsagent_task *t)
{
	const struct work *w = t->arg;

	return w->members[t->host - w->hosts.list];
}

/* Logging in: twice to each host, and what has to be typed is typed once. */

struct login {
	struct rsagent_task *t;
	struct remote_ask ask;
	bool used[FLEET_SECRETS];	/* in this login: asked for again, it was wrong */
};

static int secret(void *arg, const char *prompt, bool echo, char *answer, size_t size)
{
	struct login *l = arg;
	struct fleet_said *said = member_of(l->t)->said;
	struct fleet_secret *s = NULL;
	size_t i;
	int r;

	for (i = 0; i < FLEET_SECRETS && *said->secrets[i].prompt && strcmp(said->secrets[i].prompt, prompt) != 0; i++)
		;
	if (i < FLEET_SECRETS)
		s = &said->secrets[i];
	if (s && *s->prompt && !l->used[i] && strlen(s->answer) < size) {
		l->used[i] = true;
		strcpy(answer, s->answer);
		return 0;
	}
	r = l->ask.secret(l->ask.arg, prompt, echo, answer, size);
	if (r || !s || strlen(prompt) >= sizeof(s->prompt) || strlen(answer) >= sizeof(s->answer))
		return r;
	strcpy(s->prompt, prompt);
	strcpy(s->answer, answer);
	l->used[i] = true;
	return 0;
}

static bool confirm_key(void *arg, const struct remote_key *key)
{
	struct login *l = arg;

	return l->ask.confirm(l->ask.arg, key);
}

static void banner(void *arg, const char *line)
{
	struct login *l = arg;

	l->ask.banner(l->ask.arg, line);
}

/* NULL with e filled.  l has to be there as long as it is. */
static struct remote *login(struct login *l, struct rsagent_task *t, struct err *e)
{
	struct remote_target target = rsagent_target(t);
	struct remote_options options = {
		.identity = t->host->identity, .fingerprint = t->host->fingerprint,
	};
	struct remote *r;

	*l = (struct login){ .t = t, .ask = rsagent_asks(t) };
	options.ask = (struct remote_ask){
		.confirm = l->ask.confirm ? confirm_key : NULL, .secret = l->ask.secret ? secret : NULL,
		.banner = l->ask.banner ? banner : NULL, .arg = l,
	};
	rsagent_progress(t, "logging in");
	r = remote_open(&target, &options, e);
	if (!r || !remote_become_root(r, e))
		return r;
	remote_close(r);
	return NULL;
}

/* Looking. */

/* The configuration, behind a line that says whether there is one, and whose. */
static const char client_script[] =
	"id=; [ ! -r /etc/machine-id ] || read -r id </etc/machine-id; who=\"$(uname -n) $id\"\n"
	"if [ -f \"$file\" ]; then echo \"file $who\"; cat \"$file\"; else echo \"none $who\"; fi\n";

static char *script_for(const struct fleet_member *m)
{
	struct deploy_ask ask = { .pool = m->wish.pool, .more_pools = m->pools, .port = m->wish.port };
	char *quoted, *script = NULL;

	if (m->kind == FLEET_SERVER)
		return deploy_script(&ask, m->said->marker);
	quoted = remote_quote(m->config_path ? m->config_path : "/etc/rscltcfg");
	if (!quoted || asprintf(&script, "file=%s\n%s", quoted, client_script) < 0)
		script = NULL;
	free(quoted);
	return script;
}

static int look(struct rsagent_task *t, struct err *e)
{
	const struct fleet_options *o = ((const struct work *)t->arg)->f->o;
	struct fleet_member *m = member_of(t);
	struct remote_result result = { 0 };
	struct login l;
	struct remote *r = login(&l, t, e);
	char *script = NULL;
	int ret = r ? rsagent_marker(m->said->marker, e) : -e->code;

	if (!ret) {
		script = script_for(m);
		ret = script ? 0 : err_set(e, ENOMEM, "no memory");
	}
	if (!ret) {
		rsagent_progress(t, "looking at the host");
		ret = remote_run(r, "looking at the host", script, NULL, 0, DEPLOY_FACTS_MAX, LOOK_SECONDS, &result, e);
	}
	if (!ret) {
		m->said->time = time(NULL);
		m->said->size = result.out_size;
		memcpy(m->said->bytes, result.out, result.out_size);
		secure_wipe(result.out, result.out_size);
		m->said->there = true;
	}
	if (!ret && m->gone)
		deploy_find_users(r, o->yes, o->force, &m->said->users);
	remote_result_free(&result);
	free(script);
	remote_close(r);
	return ret;
}

/* Doing. */

static void show_progress(void *arg, const char *text)
{
	rsagent_progress(arg, "%s", text);
}

static int verify(void *arg, struct deploy_run *run, struct err *e)
{
	struct rsagent_task *t = arg;
	const struct work *w = t->arg;

	return fleet_verify(w->f, member_of(t), t, run, e);
}

static int do_server(struct rsagent_task *t, struct remote *r, struct err *e)
{
	const struct fleet_member *m = member_of(t);
	const struct deploy_calls calls = { .progress = show_progress, .verify = m->plan->serves ? verify : NULL, .arg = t };

	return deploy_do(r, &m->wish.binary, m->plan, &calls, e);
}

/*
 * The new text is this script's input.  It replaces the old one, whose owner and mode it gets, when rsiod there
 * takes it, and only if that one is still what was read.  A link stays one.
 */
static const char change_script[] =
	"set -e; umask 077\n"
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH\n"
	"[ ! -L \"$file\" ] || file=$(readlink -f \"$file\")\n"
	"new=$file.new\n"
	"trap 'rm -f \"$new\"' EXIT; trap 'exit 1' HUP INT TERM\n"
	"if [ -e \"$file\" ]; then\n"
	"	sum=$was; ! command -v sha256sum >/dev/null || sum=$(sha256sum <\"$file\")\n"
	"	[ \"${sum%% *}\" = \"$was\" ] || { echo \"$file was changed meanwhile; try again\" >&2; exit 1; }\n"
	"	cp -p \"$file\" \"$new\"\n"
	"fi\n"
	"cat >\"$new\"\n"
	"[ \"$(wc -c <\"$new\")\" -eq \"$size\" ] || { echo \"$new is not whole\" >&2; exit 1; }\n"
	"if command -v rsiod >/dev/null; then rsiod --check -c \"$new\" >&2; fi\n"
	"[ ! -e \"$file\" ] || { cp -p \"$file\" \"$file.bak-1.new\"; mv \"$file.bak-1.new\" \"$file.bak-1\"; }\n"
	"sync \"$new\" 2>/dev/null || sync\n"
	"mv \"$new\" \"$file\"; trap - EXIT\n"
	"if [ ! -S /run/rsio/rsiod.sock ]; then echo stopped\n"
	"elif rsconfig -m reload >/dev/null; then echo reloaded; else exit 1; fi\n";

static int do_client(struct rsagent_task *t, struct remote *r, struct err *e)
{
	const struct fleet_member *m = member_of(t);
	char *quoted = remote_quote(m->config_path ? m->config_path : "/etc/rscltcfg"), *script = NULL, *said;
	size_t size;
	const char *bytes = conf_text_bytes(m->text, &size);

	if (!quoted || asprintf(&script, "file=%s was=%s size=%zu\n%s", quoted, m->sha, size, change_script) < 0) {
		free(quoted);
		return err_set(e, ENOMEM, "no memory");
	}
	rsagent_progress(t, "changing %s", m->config_path ? m->config_path : "/etc/rscltcfg");
	said = rsagent_run(r, "changing the configuration", script, bytes, size, CLIENT_SECONDS, NULL, e);
	if (said && strncmp(said, "stopped", 7) == 0)
		rsagent_progress(t, "rsiod does not run there: 'systemctl enable --now rsiod' starts it");
	free(script);
	free(quoted);
	if (!said)
		return -e->code;
	free(said);
	return 0;
}

static int change(struct rsagent_task *t, struct err *e)
{
	struct login l;
	struct remote *r = login(&l, t, e);
	int ret = -e->code;

	if (r)
		ret = member_of(t)->kind == FLEET_SERVER ? do_server(t, r, e) : do_client(t, r, e);
	remote_close(r);
	return ret;
}

/* This host's client needs no login. */
static int do_local(const struct fleet *f, struct fleet_member *m)
{
	char *dir = opt_run_dir_of(f->o->run_dir, "rsiod.sock"), *socket = NULL;
	json_t *request = json_pack("{ss}", "do", "reload"), *reply = NULL;
	int r = conf_text_save(m->text, true, NULL, &m->e);

	if (!r && (!dir || !request || asprintf(&socket, "%s/rsiod.sock", dir) < 0))
		r = err_set(&m->e, ENOMEM, "no memory");
	else if (!r)
		reply = ctl_call(socket, "rsiod", request, CALL_TIME, &m->e);
	if (!r && !reply && (m->e.code == ENOENT || m->e.code == ECONNREFUSED)) {
		fprintf(stderr, "%s: rsiod does not run here; it will read %s when it starts\n", m->name, conf_text_path(m->text));
		memset(&m->e, 0, sizeof(m->e));
	}
	m->done = !m->e.code;
	json_decref(reply);
	json_decref(request);
	free(socket);
	free(dir);
	return -m->e.code;
}

/* All at once. */

static void note(const struct rsagent_outcome *all, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		working->members[i]->done = all[i].done;
		if (all[i].done)
			continue;
		working->members[i]->e = all[i].e;
		working->members[i]->told = true;
	}
}

static int work(struct work *w, int (*run)(struct rsagent_task *t, struct err *e), struct err *e)
{
	const struct rsagent_many many = { .run = run, .show = note, .arg = w, .grace = 40 };
	struct rsagent_remote remote = w->f->o->remote;

	if (!w->hosts.count)
		return 0;
	remote.json = false;		/* the end is shown once, of all */
	working = w;
	rsagent_many(&many, &remote, &w->hosts, e);
	working = NULL;
	return -e->code;
}

static struct work *gather(struct fleet *f)
{
	struct work *w = calloc(1, sizeof(*w));

	if (w) {
		w->f = f;
		w->members = calloc(f->count + 1, sizeof(*w->members));
		w->hosts.list = calloc(f->count + 1, sizeof(*w->hosts.list));
	}
	if (!w || !w->members || !w->hosts.list)
		abort();
	return w;
}

static void take(struct work *w, struct fleet_member *m)
{
	w->members[w->hosts.count] = m;
	w->hosts.list[w->hosts.count++] = m->host;	/* borrowed */
}

static void release(struct work *w)
{
	free(w->members);
	free(w->hosts.list);
	free(w);
}

/* What the script is to look at. */
static void set_places(struct fleet_member *m)
{
	const struct conf_server *c = m->server->conf;

	m->wish.port = c->listen_count ? c->listens[0].port : c->port;
	m->wish.pool = c->pool_count ? c->pools[0].path : DEPLOY_POOL;
	m->pools = calloc(c->pool_count + 1, sizeof(*m->pools));
	for (size_t i = 1; m->pools && i < c->pool_count; i++)
		m->pools[i - 1] = c->pools[i].path;
	m->wish.more_pools = m->pools;
}

int fleet_look(struct fleet *f, struct err *e)
{
	struct work *w = gather(f);
	int r;

	for (size_t i = 0; i < f->count; i++) {
		struct fleet_member *m = &f->members[i];

		if (m->server)
			set_places(m);
		if (m->said)
			take(w, m);
	}
	r = work(w, look, e);
	for (size_t i = 0; i < f->count; i++)
		f->members[i].done = false;
	release(w);
	return r;
}

static bool is_part(const struct fleet_member *m, enum fleet_part part)
{
	if (m->e.code || m->change == FLEET_SAME)
		return false;
	if (m->kind == FLEET_CLIENT)
		return part == FLEET_DO_CLIENTS;
	return m->plan && m->plan->count && part == (m->gone ? FLEET_DO_GONE : FLEET_DO_SERVERS);
}

int fleet_do(struct fleet *f, enum fleet_part part, struct err *e)
{
	struct work *w = gather(f);
	int r;

	for (size_t i = 0; i < f->count; i++) {
		struct fleet_member *m = &f->members[i];

		if (!is_part(m, part))
			continue;
		if (m->said)
			take(w, m);
		else
			do_local(f, m);
	}
	r = work(w, change, e);
	release(w);
	return r;
}
